/* SPDX-License-Identifier: MIT */
/* eventfd, signalfd, timerfd. */
#define _GNU_SOURCE
#include <t.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <time.h>

static uint64_t v;

static long ready(long fd, short events)
{
    struct pollfd p = { (int)fd, events, 0 };
    long n = call(SYS_poll, &p, 1, 0);
    return n < 0 ? n : p.revents;
}

static long put(long fd, uint64_t n)
{
    return call(SYS_write, fd, &n, 8);
}

static void counts(void)
{
    long fd = call(SYS_eventfd2, 3, EFD_NONBLOCK | EFD_CLOEXEC);
    CHECK(FD_CLOEXEC, call(SYS_fcntl, fd, F_GETFD));
    CHECK(O_RDWR | O_NONBLOCK, call(SYS_fcntl, fd, F_GETFL));
    CHECK(POLLIN | POLLOUT, ready(fd, POLLIN | POLLOUT));
    CHECK(8, call(SYS_read, fd, &v, 8));
    CHECK(3, v);
    CHECK(-EAGAIN, call(SYS_read, fd, &v, 8));
    CHECK(POLLOUT, ready(fd, POLLIN | POLLOUT));
    CHECK(8, put(fd, 5));
    CHECK(8, put(fd, 6));
    CHECK(8, call(SYS_read, fd, &v, 100));
    CHECK(11, v);
    CHECK(-EINVAL, call(SYS_read, fd, &v, 7));
    CHECK(-EINVAL, call(SYS_write, fd, &v, 7));
    CHECK(-EINVAL, put(fd, UINT64_MAX));
    CHECK(8, put(fd, UINT64_MAX - 1));
    CHECK(-EAGAIN, put(fd, 1));
    CHECK(POLLIN, ready(fd, POLLIN | POLLOUT));
    CHECK(8, put(fd, 0));
    CHECK(8, call(SYS_read, fd, &v, 8));
    CHECK(-2, v);
    CHECK(-EFAULT, call(SYS_write, fd, T_BAD, 8));
    CHECK(0, call(SYS_lseek, fd, 7, SEEK_SET)); /* allowed, and nothing happens */
    call(SYS_close, fd);

    fd = call(SYS_eventfd2, 2, EFD_SEMAPHORE | EFD_NONBLOCK);
    for (int i = 0; i < 2; i++) {
        CHECK(8, call(SYS_read, fd, &v, 8));
        CHECK(1, v);
    }
    CHECK(-EAGAIN, call(SYS_read, fd, &v, 8));
    call(SYS_close, fd);

    CHECK(-EINVAL, call(SYS_eventfd2, 0, 2));
    fd = call(SYS_eventfd, 7);
    CHECK(O_RDWR, call(SYS_fcntl, fd, F_GETFL));
    CHECK(0, call(SYS_fcntl, fd, F_GETFD));
    call(SYS_close, fd);
}

static void takes_signals(void)
{
    uint64_t mask = 1ull << (SIGUSR1 - 1) | 1ull << (SIGRTMIN - 1), old, none = 0;
    struct signalfd_siginfo info[2];
    CHECK(0, call(SYS_rt_sigprocmask, SIG_BLOCK, &mask, &old, 8));
    long fd = call(SYS_signalfd4, -1, &mask, 8, SFD_NONBLOCK | SFD_CLOEXEC);
    CHECK(FD_CLOEXEC, call(SYS_fcntl, fd, F_GETFD));
    CHECK(-EAGAIN, call(SYS_read, fd, info, sizeof(info)));
    CHECK(0, ready(fd, POLLIN));
    long pid = call(SYS_getpid);
    CHECK(0, call(SYS_kill, pid, SIGUSR1));
    CHECK(0, call(SYS_kill, pid, SIGUSR1)); /* a pending one is not queued twice */
    CHECK(POLLIN, ready(fd, POLLIN));
    CHECK(-EINVAL, call(SYS_read, fd, info, sizeof(info[0]) - 1));
    CHECK((long)sizeof(info[0]), call(SYS_read, fd, info, sizeof(info)));
    CHECK(SIGUSR1, info[0].ssi_signo);
    CHECK(SI_USER, info[0].ssi_code);
    CHECK(pid, info[0].ssi_pid);
    CHECK(-EAGAIN, call(SYS_read, fd, info, sizeof(info)));
    CHECK(-EINVAL, call(SYS_write, fd, info, sizeof(info)));
    CHECK(fd, call(SYS_signalfd4, fd, &none, 8, 0)); /* another mask for the same descriptor */
    CHECK(0, call(SYS_kill, pid, SIGUSR1));
    CHECK(0, ready(fd, POLLIN));
    CHECK(fd, call(SYS_signalfd4, fd, &mask, 8, 0));
    CHECK(128, call(SYS_read, fd, info, sizeof(info)));
    CHECK(-EINVAL, call(SYS_signalfd4, -1, &mask, 4, 0));
    CHECK(-EINVAL, call(SYS_signalfd4, -1, &mask, 8, 1));
    CHECK(-EFAULT, call(SYS_signalfd4, -1, T_BAD, 8, 0));
    CHECK(-EBADF, call(SYS_signalfd4, 999, &mask, 8, 0));
    long event = call(SYS_eventfd, 0);
    CHECK(-EINVAL, call(SYS_signalfd4, event, &mask, 8, 0));
    call(SYS_close, event);
    call(SYS_close, fd);
    CHECK(0, call(SYS_rt_sigprocmask, SIG_SETMASK, &old, NULL, 8));
}

static void keeps_time(void)
{
    struct itimerspec set = { { 0, 0 }, { 0, 1000000 } }, got;
    long fd = call(SYS_timerfd_create, CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    CHECK(O_RDWR | O_NONBLOCK, call(SYS_fcntl, fd, F_GETFL));
    CHECK(-EAGAIN, call(SYS_read, fd, &v, 8));
    CHECK(0, call(SYS_timerfd_settime, fd, 0, &set, &got));
    CHECK(0, got.it_value.tv_nsec + got.it_value.tv_sec);
    struct pollfd p = { (int)fd, POLLIN, 0 };
    CHECK(1, call(SYS_poll, &p, 1, 5000));
    CHECK(8, call(SYS_read, fd, &v, 8));
    CHECK(1, v);
    CHECK(-EAGAIN, call(SYS_read, fd, &v, 8));
    CHECK(0, call(SYS_timerfd_gettime, fd, &got));
    CHECK(0, got.it_value.tv_nsec + got.it_value.tv_sec);
    set.it_interval.tv_nsec = 1000000; /* several expirations are counted */
    CHECK(0, call(SYS_timerfd_settime, fd, 0, &set, NULL));
    struct timespec pause = { 0, 20000000 };
    CHECK(0, call(SYS_nanosleep, &pause, NULL));
    CHECK(8, call(SYS_read, fd, &v, 8));
    CHECK(1, v >= 15);
    set = (struct itimerspec){ { 5, 0 }, { 100, 0 } };
    CHECK(0, call(SYS_timerfd_settime, fd, 0, &set, NULL));
    CHECK(0, call(SYS_timerfd_gettime, fd, &got));
    CHECK(5, got.it_interval.tv_sec);
    CHECK(1, got.it_value.tv_sec == 99 || got.it_value.tv_sec == 100);
    set = (struct itimerspec){ { 0, 0 }, { 0, 1 } }; /* long ago */
    CHECK(0, call(SYS_timerfd_settime, fd, TFD_TIMER_ABSTIME, &set, NULL));
    CHECK(1, call(SYS_poll, &p, 1, 5000));
    set.it_value.tv_nsec = 0; /* disarm */
    CHECK(0, call(SYS_timerfd_settime, fd, 0, &set, NULL));
    CHECK(0, ready(fd, POLLIN));
    set.it_value.tv_nsec = 1000000000;
    CHECK(-EINVAL, call(SYS_timerfd_settime, fd, 0, &set, NULL));
    CHECK(-EINVAL, call(SYS_timerfd_settime, fd, 8, &got, NULL));
    CHECK(-EINVAL, call(SYS_read, fd, &v, 7));
    CHECK(-EINVAL, call(SYS_timerfd_create, 99, 0));
    CHECK(-EINVAL, call(SYS_timerfd_create, CLOCK_PROCESS_CPUTIME_ID, 0));
    CHECK(-EINVAL, call(SYS_timerfd_create, CLOCK_MONOTONIC, 1));
    long event = call(SYS_eventfd, 0);
    CHECK(-EINVAL, call(SYS_timerfd_gettime, event, &got));
    CHECK(-EINVAL, call(SYS_timerfd_settime, event, 0, &got, NULL));
    call(SYS_close, event);
    CHECK(-EBADF, call(SYS_timerfd_gettime, 999, &got));
    call(SYS_close, fd);
}

int main(void)
{
    counts();
    takes_signals();
    keeps_time();
    return t_end();
}
