/* SPDX-License-Identifier: MIT */
/* madvise(2): guard regions (MADV_GUARD_INSTALL, MADV_GUARD_REMOVE), and MADV_COLLAPSE. */
#define _GNU_SOURCE
#include <t.h>

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#define MADV_GUARD_REMOVE  103
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

enum { PAGE = 4096, LARGE = 2 << 20 };

static sigjmp_buf escape;
static siginfo_t seen;

static void on_fault(int sig, siginfo_t *info, void *context)
{
    (void)sig, (void)context;
    seen = *info;
    siglongjmp(escape, 1);
}

/* Does a read, or a write, of this byte end in SIGSEGV? */
static bool faults(volatile char *at, bool write)
{
    if (sigsetjmp(escape, 1)) {
        CHECK(SIGSEGV, seen.si_signo);
        CHECK(SEGV_MAPERR, seen.si_code);
        CHECK(at, seen.si_addr);
        return true;
    }
    if (write)
        *at = 1;
    else
        (void)*at;
    return false;
}

static char *map(size_t n, int flags, int fd)
{
    return (char *)call(SYS_mmap, NULL, n * PAGE, PROT_READ | PROT_WRITE, flags, fd, 0);
}

static long advise(void *at, size_t n, int advice)
{
    return call(SYS_madvise, at, n * PAGE, advice);
}

static void basics(void)
{
    char *m = map(20, MAP_PRIVATE | MAP_ANONYMOUS, -1);
    memset(m, 7, 20 * PAGE);
    CHECK(0, advise(m + 4 * PAGE, 3, MADV_GUARD_INSTALL));
    for (int i = 0; i < 20; i++) {
        bool guarded = i >= 4 && i < 7;
        CHECK(guarded, faults(m + i * PAGE + 5, false));
        CHECK(guarded, faults(m + i * PAGE + 6, true));
    }
    /* System calls, too. */
    int fds[2];
    CHECK(0, pipe(fds));
    CHECK(-EFAULT, call(SYS_write, fds[1], m + 5 * PAGE, 8));
    CHECK(8, call(SYS_write, fds[1], m + 7 * PAGE, 8));
    CHECK(-EFAULT, call(SYS_read, fds[0], m + 6 * PAGE, 8));
    close(fds[0]);
    close(fds[1]);
    /* What takes pages away leaves guards. */
    CHECK(0, advise(m, 20, MADV_DONTNEED));
    CHECK(true, faults(m + 5 * PAGE, false));
    CHECK(0, advise(m, 20, MADV_FREE));
    CHECK(true, faults(m + 5 * PAGE, true));
    CHECK(0, call(SYS_mprotect, m, 20 * PAGE, PROT_READ));
    CHECK(0, call(SYS_mprotect, m, 20 * PAGE, PROT_READ | PROT_WRITE));
    CHECK(true, faults(m + 5 * PAGE, true));
    CHECK(-EFAULT, advise(m, 20, MADV_POPULATE_READ));
    CHECK(-EFAULT, advise(m, 20, MADV_POPULATE_WRITE));
    /* Twice is as good as once; removing gives fresh memory, and leaves alone what was none. */
    m[3 * PAGE] = 9;
    CHECK(0, advise(m + 3 * PAGE, 3, MADV_GUARD_REMOVE));
    CHECK(9, m[3 * PAGE]);
    CHECK(0, m[4 * PAGE + 6]);
    CHECK(false, faults(m + 5 * PAGE, true));
    CHECK(true, faults(m + 6 * PAGE, true));
    CHECK(0, advise(m, 20, MADV_GUARD_INSTALL));
    CHECK(0, advise(m, 20, MADV_GUARD_INSTALL));
    CHECK(true, faults(m, true));
    CHECK(true, faults(m + 19 * PAGE, false));
    CHECK(0, advise(m, 20, MADV_GUARD_REMOVE));
    CHECK(0, m[3 * PAGE]);
    munmap(m, 20 * PAGE);
}

static void errors(void)
{
    char *m = map(8, MAP_PRIVATE | MAP_ANONYMOUS, -1);
    CHECK(-EINVAL, call(SYS_madvise, m + 1, PAGE, MADV_GUARD_INSTALL));
    CHECK(0, call(SYS_munmap, m + 3 * PAGE, PAGE));
    CHECK(-ENOMEM, advise(m, 8, MADV_GUARD_INSTALL));
    CHECK(true, faults(m + PAGE, true));
    CHECK(true, faults(m + 5 * PAGE, true));             /* behind the hole */
    CHECK(-ENOMEM, call(SYS_mlock, m + 6 * PAGE, PAGE)); /* it is locked, though not there */
    CHECK(-EINVAL, advise(m + 6 * PAGE, 1, MADV_GUARD_INSTALL));
    CHECK(0, advise(m + 6 * PAGE, 1, MADV_GUARD_REMOVE));
    CHECK(0, call(SYS_mprotect, m, PAGE, PROT_NONE));
    CHECK(0, advise(m, 1, MADV_GUARD_INSTALL));
    munmap(m, 8 * PAGE);
}

/* Unmapping forgets, moving carries, forking copies (but not with MADV_WIPEONFORK). */
static void life(void)
{
    char *m = map(16, MAP_PRIVATE | MAP_ANONYMOUS, -1);
    memset(m, 3, 16 * PAGE);
    CHECK(0, advise(m + 2 * PAGE, 2, MADV_GUARD_INSTALL));
    CHECK(m + PAGE, call(SYS_mmap, m + PAGE, 2 * PAGE, PROT_READ | PROT_WRITE,
                         MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    CHECK(false, faults(m + 2 * PAGE, true));
    CHECK(true, faults(m + 3 * PAGE, true));
    char *to = map(64, MAP_PRIVATE | MAP_ANONYMOUS, -1);
    CHECK(to,
          call(SYS_mremap, m + 3 * PAGE, 8 * PAGE, 8 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, to));
    CHECK(true, faults(to, true));
    CHECK(false, faults(to + PAGE, true));
    CHECK(0, advise(to + 3 * PAGE, 1, MADV_GUARD_INSTALL));
    CHECK(0, call(SYS_munmap, to + 3 * PAGE, PAGE));
    CHECK(to + 3 * PAGE, call(SYS_mmap, to + 3 * PAGE, PAGE, PROT_READ | PROT_WRITE,
                              MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    CHECK(false, faults(to + 3 * PAGE, true));
    munmap(to, 64 * PAGE);
    munmap(m, 16 * PAGE);
}

static void across_fork(void)
{
    char *m = map(4, MAP_PRIVATE | MAP_ANONYMOUS, -1);
    CHECK(0, advise(m, 1, MADV_GUARD_INSTALL));
    CHECK(0, advise(m + PAGE, 1, MADV_GUARD_INSTALL));
    CHECK(0, advise(m + PAGE, 1, MADV_WIPEONFORK));
    int pid = fork(), status;
    if (pid == 0)
        _exit(faults(m, true) + 2 * faults(m + PAGE, true) + 4 * (m[2 * PAGE] = 0));
    CHECK(pid, waitpid(pid, &status, 0));
    CHECK(1 << 8, status);
    CHECK(true, faults(m, true));
    CHECK(true, faults(m + PAGE, true));
    /* Nobody reads them from outside. */
    char b;
    struct iovec to = { &b, 1 }, from = { m, 1 };
    CHECK(-EFAULT, call(SYS_process_vm_readv, getpid(), &to, 1, &from, 1, 0));
    munmap(m, 4 * PAGE);
}

/* Files have them, too; each mapping its own. */
static void of_files(void)
{
    int fd = memfd_create("t", 0);
    CHECK(0, ftruncate(fd, 8 * PAGE));
    char *a = map(8, MAP_SHARED, fd), *b = map(8, MAP_PRIVATE, fd);
    memset(a, 5, 8 * PAGE);
    CHECK(0, advise(a + PAGE, 2, MADV_GUARD_INSTALL));
    CHECK(0, advise(b + 2 * PAGE, 2, MADV_GUARD_INSTALL));
    for (int i = 0; i < 8; i++) {
        CHECK(i == 1 || i == 2, faults(a + i * PAGE, i & 1));
        CHECK(i == 2 || i == 3, faults(b + i * PAGE, !(i & 1)));
    }
    CHECK(0, advise(a, 8, MADV_GUARD_REMOVE));
    CHECK(5, a[2 * PAGE]); /* nothing was lost */
    CHECK(0, advise(b, 8, MADV_GUARD_REMOVE));
    CHECK(5, b[2 * PAGE + 1]);
    munmap(a, 8 * PAGE);
    munmap(b, 8 * PAGE);
    close(fd);
}

/* In the middle of a large page; a long range. */
static void large(void)
{
    char *m = map(3 * LARGE / PAGE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
    char *at = (char *)(((uintptr_t)m + LARGE - 1) & ~(uintptr_t)(LARGE - 1));
    advise(m, 3 * LARGE / PAGE, MADV_HUGEPAGE);
    memset(at, 1, LARGE);
    CHECK(0, advise(at + 100 * PAGE, 1, MADV_GUARD_INSTALL));
    CHECK(true, faults(at + 100 * PAGE, true));
    CHECK(1, at[99 * PAGE]);
    CHECK(1, at[101 * PAGE]);
    CHECK(0, advise(at, LARGE / PAGE, MADV_DONTNEED));
    CHECK(false, faults(at, true));
    CHECK(true, faults(at + 100 * PAGE, true)); /* no large page over it */
    CHECK(0, advise(m, 3 * LARGE / PAGE, MADV_GUARD_INSTALL));
    for (size_t i = 0; i < 3 * LARGE; i += 37 * PAGE)
        CHECK(true, faults(m + i, true));
    CHECK(0, advise(m, 3 * LARGE / PAGE, MADV_GUARD_REMOVE));
    CHECK(false, faults(m, true));
    munmap(m, 3 * LARGE);
}

static void collapse(void)
{
    char *m = map(4 * LARGE / PAGE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
    char *at = (char *)(((uintptr_t)m + LARGE - 1) & ~(uintptr_t)(LARGE - 1));
    CHECK(-EINVAL, advise(at, LARGE / PAGE, MADV_COLLAPSE)); /* nothing is there */
    CHECK(0, advise(at, 2 * LARGE / PAGE, MADV_NOHUGEPAGE));
    for (int i = 0; i < 512; i += 3)
        *(int *)(at + i * PAGE) = i;
    CHECK(-EINVAL, advise(at, LARGE / PAGE, MADV_COLLAPSE));
    CHECK(0, advise(at, 2 * LARGE / PAGE, MADV_HUGEPAGE));
    CHECK(0, advise(at, LARGE / PAGE, MADV_COLLAPSE));
    CHECK(0, advise(at, LARGE / PAGE, MADV_COLLAPSE)); /* again */
    CHECK(0, advise(at, 1, MADV_COLLAPSE));            /* no whole one */
    CHECK(-EINVAL, advise(at + PAGE, 1, MADV_COLLAPSE));
    for (int i = 0; i < 512; i++)
        CHECK(i % 3 ? 0 : i, *(int *)(at + i * PAGE));
    memset(at + LARGE, 4, LARGE);
    CHECK(0, advise(at, 2 * LARGE / PAGE, MADV_COLLAPSE));
    CHECK(4, at[2 * LARGE - 1]);
    CHECK(3, *(int *)(at + 3 * PAGE));
    CHECK(0, advise(at, 1, MADV_GUARD_INSTALL));
    CHECK(true, advise(at, LARGE / PAGE, MADV_COLLAPSE) < 0);
    CHECK(true, faults(at, true));
    CHECK(0, call(SYS_munmap, m, 4 * LARGE));
    CHECK(-ENOMEM, advise(at, LARGE / PAGE, MADV_COLLAPSE));
}

/* A child sees what was there at the fork, whoever collapses. */
static void collapse_shared(void)
{
    char *m = map(3 * LARGE / PAGE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
    char *at = (char *)(((uintptr_t)m + LARGE - 1) & ~(uintptr_t)(LARGE - 1));
    int to[2], from[2], status;
    advise(m, 3 * LARGE / PAGE, MADV_NOHUGEPAGE);
    memset(at, 1, LARGE);
    advise(m, 3 * LARGE / PAGE, MADV_HUGEPAGE);
    CHECK(0, pipe(to));
    CHECK(0, pipe(from));
    int pid = fork();
    if (pid == 0) {
        char c;
        if (read(to[0], &c, 1) != 1 || at[5 * PAGE] != 1)
            _exit(1);
        (void)madvise(at, LARGE, MADV_COLLAPSE);
        at[6 * PAGE] = 3;
        (void)!write(from[1], &c, 1);
        _exit(at[5 * PAGE] != 1 || at[6 * PAGE] != 3);
    }
    (void)advise(at, LARGE / PAGE, MADV_COLLAPSE); /* Linux may say no */
    at[5 * PAGE] = 2;
    CHECK(1, write(to[1], "", 1));
    char c;
    CHECK(1, read(from[0], &c, 1));
    CHECK(1, at[6 * PAGE]);
    CHECK(2, at[5 * PAGE]);
    CHECK(pid, waitpid(pid, &status, 0));
    CHECK(0, status);
    munmap(m, 3 * LARGE);
}

int main(void)
{
    struct sigaction sa = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER };
    sigaction(SIGSEGV, &sa, NULL);
    basics();
    errors();
    life();
    across_fork();
    of_files();
    large();
    collapse();
    collapse_shared();
    return t_end();
}
