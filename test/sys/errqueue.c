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

int main(void)
{
    find_nobody();
    pending();
    queue4(false);
    queue4(true);
    queue6();
    several();
    return t_end();
}
