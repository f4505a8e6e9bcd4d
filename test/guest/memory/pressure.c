// SPDX-License-Identifier: MIT
/* Files of a disk that together are larger than the memory: what is read is what was written, by read(2) and through mappings,
 * by several processes at once; dirty pages reach the disk before they are taken; locked pages stay; a program on the disk that
 * runs meanwhile goes on; /proc/meminfo counts what can be had. Usage: pressure DIRECTORY MEBIBYTES */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CHUNK = 65536, WORDS = CHUNK / 8, SMALL_FILES = 600, LOCKED = 1 << 20 };

static uint64_t chunk[WORDS];

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

static long meminfo(const char *name)
{
    char line[128];
    long value = -1;
    FILE *f = fopen("/proc/meminfo", "r");
    while (f && fgets(line, sizeof(line), f))
        if (!strncmp(line, name, strlen(name)))
            value = atol(line + strlen(name) + 1);
    if (!f || value < 0)
        fail("no %s in /proc/meminfo", name);
    fclose(f);
    return value;
}

static uint64_t word(uint64_t i)
{
    return i * 0x9e3779b97f4a7c15u;
}

static void make_big(int fd, long chunks)
{
    for (long c = 0; c < chunks; c++) {
        for (long i = 0; i < WORDS; i++)
            chunk[i] = word((uint64_t)(c * WORDS + i));
        if (write(fd, chunk, CHUNK) != CHUNK)
            fail("write: %m");
    }
}

static void read_big(int fd, long chunks)
{
    for (long c = 0; c < chunks; c++) {
        if (pread(fd, chunk, CHUNK, c * CHUNK) != CHUNK)
            fail("read: %m");
        for (long i = 0; i < WORDS; i++)
            if (chunk[i] != word((uint64_t)(c * WORDS + i)))
                fail("chunk %ld, word %ld is wrong", c, i);
    }
}

/* Change the first word of each page and back, through a shared mapping. */
static void map_big(int fd, long chunks)
{
    size_t size = (size_t)chunks * CHUNK;
    uint64_t *m = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (m == MAP_FAILED)
        fail("mmap: %m");
    for (unsigned round = 0; round < 2; round++)
        for (size_t i = 0; i < size / 8; i += 512) {
            if (m[i] != word(i) + round)
                fail("mapped word %zu is wrong in round %u", i, round);
            m[i] += round ? (uint64_t)-1 : 1;
        }
    munmap(m, size);
}

/* Read it through private mappings, whose every 64th page gets a copy. */
static void map_private(int fd, long chunks)
{
    enum { AT_ONCE = 64 };
    for (long c = 0; c < chunks; c += AT_ONCE) {
        uint64_t first = (uint64_t)(c * WORDS), n = AT_ONCE * WORDS;
        uint64_t *m = mmap(NULL, n * 8, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, c * CHUNK);
        if (m == MAP_FAILED)
            fail("mmap: %m");
        for (uint64_t i = 0; i < n; i += 512) {
            if (m[i] != word(first + i))
                fail("privately mapped word %llu is wrong", (unsigned long long)(first + i));
            if (i % (64 * 512) == 0)
                m[i] = i;
        }
        for (uint64_t i = 0; i < n; i += 64 * 512)
            if (m[i] != i)
                fail("a private copy is gone");
        munmap(m, n * 8);
    }
}

static void small_files(const char *dir)
{
    char name[256], got[64], want[64];
    for (int i = 0; i < SMALL_FILES; i++) {
        snprintf(name, sizeof(name), "%s/small%d", dir, i);
        int fd = open(name, O_CREAT | O_TRUNC | O_WRONLY, 0644);
        int n = snprintf(want, sizeof(want), "content of file %d", i);
        if (fd < 0 || write(fd, want, (size_t)n) != n || pwrite(fd, want, (size_t)n, 30000) != n)
            fail("%s: %m", name);
        close(fd);
    }
    for (int i = 0; i < SMALL_FILES; i++) {
        snprintf(name, sizeof(name), "%s/small%d", dir, i);
        int fd = open(name, O_RDONLY), n = snprintf(want, sizeof(want), "content of file %d", i);
        if (fd < 0 || pread(fd, got, sizeof(got), 30000) != n || memcmp(got, want, (size_t)n))
            fail("%s is wrong", name);
        close(fd);
        unlink(name);
    }
}

/* A program on the disk: its own pages are clean ones that may be taken at any time. Answers each byte with the next. */
static int echo(void)
{
    unsigned char c;
    while (read(0, &c, 1) == 1) {
        c++;
        if (write(1, &c, 1) != 1)
            return 1;
    }
    return 0;
}

static int to[2], from[2];

static pid_t start_echo(const char *dir)
{
    char name[256];
    snprintf(name, sizeof(name), "%s/program", dir);
    int in = open("/proc/self/exe", O_RDONLY), out = open(name, O_CREAT | O_TRUNC | O_WRONLY, 0755);
    for (ssize_t n; (n = read(in, chunk, CHUNK)) != 0;)
        if (n < 0 || write(out, chunk, (size_t)n) != n)
            fail("copy: %m");
    close(in);
    close(out);
    if (pipe2(to, O_CLOEXEC) || pipe2(from, O_CLOEXEC))
        fail("pipe: %m");
    pid_t pid = fork();
    if (pid == 0) {
        dup2(to[0], 0);
        dup2(from[1], 1);
        execl(name, name, "echo", (char *)NULL);
        _exit(127);
    }
    close(to[0]);
    close(from[1]);
    return pid;
}

static void ask_echo(unsigned char c)
{
    unsigned char got = 0;
    if (write(to[1], &c, 1) != 1 || read(from[0], &got, 1) != 1 || got != (unsigned char)(c + 1))
        fail("the program on the disk answers %u to %u", got, c);
}

static void check_meminfo(void)
{
    long total = meminfo("MemTotal"), available = meminfo("MemAvailable"),
         cached = meminfo("Cached"), dirty = meminfo("Dirty");
    if (available < total / 2)
        fail("of %ld kB only %ld are said to be available", total, available);
    if (cached < total / 4)
        fail("of %ld kB only %ld hold pages of files", total, cached);
    if (dirty > total / 3)
        fail("%ld of %ld kB are dirty", dirty, total);
}

int main(int argc, char **argv)
{
    if (argc == 2)
        return echo();
    char name[256];
    long chunks = atol(argv[2]) * 16;
    snprintf(name, sizeof(name), "%s/big", argv[1]);
    int fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0644);
    if (fd < 0)
        fail("%s: %m", name);
    pid_t child = start_echo(argv[1]);
    ask_echo(1);
    make_big(fd, chunks);
    ask_echo(2);
    unsigned char *locked = mmap(NULL, LOCKED, PROT_READ, MAP_SHARED, fd, 0), here[LOCKED / 4096];
    if (locked == MAP_FAILED || mlock(locked, LOCKED))
        fail("mlock: %m");
    pid_t other = fork();
    if (other == 0) {
        map_private(fd, chunks);
        _exit(0);
    }
    read_big(fd, chunks);
    int status;
    if (waitpid(other, &status, 0) != other || status)
        fail("the other reader ended with 0x%x", status);
    map_big(fd, chunks);
    ask_echo(3);
    check_meminfo();
    if (mincore(locked, LOCKED, here))
        fail("mincore: %m");
    for (int i = 0; i < LOCKED / 4096; i++)
        if (!(here[i] & 1))
            fail("locked page %d is gone", i);
    small_files(argv[1]);
    close(to[1]);
    if (waitpid(child, &status, 0) != child || status)
        fail("the program on the disk ended with 0x%x", status);
    if (unlink(name))
        fail("unlink: %m");
    puts("pressure: ok");
    return 0;
}
