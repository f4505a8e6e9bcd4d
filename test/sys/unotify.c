/* SPDX-License-Identifier: MIT */
/* seccomp_unotify(2) and signals: with and without SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV. PTRACE_O_SUSPEND_SECCOMP. */
#define _GNU_SOURCE
#include <t.h>

#include <errno.h>
#include <linux/filter.h>
#include <linux/ptrace.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV 32
#endif
#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS _IOW('!', 4, unsigned long)
#endif
#define O_SUSPEND_SECCOMP (1 << 21)

enum { LONG_MS = 60000, SHORT_MS = 300 };

static int told[2], to_parent[2];

static void on_signal(int sig)
{
    (void)sig;
    (void)!write(told[1], "", 1);
}

/* Answer how to getppid; the listener, where there is one. */
static long filter(unsigned how, unsigned flags)
{
    struct sock_filter f[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1), BPF_STMT(BPF_RET | BPF_K, how),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
    };
    struct sock_fprog p = { 4, f };
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    return call(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &p);
}

static void send_fd(int to, int fd)
{
    char byte = 0, control[CMSG_SPACE(sizeof fd)] = { 0 };
    struct iovec v = { &byte, 1 };
    struct msghdr m = {
        .msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control
    };
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(c), &fd, sizeof fd);
    CHECK(1, sendmsg(to, &m, 0));
}

static int receive_fd(int from)
{
    int fd = -1;
    char byte, control[CMSG_SPACE(sizeof fd)] = { 0 };
    struct iovec v = { &byte, 1 };
    struct msghdr m = {
        .msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control
    };
    CHECK(1, recvmsg(from, &m, 0));
    memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof fd);
    return fd;
}

/* Asks until it is answered, and exits with how often a signal ended the call. */
static void ask(unsigned flags)
{
    struct sigaction sa = { .sa_handler = on_signal };
    sigaction(SIGUSR1, &sa, NULL);
    send_fd(to_parent[1], (int)filter(SECCOMP_RET_USER_NOTIF, flags));
    int ended = 0;
    long got;
    while ((got = call(SYS_getppid)) == -EINTR)
        ended++;
    _exit(got == 77 && !t_failures ? 10 + ended : 99);
}

static bool ready(int fd, int ms)
{
    struct pollfd p = { fd, POLLIN, 0 };
    return poll(&p, 1, ms) == 1;
}

static struct seccomp_notif receive(int fd)
{
    struct seccomp_notif n;
    memset(&n, 0, sizeof n);
    long err;
    do /* the question that woke us may be gone again */
        err = call(SYS_ioctl, fd, SECCOMP_IOCTL_NOTIF_RECV, &n);
    while (err == -ENOENT);
    CHECK(0, err);
    return n;
}

static void signals(unsigned flags)
{
    char c;
    int status, pid;
    CHECK(0, pipe(told));
    CHECK(0, socketpair(AF_UNIX, SOCK_STREAM, 0, to_parent));
    if ((pid = fork()) == 0)
        ask(SECCOMP_FILTER_FLAG_NEW_LISTENER | flags);
    int fd = receive_fd(to_parent[0]);
    /* Before anybody has taken the question a signal ends the call in any case. */
    CHECK(true, ready(fd, LONG_MS));
    CHECK(0, kill(pid, SIGUSR1));
    CHECK(1, read(told[0], &c, 1));
    struct seccomp_notif n = receive(fd);
    CHECK(0, kill(pid, SIGUSR1));
    if (flags) {
        CHECK(false, ready(told[0], SHORT_MS)); /* it waits for the answer */
    } else {
        CHECK(1, read(told[0], &c, 1));
        n = receive(fd);
    }
    CHECK(0, call(SYS_ioctl, fd, SECCOMP_IOCTL_NOTIF_ID_VALID, &n.id));
    struct seccomp_notif_resp r = { .id = n.id, .val = 77 };
    CHECK(0, call(SYS_ioctl, fd, SECCOMP_IOCTL_NOTIF_SEND, &r));
    CHECK(pid, waitpid(pid, &status, 0));
    CHECK((flags ? 11 : 12) << 8, status);
    close(fd);
    for (int i = 0; i < 2; i++) {
        close(told[i]);
        close(to_parent[i]);
    }
}

/* Death comes through. */
static void killed(void)
{
    int status, pid;
    CHECK(0, pipe(told));
    CHECK(0, socketpair(AF_UNIX, SOCK_STREAM, 0, to_parent));
    if ((pid = fork()) == 0)
        ask(SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV);
    int fd = receive_fd(to_parent[0]);
    struct seccomp_notif n = receive(fd);
    CHECK(0, call(SYS_ioctl, fd, SECCOMP_IOCTL_NOTIF_SET_FLAGS, 1));
    CHECK(0, call(SYS_ioctl, fd, SECCOMP_IOCTL_NOTIF_SET_FLAGS, 0));
    CHECK(-EINVAL, call(SYS_ioctl, fd, SECCOMP_IOCTL_NOTIF_SET_FLAGS, 2));
    CHECK(0, kill(pid, SIGKILL));
    CHECK(pid, waitpid(pid, &status, 0));
    CHECK(SIGKILL, status);
    CHECK(-ENOENT, call(SYS_ioctl, fd, SECCOMP_IOCTL_NOTIF_ID_VALID, &n.id));
    close(fd);
}

/* The tracer lets calls through; with the option gone the filter is back. */
static void suspended(void)
{
    int status, pid = fork();
    if (pid == 0) {
        filter(SECCOMP_RET_ERRNO | EXDEV, 0);
        call(SYS_ptrace, PTRACE_TRACEME, 0, 0, 0);
        raise(SIGSTOP);
        CHECK(true, call(SYS_getppid) > 0);
        raise(SIGSTOP);
        CHECK(-EXDEV, call(SYS_getppid));
        _exit(t_failures ? 1 : 3);
    }
    CHECK(pid, waitpid(pid, &status, 0));
    CHECK(0, call(SYS_ptrace, PTRACE_SETOPTIONS, pid, 0, O_SUSPEND_SECCOMP));
    CHECK(0, call(SYS_ptrace, PTRACE_CONT, pid, 0, 0));
    CHECK(pid, waitpid(pid, &status, 0));
    CHECK(SIGSTOP << 8 | 0x7f, status);
    CHECK(0, call(SYS_ptrace, PTRACE_SETOPTIONS, pid, 0, 0));
    CHECK(0, call(SYS_ptrace, PTRACE_CONT, pid, 0, 0));
    CHECK(pid, waitpid(pid, &status, 0));
    CHECK(3 << 8, status);
}

/* Not for everybody: nor for who is filtered. */
static void suspending(void)
{
    int status, middle = fork();
    if (middle == 0) {
        int pid = fork();
        if (pid == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            for (;;)
                pause();
        }
        filter(SECCOMP_RET_ERRNO | EXDEV, 0);
        CHECK(-EPERM, call(SYS_ptrace, PTRACE_SEIZE, pid, 0, O_SUSPEND_SECCOMP));
        CHECK(0, call(SYS_ptrace, PTRACE_SEIZE, pid, 0, 0));
        kill(pid, SIGKILL);
        _exit(t_failures ? 1 : 3);
    }
    CHECK(middle, waitpid(middle, &status, 0));
    CHECK(3 << 8, status);
}

int main(void)
{
    signals(0);
    signals(SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV);
    killed();
    if (geteuid() == 0) {
        suspended();
        suspending();
    }
    return t_end();
}
