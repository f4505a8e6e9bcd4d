/* SPDX-License-Identifier: MIT */
/* Tracer and tracee: how they come together and apart, and what the tracer asks for. A tracee is in its tracer's process's
 * list, which holds a reference, until it is let go or its end has been waited for; the tie is to the tracer's thread.
 * Locks: process_lock for the lists; the tie is changed under the tracee's sig_lock too, so either does to read. */
#include "pid.h"
#include "proc.h"
#include "trace_int.h"
#include <abi/errno.h>
#include <abi/prctl.h>
#include <abi/sched.h>
#include <abi/seccomp.h>
#include <libos/access.h>
#include <libos/sched.h>
#include <plat/cpu.h>
#include <plat/debug.h>
#include <string.h>
#include <utlist.h>

/* Both locks are held. */
static void link(struct thread *t, struct thread *tracer, struct cred *cred, bool seized,
                 unsigned options)
{
    struct trace *tr = &t->trace;
    thread_get(t);
    tr->tracer = tracer;
    tr->cred = cred_get(cred);
    tr->seized = seized;
    tr->options = options;
    tr->mode = TRACE_RUN;
    tr->step = false;
    tr->pending = 0;
    DL_APPEND2(tracer->process->tracees, t, trace.prev, trace.next);
}

void trace_unlink(struct thread *t)
{
    struct trace *tr = &t->trace;
    struct process *p = tr->tracer->process;
    DL_DELETE2(p->tracees, t, trace.prev, trace.next);
    tr->tracer = NULL;
    cred_put(tr->cred);
    tr->cred = NULL;
    tr->mode = TRACE_RUN;
    tr->step = false;
    tr->options = tr->pending = 0;
    trace_update_calls(t);
}

/* Locks of both; false: t has begun to end, or is traced. */
static bool lock_free(struct thread *t)
{
    spin_lock(&process_lock);
    spin_lock(&t->process->sig_lock);
    if (!t->trace.tracer && !t->exiting)
        return true;
    spin_unlock(&t->process->sig_lock);
    spin_unlock(&process_lock);
    return false;
}

static void unlock(struct thread *t)
{
    spin_unlock(&t->process->sig_lock);
    spin_unlock(&process_lock);
}

/* Filters are lifted by an administrator whom none confines, himself or by his own tracer. */
static int check_options(unsigned long options)
{
    const struct thread *me = thread_current();
    if (options & ~(unsigned long)PTRACE_O_MASK)
        return -EINVAL;
    if (options & PTRACE_O_SUSPEND_SECCOMP &&
        (!cred_capable(CAP_SYS_ADMIN) || me->seccomp.mode != SECCOMP_MODE_DISABLED ||
         me->trace.options & PTRACE_O_SUSPEND_SECCOMP))
        return -EPERM;
    return 0;
}

int trace_attach(struct thread *t, bool seize, unsigned options)
{
    struct abi_siginfo stop = { .si_signo = SIGSTOP, .si_code = SI_KERNEL };
    int err = check_options(options);
    if (err)
        return err;
    if (t->process == process_current() || t->is_kernel ||
        thread_may_access(t, ACCESS_ATTACH | ACCESS_REALCREDS) || !lock_free(t))
        return -EPERM;
    link(t, thread_current(), thread_current()->cred, seize, options);
    if (!seize)
        signal_send_locked(t, &stop);
    if (t->process->stopped) { /* it sleeps with its group: now it stops for its tracer */
        t->trace.pending |= TRACE_STOP;
        thread_set_work(t, WORK_SIGNAL);
        signal_poke(t, 1u << THREAD_STOPPED);
    }
    unlock(t);
    return 0;
}

/* The thread of the parent that made the current process, or another one of it. process_lock is held. */
static struct thread *parent_thread(void)
{
    struct process *p = process_current(), *parent = p->parent;
    struct pid_slot *s = pid_slot(p->made_by);
    if (!parent)
        return NULL;
    if (s && s->thread && s->thread->process == parent)
        return s->thread;
    return parent->leader ? parent->leader : parent->threads;
}

int trace_me(void)
{
    struct thread *t = thread_current();
    if (!lock_free(t))
        return -EPERM;
    struct thread *parent = parent_thread();
    const struct cred *c = parent ? parent->cred : NULL; /* process_lock holds it */
    int err = 0;
    if (c && t->cred->cap_permitted & ~c->cap_permitted &&
        !(c->cap_effective >> CAP_SYS_PTRACE & 1))
        err = -EPERM;
    if (c && access_scope() >= 2 && !(c->cap_effective >> CAP_SYS_PTRACE & 1))
        err = -EPERM;
    if (access_scope() == 3)
        err = -EPERM;
    if (!err && parent && !parent->exiting)
        link(t, parent, t->cred, false, 0);
    unlock(t);
    return err;
}

int trace_check(struct thread *t, bool any_state)
{
    spin_lock(&process_lock);
    bool ok = t->trace.tracer == thread_current() && !t->trace.dead &&
              (any_state || (t->trace.stopped && !t->trace.listening));
    spin_unlock(&process_lock);
    if (!ok)
        return -ESRCH;
    while (!any_state && __atomic_load_n(&t->on_cpu, __ATOMIC_ACQUIRE) &&
           atomic_load(&t->state) == THREAD_TRACED)
        plat_relax(); /* it is about to leave its CPU, and its registers to be in memory */
    return 0;
}

/* sig_lock is held. */
static void go_on(struct thread *t, int sig)
{
    t->trace.code = sig;
    t->trace.stopped = t->trace.listening = false;
    signal_poke(t, 1u << THREAD_TRACED);
}

void trace_resume(struct thread *t, enum trace_mode mode, bool step, int sig)
{
    spin_lock(&t->process->sig_lock);
    if (t->trace.stopped) {
        t->trace.mode = (uint8_t)mode;
        t->trace.step = step;
        plat_thread_step(&t->plat, step);
        trace_update_calls(t);
        go_on(t, sig);
    }
    spin_unlock(&t->process->sig_lock);
}

/* Both locks are held; the list's reference goes to the caller. */
static void let_go(struct thread *t, int sig)
{
    if (t->trace.stopped)
        plat_thread_step(&t->plat, false);
    trace_unlink(t);
    thread_set_work(t, WORK_SIGNAL); /* its group may be stopped: it joins */
    if (t->trace.stopped)
        go_on(t, sig);
}

void trace_detach(struct thread *t, int sig)
{
    spin_lock(&process_lock);
    spin_lock(&t->process->sig_lock);
    bool mine = t->trace.tracer == thread_current();
    if (mine)
        let_go(t, sig);
    unlock(t);
    if (mine)
        thread_put(t);
}

/* A dead tracee that nobody will wait for any more. process_lock is held. True: its process was reaped with it, and the caller
 * calls process_release. */
static bool drop_dead(struct thread *t)
{
    struct process *p = t->process;
    spin_lock(&p->sig_lock);
    trace_unlink(t);
    spin_unlock(&p->sig_lock);
    if (t != p->traced_leader) {
        pid_unuse(t->tid);
        return false;
    }
    p->traced_leader = NULL;
    return p->zombie && process_report_end(p);
}

/* The tracer of t, which lives, ends. process_lock is held. */
static void abandon(struct thread *t)
{
    spin_lock(&t->process->sig_lock);
    bool kill = t->trace.options & PTRACE_O_EXITKILL;
    /* A signal that it stopped for is still to come; other stops leave nothing. */
    int sig = t->trace.siginfo && t->trace.siginfo->si_signo == t->trace.code ? t->trace.code : 0;
    let_go(t, sig);
    spin_unlock(&t->process->sig_lock);
    if (kill)
        signal_kernel(t->process, SIGKILL);
}

/* The first of p's tracees that is traced by tracer. */
static struct thread *tracee_of(struct process *p, const struct thread *tracer)
{
    struct thread *t;
    DL_FOREACH2(p->tracees, t, trace.next)
    if (t->trace.tracer == tracer)
        return t;
    return NULL;
}

void trace_tracer_exits(struct thread *tracer)
{
    struct process *p = tracer->process;
    struct thread *t;
    spin_lock(&process_lock);
    while ((t = tracee_of(p, tracer))) {
        bool reaped = t->trace.dead && drop_dead(t);
        if (t->trace.tracer)
            abandon(t);
        spin_unlock(&process_lock);
        if (reaped)
            process_release(t->process);
        thread_put(t);
        spin_lock(&process_lock);
    }
    spin_unlock(&process_lock);
}

int trace_interrupt(struct thread *t)
{
    if (!t->trace.seized)
        return -EIO;
    spin_lock(&t->process->sig_lock);
    t->trace.pending |= TRACE_STOP;
    thread_set_work(t, WORK_SIGNAL);
    if (t->trace.listening)
        go_on(t, 0);
    else
        signal_poke(t, 1u << THREAD_SLEEPING | 1u << THREAD_STOPPED);
    spin_unlock(&t->process->sig_lock);
    return 0;
}

int trace_listen(struct thread *t)
{
    int err = -EIO;
    if (!t->trace.seized)
        return err;
    spin_lock(&t->process->sig_lock);
    if (t->trace.siginfo && t->trace.siginfo->si_code >> 8 == PTRACE_EVENT_STOP) {
        err = 0;
        t->trace.listening = true;
        if (t->trace.pending & TRACE_NOTIFY)
            go_on(t, 0); /* something happened since: it stops anew */
    }
    spin_unlock(&t->process->sig_lock);
    return err;
}

int trace_set_options(struct thread *t, unsigned long options)
{
    int err = check_options(options);
    if (err)
        return err;
    t->trace.options = (unsigned)options;
    return 0;
}

int trace_get_siginfo(struct thread *t, struct abi_siginfo *ret)
{
    spin_lock(&t->process->sig_lock);
    bool has = t->trace.siginfo;
    if (has)
        *ret = *t->trace.siginfo;
    spin_unlock(&t->process->sig_lock);
    return has ? 0 : -EINVAL;
}

int trace_set_siginfo(struct thread *t, const struct abi_siginfo *info)
{
    spin_lock(&t->process->sig_lock);
    bool has = t->trace.siginfo;
    if (has)
        *t->trace.siginfo = *info;
    spin_unlock(&t->process->sig_lock);
    return has ? 0 : -EINVAL;
}

bool trace_peek_siginfo(struct thread *t, bool shared, uint64_t n, struct abi_siginfo *ret)
{
    const struct sigqueue *e;
    spin_lock(&t->process->sig_lock);
    DL_FOREACH((shared ? &t->process->pending : &t->pending)->queue, e)
    if (!n--)
        break;
    if (e) {
        memcpy(ret, e->info, SIGINFO_KEPT);
        siginfo_complete(ret);
    }
    spin_unlock(&t->process->sig_lock);
    return e;
}

void trace_set_mask(struct thread *t, uint64_t mask)
{
    spin_lock(&t->process->sig_lock);
    t->sigmask = mask & ~(ABI_SIGBIT(SIGKILL) | ABI_SIGBIT(SIGSTOP));
    thread_set_work(t, WORK_SIGNAL);
    spin_unlock(&t->process->sig_lock);
}

void trace_inherit(struct thread *child, bool wanted)
{
    struct thread *t = thread_current();
    if (!wanted || !t->trace.tracer)
        return;
    link(child, t->trace.tracer, t->trace.cred, t->trace.seized, t->trace.options);
    if (t->trace.seized)
        child->trace.pending = TRACE_STOP;
    else
        child->pending.set |= ABI_SIGBIT(SIGSTOP);
    thread_set_work(child, WORK_SIGNAL);
}

int trace_tracer_pid(struct thread *t)
{
    spin_lock(&process_lock);
    int pid = t->trace.tracer ? t->trace.tracer->process->pid : 0;
    spin_unlock(&process_lock);
    return pid;
}
