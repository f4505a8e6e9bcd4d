/* SPDX-License-Identifier: MIT */
/* The calls on sockets, shown on AF_UNIX: names, connections, datagrams, ancillary data, options, readiness. */
#define _GNU_SOURCE
#include <t.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <linux/sockios.h>
#include <time.h>

static char buf[1 << 18];
static int sv[2];

static void pair(int type)
{
    CHECK(0, call(SYS_socketpair, AF_UNIX, type, 0, sv));
}

static void close_pair(void)
{
    call(SYS_close, sv[0]);
    call(SYS_close, sv[1]);
}

static long ready(int fd, short events)
{
    struct pollfd p = { fd, events, 0 };
    long n = call(SYS_poll, &p, 1, 0);
    return n < 0 ? n : p.revents;
}

static socklen_t path_name(struct sockaddr_un *a, const char *text)
{
    memset(a, 0, sizeof(*a));
    a->sun_family = AF_UNIX;
    strcpy(a->sun_path, text);
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(text) + 1);
}

static socklen_t abstract_name(struct sockaddr_un *a, const char *text)
{
    memset(a, 0, sizeof(*a));
    a->sun_family = AF_UNIX;
    strcpy(a->sun_path + 1, text);
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(text));
}

static void refuses(void)
{
    int fds[2];
    CHECK(-EAFNOSUPPORT, call(SYS_socket, -1, SOCK_STREAM, 0));
    CHECK(-EAFNOSUPPORT, call(SYS_socket, 1000, SOCK_STREAM, 0));
    CHECK(-EINVAL, call(SYS_socket, AF_UNIX, 15, 0));
    CHECK(-ESOCKTNOSUPPORT, call(SYS_socket, AF_UNIX, SOCK_RDM, 0));
    CHECK(-EPROTONOSUPPORT, call(SYS_socket, AF_UNIX, SOCK_STREAM, 6));
    CHECK(-EINVAL, call(SYS_socket, AF_UNIX, SOCK_STREAM | 0x100, 0));
    CHECK(-EFAULT, call(SYS_socketpair, AF_UNIX, SOCK_STREAM, 0, T_BAD));
    CHECK(-EBADF, call(SYS_listen, 999, 1));
    CHECK(0, call(SYS_pipe2, fds, 0));
    CHECK(-ENOTSOCK, call(SYS_listen, fds[0], 1));
    CHECK(-ENOTSOCK, call(SYS_sendto, fds[1], "x", 1, 0, NULL, 0));
    call(SYS_close, fds[0]);
    call(SYS_close, fds[1]);
}

static void moves_bytes(void)
{
    pair(SOCK_STREAM);
    CHECK(5, call(SYS_write, sv[0], "hello", 5));
    CHECK(6, call(SYS_sendto, sv[0], " world", 6, 0, NULL, 0));
    int n = 0;
    CHECK(0, call(SYS_ioctl, sv[1], FIONREAD, &n));
    CHECK(11, n);
    CHECK(3, call(SYS_recvfrom, sv[1], buf, 3, MSG_PEEK, NULL, NULL));
    CHECK(11, call(SYS_recvfrom, sv[1], buf, 100, MSG_PEEK, NULL, NULL));
    CHECK(8, call(SYS_read, sv[1], buf, 8));
    CHECK(0, memcmp(buf, "hello wo", 8));
    CHECK(3, call(SYS_recvfrom, sv[1], buf, 100, 0, NULL, NULL));
    CHECK(-EAGAIN, call(SYS_recvfrom, sv[1], buf, 100, MSG_DONTWAIT, NULL, NULL));
    CHECK(0, call(SYS_read, sv[1], buf, 0));
    CHECK(-ESPIPE, call(SYS_lseek, sv[0], 0, SEEK_CUR));
    CHECK(-EFAULT, call(SYS_write, sv[0], T_BAD, 1));
    CHECK(1, call(SYS_write, sv[0], "x", 1));
    CHECK(-EFAULT, call(SYS_read, sv[1], T_BAD, 1));
    CHECK(1, call(SYS_read, sv[1], buf, 1));
    struct iovec out[2] = { { "ab", 2 }, { "cde", 3 } };
    CHECK(5, call(SYS_writev, sv[0], out, 2));
    CHECK(5, call(SYS_read, sv[1], buf, 100));
    CHECK(0, memcmp(buf, "abcde", 5));
    CHECK(-EOPNOTSUPP, call(SYS_listen, sv[0], 1) == -EINVAL ? -EOPNOTSUPP : 0);
    close_pair();
}

static void big_transfer(void)
{
    pair(SOCK_STREAM);
    for (size_t i = 0; i < sizeof(buf); i++)
        buf[i] = (char)(i * 7 + i / 251);
    static char got[sizeof(buf)];
    size_t sent = 0, read = 0;
    CHECK(0, call(SYS_fcntl, sv[0], F_SETFL, O_NONBLOCK));
    while (read < sizeof(buf)) {
        long n =
            sent < sizeof(buf) ? call(SYS_write, sv[0], buf + sent, sizeof(buf) - sent) : -EAGAIN;
        if (n > 0)
            sent += (size_t)n;
        else if (n != -EAGAIN)
            break;
        n = call(SYS_read, sv[1], got + read, 5000);
        if (n <= 0)
            break;
        read += (size_t)n;
    }
    CHECK(sizeof(buf), read);
    CHECK(0, memcmp(buf, got, sizeof(buf)));
    while (call(SYS_write, sv[0], buf, 4096) > 0)
        ;
    CHECK(-EAGAIN, call(SYS_write, sv[0], buf, 1));
    CHECK(0, ready(sv[0], POLLOUT));
    CHECK(POLLIN, ready(sv[1], POLLIN));
    while (call(SYS_recvfrom, sv[1], got, sizeof(got), MSG_DONTWAIT, NULL, NULL) > 0)
        ;
    CHECK(POLLOUT, ready(sv[0], POLLOUT));
    close_pair();
}

static void ends(void)
{
    pair(SOCK_STREAM);
    CHECK(POLLOUT, ready(sv[0], POLLIN | POLLOUT | POLLRDHUP));
    CHECK(-EINVAL, call(SYS_shutdown, sv[0], 3));
    CHECK(2, call(SYS_write, sv[0], "ab", 2));
    CHECK(0, call(SYS_shutdown, sv[0], SHUT_WR));
    CHECK(POLLIN | POLLRDHUP, ready(sv[1], POLLIN | POLLRDHUP));
    CHECK(2, call(SYS_read, sv[1], buf, 10));
    CHECK(0, call(SYS_read, sv[1], buf, 10));
    CHECK(-EPIPE, call(SYS_sendto, sv[0], "x", 1, MSG_NOSIGNAL, NULL, 0));
    CHECK(3, call(SYS_write, sv[1], "abc", 3));
    CHECK(3, call(SYS_read, sv[0], buf, 10));
    call(SYS_close, sv[1]);
    CHECK(POLLIN | POLLOUT | POLLHUP | POLLRDHUP, ready(sv[0], POLLIN | POLLOUT | POLLRDHUP));
    CHECK(0, call(SYS_read, sv[0], buf, 10));
    call(SYS_close, sv[0]);

    pair(SOCK_STREAM);
    CHECK(3, call(SYS_write, sv[0], "abc", 3));
    call(SYS_close, sv[1]); /* with bytes that nobody read */
    CHECK(POLLERR | POLLHUP | POLLIN, ready(sv[0], POLLIN));
    CHECK(-ECONNRESET, call(SYS_read, sv[0], buf, 10));
    CHECK(0, call(SYS_read, sv[0], buf, 10));
    CHECK(-EPIPE, call(SYS_sendto, sv[0], "x", 1, MSG_NOSIGNAL, NULL, 0));
    call(SYS_close, sv[0]);
}

static void named_streams(void)
{
    struct sockaddr_un a, got;
    socklen_t len = path_name(&a, "/tmp/alcove-test-sock"), n = sizeof(got);
    call(SYS_unlink, a.sun_path);
    long l = call(SYS_socket, AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    long c = call(SYS_socket, AF_UNIX, SOCK_STREAM, 0);
    CHECK(-EINVAL, call(SYS_listen, l, 5)); /* no name yet */
    CHECK(POLLOUT | POLLHUP, ready((int)c, POLLIN | POLLOUT));
    CHECK(-EINVAL, call(SYS_read, c, buf, 1));
    CHECK(-ENOTCONN, call(SYS_sendto, c, "x", 1, 0, NULL, 0));
    CHECK(-EINVAL, call(SYS_bind, l, &a, 200));
    CHECK(-EFAULT, call(SYS_bind, l, T_BAD, 10));
    CHECK(-ENOENT, call(SYS_connect, c, &a, len));
    CHECK(0, call(SYS_bind, l, &a, len));
    struct stat st;
    CHECK(0, call(SYS_stat, a.sun_path, &st));
    CHECK(S_IFSOCK, st.st_mode & S_IFMT);
    CHECK(-ENXIO, call(SYS_open, a.sun_path, O_RDONLY, 0));
    CHECK(-EINVAL, call(SYS_accept, l, NULL, NULL));
    CHECK(-ECONNREFUSED, call(SYS_connect, c, &a, len));
    CHECK(0, call(SYS_listen, l, 1));
    CHECK(-EADDRINUSE, call(SYS_bind, c, &a, len));
    CHECK(0, call(SYS_connect, c, &a, len));
    CHECK(-EISCONN, call(SYS_connect, c, &a, len));
    CHECK(POLLIN, ready((int)l, POLLIN | POLLOUT));
    CHECK(4, call(SYS_write, c, "ping", 4)); /* before it is accepted */
    long s = call(SYS_accept4, l, &got, &n, SOCK_NONBLOCK);
    CHECK(2, n);
    CHECK(AF_UNIX, got.sun_family);
    CHECK(1, s >= 0);
    CHECK(4, call(SYS_read, s, buf, 10));
    CHECK(-EAGAIN, call(SYS_read, s, buf, 10));
    n = sizeof(got);
    CHECK(0, call(SYS_getsockname, s, &got, &n));
    CHECK(len, n);
    CHECK(0, strcmp(got.sun_path, a.sun_path));
    n = sizeof(got);
    CHECK(0, call(SYS_getpeername, c, &got, &n));
    CHECK(len, n);
    n = 4;
    CHECK(0, call(SYS_getpeername, c, &got, &n));
    CHECK(len, n);
    CHECK(-EISCONN, call(SYS_sendto, c, "x", 1, 0, &a, len));
    struct ucred who;
    n = sizeof(who);
    CHECK(0, call(SYS_getsockopt, s, SOL_SOCKET, SO_PEERCRED, &who, &n));
    CHECK(call(SYS_getpid), who.pid);
    /* The backlog: with 1, two wait. */
    long w[3];
    for (int i = 0; i < 3; i++) {
        w[i] = call(SYS_socket, AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
        CHECK(i < 2 ? 0 : -EAGAIN, call(SYS_connect, w[i], &a, len));
    }
    call(SYS_close, l);
    CHECK(-ECONNRESET, call(SYS_read, w[0], buf, 1));
    CHECK(-ECONNREFUSED, call(SYS_connect, w[2], &a, len));
    for (int i = 0; i < 3; i++)
        call(SYS_close, w[i]);
    call(SYS_close, s);
    call(SYS_close, c);
    CHECK(0, call(SYS_unlink, a.sun_path));
}

static void abstract_names(void)
{
    struct sockaddr_un a, got;
    socklen_t len = abstract_name(&a, "alcove-test"), n = sizeof(got);
    long s = call(SYS_socket, AF_UNIX, SOCK_DGRAM, 0), t = call(SYS_socket, AF_UNIX, SOCK_DGRAM, 0);
    CHECK(-ECONNREFUSED, call(SYS_connect, t, &a, len));
    CHECK(0, call(SYS_bind, s, &a, len));
    CHECK(-EADDRINUSE, call(SYS_bind, t, &a, len));
    CHECK(0, call(SYS_getsockname, s, &got, &n));
    CHECK(len, n);
    CHECK(0, memcmp(&a, &got, len));
    n = sizeof(got);
    CHECK(0, call(SYS_getsockname, t, &got, &n));
    CHECK(2, n);
    CHECK(0, call(SYS_bind, t, &a, 2)); /* autobind */
    n = sizeof(got);
    CHECK(0, call(SYS_getsockname, t, &got, &n));
    CHECK(8, n);
    CHECK(0, got.sun_path[0]);
    CHECK(-EINVAL, call(SYS_bind, t, &a, len));
    long u = call(SYS_socket, AF_UNIX, SOCK_STREAM, 0);
    CHECK(-ECONNREFUSED, call(SYS_connect, u, &a, len));
    call(SYS_close, u);
    CHECK(3, call(SYS_sendto, t, "abc", 3, 0, &a, len));
    struct sockaddr_un from;
    n = sizeof(from);
    CHECK(3, call(SYS_recvfrom, s, buf, 10, 0, &from, &n));
    CHECK(8, n);
    CHECK(0, memcmp(&from, &got, 8));
    call(SYS_close, s);
    CHECK(-ECONNREFUSED, call(SYS_sendto, t, "abc", 3, 0, &a, len));
    call(SYS_close, t);
}

static void datagrams(void)
{
    pair(SOCK_DGRAM);
    CHECK(3, call(SYS_write, sv[0], "abc", 3));
    CHECK(0, call(SYS_write, sv[0], "", 0));
    CHECK(4, call(SYS_write, sv[0], "defg", 4));
    int n = 0;
    CHECK(0, call(SYS_ioctl, sv[1], FIONREAD, &n));
    CHECK(3, n);
    CHECK(2, call(SYS_recvfrom, sv[1], buf, 2, MSG_PEEK, NULL, NULL));
    CHECK(2, call(SYS_read, sv[1], buf, 2)); /* the rest is lost */
    CHECK(0, call(SYS_read, sv[1], buf, 10));
    CHECK(4, call(SYS_recvfrom, sv[1], buf, 2, MSG_TRUNC, NULL, NULL));
    CHECK(-EAGAIN, call(SYS_recvfrom, sv[1], buf, 2, MSG_DONTWAIT, NULL, NULL));
    CHECK(-EMSGSIZE, call(SYS_sendto, sv[0], buf, sizeof(buf), 0, NULL, 0));
    int sent = 0;
    while (call(SYS_sendto, sv[0], "x", 1, MSG_DONTWAIT, NULL, 0) == 1)
        sent++;
    CHECK(1, sent >= 10);
    CHECK(0, call(SYS_shutdown, sv[0], SHUT_RD));
    CHECK(-EPIPE, call(SYS_sendto, sv[1], "x", 1, MSG_NOSIGNAL, NULL, 0));
    call(SYS_close, sv[1]);
    CHECK(-ECONNREFUSED, call(SYS_write, sv[0], "x", 1));
    CHECK(-ENOTCONN, call(SYS_write, sv[0], "x", 1));
    call(SYS_close, sv[0]);
    CHECK(-EOPNOTSUPP,
          call(SYS_socketpair, AF_UNIX, SOCK_DGRAM, 0, sv) ?: call(SYS_listen, sv[0], 1));
    CHECK(-EOPNOTSUPP, call(SYS_accept, sv[0], NULL, NULL));
    close_pair();
}

static void packets(void)
{
    pair(SOCK_SEQPACKET);
    CHECK(3, call(SYS_write, sv[0], "abc", 3));
    CHECK(4, call(SYS_write, sv[0], "defg", 4));
    struct iovec v = { buf, 2 };
    struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1 };
    CHECK(2, call(SYS_recvmsg, sv[1], &m, 0));
    CHECK(MSG_TRUNC, m.msg_flags & MSG_TRUNC);
    CHECK(4, call(SYS_read, sv[1], buf, 10));
    call(SYS_close, sv[0]);
    CHECK(0, call(SYS_read, sv[1], buf, 10));
    CHECK(-EPIPE, call(SYS_sendto, sv[1], "x", 1, MSG_NOSIGNAL, NULL, 0));
    call(SYS_close, sv[1]);
}

static long send_fds(int s, const int *fds, int n, const char *text)
{
    union {
        struct cmsghdr h;
        char room[CMSG_SPACE(sizeof(int) * 8)];
    } c = { .h = { CMSG_LEN(sizeof(int) * (size_t)n), SOL_SOCKET, SCM_RIGHTS } };
    memcpy(CMSG_DATA(&c.h), fds, sizeof(int) * (size_t)n);
    struct iovec v = { (char *)text, strlen(text) };
    struct msghdr m = { .msg_iov = &v,
                        .msg_iovlen = 1,
                        .msg_control = &c,
                        .msg_controllen = CMSG_SPACE(sizeof(int) * (size_t)n) };
    return call(SYS_sendmsg, s, &m, 0);
}

/* How many descriptors came; the first in *fd. */
static int recv_fds(int s, int *fd, size_t room, int flags, int *ret_flags)
{
    union {
        struct cmsghdr h;
        char room[256];
    } c;
    struct iovec v = { buf, 100 };
    struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = &c, .msg_controllen = room };
    long n = call(SYS_recvmsg, s, &m, flags);
    *ret_flags = m.msg_flags;
    if (n < 0 || m.msg_controllen < sizeof(c.h))
        return n < 0 ? (int)n : 0;
    int count = (int)((c.h.cmsg_len - sizeof(c.h)) / sizeof(int));
    memcpy(fd, CMSG_DATA(&c.h), sizeof(int));
    for (int i = 1; i < count; i++) {
        int other;
        memcpy(&other, CMSG_DATA(&c.h) + (size_t)i * sizeof(int), sizeof(int));
        call(SYS_close, other);
    }
    return count;
}

static void passes_files(void)
{
    int p[2], fd = -1, flags, three[3];
    pair(SOCK_STREAM);
    CHECK(0, call(SYS_pipe2, p, 0));
    three[0] = p[0], three[1] = p[1], three[2] = 999;
    CHECK(-EBADF, send_fds(sv[0], three, 3, "x"));
    three[2] = p[1];
    CHECK(1, call(SYS_write, sv[0], "a", 1));
    CHECK(2, send_fds(sv[0], three, 3, "bc"));
    CHECK(1, call(SYS_write, sv[0], "d", 1));
    call(SYS_close, p[0]);
    CHECK(3, recv_fds(sv[1], &fd, 256, MSG_CMSG_CLOEXEC, &flags)); /* "abc" in one, not "d" */
    CHECK(0, memcmp(buf, "abc", 3));
    CHECK(MSG_CMSG_CLOEXEC, flags);
    CHECK(FD_CLOEXEC, call(SYS_fcntl, fd, F_GETFD, 0));
    CHECK(2, call(SYS_write, p[1], "hi", 2));
    CHECK(2, call(SYS_read, fd, buf, 10));
    call(SYS_close, fd);
    CHECK(1, call(SYS_read, sv[1], buf, 10));
    /* No room for all of them. */
    three[0] = p[1];
    three[1] = p[1];
    CHECK(1, send_fds(sv[0], three, 3, "x"));
    CHECK(1, recv_fds(sv[1], &fd, CMSG_LEN(sizeof(int)), 0, &flags));
    CHECK(MSG_CTRUNC, flags);
    call(SYS_close, fd);
    /* The reader of a pipe sees its end once the descriptors on their way are gone. */
    CHECK(0, call(SYS_pipe2, three, O_NONBLOCK));
    CHECK(1, send_fds(sv[0], three + 1, 1, "x"));
    call(SYS_close, three[1]);
    CHECK(-EAGAIN, call(SYS_read, three[0], buf, 1));
    close_pair();
    CHECK(0, call(SYS_read, three[0], buf, 1));
    call(SYS_close, three[0]);
    call(SYS_close, p[1]);
}

/* Two sockets in each other's queue, and a pipe's writing end with them: only the collector can close it. */
static void collects_cycles(void)
{
    int p[2], other[2];
    CHECK(0, call(SYS_pipe2, p, O_NONBLOCK));
    pair(SOCK_DGRAM);
    memcpy(other, sv, sizeof(sv));
    pair(SOCK_STREAM);
    CHECK(1, send_fds(other[0], sv, 2, "x")); /* in other[1]'s queue */
    CHECK(1, send_fds(sv[0], other, 2, "x")); /* in sv[1]'s */
    CHECK(1, send_fds(sv[0], p + 1, 1, "x"));
    call(SYS_close, p[1]);
    close_pair();
    call(SYS_close, other[0]);
    CHECK(-EAGAIN, call(SYS_read, p[0], buf, 1));
    call(SYS_close, other[1]);
    pair(SOCK_STREAM);
    close_pair(); /* any socket that goes makes the collector look; Linux has it run a little later */
    struct pollfd w = { p[0], POLLIN, 0 };
    CHECK(1, call(SYS_poll, &w, 1, 5000));
    CHECK(0, call(SYS_read, p[0], buf, 1));
    call(SYS_close, p[0]);
}

static void tells_credentials(void)
{
    int on = 1;
    union {
        struct cmsghdr h;
        char room[CMSG_SPACE(sizeof(struct ucred))];
    } c;
    struct ucred who;
    struct iovec v = { buf, 10 };
    struct msghdr m = {
        .msg_iov = &v, .msg_iovlen = 1, .msg_control = &c, .msg_controllen = sizeof(c)
    };
    pair(SOCK_DGRAM);
    CHECK(0, call(SYS_setsockopt, sv[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)));
    CHECK(1, call(SYS_write, sv[0], "x", 1));
    CHECK(1, call(SYS_recvmsg, sv[1], &m, 0));
    CHECK(sizeof(c), m.msg_controllen);
    CHECK(SCM_CREDENTIALS, c.h.cmsg_type);
    memcpy(&who, CMSG_DATA(&c.h), sizeof(who));
    CHECK(call(SYS_getpid), who.pid);
    CHECK(call(SYS_geteuid), who.uid);
    c.h = (struct cmsghdr){ CMSG_LEN(sizeof(who)), SOL_SOCKET, SCM_CREDENTIALS };
    memcpy(CMSG_DATA(&c.h), &who, sizeof(who));
    m.msg_controllen = CMSG_LEN(sizeof(who));
    CHECK(10, call(SYS_sendmsg, sv[0], &m, 0));
    c.h.cmsg_type = 77;
    CHECK(-EINVAL, call(SYS_sendmsg, sv[0], &m, 0));
    c.h.cmsg_len = 4;
    CHECK(-EINVAL, call(SYS_sendmsg, sv[0], &m, 0));
    close_pair();
}

static long option(int fd, int name)
{
    int v = -1;
    socklen_t n = sizeof(v);
    long err = call(SYS_getsockopt, fd, SOL_SOCKET, name, &v, &n);
    return err ? err : v;
}

static void options(void)
{
    int v = 1;
    socklen_t n;
    pair(SOCK_STREAM);
    CHECK(SOCK_STREAM, option(sv[0], SO_TYPE));
    CHECK(AF_UNIX, option(sv[0], SO_DOMAIN));
    CHECK(0, option(sv[0], SO_PROTOCOL));
    CHECK(0, option(sv[0], SO_ERROR));
    CHECK(0, option(sv[0], SO_ACCEPTCONN));
    CHECK(-ENOPROTOOPT, option(sv[0], 12345));
    CHECK(-EOPNOTSUPP, call(SYS_setsockopt, sv[0], 12345, 1, &v, sizeof(v)));
    CHECK(-ENOPROTOOPT, call(SYS_setsockopt, sv[0], SOL_SOCKET, SO_TYPE, &v, sizeof(v)));
    CHECK(-EINVAL, call(SYS_setsockopt, sv[0], SOL_SOCKET, SO_REUSEADDR, &v, 1));
    CHECK(-EFAULT, call(SYS_setsockopt, sv[0], SOL_SOCKET, SO_REUSEADDR, T_BAD, sizeof(v)));
    CHECK(0, call(SYS_setsockopt, sv[0], SOL_SOCKET, SO_REUSEADDR, &v, sizeof(v)));
    CHECK(1, option(sv[0], SO_REUSEADDR));
    v = 10000;
    CHECK(0, call(SYS_setsockopt, sv[0], SOL_SOCKET, SO_SNDBUF, &v, sizeof(v)));
    CHECK(20000, option(sv[0], SO_SNDBUF));
    v = 1;
    CHECK(0, call(SYS_setsockopt, sv[0], SOL_SOCKET, SO_RCVBUF, &v, sizeof(v)));
    CHECK(2304, option(sv[0], SO_RCVBUF));
    struct timeval tv = { 0, 1000000 };
    CHECK(-EDOM, call(SYS_setsockopt, sv[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)));
    tv.tv_usec = 20000;
    CHECK(0, call(SYS_setsockopt, sv[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)));
    CHECK(-EAGAIN, call(SYS_read, sv[0], buf, 1));
    n = sizeof(tv);
    CHECK(0, call(SYS_getsockopt, sv[0], SOL_SOCKET, SO_RCVTIMEO, &tv, &n));
    CHECK(16, n);
    CHECK(20000, tv.tv_usec);
    struct linger l = { 1, 7 };
    CHECK(0, call(SYS_setsockopt, sv[0], SOL_SOCKET, SO_LINGER, &l, sizeof(l)));
    memset(&l, 0, sizeof(l));
    n = sizeof(l);
    CHECK(0, call(SYS_getsockopt, sv[0], SOL_SOCKET, SO_LINGER, &l, &n));
    CHECK(7, l.l_linger);
    n = 1;
    v = 0;
    CHECK(0, call(SYS_getsockopt, sv[0], SOL_SOCKET, SO_TYPE, &v, &n));
    CHECK(1, n);
    CHECK(1, v);
    close_pair();
}

static void many_at_once(void)
{
    struct iovec out[3] = { { "a", 1 }, { "bb", 2 }, { "ccc", 3 } }, in[4];
    struct mmsghdr m[4] = { 0 };
    pair(SOCK_DGRAM);
    for (int i = 0; i < 3; i++)
        m[i].msg_hdr = (struct msghdr){ .msg_iov = &out[i], .msg_iovlen = 1 };
    CHECK(3, call(SYS_sendmmsg, sv[0], m, 3, 0));
    CHECK(2, m[1].msg_len);
    for (int i = 0; i < 4; i++) {
        in[i] = (struct iovec){ buf + i * 10, 10 };
        m[i].msg_hdr = (struct msghdr){ .msg_iov = &in[i], .msg_iovlen = 1 };
    }
    CHECK(3, call(SYS_recvmmsg, sv[1], m, 4, MSG_WAITFORONE, NULL));
    CHECK(3, m[2].msg_len);
    CHECK('c', buf[20]);
    CHECK(-EAGAIN, call(SYS_recvmmsg, sv[1], m, 4, MSG_DONTWAIT, NULL));
    struct timespec bad = { 0, -1 };
    CHECK(-EINVAL, call(SYS_recvmmsg, sv[1], m, 4, 0, &bad));
    close_pair();
}

static void wakes_epoll(void)
{
    struct epoll_event e = { .events = EPOLLIN | EPOLLET | EPOLLRDHUP };
    pair(SOCK_STREAM);
    long ep = call(SYS_epoll_create1, 0);
    CHECK(0, call(SYS_epoll_ctl, ep, EPOLL_CTL_ADD, sv[1], &e));
    CHECK(0, call(SYS_epoll_wait, ep, &e, 1, 0));
    CHECK(1, call(SYS_write, sv[0], "x", 1));
    CHECK(1, call(SYS_epoll_wait, ep, &e, 1, 0));
    CHECK(EPOLLIN, e.events);
    CHECK(0, call(SYS_epoll_wait, ep, &e, 1, 0)); /* edge */
    CHECK(1, call(SYS_write, sv[0], "x", 1));
    CHECK(1, call(SYS_epoll_wait, ep, &e, 1, 0));
    call(SYS_close, sv[0]);
    CHECK(1, call(SYS_epoll_wait, ep, &e, 1, 0));
    CHECK(EPOLLIN | EPOLLRDHUP | EPOLLHUP, e.events);
    call(SYS_close, sv[1]);
    call(SYS_close, ep);
}

static void splices(void)
{
    int p[2];
    pair(SOCK_STREAM);
    CHECK(0, call(SYS_pipe2, p, 0));
    CHECK(5, call(SYS_write, sv[0], "hello", 5));
    CHECK(5, call(SYS_splice, sv[1], NULL, p[1], NULL, 100, 0));
    CHECK(5, call(SYS_splice, p[0], NULL, sv[1], NULL, 100, 0));
    CHECK(5, call(SYS_read, sv[0], buf, 10));
    CHECK(0, memcmp(buf, "hello", 5));
    call(SYS_close, p[0]);
    call(SYS_close, p[1]);
    close_pair();
}

int main(void)
{
    refuses();
    moves_bytes();
    big_transfer();
    ends();
    named_streams();
    abstract_names();
    datagrams();
    packets();
    passes_files();
    collects_cycles();
    tells_credentials();
    options();
    many_at_once();
    wakes_epoll();
    splices();
    return t_end();
}
