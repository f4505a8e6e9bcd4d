/* SPDX-License-Identifier: MIT */
/* A CPU's run queue: private to libos/sched. All fields are guarded by lock unless said otherwise. */
#ifndef SCHED_RUNQ_H
#define SCHED_RUNQ_H

#include <libos/hold.h>
#include <libos/sched.h>
#include <plat/cpu.h>

/* The lists of a run queue, by thread.run_class; the higher one runs first. */
enum run_class {
    RUN_BACKGROUND,      /* SCHED_IDLE */
    RUN_FAIR,            /* SCHED_OTHER and SCHED_BATCH */
    RUN_RT,              /* + real-time priority, lent ones included */
    RT_PRIORITIES = 100, /* 1 to 99 are used */
    RUN_DEADLINE =
        RUN_RT + RT_DEADLINE, /* SCHED_DEADLINE, and who has lent a deadline: in order of it */
    RUN_CLASSES,
};

/* What has to be done once the current thread has left the CPU. */
enum leaving {
    LEAVES_NOTHING,
    LEAVES_DEAD,
    LEAVES_CPU,      /* it may not run here any more */
    LEAVES_DEADLINE, /* it is RUN_DEADLINE: those of other CPUs may run here then */
};

struct runq {
    struct hold hold; /* of the current thread; not under the lock */
    struct spin lock;
    unsigned cpu;
    struct thread *current;
    struct thread *idle;
    struct thread *prev; /* switched from last; this CPU only */
    uint8_t leaving;     /* enum leaving; this CPU only */
    struct mm *active;   /* NULL: the kernel's own; this CPU only */
    uint32_t queued;     /* threads in the lists */
    bool head_next;      /* the next requeue of current goes to the head of its list */
    bool tick_armed;     /* sched_tick will be called because others wait; this CPU only */
    uint64_t rt_bits[2]; /* which real-time lists have threads */
    _Atomic uint64_t
        deadline_ns; /* of current; UINT64_MAX: it is not RUN_DEADLINE. Others read it without the lock */
    struct run_node lists[RUN_CLASSES]; /* rings, from the next to run on */
    uint64_t idle_ns;
    uint64_t sample_ns; /* when the current thread is looked at; 0: nobody asked. This CPU only */
    uint64_t switches;
    struct cpu_samples samples; /* of all threads; written by this CPU only */
    struct cpu_told told;       /* guarded by the lock of sample.c */
};

/* The run queue of this CPU. */
static inline struct runq *runq_this(void)
{
    return plat_percpu();
}

/* The queue of a CPU that runs; NULL: it does not. */
struct runq *runq_of(unsigned cpu);
/* By CPU; NULL for those that do not run. Only runq_lock_of and sched.c index it. */
extern struct runq *runq_table[PLAT_CPU_MAX];

/* Lock the queue that t belongs to now. */
static inline struct runq *runq_lock_of(struct thread *t)
{
    for (;;) {
        uint32_t cpu = __atomic_load_n(&t->cpu, __ATOMIC_RELAXED);
        struct runq *rq = runq_table[cpu];
        spin_lock(&rq->lock);
        if (LIKELY(t->cpu == cpu))
            return rq;
        spin_unlock(&rq->lock);
    }
}
/* t, which is not queued, will be on another CPU; the program may want to know (rseq). */
static inline void thread_set_cpu(struct thread *t, unsigned cpu)
{
    __atomic_store_n(&t->cpu, cpu, __ATOMIC_RELAXED);
    if (t->rseq)
        thread_set_work(t, WORK_TASK);
}
/* The same after it has found a CPU for t, which may be another one. The lock is held on entry, not on return. */
void runq_restart(struct runq *rq, struct thread *t);
/* Put t, which is runnable and not queued, at the tail of its list, and have this or that CPU notice it. */
void runq_add(struct runq *rq, struct thread *t);
void runq_remove(struct runq *rq, struct thread *t);
/* The queue of a CPU that t, which is runnable and not queued, may run on. The lock of rq, where it was, is held; that of the
 * result on return. */
struct runq *runq_move(struct runq *rq, struct thread *t);
/* The real-time priority in force, lent ones included; 0: not real-time. */
static inline unsigned thread_rt_priority(const struct thread *t)
{
    return t->run_class > RUN_RT ? t->run_class - RUN_RT : 0;
}
/* Has a a higher real-time priority than b, or the same and an earlier deadline? */
static inline bool thread_more_urgent(const struct thread *a, const struct thread *b)
{
    unsigned pa = thread_rt_priority(a), pb = thread_rt_priority(b);
    return pa > pb || (pa == pb && pa == RT_DEADLINE && a->deadline_ns < b->deadline_ns);
}

/* deadline.c. Those that wait for a CPU, of all CPUs; a hint for who does not hold the lock. */
extern _Atomic uint32_t deadline_waiting;
/* t, of RUN_DEADLINE, is about to be queued on rq: before whom. NULL: it may not run before a timer has put it back. */
struct run_node *deadline_place(struct runq *rq, struct thread *t);
/* t, of RUN_DEADLINE, has been taken out of its list to run. */
void deadline_runs(struct runq *rq, struct thread *t);
/* t, of SCHED_DEADLINE, runs and needs no more until its next period. */
void deadline_yield(struct thread *t);
/* A thread of RUN_DEADLINE has left this CPU. No lock is held, as for the next one. */
void deadline_left(struct runq *rq);
/* Have the thread that waits with the earliest deadline, if it is more urgent than the one that runs here. */
void deadline_pull(struct runq *rq);
/* Is t SCHED_DEADLINE, runnable and waiting for its next period? Then it is not any more. */
bool deadline_interrupt(struct thread *t);
/* What t needs to be SCHED_DEADLINE; it is not t's yet. NULL: no memory. */
struct deadline *deadline_alloc(struct thread *t);
/* Is there time for t to have what it wants, instead of what it has? Then it is set apart. */
bool deadline_admit(struct thread *t, const struct sched_deadline *want);
/* Have t, which is in no list, begin with what it wants, or go on with it if it has the policy already. ready: it does not sleep. */
void deadline_begin(struct thread *t, const struct sched_deadline *want, bool ready);
/* What t wants. */
void deadline_told(const struct thread *t, struct sched_deadline *ret_want);
/* t, which is SCHED_DEADLINE, will not be any more: give its time back. */
void deadline_quit(struct thread *t);

/* The CPU was to be looked at when t ran, and it is now: count what it did. */
void runq_sample(struct runq *rq, struct thread *t, bool in_program);
/* Have the CPU looked at again. */
void runq_sample_later(struct runq *rq, uint64_t now);
/* A fresh time slice for t. */
int64_t sched_slice_ns(const struct thread *t);
/* Give the thread that runs on rq up as soon as possible. */
void runq_resched(struct runq *rq);

#endif
