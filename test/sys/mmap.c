/* SPDX-License-Identifier: MIT */
/* mmap, munmap, mprotect, mremap, brk, remap_file_pages. */
#define _GNU_SOURCE
#include <t.h>

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
    PAGE = 4096,
    RW = PROT_READ | PROT_WRITE,
    ANON = MAP_PRIVATE | MAP_ANONYMOUS,
    MIB = 1 << 20
};

static int pipe_fds[2];
static int file; /* 4 pages; page i is full of 'a' + i, but the last has 100 bytes */

/* 0 when a byte at p can be read (or written), -EFAULT when not: libOS copies it, nobody is killed. */
static long can_read(const void *p)
{
    char c;
    long n = call(SYS_write, pipe_fds[1], p, 1);
    return n == 1 ? call(SYS_read, pipe_fds[0], &c, 1) - 1 : n;
}

static long can_write(void *p)
{
    CHECK(1, call(SYS_write, pipe_fds[1], "w", 1));
    long n = call(SYS_read, pipe_fds[0], p, 1);
    if (n == 1)
        return 0;
    char c;
    call(SYS_read, pipe_fds[0], &c, 1);
    return n;
}

static char *map(void *at, size_t size, int prot, int flags, int fd, long off)
{
    return (char *)call(SYS_mmap, at, size, prot, flags, fd, off);
}

static char *anon(size_t size)
{
    return map(NULL, size, RW, ANON, -1, 0);
}

static int is_addr(const void *p)
{
    return (unsigned long)p < -4096ul;
}

static void unmap(void *p, size_t size)
{
    CHECK(0, call(SYS_munmap, p, size));
}

static void anonymous(void)
{
    char *p = anon(10 * PAGE);
    CHECK(1, is_addr(p));
    CHECK(0, (uintptr_t)p % PAGE);
    for (int i = 0; i < 10; i++) {
        CHECK(0, p[i * PAGE]);
        p[i * PAGE + 7] = (char)i;
    }
    unmap(p + 3 * PAGE, 2 * PAGE);
    CHECK(-EFAULT, can_read(p + 3 * PAGE));
    CHECK(-EFAULT, can_read(p + 5 * PAGE - 1));
    CHECK(0, can_read(p + 5 * PAGE));
    CHECK(2, p[2 * PAGE + 7]);
    CHECK(5, p[5 * PAGE + 7]);
    /* The hole is the best place that fits the hint. */
    CHECK((long)(p + 3 * PAGE), (long)map(p + 3 * PAGE, 2 * PAGE, RW, ANON, -1, 0));
    CHECK(0, p[3 * PAGE + 7]);
    /* An unaligned size is rounded up; unmapping nothing is fine. */
    unmap(p, 9 * PAGE + 1);
    CHECK(-EFAULT, can_read(p + 9 * PAGE));
    unmap(p, 10 * PAGE);
    /* Reading memory that was never written, then writing it. */
    p = anon(4 * PAGE);
    for (int i = 0; i < 4; i++)
        CHECK(0, p[i * PAGE + 9]);
    p[PAGE] = 1;
    CHECK(0, p[0] + p[2 * PAGE] + p[3 * PAGE]);
    CHECK(1, p[PAGE]);
    unmap(p, 4 * PAGE);
}

static void errors(void)
{
    CHECK(-EINVAL, map(NULL, 0, RW, ANON, -1, 0));
    CHECK(-EINVAL, map(NULL, PAGE, RW, MAP_ANONYMOUS, -1, 0));
    CHECK(-EINVAL, map(NULL, PAGE, RW, ANON, -1, 1));
    CHECK(-EINVAL, map(NULL, PAGE, RW, MAP_SHARED_VALIDATE | MAP_ANONYMOUS, -1, 0));
    CHECK(-EINVAL, map(NULL, PAGE, RW, MAP_SHARED | MAP_ANONYMOUS | MAP_GROWSDOWN, -1, 0));
    CHECK(-EINVAL, map((void *)0x10000001, PAGE, RW, ANON | MAP_FIXED, -1, 0));
    CHECK(-ENOMEM, map(NULL, SIZE_MAX, RW, ANON, -1, 0));
    CHECK(-ENOMEM, map(NULL, SIZE_MAX - 2 * PAGE, RW, ANON, -1, 0));
    CHECK(-ENOMEM, map((void *)0x7ffffffff000, PAGE, RW, ANON | MAP_FIXED, -1, 0));
    CHECK(-ENOMEM, map((void *)0xffff800000000000, PAGE, RW, ANON | MAP_FIXED, -1, 0));
    CHECK(-ENOMEM, map(NULL, 1ul << 47, PROT_NONE, ANON | MAP_NORESERVE, -1, 0));
    CHECK(-ENOMEM, map(NULL, 1ul << 46, RW, ANON, -1, 0)); /* more than there is */
    CHECK(-EBADF, map(NULL, PAGE, PROT_READ, MAP_PRIVATE, -1, 0));
    CHECK(-EBADF, map(NULL, PAGE, PROT_READ, MAP_PRIVATE, 999, 0));
    CHECK(-EINVAL, map(NULL, 0, PROT_READ, MAP_PRIVATE, file, 0));
    CHECK(-EINVAL, map(NULL, PAGE, PROT_READ, 0, file, 0));
    CHECK(-EINVAL, map(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_GROWSDOWN, file, 0));
    CHECK(-EINVAL, map(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_HUGETLB, file, 0));
    CHECK(-EOVERFLOW, map(NULL, 1 << 20, PROT_READ, MAP_PRIVATE, file, ~0xffful));
    CHECK(-EOPNOTSUPP, map(NULL, PAGE, PROT_READ, MAP_SHARED_VALIDATE | MAP_SYNC, file, 0));
    CHECK(-ENODEV, map(NULL, PAGE, PROT_READ, MAP_PRIVATE, pipe_fds[0], 0));
    CHECK(-EINVAL, map(NULL, PAGE, RW, ANON | MAP_HUGETLB | 20u << 26, -1, 0));
    CHECK(-EINVAL, map(NULL, 0, RW, ANON | MAP_HUGETLB, -1, 0));
    CHECK(-EINVAL, call(SYS_munmap, 0x10001, PAGE));
    CHECK(-EINVAL, call(SYS_munmap, 0x10000, 0));
    CHECK(-EINVAL, call(SYS_munmap, 0x10000, SIZE_MAX));
    CHECK(-EINVAL, call(SYS_munmap, 0x7ffffffff000, PAGE));
    CHECK(0, call(SYS_munmap, 0x7fffffffe000, 0) + EINVAL);
    if (DIFFERS("the first 64 KiB are not even root's"))
        CHECK(-EPERM, map((void *)0x1000, PAGE, RW, ANON | MAP_FIXED, -1, 0));
    CHECK(-EPERM * t_alcove(),
          map(NULL, PAGE, PROT_NONE, ANON | MAP_FIXED, -1, 0)); /* root may on Linux */
    call(SYS_munmap, NULL, PAGE);
}

static void fixed(void)
{
    char *p = anon(8 * PAGE);
    for (int i = 0; i < 8; i++)
        p[i * PAGE] = 1;
    CHECK((long)(p + 2 * PAGE), (long)map(p + 2 * PAGE, 3 * PAGE, RW, ANON | MAP_FIXED, -1, 0));
    CHECK(1, p[PAGE]);
    CHECK(0, p[2 * PAGE] + p[3 * PAGE] + p[4 * PAGE]);
    CHECK(1, p[5 * PAGE]);
    CHECK(-EEXIST, map(p + 7 * PAGE, 2 * PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0));
    unmap(p + 7 * PAGE, PAGE);
    CHECK((long)(p + 7 * PAGE),
          (long)map(p + 7 * PAGE, PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0));
    /* A hint where something is gives another place. */
    char *q = map(p, PAGE, RW, ANON, -1, 0);
    CHECK(1, is_addr(q) && (q < p || q >= p + 8 * PAGE));
    unmap(q, PAGE);
    unmap(p, 8 * PAGE);
    q = map(NULL, PAGE, RW, ANON | MAP_32BIT, -1, 0);
    CHECK(1, is_addr(q) && (uintptr_t)q + PAGE <= 0x80000000);
    q[5] = 1;
    unmap(q, PAGE);
    q = map(NULL, 4 * MIB, RW, ANON | MAP_POPULATE | MAP_NORESERVE | MAP_STACK, -1, 0);
    unsigned char here[4] = { 0 };
    CHECK(0, call(SYS_mincore, q, 4 * PAGE, here));
    CHECK(4, here[0] + here[1] + here[2] + here[3]);
    unmap(q, 4 * MIB);
    q = map(NULL, 1ul << 40, PROT_NONE, ANON | MAP_NORESERVE, -1, 0);
    CHECK(1, is_addr(q));
    CHECK(-EFAULT, can_read(q));
    CHECK(0, call(SYS_mprotect, q + MIB, MIB, RW));
    CHECK(0, can_write(q + MIB + 5));
    CHECK(-EFAULT, can_write(q + 2 * MIB));
    unmap(q, 1ul << 40);
}

/* A large area, some of it taken away in the middle of a large page. */
static void large(void)
{
    enum { SIZE = 8 * MIB };
    char *p = anon(SIZE);
    for (size_t i = 0; i < SIZE; i += PAGE)
        *(size_t *)(p + i) = i;
    unmap(p + 3 * MIB + 3 * PAGE, 5 * PAGE);
    CHECK(0, call(SYS_mprotect, p + 5 * MIB + PAGE, PAGE, PROT_READ));
    CHECK(0, call(SYS_madvise, p + 6 * MIB + 2 * PAGE, PAGE, MADV_DONTNEED));
    int bad = 0;
    for (size_t i = 0; i < SIZE; i += PAGE) {
        if (i >= 3 * MIB + 3 * PAGE && i < 3 * MIB + 8 * PAGE)
            continue;
        bad += *(size_t *)(p + i) != (i == 6 * MIB + 2 * PAGE ? 0 : i);
    }
    CHECK(0, bad);
    CHECK(-EFAULT, can_write(p + 5 * MIB + PAGE));
    CHECK(0, can_write(p + 5 * MIB));
    CHECK(0, can_write(p + 5 * MIB + 2 * PAGE));
    unmap(p, SIZE);
}

static void file_private(void)
{
    char *p = map(NULL, 4 * PAGE, RW, MAP_PRIVATE, file, 0),
         *q = map(NULL, PAGE, PROT_READ, MAP_PRIVATE, file, PAGE), c;
    CHECK('a', p[0]);
    CHECK('b', p[PAGE]);
    CHECK('d', p[3 * PAGE + 99]);
    CHECK(0, p[3 * PAGE + 100]); /* behind the end of the file: zeros up to the page's end */
    CHECK('b', q[PAGE - 1]);
    p[PAGE] = 'X';
    CHECK('b', q[0]);
    CHECK(1, call(SYS_pread64, file, &c, 1, PAGE));
    CHECK('b', c);
    CHECK('b', p[PAGE + 1]);
    /* What others write is seen where we did not. */
    CHECK(1, call(SYS_pwrite64, file, "Y", 1, 2 * PAGE + 5));
    CHECK('Y', p[2 * PAGE + 5]);
    CHECK(1, call(SYS_pwrite64, file, "c", 1, 2 * PAGE + 5));
    CHECK(-EFAULT, can_write(q));
    CHECK(0, call(SYS_mprotect, q, PAGE, RW));
    CHECK(0, can_write(q));
    CHECK(1, call(SYS_pread64, file, &c, 1, PAGE));
    CHECK('b', c);
    unmap(p, 4 * PAGE);
    unmap(q, PAGE);
    /* Nothing is there past the last page. */
    p = map(NULL, 6 * PAGE, PROT_READ, MAP_PRIVATE, file, 0);
    CHECK(0, can_read(p + 4 * PAGE - 1));
    CHECK(-EFAULT, can_read(p + 4 * PAGE));
    unmap(p, 6 * PAGE);
    p = map(NULL, PAGE, PROT_READ, MAP_PRIVATE, file, 16 * PAGE);
    CHECK(1, is_addr(p));
    CHECK(-EFAULT, can_read(p));
    unmap(p, PAGE);
}

static void file_shared(void)
{
    char *p = map(NULL, 4 * PAGE, RW, MAP_SHARED, file, 0),
         *q = map(NULL, 4 * PAGE, PROT_READ, MAP_SHARED_VALIDATE, file, 0);
    char c;
    CHECK('a', q[5]);
    p[5] = 'S';
    CHECK('S', q[5]);
    CHECK(1, call(SYS_pread64, file, &c, 1, 5));
    CHECK('S', c);
    CHECK(1, call(SYS_pwrite64, file, "a", 1, 5));
    CHECK('a', p[5]);
    CHECK(0, call(SYS_msync, p, 4 * PAGE, MS_SYNC));
    /* Truncation takes pages away at once, growing gives zeros. */
    CHECK(0, call(SYS_ftruncate, file, PAGE));
    CHECK(-EFAULT, can_read(q + PAGE));
    CHECK(-EFAULT, can_write(p + 3 * PAGE));
    CHECK(0, call(SYS_ftruncate, file, 4 * PAGE));
    CHECK(0, q[PAGE] + q[3 * PAGE]);
    for (int i = 1; i < 4; i++)
        memset(p + i * PAGE, 'a' + i, i < 3 ? PAGE : 100);
    CHECK(0, call(SYS_ftruncate, file, 3 * PAGE + 100));
    CHECK('d', q[3 * PAGE + 99]);
    CHECK(0, q[3 * PAGE + 100]);
    unmap(p, 4 * PAGE);
    unmap(q, 4 * PAGE);
    int ro = (int)call(SYS_open, "/tmp/t-mmap", O_RDONLY),
        wo = (int)call(SYS_open, "/tmp/t-mmap", O_WRONLY);
    CHECK(-EACCES, map(NULL, PAGE, RW, MAP_SHARED, ro, 0));
    CHECK(-EACCES, map(NULL, PAGE, PROT_READ, MAP_SHARED, wo, 0));
    CHECK(-EACCES, map(NULL, PAGE, PROT_WRITE, MAP_PRIVATE, wo, 0));
    p = map(NULL, PAGE, PROT_READ, MAP_SHARED, ro, 0);
    CHECK(-EACCES, call(SYS_mprotect, p, PAGE, RW));
    CHECK(0, call(SYS_mprotect, p, PAGE, PROT_READ | PROT_EXEC));
    unmap(p, PAGE);
    p = map(NULL, PAGE, RW, MAP_PRIVATE, ro, 0);
    call(SYS_close, ro);
    CHECK('a', p[0]);
    p[0] = 'z';
    unmap(p, PAGE);
    call(SYS_close, wo);
}

static void anonymous_shared(void)
{
    char *p = map(NULL, 3 * PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(0, p[PAGE]);
    p[PAGE] = 1;
    /* mremap of size 0: a second view of the same pages. */
    char *q = (char *)call(SYS_mremap, p, 0, 3 * PAGE, MREMAP_MAYMOVE, 0);
    CHECK(1, is_addr(q) && q != p);
    CHECK(1, q[PAGE]);
    q[2 * PAGE] = 7;
    CHECK(7, p[2 * PAGE]);
    CHECK(0, call(SYS_madvise, q, 3 * PAGE, MADV_DONTNEED));
    CHECK(7, q[2 * PAGE]);
    unmap(p, 3 * PAGE);
    CHECK(1, q[PAGE]);
    unmap(q, 3 * PAGE);
}

static void protection(void)
{
    char *p = anon(6 * PAGE);
    memset(p, 3, 6 * PAGE);
    CHECK(0, call(SYS_mprotect, p + PAGE, 2 * PAGE, PROT_READ));
    CHECK(-EFAULT, can_write(p + PAGE));
    CHECK(0, can_read(p + PAGE));
    CHECK(0, can_write(p + 3 * PAGE));
    CHECK(0, call(SYS_mprotect, p + PAGE, PAGE, PROT_NONE));
    CHECK(-EFAULT, can_read(p + PAGE));
    CHECK(0, call(SYS_mprotect, p, 6 * PAGE, RW));
    CHECK(3, p[PAGE]);
    p[PAGE] = 4;
    CHECK(0, call(SYS_mprotect, p, 0, PROT_NONE));
    CHECK(-EINVAL, call(SYS_mprotect, p + 1, PAGE, RW));
    CHECK(-EINVAL, call(SYS_mprotect, p, PAGE, 0x100));
    CHECK(-EINVAL, call(SYS_mprotect, p, PAGE, RW | PROT_GROWSDOWN | PROT_GROWSUP));
    CHECK(-EINVAL, call(SYS_mprotect, p, PAGE, RW | PROT_GROWSUP));
    CHECK(-EINVAL, call(SYS_mprotect, p, PAGE, RW | PROT_GROWSDOWN));
    CHECK(0, call(SYS_mprotect, p, PAGE, RW | 8 /* PROT_SEM */));
    CHECK(-ENOMEM, call(SYS_mprotect, p, -(uintptr_t)p, RW));
    unmap(p + 4 * PAGE, PAGE);
    CHECK(-ENOMEM, call(SYS_mprotect, p, 6 * PAGE, PROT_READ)); /* up to the hole it was done */
    CHECK(-EFAULT, can_write(p + 3 * PAGE));
    CHECK(0, can_write(p + 5 * PAGE));
    CHECK(-ENOMEM, call(SYS_mprotect, p + 4 * PAGE, PAGE, PROT_READ));
    unmap(p, 6 * PAGE);
    /* Write only is readable too. */
    p = map(NULL, PAGE, PROT_WRITE, ANON, -1, 0);
    CHECK(0, can_read(p));
    unmap(p, PAGE);
    /* Code that is written, then run. */
    p = anon(PAGE);
    memcpy(p, "\xb8\x2a\0\0\0\xc3", 6);
    CHECK(0, call(SYS_mprotect, p, PAGE, PROT_READ | PROT_EXEC));
    CHECK(42, ((int (*)(void))(uintptr_t)p)());
    unmap(p, PAGE);
}

static void grows_down(void)
{
    /* Room around it, so that nothing is near. */
    char *room = map(NULL, 16 * MIB, PROT_NONE, ANON, -1, 0), *top = room + 12 * MIB;
    unmap(room, 16 * MIB);
    CHECK((long)(top - 2 * PAGE),
          (long)map(top - 2 * PAGE, 2 * PAGE, RW, ANON | MAP_GROWSDOWN | MAP_FIXED, -1, 0));
    top[-1] = 1;
    CHECK(0, can_write(top - 3 * PAGE));
    CHECK(0, can_write(top - 300 * PAGE));
    CHECK(0, call(SYS_mprotect, top - PAGE, PAGE, PROT_READ | PROT_GROWSDOWN));
    CHECK(-EFAULT, can_write(top - 200 * PAGE));
    CHECK(0, call(SYS_mprotect, top - PAGE, PAGE, RW | PROT_GROWSDOWN));
    /* Not into a neighbour's guard gap. */
    CHECK((long)(top - 400 * PAGE), (long)map(top - 400 * PAGE, PAGE, RW, ANON | MAP_FIXED, -1, 0));
    CHECK(-EFAULT, can_write(top - 310 * PAGE));
    unmap(room, 16 * MIB);
}

static void remap(void)
{
    char *p = anon(8 * PAGE), *q;
    for (int i = 0; i < 8; i++)
        p[i * PAGE] = (char)(i + 1);
    CHECK((long)p, call(SYS_mremap, p, 8 * PAGE, 6 * PAGE, 0, 0));
    CHECK(-EFAULT, can_read(p + 6 * PAGE));
    CHECK((long)p, call(SYS_mremap, p, 6 * PAGE, 8 * PAGE, 0, 0));
    CHECK(6, p[5 * PAGE]);
    CHECK(0, p[6 * PAGE]);
    /* Something stands in the way. */
    CHECK((long)(p + 6 * PAGE),
          (long)map(p + 6 * PAGE, PAGE, RW, ANON | MAP_FIXED | MAP_NORESERVE, -1, 0));
    CHECK(-ENOMEM, call(SYS_mremap, p, 4 * PAGE, 5 * PAGE, 0, 0));
    q = (char *)call(SYS_mremap, p, 4 * PAGE, 64 * PAGE, MREMAP_MAYMOVE, 0);
    CHECK(1, is_addr(q) && q != p);
    CHECK(4, q[3 * PAGE]);
    CHECK(0, q[4 * PAGE] + q[63 * PAGE]);
    CHECK(-EFAULT, can_read(p));
    CHECK(5, p[4 * PAGE]);
    /* To a fixed place, over what is there. */
    CHECK((long)(p + 4 * PAGE),
          call(SYS_mremap, q, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, p + 4 * PAGE));
    CHECK(1, p[4 * PAGE]);
    CHECK(2, p[5 * PAGE]);
    CHECK(-EFAULT, can_read(q));
    CHECK(3, q[2 * PAGE]);
    /* Leave an empty area behind. */
    char *r =
        (char *)call(SYS_mremap, q + 2 * PAGE, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, 0);
    CHECK(3, r[0]);
    CHECK(0, q[2 * PAGE]);
    unmap(r, PAGE);
    CHECK(-EINVAL, call(SYS_mremap, q + 3 * PAGE, PAGE, PAGE, 8, 0));
    CHECK(-EINVAL, call(SYS_mremap, q + 3 * PAGE, PAGE, PAGE, MREMAP_FIXED, p));
    CHECK(-EINVAL,
          call(SYS_mremap, q + 3 * PAGE, PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, 0));
    CHECK(-EINVAL, call(SYS_mremap, q + 1, PAGE, PAGE, 0, 0));
    CHECK(-EINVAL, call(SYS_mremap, q + 3 * PAGE, PAGE, 0, 0, 0));
    CHECK(-EINVAL, call(SYS_mremap, q + 3 * PAGE, 0, PAGE, MREMAP_MAYMOVE, 0)); /* private */
    CHECK(-EINVAL, call(SYS_mremap, q + 4 * PAGE, 4 * PAGE, 4 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
                        q + 6 * PAGE));
    CHECK(-EINVAL,
          call(SYS_mremap, q + 4 * PAGE, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, p + 1));
    CHECK(-EFAULT, call(SYS_mremap, T_BAD - 16, PAGE, 2 * PAGE, MREMAP_MAYMOVE, 0));
    CHECK(-EFAULT, call(SYS_mremap, q + 4 * PAGE, 100 * PAGE, 200 * PAGE, MREMAP_MAYMOVE, 0));
    unmap(q, 64 * PAGE);
    unmap(p, 8 * PAGE);
}

static void remap_large(void)
{
    char *p = anon(8 * MIB), *q;
    for (size_t i = 0; i < 8 * MIB; i += PAGE)
        *(size_t *)(p + i) = i + 1;
    char *wall = map(p + 8 * MIB, PAGE, PROT_NONE, ANON, -1, 0);
    q = (char *)call(SYS_mremap, p + PAGE, 8 * MIB - PAGE, 16 * MIB, MREMAP_MAYMOVE, 0);
    CHECK(1, is_addr(q));
    int bad = 0;
    for (size_t i = PAGE; i < 8 * MIB; i += PAGE)
        bad += *(size_t *)(q + i - PAGE) != i + 1;
    CHECK(0, bad);
    CHECK(1, *(size_t *)p);
    CHECK(0, q[12 * MIB]);
    unmap(q, 16 * MIB);
    unmap(p, PAGE);
    unmap(wall, PAGE);
}

static void heap_break(void)
{
    long start = call(SYS_brk, 0), top;
    CHECK(0, start < 0);
    top = call(SYS_brk, start + 5 * PAGE + 100);
    CHECK(start + 5 * PAGE + 100, top);
    char *p = (char *)start;
    memset(p, 1, 5 * PAGE + 100);
    CHECK(start, call(SYS_brk, start));
    CHECK(start + PAGE * 5, call(SYS_brk, start + PAGE * 5));
    CHECK(0, *(char *)((start + PAGE - 1) & -PAGE)); /* fresh */
    CHECK(start + PAGE * 5, call(SYS_brk, 0x1000));
    CHECK(start + PAGE * 5, call(SYS_brk, 1ul << 47));
    CHECK(start, call(SYS_brk, start));
    struct rlimit old, none = { PAGE, 0 };
    CHECK(0, call(SYS_prlimit64, 0, RLIMIT_DATA, NULL, &old));
    none.rlim_max = old.rlim_max;
    CHECK(0, call(SYS_prlimit64, 0, RLIMIT_DATA, &none, NULL));
    CHECK(start, call(SYS_brk, start + 64 * PAGE));
    CHECK(-ENOMEM, map(NULL, 64 * PAGE, RW, ANON, -1, 0));
    CHECK(0, call(SYS_prlimit64, 0, RLIMIT_DATA, &old, NULL));
    CHECK(0, call(SYS_prlimit64, 0, RLIMIT_AS, NULL, &old));
    none.rlim_max = old.rlim_max;
    CHECK(0, call(SYS_prlimit64, 0, RLIMIT_AS, &none, NULL));
    CHECK(-ENOMEM, map(NULL, 64 * PAGE, PROT_READ, ANON, -1, 0));
    CHECK(0, call(SYS_prlimit64, 0, RLIMIT_AS, &old, NULL));
}

static void file_pages(void)
{
    char *p = map(NULL, 4 * PAGE, RW, MAP_SHARED, file, 0);
    CHECK(0, call(SYS_remap_file_pages, p, PAGE, 0, 2, 0));
    CHECK('c', p[0]);
    CHECK('b', p[PAGE]);
    CHECK(-EINVAL, call(SYS_remap_file_pages, p, PAGE, PROT_READ, 2, 0));
    CHECK(-EINVAL, call(SYS_remap_file_pages, p, 0, 0, 2, 0));
    unmap(p, 4 * PAGE);
    p = map(NULL, PAGE, RW, MAP_PRIVATE, file, 0);
    CHECK(-EINVAL, call(SYS_remap_file_pages, p, PAGE, 0, 2, 0));
    unmap(p, PAGE);
}

/* Many areas, taken away in another order; the address space is as empty as before. */
static void many(void)
{
    enum { N = 600 };
    static char *p[N];
    for (int i = 0; i < N; i++) {
        p[i] = map(NULL, PAGE * (1 + i % 3), i % 2 ? PROT_READ : RW, ANON, -1, 0);
        CHECK(1, is_addr(p[i]));
        if (!(i % 2))
            *(int *)p[i] = i;
    }
    for (int i = 0; i < N; i += 2)
        CHECK(i, *(int *)p[i]);
    for (int i = 0; i < N; i++) {
        int j = i * 7 % N;
        unmap(p[j], PAGE * (1 + (size_t)(j % 3)));
        p[j] = NULL;
    }
}

int main(void)
{
    static char page[PAGE];
    CHECK(0, call(SYS_pipe, pipe_fds));
    file = (int)call(SYS_open, "/tmp/t-mmap", O_RDWR | O_CREAT | O_TRUNC, 0600);
    for (int i = 0; i < 4; i++) {
        memset(page, 'a' + i, sizeof page);
        CHECK(i < 3 ? PAGE : 100, call(SYS_write, file, page, i < 3 ? PAGE : 100));
    }
    anonymous();
    errors();
    fixed();
    large();
    file_private();
    file_shared();
    anonymous_shared();
    protection();
    grows_down();
    remap();
    remap_large();
    heap_break();
    file_pages();
    many();
    call(SYS_unlink, "/tmp/t-mmap");
    return t_end();
}
