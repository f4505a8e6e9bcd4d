/* SPDX-License-Identifier: MIT */
/* Interval timers, alarm, POSIX timers. */
#define _GNU_SOURCE
#include <t.h>

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static volatile int count, last_value, last_code;

static void on_signal(int sig, siginfo_t *si, void *ctx)
{
    count++;
    last_value = si->si_value.sival_int;
    last_code = si->si_code;
}

static void install(int sig)
{
    struct sigaction sa = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO };
    CHECK(0, sigaction(sig, &sa, NULL));
    count = 0;
}

static int64_t now_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * 1000000000ll + ts.tv_nsec;
}

/* Wait, sleeping or burning, until count is n. */
static void wait_for(int n, int burn)
{
    int64_t end = now_ns() + 3000000000ll;
    while (count < n && now_ns() < end)
        if (!burn)
            usleep(5000);
    CHECK(true, count >= n);
}

static void interval(int which, int sig, int burn)
{
    struct itimerval it = { { 0, 20000 }, { 0, 10000 } }, old;
    install(sig);
    CHECK(0, call(SYS_setitimer, which, &it, NULL));
    wait_for(3, burn);
    CHECK(0, call(SYS_getitimer, which, &old));
    CHECK(20000, old.it_interval.tv_usec);
    CHECK(true, old.it_value.tv_usec > 0);
    struct itimerval off = { { 0, 0 }, { 0, 0 } };
    CHECK(0, call(SYS_setitimer, which, &off, &old));
    CHECK(20000, old.it_interval.tv_usec);
    int before = count;
    usleep(60000);
    CHECK(before, count);
    CHECK(0, call(SYS_getitimer, which, &old));
    CHECK(0, old.it_value.tv_sec + old.it_value.tv_usec);
}

static void alarms(void)
{
    struct itimerval bad = { { 0, 0 }, { 0, 1000000 } };
    CHECK(0, call(SYS_alarm, 10));
    CHECK(10, call(SYS_alarm, 0));
    CHECK(0, call(SYS_alarm, 0));
    CHECK(-EINVAL, call(SYS_setitimer, ITIMER_REAL, &bad, NULL));
    CHECK(-EINVAL, call(SYS_setitimer, 7, &bad, NULL));
    CHECK(-EINVAL, call(SYS_getitimer, 7, &bad));
    CHECK(-EFAULT, call(SYS_setitimer, ITIMER_REAL, T_BAD, NULL));
}

static void posix(int clock, int burn)
{
    struct sigevent ev = { .sigev_notify = SIGEV_SIGNAL,
                           .sigev_signo = SIGUSR1,
                           .sigev_value.sival_int = 42 };
    struct itimerspec it = { { 0, 20000000 }, { 0, 10000000 } }, old;
    int id = -1;
    install(SIGUSR1);
    if (!CHECK(0, call(SYS_timer_create, clock, &ev, &id)))
        return;
    CHECK(0, call(SYS_timer_gettime, id, &old));
    CHECK(0, old.it_value.tv_sec + old.it_value.tv_nsec);
    CHECK(0, call(SYS_timer_settime, id, 0, &it, &old));
    wait_for(3, burn);
    CHECK(42, last_value);
    CHECK(SI_TIMER, last_code);
    CHECK(0, call(SYS_timer_gettime, id, &old));
    CHECK(20000000, old.it_interval.tv_nsec);
    CHECK(true, call(SYS_timer_getoverrun, id) >= 0);
    CHECK(0, call(SYS_timer_delete, id));
    CHECK(-EINVAL, call(SYS_timer_delete, id));
    int before = count;
    usleep(60000);
    CHECK(true, count <= before + 1);
}

static void overrun(void)
{
    struct sigevent ev = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1 };
    struct itimerspec it = { { 0, 1000000 }, { 0, 1000000 } };
    sigset_t set;
    siginfo_t si;
    int id;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    CHECK(0, sigprocmask(SIG_BLOCK, &set, NULL));
    CHECK(0, call(SYS_timer_create, CLOCK_MONOTONIC, &ev, &id));
    CHECK(0, call(SYS_timer_settime, id, 0, &it, NULL));
    usleep(100000);
    CHECK(SIGUSR1, sigwaitinfo(&set, &si));
    CHECK(true, si.si_overrun > 10);
    CHECK(si.si_overrun, call(SYS_timer_getoverrun, id));
    CHECK(0, call(SYS_timer_delete, id));
    struct timespec none = { 0, 0 };
    sigtimedwait(&set, NULL, &none);
    CHECK(0, sigprocmask(SIG_UNBLOCK, &set, NULL));
}

static void to_a_thread(void)
{
    struct sigevent ev = { .sigev_notify = SIGEV_SIGNAL | SIGEV_THREAD_ID, .sigev_signo = SIGUSR1 };
    struct itimerspec once = { { 0, 0 }, { 0, 5000000 } };
    int id;
    install(SIGUSR1);
    ev._sigev_un._tid = (int)call(SYS_gettid);
    CHECK(0, call(SYS_timer_create, CLOCK_MONOTONIC, &ev, &id));
    CHECK(0, call(SYS_timer_settime, id, 0, &once, NULL));
    wait_for(1, 0);
    CHECK(0, call(SYS_timer_delete, id));
    ev._sigev_un._tid = 0x3ffff0;
    CHECK(-EINVAL, call(SYS_timer_create, CLOCK_MONOTONIC, &ev, &id));
    ev.sigev_notify = SIGEV_NONE;
    CHECK(0, call(SYS_timer_create, CLOCK_MONOTONIC, &ev, &id));
    CHECK(0, call(SYS_timer_settime, id, 0, &once, NULL));
    usleep(20000);
    struct itimerspec now;
    CHECK(0, call(SYS_timer_gettime, id, &now));
    CHECK(0, now.it_value.tv_nsec);
    CHECK(0, call(SYS_timer_delete, id));
    ev.sigev_notify = SIGEV_SIGNAL;
    ev.sigev_signo = 100;
    CHECK(-EINVAL, call(SYS_timer_create, CLOCK_MONOTONIC, &ev, &id));
    CHECK(-EINVAL, call(SYS_timer_create, 99, NULL, &id));
    CHECK(-EFAULT, call(SYS_timer_create, CLOCK_MONOTONIC, T_BAD, &id));
    CHECK(-EFAULT, call(SYS_timer_create, CLOCK_MONOTONIC, NULL, T_BAD));
    CHECK(-EINVAL, call(SYS_timer_getoverrun, 12345));
}

int main(void)
{
    interval(ITIMER_REAL, SIGALRM, 0);
    interval(ITIMER_VIRTUAL, SIGVTALRM, 1);
    interval(ITIMER_PROF, SIGPROF, 1);
    alarms();
    posix(CLOCK_MONOTONIC, 0);
    posix(CLOCK_REALTIME, 0);
    posix(CLOCK_PROCESS_CPUTIME_ID, 1);
    posix(CLOCK_THREAD_CPUTIME_ID, 1);
    overrun();
    to_a_thread();
    return t_end();
}
