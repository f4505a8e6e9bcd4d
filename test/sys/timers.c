/* SPDX-License-Identifier: MIT */
/* Interval timers, alarm, POSIX timers. */
#define _GNU_SOURCE
#include <t_signal.h>

#include <errno.h>
#include <signal.h>
#include <sys/time.h>
#include <time.h>

static volatile int count, code, value;

static void handler(int sig, siginfo_t *info, void *uc)
{
    count++;
    code = info->si_code;
    value = info->si_value.sival_int;
    (void)sig, (void)uc;
}

/* Wait for n signals in all, at most some minutes. */
static void expect(int n)
{
    struct timespec ts = { 0, 1000000 };
    for (int i = 0; i < 100000 && count < n; i++)
        call(SYS_nanosleep, &ts, NULL);
    CHECK(true, count >= n);
}

static void intervals(void)
{
    struct itimerval set = { { 0, 0 }, { 0, 10000 } }, got;
    CHECK(0, t_handle(SIGALRM, handler, SA_SIGINFO));
    CHECK(0, call(SYS_getitimer, ITIMER_REAL, &got));
    CHECK(0, got.it_value.tv_sec + got.it_value.tv_usec);
    CHECK(0, call(SYS_setitimer, ITIMER_REAL, &set, &got));
    expect(1);
    CHECK(SI_KERNEL, code);
    CHECK(0, call(SYS_getitimer, ITIMER_REAL, &got));
    CHECK(0, got.it_value.tv_sec + got.it_value.tv_usec);
    set.it_interval.tv_usec = 2000;
    count = 0;
    CHECK(0, call(SYS_setitimer, ITIMER_REAL, &set, NULL));
    expect(3);
    set = (struct itimerval){ { 0, 0 }, { 100, 0 } };
    CHECK(0, call(SYS_setitimer, ITIMER_REAL, &set, &got));
    CHECK(2000, got.it_interval.tv_usec);
    CHECK(100, call(SYS_alarm, 200)); /* the same timer, rounded to seconds */
    CHECK(200, call(SYS_alarm, 0));
    CHECK(0, call(SYS_alarm, 0));
    set.it_value.tv_usec = 1000000;
    CHECK(-EINVAL, call(SYS_setitimer, ITIMER_REAL, &set, NULL));
    CHECK(-EINVAL, call(SYS_setitimer, 3, &got, NULL));
    CHECK(-EINVAL, call(SYS_getitimer, -1, &got));
    CHECK(0, call(SYS_setitimer, ITIMER_REAL, NULL, &got)); /* NULL disarms */
    CHECK(0, call(SYS_getitimer, ITIMER_VIRTUAL, &got));
    CHECK(0, call(SYS_getitimer, ITIMER_PROF, &got));
}

static void posix_timers(void)
{
    struct sigevent sev;
    struct itimerspec set = { { 0, 0 }, { 0, 10000000 } }, got;
    int id = -1, id2 = -1;
    memset(&sev, 0, sizeof(sev));
    sev.sigev_notify = SIGEV_SIGNAL;
    sev.sigev_signo = SIGUSR1;
    sev.sigev_value.sival_int = 42;
    CHECK(0, t_handle(SIGUSR1, handler, SA_SIGINFO));
    CHECK(0, call(SYS_timer_create, CLOCK_MONOTONIC, &sev, &id));
    CHECK(0, call(SYS_timer_gettime, id, &got));
    CHECK(0, got.it_value.tv_sec + got.it_value.tv_nsec);
    count = 0;
    CHECK(0, call(SYS_timer_settime, id, 0, &set, &got));
    expect(1);
    CHECK(SI_TIMER, code);
    CHECK(42, value);
    CHECK(0, call(SYS_timer_getoverrun, id));
    set.it_value = (struct timespec){ 0, 1 };
    count = 0;
    CHECK(0, call(SYS_timer_settime, id, TIMER_ABSTIME, &set, NULL)); /* long ago: at once */
    expect(1);
    set = (struct itimerspec){ { 7, 0 }, { 50, 0 } };
    CHECK(0, call(SYS_timer_settime, id, 0, &set, NULL));
    CHECK(0, call(SYS_timer_gettime, id, &got));
    CHECK(7, got.it_interval.tv_sec);
    CHECK(true, got.it_value.tv_sec == 49 || got.it_value.tv_sec == 50);
    sev.sigev_notify = SIGEV_NONE;
    CHECK(0, call(SYS_timer_create, CLOCK_REALTIME, &sev, &id2));
    CHECK(true, id2 != id);
    CHECK(0, call(SYS_timer_delete, id2));
    CHECK(-EINVAL, call(SYS_timer_delete, id2));
    CHECK(-EINVAL, call(SYS_timer_settime, id2, 0, &set, NULL));
    CHECK(-EINVAL, call(SYS_timer_gettime, id2, &got));
    CHECK(-EINVAL, call(SYS_timer_getoverrun, id2));
    set.it_value.tv_nsec = -1;
    CHECK(-EINVAL, call(SYS_timer_settime, id, 0, &set, NULL));
    CHECK(0,
          call(SYS_timer_create, CLOCK_MONOTONIC, NULL, &id2)); /* SIGALRM, the number as value */
    CHECK(0, call(SYS_timer_delete, id2));
    CHECK(-EINVAL, call(SYS_timer_create, 99, NULL, &id2));
    sev.sigev_notify = 77;
    CHECK(-EINVAL, call(SYS_timer_create, CLOCK_MONOTONIC, &sev, &id2));
    sev.sigev_notify = SIGEV_SIGNAL;
    sev.sigev_signo = 65;
    CHECK(-EINVAL, call(SYS_timer_create, CLOCK_MONOTONIC, &sev, &id2));
    CHECK(-EFAULT, call(SYS_timer_create, CLOCK_MONOTONIC, NULL, T_BAD));
    CHECK(0, call(SYS_timer_delete, id));
}

static void overruns(void)
{
    uint64_t block = T_BIT(SIGUSR2), old;
    struct sigevent sev;
    struct itimerspec set = { { 0, 1000000 }, { 0, 1000000 } };
    struct timespec pause = { 0, 30000000 }, zero = { 0, 0 };
    siginfo_t info;
    int id;
    memset(&sev, 0, sizeof(sev));
    sev.sigev_signo = SIGUSR2;
    CHECK(0, call(SYS_rt_sigprocmask, SIG_BLOCK, &block, &old, 8));
    CHECK(0, call(SYS_timer_create, CLOCK_MONOTONIC, &sev, &id));
    CHECK(0, call(SYS_timer_settime, id, 0, &set, NULL));
    CHECK(0, call(SYS_nanosleep, &pause, NULL));
    CHECK(SIGUSR2,
          call(SYS_rt_sigtimedwait, &block, &info, &zero, 8)); /* one signal for all of them */
    CHECK(true, info.si_overrun >= 20);
    CHECK(true, call(SYS_timer_getoverrun, id) >= 20);
    CHECK(0, call(SYS_timer_delete, id));
    call(SYS_rt_sigtimedwait, &block, &info, &zero, 8);
    CHECK(0, call(SYS_rt_sigprocmask, SIG_SETMASK, &old, NULL, 8));
}

int main(void)
{
    intervals();
    posix_timers();
    overruns();
    return t_end();
}
