/* SPDX-License-Identifier: MIT */
/* POSIX message queues: names, attributes, priorities, time-outs, polling, notification. */
#define _GNU_SOURCE
#include <t_signal.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <mqueue.h>
#include <poll.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define NAME "alcove-test-queue"

static char buf[8192];
static long other; /* a file that is no queue */

static long ready(long fd)
{
    struct pollfd p = { (int)fd, POLLIN | POLLOUT, 0 };
    long n = call(SYS_poll, &p, 1, 0);
    return n < 0 ? n : p.revents;
}

static void names(void)
{
    struct mq_attr a = { .mq_maxmsg = 4, .mq_msgsize = 100 },
                   bad = { .mq_maxmsg = 0, .mq_msgsize = 10 };
    struct stat st;
    CHECK(-ENOENT, call(SYS_mq_open, NAME, O_RDONLY, 0, NULL));
    CHECK(-ENOENT, call(SYS_mq_unlink, NAME));
    CHECK(-ENOENT, call(SYS_mq_open, "", O_RDONLY | O_CREAT, 0600, NULL));
    CHECK(-EACCES, call(SYS_mq_open, "a/b", O_RDONLY | O_CREAT, 0600, NULL));
    CHECK(-EFAULT, call(SYS_mq_open, T_BAD, O_RDONLY, 0, NULL));
    CHECK(-EFAULT, call(SYS_mq_open, NAME, O_RDONLY | O_CREAT, 0600, T_BAD));
    CHECK(-EINVAL, call(SYS_mq_open, NAME, O_RDONLY | O_CREAT, 0600, &bad));
    long q = call(SYS_mq_open, NAME, O_RDWR | O_CREAT | O_EXCL, 0640, &a);
    CHECK(true, q >= 0);
    CHECK(FD_CLOEXEC, call(SYS_fcntl, q, F_GETFD, 0));
    CHECK(0, call(SYS_fstat, q, &st));
    CHECK(S_IFREG | 0640, st.st_mode);
    CHECK(-EEXIST, call(SYS_mq_open, NAME, O_RDWR | O_CREAT | O_EXCL, 0600, &a));
    long same = call(SYS_mq_open, NAME, O_RDWR | O_CREAT, 0600, NULL);
    CHECK(0, call(SYS_mq_timedsend, same, "x", 1, 0, NULL));
    CHECK(1, call(SYS_mq_timedreceive, q, buf, 100, NULL, NULL));
    long ro = call(SYS_mq_open, NAME, O_RDONLY, 0, NULL),
         wo = call(SYS_mq_open, NAME, O_WRONLY, 0, NULL);
    CHECK(-EBADF, call(SYS_mq_timedsend, ro, "x", 1, 0, NULL));
    CHECK(-EBADF, call(SYS_mq_timedreceive, wo, buf, 100, NULL, NULL));
    CHECK(-EBADF, call(SYS_mq_timedsend, other, "x", 1, 0, NULL));
    CHECK(0, call(SYS_mq_unlink, NAME));
    CHECK(-ENOENT, call(SYS_mq_open, NAME, O_RDONLY, 0, NULL));
    CHECK(0, call(SYS_mq_timedsend, wo, "still", 5, 0, NULL)); /* without a name it lives on */
    CHECK(5, call(SYS_mq_timedreceive, ro, buf, 100, NULL, NULL));
    call(SYS_close, q);
    call(SYS_close, same);
    call(SYS_close, ro);
    call(SYS_close, wo);
}

static void messages(void)
{
    struct mq_attr a = { .mq_maxmsg = 4, .mq_msgsize = 100 }, now, block = { .mq_flags = 0 };
    struct timespec past = { 1, 0 }, wrong = { 0, 1000000000 };
    unsigned prio = 99;
    long q = call(SYS_mq_open, NAME, O_RDWR | O_CREAT | O_NONBLOCK, 0600, &a);
    CHECK(-EAGAIN, call(SYS_mq_timedreceive, q, buf, 100, &prio, NULL));
    CHECK(POLLOUT, ready(q));
    CHECK(0, call(SYS_mq_timedsend, q, "low", 3, 1, NULL));
    CHECK(0, call(SYS_mq_timedsend, q, "high", 4, 30, NULL));
    CHECK(POLLIN | POLLOUT, ready(q));
    CHECK(0, call(SYS_mq_timedsend, q, "high2", 5, 30, NULL));
    CHECK(0, call(SYS_mq_timedsend, q, "", 0, 2, NULL));
    CHECK(POLLIN, ready(q));
    CHECK(-EAGAIN, call(SYS_mq_timedsend, q, "full", 4, 30, NULL));
    CHECK(0, call(SYS_mq_getsetattr, q, NULL, &now));
    CHECK(true, now.mq_maxmsg == 4 && now.mq_msgsize == 100 && now.mq_curmsgs == 4 &&
                    now.mq_flags == O_NONBLOCK);
    CHECK(true, call(SYS_read, q, buf, 100) > 0 && !strncmp(buf, "QSIZE:12 ", 9));
    CHECK(-EMSGSIZE, call(SYS_mq_timedreceive, q, buf, 99, &prio, NULL));
    CHECK(4, call(SYS_mq_timedreceive, q, buf, 100, &prio, NULL));
    CHECK(30, prio);
    CHECK(0, memcmp(buf, "high", 4));
    CHECK(5, call(SYS_mq_timedreceive, q, buf, 100, &prio, NULL));
    CHECK(0, call(SYS_mq_timedreceive, q, buf, 100, &prio, NULL));
    CHECK(2, prio);
    CHECK(3, call(SYS_mq_timedreceive, q, buf, 100, &prio, NULL));
    CHECK(-EMSGSIZE, call(SYS_mq_timedsend, q, buf, 101, 0, NULL));
    CHECK(-EINVAL, call(SYS_mq_timedsend, q, buf, 1, 32768, NULL));
    CHECK(0, call(SYS_mq_timedsend, q, buf, 1, 32767, NULL));
    CHECK(1, call(SYS_mq_timedreceive, q, buf, 100, NULL, NULL));
    CHECK(-EFAULT, call(SYS_mq_timedsend, q, T_BAD, 1, 0, NULL));
    CHECK(0, call(SYS_mq_getsetattr, q, &block, &now));
    CHECK(O_NONBLOCK, now.mq_flags);
    CHECK(-ETIMEDOUT, call(SYS_mq_timedreceive, q, buf, 100, NULL, &past));
    CHECK(-EINVAL, call(SYS_mq_timedreceive, q, buf, 100, NULL, &wrong));
    CHECK(-EFAULT, call(SYS_mq_timedreceive, q, buf, 100, NULL, T_BAD));
    block.mq_flags = O_APPEND;
    CHECK(-EINVAL, call(SYS_mq_getsetattr, q, &block, NULL));
    CHECK(-EBADF, call(SYS_mq_getsetattr, other, NULL, &now));
    CHECK(0, call(SYS_mq_unlink, NAME));
    call(SYS_close, q);
}

static void notification(void)
{
    struct mq_attr a = { .mq_maxmsg = 4, .mq_msgsize = 100 };
    struct sigevent ev = { .sigev_notify = SIGEV_SIGNAL,
                           .sigev_signo = SIGUSR1,
                           .sigev_value.sival_int = 7 };
    uint64_t set = 1u << (SIGUSR1 - 1);
    struct timespec none = { 0, 0 };
    siginfo_t si;
    long q = call(SYS_mq_open, NAME, O_RDWR | O_CREAT, 0600, &a);
    CHECK(0, call(SYS_rt_sigprocmask, SIG_BLOCK, &set, NULL, 8));
    CHECK(0, call(SYS_mq_notify, q, &ev));
    CHECK(-EBUSY, call(SYS_mq_notify, q, &ev));
    CHECK(0, call(SYS_mq_notify, q, NULL));
    CHECK(0, call(SYS_mq_notify, q, &ev));
    CHECK(-EAGAIN, call(SYS_rt_sigtimedwait, &set, &si, &none, 8));
    CHECK(0, call(SYS_mq_timedsend, q, "a", 1, 0, NULL));
    CHECK(SIGUSR1, call(SYS_rt_sigtimedwait, &set, &si, &none, 8));
    CHECK(SI_MESGQ, si.si_code);
    CHECK(7, si.si_value.sival_int);
    CHECK(call(SYS_getpid), si.si_pid);
    CHECK(0, call(SYS_mq_notify, q, &ev)); /* once only */
    CHECK(0, call(SYS_mq_timedsend, q, "b", 1, 0, NULL));
    CHECK(-EAGAIN, call(SYS_rt_sigtimedwait, &set, &si, &none, 8)); /* it was not empty */
    ev.sigev_signo = 65;
    CHECK(-EINVAL, call(SYS_mq_notify, q, &ev));
    ev.sigev_notify = 99;
    CHECK(-EINVAL, call(SYS_mq_notify, q, &ev));
    CHECK(-EFAULT, call(SYS_mq_notify, q, T_BAD));
    CHECK(-EBADF, call(SYS_mq_notify, other, NULL));
    char text[100];
    CHECK(1, call(SYS_mq_timedreceive, q, text, sizeof(text), NULL, NULL));
    CHECK(1, call(SYS_mq_timedreceive, q, text, sizeof(text), NULL, NULL));
    CHECK(0, call(SYS_mq_notify, q, NULL));
    ev = (struct sigevent){ .sigev_notify = SIGEV_SIGNAL }; /* signal 0: nothing is sent */
    CHECK(0, call(SYS_mq_notify, q, &ev));
    CHECK(0, call(SYS_mq_timedsend, q, "c", 1, 0, NULL));
    CHECK(0, call(SYS_mq_notify, q, &ev)); /* it was told of all the same */
    CHECK(0, call(SYS_mq_unlink, NAME));
    call(SYS_close, q);
}

/* SIGEV_THREAD as libc does it: 32 bytes come back through a netlink socket, the last of which says why. */
static void cookies(void)
{
    struct mq_attr a = { .mq_maxmsg = 4, .mq_msgsize = 100 };
    char cookie[32] = "what the thread is to do", got[64];
    struct sockaddr_nl from;
    unsigned len = sizeof(from);
    long q = call(SYS_mq_open, NAME, O_RDWR | O_CREAT, 0600, &a);
    long s = call(SYS_socket, AF_NETLINK, SOCK_RAW, 0),
         tcp = call(SYS_socket, AF_UNIX, SOCK_STREAM, 0);
    struct sigevent ev = { .sigev_notify = SIGEV_THREAD,
                           .sigev_signo = (int)s,
                           .sigev_value.sival_ptr = cookie };
    CHECK(0, call(SYS_mq_notify, q, &ev));
    CHECK(-EBUSY, call(SYS_mq_notify, q, &ev));
    CHECK(-EAGAIN, call(SYS_recvfrom, s, got, sizeof(got), MSG_DONTWAIT, NULL, NULL));
    memset(cookie, 'x', sizeof(cookie)); /* it was copied */
    CHECK(0, call(SYS_mq_timedsend, q, "a", 1, 0, NULL));
    CHECK(32, call(SYS_recvfrom, s, got, sizeof(got), MSG_DONTWAIT, &from, &len));
    CHECK(0, strcmp(got, "what the thread is to do"));
    CHECK(1, got[31]);
    CHECK(AF_NETLINK, from.nl_family);
    CHECK(0, from.nl_pid);
    CHECK(0, call(SYS_mq_notify, q, &ev)); /* once only */
    CHECK(0, call(SYS_mq_timedsend, q, "b", 1, 0, NULL));
    CHECK(-EAGAIN, call(SYS_recvfrom, s, got, sizeof(got), MSG_DONTWAIT, NULL, NULL));
    CHECK(0, call(SYS_mq_notify, q, NULL));
    CHECK(32, call(SYS_recvfrom, s, got, sizeof(got), MSG_DONTWAIT, NULL, NULL));
    CHECK(2, got[31]);
    CHECK(0, call(SYS_mq_notify, q, &ev));
    call(SYS_close, call(SYS_dup, q)); /* any descriptor of the queue */
    CHECK(32, call(SYS_recvfrom, s, got, sizeof(got), MSG_DONTWAIT, NULL, NULL));
    CHECK(2, got[31]);
    /* What is looked at first. */
    ev.sigev_signo = (int)tcp;
    CHECK(-EINVAL, call(SYS_mq_notify, -1, &ev));
    ev.sigev_signo = (int)other;
    CHECK(-ENOTSOCK, call(SYS_mq_notify, -1, &ev));
    ev.sigev_signo = -1;
    CHECK(-EBADF, call(SYS_mq_notify, q, &ev));
    ev.sigev_value.sival_ptr = T_BAD;
    CHECK(-EFAULT, call(SYS_mq_notify, q, &ev));
    /* The socket may be closed; the queue keeps it. */
    ev.sigev_value.sival_ptr = cookie;
    ev.sigev_signo = (int)s;
    CHECK(0, call(SYS_mq_notify, q, &ev));
    call(SYS_close, s);
    CHECK(0, call(SYS_mq_unlink, NAME));
    call(SYS_close, q);
    call(SYS_close, tcp);
}

#ifndef T_IN_PROCESS
static sem_t told;
static void tell(union sigval v)
{
    if (v.sival_int == 77)
        sem_post(&told);
}

/* Libc's own. */
static void threads(void)
{
    struct sigevent ev = { .sigev_notify = SIGEV_THREAD,
                           .sigev_notify_function = tell,
                           .sigev_value.sival_int = 77 };
    mqd_t q = mq_open("/t_threads", O_RDWR | O_CREAT, 0600, NULL);
    CHECK(true, q >= 0);
    sem_init(&told, 0, 0);
    for (int i = 0; i < 3; i++) {
        CHECK(0, mq_notify(q, &ev));
        CHECK(0, mq_send(q, "m", 1, 0));
        CHECK(0, sem_wait(&told));
        CHECK(1, mq_receive(q, buf, sizeof(buf), NULL));
    }
    mq_close(q);
    mq_unlink("/t_threads");
}
#endif

/* The file system that shows them; two mounts show the same. */
static void file_system(void)
{
    static const char at[] = "/tmp/t_mqueue";
    struct stat st;
    char text[128] = "";
    call(SYS_mkdir, "/tmp", 01777);
    CHECK(0, call(SYS_mkdir, at, 0755));
    CHECK(0, call(SYS_mount, "q", at, "mqueue", 0, NULL));
    CHECK(0, call(SYS_stat, at, &st));
    CHECK(S_IFDIR | 01777, st.st_mode);
    long q = call(SYS_mq_open, "t_shown", O_RDWR | O_CREAT | O_EXCL, 0640, NULL);
    CHECK(0, call(SYS_stat, "/tmp/t_mqueue/t_shown", &st));
    CHECK(S_IFREG | 0640, st.st_mode);
    CHECK(80, st.st_size);
    CHECK(0, call(SYS_mq_timedsend, q, "hello", 5, 0, NULL));
    long fd = call(SYS_open, "/tmp/t_mqueue/t_shown", O_RDONLY);
    CHECK(true, call(SYS_read, fd, text, sizeof(text) - 1) > 0);
    CHECK(0, strncmp(text, "QSIZE:5          NOTIFY:0     SIGNO:0     NOTIFY_PID:0", 52));
    call(SYS_close, fd);
    /* Made and removed by name. */
    fd = call(SYS_open, "/tmp/t_mqueue/t_made", O_CREAT | O_RDWR, 0600);
    CHECK(true, fd >= 0);
    call(SYS_close, fd);
    fd = call(SYS_mq_open, "t_made", O_RDONLY, 0, NULL);
    CHECK(true, fd >= 0);
    call(SYS_close, fd);
    CHECK(-EPERM, call(SYS_mkdir, "/tmp/t_mqueue/d", 0755));
    CHECK(0, call(SYS_setresuid, -1, 1000, 0));
    CHECK(-EPERM, call(SYS_unlink, "/tmp/t_mqueue/t_made")); /* the directory is sticky */
    CHECK(0, call(SYS_setresuid, -1, 0, 0));
    CHECK(0, call(SYS_unlink, "/tmp/t_mqueue/t_made"));
    CHECK(-ENOENT, call(SYS_mq_open, "t_made", O_RDONLY, 0, NULL));
    CHECK(0, call(SYS_mq_unlink, "t_shown"));
    CHECK(-ENOENT, call(SYS_stat, "/tmp/t_mqueue/t_shown", &st));
    call(SYS_close, q);
    CHECK(0, call(SYS_umount2, at, 0));
    CHECK(0, call(SYS_rmdir, at));
}

int main(void)
{
#ifndef T_IN_PROCESS
    if (!t_alcove() && unshare((geteuid() ? CLONE_NEWUSER : 0) | CLONE_NEWNS | CLONE_NEWIPC))
        return 1;
    call(SYS_mount, NULL, "/", NULL, (1 << 14) | (1 << 18), NULL);
#endif
    other = call(SYS_eventfd2, 0, 0);
    names();
    file_system();
    messages();
    notification();
    cookies();
#ifndef T_IN_PROCESS
    threads();
#endif
    return t_end();
}
