/* SPDX-License-Identifier: MIT */
/* clone(2): a thread of this process, or a process of its own; each object shared or copied by its flag. */
#include "pid.h"
#include "proc.h"
#include <abi/errno.h>
#include <abi/prctl.h>
#include <abi/sched.h>
#include <libos/file.h>
#include <libos/ipc.h>
#include <libos/mm.h>
#include <libos/pidfd.h>
#include <libos/seccomp.h>
#include <libos/trace.h>
#include <libos/sched.h>
#include <libos/user.h>
#include <libos/vfs.h>
#include <plat/thread.h>
#include <string.h>
#include <utlist.h>

#define NAMESPACES                                                                                 \
    (CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID |  \
     CLONE_NEWNET | CLONE_NEWTIME)

static int check_flags(const struct clone_request *r)
{
    uint64_t f = r->flags;
    if (f & CLONE_THREAD && !(f & CLONE_SIGHAND))
        return -EINVAL;
    if (f & CLONE_SIGHAND && (!(f & CLONE_VM) || f & CLONE_CLEAR_SIGHAND))
        return -EINVAL;
    if (f & CLONE_FS && f & (CLONE_NEWNS | CLONE_NEWUSER))
        return -EINVAL;
    if (f & CLONE_THREAD && f & (CLONE_NEWUSER | CLONE_NEWPID))
        return -EINVAL;
    if (f & CLONE_NEWUSER)
        return -EINVAL; /* as a kernel that was built without any */
    if (f & NAMESPACES)
        return cred_capable(CAP_SYS_ADMIN) ? -EINVAL : -EPERM;
    if (f & CLONE_PIDFD && f & CLONE_DETACHED)
        return -EINVAL;
    return 0;
}

/* First code of a new thread, on its own stack: it goes to ring 3 when this returns. */
static void child_begin(void *arg)
{
    struct thread *t = thread_current();
    if (t->set_child_tid && user_put(user_at(user_int_out_t, t->set_child_tid), &t->tid, 1) < 0)
        return; /* as Linux: the program asked for it at a bad address and does not hear of it */
}

/* Give t what it shares with the current thread, or a copy. On failure t has what it has; thread_put cleans up. */
static int share_objects(struct thread *t, struct thread *from, uint64_t flags)
{
    int err = thread_set_cred(t, from->cred);
    if (err)
        return err;
    from->over_limit = false;
    if (!(flags & CLONE_THREAD)) { /* a thread gets its filters when it is published */
        spin_lock(&from->process->sig_lock);
        seccomp_inherit(t, from);
        spin_unlock(&from->process->sig_lock);
    }
    err = sem_share_undo(t, flags & CLONE_SYSVSEM);
    if (err)
        return err;
    if (flags & CLONE_SIGHAND)
        t->sighand = sighand_get(from->sighand);
    else
        err = sighand_copy(from->sighand, flags & CLONE_CLEAR_SIGHAND, &t->sighand);
    if (err)
        return err;
    if (from->fs && flags & CLONE_FS) {
        from->fs->refs++;
        t->fs = from->fs;
    } else if (from->fs && !(t->fs = fs_context_copy(from->fs))) {
        return -ENOMEM;
    }
    if (from->fds && flags & CLONE_FILES) {
        from->fds->refs++;
        t->fds = from->fds;
    } else if (from->fds && (err = fd_table_copy(from->fds, &t->fds))) {
        return err;
    }
    if (from->mm && flags & CLONE_VM) {
        mm_get(from->mm);
        t->mm = from->mm;
    } else if (from->mm && (err = mm_fork(from->mm, &t->mm))) {
        return err;
    }
    return 0;
}

static void drop_objects(struct thread *t)
{
    seccomp_exit(t);
    sem_leave_undo(t);
    if (t->mm)
        mm_put(t->mm);
    if (t->fds)
        fd_table_put(t->fds);
    if (t->fs)
        fs_context_put(t->fs);
    t->mm = NULL;
}

/* Registers, TLS and the addresses that the flags name. */
static int set_registers(struct thread *t, struct thread *from, const struct clone_request *r)
{
    plat_thread_copy(&t->plat, &from->plat);
    plat_frame_set_ret(t->plat.frame, 0);
    if (r->stack)
        plat_frame_set_sp(t->plat.frame, r->stack);
    if (r->flags & CLONE_SETTLS) {
        int err = plat_thread_set_fs(&t->plat, r->tls);
        if (err)
            return err;
    }
    if (r->flags & CLONE_CHILD_SETTID)
        t->set_child_tid = r->child_tid;
    if (r->flags & CLONE_CHILD_CLEARTID)
        t->clear_child_tid = r->child_tid;
    if (!(r->flags & CLONE_VM)) { /* a copy of the address space has a copy of these */
        t->rseq = from->rseq;
        t->rseq_len = from->rseq_len;
        t->rseq_sig = from->rseq_sig;
        t->rseq_cpu = from->rseq_cpu;
        if (t->rseq && t->rseq_cpu != t->cpu)
            thread_set_work(t, WORK_TASK);
    }
    if (!(r->flags & CLONE_VM) || r->flags & CLONE_VFORK) {
        t->alt_sp = from->alt_sp;
        t->alt_size = from->alt_size;
        t->alt_flags = from->alt_flags;
    } else {
        t->alt_flags = SS_DISABLE;
    }
    return 0;
}

/* Put a new process into the tree. process_lock is held. */
static void adopt(struct process *p, struct thread *t, const struct clone_request *r)
{
    struct process *cur = process_current();
    p->made_by = thread_current()->tid;
    p->exit_signal = r->flags & CLONE_PARENT ? cur->exit_signal : r->exit_signal;
    process_link(p, cur, t->tid);
    if (r->flags & CLONE_PARENT && cur->parent) {
        DL_DELETE2(cur->children, p, sibling_prev, sibling_next);
        p->parent = cur->parent;
        p->made_by = cur->made_by;
        DL_APPEND2(p->parent->children, p, sibling_prev, sibling_next);
    }
}

/* Let t and its process be found, at once: a process that can be found has a thread that signals reach. A signal to the group
 * of a fork reaches the child too, or comes first: then the call starts again after it. -EINTR. */
static int publish(struct thread *t, const struct clone_request *r, bool traced)
{
    struct process *p = t->process;
    int err = 0;
    spin_lock(&process_lock);
    if (p != process_current()) {
        if (thread_interrupted(thread_current()))
            err = -EINTR;
        else
            adopt(p, t, r);
    }
    if (!err)
        err = thread_publish_locked(t, traced);
    spin_unlock(&process_lock);
    if (!err)
        thread_published(t);
    return err;
}

/* There will be no child, whose descriptor was given already; -1: none was. */
static void take_pidfd(struct process *p, const struct clone_request *r, int fd)
{
    if (fd < 0)
        return;
    if (!(r->flags & CLONE_THREAD))
        p->reaped = true; /* for whoever duplicated the descriptor meanwhile */
    (void)fd_close(fd);   /* another thread may have done so */
}

/* CLONE_PIDFD: a descriptor for the child, before anything of it can be found, so that the call can still fail. */
static int give_pidfd(struct process *p, struct thread *t, const struct clone_request *r,
                      int *ret_fd)
{
    struct file *f;
    bool single = r->flags & CLONE_THREAD;
    int err = pidfd_create(p, single ? t : NULL, 0, &f);
    if (err)
        return err;
    int fd = fd_install(f, true);
    if (fd < 0)
        return fd;
    *ret_fd = fd;
    if (user_put(user_at(user_int_out_t, r->pidfd), &fd, 1) == 0)
        return 0;
    take_pidfd(p, r, fd);
    return -EFAULT;
}

static void wait_vfork(struct completion *c)
{
    struct waiter w;
    waitq_add(&c->wait, &w);
    /* Uninterruptible, as the child has the stack: thread_sleep gives 0. */
    while (thread_prepare_sleep(SLEEP_UNINTERRUPTIBLE), !c->done && !thread_sleep(NO_DEADLINE))
        ;
    thread_finish_sleep();
    waitq_remove(&c->wait, &w);
}

/* Everything of the child but its publication. */
static int make_child(struct process *p, const struct clone_request *r, struct thread **ret_thread,
                      int *ret_pidfd)
{
    struct thread *from = thread_current(), *t;
    int err = thread_create(p, r->tid, child_begin, NULL, &t);
    if (err)
        return err == -ENOMEM ? -EAGAIN : err;
    err = share_objects(t, from, r->flags);
    if (!err)
        err = set_registers(t, from, r);
    if (!err && r->flags & CLONE_PARENT_SETTID &&
        user_put(user_at(user_int_out_t, r->parent_tid), &t->tid, 1) < 0)
        err = 0; /* as Linux: the program does not hear of a bad address */
    if (!err && p != process_current())
        p->sighand = sighand_get(t->sighand);
    if (!err && r->flags & CLONE_PIDFD)
        err = give_pidfd(p, t, r, ret_pidfd);
    if (err) {
        drop_objects(t);
        thread_discard(t);
        return err;
    }
    *ret_thread = t;
    return 0;
}

long process_clone(const struct clone_request *r)
{
    struct process *cur = process_current(), *p = cur;
    struct completion done;
    struct thread *t;
    int pidfd = -1, err = check_flags(r);
    if (err)
        return err;
    if (thread_interrupted(thread_current()))
        return -ERESTARTNOINTR; /* see publish; this is before all the work */
    if (!(r->flags & CLONE_THREAD) && !(p = process_create()))
        return -ENOMEM;
    err = make_child(p, r, &t, &pidfd);
    if (err) {
        if (p != cur)
            process_put(p);
        return err;
    }
    int tid = t->tid;
    completion_init(&done);
    if (r->flags & CLONE_VFORK)
        t->vfork_done = &done;
    unsigned event = trace_clone_event(r->flags, r->exit_signal);
    trace_update_calls(t); /* not published: nobody else can see it */
    err = publish(t, r, event || r->flags & CLONE_PTRACE);
    if (err) {
        take_pidfd(p, r, pidfd);
        drop_objects(t);
        thread_discard(t);
        if (p != cur)
            process_put(p);
        return -ERESTARTNOINTR;
    }
    if (p != cur)
        process_put(p); /* the table's reference keeps it */
    sched_start(t);
    if (event)
        trace_event(event, (unsigned long)tid);
    if (r->flags & CLONE_VFORK) {
        wait_vfork(&done);
        trace_event(PTRACE_EVENT_VFORK_DONE, (unsigned long)tid);
    }
    return tid;
}

int thread_create_worker(const char *name, void (*fn)(void *), void *arg,
                         struct thread **ret_thread)
{
    struct thread *from = thread_current(), *t;
    int err = thread_create(process_current(), 0, fn, arg, &t);
    if (err)
        return err;
    t->is_worker = true;
    t->sigmask = ~0ull;
    strncpy(t->comm, name, sizeof(t->comm) - 1);
    err = share_objects(
        t, from, CLONE_THREAD | CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_SYSVSEM);
    if (!err)
        err = thread_publish(t, false);
    if (err) {
        drop_objects(t);
        thread_discard(t);
        return err;
    }
    *ret_thread = t;
    return 0;
}
