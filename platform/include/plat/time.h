/* SPDX-License-Identifier: MIT */
/* Time since boot, wall time, and one one-shot timer for each CPU. */
#ifndef PLAT_TIME_H
#define PLAT_TIME_H

#include <base/compiler.h>
#include <base/types.h>

/* Nanoseconds since boot. Never goes back, on any CPU. */
uint64_t plat_time_ns(void);

/* Wall time, nanoseconds since 1970 (UTC), as the platform's clock says at the moment of boot; 0: there is none. */
uint64_t plat_wall_at_boot_ns(void);

/* The same as the platform's clock says now: wall time less plat_time_ns(); 0: there is none. *ret_doubt_ns: how far off it may be.
 * Does not sleep; takes up to some milliseconds. */
uint64_t plat_wall_again_ns(uint64_t *ret_doubt_ns);

/* Call upcall_timer on this CPU when plat_time_ns() reaches deadline, once; UINT64_MAX: never. */
void plat_timer_set(uint64_t deadline_ns);

enum {
    PLAT_CLOCK_SHIFT = 32, /* constant, so that it costs no load and no variable shift */
};

/* What ring 3 reads the CPU's number with. */
enum plat_cpu_by {
    PLAT_CPU_BY_CALL, /* nothing: it must trap */
    PLAT_CPU_BY_RDTSCP,
    PLAT_CPU_BY_RDPID,
};

/* What the vDSO needs to do without a trap. Time is computed from the CPU's counter:
 * plat_time_ns() = ((tsc - tsc_base) * mult) >> PLAT_CLOCK_SHIFT (128 bits) + ns_base. usable is false where ring 3 must trap. */
struct plat_clock {
    uint64_t tsc_base, ns_base;
    uint64_t mult;
    bool usable;
    enum plat_cpu_by cpu_by;
    uint64_t tsc_hz;
    const char *source; /* name of the rung of the clock ladder in use */
};
void plat_clock(struct plat_clock *ret);

#endif
