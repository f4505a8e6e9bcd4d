/* SPDX-License-Identifier: MIT */
/* AF_UNIX: pairs, connections, listeners. A connection is made by the client alone: it puts the finished other end into the
 * listener's list, where accept finds it. unix(7), connect(2). */
#include "unix.h"
#include <abi/errno.h>
#include <abi/fcntl.h>
#include <libos/process.h>
#include <string.h>

struct unix_sock *unix_peer_get(struct unix_sock *u)
{
    spin_lock(&u->s.lock);
    struct unix_sock *p = u->peer;
    if (p)
        socket_get(&p->s);
    spin_unlock(&u->s.lock);
    return p;
}

/* Join two that nobody else knows yet, or whose states are held. */
static void join(struct unix_sock *a, struct unix_sock *b)
{
    a->peer = unix_of(socket_get(&b->s));
    b->peer = unix_of(socket_get(&a->s));
    a->state = b->state = UNIX_CONNECTED;
}

int unix_pair(struct socket *a, struct socket *b)
{
    struct abi_ucred cred = unix_cred_now();
    unix_set_peer_cred(unix_of(a), &cred, thread_current()->cred);
    unix_set_peer_cred(unix_of(b), &cred, thread_current()->cred);
    join(unix_of(a), unix_of(b));
    return 0;
}

int unix_listen(struct socket *s, int backlog)
{
    struct unix_sock *u = unix_of(s);
    if (s->type == SOCK_DGRAM)
        return -EOPNOTSUPP;
    if (!u->name)
        return -EINVAL;
    struct abi_ucred cred = unix_cred_now();
    spin_lock(&s->lock);
    bool fits = u->state != UNIX_CONNECTED;
    if (fits) {
        u->state = UNIX_LISTENS;
        u->backlog = (uint32_t)backlog;
    }
    spin_unlock(&s->lock);
    if (!fits)
        return -EINVAL;
    unix_set_peer_cred(u, &cred, thread_current()->cred);
    waitq_wake(&u->room, WAITQ_ALL, 0);
    return 0;
}

int unix_accept_state(struct socket *s)
{
    return unix_of(s)->state == UNIX_LISTENS ? 0 : s->type == SOCK_DGRAM ? -EOPNOTSUPP : -EINVAL;
}

int unix_accept(struct socket *s, struct socket **ret_socket)
{
    struct unix_sock *u = unix_of(s);
    if (s->shut & SOCKET_SHUT_RD)
        return -EINVAL;
    spin_lock(&s->lock);
    struct unix_sock *child = u->pending;
    if (child) {
        u->pending = child->pending_next;
        u->npending--;
    }
    spin_unlock(&s->lock);
    if (!child)
        return -EAGAIN;
    if (waitq_active(&u->room))
        waitq_wake(&u->room, 1, 0);
    *ret_socket = &child->s;
    return 0;
}

/* A listener takes no more connections. */
static bool backlog_full(const struct unix_sock *l)
{
    return *(const volatile uint32_t *)&l->npending > l->backlog;
}

bool unix_is_full(const struct unix_sock *receiver)
{
    return *(const volatile uint32_t *)&receiver->s.rq.count > receiver->backlog;
}

int unix_wait_room(struct unix_sock *receiver, uint64_t deadline_ns,
                   bool (*full)(const struct unix_sock *u))
{
    struct waiter w;
    int err = 0;
    if (!deadline_ns)
        return -EAGAIN;
    waitq_add_exclusive(&receiver->room, &w);
    while (thread_prepare_sleep(SLEEP_INTERRUPTIBLE), full(receiver) && !receiver->dead &&
                                                          !receiver->s.shut &&
                                                          !(err = thread_sleep(deadline_ns)))
        ;
    thread_finish_sleep();
    waitq_remove(&receiver->room, &w);
    if (err == -ETIMEDOUT)
        return -EAGAIN;
    if (err == -EINTR)
        return deadline_ns == NO_DEADLINE ? -ERESTARTSYS : -EINTR;
    return 0;
}

/* The listener's half of a connect: put child into its list. -EAGAIN: it is full. */
static int enter_listener(struct unix_sock *l, struct unix_sock *child)
{
    int err = 0;
    spin_lock(&l->s.lock);
    if (l->state != UNIX_LISTENS || l->dead || l->s.shut & SOCKET_SHUT_RD)
        err = -ECONNREFUSED;
    else if (backlog_full(l))
        err = -EAGAIN;
    if (!err) {
        child->pending_next = NULL;
        if (l->pending)
            l->pending_last->pending_next = child;
        else
            l->pending = child;
        l->pending_last = child;
        l->npending++;
    }
    spin_unlock(&l->s.lock);
    return err;
}

/* The client's state allows it. Streams only. */
static int may_connect(const struct unix_sock *u)
{
    return u->state == UNIX_CONNECTED ? -EISCONN : u->state == UNIX_LISTENS ? -EINVAL : 0;
}

static void stream_join(struct unix_sock *u, struct unix_sock *l, struct unix_sock *child)
{
    struct abi_ucred mine = unix_cred_now();
    child->name = unix_name_of(l);
    child->s.flags |= l->s.flags & (SOCKET_PASSCRED | SOCKET_PASSSEC);
    unix_set_peer_cred(child, &mine, thread_current()->cred);
    spin_lock(&l->s.lock);
    struct abi_ucred its = l->peer_cred;
    struct cred *groups = l->peer_groups ? cred_get(l->peer_groups) : NULL;
    spin_unlock(&l->s.lock);
    if (groups) {
        unix_set_peer_cred(u, &its, groups);
        cred_put(groups);
    }
    join(u, child);
}

static void stream_part(struct unix_sock *u, struct unix_sock *child)
{
    u->state = UNIX_UNCONNECTED;
    u->peer = child->peer = NULL;
    socket_put(&u->s);
    socket_put(&child->s);
}

static int stream_connect(struct unix_sock *u, const struct abi_sockaddr_storage *a, unsigned len,
                          uint64_t deadline)
{
    struct unix_sock *l, *child = unix_alloc(u->s.type);
    if (!child)
        return -ENOMEM;
    int err;
    for (;;) {
        err = unix_find(a, len, u->s.type, &l);
        if (err)
            break;
        mutex_lock(&u->s.recv_lock);
        err = may_connect(u);
        if (!err) {
            /* Joined first: whoever accepts finds a whole connection. */
            stream_join(u, l, child);
            err = enter_listener(l, child);
            if (err)
                stream_part(u, child);
        }
        mutex_unlock(&u->s.recv_lock);
        if (!err)
            socket_wake(&l->s, SOCKET_IN);
        if (err == -EAGAIN)
            err = unix_wait_room(l, deadline, backlog_full);
        else if (!err)
            err = 1;
        socket_put(&l->s);
        if (child->name && err != 1) {
            unix_name_put(child->name);
            child->name = NULL;
        }
        if (err)
            break;
    }
    if (err != 1)
        socket_put(&child->s);
    return err == 1 ? 0 : err;
}

/* Datagrams: from now on to and from peer only; NULL: anybody. */
static void set_peer(struct unix_sock *u, struct unix_sock *take_peer)
{
    struct netmsg_queue old_queue = { 0 };
    spin_lock(&u->s.lock);
    struct unix_sock *old = u->peer;
    u->peer = take_peer;
    u->state = take_peer ? UNIX_CONNECTED : UNIX_UNCONNECTED;
    if (old && old != take_peer) {
        old_queue = u->s.rq;
        u->s.rq = (struct netmsg_queue){ 0 };
    }
    spin_unlock(&u->s.lock);
    bool lost = old_queue.head;
    netmsg_purge(&old_queue);
    if (!old)
        return;
    if (lost && old->peer == u && !old->dead) {
        old->s.error = ECONNRESET;
        socket_wake_all(&old->s, EPOLLERR);
    }
    waitq_wake(&u->room, WAITQ_ALL, 0);
    socket_put(&old->s);
}

static int dgram_connect(struct unix_sock *u, const struct abi_sockaddr_storage *a, unsigned len)
{
    struct unix_sock *p;
    if (a->ss_family == AF_UNSPEC) {
        set_peer(u, NULL);
        return 0;
    }
    int err = unix_check_name(a, len);
    if (!err && u->s.flags & SOCKET_PASSCRED && !u->name)
        err = unix_autobind(u);
    if (!err)
        err = unix_find(a, len, SOCK_DGRAM, &p);
    if (err)
        return err;
    if (p->peer && p->peer != u) {
        socket_put(&p->s);
        return -EPERM;
    }
    set_peer(u, p);
    return 0;
}

int unix_connect(struct socket *s, const struct abi_sockaddr_storage *a, unsigned len,
                 unsigned file_flags)
{
    struct unix_sock *u = unix_of(s);
    if (s->type == SOCK_DGRAM)
        return dgram_connect(u, a, len);
    int err = unix_check_name(a, len);
    if (!err && s->flags & SOCKET_PASSCRED && !u->name)
        err = unix_autobind(u);
    return err ? err : stream_connect(u, a, len, socket_deadline(s->sndtimeo_ns, file_flags));
}
