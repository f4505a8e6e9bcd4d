/* SPDX-License-Identifier: MIT */
/* Clocks and sleeping. */
#define _GNU_SOURCE
#include <t.h>

#include <errno.h>
#include <stdint.h>
#include <sys/time.h>
#include <sys/times.h>
#include <sys/timex.h>
#include <time.h>

static struct timespec ts, ts2;

static int64_t now(int clock)
{
    struct timespec t = { 0, 0 };
    CHECK(0, call(SYS_clock_gettime, clock, &t));
    CHECK(true, t.tv_nsec >= 0 && t.tv_nsec < 1000000000);
    return t.tv_sec * 1000000000 + t.tv_nsec;
}

static void clocks(void)
{
    static const int all[] = {
        CLOCK_REALTIME,          CLOCK_MONOTONIC,     CLOCK_PROCESS_CPUTIME_ID,
        CLOCK_THREAD_CPUTIME_ID, CLOCK_MONOTONIC_RAW, CLOCK_REALTIME_COARSE,
        CLOCK_MONOTONIC_COARSE,  CLOCK_BOOTTIME,      CLOCK_TAI
    };
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        int64_t a = now(all[i]);
        CHECK(true, now(all[i]) >= a);
        CHECK(0, call(SYS_clock_getres, all[i], &ts));
        CHECK(0, ts.tv_sec);
        CHECK(true, ts.tv_nsec >= 1);
        CHECK(0, call(SYS_clock_getres, all[i], NULL));
    }
    CHECK(true, now(CLOCK_REALTIME) > 1700000000ll * 1000000000);
    CHECK(true, now(CLOCK_BOOTTIME) >= now(CLOCK_MONOTONIC) - 1000000000);
    CHECK(-EINVAL, call(SYS_clock_gettime, 99, &ts));
    CHECK(-EINVAL, call(SYS_clock_getres, 99, &ts));
    CHECK(-EFAULT, call(SYS_clock_gettime, CLOCK_MONOTONIC, T_BAD));
    CHECK(0, call(SYS_clock_getres, CLOCK_MONOTONIC, &ts));
    CHECK(1, ts.tv_nsec);
    /* The clock of a process by its number: ~pid << 3 | 2. */
    CHECK(0, call(SYS_clock_gettime, (int)(~(unsigned)call(SYS_getpid) << 3 | 2), &ts));
    CHECK(-EINVAL, call(SYS_clock_gettime, (int)(~99999999u << 3 | 2), &ts));
}

static void old_clocks(void)
{
    struct timeval tv;
    struct timezone tz;
    long t = -1;
    CHECK(0, call(SYS_gettimeofday, &tv, &tz));
    CHECK(true, tv.tv_usec >= 0 && tv.tv_usec < 1000000);
    CHECK(0, call(SYS_gettimeofday, NULL, NULL));
    long r = call(SYS_time, &t);
    CHECK(r, t);
    CHECK(true, r - tv.tv_sec >= 0 && r - tv.tv_sec <= 1);
    CHECK(-EFAULT, call(SYS_time, T_BAD));
    struct tms times;
    CHECK(true, call(SYS_times, &times) >= 0);
    CHECK(true, times.tms_utime >= 0 && times.tms_cutime == 0);
    CHECK(true, call(SYS_times, NULL) >= 0);
}

static void sleeps(void)
{
    int64_t start = now(CLOCK_MONOTONIC);
    ts = (struct timespec){ 0, 20000000 };
    CHECK(0, call(SYS_nanosleep, &ts, &ts2));
    CHECK(0, call(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &ts, NULL));
    CHECK(true, now(CLOCK_MONOTONIC) - start >= 40000000);
    CHECK(0, call(SYS_clock_gettime, CLOCK_REALTIME, &ts));
    ts.tv_nsec += 20000000;
    if (ts.tv_nsec >= 1000000000)
        ts.tv_sec++, ts.tv_nsec -= 1000000000;
    start = now(CLOCK_MONOTONIC);
    CHECK(0, call(SYS_clock_nanosleep, CLOCK_REALTIME, TIMER_ABSTIME, &ts, NULL));
    CHECK(true, now(CLOCK_MONOTONIC) - start >= 10000000);
    ts = (struct timespec){ 1, 0 };
    CHECK(0, call(SYS_clock_nanosleep, CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL)); /* long ago */
    ts = (struct timespec){ 0, 0 };
    CHECK(0, call(SYS_nanosleep, &ts, NULL));
    ts.tv_nsec = 1000000000;
    CHECK(-EINVAL, call(SYS_nanosleep, &ts, NULL));
    CHECK(-EINVAL, call(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &ts, NULL));
    ts = (struct timespec){ -1, 0 };
    CHECK(-EINVAL, call(SYS_nanosleep, &ts, NULL));
    CHECK(-EFAULT, call(SYS_nanosleep, T_BAD, NULL));
    ts = (struct timespec){ 0, 1 };
    CHECK(-EOPNOTSUPP, call(SYS_clock_nanosleep, CLOCK_THREAD_CPUTIME_ID, 0, &ts, NULL));
    CHECK(-EOPNOTSUPP, call(SYS_clock_nanosleep, CLOCK_MONOTONIC_RAW, 0, &ts, NULL));
    CHECK(-EINVAL, call(SYS_clock_nanosleep, 99, 0, &ts, NULL));
}

static void cpu_time_runs(void)
{
    int64_t a = now(CLOCK_PROCESS_CPUTIME_ID), b = now(CLOCK_THREAD_CPUTIME_ID);
    int64_t until = now(CLOCK_MONOTONIC) + 20000000;
    while (now(CLOCK_MONOTONIC) < until)
        ;
    CHECK(true, now(CLOCK_PROCESS_CPUTIME_ID) > a);
    CHECK(true, now(CLOCK_THREAD_CPUTIME_ID) > b);
}

static void adjusts(void)
{
    struct timex tx = { .modes = 0 };
    CHECK(true, call(SYS_adjtimex, &tx) >= 0);
    CHECK(true, tx.tick > 0);
    CHECK(true, call(SYS_clock_adjtime, CLOCK_REALTIME, &tx) >= 0);
    CHECK(-EINVAL, call(SYS_clock_adjtime, 99, &tx));
    tx = (struct timex){ .modes = ADJ_OFFSET_SINGLESHOT };
    long r = call(SYS_adjtimex, &tx); /* needs a right that the tests' user may not have */
    CHECK(true, r >= 0 || r == -EPERM);
    CHECK(0, tx.offset);
    CHECK(-EFAULT, call(SYS_adjtimex, T_BAD));
}

int main(void)
{
    clocks();
    old_clocks();
    sleeps();
    cpu_time_runs();
    adjusts();
    return t_end();
}
