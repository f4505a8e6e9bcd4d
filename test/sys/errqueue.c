/* SPDX-License-Identifier: MIT */
/* Errors of datagrams: pending ones, SO_ERROR, IP_RECVERR and the error queue. */
#define _GNU_SOURCE
#include <t.h>

#include <arpa/inet.h>
#include <errno.h>
#include <linux/errqueue.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>

static struct sockaddr_in nobody; /* a port that no socket has */
static struct sockaddr_in6 nobody6;

static void find_nobody(void)
{
    socklen_t n = sizeof(nobody), n6 = sizeof(nobody6);
    long s = call(SYS_socket, AF_INET, SOCK_DGRAM, 0),
         t = call(SYS_socket, AF_INET6, SOCK_DGRAM, 0);
    nobody =
        (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    nobody6 = (struct sockaddr_in6){ .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
    CHECK(0, call(SYS_bind, s, &nobody, n));
    CHECK(0, call(SYS_bind, t, &nobody6, n6));
    call(SYS_getsockname, s, &nobody, &n);
    call(SYS_getsockname, t, &nobody6, &n6);
    call(SYS_close, s);
    call(SYS_close, t);
}

static long events(long s)
{
    struct pollfd p = { (int)s, POLLIN, 0 };
    call(SYS_poll, &p, 1, 100);
    return p.revents;
}

static long so_error(long s)
{
    int v = -1;
    socklen_t n = sizeof(v);
    CHECK(0, call(SYS_getsockopt, s, SOL_SOCKET, SO_ERROR, &v, &n));
    return v;
}

static void pending(void)
{
    char b[10];
    long s = call(SYS_socket, AF_INET, SOCK_DGRAM, 0);
    /* Not connected and not asked for: nobody tells. */
    CHECK(2, call(SYS_sendto, s, "ab", 2, 0, &nobody, sizeof(nobody)));
    CHECK(0, so_error(s));
    CHECK(0, call(SYS_connect, s, &nobody, sizeof(nobody)));
    CHECK(2, call(SYS_write, s, "ab", 2));
    CHECK(POLLERR, events(s));
    CHECK(ECONNREFUSED, so_error(s));
    CHECK(0, so_error(s));
    CHECK(2, call(SYS_write, s, "ab", 2));
    CHECK(-ECONNREFUSED, call(SYS_write, s, "ab", 2));
    CHECK(2, call(SYS_write, s, "ab", 2));
    CHECK(-ECONNREFUSED, call(SYS_recvfrom, s, b, sizeof(b), MSG_DONTWAIT, NULL, NULL));
    CHECK(-EAGAIN, call(SYS_recvfrom, s, b, sizeof(b), MSG_DONTWAIT, NULL, NULL));
    CHECK(-EAGAIN, call(SYS_recvfrom, s, b, sizeof(b), MSG_ERRQUEUE, NULL, NULL));
    call(SYS_close, s);
}

static void queue4(bool connected)
{
    char b[10] = { 0 }, control[256];
    struct sockaddr_in name = { 0 };
    struct iovec v = { b, sizeof(b) };
    struct msghdr m = { &name, sizeof(name), &v, 1, control, sizeof(control), 0 };
    int on = 1;
    long s = call(SYS_socket, AF_INET, SOCK_DGRAM, 0);
    CHECK(0, call(SYS_setsockopt, s, IPPROTO_IP, IP_RECVERR, &on, sizeof(on)));
    if (connected)
        CHECK(0, call(SYS_connect, s, &nobody, sizeof(nobody)));
    CHECK(5, call(SYS_sendto, s, "hello", 5, 0, connected ? NULL : &nobody,
                  connected ? 0 : sizeof(nobody)));
    CHECK(POLLERR, events(s));
    CHECK(5, call(SYS_recvmsg, s, &m, MSG_ERRQUEUE));
    CHECK(0, memcmp(b, "hello", 5));
    CHECK(MSG_ERRQUEUE, m.msg_flags);
    CHECK(sizeof(name), m.msg_namelen);
    CHECK(nobody.sin_port, name.sin_port);
    CHECK(nobody.sin_addr.s_addr, name.sin_addr.s_addr);
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    if (CHECK(1, c != NULL)) {
        struct sock_extended_err *e = (void *)CMSG_DATA(c);
        struct sockaddr_in *who = (void *)SO_EE_OFFENDER(e);
        CHECK(IPPROTO_IP, c->cmsg_level);
        CHECK(IP_RECVERR, c->cmsg_type);
        CHECK(CMSG_LEN(sizeof(*e) + sizeof(*who)), c->cmsg_len);
        CHECK(ECONNREFUSED, e->ee_errno);
        CHECK(SO_EE_ORIGIN_ICMP, e->ee_origin);
        CHECK(3, e->ee_type);
        CHECK(3, e->ee_code);
        CHECK(AF_INET, who->sin_family);
        CHECK(htonl(INADDR_LOOPBACK), who->sin_addr.s_addr);
    }
    CHECK(0, so_error(s));
    CHECK(-EAGAIN, call(SYS_recvmsg, s, &m, MSG_ERRQUEUE));
    CHECK(0, events(s));
    call(SYS_close, s);
}

static void queue6(void)
{
    char b[3], control[256];
    struct iovec v = { b, sizeof(b) };
    struct msghdr m = { NULL, 0, &v, 1, control, sizeof(control), 0 };
    int on = 1;
    long s = call(SYS_socket, AF_INET6, SOCK_DGRAM, 0);
    CHECK(0, call(SYS_setsockopt, s, IPPROTO_IPV6, IPV6_RECVERR, &on, sizeof(on)));
    CHECK(5, call(SYS_sendto, s, "hello", 5, 0, &nobody6, sizeof(nobody6)));
    CHECK(3, call(SYS_recvmsg, s, &m, MSG_ERRQUEUE));
    CHECK(MSG_ERRQUEUE | MSG_TRUNC, m.msg_flags);
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    if (CHECK(1, c != NULL)) {
        struct sock_extended_err *e = (void *)CMSG_DATA(c);
        CHECK(IPPROTO_IPV6, c->cmsg_level);
        CHECK(IPV6_RECVERR, c->cmsg_type);
        CHECK(ECONNREFUSED, e->ee_errno);
        CHECK(SO_EE_ORIGIN_ICMP6, e->ee_origin);
        CHECK(1, e->ee_type);
        CHECK(4, e->ee_code);
    }
    call(SYS_close, s);
}

static void several(void)
{
    char b[10];
    int on = 1;
    long s = call(SYS_socket, AF_INET, SOCK_DGRAM, 0);
    CHECK(0, call(SYS_setsockopt, s, IPPROTO_IP, IP_RECVERR, &on, sizeof(on)));
    CHECK(1, call(SYS_sendto, s, "1", 1, 0, &nobody, sizeof(nobody)));
    CHECK(-ECONNREFUSED, call(SYS_sendto, s, "2", 1, 0, &nobody, sizeof(nobody)));
    CHECK(1, call(SYS_sendto, s, "3", 1, 0, &nobody, sizeof(nobody)));
    CHECK(1, call(SYS_recvfrom, s, b, sizeof(b), MSG_ERRQUEUE, NULL, NULL));
    CHECK('1', b[0]);
    CHECK(ECONNREFUSED, so_error(s)); /* of the next one */
    CHECK(1, call(SYS_recvfrom, s, b, sizeof(b), MSG_ERRQUEUE, NULL, NULL));
    CHECK('3', b[0]);
    CHECK(0, so_error(s));
    CHECK(-EAGAIN, call(SYS_recvfrom, s, b, sizeof(b), MSG_ERRQUEUE, NULL, NULL));
    call(SYS_close, s);
}

/* ---- MSG_ZEROCOPY ---- */

/* The next report: which sends, or -1: there is none (within a while, since on Linux the receiver's end comes first). */
static long zerocopy_report(long s, int level, int type, uint32_t *lo, uint32_t *hi)
{
    char control[128];
    struct msghdr m = { .msg_control = control, .msg_controllen = sizeof(control) };
    struct pollfd p = { (int)s, 0, 0 };
    if (call(SYS_poll, &p, 1, 10000) != 1 || !(p.revents & POLLERR))
        return -1;
    CHECK(0, call(SYS_recvmsg, s, &m, MSG_ERRQUEUE));
    CHECK(MSG_ERRQUEUE, m.msg_flags);
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    if (!c)
        return -2;
    struct sock_extended_err *e = (void *)CMSG_DATA(c);
    CHECK(level, c->cmsg_level);
    CHECK(type, c->cmsg_type);
    CHECK(0, e->ee_errno);
    CHECK(5, e->ee_origin); /* SO_EE_ORIGIN_ZEROCOPY */
    CHECK(0, e->ee_type);
    CHECK(1, e->ee_code); /* copied: over the loopback Linux cannot do without either */
    *lo = e->ee_info;
    *hi = e->ee_data;
    return 0;
}

/* All of n sends are reported, in order and each once. */
static void reported(long s, int family, uint32_t n)
{
    uint32_t lo, hi, next = 0;
    int level = family == AF_INET ? SOL_IP : SOL_IPV6,
        type = family == AF_INET ? IP_RECVERR : IPV6_RECVERR;
    while (next < n && zerocopy_report(s, level, type, &lo, &hi) == 0) {
        CHECK(next, lo);
        CHECK(1, hi >= lo && hi < n);
        next = hi + 1;
    }
    CHECK(n, next);
    char control[64];
    struct msghdr m = { .msg_control = control, .msg_controllen = sizeof(control) };
    CHECK(-EAGAIN, call(SYS_recvmsg, s, &m, MSG_ERRQUEUE | MSG_DONTWAIT));
}

static void zerocopy_stream(void)
{
    static char buf[20000];
    int one = 1, two = 2;
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof(a);
    long l = call(SYS_socket, AF_INET, SOCK_STREAM, 0),
         s = call(SYS_socket, AF_INET, SOCK_STREAM, 0);
    CHECK(0, call(SYS_bind, l, &a, len));
    CHECK(0, call(SYS_listen, l, 1));
    CHECK(0, call(SYS_getsockname, l, &a, &len));
    CHECK(0, call(SYS_connect, s, &a, len));
    long c = call(SYS_accept4, l, NULL, NULL, 0);
    /* Not asked for: the flag has no meaning. */
    CHECK(10, call(SYS_sendto, s, buf, 10, MSG_ZEROCOPY, NULL, 0));
    CHECK(10, call(SYS_recvfrom, c, buf, 10, MSG_WAITALL, NULL, NULL));
    CHECK(-EINVAL, call(SYS_setsockopt, s, SOL_SOCKET, SO_ZEROCOPY, &two, sizeof(two)));
    CHECK(0, call(SYS_setsockopt, s, SOL_SOCKET, SO_ZEROCOPY, &one, sizeof(one)));
    for (int i = 0; i < 5; i++) {
        CHECK(sizeof(buf), call(SYS_sendto, s, buf, sizeof(buf), MSG_ZEROCOPY, NULL, 0));
        CHECK(0, call(SYS_sendto, s, buf, 0, MSG_ZEROCOPY, NULL, 0)); /* is none */
        CHECK(1, call(SYS_sendto, s, buf, 1, 0, NULL, 0));
        CHECK(sizeof(buf) + 1, call(SYS_recvfrom, c, buf, sizeof(buf), MSG_WAITALL, NULL, NULL) +
                                   call(SYS_recvfrom, c, buf, 1, MSG_WAITALL, NULL, NULL));
    }
    reported(s, AF_INET, 5);
    call(SYS_close, s);
    call(SYS_close, c);
    call(SYS_close, l);
}

static void zerocopy_datagrams(void)
{
    char buf[1000] = "";
    int one = 1;
    struct sockaddr_in6 a = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
    socklen_t len = sizeof(a);
    long t = call(SYS_socket, AF_INET6, SOCK_DGRAM, 0),
         s = call(SYS_socket, AF_INET6, SOCK_DGRAM, 0);
    CHECK(0, call(SYS_bind, t, &a, len));
    CHECK(0, call(SYS_getsockname, t, &a, &len));
    CHECK(0, call(SYS_setsockopt, s, SOL_SOCKET, SO_ZEROCOPY, &one, sizeof(one)));
    for (int i = 0; i < 3; i++) {
        CHECK(sizeof(buf), call(SYS_sendto, s, buf, sizeof(buf), MSG_ZEROCOPY, &a, len));
        CHECK(sizeof(buf), call(SYS_recvfrom, t, buf, sizeof(buf), 0, NULL, NULL));
    }
    reported(s, AF_INET6, 3);
    call(SYS_close, s);
    call(SYS_close, t);
}

int main(void)
{
    zerocopy_stream();
    zerocopy_datagrams();
    find_nobody();
    pending();
    queue4(false);
    queue4(true);
    queue6();
    several();
    return t_end();
}
