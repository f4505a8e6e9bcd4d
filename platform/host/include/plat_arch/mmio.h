/* SPDX-License-Identifier: MIT */
/* Accesses to device registers and to memory shared with devices: the test's device answers (plat/host.h). */
#ifndef PLAT_ARCH_MMIO_H
#define PLAT_ARCH_MMIO_H

#include <base/types.h>

uint64_t plat_host_mmio_read(const volatile void *p, unsigned bytes);
void plat_host_mmio_write(volatile void *p, unsigned bytes, uint64_t value);
uint64_t plat_host_shared_read(const volatile void *p, unsigned bytes);

#define PLAT_MMIO_ACCESS(bits)                                                                     \
    static inline uint##bits##_t plat_mmio_read##bits(const volatile void *p)                      \
    {                                                                                              \
        return (uint##bits##_t)plat_host_mmio_read(p, bits / 8);                                   \
    }                                                                                              \
    static inline void plat_mmio_write##bits(volatile void *p, uint##bits##_t v)                   \
    {                                                                                              \
        plat_host_mmio_write(p, bits / 8, v);                                                      \
    }                                                                                              \
    static inline uint##bits##_t plat_shared_read##bits(const volatile void *p)                    \
    {                                                                                              \
        return (uint##bits##_t)plat_host_shared_read(p, bits / 8);                                 \
    }

PLAT_MMIO_ACCESS(8)
PLAT_MMIO_ACCESS(16)
PLAT_MMIO_ACCESS(32)
PLAT_MMIO_ACCESS(64)
#undef PLAT_MMIO_ACCESS

#endif
