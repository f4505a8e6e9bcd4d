/* SPDX-License-Identifier: MIT */
/* Options of sockets at their edges: values of no length and of another length, rounding, options that can only be read. */
#define _GNU_SOURCE
#include <t.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

static long set(long s, int level, int name, int v)
{
    return call(SYS_setsockopt, s, level, name, &v, sizeof(v));
}

static long get(long s, int level, int name)
{
    int v = -1;
    socklen_t n = sizeof(v);
    long err = call(SYS_getsockopt, s, level, name, &v, &n);
    return err ? err : v;
}

/* Without a value it is one of 0, where IP_TOS and its like say nothing else. */
static void no_value(void)
{
    static const int take[] = { IP_TOS,     IP_PKTINFO, IP_MTU_DISCOVER,
                                IP_RECVERR, IP_RECVTTL, IP_RECVTOS };
    static const int refuse[] = { IP_TTL,           IP_FREEBIND,       IP_TRANSPARENT,  IP_MINTTL,
                                  IP_MULTICAST_TTL, IP_MULTICAST_LOOP, IP_MULTICAST_ALL };
    long s = call(SYS_socket, AF_INET, SOCK_DGRAM, 0);
    int v = 1;
    for (size_t i = 0; i < sizeof(take) / sizeof(take[0]); i++) {
        CHECK(0, set(s, SOL_IP, take[i], 1));
        CHECK(1, get(s, SOL_IP, take[i]));
        CHECK(0, call(SYS_setsockopt, s, SOL_IP, take[i], &v, 0));
        CHECK(0, get(s, SOL_IP, take[i]));
    }
    for (size_t i = 0; i < sizeof(refuse) / sizeof(refuse[0]); i++)
        CHECK(-EINVAL, call(SYS_setsockopt, s, SOL_IP, refuse[i], &v, 0));
    CHECK(-ENOPROTOOPT, call(SYS_setsockopt, s, SOL_IP, 30, &v, 0));
    CHECK(-EINVAL, set(s, SOL_IP, IP_MULTICAST_ALL, 2));
    CHECK(-EINVAL, set(s, SOL_IP, IP_MULTICAST_ALL, -1));
    CHECK(0, set(s, SOL_IP, IP_MULTICAST_ALL, 0));
    CHECK(0, call(SYS_close, s));
}

static void tcp_times(void)
{
    static const int defer[][2] = { { 0, 0 },  { 1, 1 },       { 2, 3 },         { 7, 7 },
                                    { 8, 15 }, { 1000, 1087 }, { 70000, 29887 }, { -1, 0 } };
    long s = call(SYS_socket, AF_INET, SOCK_STREAM, 0);
    for (size_t i = 0; i < sizeof(defer) / sizeof(defer[0]); i++) {
        CHECK(0, set(s, SOL_TCP, TCP_DEFER_ACCEPT, defer[i][0]));
        CHECK(defer[i][1], get(s, SOL_TCP, TCP_DEFER_ACCEPT));
    }
    CHECK(0, set(s, SOL_TCP, TCP_LINGER2, 1000));
    CHECK(120, get(s, SOL_TCP, TCP_LINGER2));
    CHECK(0, set(s, SOL_TCP, TCP_LINGER2, 0));
    CHECK(60, get(s, SOL_TCP, TCP_LINGER2));
    CHECK(0, set(s, SOL_TCP, TCP_LINGER2, -5));
    CHECK(-1, get(s, SOL_TCP, TCP_LINGER2));
    CHECK(0, call(SYS_close, s));
}

static void read_only(void)
{
    uint64_t one = 0, two = 0;
    socklen_t n = 4;
    struct sockaddr_in a = { .sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                             .sin_port = htons(9) },
                       peer = { 0 };
    long s = call(SYS_socket, AF_INET, SOCK_DGRAM, 0), t = call(SYS_socket, AF_INET, SOCK_DGRAM, 0);
    CHECK(-EINVAL, call(SYS_getsockopt, s, SOL_SOCKET, SO_COOKIE, &one, &n));
    n = sizeof(one);
    CHECK(0, call(SYS_getsockopt, s, SOL_SOCKET, SO_COOKIE, &one, &n));
    CHECK(0, call(SYS_getsockopt, t, SOL_SOCKET, SO_COOKIE, &two, &n));
    CHECK(1, one && two && one != two);
    CHECK(-ENOPROTOOPT, set(s, SOL_SOCKET, SO_COOKIE, 1));
    CHECK(64, get(s, SOL_SOCKET, SO_BPF_EXTENSIONS));
    CHECK(0, get(s, SOL_SOCKET, SO_INCOMING_NAPI_ID));
    n = sizeof(peer);
    CHECK(-ENOTCONN, call(SYS_getsockopt, s, SOL_SOCKET, SO_PEERNAME, &peer, &n));
    CHECK(0, call(SYS_connect, s, &a, sizeof(a)));
    CHECK(0, call(SYS_getsockopt, s, SOL_SOCKET, SO_PEERNAME, &peer, &n));
    CHECK(a.sin_port, peer.sin_port);
    n = 200;
    char more[200];
    CHECK(-EINVAL, call(SYS_getsockopt, s, SOL_SOCKET, SO_PEERNAME, more, &n));
    CHECK(0, call(SYS_close, s) | call(SYS_close, t));
}

#ifndef SO_BINDTOIFINDEX
#define SO_BINDTOIFINDEX 62
#endif

/* The interface that a socket is bound to, by name and by number. */
static void device(int type)
{
    char name[64] = "";
    socklen_t n = sizeof(name);
    long s = call(SYS_socket, AF_INET, type, 0);
    CHECK(0, call(SYS_getsockopt, s, SOL_SOCKET, SO_BINDTODEVICE, name, &n));
    CHECK(0, n);
    CHECK(0, get(s, SOL_SOCKET, SO_BINDTOIFINDEX));
    CHECK(-ENODEV, call(SYS_setsockopt, s, SOL_SOCKET, SO_BINDTODEVICE, "nosuch", 7));
    CHECK(-ENODEV,
          call(SYS_setsockopt, s, SOL_SOCKET, SO_BINDTODEVICE, "averyveryverylongname", 21));
    CHECK(0, call(SYS_setsockopt, s, SOL_SOCKET, SO_BINDTODEVICE, "lo", 2));
    n = 15;
    CHECK(-EINVAL, call(SYS_getsockopt, s, SOL_SOCKET, SO_BINDTODEVICE, name, &n));
    n = 16;
    CHECK(0, call(SYS_getsockopt, s, SOL_SOCKET, SO_BINDTODEVICE, name, &n));
    CHECK(3, n);
    CHECK(0, memcmp(name, "lo", 3));
    CHECK(1, get(s, SOL_SOCKET, SO_BINDTOIFINDEX));
    CHECK(-EINVAL, set(s, SOL_SOCKET, SO_BINDTOIFINDEX, -1));
    CHECK(0, call(SYS_setsockopt, s, SOL_SOCKET, SO_BINDTODEVICE, "", 0));
    CHECK(0, get(s, SOL_SOCKET, SO_BINDTOIFINDEX));
    CHECK(0, call(SYS_close, s));
}

/* A datagram of this machine comes by the loopback interface, and by no other. */
static void datagrams_of_device(void)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t n = sizeof(a);
    char c;
    long s = call(SYS_socket, AF_INET, SOCK_DGRAM, 0), t = call(SYS_socket, AF_INET, SOCK_DGRAM, 0);
    CHECK(0, call(SYS_setsockopt, s, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3));
    CHECK(0, call(SYS_bind, s, &a, sizeof(a)));
    CHECK(0, call(SYS_getsockname, s, &a, &n));
    CHECK(1, call(SYS_sendto, t, "x", 1, 0, &a, sizeof(a)));
    CHECK(1, call(SYS_recvfrom, s, &c, 1, 0, 0, 0));
    CHECK(0, set(s, SOL_SOCKET, SO_BINDTOIFINDEX, 2));
    CHECK(1, call(SYS_sendto, t, "x", 1, 0, &a, sizeof(a)));
    CHECK(-EAGAIN, call(SYS_recvfrom, s, &c, 1, MSG_DONTWAIT, 0, 0));
    CHECK(0, call(SYS_close, s) | call(SYS_close, t));
}

static void filter_lock(int family, int type)
{
    uint32_t mem[16];
    socklen_t n = sizeof(mem);
    long s = call(SYS_socket, family, type, 0);
    CHECK(-ENOENT, set(s, SOL_SOCKET, SO_DETACH_FILTER, 0));
    CHECK(0, get(s, SOL_SOCKET, SO_LOCK_FILTER));
    CHECK(0, set(s, SOL_SOCKET, SO_LOCK_FILTER, 0));
    CHECK(0, set(s, SOL_SOCKET, SO_LOCK_FILTER, 5));
    CHECK(1, get(s, SOL_SOCKET, SO_LOCK_FILTER));
    CHECK(-EPERM, set(s, SOL_SOCKET, SO_LOCK_FILTER, 0));
    CHECK(-EPERM, set(s, SOL_SOCKET, SO_DETACH_FILTER, 0));
    CHECK(0, call(SYS_getsockopt, s, SOL_SOCKET, SO_MEMINFO, mem, &n));
    CHECK(36, n);
    CHECK(get(s, SOL_SOCKET, SO_SNDBUF), mem[3]);
    n = 6;
    CHECK(0, call(SYS_getsockopt, s, SOL_SOCKET, SO_MEMINFO, mem, &n));
    CHECK(6, n);
    CHECK(-ENOPROTOOPT, set(s, SOL_SOCKET, SO_MEMINFO, 0));
    CHECK(0, call(SYS_close, s));
}

static void least_ttl(int type)
{
    static const int flags[] = { IP_RECVOPTS, IP_RETOPTS };
    long s = call(SYS_socket, AF_INET6, type, 0);
    CHECK(0, get(s, SOL_IP, IP_MINTTL));
    CHECK(-EINVAL, set(s, SOL_IP, IP_MINTTL, -1));
    CHECK(-EINVAL, set(s, SOL_IP, IP_MINTTL, 256));
    CHECK(0, set(s, SOL_IP, IP_MINTTL, 255));
    CHECK(255, get(s, SOL_IP, IP_MINTTL));
    CHECK(-EINVAL, set(s, SOL_IPV6, IPV6_MINHOPCOUNT, 256));
    CHECK(0, set(s, SOL_IPV6, IPV6_MINHOPCOUNT, 7));
    CHECK(7, get(s, SOL_IPV6, IPV6_MINHOPCOUNT));
    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
        CHECK(0, get(s, SOL_IP, flags[i]));
        CHECK(0, set(s, SOL_IP, flags[i], 3));
        CHECK(1, get(s, SOL_IP, flags[i]));
    }
    CHECK(0, call(SYS_close, s));
}

int main(void)
{
    no_value();
    tcp_times();
    read_only();
    device(SOCK_DGRAM);
    device(SOCK_STREAM);
    datagrams_of_device();
    filter_lock(AF_UNIX, SOCK_STREAM);
    filter_lock(AF_INET, SOCK_DGRAM);
    filter_lock(AF_INET6, SOCK_STREAM);
    least_ttl(SOCK_DGRAM);
    least_ttl(SOCK_STREAM);
    return t_end();
}
