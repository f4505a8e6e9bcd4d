/* SPDX-License-Identifier: MIT */
/* Clocks and sleeps. */
#define _GNU_SOURCE
#include <t.h>

#include <errno.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/times.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

static int64_t read_ns(int clock)
{
    struct timespec ts = { -1, -1 };
    CHECK(0, call(SYS_clock_gettime, clock, &ts));
    CHECK(true, ts.tv_nsec >= 0 && ts.tv_nsec < 1000000000);
    return ts.tv_sec * 1000000000ll + ts.tv_nsec;
}

static void clocks(void)
{
    static const int ids[] = {
        CLOCK_REALTIME,          CLOCK_MONOTONIC,     CLOCK_PROCESS_CPUTIME_ID,
        CLOCK_THREAD_CPUTIME_ID, CLOCK_MONOTONIC_RAW, CLOCK_REALTIME_COARSE,
        CLOCK_MONOTONIC_COARSE,  CLOCK_BOOTTIME,      CLOCK_TAI
    };
    struct timespec ts;
    for (unsigned i = 0; i < sizeof(ids) / sizeof(*ids); i++) {
        int64_t a = read_ns(ids[i]), b = read_ns(ids[i]);
        CHECK(true, b >= a);
        CHECK(0, call(SYS_clock_getres, ids[i], &ts));
        CHECK(0, ts.tv_sec);
        CHECK(0, call(SYS_clock_getres, ids[i], NULL));
    }
    CHECK(-EINVAL, call(SYS_clock_gettime, 10, &ts));
    CHECK(-EINVAL, call(SYS_clock_gettime, 99, &ts));
    CHECK(-EINVAL, call(SYS_clock_getres, 99, &ts));
    CHECK(-EFAULT, call(SYS_clock_gettime, CLOCK_MONOTONIC, T_BAD));
    CHECK(true, read_ns((int)(~(unsigned)call(SYS_getpid) << 3 | 2)) >
                    0); /* as clock_getcpuclockid makes it */
    CHECK(-EINVAL, call(SYS_clock_gettime, (int)(~0x3ffff0u << 3 | 2), &ts));
}

/* The vDSO and the system call tell the same time. */
static void agree(void)
{
#ifndef T_IN_PROCESS
    struct timespec a, b;
    for (int clock = CLOCK_REALTIME; clock <= CLOCK_MONOTONIC; clock++) {
        clock_gettime(clock, &a);
        int64_t fast = a.tv_sec * 1000000000ll + a.tv_nsec, slow = read_ns(clock);
        CHECK(true, slow >= fast && slow - fast < 1000000000);
        clock_gettime(clock, &b);
        CHECK(true, b.tv_sec * 1000000000ll + b.tv_nsec >= slow);
    }
    CHECK(true, time(NULL) - call(SYS_time, NULL) <= 1);
#endif
    struct timeval tv;
    CHECK(0, call(SYS_gettimeofday, &tv, NULL));
    long t = call(SYS_time, NULL);
    CHECK(true, t - tv.tv_sec >= 0 && t - tv.tv_sec <= 1);
    CHECK(-EFAULT, call(SYS_gettimeofday, T_BAD, NULL));
    CHECK(-EFAULT, call(SYS_time, T_BAD));
}

static void sleeps(void)
{
    struct timespec ts = { 0, 20000000 }, bad = { 0, 1000000000 }, negative = { -1, 0 },
                    left = { 9, 9 };
    int64_t before = read_ns(CLOCK_MONOTONIC);
    CHECK(0, call(SYS_nanosleep, &ts, &left));
    CHECK(true, read_ns(CLOCK_MONOTONIC) - before >= 20000000);
    CHECK(9, left.tv_sec); /* only written when interrupted */
    CHECK(-EINVAL, call(SYS_nanosleep, &bad, NULL));
    CHECK(-EINVAL, call(SYS_nanosleep, &negative, NULL));
    CHECK(-EFAULT, call(SYS_nanosleep, T_BAD, NULL));
    CHECK(0, call(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &ts, NULL));
    CHECK(0, call(SYS_clock_nanosleep, CLOCK_REALTIME, 0, &ts, NULL));
    CHECK(0, call(SYS_clock_nanosleep, CLOCK_BOOTTIME, 0, &ts, NULL));
    int64_t until = read_ns(CLOCK_MONOTONIC) + 20000000;
    struct timespec at = { until / 1000000000, until % 1000000000 }, past = { 0, 0 };
    CHECK(0, call(SYS_clock_nanosleep, CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL));
    CHECK(true, read_ns(CLOCK_MONOTONIC) >= until);
    CHECK(0, call(SYS_clock_nanosleep, CLOCK_REALTIME, TIMER_ABSTIME, &past, NULL));
    CHECK(-EOPNOTSUPP, call(SYS_clock_nanosleep, CLOCK_THREAD_CPUTIME_ID, 0, &ts, NULL));
    CHECK(-EINVAL, call(SYS_clock_nanosleep, 99, 0, &ts, NULL));
    CHECK(-EOPNOTSUPP, call(SYS_clock_nanosleep, CLOCK_MONOTONIC_RAW, 0, &ts, NULL));
}

static void cpu_time(void)
{
    int64_t process = read_ns(CLOCK_PROCESS_CPUTIME_ID), thread = read_ns(CLOCK_THREAD_CPUTIME_ID);
    int64_t start = read_ns(CLOCK_MONOTONIC);
    volatile unsigned x = 0;
    while (read_ns(CLOCK_MONOTONIC) - start < 30000000)
        for (int i = 0; i < 1000; i++)
            x = x + i;
    CHECK(true, read_ns(CLOCK_THREAD_CPUTIME_ID) > thread);
    CHECK(true, read_ns(CLOCK_PROCESS_CPUTIME_ID) > process);
    struct timespec some = { 0, 50000000 };
    call(SYS_nanosleep, &some, NULL);
    thread = read_ns(CLOCK_THREAD_CPUTIME_ID);
    call(SYS_nanosleep, &some, NULL);
    CHECK(true,
          read_ns(CLOCK_THREAD_CPUTIME_ID) - thread < 40000000); /* a sleep costs no CPU time */
    struct tms t;
    CHECK(true, call(SYS_times, &t) > 0);
    CHECK(true, t.tms_utime + t.tms_stime >= 0);
    CHECK(-EFAULT, call(SYS_times, T_BAD));
    struct rusage ru;
    CHECK(0, call(SYS_getrusage, RUSAGE_SELF, &ru));
    CHECK(true, ru.ru_utime.tv_sec + ru.ru_utime.tv_usec + ru.ru_stime.tv_usec > 0);
#ifndef T_IN_PROCESS /* where the program's memory is not libOS's */
    CHECK(true, ru.ru_maxrss > 0);
#endif
    CHECK(0, call(SYS_getrusage, RUSAGE_THREAD, &ru));
    CHECK(-EINVAL, call(SYS_getrusage, 5, &ru));
}

static void setting(void)
{
    struct timespec ts = { 0, -1 };
    CHECK(-EINVAL, call(SYS_clock_settime, CLOCK_MONOTONIC, &ts));
    CHECK(-EINVAL, call(SYS_clock_settime, CLOCK_REALTIME, &ts));
    CHECK(-EFAULT, call(SYS_clock_settime, CLOCK_REALTIME, T_BAD));
    struct timex tx = { 0 };
    CHECK(true, call(SYS_adjtimex, &tx) >= 0);
    CHECK(true, tx.tick > 0);
    tx.modes = 0;
    CHECK(true, call(SYS_clock_adjtime, CLOCK_REALTIME, &tx) >= 0);
    CHECK(-EFAULT, call(SYS_adjtimex, T_BAD));
}

int main(void)
{
    clocks();
    agree();
    sleeps();
    cpu_time();
    setting();
    return t_end();
}
