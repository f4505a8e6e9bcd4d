/* SPDX-License-Identifier: MIT */
/* Everything that several CPUs do at once, for a while: processes, execve, memory, futexes, files, pipes, signals, timers.
 * Each worker is a process of its own, checks what it sees and counts its rounds in shared memory; the first process is
 * the watchdog. Runs on Linux too. usage: stress SECONDS */
#include "stress.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const struct {
    const char *name;
    void (*round)(unsigned seed);
} workers[] = {
    { "processes", stress_processes }, { "memory", stress_memory },
    { "mappings", stress_mappings },   { "futexes", stress_futexes },
    { "files", stress_files },         { "truncation", stress_truncation },
    { "pipes", stress_pipes },         { "signals", stress_signals },
    { "timers", stress_timers },       { "threads", stress_threads },
    { "affinity", stress_affinity },
};
enum { WORKERS = sizeof(workers) / sizeof(workers[0]), HANG_SECONDS = 100 };

static struct shared {
    _Atomic int stop;
    _Atomic long rounds[WORKERS];
} * shared;

void stress_fail(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fprintf(stderr, "stress: ");
    vfprintf(stderr, format, args);
    fprintf(stderr, " (errno %d)\n", errno);
    va_end(args);
    _exit(99);
}

int stress_stopped(void)
{
    return shared->stop;
}

unsigned stress_random(unsigned *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    return *state ^= *state << 5;
}

static void worker(unsigned i)
{
    unsigned seed = 12345 + i * 7919;

    while (!shared->stop) {
        workers[i].round(stress_random(&seed));
        shared->rounds[i]++;
    }
    _exit(0);
}

static long free_kib(void)
{
    char text[4096], *p;
    FILE *f = fopen("/proc/meminfo", "r");
    size_t n = f ? fread(text, 1, sizeof(text) - 1, f) : 0;

    if (f)
        fclose(f);
    text[n] = 0;
    p = strstr(text, "MemFree:");
    return p ? atol(p + 8) : 0;
}

/* Have libOS show every CPU and thread: what Linux does on these keys too. */
static void show_hang(const char *who)
{
    FILE *f;

    fprintf(stderr, "stress: %s makes no progress\n", who);
    for (const char *key = "tc"; *key; key++)
        if ((f = fopen("/proc/sysrq-trigger", "w"))) {
            fputc(*key, f);
            fclose(f);
        }
    exit(1);
}

static void watch(unsigned seconds)
{
    long seen[WORKERS] = { 0 };
    unsigned still[WORKERS] = { 0 };

    for (unsigned s = 0; s < seconds; s++) {
        int status;

        sleep(1);
        for (unsigned i = 0; i < WORKERS; i++) {
            still[i] = shared->rounds[i] == seen[i] ? still[i] + 1 : 0;
            seen[i] = shared->rounds[i];
            if (still[i] > HANG_SECONDS)
                show_hang(workers[i].name);
        }
        if (waitpid(-1, &status, WNOHANG) > 0)
            stress_fail("a worker ended with status 0x%x", status);
    }
}

static void run(unsigned seconds)
{
    pid_t pids[WORKERS];

    shared->stop = 0;
    for (unsigned i = 0; i < WORKERS; i++) {
        shared->rounds[i] = 0;
        pids[i] = fork();
        if (pids[i] < 0)
            stress_fail("fork");
        if (!pids[i])
            worker(i);
    }
    watch(seconds);
    shared->stop = 1;
    for (unsigned i = 0; i < WORKERS; i++) {
        int status, waited = 0;

        while (waitpid(pids[i], &status, WNOHANG) == 0) {
            sleep(1);
            if (++waited > HANG_SECONDS)
                show_hang(workers[i].name);
        }
        if (status)
            stress_fail("%s ended with status 0x%x", workers[i].name, status);
    }
}

int main(int argc, char **argv)
{
    unsigned seconds = argc > 1 ? (unsigned)atoi(argv[1]) : 10;
    long before, after;
    struct utsname u;

    if (argc > 2) /* stress_processes has executed us */
        return atoi(argv[2]) & 63;
    setvbuf(stdout, NULL, _IONBF, 0);
    signal(SIGPIPE, SIG_IGN);
    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        stress_fail("mmap");
    run(seconds / 4 + 1); /* fills the caches */
    before = free_kib();
    run(seconds);
    after = free_kib();
    for (unsigned i = 0; i < WORKERS; i++)
        printf("%s %ld\n", workers[i].name, shared->rounds[i]);
    printf("free %ld KiB before, %ld KiB after\n", before, after);
    /* On a Linux that others use too the figure says nothing. */
    if (!uname(&u) && strstr(u.version, "Alcove") && after < before - 4096)
        stress_fail("memory was lost");
    printf("stress: good\n");
    return 0;
}
