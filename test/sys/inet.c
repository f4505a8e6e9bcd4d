/* SPDX-License-Identifier: MIT */
/* AF_INET and AF_INET6 over the loopback: TCP, UDP, names, ports, options, errors. */
#define _GNU_SOURCE
#include <t.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>

static char buf[1 << 18], got[1 << 18];

static struct sockaddr_in v4(uint32_t addr, uint16_t port)
{
    return (struct sockaddr_in){ .sin_family = AF_INET,
                                 .sin_port = htons(port),
                                 .sin_addr.s_addr = htonl(addr) };
}

static long ready(long fd, short events, int wait_ms)
{
    struct pollfd p = { (int)fd, events, 0 };
    long n = call(SYS_poll, &p, 1, wait_ms);
    return n < 0 ? n : p.revents;
}

static struct sockaddr_in name_of(long fd)
{
    struct sockaddr_in a = { 0 };
    socklen_t n = sizeof(a);
    CHECK(0, call(SYS_getsockname, fd, &a, &n));
    CHECK(16, n);
    return a;
}

/* A listener on a free port. */
static long listener(struct sockaddr_in *a)
{
    long l = call(SYS_socket, AF_INET, SOCK_STREAM, 0);
    *a = v4(INADDR_LOOPBACK, 0);
    CHECK(0, call(SYS_bind, l, a, sizeof(*a)));
    CHECK(0, call(SYS_listen, l, 5));
    *a = name_of(l);
    CHECK(1, ntohs(a->sin_port) >= 1024);
    return l;
}

static void pair(long sv[2])
{
    struct sockaddr_in a;
    long l = listener(&a);
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

static void refuses(void)
{
    struct sockaddr_in a = v4(INADDR_LOOPBACK, 1);
    CHECK(-EPROTONOSUPPORT, call(SYS_socket, AF_INET, SOCK_STREAM, IPPROTO_UDP));
    CHECK(-ESOCKTNOSUPPORT, call(SYS_socket, AF_INET, SOCK_SEQPACKET, 0));
    CHECK(-EINVAL, call(SYS_socket, AF_INET, SOCK_STREAM, 1000));
    int fds[2];
    CHECK(-EOPNOTSUPP, call(SYS_socketpair, AF_INET, SOCK_STREAM, 0, fds));
    long s = call(SYS_socket, AF_INET, SOCK_STREAM, 0);
    CHECK(POLLOUT | POLLHUP, ready(s, POLLIN | POLLOUT, 0));
    CHECK(-ENOTCONN, call(SYS_read, s, buf, 1));
    CHECK(-EPIPE, call(SYS_sendto, s, "x", 1, MSG_NOSIGNAL, NULL, 0));
    CHECK(-ENOTCONN, call(SYS_shutdown, s, SHUT_RDWR));
    socklen_t n = sizeof(a);
    CHECK(-ENOTCONN, call(SYS_getpeername, s, &a, &n));
    CHECK(-EINVAL, call(SYS_accept, s, NULL, NULL));
    CHECK(-EINVAL, call(SYS_bind, s, &a, 8));
    a.sin_family = AF_INET6;
    CHECK(-EAFNOSUPPORT, call(SYS_bind, s, &a, sizeof(a)));
    a = v4(0x01020304, 0);
    CHECK(-EADDRNOTAVAIL, call(SYS_bind, s, &a, sizeof(a)));
    a = v4(INADDR_LOOPBACK, 1);
    CHECK(-ECONNREFUSED, call(SYS_connect, s, &a, sizeof(a)));
    call(SYS_close, s);
}

static void tcp_connects(void)
{
    struct sockaddr_in a, from, other;
    socklen_t n = sizeof(from);
    long l = listener(&a);
    CHECK(0, ready(l, POLLIN | POLLOUT, 0));
    long c = call(SYS_socket, AF_INET, SOCK_STREAM, 0);
    CHECK(0, call(SYS_connect, c, &a, sizeof(a)));
    CHECK(-EISCONN, call(SYS_connect, c, &a, sizeof(a)));
    CHECK(POLLOUT, ready(c, POLLIN | POLLOUT | POLLRDHUP, 0));
    CHECK(POLLIN, ready(l, POLLIN, 1000));
    long s = call(SYS_accept4, l, &from, &n, SOCK_NONBLOCK);
    CHECK(16, n);
    other = name_of(c);
    CHECK(other.sin_port, from.sin_port);
    CHECK(htonl(INADDR_LOOPBACK), from.sin_addr.s_addr);
    other = name_of(s);
    CHECK(a.sin_port, other.sin_port);
    CHECK(5, call(SYS_write, c, "hello", 5));
    CHECK(POLLIN, ready(s, POLLIN, 1000));
    int waiting = 0;
    CHECK(0, call(SYS_ioctl, s, FIONREAD, &waiting));
    CHECK(5, waiting);
    CHECK(2, call(SYS_recvfrom, s, buf, 2, MSG_PEEK, NULL, NULL));
    CHECK(5, call(SYS_read, s, buf, 10));
    CHECK(-EAGAIN, call(SYS_read, s, buf, 10));
    CHECK(0, call(SYS_shutdown, c, SHUT_WR));
    CHECK(POLLIN | POLLRDHUP, ready(s, POLLIN | POLLRDHUP, 1000));
    CHECK(0, call(SYS_read, s, buf, 10));
    CHECK(-EPIPE, call(SYS_sendto, c, "x", 1, MSG_NOSIGNAL, NULL, 0));
    CHECK(3, call(SYS_write, s, "abc", 3));
    CHECK(3, call(SYS_read, c, buf, 10));
    call(SYS_close, s);
    CHECK(0, call(SYS_read, c, buf, 10));
    call(SYS_close, c);
    call(SYS_close, l);
    c = call(SYS_socket, AF_INET, SOCK_STREAM, 0);
    CHECK(-ECONNREFUSED, call(SYS_connect, c, &a, sizeof(a)));
    call(SYS_close, c);
}

static void tcp_nonblocking(void)
{
    struct sockaddr_in a;
    long l = listener(&a);
    long c = call(SYS_socket, AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    CHECK(-EINPROGRESS, call(SYS_connect, c, &a, sizeof(a)));
    CHECK(POLLOUT, ready(c, POLLOUT, 1000));
    int err = -1;
    socklen_t n = sizeof(err);
    CHECK(0, call(SYS_getsockopt, c, SOL_SOCKET, SO_ERROR, &err, &n));
    CHECK(0, err);
    CHECK(0, call(SYS_connect, c, &a, sizeof(a))); /* how it ended, told once */
    CHECK(-EISCONN, call(SYS_connect, c, &a, sizeof(a)));
    long s = call(SYS_accept, l, NULL, NULL);
    CHECK(-EISCONN, call(SYS_connect, s, &a, sizeof(a)));
    call(SYS_close, s);
    call(SYS_close, c);
    call(SYS_close, l);
    c = call(SYS_socket, AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    for (int i = 0; i < 2; i++) {
        CHECK(-EINPROGRESS, call(SYS_connect, c, &a, sizeof(a)));
        CHECK(POLLIN | POLLOUT | POLLERR | POLLHUP | POLLRDHUP,
              ready(c, POLLIN | POLLOUT | POLLRDHUP, 1000));
        CHECK(-ECONNREFUSED, call(SYS_connect, c, &a, sizeof(a)));
        CHECK(POLLOUT | POLLHUP, ready(c, POLLIN | POLLOUT | POLLRDHUP, 1000));
    }
    CHECK(-EINPROGRESS, call(SYS_connect, c, &a, sizeof(a)));
    ready(c, POLLOUT, 1000);
    CHECK(0, call(SYS_getsockopt, c, SOL_SOCKET, SO_ERROR, &err, &n));
    CHECK(ECONNREFUSED, err);
    CHECK(-ECONNABORTED, call(SYS_connect, c, &a, sizeof(a)));
    call(SYS_close, c);
}

static void tcp_resets(void)
{
    long sv[2];
    pair(sv);
    CHECK(3, call(SYS_write, sv[0], "abc", 3));
    ready(sv[1], POLLIN, 1000);
    call(SYS_close, sv[1]); /* with bytes that nobody read */
    CHECK(1, (ready(sv[0], POLLIN, 1000) & POLLERR) != 0);
    CHECK(-ECONNRESET, call(SYS_read, sv[0], buf, 10));
    CHECK(0, call(SYS_read, sv[0], buf, 10));
    CHECK(-EPIPE, call(SYS_sendto, sv[0], "x", 1, MSG_NOSIGNAL, NULL, 0));
    call(SYS_close, sv[0]);
    pair(sv);
    struct linger hard = { 1, 0 };
    CHECK(0, call(SYS_setsockopt, sv[1], SOL_SOCKET, SO_LINGER, &hard, sizeof(hard)));
    call(SYS_close, sv[1]);
    CHECK(1, (ready(sv[0], POLLIN, 1000) & POLLERR) != 0);
    CHECK(-ECONNRESET, call(SYS_read, sv[0], buf, 10));
    call(SYS_close, sv[0]);
    pair(sv);
    call(SYS_close, sv[1]);
    ready(sv[0], POLLRDHUP, 1000);
    CHECK(1, call(SYS_sendto, sv[0], "x", 1, MSG_NOSIGNAL, NULL, 0)); /* answered by a reset */
    ready(sv[0], POLLERR, 1000);
    CHECK(-EPIPE, call(SYS_sendto, sv[0], "x", 1, MSG_NOSIGNAL, NULL, 0));
    call(SYS_close, sv[0]);
}

/* What came before a reset can still be read, but there is no peer any more; nor when both ends have said all. */
static void tcp_peer_is_gone(void)
{
    long sv[2];
    struct linger hard = { 1, 0 };
    struct sockaddr_in a;
    socklen_t n = sizeof(a);
    pair(sv);
    CHECK(0, call(SYS_setsockopt, sv[1], SOL_SOCKET, SO_LINGER, &hard, sizeof(hard)));
    CHECK(5, call(SYS_write, sv[1], "hello", 5));
    CHECK(0, call(SYS_getpeername, sv[0], &a, &n));
    call(SYS_close, sv[1]);
    CHECK(1, (ready(sv[0], POLLIN, 60000) & POLLERR) != 0);
    CHECK(-ENOTCONN, call(SYS_getpeername, sv[0], &a, &n));
    CHECK(5, call(SYS_read, sv[0], buf, 10));
    CHECK(-ECONNRESET, call(SYS_read, sv[0], buf, 10));
    CHECK(0, call(SYS_read, sv[0], buf, 10));
    call(SYS_close, sv[0]);
    pair(sv);
    CHECK(0, call(SYS_shutdown, sv[0], SHUT_WR));
    CHECK(1, (ready(sv[1], POLLIN, 60000) & POLLIN) != 0);
    CHECK(0, call(SYS_getpeername, sv[0], &a, &n));
    CHECK(0, call(SYS_getpeername, sv[1], &a, &n));
    CHECK(0, call(SYS_shutdown, sv[1], SHUT_WR));
    CHECK(1, (ready(sv[0], POLLHUP, 60000) & POLLHUP) != 0);
    CHECK(-ENOTCONN, call(SYS_getpeername, sv[0], &a, &n));
    CHECK(-ENOTCONN, call(SYS_getpeername, sv[1], &a, &n));
    CHECK(0, call(SYS_getsockname, sv[1], &a, &n));
    close_pair(sv);
}

static void tcp_carries_much(void)
{
    long sv[2];
    pair(sv);
    for (size_t i = 0; i < sizeof(buf); i++)
        buf[i] = (char)(i * 13 + i / 253);
    size_t sent = 0, read = 0;
    call(SYS_fcntl, sv[0], F_SETFL, O_NONBLOCK);
    while (read < sizeof(buf)) {
        long n = sent < sizeof(buf) ? call(SYS_write, sv[0], buf + sent, sizeof(buf) - sent) : 0;
        if (n > 0)
            sent += (size_t)n;
        n = call(SYS_read, sv[1], got + read, 30000);
        if (n <= 0)
            break;
        read += (size_t)n;
    }
    CHECK(sizeof(buf), read);
    CHECK(0, memcmp(buf, got, sizeof(buf)));
    CHECK(4, call(SYS_write, sv[1], "wait", 4));
    call(SYS_fcntl, sv[0], F_SETFL, 0);
    CHECK(4, call(SYS_recvfrom, sv[0], got, 4, MSG_WAITALL, NULL, NULL));
    CHECK(4, call(SYS_write, sv[1], "gone", 4));
    CHECK(4, call(SYS_recvfrom, sv[0], NULL, 4, MSG_TRUNC, NULL, NULL)); /* thrown away */
    close_pair(sv);
}

static long bound(int type, struct sockaddr_in *a, int option)
{
    int on = 1;
    long s = call(SYS_socket, AF_INET, type, 0);
    if (option)
        CHECK(0, call(SYS_setsockopt, s, SOL_SOCKET, option, &on, sizeof(on)));
    long err = call(SYS_bind, s, a, sizeof(*a));
    if (err)
        call(SYS_close, s);
    return err ? err : s;
}

static void ports(void)
{
    struct sockaddr_in a = v4(INADDR_LOOPBACK, 0), any;
    long s = bound(SOCK_STREAM, &a, 0);
    a = name_of(s);
    any = v4(INADDR_ANY, ntohs(a.sin_port));
    CHECK(-EADDRINUSE, bound(SOCK_STREAM, &a, 0));
    CHECK(-EADDRINUSE, bound(SOCK_STREAM, &any, 0));
    CHECK(-EADDRINUSE, bound(SOCK_STREAM, &any, SO_REUSEADDR));
    CHECK(-EINVAL, call(SYS_bind, s, &a, sizeof(a)));
    long u = bound(SOCK_DGRAM, &a, 0); /* another protocol */
    CHECK(1, u >= 0);
    call(SYS_close, u);
    call(SYS_close, s);
    a.sin_port = 0;
    s = bound(SOCK_STREAM, &a, SO_REUSEPORT);
    a = name_of(s);
    u = bound(SOCK_STREAM, &a, SO_REUSEPORT);
    CHECK(1, u >= 0);
    CHECK(0, call(SYS_listen, s, 5));
    CHECK(0, call(SYS_listen, u, 5));
    for (int i = 0; i < 8; i++) {
        long c = call(SYS_socket, AF_INET, SOCK_STREAM, 0);
        CHECK(0, call(SYS_connect, c, &a, sizeof(a)));
        struct pollfd p[2] = { { (int)s, POLLIN, 0 }, { (int)u, POLLIN, 0 } };
        CHECK(1, call(SYS_poll, p, 2, 1000));
        long x = call(SYS_accept, p[0].revents ? s : u, NULL, NULL);
        CHECK(1, x >= 0);
        call(SYS_close, x);
        call(SYS_close, c);
    }
    call(SYS_close, s);
    call(SYS_close, u);
    a.sin_port = 0;
    s = bound(SOCK_STREAM, &a, SO_REUSEADDR);
    a = name_of(s);
    u = bound(SOCK_STREAM, &a, SO_REUSEADDR);
    CHECK(1, s >= 0 && u >= 0);
    CHECK(0, call(SYS_listen, s, 5));
    CHECK(-EADDRINUSE, call(SYS_listen, u, 5));
    call(SYS_close, s);
    call(SYS_close, u);
}

static void udp(void)
{
    struct sockaddr_in a = v4(INADDR_LOOPBACK, 0), b, from;
    socklen_t n = sizeof(from);
    long s = bound(SOCK_DGRAM, &a, 0), c = call(SYS_socket, AF_INET, SOCK_DGRAM, 0);
    a = name_of(s);
    CHECK(-EDESTADDRREQ, call(SYS_write, c, "x", 1));
    CHECK(3, call(SYS_sendto, c, "abc", 3, 0, &a, sizeof(a)));
    CHECK(0, call(SYS_sendto, c, "", 0, 0, &a, sizeof(a)));
    CHECK(3, call(SYS_recvfrom, s, buf, 10, 0, &from, &n));
    b = name_of(c);
    CHECK(b.sin_port, from.sin_port);
    CHECK(htonl(INADDR_LOOPBACK), from.sin_addr.s_addr);
    CHECK(0, call(SYS_recvfrom, s, buf, 10, 0, &from, &n));
    CHECK(-EAGAIN, call(SYS_recvfrom, s, buf, 10, MSG_DONTWAIT, NULL, NULL));
    CHECK(-EMSGSIZE, call(SYS_sendto, c, buf, 65508, 0, &a, sizeof(a)));
    CHECK(65507, call(SYS_sendto, c, buf, 65507, 0, &a, sizeof(a)));
    CHECK(65507, call(SYS_recvfrom, s, got, 1000, MSG_TRUNC, NULL, NULL));
    CHECK(0, call(SYS_connect, c, &a, sizeof(a)));
    CHECK(1, call(SYS_write, c, "x", 1));
    CHECK(1, call(SYS_read, s, buf, 10));
    call(SYS_close, s);
    CHECK(1, call(SYS_write, c, "x", 1));
    CHECK(1, (ready(c, POLLIN, 1000) & POLLERR) != 0);
    CHECK(-ECONNREFUSED, call(SYS_recvfrom, c, buf, 1, MSG_DONTWAIT, NULL, NULL));
    a.sin_family = AF_UNSPEC;
    CHECK(0, call(SYS_connect, c, &a, sizeof(a)));
    n = sizeof(a);
    CHECK(-ENOTCONN, call(SYS_getpeername, c, &a, &n));
    call(SYS_close, c);
}

static void udp_tells_where_to(void)
{
    int on = 1;
    struct sockaddr_in a = v4(INADDR_ANY, 0);
    union {
        struct cmsghdr h;
        char room[256];
    } c;
    struct iovec v = { buf, 10 };
    struct msghdr m = {
        .msg_iov = &v, .msg_iovlen = 1, .msg_control = &c, .msg_controllen = sizeof(c)
    };
    long s = bound(SOCK_DGRAM, &a, 0);
    a = name_of(s);
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1); /* 127.0.0.2 */
    CHECK(0, call(SYS_setsockopt, s, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on)));
    CHECK(1, call(SYS_sendto, s, "x", 1, 0, &a, sizeof(a)));
    CHECK(1, call(SYS_recvmsg, s, &m, 0));
    CHECK(IPPROTO_IP, c.h.cmsg_level);
    CHECK(IP_PKTINFO, c.h.cmsg_type);
    struct in_pktinfo info;
    memcpy(&info, CMSG_DATA(&c.h), sizeof(info));
    CHECK(a.sin_addr.s_addr, info.ipi_addr.s_addr);
    call(SYS_close, s);
}

static void six(void)
{
    struct sockaddr_in6 a = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_ANY_INIT }, from;
    struct sockaddr_in b;
    socklen_t n = sizeof(a);
    int on = 1;
    long l = call(SYS_socket, AF_INET6, SOCK_STREAM, 0);
    CHECK(0, call(SYS_bind, l, &a, sizeof(a)));
    CHECK(0, call(SYS_listen, l, 5));
    CHECK(0, call(SYS_getsockname, l, &a, &n));
    CHECK(28, n);
    CHECK(-EINVAL, call(SYS_setsockopt, l, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)));
    long c = call(SYS_socket, AF_INET, SOCK_STREAM, 0); /* IPv4 to a socket of both */
    b = v4(INADDR_LOOPBACK, ntohs(a.sin6_port));
    CHECK(-EADDRINUSE, call(SYS_bind, c, &b, sizeof(b)));
    CHECK(0, call(SYS_connect, c, &b, sizeof(b)));
    n = sizeof(from);
    long s = call(SYS_accept, l, &from, &n);
    CHECK(28, n);
    CHECK(1, IN6_IS_ADDR_V4MAPPED(&from.sin6_addr));
    call(SYS_close, s);
    call(SYS_close, c);
    c = call(SYS_socket, AF_INET6, SOCK_STREAM, 0);
    a.sin6_addr = in6addr_loopback;
    CHECK(0, call(SYS_connect, c, &a, sizeof(a)));
    n = sizeof(from);
    s = call(SYS_accept, l, &from, &n);
    CHECK(0, memcmp(&from.sin6_addr, &in6addr_loopback, 16));
    CHECK(2, call(SYS_write, c, "ok", 2));
    CHECK(2, call(SYS_read, s, buf, 10));
    call(SYS_close, s);
    call(SYS_close, c);
    call(SYS_close, l);
    l = call(SYS_socket, AF_INET6, SOCK_STREAM, 0);
    CHECK(0, call(SYS_setsockopt, l, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)));
    a.sin6_addr = in6addr_any;
    a.sin6_port = 0;
    CHECK(0, call(SYS_bind, l, &a, sizeof(a)));
    CHECK(0, call(SYS_listen, l, 5));
    n = sizeof(a);
    CHECK(0, call(SYS_getsockname, l, &a, &n));
    b = v4(INADDR_LOOPBACK, ntohs(a.sin6_port));
    c = call(SYS_socket, AF_INET, SOCK_STREAM, 0);
    CHECK(-ECONNREFUSED, call(SYS_connect, c, &b, sizeof(b)));
    call(SYS_close, c);
    call(SYS_close, l);
}

static long option(long fd, int level, int name)
{
    int v = -1;
    socklen_t n = sizeof(v);
    long err = call(SYS_getsockopt, fd, level, name, &v, &n);
    return err ? err : v;
}

static long set(long fd, int level, int name, int v)
{
    return call(SYS_setsockopt, fd, level, name, &v, sizeof(v));
}

static void options(void)
{
    long s = call(SYS_socket, AF_INET, SOCK_STREAM, 0);
    CHECK(IPPROTO_TCP, option(s, SOL_SOCKET, SO_PROTOCOL));
    CHECK(0, option(s, IPPROTO_TCP, TCP_NODELAY));
    CHECK(0, set(s, IPPROTO_TCP, TCP_NODELAY, 1));
    CHECK(1, option(s, IPPROTO_TCP, TCP_NODELAY));
    CHECK(7200, option(s, IPPROTO_TCP, TCP_KEEPIDLE));
    CHECK(-EINVAL, set(s, IPPROTO_TCP, TCP_KEEPIDLE, 0));
    CHECK(0, set(s, IPPROTO_TCP, TCP_KEEPIDLE, 30));
    CHECK(30, option(s, IPPROTO_TCP, TCP_KEEPIDLE));
    CHECK(0, set(s, IPPROTO_TCP, TCP_USER_TIMEOUT, 5000));
    CHECK(5000, option(s, IPPROTO_TCP, TCP_USER_TIMEOUT));
    CHECK(-ENOPROTOOPT, set(s, IPPROTO_TCP, 200, 1));
    CHECK(-EINVAL, call(SYS_setsockopt, s, IPPROTO_TCP, TCP_NODELAY, buf, 1));
    CHECK(64, option(s, IPPROTO_IP, IP_TTL));
    CHECK(-EINVAL, set(s, IPPROTO_IP, IP_TTL, 256));
    CHECK(0, set(s, IPPROTO_IP, IP_TTL, 9));
    CHECK(9, option(s, IPPROTO_IP, IP_TTL));
    CHECK(0, set(s, IPPROTO_IP, IP_TOS, 0x10));
    CHECK(0x10, option(s, IPPROTO_IP, IP_TOS));
    CHECK(0, set(s, SOL_SOCKET, SO_KEEPALIVE, 1));
    CHECK(1, option(s, SOL_SOCKET, SO_KEEPALIVE));
    CHECK(0, option(s, SOL_SOCKET, SO_ACCEPTCONN));
    struct tcp_info info;
    socklen_t n = sizeof(info);
    CHECK(0, call(SYS_getsockopt, s, IPPROTO_TCP, TCP_INFO, &info, &n));
    CHECK(TCP_CLOSE, info.tcpi_state);
    call(SYS_close, s);
    s = call(SYS_socket, AF_INET6, SOCK_DGRAM, 0);
    CHECK(0, option(s, IPPROTO_IPV6, IPV6_V6ONLY));
    CHECK(0, set(s, IPPROTO_IPV6, IPV6_V6ONLY, 1));
    CHECK(1, option(s, IPPROTO_IPV6, IPV6_V6ONLY));
    CHECK(0, set(s, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1));
    CHECK(1, option(s, IPPROTO_IPV6, IPV6_RECVPKTINFO));
    call(SYS_close, s);
}

static void interfaces(void)
{
    struct ifreq r = { .ifr_name = "lo" };
    long s = call(SYS_socket, AF_INET, SOCK_DGRAM, 0);
    CHECK(0, call(SYS_ioctl, s, SIOCGIFINDEX, &r));
    CHECK(1, r.ifr_ifindex);
    CHECK(0, call(SYS_ioctl, s, SIOCGIFFLAGS, &r));
    CHECK(IFF_UP | IFF_LOOPBACK | IFF_RUNNING, r.ifr_flags);
    CHECK(0, call(SYS_ioctl, s, SIOCGIFADDR, &r));
    CHECK(htonl(INADDR_LOOPBACK), ((struct sockaddr_in *)&r.ifr_addr)->sin_addr.s_addr);
    CHECK(0, call(SYS_ioctl, s, SIOCGIFMTU, &r));
    CHECK(65536, r.ifr_mtu);
    strcpy(r.ifr_name, "nosuch0");
    CHECK(-ENODEV, call(SYS_ioctl, s, SIOCGIFFLAGS, &r));
    call(SYS_close, s);
}

static void wakes_epoll(void)
{
    long sv[2];
    struct epoll_event e = { .events = EPOLLIN | EPOLLOUT | EPOLLET | EPOLLRDHUP };
    pair(sv);
    long ep = call(SYS_epoll_create1, 0);
    CHECK(0, call(SYS_epoll_ctl, ep, EPOLL_CTL_ADD, sv[1], &e));
    CHECK(1, call(SYS_epoll_wait, ep, &e, 1, 0));
    CHECK(EPOLLOUT, e.events);
    CHECK(0, call(SYS_epoll_wait, ep, &e, 1, 0));
    CHECK(1, call(SYS_write, sv[0], "x", 1));
    CHECK(1, call(SYS_epoll_wait, ep, &e, 1, 1000));
    CHECK(EPOLLIN | EPOLLOUT, e.events);
    call(SYS_close, sv[0]);
    CHECK(1, call(SYS_epoll_wait, ep, &e, 1, 1000));
    CHECK(EPOLLIN | EPOLLOUT | EPOLLRDHUP, e.events);
    call(SYS_close, sv[1]);
    call(SYS_close, ep);
}

int main(void)
{
    refuses();
    tcp_connects();
    tcp_nonblocking();
    tcp_resets();
    tcp_peer_is_gone();
    tcp_carries_much();
    ports();
    udp();
    udp_tells_where_to();
    six();
    options();
    interfaces();
    wakes_epoll();
    return t_end();
}
