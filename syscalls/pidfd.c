/* SPDX-License-Identifier: MIT */
/* Descriptors that stand for processes: pidfd_open(2), pidfd_send_signal(2), pidfd_getfd(2). */
#include "signal_to.h"
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

/* Whom a signal goes to. */
struct target {
    struct process *process; /* a reference, as is the next one */
    struct thread *thread;   /* NULL: anyone of the process */
    unsigned scope;          /* PIDFD_SIGNAL_* */
};

/* What is sent: the program's own words, as far as it may speak for others, or who it is. */
static int signal_info(const struct target *to, int sig, user_siginfo_in_t user,
                       struct abi_siginfo *ret)
{
    *ret = (struct abi_siginfo){
        .si_signo = sig,
        .si_code = to->scope == PIDFD_SIGNAL_THREAD ? SI_TKILL : SI_USER,
        .rt = { .si_pid = process_current()->pid, .si_uid = thread_current()->cred->uid },
    };
    if (user_is_null(user))
        return 0;
    if (user_get(ret, user, 1) < 0)
        return -EFAULT;
    if (ret->si_signo != sig)
        return -EINVAL;
    bool self = to->process == process_current() && to->scope != PIDFD_SIGNAL_PROCESS_GROUP;
    return !self && (ret->si_code >= 0 || ret->si_code == SI_TKILL) ? -EPERM : 0;
}

/* What a signal may be sent to: a pidfd, /proc/PID, or the caller himself. Without a scope, what the descriptor stands for. */
static int target_of(int fd, struct target *to)
{
    unsigned file_flags;
    struct file *f;
    int err = 0;
    to->thread = NULL;
    if (fd == PIDFD_SELF_THREAD || fd == PIDFD_SELF_THREAD_GROUP) {
        to->process = process_current();
        process_get(to->process);
        to->thread = fd == PIDFD_SELF_THREAD ? thread_current() : NULL;
        if (to->thread)
            thread_get(to->thread);
    } else {
        err = pidfd_target(fd, &to->process, &to->thread, &file_flags);
    }
    if (!to->scope)
        to->scope = !err && to->thread ? PIDFD_SIGNAL_THREAD : PIDFD_SIGNAL_THREAD_GROUP;
    if (err != -EBADF)
        return err;
    err = fd_get(fd, &f);
    if (err)
        return err;
    err = procfs_process(f, &to->process);
    file_put(f);
    return err;
}

/* To one thread: that of the descriptor, or the leader. */
static int send_to_thread(struct target *to, int sig, const struct abi_siginfo *info)
{
    struct thread *t = to->thread;
    if (t)
        thread_get(t);
    else if (!(t = process_some_thread(to->process)))
        return -ESRCH;
    int err = thread_alive(t) ? signal_permission_thread(t, sig) : -ESRCH;
    if (!err && sig)
        err = signal_send_thread(t, info);
    thread_put(t);
    return err;
}

static int send_to_process(struct target *to, int sig, const struct abi_siginfo *info)
{
    if (to->process->reaped || (to->thread && !thread_alive(to->thread)))
        return -ESRCH;
    int err = signal_permission(to->process, sig);
    return !err && sig ? signal_send_process(to->process, info) : err;
}

long sys_pidfd_send_signal(int pidfd, int sig, user_siginfo_in_t info, unsigned flags)
{
    const unsigned all =
        PIDFD_SIGNAL_THREAD | PIDFD_SIGNAL_THREAD_GROUP | PIDFD_SIGNAL_PROCESS_GROUP;
    struct target to = { .scope = flags };
    struct abi_siginfo si;
    if (flags & ~all || flags & (flags - 1))
        return -EINVAL;
    long err = target_of(pidfd, &to);
    if (err)
        return err;
    err = signal_info(&to, sig, info, &si);
    if (!err && (sig < 0 || sig > ABI_NSIG))
        err = -EINVAL;
    int number = to.thread ? to.thread->tid : to.process->pid;
    if (!err)
        err = to.scope == PIDFD_SIGNAL_THREAD         ? send_to_thread(&to, sig, &si)
              : to.scope == PIDFD_SIGNAL_THREAD_GROUP ? send_to_process(&to, sig, &si)
                                                      : signal_to_group(number, sig, &si);
    if (to.thread)
        thread_put(to.thread);
    process_put(to.process);
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
