/* SPDX-License-Identifier: MIT */
/* User and system time. How long a thread had a CPU is known to the nanosecond; how much of it was the program's is estimated,
 * because two readings of the clock would double the cost of a system call. While a thread runs its CPU is looked at about
 * every four milliseconds, at moments that no program can foresee, and what is seen is counted. Whoever asks is told the
 * exact sum, divided as the samples are.
 *
 * Ring 0 takes no interrupts, so a moment that falls into libOS is noticed late, and by whoever looks at the clock first: a
 * switch of threads, the end of a fault, or the interrupt right after a system call (the platform tells those apart).
 * Samples are written by the CPU alone. */
#include "runq.h"
#include <libos/timer.h>
#include <plat/time.h>

enum { SAMPLE_MIN_NS = 2000000, SAMPLE_BITS = 22 /* 0 to 4.2 ms more */ };

static void bump(struct cpu_samples *s, bool in_program)
{
    uint64_t *n = in_program ? &s->user : &s->system;
    __atomic_store_n(n, *n + 1, __ATOMIC_RELAXED);
}

void runq_sample(struct runq *rq, struct thread *t, bool in_program)
{
    bump(&t->samples, in_program);
    bump(&rq->samples, in_program);
}

void runq_sample_later(struct runq *rq, uint64_t now)
{
    uint64_t spread = now * 0x9e3779b97f4a7c15ull >> (64 - SAMPLE_BITS);
    rq->sample_ns = now + SAMPLE_MIN_NS + spread;
    timer_tick_at(rq->sample_ns);
}

void sched_leave(void)
{
    struct runq *rq = runq_this();
    uint64_t now = plat_time_ns();
    if (LIKELY(now < rq->sample_ns) || rq->current == rq->idle)
        return;
    if (rq->sample_ns)
        runq_sample(rq, rq->current, false);
    runq_sample_later(rq, now);
}

/* a * b / c for a, b <= c, without a product of more than 64 bits as long as c is below 2^32: samples of 200 days. */
static uint64_t share(uint64_t run_ns, uint64_t part, uint64_t all)
{
    return run_ns / all * part + run_ns % all * part / all;
}

void cpu_time_split(uint64_t run_ns, const struct cpu_samples *s, struct cpu_told *told)
{
    uint64_t user = __atomic_load_n(&s->user, __ATOMIC_RELAXED),
             system = __atomic_load_n(&s->system, __ATOMIC_RELAXED), system_ns;
    if (run_ns <= told->user_ns + told->system_ns)
        return;
    system_ns = system ? share(run_ns, system, user + system) : 0;
    if (system_ns < told->system_ns)
        system_ns = told->system_ns;
    if (run_ns - system_ns < told->user_ns)
        system_ns = run_ns - told->user_ns;
    told->system_ns = system_ns;
    told->user_ns = run_ns - system_ns;
}

static struct spin told_lock = SPIN_INIT(RANK_TIMER);

void sched_busy(unsigned cpu, struct cpu_told *ret_time, uint64_t *ret_switches)
{
    struct runq *rq = runq_of(cpu);
    *ret_time = (struct cpu_told){ 0, 0 };
    *ret_switches = 0;
    if (!rq)
        return;
    uint64_t idle = rq->idle_ns, now = plat_time_ns();
    spin_lock(&told_lock);
    if (now > idle)
        cpu_time_split(now - idle, &rq->samples, &rq->told);
    *ret_time = rq->told;
    spin_unlock(&told_lock);
    *ret_switches = rq->switches;
}
