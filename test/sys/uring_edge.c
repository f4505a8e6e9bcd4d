/* SPDX-License-Identifier: MIT */
/* io_uring: what is rarely asked of it. Names that are missing, and a timeout that counts completions behind a drain. */
#define _GNU_SOURCE
#include <t_file.h>
#include <t_uring.h>

#include <unistd.h>

/* Operations on two names, of which the second is no address. */
static void second_name(void)
{
    const int ops[] = { IORING_OP_RENAMEAT, IORING_OP_SYMLINKAT, IORING_OP_LINKAT };
    struct ring r = { 0 };
    ring_open(&r, 4, 0);
    for (unsigned i = 0; i < 3; i++) {
        struct io_uring_sqe *s = sqe(&r, ops[i], AT_FDCWD, i);
        s->addr = (uintptr_t) "one";
        s->len = ops[i] == IORING_OP_SYMLINKAT ? 0 : (unsigned)AT_FDCWD;
        CHECK(-EFAULT, result(&r));
    }
    ring_close(&r);
}

/* A timeout for a number of completions waits behind another one: completions meanwhile are not its own. */
static void counts_behind_drain(void)
{
    static struct __kernel_timespec much = { .tv_sec = 1000 }, little = { .tv_nsec = 1000000 };
    struct ring r = { 0 };
    int p[2];
    CHECK(0, call(SYS_pipe2, p, 0));
    ring_open(&r, 8, 0);
    sqe(&r, IORING_OP_POLL_ADD, p[0], 1)->poll32_events = 1;
    struct io_uring_sqe *s = sqe(&r, IORING_OP_TIMEOUT, -1, 2);
    s->addr = (uintptr_t)&much;
    s->len = 1;
    s->off = 1;
    for (unsigned i = 3; i < 6; i++) {
        s = sqe(&r, IORING_OP_TIMEOUT, -1, i);
        s->addr = (uintptr_t)&little;
        s->len = 1;
        s->off = 5;
        s->flags = IOSQE_IO_DRAIN;
    }
    CHECK(5, submit(&r, 0));
    CHECK(1, call(SYS_write, p[1], "x", 1));
    CHECK_NEXT(&r, 1u, 1);
    CHECK_NEXT(&r, 2u, 0);
    for (unsigned i = 3; i < 6; i++)
        CHECK_NEXT(&r, i, -ETIME);
    ring_close(&r);
    call(SYS_close, p[0]);
    call(SYS_close, p[1]);
}

int main(void)
{
    t_enter();
    second_name();
    counts_behind_drain();
    return t_leave();
}
