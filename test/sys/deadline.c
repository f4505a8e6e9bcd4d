/* SPDX-License-Identifier: MIT */
/* SCHED_DEADLINE: parameters, admission, what it promises and what it does not give. Takes small shares of the CPUs but for
 * the admission test, so that several runs fit beside each other. Plain users may not have it: they see that only. */
#define _GNU_SOURCE
#include <t.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { DEADLINE = 6, MS = 1000000, SEC = 1000 * MS };
enum { RESET = 1, RECLAIM = 2, OVERRUN = 4, KEEP_POLICY = 8, KEEP_PARAMS = 16 };

struct attr {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
    uint32_t util_min, util_max;
};

static long set(int tid, uint64_t runtime, uint64_t deadline, uint64_t period, uint64_t flags)
{
    struct attr a = { .size = 48,
                      .policy = DEADLINE,
                      .flags = flags,
                      .runtime = runtime,
                      .deadline = deadline,
                      .period = period };
    return call(SYS_sched_setattr, tid, &a, 0);
}

static long leave(int tid)
{
    struct sched_param p = { 0 };
    return call(SYS_sched_setscheduler, tid, SCHED_OTHER, &p);
}

static void attributes(void)
{
    struct attr a;
    struct sched_param p = { 0 };
    struct timespec ts = { 1, 1 };
    CHECK(0, call(SYS_setpriority, PRIO_PROCESS, 0, 3));
    CHECK(0, set(0, MS, 100 * MS, 0, RECLAIM | OVERRUN));
    CHECK(DEADLINE, call(SYS_sched_getscheduler, 0));
    CHECK(0, call(SYS_sched_getparam, 0, &p));
    CHECK(0, p.sched_priority);
    CHECK(0, call(SYS_sched_rr_get_interval, 0, &ts));
    CHECK(0, ts.tv_sec + ts.tv_nsec);
    CHECK(0, call(SYS_sched_getattr, 0, &a, sizeof(a), 0));
    CHECK(DEADLINE, a.policy);
    CHECK(RECLAIM | OVERRUN, a.flags);
    CHECK(0, a.nice);
    CHECK(0, a.priority);
    CHECK(MS, a.runtime);
    CHECK(100 * MS, a.deadline);
    CHECK(100 * MS, a.period);
    CHECK(17, call(SYS_getpriority, PRIO_PROCESS, 0));
    CHECK(0, call(SYS_setpriority, PRIO_PROCESS, 0, 0));
    CHECK(DEADLINE, call(SYS_sched_getscheduler, 0));
    CHECK(-EINVAL, call(SYS_sched_setparam, 0, &p));
    CHECK(-EINVAL, call(SYS_sched_setscheduler, 0, DEADLINE, &p));

    CHECK(0, set(0, MS, 50 * MS, 100 * MS, 0));
    CHECK(0, call(SYS_sched_getattr, 0, &a, 48, 0));
    CHECK(50 * MS, a.deadline);
    CHECK(0, a.flags);
    a = (struct attr){ .size = 48, .flags = KEEP_POLICY, .runtime = 2 * MS, .deadline = 80 * MS };
    CHECK(0, call(SYS_sched_setattr, 0, &a, 0));
    CHECK(0, call(SYS_sched_getattr, 0, &a, 48, 0));
    CHECK(80 * MS, a.period);
    a = (struct attr){ .size = 48, .flags = KEEP_POLICY | KEEP_PARAMS | RESET };
    CHECK(0, call(SYS_sched_setattr, 0, &a, 0));
    CHECK(0, call(SYS_sched_getattr, 0, &a, 48, 0));
    CHECK(DEADLINE, a.policy);
    CHECK(0, a.flags); /* with the policy stays what a fork does to it */
    CHECK(2 * MS, a.runtime);
    a = (struct attr){ .size = 48, .flags = KEEP_POLICY };
    CHECK(-EINVAL, call(SYS_sched_setattr, 0, &a, 0));
    CHECK(0, leave(0));
    CHECK(0, call(SYS_sched_getattr, 0, &a, 48, 0));
    CHECK(SCHED_OTHER, a.policy);
}

static int cpu_count(void)
{
    uint64_t mask[16] = { 0 };
    int n = 0;
    (void)call(SYS_sched_getaffinity, 0, sizeof(mask), mask);
    for (int i = 0; i < 1024; i++)
        n += mask[i / 64] >> i % 64 & 1;
    return n;
}

static void affinity(void)
{
    uint64_t all[16] = { 0 }, one[16] = { 1 };
    long size = call(SYS_sched_getaffinity, 0, sizeof(all), all);
    CHECK(0, set(0, MS, 100 * MS, 0, 0));
    CHECK(0, call(SYS_sched_setaffinity, 0, size, all));
    if (cpu_count() > 1) {
        CHECK(-EBUSY, call(SYS_sched_setaffinity, 0, size, one));
        CHECK(0, leave(0));
        CHECK(0, call(SYS_sched_setaffinity, 0, size, one));
        CHECK(-EPERM, set(0, MS, 100 * MS, 0, 0));
        CHECK(0, call(SYS_sched_setaffinity, 0, size, all));
    }
    CHECK(0, leave(0));
}

static int64_t clock_ns(clockid_t clock)
{
    struct timespec ts;
    (void)call(SYS_clock_gettime, clock, &ts);
    return (int64_t)ts.tv_sec * SEC + ts.tv_nsec;
}

/* Each yield gives up what is left of a period. */
static void yields(void)
{
    CHECK(0, set(0, 2 * MS, 20 * MS, 0, 0));
    int64_t begin = clock_ns(CLOCK_MONOTONIC);
    for (int i = 0; i < 5; i++)
        CHECK(0, call(SYS_sched_yield));
    CHECK(true, clock_ns(CLOCK_MONOTONIC) - begin >= 4 * 20 * MS);
    CHECK(0, leave(0));
}

#ifndef T_IN_PROCESS

static int wait_for(pid_t pid)
{
    int status = -1;
    CHECK(pid, waitpid(pid, &status, 0));
    return status;
}

static void *nothing(void *arg)
{
    return arg;
}

static void forks(void)
{
    pthread_t thread;
    CHECK(0, set(0, MS, 100 * MS, 0, 0));
    CHECK(-EAGAIN, call(SYS_fork));
    CHECK(EAGAIN, pthread_create(&thread, NULL, nothing, NULL));
    CHECK(0, set(0, MS, 100 * MS, 0, RESET));
    CHECK(DEADLINE | SCHED_RESET_ON_FORK, call(SYS_sched_getscheduler, 0));
    pid_t pid = fork();
    if (!pid)
        _exit(call(SYS_sched_getscheduler, 0) == SCHED_OTHER ? 0 : 1);
    CHECK(0, wait_for(pid));
    CHECK(0, pthread_create(&thread, NULL, nothing, NULL));
    CHECK(0, pthread_join(thread, NULL));
    CHECK(0, leave(0));
}

/* Linux gives back what a thread had when the period of that has passed. */
static long set_when_free(uint64_t runtime, uint64_t deadline, uint64_t flags)
{
    int64_t give_up = clock_ns(CLOCK_MONOTONIC) + 120ll * SEC;
    long err;
    do
        err = set(0, runtime, deadline, 0, flags);
    while (err == -EBUSY && clock_ns(CLOCK_MONOTONIC) < give_up);
    return err;
}

/* Children that each want 90 % of a CPU: one more than there are CPUs is one too many, and its end makes room. */
static void admission(void)
{
    int n = cpu_count(), gate[2], answer[2], taken = 0;
    char c = 0;
    pid_t pids[65];
    if (n > 64 || pipe(gate) < 0 || pipe(answer) < 0)
        exit(1);
    for (; c != EBUSY && taken <= n; taken++) {
        pids[taken] = fork();
        if (!pids[taken]) {
            c = (char)-set(0, 90 * MS, 100 * MS, 0, 0);
            close(gate[1]);
            if (write(answer[1], &c, 1) != 1 || read(gate[0], &c, 1) != 0)
                _exit(1);
            _exit(0);
        }
        CHECK(1, read(answer[0], &c, 1));
        CHECK(true, c == 0 || c == EBUSY);
    }
    CHECK(EBUSY, c);
    close(gate[1]);
    while (taken)
        CHECK(0, wait_for(pids[--taken]));
    CHECK(0, set_when_free(90 * MS, 100 * MS, 0));
    CHECK(0, leave(0));
    close(gate[0]);
    close(answer[0]);
    close(answer[1]);
}

static volatile sig_atomic_t overruns;

static void on_overrun(int sig)
{
    overruns += sig == SIGXCPU;
}

/* How long it takes to use 60 ms of the processor. */
static int64_t use_60ms(void)
{
    int64_t begin = clock_ns(CLOCK_MONOTONIC), cpu = clock_ns(CLOCK_THREAD_CPUTIME_ID);
    while (clock_ns(CLOCK_THREAD_CPUTIME_ID) - cpu < 60 * MS)
        ;
    return clock_ns(CLOCK_MONOTONIC) - begin;
}

/* 10 ms of each 100: 60 ms take five more periods to begin. Linux may be late by a tick, and asks for it back. While the machine
 * below stands still the time counts as used, all at once; it is owed then, and the next try begins with the debt. */
static void throttling(void)
{
    struct sigaction sa = { .sa_handler = on_overrun };
    CHECK(0, sigaction(SIGXCPU, &sa, NULL));
    CHECK(0, set_when_free(10 * MS, 100 * MS, OVERRUN));
    bool held = false;
    for (int tries = 0; tries < 20 && !held; tries++)
        held = use_60ms() >= 400 * MS;
    CHECK(true, held);
    CHECK(0, leave(0));
    CHECK(true, overruns >= 1);
}

/* Whoever has used up its time is still there to be changed or killed. */
static void rescued(bool kill_it)
{
    int told[2];
    char c;
    if (pipe(told) < 0)
        exit(1);
    pid_t pid = fork();
    if (!pid) {
        c = (char)-set(0, 40 * MS, 800 * MS, 0, 0);
        (void)!write(told[1], &c, 1);
        while (kill_it || clock_ns(CLOCK_THREAD_CPUTIME_ID) < 300 * MS)
            ; /* would take seconds */
        _exit(7);
    }
    CHECK(1, read(told[0], &c, 1));
    CHECK(0, c);
    usleep(60000);
    CHECK(0, kill_it ? kill(pid, SIGKILL) : leave(pid));
    CHECK(kill_it ? SIGKILL : 7 << 8, wait_for(pid));
    close(told[0]);
    close(told[1]);
}

/* Several that run for a bit and sleep for a bit get what they were promised: no job ends after its period, but for how
 * late the machine below is. */
static void *job(void *arg)
{
    long missed = 0;
    uint64_t period = (uint64_t)(long)arg * MS;
    if (set(0, 5 * MS, period, 0, 0))
        return (void *)-1;
    for (int i = 0; i < 10; i++) {
        int64_t cpu = clock_ns(CLOCK_THREAD_CPUTIME_ID), begin = clock_ns(CLOCK_MONOTONIC);
        while (clock_ns(CLOCK_THREAD_CPUTIME_ID) - cpu < 1 * MS)
            ;
        missed += clock_ns(CLOCK_MONOTONIC) - begin > (int64_t)period + 60ll * SEC;
        (void)call(SYS_sched_yield);
    }
    return (void *)missed;
}

static void jobs(void)
{
    pthread_t threads[4];
    for (long i = 0; i < 4; i++)
        CHECK(0, pthread_create(&threads[i], NULL, job, (void *)(60 + 20 * i)));
    for (int i = 0; i < 4; i++) {
        void *missed = NULL;
        CHECK(0, pthread_join(threads[i], &missed));
        CHECK(0, (long)missed);
    }
}

/* In order of deadlines, whoever came first: seen where there is one CPU. */
static struct {
    pthread_barrier_t begin;
    _Atomic int go, ends;
    int order[2];
} edf;

static void *racer(void *arg)
{
    long late = (long)arg;
    /* In a guest, where the order is looked at, much more than it takes: on a loaded host a CPU that stands still counts as used.
     * Linux would keep so large a share from the next run for a whole period. */
    bool wide = t_alcove();
    if (set(0, (wide ? 250 : 45) * MS, (late ? 4 : 1) * (wide ? 1000ll : 220ll) * MS, 0, 0))
        exit(2);
    pthread_barrier_wait(&edf.begin);
    int64_t cpu = clock_ns(CLOCK_THREAD_CPUTIME_ID);
    while (clock_ns(CLOCK_THREAD_CPUTIME_ID) - cpu < 1 * MS)
        ;
    edf.order[edf.ends++] = (int)late;
    return NULL;
}

static void order(void)
{
    pthread_t threads[2];
    struct sched_param p = { 50 };
    CHECK(0, pthread_barrier_init(&edf.begin, NULL, 3));
    CHECK(0, call(SYS_sched_setscheduler, 0, SCHED_FIFO | SCHED_RESET_ON_FORK, &p));
    CHECK(0, pthread_create(&threads[1], NULL, racer, (void *)1));
    CHECK(0, pthread_create(&threads[0], NULL, racer, NULL));
    pthread_barrier_wait(&edf.begin);
    for (int i = 0; i < 2; i++)
        CHECK(0, pthread_join(threads[i], NULL));
    CHECK(2, edf.ends);
    if (cpu_count() == 1)
        CHECK(0, edf.order[0]);
    CHECK(0, leave(0));
    pthread_barrier_destroy(&edf.begin);
}

/* A thread of another policy that has what one of this one waits for. */
static pthread_mutex_t mutex;

static void *waiter(void *arg)
{
    if (set(0, 5 * MS, 50 * MS, 0, 0))
        exit(3);
    *(_Atomic int *)arg = 1;
    CHECK(0, pthread_mutex_lock(&mutex));
    CHECK(0, pthread_mutex_unlock(&mutex));
    return NULL;
}

static void inheritance(void)
{
    pthread_mutexattr_t a;
    pthread_t thread;
    _Atomic int waits = 0;
    CHECK(0, pthread_mutexattr_init(&a));
    CHECK(0, pthread_mutexattr_setprotocol(&a, PTHREAD_PRIO_INHERIT));
    CHECK(0, pthread_mutex_init(&mutex, &a));
    CHECK(0, pthread_mutex_lock(&mutex));
    CHECK(0, pthread_create(&thread, NULL, waiter, (void *)&waits));
    while (!waits)
        usleep(1000);
    int64_t cpu = clock_ns(CLOCK_THREAD_CPUTIME_ID);
    while (clock_ns(CLOCK_THREAD_CPUTIME_ID) - cpu < 30 * MS)
        ;
    CHECK(0, pthread_mutex_unlock(&mutex));
    CHECK(0, pthread_join(thread, NULL));
    CHECK(0, pthread_mutex_destroy(&mutex));
}

/* ps(1) shows it so: the kernel's priority, and the policy. */
static void shown(void)
{
    /* What admission may give away of each period; on Linux the administrator may have changed it. */
    char share[32] = "";
    int fd = (int)call(SYS_openat, AT_FDCWD, "/proc/sys/kernel/sched_rt_runtime_us", O_RDONLY);
    CHECK(true, call(SYS_read, fd, share, sizeof(share) - 1) > 0);
    CHECK(true, !t_alcove() || atol(share) == 950000);
    call(SYS_close, fd);
    char text[1024] = { 0 }, *p;
    CHECK(0, set(0, MS, 100 * MS, 0, 0));
    FILE *f = fopen("/proc/self/stat", "r");
    CHECK(true, f && fgets(text, sizeof(text), f));
    if (f)
        fclose(f);
    CHECK(0, leave(0));
    p = strrchr(text, ')');
    for (int field = 3; p && field <= 41; field++) {
        p = strchr(p + 1, ' ');
        if (p && field == 18)
            CHECK(-101, atol(p));
        if (p && field == 40)
            CHECK(0, atol(p));
        if (p && field == 41)
            CHECK(DEADLINE, atol(p));
    }
    CHECK(true, p != NULL);
}

#endif

int main(void)
{
    struct attr plain = { .size = 48, .policy = SCHED_OTHER };
    long err = set(0, MS, 100 * MS, 0, 0);
    if (err == -EPERM) {
        CHECK(-EPERM, err);
        return t_end();
    }
    CHECK(0, err);
    CHECK(0, call(SYS_sched_setattr, 0, &plain, 0));
    attributes();
    affinity();
    yields();
#ifndef T_IN_PROCESS
    forks();
    throttling();
    rescued(false);
    rescued(true);
    jobs();
    order();
    inheritance();
    shown();
    admission(); /* last: Linux may be slow to give back what it took */
#endif
    return t_end();
}
