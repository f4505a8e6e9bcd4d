/* SPDX-License-Identifier: MIT */
/* epoll: level and edge, one shot, nesting, limits, order of checks. */
#define _GNU_SOURCE
#include <t.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <time.h>

static int fds[2];
static long ep;
static struct epoll_event got[8];
static char c;

static long control(int op, long fd, uint32_t events, uint64_t data)
{
    struct epoll_event e = { events, { .u64 = data } };
    return call(SYS_epoll_ctl, ep, op, fd, &e);
}

static long wait_now(void)
{
    memset(got, 0, sizeof(got));
    return call(SYS_epoll_wait, ep, got, 8, 0);
}

static void level(void)
{
    CHECK(0, control(EPOLL_CTL_ADD, fds[0], EPOLLIN, 42));
    CHECK(-EEXIST, control(EPOLL_CTL_ADD, fds[0], EPOLLIN, 42));
    CHECK(0, wait_now());
    CHECK(1, call(SYS_write, fds[1], "x", 1));
    for (int i = 0; i < 2; i++) {
        CHECK(1, wait_now());
        CHECK(EPOLLIN, got[0].events);
        CHECK(42, got[0].data.u64);
    }
    CHECK(0, control(EPOLL_CTL_ADD, fds[1], EPOLLOUT, 43));
    CHECK(2, wait_now());
    CHECK(1, call(SYS_epoll_wait, ep, got, 1, 0));
    CHECK(0, control(EPOLL_CTL_MOD, fds[1], 0, 44));
    CHECK(1, wait_now());
    CHECK(1, call(SYS_read, fds[0], &c, 1));
    CHECK(0, wait_now());
    CHECK(0, control(EPOLL_CTL_DEL, fds[0], 0, 0));
    CHECK(-ENOENT, control(EPOLL_CTL_DEL, fds[0], 0, 0));
    CHECK(-ENOENT, control(EPOLL_CTL_MOD, fds[0], EPOLLIN, 0));
    CHECK(0, call(SYS_epoll_ctl, ep, EPOLL_CTL_DEL, fds[1], NULL));
}

static void edge(void)
{
    CHECK(0, control(EPOLL_CTL_ADD, fds[0], EPOLLIN | EPOLLET, 1));
    CHECK(1, call(SYS_write, fds[1], "x", 1));
    CHECK(1, wait_now());
    CHECK(0, wait_now());
    CHECK(1, call(SYS_write, fds[1], "y", 1)); /* more of it is news again */
    CHECK(1, wait_now());
    CHECK(0, wait_now());
    CHECK(0, control(EPOLL_CTL_MOD, fds[0], EPOLLIN | EPOLLET, 2)); /* and so is asking anew */
    CHECK(1, wait_now());
    CHECK(2, got[0].data.u64);
    CHECK(0, control(EPOLL_CTL_MOD, fds[0], EPOLLIN | EPOLLONESHOT, 3));
    CHECK(1, wait_now());
    CHECK(0, wait_now());
    CHECK(1, call(SYS_write, fds[1], "z", 1));
    CHECK(0, wait_now());
    CHECK(0, control(EPOLL_CTL_MOD, fds[0], EPOLLIN | EPOLLONESHOT, 4));
    CHECK(1, wait_now());
    char all[8];
    CHECK(3, call(SYS_read, fds[0], all, 8));
    CHECK(0, control(EPOLL_CTL_DEL, fds[0], 0, 0));
}

static void closing_removes(void)
{
    int other[2];
    CHECK(0, call(SYS_pipe2, other, 0));
    CHECK(0, control(EPOLL_CTL_ADD, other[0], EPOLLIN, 9));
    long copy = call(SYS_dup, other[0]);
    CHECK(0, control(EPOLL_CTL_ADD, copy, EPOLLIN,
                     10)); /* the same file by another number is another entry */
    CHECK(1, call(SYS_write, other[1], "x", 1));
    CHECK(2, wait_now());
    call(SYS_close, other[0]);
    CHECK(2, wait_now()); /* the open file lives on in the copy */
    call(SYS_close, copy);
    CHECK(0, wait_now());
    call(SYS_close, other[1]);
}

static void hang_up(void)
{
    int other[2];
    CHECK(0, call(SYS_pipe2, other, 0));
    CHECK(0, control(EPOLL_CTL_ADD, other[0], 0, 9));
    call(SYS_close, other[1]);
    CHECK(1, wait_now());
    CHECK(EPOLLHUP, got[0].events); /* not asked for, always told */
    call(SYS_close, other[0]);
}

static void nests(void)
{
    long inner = call(SYS_epoll_create, 1), outer = ep;
    ep = inner;
    CHECK(0, control(EPOLL_CTL_ADD, fds[0], EPOLLIN, 5));
    ep = outer;
    CHECK(0, control(EPOLL_CTL_ADD, inner, EPOLLIN, 6));
    CHECK(0, wait_now());
    CHECK(1, call(SYS_write, fds[1], "x", 1));
    CHECK(1, wait_now());
    CHECK(6, got[0].data.u64);
    struct pollfd p = { (int)inner, POLLIN, 0 };
    CHECK(1, call(SYS_poll, &p, 1, 0));
    CHECK(1, call(SYS_read, fds[0], &c, 1));
    CHECK(0, wait_now());
    ep = inner;
    CHECK(-ELOOP, control(EPOLL_CTL_ADD, outer, EPOLLIN, 7));
    CHECK(-EINVAL, control(EPOLL_CTL_ADD, inner, EPOLLIN, 7));
    ep = outer;
    call(SYS_close, inner);
    CHECK(0, wait_now());
}

static void checks(void)
{
    struct epoll_event e = { EPOLLIN, { .u64 = 1 } };
    CHECK(-EINVAL, call(SYS_epoll_create, 0));
    CHECK(-EINVAL, call(SYS_epoll_create, -1));
    CHECK(-EINVAL, call(SYS_epoll_create1, 1));
    long fd = call(SYS_epoll_create1, EPOLL_CLOEXEC);
    CHECK(FD_CLOEXEC, call(SYS_fcntl, fd, F_GETFD));
    CHECK(O_RDWR, call(SYS_fcntl, fd, F_GETFL));
    call(SYS_close, fd);
    fd = call(SYS_open, "/etc/passwd", O_RDONLY);
    CHECK(-EPERM, control(EPOLL_CTL_ADD, fd, EPOLLIN, 0)); /* a regular file cannot wait */
    CHECK(-EINVAL, call(SYS_epoll_ctl, fd, EPOLL_CTL_ADD, fds[0], &e));
    CHECK(-EINVAL, call(SYS_epoll_wait, fd, got, 8, 0));
    call(SYS_close, fd);
    CHECK(-EBADF, control(EPOLL_CTL_ADD, 999, EPOLLIN, 0));
    CHECK(-EBADF, call(SYS_epoll_ctl, 999, EPOLL_CTL_ADD, fds[0], &e));
    CHECK(-EFAULT, call(SYS_epoll_ctl, ep, EPOLL_CTL_ADD, fds[0], T_BAD));
    CHECK(-EINVAL, call(SYS_epoll_ctl, ep, 77, fds[0], &e));
    CHECK(-EINVAL, call(SYS_epoll_wait, ep, got, 0, 0));
    CHECK(-EINVAL, call(SYS_epoll_wait, ep, got, -1, 0));
    CHECK(-EBADF, call(SYS_epoll_wait, 999, got, 8, 0));
    CHECK(1, call(SYS_write, fds[1], "x", 1));
    CHECK(0, control(EPOLL_CTL_ADD, fds[0], EPOLLIN, 3));
    CHECK(-EFAULT, call(SYS_epoll_wait, ep, T_BAD, 8, 0));
    CHECK(1, wait_now()); /* not lost by it */
    CHECK(1, call(SYS_read, fds[0], &c, 1));
    uint64_t mask = 0;
    CHECK(-EINVAL, call(SYS_epoll_pwait, ep, got, 8, 0, &mask, 4));
    CHECK(0, call(SYS_epoll_pwait, ep, got, 8, 0, &mask, 8));
    struct timespec ts = { 0, 20000000 }, before, after;
    CHECK(0, call(SYS_clock_gettime, CLOCK_MONOTONIC, &before));
    CHECK(0, call(SYS_epoll_pwait2, ep, got, 8, &ts, NULL, 8));
    CHECK(0, call(SYS_epoll_wait, ep, got, 8, 20));
    CHECK(0, call(SYS_clock_gettime, CLOCK_MONOTONIC, &after));
    CHECK(1,
          (after.tv_sec - before.tv_sec) * 1000000000 + after.tv_nsec - before.tv_nsec >= 40000000);
    ts.tv_nsec = -1;
    CHECK(-EINVAL, call(SYS_epoll_pwait2, ep, got, 8, &ts, NULL, 8));
    CHECK(0, control(EPOLL_CTL_DEL, fds[0], 0, 0));
    CHECK(-EINVAL, control(EPOLL_CTL_ADD, ep, EPOLLIN, 0));
}

static void exclusive(void)
{
    CHECK(0, control(EPOLL_CTL_ADD, fds[0], EPOLLIN | EPOLLEXCLUSIVE, 3));
    CHECK(-EINVAL, control(EPOLL_CTL_MOD, fds[0], EPOLLIN | EPOLLEXCLUSIVE, 3));
    CHECK(-EINVAL, control(EPOLL_CTL_MOD, fds[0], EPOLLIN, 3));
    CHECK(0, control(EPOLL_CTL_DEL, fds[0], 0, 0));
    CHECK(-EINVAL, control(EPOLL_CTL_ADD, fds[0], EPOLLIN | EPOLLONESHOT | EPOLLEXCLUSIVE, 3));
}

int main(void)
{
    CHECK(0, call(SYS_pipe2, fds, 0));
    ep = call(SYS_epoll_create1, 0);
    level();
    edge();
    closing_removes();
    hang_up();
    nests();
    checks();
    exclusive();
    return t_end();
}
