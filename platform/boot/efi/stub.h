/* SPDX-License-Identifier: MIT */
/* The UEFI stub: a GNU-EFI application that turns what the firmware knows into PVH's start info and enters libOS. */
#ifndef EFI_STUB_H
#define EFI_STUB_H

#include <efi.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PAGE = 4096, RUNS_MAX = 40, CMDLINE_SPACE = 4096 };

/* Xen's public/arch-x86/hvm/start_info.h, version 1. */
struct start_info {
    uint32_t magic, version, flags, modules;
    uint64_t modules_pa, cmdline_pa, rsdp_pa, memmap_pa;
    uint32_t memmap_entries, cc_blob; /* the latter with ALCOVE_START_CC: alcove/image.h */
};

struct start_module {
    uint64_t pa, size, cmdline_pa, reserved;
};

struct start_memory {
    uint64_t addr, size;
    uint32_t type, reserved;
};

/* Linux's struct cc_blob_sev_info: where an SEV-SNP guest finds its secrets page and its CPUID page. */
struct cc_blob {
    uint32_t magic;
    uint16_t version, reserved0;
    uint64_t secrets_pa;
    uint32_t secrets_size, reserved1;
    uint64_t cpuid_pa;
    uint32_t cpuid_size, reserved2;
};

/* Everything that libOS reads, in memory that it never gives out. */
struct boot_info {
    struct start_info start;
    struct start_module payload, log; /* in this order: of modules */
    struct start_memory map[RUNS_MAX];
    struct cc_blob blob;
    char cmdline[CMDLINE_SPACE];
};

/* A section of this file in memory; data NULL: there is none. */
struct section {
    const uint8_t *data;
    size_t size;
};

/* Section name of the loaded PE file at base, of image_size bytes in memory. */
struct section section_find(const uint8_t *base, size_t image_size, const char *name);

/* Load the libOS executable (the .linux section): its 64-bit entry, NULL with a text in *ret_why. */
typedef void (*libos_entry)(struct boot_info *) __attribute__((sysv_abi, noreturn));
libos_entry libos_load(EFI_BOOT_SERVICES *bs, struct section elf, const CHAR16 **ret_why);

/* Measure this file's sections where there is a TPM or the like. What it refuses, a verifier will miss. */
void measure_sections(EFI_BOOT_SERVICES *bs, const EFI_LOADED_IMAGE *li);

/* The firmware's event log in memory of ours that libOS never gives out; data NULL: there is none. */
enum { EVENTLOG_MORE = 16 * PAGE }; /* room for events that come after the copy */
struct eventlog {
    uint8_t *data;
    size_t size, room;
    const struct final_events *final;
    uint64_t seen;
};

/* Copy it. After the last measurement of ours. */
void eventlog_keep(const EFI_SYSTEM_TABLE *st, struct eventlog *ret);
/* Boot services have ended: add what the firmware logged since. */
void eventlog_end(struct eventlog *l);

/* Copy what the firmware says of this SEV-SNP guest. False: it says nothing. */
bool blob_copy(const EFI_SYSTEM_TABLE *st, struct cc_blob *ret);

/* Is this a guest of SEV, of whichever generation? While boot services are there, since CPUID may need the firmware. */
bool sev_active(void);

/* Copy the command line of SMBIOS, if there is one, into dst of CMDLINE_SPACE bytes; else leave it. */
void smbios_cmdline(const EFI_SYSTEM_TABLE *st, char *dst);

/* End boot services and describe the memory that is free then. */
EFI_STATUS memory_take(EFI_BOOT_SERVICES *bs, EFI_HANDLE image, struct boot_info *info);

/* The compiler asks for these. */
void *memcpy(void *dst, const void *src, size_t n);
void *memset(void *dst, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);

#endif
