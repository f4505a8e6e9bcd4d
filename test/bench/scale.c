/* SPDX-License-Identifier: MIT */
/* Loops that have nothing to do with each other, in one thread and in two: scale.py measures what they cost.
 * usage: scale NAME ROUNDS; prints "begin THREADS" and "end THREADS" around each of ROUNDS pairs of runs. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { PAGE = 4096 };

/* No system call at all: what this machine makes of two CPUs. */
static void do_nothing(long n)
{
    volatile unsigned x = 0;

    while (n--)
        x = x * 5 + 1;
}

static void do_getpid(long n)
{
    while (n--)
        syscall(SYS_getpid);
}

static void do_pipe(long n)
{
    int fds[2];
    char c = 0;

    if (pipe(fds))
        exit(1);
    while (n--)
        if (write(fds[1], &c, 1) != 1 || read(fds[0], &c, 1) != 1)
            exit(1);
    close(fds[0]);
    close(fds[1]);
}

static void do_mmap(long n)
{
    while (n--) {
        void *p = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (p == MAP_FAILED || munmap(p, 4 * PAGE))
            exit(1);
    }
}

static void do_touch(long n)
{
    enum { PAGES = 8192 }; /* few shoot-downs: their wait depends on the host */
    char *p = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (p == MAP_FAILED)
        exit(1);
    for (; n > 0; n -= PAGES) {
        for (long i = 0; i < PAGES; i++)
            p[i * PAGE] = 1;
        if (madvise(p, PAGES * PAGE, MADV_DONTNEED))
            exit(1);
    }
    munmap(p, PAGES * PAGE);
}

static void do_pread(long n)
{
    char buf[PAGE] = { 0 };
    char name[] = "/tmp/scale-XXXXXX";
    int fd = mkstemp(name);

    if (fd < 0 || write(fd, buf, PAGE) != PAGE)
        exit(1);
    unlink(name);
    while (n--)
        if (pread(fd, buf, 64, 0) != 64)
            exit(1);
    close(fd);
}

static void do_futex(long n)
{
    uint32_t word = 1;

    while (n--) {
        syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
        syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
    }
}

static const struct loop {
    const char *name;
    void (*run)(long n);
    long times;
} loops[] = {
    { "nothing", do_nothing, 60000000 }, { "getpid", do_getpid, 1200000 },
    { "pipe", do_pipe, 200000 },         { "mmap", do_mmap, 80000 },
    { "touch", do_touch, 98304 },        { "pread", do_pread, 400000 },
    { "futex", do_futex, 400000 },
};

static pthread_barrier_t ready;
static const struct loop *loop;

static void *other(void *arg)
{
    cpu_set_t one;

    CPU_ZERO(&one);
    CPU_SET((uintptr_t)arg, &one);
    sched_setaffinity(0, sizeof(one), &one);
    pthread_barrier_wait(&ready);
    loop->run(loop->times);
    return NULL;
}

static void run(unsigned threads)
{
    pthread_t t[2];

    pthread_barrier_init(&ready, NULL, threads + 1);
    for (unsigned i = 0; i < threads; i++)
        if (pthread_create(&t[i], NULL, other, (void *)(uintptr_t)i))
            exit(1);
    printf("begin %u\n", threads);
    pthread_barrier_wait(&ready);
    for (unsigned i = 0; i < threads; i++)
        pthread_join(t[i], NULL);
    printf("end %u\n", threads);
}

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IONBF, 0);
    for (size_t i = 0; argc == 3 && i < sizeof(loops) / sizeof(loops[0]); i++)
        if (!strcmp(loops[i].name, argv[1]))
            loop = &loops[i];
    if (!loop)
        return 2;
    run(1);
    run(2);
    printf("measure\n");
    for (int i = 0; i < atoi(argv[2]); i++) {
        run(1);
        run(2);
    }
    return 0;
}
