/* SPDX-License-Identifier: MIT */
/* cachestat(2): how much of a file is in memory. */
#define _GNU_SOURCE
#include <t.h>

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef SYS_cachestat
#define SYS_cachestat 451
#endif

enum { PAGE = 4096 };

struct range {
    uint64_t off, len;
};

struct answer {
    uint64_t cached, dirty, writeback, evicted, recently_evicted;
};

static uint64_t cached(long fd, uint64_t off, uint64_t len)
{
    struct range r = { off, len };
    struct answer a = { 99, 99, 99, 99, 99 };
    CHECK(0, call(SYS_cachestat, fd, &r, &a, 0));
    CHECK(true, a.dirty <= a.cached && a.writeback <= a.cached);
    return a.cached;
}

static void put(long fd, uint64_t page)
{
    CHECK(1, call(SYS_pwrite64, fd, "x", 1, page * PAGE));
}

int main(void)
{
    struct range r = { 0, 0 };
    struct answer a;
    long fd = call(SYS_memfd_create, "t", 0);
    CHECK(0, cached(fd, 0, 0));
    put(fd, 0);
    CHECK(1, cached(fd, 0, 0));
    for (int i = 1; i < 200; i++)
        put(fd, (uint64_t)i);
    CHECK(200, cached(fd, 0, 0));
    CHECK(200, cached(fd, 0, 1 << 30));
    CHECK(100, cached(fd, 100 * PAGE, 0));
    CHECK(2, cached(fd, 100 * PAGE + 1, PAGE));
    CHECK(1, cached(fd, 100 * PAGE, 1));
    CHECK(64, cached(fd, 60 * PAGE, 64 * PAGE));
    CHECK(0, cached(fd, 200 * PAGE, 0));
    CHECK(0, cached(fd, ~0ull - 5 * PAGE, 0));
    put(fd, 1ull << 30); /* far away */
    CHECK(201, cached(fd, 0, 0));
    CHECK(1, cached(fd, 1ull << 40, 1ull << 42));
    CHECK(1, cached(fd, 1ull << 42, PAGE));
    CHECK(0, call(SYS_fallocate, fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 10 * PAGE,
                  20 * PAGE));
    CHECK(181, cached(fd, 0, 0));
    CHECK(0, call(SYS_ftruncate, fd, 0));
    CHECK(0, cached(fd, 0, 0));

    CHECK(-EFAULT, call(SYS_cachestat, fd, T_BAD, &a, 0));
    CHECK(-EFAULT, call(SYS_cachestat, fd, &r, T_BAD, 0));
    CHECK(-EINVAL, call(SYS_cachestat, fd, &r, &a, 1));
    CHECK(-EBADF, call(SYS_cachestat, -1, &r, &a, 0));
    CHECK(-EBADF, call(SYS_cachestat, 1000, T_BAD, T_BAD, 1));
    int fds[2];
    CHECK(0, call(SYS_pipe2, fds, 0));
    CHECK(0, cached(fds[0], 0, 0));
    long path = call(SYS_open, "/", O_PATH);
    CHECK(true, path >= 0);
    CHECK(-EBADF, call(SYS_cachestat, path, &r, &a, 0));
    call(SYS_close, fd);
    return t_end();
}
