/* SPDX-License-Identifier: MIT */
/* One-shot timers in plat_time_ns() time. Callbacks run with interrupts off, from the timer interrupt or an idle CPU;
 * they must not sleep and must not free the timer's memory under themselves unless timer_stop was not needed. */
#ifndef LIBOS_TIMER_H
#define LIBOS_TIMER_H

#include <base/types.h>
#include <sys/tree.h>

struct timer {
    RB_ENTRY(timer) node;
    uint64_t deadline_ns;
    void (*fn)(struct timer *t);
    uint32_t cpu;
    bool armed;
};

/* Make a timer that is not armed. */
void timer_init(struct timer *t, void (*fn)(struct timer *t));
/* Arm, or move, t. A deadline in the past fires at the next opportunity. */
void timer_start(struct timer *t, uint64_t deadline_ns);
/* Disarm. True if it was armed; false: it has fired. Its callback has finished, unless that is the caller, and what it armed is
 * disarmed too. No lock that the callback takes is held. */
bool timer_stop(struct timer *t);

/* Have sched_tick called on this CPU no later than about deadline_ns: the earliest of several calls counts. */
void timer_tick_at(uint64_t deadline_ns);

/* CLOCK_REALTIME minus CLOCK_MONOTONIC, in ns; changed by clock_settime. Observers (timerfd, absolute timers) are told
 * through clock_was_set. */
uint64_t clock_realtime_offset(void);
void clock_set_realtime(uint64_t realtime_ns);
/* Look at the platform's wall time again and step CLOCK_REALTIME by as much as it has moved since, as after a snapshot; what a
 * program has set stays a difference to it. */
void clock_resumed(void);
struct waitq *clock_was_set(void);

#endif
