/* SPDX-License-Identifier: MIT */
/* Every way to ask how many CPUs there are gives the same, and a thread can run on each. Prints "cpus: N". */
#define _GNU_SOURCE
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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
    printf("cpus: %ld\n", n);
    return 0;
}
