/* SPDX-License-Identifier: MIT */
/* A user address space of the host platform: a table of 2 MiB ranges; the active one is mapped into the process. */
#ifndef PLAT_ARCH_MMU_H
#define PLAT_ARCH_MMU_H

#include <base/types.h>

/* Where the mmap area may end: below what the process itself and its sanitizers use. */
#define PLAT_MMAP_TOP 0x500000000000ull

struct host_range;

struct plat_aspace {
    struct host_range *ranges; /* uthash by address */
};

#endif
