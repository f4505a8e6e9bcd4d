/* SPDX-License-Identifier: MIT */
/* What a program has used: user and system time told apart, faults, switches, memory. getrusage(2), times(2),
 * clock_getcpuclockid(3), /proc/PID/stat. Times are compared as shares of CPU time: wall time means nothing here. */
#define _GNU_SOURCE
#include "t.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/times.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    MS = 1000000,
    BURN_MS = 250,
    TRIES = 20,
    PAGE = 4096,
    CPUCLOCK_PROF = 0,
    CPUCLOCK_VIRTUAL = 1,
    PIECE = 65536,
};

static volatile uint64_t sink;
static char piece[PIECE];

static int64_t cpu_ns(int clock)
{
    struct timespec t = { 0, 0 };
    CHECK(0, call(SYS_clock_gettime, clock, &t));
    return t.tv_sec * 1000000000ll + t.tv_nsec;
}

static int64_t us(const struct timeval *t)
{
    return t->tv_sec * 1000000ll + t->tv_usec;
}

/* The user's part of what is between two answers, in percent. */
static int user_percent(const struct rusage *a, const struct rusage *b)
{
    int64_t user = us(&b->ru_utime) - us(&a->ru_utime),
            system = us(&b->ru_stime) - us(&a->ru_stime);
    return user + system ? (int)(user * 100 / (user + system)) : -1;
}

static void compute(void)
{
    for (int i = 0; i < 300000; i++)
        sink = sink * 6364136223846793005ull + 1442695040888963407ull;
}

/* All user. */
static void burn_user(int ms, int clock)
{
    int64_t end = cpu_ns(clock) + (int64_t)ms * MS;
    while (cpu_ns(clock) < end)
        compute();
}

/* Nearly all system. */
static void burn_system(int ms, int clock)
{
    int zero = (int)call(SYS_open, "/dev/zero", O_RDONLY, 0);
    CHECK(true, zero >= 0);
    int64_t end = cpu_ns(clock) + (int64_t)ms * MS;
    while (cpu_ns(clock) < end)
        for (int i = 0; i < 20; i++)
            (void)call(SYS_read, zero, piece, PIECE);
    CHECK(0, call(SYS_close, zero));
}

/* What the two burns come to: in percent of user time, in nanoseconds of the virtual clock in the second, and in microseconds of both
 * parts and of the clock that has their sum. */
struct shares {
    int of_user, of_system;
    int64_t virtual_ns, parts_us, prof_us;
};

/* The clock of the sum is not behind its parts. Linux samples it by ticks, which on a busy machine
 * may miss much of what runs between them; here it is exact. */
static bool prof_keeps_up(const struct shares *s)
{
    return s->prof_us >= s->parts_us / (t_alcove() ? 1 : 2);
}

static void measure(struct shares *s)
{
    struct rusage a, b, c;
    struct timespec before, after;
    int virtual_clock = -8 | CPUCLOCK_VIRTUAL, prof = -8 | CPUCLOCK_PROF; /* of this process */
    int64_t prof_before = cpu_ns(prof);
    CHECK(0, call(SYS_getrusage, RUSAGE_SELF, &a));
    burn_user(BURN_MS, CLOCK_PROCESS_CPUTIME_ID);
    CHECK(0, call(SYS_getrusage, RUSAGE_SELF, &b));
    CHECK(0, call(SYS_clock_gettime, virtual_clock, &before));
    burn_system(BURN_MS, CLOCK_PROCESS_CPUTIME_ID);
    CHECK(0, call(SYS_getrusage, RUSAGE_SELF, &c));
    s->prof_us = (cpu_ns(prof) - prof_before) / 1000;
    CHECK(0, call(SYS_clock_gettime, virtual_clock, &after));
    s->of_user = user_percent(&a, &b);
    s->of_system = user_percent(&b, &c);
    s->parts_us = us(&c.ru_utime) + us(&c.ru_stime) - us(&a.ru_utime) - us(&a.ru_stime);
    s->virtual_ns = (after.tv_sec - before.tv_sec) * 1000000000ll + after.tv_nsec - before.tv_nsec;
}

static void check_shares(void)
{
    struct rusage c, d;
    struct shares s;
    /* Time that others steal from a virtual machine counts for whoever ran, and Linux samples the clocks by ticks: not so every
     * time. */
    for (int i = 0; i < TRIES; i++) {
        measure(&s);
        if (s.of_user >= 75 && s.of_system <= 25 && s.virtual_ns < BURN_MS / 2 * MS &&
            prof_keeps_up(&s))
            break;
    }
    CHECK(true, s.of_user >= 75);
    CHECK(true, s.of_system <= 25);
    CHECK(true, s.virtual_ns < BURN_MS / 2 * MS);
    CHECK(true, prof_keeps_up(&s));
    /* The sum is the CPU time. */
    int64_t before = cpu_ns(CLOCK_PROCESS_CPUTIME_ID) / 1000;
    CHECK(0, call(SYS_getrusage, RUSAGE_SELF, &c));
    int64_t sum = us(&c.ru_utime) + us(&c.ru_stime), all = cpu_ns(CLOCK_PROCESS_CPUTIME_ID) / 1000;
    CHECK(true, sum <= all && sum > before - 50000);
    /* Neither part goes back. */
    for (int i = 0; i < 200; i++, c = d) {
        (i & 1 ? burn_system : burn_user)(1, CLOCK_PROCESS_CPUTIME_ID);
        CHECK(0, call(SYS_getrusage, RUSAGE_SELF, &d));
        if (us(&d.ru_utime) < us(&c.ru_utime) || us(&d.ru_stime) < us(&c.ru_stime))
            CHECK(0, i + 1);
    }
}

/* Fault for 200 ms; how many there were at least. */
static long fault_on(struct rusage *a, struct rusage *b)
{
    int64_t end = cpu_ns(CLOCK_THREAD_CPUTIME_ID) + 200ll * MS;
    CHECK(0, call(SYS_getrusage, RUSAGE_THREAD, a));
    long faults = 0;
    while (cpu_ns(CLOCK_THREAD_CPUTIME_ID) < end) {
        char *p = (char *)call(SYS_mmap, 0, 256 * PAGE, PROT_READ | PROT_WRITE,
                               MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        call(SYS_madvise, p, 256 * PAGE, MADV_NOHUGEPAGE);
        for (int i = 255; i >= 0; i--)
            p[i * PAGE] = 1;
        faults += 256;
        call(SYS_munmap, p, 256 * PAGE);
    }
    CHECK(0, call(SYS_getrusage, RUSAGE_THREAD, b));
    return faults;
}

/* Faults are libOS's time, and so is what a thread does between them not. */
static void check_faults(void)
{
    struct rusage a, b;
    long faults = 0;
    for (int i = 0; i < TRIES; i++) {
        faults = fault_on(&a, &b);
        if (user_percent(&a, &b) <= 40)
            break;
    }
    CHECK(true, user_percent(&a, &b) <= 40);
    CHECK(true, b.ru_minflt - a.ru_minflt >= faults / 64);
    CHECK(true, b.ru_majflt - a.ru_majflt == 0);
}

static void check_memory(void)
{
    struct rusage a, b;
    size_t size = 24 << 20;
    char *p =
        (char *)call(SYS_mmap, 0, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (size_t i = 0; i < size; i += PAGE)
        p[i] = 1;
    CHECK(0, call(SYS_getrusage, RUSAGE_SELF, &a));
    CHECK(true, a.ru_maxrss >= (long)(size >> 10));
    CHECK(0, call(SYS_munmap, p, size));
    CHECK(0, call(SYS_getrusage, RUSAGE_SELF, &b));
    CHECK(true, b.ru_maxrss >= (long)(size >> 10));
}

static void check_switches(void)
{
    struct rusage a, b;
    struct timespec t = { 0, MS };
    CHECK(0, call(SYS_getrusage, RUSAGE_THREAD, &a));
    for (int i = 0; i < 10; i++)
        CHECK(0, call(SYS_nanosleep, &t, 0));
    CHECK(0, call(SYS_getrusage, RUSAGE_THREAD, &b));
    CHECK(true, b.ru_nvcsw - a.ru_nvcsw >= 10);
}

static void check_bad(void)
{
    struct rusage r;
    CHECK(-22, call(SYS_getrusage, 2, &r));
    CHECK(-22, call(SYS_getrusage, -2, &r));
    CHECK(-14, call(SYS_getrusage, RUSAGE_SELF, T_BAD));
    CHECK(-14, call(SYS_times, T_BAD));
}

#ifndef T_IN_PROCESS

/* A child's times are told by wait4, and are its parent's from then on. */
static void check_children(void)
{
    struct rusage before, one, after;
    struct tms t0, t1;
    CHECK(0, call(SYS_getrusage, RUSAGE_CHILDREN, &before));
    CHECK(true, call(SYS_times, &t0) >= 0);
    pid_t pid = fork();
    if (pid == 0) {
        char *p = mmap(NULL, 40 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        memset(p, 1, 40 << 20);
        munmap(p, 40 << 20);
        burn_user(BURN_MS, CLOCK_PROCESS_CPUTIME_ID);
        _exit(0);
    }
    int status;
    CHECK(pid, call(SYS_wait4, pid, &status, 0, &one));
    CHECK(0, status);
    CHECK(0, call(SYS_getrusage, RUSAGE_CHILDREN, &after));
    CHECK(true, call(SYS_times, &t1) >= 0);
    memset(&before, 0, sizeof before);
    CHECK(true, user_percent(&before, &one) >= 60);
    CHECK(true, us(&one.ru_utime) >= BURN_MS * 600);
    CHECK(true, us(&after.ru_utime) >= us(&one.ru_utime));
    CHECK(true, one.ru_maxrss >= 40 << 10);
    CHECK(true, after.ru_maxrss >= 40 << 10);
    CHECK(true, t1.tms_cutime - t0.tms_cutime >= BURN_MS / 20);
    CHECK(true, after.ru_minflt >= one.ru_minflt);
}

static volatile sig_atomic_t alarms;

static void on_alarm(int sig)
{
    (void)sig;
    alarms++;
}

/* ITIMER_VIRTUAL goes on in ring 3 only, ITIMER_PROF always. */
static void check_timers(void)
{
    struct itimerval it = { .it_value = { 0, 150000 } }, off = { .it_value = { 0, 0 } }, left;
    signal(SIGVTALRM, on_alarm);
    signal(SIGPROF, on_alarm);
    CHECK(0, setitimer(ITIMER_VIRTUAL, &it, NULL));
    burn_system(250, CLOCK_PROCESS_CPUTIME_ID);
    CHECK(0, getitimer(ITIMER_VIRTUAL, &left));
    CHECK(0, alarms);
    CHECK(true, us(&left.it_value) > 50000);
    burn_user(300, CLOCK_PROCESS_CPUTIME_ID);
    CHECK(1, alarms);
    alarms = 0;
    CHECK(0, setitimer(ITIMER_PROF, &it, NULL));
    burn_system(250, CLOCK_PROCESS_CPUTIME_ID);
    CHECK(1, alarms);
    CHECK(0, setitimer(ITIMER_PROF, &off, NULL));
}

/* utime and stime of /proc/self/stat, in hundredths of a second. */
static void stat_times(long *user, long *system)
{
    char text[1024];
    int fd = open("/proc/self/stat", O_RDONLY);
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    text[n > 0 ? n : 0] = 0;
    char *p = strrchr(text, ')');
    CHECK(2, p ? sscanf(p + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %ld %ld", user, system)
               : 0);
}

static void check_stat(void)
{
    struct rusage r;
    long user = 0, system = 0;
    stat_times(&user, &system);
    CHECK(0, getrusage(RUSAGE_SELF, &r));
    CHECK(true, labs(us(&r.ru_utime) / 10000 - user) <= 10);
    CHECK(true, labs(us(&r.ru_stime) / 10000 - system) <= 10);
}

/* Two processes on one CPU take it from each other. */
static void check_forced(void)
{
    cpu_set_t one;
    struct rusage a, b;
    CPU_ZERO(&one);
    CPU_SET(sched_getcpu(), &one);
    CHECK(0, sched_setaffinity(0, sizeof one, &one));
    pid_t pid = fork();
    if (pid == 0) {
        burn_user(10000, CLOCK_PROCESS_CPUTIME_ID);
        _exit(0);
    }
    CHECK(0, getrusage(RUSAGE_SELF, &a));
    burn_user(100, CLOCK_PROCESS_CPUTIME_ID);
    CHECK(0, getrusage(RUSAGE_SELF, &b));
    CHECK(true, b.ru_nivcsw > a.ru_nivcsw);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

static void check_processes(void)
{
    check_children();
    check_timers();
    check_stat();
    check_forced();
}

#else

static void check_processes(void)
{
}

#endif

int main(void)
{
    check_shares();
    check_faults();
    check_memory();
    check_switches();
    check_bad();
    check_processes();
    return t_end();
}
