/* SPDX-License-Identifier: MIT */
/* What threads and processes have used: getrusage(2). A thread's statistics go to its process when it ends, and a process's
 * to the parent that waits for it. Lock: process_lock. */
#include <abi/errno.h>
#include <abi/resource.h>
#include <libos/access.h>
#include <libos/mm.h>
#include <libos/process.h>
#include <libos/sched.h>
#include <string.h>
#include <utlist.h>

static void add_counts(struct usage *s, const struct usage *more)
{
    s->faults_minor += more->faults_minor;
    s->faults_major += more->faults_major;
    s->switches_voluntary += more->switches_voluntary;
    s->switches_forced += more->switches_forced;
    s->blocks_in += more->blocks_in;
    s->blocks_out += more->blocks_out;
    s->maxrss = more->maxrss > s->maxrss ? more->maxrss : s->maxrss;
}

static void add_thread(struct usage *s, const struct thread *t, uint64_t run_ns)
{
    s->run_ns += run_ns;
    s->samples.user += __atomic_load_n(&t->samples.user, __ATOMIC_RELAXED);
    s->samples.system += __atomic_load_n(&t->samples.system, __ATOMIC_RELAXED);
    s->faults_minor += t->faults_minor;
    s->faults_major += t->faults_major;
    s->switches_voluntary += t->switches_voluntary;
    s->switches_forced += t->switches_forced;
    s->blocks_in += t->blocks_in;
    s->blocks_out += t->blocks_out;
}

/* All threads of p. process_lock is held. */
static void sum_locked(struct process *p, struct usage *ret)
{
    struct thread *t;
    *ret = p->ended;
    DL_FOREACH(p->threads, t)
    add_thread(ret, t, sched_cpu_ns(t));
    cpu_time_split(ret->run_ns, &ret->samples, &p->told);
    ret->cpu = p->told;
    ret->maxrss = p->maxrss;
}

static void add_cpu(struct cpu_told *s, const struct cpu_told *more)
{
    s->user_ns += more->user_ns;
    s->system_ns += more->system_ns;
}

void usage_end(struct thread *t, uint64_t run_ns)
{
    add_thread(&t->process->ended, t, run_ns);
}

void usage_reap(struct process *parent, struct process *p)
{
    struct usage s;
    sum_locked(p, &s);
    add_counts(&parent->waited, &s);
    add_counts(&parent->waited, &p->waited);
    add_cpu(&parent->waited.cpu, &s.cpu);
    add_cpu(&parent->waited.cpu, &p->waited.cpu);
}

static uint64_t peak_of(const struct mm *mm)
{
    int64_t now = mm->rss_anon + mm->rss_file + mm->rss_shmem;
    uint64_t peak = mm->rss_peak;
    return now > 0 && (uint64_t)now > peak ? (uint64_t)now : peak;
}

void usage_leave_mm(void)
{
    struct process *p = process_current();
    struct mm *mm = thread_current()->mm;
    uint64_t peak = mm ? peak_of(mm) : 0, old = p->maxrss;
    while (peak > old && !atomic_compare_exchange_weak(&p->maxrss, &old, peak))
        ;
}

uint64_t process_cpu_ns(struct process *p)
{
    struct thread *t;
    spin_lock(&process_lock);
    uint64_t ns = p->ended.run_ns;
    DL_FOREACH(p->threads, t)
    ns += sched_cpu_ns(t);
    spin_unlock(&process_lock);
    return ns;
}

void process_cpu_split(struct process *p, struct cpu_told *ret)
{
    struct usage s;
    spin_lock(&process_lock);
    sum_locked(p, &s);
    spin_unlock(&process_lock);
    *ret = s.cpu;
}

void thread_cpu_split(struct thread *t, struct cpu_told *ret)
{
    uint64_t run_ns = sched_cpu_ns(t);
    spin_lock(&process_lock);
    cpu_time_split(run_ns, &t->samples, &t->told);
    *ret = t->told;
    spin_unlock(&process_lock);
}

/* The most that the address space of p has had in memory, if it has one. */
static uint64_t current_peak(struct process *p)
{
    struct thread *t = p == process_current() ? thread_current() : thread_find(p->pid);
    struct mm *mm = t ? thread_mm_get(t) : NULL;
    uint64_t peak = mm ? peak_of(mm) : 0;
    if (mm)
        mm_put(mm);
    if (t && t != thread_current())
        thread_put(t);
    return peak;
}

static struct abi_timeval to_timeval(uint64_t ns)
{
    return (struct abi_timeval){ (int64_t)(ns / NS_PER_SEC), (int64_t)(ns % NS_PER_SEC / 1000) };
}

static void sum_of(struct process *p, int who, struct usage *ret)
{
    struct usage self = { .run_ns = 0 };
    *ret = self;
    spin_lock(&process_lock);
    if (who == RUSAGE_CHILDREN || who == RUSAGE_BOTH)
        *ret = p->waited;
    if (who != RUSAGE_CHILDREN) {
        sum_locked(p, &self);
        add_counts(ret, &self);
        add_cpu(&ret->cpu, &self.cpu);
    }
    spin_unlock(&process_lock);
}

void process_rusage(struct process *p, int who, struct abi_rusage *ret)
{
    struct usage s = { .run_ns = 0 };
    p = p ? p : process_current();
    if (who == RUSAGE_THREAD) {
        add_thread(&s, thread_current(), 0);
        thread_cpu_split(thread_current(), &s.cpu);
        s.maxrss = p->maxrss;
    } else {
        sum_of(p, who, &s);
    }
    uint64_t peak = who == RUSAGE_CHILDREN ? 0 : current_peak(p);
    peak = peak > s.maxrss ? peak : s.maxrss;
    *ret = (struct abi_rusage){
        .ru_utime = to_timeval(s.cpu.user_ns),
        .ru_stime = to_timeval(s.cpu.system_ns),
        .ru_maxrss = (int64_t)(peak * (PAGE_SIZE / 1024)),
        .ru_minflt = (int64_t)s.faults_minor,
        .ru_majflt = (int64_t)s.faults_major,
        .ru_inblock = (int64_t)s.blocks_in,
        .ru_oublock = (int64_t)s.blocks_out,
        .ru_nvcsw = (int64_t)s.switches_voluntary,
        .ru_nivcsw = (int64_t)s.switches_forced,
    };
}
