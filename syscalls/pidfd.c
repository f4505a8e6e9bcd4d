/* SPDX-License-Identifier: MIT */
/* Descriptors that stand for processes: pidfd_open(2), pidfd_send_signal(2), pidfd_getfd(2). */
#include "sys_proto.h"
#include <abi/errno.h>
#include <abi/fcntl.h>
#include <abi/sched.h>
#include <libos/access.h>
#include <libos/file.h>
#include <libos/pidfd.h>
#include <libos/procfs.h>
#include <libos/signal.h>
#include <libos/user.h>

long sys_pidfd_open(int pid, unsigned flags)
{
    struct file *f;
    if (pid <= 0)
        return -EINVAL;
    int err = pidfd_open(pid, flags, &f);
    return err ? err : fd_install(f, true);
}

/* What is sent: the program's own words, as far as it may speak for others, or who it is. */
static int signal_info(struct process *p, int sig, user_siginfo_in_t user, struct abi_siginfo *ret)
{
    *ret = (struct abi_siginfo){
        .si_signo = sig,
        .si_code = SI_USER,
        .rt = { .si_pid = process_current()->pid, .si_uid = thread_current()->cred->uid },
    };
    if (user_is_null(user))
        return 0;
    if (user_get(ret, user, 1) < 0)
        return -EFAULT;
    if (ret->si_signo != sig)
        return -EINVAL;
    return p != process_current() && (ret->si_code >= 0 || ret->si_code == SI_TKILL) ? -EPERM : 0;
}

/* What a signal may be sent to: a pidfd, or /proc/PID. */
static int process_of(int fd, struct process **ret_p)
{
    unsigned file_flags;
    struct file *f;
    int err = pidfd_process(fd, ret_p, &file_flags);
    if (err != -EBADF)
        return err;
    err = fd_get(fd, &f);
    if (err)
        return err;
    err = procfs_process(f, ret_p);
    file_put(f);
    return err;
}

long sys_pidfd_send_signal(int pidfd, int sig, user_siginfo_in_t info, unsigned flags)
{
    struct abi_siginfo si;
    struct process *p;
    if (flags)
        return -EINVAL;
    int err = process_of(pidfd, &p);
    if (err)
        return err;
    err = signal_info(p, sig, info, &si);
    if (!err && p->reaped)
        err = -ESRCH;
    if (!err && (sig < 0 || sig > ABI_NSIG))
        err = -EINVAL;
    if (!err)
        err = signal_permission(p, sig);
    if (!err && sig)
        err = signal_send_process(p, &si);
    process_put(p);
    return err;
}

/* The file of descriptor fd of p. */
static int file_of(struct process *p, int fd, struct file **ret_file)
{
    struct thread *t = process_some_thread(p);
    if (!t)
        return -ESRCH;
    int err = thread_may_access(t, ACCESS_ATTACH | ACCESS_REALCREDS);
    if (!err) {
        struct fd_table *fds = thread_fds_get(t);
        *ret_file = fds ? fd_table_file(fds, fd) : NULL;
        err = *ret_file ? 0 : -EBADF;
        if (fds)
            fd_table_put(fds);
    }
    thread_put(t);
    return err;
}

long sys_pidfd_getfd(int pidfd, int fd, unsigned flags)
{
    struct process *p;
    struct file *f = NULL;
    unsigned file_flags;
    if (flags)
        return -EINVAL;
    int err = pidfd_process(pidfd, &p, &file_flags);
    if (err)
        return err;
    err = file_of(p, fd, &f);
    process_put(p);
    return err ? err : fd_install(f, true);
}
