/* SPDX-License-Identifier: MIT */
/* Threads and files in one ring-0 image: each thread writes a file, the first one reads them all back.
 * alcove-cc hello.c -o hello.elf && alcove run hello.elf */
#include <alcove/thread.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { THREADS = 4, LINES = 1000 };

static struct alcove_mutex lock;
static long total;

static void name_of(char *name, size_t size, int n)
{
    snprintf(name, size, "/tmp/part.%d", n);
}

static int writer(void *arg)
{
    int n = *(int *)arg;
    char name[32];
    name_of(name, sizeof name, n);
    FILE *f = fopen(name, "w");
    if (!f)
        return errno;
    for (int i = 0; i < LINES; i++) {
        fprintf(f, "thread %d line %d\n", n, i);
        alcove_mutex_lock(&lock);
        total += i;
        alcove_mutex_unlock(&lock);
    }
    return fclose(f) ? errno : 0;
}

static int count_lines(int n)
{
    char name[32], line[64], want[64];
    name_of(name, sizeof name, n);
    FILE *f = fopen(name, "r");
    int count = 0;
    if (!f)
        return -1;
    while (fgets(line, sizeof line, f)) {
        snprintf(want, sizeof want, "thread %d line %d\n", n, count);
        if (strcmp(line, want) != 0)
            break;
        count++;
    }
    fclose(f);
    return count;
}

int main(void)
{
    struct alcove_thread *threads[THREADS];
    int numbers[THREADS];
    for (int i = 0; i < THREADS; i++) {
        numbers[i] = i;
        int err = alcove_thread_create(&threads[i], writer, &numbers[i]);
        if (err) {
            printf("no thread: %s\n", strerror(err));
            return 1;
        }
    }
    for (int i = 0; i < THREADS; i++) {
        int result;
        alcove_thread_join(threads[i], &result);
        if (result) {
            printf("thread %d: %s\n", i, strerror(result));
            return 1;
        }
    }
    for (int i = 0; i < THREADS; i++)
        printf("part %d: %d lines\n", i, count_lines(i));
    printf("sum %ld, pi is about %.5f\n", total, 355.0 / 113.0);
    return fopen("/no/such/file", "r") == NULL && errno == ENOENT ? 0 : 2;
}
