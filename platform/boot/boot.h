/* SPDX-License-Identifier: MIT */
/* What the boot steps hand to each other. */
#ifndef BOOT_BOOT_H
#define BOOT_BOOT_H

#include <base/compiler.h>
#include <base/types.h>

/* The image is linked for this physical address; kernel.lds has the same numbers and entry code asserts them. */
#define BOOT_PHYS_BASE 0x100000ull
#define BOOT_LINK_BASE 0xffffffff80000000ull /* link address = address linked for + this */
#define BOOT_WINDOW    0x40000000ull /* the image is placed within this much from BOOT_LINK_BASE */

/* struct hvm_start_info, version 1 (version 0 ends before memmap). cc_blob is PVH's reserved word: alcove/image.h. */
struct boot_start_info {
    uint32_t magic, version, flags, modules;
    uint64_t modules_pa, cmdline_pa, rsdp_pa, memmap_pa;
    uint32_t memmap_entries, cc_blob;
};

/* Page tables that exist from the first instruction on, in .bss; each one page. */
struct boot_tables {
    uint64_t root
        [512]; /* PML4: [0] identity (gone after boot), [256] linear, [384] devices, [511] image */
    uint64_t linear_pdpt[512]; /* shared by the identity and the linear map; PML4[256] adds NX */
    uint64_t linear_pd[512];   /* the first GiB */
    uint64_t image_pdpt[512];
    uint64_t image_pd[512];
    uint64_t image_pt[2][512];
    uint64_t device_pdpt[512];
    uint64_t device_pd[512];
    uint64_t device_pt[512];
};
extern struct boot_tables boot_tables;

/* Runs at the identity mapping, before relocation: place the image, relocate it, map it. What to add to a physical
 * address of the image to get the final one. */
uint64_t boot_place(void);

/* Runs at the final address on the boot stack; info: physical address of struct hvm_start_info. Does not return. */
NORETURN void boot_main(uint64_t info);

/* The UEFI stub's copy of the firmware's event log, in memory that is nobody's. False: there is none. */
bool boot_event_log(uint64_t *ret_pa, uint64_t *ret_size);

/* Map [pa, pa + size) for a moment, read-write, not executable; size at most 2 MiB. Each call ends the one before. */
void *boot_window(uint64_t pa, size_t size);

/* Stop with one line on COM1. Before traps and console work. */
NORETURN void boot_fail(const char *text);

#endif
