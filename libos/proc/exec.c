/* SPDX-License-Identifier: MIT */
/* What execve(2) asks of the process: that the calling thread is its only one, and is the leader. Lock: process_lock,
 * and sig_lock for work flags and signal actions. */
#include "pid.h"
#include "proc.h"
#include "trace_int.h"
#include <abi/errno.h>
#include <libos/sched.h>
#include <plat/cpu.h>
#include <utlist.h>

/* Tell the others to end. -EAGAIN: the group ends already, or another thread was first. */
static int end_others(struct thread *t)
{
    struct process *p = t->process;
    struct thread *o;
    spin_lock(&process_lock);
    spin_lock(&t->process->sig_lock);
    int err = p->exiting || p->exec_thread ? -EAGAIN : 0;
    if (!err)
        p->exec_thread = t;
    DL_FOREACH(p->threads, o)
    {
        if (err || o == t)
            continue;
        thread_set_work(o, WORK_KILLED);
        if (!thread_wake_state(o, 1u << THREAD_SLEEPING | 1u << THREAD_KILLABLE |
                                      1u << THREAD_STOPPED | 1u << THREAD_TRACED) &&
            o->on_cpu && o->cpu != plat_cpu_id())
            plat_cpu_kick(o->cpu);
    }
    spin_unlock(&t->process->sig_lock);
    spin_unlock(&process_lock);
    return err;
}

/* The thread that is left takes the leader's number. */
static void become_leader(struct thread *t)
{
    struct process *p = t->process;
    struct thread *old = NULL, *ended = NULL;
    spin_lock(&process_lock);
    if (t->tid != p->pid) {
        spin_lock(&p->sig_lock);
        ended = p->ended_leader;
        p->ended_leader = NULL;
        spin_unlock(&p->sig_lock);
        struct pid_slot *s = pid_slot(t->tid);
        s->thread = NULL;
        t->tid = p->pid;
        process_uncount(p); /* t stands for both now */
        pid_slot(p->pid)->thread = t;
        p->leader = t;
        old = p->traced_leader; /* its tracer hears of the new one instead */
        p->traced_leader = NULL;
        if (old) {
            spin_lock(&old->process->sig_lock);
            trace_unlink(old);
            spin_unlock(&old->process->sig_lock);
        }
    }
    p->exec_thread = NULL;
    spin_unlock(&process_lock);
    if (old)
        thread_put(old);
    if (ended)
        thread_put(ended);
}

int process_exec_alone(void)
{
    struct thread *t = thread_current();
    struct process *p = t->process;
    struct sighand *own = NULL;
    if (t->uring)
        uring_thread_exit(t);
    int err = t->sighand->refs > p->nthreads + 1 ? sighand_copy(t->sighand, false, &own) : 0;
    if (!err && (err = end_others(t)) && own)
        sighand_put(own);
    if (err)
        return err;
    do {
        thread_prepare_sleep(SLEEP_KILLABLE);
        /* The last of the others wakes us when it leaves. */
    } while (*(volatile uint32_t *)&p->nthreads > 1 && !(err = thread_sleep(NO_DEADLINE)));
    thread_finish_sleep();
    if (err) {
        spin_lock(&process_lock);
        p->exec_thread = NULL;
        spin_unlock(&process_lock);
        if (own)
            sighand_put(own);
        return -EAGAIN;
    }
    become_leader(t);
    if (own) {
        struct sighand *old = t->sighand;
        /* Others look at p->sighand under either lock. */
        spin_lock(&process_lock);
        spin_lock(&p->sig_lock);
        t->sighand = own;
        p->sighand = sighand_get(own);
        spin_unlock(&p->sig_lock);
        spin_unlock(&process_lock);
        sighand_put(old); /* the thread's and the process's */
        sighand_put(old);
    }
    return 0;
}
