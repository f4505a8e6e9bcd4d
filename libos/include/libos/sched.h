/* SPDX-License-Identifier: MIT */
/* The scheduler: per-CPU run queues; real-time classes by priority, then the fair class, then idle. */
#ifndef LIBOS_SCHED_H
#define LIBOS_SCHED_H

#include <libos/thread.h>

struct plat_aspace;

/* The priority that threads of SCHED_DEADLINE have among the real-time ones, which go from 1 to 99. */
enum { RT_DEADLINE = 100 };

/* plat_percpu() is the scheduler's. */

/* Set up this CPU's run queue and idle thread; called once per CPU on its boot stack. */
void sched_init_cpu(unsigned cpu);
/* Wait until every CPU that the platform has started can be given threads. At boot. */
void sched_wait_cpus(void);
/* Become the idle loop of this CPU. */
NORETURN void sched_idle(void);

/* Set up what a new thread needs to sleep. */
void thread_init_sleep(struct thread *t);
/* Make a new thread runnable for the first time. */
void sched_start(struct thread *t);
/* Make t run if it sleeps. kinds: bit mask over enum thread_state of what may be woken. True if it slept. */
bool thread_wake(struct thread *t);
bool thread_wake_state(struct thread *t, unsigned states);
/* Give the CPU to the next runnable thread; returns when this one is chosen again. Not while a share is
 * held (libos/hold.h). 0, as sched_yield(2). */
long sched_yield_cpu(void);
/* Run something else: the current thread's state says whether it stays runnable. Lowest level; used by sleeps. */
void sched_switch(void);
/* Called by the timers when the tick asked for by timer_tick_at is due. in_program: as upcall_timer. */
void sched_tick(uint64_t now_ns, bool in_program);
/* libOS is about to leave the CPU to the program: if the CPU was to be looked at meanwhile, libOS was what it did. */
void sched_leave(void);
/* Divide run_ns of CPU time as the samples say, neither part less than *told, which is brought up to date. */
void cpu_time_split(uint64_t run_ns, const struct cpu_samples *s, struct cpu_told *told);
/* Leave the CPU to a thread that is due, keeping the place in the queue unless the slice is used up. Clears WORK_RESCHED. */
void sched_preempt(void);
/* Make mm (NULL: none) the address space of this CPU, because the current thread's mm changes (execve, exit). */
void sched_set_mm(struct mm *mm);
/* What every thread does first on its own stack: the one switched from is let go. */
void sched_finish_switch(void);
/* Lend t a real-time priority, or take it back with 0 (priority inheritance). RT_DEADLINE: an absolute deadline in ns,
 * with which it runs as those of SCHED_DEADLINE do. */
void sched_boost(struct thread *t, unsigned rt_priority, uint64_t deadline_ns);
/* In long work, between bounded pieces and with no lock held: takes interrupts and reschedules when due. True when a
 * fatal signal is pending, so that the work should stop. */
bool thread_preempt_point(void);

/* Work out anew which list t waits in, after a change of its policy or priority. t is not queued; its run queue's lock is
 * held, if others know it. */
void sched_classify(struct thread *t);

/* Scheduling parameters, as sched_setattr(2), but for becoming SCHED_DEADLINE: -EINVAL; -EPERM is the caller's business. */
NODISCARD int sched_set_policy(struct thread *t, int policy, int rt_priority, int nice);
/* What a thread of SCHED_DEADLINE asks for: runtime ns of a CPU within deadline ns of the begin of each period ns. */
struct sched_deadline {
    uint64_t runtime_ns, deadline_ns, period_ns;
    uint64_t flags; /* SCHED_FLAG_RECLAIM, SCHED_FLAG_DL_OVERRUN */
};
/* Make t SCHED_DEADLINE, or change what it asks for; want is in order. -ENOMEM, -EPERM (it may not run on all CPUs), -EBUSY
 * (more than there is). */
NODISCARD int sched_set_deadline(struct thread *t, const struct sched_deadline *want);
/* What t asked for; false: it is not SCHED_DEADLINE. */
bool sched_get_deadline(struct thread *t, struct sched_deadline *ret_want);
/* t is freed: it has t->dl. */
void sched_free_deadline(struct thread *t);
/* Allowed CPUs. -EINVAL: none of them exists; -EBUSY: t is SCHED_DEADLINE, for which it has to be all. */
NODISCARD int sched_set_affinity(struct thread *t, uint64_t cpus);
/* The CPUs that t may run on, of those that exist. */
uint64_t sched_affinity(const struct thread *t);
/* Round-robin quantum in ns. */
uint64_t sched_quantum_ns(const struct thread *t);
/* CPU time of t so far, in ns, the running stretch included. */
uint64_t sched_cpu_ns(struct thread *t);
/* 1, 5 and 15 minute load averages in 1/65536, runnable and total threads (for /proc/loadavg and sysinfo). */
void sched_load(uint64_t avg[3], unsigned *ret_runnable, unsigned *ret_total);
/* Nanoseconds this CPU idled since boot. */
uint64_t sched_idle_ns(unsigned cpu);
/* The same of what it did else, divided; and how often it went from one thread to another. Locks: takes a spin lock. */
void sched_busy(unsigned cpu, struct cpu_told *ret_time, uint64_t *ret_switches);

#endif
