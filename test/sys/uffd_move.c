/* SPDX-License-Identifier: MIT */
/* UFFDIO_MOVE of userfaultfd(2): pages change their place without being copied. */
#define _GNU_SOURCE
#include <t.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PAGE = 4096, N = 8, SIZE = N * PAGE };

#ifndef UFFDIO_MOVE
struct uffdio_move {
    __u64 dst, src, len, mode;
    __s64 move;
};
#define UFFDIO_MOVE _IOWR(UFFDIO, 5, struct uffdio_move)
enum { UFFDIO_MOVE_MODE_DONTWAKE = 1, UFFDIO_MOVE_MODE_ALLOW_SRC_HOLES = 2 };
#define UFFD_FEATURE_MOVE (1 << 16)
#endif

static int fd;
static char *from, *to;
static int64_t moved; /* what the last call said of how much */

static char *map(int prot, int flags, int file)
{
    return mmap(NULL, SIZE, prot, flags, file, 0);
}

static char *anonymous(void)
{
    return map(PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
}

static void fill(char *m, int first, int n)
{
    for (int i = first; i < first + n; i++)
        memset(m + i * PAGE, 'a' + i, PAGE);
}

static long watch(void *m, uint64_t mode)
{
    struct uffdio_register r = { { (uintptr_t)m, SIZE }, mode, 0 };
    long err = call(SYS_ioctl, fd, UFFDIO_REGISTER, &r);
    if (!err)
        CHECK(1 << 5, r.ioctls & 1 << 5);
    return err;
}

static long move(void *dst, void *src, size_t n, uint64_t mode)
{
    struct uffdio_move m = { (uintptr_t)dst, (uintptr_t)src, n, mode, 12345 };
    long err = call(SYS_ioctl, fd, UFFDIO_MOVE, &m);
    moved = m.move;
    return err;
}

static void begin(void)
{
    struct uffdio_api a = { .api = UFFD_API, .features = UFFD_FEATURE_MOVE };
    fd = (int)call(SYS_userfaultfd, O_CLOEXEC);
    CHECK(true, fd >= 0);
    CHECK(0, call(SYS_ioctl, fd, UFFDIO_API, &a));
    from = anonymous();
    to = anonymous();
    CHECK(0, watch(to, UFFDIO_REGISTER_MODE_MISSING));
}

static void end(void)
{
    close(fd);
    munmap(from, SIZE);
    munmap(to, SIZE);
}

static void whole(void)
{
    begin();
    fill(from, 0, N);
    CHECK(0, move(to, from, SIZE, 0));
    CHECK(SIZE, moved);
    for (int i = 0; i < N; i++) {
        CHECK('a' + i, to[i * PAGE]);
        CHECK('a' + i, to[i * PAGE + PAGE - 1]);
        CHECK(0, from[i * PAGE]); /* nothing is there */
    }
    to[5] = 'x';
    CHECK('x', to[5]);
    end();
}

/* Out of the middle of a large page, and all of one. */
static void large(void)
{
    enum { LARGE = 2 << 20, AT = LARGE / 2 };
    struct uffdio_api a = { .api = UFFD_API, .features = UFFD_FEATURE_MOVE };
    const int rw = PROT_READ | PROT_WRITE, flags = MAP_PRIVATE | MAP_ANONYMOUS;
    char *m = mmap(NULL, 4 * LARGE, rw, flags, -1, 0);
    char *src = (char *)(((uintptr_t)m + LARGE - 1) & ~((uintptr_t)LARGE - 1)), *dst = src + LARGE;
    madvise(src, LARGE, MADV_HUGEPAGE); /* where there are any */
    for (int i = 0; i < LARGE / PAGE; i++)
        memset(src + i * PAGE, i % 251 + 1, PAGE);
    fd = (int)call(SYS_userfaultfd, O_CLOEXEC);
    CHECK(0, call(SYS_ioctl, fd, UFFDIO_API, &a));
    struct uffdio_register r = { { (uintptr_t)dst, LARGE }, UFFDIO_REGISTER_MODE_MISSING, 0 };
    CHECK(0, call(SYS_ioctl, fd, UFFDIO_REGISTER, &r));
    CHECK(0, move(dst, src + AT, 3 * PAGE, 0));
    CHECK(3 * PAGE, moved);
    for (int i = 0; i < LARGE / PAGE; i++) {
        bool gone = i >= AT / PAGE && i < AT / PAGE + 3;
        CHECK(gone ? 0 : (char)(i % 251 + 1), src[i * PAGE + 7]);
        if (gone)
            CHECK((char)(i % 251 + 1), dst[(i - AT / PAGE) * PAGE + 9]);
    }
    CHECK(0, munmap(dst, LARGE));
    CHECK(dst, (char *)mmap(dst, LARGE, rw, flags | MAP_FIXED, -1, 0));
    CHECK(0, call(SYS_ioctl, fd, UFFDIO_REGISTER, &r));
    CHECK(0, munmap(src, LARGE));
    CHECK(src, (char *)mmap(src, LARGE, rw, flags | MAP_FIXED, -1, 0));
    madvise(src, LARGE, MADV_HUGEPAGE);
    memset(src, 5, LARGE);
    CHECK(0, move(dst, src, LARGE, 0));
    CHECK(LARGE, moved);
    CHECK(5, dst[0]);
    CHECK(5, dst[LARGE - 1]);
    CHECK(0, src[LARGE - 1]);
    close(fd);
    munmap(m, 4 * LARGE);
}

/* There, and not there. */
static void holes(void)
{
    unsigned char in[N];
    begin();
    fill(from, 0, N);
    CHECK(0, madvise(from + 2 * PAGE, PAGE, MADV_DONTNEED));
    CHECK(0, madvise(from + 5 * PAGE, 3 * PAGE, MADV_DONTNEED));
    CHECK(-EAGAIN, move(to, from, SIZE, 0));
    CHECK(2 * PAGE, moved);
    CHECK('b', to[PAGE]);
    CHECK(-ENOENT, move(to + 2 * PAGE, from + 2 * PAGE, PAGE, 0));
    CHECK(-ENOENT, moved);
    CHECK(-EEXIST, move(to, from + 3 * PAGE, PAGE, 0));
    CHECK(-EEXIST, moved);
    CHECK('d', from[3 * PAGE]);
    CHECK(0, move(to + 2 * PAGE, from + 2 * PAGE, 6 * PAGE, UFFDIO_MOVE_MODE_ALLOW_SRC_HOLES));
    CHECK(6 * PAGE, moved);
    CHECK(0, mincore(to, SIZE, in));
    CHECK(0, in[2] & 1);
    CHECK(1, in[3] & 1);
    CHECK('d', to[3 * PAGE]);
    CHECK('e', to[4 * PAGE]);
    CHECK(0, in[5] & 1);
    end();
    begin();
    CHECK(0, ((volatile char *)from)[0]); /* the page of zeros */
    CHECK(0, move(to, from, PAGE, 0));
    CHECK(0, mincore(to, PAGE, in));
    CHECK(1, in[0] & 1);
    CHECK(0, to[9]);
    to[9] = 'y';
    CHECK('y', to[9]);
    CHECK(0, from[9]);
    end();
}

static void errors(void)
{
    begin();
    fill(from, 0, N);
    CHECK(-EINVAL, move(to, from, PAGE, 4));
    CHECK(12345, moved);
    CHECK(-EINVAL, move(to + 1, from, PAGE, 0));
    CHECK(-EINVAL, move(to, from + 1, PAGE, 0));
    CHECK(-EINVAL, move(to, from, 0, 0));
    CHECK(-EINVAL, move(to, from, PAGE + 1, 0));
    CHECK(-EINVAL, move(from, to, PAGE, 0));        /* not watched */
    CHECK(-EINVAL, move(to, from, SIZE + PAGE, 0)); /* more than there is */
    CHECK(-EFAULT, call(SYS_ioctl, fd, UFFDIO_MOVE, T_BAD));
    CHECK(0, mprotect(from, SIZE, PROT_READ));
    CHECK(-EINVAL, move(to, from, PAGE, 0));
    CHECK(0, mprotect(from, SIZE, PROT_READ | PROT_WRITE));
    char *other = map(PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1);
    other[0] = 1;
    CHECK(-EINVAL, move(to, other, PAGE, 0));
    CHECK(0, watch(other, UFFDIO_REGISTER_MODE_MISSING));
    CHECK(-EINVAL, move(other + PAGE, from, PAGE, 0));
    munmap(other, SIZE);
    CHECK(0, mlock(from, PAGE));
    CHECK(-EINVAL, move(to, from, PAGE, 0));
    CHECK(0, munlock(from, SIZE));
    CHECK(0, move(to, from, PAGE, 0));
    end();
}

/* A page that a child has too cannot go. */
static void shared(void)
{
    int tell[2], status;
    char c;
    begin();
    fill(from, 0, N);
    CHECK(0, pipe(tell));
    pid_t pid = fork();
    if (!pid) {
        close(tell[1]);
        _exit(read(tell[0], &c, 1) != 0 || from[0] != 'a');
    }
    close(tell[0]);
    CHECK(-EBUSY, move(to, from, PAGE, 0));
    CHECK(-EBUSY, moved);
    from[0] = 'z'; /* its own copy now */
    CHECK(0, move(to, from, PAGE, 0));
    CHECK('z', to[0]);
    close(tell[1]);
    CHECK(pid, waitpid(pid, &status, 0));
    CHECK(0, status);
    end();
}

static void *touch(void *arg)
{
    return (void *)(intptr_t) * (volatile char *)arg;
}

static char touched(pthread_t t)
{
    void *saw;
    pthread_join(t, &saw);
    return (char)(intptr_t)saw;
}

/* Who waits for the page goes on when it comes, or when told. */
static void waited_for(void)
{
    struct uffd_msg m;
    pthread_t t;
    begin();
    fill(from, 0, N);
    pthread_create(&t, NULL, touch, to);
    CHECK(sizeof(m), read(fd, &m, sizeof(m)));
    CHECK((uintptr_t)to, m.arg.pagefault.address);
    CHECK(0, move(to, from, PAGE, 0));
    CHECK('a', touched(t));
    pthread_create(&t, NULL, touch, to + PAGE);
    CHECK(sizeof(m), read(fd, &m, sizeof(m)));
    CHECK(0, move(to + PAGE, from + PAGE, PAGE, UFFDIO_MOVE_MODE_DONTWAKE));
    struct uffdio_range r = { (uintptr_t)to + PAGE, PAGE };
    CHECK(0, call(SYS_ioctl, fd, UFFDIO_WAKE, &r));
    CHECK('b', touched(t));
    end();
}

int main(void)
{
    whole();
    large();
    holes();
    errors();
    shared();
    waited_for();
    return t_end();
}
