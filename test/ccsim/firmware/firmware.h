/* SPDX-License-Identifier: MIT */
/* A small UEFI firmware for guests of the simulator: what OVMF does for one file, as far as the file can see it. It accepts
 * memory and leaves some for later, answers #VC and #VE, talks to the host through a GHCB of its own, has boot services,
 * a configuration table with the blob of SEV-SNP, and the protocol by which a system takes over the acceptance. */
#ifndef FIRMWARE_H
#define FIRMWARE_H

#include <efi.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../handoff.h"

enum { PAGE = 4096, TABLE = 512, LARGE = 1 << 21, UNACCEPTED = 15 };

struct frame {
    uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx, rcx, rax;
    uint64_t error, rip, cs, rflags, rsp, ss;
};

extern struct handoff firmware_handoff;

/* cc.c. Own descriptor tables and page tables; the GHCB. */
void cc_init(void);
/* Make unaccepted RAM private and accepted. */
void cc_accept(uint64_t start, uint64_t end);
/* From here on a #VC or #VE that this firmware would have to serve ends the run. */
void cc_leave(void);
/* To port 0x402, where the simulator keeps it for the end. */
void say(const char *text);
void say_number(uint64_t n);
__attribute__((noreturn)) void stop(const char *why);
void firmware_trap(struct frame *f);

/* memory.c: the memory map. */
void memory_init(void);
EFI_STATUS EFIAPI memory_pages(EFI_ALLOCATE_TYPE how, EFI_MEMORY_TYPE type, UINTN pages,
                               EFI_PHYSICAL_ADDRESS *at);
EFI_STATUS EFIAPI memory_pool(EFI_MEMORY_TYPE type, UINTN size, void **ret);
EFI_STATUS EFIAPI memory_get(UINTN *size, EFI_MEMORY_DESCRIPTOR *map, UINTN *key, UINTN *step,
                             UINT32 *version);
/* Accept what the map has of unaccepted memory; how many pages. */
uint64_t memory_accept_all(void);
uint64_t memory_unaccepted(void);
bool memory_is_current(UINTN key);

/* pe.c: load the file; its entry point. */
EFI_IMAGE_ENTRY_POINT pe_load(const uint8_t *file, size_t size, uint64_t *ret_base,
                              uint64_t *ret_size);

/* services.c */
void firmware_main(const struct handoff *h);

void *memcpy(void *dst, const void *src, size_t n);
void *memset(void *dst, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);

#endif
