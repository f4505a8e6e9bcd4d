/* SPDX-License-Identifier: MIT */
/* SCHED_DEADLINE, sched(7): earliest deadline first over all CPUs, each thread a constant bandwidth server. A thread has
 * runtime for each period, kept in slice_ns; when that is used up it rests until the next period begins, when a timer puts
 * it back with a later deadline. Who wakes with more runtime left than its share until its deadline begins a new period,
 * so that nobody gets more than what the admission test has set apart for it.
 *
 * Invariant: a thread of the policy that is runnable runs, is queued (in order of deadline_ns), or rests with its timer
 * armed. A CPU whose thread is less urgent than one that waits elsewhere is kicked and takes that one. Threads of other
 * policies meet none of this: what is here is called for those of RUN_DEADLINE only.
 * Lock: the run queue's that the thread belongs to. The list is walked under it: only CAP_SYS_NICE adds to it. */
#include "runq.h"
#include <abi/sched.h>
#include <libos/heap.h>
#include <libos/process.h>
#include <libos/signal.h>
#include <plat/time.h>

/* Shares of a CPU in 1/2^20. As Linux, 95 % of the CPUs are given away. */
enum {
    SHARE_BITS = 20,
    SHARE_ONE = 1 << SHARE_BITS,
    SHARE_MAX = (int)(950000ll * SHARE_ONE / 1000000)
};

struct deadline {
    struct thread *thread;
    struct timer timer;         /* ends a rest */
    struct sched_deadline want; /* what sched_getattr tells */
    uint64_t share;             /* runtime / period; what is set apart. 0: has quit */
    uint64_t until_ns;          /* the absolute deadline */
    uint64_t resume_ns;         /* while it rests: until then */
    bool ready;                 /* queued or resting: it does not come from a sleep */
    bool resting, yielded;
    bool overran; /* its runtime was used up, and SCHED_FLAG_DL_OVERRUN is to tell */
};

_Atomic uint32_t deadline_waiting;
static _Atomic uint64_t shares; /* that are set apart */

static struct thread *thread_of(struct run_node *n)
{
    return CONTAINER_OF(n, struct thread, run);
}

static uint64_t share_of(const struct sched_deadline *want)
{
    return (want->runtime_ns << SHARE_BITS) / want->period_ns;
}

bool deadline_admit(struct thread *t, const struct sched_deadline *want)
{
    uint64_t old = t->dl->share, new = share_of(want), now = shares, next;
    do {
        next = now - old + new;
        if (new != old && next > (uint64_t)SHARE_MAX *plat_cpu_count())
            return false;
    } while (!atomic_compare_exchange_weak(&shares, &now, next));
    t->dl->share = new;
    return true;
}

void deadline_quit(struct thread *t)
{
    atomic_fetch_sub(&shares, t->dl->share);
    t->dl->share = 0;
}

/* How fast runtime is used up, in 1/2^20 of real time: by SCHED_FLAG_RECLAIM (GRUB) what nobody has set apart goes to
 * who runs. Threads that sleep count as if they ran. */
static uint64_t pace(const struct deadline *d)
{
    if (!(d->want.flags & SCHED_FLAG_RECLAIM))
        return SHARE_ONE;
    uint64_t taken = shares / plat_cpu_count() + SHARE_ONE - SHARE_MAX,
             own = d->share * SHARE_ONE / SHARE_MAX;
    taken = taken > own ? taken : own;
    return taken < SHARE_ONE ? taken + !taken : SHARE_ONE;
}

/* The time that a period's runtime lasts. Runtimes are shorter than periods, which are at most 2^32 ns. */
static int64_t full_slice(const struct deadline *d)
{
    return (int64_t)((d->want.runtime_ns << SHARE_BITS) / pace(d));
}

static bool boosted(const struct thread *t)
{
    return t->boost == RT_DEADLINE;
}

static uint64_t next_period(const struct deadline *d)
{
    return d->until_ns - d->want.deadline_ns + d->want.period_ns;
}

static void new_period(struct thread *t, struct deadline *d, uint64_t now)
{
    d->until_ns = now + d->want.deadline_ns;
    t->slice_ns = full_slice(d);
}

/* The next period has come: what was used too much is paid from it, and from later ones. */
static void refill(struct thread *t, struct deadline *d, uint64_t now)
{
    int64_t full = full_slice(d), left = d->yielded && t->slice_ns > 0 ? 0 : t->slice_ns;
    if (left <= 0) {
        int64_t periods = -left / full + 1;
        d->until_ns += (uint64_t)periods * d->want.period_ns;
        left += periods * full;
    }
    t->slice_ns = left;
    if (d->until_ns <= now)
        new_period(t, d, now);
    d->yielded = false;
}

/* From a sleep: may it go on with what it had? Its runtime in what is left until its deadline would be more than its
 * share of the CPU, if it slept for long. */
static void wake(struct thread *t, struct deadline *d, uint64_t now)
{
    bool constrained = d->want.deadline_ns < d->want.period_ns;
    if (d->until_ns <= now) {
        if (constrained && now < next_period(d))
            t->slice_ns = t->slice_ns < 0 ? t->slice_ns : 0; /* has to wait for it */
        else
            new_period(t, d, now);
        return;
    }
    if (t->slice_ns <= 0)
        return;
    uint64_t left = d->until_ns - now, full = (uint64_t)full_slice(d);
    if (((uint64_t)t->slice_ns >> 10) * (d->want.deadline_ns >> 10) <= (left >> 10) * (full >> 10))
        return;
    if (constrained) /* the share of what is left, in the deadline that it has */
        t->slice_ns = (int64_t)(left * ((full << SHARE_BITS) / d->want.deadline_ns) >> SHARE_BITS);
    else
        new_period(t, d, now);
}

/* True: t may be queued. False: it rests. */
static bool may_run(struct runq *rq, struct thread *t, struct deadline *d)
{
    uint64_t now = plat_time_ns();
    if (!d->ready && t != rq->current)
        wake(t, d, now);
    d->ready = true;
    if (t->slice_ns > 0 && !d->yielded)
        return true;
    d->overran = t->slice_ns <= 0 && d->want.flags & SCHED_FLAG_DL_OVERRUN;
    uint64_t next = next_period(d);
    if (boosted(t) || (next <= now && !d->overran)) {
        refill(t, d, now);
        return true;
    }
    d->resting = true;
    d->resume_ns = next;
    timer_start(&d->timer, next);
    return false;
}

/* The CPU whose thread is the least urgent, if it is less so than t: it takes t, unless a more urgent one waits too. */
static void push(const struct runq *rq, const struct thread *t)
{
    unsigned to = rq->cpu;
    uint64_t last = t->deadline_ns;
    for (unsigned i = 0; i < plat_cpu_count(); i++) {
        struct runq *r = runq_of(i);
        if (r && r != rq && r->deadline_ns > last) {
            to = i;
            last = r->deadline_ns;
        }
    }
    if (to != rq->cpu && to != plat_cpu_id())
        plat_cpu_kick(to);
}

struct run_node *deadline_place(struct runq *rq, struct thread *t)
{
    struct run_node *list = &rq->lists[RUN_DEADLINE], *before = list;
    t->deadline_ns = t->lent_ns;
    if (t->policy == SCHED_DEADLINE) {
        if (!may_run(rq, t, t->dl))
            return NULL;
        if (!boosted(t) || t->dl->until_ns < t->lent_ns)
            t->deadline_ns = t->dl->until_ns;
    }
    while (before->prev != list && thread_of(before->prev)->deadline_ns > t->deadline_ns)
        before = before->prev;
    deadline_waiting++;
    const struct thread *cur = rq->current;
    bool first = before->prev == list,
         better = cur->run_class != RUN_DEADLINE || t->deadline_ns < cur->deadline_ns;
    if (t == cur)
        return before; /* deadline_left offers it, when it can be taken */
    if (!first || !better)
        push(rq, t);
    else if (cur->run_class == RUN_DEADLINE)
        runq_resched(rq);
    return before;
}

void deadline_runs(struct runq *rq, struct thread *t)
{
    rq->deadline_ns = t->deadline_ns;
    if (rq->leaving == LEAVES_NOTHING)
        rq->leaving = LEAVES_DEADLINE;
    if (t->policy != SCHED_DEADLINE)
        return;
    t->dl->ready = false;
    rq->tick_armed = true;
    timer_tick_at(plat_time_ns() + (uint64_t)t->slice_ns);
}

void deadline_left(struct runq *rq)
{
    bool other = rq->current->run_class != RUN_DEADLINE;
    if (other)
        rq->deadline_ns = UINT64_MAX;
    if (LIKELY(!deadline_waiting) || plat_cpu_count() == 1)
        return;
    if (other) {
        deadline_pull(rq);
        return;
    }
    const struct run_node *list = &rq->lists[RUN_DEADLINE];
    spin_lock(&rq->lock);
    if (list->next != list)
        push(rq, thread_of(list->next));
    spin_unlock(&rq->lock);
}

void deadline_yield(struct thread *t)
{
    t->dl->yielded = true;
}

/* The first of from's list that cpu may take and has a deadline before than. The lock is held. */
static struct thread *first_before(const struct runq *from, uint64_t than, unsigned cpu)
{
    const struct run_node *list = &from->lists[RUN_DEADLINE];
    for (struct run_node *n = list->next; n != list; n = n->next) {
        struct thread *t = thread_of(n);
        if (t->deadline_ns >= than)
            return NULL;
        if (!__atomic_load_n(&t->on_cpu, __ATOMIC_ACQUIRE) && t->affinity >> cpu & 1)
            return t;
    }
    return NULL;
}

void deadline_pull(struct runq *rq)
{
    unsigned cpu = rq->cpu;
    uint64_t than = rq->deadline_ns;
    for (unsigned i = 0; i < plat_cpu_count(); i++) {
        struct runq *from = runq_of(i);
        if (!from || from == rq)
            continue;
        spin_lock(&from->lock);
        struct thread *t = first_before(from, than, rq->cpu);
        if (t) {
            cpu = i;
            than = t->deadline_ns;
        }
        spin_unlock(&from->lock);
    }
    if (cpu == rq->cpu)
        return;
    struct runq *from = runq_of(cpu);
    spin_lock(&from->lock);
    struct thread *t = first_before(from, rq->deadline_ns, rq->cpu);
    if (t) {
        runq_remove(from, t);
        thread_set_cpu(t, rq->cpu);
    }
    spin_unlock(&from->lock);
    if (!t)
        return;
    spin_lock(&rq->lock);
    runq_add(rq, t);
    spin_unlock(&rq->lock);
}

bool deadline_interrupt(struct thread *t)
{
    bool rested = t->dl->resting;
    t->dl->resting = false; /* the timer will find nothing to do */
    return rested;
}

/* The end of a rest. */
static void resume(struct timer *timer)
{
    struct deadline *d = CONTAINER_OF(timer, struct deadline, timer);
    struct thread *t = d->thread;
    struct runq *rq = runq_lock_of(t);
    if (!d->resting) {
        spin_unlock(&rq->lock);
        return;
    }
    thread_get(t); /* it exists as long as it rests */
    bool tell = d->overran;
    d->overran = false;
    spin_unlock(&rq->lock);
    if (tell)
        signal_kernel(t->process, SIGXCPU);
    rq = runq_lock_of(t);
    uint64_t now = plat_time_ns();
    if (d->resting && d->resume_ns <= now) {
        d->resting = false;
        refill(t, d, now);
        runq_restart(rq, t);
    } else {
        if (d->resting)
            timer_start(timer, d->resume_ns);
        spin_unlock(&rq->lock);
    }
    thread_put(t);
}

struct deadline *deadline_alloc(struct thread *t)
{
    struct deadline *d = heap_zalloc(sizeof(*d));
    if (!d)
        return NULL;
    timer_init(&d->timer, resume);
    d->thread = t;
    return d;
}

void deadline_begin(struct thread *t, const struct sched_deadline *want, bool ready)
{
    struct deadline *d = t->dl;
    bool goes_on = t->policy == SCHED_DEADLINE;
    d->want = *want;
    d->ready = ready;
    d->yielded = d->overran = false;
    if (!goes_on)
        new_period(t, d, plat_time_ns());
    else if (t->slice_ns > full_slice(d))
        t->slice_ns = full_slice(d);
}

void deadline_told(const struct thread *t, struct sched_deadline *ret_want)
{
    *ret_want = t->dl->want;
}

void sched_free_deadline(struct thread *t)
{
    timer_stop(&t->dl->timer);
    deadline_quit(t); /* a thread that had ended can be given some */
    heap_free(t->dl);
}
