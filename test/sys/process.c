/* SPDX-License-Identifier: MIT */
/* Ids, groups, sessions, waiting, prctl, fork where it exists. */
#define _GNU_SOURCE
#include <t.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static void ids(void)
{
    long pid = call(SYS_getpid);
    CHECK(true, pid > 0);
    CHECK(pid, call(SYS_gettid));
    CHECK(true, call(SYS_getppid) >= 0);
    CHECK(call(SYS_getpgrp), call(SYS_getpgid, 0));
    CHECK(call(SYS_getpgid, pid), call(SYS_getpgid, 0));
    CHECK(true, call(SYS_getsid, 0) >= 0);
    CHECK(-ESRCH, call(SYS_getpgid, 0x3ffff0));
    CHECK(-ESRCH, call(SYS_getsid, 0x3ffff0));
    CHECK(-EINVAL, call(SYS_setpgid, 0, -1));
    CHECK(-ESRCH, call(SYS_setpgid, 0x3ffff0, 0));
}

static void no_children(void)
{
    int status;
    siginfo_t si;
    CHECK(-ECHILD, call(SYS_wait4, -1, &status, 0, NULL));
    CHECK(-ECHILD, call(SYS_wait4, 0x3ffff0, &status, WNOHANG, NULL));
    CHECK(-EINVAL, call(SYS_wait4, -1, &status, 0x100, NULL));
    CHECK(-ECHILD, call(SYS_waitid, P_ALL, 0, &si, WEXITED, NULL));
    CHECK(-EINVAL, call(SYS_waitid, P_ALL, 0, &si, 0, NULL));
    CHECK(-EINVAL, call(SYS_waitid, 99, 0, &si, WEXITED, NULL));
    CHECK(-EINVAL, call(SYS_waitid, P_PID, 0, &si, WEXITED, NULL));
}

static void controls(void)
{
    char name[17] = { 0 };
    int value = -1;
    CHECK(0, call(SYS_prctl, PR_SET_NAME, "a-very-long-thread-name"));
    CHECK(0, call(SYS_prctl, PR_GET_NAME, name));
    CHECK(0, strcmp(name, "a-very-long-thr"));
    CHECK(-EFAULT, call(SYS_prctl, PR_SET_NAME, T_BAD));
    CHECK(0, call(SYS_prctl, PR_SET_PDEATHSIG, SIGTERM));
    CHECK(0, call(SYS_prctl, PR_GET_PDEATHSIG, &value));
    CHECK(SIGTERM, value);
    CHECK(-EINVAL, call(SYS_prctl, PR_SET_PDEATHSIG, 65));
    CHECK(0, call(SYS_prctl, PR_SET_PDEATHSIG, 0));
    CHECK(1, call(SYS_prctl, PR_GET_DUMPABLE));
    CHECK(0, call(SYS_prctl, PR_SET_DUMPABLE, 0));
    CHECK(0, call(SYS_prctl, PR_GET_DUMPABLE));
    CHECK(0, call(SYS_prctl, PR_SET_DUMPABLE, 1));
    CHECK(-EINVAL, call(SYS_prctl, PR_SET_DUMPABLE, 3));
    CHECK(0, call(SYS_prctl, PR_SET_TIMERSLACK, 12345));
    CHECK(12345, call(SYS_prctl, PR_GET_TIMERSLACK));
    CHECK(0, call(SYS_prctl, PR_SET_CHILD_SUBREAPER, 1));
    CHECK(0, call(SYS_prctl, PR_GET_CHILD_SUBREAPER, &value));
    CHECK(1, value);
    CHECK(0, call(SYS_prctl, PR_SET_CHILD_SUBREAPER, 0));
    CHECK(0, call(SYS_prctl, PR_SET_THP_DISABLE, 1, 0, 0, 0));
    CHECK(1, call(SYS_prctl, PR_GET_THP_DISABLE, 0, 0, 0, 0));
    CHECK(0, call(SYS_prctl, PR_SET_THP_DISABLE, 0, 0, 0, 0));
    CHECK(0, call(SYS_prctl, PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
    CHECK(-EINVAL, call(SYS_prctl, PR_SET_NO_NEW_PRIVS, 2, 0, 0, 0));
    CHECK(0, call(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    CHECK(1, call(SYS_prctl, PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
    CHECK(1, call(SYS_prctl, PR_CAPBSET_READ, 0) >= 0);
    CHECK(-EINVAL, call(SYS_prctl, PR_CAPBSET_READ, 64));
    CHECK(0, call(SYS_prctl, PR_GET_KEEPCAPS));
    CHECK(0, call(SYS_prctl, PR_SET_KEEPCAPS, 1));
    CHECK(1, call(SYS_prctl, PR_GET_KEEPCAPS));
    CHECK(-EINVAL, call(SYS_prctl, PR_SET_KEEPCAPS, 2));
    CHECK(0, call(SYS_prctl, PR_SET_KEEPCAPS, 0));
    CHECK(-EINVAL, call(SYS_prctl, 123456, 0));
    CHECK(0, call(SYS_personality, 0xffffffff));
}

static void unshares(void)
{
    CHECK(0, call(SYS_unshare, 0));
    CHECK(0, call(SYS_unshare, CLONE_FS | CLONE_FILES));
    CHECK(-EINVAL, call(SYS_unshare, 0x1));
    CHECK(-EBADF, call(SYS_setns, -1, 0));
    long fd = call(SYS_open, "/", O_RDONLY);
    CHECK(-EINVAL, call(SYS_setns, fd, 0));
    call(SYS_close, fd);
    fd = call(SYS_open, "/proc/self/ns/mnt", O_RDONLY);
    CHECK(true, fd >= 0);
    CHECK(CLONE_NEWNS, call(SYS_ioctl, fd, 0xb703)); /* NS_GET_NSTYPE */
    CHECK(-EINVAL, call(SYS_setns, fd, CLONE_NEWUTS));
    call(SYS_close, fd);
    if (DIFFERS("there are no name spaces, as in a kernel built without")) {
        static const unsigned long flags[] = { CLONE_NEWNS,    CLONE_NEWUTS, CLONE_NEWIPC,
                                               CLONE_NEWUSER,  CLONE_NEWPID, CLONE_NEWNET,
                                               CLONE_NEWCGROUP };
        for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
            CHECK(-EINVAL, call(SYS_unshare, flags[i]));
        CHECK(-ENOENT, call(SYS_open, "/proc/self/ns/net", O_RDONLY));
    }
}

/* Only where processes can be made. */
static void families(void)
{
    int status = 0;
    struct rusage ru;
    siginfo_t si;
    long pid = call(SYS_fork);
    if (pid == -ENOSYS)
        return;
    if (pid == 0)
        call(SYS_exit_group, 7);
    CHECK(pid, call(SYS_wait4, pid, &status, 0, &ru));
    CHECK(true, WIFEXITED(status) && WEXITSTATUS(status) == 7);
    pid = call(SYS_fork);
    if (pid == 0)
        for (;;)
            call(SYS_pause);
    CHECK(0, call(SYS_wait4, -1, &status, WNOHANG, NULL));
    CHECK(0, call(SYS_kill, pid, SIGKILL));
    CHECK(0, call(SYS_waitid, P_PID, pid, &si, WEXITED | WNOWAIT, NULL));
    CHECK(CLD_KILLED, si.si_code);
    CHECK(SIGKILL, si.si_status);
    CHECK(pid, si.si_pid);
    CHECK(pid, call(SYS_wait4, -1, &status, 0, NULL));
    CHECK(true, WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    pid = call(SYS_fork);
    if (pid == 0) {
        call(SYS_setsid);
        call(SYS_kill, call(SYS_getpid), SIGSTOP);
        call(SYS_exit_group, call(SYS_getsid, 0) == call(SYS_getpid) ? 3 : 4);
    }
    CHECK(pid, call(SYS_wait4, pid, &status, WUNTRACED, NULL));
    CHECK(true, WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
    CHECK(0, call(SYS_kill, pid, SIGCONT));
    CHECK(pid, call(SYS_wait4, pid, &status, 0, NULL));
    CHECK(true, WIFEXITED(status) && WEXITSTATUS(status) == 3);
    signal(SIGCHLD, SIG_IGN);
    pid = call(SYS_fork);
    if (pid == 0)
        call(SYS_exit_group, 0);
    CHECK(-ECHILD, call(SYS_wait4, pid, &status, 0, NULL));
    signal(SIGCHLD, SIG_DFL);
}

int main(void)
{
    ids();
    no_children();
    controls();
    unshares();
    families();
    return t_end();
}
