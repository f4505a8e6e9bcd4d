/* SPDX-License-Identifier: MIT */
/* The scheduler: one run queue for each CPU, lists only, so that a wake and a switch cost the same however many threads
 * there are. Real-time threads have a list for each priority and a bit map over them; the fair class is a round robin
 * whose slices are weighted by nice; SCHED_IDLE runs when nothing else does. SCHED_DEADLINE is one more list of the
 * real-time ones, kept in order: deadline.c.
 *
 * There is no periodic tick, and none at all while a CPU idles. While others wait, one comes at the end of the slice
 * (timer_tick_at), and it may be late by one slice, because an armed one is never put off: two threads that wake each other
 * arm it once in a slice. While a thread runs, one comes now and then to see what it does (sample.c).
 *
 * A thread that was switched from keeps on_cpu until its registers are saved (finish_switch). Until then it may be
 * queued on its own CPU only; other CPUs do not take it. Lock: runq->lock, one at a time. */
#include "runq.h"
#include <abi/sched.h>
#include <base/log.h>
#include <libos/heap.h>
#include <libos/mm.h>
#include <libos/page.h>
#include <plat/time.h>
#include <string.h>

enum { FAIR_SLICE_NS = 4000000, RR_SLICE_NS = 100000000, LATE_NS = 1000000 };

static struct runq first_runq;
struct runq *runq_table[PLAT_CPU_MAX];
static _Atomic uint64_t idle_cpus; /* bit per CPU that waits in plat_idle */

struct runq *runq_of(unsigned cpu)
{
    return cpu < PLAT_CPU_MAX ? runq_table[cpu] : NULL;
}

/* Of any other than SCHED_OTHER at nice 0. */
static NOINLINE int64_t uncommon_slice_ns(const struct thread *t)
{
    /* Linux's weights: 1024 at nice 0, a factor of 1.25 for each step. */
    static const uint16_t weight[40] = {
        65535, 65535, 56483, 46273, 36291, 29154, 23254, 18705, 14949, 11916,
        9548,  7620,  6100,  4904,  3906,  3121,  2501,  1991,  1586,  1277,
        1024,  820,   655,   526,   423,   335,   272,   215,   172,   137,
        110,   87,    70,    56,    45,    36,    29,    23,    18,    15,
    };
    if (t->policy == SCHED_RR || t->policy == SCHED_FIFO)
        return RR_SLICE_NS;
    if (t->policy == SCHED_DEADLINE)
        return t->slice_ns; /* deadline_place sees to it */
    int64_t ns = (int64_t)FAIR_SLICE_NS * weight[t->nice + 20] / 1024;
    return ns < 200000 ? 200000 : ns > 40000000 ? 40000000 : ns;
}

int64_t sched_slice_ns(const struct thread *t)
{
    return LIKELY(t->policy == SCHED_OTHER && !t->nice) ? FAIR_SLICE_NS : uncommon_slice_ns(t);
}

static struct thread *thread_of(struct run_node *n)
{
    return CONTAINER_OF(n, struct thread, run);
}

static ALWAYS_INLINE void link_before(struct runq *rq, struct thread *t, struct run_node *before)
{
    struct run_node *n = &t->run;
    n->next = before;
    n->prev = before->prev;
    before->prev->next = n;
    before->prev = n;
    t->queued = true;
    rq->queued++;
}

static NOINLINE void enqueue_rt(struct runq *rq, struct thread *t, bool head)
{
    struct run_node *list = &rq->lists[t->run_class], *before = head ? list->next : list;
    if (t->run_class == RUN_DEADLINE)
        before = deadline_place(rq, t);
    if (!before)
        return;
    rq->rt_bits[t->run_class / 64] |= 1ull << t->run_class % 64;
    link_before(rq, t, before);
}

static ALWAYS_INLINE void enqueue(struct runq *rq, struct thread *t, bool head)
{
    struct run_node *list = &rq->lists[t->run_class];
    if (UNLIKELY(t->run_class > RUN_RT))
        enqueue_rt(rq, t, head);
    else
        link_before(rq, t, head ? list->next : list);
}

static ALWAYS_INLINE void unlink_from(struct runq *rq, struct thread *t)
{
    struct run_node *n = &t->run;
    n->prev->next = n->next;
    n->next->prev = n->prev;
    t->queued = false;
    rq->queued--;
}

void runq_remove(struct runq *rq, struct thread *t)
{
    unsigned class = t->run_class;
    unlink_from(rq, t);
    if (class > RUN_RT && rq->lists[class].next == &rq->lists[class])
        rq->rt_bits[class / 64] &= ~(1ull << class % 64);
    if (class == RUN_DEADLINE)
        deadline_waiting--;
}

static unsigned top_rt(const struct runq *rq)
{
    return rq->rt_bits[1] ? 127u - (unsigned)__builtin_clzll(rq->rt_bits[1])
                          : 63u - (unsigned)__builtin_clzll(rq->rt_bits[0]);
}

static NOINLINE struct thread *pick_rt(struct runq *rq)
{
    struct thread *t = thread_of(rq->lists[top_rt(rq)].next);
    runq_remove(rq, t);
    if (t->run_class == RUN_DEADLINE)
        deadline_runs(rq, t);
    return t;
}

/* The next thread to run, taken out of its list; the idle thread when there is none. */
static ALWAYS_INLINE struct thread *pick(struct runq *rq)
{
    if (UNLIKELY(rq->rt_bits[0] | rq->rt_bits[1]))
        return pick_rt(rq);
    struct run_node *list = &rq->lists[RUN_FAIR];
    if (UNLIKELY(list->next == list))
        list = &rq->lists[RUN_BACKGROUND];
    if (list->next == list)
        return rq->idle;
    struct thread *t = thread_of(list->next);
    unlink_from(rq, t);
    return t;
}

void runq_resched(struct runq *rq)
{
    thread_set_work(rq->current, WORK_RESCHED);
    if (rq->cpu != plat_cpu_id())
        plat_cpu_kick(rq->cpu);
}

/* Should t, just queued, run at once instead of the current thread? */
static inline bool preempts(const struct runq *rq, const struct thread *t)
{
    const struct thread *cur = rq->current;
    return cur == rq->idle || t->run_class > cur->run_class;
}

/* Others wait while current runs: make sure that a tick comes. */
static NOINLINE void arm_tick(struct runq *rq)
{
    if (rq->current == rq->idle)
        return;
    if (rq->cpu != plat_cpu_id()) {
        plat_cpu_kick(rq->cpu); /* upcall_kick arms it there */
        return;
    }
    rq->tick_armed = true;
    uint64_t now = plat_time_ns();
    int64_t left = rq->current->slice_ns - (int64_t)(now - rq->current->started_ns);
    timer_tick_at(now + (left > LATE_NS ? (uint64_t)left : LATE_NS));
}

static inline void want_tick(struct runq *rq)
{
    if (UNLIKELY(!rq->tick_armed))
        arm_tick(rq);
}

static ALWAYS_INLINE void add(struct runq *rq, struct thread *t)
{
    if (t->slice_ns <= 0)
        t->slice_ns = sched_slice_ns(t);
    enqueue(rq, t, false);
    if (preempts(rq, t))
        runq_resched(rq);
    else
        want_tick(rq);
}

void runq_add(struct runq *rq, struct thread *t)
{
    add(rq, t);
}

/* Another CPU that idles and may run t, or one that may when rq's may not. The lock of rq is held; the lock of the result
 * is on return. */
static NOINLINE struct runq *place_elsewhere(struct runq *rq, struct thread *t, uint64_t idle)
{
    for (;; idle = 0) {
        unsigned cpu = (unsigned)__builtin_ctzll(idle ? idle : t->affinity);
        struct runq *to = runq_table[cpu];
        if (!to || to == rq)
            return rq;
        /* Taken: the next waker finds another idle CPU. */
        atomic_fetch_and_explicit(&idle_cpus, ~(1ull << cpu), memory_order_relaxed);
        /* From here on who changes t wants the new queue's lock, and may change where it can run. */
        thread_set_cpu(t, cpu);
        spin_unlock(&rq->lock);
        spin_lock(&to->lock);
        if (LIKELY(t->affinity >> cpu & 1))
            return to;
        rq = to;
    }
}

struct runq *runq_move(struct runq *rq, struct thread *t)
{
    return place_elsewhere(rq, t, 0);
}

/* The queue for t, which belongs to rq: rq unless another CPU has nothing to do. Locks as place_elsewhere. */
static ALWAYS_INLINE struct runq *place(struct runq *rq, struct thread *t)
{
    uint64_t idle = atomic_load_explicit(&idle_cpus, memory_order_relaxed) & t->affinity,
             self = 1ull << rq->cpu;
    if (LIKELY((!idle || idle & self || rq->current == rq->idle) && t->affinity & self))
        return rq;
    return __atomic_load_n(&t->on_cpu, __ATOMIC_ACQUIRE) ? rq : place_elsewhere(rq, t, idle);
}

static ALWAYS_INLINE bool wake_state(struct thread *t, unsigned states)
{
    /* Sequentially consistent: the caller's condition is seen before the state; pairs with thread_prepare_sleep. */
    atomic_thread_fence(memory_order_seq_cst);
    if (!(states >> atomic_load_explicit(&t->state, memory_order_relaxed) & 1))
        return false;
    struct runq *rq = runq_lock_of(t);
    if (UNLIKELY(!(states >> atomic_load_explicit(&t->state, memory_order_relaxed) & 1))) {
        spin_unlock(&rq->lock);
        return false;
    }
    atomic_store_explicit(&t->state, THREAD_RUNNING, memory_order_relaxed);
    if (t != rq->current) { /* else it has not left the CPU yet, and will not */
        rq = place(rq, t);
        add(rq, t);
    }
    spin_unlock(&rq->lock);
    return true;
}

bool thread_wake_state(struct thread *t, unsigned states)
{
    return wake_state(t, states);
}

bool thread_wake(struct thread *t)
{
    return wake_state(t, 1u << THREAD_SLEEPING | 1u << THREAD_KILLABLE | 1u << THREAD_BLOCKED);
}

void runq_restart(struct runq *rq, struct thread *t)
{
    rq = place(rq, t);
    runq_add(rq, t);
    spin_unlock(&rq->lock);
}

void sched_start(struct thread *t)
{
    runq_restart(runq_lock_of(t), t);
}

/* Charge the running stretch that ends now; the caller begins another one. */
static void charge(struct thread *t, uint64_t now)
{
    uint64_t ran = now - t->started_ns;
    t->slice_ns -= (int64_t)ran;
    atomic_store_explicit(&t->run_ns, t->run_ns + ran, memory_order_relaxed);
}

static void activate(struct runq *rq, struct mm *mm)
{
    rq->active = mm;
    plat_aspace_activate(mm ? &mm->aspace : NULL);
}

/* t has left this CPU for a reason that wants something done. */
static COLD void left(struct runq *rq, struct thread *t)
{
    unsigned why = rq->leaving;
    rq->leaving = LEAVES_NOTHING;
    if (rq->current->run_class == RUN_DEADLINE)
        rq->leaving = LEAVES_DEADLINE;
    if (why == LEAVES_DEADLINE || t->dl)
        deadline_left(rq);
    if (why == LEAVES_DEAD) {
        if (t->dl)
            deadline_quit(t);
        thread_ended(t);
    }
    if (why != LEAVES_CPU)
        return;
    spin_lock(&rq->lock);
    rq = place_elsewhere(rq, t, 0);
    runq_add(rq, t);
    spin_unlock(&rq->lock);
}

/* On the stack of the thread switched to: the one switched from is saved now. */
static ALWAYS_INLINE void finish_switch(struct runq *rq)
{
    struct thread *prev = rq->prev;
    /* Release: its registers are in memory before another CPU takes it. */
    __atomic_store_n(&prev->on_cpu, false, __ATOMIC_RELEASE);
    if (UNLIKELY(rq->leaving))
        left(rq, prev);
}

void sched_finish_switch(void)
{
    finish_switch(runq_this());
}

/* Requeue prev if it stays runnable. */
static ALWAYS_INLINE void leave(struct runq *rq, struct thread *prev)
{
    unsigned state = atomic_load_explicit(&prev->state, memory_order_relaxed);
    if (state != THREAD_RUNNING) {
        prev->switches_voluntary++;
        if (UNLIKELY(state == THREAD_DEAD))
            rq->leaving = LEAVES_DEAD;
        prev->woke_run_ns = prev->run_ns; /* what RLIMIT_RTTIME counts from */
        return;
    }
    if (UNLIKELY(prev == rq->idle))
        return;
    prev->switches_forced++;
    bool head = rq->head_next;
    if (UNLIKELY(prev->slice_ns <= 0)) {
        prev->slice_ns = sched_slice_ns(prev);
        head = head && prev->policy == SCHED_FIFO;
    }
    if (UNLIKELY(!(prev->affinity >> rq->cpu & 1)))
        rq->leaving = LEAVES_CPU; /* queued elsewhere once its registers are saved */
    else
        enqueue(rq, prev, head);
}

/* prev was to be looked at, or nobody is yet. */
static NOINLINE void sample_at_switch(struct runq *rq, struct thread *prev, uint64_t now)
{
    if (rq->sample_ns && prev != rq->idle)
        runq_sample(rq, prev, false);
    if (rq->current != rq->idle)
        runq_sample_later(rq, now);
    else
        rq->sample_ns = 0;
}

/* From prev, which is charged, to next, which is in no list. wait: threads are in the lists. The lock of rq is held on entry, not on return. */
static ALWAYS_INLINE void switch_to(struct runq *rq, struct thread *prev, struct thread *next,
                                    bool wait, uint64_t now)
{
    rq->switches++;
    rq->current = next;
    next->started_ns = now;
    /* A full barrier: who sets work for next and does not see on_cpu has set it before next looks (signal.c, poke). */
    (void)__atomic_exchange_n(&next->on_cpu, true, __ATOMIC_SEQ_CST);
    rq->prev = prev;
    if (wait)
        want_tick(rq);
    if (UNLIKELY(now >= rq->sample_ns))
        sample_at_switch(rq, prev, now);
    if (next->mm != rq->active)
        activate(rq, next->mm);
    spin_unlock(&rq->lock);
    plat_thread_switch(&prev->plat, &next->plat);
    finish_switch(runq_this()); /* of the CPU that this thread is on now */
}

void sched_switch(void)
{
    struct runq *rq = runq_this();
    struct thread *prev = rq->current;
    uint64_t now = plat_time_ns();

    spin_lock(&rq->lock);
    charge(prev, now);
    leave(rq, prev);
    rq->head_next = false;
    struct thread *next = pick(rq);
    if (UNLIKELY(next == prev)) {
        prev->started_ns = now;
        spin_unlock(&rq->lock);
        return;
    }
    _Atomic uint32_t *held = atomic_load_explicit(&rq->hold.count, memory_order_relaxed);
    if (UNLIKELY(held))
        hold_keep(&rq->hold, held);
    switch_to(rq, prev, next, rq->queued != 0, now);
}

void sched_set_mm(struct mm *mm)
{
    activate(runq_this(), mm);
}

/* prev, which runs, goes to the tail of the fair list, from which its first node is taken. */
static ALWAYS_INLINE struct thread *rotate(struct run_node *list, struct run_node *node,
                                           struct thread *prev)
{
    struct run_node *second = node->next, *n = &prev->run;
    second->prev = list;
    list->next = second;
    n->next = list;
    n->prev = list->prev; /* after the above: second may be the list */
    list->prev->next = n;
    list->prev = n;
    thread_of(node)->queued = false;
    prev->queued = true;
    return thread_of(node);
}

long sched_yield_cpu(void)
{
    struct runq *rq = runq_this();
    struct thread *t = rq->current;
    struct run_node *fair = &rq->lists[RUN_FAIR];
    thread_clear_work(t, WORK_RESCHED);
    if (fair->next == fair && !rq->queued && LIKELY(t->run_class != RUN_DEADLINE))
        return 0; /* a look without the lock */
    uint64_t now = plat_time_ns();
    spin_lock(&rq->lock);
    struct run_node *first = fair->next;
    if (UNLIKELY(rq->rt_bits[0] | rq->rt_bits[1]) || t->run_class != RUN_FAIR || first == fair ||
        UNLIKELY(!(t->affinity >> rq->cpu & 1))) {
        if (t->policy == SCHED_DEADLINE)
            deadline_yield(t);
        spin_unlock(&rq->lock);
        sched_switch(); /* to the tail, with what is left of the slice */
        return 0;
    }
    /* The same of two that take turns, which is what yielding is for. */
    charge(t, now);
    if (UNLIKELY(t->slice_ns <= 0))
        t->slice_ns = sched_slice_ns(t);
    t->switches_forced++;
    switch_to(rq, t, rotate(fair, first, t), true, now);
    return 0;
}

/* Another thread is due: leave the CPU but keep the place, unless the slice is used up. */
void sched_preempt(void)
{
    struct runq *rq = runq_this();
    thread_clear_work(rq->current, WORK_RESCHED);
    rq->head_next = true;
    sched_switch();
}

void sched_tick(uint64_t now, bool in_program)
{
    struct runq *rq = runq_this();
    struct thread *t = rq->current;
    rq->tick_armed = false;
    if (t == rq->idle) {
        rq->sample_ns = 0;
        return;
    }
    if (rq->sample_ns <= now) {
        runq_sample(rq, t, in_program);
        runq_sample_later(rq, now);
    } else {
        timer_tick_at(rq->sample_ns);
    }
    if (!rq->queued && t->run_class != RUN_DEADLINE)
        return;
    spin_lock(&rq->lock);
    uint64_t idle = atomic_load_explicit(&idle_cpus, memory_order_relaxed);
    charge(t, now);
    t->started_ns = now;
    bool due = t->slice_ns <= 0 && (t->policy != SCHED_FIFO || t->boost);
    if (due)
        thread_set_work(t, WORK_RESCHED);
    rq->tick_armed = !due;
    int64_t least = t->policy == SCHED_DEADLINE ? 0 : LATE_NS;
    if (!due)
        timer_tick_at(now + (uint64_t)(t->slice_ns > least ? t->slice_ns : least));
    spin_unlock(&rq->lock);
    if (idle)
        plat_cpu_kick((unsigned)__builtin_ctzll(idle)); /* it will look for work */
}

bool thread_preempt_point(void)
{
    struct thread *t = thread_current();
    plat_irq_window();
    if (t->plat.work & WORK_RESCHED)
        sched_preempt();
    return t->plat.work & WORK_KILLED;
}

/* The best thread that may run on cpu and is not just leaving its own. */
static struct thread *best_movable(struct runq *from, unsigned cpu)
{
    unsigned class = from->rt_bits[0] | from->rt_bits[1] ? top_rt(from) : RUN_FAIR;
    for (; class < RUN_CLASSES; class --) { /* to 0 */
        struct run_node *list = &from->lists[class];
        for (struct run_node *n = list->next; n != list; n = n->next) {
            struct thread *t = thread_of(n);
            if (!__atomic_load_n(&t->on_cpu, __ATOMIC_ACQUIRE) && t->affinity >> cpu & 1)
                return t;
        }
    }
    return NULL;
}

/* Take a waiting thread from another CPU. */
static bool steal(struct runq *rq)
{
    for (unsigned i = 0; i < plat_cpu_count(); i++) {
        struct runq *from = runq_table[i];
        if (!from || from == rq || !from->queued || !spin_trylock(&from->lock))
            continue;
        struct thread *t = best_movable(from, rq->cpu);
        if (t) {
            runq_remove(from, t);
            thread_set_cpu(t, rq->cpu);
        }
        spin_unlock(&from->lock);
        if (!t)
            continue;
        spin_lock(&rq->lock);
        enqueue(rq, t, false);
        spin_unlock(&rq->lock);
        return true;
    }
    return false;
}

void sched_idle(void)
{
    struct runq *rq = runq_this();
    uint64_t self = 1ull << rq->cpu;
    for (;;) {
        thread_clear_work(rq->idle, ~0u);
        if (rq->queued) {
            sched_switch();
            continue;
        }
        atomic_fetch_or(&idle_cpus, self);
        if (plat_cpu_count() == 1 || !steal(rq)) {
            uint64_t start = plat_time_ns();
            plat_idle();
            rq->idle_ns += plat_time_ns() - start;
        }
        atomic_fetch_and(&idle_cpus, ~self);
    }
}

void sched_init_cpu(unsigned cpu)
{
    static struct thread idle_threads[1];
    bool first = runq_table[0] == NULL;
    struct runq *rq = first ? &first_runq : heap_zalloc(sizeof(*rq));
    struct thread *idle = first ? idle_threads : heap_zalloc(sizeof(*idle));
    must(rq && idle && cpu < PLAT_CPU_MAX);
    spin_init(&rq->lock, RANK_RUNQ);
    for (unsigned i = 0; i < RUN_CLASSES; i++)
        rq->lists[i].next = rq->lists[i].prev = &rq->lists[i];
    rq->cpu = cpu;
    rq->deadline_ns = UINT64_MAX;
    memcpy(idle->comm, "idle", 5);
    idle->refs = 1;
    idle->is_kernel = true;
    idle->cpu = cpu;
    idle->affinity = 1ull << cpu;
    idle->policy = SCHED_IDLE;
    idle->on_cpu = true;
    idle->started_ns = plat_time_ns();
    thread_init_sleep(idle);
    rq->idle = rq->current = idle;
    plat_percpu_set(rq);
    plat_thread_adopt(&idle->plat);
    __atomic_store_n(&runq_table[cpu], rq, __ATOMIC_RELEASE);
}

uint64_t sched_idle_ns(unsigned cpu)
{
    struct runq *rq = runq_of(cpu);
    return rq ? rq->idle_ns : 0;
}

void upcall_cpu_start(unsigned cpu)
{
    page_init_cpu(cpu);
    sched_init_cpu(cpu);
    sched_idle();
}

void sched_wait_cpus(void)
{
    for (unsigned i = 0; i < plat_cpu_count(); i++)
        while (!__atomic_load_n(&runq_table[i], __ATOMIC_ACQUIRE))
            plat_relax();
}

void upcall_kick(void)
{
    /* The interrupt itself is the message: the way back looks at work, the idle loop at the queue. Only a tick that another
     * CPU's wake made necessary must be armed here. */
    struct runq *rq = runq_this();
    if (UNLIKELY(deadline_waiting))
        deadline_pull(rq);
    if (!rq->queued || rq->tick_armed)
        return;
    spin_lock(&rq->lock);
    arm_tick(rq);
    spin_unlock(&rq->lock);
}
