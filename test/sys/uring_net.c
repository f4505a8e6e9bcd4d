/* SPDX-License-Identifier: MIT */
/* io_uring on sockets: send, recv, accept, connect, messages, multishot, provided buffers. */
#define _GNU_SOURCE
#include <t_uring.h>

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

static struct ring r;
static char *buf;

static struct io_uring_sqe *io(int op, int fd, uint64_t data, void *p, unsigned n)
{
    struct io_uring_sqe *s = sqe(&r, op, fd, data);
    s->addr = (uintptr_t)p;
    s->len = n;
    return s;
}

static int listener(struct sockaddr_in *a)
{
    unsigned len = sizeof(*a);
    struct io_uring_sqe *s = sqe(&r, IORING_OP_SOCKET, AF_INET, 1);
    s->off = SOCK_STREAM;
    int fd = (int)result(&r);
    CHECK(true, fd >= 0);
    *a = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    CHECK(0, call(SYS_bind, fd, a, sizeof(*a)));
    CHECK(0, call(SYS_listen, fd, 16));
    CHECK(0, call(SYS_getsockname, fd, a, &len));
    return fd;
}

static void connections(void)
{
    struct sockaddr_in a, peer;
    unsigned len = sizeof(peer);
    int l = listener(&a);
    struct io_uring_sqe *s = sqe(&r, IORING_OP_ACCEPT, l, 10);
    s->addr = (uintptr_t)&peer;
    s->addr2 = (uintptr_t)&len;
    s->accept_flags = SOCK_CLOEXEC;
    CHECK(1, submit(&r, 0));
    CHECK(0, ready(&r));
    int c = (int)call(SYS_socket, AF_INET, SOCK_STREAM, 0);
    s = sqe(&r, IORING_OP_CONNECT, c, 11);
    s->addr = (uintptr_t)&a;
    s->off = sizeof(a);
    s->flags = IOSQE_CQE_SKIP_SUCCESS;
    CHECK(1, submit(&r, 1));
    struct done d = next(&r);
    CHECK(10, d.user_data);
    CHECK(true, d.res >= 0);
    CHECK(AF_INET, peer.sin_family);
    CHECK(sizeof(peer), len);
    CHECK(FD_CLOEXEC, call(SYS_fcntl, d.res, F_GETFD));
    /* Both ways, the reader first. */
    io(IORING_OP_RECV, d.res, 3, buf, 100);
    CHECK(1, submit(&r, 0));
    io(IORING_OP_SEND, c, 4, (void *)"ping", 4);
    CHECK(1, submit(&r, 2));
    for (int i = 0; i < 2; i++)
        CHECK(4, next(&r).res);
    CHECK(0, memcmp(buf, "ping", 4));
    /* All of it, in two parts. */
    io(IORING_OP_RECV, d.res, 5, buf, 8)->msg_flags = MSG_WAITALL;
    CHECK(1, submit(&r, 0));
    CHECK(4, call(SYS_sendto, c, "1234", 4, 0, NULL, 0));
    CHECK(0, ready(&r));
    CHECK(4, call(SYS_sendto, c, "5678", 4, 0, NULL, 0));
    CHECK_NEXT(&r, 5, 8);
    CHECK(0, memcmp(buf, "12345678", 8));
    io(IORING_OP_RECV, d.res, 6, buf, 8)->msg_flags = MSG_DONTWAIT;
    CHECK(-EAGAIN, result(&r));
    io(IORING_OP_RECV, d.res, 7, buf, 8)->ioprio = IORING_RECVSEND_POLL_FIRST;
    CHECK(1, submit(&r, 0));
    sqe(&r, IORING_OP_SHUTDOWN, c, 8)->len = SHUT_WR;
    CHECK(1, submit(&r, 2));
    CHECK(0, next(&r).res | next(&r).res);
    io(IORING_OP_SEND, c, 9, (void *)"x", 1);
    CHECK(-EPIPE, result(&r));
    io(IORING_OP_RECV, r.fd, 9, buf, 1);
    CHECK(-ENOTSOCK, result(&r));
    sqe(&r, IORING_OP_CLOSE, d.res, 9);
    CHECK(0, result(&r));
    CHECK(-EBADF, call(SYS_close, d.res));
    call(SYS_close, c);
    call(SYS_close, l);
    c = (int)call(SYS_socket, AF_INET, SOCK_STREAM, 0);
    s = sqe(&r, IORING_OP_CONNECT, c, 2);
    s->addr = (uintptr_t)&a;
    s->off = sizeof(a);
    CHECK(-ECONNREFUSED, result(&r));
    call(SYS_close, c);
}

static void accept_multishot(void)
{
    struct sockaddr_in a;
    int l = listener(&a), c[3];
    struct io_uring_sqe *s = sqe(&r, IORING_OP_ACCEPT, l, 10);
    s->ioprio = IORING_ACCEPT_MULTISHOT;
    CHECK(1, submit(&r, 0));
    for (int i = 0; i < 3; i++) {
        c[i] = (int)call(SYS_socket, AF_INET, SOCK_STREAM, 0);
        CHECK(0, call(SYS_connect, c[i], &a, sizeof(a)));
    }
    for (int i = 0; i < 3; i++) {
        struct done d = next(&r);
        CHECK(10, d.user_data);
        CHECK(true, d.res >= 0);
        CHECK(IORING_CQE_F_MORE, d.flags & IORING_CQE_F_MORE);
        call(SYS_close, d.res);
        call(SYS_close, c[i]);
    }
    sqe(&r, IORING_OP_ASYNC_CANCEL, -1, 11)->addr = 10;
    CHECK(1, submit(&r, 2));
    for (int i = 0; i < 2; i++) {
        struct done d = next(&r);
        CHECK(d.user_data == 10 ? -ECANCELED : 0, d.res);
        CHECK(0, d.flags & IORING_CQE_F_MORE);
    }
    call(SYS_close, l);
}

static void messages(void)
{
    int p[2];
    char name[100];
    struct iovec in[2] = { { buf, 3 }, { buf + 50, 20 } }, out = { (void *)"message", 7 };
    struct msghdr to = { .msg_iov = in, .msg_iovlen = 2, .msg_name = name, .msg_namelen = 100 };
    struct msghdr from = { .msg_iov = &out, .msg_iovlen = 1 };
    CHECK(0, call(SYS_socketpair, AF_UNIX, SOCK_DGRAM, 0, p));
    io(IORING_OP_RECVMSG, p[0], 1, &to, 1);
    CHECK(1, submit(&r, 0));
    io(IORING_OP_SENDMSG, p[1], 2, &from, 1);
    CHECK(1, submit(&r, 2));
    CHECK(7, next(&r).res);
    CHECK(7, next(&r).res);
    CHECK(0, memcmp(buf, "mes", 3) | memcmp(buf + 50, "sage", 4));
    CHECK(0, to.msg_namelen);
    in[0].iov_len = 2;
    to.msg_iovlen = 1;
    io(IORING_OP_SENDMSG, p[1], 2, &from, 1);
    CHECK(7, result(&r));
    io(IORING_OP_RECVMSG, p[0], 1, &to, 1);
    CHECK(2, result(&r));
    CHECK(MSG_TRUNC, to.msg_flags & MSG_TRUNC);
    io(IORING_OP_SENDMSG, p[1], 2, T_BAD, 1);
    CHECK(-EFAULT, result(&r));
    call(SYS_close, p[0]);
    call(SYS_close, p[1]);
}

static void provide(int group, char *at, int len, int n, int first)
{
    struct io_uring_sqe *s = sqe(&r, IORING_OP_PROVIDE_BUFFERS, n, 20);
    s->addr = (uintptr_t)at;
    s->len = (unsigned)len;
    s->off = (unsigned)first;
    s->buf_group = (uint16_t)group;
    CHECK(0, result(&r));
}

static void provided(void)
{
    int p[2];
    CHECK(0, call(SYS_socketpair, AF_UNIX, SOCK_STREAM, 0, p));
    io(IORING_OP_RECV, p[0], 1, NULL, 10)->flags = IOSQE_BUFFER_SELECT;
    CHECK(-ENOBUFS, result(&r));
    provide(7, buf, 16, 4, 100);
    for (int i = 0; i < 4; i++) {
        CHECK(3, call(SYS_write, p[1], "abc", 3));
        struct io_uring_sqe *s = io(IORING_OP_RECV, p[0], 1, NULL, 10);
        s->flags = IOSQE_BUFFER_SELECT;
        s->buf_group = 7;
        CHECK(1, submit(&r, 1));
        struct done d = next(&r);
        CHECK(3, d.res);
        CHECK(true, d.flags & IORING_CQE_F_BUFFER);
        unsigned id = d.flags >> IORING_CQE_BUFFER_SHIFT;
        CHECK(true, id >= 100 && id < 104);
        CHECK(0, memcmp(buf + (id - 100) * 16, "abc", 3));
        memset(buf + (id - 100) * 16, 0, 3);
    }
    CHECK(3, call(SYS_write, p[1], "abc", 3));
    struct io_uring_sqe *s = io(IORING_OP_READ, p[0], 1, NULL, 10);
    s->flags = IOSQE_BUFFER_SELECT;
    s->buf_group = 7;
    CHECK(-ENOBUFS, result(&r));
    provide(7, buf, 16, 2, 5);
    sqe(&r, IORING_OP_REMOVE_BUFFERS, 10, 1)->buf_group = 7;
    CHECK(2, result(&r));
    sqe(&r, IORING_OP_REMOVE_BUFFERS, 10, 1)->buf_group = 70;
    CHECK(-ENOENT, result(&r));
    sqe(&r, IORING_OP_NOP, 0, 1)->flags = IOSQE_BUFFER_SELECT;
    CHECK(-EOPNOTSUPP, result(&r));
    call(SYS_close, p[0]);
    call(SYS_close, p[1]);
}

static struct io_uring_buf_ring *bufs;

static void put_buf(unsigned i, unsigned id)
{
    unsigned short tail = bufs->tail;
    struct io_uring_buf *b = &bufs->bufs[(tail + i) & 7];
    b->addr = (uintptr_t)(buf + id * 64);
    b->len = 64;
    b->bid = (unsigned short)id;
    __atomic_store_n(&bufs->tail, (unsigned short)(tail + i + 1), __ATOMIC_RELEASE);
}

static void recv_multishot(int p[2], int group)
{
    struct io_uring_sqe *s = sqe(&r, IORING_OP_RECV, p[0], 30);
    s->ioprio = IORING_RECV_MULTISHOT;
    s->flags = IOSQE_BUFFER_SELECT;
    s->buf_group = (uint16_t)group;
    CHECK(1, submit(&r, 0));
    for (int i = 0; i < 4; i++) {
        CHECK(5, call(SYS_write, p[1], "hello", 5));
        struct done d = next(&r);
        CHECK(30, d.user_data);
        CHECK(5, d.res);
        CHECK(IORING_CQE_F_MORE | IORING_CQE_F_BUFFER,
              d.flags & (IORING_CQE_F_MORE | IORING_CQE_F_BUFFER));
        CHECK(0, memcmp(buf + 64 * (d.flags >> 16), "hello", 5));
    }
    /* No buffer is left: it ends. */
    CHECK(5, call(SYS_write, p[1], "hello", 5));
    struct done d = next(&r);
    CHECK(-ENOBUFS, d.res);
    CHECK(0, d.flags & IORING_CQE_F_MORE);
    CHECK(5, call(SYS_read, p[0], buf, 10));
}

static void buffer_ring(void)
{
    int p[2];
    bufs = t_pages(1);
    struct io_uring_buf_reg reg = { .ring_addr = (uintptr_t)bufs, .ring_entries = 8, .bgid = 3 };
    CHECK(0, call(SYS_io_uring_register, r.fd, IORING_REGISTER_PBUF_RING, &reg, 1));
    CHECK(-EEXIST, call(SYS_io_uring_register, r.fd, IORING_REGISTER_PBUF_RING, &reg, 1));
    reg.ring_entries = 7;
    CHECK(-EINVAL, call(SYS_io_uring_register, r.fd, IORING_REGISTER_PBUF_RING, &reg, 1));
    CHECK(0, call(SYS_socketpair, AF_UNIX, SOCK_STREAM, 0, p));
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < 4; i++)
            put_buf(0, i);
        recv_multishot(p, 3);
    }
    struct io_uring_sqe *s = sqe(&r, IORING_OP_RECV, p[0], 30);
    s->ioprio = IORING_RECV_MULTISHOT;
    CHECK(-EINVAL, result(&r));
    /* The end of the stream ends a multishot. */
    put_buf(0, 1);
    s = sqe(&r, IORING_OP_RECV, p[0], 31);
    s->ioprio = IORING_RECV_MULTISHOT;
    s->flags = IOSQE_BUFFER_SELECT;
    s->buf_group = 3;
    CHECK(1, submit(&r, 0));
    call(SYS_close, p[1]);
    struct done d = next(&r);
    CHECK(0, d.res);
    CHECK(0, d.flags & IORING_CQE_F_MORE);
    reg = (struct io_uring_buf_reg){ .bgid = 3 };
    CHECK(0, call(SYS_io_uring_register, r.fd, IORING_UNREGISTER_PBUF_RING, &reg, 1));
    CHECK(-ENOENT, call(SYS_io_uring_register, r.fd, IORING_UNREGISTER_PBUF_RING, &reg, 1));
    call(SYS_close, p[0]);
}

static void recvmsg_multishot(void)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    unsigned len = sizeof(a);
    struct msghdr h = { .msg_namelen = sizeof(a) };
    int s = (int)call(SYS_socket, AF_INET, SOCK_DGRAM, 0),
        c = (int)call(SYS_socket, AF_INET, SOCK_DGRAM, 0);
    CHECK(0, call(SYS_bind, s, &a, sizeof(a)));
    CHECK(0, call(SYS_getsockname, s, &a, &len));
    provide(9, buf, 256, 3, 0);
    struct io_uring_sqe *e = io(IORING_OP_RECVMSG, s, 40, &h, 1);
    e->ioprio = IORING_RECV_MULTISHOT;
    e->flags = IOSQE_BUFFER_SELECT;
    e->buf_group = 9;
    CHECK(1, submit(&r, 0));
    for (int i = 0; i < 2; i++) {
        CHECK(4, call(SYS_sendto, c, "data", 4, 0, &a, sizeof(a)));
        struct done d = next(&r);
        const char *at = buf + 256 * (d.flags >> 16);
        const struct io_uring_recvmsg_out *o = (const void *)at;
        CHECK(sizeof(*o) + sizeof(a) + 4, d.res);
        CHECK(IORING_CQE_F_MORE, d.flags & IORING_CQE_F_MORE);
        CHECK(sizeof(a), o->namelen);
        CHECK(4, o->payloadlen);
        CHECK(0, o->controllen);
        CHECK(0, memcmp(at + sizeof(*o) + sizeof(a), "data", 4));
    }
    sqe(&r, IORING_OP_ASYNC_CANCEL, -1, 41)->addr = 40;
    CHECK(1, submit(&r, 2));
    CHECK(-ECANCELED, next(&r).res + next(&r).res);
    call(SYS_close, s);
    call(SYS_close, c);
}

/* A result and a notification; where the result is want, and the notification says how (0, unless it was asked to say more). */
static void both(uint64_t data, long want, int32_t how)
{
    struct done d = next(&r);
    CHECK(data, d.user_data);
    CHECK(want, d.res);
    CHECK(IORING_CQE_F_MORE, d.flags);
    d = next(&r);
    CHECK(data, d.user_data);
    CHECK(how, d.res);
    CHECK(IORING_CQE_F_NOTIF, d.flags);
}

static void zerocopy(void)
{
    enum { REPORT_USAGE = 8 };
    struct sockaddr_in a;
    int l = listener(&a), c = (int)call(SYS_socket, AF_INET, SOCK_STREAM, 0), pair[2];
    CHECK(0, call(SYS_connect, c, &a, sizeof(a)));
    int s = (int)call(SYS_accept4, l, NULL, NULL, 0);
    io(IORING_OP_SEND_ZC, c, 50, buf, 1000);
    CHECK(1, submit(&r, 0));
    CHECK(1000, call(SYS_recvfrom, s, buf + 4096, 1000, MSG_WAITALL, NULL, NULL));
    both(50, 1000, 0);
    struct iovec v[2] = { { buf, 10 }, { buf + 100, 20 } };
    struct msghdr m = { .msg_iov = v, .msg_iovlen = 2 };
    io(IORING_OP_SENDMSG_ZC, c, 51, &m, 1);
    CHECK(1, submit(&r, 0));
    CHECK(30, call(SYS_recvfrom, s, buf + 4096, 30, MSG_WAITALL, NULL, NULL));
    both(51, 30, 0);
    /* It was copied, as the loopback must. A Linux before 6.2 cannot say so. */
    io(IORING_OP_SEND_ZC, c, 52, buf, 100)->ioprio = REPORT_USAGE;
    CHECK(1, submit(&r, 1));
    if (t_alcove() || call(SYS_recvfrom, s, buf + 4096, 100, MSG_DONTWAIT, NULL, NULL) == 100)
        both(52, 100, INT32_MIN);
    else
        CHECK(-EINVAL, next(&r).res);
    /* Sockets without it, and entries that have only one completion. */
    CHECK(0, call(SYS_socketpair, AF_UNIX, SOCK_STREAM, 0, pair));
    io(IORING_OP_SEND_ZC, pair[0], 53, buf, 100);
    CHECK(1, submit(&r, 1));
    both(53, -EOPNOTSUPP, 0);
    io(IORING_OP_SEND_ZC, c, 54, buf, 100)->flags = IOSQE_CQE_SKIP_SUCCESS;
    CHECK(1, submit(&r, 1));
    CHECK(-EINVAL, next(&r).res);
    io(IORING_OP_SEND_ZC, c, 55, buf, 100)->ioprio = 0x100;
    CHECK(1, submit(&r, 1));
    CHECK(-EINVAL, next(&r).res);
    call(SYS_close, pair[0]);
    call(SYS_close, pair[1]);
    call(SYS_close, c);
    call(SYS_close, s);
    call(SYS_close, l);
}

static void with_flags(unsigned flags)
{
    CHECK(true, ring_open(&r, 16, flags) >= 0);
    connections();
    accept_multishot();
    messages();
    provided();
    buffer_ring();
    recvmsg_multishot();
    zerocopy();
    ring_close(&r);
}

int main(void)
{
    buf = t_pages(4);
    with_flags(0);
    with_flags(IORING_SETUP_COOP_TASKRUN);
    with_flags(IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN);
    return t_end();
}
