/* SPDX-License-Identifier: MIT */
/* Threads of one process map, protect, drop and unmap memory of their own, and of each other, all at once, while one looks
 * at the whole map, forks, and asks for what concerns more than one mapping. */
#define _GNU_SOURCE
#include <t.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PAGE = 4096, THREADS = 4, KEPT = 6, ROUNDS = 250, RW = PROT_READ | PROT_WRITE };

/* A mapping: page i holds tag + i. */
struct piece {
    char *at;
    unsigned pages, tag;
};

static _Atomic int failures, running;
static _Atomic(struct piece *) post[THREADS]; /* to be unmapped by that thread */

#define NEED(e)                                                                                    \
    do {                                                                                           \
        if (!(e)) {                                                                                \
            fprintf(stderr, "%d: %s\n", __LINE__, #e);                                             \
            failures++;                                                                            \
        }                                                                                          \
    } while (0)

static unsigned next(unsigned *seed)
{
    return (*seed = *seed * 1103515245 + 12345) >> 16;
}

static void fill(const struct piece *p, unsigned from)
{
    for (unsigned i = from; i < p->pages; i++)
        *(volatile unsigned *)(p->at + i * PAGE) = p->tag + i;
}

static bool holds(const struct piece *p, unsigned from)
{
    for (unsigned i = from; i < p->pages; i++)
        if (*(volatile unsigned *)(p->at + i * PAGE) != p->tag + i)
            return false;
    return true;
}

static char *map(size_t pages)
{
    return (char *)call(SYS_mmap, NULL, pages * PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static struct piece piece_new(unsigned *seed)
{
    struct piece p = { .pages = 1 + next(seed) % 12, .tag = next(seed) };
    p.at = map(p.pages);
    NEED((uintptr_t)p.at < (uintptr_t)-4096);
    for (unsigned i = 0; i < p.pages; i++)
        NEED(*(volatile unsigned *)(p.at + i * PAGE) == 0);
    fill(&p, 0);
    return p;
}

/* Change rights and content of the first half, replace a page in the middle, and cut off both ends. */
static void piece_use(struct piece *p)
{
    unsigned half = p->pages / 2;
    NEED(holds(p, 0));
    if (!half)
        return;
    NEED(call(SYS_mprotect, p->at, half * PAGE, PROT_READ) == 0);
    NEED(call(SYS_pread64, -1, p->at, 1, 0) == -EBADF && holds(p, 0));
    NEED(call(SYS_mprotect, p->at, half * PAGE, RW) == 0);
    NEED(call(SYS_madvise, p->at, half * PAGE, MADV_DONTNEED) == 0);
    for (unsigned i = 0; i < half; i++)
        NEED(*(volatile unsigned *)(p->at + i * PAGE) == 0);
    NEED(holds(p, half));
    fill(p, 0);
    NEED(call(SYS_mmap, p->at + half * PAGE, PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
              0) == (long)(p->at + half * PAGE));
    NEED(*(volatile unsigned *)(p->at + half * PAGE) == 0);
    fill(p, half);
    if (p->pages > 6) { /* what is free now, another thread may get at once */
        p->pages -= 2;
        NEED(call(SYS_munmap, p->at, PAGE) == 0);
        NEED(call(SYS_munmap, p->at + (p->pages + 1) * PAGE, PAGE) == 0);
        p->at += PAGE;
        p->tag++;
    }
}

static void piece_end(struct piece *p)
{
    NEED(holds(p, 0));
    NEED(call(SYS_munmap, p->at, p->pages * PAGE) == 0);
}

static void take_post(unsigned me)
{
    struct piece *p = atomic_exchange(&post[me], NULL);
    if (p) {
        piece_end(p);
        free(p);
    }
}

static void *worker(void *arg)
{
    unsigned me = (unsigned)(uintptr_t)arg, seed = me * 77 + 5;
    struct piece kept[KEPT] = { 0 };
    for (unsigned i = 0; i < ROUNDS; i++) {
        for (unsigned k = 0; k < 20; k++) { /* the case that is to be fast, and meets others */
            char *p = map(2);
            p[PAGE] = 1;
            NEED(call(SYS_munmap, p, 2 * PAGE) == 0);
        }
        struct piece *p = &kept[next(&seed) % KEPT];
        if (!p->at) {
            *p = piece_new(&seed);
        } else if (next(&seed) % 3) {
            piece_use(p);
        } else if (next(&seed) % 2) {
            piece_end(p);
            p->at = NULL;
        } else { /* the next thread unmaps it, on another CPU */
            struct piece *give = malloc(sizeof *give), *none = NULL;
            *give = *p;
            if (atomic_compare_exchange_strong(&post[(me + 1) % THREADS], &none, give))
                p->at = NULL;
            else
                free(give);
        }
        take_post(me);
    }
    for (unsigned k = 0; k < KEPT; k++)
        if (kept[k].at)
            piece_end(&kept[k]);
    running--;
    return NULL;
}

/* p is in /proc/self/maps, which is read in pieces while others change. */
static void check_map(const struct piece *p)
{
    FILE *f = fopen("/proc/self/maps", "r");
    char line[512];
    unsigned long start, end;
    bool found = false;
    NEED(f);
    while (f && fgets(line, sizeof(line), f)) {
        NEED(sscanf(line, "%lx-%lx", &start, &end) == 2);
        NEED(end > start);
        found |= start <= (uintptr_t)p->at && end >= (uintptr_t)p->at + p->pages * PAGE;
    }
    NEED(found);
    if (f)
        fclose(f);
}

/* What concerns the whole map, on a mapping of this thread's. */
static void look_around(struct piece *p, unsigned round)
{
    char *moved;
    pid_t pid;
    switch (round % 5) {
    case 0:
        check_map(p);
        break;
    case 1:
        pid = fork();
        if (pid == 0) {
            bool good = holds(p, 0);
            p->tag++;
            fill(p, 0);
            char *q = map(3);
            q[0] = 1;
            _exit(good && holds(p, 0) && munmap(q, 3 * PAGE) == 0 ? 0 : 1);
        }
        int status = -1;
        NEED(waitpid(pid, &status, 0) == pid && status == 0);
        break;
    case 2:
        moved = mremap(p->at, p->pages * PAGE, (p->pages + 2) * PAGE, MREMAP_MAYMOVE);
        NEED(moved != MAP_FAILED);
        p->at = moved;
        NEED(holds(p, 0));
        NEED(munmap(moved + p->pages * PAGE, 2 * PAGE) == 0);
        break;
    case 3:
        NEED(mlock(p->at, PAGE) == 0 && munlock(p->at, PAGE) == 0);
        NEED(madvise(p->at, PAGE, MADV_DONTFORK) == 0 && madvise(p->at, PAGE, MADV_DOFORK) == 0);
        break;
    default:
        NEED(madvise(p->at + PAGE, PAGE, MADV_FREE) == 0);
        *(volatile unsigned *)(p->at + PAGE) = p->tag + 1;
        usleep(20000); /* the others among themselves */
    }
    NEED(holds(p, 0));
}

static unsigned long vm_size(void)
{
    char line[256];
    unsigned long kb = 0;
    FILE *f = fopen("/proc/self/status", "r");
    while (f && fgets(line, sizeof(line), f))
        if (sscanf(line, "VmSize: %lu", &kb) == 1)
            break;
    if (f)
        fclose(f);
    return kb;
}

static void *nothing(void *arg)
{
    return arg;
}

int main(void)
{
    pthread_t t[THREADS];
    struct piece p = { .pages = 8, .tag = 4711 };
    /* Stacks and heaps of threads are there before anything is counted. */
    for (unsigned i = 0; i < THREADS; i++)
        CHECK(0, pthread_create(&t[i], NULL, nothing, NULL));
    for (unsigned i = 0; i < THREADS; i++)
        CHECK(0, pthread_join(t[i], NULL));
    p.at = map(p.pages);
    fill(&p, 0);
    running = THREADS;
    for (unsigned i = 0; i < THREADS; i++)
        CHECK(0, pthread_create(&t[i], NULL, worker, (void *)(uintptr_t)i));
    for (unsigned i = 0; running && i < 100; i++)
        look_around(&p, i);
    for (unsigned i = 0; i < THREADS; i++)
        CHECK(0, pthread_join(t[i], NULL));
    for (unsigned i = 0; i < THREADS; i++)
        take_post(i);
    CHECK(0, failures);
    /* All that is left and new belongs to libc: an arena for each thread at most. */
    unsigned long before = vm_size();
    char *big = map(1000);
    CHECK(4000, vm_size() - before);
    CHECK(0, munmap(big, 1000 * PAGE));
    CHECK(before, vm_size());
    check_map(&p);
    CHECK(0, failures);
    return t_end();
}
