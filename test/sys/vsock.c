/* SPDX-License-Identifier: MIT */
/* AF_VSOCK: making, binding, options and refusals on any Linux that has it; connections over the loopback, which Linux has in a
 * module that few load: there they are made only when it is. No packet leaves the machine. */
#define _GNU_SOURCE
#include <t.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/vm_sockets.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#ifndef IOCTL_VM_SOCKETS_GET_LOCAL_CID
#define IOCTL_VM_SOCKETS_GET_LOCAL_CID _IO(7, 0xb9)
#endif

enum { WAIT_MS = 60000 };

static struct sockaddr_vm address(unsigned cid, unsigned port)
{
    return (struct sockaddr_vm){ .svm_family = AF_VSOCK, .svm_cid = cid, .svm_port = port };
}

static long bind_to(long s, unsigned cid, unsigned port)
{
    struct sockaddr_vm a = address(cid, port);
    return call(SYS_bind, s, &a, sizeof(a));
}

static long connect_to(long s, unsigned cid, unsigned port)
{
    struct sockaddr_vm a = address(cid, port);
    return call(SYS_connect, s, &a, sizeof(a));
}

static struct sockaddr_vm name_of(long nr, long s)
{
    struct sockaddr_vm a = { 0 };
    socklen_t len = sizeof(a);
    CHECK(0, call(nr, s, &a, &len));
    CHECK(sizeof(a), len);
    return a;
}

static short events_of(long s, short want, int ms)
{
    struct pollfd p = { (int)s, want, 0 };
    return call(SYS_poll, &p, 1, ms) > 0 ? p.revents : 0;
}

static void creation(void)
{
    CHECK(-ENODEV, call(SYS_socket, AF_VSOCK, SOCK_DGRAM, 0));
    CHECK(-ESOCKTNOSUPPORT, call(SYS_socket, AF_VSOCK, SOCK_RAW, 0));
    CHECK(-EPROTONOSUPPORT, call(SYS_socket, AF_VSOCK, SOCK_STREAM, 1));
    int pair[2];
    CHECK(-EOPNOTSUPP, call(SYS_socketpair, AF_VSOCK, SOCK_STREAM, 0, pair));
    long s = call(SYS_socket, AF_VSOCK, SOCK_STREAM, AF_VSOCK);
    CHECK(0, s < 0);
    int v = -1;
    socklen_t len = sizeof(v);
    CHECK(0, call(SYS_getsockopt, s, SOL_SOCKET, SO_DOMAIN, &v, &len));
    CHECK(AF_VSOCK, v);
    CHECK(0, call(SYS_close, s));
}

static void binding(void)
{
    long s = call(SYS_socket, AF_VSOCK, SOCK_STREAM, 0),
         t = call(SYS_socket, AF_VSOCK, SOCK_SEQPACKET, 0);
    struct sockaddr_vm a = name_of(SYS_getsockname, s);
    CHECK(AF_VSOCK, a.svm_family);
    CHECK(VMADDR_CID_ANY, a.svm_cid);
    CHECK(VMADDR_PORT_ANY, a.svm_port);
    a = address(VMADDR_CID_ANY, VMADDR_PORT_ANY);
    CHECK(-EINVAL, call(SYS_bind, s, &a, sizeof(a) - 1));
    a.svm_family = AF_INET;
    CHECK(-EINVAL, call(SYS_bind, s, &a, sizeof(a)));
    CHECK(-EADDRNOTAVAIL, bind_to(s, 0x7ffffff0, VMADDR_PORT_ANY));
    CHECK(-EINVAL, call(SYS_listen, s, 1)); /* has no port */
    CHECK(-EINVAL, call(SYS_accept4, s, NULL, NULL, 0));
    CHECK(0, bind_to(s, VMADDR_CID_ANY, VMADDR_PORT_ANY));
    a = name_of(SYS_getsockname, s);
    CHECK(VMADDR_CID_ANY, a.svm_cid);
    CHECK(1, a.svm_port > 1023 && a.svm_port != VMADDR_PORT_ANY);
    CHECK(-EINVAL, bind_to(s, VMADDR_CID_ANY, VMADDR_PORT_ANY));
    CHECK(-EADDRINUSE, bind_to(t, VMADDR_CID_ANY, a.svm_port));
    CHECK(0, call(SYS_close, s));
    CHECK(0, bind_to(t, VMADDR_CID_ANY, a.svm_port));
    CHECK(0, call(SYS_listen, t, 4));
    CHECK(-EINVAL, connect_to(t, VMADDR_CID_LOCAL, 1024));
    CHECK(0, call(SYS_close, t));
}

static void unconnected(void)
{
    long s = call(SYS_socket, AF_VSOCK, SOCK_STREAM | SOCK_NONBLOCK, 0);
    struct sockaddr_vm a = address(VMADDR_CID_LOCAL, 5);
    socklen_t len = sizeof(a);
    char c = 0;
    CHECK(-ENOTCONN, call(SYS_getpeername, s, &a, &len));
    CHECK(-ENOTCONN, call(SYS_shutdown, s, SHUT_RDWR));
    CHECK(-EINVAL, call(SYS_shutdown, s, 3));
    CHECK(-ENOTCONN, call(SYS_recvfrom, s, &c, 1, 0, NULL, NULL));
    CHECK(-ENOTCONN, call(SYS_sendto, s, &c, 1, MSG_NOSIGNAL, NULL, 0));
    CHECK(-EOPNOTSUPP, call(SYS_sendto, s, &c, 1, MSG_NOSIGNAL, &a, sizeof(a)));
    CHECK(-EOPNOTSUPP, call(SYS_sendto, s, &c, 1, MSG_OOB, NULL, 0));
    CHECK(POLLOUT | POLLWRNORM, events_of(s, POLLIN | POLLOUT | POLLWRNORM | POLLHUP, 0));
    a.svm_family = AF_INET;
    CHECK(-EINVAL, call(SYS_connect, s, &a, sizeof(a)));
    CHECK(-EINVAL, call(SYS_connect, s, &a, 4));
    CHECK(0, call(SYS_close, s));
}

static long get_size(long s, int name, uint64_t *v)
{
    socklen_t len = sizeof(*v);
    return call(SYS_getsockopt, s, AF_VSOCK, name, v, &len);
}

static long set_size(long s, int name, uint64_t v)
{
    return call(SYS_setsockopt, s, AF_VSOCK, name, &v, sizeof(v));
}

static void options(void)
{
    long s = call(SYS_socket, AF_VSOCK, SOCK_STREAM, 0);
    uint64_t v = 0;
    CHECK(0, get_size(s, SO_VM_SOCKETS_BUFFER_SIZE, &v));
    CHECK(262144, v);
    CHECK(0, get_size(s, SO_VM_SOCKETS_BUFFER_MIN_SIZE, &v));
    CHECK(128, v);
    CHECK(0, get_size(s, SO_VM_SOCKETS_BUFFER_MAX_SIZE, &v));
    CHECK(262144, v);
    CHECK(0, set_size(s, SO_VM_SOCKETS_BUFFER_SIZE, 1 << 20)); /* at most the maximum */
    CHECK(0, get_size(s, SO_VM_SOCKETS_BUFFER_SIZE, &v));
    CHECK(262144, v);
    CHECK(0, set_size(s, SO_VM_SOCKETS_BUFFER_SIZE, 1));
    CHECK(0, get_size(s, SO_VM_SOCKETS_BUFFER_SIZE, &v));
    CHECK(128, v);
    CHECK(0, set_size(s, SO_VM_SOCKETS_BUFFER_MAX_SIZE, 1 << 20));
    CHECK(0, set_size(s, SO_VM_SOCKETS_BUFFER_SIZE, 1 << 20));
    CHECK(0, get_size(s, SO_VM_SOCKETS_BUFFER_SIZE, &v));
    CHECK(1 << 20, v);
    socklen_t len = 4;
    CHECK(-EINVAL, call(SYS_getsockopt, s, AF_VSOCK, SO_VM_SOCKETS_BUFFER_SIZE, &v, &len));
    CHECK(-EINVAL, call(SYS_setsockopt, s, AF_VSOCK, SO_VM_SOCKETS_BUFFER_SIZE, &v, 4));
    for (int name = 3; name < 10; name++)
        if (name != 6 && name != 8) {
            len = sizeof(v);
            CHECK(-ENOPROTOOPT, call(SYS_getsockopt, s, AF_VSOCK, name, &v, &len));
            CHECK(-ENOPROTOOPT, call(SYS_setsockopt, s, AF_VSOCK, name, &v, 8));
        }
    len = sizeof(v);
    CHECK(-ENOPROTOOPT, call(SYS_getsockopt, s, 6, 1, &v, &len));
    CHECK(-ENOPROTOOPT, call(SYS_setsockopt, s, 6, 1, &v, 8));
    struct timeval tv = { 0 };
    len = sizeof(tv);
    CHECK(0, call(SYS_getsockopt, s, AF_VSOCK, 6, &tv, &len));
    CHECK(2, tv.tv_sec);
    CHECK(0, tv.tv_usec);
    tv = (struct timeval){ 5, 500000 };
    CHECK(0, call(SYS_setsockopt, s, AF_VSOCK, 8, &tv, sizeof(tv)));
    CHECK(0, call(SYS_getsockopt, s, AF_VSOCK, 6, &tv, &len));
    CHECK(5, tv.tv_sec);
    CHECK(500000, tv.tv_usec);
    tv.tv_usec = 1000000;
    CHECK(-ERANGE, call(SYS_setsockopt, s, AF_VSOCK, 6, &tv, sizeof(tv)));
    CHECK(0, call(SYS_close, s));
}

/* ---- the loopback ---- */

static long listen_at(int type, unsigned *ret_port)
{
    long l = call(SYS_socket, AF_VSOCK, type, 0);
    CHECK(0, bind_to(l, VMADDR_CID_ANY, VMADDR_PORT_ANY));
    CHECK(0, call(SYS_listen, l, 8));
    *ret_port = name_of(SYS_getsockname, l).svm_port;
    return l;
}

/* Two ends of a connection. */
static void join(int type, long ret[2])
{
    unsigned port;
    long l = listen_at(type, &port);
    ret[0] = call(SYS_socket, AF_VSOCK, type, 0);
    CHECK(0, connect_to(ret[0], VMADDR_CID_LOCAL, port));
    struct sockaddr_vm a;
    socklen_t len = sizeof(a);
    ret[1] = call(SYS_accept4, l, &a, &len, 0);
    CHECK(1, ret[1] >= 0);
    CHECK(VMADDR_CID_LOCAL, a.svm_cid);
    CHECK(name_of(SYS_getsockname, ret[0]).svm_port, a.svm_port);
    CHECK(port, name_of(SYS_getpeername, ret[0]).svm_port);
    CHECK(0, call(SYS_close, l));
}

static void connections(void)
{
    long s[2];
    char buf[16];
    join(SOCK_STREAM, s);
    CHECK(-EISCONN, connect_to(s[0], VMADDR_CID_LOCAL, 1024));
    CHECK(5, call(SYS_sendto, s[0], "hello", 5, 0, NULL, 0));
    CHECK(6, call(SYS_write, s[0], " world", 6));
    CHECK(POLLIN, events_of(s[1], POLLIN, WAIT_MS));
    CHECK(11, call(SYS_recvfrom, s[1], buf, 11, MSG_WAITALL, NULL, NULL));
    CHECK(0, memcmp(buf, "hello world", 11));
    CHECK(-EAGAIN, call(SYS_recvfrom, s[1], buf, 1, MSG_DONTWAIT, NULL, NULL));
    struct sockaddr_vm a = address(VMADDR_CID_LOCAL, 1024);
    CHECK(-EISCONN, call(SYS_sendto, s[0], "x", 1, 0, &a, sizeof(a)));
    /* One direction ends, the other goes on. */
    CHECK(3, call(SYS_write, s[0], "end", 3));
    CHECK(0, call(SYS_shutdown, s[0], SHUT_WR));
    CHECK(-EPIPE, call(SYS_sendto, s[0], "x", 1, MSG_NOSIGNAL, NULL, 0));
    CHECK(3, call(SYS_recvfrom, s[1], buf, sizeof(buf), MSG_WAITALL, NULL, NULL));
    CHECK(0, call(SYS_read, s[1], buf, sizeof(buf)));
    CHECK(POLLIN | POLLRDHUP, events_of(s[1], POLLIN | POLLRDHUP, WAIT_MS));
    CHECK(4, call(SYS_write, s[1], "back", 4));
    CHECK(4, call(SYS_recvfrom, s[0], buf, 4, MSG_WAITALL, NULL, NULL));
    CHECK(0, call(SYS_close, s[1]));
    CHECK(POLLHUP, events_of(s[0], 0, WAIT_MS) & POLLHUP);
    CHECK(0, call(SYS_read, s[0], buf, sizeof(buf)));
    CHECK(0, call(SYS_close, s[0]));
}

static void refused(void)
{
    unsigned port;
    long l = listen_at(SOCK_STREAM, &port), s = call(SYS_socket, AF_VSOCK, SOCK_STREAM, 0);
    CHECK(0, call(SYS_close, l));
    CHECK(-ECONNRESET, connect_to(s, VMADDR_CID_LOCAL, port));
    /* Of another type, there is nobody either. */
    l = listen_at(SOCK_SEQPACKET, &port);
    CHECK(-ECONNRESET, connect_to(s, VMADDR_CID_LOCAL, port));
    CHECK(0, call(SYS_close, l));
    CHECK(0, call(SYS_close, s));
}

/* Who does not read stops who writes, and lets it go on. */
static void credit(void)
{
    enum { PIECE = 10000 };
    static unsigned char out[PIECE], in[PIECE];
    long s[2], sent = 0, got = 0, n;
    join(SOCK_STREAM, s);
    for (int round = 0; round < 20; round++) {
        for (;;) {
            for (int i = 0; i < PIECE; i++)
                out[i] = (unsigned char)((sent + i) * 7 + (sent + i) / 256);
            n = call(SYS_sendto, s[0], out, PIECE, MSG_DONTWAIT, NULL, 0);
            if (n <= 0)
                break;
            sent += n;
        }
        CHECK(-EAGAIN, n);
        CHECK(0, events_of(s[0], POLLOUT, 0));
        CHECK(1, sent - got <= 262144);
        while (got < sent) {
            n = call(SYS_recvfrom, s[1], in, PIECE, 0, NULL, NULL);
            if (n <= 0)
                break;
            for (long i = 0; i < n; i++, got++)
                if (in[i] != (unsigned char)(got * 7 + got / 256)) {
                    CHECK(-1, got);
                    return;
                }
        }
        CHECK(POLLOUT, events_of(s[0], POLLOUT, WAIT_MS));
    }
    CHECK(sent, got);
    CHECK(1, sent > 20 * 100000);
    CHECK(0, call(SYS_close, s[0]));
    CHECK(0, call(SYS_close, s[1]));
}

static void messages(void)
{
    static char big[100000], back[100000];
    long s[2];
    char buf[16];
    join(SOCK_SEQPACKET, s);
    CHECK(3, call(SYS_sendto, s[0], "one", 3, 0, NULL, 0));
    CHECK(6, call(SYS_sendto, s[0], "second", 6, MSG_EOR, NULL, 0));
    struct iovec iov = { buf, 4 };
    struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
    CHECK(3, call(SYS_recvmsg, s[1], &m, 0));
    CHECK(0, m.msg_flags);
    CHECK(4, call(SYS_recvmsg, s[1], &m, 0));
    CHECK(MSG_TRUNC | MSG_EOR, m.msg_flags);
    for (size_t i = 0; i < sizeof(big); i++)
        big[i] = (char)(i * 3 + i / 256);
    CHECK(sizeof(big), call(SYS_sendto, s[0], big, sizeof(big), 0, NULL, 0));
    CHECK(sizeof(big), call(SYS_recvfrom, s[1], back, sizeof(back), 0, NULL, NULL));
    CHECK(0, memcmp(big, back, sizeof(big)));
    CHECK(sizeof(big), call(SYS_sendto, s[0], big, sizeof(big), 0, NULL, 0));
    CHECK(sizeof(big), call(SYS_recvfrom, s[1], buf, 1, MSG_TRUNC, NULL, NULL));
    char *huge = calloc(1, 300000);
    CHECK(-EMSGSIZE, call(SYS_sendto, s[0], huge, 300000, 0, NULL, 0));
    free(huge);
    CHECK(0, call(SYS_close, s[0]));
    CHECK(0, call(SYS_read, s[1], buf, 1));
    CHECK(0, call(SYS_close, s[1]));
}

static void watched(void)
{
    unsigned port;
    long l = listen_at(SOCK_STREAM | SOCK_NONBLOCK, &port), ep = call(SYS_epoll_create1, 0);
    struct epoll_event e = { .events = EPOLLIN | EPOLLET, .data.u64 = 7 }, got;
    CHECK(0, call(SYS_epoll_ctl, ep, EPOLL_CTL_ADD, l, &e));
    CHECK(-EAGAIN, call(SYS_accept4, l, NULL, NULL, 0));
    long s = call(SYS_socket, AF_VSOCK, SOCK_STREAM | SOCK_NONBLOCK, 0);
    long r = connect_to(s, VMADDR_CID_LOCAL, port);
    CHECK(1, r == 0 || r == -EINPROGRESS);
    CHECK(1, call(SYS_epoll_wait, ep, &got, 1, WAIT_MS));
    CHECK(7, got.data.u64);
    long c = call(SYS_accept4, l, NULL, NULL, SOCK_NONBLOCK);
    CHECK(1, c >= 0);
    CHECK(POLLOUT, events_of(s, POLLOUT, WAIT_MS));
    int v = -1;
    socklen_t len = sizeof(v);
    CHECK(0, call(SYS_getsockopt, s, SOL_SOCKET, SO_ERROR, &v, &len));
    CHECK(0, v);
    /* A connection that nobody accepts ends with its listener. */
    long t = call(SYS_socket, AF_VSOCK, SOCK_STREAM, 0);
    CHECK(0, connect_to(t, VMADDR_CID_LOCAL, port));
    CHECK(0, call(SYS_close, l));
    char b;
    CHECK(0, call(SYS_read, t, &b, 1));
    CHECK(0, call(SYS_close, t) | call(SYS_close, s) | call(SYS_close, c) | call(SYS_close, ep));
}

static void node(void)
{
    unsigned cid = 0;
    long f = call(SYS_openat, AT_FDCWD, "/dev/vsock", O_RDONLY, 0);
    if (f == -ENOENT || f == -EACCES || f == -EPERM)
        return; /* of a Linux whose module is not there, or not for everybody */
    CHECK(0, call(SYS_ioctl, f, IOCTL_VM_SOCKETS_GET_LOCAL_CID, &cid));
    CHECK(1, cid == VMADDR_CID_LOCAL || cid == VMADDR_CID_HOST || cid > VMADDR_CID_HOST);
    CHECK(-EFAULT, call(SYS_ioctl, f, IOCTL_VM_SOCKETS_GET_LOCAL_CID, T_BAD));
    CHECK(-ENOTTY, call(SYS_ioctl, f, _IO(7, 0xb8), &cid));
    CHECK(-EINVAL, call(SYS_read, f, &cid, 4));
    CHECK(0, call(SYS_close, f));
}

int main(void)
{
    struct stat st;
    long s = call(SYS_socket, AF_VSOCK, SOCK_STREAM, 0);
    if (!t_alcove() && s < 0) { /* this Linux was built without it */
        CHECK(-EAFNOSUPPORT, s);
        return t_end();
    }
    CHECK(0, call(SYS_close, s));
    creation();
    binding();
    unconnected();
    options();
    node();
    if (t_alcove() || call(SYS_stat, "/sys/module/vsock_loopback", &st) == 0) {
        connections();
        refused();
        credit();
        messages();
        watched();
    }
    return t_end();
}
