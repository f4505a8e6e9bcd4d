/* SPDX-License-Identifier: MIT */
/* An x86-64 user address space. */
#ifndef PLAT_ARCH_MMU_H
#define PLAT_ARCH_MMU_H

#include <base/types.h>

/* Where the mmap area may end at most. */
#define PLAT_MMAP_TOP 0x7ffffffff000ull

struct plat_aspace {
    paddr_t root;          /* PML4 */
    _Atomic uint64_t cpus; /* CPUs that may hold its translations */
    uint32_t lock;         /* guards the levels above page tables: mmu.c */
};

#endif
