/* SPDX-License-Identifier: MIT */
/* The two halves of the power-cut test. `work SEED STEPS`: change files and sync them, with a mark in the disk's log whenever
 * something was promised. `verify FILE`: after a cut, everything that FILE says was promised is there, and nothing is there
 * that was never written. */
#define _GNU_SOURCE

#include <t.h>

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>

enum { FILES = 8, SIZE_MAX_ = 60000, RECORD = 100 };

/* What a mark promises: kind, file, generation. */
enum { PROMISE_FILE = 1, PROMISE_LOG = 2 };

extern char **t_argv;
void disk_mark(uint64_t number);
int t_main(void);

static char buf[SIZE_MAX_], got[SIZE_MAX_ + 1];
static uint64_t state;

static uint32_t next(uint32_t n)
{
    state = state * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t)(state >> 33) % n;
}

/* Content of file i in generation g; its size. Every byte says where it belongs. */
static size_t content(unsigned i, unsigned g, char *p)
{
    size_t size = (g * 7919u + i * 131u) % SIZE_MAX_ + 8;
    for (size_t at = 0; at < size; at++)
        p[at] = (char)(at * 13 + i * 29 + g * 101 + (at >> 8) + 1);
    memcpy(p, &g, 4);
    return size;
}

static void promise(unsigned kind, unsigned file, unsigned g)
{
    disk_mark((uint64_t)kind << 56 | (uint64_t)file << 48 | g);
}

static long open_file(const char *name, int flags)
{
    long fd = call(SYS_open, name, flags, 0644);
    CHECK(true, fd >= 0);
    return fd;
}

/* A new generation beside the old one, then in its place. */
static void replace(unsigned i, unsigned g, long dir)
{
    char name[32];
    sprintf(name, "/mnt/file%u", i);
    size_t n = content(i, g, buf);
    long fd = open_file("/mnt/new", O_WRONLY | O_CREAT | O_TRUNC);
    CHECK(n, call(SYS_write, fd, buf, n));
    CHECK(0, call(SYS_fsync, fd));
    CHECK(0, call(SYS_close, fd));
    CHECK(0, call(SYS_rename, "/mnt/new", name));
    if (next(2)) {
        CHECK(0, call(SYS_fsync, dir));
        promise(PROMISE_FILE, i, g);
    }
}

/* What nobody promises, but must leave a whole file system: names, holes, truncation, directories. */
static void disturb(unsigned step)
{
    char name[32], other[32];
    sprintf(name, "/mnt/d/x%u", next(40));
    sprintf(other, "/mnt/d/y%u", next(40));
    switch (next(7)) {
    case 0:
        (void)call(SYS_mkdir, name, 0755);
        break;
    case 1:
        (void)call(SYS_rmdir, name);
        break;
    case 2:
        (void)call(SYS_rename, name, other);
        break;
    case 3:
        (void)call(SYS_unlink, other);
        break;
    case 4:
        (void)call(SYS_link, other, name);
        break;
    default: {
        long fd = call(SYS_open, other, O_RDWR | O_CREAT, 0600);
        if (fd < 0)
            break;
        memset(buf, (int)step, 20000);
        (void)call(SYS_pwrite64, fd, buf, next(20000), next(300000));
        if (next(3) == 0)
            (void)call(SYS_ftruncate, fd, next(200000));
        if (next(4) == 0)
            (void)call(SYS_fallocate, fd, next(2) ? 3 : 0, next(100000), 1 + next(100000));
        if (next(5) == 0)
            (void)call(SYS_fsync, fd);
        CHECK(0, call(SYS_close, fd));
    }
    }
}

static int work(unsigned seed, unsigned steps)
{
    unsigned generation[FILES] = { 0 }, records = 0;
    state = seed;
    CHECK(0, call(SYS_mount, "/dev/disk", "/mnt", "ext4", 0, 0));
    CHECK(0, call(SYS_mkdir, "/mnt/d", 0755));
    long dir = open_file("/mnt", O_RDONLY | O_DIRECTORY);
    long log = open_file("/mnt/log", O_WRONLY | O_CREAT | O_APPEND);
    CHECK(0, call(SYS_fsync, dir));
    for (unsigned s = 0; s < steps; s++) {
        unsigned i = next(FILES);
        switch (next(4)) {
        case 0:
            replace(i, ++generation[i], dir);
            break;
        case 1:
            memset(buf, 'a' + (int)(records % 26), RECORD);
            memcpy(buf, &records, 4);
            CHECK(RECORD, call(SYS_write, log, buf, RECORD));
            CHECK(0, call(SYS_fdatasync, log));
            promise(PROMISE_LOG, 0, ++records);
            break;
        default:
            disturb(s);
        }
    }
    CHECK(0, call(SYS_close, dir));
    CHECK(0, call(SYS_close, log));
    CHECK(0, call(SYS_umount2, "/mnt", 0));
    return t_end();
}

static void verify_file(unsigned i, unsigned promised)
{
    char name[32];
    unsigned g;
    sprintf(name, "/mnt/file%u", i);
    long fd = call(SYS_open, name, O_RDONLY), n;
    if (fd < 0) {
        CHECK(0, promised);
        return;
    }
    n = call(SYS_read, fd, got, sizeof(got));
    CHECK(true, n >= 8);
    memcpy(&g, got, 4);
    CHECK(true, g >= promised);
    CHECK(content(i, g, buf), n);
    CHECK(0, memcmp(buf, got, (size_t)n));
    CHECK(0, call(SYS_close, fd));
}

static void verify_log(unsigned promised)
{
    char record[RECORD];
    long fd = call(SYS_open, "/mnt/log", O_RDONLY), n;
    unsigned k = 0, k2;
    if (fd < 0) {
        CHECK(0, promised);
        return;
    }
    while ((n = call(SYS_read, fd, record, RECORD)) == RECORD) {
        memcpy(&k2, record, 4);
        CHECK(k, k2);
        CHECK('a' + (int)(k % 26), record[RECORD - 1]);
        k++;
    }
    CHECK(true, k >= promised);
    CHECK(0, call(SYS_close, fd));
}

static int verify(const char *promises)
{
    unsigned files[FILES] = { 0 }, log = 0;
    unsigned long long number;
    FILE *f = fopen(promises, "r");
    while (f && fscanf(f, "%llu", &number) == 1) {
        unsigned g = (unsigned)number;
        if (number >> 56 == PROMISE_LOG)
            log = g;
        else
            files[number >> 48 & 0xff] = g;
    }
    CHECK(0, call(SYS_mount, "/dev/disk", "/mnt", "ext4", 0, 0));
    for (unsigned i = 0; i < FILES; i++)
        verify_file(i, files[i]);
    verify_log(log);
    CHECK(0, call(SYS_umount2, "/mnt", 0));
    return t_end();
}

int t_main(void)
{
    if (!strcmp(t_argv[0], "work"))
        return work((unsigned)atoi(t_argv[1]), (unsigned)atoi(t_argv[2]));
    return verify(t_argv[1]);
}
