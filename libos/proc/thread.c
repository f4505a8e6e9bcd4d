/* SPDX-License-Identifier: MIT */
/* Threads come and go here: creation, publication in the pid table, references. A thread holds a reference to itself that
 * the scheduler drops when it has left its stack for the last time. Lock: process_lock for everything that is found by
 * number or through the process. */
#include "pid.h"
#include "proc.h"
#include <abi/errno.h>
#include <abi/prctl.h>
#include <abi/sched.h>
#include <libos/file.h>
#include <libos/heap.h>
#include <libos/mm.h>
#include <libos/page.h>
#include <libos/sched.h>
#include <libos/seccomp.h>
#include <libos/trace.h>
#include <libos/tsc.h>
#include <plat/cpu.h>
#include <plat/debug.h>
#include <plat/time.h>
#include <string.h>
#include <utlist.h>

static struct slab thread_slab = SLAB_INIT("thread", struct thread);
static _Atomic unsigned threads_total;

unsigned thread_count(void)
{
    return threads_total;
}

/* As many threads as would fill an eighth of the memory with their stacks, as Linux. */
static unsigned threads_max(void)
{
    static unsigned max;
    if (!max) {
        struct page_stats s;
        page_stats(&s);
        uint64_t n = s.total / 32;
        max = n < 128 ? 128 : n > PID_MAX ? PID_MAX : (unsigned)n;
    }
    return max;
}

/* First code on a new thread's stack. */
static void thread_begin(void *arg)
{
    struct thread *t = arg;
    sched_finish_switch();
    t->start_fn(t->start_arg);
    if (t->is_kernel)
        thread_exit(0);
}

/* What a new thread has from the one that makes it. */
static void inherit(struct thread *t, const struct thread *from)
{
    t->policy = from->policy;
    t->nice = from->nice;
    t->rt_priority = from->rt_priority;
    if (from->reset_on_fork) {
        bool rt = t->policy == SCHED_FIFO || t->policy == SCHED_RR || t->policy == SCHED_DEADLINE;
        t->policy = SCHED_OTHER;
        t->rt_priority = 0;
        t->nice = rt || t->nice < 0 ? 0 : t->nice;
    }
    sched_classify(t);
    t->affinity = from->affinity;
    t->sigmask = from->sigmask;
    t->timer_slack_ns = from->timer_slack_ns;
    t->personality = from->personality;
    t->mempolicy = from->mempolicy;
    t->io_class = from->io_class;
    t->io_level = from->io_level;
    t->no_new_privs = from->no_new_privs;
    memcpy(t->comm, from->comm, sizeof(t->comm));
}

static struct thread *thread_alloc(void (*fn)(void *), void *arg)
{
    struct thread *t = slab_alloc(&thread_slab);
    if (!t)
        return NULL;
    memset(t, 0, sizeof(*t));
    if (plat_thread_init(&t->plat, thread_begin, t) < 0) {
        slab_free(&thread_slab, t);
        return NULL;
    }
    t->refs = 1;
    t->start_fn = fn;
    t->start_arg = arg;
    t->cpu = plat_cpu_id();
    t->start_time_ns = plat_time_ns();
    t->affinity = UINT64_MAX;
    t->timer_slack_ns = 50000;
    atomic_init(&t->state, THREAD_RUNNING);
    thread_init_sleep(t);
    threads_total++;
    return t;
}

int thread_create(struct process *p, int tid, void (*fn)(void *), void *arg,
                  struct thread **ret_thread)
{
    const struct thread *from = thread_current();
    if (threads_total >= threads_max() || (from->policy == SCHED_DEADLINE && !from->reset_on_fork))
        return -EAGAIN; /* time is promised to one thread */
    struct thread *t = thread_alloc(fn, arg);
    if (!t)
        return -ENOMEM;
    inherit(t, from);
    spin_lock(&process_lock);
    t->tid = pid_alloc(tid);
    spin_unlock(&process_lock);
    if (t->tid < 0) {
        int err = t->tid;
        t->tid = 0;
        thread_put(t);
        return err;
    }
    process_get(p);
    t->process = p;
    *ret_thread = t;
    return 0;
}

/* t joins the thread that makes it. What has been said to all threads of the process until now holds for t too: filters
 * for all of them, and to stop. sig_lock is held. */
static void join_threads(struct process *p, struct thread *t)
{
    const struct thread *from = thread_current();
    if (UNLIKELY(from->seccomp.mode)) {
        seccomp_inherit(t, from);
        t->no_new_privs = from->no_new_privs;
        trace_update_calls(t);
    }
    if (UNLIKELY(p->stopped) && !t->is_worker)
        thread_set_work(t, WORK_SIGNAL);
}

int thread_publish_locked(struct thread *t, bool traced)
{
    struct process *p = t->process;
    int err = 0;
    spin_lock(&t->process->sig_lock);
    if (p->exiting || p->exec_thread) {
        err = -EINTR; /* the others have been told to end, and this one was not among them */
    } else {
        struct pid_slot *s = pid_slot(t->tid);
        s->users--;
        s->thread = t;
        if (p == process_current())
            join_threads(p, t);
        DL_APPEND(p->threads, t);
        if (!p->nthreads++)
            p->leader = t;
        trace_inherit(t, traced);
    }
    spin_unlock(&t->process->sig_lock);
    return err;
}

void thread_published(struct thread *t)
{
    if (UNLIKELY(t->rt_priority))
        cpu_timers_changed(t->process); /* RLIMIT_RTTIME is inherited, and so is what it counts */
}

int thread_publish(struct thread *t, bool traced)
{
    spin_lock(&process_lock);
    int err = thread_publish_locked(t, traced);
    spin_unlock(&process_lock);
    if (!err)
        thread_published(t);
    return err;
}

void thread_discard(struct thread *t)
{
    if (t->tid) {
        spin_lock(&process_lock);
        pid_unuse(t->tid);
        spin_unlock(&process_lock);
    }
    thread_put(t);
}

int thread_create_kernel(const char *name, void (*fn)(void *), void *arg)
{
    struct thread *t = thread_alloc(fn, arg);
    if (!t)
        return -ENOMEM;
    t->is_kernel = true;
    strncpy(t->comm, name, sizeof(t->comm) - 1);
    sched_start(t);
    return 0;
}

/* Its stack is what counts: a zombie has none. */
static void stack_release(struct thread *t)
{
    plat_thread_fini(&t->plat);
    threads_total--;
}

void thread_ended(struct thread *t)
{
    stack_release(t);
    thread_put(t);
}

void thread_free(struct thread *t)
{
    if (atomic_load_explicit(&t->state, memory_order_relaxed) != THREAD_DEAD)
        stack_release(t);     /* it never started */
    thread_uncount(t, false); /* of one that never started */
    if (t->cred)
        cred_put(t->cred);
    if (t->sighand)
        sighand_put(t->sighand);
    if (t->process)
        process_put(t->process);
    if (t->dl)
        sched_free_deadline(t);
    slab_free(&thread_slab, t);
}

static struct thread *find(int tid, bool ended)
{
    spin_lock(&process_lock);
    struct pid_slot *s = pid_slot(tid);
    struct thread *t = s ? s->thread : NULL;
    if (!t && ended && s && s->process)
        t = s->process->ended_leader;
    if (t)
        t->refs++;
    spin_unlock(&process_lock);
    return t;
}

struct thread *thread_find(int tid)
{
    return find(tid, false);
}

struct thread *thread_find_ended(int tid)
{
    return find(tid, true);
}

int thread_set_tls(enum thread_tls which, uintptr_t base)
{
    struct plat_thread *t = &thread_current()->plat;
    return which == TLS_FS ? plat_thread_set_fs(t, base) : plat_thread_set_gs(t, base);
}

void thread_set_tsc(bool may_read)
{
    plat_thread_set_tsc(&thread_current()->plat, may_read);
}

bool thread_tsc(void)
{
    return plat_thread_tsc(&thread_current()->plat);
}

uintptr_t thread_tls(enum thread_tls which)
{
    struct plat_thread *t = &thread_current()->plat;
    return which == TLS_FS ? plat_thread_fs(t) : plat_thread_gs(t);
}

unsigned thread_cpu(void)
{
    return plat_cpu_id();
}
