/* SPDX-License-Identifier: MIT */
/* Arithmetic of clock.c and rtc.c, free of the machine: unit-tested on the host. */
#ifndef VM_CLOCKMATH_H
#define VM_CLOCKMATH_H

#include <base/types.h>
#include <plat/time.h>

/* A moment: the reference showed ticks; the counter was tsc, give or take slack / 2. */
struct clock_edge {
    uint64_t ticks, tsc, slack;
};

/* Whether hz can be a CPU's counter: 100 MHz to 20 GHz. */
bool clock_plausible(uint64_t hz);

/* The counter's frequency from n edges of a reference of ref_hz (below 2^31) whose counter wraps at mask + 1 (a power of
 * two). Of all pairs of edges, two windows or more apart, the one is believed whose slack is the smallest part of what
 * lies between them, and with which all windows between agree. 0: there is none, or its doubt is more than one part in
 * sureness. */
uint64_t clock_fit(const struct clock_edge *edges, unsigned n, uint64_t ref_hz, uint64_t mask,
                   uint64_t sureness);

/* A measured frequency, taken for the round one (a multiple of 1 MHz) that lies within 40 ppm, the measure's own doubt. */
uint64_t clock_snap(uint64_t hz);

/* ns = ticks * the result >> PLAT_CLOCK_SHIFT, rounded down. */
uint64_t clock_factor(uint64_t hz);

/* kvmclock's factors as a frequency; 0: nonsense. */
uint64_t clock_kvm_hz(uint32_t mult, int8_t shift);

/* kvmclock's nanoseconds for so many ticks; 0: its factors are nonsense. */
uint64_t clock_kvm_ns(uint64_t ticks, uint32_t mult, int8_t shift);

/* The value of the option clock= in a command line, before "--". 0: none, or not a plausible number. */
uint64_t clock_option(const char *text, size_t size);

/* Seconds since 1970 of a date; 0: not a date from 1970 to 2199. */
uint64_t clock_date(unsigned year, unsigned month, unsigned day, unsigned hour, unsigned minute,
                    unsigned second);

#endif
