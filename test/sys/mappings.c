/* SPDX-License-Identifier: MIT */
/* mmap, munmap, mprotect, mremap, brk. What a page holds is asked through pipes and files: a read into a page that must
 * not be written answers EFAULT, which needs no signal handler. */
#define _GNU_SOURCE
#include <t_file.h>

#include <sys/mman.h>

#define PAGE 4096l
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)

static int pipe_fds[2];

static long map(long addr, long len, int prot, int flags, long fd, long off)
{
    return call(SYS_mmap, addr, len, prot, flags, fd, off);
}

static bool mapped(long r)
{
    return r > 0 || r < -4095;
}

/* Can the byte be read and written by the program? */
static bool readable(long addr)
{
    char c;
    bool ok = call(SYS_write, pipe_fds[1], addr, 1) == 1;
    if (ok)
        call(SYS_read, pipe_fds[0], &c, 1);
    return ok;
}

static bool writable(long addr)
{
    long zero = call(SYS_open, "/dev/zero", O_RDONLY), n = call(SYS_read, zero, addr, 1);
    call(SYS_close, zero);
    return n == 1;
}

static void anonymous(void)
{
    long p = map(0, 3 * PAGE, PROT_READ | PROT_WRITE, ANON, -1, 0);
    CHECK(true, mapped(p));
    CHECK(0, p % PAGE);
    CHECK(0, *(char *)p | *(char *)(p + 3 * PAGE - 1));
    *(char *)(p + PAGE) = 7;
    CHECK(0, call(SYS_munmap, p + PAGE, 1)); /* rounds up: the middle page goes */
    CHECK(true, readable(p));
    CHECK(false, readable(p + PAGE));
    CHECK(true, readable(p + 2 * PAGE));
    CHECK(p + PAGE, map(p + PAGE, PAGE, PROT_READ | PROT_WRITE, ANON | MAP_FIXED, -1, 0));
    CHECK(0, *(char *)(p + PAGE)); /* fresh */
    CHECK(-EEXIST, map(p, PAGE, PROT_READ, ANON | MAP_FIXED_NOREPLACE, -1, 0));
    CHECK(0, call(SYS_munmap, p, 3 * PAGE));
    CHECK(0, call(SYS_munmap, p, 3 * PAGE)); /* nothing there is no error */
    CHECK(p, map(p, PAGE, PROT_READ, ANON | MAP_FIXED_NOREPLACE, -1, 0));
    CHECK(false, writable(p));
    CHECK(0, call(SYS_munmap, p, PAGE));
    CHECK(p, map(p, PAGE, PROT_READ, ANON, -1, 0)); /* a hint that is free is taken */
    CHECK(true, mapped(map(p, PAGE, PROT_READ, ANON, -1, 0)));
    CHECK(0, call(SYS_munmap, p, PAGE));
    p = map(0, PAGE, PROT_NONE, ANON | MAP_NORESERVE | MAP_STACK | MAP_POPULATE, -1, 0);
    CHECK(false, readable(p));
    CHECK(0, call(SYS_munmap, p, PAGE));
    p = map(0, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(true, writable(p));
    CHECK(0, call(SYS_munmap, p, PAGE));
    p = map(0, PAGE, PROT_READ | PROT_WRITE, ANON | MAP_32BIT, -1, 0);
    CHECK(true, p > 0 && p < 0x80000000l);
    CHECK(0, call(SYS_munmap, p, PAGE));
}

static void wrong(void)
{
    CHECK(-EINVAL, map(0, 0, PROT_READ, ANON, -1, 0));
    CHECK(-ENOMEM, map(0, -PAGE, PROT_READ, ANON, -1, 0));
    CHECK(-EINVAL, map(0, PAGE, PROT_READ, MAP_ANONYMOUS, -1, 0)); /* neither shared nor private */
    CHECK(-EINVAL, map(1, PAGE, PROT_READ, ANON | MAP_FIXED, -1, 0));
    CHECK(-ENOMEM, map(0x7ffffffff000, PAGE, PROT_READ, ANON | MAP_FIXED, -1, 0));
    CHECK(-ENOMEM, map(-PAGE, PAGE, PROT_READ, ANON | MAP_FIXED, -1, 0));
    CHECK(-EINVAL, map(0, PAGE, PROT_READ, ANON, -1, 1));
    CHECK(-EBADF, map(0, PAGE, PROT_READ, MAP_PRIVATE, -1, 0));
    CHECK(-ENODEV, map(0, PAGE, PROT_READ, MAP_PRIVATE, pipe_fds[0], 0));
    CHECK(-EINVAL, call(SYS_munmap, 1, PAGE));
    CHECK(-EINVAL, call(SYS_munmap, PAGE, 0));
    CHECK(-EINVAL, call(SYS_munmap, PAGE, -PAGE));
    CHECK(-EINVAL, call(SYS_munmap, 0x7ffffffff000, PAGE * 2));
}

static void files(void)
{
    char c;
    long fd = call(SYS_open, "f", O_RDWR | O_CREAT, 0600);
    CHECK(0, call(SYS_ftruncate, fd, PAGE + 100));
    CHECK(1, call(SYS_pwrite64, fd, "a", 1, 0));
    long shared = map(0, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    long private = map(0, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    CHECK('a', *(char *)shared);
    CHECK(1, call(SYS_pwrite64, fd, "b", 1, 0)); /* one page for all */
    CHECK('b', *(char *)shared);
    CHECK('b', *(char *)private);
    *(char *)shared = 'c';
    CHECK(1, call(SYS_pread64, fd, &c, 1, 0));
    CHECK('c', c);
    CHECK('c', *(char *)private);
    *(char *)private = 'p'; /* its own copy from here on */
    CHECK('c', *(char *)shared);
    *(char *)shared = 'd';
    CHECK('p', *(char *)private);
    CHECK(0, *(char *)(shared + PAGE + 200)); /* behind the end, in the last page */
    CHECK(0, call(SYS_ftruncate, fd, 50));
    CHECK(false, readable(shared + PAGE)); /* a page that the file has no more */
    CHECK(false, readable(private + PAGE));
    CHECK(true, readable(shared));
    CHECK(0, call(SYS_ftruncate, fd, 2 * PAGE));
    CHECK(true, readable(shared + PAGE));
    call(SYS_close, fd);
    CHECK('d', *(char *)shared); /* the mapping keeps the file */
    CHECK(0, call(SYS_msync, shared, PAGE, MS_SYNC));
    CHECK(0, call(SYS_munmap, shared, 2 * PAGE));
    CHECK(0, call(SYS_munmap, private, 2 * PAGE));
    fd = call(SYS_open, "f", O_RDONLY);
    CHECK(-EACCES, map(0, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
    shared = map(0, PAGE, PROT_READ, MAP_SHARED, fd, 0);
    CHECK(-EACCES, call(SYS_mprotect, shared, PAGE, PROT_READ | PROT_WRITE));
    CHECK(0, call(SYS_munmap, shared, PAGE));
    private = map(0, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, PAGE);
    CHECK(true, writable(private));
    CHECK(0, call(SYS_munmap, private, PAGE));
    call(SYS_close, fd);
    fd = call(SYS_open, "f", O_WRONLY);
    CHECK(-EACCES, map(0, PAGE, PROT_READ, MAP_PRIVATE, fd, 0));
    call(SYS_close, fd);
    fd = call(SYS_open, ".", O_RDONLY);
    CHECK(-ENODEV, map(0, PAGE, PROT_READ, MAP_PRIVATE, fd, 0));
    call(SYS_close, fd);
}

static void protects(void)
{
    long p = map(0, 4 * PAGE, PROT_READ | PROT_WRITE, ANON, -1, 0);
    *(char *)(p + PAGE) = 5;
    CHECK(0, call(SYS_mprotect, p + PAGE, PAGE, PROT_READ));
    CHECK(true, writable(p));
    CHECK(false, writable(p + PAGE));
    CHECK(true, readable(p + PAGE));
    CHECK(0, call(SYS_mprotect, p + PAGE, 2 * PAGE, PROT_NONE));
    CHECK(false, readable(p + PAGE));
    CHECK(0, call(SYS_mprotect, p, 4 * PAGE, PROT_READ | PROT_WRITE));
    CHECK(5, *(char *)(p + PAGE));
    CHECK(-EINVAL, call(SYS_mprotect, p + 1, PAGE, PROT_READ));
    CHECK(0, call(SYS_mprotect, p, 0, PROT_READ));
    CHECK(-EINVAL, call(SYS_mprotect, p, PAGE, 0x100));
    CHECK(-EINVAL, call(SYS_mprotect, p, PAGE, PROT_GROWSDOWN | PROT_GROWSUP));
    CHECK(0, call(SYS_munmap, p + 2 * PAGE, PAGE));
    CHECK(-ENOMEM, call(SYS_mprotect, p, 4 * PAGE, PROT_READ)); /* done up to the hole */
    CHECK(false, writable(p));
    CHECK(true, writable(p + 3 * PAGE));
    CHECK(0, call(SYS_munmap, p, 4 * PAGE));
}

static void moves(void)
{
    long p = map(0, 8 * PAGE, PROT_READ | PROT_WRITE, ANON, -1, 0);
    CHECK(0, call(SYS_munmap, p + 2 * PAGE, 6 * PAGE));
    *(char *)p = 1;
    *(char *)(p + PAGE) = 2;
    CHECK(p, call(SYS_mremap, p, 2 * PAGE, PAGE, 0)); /* shorter */
    CHECK(false, readable(p + PAGE));
    CHECK(p, call(SYS_mremap, p, PAGE, 4 * PAGE, 0)); /* longer, there is room */
    CHECK(0, *(char *)(p + PAGE));
    CHECK(p + 4 * PAGE, map(p + 4 * PAGE, PAGE, PROT_READ, ANON | MAP_FIXED, -1, 0));
    CHECK(-ENOMEM, call(SYS_mremap, p, 4 * PAGE, 6 * PAGE, 0));
    long q = call(SYS_mremap, p, 4 * PAGE, 6 * PAGE, MREMAP_MAYMOVE);
    CHECK(true, mapped(q) && q != p);
    CHECK(1, *(char *)q);
    CHECK(false, readable(p));
    CHECK(p, call(SYS_mremap, q, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
                  p)); /* a piece of it, back */
    CHECK(1, *(char *)p);
    CHECK(false, readable(q));
    CHECK(true, readable(q + PAGE));
    CHECK(p + PAGE, call(SYS_mremap, p, PAGE, PAGE,
                         MREMAP_MAYMOVE | MREMAP_DONTUNMAP | MREMAP_FIXED, p + PAGE));
    CHECK(1, *(char *)(p + PAGE));
    CHECK(0, *(char *)p); /* still mapped, empty */
    CHECK(-EINVAL, call(SYS_mremap, p, PAGE, 0, 0));
    CHECK(-EINVAL, call(SYS_mremap, p + 1, PAGE, PAGE, 0));
    CHECK(-EINVAL, call(SYS_mremap, p, PAGE, PAGE, 8));
    CHECK(-EINVAL, call(SYS_mremap, p, PAGE, PAGE, MREMAP_FIXED, q));
    CHECK(-EINVAL,
          call(SYS_mremap, p, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, p + PAGE));
    CHECK(-EFAULT, call(SYS_mremap, q, PAGE, 2 * PAGE, MREMAP_MAYMOVE));
    CHECK(0, call(SYS_munmap, p, 5 * PAGE));
    CHECK(0, call(SYS_munmap, q, 6 * PAGE));
}

static void heap(void)
{
    long start = call(SYS_brk, 0);
    CHECK(start, call(SYS_brk, 0));
    CHECK(start + 10000, call(SYS_brk, start + 10000));
    *(char *)(start + 9999) = 1;
    CHECK(start, call(SYS_brk, start));
    CHECK(start + 10000, call(SYS_brk, start + 10000));
    CHECK(0, *(char *)(start + 9999));      /* shrinking gave the page away */
    CHECK(start + 10000, call(SYS_brk, 1)); /* nonsense changes nothing */
    CHECK(start + 10000, call(SYS_brk, -1));
    CHECK(start, call(SYS_brk, start));
}

int main(void)
{
    t_enter();
    CHECK(0, call(SYS_pipe2, pipe_fds, 0));
    anonymous();
    wrong();
    files();
    protects();
    moves();
    heap();
    return t_leave();
}
