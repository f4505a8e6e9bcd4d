/* SPDX-License-Identifier: MIT */
/* Memory after fork: private pages are each process's own from then on, shared ones common, whatever either of them does to
 * its mappings, and from outside too. */
#define _GNU_SOURCE
#include <t.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    PAGE = 4096,
    MIB = 1 << 20,
    RW = PROT_READ | PROT_WRITE,
    ANON = MAP_PRIVATE | MAP_ANONYMOUS
};

static char *map(size_t size, int flags, int fd)
{
    char *p = mmap(NULL, size, RW, flags, fd, 0);
    CHECK(true, p != MAP_FAILED);
    return p;
}

/* Run body in a child; its failures count here. */
static void in_child(void (*body)(void))
{
    int status = -1;
    pid_t pid = fork();
    if (pid == 0) {
        t_failures = 0;
        body();
        _exit(t_failures ? 1 : 0);
    }
    CHECK(pid, waitpid(pid, &status, 0));
    CHECK(0, status);
}

static char *mem, *common;
enum { BIG = 6 * MIB };

static void fill(char *p, size_t size, char value)
{
    for (size_t i = 0; i < size; i += PAGE)
        p[i] = value;
}

static long differ(const char *p, size_t size, char value)
{
    long n = 0;
    for (size_t i = 0; i < size; i += PAGE)
        n += p[i] != value;
    return n;
}

static void child_writes(void)
{
    CHECK(0, differ(mem, BIG, 1));
    fill(mem + PAGE, 5 * PAGE, 2);
    CHECK(1, mem[0]);
    CHECK(0, differ(mem + PAGE, 5 * PAGE, 2));
    fill(mem, BIG, 3);
    fill(common, 16 * PAGE, 3);
}

static void child_changes(void)
{
    /* Part of a page table, all of one, and across two. */
    CHECK(0, munmap(mem + 3 * PAGE, 2 * PAGE));
    CHECK(0, mprotect(mem + 8 * PAGE, 4 * PAGE, PROT_READ));
    CHECK(0, mprotect(mem + 8 * PAGE, 4 * PAGE, RW));
    fill(mem + 8 * PAGE, 4 * PAGE, 9);
    CHECK(0, munmap(mem + MIB, 4 * MIB));
    char *moved = mremap(mem + 16 * PAGE, 8 * PAGE, 8 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
                         mem + MIB + PAGE);
    CHECK(true, moved == mem + MIB + PAGE);
    CHECK(0, differ(moved, 8 * PAGE, 1));
    fill(moved, 8 * PAGE, 7);
    CHECK(0, madvise(mem + 32 * PAGE, 8 * PAGE, MADV_DONTNEED));
    CHECK(0, differ(mem + 32 * PAGE, 8 * PAGE, 0));
    CHECK(0, differ(mem + 40 * PAGE, 8 * PAGE, 1));
}

static void nested(void)
{
    mem[PAGE] = 4;
    in_child(child_changes);
    CHECK(4, mem[PAGE]);
    CHECK(0, differ(mem + 2 * PAGE, BIG - 2 * PAGE, 1));
}

static void privates(void)
{
    mem = map(BIG, ANON, -1);
    common = map(16 * PAGE, MAP_SHARED | MAP_ANONYMOUS, -1);
    fill(mem, BIG, 1);
    fill(common, 16 * PAGE, 1);
    in_child(child_writes);
    CHECK(0, differ(mem, BIG, 1));
    CHECK(0, differ(common, 16 * PAGE, 3));
    in_child(child_changes);
    CHECK(0, differ(mem, BIG, 1));
    in_child(nested);
    CHECK(0, differ(mem, BIG, 1));
    fill(mem, BIG, 1); /* alone again */
    CHECK(0, munmap(mem, BIG));
    CHECK(0, munmap(common, 16 * PAGE));
}

/* The parent changes while the child looks on. */
static void parent_changes(void)
{
    int go[2], status = -1;
    char c = 0;
    mem = map(BIG, ANON, -1);
    fill(mem, BIG, 1);
    CHECK(0, pipe(go));
    pid_t pid = fork();
    if (pid == 0) {
        close(go[1]);
        while (read(go[0], &c, 1) == 1)
            ;
        _exit(differ(mem, BIG, 1) != 0);
    }
    fill(mem, 3 * PAGE, 2);
    CHECK(0, mprotect(mem + 4 * PAGE, 8 * PAGE, PROT_NONE));
    CHECK(0, munmap(mem + MIB, MIB));
    CHECK(true, mremap(mem + 2 * MIB, MIB, MIB, MREMAP_MAYMOVE | MREMAP_FIXED, mem + 4 * MIB) ==
                    mem + 4 * MIB);
    CHECK(0, madvise(mem + 5 * MIB, MIB, MADV_DONTNEED));
    close(go[0]);
    close(go[1]);
    CHECK(pid, waitpid(pid, &status, 0));
    CHECK(0, status);
    CHECK(0, munmap(mem, BIG));
}

static sigjmp_buf jump;

static void on_fault(int sig)
{
    siglongjmp(jump, sig);
}

static int signal_of_read(volatile char *p)
{
    int sig = sigsetjmp(jump, 1);
    if (sig == 0)
        (void)*p;
    return sig;
}

static void looks_at_advised(void)
{
    CHECK(SIGSEGV, signal_of_read(mem + PAGE));
    CHECK(1, mem[0]);
    CHECK(0, mem[3 * PAGE]);
    CHECK(1, mem[4 * PAGE]);
    mem[3 * PAGE] = 5;
    CHECK(0, mprotect(mem + 5 * PAGE, PAGE, PROT_READ));
    mem[4 * PAGE] = 5;
}

static void advised(void)
{
    signal(SIGSEGV, on_fault);
    signal(SIGBUS, on_fault);
    mem = map(BIG, ANON, -1);
    fill(mem, BIG, 1);
    CHECK(0, madvise(mem + PAGE, PAGE, MADV_DONTFORK));
    CHECK(0, madvise(mem + 3 * PAGE, PAGE, MADV_WIPEONFORK));
    in_child(looks_at_advised);
    CHECK(0, differ(mem, BIG, 1));
    fill(mem, BIG, 1);
    CHECK(0, munmap(mem, BIG));
}

static int fd;

static void truncates(void)
{
    mem[0] = 2; /* a copy, which goes too */
    CHECK(0, ftruncate(fd, 0));
    CHECK(SIGBUS, signal_of_read(mem));
    CHECK(SIGBUS, signal_of_read(common));
}

static void files(void)
{
    static char page[PAGE];
    fd = open("/tmp/fork-file", O_RDWR | O_CREAT | O_TRUNC, 0600);
    CHECK(true, fd >= 0);
    memset(page, 1, sizeof page);
    for (unsigned i = 0; i < 16; i++)
        CHECK(PAGE, write(fd, page, PAGE));
    mem = map(16 * PAGE, MAP_PRIVATE, fd);
    common = map(16 * PAGE, MAP_SHARED, fd);
    CHECK(0, differ(mem, 16 * PAGE, 1));
    mem[PAGE] = 3;
    common[2 * PAGE] = 4;
    CHECK(4, mem[2 * PAGE]);
    in_child(truncates);
    CHECK(SIGBUS, signal_of_read(mem));
    CHECK(SIGBUS, signal_of_read(mem + PAGE));
    CHECK(SIGBUS, signal_of_read(common));
    CHECK(0, munmap(mem, 16 * PAGE));
    CHECK(0, munmap(common, 16 * PAGE));
    close(fd);
    unlink("/tmp/fork-file");
}

/* Writes from outside reach only the process that they are meant for. */
static void outside(void)
{
    int go[2], status = -1;
    char c = 5, name[64];
    mem = map(4 * PAGE, ANON, -1);
    fill(mem, 4 * PAGE, 1);
    CHECK(0, pipe(go));
    pid_t pid = fork();
    if (pid == 0) {
        close(go[1]);
        while (read(go[0], &c, 1) == 1)
            ;
        _exit(mem[0] != 5 || mem[PAGE] != 6 || mem[2 * PAGE] != 1);
    }
    snprintf(name, sizeof name, "/proc/%d/mem", pid);
    int out = open(name, O_RDWR);
    CHECK(1, pwrite(out, &c, 1, (off_t)(uintptr_t)mem));
    c = 6;
    CHECK(1, pwrite(out, &c, 1, (off_t)(uintptr_t)(mem + PAGE)));
    close(out);
    CHECK(0, differ(mem, 4 * PAGE, 1));
    close(go[0]);
    close(go[1]);
    CHECK(pid, waitpid(pid, &status, 0));
    CHECK(0, status);
    CHECK(0, munmap(mem, 4 * PAGE));
}

/* Threads write and map while the process forks: each child sees a page as it was at one moment, and what threads write
 * afterwards never reaches it. */
static volatile int stop;

static void *busy(void *arg)
{
    volatile uint64_t *p = arg;
    while (!stop) {
        p[0]++;
        p[PAGE / 8]++;
        char *q = mmap(NULL, 8 * PAGE, RW, ANON, -1, 0);
        if (q == MAP_FAILED)
            return "mmap";
        q[0] = 1;
        if (munmap(q, 8 * PAGE))
            return "munmap";
    }
    return NULL;
}

static void threads(void)
{
    pthread_t t[3];
    void *result;
    mem = map(8 * PAGE, ANON, -1);
    for (unsigned i = 0; i < 3; i++)
        CHECK(0, pthread_create(&t[i], NULL, busy, mem + i * 2 * PAGE));
    for (unsigned i = 0; i < 30; i++) {
        int status = -1;
        pid_t pid = fork();
        if (pid == 0) {
            volatile uint64_t *p = (volatile uint64_t *)mem;
            uint64_t seen[6];
            for (unsigned k = 0; k < 6; k++)
                seen[k] = p[k * PAGE / 8];
            for (unsigned k = 0; k < 2000; k++)
                for (unsigned j = 0; j < 6; j++)
                    if (p[j * PAGE / 8] != seen[j])
                        _exit(1);
            for (unsigned j = 0; j < 6; j++)
                p[j * PAGE / 8] = 0;
            _exit(0);
        }
        CHECK(pid, waitpid(pid, &status, 0));
        CHECK(0, status);
    }
    stop = 1;
    for (unsigned i = 0; i < 3; i++) {
        CHECK(0, pthread_join(t[i], &result));
        CHECK(true, result == NULL);
    }
    for (unsigned i = 0; i < 3; i++) {
        uint64_t *p = (uint64_t *)(mem + i * 2 * PAGE);
        CHECK(true, p[0] > 0 && p[0] == p[PAGE / 8]);
    }
    CHECK(0, munmap(mem, 8 * PAGE));
}

int main(void)
{
    privates();
    parent_changes();
    advised();
    files();
    outside();
    threads();
    return t_end();
}
