/* SPDX-License-Identifier: MIT */
/* TCP's urgent data: MSG_OOB, SO_OOBINLINE, SIOCATMARK, SIGURG, EPOLLPRI. tcp(7), recv(2). */
#define _GNU_SOURCE
#include <t.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>

static char got[64];

static void pair(long sv[2])
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t n = sizeof(a);
    long l = call(SYS_socket, AF_INET, SOCK_STREAM, 0);
    CHECK(0, call(SYS_bind, l, &a, sizeof(a)));
    CHECK(0, call(SYS_listen, l, 5));
    CHECK(0, call(SYS_getsockname, l, &a, &n));
    sv[0] = call(SYS_socket, AF_INET, SOCK_STREAM, 0);
    CHECK(0, call(SYS_connect, sv[0], &a, sizeof(a)));
    sv[1] = call(SYS_accept, l, NULL, NULL);
    call(SYS_close, l);
}

static void close_pair(const long sv[2])
{
    call(SYS_close, sv[0]);
    call(SYS_close, sv[1]);
}

static long send_to(long fd, const char *s, int flags)
{
    return call(SYS_sendto, fd, s, strlen(s), flags, NULL, 0);
}

static long receive(long fd, size_t n, int flags)
{
    memset(got, 0, sizeof(got));
    return call(SYS_recvfrom, fd, got, n, flags | MSG_DONTWAIT, NULL, NULL);
}

static long events(long fd, short wanted, int wait_ms)
{
    struct pollfd p = { (int)fd, wanted, 0 };
    long n = call(SYS_poll, &p, 1, wait_ms);
    return n < 0 ? n : p.revents;
}

static int number(long fd, unsigned long request)
{
    int n = -1;
    CHECK(0, call(SYS_ioctl, fd, request, &n));
    return n;
}

static int urgent_bytes(long fd)
{
    return number(fd, SIOCATMARK);
}

/* A byte beside the stream: it is read by itself, and the stream goes on without it. */
static void beside(void)
{
    long sv[2];
    pair(sv);
    CHECK(-EINVAL, receive(sv[1], 1, MSG_OOB)); /* there is none */
    CHECK(0, urgent_bytes(sv[1]));
    CHECK(3, send_to(sv[0], "abX", MSG_OOB));
    CHECK(2, send_to(sv[0], "cd", 0));
    CHECK(POLLPRI, events(sv[1], POLLPRI, 60000));
    CHECK(POLLPRI | POLLIN, events(sv[1], POLLPRI | POLLIN, 60000));
    CHECK(2, number(sv[1], FIONREAD)); /* up to the mark */
    CHECK(1, receive(sv[1], 10, MSG_OOB | MSG_PEEK));
    CHECK('X', got[0]);
    CHECK(1, receive(sv[1], 10, MSG_OOB));
    CHECK('X', got[0]);
    CHECK(-EINVAL, receive(sv[1], 1, MSG_OOB)); /* read already */
    CHECK(0, events(sv[1], POLLPRI, 0));
    CHECK(0, urgent_bytes(sv[1]));
    CHECK(2, receive(sv[1], 10, 0)); /* a read ends before the mark */
    CHECK(0, memcmp(got, "ab", 2));
    CHECK(1, urgent_bytes(sv[1]));
    CHECK(2, receive(sv[1], 10, MSG_PEEK));
    CHECK(1, urgent_bytes(sv[1]));
    CHECK(2, receive(sv[1], 10, 0));
    CHECK(0, memcmp(got, "cd", 2));
    CHECK(0, urgent_bytes(sv[1]));
    CHECK(-EAGAIN, receive(sv[1], 10, 0));
    close_pair(sv);
}

/* Who reads past it has lost it. */
static void passed_over(void)
{
    long sv[2];
    pair(sv);
    CHECK(1, send_to(sv[0], "X", MSG_OOB));
    CHECK(POLLPRI, events(sv[1], POLLPRI, 60000));
    CHECK(1, urgent_bytes(sv[1]));
    CHECK(-EAGAIN, receive(sv[1], 10, 0)); /* nothing but it */
    CHECK(0, urgent_bytes(sv[1]));
    CHECK(-EINVAL, receive(sv[1], 1, MSG_OOB));
    CHECK(0, events(sv[1], POLLPRI, 0));
    CHECK(2, send_to(sv[0], "ab", 0));
    CHECK(POLLIN, events(sv[1], POLLIN | POLLPRI, 60000));
    CHECK(2, receive(sv[1], 10, 0));
    close_pair(sv);
}

/* A later one takes the place of an earlier one, which is then part of the stream. */
static void replaced(void)
{
    long sv[2];
    pair(sv);
    CHECK(3, send_to(sv[0], "abX", MSG_OOB));
    CHECK(2, send_to(sv[0], "cY", MSG_OOB));
    CHECK(1, send_to(sv[0], "d", 0));
    while (number(sv[1], FIONREAD) != 4)
        events(sv[1], POLLIN, 10);
    CHECK(1, receive(sv[1], 10, MSG_OOB));
    CHECK('Y', got[0]);
    CHECK(4, receive(sv[1], 10, 0));
    CHECK(0, memcmp(got, "abXc", 4));
    CHECK(1, receive(sv[1], 10, 0));
    CHECK('d', got[0]);
    close_pair(sv);
}

static void in_line(void)
{
    long sv[2];
    int on = 1;
    pair(sv);
    CHECK(0, call(SYS_setsockopt, sv[1], SOL_SOCKET, SO_OOBINLINE, &on, sizeof(on)));
    CHECK(2, send_to(sv[0], "aX", MSG_OOB));
    CHECK(1, send_to(sv[0], "b", 0));
    CHECK(POLLPRI, events(sv[1], POLLPRI, 60000));
    while (number(sv[1], FIONREAD) != 3)
        events(sv[1], POLLIN, 10);
    CHECK(-EINVAL, receive(sv[1], 1, MSG_OOB));
    CHECK(1, receive(sv[1], 10, 0));
    CHECK(1, urgent_bytes(sv[1]));
    CHECK(2, receive(sv[1], 10, 0)); /* from the mark on */
    CHECK(0, memcmp(got, "Xb", 2));
    CHECK(0, urgent_bytes(sv[1]));
    CHECK(0, events(sv[1], POLLPRI, 0));
    close_pair(sv);
}

/* The receiver's owner is told; recvmsg says that it is urgent; an end of the stream comes after it. */
static void told(void)
{
    long sv[2];
    uint64_t urg = 1ull << (SIGURG - 1);
    struct timespec now = { 0, 0 }, later = { 60, 0 };
    struct iovec iov = { got, 5 };
    struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
    CHECK(0, call(SYS_rt_sigprocmask, SIG_BLOCK, &urg, NULL, 8));
    pair(sv);
    CHECK(1, send_to(sv[0], "N", MSG_OOB)); /* no owner */
    CHECK(POLLPRI, events(sv[1], POLLPRI, 60000));
    CHECK(-EAGAIN, call(SYS_rt_sigtimedwait, &urg, NULL, &now, 8));
    CHECK(0, call(SYS_fcntl, sv[1], F_SETOWN, call(SYS_getpid)));
    CHECK(1, send_to(sv[0], "X", MSG_OOB));
    CHECK(SIGURG, call(SYS_rt_sigtimedwait, &urg, NULL, &later, 8));
    CHECK(-EAGAIN, call(SYS_rt_sigtimedwait, &urg, NULL, &now, 8));
    events(sv[1], POLLPRI, 60000);
    CHECK(1, call(SYS_recvmsg, sv[1], &m, MSG_OOB | MSG_DONTWAIT));
    CHECK('X', got[0]);
    CHECK(MSG_OOB, m.msg_flags & MSG_OOB);
    CHECK(0, call(SYS_shutdown, sv[0], SHUT_WR));
    CHECK(POLLRDHUP, events(sv[1], POLLRDHUP, 60000) & POLLRDHUP);
    CHECK(0, receive(sv[1], 10, 0));
    close_pair(sv);
}

static void refused(void)
{
    long d = call(SYS_socket, AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    CHECK(-EPIPE, send_to(d, "x", MSG_OOB | MSG_NOSIGNAL));
    CHECK(-EINVAL, receive(d, 1, MSG_OOB));
    CHECK(0, call(SYS_bind, d, &a, sizeof(a)));
    CHECK(0, call(SYS_listen, d, 1));
    CHECK(-ENOTCONN, receive(d, 1, MSG_OOB));
    call(SYS_close, d);
    d = call(SYS_socket, AF_INET, SOCK_DGRAM, 0);
    CHECK(-EOPNOTSUPP, call(SYS_sendto, d, "x", 1, MSG_OOB, &a, sizeof(a)));
    call(SYS_close, d);
}

int main(void)
{
    beside();
    passed_over();
    replaced();
    in_line();
    told();
    refused();
    return t_end();
}
