/* SPDX-License-Identifier: MIT */
/* Futexes as far as one thread sees them: values, time-outs, requeueing nobody, PI ownership, robust lists. */
#define _GNU_SOURCE
#include <t.h>

#include <errno.h>
#include <linux/futex.h>
#include <stdint.h>
#include <time.h>

static uint32_t word, other;

static long futex(uint32_t *w, int op, uint32_t val, const void *timeout, uint32_t *w2,
                  uint32_t val3)
{
    return call(SYS_futex, w, op, val, timeout, w2, val3);
}

static void waits(void)
{
    struct timespec ts = { 0, 10000000 };
    CHECK(-EAGAIN, futex(&word, FUTEX_WAIT, 1, NULL, NULL, 0));
    CHECK(-ETIMEDOUT, futex(&word, FUTEX_WAIT, 0, &ts, NULL, 0));
    CHECK(-ETIMEDOUT, futex(&word, FUTEX_WAIT_PRIVATE, 0, &ts, NULL, 0));
    CHECK(-ETIMEDOUT, futex(&word, FUTEX_WAIT_BITSET, 0, &ts, NULL, 1)); /* absolute: long ago */
    CHECK(-ETIMEDOUT, futex(&word, FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, 0, &ts, NULL, 1));
    CHECK(-EINVAL, futex(&word, FUTEX_WAIT_BITSET, 0, &ts, NULL, 0));
    ts.tv_nsec = 1000000000;
    CHECK(-EINVAL, futex(&word, FUTEX_WAIT, 0, &ts, NULL, 0));
    ts = (struct timespec){ -1, 0 };
    CHECK(-EINVAL, futex(&word, FUTEX_WAIT, 0, &ts, NULL, 0));
    CHECK(-EFAULT, futex(&word, FUTEX_WAIT, 0, T_BAD, NULL, 0));
    CHECK(-EFAULT, futex(T_BAD, FUTEX_WAIT, 0, NULL, NULL, 0));
    CHECK(-EINVAL, futex((uint32_t *)((char *)&word + 1), FUTEX_WAIT, 0, NULL, NULL, 0));
    CHECK(-ENOSYS, futex(&word, 99, 0, NULL, NULL, 0));
    CHECK(-ENOSYS, futex(&word, FUTEX_WAKE | FUTEX_CLOCK_REALTIME, 1, NULL, NULL, 0));
}

static void wakes_nobody(void)
{
    CHECK(0, futex(&word, FUTEX_WAKE, 1, NULL, NULL, 0));
    CHECK(0, futex(&word, FUTEX_WAKE_BITSET, 1, NULL, NULL, 4));
    CHECK(-EINVAL, futex(&word, FUTEX_WAKE_BITSET, 1, NULL, NULL, 0));
    CHECK(0, futex(&word, FUTEX_REQUEUE, 1, (void *)1, &other, 0));
    CHECK(-EAGAIN, futex(&word, FUTEX_CMP_REQUEUE, 1, (void *)1, &other, 77));
    CHECK(0, futex(&word, FUTEX_CMP_REQUEUE, 1, (void *)1, &other, 0));
    CHECK(-EINVAL, futex(&word, FUTEX_CMP_REQUEUE, -1, (void *)1, &other, 0));
    CHECK(0, futex(&word, FUTEX_WAKE_OP, 1, (void *)1, &other,
                   FUTEX_OP(FUTEX_OP_ADD, 5, FUTEX_OP_CMP_EQ, 0)));
    CHECK(5, other); /* the operation is done whoever waits */
    CHECK(0, futex(&word, FUTEX_WAKE_OP, 1, (void *)1, &other,
                   FUTEX_OP(FUTEX_OP_ANDN, 1, FUTEX_OP_CMP_EQ, 0)));
    CHECK(4, other);
}

static void inherits_priority(void)
{
    long tid = call(SYS_gettid);
    word = 0;
    CHECK(0, futex(&word, FUTEX_LOCK_PI, 0, NULL, NULL, 0));
    CHECK(tid, word);
    CHECK(-EDEADLK, futex(&word, FUTEX_LOCK_PI, 0, NULL, NULL, 0));
    CHECK(-EDEADLK, futex(&word, FUTEX_TRYLOCK_PI, 0, NULL, NULL, 0));
    CHECK(0, futex(&word, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0));
    CHECK(0, word);
    CHECK(-EPERM, futex(&word, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0));
    CHECK(0, futex(&word, FUTEX_TRYLOCK_PI, 0, NULL, NULL, 0));
    CHECK(0, futex(&word, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0));
    word = 0x3ffffffe; /* nobody of that number */
    CHECK(-ESRCH, futex(&word, FUTEX_LOCK_PI, 0, NULL, NULL, 0));
    word = FUTEX_OWNER_DIED | 0;
    CHECK(0, futex(&word, FUTEX_LOCK_PI, 0, NULL, NULL, 0));
    CHECK(tid, word & FUTEX_TID_MASK);
    CHECK(0, futex(&word, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0));
    word = 0;
}

static void vectors(void)
{
    struct {
        uint64_t val, addr;
        uint32_t flags, reserved;
    } w[2] = { { 0, (uintptr_t)&word, 2, 0 }, { 7, (uintptr_t)&other, 2, 0 } };
    struct timespec past = { 1, 0 };
    other = 8;
    CHECK(-EAGAIN, call(SYS_futex_waitv, w, 2, 0, NULL, CLOCK_MONOTONIC));
    w[1].val = 8;
    CHECK(-ETIMEDOUT, call(SYS_futex_waitv, w, 2, 0, &past, CLOCK_MONOTONIC));
    CHECK(-EINVAL, call(SYS_futex_waitv, w, 0, 0, NULL, CLOCK_MONOTONIC));
    CHECK(-EINVAL, call(SYS_futex_waitv, w, 129, 0, NULL, CLOCK_MONOTONIC));
    CHECK(-EINVAL, call(SYS_futex_waitv, w, 2, 1, NULL, CLOCK_MONOTONIC));
    CHECK(-EINVAL, call(SYS_futex_waitv, w, 2, 0, &past, CLOCK_BOOTTIME));
    w[0].flags = 1 << 20;
    CHECK(-EINVAL, call(SYS_futex_waitv, w, 2, 0, &past, CLOCK_MONOTONIC));
    w[0].flags = 2;
    w[0].reserved = 1;
    CHECK(-EINVAL, call(SYS_futex_waitv, w, 2, 0, &past, CLOCK_MONOTONIC));
    CHECK(-EFAULT, call(SYS_futex_waitv, T_BAD, 2, 0, &past, CLOCK_MONOTONIC));
}

int main(void)
{
    waits();
    wakes_nobody();
    inherits_priority();
    vectors();
    return t_end();
}
