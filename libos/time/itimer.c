/* SPDX-License-Identifier: MIT */
/* Interval timers: setitimer(2). ITIMER_REAL is a timer; the two on CPU time are looked at when CPU time is charged.
 * Lock: sig_lock of the process. */
#include "time_int.h"
#include <abi/errno.h>
#include <libos/heap.h>
#include <libos/process.h>
#include <libos/sched.h>
#include <libos/signal.h>
#include <libos/time.h>
#include <plat/time.h>

/* The three timers; values are absolute in the timer's own time, 0: off. */
struct itimer {
    uint64_t next_ns[3], interval_ns[3];
};

static void real_fired(struct timer *timer)
{
    struct process *p = CONTAINER_OF(timer, struct process, real_timer);
    struct itimer *it = p->itimers;
    uint64_t now = plat_time_ns();
    spin_lock(&p->sig_lock);
    bool due = it->next_ns[ITIMER_REAL] && it->next_ns[ITIMER_REAL] <= now;
    if (due && it->interval_ns[ITIMER_REAL]) {
        uint64_t step = it->interval_ns[ITIMER_REAL];
        it->next_ns[ITIMER_REAL] += (1 + (now - it->next_ns[ITIMER_REAL]) / step) * step;
        timer_start(timer, it->next_ns[ITIMER_REAL]);
    } else if (due) {
        it->next_ns[ITIMER_REAL] = 0;
    }
    spin_unlock(&p->sig_lock);
    if (due)
        signal_kernel(p, SIGALRM);
}

void itimer_init(struct process *p)
{
    timer_init(&p->real_timer, real_fired);
}

static struct itimer *itimers_of(struct process *p)
{
    if (!p->itimers) {
        struct itimer *it = heap_zalloc(sizeof(*it));
        spin_lock(&p->sig_lock);
        if (!p->itimers) {
            p->itimers = it;
            it = NULL;
        }
        spin_unlock(&p->sig_lock);
        heap_free(it);
    }
    return p->itimers;
}

static uint64_t now_of(struct process *p, int which)
{
    struct cpu_told cpu;
    if (which != ITIMER_VIRTUAL)
        return which == ITIMER_REAL ? plat_time_ns() : process_cpu_ns(p);
    process_cpu_split(p, &cpu);
    return cpu.user_ns;
}

static void current_value(const struct itimer *it, int which, uint64_t now, uint64_t *ret_value,
                          uint64_t *ret_interval)
{
    uint64_t next = it->next_ns[which];
    *ret_value = !next ? 0 : next > now ? next - now : 1000; /* due, but not yet seen */
    *ret_interval = it->interval_ns[which];
}

void itimer_get(int which, uint64_t *ret_value, uint64_t *ret_interval)
{
    struct process *p = process_current();
    uint64_t now = now_of(p, which);
    *ret_value = *ret_interval = 0;
    if (!p->itimers)
        return;
    spin_lock(&p->sig_lock);
    current_value(p->itimers, which, now, ret_value, ret_interval);
    spin_unlock(&p->sig_lock);
}

void itimer_set(int which, uint64_t value_ns, uint64_t interval_ns, uint64_t *ret_old_value,
                uint64_t *ret_old_interval)
{
    struct process *p = process_current();
    uint64_t now = now_of(p, which);
    struct itimer *it = itimers_of(p);
    *ret_old_value = *ret_old_interval = 0;
    if (!it)
        return; /* out of memory: no timer. setitimer has no errno for it */
    spin_lock(&p->sig_lock);
    current_value(it, which, now, ret_old_value, ret_old_interval);
    it->next_ns[which] = value_ns ? now + value_ns : 0;
    it->interval_ns[which] = interval_ns;
    if (which == ITIMER_REAL && value_ns)
        timer_start(&p->real_timer, it->next_ns[which]);
    spin_unlock(&p->sig_lock);
    if (which == ITIMER_REAL && !value_ns) {
        timer_stop(&p->real_timer); /* not under the lock, which the callback takes */
        spin_lock(&p->sig_lock);
        if (it->next_ns[which]) /* another thread has set it meanwhile */
            timer_start(&p->real_timer, it->next_ns[which]);
        spin_unlock(&p->sig_lock);
    }
    if (which != ITIMER_REAL && value_ns)
        cpu_timers_changed(p);
}

uint64_t itimer_cpu_check(struct process *p, const struct cpu_told *cpu)
{
    uint64_t next = UINT64_MAX;
    for (int which = ITIMER_VIRTUAL; which <= ITIMER_PROF; which++) {
        uint64_t now = cpu->user_ns + (which == ITIMER_PROF ? cpu->system_ns : 0);
        spin_lock(&p->sig_lock);
        struct itimer *it = p->itimers; /* somebody else's process may be ending */
        uint64_t at = it ? it->next_ns[which] : 0;
        bool due = at && at <= now;
        if (due)
            at = it->next_ns[which] = it->interval_ns[which] ? now + it->interval_ns[which] : 0;
        spin_unlock(&p->sig_lock);
        if (due)
            signal_kernel(p, which == ITIMER_VIRTUAL ? SIGVTALRM : SIGPROF);
        if (at && at - now < next)
            next = at - now;
    }
    return next;
}

void itimer_exit(struct process *p)
{
    timer_stop(&p->real_timer);
    spin_lock(&p->sig_lock);
    struct itimer *it = p->itimers;
    p->itimers = NULL;
    spin_unlock(&p->sig_lock);
    heap_free(it);
}
