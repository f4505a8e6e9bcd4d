/* SPDX-License-Identifier: MIT */
/* One-shot timers: a tree by deadline for each CPU, and the CPU's hardware timer set for the earliest. Setting is lazy:
 * removing a timer leaves the hardware as it is, and one interrupt that finds nothing to do is the price.
 * Lock: the CPU's timer lock; callbacks run without it. */
#include <libos/sched.h>
#include <libos/timer.h>
#include <plat/cpu.h>
#include <plat/time.h>
#include <plat/upcall.h>

RB_HEAD(timer_tree, timer);

struct timer_cpu {
    struct spin lock;
    struct timer_tree tree;        /* guarded by lock */
    struct timer *_Atomic running; /* whose callback runs now; written by this CPU */
    uint64_t set_ns;  /* what the hardware will do; this CPU only. 0: not initialised */
    uint64_t tick_ns; /* when sched_tick is due; this CPU only */
};

static struct timer_cpu cpus[PLAT_CPU_MAX] = {
    [0 ... PLAT_CPU_MAX -
     1] = { .lock = SPIN_INIT(RANK_TIMER), .set_ns = UINT64_MAX, .tick_ns = UINT64_MAX }
};

static int timer_compare(const struct timer *a, const struct timer *b)
{
    if (a->deadline_ns != b->deadline_ns)
        return a->deadline_ns < b->deadline_ns ? -1 : 1;
    return a < b ? -1 : a > b;
}

RB_GENERATE_STATIC(timer_tree, timer, node, timer_compare)

/* Have the hardware fire no later than deadline. */
static void set_hardware(struct timer_cpu *c, uint64_t deadline)
{
    if (deadline < c->set_ns) {
        c->set_ns = deadline;
        plat_timer_set(deadline);
    }
}

void timer_init(struct timer *t, void (*fn)(struct timer *t))
{
    *t = (struct timer){ .fn = fn };
}

static struct timer_cpu *lock_cpu_of(struct timer *t)
{
    for (;;) {
        uint32_t cpu = __atomic_load_n(&t->cpu, __ATOMIC_RELAXED);
        spin_lock(&cpus[cpu].lock);
        if (LIKELY(t->cpu == cpu))
            return &cpus[cpu];
        spin_unlock(&cpus[cpu].lock);
    }
}

/* Take t, which is about to be armed, out of its tree and to this CPU. The CPU whose lock is held on return: this one, or the one
 * where t's callback runs, which looks at its tree again afterwards: there timer_stop knows what to wait for. */
static struct timer_cpu *bring_here(struct timer *t)
{
    struct timer_cpu *here = &cpus[plat_cpu_id()];
    for (;;) {
        struct timer_cpu *c = lock_cpu_of(t);
        if (t->armed)
            RB_REMOVE(timer_tree, &c->tree, t);
        t->armed = false;
        if (LIKELY(c == here) || UNLIKELY(c->running == t))
            return c;
        __atomic_store_n(&t->cpu, plat_cpu_id(), __ATOMIC_RELAXED);
        spin_unlock(
            &c->lock); /* somebody else may start it before this CPU's lock is held: look again */
    }
}

void timer_start(struct timer *t, uint64_t deadline_ns)
{
    struct timer_cpu *c = bring_here(t);
    t->deadline_ns = deadline_ns;
    t->armed = true;
    RB_INSERT(timer_tree, &c->tree, t);
    spin_unlock(&c->lock);
    if (LIKELY(c == &cpus[plat_cpu_id()]))
        set_hardware(c, deadline_ns);
}

bool timer_stop(struct timer *t)
{
    bool armed = false;
    for (;;) {
        struct timer_cpu *c = lock_cpu_of(t);
        if (t->armed) {
            RB_REMOVE(timer_tree, &c->tree, t);
            t->armed = false;
            armed = true;
        }
        spin_unlock(&c->lock);
        if (c == &cpus[plat_cpu_id()] || LIKELY(c->running != t))
            return armed;
        while (c->running == t)
            plat_relax();
        /* Its callback has run, and may have armed it again: look once more. */
    }
}

void timer_tick_at(uint64_t deadline_ns)
{
    struct timer_cpu *c = &cpus[plat_cpu_id()];
    if (c->tick_ns <= deadline_ns)
        return;
    c->tick_ns = deadline_ns;
    set_hardware(c, deadline_ns);
}

/* Run what is due; the earliest deadline left. */
static uint64_t run_due(struct timer_cpu *c, uint64_t now)
{
    struct timer *t;
    spin_lock(&c->lock);
    while ((t = RB_MIN(timer_tree, &c->tree)) && t->deadline_ns <= now) {
        RB_REMOVE(timer_tree, &c->tree, t);
        t->armed = false;
        c->running = t;
        spin_unlock(&c->lock);
        t->fn(t);
        c->running = NULL;
        spin_lock(&c->lock);
    }
    uint64_t first = t ? t->deadline_ns : UINT64_MAX;
    spin_unlock(&c->lock);
    return first;
}

void upcall_timer(bool in_program)
{
    struct timer_cpu *c = &cpus[plat_cpu_id()];
    uint64_t now = plat_time_ns();
    c->set_ns = UINT64_MAX; /* it has fired */
    uint64_t first = run_due(c, now);
    if (c->tick_ns <= now) {
        c->tick_ns = UINT64_MAX;
        sched_tick(now, in_program);
    }
    set_hardware(c, first);
    if (c->tick_ns != UINT64_MAX)
        set_hardware(c, c->tick_ns);
}
