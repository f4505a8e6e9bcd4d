/* SPDX-License-Identifier: MIT */
/* Sockets, asynchronous I/O, futexes. */
#define _GNU_SOURCE
#include "alloc.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/futex.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static void give_back(long fd)
{
    if (fd >= 0)
        close((int)fd);
}

static long open_and_close(int family, int type)
{
    long fd = FAULTY(SYS_socket, family, type, 0);
    give_back(fd);
    return fd;
}

static long do_sockets(void)
{
    static const int kinds[][2] = { { AF_UNIX, SOCK_STREAM },  { AF_UNIX, SOCK_DGRAM },
                                    { AF_INET, SOCK_STREAM },  { AF_INET, SOCK_DGRAM },
                                    { AF_INET6, SOCK_STREAM }, { AF_INET6, SOCK_DGRAM },
                                    { AF_NETLINK, SOCK_RAW } };
    long r = 0;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]) && r >= 0; i++)
        r = open_and_close(kinds[i][0], kinds[i][1]);
    return r;
}

static long do_socketpair(void)
{
    static char buf[20000];
    int fds[2] = { -1, -1 };
    faults_begin();
    long r = call(SYS_socketpair, AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds);
    if (r >= 0)
        r = call(SYS_write, fds[0], buf, sizeof(buf));
    if (r >= 0)
        r = call(SYS_read, fds[1], buf, sizeof(buf));
    faults_end();
    give_back(fds[0]);
    give_back(fds[1]);
    return r;
}

/* A descriptor and credentials travel with a message. */
static long do_rights(void)
{
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(2 * sizeof(int))];
    } control = { .head = { .cmsg_len = CMSG_LEN(2 * sizeof(int)),
                            .cmsg_level = SOL_SOCKET,
                            .cmsg_type = SCM_RIGHTS } };
    struct iovec v = { &control, 1 };
    struct msghdr m = {
        .msg_iov = &v, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)
    };
    int fds[2], sent[2] = { 1, 1 }, got[2] = { -1, -1 };
    if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, fds))
        return -EIO;
    memcpy(CMSG_DATA(&control.head), sent, sizeof(sent));
    faults_begin();
    long r = call(SYS_sendmsg, fds[0], &m, 0), n = -1;
    m.msg_controllen = sizeof(control);
    if (r >= 0)
        r = n = call(SYS_recvmsg, fds[1], &m, 0);
    faults_end();
    if (n >= 0 && m.msg_controllen >= CMSG_LEN(sizeof(int)))
        memcpy(got, CMSG_DATA(&control.head), control.head.cmsg_len - CMSG_LEN(0));
    give_back(got[0]);
    give_back(got[1]);
    close(fds[0]);
    close(fds[1]);
    return r;
}

/* A connection of the machine with itself, up and down. */
static long do_stream(void)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof(a);
    static char buf[30000];
    long l = -1, c = -1, s = -1, r;
    faults_begin();
    r = l = call(SYS_socket, AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (r >= 0)
        r = call(SYS_bind, l, &a, sizeof(a));
    if (r >= 0)
        r = call(SYS_listen, l, 4);
    if (r >= 0)
        r = call(SYS_getsockname, l, &a, &len);
    if (r >= 0)
        r = c = call(SYS_socket, AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (r >= 0 && (r = call(SYS_connect, c, &a, sizeof(a))) == -EINPROGRESS)
        r = 0;
    if (r >= 0)
        r = s = call(SYS_accept4, l, NULL, NULL, SOCK_NONBLOCK);
    if (r >= 0)
        r = call(SYS_write, c, buf, sizeof(buf));
    if (r >= 0)
        r = call(SYS_read, s, buf, sizeof(buf));
    faults_end();
    struct linger hard = { 1, 0 };
    if (c >= 0)
        setsockopt((int)c, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
    give_back(c);
    give_back(s);
    give_back(l);
    return r;
}

static long do_datagrams(void)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof(a);
    static char buf[3000];
    long fd, r;
    faults_begin();
    r = fd = call(SYS_socket, AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    if (r >= 0)
        r = call(SYS_bind, fd, &a, sizeof(a));
    if (r >= 0)
        r = call(SYS_getsockname, fd, &a, &len);
    for (int i = 0; i < 3 && r >= 0; i++)
        r = call(SYS_sendto, fd, buf, sizeof(buf), 0, &a, sizeof(a));
    if (r >= 0)
        r = call(SYS_recvfrom, fd, buf, sizeof(buf), 0, NULL, NULL);
    faults_end();
    give_back(fd);
    return r;
}

static long do_unix_name(void)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX, .sun_path = DIR "/socket" };
    long l = -1, c = -1, s = -1, r;
    mkdir(DIR, 0755);
    faults_begin();
    r = l = call(SYS_socket, AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (r >= 0)
        r = call(SYS_bind, l, &a, sizeof(a));
    if (r >= 0)
        r = call(SYS_listen, l, 4);
    if (r >= 0)
        r = c = call(SYS_socket, AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (r >= 0)
        r = call(SYS_connect, c, &a, sizeof(a));
    if (r >= 0)
        r = s = call(SYS_accept4, l, NULL, NULL, 0);
    faults_end();
    give_back(c);
    give_back(s);
    give_back(l);
    unlink(DIR "/socket");
    rmdir(DIR);
    return r;
}

static long do_netlink(void)
{
    struct {
        struct nlmsghdr head;
        char body[16];
    } ask = { .head = { .nlmsg_len = sizeof(ask),
                        .nlmsg_type = 18 /* RTM_GETLINK */,
                        .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP } };
    static char buf[8192];
    faults_begin();
    long fd = call(SYS_socket, AF_NETLINK, SOCK_RAW, 0), r = fd;
    if (r >= 0)
        r = call(SYS_sendto, fd, &ask, sizeof(ask), 0, NULL, 0);
    if (r >= 0)
        r = call(SYS_recvfrom, fd, buf, sizeof(buf), MSG_DONTWAIT, NULL, NULL);
    faults_end();
    give_back(fd);
    return r;
}

static long do_aio(void)
{
    static char buf[4096];
    aio_context_t ctx = 0;
    struct io_event done[2];
    mkdir(DIR, 0755);
    int fd = open(DIR "/aio", O_CREAT | O_RDWR, 0600);
    struct iocb cb = { .aio_fildes = (unsigned)fd,
                       .aio_lio_opcode = IOCB_CMD_PWRITE,
                       .aio_buf = (unsigned long)buf,
                       .aio_nbytes = sizeof(buf) },
                *list[] = { &cb };
    faults_begin();
    long r = call(SYS_io_setup, 4, &ctx);
    if (r >= 0)
        r = call(SYS_io_submit, ctx, 1, list);
    if (r >= 0)
        r = call(SYS_io_getevents, ctx, 1, 2, done, NULL);
    faults_end();
    call(SYS_io_destroy, ctx);
    close(fd);
    unlink(DIR "/aio");
    rmdir(DIR);
    return r;
}

static long do_futexes(void)
{
    static unsigned word, pi;
    struct timespec soon = { .tv_nsec = 1000 };
    faults_begin();
    long r = call(SYS_futex, &word, FUTEX_WAIT, 0, &soon);
    if (r >= 0 || r == -ETIMEDOUT)
        r = call(SYS_futex, &pi, FUTEX_LOCK_PI, 0, NULL);
    if (r >= 0)
        r = call(SYS_futex, &pi, FUTEX_UNLOCK_PI, 0, NULL);
    faults_end();
    pi = 0;
    return r;
}

const struct scenario other_scenarios[] = {
    { "sockets", do_sockets, { ENFILE, ENOBUFS } },
    { "socketpair", do_socketpair, { ENFILE, ENOBUFS } },
    { "rights", do_rights, { ENOBUFS, ETOOMANYREFS, EAGAIN } },
    { "stream", do_stream, { ENFILE, ENOBUFS, EAGAIN, ECONNREFUSED } },
    { "datagrams", do_datagrams, { ENFILE, ENOBUFS, EAGAIN } },
    { "unix-name", do_unix_name, { ENFILE, ENOBUFS, ENOSPC, EAGAIN } },
    { "netlink", do_netlink, { ENFILE, ENOBUFS, EAGAIN } },
    { "aio", do_aio, { EAGAIN, ENOSPC } },
    { "futexes", do_futexes, { 0 } },
    { NULL, NULL, { 0 } },
};
