/* SPDX-License-Identifier: MIT */
/* Timers on CPU time: ITIMER_VIRTUAL and ITIMER_PROF, POSIX timers on CPU clocks, RLIMIT_CPU, RLIMIT_RTTIME. One timer for each process
 * that has any fires when the CPU time could be reached at the earliest, looks, and is set again: exact for one running
 * thread, late by what several CPUs burn in between at most. */
#include "time_int.h"
#include <abi/sched.h>
#include <libos/process.h>
#include <libos/sched.h>
#include <libos/signal.h>
#include <libos/time.h>
#include <plat/time.h>
#include <utlist.h>

enum { MIN_WAIT_NS = 1000000, NS_PER_US = 1000 };

/* RLIMIT_CPU: SIGXCPU at the soft limit and each second after, SIGKILL at the hard one. When to look again. */
static uint64_t check_limit(struct process *p, uint64_t cpu_ns)
{
    uint64_t soft = p->rlimits[RLIMIT_CPU].rlim_cur, hard = p->rlimits[RLIMIT_CPU].rlim_max;
    if (soft >= INT64_MAX / NS_PER_SEC)
        return UINT64_MAX;
    if (hard < INT64_MAX / NS_PER_SEC && cpu_ns >= hard * NS_PER_SEC) {
        signal_kernel(p, SIGKILL);
        return UINT64_MAX;
    }
    uint64_t next = soft * NS_PER_SEC;
    if (cpu_ns < next)
        return next;
    if (p->cpu_limit_told_ns + NS_PER_SEC <= cpu_ns || !p->cpu_limit_told_ns) {
        p->cpu_limit_told_ns = cpu_ns;
        signal_kernel(p, SIGXCPU);
    }
    return p->cpu_limit_told_ns + NS_PER_SEC;
}

/* The longest that a real-time thread of p has run without a sleep; 0: there is none. */
static uint64_t rt_run_ns(struct process *p)
{
    uint64_t most = 0;
    struct thread *t;
    spin_lock(&p->sig_lock);
    DL_FOREACH(p->threads, t)
    {
        if (t->policy != SCHED_FIFO && t->policy != SCHED_RR)
            continue;
        uint64_t ran = sched_cpu_ns(t) - t->woke_run_ns;
        most = ran > most ? ran : most ? most : 1;
    }
    spin_unlock(&p->sig_lock);
    return most;
}

/* RLIMIT_RTTIME, in microseconds: SIGXCPU at the soft limit, which then becomes a second more, SIGKILL at the hard one. How long
 * it takes at least until there is something to do. */
static uint64_t check_rt_limit(struct process *p)
{
    uint64_t soft = p->rlimits[RLIMIT_RTTIME].rlim_cur, hard = p->rlimits[RLIMIT_RTTIME].rlim_max;
    if (LIKELY(soft >= INT64_MAX / NS_PER_US))
        return UINT64_MAX;
    uint64_t ran = rt_run_ns(p);
    if (!ran)
        return UINT64_MAX;
    if (hard < INT64_MAX / NS_PER_US && ran >= hard * NS_PER_US) {
        signal_kernel(p, SIGKILL);
        return UINT64_MAX;
    }
    if (ran >= soft * NS_PER_US) {
        soft += NS_PER_SEC / NS_PER_US;
        p->rlimits[RLIMIT_RTTIME].rlim_cur = soft;
        signal_kernel(p, SIGXCPU);
    }
    uint64_t next = (soft < hard ? soft : hard) * NS_PER_US;
    return next > ran ? next - ran : 0;
}

static void look(struct process *p)
{
    struct cpu_told now;
    process_cpu_split(p, &now);
    uint64_t cpu = now.user_ns + now.system_ns, wait = itimer_cpu_check(p, &now),
             other = ktimer_cpu_check(p, &now), limit = check_limit(p, cpu);
    wait = other < wait ? other : wait;
    if (limit != UINT64_MAX && (limit < cpu || limit - cpu < wait))
        wait = limit > cpu ? limit - cpu : 0;
    limit = check_rt_limit(p);
    wait = limit < wait ? limit : wait;
    if (wait == UINT64_MAX)
        return;
    spin_lock(
        &p->sig_lock); /* after a process has begun to end, nobody arms what it is about to stop */
    if (!p->exiting)
        timer_start(&p->cpu_timer, plat_time_ns() + (wait > MIN_WAIT_NS ? wait : MIN_WAIT_NS));
    spin_unlock(&p->sig_lock);
}

static void fired(struct timer *timer)
{
    look(CONTAINER_OF(timer, struct process, cpu_timer));
}

void cpu_timers_changed(struct process *p)
{
    look(p);
}

void process_init_timers(struct process *p)
{
    itimer_init(p);
    timer_init(&p->cpu_timer, fired);
}

void process_exec_timers(struct process *p)
{
    ktimer_exit(p);
}

void process_exit_timers(struct process *p)
{
    timer_stop(&p->cpu_timer);
    itimer_exit(p);
    ktimer_exit(p);
}
