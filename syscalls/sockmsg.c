/* SPDX-License-Identifier: MIT */
/* send, recv and their relatives. */
#include "message.h"
#include "sockaddr.h"
#include "sys_proto.h"
#include "timeout.h"
#include "vector.h"
#include <abi/errno.h>
#include <abi/socket.h>
#include <libos/file.h>
#include <libos/heap.h>
#include <libos/sched.h>
#include <libos/socket.h>
#include <libos/user.h>

#define MSG_KERNEL_ONLY 0x80000000u /* MSG_CMSG_COMPAT */

long sys_sendto(int fd, user_u8_in_t buf, size_t len, unsigned flags, user_u8_in_t addr,
                int addrlen)
{
    struct abi_sockaddr_storage a;
    struct iter it;
    struct fd_ref ref;
    struct socket *s;
    long n = socket_borrow(fd, &ref, &s);
    if (UNLIKELY(n))
        return n;
    iter_user(&it, buf.addr, len < TRANSFER_MAX ? len : TRANSFER_MAX);
    struct socket_msg m = { .it = &it, .flags = flags };
    if (!user_is_null(addr)) {
        n = sockaddr_get(&a, addr, addrlen);
        m.name = &a;
        m.name_len = (unsigned)addrlen;
    }
    if (!n)
        n = m.name_len == 1 ? -EINVAL : socket_send(s, &m);
    fd_return(&ref);
    return n;
}

long sys_recvfrom(int fd, user_u8_out_t buf, size_t len, unsigned flags, user_u8_out_t addr,
                  user_int_inout_t addrlen)
{
    struct abi_sockaddr_storage a;
    struct iter it;
    struct fd_ref ref;
    struct socket *s;
    long n = socket_borrow(fd, &ref, &s);
    if (UNLIKELY(n))
        return n;
    iter_user(&it, buf.addr, len < TRANSFER_MAX ? len : TRANSFER_MAX);
    struct socket_msg m = { .it = &it, .flags = flags };
    if (!user_is_null(addr))
        m.name = &a;
    n = socket_recv(s, &m);
    fd_return(&ref);
    if (n >= 0 && m.name) {
        int err = sockaddr_put(&a, m.name_len, addr, addrlen);
        if (err)
            return err;
    }
    return n;
}

int message_get(struct message *g, user_msghdr_in_t msg, unsigned flags)
{
    int err = user_get(&g->h, msg, 1);
    if (err)
        return err;
    if (user_is_null(g->h.msg_name))
        g->h.msg_namelen = 0;
    if (g->h.msg_namelen < 0)
        return -EINVAL;
    if (g->h.msg_namelen > SOCKET_NAME_MAX)
        g->h.msg_namelen = SOCKET_NAME_MAX;
    if (g->h.msg_iovlen > UIO_MAXIOV)
        return -EMSGSIZE;
    err = vector_get(&g->v, user_at(user_iovec_in_t, g->h.msg_iov.addr), g->h.msg_iovlen);
    g->m = (struct socket_msg){ .it = &g->v.it, .flags = flags };
    g->control = g->near;
    return err;
}

int message_get_more(struct message *g)
{
    size_t n = g->h.msg_controllen;
    int err = 0;
    if (g->h.msg_namelen) {
        err = sockaddr_get(&g->name, user_cast(user_u8_in_t, g->h.msg_name), g->h.msg_namelen);
        g->m.name = &g->name;
        g->m.name_len = (unsigned)g->h.msg_namelen;
        if (!err && g->m.name_len == 1)
            err = -EINVAL;
    }
    if (err || !n || user_is_null(g->h.msg_control))
        return err;
    if (n > SOCKET_CONTROL_MAX)
        return -ENOBUFS;
    if (n > CONTROL_NEAR && !(g->control = heap_alloc(n)))
        return -ENOBUFS;
    g->m.control = g->control;
    g->m.control_len = n;
    return user_get(g->control, user_cast(user_u8_in_t, g->h.msg_control), n);
}

void message_put(struct message *g)
{
    vector_put(&g->v);
    if (g->control && g->control != g->near)
        heap_free(g->control);
}

static long send_one(struct socket *s, user_msghdr_in_t msg, unsigned flags)
{
    struct message g;
    long n = message_get(&g, msg, flags);
    if (n)
        return n;
    n = message_get_more(&g);
    if (!n)
        n = socket_send(s, &g.m);
    message_put(&g);
    return n;
}

void message_set_room(struct message *g)
{
    if (!user_is_null(g->h.msg_name))
        g->m.name = &g->name;
    g->m.ret_control = g->h.msg_control;
    g->m.ret_control_left = user_is_null(g->h.msg_control) ? 0 : g->h.msg_controllen;
}

long message_tell(struct message *g, user_msghdr_inout_t msg, unsigned flags, long n)
{
    unsigned room = (unsigned)g->h.msg_namelen;
    if (g->m.name &&
        user_put(g->h.msg_name, (uint8_t *)&g->name, room < g->m.name_len ? room : g->m.name_len))
        return -EFAULT;
    g->h.msg_namelen = (int)g->m.name_len;
    g->h.msg_controllen = g->m.ret_control_used;
    g->h.msg_flags = g->m.ret_flags | (flags & MSG_CMSG_CLOEXEC);
    return user_put(msg, &g->h, 1) ? -EFAULT : n;
}

static long recv_one(struct socket *s, user_msghdr_inout_t msg, unsigned flags)
{
    struct message g;
    long n = message_get(&g, user_cast(user_msghdr_in_t, msg), flags);
    if (n)
        return n;
    message_set_room(&g);
    n = socket_recv(s, &g.m);
    message_put(&g);
    return n < 0 ? n : message_tell(&g, msg, flags, n);
}

long sys_sendmsg(int fd, user_msghdr_in_t msg, unsigned flags)
{
    struct fd_ref ref;
    struct socket *s;
    if (flags & MSG_KERNEL_ONLY)
        return -EINVAL;
    long n = socket_borrow(fd, &ref, &s);
    if (n)
        return n;
    n = send_one(s, msg, flags);
    fd_return(&ref);
    return n;
}

long sys_recvmsg(int fd, user_msghdr_inout_t msg, unsigned flags)
{
    struct fd_ref ref;
    struct socket *s;
    if (flags & MSG_KERNEL_ONLY)
        return -EINVAL;
    long n = socket_borrow(fd, &ref, &s);
    if (n)
        return n;
    n = recv_one(s, msg, flags);
    fd_return(&ref);
    return n;
}

/* The header of entry i, and where its byte count goes. */
static user_msghdr_inout_t entry(user_mmsghdr_inout_t vec, unsigned i)
{
    return user_cast(user_msghdr_inout_t, user_advance(vec, i));
}

static int put_count(user_mmsghdr_inout_t vec, unsigned i, long n)
{
    unsigned len = (unsigned)n;
    user_uint_out_t at = user_cast(user_uint_out_t, user_advance(vec, i));
    return user_put(user_advance(at, offsetof(struct abi_mmsghdr, msg_len) / sizeof(len)), &len, 1);
}

long sys_sendmmsg(int fd, user_mmsghdr_inout_t vec, unsigned vlen, unsigned flags)
{
    struct fd_ref ref;
    struct socket *s;
    if (flags & MSG_KERNEL_ONLY)
        return -EINVAL;
    long n = socket_borrow(fd, &ref, &s);
    if (n)
        return n;
    unsigned i = 0;
    for (vlen = vlen < UIO_MAXIOV ? vlen : UIO_MAXIOV; i < vlen; i++) {
        n = send_one(s, user_cast(user_msghdr_in_t, entry(vec, i)), flags);
        if (n >= 0)
            n = put_count(vec, i, n);
        if (n || thread_preempt_point())
            break;
    }
    if (!n && i < vlen)
        i++; /* stopped for a signal after this one */
    fd_return(&ref);
    return i ? (long)i : n;
}

/* Receive until vlen, the deadline or an error. The error counts only before the first message. */
static long recv_many(struct socket *s, user_mmsghdr_inout_t vec, unsigned vlen, unsigned flags,
                      uint64_t deadline)
{
    unsigned i = 0;
    while (i < vlen) {
        long n = recv_one(s, entry(vec, i), flags & ~(unsigned)MSG_WAITFORONE);
        if (n >= 0)
            n = put_count(vec, i, n);
        if (n < 0) {
            if (i && n != -EAGAIN && n != -ERESTARTSYS && n != -EINTR)
                s->error = (int)-n; /* said by the next call */
            return i ? (long)i : n;
        }
        i++;
        if (flags & MSG_WAITFORONE)
            flags |= MSG_DONTWAIT;
        if (deadline != NO_DEADLINE && poll_now() >= deadline)
            break;
        if (thread_preempt_point())
            break;
    }
    return i;
}

long sys_recvmmsg(int fd, user_mmsghdr_inout_t vec, unsigned vlen, unsigned flags,
                  user_timespec_inout_t timeout)
{
    struct fd_ref ref;
    struct socket *s;
    struct abi_timespec ts;
    uint64_t deadline = NO_DEADLINE;
    if (flags & MSG_KERNEL_ONLY)
        return -EINVAL;
    if (!user_is_null(timeout)) {
        int err = user_get(&ts, user_cast(user_timespec_in_t, timeout), 1);
        if (!err)
            err = timeout_timespec(&ts, &deadline);
        if (err)
            return err;
    }
    long n = socket_borrow(fd, &ref, &s);
    if (n)
        return n;
    n = socket_take_pending(s);
    if (!n)
        n = recv_many(s, vec, vlen, flags, deadline);
    fd_return(&ref);
    if (n > 0 && !user_is_null(timeout)) {
        ts = timeout_left(deadline);
        if (user_put(timeout, &ts, 1))
            return -EFAULT;
    }
    return n;
}
