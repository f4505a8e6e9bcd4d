/* SPDX-License-Identifier: MIT */
/* Receiving from a socket's queue. A stream is read under recv_lock (a mutex, since user memory is copied): only its holder
 * removes messages, so the head can be copied from while senders append. A message of a datagram socket is taken out under
 * the spin lock first, by whoever comes. recv(2), recvmsg(2). */
#include "sock_int.h"
#include <abi/errno.h>
#include <abi/termios.h>
#include <abi/time.h>
#include <base/log.h>
#include <libos/time.h>
#include <libos/user.h>
#include <string.h>

uint64_t socket_wall_ns(void)
{
    uint64_t ns;
    must(!clock_read(CLOCK_REALTIME, &ns)); /* a fixed clock */
    return ns;
}

static bool queue_ready(struct socket *s)
{
    return *(struct netmsg *const volatile *)&s->rq.head || s->error ||
           (s->shut & SOCKET_SHUT_RD) || s->ops->recv_empty(s) <= 0;
}

/* Nothing is queued: what that means. 1: wait. */
static int empty_state(struct socket *s)
{
    int err = socket_take_error(s);
    if (err)
        return err;
    if (s->shut & SOCKET_SHUT_RD)
        return 0;
    return s->ops->recv_empty(s);
}

/* Take n bytes off the head. Locks: recv_lock held. */
static void stream_advance(struct socket *s, struct netmsg *m, uint32_t n)
{
    spin_lock(&s->lock);
    m->off += n;
    m->len -= n;
    s->rq.bytes -= n;
    bool gone = !m->len;
    if (gone)
        netmsg_pop(&s->rq);
    if (UNLIKELY(gone && m->flags & NETMSG_URGENT))
        s->urgent = SOCKET_URGENT_NONE;
    spin_unlock(&s->lock);
    if (gone)
        netmsg_free(m);
}

struct stream_read {
    struct socket *s;
    struct socket_msg *to;
    ssize_type done;
    struct abi_ucred origin; /* whose the message was that came last: for recv_joins only */
};

/* Copy from one message. False: the call ends here. */
static bool stream_take(struct stream_read *r, struct netmsg *m)
{
    struct socket *s = r->s;
    bool peek = r->to->flags & MSG_PEEK;
    size_t want = r->to->it->left < m->len ? r->to->it->left : m->len;
    size_t n = r->to->flags & MSG_TRUNC && s->family != AF_UNIX
                   ? want
                   : netmsg_copy(m, 0, r->to->it, want);
    if (r->to->flags & MSG_TRUNC && s->family != AF_UNIX)
        r->to->it->left -= n;
    if (!n && want) {
        r->done = r->done ? r->done : -EFAULT;
        return false;
    }
    if (r->to->name && !r->done && s->ops->recv_name)
        s->ops->recv_name(s, m, r->to);
    r->done += (ssize_type)n;
    bool last = s->ops->recv_control && s->ops->recv_control(s, m, r->to, peek);
    if (!peek) {
        stream_advance(s, m, (uint32_t)n);
        if (s->ops->consumed)
            s->ops->consumed(s, (uint32_t)n);
    }
    return n == want && r->to->it->left && !last;
}

/* The message to copy from next: with MSG_PEEK one after at. */
static struct netmsg *stream_next(struct socket *s, struct netmsg *at)
{
    spin_lock(&s->lock);
    struct netmsg *m = at ? at->next : s->rq.head;
    spin_unlock(&s->lock);
    return m;
}

/* Is m beside the stream: not there for who reads the stream? */
static bool is_beside(struct socket *s, const struct netmsg *m)
{
    return m->flags & NETMSG_PASSED || (m->flags & NETMSG_URGENT && !(s->flags & SOCKET_OOBINLINE));
}

/* Go on behind m, which is beside the stream. */
static void stream_pass(struct stream_read *r, struct netmsg *m)
{
    if (r->to->flags & MSG_PEEK)
        return;
    uint32_t n = m->len;
    stream_advance(r->s, m, n);
    if (r->s->ops->consumed)
        r->s->ops->consumed(r->s, n);
}

/* One round: copy what is queued. False: the call ends. */
static bool stream_drain(struct stream_read *r, struct netmsg **at)
{
    struct socket *s = r->s;
    struct netmsg *m;
    while ((m = stream_next(s, *at))) {
        if (r->done && s->ops->recv_joins && !s->ops->recv_joins(s, m, &r->origin))
            return false;
        if (UNLIKELY(r->done && m->flags & NETMSG_URGENT))
            return false; /* a read ends where urgent data begins */
        if (r->to->flags & MSG_PEEK)
            *at = m;
        if (UNLIKELY(m->flags) && is_beside(s, m)) {
            stream_pass(r, m);
            continue;
        }
        if (s->ops->recv_joins)
            r->origin = m->cred;
        if (!stream_take(r, m))
            return false;
    }
    return true;
}

ssize_type socket_recv_stream(struct socket *s, struct socket_msg *to)
{
    struct stream_read r;
    struct netmsg *at = NULL;
    uint64_t deadline = socket_deadline(s->rcvtimeo_ns, socket_no_wait(s, to->flags));
    size_t low = s->rcvlowat < to->it->left ? s->rcvlowat : to->it->left;
    ssize_type target = (ssize_type)(to->flags & MSG_WAITALL ? to->it->left : low ? low : 1);
    r.s = s;
    r.to = to;
    r.done = 0;
    mutex_lock(&s->recv_lock);
    while (stream_drain(&r, &at) && r.done < target) {
        int err = r.done && !deadline ? -EAGAIN : empty_state(s);
        if (stream_next(s, at) && err >= 0)
            continue; /* it came just now */
        if (err == 1) {
            mutex_unlock(&s->recv_lock);
            /* With MSG_PEEK and something peeked at, any wake may be for more. */
            err = at ? -EAGAIN : socket_sleep(s, SOCKET_IN | EPOLLRDHUP, deadline, queue_ready);
            mutex_lock(&s->recv_lock);
            if (!err)
                continue;
        }
        if (!r.done)
            r.done = err;
        break;
    }
    mutex_unlock(&s->recv_lock);
    return r.done;
}

/* Take the first message, or with peek a private view of it is copied under recv_lock. */
static struct netmsg *message_take(struct socket *s)
{
    spin_lock(&s->lock);
    struct netmsg *m = netmsg_pop(&s->rq);
    spin_unlock(&s->lock);
    return m;
}

static ssize_type message_copy(struct socket *s, struct netmsg *m, struct socket_msg *to)
{
    size_t want = to->it->left < m->len ? to->it->left : m->len;
    if (netmsg_copy(m, 0, to->it, want) < want)
        return -EFAULT;
    if (m->len > want)
        to->ret_flags |= MSG_TRUNC;
    if (to->name && s->ops->recv_name)
        s->ops->recv_name(s, m, to);
    socket_put_stamp(s, m, to);
    if (s->ops->recv_control)
        s->ops->recv_control(s, m, to, to->flags & MSG_PEEK);
    return (ssize_type)(to->flags & MSG_TRUNC ? m->len : want);
}

/* MSG_PEEK: it goes back to where it was. Others that receive meanwhile wait for recv_lock, or get a later one. */
static void message_return(struct socket *s, struct netmsg *m)
{
    spin_lock(&s->lock);
    m->next = s->rq.head;
    s->rq.head = m;
    if (!s->rq.tail)
        s->rq.tail = m;
    s->rq.count++;
    s->rq.bytes += m->len;
    s->rq.charged += m->charge;
    spin_unlock(&s->lock);
    socket_wake(s, SOCKET_IN);
}

ssize_type socket_recv_message(struct socket *s, struct socket_msg *to)
{
    uint64_t deadline = socket_deadline(s->rcvtimeo_ns, socket_no_wait(s, to->flags));
    struct netmsg *m;
    while (s->error || !(m = message_take(s))) {
        int err = empty_state(s);
        if (err == 1) {
            if (*(struct netmsg *const volatile *)&s->rq.head)
                continue;
            err = socket_sleep(s, SOCKET_IN | EPOLLRDHUP, deadline, queue_ready);
            if (!err)
                continue;
        }
        return err;
    }
    ssize_type n = message_copy(s, m, to);
    if (to->flags & MSG_PEEK) {
        message_return(s, m);
        return n;
    }
    uint32_t len = m->len;
    netmsg_free(m);
    if (s->ops->consumed)
        s->ops->consumed(s, len);
    return n;
}

bool socket_queue_rcv(struct socket *s, struct netmsg *take_m)
{
    spin_lock(&s->lock);
    bool fits = !(s->shut & SOCKET_SHUT_RD) && s->rq.charged + take_m->charge <= s->rcvbuf;
    if (fits)
        netmsg_push(&s->rq, take_m);
    else
        s->dropped++;
    spin_unlock(&s->lock);
    if (fits)
        socket_wake(s, SOCKET_IN);
    else
        netmsg_free(take_m);
    return fits;
}

/* ---- ancillary data ---- */

static size_t control_align(size_t n)
{
    return (n + 7) & ~(size_t)7;
}

bool socket_put_control(struct socket_msg *m, int level, int type, const void *data, size_t len)
{
    struct abi_cmsghdr h = { sizeof(h) + len, level, type };
    if (user_is_null(m->ret_control) || m->ret_control_left < sizeof(h)) {
        m->ret_flags |= MSG_CTRUNC;
        return false;
    }
    bool whole = h.cmsg_len <= m->ret_control_left;
    if (!whole) {
        m->ret_flags |= MSG_CTRUNC;
        h.cmsg_len = m->ret_control_left;
    }
    user_u8_out_t at = m->ret_control;
    if (user_put(at, (const uint8_t *)&h, sizeof(h)) ||
        user_put(user_advance(at, sizeof(h)), (const uint8_t *)data, h.cmsg_len - sizeof(h)))
        return false;
    size_t space = control_align(h.cmsg_len);
    if (space > m->ret_control_left)
        space = m->ret_control_left;
    m->ret_control = user_advance(at, space);
    m->ret_control_left -= space;
    m->ret_control_used += space;
    return whole;
}

void socket_put_stamp(struct socket *s, struct netmsg *msg, struct socket_msg *m)
{
    if (LIKELY(!(s->flags & (SOCKET_TIMESTAMP | SOCKET_TIMESTAMPNS | SOCKET_RXQ_OVFL))))
        return;
    uint64_t ns = msg->stamp_ns ? msg->stamp_ns : socket_wall_ns();
    int64_t sec = (int64_t)(ns / NS_PER_SEC), sub = (int64_t)(ns % NS_PER_SEC);
    if (s->flags & SOCKET_TIMESTAMPNS) {
        int64_t ts[2] = { sec, sub };
        socket_put_control(m, SOL_SOCKET, SO_TIMESTAMPNS, ts, sizeof(ts));
    } else if (s->flags & SOCKET_TIMESTAMP) {
        int64_t tv[2] = { sec, sub / 1000 };
        socket_put_control(m, SOL_SOCKET, SO_TIMESTAMP, tv, sizeof(tv));
    }
    if (s->flags & SOCKET_RXQ_OVFL && s->dropped)
        socket_put_control(m, SOL_SOCKET, SO_RXQ_OVFL, &s->dropped, sizeof(s->dropped));
}

int socket_next_control(const struct socket_msg *m, size_t *pos, struct control_item *ret)
{
    struct abi_cmsghdr h;
    if (!m->control || *pos + sizeof(h) > m->control_len)
        return 0;
    memcpy(&h, m->control + *pos, sizeof(h));
    if (h.cmsg_len < sizeof(h) || h.cmsg_len > m->control_len - *pos)
        return -EINVAL;
    *ret = (struct control_item){ h.cmsg_level, h.cmsg_type, m->control + *pos + sizeof(h),
                                  h.cmsg_len - sizeof(h) };
    *pos += control_align(h.cmsg_len);
    return 1;
}
