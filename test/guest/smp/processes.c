/* SPDX-License-Identifier: MIT */
/* Rounds about processes, files, pipes, signals and timers. */
#define _GNU_SOURCE
#include "stress.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

const char *const stress_self = "/proc/self/exe";

extern char **environ;

/* Children that exit, execute, are spawned, are killed while they run. */
void stress_processes(unsigned seed)
{
    for (unsigned i = 0; i < 6; i++) {
        unsigned kind = stress_random(&seed) % 4;
        char code[12];
        int status;
        pid_t pid;

        snprintf(code, sizeof(code), "%u", seed & 63);
        if (kind == 3) {
            char *argv[] = { (char *)stress_self, (char *)"0", code, NULL };
            NEED(posix_spawn(&pid, stress_self, NULL, NULL, argv, environ) == 0);
        } else {
            pid = fork();
            NEED(pid >= 0);
        }
        if (!pid) {
            if (kind == 1)
                execl(stress_self, stress_self, "0", code, NULL);
            while (kind == 2)
                ;
            _exit((int)(seed & 63));
        }
        if (kind == 2)
            NEED(kill(pid, SIGKILL) == 0);
        NEED(waitpid(pid, &status, 0) == pid);
        if (kind == 2)
            NEED(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        else
            NEED(WIFEXITED(status) && WEXITSTATUS(status) == (int)(seed & 63));
    }
}

static void *use_files(void *arg)
{
    unsigned seed = (unsigned)(uintptr_t)arg;
    char dir[64], a[96], b[96], data[5000], back[5000];

    snprintf(dir, sizeof(dir), "/tmp/stress-%ld", syscall(SYS_gettid));
    NEED(mkdir(dir, 0700) == 0);
    for (unsigned i = 0; i < 30; i++) {
        size_t n = 1 + stress_random(&seed) % sizeof(data);
        int fd;

        snprintf(a, sizeof(a), "%s/a%u", dir, i);
        snprintf(b, sizeof(b), "%s/b%u", dir, i);
        memset(data, (int)seed, n);
        NEED((fd = open(a, O_CREAT | O_EXCL | O_RDWR, 0600)) >= 0);
        NEED(write(fd, data, n) == (ssize_t)n);
        NEED(rename(a, b) == 0);
        NEED(access(a, F_OK) == -1 && errno == ENOENT);
        NEED(pread(fd, back, sizeof(back), 0) == (ssize_t)n && !memcmp(data, back, n));
        NEED(close(fd) == 0);
        NEED((fd = open(b, O_RDONLY)) >= 0);
        NEED(read(fd, back, sizeof(back)) == (ssize_t)n && !memcmp(data, back, n));
        NEED(close(fd) == 0);
        NEED(unlink(b) == 0);
    }
    NEED(rmdir(dir) == 0);
    return NULL;
}

/* Threads share one descriptor table; another process uses the same directory. */
void stress_files(unsigned seed)
{
    pthread_t t[2];
    int status;
    pid_t pid;

    NEED((pid = fork()) >= 0);
    if (!pid) {
        use_files((void *)(uintptr_t)(seed + 9));
        _exit(0);
    }
    for (unsigned i = 0; i < 2; i++)
        NEED(pthread_create(&t[i], NULL, use_files, (void *)(uintptr_t)(seed + i + 1)) == 0);
    for (unsigned i = 0; i < 2; i++)
        NEED(pthread_join(t[i], NULL) == 0);
    NEED(waitpid(pid, &status, 0) == pid && status == 0);
}

static int event_fd;

static void *notify(void *arg)
{
    for (unsigned i = 0; i < 100; i++)
        NEED(write(event_fd, &(uint64_t){ 1 }, 8) == 8);
    return arg;
}

static void events(void)
{
    struct epoll_event e = { .events = EPOLLIN };
    int ep = epoll_create1(0);
    uint64_t sum = 0, got;
    pthread_t t;

    event_fd = eventfd(0, EFD_NONBLOCK);
    NEED(ep >= 0 && event_fd >= 0);
    NEED(epoll_ctl(ep, EPOLL_CTL_ADD, event_fd, &e) == 0);
    NEED(pthread_create(&t, NULL, notify, NULL) == 0);
    while (sum < 100) {
        NEED(epoll_wait(ep, &e, 1, 60000) == 1);
        if (read(event_fd, &got, 8) == 8)
            sum += got;
    }
    NEED(sum == 100);
    NEED(pthread_join(t, NULL) == 0);
    NEED(close(ep) == 0 && close(event_fd) == 0);
}

/* Numbers through pipes of many sizes, in order, from another process, and events from another thread. */
void stress_pipes(unsigned seed)
{
    int fds[2], status;
    unsigned expect = 0, got[256];
    pid_t pid;

    NEED(pipe(fds) == 0);
    NEED((pid = fork()) >= 0);
    if (!pid) {
        for (unsigned next = 0; next < 20000;) {
            unsigned out[256], n = 1 + stress_random(&seed) % 256;
            for (unsigned i = 0; i < n; i++)
                out[i] = next++;
            NEED(write(fds[1], out, n * 4) == (ssize_t)(n * 4));
        }
        _exit(0);
    }
    NEED(close(fds[1]) == 0);
    for (;;) {
        struct pollfd p = { fds[0], POLLIN, 0 };
        ssize_t n;

        if (stress_random(&seed) % 4 == 0)
            NEED(poll(&p, 1, 60000) == 1);
        n = read(fds[0], got, 4 * (1 + stress_random(&seed) % 256));
        NEED(n >= 0 && n % 4 == 0);
        if (!n)
            break;
        for (ssize_t i = 0; i < n / 4; i++)
            NEED(got[i] == expect++);
    }
    NEED(expect >= 20000);
    NEED(close(fds[0]) == 0);
    NEED(waitpid(pid, &status, 0) == pid && status == 0);
    events();
}

static _Atomic int handled, acknowledged;

static void count(int sig)
{
    (void)sig;
    handled++;
}

static void *take_signals(void *arg)
{
    while (!*(_Atomic int *)arg)
        acknowledged = handled;
    return NULL;
}

static void *wait_signals(void *arg)
{
    sigset_t set;
    long sum = 0;

    (void)arg;
    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN + 1);
    for (unsigned i = 0; i < 50; i++) {
        siginfo_t info;
        NEED(sigwaitinfo(&set, &info) == SIGRTMIN + 1);
        sum += info.si_value.sival_int;
    }
    return (void *)sum;
}

/* A signal to a thread that runs arrives; queued ones arrive all, with what they carry; a stopped child goes on. */
void stress_signals(unsigned seed)
{
    struct sigaction a = { .sa_handler = count };
    _Atomic int stop = 0;
    pthread_t running, waiting;
    sigset_t set;
    void *sum;
    int status;
    pid_t pid;

    (void)seed;
    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN + 1);
    NEED(pthread_sigmask(SIG_BLOCK, &set, NULL) == 0);
    NEED(sigaction(SIGUSR1, &a, NULL) == 0);
    handled = acknowledged = 0;
    NEED(pthread_create(&running, NULL, take_signals, &stop) == 0);
    NEED(pthread_create(&waiting, NULL, wait_signals, NULL) == 0);
    for (int i = 1; i <= 50; i++) {
        NEED(pthread_kill(running, SIGUSR1) == 0);
        NEED(pthread_sigqueue(waiting, SIGRTMIN + 1, (union sigval){ .sival_int = i }) == 0);
        while (acknowledged < i)
            sched_yield();
    }
    stop = 1;
    NEED(pthread_join(running, NULL) == 0);
    NEED(pthread_join(waiting, &sum) == 0);
    NEED((long)sum == 50 * 51 / 2 && handled == 50);
    NEED((pid = fork()) >= 0);
    while (!pid)
        ;
    NEED(kill(pid, SIGSTOP) == 0);
    NEED(waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status));
    NEED(kill(pid, SIGCONT) == 0);
    NEED(kill(pid, SIGTERM) == 0);
    NEED(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status));
}

static void *sleep_a_little(void *arg)
{
    unsigned seed = (unsigned)(uintptr_t)arg;

    for (unsigned i = 0; i < 20; i++) {
        struct timespec a, b, t = { 0, stress_random(&seed) % 3000000 };

        clock_gettime(CLOCK_MONOTONIC, &a);
        NEED(nanosleep(&t, NULL) == 0 || errno == EINTR);
        clock_gettime(CLOCK_MONOTONIC, &b);
        long ns = (b.tv_sec - a.tv_sec) * 1000000000l + b.tv_nsec - a.tv_nsec;
        NEED(ns >= 0);
    }
    return NULL;
}

static _Atomic long last_time;

/* What one CPU has seen no other may be before. */
static void *time_ascends(void *arg)
{
    for (unsigned i = 0; i < 3000; i++) {
        long before = last_time, now;
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        now = t.tv_sec * 1000000000l + t.tv_nsec;
        if (now < before)
            stress_fail("time went back by %ld ns", before - now);
        while (before < now && !atomic_compare_exchange_weak(&last_time, &before, now))
            ;
    }
    return arg;
}

void stress_timers(unsigned seed)
{
    struct sigaction a = { .sa_handler = count };
    struct sigevent e = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM };
    struct itimerspec every = { { 0, 2000000 }, { 0, 2000000 } };
    pthread_t t[4];
    timer_t timer;

    NEED(sigaction(SIGALRM, &a, NULL) == 0);
    handled = 0;
    NEED(timer_create(CLOCK_MONOTONIC, &e, &timer) == 0);
    NEED(timer_settime(timer, 0, &every, NULL) == 0);
    for (unsigned i = 0; i < 4; i++)
        NEED(pthread_create(&t[i], NULL, i < 2 ? sleep_a_little : time_ascends,
                            (void *)(uintptr_t)(seed + i + 1)) == 0);
    for (unsigned i = 0; i < 4; i++)
        NEED(pthread_join(t[i], NULL) == 0);
    while (!handled)
        sched_yield();
    NEED(timer_delete(timer) == 0);
}
