/* SPDX-License-Identifier: MIT */
/* What each machine must run: a line, a file, threads on the CPUs there are. usage: probe CPUS MEGABYTES */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <unistd.h>

enum { THREADS = 4, ROUNDS = 2000 };

static atomic_int sum;

static void *count(void *arg)
{
    for (int i = 0; i < ROUNDS; i++)
        atomic_fetch_add(&sum, *(int *)arg);
    return NULL;
}

static int fail(const char *what)
{
    printf("vmm: FAILED: %s\n", what);
    return 1;
}

static int check_file(void)
{
    char text[64] = "";
    FILE *f = fopen("/etc/probe", "r");
    if (!f || !fgets(text, sizeof text, f) || strcmp(text, "packed\n") != 0)
        return fail("the packed file");
    fclose(f);
    f = fopen("/tmp/new", "w+");
    if (!f || fputs("written", f) < 0 || fseek(f, 0, SEEK_SET) || !fgets(text, sizeof text, f) ||
        strcmp(text, "written") != 0)
        return fail("a new file");
    fclose(f);
    return 0;
}

static int check_threads(void)
{
    pthread_t t[THREADS];
    int one[THREADS] = { 1, 2, 3, 4 };
    for (int i = 0; i < THREADS; i++)
        if (pthread_create(&t[i], NULL, count, &one[i]))
            return fail("pthread_create");
    for (int i = 0; i < THREADS; i++)
        if (pthread_join(t[i], NULL))
            return fail("pthread_join");
    return sum == 10 * ROUNDS ? 0 : fail("what the threads counted");
}

int main(int argc, char **argv)
{
    struct sysinfo si;
    if (argc != 3)
        return fail("arguments");
    if (check_file() || check_threads())
        return 1;
    if (sysconf(_SC_NPROCESSORS_ONLN) != atoi(argv[1]))
        return fail("number of CPUs");
    /* What the firmware, libOS and the image itself take is not the program's. */
    if (sysinfo(&si) || si.totalram / 1024 * si.mem_unit / 1024 < (unsigned long)atoi(argv[2]))
        return fail("memory");
    puts("vmm: PASSED");
    return 0;
}
