/* SPDX-License-Identifier: MIT */
/* userfaultfd(2): missing pages, writes to watched pages, pages that are there but not mapped; of private and of shared memory. */
#define _GNU_SOURCE
#include <t.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef UFFD_USER_MODE_ONLY
#define UFFD_USER_MODE_ONLY 1
#endif
#ifndef UFFD_FEATURE_WP_UNPOPULATED
#define UFFD_FEATURE_WP_UNPOPULATED (1 << 13)
#endif

enum { PAGE = 4096, N = 8 };

static char source[N * PAGE] __attribute__((aligned(PAGE)));
static int tids[2];

static char *map(int flags, int fd)
{
    return (char *)call(SYS_mmap, NULL, N * PAGE, PROT_READ | PROT_WRITE, flags, fd, 0);
}

static int open_with(uint64_t features, int flags)
{
    int fd = (int)call(SYS_userfaultfd, O_CLOEXEC | flags);
    struct uffdio_api a = { .api = UFFD_API, .features = features };
    CHECK(true, fd >= 0);
    CHECK(0, call(SYS_ioctl, fd, UFFDIO_API, &a));
    CHECK(UFFD_API, a.api);
    CHECK(features, a.features & features);
    return fd;
}

static long enlist(int fd, void *m, uint64_t mode)
{
    struct uffdio_register r = { { (uintptr_t)m, N * PAGE }, mode, 0 };
    long err = call(SYS_ioctl, fd, UFFDIO_REGISTER, &r);
    if (!err)
        CHECK(1 << 2 | 1 << 3 | 1 << 4, r.ioctls & (1 << 2 | 1 << 3 | 1 << 4));
    return err;
}

static long copy(int fd, void *to, const void *from, size_t n, uint64_t mode)
{
    struct uffdio_copy c = { (uintptr_t)to, (uintptr_t)from, n, mode, 0 };
    long err = call(SYS_ioctl, fd, UFFDIO_COPY, &c);
    CHECK(err ? err == -EAGAIN ? PAGE : err : (long)n, c.copy);
    return err;
}

static long zero(int fd, void *to, size_t n)
{
    struct uffdio_zeropage z = { { (uintptr_t)to, n }, 0, 0 };
    return call(SYS_ioctl, fd, UFFDIO_ZEROPAGE, &z);
}

static long protect(int fd, void *at, size_t n, uint64_t mode)
{
    struct uffdio_writeprotect w = { { (uintptr_t)at, n }, mode };
    return call(SYS_ioctl, fd, UFFDIO_WRITEPROTECT, &w);
}

static struct uffd_msg next(int fd)
{
    struct uffd_msg m = { 0 };
    CHECK(sizeof m, read(fd, &m, sizeof m));
    CHECK(UFFD_EVENT_PAGEFAULT, m.event);
    return m;
}

/* A thread that touches memory, and what it saw. */
struct touch {
    volatile char *at;
    bool write;
    char saw;
    pthread_t thread;
};

static void *toucher(void *arg)
{
    struct touch *t = arg;
    tids[1] = (int)call(SYS_gettid);
    if (t->write)
        *t->at = 'w';
    t->saw = *t->at;
    return NULL;
}

static void start(struct touch *t, void *at, bool write)
{
    *t = (struct touch){ .at = at, .write = write };
    pthread_create(&t->thread, NULL, toucher, t);
}

static char finish(struct touch *t)
{
    pthread_join(t->thread, NULL);
    return t->saw;
}

static void errors(void)
{
    char *m = map(MAP_PRIVATE | MAP_ANONYMOUS, -1);
    struct uffd_msg msg;
    CHECK(-EINVAL, call(SYS_userfaultfd, 0x40));
    int fd = (int)call(SYS_userfaultfd, O_NONBLOCK);
    struct pollfd p = { fd, POLLIN, 0 };
    CHECK(1, call(SYS_poll, &p, 1, 0));
    CHECK(POLLERR, p.revents);
    CHECK(-EINVAL, read(fd, &msg, sizeof msg) < 0 ? -errno : 0);
    CHECK(-EINVAL, enlist(fd, m, UFFDIO_REGISTER_MODE_MISSING));
    struct uffdio_api a = { .api = 1 };
    CHECK(-EINVAL, call(SYS_ioctl, fd, UFFDIO_API, &a));
    a = (struct uffdio_api){ .api = UFFD_API, .features = 1ull << 60 };
    CHECK(-EINVAL, call(SYS_ioctl, fd, UFFDIO_API, &a));
    CHECK(0, a.api);
    a = (struct uffdio_api){ .api = UFFD_API };
    CHECK(0, call(SYS_ioctl, fd, UFFDIO_API, &a));
    CHECK(UFFD_FEATURE_THREAD_ID, a.features & UFFD_FEATURE_THREAD_ID);
    CHECK(1 | 2 | 1ull << 63, a.ioctls);
    a = (struct uffdio_api){ .api = UFFD_API };
    CHECK(-EINVAL, call(SYS_ioctl, fd, UFFDIO_API, &a));
    CHECK(0, call(SYS_poll, &p, 1, 0));
    CHECK(-EAGAIN, read(fd, &msg, sizeof msg) < 0 ? -errno : 0);
    CHECK(-EINVAL, read(fd, &msg, sizeof msg - 1) < 0 ? -errno : 0);
    CHECK(-EINVAL, enlist(fd, m, 0));
    CHECK(-EINVAL, enlist(fd, m, 64));
    CHECK(-EINVAL, enlist(fd, m + 1, UFFDIO_REGISTER_MODE_MISSING));
    CHECK(-EINVAL, enlist(fd, m, UFFDIO_REGISTER_MODE_MINOR)); /* private */
    CHECK(-ENOENT, copy(fd, m, source, PAGE, 0));
    CHECK(0, enlist(fd, m, UFFDIO_REGISTER_MODE_MISSING));
    int other = open_with(0, O_NONBLOCK);
    CHECK(-EBUSY, enlist(other, m, UFFDIO_REGISTER_MODE_MISSING));
    close(other);
    CHECK(-ENOENT, protect(fd, m, PAGE, UFFDIO_WRITEPROTECT_MODE_WP));
    CHECK(-EINVAL, protect(fd, m, PAGE, 3));
    struct uffdio_copy c = { (uintptr_t)m, (uintptr_t)source, PAGE, 64, 0 };
    CHECK(-EINVAL, call(SYS_ioctl, fd, UFFDIO_COPY, &c));
    CHECK(-EFAULT, copy(fd, m, T_BAD, PAGE, 0));
    CHECK(-EINVAL, call(SYS_ioctl, fd, 0x1234, 0));
    char *r = (char *)call(SYS_mmap, NULL, N * PAGE, PROT_READ, MAP_PRIVATE,
                           open("/proc/self/exe", O_RDONLY), 0);
    CHECK(-EINVAL, enlist(fd, r, UFFDIO_REGISTER_MODE_MISSING));
    munmap(r, N * PAGE);
    munmap(m, N * PAGE);
    CHECK(-EINVAL, enlist(fd, m, UFFDIO_REGISTER_MODE_MISSING));
    close(fd);
}

/* Pages that are not there, of private memory or of a file. */
static void missing(char *m)
{
    struct touch t, u;
    int fd = open_with(UFFD_FEATURE_THREAD_ID, O_NONBLOCK);
    struct pollfd p = { fd, POLLIN, 0 };
    m[7 * PAGE] = 7;
    CHECK(0, enlist(fd, m, UFFDIO_REGISTER_MODE_MISSING));
    CHECK(7, m[7 * PAGE]);
    start(&t, m + PAGE + 5, false);
    CHECK(1, poll(&p, 1, -1));
    struct uffd_msg msg = next(fd);
    CHECK(m + PAGE, msg.arg.pagefault.address);
    CHECK(0, msg.arg.pagefault.flags);
    CHECK(tids[1], msg.arg.pagefault.feat.ptid);
    CHECK(0, poll(&p, 1, 0)); /* told once */
    CHECK(0, copy(fd, m + PAGE, source + PAGE, PAGE, 0));
    CHECK(source[PAGE + 5], finish(&t));
    CHECK(-EEXIST, copy(fd, m + PAGE, source, PAGE, 0));
    CHECK(-EAGAIN, copy(fd, m, source, 2 * PAGE, 0)); /* the first only */
    CHECK('a', m[0]);
    start(&t, m + 2 * PAGE, true);
    CHECK(1, poll(&p, 1, -1));
    CHECK(UFFD_PAGEFAULT_FLAG_WRITE, next(fd).arg.pagefault.flags);
    CHECK(0, zero(fd, m + 2 * PAGE, PAGE));
    CHECK('w', finish(&t));
    CHECK(0, m[2 * PAGE + 1]);
    CHECK(-EEXIST, zero(fd, m + 2 * PAGE, PAGE));
    /* Two at once, one page; a system call; a page without waking. */
    start(&t, m + 3 * PAGE, false);
    start(&u, m + 3 * PAGE + 9, false);
    CHECK(1, poll(&p, 1, -1));
    next(fd);
    CHECK(0, copy(fd, m + 3 * PAGE, source, PAGE, 0));
    CHECK('a', finish(&t));
    CHECK('a', finish(&u));
    start(&t, m + 4 * PAGE, false);
    CHECK(1, poll(&p, 1, -1));
    while (read(fd, &msg, sizeof msg) == sizeof msg) /* of the other one, too */
        ;
    CHECK(0, copy(fd, m + 4 * PAGE, source, PAGE, UFFDIO_COPY_MODE_DONTWAKE));
    struct uffdio_range range = { (uintptr_t)m + 4 * PAGE, PAGE };
    CHECK(0, call(SYS_ioctl, fd, UFFDIO_WAKE, &range));
    CHECK('a', finish(&t));
    /* Who let go of pages faults anew; who leaves does not. */
    CHECK(0, madvise(m, PAGE, MADV_REMOVE) && madvise(m, PAGE, MADV_DONTNEED));
    start(&t, m, false);
    CHECK(1, poll(&p, 1, -1));
    CHECK(m, next(fd).arg.pagefault.address);
    range = (struct uffdio_range){ (uintptr_t)m, N * PAGE };
    CHECK(0, call(SYS_ioctl, fd, UFFDIO_UNREGISTER, &range));
    CHECK(0, finish(&t));
    CHECK(0, m[5 * PAGE]);
    CHECK(0, enlist(fd, m, UFFDIO_REGISTER_MODE_MISSING));
    start(&t, m + 6 * PAGE, false);
    CHECK(1, poll(&p, 1, -1));
    close(fd);
    CHECK(0, finish(&t)); /* nobody is there any more */
    munmap(m, N * PAGE);
}

/* System calls fault as well. */
struct writer {
    int fd;
    char *at;
    long result;
};

static void *write_from(void *arg)
{
    struct writer *w = arg;
    w->result = call(SYS_write, w->fd, w->at, 4);
    return NULL;
}

static void in_system_calls(void)
{
    char *m = map(MAP_PRIVATE | MAP_ANONYMOUS, -1), got[4];
    int fd = open_with(0, O_NONBLOCK), fds[2];
    struct pollfd p = { fd, POLLIN, 0 };
    pthread_t t;
    CHECK(0, pipe(fds));
    CHECK(0, enlist(fd, m, UFFDIO_REGISTER_MODE_MISSING));
    struct writer w = { fds[1], m, 0 };
    pthread_create(&t, NULL, write_from, &w);
    CHECK(1, poll(&p, 1, -1));
    next(fd);
    CHECK(0, copy(fd, m, source, PAGE, 0));
    pthread_join(t, NULL);
    CHECK(4, w.result);
    CHECK(4, read(fds[0], got, 4));
    CHECK('a', got[0]);
    close(fd);
    fd = open_with(0, UFFD_USER_MODE_ONLY);
    CHECK(0, enlist(fd, m, UFFDIO_REGISTER_MODE_MISSING));
    CHECK(-EFAULT, call(SYS_write, fds[1], m + PAGE, 4));
    close(fd);
    CHECK(4, call(SYS_write, fds[1], m + PAGE, 4));
    munmap(m, N * PAGE);
}

/* Writes to pages that are there. */
static void watched(char *m)
{
    struct touch t;
    int fd = open_with(UFFD_FEATURE_PAGEFAULT_FLAG_WP | UFFD_FEATURE_WP_UNPOPULATED, O_NONBLOCK);
    struct pollfd p = { fd, POLLIN, 0 };
    memset(m, 1, 4 * PAGE);
    CHECK(0, enlist(fd, m, UFFDIO_REGISTER_MODE_WP));
    m[0] = 2; /* not yet */
    CHECK(0, protect(fd, m, 6 * PAGE, UFFDIO_WRITEPROTECT_MODE_WP));
    CHECK(2, m[0]);
    CHECK(0, mprotect(m, N * PAGE, PROT_READ) || mprotect(m, N * PAGE, PROT_READ | PROT_WRITE));
    start(&t, m + PAGE, true);
    CHECK(1, poll(&p, 1, -1));
    struct uffd_msg msg = next(fd);
    CHECK(UFFD_PAGEFAULT_FLAG_WRITE | UFFD_PAGEFAULT_FLAG_WP, msg.arg.pagefault.flags);
    CHECK(m + PAGE, msg.arg.pagefault.address);
    CHECK(1, m[PAGE]); /* as it was */
    CHECK(0, protect(fd, m + PAGE, PAGE, 0));
    CHECK('w', finish(&t));
    m[PAGE] = 3;
    m[7 * PAGE] = 3;               /* not watched */
    start(&t, m + 5 * PAGE, true); /* watched, though there was no page */
    CHECK(1, poll(&p, 1, -1));
    CHECK(UFFD_PAGEFAULT_FLAG_WP, next(fd).arg.pagefault.flags & UFFD_PAGEFAULT_FLAG_WP);
    CHECK(0, protect(fd, m, N * PAGE, 0));
    CHECK('w', finish(&t));
    CHECK(0, protect(fd, m, PAGE, UFFDIO_WRITEPROTECT_MODE_WP));
    close(fd);
    m[0] = 4; /* nobody watches */
    CHECK(4, m[0]);
    munmap(m, N * PAGE);
}

static void copied_watched(void)
{
    struct touch t;
    char *m = map(MAP_PRIVATE | MAP_ANONYMOUS, -1);
    int fd = open_with(UFFD_FEATURE_PAGEFAULT_FLAG_WP, O_NONBLOCK);
    struct pollfd p = { fd, POLLIN, 0 };
    CHECK(0, enlist(fd, m, UFFDIO_REGISTER_MODE_MISSING));
    CHECK(-EINVAL, copy(fd, m, source, PAGE, UFFDIO_COPY_MODE_WP));
    CHECK(0, enlist(fd, m, UFFDIO_REGISTER_MODE_MISSING | UFFDIO_REGISTER_MODE_WP));
    CHECK(0, copy(fd, m, source, PAGE, UFFDIO_COPY_MODE_WP));
    CHECK('a', m[0]);
    start(&t, m, true);
    CHECK(1, poll(&p, 1, -1));
    CHECK(UFFD_PAGEFAULT_FLAG_WP, next(fd).arg.pagefault.flags & UFFD_PAGEFAULT_FLAG_WP);
    CHECK(0, protect(fd, m, PAGE, 0));
    CHECK('w', finish(&t));
    /* A child is nobody's. */
    int status, pid = fork();
    if (pid == 0)
        _exit(m[3 * PAGE]);
    CHECK(pid, waitpid(pid, &status, 0));
    CHECK(0, status);
    close(fd);
    munmap(m, N * PAGE);
}

/* The page is the file's already, and another mapping has written it. */
static void minor(void)
{
    struct touch t;
    int file = memfd_create("t", 0);
    CHECK(0, ftruncate(file, N * PAGE));
    char *m = map(MAP_SHARED, file), *other = map(MAP_SHARED, file);
    int fd = open_with(UFFD_FEATURE_MINOR_SHMEM, O_NONBLOCK);
    struct pollfd p = { fd, POLLIN, 0 };
    CHECK(0, enlist(fd, m, UFFDIO_REGISTER_MODE_MINOR));
    other[PAGE] = 'o';
    start(&t, m + PAGE, false);
    CHECK(1, poll(&p, 1, -1));
    CHECK(UFFD_PAGEFAULT_FLAG_MINOR, next(fd).arg.pagefault.flags);
    other[PAGE] = 'p';
    struct uffdio_continue c = { .range = { (uintptr_t)m + PAGE, PAGE } };
    CHECK(0, call(SYS_ioctl, fd, UFFDIO_CONTINUE, &c));
    CHECK(PAGE, c.mapped);
    CHECK('p', finish(&t));
    CHECK(-EEXIST, call(SYS_ioctl, fd, UFFDIO_CONTINUE, &c));
    c.range.start += PAGE;
    CHECK(-EFAULT, call(SYS_ioctl, fd, UFFDIO_CONTINUE, &c));
    CHECK(0, m[3 * PAGE]); /* a hole is no minor fault */
    close(fd);
    munmap(m, N * PAGE);
    munmap(other, N * PAGE);
    close(file);
}

static sigjmp_buf escape;
static int caught;

static void on_bus(int sig)
{
    caught = sig;
    siglongjmp(escape, 1);
}

static void on_usr(int sig)
{
    caught = sig;
}

static void by_signal(void)
{
    char *m = map(MAP_PRIVATE | MAP_ANONYMOUS, -1);
    int fd = open_with(UFFD_FEATURE_SIGBUS, O_NONBLOCK);
    CHECK(0, enlist(fd, m, UFFDIO_REGISTER_MODE_MISSING));
    signal(SIGBUS, on_bus);
    if (!sigsetjmp(escape, 1))
        CHECK(1, m[0] + 10000); /* not reached */
    CHECK(SIGBUS, caught);
    CHECK(-EFAULT, call(SYS_getcwd, m, 100));
    CHECK(0, copy(fd, m, source, PAGE, 0));
    CHECK('a', m[0]);
    close(fd);
    munmap(m, N * PAGE);
    /* A signal is served while a fault waits. */
    m = map(MAP_PRIVATE | MAP_ANONYMOUS, -1);
    fd = open_with(0, O_NONBLOCK);
    struct pollfd p = { fd, POLLIN, 0 };
    CHECK(0, enlist(fd, m, UFFDIO_REGISTER_MODE_MISSING));
    signal(SIGUSR1, on_usr);
    struct touch t;
    caught = 0;
    start(&t, m, false);
    CHECK(1, poll(&p, 1, -1));
    next(fd);
    pthread_kill(t.thread, SIGUSR1);
    CHECK(1, poll(&p, 1, -1)); /* it faults once more */
    CHECK(SIGUSR1, caught);
    CHECK(0, copy(fd, m, source, PAGE, 0));
    CHECK('a', finish(&t));
    close(fd);
    munmap(m, N * PAGE);
}

static char *of_file(void)
{
    int fd = memfd_create("t", 0);
    CHECK(0, ftruncate(fd, N * PAGE));
    char *m = map(MAP_SHARED, fd);
    close(fd);
    return m;
}

/* The file outlives the process whose faults it is about; the memory does not. */
static void after_death(void)
{
    enum { BIG = 48 << 20 };
    struct sysinfo before, after;
    struct uffdio_api api = { .api = UFFD_API };
    struct uffdio_register r = { .mode = UFFDIO_REGISTER_MODE_MISSING | UFFDIO_REGISTER_MODE_WP };
    struct uffdio_copy c = { .src = (unsigned long)source, .len = PAGE };
    struct uffdio_writeprotect w = { .mode = 0 };
    struct uffd_msg msg;
    volatile int *shared =
        mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    char *m = mmap(NULL, BIG, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int status = -1;
    sysinfo(&before);
    long pid = call(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0);
    if (!pid) {
        memset(m, 1, BIG);
        *shared = (int)call(SYS_userfaultfd, O_NONBLOCK);
        r.range.start = (unsigned long)m;
        r.range.len = BIG;
        _exit(call(SYS_ioctl, *shared, UFFDIO_API, &api) ||
              call(SYS_ioctl, *shared, UFFDIO_REGISTER, &r));
    }
    CHECK(pid, call(SYS_wait4, pid, &status, 0, NULL));
    CHECK(0, status);
    sysinfo(&after);
    if (t_alcove()) /* else others use memory as well */
        CHECK(true, after.freeram + BIG / 4 > before.freeram);
    long fd = *shared;
    c.dst = w.range.start = r.range.start = (unsigned long)m;
    w.range.len = r.range.len = PAGE;
    CHECK(-ESRCH, call(SYS_ioctl, fd, UFFDIO_COPY, &c));
    CHECK(-ESRCH, call(SYS_ioctl, fd, UFFDIO_WRITEPROTECT, &w));
    CHECK(-ENOMEM, call(SYS_ioctl, fd, UFFDIO_REGISTER, &r));
    CHECK(-ENOMEM, call(SYS_ioctl, fd, UFFDIO_UNREGISTER, &r.range));
    CHECK(0, call(SYS_ioctl, fd, UFFDIO_WAKE, &r.range));
    CHECK(-EAGAIN, call(SYS_read, fd, &msg, sizeof(msg)));
    CHECK(0, call(SYS_close, fd));
    CHECK(0, munmap(m, BIG));
    CHECK(0, munmap((void *)shared, PAGE));
}

int main(void)
{
    memset(source, 'a', PAGE);
    for (int i = 1; i < N; i++)
        memset(source + i * PAGE, 'a' + i, PAGE);
    errors();
    missing(map(MAP_PRIVATE | MAP_ANONYMOUS, -1));
    missing(of_file());
    in_system_calls();
    watched(map(MAP_PRIVATE | MAP_ANONYMOUS, -1));
    watched(of_file());
    copied_watched();
    minor();
    by_signal();
    after_death();
    return t_end();
}
