/* SPDX-License-Identifier: MIT */
/* Accesses to device registers and to memory shared with devices. Register accesses are plain moves between memory and one
 * register: who emulates them (a confidential guest's exception handler) decodes no other form. */
#ifndef PLAT_ARCH_MMIO_H
#define PLAT_ARCH_MMIO_H

#include <base/types.h>

#define PLAT_MMIO_ACCESS(bits, suffix, reg)                                                        \
    static inline uint##bits##_t plat_mmio_read##bits(const volatile void *p)                      \
    {                                                                                              \
        uint##bits##_t v;                                                                          \
        __asm__ volatile("mov" suffix " (%1), %0" : "=" reg(v) : "r"(p) : "memory");               \
        return v;                                                                                  \
    }                                                                                              \
    static inline void plat_mmio_write##bits(volatile void *p, uint##bits##_t v)                   \
    {                                                                                              \
        __asm__ volatile("mov" suffix " %0, (%1)" : : reg(v), "r"(p) : "memory");                  \
    }                                                                                              \
    static inline uint##bits##_t plat_shared_read##bits(const volatile void *p)                    \
    {                                                                                              \
        return *(const volatile uint##bits##_t *)p;                                                \
    }

PLAT_MMIO_ACCESS(8, "b", "q")
PLAT_MMIO_ACCESS(16, "w", "r")
PLAT_MMIO_ACCESS(32, "l", "r")
PLAT_MMIO_ACCESS(64, "q", "r")
#undef PLAT_MMIO_ACCESS

#endif
