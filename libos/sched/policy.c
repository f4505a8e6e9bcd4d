/* SPDX-License-Identifier: MIT */
/* Scheduling parameters and the load averages. A queued thread is taken out of its list, changed and put back. */
#include "runq.h"
#include <abi/errno.h>
#include <abi/sched.h>
#include <libos/heap.h>
#include <plat/time.h>

/* Take t out of its list if it waits in one, or for its next period; true: runq_add it again after the change. The lock is held. */
static bool suspend_queued(struct runq *rq, struct thread *t)
{
    if (!t->queued)
        return t->dl && deadline_interrupt(t);
    runq_remove(rq, t);
    return true;
}

/* The lock is held on entry, not on return. */
static void changed(struct runq *rq, struct thread *t, bool requeue)
{
    if (requeue)
        runq_add(rq, t);
    else if (t == rq->current && rq->queued)
        runq_resched(rq); /* somebody who waits may be better now */
    spin_unlock(&rq->lock);
}

void sched_classify(struct thread *t)
{
    unsigned own = t->policy == SCHED_DEADLINE ? RT_DEADLINE : t->rt_priority,
             rt = own > t->boost ? own : t->boost;
    t->run_class = (uint8_t)(rt                        ? RUN_RT + rt
                             : t->policy == SCHED_IDLE ? RUN_BACKGROUND
                                                       : RUN_FAIR);
}

int sched_set_policy(struct thread *t, int policy, int rt_priority, int nice)
{
    bool rt = policy == SCHED_FIFO || policy == SCHED_RR, stays = policy == SCHED_DEADLINE;
    if (!rt && !stays && policy != SCHED_OTHER && policy != SCHED_BATCH && policy != SCHED_IDLE)
        return -EINVAL;
    if (rt ? rt_priority < 1 || rt_priority >= RT_PRIORITIES : rt_priority != 0)
        return -EINVAL;
    struct runq *rq = runq_lock_of(t);
    if (UNLIKELY(stays && t->policy != policy)) {
        spin_unlock(&rq->lock);
        return -EINVAL;
    }
    t->nice = (int8_t)(nice < -20 ? -20 : nice > 19 ? 19 : nice);
    if (UNLIKELY(stays)) {
        spin_unlock(&rq->lock);
        return 0;
    }
    bool requeue = suspend_queued(rq, t);
    if (UNLIKELY(t->policy == SCHED_DEADLINE))
        deadline_quit(t);
    t->policy = (uint8_t)policy;
    t->rt_priority = (uint8_t)rt_priority;
    sched_classify(t);
    t->slice_ns = sched_slice_ns(t);
    changed(rq, t, requeue);
    return 0;
}

void sched_boost(struct thread *t, unsigned rt_priority, uint64_t deadline_ns)
{
    struct runq *rq = runq_lock_of(t);
    if (t->boost == rt_priority && t->lent_ns == deadline_ns) {
        spin_unlock(&rq->lock);
        return;
    }
    bool requeue = suspend_queued(rq, t);
    t->boost = (uint8_t)rt_priority;
    t->lent_ns = deadline_ns;
    sched_classify(t);
    changed(rq, t, requeue);
}

static uint64_t all_cpus(void)
{
    unsigned n = plat_cpu_count();
    return n >= 64 ? UINT64_MAX : (1ull << n) - 1;
}

uint64_t sched_affinity(const struct thread *t)
{
    return t->affinity & all_cpus();
}

/* What becoming SCHED_DEADLINE changes of t, which was it already or not. The lock is held, t in no list. */
static void set_deadline(struct runq *rq, struct thread *t, const struct sched_deadline *want,
                         bool requeue)
{
    deadline_begin(t, want, requeue || t == rq->current);
    if (t == rq->current && t->policy != SCHED_DEADLINE)
        t->slice_ns += (int64_t)(plat_time_ns() - t->started_ns); /* will be charged */
    t->policy = SCHED_DEADLINE;
    t->rt_priority = 0;
    sched_classify(t);
}

int sched_set_deadline(struct thread *t, const struct sched_deadline *want)
{
    struct deadline *spare = deadline_alloc(t);
    if (!spare)
        return -ENOMEM;
    struct runq *rq = runq_lock_of(t);
    if (!t->dl) {
        t->dl = spare;
        spare = NULL;
    }
    int err = (t->affinity & all_cpus()) != all_cpus() ? -EPERM
              : !deadline_admit(t, want)               ? -EBUSY
                                                       : 0;
    if (!err) {
        bool requeue = suspend_queued(rq, t);
        set_deadline(rq, t, want, requeue);
        if (requeue)
            runq_add(rq, t);
        else if (t == rq->current)
            runq_resched(rq); /* its time is to be watched */
    }
    spin_unlock(&rq->lock);
    heap_free(spare);
    return err;
}

bool sched_get_deadline(struct thread *t, struct sched_deadline *ret_want)
{
    struct runq *rq = runq_lock_of(t);
    bool is = t->policy == SCHED_DEADLINE && t->dl;
    if (is)
        deadline_told(t, ret_want);
    spin_unlock(&rq->lock);
    return is;
}

int sched_set_affinity(struct thread *t, uint64_t cpus)
{
    cpus &= all_cpus();
    if (!cpus)
        return -EINVAL;
    struct runq *rq = runq_lock_of(t);
    if (UNLIKELY(t->policy == SCHED_DEADLINE && cpus != all_cpus())) {
        spin_unlock(&rq->lock);
        return -EBUSY;
    }
    t->affinity = cpus;
    if (cpus >> rq->cpu & 1) {
        spin_unlock(&rq->lock);
        return 0;
    }
    if (t->queued) {
        /* It may be about to leave the CPU that it is queued on. */
        while (__atomic_load_n(&t->on_cpu, __ATOMIC_ACQUIRE))
            plat_relax();
        runq_remove(rq, t);
        rq = runq_move(rq, t);
        runq_add(rq, t);
        spin_unlock(&rq->lock);
        return 0;
    }
    if (t == rq->current)
        runq_resched(rq); /* it moves when it leaves the CPU */
    spin_unlock(&rq->lock);
    return 0;
}

uint64_t sched_quantum_ns(const struct thread *t)
{
    return t->policy == SCHED_FIFO || t->policy == SCHED_DEADLINE ? 0 : (uint64_t)sched_slice_ns(t);
}

uint64_t sched_cpu_ns(struct thread *t)
{
    struct runq *rq = runq_lock_of(t);
    uint64_t ns = t->run_ns;
    if (t == rq->current) {
        uint64_t now = plat_time_ns();
        ns += now > t->started_ns ? now - t->started_ns : 0;
    }
    spin_unlock(&rq->lock);
    return ns;
}

/* The averages are brought up to date by whoever asks: runnable threads are assumed to have been what they are now since
 * the last time. Fixed point, 1/65536; the decay for dt seconds is exp(-dt / 60m), stepped in 5 s as Linux does. */
static uint64_t load_avg[3];  /* guarded by load_lock */
static uint64_t load_time_ns; /* guarded by load_lock */
static struct spin load_lock = SPIN_INIT(RANK_TIMER);

static void load_step(unsigned active, uint64_t steps)
{
    static const uint32_t decay[3] = { 60295, 64454, 65173 }; /* 65536 * exp(-5 / (60, 300, 900)) */
    for (; steps; steps--)
        for (int i = 0; i < 3; i++)
            load_avg[i] =
                (load_avg[i] * decay[i] + (uint64_t)active * 65536 * (65536 - decay[i])) >> 16;
}

void sched_load(uint64_t avg[3], unsigned *ret_runnable, unsigned *ret_total)
{
    unsigned active = 0;
    for (unsigned i = 0; i < plat_cpu_count(); i++) {
        struct runq *rq = runq_of(i);
        if (rq)
            active += rq->queued + (rq->current != rq->idle);
    }
    spin_lock(&load_lock);
    uint64_t steps = (plat_time_ns() - load_time_ns) / (5 * NS_PER_SEC);
    load_time_ns += steps * 5 * NS_PER_SEC;
    load_step(active, steps < 2000 ? steps : 2000); /* older ones have decayed away */
    for (int i = 0; i < 3; i++)
        avg[i] = load_avg[i];
    spin_unlock(&load_lock);
    *ret_runnable = active;
    *ret_total = thread_count();
}
