/* SPDX-License-Identifier: MIT */
/* io_uring: rings, transfers, chains, drains, timeouts, polls, calling back. */
#define _GNU_SOURCE
#include <t_file.h>
#include <t_uring.h>

#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/uio.h>

static struct ring r;
static char *buf;
static long fd;

static void setup_errors(void)
{
    struct io_uring_params p = { 0 };
    CHECK(-EFAULT, call(SYS_io_uring_setup, 8, T_BAD));
    CHECK(-EINVAL, call(SYS_io_uring_setup, 0, &p));
    CHECK(-EINVAL, call(SYS_io_uring_setup, 32769, &p));
    p.flags = 1u << 30;
    CHECK(-EINVAL, call(SYS_io_uring_setup, 8, &p));
    p = (struct io_uring_params){ .resv = { 1 } };
    CHECK(-EINVAL, call(SYS_io_uring_setup, 8, &p));
    p = (struct io_uring_params){ .flags = IORING_SETUP_CQSIZE };
    CHECK(-EINVAL, call(SYS_io_uring_setup, 8, &p));
    p = (struct io_uring_params){ .flags = IORING_SETUP_CQSIZE, .cq_entries = 4 };
    CHECK(-EINVAL, call(SYS_io_uring_setup, 8, &p));
    p = (struct io_uring_params){ .flags = IORING_SETUP_SQ_AFF };
    CHECK(-EINVAL, call(SYS_io_uring_setup, 8, &p));
    p = (struct io_uring_params){ .flags = IORING_SETUP_TASKRUN_FLAG };
    CHECK(-EINVAL, call(SYS_io_uring_setup, 8, &p));
    p = (struct io_uring_params){ .flags = IORING_SETUP_DEFER_TASKRUN };
    CHECK(-EINVAL, call(SYS_io_uring_setup, 8, &p));
    p = (struct io_uring_params){ .flags = IORING_SETUP_ATTACH_WQ, .wq_fd = 9999 };
    CHECK(-ENXIO, call(SYS_io_uring_setup, 8, &p));
    CHECK(-EBADF, call(SYS_io_uring_enter, 9999, 0, 0, 0, NULL, 0));
    CHECK(-EOPNOTSUPP, call(SYS_io_uring_enter, fd, 0, 0, 0, NULL, 0));
    CHECK(-EBADF, call(SYS_io_uring_register, 9999, IORING_REGISTER_FILES, NULL, 0));
    CHECK(-EOPNOTSUPP, call(SYS_io_uring_register, fd, IORING_REGISTER_FILES, NULL, 0));
}

static void sizes(void)
{
    struct ring s = { .p.cq_entries = 100 };
    CHECK(true, ring_open(&s, 100, IORING_SETUP_CLAMP) >= 0);
    CHECK(128, s.p.sq_entries);
    CHECK(256, s.p.cq_entries);
    CHECK(127, *ring_word(&s, s.p.sq_off.ring_mask));
    CHECK(255, *ring_word(&s, s.p.cq_off.ring_mask));
    CHECK(128, *ring_word(&s, s.p.sq_off.ring_entries));
    CHECK(256, *ring_word(&s, s.p.cq_off.ring_entries));
    CHECK(FD_CLOEXEC, call(SYS_fcntl, s.fd, F_GETFD));
    const unsigned want = IORING_FEAT_SINGLE_MMAP | IORING_FEAT_NODROP | IORING_FEAT_SUBMIT_STABLE |
                          IORING_FEAT_RW_CUR_POS | IORING_FEAT_FAST_POLL | IORING_FEAT_EXT_ARG |
                          IORING_FEAT_NATIVE_WORKERS | IORING_FEAT_RSRC_TAGS | IORING_FEAT_CQE_SKIP;
    CHECK(want, s.p.features & want);
    CHECK(true, call(SYS_mmap, 0, 4096, PROT_READ, MAP_SHARED, s.fd, 0x20000000) < 0);
    ring_close(&s);
    s.p.cq_entries = 100;
    CHECK(true,
          ring_open(&s, 5, IORING_SETUP_CQSIZE | IORING_SETUP_SQE128 | IORING_SETUP_CQE32) >= 0);
    CHECK(8, s.p.sq_entries);
    CHECK(128, s.p.cq_entries);
    for (int i = 0; i < 300; i++) {
        sqe(&s, IORING_OP_NOP, 0, (uint64_t)i);
        CHECK(1, submit(&s, 1));
        CHECK_NEXT(&s, i, 0);
    }
    ring_close(&s);
}

static void nops(void)
{
    for (int i = 0; i < 8; i++)
        sqe(&r, IORING_OP_NOP, -1, 100 + (uint64_t)i);
    CHECK(8, submit(&r, 8));
    CHECK(8, ready(&r));
    CHECK(8, *ring_word(&r, r.p.sq_off.head));
    for (int i = 0; i < 8; i++)
        CHECK_NEXT(&r, 100 + i, 0);
    CHECK(0, submit(&r, 0));
    sqe(&r, 250, -1, 1);
    sqe(&r, IORING_OP_NOP, -1, 2);
    CHECK(1, submit(&r, 1)); /* the wrong one ends the submission */
    CHECK_NEXT(&r, 1, -EINVAL);
    CHECK(1, call(SYS_io_uring_enter, r.fd, 1, 0, 0, NULL, 0));
    CHECK_NEXT(&r, 2, 0);
    sqe(&r, IORING_OP_NOP, -1, 3)->flags = 0x80;
    CHECK(-EINVAL, result(&r));
    sqe(&r, IORING_OP_NOP, -1, 3)->personality = 77;
    CHECK(-EINVAL, result(&r));
    sqe(&r, IORING_OP_NOP, -1, 3)->flags = IOSQE_CQE_SKIP_SUCCESS;
    sqe(&r, IORING_OP_NOP, -1, 4);
    CHECK(2, submit(&r, 1));
    CHECK_NEXT(&r, 4, 0);
    /* An index that is none of the ring's. */
    sqe(&r, IORING_OP_NOP, -1, 5);
    ring_word(&r, r.p.sq_off.array)[(r.tail - 1) & (r.p.sq_entries - 1)] = 4711;
    CHECK(0, submit(&r, 0));
    CHECK(1, *ring_word(&r, r.p.sq_off.dropped));
    CHECK(0, ready(&r));
}

static long rw(int op, long f, void *p, unsigned n, uint64_t off)
{
    struct io_uring_sqe *s = sqe(&r, op, (int)f, 9);
    s->addr = (uintptr_t)p;
    s->len = n;
    s->off = off;
    return result(&r);
}

static void transfers(void)
{
    struct iovec iov[2] = { { buf, 3 }, { buf + 100, 4 } };
    memcpy(buf, "hello world", 12);
    CHECK(12, rw(IORING_OP_WRITE, fd, buf, 12, 0));
    memset(buf, 0, 200);
    CHECK(5, rw(IORING_OP_READ, fd, buf, 5, 6));
    CHECK(0, memcmp(buf, "world", 5));
    CHECK(7, rw(IORING_OP_READV, fd, iov, 2, 0));
    CHECK(0, memcmp(buf, "hel", 3) | memcmp(buf + 100, "lo w", 4));
    CHECK(7, rw(IORING_OP_WRITEV, fd, iov, 2, 100));
    CHECK(7, rw(IORING_OP_READ, fd, buf, 100, 100));
    CHECK(0, rw(IORING_OP_READ, fd, buf, 100, 107));
    CHECK(0, call(SYS_lseek, fd, 0, SEEK_SET));
    CHECK(5, rw(IORING_OP_READ, fd, buf, 5, (uint64_t)-1));
    CHECK(5, call(SYS_lseek, fd, 0, SEEK_CUR));
    CHECK(-EFAULT, rw(IORING_OP_READ, fd, T_BAD, 5, 0));
    CHECK(-EBADF, rw(IORING_OP_READ, 9999, buf, 5, 0));
    CHECK(-EINVAL, rw(IORING_OP_READV, fd, iov, 1025, 0));
    CHECK(-EFAULT, rw(IORING_OP_READV, fd, T_BAD, 2, 0));
    sqe(&r, IORING_OP_FSYNC, (int)fd, 1)->fsync_flags = IORING_FSYNC_DATASYNC;
    CHECK(0, result(&r));
    sqe(&r, IORING_OP_FSYNC, (int)fd, 1)->fsync_flags = 8;
    CHECK(-EINVAL, result(&r));
    struct io_uring_sqe *s = sqe(&r, IORING_OP_FALLOCATE, (int)fd, 1);
    s->addr = 5000;
    CHECK(0, result(&r));
    CHECK(5000, call(SYS_lseek, fd, 0, SEEK_END));
    /* On a worker. */
    s = sqe(&r, IORING_OP_READ, (int)fd, 3);
    s->addr = (uintptr_t)buf;
    s->len = 5;
    s->flags = IOSQE_ASYNC;
    CHECK(5, result(&r));
    CHECK(0, memcmp(buf, "hello", 5));
}

static void pipes(void)
{
    int p[2];
    CHECK(0, call(SYS_pipe2, p, 0));
    struct io_uring_sqe *s = sqe(&r, IORING_OP_READ, p[0], 1);
    s->addr = (uintptr_t)buf;
    s->len = 10;
    CHECK(1, submit(&r, 0));
    CHECK(0, ready(&r));
    CHECK(3, call(SYS_write, p[1], "abc", 3));
    CHECK_NEXT(&r, 1, 3);
    /* The same with the data's sender before the reader's thread waits for it elsewhere. */
    s = sqe(&r, IORING_OP_READ, p[0], 2);
    s->addr = (uintptr_t)buf;
    s->len = 3;
    s->flags = IOSQE_IO_LINK;
    s = sqe(&r, IORING_OP_NOP, -1, 3);
    sqe(&r, IORING_OP_WRITE, p[1], 4)->addr = (uintptr_t) "xyz";
    r.sqes[(r.tail - 1) & (r.p.sq_entries - 1)].len = 3;
    CHECK(3, submit(&r, 3));
    CHECK_NEXT(&r, 4, 3);
    CHECK_NEXT(&r, 2, 3);
    CHECK_NEXT(&r, 3, 0);
    call(SYS_close, p[1]);
    CHECK(0, rw(IORING_OP_READ, p[0], buf, 10, 0));
    call(SYS_close, p[0]);
}

static void chains(void)
{
    sqe(&r, IORING_OP_NOP, -1, 1)->flags = IOSQE_IO_LINK;
    sqe(&r, IORING_OP_READ, 9999, 2)->flags = IOSQE_IO_LINK;
    sqe(&r, IORING_OP_NOP, -1, 3)->flags = IOSQE_IO_LINK;
    sqe(&r, IORING_OP_NOP, -1, 4);
    sqe(&r, IORING_OP_NOP, -1, 5);
    CHECK(5, submit(&r, 5));
    for (int i = 0; i < 5; i++) {
        struct done c = next(&r);
        const long want[] = { 0, 0, -EBADF, -ECANCELED, -ECANCELED, 0 };
        CHECK(want[c.user_data], c.res);
    }
    sqe(&r, IORING_OP_READ, 9999, 1)->flags = IOSQE_IO_HARDLINK;
    sqe(&r, IORING_OP_NOP, -1, 2);
    CHECK(2, submit(&r, 2));
    CHECK_NEXT(&r, 1, -EBADF);
    CHECK_NEXT(&r, 2, 0);
    /* One that is wrong fails the chain from its head on. */
    sqe(&r, IORING_OP_NOP, -1, 1)->flags = IOSQE_IO_LINK;
    sqe(&r, 250, -1, 2);
    CHECK(2, submit(&r, 2));
    CHECK_NEXT(&r, 1, -ECANCELED);
    CHECK_NEXT(&r, 2, -EINVAL);
    /* A short read ends a chain. */
    struct io_uring_sqe *s = sqe(&r, IORING_OP_READ, (int)fd, 1);
    s->addr = (uintptr_t)buf;
    s->len = 100;
    s->off = 4990;
    s->flags = IOSQE_IO_LINK;
    sqe(&r, IORING_OP_NOP, -1, 2);
    CHECK(2, submit(&r, 2));
    CHECK_NEXT(&r, 1, 10);
    CHECK_NEXT(&r, 2, -ECANCELED);
}

static struct __kernel_timespec ms(long n)
{
    return (struct __kernel_timespec){ .tv_sec = n / 1000, .tv_nsec = n % 1000 * 1000000 };
}

static struct io_uring_sqe *timeout(int op, struct __kernel_timespec *ts, uint64_t data)
{
    struct io_uring_sqe *s = sqe(&r, op, -1, data);
    s->addr = (uintptr_t)ts;
    s->len = 1;
    return s;
}

static void timeouts(void)
{
    struct __kernel_timespec little = ms(20), much = ms(100000);
    timeout(IORING_OP_TIMEOUT, &little, 1);
    CHECK(-ETIME, result(&r));
    timeout(IORING_OP_TIMEOUT, &much, 2)->off = 2;
    CHECK(1, submit(&r, 0));
    sqe(&r, IORING_OP_NOP, -1, 3);
    sqe(&r, IORING_OP_NOP, -1, 4);
    CHECK(2, submit(&r, 3));
    CHECK_NEXT(&r, 3, 0);
    CHECK_NEXT(&r, 4, 0);
    CHECK_NEXT(&r, 2, 0);
    timeout(IORING_OP_TIMEOUT, &much, 5);
    CHECK(1, submit(&r, 0));
    sqe(&r, IORING_OP_TIMEOUT_REMOVE, -1, 6)->addr = 5;
    CHECK(1, submit(&r, 2));
    long sum = 0;
    for (int i = 0; i < 2; i++) {
        struct done c = next(&r);
        CHECK(c.user_data == 5 ? -ECANCELED : 0, c.res);
        sum += (long)c.user_data;
    }
    CHECK(11, sum);
    sqe(&r, IORING_OP_TIMEOUT_REMOVE, -1, 6)->addr = 5;
    CHECK(-ENOENT, result(&r));
    timeout(IORING_OP_TIMEOUT, &much, 7);
    CHECK(1, submit(&r, 0));
    struct io_uring_sqe *s = sqe(&r, IORING_OP_TIMEOUT_REMOVE, -1, 8);
    s->addr = 7;
    s->addr2 = (uintptr_t)&little;
    s->timeout_flags = IORING_TIMEOUT_UPDATE;
    CHECK(0, result(&r));
    CHECK_NEXT(&r, 7, -ETIME);
    timeout(IORING_OP_TIMEOUT, &little, 1)->timeout_flags =
        IORING_TIMEOUT_BOOTTIME | IORING_TIMEOUT_REALTIME;
    CHECK(-EINVAL, result(&r));
    timeout(IORING_OP_TIMEOUT, T_BAD, 1);
    CHECK(-EFAULT, result(&r));
    timeout(IORING_OP_TIMEOUT, &little, 1)->len = 2;
    CHECK(-EINVAL, result(&r));
    timeout(IORING_OP_TIMEOUT, &little, 9)->flags = IOSQE_IO_LINK;
    r.sqes[(r.tail - 1) & (r.p.sq_entries - 1)].timeout_flags = IORING_TIMEOUT_ETIME_SUCCESS;
    sqe(&r, IORING_OP_NOP, -1, 10);
    CHECK(2, submit(&r, 2));
    CHECK_NEXT(&r, 9, -ETIME);
    CHECK_NEXT(&r, 10, 0);
}

static void link_timeouts(void)
{
    struct __kernel_timespec little = ms(20), much = ms(100000);
    int p[2];
    CHECK(0, call(SYS_pipe2, p, 0));
    struct io_uring_sqe *s = sqe(&r, IORING_OP_READ, p[0], 1);
    s->addr = (uintptr_t)buf;
    s->len = 10;
    s->flags = IOSQE_IO_LINK;
    timeout(IORING_OP_LINK_TIMEOUT, &little, 2);
    CHECK(2, submit(&r, 2));
    for (int i = 0; i < 2; i++) {
        struct done c = next(&r);
        CHECK(c.user_data == 1 ? -ECANCELED : -ETIME, c.res);
    }
    sqe(&r, IORING_OP_NOP, -1, 3)->flags = IOSQE_IO_LINK;
    timeout(IORING_OP_LINK_TIMEOUT, &much, 4);
    CHECK(2, submit(&r, 2));
    CHECK_NEXT(&r, 3, 0);
    CHECK_NEXT(&r, 4, -ECANCELED);
    s = sqe(&r, IORING_OP_READ, p[0], 5);
    s->addr = (uintptr_t)buf;
    s->len = 10;
    s->flags = IOSQE_IO_LINK;
    timeout(IORING_OP_LINK_TIMEOUT, &much, 6);
    CHECK(2, submit(&r, 0));
    CHECK(1, call(SYS_write, p[1], "a", 1));
    for (int i = 0; i < 2; i++) {
        struct done c = next(&r);
        CHECK(c.user_data == 5 ? 1 : -ECANCELED, c.res);
    }
    timeout(IORING_OP_LINK_TIMEOUT, &much, 6);
    CHECK(-EINVAL, result(&r));
    call(SYS_close, p[0]);
    call(SYS_close, p[1]);
}

static struct io_uring_sqe *poll_add(int f, unsigned events, uint64_t data)
{
    struct io_uring_sqe *s = sqe(&r, IORING_OP_POLL_ADD, f, data);
    s->poll32_events = events;
    return s;
}

static void polls(void)
{
    int e = (int)call(SYS_eventfd2, 0, EFD_NONBLOCK);
    uint64_t one = 1, got;
    poll_add(e, POLLOUT, 1);
    CHECK(POLLOUT, result(&r));
    poll_add(e, POLLIN, 2);
    CHECK(1, submit(&r, 0));
    CHECK(0, ready(&r));
    CHECK(8, call(SYS_write, e, &one, 8));
    CHECK_NEXT(&r, 2, POLLIN);
    CHECK(8, call(SYS_read, e, &got, 8));
    poll_add(e, POLLIN, 3)->len = IORING_POLL_ADD_MULTI;
    CHECK(1, submit(&r, 0));
    for (int i = 0; i < 3; i++) {
        CHECK(8, call(SYS_write, e, &one, 8));
        struct done c = next(&r);
        CHECK(3, c.user_data);
        CHECK(POLLIN, c.res);
        CHECK(IORING_CQE_F_MORE, c.flags);
        CHECK(8, call(SYS_read, e, &got, 8));
    }
    sqe(&r, IORING_OP_POLL_REMOVE, -1, 4)->addr = 3;
    CHECK(1, submit(&r, 2));
    for (int i = 0; i < 2; i++) {
        struct done c = next(&r);
        CHECK(c.user_data == 3 ? -ECANCELED : 0, c.res);
        CHECK(0, c.flags);
    }
    sqe(&r, IORING_OP_POLL_REMOVE, -1, 4)->addr = 3;
    CHECK(-ENOENT, result(&r));
    poll_add(e, POLLPRI, 5);
    CHECK(1, submit(&r, 0));
    struct io_uring_sqe *s = sqe(&r, IORING_OP_POLL_REMOVE, -1, 6);
    s->addr = 5;
    s->off = 7;
    s->poll32_events = POLLOUT;
    s->len = IORING_POLL_UPDATE_EVENTS | IORING_POLL_UPDATE_USER_DATA;
    CHECK(1, submit(&r, 2));
    long sum = 0;
    for (int i = 0; i < 2; i++) {
        struct done c = next(&r);
        CHECK(c.user_data == 7 ? POLLOUT : 0, c.res);
        sum += (long)c.user_data;
    }
    CHECK(13, sum);
    call(SYS_close, e);
}

static void cancels(void)
{
    int p[2];
    CHECK(0, call(SYS_pipe2, p, 0));
    for (int i = 0; i < 3; i++) {
        struct io_uring_sqe *s = sqe(&r, IORING_OP_READ, p[0], 50);
        s->addr = (uintptr_t)buf;
        s->len = 1;
    }
    CHECK(3, submit(&r, 0));
    sqe(&r, IORING_OP_ASYNC_CANCEL, -1, 1)->addr = 51;
    CHECK(-ENOENT, result(&r));
    sqe(&r, IORING_OP_ASYNC_CANCEL, -1, 1)->addr = 50;
    CHECK(1, submit(&r, 2));
    for (int i = 0; i < 2; i++) {
        struct done c = next(&r);
        CHECK(c.user_data == 50 ? -ECANCELED : 0, c.res);
    }
    struct io_uring_sqe *s = sqe(&r, IORING_OP_ASYNC_CANCEL, p[0], 1);
    s->cancel_flags = IORING_ASYNC_CANCEL_FD | IORING_ASYNC_CANCEL_ALL;
    CHECK(1, submit(&r, 3));
    for (int i = 0; i < 3; i++) {
        struct done c = next(&r);
        CHECK(c.user_data == 50 ? -ECANCELED : 2, c.res);
    }
    sqe(&r, IORING_OP_ASYNC_CANCEL, -1, 1)->cancel_flags = 1 << 20;
    CHECK(-EINVAL, result(&r));
    /* A ring that goes takes what waits with it. */
    struct ring t = { 0 };
    CHECK(true, ring_open(&t, 4, 0) >= 0);
    s = sqe(&t, IORING_OP_READ, p[0], 1);
    s->addr = (uintptr_t)buf;
    s->len = 1;
    CHECK(1, submit(&t, 0));
    ring_close(&t);
    call(SYS_close, p[0]);
    call(SYS_close, p[1]);
}

static void drains(void)
{
    int p[2];
    struct ring t = { 0 };
    CHECK(true, ring_open(&t, 8, 0) >= 0);
    CHECK(0, call(SYS_pipe2, p, 0));
    struct io_uring_sqe *s = sqe(&t, IORING_OP_READ, p[0], 1);
    s->addr = (uintptr_t)buf;
    s->len = 1;
    sqe(&t, IORING_OP_NOP, -1, 2)->flags = IOSQE_IO_DRAIN;
    sqe(&t, IORING_OP_NOP, -1, 3);
    CHECK(3, submit(&t, 0));
    CHECK(0, ready(&t));
    CHECK(1, call(SYS_write, p[1], "x", 1));
    CHECK_NEXT(&t, 1, 1);
    CHECK_NEXT(&t, 2, 0);
    CHECK_NEXT(&t, 3, 0);
    sqe(&t, IORING_OP_NOP, -1, 4)->flags = IOSQE_CQE_SKIP_SUCCESS;
    CHECK(1, submit(&t, 0));
    sqe(&t, IORING_OP_NOP, -1, 5)->flags = IOSQE_IO_DRAIN;
    CHECK(-EOPNOTSUPP, result(&t));
    call(SYS_close, p[0]);
    call(SYS_close, p[1]);
    ring_close(&t);
}

/* Completions that find no room are kept. */
static void overflow(void)
{
    struct ring t = { .p.cq_entries = 4 };
    CHECK(true, ring_open(&t, 4, IORING_SETUP_CQSIZE) >= 0);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 4; i++)
            sqe(&t, IORING_OP_NOP, -1, (uint64_t)(round * 4 + i));
        CHECK(4, submit(&t, 0));
    }
    CHECK(4, ready(&t));
    CHECK(IORING_SQ_CQ_OVERFLOW, *ring_word(&t, t.p.sq_off.flags) & IORING_SQ_CQ_OVERFLOW);
    for (int i = 0; i < 12; i++)
        CHECK_NEXT(&t, i, 0);
    CHECK(0, call(SYS_io_uring_enter, t.fd, 0, 0, IORING_ENTER_GETEVENTS, NULL, 0));
    CHECK(0, *ring_word(&t, t.p.sq_off.flags) & IORING_SQ_CQ_OVERFLOW);
    CHECK(0, *ring_word(&t, t.p.cq_off.overflow));
    ring_close(&t);
}

static void waiting(void)
{
    struct __kernel_timespec little = ms(20);
    struct io_uring_getevents_arg arg = { .ts = (uintptr_t)&little };
    const unsigned flags = IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG;
    CHECK(-ETIME, call(SYS_io_uring_enter, r.fd, 0, 1, flags, &arg, sizeof(arg)));
    CHECK(-EINVAL, call(SYS_io_uring_enter, r.fd, 0, 1, flags, &arg, 8));
    CHECK(-EFAULT, call(SYS_io_uring_enter, r.fd, 0, 1, flags, T_BAD, sizeof(arg)));
    CHECK(-EINVAL, call(SYS_io_uring_enter, r.fd, 0, 1, 1 << 20, NULL, 0));
    /* poll, epoll and an eventfd tell of completions. */
    struct pollfd pfd = { .fd = (int)r.fd, .events = POLLIN | POLLOUT };
    CHECK(1, call(SYS_poll, &pfd, 1, 0));
    CHECK(POLLOUT, pfd.revents);
    int e = (int)call(SYS_eventfd2, 0, EFD_NONBLOCK), ep = (int)call(SYS_epoll_create1, 0);
    uint64_t got;
    CHECK(0, call(SYS_io_uring_register, r.fd, IORING_REGISTER_EVENTFD, &e, 1));
    CHECK(-EBUSY, call(SYS_io_uring_register, r.fd, IORING_REGISTER_EVENTFD, &e, 1));
    struct epoll_event ev = { .events = EPOLLIN };
    CHECK(0, call(SYS_epoll_ctl, ep, EPOLL_CTL_ADD, r.fd, &ev));
    CHECK(0, call(SYS_epoll_wait, ep, &ev, 1, 0));
    timeout(IORING_OP_TIMEOUT, &little, 1);
    CHECK(1, submit(&r, 0));
    long n;
    while ((n = call(SYS_epoll_wait, ep, &ev, 1, 60000)) == -EINTR)
        ; /* Linux interrupts the call to go on with the request */
    CHECK(1, n);
    CHECK(8, call(SYS_read, e, &got, 8));
    CHECK_NEXT(&r, 1, -ETIME);
    CHECK(0, call(SYS_io_uring_register, r.fd, IORING_UNREGISTER_EVENTFD, NULL, 0));
    CHECK(-ENXIO, call(SYS_io_uring_register, r.fd, IORING_UNREGISTER_EVENTFD, NULL, 0));
    call(SYS_close, e);
    call(SYS_close, ep);
}

int main(void)
{
    t_enter();
    buf = t_pages(4);
    fd = call(SYS_open, "f", O_RDWR | O_CREAT, 0644);
    setup_errors();
    sizes();
    CHECK(true, ring_open(&r, 16, 0) >= 0);
    nops();
    transfers();
    pipes();
    chains();
    timeouts();
    link_timeouts();
    polls();
    cancels();
    drains();
    overflow();
    waiting();
    ring_close(&r);
    call(SYS_close, fd);
    return t_leave();
}
