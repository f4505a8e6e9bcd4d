/* SPDX-License-Identifier: MIT */
/* The linear map of all physical memory. */
#ifndef PLAT_ARCH_MEM_H
#define PLAT_ARCH_MEM_H

#include <base/types.h>

#define PLAT_LINEAR_BASE 0xffff800000000000ull

static inline void *plat_phys_to_virt(paddr_t pa)
{
    return (void *)(uintptr_t)(PLAT_LINEAR_BASE + pa.v);
}

static inline paddr_t plat_virt_to_phys(const void *p)
{
    return PADDR((uintptr_t)p - PLAT_LINEAR_BASE);
}

#endif
