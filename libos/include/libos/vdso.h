/* SPDX-License-Identifier: MIT */
/* The data page of the vDSO (vvar): what ring 3 needs to read the clocks without a trap. Written by libos/time, mapped
 * read-only beside the vDSO's code by libos/load. The code reads seq, the fields and seq again, and starts over when seq
 * was odd or has changed. */
#ifndef LIBOS_VDSO_H
#define LIBOS_VDSO_H

#include <base/types.h>

struct vdso_data {
    _Atomic uint32_t seq;
    uint32_t usable;          /* 0: the counter cannot be read in ring 3, make the system call */
    uint64_t tsc_base;        /* CLOCK_MONOTONIC = ((tsc - tsc_base) * mult >> shift) + ns_base (64 x 32 bits, 96 kept) */
    uint64_t ns_base;
    uint32_t mult, shift;
    uint64_t realtime_offset; /* ns: CLOCK_REALTIME - CLOCK_MONOTONIC */
    int32_t tz_minuteswest, tz_dsttime;
    uint32_t cpu_in_tsc_aux;  /* RDTSCP gives the CPU's number (bits 0 to 11) */
};

/* The page, for mapping; valid after time_init. */
paddr_t vdso_data_page(void);

#endif
