/* SPDX-License-Identifier: MIT */
/* PR_SET_TSC: a thread that may not read the time stamp counter. */
#define _GNU_SOURCE
#include <t.h>

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define P(option, ...) call(SYS_prctl, option, __VA_ARGS__)

static int state(void)
{
    int n = -1;
    CHECK(0, P(PR_GET_TSC, &n));
    return n;
}

static void numbers(void)
{
    CHECK(PR_TSC_ENABLE, state());
    CHECK(-EFAULT, P(PR_GET_TSC, T_BAD));
    CHECK(-EINVAL, P(PR_SET_TSC, 0));
    CHECK(-EINVAL, P(PR_SET_TSC, 3));
    CHECK(0, P(PR_SET_TSC, PR_TSC_SIGSEGV));
    CHECK(PR_TSC_SIGSEGV, state());
    CHECK(0, P(PR_SET_TSC, PR_TSC_SIGSEGV));
    CHECK(0, P(PR_SET_TSC, PR_TSC_ENABLE));
    CHECK(PR_TSC_ENABLE, state());
}

#ifndef T_IN_PROCESS
static sigjmp_buf back;
static siginfo_t info;

static void on_fault(int sig, siginfo_t *si, void *context)
{
    info = *si;
    siglongjmp(back, sig);
}

/* The signal that reading the counter gives; 0: none. */
static int reading(bool with_cpu)
{
    unsigned lo, hi, cpu;
    int sig = sigsetjmp(back, 1);
    if (sig)
        return sig;
    if (with_cpu)
        __asm__ volatile("rdtscp" : "=a"(lo), "=d"(hi), "=c"(cpu));
    else
        __asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
    return 0;
}

static void faults(void)
{
    struct sigaction sa = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO };
    sigaction(SIGSEGV, &sa, NULL);
    CHECK(0, reading(false));
    CHECK(0, P(PR_SET_TSC, PR_TSC_SIGSEGV));
    for (int i = 0; i < 3; i++) {
        CHECK(SIGSEGV, reading(i & 1));
        CHECK(SI_KERNEL, info.si_code);
        CHECK(0, info.si_addr);
    }
    CHECK(0, P(PR_SET_TSC, PR_TSC_ENABLE));
    CHECK(0, reading(false));
    CHECK(0, reading(true));
}

static int ended(pid_t pid)
{
    int status = -1;
    waitpid(pid, &status, 0);
    return status;
}

/* A child has its parent's setting, and one that changes its own changes nobody else's, whoever runs between. */
static void children(void)
{
    int to[2], from[2];
    char c;
    CHECK(0, pipe(to));
    CHECK(0, pipe(from));
    CHECK(0, P(PR_SET_TSC, PR_TSC_SIGSEGV));
    pid_t pid = fork();
    if (!pid) {
        int bad = state() != PR_TSC_SIGSEGV || reading(false) != SIGSEGV;
        bad |= call(SYS_prctl, PR_SET_TSC, PR_TSC_ENABLE) != 0 || reading(false) != 0;
        for (int i = 0; i < 50; i++) {
            bad |= read(to[0], &c, 1) != 1 || reading(i & 1) != 0;
            bad |= write(from[1], &c, 1) != 1;
        }
        _exit(bad);
    }
    int wrong = 0;
    for (int i = 0; i < 50; i++) {
        wrong += write(to[1], "x", 1) != 1 || reading(i & 1) != SIGSEGV;
        wrong += read(from[0], &c, 1) != 1 || reading(i & 1) != SIGSEGV;
    }
    CHECK(0, wrong);
    CHECK(0, ended(pid));
    CHECK(PR_TSC_SIGSEGV, state());
    CHECK(0, P(PR_SET_TSC, PR_TSC_ENABLE));
}

/* Another program goes on with it. */
static void over_exec(void)
{
    pid_t pid = fork();
    if (!pid) {
        call(SYS_prctl, PR_SET_TSC, PR_TSC_SIGSEGV);
        execl("/proc/self/exe", "tsc", "state", NULL);
        _exit(99);
    }
    CHECK(PR_TSC_SIGSEGV << 8, ended(pid));
    pid = fork();
    if (!pid) {
        execl("/proc/self/exe", "tsc", "state", NULL);
        _exit(99);
    }
    CHECK(PR_TSC_ENABLE << 8, ended(pid));
}
#endif

int main(int argc, char **argv)
{
#ifndef T_IN_PROCESS
    if (argc > 1)
        _exit(state());
#endif
    numbers();
#ifndef T_IN_PROCESS
    faults();
    children();
    over_exec();
#endif
    return t_end();
}
