/* SPDX-License-Identifier: MIT */
/* Every way to ask how many CPUs there are gives the same, and a thread can run on each. Prints "cpus: N". */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static int fail(const char *what, long got, long want)
{
    printf("%s: %ld instead of %ld\n", what, got, want);
    return 1;
}

static long count_lines(const char *path, const char *start)
{
    FILE *f = fopen(path, "r");
    char line[4096];
    long n = 0;

    while (f && fgets(line, sizeof(line), f))
        n += !strncmp(line, start, strlen(start));
    if (f)
        fclose(f);
    return n;
}

static bool cpu_has(const char *flag)
{
    FILE *f = fopen("/proc/cpuinfo", "r");
    char line[8192], padded[32];
    bool has = false;

    snprintf(padded, sizeof(padded), " %s ", flag);
    while (f && !has && fgets(line, sizeof(line), f)) {
        line[strcspn(line, "\n")] = ' ';
        has = !strncmp(line, "flags", 5) && strstr(line, padded);
    }
    if (f)
        fclose(f);
    return has;
}

/* The vDSO's getcpu() with the system call forbidden: it traps only where the CPU has neither instruction. */
static int vdso_number(long n)
{
    struct sock_filter deny[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getcpu, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EDOM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = { .len = 4, .filter = deny };
    bool reads = cpu_has("rdtscp") || cpu_has("rdpid");

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0))
        return fail("seccomp", errno, 0);
    for (long i = 0; i < n; i++) {
        unsigned cpu = 99, node = 99;
        cpu_set_t one;

        CPU_ZERO(&one);
        CPU_SET((size_t)i, &one);
        if (sched_setaffinity(0, sizeof(one), &one))
            return fail("sched_setaffinity", i, 0);
        if (getcpu(&cpu, &node))
            return reads || errno != EDOM ? fail("vDSO getcpu", errno, 0) : 0;
        if (cpu != i || node)
            return fail("vDSO getcpu", cpu, i);
    }
    return 0;
}

int main(void)
{
    long n = sysconf(_SC_NPROCESSORS_ONLN), last = -1;
    cpu_set_t all, one;
    FILE *f = fopen("/sys/devices/system/cpu/online", "r");

    if (f && fscanf(f, "0-%ld", &last) < 1)
        last = 0;
    if (last != n - 1)
        return fail("/sys/devices/system/cpu/online", last, n - 1);
    if (count_lines("/proc/cpuinfo", "processor") != n)
        return fail("/proc/cpuinfo", count_lines("/proc/cpuinfo", "processor"), n);
    if (count_lines("/proc/stat", "cpu") != n + 1)
        return fail("/proc/stat", count_lines("/proc/stat", "cpu"), n + 1);
    if (sched_getaffinity(0, sizeof(all), &all) || CPU_COUNT(&all) != n)
        return fail("sched_getaffinity", CPU_COUNT(&all), n);
    for (long i = 0; i < n; i++) {
        unsigned now = 99;

        CPU_ZERO(&one);
        CPU_SET((size_t)i, &one);
        if (sched_setaffinity(0, sizeof(one), &one))
            return fail("sched_setaffinity", i, 0);
        syscall(SYS_getcpu, &now, NULL, NULL);
        if (now != i || sched_getcpu() != i)
            return fail("getcpu", now, i);
    }
    if (vdso_number(n))
        return 1;
    printf("cpus: %ld\n", n);
    return 0;
}
