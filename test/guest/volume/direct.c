/* SPDX-License-Identifier: MIT */
/* Direct and synchronous transfers on an ext4 disk: the same bytes whichever way they are written and read. Usage: direct DIR */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

enum { SIZE = 1 << 20, PAGE = 4096 };
static char model[SIZE + PAGE];
static int failed;

#define CHECK(want, got)                                                                           \
    do {                                                                                           \
        long want_ = (want), got_ = (got);                                                         \
        if (want_ != got_) {                                                                       \
            printf("%d: %s: want %ld, got %ld\n", __LINE__, #got, want_, got_);                    \
            failed = 1;                                                                            \
        }                                                                                          \
    } while (0)
#define ERR(call) ((call) < 0 ? -errno : 0)

static unsigned long seed = 1;
static unsigned rnd(unsigned n)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(seed >> 33) % n;
}

static void alignment(int fd, char *buf)
{
    struct iovec v[2] = { { buf, 512 }, { buf + 1024, 512 } };
    CHECK(-EINVAL, ERR(pread(fd, buf, 100, 0)));
    CHECK(-EINVAL, ERR(pread(fd, buf, 512, 100)));
    CHECK(-EINVAL, ERR(pwrite(fd, buf, 100, 512)));
    CHECK(1024, preadv(fd, v, 2, 0));
    v[0].iov_len = 100;
    CHECK(-EINVAL, ERR(preadv(fd, v, 2, 0)));
    CHECK(-EFAULT, ERR(pwrite(fd, (void *)PAGE, PAGE, 0)));
    CHECK(-EFAULT, ERR(pread(fd, (void *)PAGE, PAGE, 0)));
    CHECK(0, pread(fd, buf, PAGE, 64 << 20));
}

/* Three ways to one file, and a model of it in memory. */
static void ways(int plain, int direct, char *buf)
{
    char *map = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, plain, 0);
    for (unsigned i = 0; i < 600 && !failed; i++) {
        size_t len = (1 + rnd(64)) * 512, at = rnd((SIZE - 64 * 512) / 512) * 512;
        int fd = rnd(3) ? direct : plain;
        switch (rnd(5)) {
        case 0:
        case 1:
            memset(buf, (int)i, len);
            memcpy(model + at, buf, len);
            CHECK((long)len, pwrite(fd, buf, len, (off_t)at));
            break;
        case 2:
            if (rnd(8) == 0) {
                memset(map + at, (int)~i, len);
                memset(model + at, (int)~i, len);
            }
            break;
        default:
            memset(buf, 0xee, len);
            CHECK((long)len, pread(fd, buf, len, (off_t)at));
            CHECK(0, memcmp(buf, model + at, len) != 0);
        }
        if (rnd(16) == 0)
            CHECK(0, posix_fadvise(plain, 0, 0, POSIX_FADV_DONTNEED));
        if (rnd(16) == 0)
            CHECK(0, ERR(fdatasync(plain)));
    }
    CHECK(0, memcmp(map, model, SIZE) != 0);
    munmap(map, SIZE);
}

static void end_of_file(const char *name, char *buf)
{
    int fd = open(name, O_RDWR | O_DIRECT | O_CREAT | O_TRUNC, 0644);
    CHECK(PAGE, write(fd, buf, PAGE));
    CHECK(0, ERR(ftruncate(fd, 5000)));
    CHECK(5000, pread(fd, buf, 8192, 0));
    CHECK(392, pread(fd, buf, 512, 4608));
    struct iovec v = { buf, PAGE };
    CHECK(PAGE, pwritev2(fd, &v, 1, 0, RWF_NOWAIT));
    CHECK(-EAGAIN, ERR(pwritev2(fd, &v, 1, 65536, RWF_NOWAIT))); /* has to find room */
    CHECK(PAGE, pwritev2(fd, &v, 1, 0, RWF_SYNC));
    close(fd);
    fd = open(name, O_RDWR | O_SYNC);
    CHECK(PAGE, pread(fd, buf, PAGE, 0));
    CHECK(PAGE, preadv2(fd, &v, 1, 0, RWF_NOWAIT));
    CHECK(-EOPNOTSUPP, ERR(pwritev2(fd, &v, 1, 0, RWF_NOWAIT)));
    CHECK(10, pwrite(fd, buf, 10, 0));
    CHECK(0, ERR(sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE)));
    CHECK(0, ERR(syncfs(fd)));
    close(fd);
}

int main(int argc, char **argv)
{
    char name[256], *buf = aligned_alloc(PAGE, 64 * 512 + PAGE);
    snprintf(name, sizeof(name), "%s/direct", argc > 1 ? argv[1] : ".");
    int plain = open(name, O_RDWR | O_CREAT | O_TRUNC, 0644),
        direct = open(name, O_RDWR | O_DIRECT);
    for (size_t i = 0; i < SIZE; i++)
        model[i] = (char)(i ^ i >> 9);
    CHECK(SIZE, write(plain, model, SIZE));
    alignment(direct, buf);
    ways(plain, direct, buf);
    end_of_file(name, buf);
    unlink(name);
    puts(failed ? "failed" : "direct: ok");
    return failed;
}
