/* SPDX-License-Identifier: MIT */
/* Physical memory: what there is, and how libOS reaches it. */
#ifndef PLAT_MEM_H
#define PLAT_MEM_H

#include <base/compiler.h>
#include <base/types.h>
#include <plat_arch/mem.h> /* plat_phys_to_virt, plat_virt_to_phys: inline */

/* A run of usable RAM, page aligned. libOS's image, the payload and the boot page tables are not part of any. */
struct plat_mem_region {
    paddr_t start;
    uint64_t size; /* bytes */
};

/* Give the i-th usable region in ascending order; false past the last one. Valid from upcall_boot on. */
bool plat_mem_region(size_t i, struct plat_mem_region *ret);

/* The end of the highest RAM address of any kind, so that a frame table can be sized. */
paddr_t plat_mem_end(void);

/* Memory in [pa, pa + size) of a region is about to be used for the first time: a confidential guest may still have to take it
 * over from its host. Nothing but what was asked for, by this or at boot, is touched. One caller at a time. */
void plat_mem_accept(paddr_t pa, uint64_t size);

/* void *plat_phys_to_virt(paddr_t pa): libOS's address of RAM at pa, readable and writable, not executable.
 * paddr_t plat_virt_to_phys(const void *p): the reverse, for addresses that plat_phys_to_virt gave. */

#endif
