/* SPDX-License-Identifier: MIT */
/* userfaultfd(2): what is told beside faults (a fork, an mremap, pages that are thrown away, an munmap), and pages that are
 * poisoned. Whoever does it waits until a thread has read it. */
#define _GNU_SOURCE
#include <t.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PAGE = 4096, N = 8, POISON_FEATURE = 1 << 14, EVENTS_MAX = 8 };

struct poison {
    struct uffdio_range range;
    uint64_t mode;
    int64_t updated;
};
#define POISON_IOCTL _IOWR(UFFDIO, 8, struct poison)

static char source[PAGE] __attribute__((aligned(PAGE)));

static char *map_at(void *at, int flags)
{
    return (char *)call(SYS_mmap, at, N * PAGE, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
}

static int open_with(uint64_t features)
{
    int fd = (int)call(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
    struct uffdio_api a = { .api = UFFD_API, .features = features };
    CHECK(true, fd >= 0);
    CHECK(0, call(SYS_ioctl, fd, UFFDIO_API, &a));
    CHECK(features, a.features & features);
    return fd;
}

static void watch(int fd, void *m)
{
    struct uffdio_register r = { { (uintptr_t)m, N * PAGE }, UFFDIO_REGISTER_MODE_MISSING, 0 };
    CHECK(0, call(SYS_ioctl, fd, UFFDIO_REGISTER, &r));
}

static long copy(int fd, void *to)
{
    struct uffdio_copy c = { (uintptr_t)to, (uintptr_t)source, PAGE, 0, 0 };
    return call(SYS_ioctl, fd, UFFDIO_COPY, &c);
}

/* Reads all that comes until the other end of stop is closed; gives the page that a fault is for. */
static struct reader {
    pthread_t thread;
    int fd, stop[2], count, child;
    long while_pending; /* what a copy said while an event was not read */
    void *copy_to;
    struct uffd_msg events[EVENTS_MAX];
} reader;

static void *read_all(void *arg)
{
    struct reader *r = arg;
    for (;;) {
        struct pollfd p[2] = { { .fd = r->fd, .events = POLLIN },
                               { .fd = r->stop[0], .events = POLLIN } };
        struct uffd_msg msg;
        (void)call(SYS_poll, p, 2, -1);
        if (!(p[0].revents & POLLIN)) {
            if (p[1].revents)
                return NULL;
            continue;
        }
        if (r->copy_to)
            r->while_pending = copy(r->fd, r->copy_to);
        if (call(SYS_read, r->fd, &msg, sizeof(msg)) != sizeof(msg))
            continue;
        if (msg.event == UFFD_EVENT_PAGEFAULT) {
            (void)copy(r->fd, (void *)(uintptr_t)(msg.arg.pagefault.address & -PAGE));
            continue;
        }
        if (msg.event == UFFD_EVENT_FORK)
            r->child = (int)msg.arg.fork.ufd;
        if (r->count < EVENTS_MAX)
            r->events[r->count] = msg;
        r->count++;
    }
}

static void begin(int fd)
{
    memset(&reader, 0, sizeof(reader));
    reader.fd = fd;
    reader.child = -1;
    if (pipe(reader.stop) || pthread_create(&reader.thread, NULL, read_all, &reader))
        exit(1);
}

/* How many events came. */
static int end(void)
{
    close(reader.stop[1]);
    CHECK(0, pthread_join(reader.thread, NULL));
    close(reader.stop[0]);
    return reader.count;
}

static void check_range(int i, int event, const char *start, const char *stop)
{
    CHECK(event, reader.events[i].event);
    CHECK((uintptr_t)start, reader.events[i].arg.remove.start);
    CHECK((uintptr_t)stop, reader.events[i].arg.remove.end);
}

static void removed(void)
{
    int fd = open_with(UFFD_FEATURE_EVENT_REMOVE);
    char *m = map_at(NULL, 0);
    watch(fd, m);
    begin(fd);
    reader.copy_to = m + PAGE;
    CHECK('c', m[0] + 'c'); /* zeros, from the reader */
    m[0] = 'x';
    reader.copy_to = m + 2 * PAGE;
    CHECK(0, call(SYS_madvise, m, 2 * PAGE, MADV_DONTNEED));
    CHECK(-EAGAIN, reader.while_pending);
    CHECK(0, call(SYS_madvise, m + PAGE, PAGE, MADV_FREE));
    CHECK(0, call(SYS_munmap, m + 7 * PAGE, PAGE)); /* was not asked for */
    reader.copy_to = NULL;
    CHECK(0, m[0]);
    CHECK(2, end());
    check_range(0, UFFD_EVENT_REMOVE, m, m + 2 * PAGE);
    check_range(1, UFFD_EVENT_REMOVE, m + PAGE, m + 2 * PAGE);
    call(SYS_close, fd);
    call(SYS_munmap, m, N * PAGE);
}

static void unmapped(void)
{
    int fd = open_with(UFFD_FEATURE_EVENT_UNMAP);
    char *m = map_at(NULL, 0);
    watch(fd, m);
    begin(fd);
    CHECK(0, call(SYS_munmap, m + 6 * PAGE, 2 * PAGE));
    CHECK((long)m,
          (long)call(SYS_mmap, m, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
    CHECK((long)(m + PAGE), call(SYS_mremap, m + PAGE, 5 * PAGE, 3 * PAGE, 0)); /* shrinks */
    CHECK(3, end());
    check_range(0, UFFD_EVENT_UNMAP, m + 6 * PAGE, m + 8 * PAGE);
    check_range(1, UFFD_EVENT_UNMAP, m, m + PAGE);
    check_range(2, UFFD_EVENT_UNMAP, m + 4 * PAGE, m + 6 * PAGE);
    call(SYS_close, fd);
    CHECK(0, call(SYS_munmap, m, N * PAGE));
}

/* Moved memory stays watched if that is told, and is not any more if it is not. */
static void remapped(bool told)
{
    int fd = open_with(told ? UFFD_FEATURE_EVENT_REMAP : 0);
    char *m = map_at(NULL, 0), *to = map_at(NULL, 0);
    watch(fd, m);
    begin(fd);
    CHECK((long)to, call(SYS_mremap, m, N * PAGE, N * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, to));
    CHECK(0, to[PAGE]);
    CHECK(told, end());
    if (told) {
        CHECK(UFFD_EVENT_REMAP, reader.events[0].event);
        CHECK((uintptr_t)m, reader.events[0].arg.remap.from);
        CHECK((uintptr_t)to, reader.events[0].arg.remap.to);
        CHECK(N * PAGE, reader.events[0].arg.remap.len);
    }
    CHECK(told ? 0 : -ENOENT, copy(fd, to + 2 * PAGE));
    call(SYS_close, fd);
    call(SYS_munmap, to, N * PAGE);
}

/* All at once: in which order. */
static void moved_over(void)
{
    int fd = open_with(UFFD_FEATURE_EVENT_REMAP | UFFD_FEATURE_EVENT_UNMAP);
    char *m = map_at(NULL, 0), *to = map_at(NULL, 0);
    watch(fd, m);
    watch(fd, to);
    begin(fd);
    CHECK((long)to, call(SYS_mremap, m, N * PAGE, N * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, to));
    CHECK(3, end());
    check_range(0, UFFD_EVENT_UNMAP, to, to + N * PAGE);
    CHECK(UFFD_EVENT_REMAP, reader.events[1].event);
    check_range(2, UFFD_EVENT_UNMAP, m, m + N * PAGE);
    call(SYS_close, fd);
    call(SYS_munmap, to, N * PAGE);
}

static int exit_status(pid_t pid)
{
    int status = -1;
    CHECK(pid, waitpid(pid, &status, 0));
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* A child's memory has a descriptor of its own. */
static void forked(void)
{
    int fd = open_with(UFFD_FEATURE_EVENT_FORK), go[2];
    char *m = map_at(NULL, 0), c;
    watch(fd, m);
    if (pipe(go))
        exit(1);
    begin(fd);
    m[0] = 'a';
    pid_t pid = fork();
    if (!pid) {
        close(reader.stop[1]); /* the reader waits for its end */
        (void)!read(go[0], &c, 1);
        _exit(m[0] == 'a' && m[3 * PAGE] == 'z' ? 5 : 6);
    }
    CHECK(1, end());
    CHECK(UFFD_EVENT_FORK, reader.events[0].event);
    int child = reader.child;
    CHECK(true, child >= 0 && child != fd);
    CHECK(FD_CLOEXEC, call(SYS_fcntl, child, F_GETFD));
    CHECK(O_NONBLOCK, call(SYS_fcntl, child, F_GETFL) & O_NONBLOCK);
    source[0] = 'z';
    CHECK(1, write(go[1], "x", 1));
    begin(child);
    CHECK(5, exit_status(pid));
    CHECK(0, end());
    CHECK(-ESRCH, copy(child, m + PAGE)); /* it is gone */
    source[0] = 0;
    call(SYS_close, child);
    call(SYS_close, fd);
    close(go[0]);
    close(go[1]);
    /* Not asked for: the child has plain memory. */
    fd = open_with(0);
    watch(fd, m);
    pid = fork();
    if (!pid)
        _exit(m[5 * PAGE] == 0 ? 5 : 6);
    CHECK(5, exit_status(pid));
    call(SYS_close, fd);
    call(SYS_munmap, m, N * PAGE);
}

/* No descriptor is free for the child's: the message stays. */
static void *read_late(void *arg)
{
    int fd = *(int *)arg;
    struct uffd_msg msg = { 0 };
    struct pollfd p = { .fd = fd, .events = POLLIN };
    struct rlimit old, none = { 0, 0 };
    CHECK(0, getrlimit(RLIMIT_NOFILE, &old));
    none.rlim_max = old.rlim_max;
    CHECK(1, call(SYS_poll, &p, 1, -1));
    CHECK(0, setrlimit(RLIMIT_NOFILE, &none));
    CHECK(-EMFILE, call(SYS_read, fd, &msg, sizeof(msg)));
    CHECK(0, setrlimit(RLIMIT_NOFILE, &old));
    CHECK(sizeof(msg), call(SYS_read, fd, &msg, sizeof(msg)));
    CHECK(UFFD_EVENT_FORK, msg.event);
    CHECK(0, call(SYS_close, (int)msg.arg.fork.ufd));
    return NULL;
}

static void no_descriptor(void)
{
    int fd = open_with(UFFD_FEATURE_EVENT_FORK);
    char *m = map_at(NULL, 0);
    pthread_t thread;
    watch(fd, m);
    CHECK(0, pthread_create(&thread, NULL, read_late, &fd));
    pid_t pid = fork();
    if (!pid)
        _exit(m[0] + 5); /* nobody watches it any more */
    CHECK(5, exit_status(pid));
    CHECK(0, pthread_join(thread, NULL));
    call(SYS_close, fd);
    call(SYS_munmap, m, N * PAGE);
}

/* Nobody reads: the event goes with the file, or with the process. */
static void *close_later(void *arg)
{
    usleep(20000);
    call(SYS_close, *(int *)arg);
    return NULL;
}

static void unread(void)
{
    int fd = open_with(UFFD_FEATURE_EVENT_UNMAP | UFFD_FEATURE_EVENT_FORK);
    char *m = map_at(NULL, 0);
    pthread_t thread;
    watch(fd, m);
    CHECK(0, pthread_create(&thread, NULL, close_later, &fd));
    CHECK(0, call(SYS_munmap, m, PAGE));
    CHECK(0, pthread_join(thread, NULL));
    pid_t pid = fork();
    if (!pid) {
        fd = open_with(UFFD_FEATURE_EVENT_FORK);
        m = map_at(NULL, 0);
        watch(fd, m);
        _exit(fork() < 0);
    }
    usleep(20000);
    CHECK(0, kill(pid, SIGKILL));
    int status;
    CHECK(pid, waitpid(pid, &status, 0));
    CHECK(SIGKILL, status);
    call(SYS_munmap, m, N * PAGE);
}

static sigjmp_buf jump;
static siginfo_t bus;

static void on_bus(int sig, siginfo_t *info, void *context)
{
    (void)sig;
    (void)context;
    bus = *info;
    siglongjmp(jump, 1);
}

static bool dies(const volatile char *at)
{
    if (sigsetjmp(jump, 1))
        return true;
    (void)*at;
    return false;
}

static void poisoned(void)
{
    struct sigaction sa = { .sa_sigaction = on_bus, .sa_flags = SA_SIGINFO };
    int fd = open_with(POISON_FEATURE), pipes[2];
    char *m = map_at(NULL, 0);
    struct poison p = { { (uintptr_t)m, 2 * PAGE }, 0, 0 };
    watch(fd, m);
    CHECK(0, sigaction(SIGBUS, &sa, NULL));
    CHECK(0, call(SYS_ioctl, fd, POISON_IOCTL, &p));
    CHECK(2 * PAGE, p.updated);
    CHECK(true, dies(m + PAGE + 5));
    /* A Linux built without CONFIG_MEMORY_FAILURE says BUS_ADRERR. */
    CHECK(true, bus.si_code == BUS_MCEERR_AR || (bus.si_code == BUS_ADRERR && !t_alcove()));
    CHECK((uintptr_t)m + PAGE + 5, (uintptr_t)bus.si_addr);
    CHECK(bus.si_code == BUS_MCEERR_AR ? 12 : 0, bus.si_addr_lsb);
    CHECK(-EEXIST, call(SYS_ioctl, fd, POISON_IOCTL, &p));
    CHECK(-EEXIST, p.updated);
    p.mode = 4;
    CHECK(-EINVAL, call(SYS_ioctl, fd, POISON_IOCTL, &p));
    CHECK(0, pipe(pipes));
    CHECK(-EFAULT, call(SYS_write, pipes[1], m, 1));
    pid_t pid = fork();
    if (!pid)
        _exit(dies(m) ? 5 : 6);
    CHECK(5, exit_status(pid));
    CHECK(0, copy(fd, m + 2 * PAGE));
    CHECK(0, m[2 * PAGE]);
    /* Thrown away, it is missing again. */
    CHECK(0, call(SYS_madvise, m, PAGE, MADV_DONTNEED));
    CHECK(0, copy(fd, m));
    CHECK(false, dies(m));
    CHECK(true, dies(m + PAGE));
    CHECK(0, copy(fd, m + PAGE)); /* a page takes its place */
    CHECK(false, dies(m + PAGE));
    close(pipes[0]);
    close(pipes[1]);
    call(SYS_close, fd);
    call(SYS_munmap, m, N * PAGE);
}

int main(void)
{
    removed();
    unmapped();
    remapped(true);
    remapped(false);
    moved_over();
    forked();
    no_descriptor();
    unread();
    poisoned();
    return t_end();
}
