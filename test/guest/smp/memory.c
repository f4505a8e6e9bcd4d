/* SPDX-License-Identifier: MIT */
/* Rounds about memory: faults side by side, translations that other CPUs hold, files cut off under a mapping. */
#define _GNU_SOURCE
#include "stress.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PAGE = 4096, THREADS = 3 };

static void fill(unsigned char *p, size_t pages, unsigned tag)
{
    for (size_t i = 0; i < pages; i++)
        memcpy(p + i * PAGE + 64, &(unsigned){ tag + (unsigned)i }, 4);
}

static void check(const unsigned char *p, size_t pages, unsigned tag)
{
    for (size_t i = 0; i < pages; i++) {
        unsigned v;
        memcpy(&v, p + i * PAGE + 64, 4);
        if (v != tag + i)
            stress_fail("page %zu has %u, not %u", i, v, tag + (unsigned)i);
    }
}

static void *map_and_touch(void *arg)
{
    unsigned seed = (unsigned)(uintptr_t)arg;

    for (unsigned i = 0; i < 8; i++) {
        size_t pages = 1 + stress_random(&seed) % 700, half = pages / 2;
        unsigned char *p =
            mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        NEED(p != MAP_FAILED);
        NEED(p[64] == 0 && p[(pages - 1) * PAGE] == 0);
        fill(p, pages, seed);
        check(p, pages, seed);
        NEED(mprotect(p, half * PAGE, PROT_READ) == 0);
        check(p, pages, seed);
        NEED(mprotect(p, half * PAGE, PROT_READ | PROT_WRITE) == 0);
        fill(p, half, seed);
        unsigned char *q = mremap(p, pages * PAGE, (pages + 3) * PAGE, MREMAP_MAYMOVE);
        NEED(q != MAP_FAILED);
        check(q, pages, seed);
        NEED(q[pages * PAGE] == 0);
        NEED(madvise(q, half * PAGE, MADV_DONTNEED) == 0);
        for (size_t k = 0; k < half; k++)
            NEED(q[k * PAGE + 64] == 0);
        check(q + half * PAGE, pages - half, seed + (unsigned)half);
        NEED(munmap(q, (pages + 3) * PAGE) == 0);
    }
    return NULL;
}

/* Threads of one process map, fill, move and unmap; children share it all copy on write meanwhile. */
void stress_memory(unsigned seed)
{
    pthread_t t[THREADS];
    unsigned char *p =
        mmap(NULL, 64 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    NEED(p != MAP_FAILED);
    fill(p, 64, seed);
    for (unsigned i = 0; i < THREADS; i++)
        NEED(pthread_create(&t[i], NULL, map_and_touch, (void *)(uintptr_t)(seed + i + 1)) == 0);
    for (unsigned i = 0; i < 4; i++) {
        int status;
        pid_t pid = fork();

        NEED(pid >= 0);
        if (!pid) {
            check(p, 64, seed + i);
            fill(p, 64, ~seed);
            check(p, 64, ~seed);
            _exit(7);
        }
        fill(p, 64, seed + i + 1);
        NEED(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 7);
        check(p, 64, seed + i + 1);
    }
    for (unsigned i = 0; i < THREADS; i++)
        NEED(pthread_join(t[i], NULL) == 0);
    NEED(munmap(p, 64 * PAGE) == 0);
}

static struct {
    _Atomic unsigned long seq; /* even: page holds it; odd: being changed */
    volatile unsigned long *page;
    _Atomic int stop;
} view;

static void *look(void *arg)
{
    unsigned long good = 0;

    while (!view.stop) {
        unsigned long a = atomic_load(&view.seq), p, b;

        if (a & 1)
            continue;
        p = *view.page;
        b = atomic_load(&view.seq);
        if (a == b && p != a)
            stress_fail("a stale translation: %lu instead of %lu", p, a);
        good += a == b;
    }
    (void)arg;
    return (void *)good;
}

/* One thread replaces a page by a new one again and again; no other may see the old one afterwards. */
void stress_mappings(unsigned seed)
{
    pthread_t t[THREADS];
    void *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    NEED(page != MAP_FAILED);
    view.page = page;
    view.stop = 0;
    view.seq = 0;
    for (unsigned i = 0; i < THREADS; i++)
        NEED(pthread_create(&t[i], NULL, look, NULL) == 0);
    for (unsigned i = 0; i < 100; i++) {
        unsigned long next = view.seq + 2;

        view.seq++;
        switch (stress_random(&seed) % 3) {
        case 0:
            NEED(mmap(page, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
                      -1, 0) == page);
            break;
        case 1:
            NEED(madvise(page, PAGE, MADV_DONTNEED) == 0);
            break;
        default: {
            pid_t pid = fork(); /* makes it read-only: the write below copies it */
            NEED(pid >= 0);
            if (!pid)
                _exit(0);
            NEED(waitpid(pid, NULL, 0) == pid);
            break;
        }
        }
        *view.page = next;
        view.seq++;
    }
    view.stop = 1;
    for (unsigned i = 0; i < THREADS; i++)
        NEED(pthread_join(t[i], NULL) == 0);
    NEED(munmap(page, PAGE) == 0);
}

static __thread sigjmp_buf past_end;

static void bus(int sig)
{
    siglongjmp(past_end, sig);
}

static void *read_mapped(void *arg)
{
    volatile unsigned char *p = arg;

    for (volatile unsigned i = 0; i < 400; i++) {
        if (sigsetjmp(past_end, 1) == 0) {
            unsigned char c = p[i % 8 * PAGE];
            NEED(c == 0 || c == 'x');
        }
    }
    return NULL;
}

/* A file is cut and written while others read it through a mapping, and are forked meanwhile. */
void stress_truncation(unsigned seed)
{
    char name[] = "/tmp/stress-cut-XXXXXX", data[PAGE];
    struct sigaction a = { .sa_handler = bus };
    pthread_t t[2];
    int fd = mkstemp(name);
    unsigned char *p;

    NEED(fd >= 0);
    NEED(unlink(name) == 0);
    NEED(sigaction(SIGBUS, &a, NULL) == 0);
    memset(data, 'x', sizeof(data));
    p = mmap(NULL, 8 * PAGE, PROT_READ, seed & 1 ? MAP_PRIVATE : MAP_SHARED, fd, 0);
    NEED(p != MAP_FAILED);
    for (unsigned i = 0; i < 2; i++)
        NEED(pthread_create(&t[i], NULL, read_mapped, p) == 0);
    for (unsigned i = 0; i < 60; i++) {
        for (unsigned k = 0; k < 8; k++)
            NEED(pwrite(fd, data, PAGE, (off_t)k * PAGE) == PAGE);
        if (i % 10 == 0) {
            pid_t pid = fork();
            NEED(pid >= 0);
            if (!pid)
                _exit(0);
            NEED(ftruncate(fd, PAGE) == 0);
            NEED(waitpid(pid, NULL, 0) == pid);
        }
        NEED(ftruncate(fd, stress_random(&seed) % 8 * PAGE) == 0);
    }
    for (unsigned i = 0; i < 2; i++)
        NEED(pthread_join(t[i], NULL) == 0);
    NEED(munmap(p, 8 * PAGE) == 0);
    NEED(close(fd) == 0);
}
