/* SPDX-License-Identifier: MIT */
/* The memory map of the boot protocol, made safe; and pages for the platform before libOS runs. */
#ifndef BOOT_MEMORY_H
#define BOOT_MEMORY_H

#include <base/compiler.h>
#include <base/types.h>

enum {
    MEMMAP_RAW_MAX = 256, /* entries taken from a loader; more are ignored */
    MEMMAP_MAX = 48,      /* runs of RAM kept */
    MEMMAP_RAM = 1,
};

/* An entry as PVH has it. */
struct memmap_entry {
    uint64_t addr, size;
    uint32_t type, reserved;
};

struct memmap_range {
    uint64_t start, end;
};

/* Sort, clip to [0, limit), merge: out gets the runs of RAM, ascending, page aligned, disjoint. An entry of type 0 or
 * size 0, or whose end overflows, does not count; any other type takes its pages out of RAM. Count, at most max:
 * what does not fit is left out. Pure. */
size_t memmap_build(const struct memmap_entry *raw, size_t count, uint64_t limit,
                    struct memmap_range *out, size_t max);

/* Take [start, end) out of the runs. New count. Pure. */
size_t memmap_remove(struct memmap_range *runs, size_t count, size_t max, uint64_t start,
                     uint64_t end);

/* Take over the raw map: linear map, payload, regions. module: where the loader put the payload, if the image has none
 * of its own behind it; empty: nowhere. */
void boot_memory_init(const struct memmap_entry *raw, size_t count, struct memmap_range module);

/* One zeroed page that stays the platform's; its physical address, 0: none left. Before upcall_boot only. */
uint64_t boot_page(void);

/* The same for size bytes at the linear address returned; NULL: none left. */
void *boot_keep(size_t size);

/* Whether any of [pa, pa + size) is RAM, given out or not: a device that says it lies there is lying. */
bool boot_is_ram(uint64_t pa, uint64_t size);

/* The linear address of size bytes of scratch memory that libOS will get later; NULL: too much. One use at a time. */
void *boot_scratch(size_t size);

/* The address of n zeroed pages below 1 MiB, above what a loader leaves there, that stay the platform's; 0: none left.
 * Before boot_memory_done. */
uint64_t boot_low_pages(size_t n);

/* End of boot: give what lies below 1 MiB to libOS; no boot_page any more. */
void boot_memory_done(void);

/* Where the payload is (after the image's last page, or the module) and the bytes of RAM from there. */
const void *boot_payload(uint64_t *ret_max);

#endif
