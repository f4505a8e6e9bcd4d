/* SPDX-License-Identifier: MIT */
/* Files that stand for a process, or (PIDFD_THREAD) for one of its threads. The file keeps the structures, which say by themselves
 * that the process was reaped, or the thread is gone; their numbers may be others' by then. Readable once what it stands
 * for has ended. pidfd_open(2). Lock: process_lock. */
#include <libos/pidfd.h>

#include "pid.h"
#include <abi/errno.h>
#include <abi/fcntl.h>
#include <abi/poll.h>
#include <abi/sched.h>
#include <libos/file.h>
#include <libos/heap.h>
#include <libos/poll.h>
#include <libos/user.h>
#include <stdio.h>

enum { IOC_INFO = 11, IOC_TYPE = 0xff, IOC_NAMESPACE_LAST = 10 };

struct pidfd {
    struct process *process; /* a reference */
    struct thread *thread;   /* a reference; NULL: it stands for the process */
};

/* Is the thread over? process_lock is held. */
static bool thread_gone(const struct thread *t)
{
    const struct pid_slot *s = pid_slot(t->tid);
    return !s || s->thread != t;
}

/* Is what it stands for known no more? process_lock is held. The leader's number stays until its process is reaped. */
static bool is_reaped(const struct pidfd *d)
{
    const struct process *p = d->process;
    bool leader = !d->thread || d->thread == p->leader || d->thread == p->ended_leader;
    return leader ? p->reaped : thread_gone(d->thread);
}

static unsigned pidfd_poll(struct file *f, struct poll_table *pt)
{
    const struct pidfd *d = f->data;
    poll_wait(pt, &d->process->exit_wait);
    spin_lock(&process_lock);
    bool reaped = is_reaped(d);
    bool ended = reaped || (d->thread ? thread_gone(d->thread) : d->process->zombie);
    spin_unlock(&process_lock);
    return (ended ? EPOLLIN | EPOLLRDNORM : 0) | (reaped ? EPOLLHUP : 0);
}

static void pidfd_release(struct file *f)
{
    struct pidfd *d = f->data;
    if (d->thread)
        thread_put(d->thread);
    process_put(d->process);
    heap_free(d);
}

static void pidfd_fdinfo(struct file *f, char *buf, size_t size)
{
    const struct pidfd *d = f->data;
    spin_lock(&process_lock);
    int pid = is_reaped(d) ? -1 : d->thread ? d->thread->tid : d->process->pid;
    spin_unlock(&process_lock);
    snprintf(buf, size, "Pid:\t%d\nNSpid:\t%d\n", pid, pid);
}

/* What is known of it, and of wanted; -ESRCH: nothing any more. */
static int fill_info(const struct pidfd *d, uint64_t wanted, struct abi_pidfd_info *i)
{
    struct process *p = d->process;
    spin_lock(&process_lock);
    bool reaped = is_reaped(d);
    const struct thread *t = d->thread ? d->thread : p->leader ? p->leader : p->ended_leader;
    t = t ? t : p->threads;
    if (!reaped && t) {
        const struct cred *c = t->cred;
        *i = (struct abi_pidfd_info){ .mask = PIDFD_INFO_PID | PIDFD_INFO_CREDS,
                                      .pid = (uint32_t)t->tid,
                                      .tgid = (uint32_t)p->pid,
                                      .ppid = p->parent ? (uint32_t)p->parent->pid : 0,
                                      .ruid = c->uid,
                                      .rgid = c->gid,
                                      .euid = c->euid,
                                      .egid = c->egid,
                                      .suid = c->suid,
                                      .sgid = c->sgid,
                                      .fsuid = c->fsuid,
                                      .fsgid = c->fsgid };
    } else if (wanted & PIDFD_INFO_EXIT) {
        *i =
            (struct abi_pidfd_info){ .mask = PIDFD_INFO_EXIT,
                                     .exit_code = d->thread ? d->thread->exit_code : p->exit_code };
    }
    spin_unlock(&process_lock);
    return i->mask ? 0 : -ESRCH;
}

/* PIDFD_GET_INFO, whose number has the size that the program knows of the structure. */
static int get_info(const struct pidfd *d, size_t size, uintptr_t user)
{
    struct abi_pidfd_info i = { 0 };
    uint64_t wanted;
    if (!user)
        return -EINVAL;
    if (size < PIDFD_INFO_SIZE_VER0)
        return -EINVAL;
    if (user_get(&wanted, user_at(user_u64_in_t, user), 1))
        return -EFAULT;
    int err = fill_info(d, wanted, &i);
    if (err)
        return err;
    const uint8_t none[64] = { 0 };
    size_t n = size < sizeof(i) ? size : sizeof(i);
    if (user_put(user_at(user_u8_out_t, user), (const uint8_t *)&i, n))
        return -EFAULT;
    for (; n < size; n += sizeof(none)) {
        size_t part = size - n < sizeof(none) ? size - n : sizeof(none);
        if (user_put(user_at(user_u8_out_t, user + n), none, part))
            return -EFAULT;
    }
    return 0;
}

static long pidfd_ioctl(struct file *f, unsigned cmd, unsigned long arg)
{
    unsigned nr = cmd & 0xff, size = cmd >> 16 & 0x3fff, direction = cmd >> 30;
    if ((cmd >> 8 & 0xff) != IOC_TYPE)
        return -ENOTTY;
    if (nr == IOC_INFO && direction == 3 && size >= PIDFD_INFO_SIZE_VER0)
        return get_info(f->data, size, arg);
    if (!nr || nr > IOC_NAMESPACE_LAST || size || direction)
        return -ENOTTY;
    return arg ? -EINVAL : -EOPNOTSUPP; /* as without name spaces */
}

static const struct file_ops pidfd_ops = {
    .poll = pidfd_poll, .ioctl = pidfd_ioctl, .release = pidfd_release, .fdinfo = pidfd_fdinfo
};

int pidfd_create(struct process *p, struct thread *t, unsigned flags, struct file **ret_file)
{
    struct pidfd *d = heap_alloc(sizeof(*d));
    if (!d)
        return -ENOMEM;
    *d = (struct pidfd){ .process = p, .thread = t };
    int err = file_create_anon(&pidfd_ops, "[pidfd]", O_RDWR | (t ? PIDFD_THREAD : 0) | flags, d,
                               ret_file);
    if (err) {
        heap_free(d);
        return err;
    }
    process_get(p);
    if (t)
        thread_get(t);
    return 0;
}

int pidfd_open(int pid, unsigned flags, struct file **ret_file)
{
    bool single = flags & PIDFD_THREAD;
    spin_lock(&process_lock);
    struct pid_slot *s = pid_slot(pid);
    struct thread *t = s && single ? s->thread : NULL;
    if (s && single && !t && s->process) /* a leader that ended */
        t = s->process->ended_leader;
    struct process *p = t ? t->process : s && !single ? s->process : NULL;
    bool known = s && (s->thread || s->process);
    if (t)
        thread_get(t);
    if (p)
        process_get(p);
    spin_unlock(&process_lock);
    if (!p)
        return known ? -ENOENT : -ESRCH;
    int err = pidfd_create(p, t, flags & ~(unsigned)PIDFD_THREAD, ret_file);
    if (t)
        thread_put(t);
    process_put(p);
    return err;
}

int pidfd_process(int fd, struct process **ret_p, unsigned *ret_flags)
{
    struct thread *t;
    int err = pidfd_target(fd, ret_p, &t, ret_flags);
    if (!err && t)
        thread_put(t);
    return err;
}

int pidfd_target(int fd, struct process **ret_p, struct thread **ret_t, unsigned *ret_flags)
{
    struct file *f;
    int err = fd_get(fd, &f);
    if (err)
        return err;
    bool is_pidfd = f->ops == &pidfd_ops;
    if (is_pidfd) {
        const struct pidfd *d = f->data;
        *ret_p = d->process;
        *ret_t = d->thread;
        *ret_flags = f->flags;
        process_get(*ret_p);
        if (*ret_t)
            thread_get(*ret_t);
    }
    file_put(f);
    return is_pidfd ? 0 : -EBADF;
}

bool thread_alive(const struct thread *t)
{
    spin_lock(&process_lock);
    bool gone = thread_gone(t);
    spin_unlock(&process_lock);
    return !gone;
}

struct thread *process_some_thread(struct process *p)
{
    spin_lock(&process_lock);
    struct thread *t = p->leader ? p->leader : p->threads;
    if (t)
        thread_get(t);
    spin_unlock(&process_lock);
    return t;
}
