// SPDX-License-Identifier: MIT
/* madvise when memory is short. MADV_FREE: pages stay until others need them, and for good if they are written to meanwhile, also by
 * a system call or another process. MADV_PAGEOUT: clean pages of a file go, copies stay. Usage: advice DIRECTORY */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

/* Of pages of 4 KiB every eighth is written to; of those of 2 MiB, which stay whole, every fourth. */
enum { PAGE = 4096, MIB = 1 << 20, STRIDE = 8 * PAGE, LARGE_STRIDE = 8 * MIB, OLD = 3, NEW = 5 };

static void fail(const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    vprintf(format, ap);
    va_end(ap);
    printf("\n");
    fflush(stdout);
    _exit(1);
}

/* The sum of a line in a file of kB. */
static long sum(const char *file, const char *name)
{
    char line[256];
    long value = 0;
    FILE *f = fopen(file, "r");
    while (f && fgets(line, sizeof(line), f))
        if (!strncmp(line, name, strlen(name)))
            value += atol(line + strlen(name));
    if (!f)
        fail("%s: %m", file);
    fclose(f);
    return value;
}

static char *map(size_t size)
{
    char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        fail("mmap: %m");
    return p;
}

/* A process of its own uses memory when it is told. It is forked first, so that it shares nothing with the others. */
static int ask[2], answer[2];

static void presser(void)
{
    long kib;
    while (read(ask[0], &kib, sizeof(kib)) == sizeof(kib)) {
        size_t size = (size_t)kib << 10;
        char *p = map(size);
        for (size_t i = 0; i < size; i += PAGE)
            p[i] = 1;
        munmap(p, size);
        if (write(answer[1], &kib, sizeof(kib)) != sizeof(kib))
            _exit(1);
    }
    _exit(0);
}

static void start_presser(void)
{
    if (pipe(ask) || pipe(answer))
        fail("pipe: %m");
    if (fork() == 0) {
        close(ask[1]);
        presser();
    }
    close(answer[1]);
}

/* So many KiB are used by somebody else for a while. */
static void press(long kib)
{
    long got;
    if (write(ask[1], &kib, sizeof(kib)) != sizeof(kib) ||
        read(answer[0], &got, sizeof(got)) != sizeof(got))
        fail("the process that used %ld KiB has ended", kib);
}

/* Write to a page now and then, each time in another way. */
static void write_some(char *p, size_t size, size_t stride)
{
    int ends[2];
    char value = NEW;
    if (pipe(ends))
        fail("pipe: %m");
    for (size_t i = 0, n = 0; i < size; i += stride, n++) {
        struct iovec from = { &value, 1 }, to = { p + i, 1 };
        if (n % 3 == 0)
            p[i] = value;
        else if (n % 3 == 1 && (write(ends[1], &value, 1) != 1 || read(ends[0], p + i, 1) != 1))
            fail("pipe: %m");
        else if (n % 3 == 2 && process_vm_writev(getpid(), &from, 1, &to, 1, 0) != 1)
            fail("process_vm_writev: %m");
    }
    close(ends[0]);
    close(ends[1]);
}

/* How many of the pages that were not written to have gone. */
static size_t check(const char *p, size_t size, size_t stride)
{
    size_t gone = 0;
    for (size_t i = 0; i < size; i += PAGE) {
        bool written = i % stride == 0;
        if (written && (p[i] != NEW || p[i + 1] != OLD))
            fail("page %zu was written to and is %d %d", i / PAGE, p[i], p[i + 1]);
        if (!written && p[i] != OLD && p[i] != 0)
            fail("page %zu is %d", i / PAGE, p[i]);
        if (!written && p[i] != p[i + 1])
            fail("page %zu went in part", i / PAGE);
        gone += !written && p[i] == 0;
    }
    return gone;
}

static void lazy(bool large)
{
    long available = sum("/proc/meminfo", "MemAvailable:");
    size_t size = ((size_t)available << 10) / 2 / (2 * MIB) * (2 * MIB);
    size_t stride = large ? LARGE_STRIDE : STRIDE;
    char *p = map(size), *locked = map(64 * PAGE);
    madvise(p, size, large ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
    memset(p, OLD, size);
    memset(locked, OLD, 64 * PAGE);
    if (madvise(p, size, MADV_FREE) || madvise(locked, 64 * PAGE, MADV_FREE) ||
        mlock(locked, 64 * PAGE))
        fail("madvise: %m");
    if (memchr(p, 0, size)) /* nobody needs memory yet */
        fail("pages went at once");
    long lazy_kb = sum("/proc/self/smaps", "LazyFree:");
    if (lazy_kb < (long)(size >> 10) * 9 / 10)
        fail("of %zu KiB only %ld are LazyFree", size >> 10, lazy_kb);
    write_some(p, size, stride);
    press(available * 3 / 4);
    size_t gone = check(p, size, stride);
    if (gone < size / PAGE / 3)
        fail("of %zu pages only %zu went", size / PAGE, gone);
    for (size_t i = 0; i < 64 * PAGE; i++)
        if (locked[i] != OLD)
            fail("a locked page went");
    /* What has gone can be used again. */
    memset(p, NEW, size);
    for (size_t i = 0; i < size; i++)
        if (p[i] != NEW)
            fail("byte %zu is not there", i);
    munmap(p, size);
    munmap(locked, 64 * PAGE);
}

/* What a child shares is its own afterwards, whatever the parent frees. */
static void forked(void)
{
    size_t size = 2 * MIB;
    char *p = map(size);
    memset(p, OLD, size);
    if (madvise(p, size, MADV_FREE))
        fail("madvise: %m");
    memset(p, NEW, size / 2);
    pid_t pid = fork();
    if (pid == 0) {
        madvise(p, size / 4, MADV_FREE);
        memset(p, 7, size / 8);
        press(sum("/proc/meminfo", "MemAvailable:") * 9 / 10);
        for (size_t i = 0; i < size / 8; i++)
            if (p[i] != 7)
                _exit(1);
        for (size_t i = size / 4; i < size / 2; i++)
            if (p[i] != NEW)
                _exit(2);
        _exit(0);
    }
    int status;
    if (waitpid(pid, &status, 0) != pid || status)
        fail("the child ended with 0x%x", status);
    for (size_t i = 0; i < size / 2; i++)
        if (p[i] != NEW)
            fail("byte %zu of the parent is %d", i, p[i]);
    munmap(p, size);
}

static int present(char *p)
{
    unsigned char v = 0;
    if (mincore(p, PAGE, &v))
        fail("mincore: %m");
    return v & 1;
}

static void page_out(const char *dir)
{
    char name[256];
    snprintf(name, sizeof(name), "%s/file", dir);
    int fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0644);
    char *text = malloc(16 * PAGE);
    memset(text, 'x', 16 * PAGE);
    if (fd < 0 || write(fd, text, 16 * PAGE) != 16 * PAGE || fsync(fd))
        fail("%s: %m", name);
    char *s = mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0),
         *p = mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    if (s == MAP_FAILED || p == MAP_FAILED)
        fail("mmap: %m");
    p[0] = 'y';
    if (s[PAGE] != 'x' || p[2 * PAGE] != 'x' || !present(s + PAGE) || !present(p + 2 * PAGE))
        fail("the file's pages are not there");
    if (madvise(s, 16 * PAGE, MADV_COLD) || madvise(p, 16 * PAGE, MADV_PAGEOUT) ||
        madvise(s, 16 * PAGE, MADV_PAGEOUT))
        fail("madvise: %m");
    if (present(s + PAGE) || present(s + 2 * PAGE))
        fail("clean pages of a file are still there");
    if (p[0] != 'y' || s[0] != 'x' || memcmp(s, text, 16 * PAGE))
        fail("pages read again are different");
    s[5 * PAGE] = 'z';
    if (madvise(s, 16 * PAGE, MADV_PAGEOUT) || s[5 * PAGE] != 'z')
        fail("a dirty page went");
    munmap(s, 16 * PAGE);
    munmap(p, 16 * PAGE);
    close(fd);
    unlink(name);
    free(text);
}

int main(int argc, char **argv)
{
    (void)argc;
    start_presser();
    lazy(false);
    lazy(true);
    forked();
    page_out(argv[1]);
    puts("advice: ok");
    return 0;
}
