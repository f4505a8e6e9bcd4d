/* SPDX-License-Identifier: MIT */
/* Files that stand for a process. The file keeps the process structure, which says by itself that it was reaped; its number
 * may be another's by then. Readable once the process has ended. pidfd_open(2). Lock: process_lock. */
#include <libos/pidfd.h>

#include "pid.h"
#include <abi/errno.h>
#include <abi/fcntl.h>
#include <abi/poll.h>
#include <libos/file.h>
#include <libos/poll.h>
#include <stdio.h>

static unsigned pidfd_poll(struct file *f, struct poll_table *pt)
{
    struct process *p = f->data;
    poll_wait(pt, &p->exit_wait);
    spin_lock(&process_lock);
    bool ended = p->zombie || p->reaped;
    spin_unlock(&process_lock);
    return ended ? EPOLLIN | EPOLLRDNORM : 0;
}

static void pidfd_release(struct file *f)
{
    process_put(f->data);
}

static void pidfd_fdinfo(struct file *f, char *buf, size_t size)
{
    const struct process *p = f->data;
    int pid = *(const volatile bool *)&p->reaped ? -1 : p->pid;
    snprintf(buf, size, "Pid:\t%d\nNSpid:\t%d\n", pid, pid);
}

static const struct file_ops pidfd_ops = { .poll = pidfd_poll,
                                           .release = pidfd_release,
                                           .fdinfo = pidfd_fdinfo };

int pidfd_create(struct process *p, unsigned flags, struct file **ret_file)
{
    int err = file_create_anon(&pidfd_ops, "[pidfd]", O_RDWR | flags, p, ret_file);
    if (!err)
        process_get(p);
    return err;
}

int pidfd_open(int pid, unsigned flags, struct file **ret_file)
{
    spin_lock(&process_lock);
    struct pid_slot *s = pid_slot(pid);
    struct process *p = s ? s->process : NULL;
    if (p)
        process_get(p);
    spin_unlock(&process_lock);
    if (!p)
        return s ? -EINVAL : -ESRCH;
    int err = pidfd_create(p, flags, ret_file);
    process_put(p);
    return err;
}

int pidfd_process(int fd, struct process **ret_p, unsigned *ret_flags)
{
    struct file *f;
    int err = fd_get(fd, &f);
    if (err)
        return err;
    bool is_pidfd = f->ops == &pidfd_ops;
    if (is_pidfd) {
        *ret_p = f->data;
        *ret_flags = f->flags;
        process_get(*ret_p);
    }
    file_put(f);
    return is_pidfd ? 0 : -EBADF;
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
