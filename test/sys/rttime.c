/* SPDX-License-Identifier: MIT */
/* RLIMIT_RTTIME: how long a real-time thread may run without a sleep. setrlimit(2). */
#define _GNU_SOURCE
#include <t.h>

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { SOFT_US = 50000, HARD_US = 150000 };

static void on_limit(int sig)
{
    struct rlimit l;
    (void)sig;
    getrlimit(RLIMIT_RTTIME, &l);
    _exit(l.rlim_cur == SOFT_US + 1000000 ? 5 : 6); /* the next signal is a second away */
}

static void run_with(rlim_t soft, rlim_t hard, void (*handler)(int))
{
    struct rlimit l = { soft, hard };
    struct sched_param one = { 1 };
    signal(SIGXCPU, handler);
    if (setrlimit(RLIMIT_RTTIME, &l) || sched_setscheduler(0, SCHED_FIFO, &one))
        _exit(9);
}

static void spins(void)
{
    for (volatile unsigned i = 0;; i++)
        ;
}

/* Several times the limit in all, with sleeps in between. */
static void sleeps(void)
{
    struct timespec t, pause = { 0, 1000000 };
    long used_ms;
    do {
        for (volatile unsigned i = 0; i < 1000; i++)
            ;
        nanosleep(&pause, NULL);
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
        used_ms = t.tv_sec * 1000 + t.tv_nsec / 1000000;
    } while (used_ms < 60);
    _exit(3);
}

static int end_of(rlim_t soft, rlim_t hard, void (*handler)(int), void (*what)(void))
{
    int s = 0;
    pid_t pid = fork();
    if (pid == 0) {
        run_with(soft, hard, handler);
        what();
    }
    waitpid(pid, &s, 0);
    return s & ~0x80;
}

static void forks(void)
{
    int s = 0;
    pid_t pid = fork(); /* policy and limit go with it */
    if (pid == 0)
        spins();
    waitpid(pid, &s, 0);
    _exit(WTERMSIG(s));
}

int main(void)
{
    CHECK(SIGXCPU, end_of(SOFT_US, RLIM_INFINITY, SIG_DFL, spins));
    CHECK(5 << 8, end_of(SOFT_US, RLIM_INFINITY, on_limit, spins));
    CHECK(SIGKILL, end_of(SOFT_US, HARD_US, SIG_IGN, spins));
    CHECK(3 << 8, end_of(SOFT_US, HARD_US, SIG_DFL, sleeps));
    CHECK(SIGXCPU << 8, end_of(SOFT_US, RLIM_INFINITY, SIG_DFL, forks));
    return t_end();
}
