/* SPDX-License-Identifier: MIT */
/* Physical memory is one shared memory file, mapped whole: the arena. */
#ifndef PLAT_ARCH_MEM_H
#define PLAT_ARCH_MEM_H

#include <base/types.h>

/* Where the arena is mapped; physical address 0 is its first byte. */
#define PLAT_HOST_ARENA 0x110000000000ull

static inline void *plat_phys_to_virt(paddr_t pa)
{
    return (void *)(uintptr_t)(PLAT_HOST_ARENA + pa.v);
}

static inline paddr_t plat_virt_to_phys(const void *p)
{
    return PADDR((uintptr_t)p - PLAT_HOST_ARENA);
}

#endif
