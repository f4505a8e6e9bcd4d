/* SPDX-License-Identifier: MIT */
/* Processes: who they are, their end, waiting for children. wait(2), setpgid(2), credentials(7). */
#include "name.h"
#include "sys_proto.h"
#include <abi/errno.h>
#include <abi/fcntl.h>
#include <abi/prctl.h>
#include <abi/sched.h>
#include <libos/file.h>
#include <libos/load.h>
#include <libos/mount.h>
#include <libos/pidfd.h>
#include <libos/process.h>
#include <libos/procfs.h>
#include <libos/signal.h>
#include <libos/user.h>

long sys_getpid(void)
{
    return process_current()->pid;
}

long sys_getppid(void)
{
    return process_parent_pid();
}

long sys_exit_group(int status)
{
    process_exit_group((status & 0xff) << 8);
    thread_exit((status & 0xff) << 8);
}

long sys_setpgid(int pid, int pgid)
{
    if (pid < 0) /* 0 means the same group as the process */
        return pgid > 0 ? -ESRCH : -EINVAL;
    return process_set_group(pid, pgid);
}

long sys_getpgid(int pid)
{
    return pid < 0 ? -ESRCH : process_get_group(pid);
}

long sys_getpgrp(void)
{
    return process_get_group(0);
}

long sys_setsid(void)
{
    return process_new_session();
}

long sys_getsid(int pid)
{
    return pid < 0 ? -ESRCH : process_get_session(pid);
}

long sys_wait4(int pid, user_int_out_t status, unsigned options, user_rusage_out_t ru)
{
    struct wait_result r;
    struct wait_request q = { .which = P_ALL, .options = options | WEXITED };
    if (pid == INT32_MIN)
        return -ESRCH;
    if (pid < -1)
        q = (struct wait_request){ .which = P_PGID, .id = -pid, .options = options | WEXITED };
    else if (pid == 0)
        q = (struct wait_request){ .which = P_PGID,
                                   .id = process_get_group(0),
                                   .options = options | WEXITED };
    else if (pid > 0)
        q = (struct wait_request){ .which = P_PID, .id = pid, .options = options | WEXITED };
    int err = process_wait(&q, &r);
    if (err || !r.pid)
        return err;
    if (!user_is_null(status) && user_put(status, &r.status, 1) < 0)
        return -EFAULT;
    if (!user_is_null(ru) && user_put(ru, &r.usage, 1) < 0)
        return -EFAULT;
    return r.pid;
}

/* si_status: the exit status, or the signal's number. */
static int short_status(const struct wait_result *r)
{
    switch (r->code) {
    case CLD_EXITED:
        return r->status >> 8 & 0xff;
    case CLD_TRAPPED:
    case CLD_STOPPED:
        return r->status >> 8;
    case CLD_CONTINUED:
        return SIGCONT;
    default:
        return r->status & 0x7f;
    }
}

/* waitid for the process of a pidfd; a descriptor that does not block says so. */
static int wait_pidfd(int fd, unsigned options, struct wait_result *ret)
{
    struct wait_request q = { .which = P_PIDFD, .options = options };
    unsigned flags;
    int err = pidfd_process(fd, &q.process, &flags);
    if (err)
        return err;
    if (flags & O_NONBLOCK)
        q.options |= WNOHANG;
    err = process_wait(&q, ret);
    process_put(q.process);
    return !err && !ret->pid && !(options & WNOHANG) && flags & O_NONBLOCK ? -EAGAIN : err;
}

long sys_waitid(int which, int pid, user_siginfo_out_t info, unsigned options, user_rusage_out_t ru)
{
    struct wait_result r;
    struct wait_request q = { .which = which, .id = pid, .options = options };
    if (!(options & (WEXITED | WSTOPPED | WCONTINUED)))
        return -EINVAL;
    if ((which == P_PID && pid <= 0) || ((which == P_PGID || which == P_PIDFD) && pid < 0) ||
        which < P_ALL || which > P_PIDFD)
        return -EINVAL;
    if (which == P_PGID && !pid)
        q.id = process_get_group(0);
    int err = which == P_PIDFD ? wait_pidfd(pid, options, &r) : process_wait(&q, &r);
    if (err)
        return err;
    struct abi_siginfo si = { 0 };
    if (r.pid) {
        si.si_signo = SIGCHLD;
        si.si_code = r.code;
        si.chld.si_pid = r.pid;
        si.chld.si_uid = r.uid;
        si.chld.si_status = short_status(&r);
        if (!user_is_null(ru) && user_put(ru, &r.usage, 1) < 0)
            return -EFAULT;
    }
    /* Linux writes only the first members. */
    return user_is_null(info) ? 0
                              : user_put(user_cast(user_u8_out_t, info), (const uint8_t *)&si, 32);
}

long sys_personality(unsigned persona)
{
    struct thread *t = thread_current();
    unsigned old = t->personality;
    if (persona != UINT32_MAX)
        t->personality = persona;
    return old;
}

long sys_unshare(unsigned long flags)
{
    return process_unshare(flags);
}

long sys_setns(int fd, int nstype)
{
    struct fd_ref ref;
    struct fs_context *fs = thread_current()->fs;
    int err = fd_borrow(fd, &ref);
    if (err)
        return err;
    bool is_ns = proc_is_ns(ref.file);
    fd_return(&ref);
    if (!is_ns || (nstype && nstype != CLONE_NEWNS))
        return -EINVAL;
    if (!cred_capable(CAP_SYS_ADMIN) || !cred_capable(CAP_SYS_CHROOT))
        return -EPERM;
    if (atomic_load(&fs->refs) != 1)
        return -EINVAL; /* others would move along */
    mount_enter(fs);
    return 0;
}

long sys_execveat(int dfd, user_str_t path, user_addr_in_t argv, user_addr_in_t envp,
                  unsigned flags)
{
    struct name n;
    int err = name_get(&n, path);
    if (err)
        return err;
    err = exec_program(dfd, n.text, flags, argv.addr, envp.addr);
    name_put(&n);
    return err;
}

long sys_execve(user_str_t path, user_addr_in_t argv, user_addr_in_t envp)
{
    return sys_execveat(AT_FDCWD, path, argv, envp, 0);
}
