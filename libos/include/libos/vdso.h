/* SPDX-License-Identifier: MIT */
/* The data page of the vDSO (vvar): what ring 3 needs to read the clocks without a trap. Written by libos/time, mapped
 * read-only beside the vDSO's code by libos/load. The writer raises begun, writes, then raises done; the code reads done,
 * the fields, then begun, and starts over when the two differ. While ring 3 must not read the counter, they differ for good
 * and usable is 0. */
#ifndef LIBOS_VDSO_H
#define LIBOS_VDSO_H

#include <base/types.h>

enum { VDSO_CLOCKS = 12 }; /* CLOCK_REALTIME to CLOCK_TAI */

struct vdso_data {
    uint64_t offset[VDSO_CLOCKS]; /* ns to add, by clock id */
    _Atomic uint32_t begun, done;
    uint32_t usable;   /* 0: the counter cannot be read in ring 3, make the system call */
    uint32_t cpu_by;   /* enum plat_cpu_by: what reads the CPU's number (bits 0 to 11) */
    uint64_t mult;     /* ns = (tsc - tsc_base) * mult >> PLAT_CLOCK_SHIFT (128 bits) */
    uint64_t tsc_base; /* of the past on every CPU */
    int32_t tz_minuteswest, tz_dsttime;
};

/* The page, for mapping; valid after time_init. */
paddr_t vdso_data_page(void);

#endif
