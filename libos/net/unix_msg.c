/* SPDX-License-Identifier: MIT */
/* AF_UNIX: sending and receiving. A message is built without any lock (user memory is copied), and then only linked into
 * the receiver's queue under its lock. unix(7), send(2). */
#include "unix.h"
#include <abi/errno.h>
#include <abi/fcntl.h>
#include <libos/process.h>
#include <string.h>

/* A message with the sender's credentials and files. NULL: out of memory; the files stay the caller's. */
static struct netmsg *message_create(struct unix_sock *u, uint32_t len, struct abi_ucred *cred,
                                     struct unix_rights *rights)
{
    struct netmsg *m = netmsg_create(&u->s, len);
    if (!m)
        return NULL;
    m->cred = *cred;
    m->rights = rights;
    return m;
}

/* Link it into p's queue, as urgent data perhaps. 0; -EPIPE: p reads no more; -ECONNREFUSED: its file is closed. */
static int deliver(struct unix_sock *p, struct netmsg *m, bool urgent)
{
    int err = 0;
    if (m->rights)
        unix_gc_enter(m->rights, p);
    spin_lock(&p->s.lock);
    if (p->dead)
        err = -ECONNREFUSED;
    else if (p->s.shut & SOCKET_SHUT_RD)
        err = -EPIPE;
    if (!err && UNLIKELY(urgent)) {
        socket_urgent_announce(&p->s);
        socket_urgent_here(&p->s, m);
    }
    if (!err)
        netmsg_push(&p->s.rq, m);
    spin_unlock(&p->s.lock);
    if (!err)
        socket_wake(&p->s, urgent ? SOCKET_IN | EPOLLPRI : SOCKET_IN);
    return err;
}

/* One piece of a stream. Bytes, or why not. */
static ssize_type stream_piece(struct unix_sock *u, struct socket_msg *m, struct abi_ucred *cred,
                               struct unix_rights **rights)
{
    uint32_t n = m->it->left < NETMSG_PIECE ? (uint32_t)m->it->left : NETMSG_PIECE;
    bool urgent = m->flags & MSG_OOB && m->it->left == 1;
    if (UNLIKELY(m->flags & MSG_OOB) && n > 1)
        n--; /* the last byte, which is the urgent one, is a message of its own */
    struct netmsg *msg = message_create(u, n, cred, *rights);
    if (!msg)
        return -ENOMEM;
    struct unix_rights *sent = *rights;
    if (!netmsg_fill(msg, m->it)) {
        msg->rights = NULL;
        netmsg_free(msg);
        return -EFAULT;
    }
    *rights = NULL;
    int err = deliver(u->peer, msg, urgent);
    if (err) {
        if (sent)
            unix_gc_leave(sent);
        netmsg_free(msg);
    }
    return err ? -EPIPE : (ssize_type)n;
}

static ssize_type stream_send(struct unix_sock *u, struct socket_msg *m, struct abi_ucred *cred,
                              struct unix_rights **rights)
{
    struct socket *s = &u->s;
    ssize_type done = 0, n = 0;
    if (m->name_len)
        return u->state == UNIX_CONNECTED ? -EISCONN : -EOPNOTSUPP;
    if (u->state != UNIX_CONNECTED)
        return -ENOTCONN;
    uint64_t deadline = socket_deadline(s->sndtimeo_ns, socket_no_wait(s, m->flags));
    if (s->shut & SOCKET_SHUT_WR)
        n = s->error ? socket_take_error(s) : -EPIPE;
    while (!n && m->it->left) {
        n = UNLIKELY(s->error || s->shut || !socket_has_room(s)) ? socket_wait_room(s, deadline)
                                                                 : 0;
        if (!n)
            n = stream_piece(u, m, cred, rights);
        if (n < 0)
            break;
        done += n;
        n = 0;
    }
    if (n == -EPIPE && !done)
        return socket_broken_pipe(m->flags);
    return done ? done : n;
}

/* The receiver of a datagram, with a reference. */
static int destination(struct unix_sock *u, struct socket_msg *m, struct unix_sock **ret)
{
    if (m->name_len && u->s.type == SOCK_DGRAM) {
        int err = unix_check_name(m->name, m->name_len);
        return err ? err : unix_find(m->name, m->name_len, SOCK_DGRAM, ret);
    }
    *ret = unix_peer_get(u);
    return *ret ? 0 : -ENOTCONN;
}

/* The connected peer of a datagram socket is gone: this is said once. */
static void forget_peer(struct unix_sock *u, struct unix_sock *p)
{
    spin_lock(&u->s.lock);
    bool was = u->peer == p && u->s.type == SOCK_DGRAM;
    if (was) {
        u->peer = NULL;
        u->state = UNIX_UNCONNECTED;
    }
    spin_unlock(&u->s.lock);
    if (was)
        socket_put(&p->s);
}

/* Deliver to p, waiting for room in its queue. */
static int datagram_deliver(struct unix_sock *u, struct unix_sock *p, struct netmsg *m,
                            uint64_t deadline, bool named)
{
    for (;;) {
        if (p->dead) {
            if (!named)
                forget_peer(u, p);
            return u->s.type == SOCK_SEQPACKET ? -EPIPE : -ECONNREFUSED;
        }
        struct unix_sock *other = p->peer;
        if (other && other != u)
            return -EPERM;
        if (p->s.shut & SOCKET_SHUT_RD)
            return -EPIPE;
        if (p == u || other == u || !unix_is_full(p))
            return deliver(p, m, false);
        int err = unix_wait_room(p, deadline, unix_is_full);
        if (err)
            return err;
    }
}

static ssize_type datagram_send(struct unix_sock *u, struct socket_msg *m, struct abi_ucred *cred,
                                struct unix_rights **rights)
{
    struct socket *s = &u->s;
    struct unix_sock *p;
    size_t len = m->it->left;
    uint64_t deadline = socket_deadline(s->sndtimeo_ns, socket_no_wait(s, m->flags));
    if (s->type == SOCK_SEQPACKET && u->state != UNIX_CONNECTED)
        return -ENOTCONN;
    if (m->name_len && s->type == SOCK_DGRAM && unix_check_name(m->name, m->name_len))
        return -EINVAL;
    if (s->flags & SOCKET_PASSCRED && !u->name) {
        int err = unix_autobind(u);
        if (err)
            return err;
    }
    if (len > s->sndbuf - 32 || len > NETMSG_MAX)
        return -EMSGSIZE;
    int err = socket_wait_room(s, deadline);
    if (err)
        return err == -EPIPE ? socket_broken_pipe(m->flags) : err;
    struct netmsg *msg = message_create(u, (uint32_t)len, cred, *rights);
    if (!msg)
        return -ENOMEM;
    if (!netmsg_fill(msg, m->it)) {
        msg->rights = NULL;
        netmsg_free(msg);
        return -EFAULT;
    }
    struct unix_rights *sent = *rights;
    *rights = NULL;
    msg->from = unix_name_of(u);
    err = destination(u, m, &p);
    if (!err) {
        err = datagram_deliver(u, p, msg, deadline, m->name_len && s->type == SOCK_DGRAM);
        socket_put(&p->s);
    }
    if (err) {
        if (sent)
            unix_gc_leave(sent);
        netmsg_free(msg);
    }
    if (err == -EPIPE)
        return socket_broken_pipe(m->flags);
    return err ? err : (ssize_type)len;
}

ssize_type unix_send(struct socket *s, struct socket_msg *m)
{
    struct unix_sock *u = unix_of(s);
    struct unix_rights *rights = NULL;
    struct abi_ucred cred = unix_cred_now();
    if (UNLIKELY(m->flags & MSG_OOB) && (s->type != SOCK_STREAM || !m->it->left))
        return -EOPNOTSUPP;
    if (UNLIKELY(m->control_len)) {
        int err = unix_control_get(m, &rights, &cred);
        if (err)
            return err;
    }
    ssize_type n = s->type == SOCK_STREAM ? stream_send(u, m, &cred, &rights)
                                          : datagram_send(u, m, &cred, &rights);
    if (UNLIKELY(rights))
        unix_rights_free(rights);
    unix_rights_drain();
    return n;
}

/* ---- receiving ---- */

int unix_recv_empty(struct socket *s)
{
    if (s->type == SOCK_STREAM)
        return unix_of(s)->state == UNIX_CONNECTED ? 1 : -EINVAL;
    return s->type == SOCK_SEQPACKET && unix_of(s)->state != UNIX_CONNECTED ? -ENOTCONN : 1;
}

ssize_type unix_recv(struct socket *s, struct socket_msg *m)
{
    ssize_type n;
    if (m->flags & MSG_ERRQUEUE)
        return -EAGAIN;
    if (m->flags & MSG_OOB)
        return s->type == SOCK_STREAM ? socket_urgent_recv(s, m) : -EOPNOTSUPP;
    if (s->type == SOCK_STREAM) {
        if (unix_of(s)->state != UNIX_CONNECTED)
            return -EINVAL;
        n = socket_recv_stream(s, m);
    } else if (s->type == SOCK_SEQPACKET && unix_of(s)->state != UNIX_CONNECTED) {
        return -ENOTCONN;
    } else {
        n = socket_recv_message(s, m);
    }
    unix_rights_drain();
    return n;
}

void unix_consumed(struct socket *s, uint32_t bytes)
{
    struct unix_sock *u = unix_of(s);
    if (waitq_active(&u->room))
        waitq_wake(&u->room, 1, 0);
    /* Senders that are connected to this receiver may poll for room in it. */
    if (s->type == SOCK_DGRAM && *(struct unix_sock *volatile *)&u->peer) {
        struct unix_sock *p = unix_peer_get(u);
        if (p) {
            socket_wake(&p->s, SOCKET_OUT);
            socket_put(&p->s);
        }
    }
}

void unix_recv_name(struct socket *s, struct netmsg *m, struct socket_msg *to)
{
    struct unix_sock *p = NULL;
    struct unix_name *n = m->from;
    if (!to->name)
        return;
    to->name_len = 0;
    if (s->type != SOCK_DGRAM) {
        p = unix_peer_get(unix_of(s));
        n = p ? p->name : NULL;
    }
    if (n) {
        memcpy(to->name, &n->addr, n->len);
        to->name_len = n->len;
    }
    if (p)
        socket_put(&p->s);
}

bool unix_recv_joins(struct socket *s, const struct netmsg *m, const struct abi_ucred *before)
{
    return !(s->flags & SOCKET_PASSCRED) || !memcmp(&m->cred, before, sizeof(*before));
}
