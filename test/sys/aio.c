/* SPDX-License-Identifier: MIT */
/* Linux asynchronous I/O. */
#define _GNU_SOURCE
#include <t_file.h>

#include <linux/aio_abi.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <sys/uio.h>
#include <time.h>

static char buf[8192] __attribute__((aligned(4096)));
static aio_context_t ctx;
static long fd;

static long submit(struct iocb *cb)
{
    struct iocb *list[1] = { cb };
    return call(SYS_io_submit, ctx, 1, list);
}

static struct iocb job(int op, void *p, size_t n, long pos)
{
    return (struct iocb){ .aio_lio_opcode = (uint16_t)op,
                          .aio_fildes = (uint32_t)fd,
                          .aio_buf = (uint64_t)(uintptr_t)p,
                          .aio_nbytes = n,
                          .aio_offset = pos,
                          .aio_data = 77 };
}

/* The result of cb, submitted and waited for. */
static long result(struct iocb *cb)
{
    struct io_event ev = { 0 };
    CHECK(1, submit(cb));
    CHECK(1, call(SYS_io_getevents, ctx, 1, 1, &ev, NULL));
    CHECK(77, ev.data);
    CHECK(true, ev.obj == (uint64_t)(uintptr_t)cb);
    return ev.res;
}

static void contexts(void)
{
    aio_context_t c = 1;
    CHECK(-EINVAL, call(SYS_io_setup, 1, &c));
    c = 0;
    CHECK(-EINVAL, call(SYS_io_setup, 0, &c));
    CHECK(-EINVAL, call(SYS_io_setup, 0x800001, &c));
    CHECK(-EAGAIN, call(SYS_io_setup, 0x200000, &c));
    CHECK(-EFAULT, call(SYS_io_setup, 1, T_BAD));
    CHECK(0, call(SYS_io_setup, 8, &c));
    CHECK(true, c != 0);
    CHECK(0, call(SYS_io_destroy, c));
    CHECK(-EINVAL, call(SYS_io_destroy, c));
    CHECK(-EINVAL, call(SYS_io_submit, c, 0, NULL));
    CHECK(-EINVAL, call(SYS_io_getevents, c, 0, 0, NULL, NULL));
    CHECK(0, call(SYS_io_setup, 8, &ctx));
}

static void transfers(void)
{
    struct iocb cb = job(IOCB_CMD_PWRITE, "hello", 5, 3), two = job(IOCB_CMD_PREAD, buf, 100, 0);
    struct iovec v[2] = { { buf, 3 }, { buf + 50, 5 } };
    CHECK(5, result(&cb));
    CHECK(8, result(&two));
    CHECK(0, memcmp(buf, "\0\0\0hello", 8));
    cb = job(IOCB_CMD_PREADV, v, 2, 0);
    CHECK(8, result(&cb));
    CHECK(0, memcmp(buf + 50, "hello", 5));
    cb = job(IOCB_CMD_PWRITEV, v, 2, 8);
    CHECK(8, result(&cb));
    cb = job(IOCB_CMD_FSYNC, NULL, 0, 0);
    CHECK(0, result(&cb));
    cb = job(IOCB_CMD_FDSYNC, NULL, 0, 0);
    CHECK(0, result(&cb));
    cb = job(IOCB_CMD_PWRITE, "x", 1, 0);
    cb.aio_rw_flags = RWF_APPEND | RWF_DSYNC;
    CHECK(1, result(&cb));
    CHECK(17, call(SYS_lseek, fd, 0, SEEK_END));
    cb = job(IOCB_CMD_PREAD, buf, 10, 100);
    CHECK(0, result(&cb));
}

static void errors(void)
{
    struct iocb cb = job(IOCB_CMD_PREAD, T_BAD, 10, 0), good = job(IOCB_CMD_PREAD, buf, 10, 0);
    struct iocb *list[3] = { &good, T_BAD, &good };
    struct io_event ev[4];
    struct timespec now = { 0, 0 };
    CHECK(-EFAULT, result(&cb));
    cb = job(IOCB_CMD_PREAD, buf, 10, -5);
    CHECK(-EINVAL, submit(&cb));
    cb = job(IOCB_CMD_PREAD, buf, SIZE_MAX, 0);
    CHECK(-EINVAL, submit(&cb));
    cb = job(99, buf, 1, 0);
    CHECK(-EINVAL, submit(&cb));
    cb = good;
    cb.aio_fildes = 999;
    CHECK(-EBADF, submit(&cb));
    cb = good;
    cb.aio_reserved2 = 1;
    CHECK(-EINVAL, submit(&cb));
    cb = good;
    cb.aio_rw_flags = 0x8000;
    CHECK(-EOPNOTSUPP, submit(&cb));
    cb = job(IOCB_CMD_FSYNC, buf, 0, 0);
    CHECK(-EINVAL, submit(&cb));
    cb = good;
    cb.aio_flags = IOCB_FLAG_RESFD;
    cb.aio_resfd = (uint32_t)fd;
    CHECK(-EINVAL, submit(&cb));
    CHECK(-EFAULT, call(SYS_io_submit, ctx, 1, T_BAD));
    CHECK(-EINVAL, call(SYS_io_submit, ctx, -1, list));
    CHECK(0, call(SYS_io_submit, ctx, 0, list));
    CHECK(1, call(SYS_io_submit, ctx, 3, list)); /* the second is bad: the first was begun */
    CHECK(-EINVAL, call(SYS_io_getevents, ctx, 2, 1, ev, NULL));
    CHECK(-EINVAL, call(SYS_io_getevents, ctx, -1, 1, ev, NULL));
    CHECK(1, call(SYS_io_getevents, ctx, 2, 4, ev, &now));
    CHECK(0, call(SYS_io_getevents, ctx, 1, 4, ev, &now));
    CHECK(0, call(SYS_io_pgetevents, ctx, 0, 4, ev, NULL, NULL));
    CHECK(-EINVAL, call(SYS_io_cancel, ctx, &good, ev));
    CHECK(-EFAULT, call(SYS_io_cancel, ctx, T_BAD, ev));
}

static void notification(void)
{
    struct iocb cb = job(IOCB_CMD_PREAD, buf, 4, 0);
    struct io_event ev[8];
    uint64_t n = 0;
    long e = call(SYS_eventfd2, 0, EFD_NONBLOCK);
    cb.aio_flags = IOCB_FLAG_RESFD;
    cb.aio_resfd = (uint32_t)e;
    CHECK(-EAGAIN, call(SYS_read, e, &n, 8));
    CHECK(1, submit(&cb));
    CHECK(1, submit(&cb));
    CHECK(2, call(SYS_io_getevents, ctx, 2, 8, ev, NULL));
    CHECK(8, call(SYS_read, e, &n, 8));
    CHECK(2, n);
    call(SYS_close, e);
}

/* There is room for as many as were asked for, and not for any number. */
static void limits(void)
{
    struct iocb cb = job(IOCB_CMD_PREAD, buf, 1, 0);
    struct io_event ev[4];
    long n = 0, taken = 0, r;
    while (n < 100000 && (r = submit(&cb)) == 1)
        n++;
    CHECK(-EAGAIN, r);
    CHECK(true, n >= 8);
    CHECK(4, call(SYS_io_getevents, ctx, 4, 4, ev, NULL));
    CHECK(1, submit(&cb));
    struct timespec now = { 0, 0 };
    while ((r = call(SYS_io_getevents, ctx, 0, 4, ev, &now)) > 0)
        taken += r;
    CHECK(n + 1, taken + 4);
}

static void direct(void)
{
    long direct = call(SYS_open, "f", O_RDWR | O_DIRECT);
    if (direct < 0)
        return;
    struct iocb cb[2] = { job(IOCB_CMD_PWRITE, buf, 4096, 4096),
                          job(IOCB_CMD_PREAD, buf + 4096, 4096, 4096) };
    memset(buf, 'd', 4096);
    cb[0].aio_fildes = cb[1].aio_fildes = (uint32_t)direct;
    CHECK(4096, result(&cb[0])); /* the file grows */
    CHECK(4096, result(&cb[0])); /* and is written over */
    CHECK(4096, result(&cb[1]));
    CHECK(0, memcmp(buf, buf + 4096, 4096));
    call(SYS_close, direct);
}

int main(void)
{
    t_enter();
    fd = call(SYS_open, "f", O_RDWR | O_CREAT, 0644);
    contexts();
    transfers();
    errors();
    notification();
    limits();
    direct();
    CHECK(0, call(SYS_io_destroy, ctx));
    return t_leave();
}
