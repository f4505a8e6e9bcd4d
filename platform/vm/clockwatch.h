/* SPDX-License-Identifier: MIT */
/* Two clocks that watch each other: the CPU's counter and a reference. Pure: unit-tested on the host with readings that
 * no machine would give. */
#ifndef VM_CLOCKWATCH_H
#define VM_CLOCKWATCH_H

#include <base/types.h>

/* The reference's value, and the counter's before and after it was read: what lies between is doubt. */
struct clock_reading {
    uint64_t before, ref, after;
};

/* hz: of the counter. ref_hz: of the reference (below 2^31), which wraps at ref_mask + 1, a power of two; 0: there is none.
 * The rest is clock_watch's: the last reading. */
struct clock_watch {
    uint64_t hz, ref_hz, ref_mask;
    struct clock_reading last;
    bool begun;
};

enum clock_fault {
    CLOCK_GOOD,
    CLOCK_BACK,     /* the counter is lower than before */
    CLOCK_STOPPED,  /* it stood, or crept, while the reference went on */
    CLOCK_JUMPED,   /* it went further than the reference */
    CLOCK_REF_BACK, /* the same of the reference */
    CLOCK_REF_STOPPED,
    CLOCK_REF_JUMPED,
};

struct clock_verdict {
    enum clock_fault fault;
    uint64_t off_ns; /* by how much they differ, or how far it went back */
    uint64_t
        elapsed_ns; /* since the last reading, as the clock says that is not at fault; 0: nobody knows */
};

/* Look at the next reading. A single one that took long, or a pause in which the reference may have wrapped, proves nothing. */
struct clock_verdict clock_watch(struct clock_watch *w, const struct clock_reading *now);

/* What a fault is called; behind it: "by N ns", and the reference's name. */
const char *clock_fault_name(enum clock_fault fault);

#endif
