/* SPDX-License-Identifier: MIT */
/* io_uring with threads and processes: who goes on with what waits, and what becomes of it at the end of a thread, of a process, and
 * at execve. Rings that submit by themselves. */
#define _GNU_SOURCE
#include <t_file.h>
#include <t_uring.h>

#include <linux/capability.h>
#include <pthread.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static char buf[4096];

static struct io_uring_sqe *read_of(struct ring *r, int fd, uint64_t data)
{
    struct io_uring_sqe *s = sqe(r, IORING_OP_READ, fd, data);
    s->addr = (uintptr_t)buf;
    s->len = 1;
    return s;
}

/* Leave several things under way. */
static void leave_pending(struct ring *r, int pipe_end)
{
    static struct __kernel_timespec much = { .tv_sec = 1000 };
    struct io_uring_sqe *s = sqe(r, IORING_OP_TIMEOUT, -1, 1);
    s->addr = (uintptr_t)&much;
    s->len = 1;
    read_of(r, pipe_end, 2);
    sqe(r, IORING_OP_POLL_ADD, pipe_end, 3)->poll32_events = 1;
    s = sqe(r, IORING_OP_OPENAT, AT_FDCWD, 4);
    s->addr = (uintptr_t) "fifo";
    s->open_flags = O_RDONLY;
    s->flags = IOSQE_ASYNC;
    read_of(r, pipe_end, 5)->flags = IOSQE_ASYNC;
    read_of(r, pipe_end, 6)->flags = IOSQE_IO_LINK;
    sqe(r, IORING_OP_NOP, -1, 7);
    CHECK(7, submit(r, 0));
}

static int child_status(pid_t pid)
{
    int status = -1;
    CHECK(pid, waitpid(pid, &status, 0));
    return status;
}

static void ends(const char *self)
{
    int p[2];
    CHECK(0, pipe(p));
    for (int how = 0; how < 3; how++) {
        pid_t pid = fork();
        if (pid == 0) {
            struct ring r = { 0 };
            ring_open(&r, 8, 0);
            leave_pending(&r, p[0]);
            if (how == 1)
                execl(self, self, "exec", (char *)NULL);
            if (how == 2)
                kill(getpid(), SIGKILL);
            _exit(how == 0 ? 3 : 99);
        }
        int status = child_status(pid);
        if (how == 2)
            CHECK(SIGKILL, WTERMSIG(status));
        else
            CHECK(how == 0 ? 3 : 4, WEXITSTATUS(status));
    }
    close(p[0]);
    close(p[1]);
}

static void forked(void)
{
    struct ring r = { 0 };
    int p[2];
    CHECK(0, pipe(p));
    CHECK(true, ring_open(&r, 8, 0) >= 0);
    read_of(&r, p[0], 1);
    CHECK(1, submit(&r, 0));
    pid_t pid = fork();
    if (pid == 0) { /* what the parent has under way is not the child's to lose */
        sqe(&r, IORING_OP_NOP, -1, 2);
        _exit(submit(&r, 1) == 1 && ready(&r) == 1 ? 5 : 6);
    }
    CHECK(5, WEXITSTATUS(child_status(pid)));
    CHECK_NEXT(&r, 2, 0);
    CHECK(0, ready(&r));
    CHECK(1, write(p[1], "x", 1));
    r.tail = *ring_word(&r, r.p.sq_off.tail);
    CHECK_NEXT(&r, 1, 1);
    ring_close(&r);
    close(p[0]);
    close(p[1]);
}

struct shared {
    struct ring r;
    int p[2], q[2];
};

static void *submit_and_end(void *arg)
{
    struct shared *s = arg;
    read_of(&s->r, s->p[0], 1);
    CHECK(1, submit(&s->r, 0));
    return NULL;
}

/* A thread's requests do not outlive it: Linux ends them at their next event. */
static void thread_ends(void)
{
    struct shared s = { 0 };
    pthread_t t;
    CHECK(0, pipe(s.p));
    CHECK(true, ring_open(&s.r, 8, 0) >= 0);
    CHECK(0, pthread_create(&t, NULL, submit_and_end, &s));
    CHECK(0, pthread_join(t, NULL));
    CHECK(1, write(s.p[1], "x", 1));
    CHECK_NEXT(&s.r, 1, -ECANCELED);
    CHECK(1, read(s.p[0], buf, 1));
    ring_close(&s.r);
    close(s.p[0]);
    close(s.p[1]);
}

static void *wake_and_wait(void *arg)
{
    struct shared *s = arg;
    CHECK(1, write(s->p[1], "a", 1));
    CHECK_NEXT(&s->r, 1, 1); /* its submitter sleeps in read(2) */
    CHECK(1, write(s->q[1], "b", 1));
    return NULL;
}

static void sleeps_elsewhere(unsigned flags)
{
    struct shared s = { 0 };
    pthread_t t;
    CHECK(0, pipe(s.p) | pipe(s.q));
    CHECK(true, ring_open(&s.r, 8, flags) >= 0);
    for (int i = 0; i < 50; i++) {
        read_of(&s.r, s.p[0], 1);
        CHECK(1, submit(&s.r, 0));
        CHECK(0, pthread_create(&t, NULL, wake_and_wait, &s));
        long n;
        while ((n = read(s.q[0], buf + 100, 1)) < 0)
            CHECK(EINTR, errno);
        CHECK(1, n);
        CHECK(0, pthread_join(t, NULL));
    }
    ring_close(&s.r);
    for (int i = 0; i < 2; i++) {
        close(s.p[i]);
        close(s.q[i]);
    }
}

static void blocked_worker(void)
{
    struct ring r = { 0 };
    CHECK(true, ring_open(&r, 8, 0) >= 0);
    struct io_uring_sqe *s = sqe(&r, IORING_OP_OPENAT, AT_FDCWD, 1);
    s->addr = (uintptr_t) "fifo";
    s->open_flags = O_RDONLY;
    struct done d = { .res = (int)result(&r) }; /* does not wait */
    CHECK(true, d.res >= 0);
    CHECK(0, call(SYS_fcntl, d.res, F_GETFL) & O_NONBLOCK);
    close(d.res);
    s = sqe(&r, IORING_OP_OPENAT, AT_FDCWD, 1);
    s->addr = (uintptr_t) "fifo";
    s->open_flags = O_RDONLY;
    s->flags = IOSQE_ASYNC;
    CHECK(1, submit(&r, 0));
    int w = open("fifo", O_WRONLY); /* waits for the reader, which is the worker */
    CHECK(true, w >= 0);
    d = next(&r);
    CHECK(true, d.res >= 0);
    close(d.res);
    close(w);
    s = sqe(&r, IORING_OP_OPENAT, AT_FDCWD, 1);
    s->addr = (uintptr_t) "fifo";
    s->open_flags = O_RDONLY;
    s->flags = IOSQE_ASYNC;
    CHECK(1, submit(&r, 0));
    sqe(&r, IORING_OP_ASYNC_CANCEL, -1, 2)->addr = 1;
    CHECK(1, submit(&r, 2));
    for (int i = 0; i < 2; i++) {
        d = next(&r);
        if (d.user_data == 1)
            CHECK(true, d.res == -EINTR || d.res == -ECANCELED);
        else
            CHECK(true, d.res == 0 || d.res == -EALREADY);
    }
    ring_close(&r);
}

static void by_itself(void)
{
    struct ring r = { 0 };
    CHECK(true, ring_open(&r, 8, IORING_SETUP_SQPOLL) >= 0);
    for (int i = 0; i < 100; i++) {
        sqe(&r, IORING_OP_NOP, -1, (uint64_t)i);
        __atomic_store_n(ring_word(&r, r.p.sq_off.tail), r.tail, __ATOMIC_SEQ_CST);
        r.queued = 0;
        if (__atomic_load_n(ring_word(&r, r.p.sq_off.flags), __ATOMIC_SEQ_CST) &
            IORING_SQ_NEED_WAKEUP)
            CHECK(0, call(SYS_io_uring_enter, r.fd, 0, 0, IORING_ENTER_SQ_WAKEUP, NULL, 0));
        while (!ready(&r))
            sched_yield();
        CHECK_NEXT(&r, i, 0);
    }
    int p[2];
    CHECK(0, pipe(p));
    read_of(&r, p[0], 7);
    CHECK(1,
          call(SYS_io_uring_enter, r.fd, (submit(&r, 0), 1), 0, IORING_ENTER_SQ_WAKEUP, NULL, 0));
    CHECK(1, write(p[1], "x", 1));
    CHECK_NEXT(&r, 7, 1);
    ring_close(&r);
    close(p[0]);
    close(p[1]);
}

enum { ROUNDS = 500 };

/* One end of a game of ping-pong: each side has a ring of its own. */
static void *play(void *arg)
{
    int fd = *(int *)arg;
    struct ring r = { 0 };
    char byte = 0;
    if (ring_open(&r, 4, 0) < 0)
        return (void *)1;
    for (int i = 0; i < ROUNDS; i++) {
        struct io_uring_sqe *s = sqe(&r, IORING_OP_RECV, fd, 1);
        s->addr = (uintptr_t)&byte;
        s->len = 1;
        s->flags = IOSQE_IO_LINK;
        s = sqe(&r, IORING_OP_SEND, fd, 2);
        s->addr = (uintptr_t)&byte;
        s->len = 1;
        if (submit(&r, 2) != 2 || next(&r).res != 1 || next(&r).res != 1)
            return (void *)1;
    }
    ring_close(&r);
    return NULL;
}

static void two_threads(void)
{
    int s[2];
    pthread_t t[2];
    CHECK(0, socketpair(AF_UNIX, SOCK_STREAM, 0, s));
    CHECK(1, write(s[0], "x", 1));
    for (int i = 0; i < 2; i++)
        CHECK(0, pthread_create(&t[i], NULL, play, &s[i]));
    for (int i = 0; i < 2; i++) {
        void *failed;
        CHECK(0, pthread_join(t[i], &failed));
        CHECK(true, failed == NULL);
    }
    close(s[0]);
    close(s[1]);
}

/* A ring is closed while what happened in it waits to be asked for: its thread ends all the same. */
static void closed_deferred(void)
{
    for (int how = 0; how < 2; how++) {
        pid_t pid = fork();
        if (pid == 0) {
            struct ring r = { 0 };
            int p[2];
            CHECK(0, pipe(p));
            ring_open(&r, 8, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN);
            sqe(&r, IORING_OP_POLL_ADD, p[0], 1)->poll32_events = 1;
            sqe(&r, IORING_OP_POLL_ADD, p[0], 2)->poll32_events = 1;
            CHECK(2, submit(&r, 0));
            CHECK(1, write(p[1], "x", 1));
            if (how)
                ring_close(&r);
            _exit(t_failures != 0);
        }
        CHECK(0, child_status(pid));
    }
}

/* A chain runs with the rights that its thread had when it was submitted, whatever those of the worker that goes on with it. */
static void chain_rights(void)
{
    pid_t pid = fork();
    if (pid == 0) {
        struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };
        struct __user_cap_data_struct d[2] = { { 0 } };
        struct ring r = { 0 };
        ring_open(&r, 8, 0);
        int fd = (int)call(SYS_openat, AT_FDCWD, "secret", O_CREAT | O_WRONLY, 0600);
        CHECK(0, call(SYS_fchown, fd, 1234, 1234));
        sqe(&r, IORING_OP_NOP, -1, 1)->flags = IOSQE_ASYNC; /* a worker begins */
        CHECK(0, result(&r));
        CHECK(0, call(SYS_capset, &h, d));
        CHECK(-EACCES, call(SYS_openat, AT_FDCWD, "secret", O_RDONLY));
        sqe(&r, IORING_OP_NOP, -1, 2)->flags = IOSQE_ASYNC | IOSQE_IO_LINK;
        struct io_uring_sqe *s = sqe(&r, IORING_OP_OPENAT, AT_FDCWD, 3);
        s->addr = (uintptr_t) "secret";
        s->open_flags = O_RDONLY;
        CHECK(2, submit(&r, 2));
        CHECK_NEXT(&r, 2u, 0);
        CHECK_NEXT(&r, 3u, -EACCES);
        _exit(t_failures != 0);
    }
    CHECK(0, child_status(pid));
}

/* A ring is not sent to others, who could be itself. */
static void not_sent(void)
{
    struct ring r = { 0 };
    int sv[2];
    union {
        struct cmsghdr h;
        char room[CMSG_SPACE(sizeof(int))];
    } c = { .h = { CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS } };
    struct iovec v = { buf, 1 };
    struct msghdr m = {
        .msg_iov = &v, .msg_iovlen = 1, .msg_control = &c, .msg_controllen = sizeof(c)
    };
    ring_open(&r, 8, 0);
    CHECK(0, call(SYS_socketpair, AF_UNIX, SOCK_STREAM, 0, sv));
    memcpy(CMSG_DATA(&c.h), &r.fd, sizeof(int));
    CHECK(-EINVAL, call(SYS_sendmsg, sv[0], &m, 0));
    memcpy(CMSG_DATA(&c.h), &sv[0], sizeof(int));
    CHECK(1, call(SYS_sendmsg, sv[0], &m, 0));
    call(SYS_close, sv[0]);
    call(SYS_close, sv[1]);
    ring_close(&r);
}

int main(int argc, char **argv)
{
    char self[256];
    if (argc > 1 && strcmp(argv[1], "exec") == 0)
        return 4;
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    self[n < 0 ? 0 : n] = 0;
    t_enter();
    CHECK(0, call(SYS_mknod, "fifo", S_IFIFO | 0644, 0));
    ends(self);
    forked();
    thread_ends();
    sleeps_elsewhere(0);
    sleeps_elsewhere(IORING_SETUP_COOP_TASKRUN);
    blocked_worker();
    by_itself();
    two_threads();
    closed_deferred();
    chain_rights();
    not_sent();
    return t_leave();
}
