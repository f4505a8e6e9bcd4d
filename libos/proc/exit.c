/* SPDX-License-Identifier: MIT */
/* The end of threads and processes, and what a parent learns of it. Lock: process_lock. */
#include "pid.h"
#include "proc.h"
#include "trace_int.h"
#include <abi/errno.h>
#include <abi/poll.h>
#include <abi/sched.h>
#include <base/log.h>
#include <libos/acct.h>
#include <libos/deferred.h>
#include <libos/dev/tty.h>
#include <libos/file.h>
#include <libos/ipc.h>
#include <libos/mm.h>
#include <libos/sched.h>
#include <libos/seccomp.h>
#include <plat/cpu.h>
#include <utlist.h>

void completion_init(struct completion *c)
{
    waitq_init(&c->wait);
    c->done = false;
}

void completion_done(struct completion *c)
{
    spin_lock(&c->wait.lock);
    c->done = true;
    if (c->wait.head)
        thread_wake(c->wait.head->thread); /* the one vfork parent; c is gone when the lock is */
    spin_unlock(&c->wait.lock);
}

void thread_vfork_done(struct thread *t)
{
    spin_lock(&process_lock);
    if (t->vfork_done)
        completion_done(t->vfork_done);
    t->vfork_done = NULL;
    spin_unlock(&process_lock);
}

void process_notify_parent(struct process *p, int code, int status)
{
    struct process *parent = p->parent;
    if (!parent)
        return;
    struct abi_sigaction action, *a = &action;
    sighand_get_action(parent->sighand, SIGCHLD, a);
    bool quiet = a->handler == ABI_SIG_IGN ||
                 (code == CLD_STOPPED || code == CLD_CONTINUED ? a->flags & SA_NOCLDSTOP : 0);
    struct abi_siginfo info = {
        .si_signo = code == CLD_STOPPED || code == CLD_CONTINUED ? SIGCHLD : p->exit_signal,
        .si_code = code,
        .chld = { .si_pid = p->pid, .si_uid = process_uid(p), .si_status = status },
    };
    if (!quiet && info.si_signo && info.si_signo <= ABI_NSIG) /* clone(2) takes any number */
        (void)signal_send_process(parent, &info);             /* it ends itself: fine */
    waitq_wake(&parent->child_wait, WAITQ_ALL, 0);
}

/* CLD_* of an end with this wait status. */
static int end_code(int status)
{
    return status & WCOREFLAG ? CLD_DUMPED : status & 0x7f ? CLD_KILLED : CLD_EXITED;
}

bool process_report_end(struct process *p)
{
    int sig = p->exit_code & 0x7f;
    const struct abi_sigaction *a = p->parent ? &p->parent->sighand->action[SIGCHLD - 1] : NULL;
    bool reap =
        a && p->exit_signal == SIGCHLD && (a->handler == ABI_SIG_IGN || a->flags & SA_NOCLDWAIT);
    process_notify_parent(p, end_code(p->exit_code), sig ? sig : p->exit_code >> 8);
    if (reap)
        process_unlink(p);
    return reap;
}

/* p ended: its children get another parent. Those that this one does not want to wait for and that ended before are put
 * into *reaped, by sibling_next. process_lock is held. */
static void reparent(struct process *p, struct process **reaped)
{
    struct process *heir = p->parent, *c, *next;
    while (heir && !heir->subreaper && heir != process_first())
        heir = heir->parent;
    if (!heir || heir->exiting)
        heir = process_first();
    DL_FOREACH_SAFE2(p->children, c, next, sibling_next)
    {
        DL_DELETE2(p->children, c, sibling_prev, sibling_next);
        c->parent = heir;
        DL_APPEND2(heir->children, c, sibling_prev, sibling_next);
        c->exit_signal = SIGCHLD;
        if (c->zombie && !c->traced_leader && process_report_end(c)) {
            c->sibling_next = *reaped;
            *reaped = c;
        }
        if (c->threads && c->threads->pdeath_signal)
            signal_kernel(c, c->threads->pdeath_signal);
    }
}

/* The last thread of p is gone. process_lock is held. True: p is reaped at once, and the caller calls process_release, as for
 * those in *reaped. */
static bool end_process(struct process *p, struct process **reaped)
{
    struct thread *leader = p->traced_leader;
    int sig = p->exit_code & 0x7f;
    reparent(p, reaped);
    p->zombie = true;
    waitq_wake(&p->exit_wait, WAITQ_ALL, EPOLLIN | EPOLLRDNORM);
    if (!leader)
        return process_report_end(p);
    trace_notify_exit(leader, end_code(p->exit_code),
                      sig ? sig : p->exit_code >> 8); /* first the tracer */
    return false;
}

/* A traced thread stays in its tracer's list until its end has been waited for, and so does its number. Both locks are
 * held. */
static void leave_traced(struct thread *t)
{
    struct process *p = t->process;
    t->trace.dead = true;
    t->trace.code = p->exiting ? p->exit_code : t->exit_code;
    if (t->tid == p->pid) {
        p->traced_leader = t;
        return;
    }
    pid_use(t->tid);
}

/* Leave the process: numbers, statistics, pending signals. True: it was the last thread. */
static bool leave(struct thread *t)
{
    struct process *p = t->process;
    uint64_t run = sched_cpu_ns(t);
    spin_lock(&process_lock);
    spin_lock(&t->process->sig_lock);
    signal_retarget(t, ~t->sigmask);
    sigpending_clear(&t->pending);
    DL_DELETE(p->threads, t);
    bool last = --p->nthreads == 0;
    if (t == p->leader) {
        p->leader = NULL;
        p->ended_leader = t;
        thread_get(t);
        if (!p->exiting)
            p->exit_code = t->exit_code;
    }
    thread_uncount(t, t->tid == p->pid);
    bool tell = t->trace.tracer && t->tid != p->pid;
    if (t->trace.tracer)
        leave_traced(t);
    if (last)
        p->exiting = true;
    if (p->exec_thread && p->nthreads == 1)
        thread_wake(p->exec_thread);
    spin_unlock(&t->process->sig_lock);
    usage_end(t, run);
    struct pid_slot *s = pid_slot(t->tid);
    s->thread = NULL;
    if (tell) {
        int sig = t->trace.code & 0x7f;
        trace_notify_exit(t, end_code(t->trace.code), sig ? sig : t->trace.code >> 8);
    }
    spin_unlock(&process_lock);
    if (waitq_active(&p->exit_wait)) /* pidfds of the thread */
        waitq_wake(&p->exit_wait, WAITQ_ALL, EPOLLIN | EPOLLRDNORM | EPOLLHUP);
    return last;
}

/* Give back what the thread shares. */
static void drop_shared(struct thread *t)
{
    struct mm *mm = t->mm;
    sem_leave_undo(t);
    if (t->fds)
        fd_table_put(t->fds);
    t->fds = NULL;
    if (t->fs)
        fs_context_put(t->fs);
    t->fs = NULL;
    if (mm) {
        usage_leave_mm();
        sched_set_mm(NULL);
        t->mm = NULL;
        mm_put(mm);
    }
}

/* p, whose last thread ends, becomes a zombie or nothing. */
static void tell_family(struct process *p)
{
    struct process *c, *next = NULL;
    spin_lock(&process_lock);
    bool gone = end_process(p, &next);
    spin_unlock(&process_lock);
    while ((c = next)) {
        next = c->sibling_next;
        process_release(c);
    }
    if (gone)
        process_release(p);
}

void thread_exit(int exit_code)
{
    struct thread *t = thread_current();
    struct process *p = t->process;
    t->exit_code = exit_code;
    if (!t->is_kernel) {
        if (UNLIKELY(p->core_dumper)) {
            spin_lock(&p->sig_lock);
            core_park(t);
            spin_unlock(&p->sig_lock);
        }
        if (t->uring)
            uring_thread_exit(t);
        trace_event(PTRACE_EVENT_EXIT, (unsigned long)(p->exiting ? p->exit_code : exit_code));
        spin_lock(&t->process->sig_lock);
        core_park(t);
        t->exiting = true;
        spin_unlock(&t->process->sig_lock);
        if (UNLIKELY(t->plat.work & WORK_DEFERRED))
            deferred_run(); /* from here on nobody does it for this thread */
        futex_exit(t);
        thread_vfork_done(t);
        trace_tracer_exits(t);
        bool first = p == process_first();
        if (first && p->nthreads == 1) {
            drop_shared(t); /* files that it had open and that have no name any more go */
            machine_exit(p->exiting || t != p->leader ? p->exit_code : exit_code);
        }
        seccomp_exit(t);
        uint64_t pages = t->mm ? mm_total_pages(t->mm) : 0;
        drop_shared(t);
        if (leave(t)) {
            acct_process(p, pages);
            process_exit_timers(p);
            if (first)
                machine_exit(p->exit_code);
            if (p->is_session_leader)
                tty_disassociate(p);
            tell_family(p);
        }
    }
    atomic_store(&t->state, THREAD_DEAD);
    sched_switch();
    panic("dead thread %d runs", t->tid);
}

void process_exit_group(int status)
{
    struct thread *t = thread_current();
    spin_lock(&t->process->sig_lock);
    process_begin_exit(t->process, status);
    spin_unlock(&t->process->sig_lock);
}
