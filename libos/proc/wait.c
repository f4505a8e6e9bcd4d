/* SPDX-License-Identifier: MIT */
/* Waiting for children: wait4(2), waitid(2). Lock: process_lock. */
#include "pid.h"
#include "proc.h"
#include "trace_int.h"
#include <abi/errno.h>
#include <abi/sched.h>
#include <libos/waitq.h>
#include <utlist.h>

/* The tracer of c's leader; NULL. */
static const struct thread *tracer_of(const struct process *c)
{
    const struct thread *t = c->leader ? c->leader : c->traced_leader;
    return t ? t->trace.tracer : NULL;
}

static bool matches(const struct process *c, const struct wait_request *r)
{
    const struct thread *tracer = tracer_of(c);
    bool is_clone = c->exit_signal != SIGCHLD, mine = tracer && tracer->process == c->parent;
    if (!mine && !(r->options & __WALL) && is_clone != !!(r->options & __WCLONE))
        return false;
    switch (r->which) {
    case P_PID:
        return c->pid == r->id;
    case P_PGID:
        return c->pgid == r->id;
    case P_PIDFD:
        return c == r->process;
    default:
        return true;
    }
}

/* Has c something to tell? Fills ret. Takes the state change unless WNOWAIT. */
static bool report(struct process *c, const struct wait_request *r, struct wait_result *ret)
{
    bool take = !(r->options & WNOWAIT);
    int sig = c->exit_code & 0x7f;
    const struct thread *tracer = tracer_of(c);
    bool mine = tracer && tracer->process == c->parent;
    if (c->zombie && c->traced_leader && !mine)
        return false; /* its tracer waits for it first */
    if (c->zombie && r->options & WEXITED) {
        ret->code = sig ? (c->exit_code & WCOREFLAG ? CLD_DUMPED : CLD_KILLED) : CLD_EXITED;
        ret->status = c->exit_code;
        return true;
    }
    if (c->stopped && c->stop_signal && !mine && r->options & WSTOPPED) {
        ret->code = CLD_STOPPED;
        ret->status = c->stop_signal << 8 | 0x7f;
        c->stop_signal = take ? 0 : c->stop_signal;
        return true;
    }
    if (c->continued && r->options & WCONTINUED) {
        ret->code = CLD_CONTINUED;
        ret->status = 0xffff;
        c->continued = !take;
        return true;
    }
    return false;
}

/* Is t, which the current process traces, one of those that are waited for? Its process's end is told as that of a child
 * when it is one. */
static bool tracee_matches(const struct thread *t, const struct wait_request *r)
{
    if (r->options & __WNOTHREAD && t->trace.tracer != thread_current())
        return false;
    switch (r->which) {
    case P_PID:
        return t->tid == r->id;
    case P_PGID:
        return t->process->pgid == r->id;
    case P_PIDFD:
        return t->process == r->process && t->tid == t->process->pid;
    default:
        return true;
    }
}

static bool is_leader(const struct thread *t)
{
    return t->tid == t->process->pid;
}

/* Has the tracee something to tell? The end of a leader is its process's; of a child it is told by report. */
static bool report_tracee(struct thread *t, const struct wait_request *r, struct wait_result *ret)
{
    struct process *p = t->process;
    bool found = false;
    if (t->trace.dead) {
        if (!(r->options & WEXITED) ||
            (is_leader(t) && (!p->zombie || p->parent == process_current())))
            return false;
        ret->status = is_leader(t) ? p->exit_code : t->trace.code;
        ret->code = ret->status & WCOREFLAG ? CLD_DUMPED
                    : ret->status & 0x7f    ? CLD_KILLED
                                            : CLD_EXITED;
        return true;
    }
    spin_lock(&t->process->sig_lock);
    if (t->trace.stopped && !t->trace.listening && t->trace.code) {
        ret->code = CLD_TRAPPED;
        ret->status = t->trace.code << 8 | 0x7f;
        if (!(r->options & WNOWAIT))
            t->trace.code = 0;
        found = true;
    }
    spin_unlock(&t->process->sig_lock);
    return found;
}

/* One look at the tracees, as look below. */
static unsigned look_tracees(struct process *p, const struct wait_request *r,
                             struct wait_result *ret, struct thread **ret_found)
{
    struct thread *t;
    unsigned n = 0;
    *ret_found = NULL;
    DL_FOREACH2(p->tracees, t, trace.next)
    {
        if (!tracee_matches(t, r))
            continue;
        n++;
        if (report_tracee(t, r, ret)) {
            ret->pid = t->tid;
            ret->uid = t->cred ? t->cred->uid : 0;
            thread_get(t);
            *ret_found = t;
            break;
        }
    }
    return n;
}

/* The end of t has been waited for by its tracer. What is left of a process whose parent is another one is the parent's.
 * process_lock is held. True: the process was reaped and its table's reference is to be dropped; the list's of t always. */
static bool release_tracee(struct thread *t)
{
    struct process *p = t->process;
    spin_lock(&t->process->sig_lock);
    trace_unlink(t);
    spin_unlock(&t->process->sig_lock);
    if (t != p->traced_leader) {
        pid_unuse(t->tid);
        return false;
    }
    p->traced_leader = NULL;
    return process_report_end(p);
}

/* c has been waited for: its times become the parent's, its number free. */
static void reap(struct process *parent, struct process *c)
{
    usage_reap(parent, c);
    process_unlink(c);
}

/* The dead leader of c, which its parent traced itself; NULL. Its list's reference is the caller's. */
static struct thread *forget_leader(struct process *c)
{
    struct thread *t = c->traced_leader;
    if (t) {
        spin_lock(&t->process->sig_lock);
        trace_unlink(t);
        spin_unlock(&t->process->sig_lock);
        c->traced_leader = NULL;
    }
    return t;
}

/* One look at the children: their number that match; *ret_found is the one that told something. process_lock is held. */
static unsigned look(struct process *p, const struct wait_request *r, struct wait_result *ret,
                     struct process **ret_found)
{
    struct process *c;
    unsigned n = 0;
    *ret_found = NULL;
    DL_FOREACH2(p->children, c, sibling_next)
    {
        if (!matches(c, r))
            continue;
        n++;
        if (report(c, r, ret)) {
            ret->pid = c->pid;
            ret->uid = process_uid(c);
            *ret_found = c;
            break;
        }
    }
    return n;
}

/* What one look found and what is to be let go after the locks. */
struct found {
    struct process *child;   /* a reference */
    struct thread *tracee;   /* a reference */
    struct thread *released; /* its list's reference */
    bool reaped;             /* the table's reference of the process */
};

/* Look at children and tracees under process_lock. How many there are to wait for. */
static unsigned find(struct process *p, const struct wait_request *r, struct wait_result *ret,
                     struct found *f)
{
    bool take = !(r->options & WNOWAIT);
    *f = (struct found){ 0 };
    spin_lock(&process_lock);
    unsigned n = look(p, r, ret, &f->child);
    if (f->child) {
        process_get(f->child);
        f->reaped = f->child->zombie && r->options & WEXITED && ret->code <= CLD_DUMPED && take;
        if (f->reaped) {
            f->released = forget_leader(f->child);
            reap(p, f->child);
        }
    } else if (p->tracees) {
        n += look_tracees(p, r, ret, &f->tracee);
        if (f->tracee && f->tracee->trace.dead && take) {
            f->child = f->tracee->process;
            process_get(f->child);
            f->released = f->tracee;
            f->reaped = release_tracee(f->tracee);
        }
    }
    spin_unlock(&process_lock);
    return n;
}

static void usage(struct found *f, struct wait_result *ret)
{
    struct process *p = f->child ? f->child : f->tracee->process;
    process_rusage(p, RUSAGE_BOTH, &ret->usage);
    if (f->reaped)
        process_release(p);
    if (f->child)
        process_put(f->child);
    if (f->released)
        thread_put(f->released);
    if (f->tracee)
        thread_put(f->tracee);
}

int process_wait(const struct wait_request *r, struct wait_result *ret)
{
    struct process *p = process_current();
    struct found f;
    struct waiter w;
    int err = 0;
    *ret = (struct wait_result){ 0 };
    waitq_add(&p->child_wait, &w);
    for (;;) {
        thread_prepare_sleep(SLEEP_INTERRUPTIBLE);
        unsigned n = find(p, r, ret, &f);
        if (f.child || f.tracee) {
            usage(&f, ret);
            break;
        }
        if (!n)
            err = -ECHILD;
        if (!n || r->options & WNOHANG)
            break;
        if (thread_sleep(NO_DEADLINE)) {
            err = -ERESTARTSYS;
            break;
        }
    }
    thread_finish_sleep();
    waitq_remove(&p->child_wait, &w);
    return err;
}
