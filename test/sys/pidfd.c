/* SPDX-License-Identifier: MIT */
/* Descriptors that stand for processes: opening, signals, waiting, polling, descriptors of others; clone3's numbers. */
#define _GNU_SOURCE
#include <t.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef P_PIDFD
#define P_PIDFD 3
#endif
enum { NO_PID = 30011 };

/* A child that runs fn and exits with its result. */
static int child(int (*fn)(int), int arg)
{
    int pid = fork();
    if (pid == 0)
        _exit(fn(arg));
    return pid;
}

static __attribute__((noreturn)) int sleeper(int arg)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;)
        pause();
}

static int wait_status(int pid)
{
    int status = -1;
    call(SYS_wait4, pid, &status, 0, NULL);
    return status;
}

static void opening(void)
{
    CHECK(-EINVAL, call(SYS_pidfd_open, 0, 0));
    CHECK(-EINVAL, call(SYS_pidfd_open, -1, 0));
    CHECK(-EINVAL, call(SYS_pidfd_open, getpid(), 1));
    CHECK(-ESRCH, call(SYS_pidfd_open, NO_PID, 0));
    int fd = (int)call(SYS_pidfd_open, getpid(), O_NONBLOCK);
    CHECK(true, fd > 2);
    CHECK(FD_CLOEXEC, call(SYS_fcntl, fd, F_GETFD));
    CHECK(O_RDWR | O_NONBLOCK, call(SYS_fcntl, fd, F_GETFL) & ~0100000);
    char c;
    CHECK(-EINVAL, call(SYS_read, fd, &c, 1));
    CHECK(-EINVAL, call(SYS_write, fd, &c, 1));
    struct pollfd p = { fd, POLLIN, 0 };
    CHECK(0, call(SYS_poll, &p, 1, 0));
    CHECK(0, call(SYS_close, fd));
}

/* The value of a line of /proc/self/fdinfo/FD. */
static int fdinfo(int fd, const char *name)
{
    char path[64], text[512] = { 0 };
    snprintf(path, sizeof path, "/proc/self/fdinfo/%d", fd);
    int f = open(path, O_RDONLY);
    if (f < 0 || read(f, text, sizeof text - 1) < 0)
        return -2;
    close(f);
    const char *at = strstr(text, name);
    return at ? atoi(at + strlen(name)) : -3;
}

/* A descriptor of /proc/PID, or of what is in there. */
static int proc_dir(int pid, const char *in, int flags)
{
    char path[48];
    snprintf(path, sizeof path, "/proc/%d%s", pid, in);
    return (int)call(SYS_open, path, O_DIRECTORY | flags);
}

/* pidfd_send_signal takes /proc/PID too. */
static void directories(void)
{
    int pid = child(sleeper, 0), dir = proc_dir(pid, "", 0), path = proc_dir(pid, "", O_PATH),
        fd = proc_dir(pid, "/fd", 0), task = proc_dir(pid, "/task", 0);
    siginfo_t si;
    CHECK(0, call(SYS_pidfd_send_signal, dir, 0, NULL, 0));
    CHECK(-EBADF, call(SYS_pidfd_send_signal, path, 0, NULL, 0));
    CHECK(-EBADF, call(SYS_pidfd_send_signal, fd, 0, NULL, 0));
    CHECK(-EBADF, call(SYS_pidfd_send_signal, task, 0, NULL, 0));
    CHECK(-EBADF, call(SYS_waitid, P_PIDFD, dir, &si, WEXITED, NULL));
    CHECK(0, call(SYS_pidfd_send_signal, dir, SIGKILL, NULL, 0));
    CHECK(0, call(SYS_waitid, P_PID, pid, &si, WEXITED | WNOWAIT, NULL));
    CHECK(0, call(SYS_pidfd_send_signal, dir, 0, NULL, 0)); /* a zombie takes it */
    CHECK(0, call(SYS_waitid, P_PID, pid, &si, WEXITED, NULL));
    CHECK(-ESRCH, call(SYS_pidfd_send_signal, dir, 0, NULL, 0));
    close(dir);
    close(path);
    close(fd);
    close(task);
}

static void life(void)
{
    siginfo_t si = { 0 };
    int pid = child(sleeper, 0), fd = (int)call(SYS_pidfd_open, pid, 0),
        quick = (int)call(SYS_pidfd_open, pid, O_NONBLOCK);
    CHECK(pid, fdinfo(fd, "\nPid:\t"));
    CHECK(pid, fdinfo(fd, "NSpid:\t"));
    struct pollfd p = { fd, POLLIN | POLLRDNORM, 0 };
    CHECK(0, call(SYS_poll, &p, 1, 0));
    CHECK(-EAGAIN, call(SYS_waitid, P_PIDFD, quick, &si, WEXITED, NULL));
    CHECK(0, call(SYS_waitid, P_PIDFD, quick, &si, WEXITED | WNOHANG, NULL));
    CHECK(0, call(SYS_pidfd_send_signal, fd, 0, NULL, 0));
    CHECK(-EINVAL, call(SYS_pidfd_send_signal, fd, 0, NULL, 0x80));
    CHECK(-EINVAL, call(SYS_pidfd_send_signal, fd, 65, NULL, 0));
    CHECK(-EBADF, call(SYS_pidfd_send_signal, 0, 0, NULL, 0));
    CHECK(-EBADF, call(SYS_pidfd_send_signal, -1, 0, NULL, 0));
    CHECK(-EFAULT, call(SYS_pidfd_send_signal, fd, 0, T_BAD, 0));
    CHECK(0, call(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0));
    CHECK(1, call(SYS_poll, &p, 1, -1));
    CHECK(POLLIN | POLLRDNORM, p.revents);
    CHECK(0, call(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0)); /* a zombie takes it */
    CHECK(0, call(SYS_waitid, P_PIDFD, fd, &si, WEXITED | WNOWAIT, NULL));
    CHECK(CLD_KILLED, si.si_code);
    CHECK(pid, si.si_pid);
    CHECK(0, call(SYS_waitid, P_PIDFD, fd, &si, WEXITED, NULL));
    CHECK(-ECHILD, call(SYS_waitid, P_PIDFD, fd, &si, WEXITED, NULL));
    CHECK(-ESRCH, call(SYS_pidfd_send_signal, fd, 0, NULL, 0));
    CHECK(-ESRCH, call(SYS_pidfd_getfd, fd, 0, 0));
    CHECK(1, call(SYS_poll, &p, 1, 0));
    CHECK(-1, fdinfo(fd, "\nPid:\t"));
    CHECK(-EBADF, call(SYS_waitid, P_PIDFD, 0, &si, WEXITED, NULL));
    CHECK(-EINVAL, call(SYS_waitid, P_PIDFD, -1, &si, WEXITED, NULL));
    close(fd);
    close(quick);
}

static volatile sig_atomic_t got_code, got_value;

static void on_signal(int sig, siginfo_t *si, void *context)
{
    got_code = si->si_code;
    got_value = si->si_value.sival_int;
}

static void signals(void)
{
    struct sigaction sa = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO };
    sigaction(SIGUSR1, &sa, NULL);
    int fd = (int)call(SYS_pidfd_open, getpid(), 0);
    siginfo_t si = { .si_signo = SIGUSR1, .si_code = SI_QUEUE };
    si.si_value.sival_int = 77;
    CHECK(0, call(SYS_pidfd_send_signal, fd, SIGUSR1, &si, 0));
    CHECK(SI_QUEUE, got_code);
    CHECK(77, got_value);
    CHECK(0, call(SYS_pidfd_send_signal, fd, SIGUSR1, NULL, 0));
    CHECK(SI_USER, got_code);
    CHECK(-EINVAL, call(SYS_pidfd_send_signal, fd, SIGUSR2, &si, 0));
    int parent = (int)call(SYS_pidfd_open, getppid(), 0);
    if (parent > 0) {
        si.si_code = SI_USER; /* only the kernel says so for others */
        si.si_signo = 0;
        CHECK(-EPERM, call(SYS_pidfd_send_signal, parent, 0, &si, 0));
        close(parent);
    }
    close(fd);
}

static void descriptors(void)
{
    int ends[2], back[2];
    CHECK(0, call(SYS_pipe, ends));
    CHECK(0, call(SYS_pipe, back));
    int pid = fork();
    if (pid == 0) {
        char c;
        int mine[2];
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(ends[0]);
        if (pipe(mine) || write(back[1], &mine[1], sizeof(int)) < 0)
            _exit(1);
        _exit(read(mine[0], &c, 1) == 1 ? c : 2);
    }
    int theirs = -1, fd = (int)call(SYS_pidfd_open, pid, 0);
    CHECK(sizeof theirs, read(back[0], &theirs, sizeof theirs));
    CHECK(-EINVAL, call(SYS_pidfd_getfd, fd, theirs, 1));
    CHECK(-EBADF, call(SYS_pidfd_getfd, fd, 9999, 0));
    CHECK(-EBADF, call(SYS_pidfd_getfd, ends[0], theirs, 0));
    CHECK(-EBADF, call(SYS_pidfd_getfd, 9999, theirs, 0));
    int copy = (int)call(SYS_pidfd_getfd, fd, theirs, 0);
    CHECK(true, copy > 2);
    CHECK(FD_CLOEXEC, call(SYS_fcntl, copy, F_GETFD));
    CHECK(1, write(copy, "\x2a", 1));
    CHECK(42 << 8, wait_status(pid));
    close(copy);
    close(fd);
    for (int i = 0; i < 2; i++) {
        close(ends[i]);
        close(back[i]);
    }
}

static int not_mine(int fd)
{
    siginfo_t si;
    return call(SYS_waitid, P_PIDFD, fd, &si, WEXITED, NULL) == -ECHILD ? 3 : 4;
}

static void cloning(void)
{
    int fd = -1, pid;
    CHECK(-EINVAL, call(SYS_clone, CLONE_PIDFD | CLONE_PARENT_SETTID | SIGCHLD, 0, &fd, 0, 0));
    CHECK(-EINVAL, call(SYS_clone, CLONE_PIDFD | CLONE_DETACHED | SIGCHLD, 0, &fd, 0, 0));
    CHECK(-EFAULT, call(SYS_clone, CLONE_PIDFD | SIGCHLD, 0, T_BAD, 0, 0));
    pid = (int)call(SYS_clone, CLONE_PIDFD | SIGCHLD, 0, &fd, 0, 0);
    if (pid == 0)
        sleeper(0);
    CHECK(true, fd > 2);
    CHECK(FD_CLOEXEC, call(SYS_fcntl, fd, F_GETFD));
    CHECK(pid, fdinfo(fd, "\nPid:\t"));
    int other = child(not_mine, fd);
    CHECK(3 << 8, wait_status(other));
    int ep = (int)call(SYS_epoll_create1, 0);
    struct epoll_event ev = { .events = EPOLLIN, .data.u32 = 5 }, out;
    CHECK(0, call(SYS_epoll_ctl, ep, EPOLL_CTL_ADD, fd, &ev));
    CHECK(0, call(SYS_epoll_wait, ep, &out, 1, 0));
    CHECK(0, call(SYS_pidfd_send_signal, fd, SIGTERM, NULL, 0));
    CHECK(1, call(SYS_epoll_wait, ep, &out, 1, -1));
    CHECK(EPOLLIN, out.events);
    CHECK(SIGTERM, wait_status(pid));
    close(ep);
    close(fd);
}

static long clone3(struct clone_args *a)
{
    return call(SYS_clone3, a, sizeof *a);
}

static void numbers(void)
{
    pid_t want = NO_PID, two[2] = { NO_PID, NO_PID };
    struct clone_args a = { .exit_signal = SIGCHLD,
                            .set_tid = (uintptr_t)&want,
                            .set_tid_size = 1 };
    if (geteuid()) { /* the oracle need not be run by root */
        CHECK(-EPERM, clone3(&a));
        return;
    }
    int pid = (int)clone3(&a);
    if (pid == 0)
        _exit(getpid() == NO_PID ? 5 : 6);
    CHECK(NO_PID, pid);
    CHECK(5 << 8, wait_status(pid));
    want = getpid();
    CHECK(-EEXIST, clone3(&a));
    want = 0;
    CHECK(-EINVAL, clone3(&a));
    want = 1 << 30;
    CHECK(-EINVAL, clone3(&a));
    a.set_tid = 16;
    CHECK(-EFAULT, clone3(&a));
    a.set_tid = 0;
    CHECK(-EINVAL, clone3(&a));
    a.set_tid = (uintptr_t)two;
    a.set_tid_size = 33;
    CHECK(-EINVAL, clone3(&a));
    a.set_tid_size = 0;
    CHECK(-EINVAL, clone3(&a));
}

struct info {
    uint64_t mask, cgroupid;
    uint32_t pid, tgid, ppid, ruid, rgid, euid, egid, suid, sgid, fsuid, fsgid;
    int32_t exit_code;
    uint64_t more[8];
};
#define GET_INFO(size) _IOC(_IOC_READ | _IOC_WRITE, 0xff, 11, size)
enum { INFO_PID = 1, INFO_CREDS = 2, INFO_EXIT = 8, INFO_CGROUP = 4 };

static long info_of(int fd, uint64_t mask, struct info *i)
{
    memset(i, 0, sizeof *i);
    i->mask = mask;
    long err = call(SYS_ioctl, fd, GET_INFO(64), i);
    i->mask &= ~(uint64_t)INFO_CGROUP;
    return err;
}

static unsigned polled(int fd)
{
    struct pollfd p = { fd, POLLIN, 0 };
    call(SYS_poll, &p, 1, 0);
    return (unsigned)p.revents;
}

static int to_thread[2], from_thread[2], thread_id;
static volatile int signalled;

static void on_thread_signal(int sig)
{
    (void)sig;
    signalled = (int)call(SYS_gettid);
    (void)!write(from_thread[1], "", 1);
}

static void *sleeping_thread(void *arg)
{
    char c;
    (void)arg;
    thread_id = (int)call(SYS_gettid);
    (void)!write(from_thread[1], "", 1);
    while (read(to_thread[0], &c, 1) != 1)
        ;
    return NULL;
}

/* Descriptors of single threads. */
static void threads(void)
{
    pthread_t t;
    struct info i;
    char c;
    struct sigaction sa = { .sa_handler = on_thread_signal };
    CHECK(0, pipe(to_thread));
    CHECK(0, pipe(from_thread));
    sigaction(SIGUSR1, &sa, NULL);
    CHECK(0, pthread_create(&t, NULL, sleeping_thread, NULL));
    CHECK(1, read(from_thread[0], &c, 1));
    long err =
        call(SYS_pidfd_open, thread_id, 0); /* not a leader; the errno changed in Linux 6.16 */
    CHECK(true, err == -EINVAL || err == -ENOENT);
    int fd = (int)call(SYS_pidfd_open, thread_id, O_EXCL);
    CHECK(true, fd >= 0);
    CHECK(O_EXCL, fcntl(fd, F_GETFL) & O_EXCL);
    CHECK(0, polled(fd));
    CHECK(0, info_of(fd, INFO_PID, &i));
    CHECK(thread_id, i.pid);
    CHECK(getpid(), i.tgid);
    CHECK(0, call(SYS_pidfd_send_signal, fd, SIGUSR1, NULL, 0));
    CHECK(1, read(from_thread[0], &c, 1));
    CHECK(thread_id, signalled);
    CHECK(0, call(SYS_pidfd_send_signal, fd, 0, NULL, 2));
    CHECK(-ESRCH, call(SYS_pidfd_send_signal, fd, 0, NULL, 4)); /* no group has this number */
    CHECK(-EINVAL, call(SYS_pidfd_send_signal, fd, 0, NULL, 3));
    CHECK(-EINVAL, call(SYS_pidfd_send_signal, fd, 0, NULL, 8));
    signalled = 0;
    CHECK(0, call(SYS_pidfd_send_signal, -10000, SIGUSR1, NULL, 0));
    CHECK(1, read(from_thread[0], &c, 1));
    CHECK(call(SYS_gettid), signalled);
    CHECK(0, call(SYS_pidfd_send_signal, -10001, 0, NULL, 0));
    CHECK(-EBADF, call(SYS_pidfd_send_signal, -20000, 0, NULL, 0));
    struct pollfd p = { fd, POLLIN, 0 };
    CHECK(1, write(to_thread[1], "x", 1));
    CHECK(1, call(SYS_poll, &p, 1, -1));
    CHECK(POLLIN, p.revents & POLLIN);
    pthread_join(t, NULL);
    CHECK(POLLIN | POLLHUP, polled(fd));
    CHECK(-ESRCH, call(SYS_pidfd_send_signal, fd, 0, NULL, 0));
    CHECK(-ESRCH, info_of(fd, INFO_PID, &i));
    CHECK(0, info_of(fd, INFO_EXIT, &i));
    CHECK(INFO_EXIT, i.mask);
    close(fd);
}

/* PIDFD_GET_INFO, while a process lives, as a zombie, and afterwards. */
static void information(void)
{
    struct info i;
    siginfo_t si;
    int fd = (int)call(SYS_pidfd_open, getpid(), 0);
    CHECK(0, info_of(fd, 0, &i));
    CHECK(INFO_PID | INFO_CREDS, i.mask);
    CHECK(getpid(), i.pid);
    CHECK(getpid(), i.tgid);
    CHECK(getppid(), i.ppid);
    CHECK(geteuid(), i.euid);
    CHECK(getgid(), i.rgid);
    CHECK(-ENOTTY, call(SYS_ioctl, fd, GET_INFO(60), &i));
    CHECK(-EINVAL, call(SYS_ioctl, fd, GET_INFO(64), NULL));
    CHECK(-EFAULT, call(SYS_ioctl, fd, GET_INFO(64), T_BAD));
    memset(&i, 0xff, sizeof i); /* of a later kernel: what we do not know is 0 */
    CHECK(0, call(SYS_ioctl, fd, GET_INFO(sizeof i), &i));
    CHECK(0, i.more[7]);
    CHECK(-ENOTTY, call(SYS_ioctl, fd, 0x1234, 0));
    CHECK(-EINVAL, call(SYS_ioctl, fd, 0xff01, 1));
    close(fd);
    int pid = fork();
    if (pid == 0)
        _exit(3);
    fd = (int)call(SYS_pidfd_open, pid, 0);
    struct pollfd p = { fd, POLLIN, 0 };
    CHECK(1, call(SYS_poll, &p, 1, -1));
    CHECK(POLLIN, p.revents);
    CHECK(0, info_of(fd, INFO_PID | INFO_EXIT, &i));
    CHECK(INFO_PID | INFO_CREDS, i.mask);
    CHECK(0, call(SYS_waitid, P_PIDFD, fd, &si, WEXITED, NULL));
    CHECK(POLLIN | POLLHUP, polled(fd));
    CHECK(-ESRCH, info_of(fd, INFO_PID, &i));
    CHECK(0, info_of(fd, INFO_PID | INFO_EXIT, &i));
    CHECK(INFO_EXIT, i.mask);
    CHECK(3 << 8, i.exit_code);
    close(fd);
}

/* Whoever waits for the end of the end, that it is reaped, is told of it. */
static void *wait_hup(void *arg)
{
    struct pollfd p = { *(int *)arg, 0, 0 }; /* POLLHUP comes unasked */
    CHECK(1, call(SYS_poll, &p, 1, -1));
    CHECK(POLLHUP, p.revents);
    return NULL;
}

static void reaped(void)
{
    pthread_t t;
    siginfo_t si;
    int pid = fork();
    if (pid == 0)
        _exit(0);
    int fd = (int)call(SYS_pidfd_open, pid, 0), ep = epoll_create1(0);
    struct epoll_event e = { .events = EPOLLIN | EPOLLET };
    CHECK(0, epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e));
    CHECK(1, epoll_wait(ep, &e, 1, -1));
    CHECK(EPOLLIN, e.events);
    CHECK(0, epoll_wait(ep, &e, 1, 0));
    CHECK(0, pthread_create(&t, NULL, wait_hup, &fd));
    usleep(20000); /* so that it waits mostly; right without it, too */
    CHECK(0, call(SYS_waitid, P_PIDFD, fd, &si, WEXITED, NULL));
    CHECK(0, pthread_join(t, NULL));
    CHECK(1, epoll_wait(ep, &e, 1, 0));
    CHECK(EPOLLIN | EPOLLHUP, e.events);
    close(ep);
    close(fd);
}

int main(void)
{
    opening();
    life();
    directories();
    signals();
    descriptors();
    cloning();
    numbers();
    threads();
    reaped();
    information();
    return t_end();
}
