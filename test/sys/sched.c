/* SPDX-License-Identifier: MIT */
/* Scheduling parameters, affinity, priorities. Run as root and as a user: what needs a privilege looks first. */
#define _GNU_SOURCE
#include <t.h>

#include <errno.h>
#include <sched.h>
#include <stdint.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { DEADLINE = 6, FLAG_KEEP_POLICY = 8, FLAG_KEEP_PARAMS = 16, FLAG_CLAMP_MIN = 32 };

struct attr {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
    uint32_t util_min, util_max;
};

static void bounds(void)
{
    CHECK(99, call(SYS_sched_get_priority_max, SCHED_FIFO));
    CHECK(1, call(SYS_sched_get_priority_min, SCHED_RR));
    CHECK(0, call(SYS_sched_get_priority_max, SCHED_OTHER));
    CHECK(0, call(SYS_sched_get_priority_min, SCHED_IDLE));
    CHECK(-EINVAL, call(SYS_sched_get_priority_max, 77));
}

static void policies(void)
{
    struct sched_param p = { 0 };
    CHECK(SCHED_OTHER, call(SYS_sched_getscheduler, 0));
    CHECK(0, call(SYS_sched_getparam, 0, &p));
    CHECK(0, p.sched_priority);
    CHECK(-EINVAL, call(SYS_sched_getparam, 0, NULL));
    CHECK(-EINVAL, call(SYS_sched_getparam, -1, &p));
    CHECK(-ESRCH, call(SYS_sched_getscheduler, 0x3ffff0));
    CHECK(-EINVAL, call(SYS_sched_setscheduler, 0, 99, &p));
    CHECK(-EINVAL, call(SYS_sched_setscheduler, 0, SCHED_FIFO, &p));
    CHECK(-EINVAL, call(SYS_sched_setscheduler, 0, SCHED_OTHER, NULL));
    CHECK(0, call(SYS_sched_setscheduler, 0, SCHED_BATCH, &p));
    CHECK(SCHED_BATCH, call(SYS_sched_getscheduler, 0));
    CHECK(0, call(SYS_sched_setscheduler, 0, SCHED_OTHER, &p));
    p.sched_priority = 5;
    CHECK(-EINVAL, call(SYS_sched_setscheduler, 0, SCHED_OTHER, &p));
    CHECK(-EINVAL, call(SYS_sched_setparam, 0, &p));
    long err = call(SYS_sched_setscheduler, 0, SCHED_RR, &p);
    if (err != -EPERM) {
        struct timespec ts;
        CHECK(0, err);
        CHECK(SCHED_RR, call(SYS_sched_getscheduler, 0));
        CHECK(0, call(SYS_sched_rr_get_interval, 0, &ts));
        CHECK(true, ts.tv_sec == 0 && ts.tv_nsec > 0);
        p.sched_priority = 7;
        CHECK(0, call(SYS_sched_setparam, 0, &p));
        CHECK(0, call(SYS_sched_setscheduler, 0, SCHED_FIFO | SCHED_RESET_ON_FORK, &p));
        CHECK(SCHED_FIFO | SCHED_RESET_ON_FORK, call(SYS_sched_getscheduler, 0));
        CHECK(0, call(SYS_sched_rr_get_interval, 0, &ts));
        CHECK(0, ts.tv_nsec);
        CHECK(0, call(SYS_sched_yield));
        p.sched_priority = 0;
        CHECK(0, call(SYS_sched_setscheduler, 0, SCHED_OTHER, &p));
    }
}

static void attributes(void)
{
    struct attr a = { .size = sizeof(a) }, b;
    CHECK(0, call(SYS_sched_getattr, 0, &b, sizeof(b), 0));
    CHECK(SCHED_OTHER, b.policy);
    CHECK(true, b.size >= 48 && b.size <= sizeof(b));
    CHECK(-EINVAL, call(SYS_sched_getattr, 0, &b, 40, 0));
    CHECK(-EINVAL, call(SYS_sched_getattr, 0, NULL, sizeof(b), 0));
    CHECK(-EINVAL, call(SYS_sched_getattr, 0, &b, sizeof(b), 1));
    CHECK(-EINVAL, call(SYS_sched_setattr, 0, &a, 1));
    a.nice = 3;
    CHECK(0, call(SYS_sched_setattr, 0, &a, 0));
    CHECK(0, call(SYS_sched_getattr, 0, &b, sizeof(b), 0));
    CHECK(3, b.nice);
    a.nice = 0;
    a.policy = 99;
    CHECK(-EINVAL, call(SYS_sched_setattr, 0, &a, 0));
    a.policy = SCHED_FIFO;
    CHECK(-EINVAL, call(SYS_sched_setattr, 0, &a, 0));
    a.policy = SCHED_BATCH;
    a.flags = FLAG_KEEP_POLICY;
    a.nice = 3;
    CHECK(0, call(SYS_sched_setattr, 0, &a, 0));
    CHECK(SCHED_OTHER, call(SYS_sched_getscheduler, 0));
    CHECK(17, call(SYS_getpriority, PRIO_PROCESS, 0));
    a.flags = FLAG_KEEP_PARAMS;
    a.nice = 19;
    CHECK(0, call(SYS_sched_setattr, 0, &a, 0));
    CHECK(SCHED_OTHER, call(SYS_sched_getscheduler, 0)); /* the policy is one of them */
    CHECK(17, call(SYS_getpriority, PRIO_PROCESS, 0));
    a.policy = SCHED_OTHER;
    a.nice = 3;
    a.flags = 0x80;
    CHECK(-EINVAL, call(SYS_sched_setattr, 0, &a, 0));
    a.flags = FLAG_CLAMP_MIN;
    a.size = 48; /* the clamps lie behind */
    CHECK(-EINVAL, call(SYS_sched_setattr, 0, &a, 0));
    a.flags = 0;
    CHECK(0, call(SYS_sched_setattr, 0, &a, 0));
}

/* SCHED_DEADLINE: what is wrong in any case. */
static void deadlines(void)
{
    static const struct {
        uint64_t runtime, deadline, period;
        unsigned priority;
    } bad[] = { { 0, 0, 0, 0 },
                { 1000, 10000000, 10000000, 0 },
                { 20000000, 10000000, 10000000, 0 },
                { 1000000, 10000000, 5000000, 0 },
                { 2000, 10000, 10000, 0 },
                { 1000000, 10000000, 5000000000, 0 },
                { 1000000, 1ull << 63, 0, 0 },
                { 1000000, 10000000, 10000000, 5 } };
    struct sched_param p = { 0 };
    CHECK(-EINVAL, call(SYS_sched_setscheduler, 0, DEADLINE, &p));
    for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct attr a = { .size = 48,
                          .policy = DEADLINE,
                          .priority = bad[i].priority,
                          .runtime = bad[i].runtime,
                          .deadline = bad[i].deadline,
                          .period = bad[i].period };
        CHECK(-EINVAL, call(SYS_sched_setattr, 0, &a, 0));
    }
    struct attr a = { .size = 48, .policy = DEADLINE, .runtime = 1000000, .deadline = 10000000 };
    if (geteuid()) /* root's is in deadline.c */
        CHECK(-EPERM, call(SYS_sched_setattr, 0, &a, 0));
    CHECK(0, call(SYS_sched_get_priority_max, DEADLINE));
}

static void priorities(void)
{
    errno = 0;
    CHECK(17, call(SYS_getpriority, PRIO_PROCESS, 0));
    CHECK(0, call(SYS_setpriority, PRIO_PROCESS, 0, 5));
    CHECK(15, call(SYS_getpriority, PRIO_PROCESS, 0));
    CHECK(0, call(SYS_setpriority, PRIO_PROCESS, 0, 100));
    CHECK(1, call(SYS_getpriority, PRIO_PROCESS, 0));
    CHECK(-EINVAL, call(SYS_getpriority, 9, 0));
    CHECK(-ESRCH, call(SYS_getpriority, PRIO_PROCESS, 0x3ffff0));
    CHECK(true, call(SYS_getpriority, PRIO_USER, 0) >= 1);
    CHECK(true, call(SYS_getpriority, PRIO_PGRP, 0) >= 1);
    CHECK(0, call(SYS_ioprio_set, 1, 0, 2 << 13 | 3));
    CHECK(2 << 13 | 3, call(SYS_ioprio_get, 1, 0));
    CHECK(-EINVAL, call(SYS_ioprio_set, 9, 0, 2 << 13));
    CHECK(-EINVAL, call(SYS_ioprio_set, 1, 0, 5 << 13));
}

static void cpus(void)
{
    uint64_t mask[16] = { 0 }, all[16] = { 0 };
    unsigned cpu = 99, node = 99;
    long n = call(SYS_sched_getaffinity, 0, sizeof(all), all);
    CHECK(true, n >= 8);
    CHECK(0, call(SYS_getcpu, &cpu, &node, NULL));
    CHECK(true, all[0] >> cpu & 1);
    mask[0] = 1ull << cpu;
    CHECK(0, call(SYS_sched_setaffinity, 0, 8, mask));
    CHECK(n, call(SYS_sched_getaffinity, 0, sizeof(mask), mask));
    CHECK((long)(1ull << cpu), mask[0]);
    CHECK(0, call(SYS_sched_setaffinity, 0, 8, all));
    mask[0] = 0;
    CHECK(-EINVAL, call(SYS_sched_setaffinity, 0, 8, mask));
    CHECK(-EFAULT, call(SYS_sched_setaffinity, 0, 8, T_BAD));
    CHECK(-EINVAL, call(SYS_sched_getaffinity, 0, 4, mask));
    CHECK(-ESRCH, call(SYS_sched_getaffinity, 0x3ffff0, 128, mask));
    CHECK(-EFAULT, call(SYS_getcpu, T_BAD, NULL, NULL));
}

/* Whoever asks for another CPU is there when the call returns, and every way to look says so. */
static void moves(void)
{
    uint64_t mask[16] = { 0 }, all[16] = { 0 };
    CHECK(true, call(SYS_sched_getaffinity, 0, sizeof(all), all) >= 8);
    for (unsigned round = 0; round < 3; round++)
        for (unsigned i = 0; i < 64; i++) {
            unsigned cpu = 99, fast = 99;
            (void)fast;
            if (!(all[0] >> i & 1))
                continue;
            mask[0] = 1ull << i;
            CHECK(0, call(SYS_sched_setaffinity, 0, 8, mask));
            CHECK(0, call(SYS_getcpu, &cpu, NULL, NULL));
            CHECK(i, cpu);
#ifndef T_IN_PROCESS /* these ask the real machine */
            CHECK(0, getcpu(&fast, NULL));
            CHECK(i, fast);
            CHECK(i, sched_getcpu());
#endif
        }
    CHECK(0, call(SYS_sched_setaffinity, 0, 8, all));
}

int main(void)
{
    bounds();
    policies();
    attributes();
    deadlines();
    priorities();
    cpus();
    moves();
    return t_end();
}
