/* SPDX-License-Identifier: MIT */
/* Waiting, waking, moving waiters, priority inheritance, robust lists, several futexes at once. */
#define _GNU_SOURCE
#include <t.h>

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static _Atomic uint32_t word, other_word, done;

static long futex(void *at, int op, uint32_t val, const void *timeout, void *at2, uint32_t val3)
{
    return call(SYS_futex, at, op, val, timeout, at2, val3);
}

static void bad_arguments(void)
{
    struct timespec zero = { 0, 0 }, bad = { 0, 1000000000 };
    word = 5;
    CHECK(-EAGAIN, futex(&word, FUTEX_WAIT, 4, NULL, NULL, 0));
    CHECK(-ETIMEDOUT, futex(&word, FUTEX_WAIT, 5, &zero, NULL, 0));
    CHECK(-EINVAL, futex(&word, FUTEX_WAIT, 5, &bad, NULL, 0));
    CHECK(-EINVAL, futex((char *)&word + 1, FUTEX_WAIT, 5, NULL, NULL, 0));
    CHECK(-EFAULT, futex((void *)4096, FUTEX_WAIT, 5, NULL, NULL, 0));
    CHECK(-EFAULT, futex(&word, FUTEX_WAIT, 5, T_BAD, NULL, 0));
    CHECK(-EINVAL, futex(&word, FUTEX_WAIT_BITSET, 5, NULL, NULL, 0));
    CHECK(-EINVAL, futex(&word, FUTEX_WAKE_BITSET, 5, NULL, NULL, 0));
    CHECK(-ENOSYS, futex(&word, 77, 5, NULL, NULL, 0));
    CHECK(-ENOSYS, futex(&word, FUTEX_WAKE | FUTEX_CLOCK_REALTIME, 5, NULL, NULL, 0));
    CHECK(0, futex(&word, FUTEX_WAKE, 1, NULL, NULL, 0));
    CHECK(0, futex(&word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0));
    CHECK(-EINVAL, futex(&word, FUTEX_REQUEUE, 1, (void *)-1, &other_word, 0));
    CHECK(-EAGAIN, futex(&word, FUTEX_CMP_REQUEUE, 1, (void *)1, &other_word, 4));
    CHECK(-EPERM, futex(&word, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0));
    struct timespec past = { 1, 0 };
    CHECK(-ETIMEDOUT, futex(&word, FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, 5, &past, NULL, 1));
    CHECK(-ETIMEDOUT, futex(&word, FUTEX_WAIT_BITSET, 5, &zero, NULL, 1));
}

static void *sleeper(void *arg)
{
    long ret = futex(&word, FUTEX_WAIT_BITSET_PRIVATE, 0, NULL, NULL, (uint32_t)(uintptr_t)arg);
    done++;
    return (void *)ret;
}

static void until(_Atomic uint32_t *what, uint32_t value)
{
    for (int i = 0; i < 2000 && *what != value; i++)
        usleep(1000);
    CHECK(value, *what);
}

static void start(pthread_t *t, int n, uintptr_t bits)
{
    for (int i = 0; i < n; i++)
        pthread_create(&t[i], NULL, sleeper, (void *)bits);
    usleep(50000);
}

static void join(pthread_t *t, int n)
{
    void *ret;
    for (int i = 0; i < n; i++) {
        pthread_join(t[i], &ret);
        CHECK(0, (long)ret);
    }
}

static void wakes_and_moves(void)
{
    pthread_t t[4];
    word = done = 0;
    start(t, 4, 1);
    CHECK(0, futex(&word, FUTEX_WAKE_BITSET_PRIVATE, 4, NULL, NULL, 2));
    CHECK(1, futex(&word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0));
    until(&done, 1);
    CHECK(3, futex(&word, FUTEX_CMP_REQUEUE_PRIVATE, 1, (void *)2, &other_word, 0));
    until(&done, 2);
    CHECK(0, futex(&word, FUTEX_WAKE_PRIVATE, 4, NULL, NULL, 0));
    CHECK(2, futex(&other_word, FUTEX_WAKE_PRIVATE, 4, NULL, NULL, 0));
    until(&done, 4);
    join(t, 4);
    start(t, 2, 3);
    other_word = 7;
    /* Add 3 to the other word; its old value 7 is greater than 5: wake there too (nobody). */
    CHECK(1, futex(&word, FUTEX_WAKE_OP_PRIVATE, 1, (void *)1, &other_word,
                   FUTEX_OP(FUTEX_OP_ADD, 3, FUTEX_OP_CMP_GT, 5)));
    CHECK(10, other_word);
    CHECK(1, futex(&other_word, FUTEX_WAKE_OP_PRIVATE, 1, (void *)1, &word,
                   FUTEX_OP(FUTEX_OP_SET, 1, FUTEX_OP_CMP_EQ, 0)));
    CHECK(1, word);
    join(t, 2);
    CHECK(-ENOSYS, futex(&word, FUTEX_WAKE_OP_PRIVATE, 1, (void *)1, &word, 7u << 28));
}

/* Two mappings of one file's page are one futex. */
static _Atomic uint32_t *first_map, *second_map;

static void *shared_sleeper(void *arg)
{
    return (void *)futex(first_map, FUTEX_WAIT, 0, NULL, NULL, 0);
}

static void shared(void)
{
    int fd = (int)call(SYS_memfd_create, "futex", 0);
    void *ret;
    pthread_t t;
    CHECK(0, ftruncate(fd, 4096));
    first_map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    second_map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    pthread_create(&t, NULL, shared_sleeper, NULL);
    usleep(50000);
    CHECK(1, futex(second_map, FUTEX_WAKE, 1, NULL, NULL, 0));
    pthread_join(t, &ret);
    CHECK(0, (long)ret);
    close(fd);
}

static void *lock_pi(void *arg)
{
    long ret = futex(&word, FUTEX_LOCK_PI_PRIVATE, 0, NULL, NULL, 0);
    done++;
    usleep(20000);
    if (!ret)
        ret = futex(&word, FUTEX_UNLOCK_PI_PRIVATE, 0, NULL, NULL, 0);
    return (void *)ret;
}

static void priority_inheritance(void)
{
    struct timespec now, soon;
    pthread_t t[3];
    word = done = 0;
    long tid = call(SYS_gettid);
    CHECK(0, futex(&word, FUTEX_LOCK_PI_PRIVATE, 0, NULL, NULL, 0));
    CHECK(tid, word);
    CHECK(-EDEADLK, futex(&word, FUTEX_LOCK_PI_PRIVATE, 0, NULL, NULL, 0));
    CHECK(-EDEADLK, futex(&word, FUTEX_TRYLOCK_PI_PRIVATE, 0, NULL, NULL, 0));
    for (int i = 0; i < 3; i++)
        pthread_create(&t[i], NULL, lock_pi, NULL);
    usleep(50000);
    CHECK(0, done);
    CHECK((long)(tid | FUTEX_WAITERS), word);
    CHECK(0, futex(&word, FUTEX_UNLOCK_PI_PRIVATE, 0, NULL, NULL, 0));
    until(&done, 3);
    join(t, 3);
    CHECK(0, futex(&word, FUTEX_TRYLOCK_PI_PRIVATE, 0, NULL, NULL, 0));
    CHECK(0, futex(&word, FUTEX_UNLOCK_PI_PRIVATE, 0, NULL, NULL, 0));
    CHECK(0, word);
    word = 0x3ffffff0; /* nobody */
    CHECK(-ESRCH, futex(&word, FUTEX_LOCK_PI_PRIVATE, 0, NULL, NULL, 0));
    word = 1; /* somebody who does not unlock; a deadline that passes */
    clock_gettime(CLOCK_REALTIME, &now);
    soon = (struct timespec){ now.tv_sec - 1, 0 };
    pthread_t holder;
    word = 0;
    pthread_create(&holder, NULL, lock_pi, NULL);
    until(&done, 4);
    CHECK(-ETIMEDOUT, futex(&word, FUTEX_LOCK_PI_PRIVATE, 0, &soon, NULL, 0));
    join(&holder, 1);
}

static _Atomic uint32_t condition;

static void *requeued(void *arg)
{
    long ret = futex(&condition, FUTEX_WAIT_REQUEUE_PI_PRIVATE, 0, NULL, &word, 0);
    done++;
    if (!ret)
        ret = futex(&word, FUTEX_UNLOCK_PI_PRIVATE, 0, NULL, NULL, 0);
    return (void *)ret;
}

static void requeue_to_pi(void)
{
    pthread_t t[3];
    word = done = condition = 0;
    for (int i = 0; i < 3; i++)
        pthread_create(&t[i], NULL, requeued, NULL);
    usleep(50000);
    CHECK(0, futex(&word, FUTEX_LOCK_PI_PRIVATE, 0, NULL, NULL, 0));
    CHECK(-EAGAIN, futex(&condition, FUTEX_CMP_REQUEUE_PI_PRIVATE, 1, (void *)10, &word, 1));
    CHECK(-EINVAL, futex(&condition, FUTEX_CMP_REQUEUE_PI_PRIVATE, 2, (void *)10, &word, 0));
    CHECK(3, futex(&condition, FUTEX_CMP_REQUEUE_PI_PRIVATE, 1, (void *)10, &word, 0));
    usleep(20000);
    CHECK(0, done);
    CHECK(0, futex(&word, FUTEX_UNLOCK_PI_PRIVATE, 0, NULL, NULL, 0));
    until(&done, 3);
    join(t, 3);
    /* With the lock free, the first waiter gets it at once. */
    done = 0;
    pthread_create(&t[0], NULL, requeued, NULL);
    usleep(50000);
    CHECK(1, futex(&condition, FUTEX_CMP_REQUEUE_PI_PRIVATE, 1, NULL, &word, 0));
    until(&done, 1);
    join(t, 1);
}

static void *die_with_lock(void *arg)
{
    pthread_mutex_lock(arg);
    return NULL;
}

static void robust(int protocol)
{
    pthread_mutexattr_t a;
    pthread_mutex_t m;
    pthread_t t;
    pthread_mutexattr_init(&a);
    CHECK(0, pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST));
    CHECK(0, pthread_mutexattr_setprotocol(&a, protocol));
    CHECK(0, pthread_mutex_init(&m, &a));
    pthread_create(&t, NULL, die_with_lock, &m);
    CHECK(EOWNERDEAD, (usleep(20000), pthread_mutex_lock(&m)));
    CHECK(0, pthread_mutex_consistent(&m));
    CHECK(0, pthread_mutex_unlock(&m));
    CHECK(0, pthread_mutex_lock(&m));
    CHECK(0, pthread_mutex_unlock(&m));
    pthread_join(t, NULL);
}

static void *late_wake(void *arg)
{
    usleep(50000);
    return (void *)futex(&other_word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void several(void)
{
    struct futex_waitv v[2] = { { 0, (uintptr_t)&word, FUTEX_32 | FUTEX_PRIVATE_FLAG, 0 },
                                { 0, (uintptr_t)&other_word, FUTEX_32 | FUTEX_PRIVATE_FLAG, 0 } };
    struct timespec past = { 0, 1 };
    pthread_t t;
    void *ret;
    word = other_word = 0;
    if (call(SYS_futex_waitv, v, 0, 0, NULL, 0) == -ENOSYS)
        return;
    CHECK(-EINVAL, call(SYS_futex_waitv, v, 0, 0, NULL, 0));
    CHECK(-EINVAL, call(SYS_futex_waitv, v, 129, 0, NULL, 0));
    CHECK(-EINVAL, call(SYS_futex_waitv, v, 2, 1, NULL, 0));
    CHECK(-ETIMEDOUT, call(SYS_futex_waitv, v, 2, 0, &past, CLOCK_MONOTONIC));
    v[1].val = 1;
    CHECK(-EAGAIN, call(SYS_futex_waitv, v, 2, 0, NULL, 0));
    v[1].val = 0;
    pthread_create(&t, NULL, late_wake, NULL);
    CHECK(1, call(SYS_futex_waitv, v, 2, 0, NULL, 0));
    pthread_join(t, &ret);
    CHECK(1, (long)ret);
    v[0].flags = 0;
    CHECK(-EINVAL, call(SYS_futex_waitv, v, 2, 0, NULL, 0));
}

static _Atomic int hits;

static void *hammer(void *arg)
{
    pthread_mutex_t *m = arg;
    for (int i = 0; i < 2000; i++) {
        pthread_mutex_lock(m);
        hits = hits + 1;
        pthread_mutex_unlock(m);
    }
    return NULL;
}

static void mutual_exclusion(int protocol)
{
    pthread_mutexattr_t a;
    pthread_mutex_t m;
    pthread_t t[4];
    pthread_mutexattr_init(&a);
    pthread_mutexattr_setprotocol(&a, protocol);
    pthread_mutex_init(&m, &a);
    hits = 0;
    for (int i = 0; i < 4; i++)
        pthread_create(&t[i], NULL, hammer, &m);
    for (int i = 0; i < 4; i++)
        pthread_join(t[i], NULL);
    CHECK(8000, hits);
}

int main(void)
{
    bad_arguments();
    wakes_and_moves();
    shared();
    priority_inheritance();
    requeue_to_pi();
    robust(PTHREAD_PRIO_NONE);
    robust(PTHREAD_PRIO_INHERIT);
    several();
    mutual_exclusion(PTHREAD_PRIO_NONE);
    mutual_exclusion(PTHREAD_PRIO_INHERIT);
    return t_end();
}
