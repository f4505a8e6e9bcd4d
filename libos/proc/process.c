/* SPDX-License-Identifier: MIT */
/* Processes: the tree, references, the first one. Lock: process_lock guards the tree and the pid table. */
#include "pid.h"
#include "proc.h"
#include <abi/errno.h>
#include <abi/poll.h>
#include <abi/sched.h>
#include <libos/dump.h>
#include <libos/file.h>
#include <libos/heap.h>
#include <libos/sched.h>
#include <libos/vfs.h>
#include <plat/time.h>
#include <string.h>
#include <utlist.h>

static struct slab process_slab = SLAB_INIT("process", struct process);
static struct process *first_process; /* guarded by process_lock */
static _Atomic unsigned processes;

struct process *process_first(void)
{
    return first_process;
}

unsigned process_count(void)
{
    return processes;
}

static struct process *process_alloc(void)
{
    struct process *p = slab_alloc(&process_slab);
    if (!p)
        return NULL;
    memset(p, 0, sizeof(*p));
    p->refs = 1;
    waitq_init(&p->child_wait);
    waitq_init(&p->exit_wait);
    waitq_init(&p->signal_wait);
    spin_init(&p->sig_lock, RANK_SIGNAL);
    spin_init(&p->limits_lock, RANK_FILE);
    process_init_timers(p);
    p->core_filter = DUMP_DEFAULT;
    p->start_time_ns = plat_time_ns();
    processes++;
    return p;
}

struct process *process_create(void)
{
    struct process *p = process_alloc(), *parent = process_current();
    if (!p)
        return NULL;
    spin_lock(&parent->limits_lock);
    memcpy(p->rlimits, parent->rlimits, sizeof(p->rlimits));
    spin_unlock(&parent->limits_lock);
    p->cmdline = parent->cmdline ? heap_strdup(parent->cmdline) : NULL;
    p->oom_score_adj = parent->oom_score_adj;
    p->core_filter = parent->core_filter;
    return p;
}

/* Give p, not yet in the tree, its place and its number. process_lock is held. */
void process_link(struct process *p, struct process *parent, int pid)
{
    p->pid = pid;
    p->parent = parent;
    p->pgid = parent ? parent->pgid : pid;
    p->sid = parent ? parent->sid : pid;
    p->tty = parent ? parent->tty : NULL;
    pid_use(p->pgid);
    pid_use(p->sid);
    pid_slot(pid)->process = p;
    process_get(p);
    if (parent)
        DL_APPEND2(parent->children, p, sibling_prev, sibling_next);
}

uint32_t process_uid(const struct process *p)
{
    const struct thread *t = p->leader ? p->leader : p->threads;
    return p->ended_account ? p->ended_account->uid : t ? t->cred->uid : 0;
}

/* Take p out of the table and the tree. process_lock is held. */
void process_unlink(struct process *p)
{
    struct pid_slot *s = pid_slot(p->pid);
    if (p->parent)
        DL_DELETE2(p->parent->children, p, sibling_prev, sibling_next);
    p->parent = NULL;
    p->reaped = true;
    if (waitq_active(&p->exit_wait)) /* pidfds: EPOLLHUP from now on */
        waitq_wake(&p->exit_wait, WAITQ_ALL, EPOLLIN | EPOLLRDNORM | EPOLLHUP);
    process_uncount(p);
    spin_lock(&p->sig_lock);
    sigpending_clear(&p->pending); /* nobody took these, and nothing more is queued */
    spin_unlock(&p->sig_lock);
    pid_unuse(p->pgid);
    pid_unuse(p->sid);
    s->process = NULL;
}

void process_release(struct process *p)
{
    spin_lock(&p->sig_lock);
    struct thread *t = p->ended_leader;
    p->ended_leader = NULL;
    spin_unlock(&p->sig_lock);
    if (t)
        thread_put(t);
    process_put(p);
}

int process_create_first(void (*fn)(void *), void *arg, struct thread **ret_thread)
{
    struct process *p = process_alloc();
    struct thread *t;
    if (!p)
        return -ENOMEM;
    int err = thread_create(p, 0, fn, arg, &t);
    if (err) {
        process_put(p);
        return err;
    }
    t->affinity = UINT64_MAX;
    t->policy = SCHED_OTHER;
    t->nice = 0;
    sched_classify(t);
    t->timer_slack_ns = 50000;
    t->cred = cred_create_root();
    t->counted = t->cred && account_add(t->cred->account, ACCOUNT_THREADS, 1);
    t->sighand = sighand_create();
    t->fds = fd_table_create();
    t->fs = fs_context_create();
    if (!t->cred || !t->sighand || !t->fds || !t->fs) {
        thread_discard(t);
        process_put(p);
        return -ENOMEM;
    }
    limits_init(p);
    p->sighand = sighand_get(t->sighand);
    p->leader = t;
    p->exit_signal = SIGCHLD;
    p->is_session_leader = true;
    spin_lock(&process_lock);
    first_process = p;
    process_link(p, NULL, t->tid);
    spin_unlock(&process_lock);
    err = thread_publish(t, false);
    process_put(p); /* the table has its own reference */
    *ret_thread = t;
    return err;
}

void process_get(struct process *p)
{
    p->refs++;
}

void process_put(struct process *p)
{
    if (--p->refs)
        return;
    if (p->sighand)
        sighand_put(p->sighand);
    heap_free(p->cmdline);
    slab_free(&process_slab, p);
    processes--;
}

struct process *process_find_locked(int pid)
{
    struct pid_slot *s = pid_slot(pid);
    return s ? s->process : NULL;
}

struct process *process_find(int pid)
{
    spin_lock(&process_lock);
    struct process *p = process_find_locked(pid);
    if (p)
        process_get(p);
    spin_unlock(&process_lock);
    return p;
}

int process_next(int from)
{
    spin_lock(&process_lock);
    int pid = pid_next(from > 0 ? from : 1);
    while (pid < PID_MAX && !process_find_locked(pid))
        pid = pid_next(pid + 1);
    spin_unlock(&process_lock);
    return pid < PID_MAX ? pid : -1;
}

int process_each(int pgid, int (*fn)(struct process *p, void *arg), void *arg)
{
    int ret = 0;
    for (int pid = pid_next(1); pid < PID_MAX && !ret; pid = pid_next(pid + 1)) {
        struct process *p = process_find_locked(pid);
        if (p && (!pgid || p->pgid == pgid))
            ret = fn(p, arg);
    }
    return ret;
}
