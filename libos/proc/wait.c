/* SPDX-License-Identifier: MIT */
/* Waiting for children: wait4(2), waitid(2). Lock: process_lock. */
#include "pid.h"
#include "proc.h"
#include <abi/errno.h>
#include <abi/sched.h>
#include <libos/waitq.h>
#include <utlist.h>

static bool matches(const struct process *c, const struct wait_request *r)
{
    bool is_clone = c->exit_signal != SIGCHLD;
    if (!(r->options & __WALL) && is_clone != !!(r->options & __WCLONE))
        return false;
    switch (r->which) {
    case P_PID:
        return c->pid == r->id;
    case P_PGID:
        return c->pgid == r->id;
    default:
        return true;
    }
}

/* Has c something to tell? Fills ret. Takes the state change unless WNOWAIT. */
static bool report(struct process *c, const struct wait_request *r, struct wait_result *ret)
{
    bool take = !(r->options & WNOWAIT);
    int sig = c->exit_code & 0x7f;
    if (c->zombie && r->options & WEXITED) {
        ret->code = sig ? CLD_KILLED : CLD_EXITED;
        ret->status = c->exit_code;
        return true;
    }
    if (c->stopped && c->stop_signal && r->options & WSTOPPED) {
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

/* c has been waited for: its times become the parent's, its number free. */
static void reap(struct process *parent, struct process *c)
{
    parent->child_run_ns += c->dead_run_ns + c->child_run_ns;
    parent->child_user_ns += c->dead_user_ns + c->child_user_ns;
    parent->child_faults_minor += c->dead_faults_minor + c->child_faults_minor;
    parent->child_faults_major += c->dead_faults_major + c->child_faults_major;
    process_unlink(c);
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
            *ret_found = c;
            break;
        }
    }
    return n;
}

int process_wait(const struct wait_request *r, struct wait_result *ret)
{
    struct process *p = process_current(), *c;
    struct waiter w;
    int err = 0;
    *ret = (struct wait_result){ 0 };
    waitq_add(&p->child_wait, &w);
    for (;;) {
        thread_prepare_sleep(SLEEP_INTERRUPTIBLE);
        spin_lock(&process_lock);
        unsigned n = look(p, r, ret, &c);
        bool reaped = c && c->zombie && r->options & WEXITED && ret->code <= CLD_DUMPED &&
                      !(r->options & WNOWAIT);
        if (c)
            process_get(c);
        if (reaped)
            reap(p, c);
        spin_unlock(&process_lock);
        if (c) {
            process_rusage(c, RUSAGE_SELF, &ret->usage);
            process_put(c);
            if (reaped)
                process_put(c); /* the table's */
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
