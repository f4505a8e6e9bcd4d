/* SPDX-License-Identifier: MIT */
/* What goes on while a process ends, stops, executes or is confined: timers that go off and are armed again on another CPU, limits that
 * somebody else sets, threads that are being made. usage: ends [ROUNDS] */
#define _GNU_SOURCE
#include <t.h>

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { THREADS = 24, DEADLINE_S = 100 };

static int rounds = 30;
static struct shared {
    _Atomic unsigned long steps;
    _Atomic int go, open;
} * shared;

static void nap(long ns)
{
    struct timespec ts = { 0, ns };
    nanosleep(&ts, NULL);
}

static time_t seconds(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec;
}

/* To another CPU, if there is one: a timer stays where it was started. */
static void move(void)
{
    cpu_set_t set;
    int cpus = (int)sysconf(_SC_NPROCESSORS_ONLN), to = (sched_getcpu() + 1) % cpus;
    CPU_ZERO(&set);
    CPU_SET(to, &set);
    sched_setaffinity(0, sizeof(set), &set);
}

static int reap(int pid)
{
    int status = -1;
    CHECK(pid, waitpid(pid, &status, __WALL));
    return status;
}

static timer_t start_timer(int clock, long ns)
{
    struct sigevent ev = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1 };
    struct itimerspec set = { { 0, ns }, { 0, ns } };
    timer_t id;
    if (timer_create(clock, &ev, &id) || timer_settime(id, 0, &set, NULL))
        _exit(9);
    return id;
}

static void set_alarms(int which, long us)
{
    struct itimerval set = { { 0, us }, { 0, us } };
    if (setitimer(which, &set, NULL))
        _exit(9);
}

/* Intervals that are armed again by their own expiry, on the CPU that the process has left. */
static void timers_at_exit(int round)
{
    int pid = fork();
    if (pid == 0) {
        signal(SIGALRM, SIG_IGN);
        signal(SIGUSR1, SIG_IGN);
        set_alarms(ITIMER_REAL, 20);
        for (int i = 0; i < 8; i++)
            (void)start_timer(CLOCK_MONOTONIC, 5000 + 3000 * i);
        move();
        nap(round % 10 * 10000);
        _exit(7);
    }
    CHECK(7 << 8, reap(pid));
}

/* Somebody else sets a limit on CPU time, which looks at all timers on it, while their process ends. */
static void limits_at_exit(int round)
{
    int pid = fork();
    if (pid == 0) {
        signal(SIGVTALRM, SIG_IGN);
        signal(SIGPROF, SIG_IGN);
        set_alarms(ITIMER_VIRTUAL, 1000);
        set_alarms(ITIMER_PROF, 1000);
        nap(round % 10 * 20000);
        _exit(7);
    }
    struct rlimit r = { 1000, 2000 };
    int status, got;
    while ((got = waitpid(pid, &status, WNOHANG)) == 0)
        (void)prlimit(pid, RLIMIT_CPU, &r, NULL);
    CHECK(pid, got);
    CHECK(7 << 8, status);
}

static void *burn(void *arg)
{
    (void)arg;
    for (;;)
        shared->steps++;
    return NULL;
}

/* Timers on CPU time go with execve, which ends the threads that use it up. */
static void timers_at_exec(const char *self)
{
    int pid = fork();
    if (pid == 0) {
        pthread_t t;
        signal(SIGUSR1, SIG_IGN);
        for (int i = 0; i < 8; i++)
            (void)start_timer(CLOCK_PROCESS_CPUTIME_ID, 100000);
        if (pthread_create(&t, NULL, burn, NULL))
            _exit(9);
        nap(2000000);
        execl(self, self, "-", (char *)NULL);
        _exit(8);
    }
    CHECK(7 << 8, reap(pid));
}

static void *step_and_end(void *arg)
{
    for (int i = 0; i < 200; i++)
        shared->steps++;
    return arg;
}

/* A thread that is made while its process stops stops too. */
static void stop_while_cloning(int round)
{
    int status;
    shared->steps = 0;
    int pid = fork();
    if (pid == 0) {
        pthread_t t;
        for (;;)
            if (pthread_create(&t, NULL, step_and_end, NULL) == 0)
                pthread_join(t, NULL);
    }
    while (shared->steps < 400)
        sched_yield();
    nap(round % 16 * 5000);
    kill(pid, SIGSTOP);
    CHECK(pid, waitpid(pid, &status, WUNTRACED));
    CHECK(true, WIFSTOPPED(status));
    unsigned long before;
    time_t end = seconds() + DEADLINE_S;
    do {
        before = shared->steps; /* what still leaves its CPU may take a step or two */
        nap(3000000);
    } while (before != shared->steps && seconds() < end);
    CHECK(before, shared->steps);
    kill(pid, SIGKILL);
    CHECK(SIGKILL, reap(pid));
}

/* Is getppid refused, as all threads were told? */
static void *look(void *arg)
{
    (void)arg;
    while (!shared->go)
        sched_yield();
    if (call(SYS_getppid) != -EXDEV)
        shared->open++;
    return NULL;
}

static void *make_threads(void *arg)
{
    static pthread_t made[THREADS];
    int n = 0;
    while (!shared->go && n < THREADS)
        n += pthread_create(&made[n], NULL, look, NULL) == 0;
    while (n--)
        pthread_join(made[n], NULL);
    return arg;
}

/* A filter for all threads holds for those that are being made, too. */
static void filter_while_cloning(int round)
{
    shared->go = shared->open = 0;
    int pid = fork();
    if (pid == 0) {
        struct sock_filter f[] = { BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
                                            offsetof(struct seccomp_data, nr)),
                                   BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
                                   BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EXDEV),
                                   BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW) };
        struct sock_fprog p = { 4, f };
        pthread_t t;
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        /* The first one is inherited by each. */
        f[2].k = SECCOMP_RET_ALLOW;
        if (call(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &p) ||
            pthread_create(&t, NULL, make_threads, NULL))
            _exit(9);
        nap(round % 16 * 20000);
        f[2].k = SECCOMP_RET_ERRNO | EXDEV;
        if (call(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &p))
            _exit(8);
        shared->go = 1;
        pthread_join(t, NULL);
        _exit(7);
    }
    CHECK(7 << 8, reap(pid));
    CHECK(0, shared->open);
}

/* clone takes any number as the signal of the end; one that does not exist is not sent. */
static void odd_end_signals(void)
{
    for (int sig = 0; sig < 256; sig += sig < 62 ? 31 : 1) {
        if (sig > 0 && sig <= 64)
            continue;
        long pid = call(SYS_clone, sig, 0, 0, 0, 0);
        if (pid == 0)
            call(SYS_exit_group, 7);
        CHECK(7 << 8, reap((int)pid));
    }
    sigset_t pending;
    CHECK(0, sigpending(&pending));
    for (int sig = 1; sig <= 64; sig++)
        CHECK(false, sigismember(&pending, sig) == 1);
}

static long cpu_ms(int clock)
{
    struct timespec ts;
    clock_gettime(clock, &ts);
    return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* A timer on a thread's CPU time does not hear of what others use. */
static void time_of_one_thread(void)
{
    int pid = fork();
    if (pid == 0) {
        struct sigevent ev = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1 };
        struct itimerspec set = { { 0, 0 }, { 0, 100000000 } };
        struct timespec none = { 0, 0 }, long_time = { DEADLINE_S, 0 };
        sigset_t usr1;
        pthread_t t;
        timer_t id;
        sigemptyset(&usr1);
        sigaddset(&usr1, SIGUSR1);
        sigprocmask(SIG_BLOCK, &usr1, NULL);
        CHECK(0, pthread_create(&t, NULL, burn, NULL));
        while (cpu_ms(CLOCK_PROCESS_CPUTIME_ID) < 400)
            nap(50000000);
        CHECK(0, timer_create(CLOCK_THREAD_CPUTIME_ID, &ev, &id));
        CHECK(0, timer_settime(id, 0, &set, NULL));
        while (cpu_ms(CLOCK_PROCESS_CPUTIME_ID) < 700)
            nap(50000000);
        if (cpu_ms(CLOCK_THREAD_CPUTIME_ID) < 100)
            CHECK(-1, sigtimedwait(&usr1, NULL, &none));
        while (cpu_ms(CLOCK_THREAD_CPUTIME_ID) < 400)
            ;
        CHECK(SIGUSR1, sigtimedwait(&usr1, NULL, &long_time));
        _exit(t_failures != 0);
    }
    CHECK(0, reap(pid));
}

int main(int argc, char **argv)
{
    sigset_t all;
    if (argc > 1 && argv[1][0] == '-')
        return 7;
    if (argc > 1)
        rounds = atoi(argv[1]);
    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    for (int i = 0; i < rounds; i++) {
        timers_at_exit(i);
        limits_at_exit(i);
        stop_while_cloning(i);
        filter_while_cloning(i);
    }
    for (int i = 0; i < rounds / 4; i++)
        timers_at_exec("/proc/self/exe");
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
    odd_end_signals();
    time_of_one_thread();
    return t_end();
}
