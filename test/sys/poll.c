/* SPDX-License-Identifier: MIT */
/* poll, ppoll, select, pselect6. */
#define _GNU_SOURCE
#include <t_signal.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <time.h>

static int fds[2];

static long now_ms(void)
{
    struct timespec ts;
    call(SYS_clock_gettime, CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void polls(void)
{
    struct pollfd p[4] = { { fds[0], POLLIN, 77 },
                           { fds[1], POLLOUT | POLLIN, 77 },
                           { -5, POLLIN, 77 },
                           { 999, POLLIN, 77 } };
    CHECK(2, call(SYS_poll, p, 4, 0));
    CHECK(0, p[0].revents);
    CHECK(POLLOUT, p[1].revents);
    CHECK(0, p[2].revents);
    CHECK(POLLNVAL, p[3].revents);
    CHECK(1, call(SYS_write, fds[1], "x", 1));
    p[0].events = POLLIN | POLLRDNORM | POLLPRI;
    CHECK(1, call(SYS_poll, p, 1, -1));
    CHECK(POLLIN | POLLRDNORM, p[0].revents);
    char c;
    CHECK(1, call(SYS_read, fds[0], &c, 1));
    long start = now_ms();
    CHECK(0, call(SYS_poll, p, 1, 30));
    CHECK(1, now_ms() - start >= 30);
    CHECK(0, call(SYS_poll, NULL, 0, 10));
    CHECK(-EFAULT, call(SYS_poll, T_BAD, 1, 0));
    struct rlimit r;
    CHECK(0, call(SYS_prlimit64, 0, RLIMIT_NOFILE, NULL, &r));
    CHECK(-EINVAL, call(SYS_poll, p, r.rlim_cur + 1, 0));
    static struct pollfd many[200]; /* more than fit on any stack frame */
    for (int i = 0; i < 200; i++)
        many[i] = (struct pollfd){ i % 2 ? fds[1] : -1, POLLOUT, 0 };
    CHECK(100, call(SYS_poll, many, 200, 0));
    CHECK(POLLOUT, many[199].revents);
}

static void polls_regular_files(void)
{
    long fd = call(SYS_open, "/etc/passwd", O_RDONLY);
    struct pollfd p = { (int)fd, POLLIN | POLLOUT | POLLPRI, 0 };
    CHECK(1, call(SYS_poll, &p, 1, -1));
    CHECK(POLLIN | POLLOUT, p.revents);
    call(SYS_close, fd);
    fd = call(SYS_open, "/dev/null", O_RDWR);
    p.fd = (int)fd;
    CHECK(1, call(SYS_poll, &p, 1, -1));
    CHECK(POLLIN | POLLOUT, p.revents);
    call(SYS_close, fd);
}

static void ppolls(void)
{
    struct pollfd p = { fds[0], POLLIN, 0 };
    struct timespec ts = { 0, 20000000 };
    long start = now_ms();
    CHECK(0, call(SYS_ppoll, &p, 1, &ts, NULL, 8));
    CHECK(1, now_ms() - start >= 20);
    CHECK(0, ts.tv_nsec); /* what is left is written back */
    ts.tv_nsec = 1000000000;
    CHECK(-EINVAL, call(SYS_ppoll, &p, 1, &ts, NULL, 8));
    ts = (struct timespec){ -1, 0 };
    CHECK(-EINVAL, call(SYS_ppoll, &p, 1, &ts, NULL, 8));
    ts = (struct timespec){ 0, 0 };
    uint64_t mask = 0;
    CHECK(-EINVAL, call(SYS_ppoll, &p, 1, &ts, &mask, 4));
    CHECK(0, call(SYS_ppoll, &p, 1, &ts, &mask, 8));
    CHECK(-EFAULT, call(SYS_ppoll, &p, 1, &ts, T_BAD, 8));
    CHECK(-EFAULT, call(SYS_ppoll, &p, 1, T_BAD, NULL, 8));
    ts = (struct timespec){ 10, 0 };
    p.fd = fds[1];
    p.events = POLLOUT;
    CHECK(1, call(SYS_ppoll, &p, 1, &ts, NULL, 8));
    CHECK(1, ts.tv_sec == 9 || ts.tv_sec == 10);
}

/* A pending signal that the temporary mask lets through ends the wait; the old mask is back afterwards. */
static volatile int caught;
static void catch (int sig)
{
    caught = sig;
}

static void signals_end_it(void)
{
    uint64_t block = T_BIT(SIGUSR1), none = 0, old, got;
    struct pollfd p = { fds[0], POLLIN, 0 };
    CHECK(0, t_handle(SIGUSR1, catch, 0));
    CHECK(0, call(SYS_rt_sigprocmask, SIG_BLOCK, &block, &old, 8));
    CHECK(0, call(SYS_kill, call(SYS_getpid), SIGUSR1));
    CHECK(-EINTR, call(SYS_ppoll, &p, 1, NULL, &none, 8));
    CHECK(SIGUSR1, caught);
    CHECK(0, call(SYS_rt_sigprocmask, SIG_SETMASK, &old, &got, 8));
    CHECK((long)(old | block), got);
}

static void selects(void)
{
    fd_set in, out, except;
    struct timeval tv = { 0, 0 };
    FD_ZERO(&in);
    FD_ZERO(&out);
    FD_ZERO(&except);
    FD_SET(fds[0], &in);
    FD_SET(fds[1], &out);
    FD_SET(fds[0], &except);
    CHECK(1, call(SYS_select, fds[1] + 1, &in, &out, &except, &tv));
    CHECK(0, FD_ISSET(fds[0], &in));
    CHECK(1, FD_ISSET(fds[1], &out) != 0);
    CHECK(0, FD_ISSET(fds[0], &except));
    CHECK(1, call(SYS_write, fds[1], "x", 1));
    FD_SET(fds[0], &in);
    CHECK(2, call(SYS_select, fds[1] + 1, &in, &out, NULL, NULL));
    char c;
    CHECK(1, call(SYS_read, fds[0], &c, 1));
    FD_ZERO(&in);
    FD_SET(900, &in);
    CHECK(0, call(SYS_select, 0, &in, NULL, NULL, &tv)); /* nothing asked */
    FD_ZERO(&in);
    FD_SET(fds[1] + 10, &in);
    CHECK(-EBADF, call(SYS_select, fds[1] + 11, &in, NULL, NULL, &tv));
    CHECK(-EINVAL, call(SYS_select, -1, NULL, NULL, NULL, &tv));
    CHECK(-EFAULT, call(SYS_select, 1, T_BAD, NULL, NULL, &tv));
    CHECK(-EFAULT, call(SYS_select, 0, NULL, NULL, NULL, T_BAD));
    tv = (struct timeval){ -1, 0 };
    CHECK(-EINVAL, call(SYS_select, 0, NULL, NULL, NULL, &tv));
    tv = (struct timeval){ 0, 20000 };
    long start = now_ms();
    CHECK(0, call(SYS_select, 0, NULL, NULL, NULL, &tv));
    CHECK(1, now_ms() - start >= 20);
    CHECK(0, tv.tv_usec);
    struct timespec ts = { 0, 20000000 };
    CHECK(0, call(SYS_pselect6, 0, NULL, NULL, NULL, &ts, NULL));
    CHECK(0, ts.tv_nsec);
    uint64_t mask = 0, arg[2] = { (uintptr_t)&mask, 7 };
    ts.tv_nsec = 0;
    CHECK(-EINVAL, call(SYS_pselect6, 0, NULL, NULL, NULL, &ts, arg));
    arg[1] = 8;
    CHECK(0, call(SYS_pselect6, 0, NULL, NULL, NULL, &ts, arg));
}

int main(void)
{
    CHECK(0, call(SYS_pipe2, fds, 0));
    polls();
    polls_regular_files();
    ppolls();
    selects();
    signals_end_it();
    return t_end();
}
