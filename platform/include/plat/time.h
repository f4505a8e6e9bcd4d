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

/* Call upcall_timer on this CPU when plat_time_ns() reaches deadline, once; UINT64_MAX: never. */
void plat_timer_set(uint64_t deadline_ns);

/* How to compute plat_time_ns() from the CPU's counter, for the vDSO: ns = ((tsc - tsc_base) * mult) >> shift + ns_base.
 * usable is false where ring 3 must trap. */
struct plat_clock {
    uint64_t tsc_base, ns_base;
    uint32_t mult, shift;
    bool usable;
    uint64_t tsc_hz;
    const char *source; /* name of the rung of the clock ladder in use */
};
void plat_clock(struct plat_clock *ret);

#endif
