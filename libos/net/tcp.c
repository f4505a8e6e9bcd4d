/* SPDX-License-Identifier: MIT */
/* TCP sockets. A connection to this machine itself joins two sockets directly: what one sends is linked into the queue of
 * the other, and no packet exists. A connection to another machine goes through the stack (tcp_remote.c); both kinds have
 * the same queue to read from, the same states and errors. tcp(7).
 *
 * state is changed under s.lock, or before anybody else knows the socket; peer is set once, and cleared by close. */
#include "icmp_error.h"
#include "tcp.h"
#include "core.h"
#include <abi/errno.h>
#include <abi/fcntl.h>
#include <abi/termios.h>
#include <libos/heap.h>
#include <libos/user.h>
#include <string.h>

static struct slab tcps = SLAB_INIT("tcp", struct tcpsock);

struct tcpsock *tcpsock_alloc(int family, int protocol)
{
    struct tcpsock *t = slab_alloc(&tcps);
    if (!t)
        return NULL;
    memset(t, 0, sizeof(*t));
    inet_init(&t->in, &tcpsock_ops, family, SOCK_STREAM, IPPROTO_TCP, &inet_tcp);
    t->in.s.sndbuf = TCP_SNDBUF;
    t->in.s.rcvbuf = TCP_RCVBUF;
    t->state = TCP_IS_CLOSED;
    t->keepidle_s = 7200;
    t->keepintvl_s = 75;
    t->keepcnt = 9;
    t->linger2 = 60;
    t->syncnt = 6;
    strcpy(t->congestion, "reno");
    return t;
}

int tcpsock_create(int family, int protocol, struct socket **ret_socket)
{
    struct tcpsock *t = tcpsock_alloc(family, protocol);
    if (!t)
        return -ENOMEM;
    *ret_socket = &t->in.s;
    return 0;
}

int tcpsock_state(struct socket *s)
{
    return tcpsock_of(s)->state;
}

static void tcp_free(struct socket *s)
{
    struct tcpsock *t = tcpsock_of(s);
    netmsg_purge(&s->rq);
    netmsg_purge(&s->errors);
    inet_fini(&t->in);
    if (t->peer)
        socket_put(&t->peer->in.s);
    slab_free(&tcps, t);
}

struct tcpsock *tcpsock_alloc_child(struct tcpsock *l)
{
    struct tcpsock *t = tcpsock_alloc(l->in.s.family, l->in.s.protocol);
    if (!t)
        return NULL;
    struct socket *s = &t->in.s, *from = &l->in.s;
    s->flags = from->flags;
    s->sndbuf = from->sndbuf;
    s->rcvbuf = from->rcvbuf;
    s->rcvlowat = from->rcvlowat;
    s->sndtimeo_ns = from->sndtimeo_ns;
    s->rcvtimeo_ns = from->rcvtimeo_ns;
    s->linger_s = from->linger_s;
    s->priority = from->priority;
    s->mark = from->mark;
    s->uid = from->uid;
    t->in.v6only = l->in.v6only;
    t->in.ttl = l->in.ttl;
    t->in.tos = l->in.tos;
    t->in.minttl = l->in.minttl;
    t->in.minhops = l->in.minhops;
    s->bound_dev = from->bound_dev;
    t->in.want = l->in.want;
    t->nodelay = l->nodelay;
    t->keepidle_s = l->keepidle_s;
    t->keepintvl_s = l->keepintvl_s;
    t->keepcnt = l->keepcnt;
    t->user_timeout_ms = l->user_timeout_ms;
    memcpy(t->congestion, l->congestion, sizeof(t->congestion));
    return t;
}

/* ---- ends ---- */

void tcpsock_set_ended(struct tcpsock *t, int error)
{
    struct socket *s = &t->in.s;
    spin_lock(&s->lock);
    if (error)
        s->error = t->state == TCP_IS_CLOSE_WAIT && error == ECONNRESET ? EPIPE : error;
    t->state = TCP_IS_CLOSED;
    s->shut |= SOCKET_SHUT_RD | SOCKET_SHUT_WR;
    spin_unlock(&s->lock);
    socket_wake_all(s, SOCKET_IN | SOCKET_OUT | EPOLLERR | EPOLLHUP | EPOLLRDHUP);
}

void tcpsock_set_eof(struct tcpsock *t)
{
    struct socket *s = &t->in.s;
    spin_lock(&s->lock);
    s->shut |= SOCKET_SHUT_RD;
    t->state = t->state == TCP_IS_ESTABLISHED  ? TCP_IS_CLOSE_WAIT
               : t->state == TCP_IS_CLOSE_WAIT ? TCP_IS_CLOSE_WAIT
                                               : TCP_IS_CLOSED;
    bool both = s->shut == (SOCKET_SHUT_RD | SOCKET_SHUT_WR);
    spin_unlock(&s->lock);
    socket_wake_all(s, SOCKET_IN | EPOLLRDHUP | (both ? EPOLLHUP | SOCKET_OUT : 0));
}

/* ---- listeners ---- */

bool tcpsock_is_listener(struct inet_sock *in)
{
    return tcpsock_of(&in->s)->state == TCP_IS_LISTEN;
}

static void list_append(struct tcpsock **head, struct tcpsock **last, struct tcpsock *t)
{
    t->list_next = NULL;
    if (*head)
        (*last)->list_next = t;
    else
        *head = t;
    *last = t;
}

static struct tcpsock *list_take(struct tcpsock **head)
{
    struct tcpsock *t = *head;
    if (t)
        *head = t->list_next;
    return t;
}

bool tcpsock_enter_pending(struct tcpsock *l, struct tcpsock *take_child, bool force)
{
    spin_lock(&l->in.s.lock);
    bool ok = l->state == TCP_IS_LISTEN && !l->dead && (force || l->npending <= l->backlog);
    if (ok) {
        list_append(&l->pending, &l->pending_last, take_child);
        l->npending++;
    }
    spin_unlock(&l->in.s.lock);
    if (ok)
        socket_wake(&l->in.s, SOCKET_IN);
    return ok;
}

static int tcp_listen(struct socket *s, int backlog)
{
    struct tcpsock *t = tcpsock_of(s);
    if (t->state != TCP_IS_CLOSED && t->state != TCP_IS_LISTEN)
        return -EINVAL;
    int err = inet_autobind(&t->in);
    if (err)
        return -EADDRINUSE;
    spin_lock(&s->lock);
    bool fresh = t->state != TCP_IS_LISTEN;
    t->backlog = (uint32_t)backlog;
    t->state = TCP_IS_LISTEN;
    spin_unlock(&s->lock);
    if (!fresh)
        return 0;
    /* Two that share a port by SO_REUSEADDR cannot both listen. */
    err = inet_check_listener(&t->in);
    if (!err && !addr_is_loopback(&t->in.local.addr))
        err = tcpsock_remote_listen(t);
    if (err)
        t->state = TCP_IS_CLOSED;
    return err;
}

static int tcp_accept_state(struct socket *s)
{
    return tcpsock_of(s)->state == TCP_IS_LISTEN ? 0 : -EINVAL;
}

/* A place in the backlog is free: the connect that has waited longest is done. Locks: l's s.lock held. */
static struct tcpsock *promote(struct tcpsock *l)
{
    if (l->npending > l->backlog)
        return NULL;
    struct tcpsock *child = list_take(&l->waiting);
    if (!child)
        return NULL;
    l->nwaiting--;
    list_append(&l->pending, &l->pending_last, child);
    l->npending++;
    child->parent = NULL;
    return child->peer;
}

static int tcp_accept(struct socket *s, struct socket **ret_socket)
{
    struct tcpsock *l = tcpsock_of(s);
    spin_lock(&s->lock);
    struct tcpsock *child = list_take(&l->pending), *client = NULL;
    if (child) {
        l->npending--;
        client = promote(l);
        if (client) {
            socket_get(&client->in.s);
            client->state = TCP_IS_ESTABLISHED;
        }
    }
    spin_unlock(&s->lock);
    if (client) {
        socket_wake_all(&client->in.s, SOCKET_OUT);
        socket_put(&client->in.s);
    }
    if (!child)
        return -EAGAIN;
    *ret_socket = &child->in.s;
    return 0;
}

/* ---- connecting ---- */

/* Join client and child; the child's place in the listener decides whether the connection is there yet. */
static int local_enter(struct tcpsock *t, struct tcpsock *l, struct tcpsock *child)
{
    int err = 0;
    spin_lock(&l->in.s.lock);
    if (l->state != TCP_IS_LISTEN || l->dead) {
        err = -ECONNREFUSED;
    } else if (l->npending <= l->backlog) {
        t->state = TCP_IS_ESTABLISHED;
        list_append(&l->pending, &l->pending_last, child);
        l->npending++;
    } else {
        t->state = TCP_IS_SYN_SENT;
        child->parent = l;
        list_append(&l->waiting, &l->waiting_last, child);
        l->nwaiting++;
    }
    spin_unlock(&l->in.s.lock);
    return err;
}

static int local_connect(struct tcpsock *t, const struct inet_end *to)
{
    struct inet_sock *in = &t->in;
    struct inet_end dest = *to;
    if (addr_is_any(&dest.addr))
        dest.addr = addr_source_for(&dest.addr);
    if (addr_is_any(&in->local.addr))
        in->local.addr = addr_source_for(&dest.addr);
    struct inet_sock *found = inet_find(&inet_tcp, &dest, &in->local, tcpsock_is_listener);
    if (!found)
        return -ECONNREFUSED;
    struct tcpsock *l = tcpsock_of(&found->s), *child = tcpsock_alloc_child(l);
    if (!child) {
        socket_put(&found->s);
        return -ENOBUFS;
    }
    in->remote = dest;
    child->in.local = dest;
    child->in.remote = in->local;
    child->state = TCP_IS_ESTABLISHED;
    child->peer = tcpsock_of(socket_get(&t->in.s));
    t->peer = tcpsock_of(socket_get(&child->in.s));
    int err = local_enter(t, l, child);
    if (err) {
        t->peer = child->peer = NULL;
        socket_put(&t->in.s);
        socket_put(&child->in.s);
        socket_put(&child->in.s);
    } else {
        socket_wake(&l->in.s, SOCKET_IN);
    }
    socket_put(&found->s);
    return err;
}

static bool connect_done(struct socket *s)
{
    return tcpsock_of(s)->state != TCP_IS_SYN_SENT;
}

/* What connect(2) says of a connect that has ended. */
static int connect_end(struct tcpsock *t)
{
    t->connecting = false;
    if (t->state != TCP_IS_CLOSED)
        return 0;
    int err = socket_take_error(&t->in.s);
    spin_lock(&t->in.s.lock);
    t->in.s.shut = 0;
    spin_unlock(&t->in.s.lock);
    return err ? err : -ECONNABORTED;
}

/* Wait for the end of a connect. */
static int connect_wait(struct tcpsock *t, uint64_t deadline)
{
    struct socket *s = &t->in.s;
    while (t->state == TCP_IS_SYN_SENT) {
        int err = socket_sleep(s, SOCKET_OUT, deadline, connect_done);
        if (err)
            return err == -EAGAIN ? -EINPROGRESS : err;
    }
    return connect_end(t);
}

/* AF_UNSPEC: break the connection off; the socket can be used again. */
static int tcp_disconnect(struct tcpsock *t);

static int connect_start(struct tcpsock *t, const struct inet_end *to)
{
    struct inet_sock *in = &t->in;
    if (addr_is_multicast(&to->addr) || addr_is_broadcast(&to->addr))
        return -ENETUNREACH;
    if (in->v6only && addr_is_v4(&to->addr))
        return -ENETUNREACH;
    int err = inet_autobind(in);
    if (err)
        return -EADDRNOTAVAIL;
    in->s.shut = 0;
    in->s.error = 0;
    /* An IPv6 socket that talks IPv4, and the other way round, has a local address of that kind. */
    if (!in->has_addr)
        in->local.addr = addr_is_v4(&to->addr) ? addr_v4(0) : (struct inet_addr){ 0 };
    err = addr_is_local(&to->addr) ? local_connect(t, to) : tcpsock_remote_connect(t, to);
    if (err == -ECONNREFUSED) {
        tcpsock_set_ended(t, ECONNREFUSED);
        err = 0;
    }
    t->connecting = !err;
    return err;
}

static int tcp_connect(struct socket *s, const struct abi_sockaddr_storage *a, unsigned len,
                       unsigned file_flags)
{
    struct tcpsock *t = tcpsock_of(s);
    struct inet_end to;
    uint64_t deadline = socket_deadline(s->sndtimeo_ns, file_flags & O_NONBLOCK);
    if (a->ss_family == AF_UNSPEC)
        return tcp_disconnect(t);
    int err = inet_get_end(&t->in, a, len, &to);
    if (err)
        return err;
    mutex_lock(&s->recv_lock);
    if (t->state == TCP_IS_SYN_SENT) {
        err = deadline ? 0 : -EALREADY;
    } else if (t->connecting) {
        deadline = NO_DEADLINE;
    } else if (t->state != TCP_IS_CLOSED || t->peer || t->pcb) {
        err = -EISCONN;
    } else {
        err = connect_start(t, &to);
    }
    mutex_unlock(&s->recv_lock);
    /* Within the machine the end is there at once, but who does not wait is told by a later call, as of any other. */
    if (!err && !deadline)
        return -EINPROGRESS;
    return err ? err : connect_wait(t, deadline);
}

/* ---- sending ---- */

/* The peer of a local connection was closed: the first that is sent to it makes it answer with a reset. */
static int peer_gone(struct tcpsock *t)
{
    tcpsock_set_ended(t, ECONNRESET);
    return 0;
}

static int local_send(struct tcpsock *t, struct netmsg *m, bool urgent)
{
    struct tcpsock *p = t->peer;
    struct socket *ps = &p->in.s;
    spin_lock(&ps->lock);
    bool gone = p->dead;
    bool deaf = ps->shut & SOCKET_SHUT_RD; /* shutdown(SHUT_RD): it throws away */
    if (UNLIKELY(urgent) && !gone && !deaf) {
        socket_urgent_announce(ps);
        socket_urgent_here(ps, m);
    }
    if (!gone && !deaf)
        netmsg_push(&ps->rq, m);
    spin_unlock(&ps->lock);
    if (gone || deaf)
        netmsg_free(m);
    else
        socket_wake(ps, urgent ? SOCKET_IN | EPOLLPRI : SOCKET_IN);
    return gone ? peer_gone(t) : 0;
}

static int send_state(struct tcpsock *t, uint64_t deadline)
{
    struct socket *s = &t->in.s;
    if (t->state == TCP_IS_SYN_SENT) {
        if (!deadline)
            return -EAGAIN;
        while (t->state == TCP_IS_SYN_SENT) {
            int err = socket_sleep(s, SOCKET_OUT, deadline, connect_done);
            if (err)
                return err;
        }
    }
    int err = socket_take_error(s);
    if (err)
        return err;
    if (s->shut & SOCKET_SHUT_WR)
        return -EPIPE;
    return t->state == TCP_IS_ESTABLISHED || t->state == TCP_IS_CLOSE_WAIT ? 0 : -EPIPE;
}

static ssize_type send_piece(struct tcpsock *t, struct socket_msg *m)
{
    uint32_t n = m->it->left < NETMSG_PIECE ? (uint32_t)m->it->left : NETMSG_PIECE;
    bool urgent = m->flags & MSG_OOB && m->it->left == 1;
    if (UNLIKELY(m->flags & MSG_OOB) && n > 1)
        n--; /* the last byte, which is the urgent one, is a message of its own */
    struct netmsg *msg = netmsg_create(&t->in.s, n);
    if (!msg)
        return -ENOBUFS;
    if (!netmsg_fill(msg, m->it)) {
        netmsg_free(msg);
        return -EFAULT;
    }
    bool more = m->flags & MSG_MORE || m->it->left || t->cork;
    int err = t->peer  ? local_send(t, msg, urgent)
              : urgent ? tcpsock_remote_send_urgent(t, msg)
                       : tcpsock_remote_send(t, msg, more);
    return err ? err : (ssize_type)n;
}

/* Wait for room. What ended the connection stays for the next call when this one has sent something. */
static ssize_type wait_room(struct socket *s, uint64_t deadline, bool sent)
{
    int err = socket_wait_room(s, deadline);
    if (sent && err && err != -EPIPE && err != -EAGAIN && err != -EINTR && err != -ERESTARTSYS)
        s->error = -err;
    return err;
}

static ssize_type tcp_send(struct socket *s, struct socket_msg *m)
{
    struct tcpsock *t = tcpsock_of(s);
    uint64_t deadline = socket_deadline(s->sndtimeo_ns, socket_no_wait(s, m->flags));
    ssize_type done = 0, n = 0;
    if (m->flags & MSG_FASTOPEN && m->name_len && t->state == TCP_IS_CLOSED) {
        n = socket_connect(s, m->name, m->name_len, !deadline);
        if (n)
            return n;
    }
    n = send_state(t, deadline);
    while (!n && m->it->left) {
        if (UNLIKELY(s->error || s->shut & SOCKET_SHUT_WR || !socket_has_room(s)))
            n = wait_room(s, deadline, done);
        if (!n)
            n = send_piece(t, m);
        if (n < 0)
            break;
        done += n;
        n = 0;
    }
    if (done)
        return done;
    if (n != -EPIPE)
        return n;
    n = socket_take_error(s); /* why it is broken, to the first who asks */
    return n ? n : socket_broken_pipe(m->flags);
}

/* ---- receiving ---- */

static int tcp_recv_empty(struct socket *s)
{
    struct tcpsock *t = tcpsock_of(s);
    return t->state == TCP_IS_CLOSED || t->state == TCP_IS_LISTEN ? -ENOTCONN : 1;
}

static ssize_type tcp_recv(struct socket *s, struct socket_msg *m)
{
    struct tcpsock *t = tcpsock_of(s);
    if (m->flags & MSG_ERRQUEUE)
        return inet_recv_error(s, m);
    if (t->state == TCP_IS_LISTEN)
        return -ENOTCONN;
    m->name_len = 0; /* a stream's reader knows its peer */
    if (UNLIKELY(m->flags & MSG_OOB))
        return socket_urgent_recv(s, m);
    return socket_recv_stream(s, m);
}

static void tcp_consumed(struct socket *s, uint32_t bytes)
{
    struct tcpsock *t = tcpsock_of(s);
    if (!t->peer)
        tcpsock_remote_consumed(t, bytes);
}

/* ---- shutdown and close ---- */

static void shut_write(struct tcpsock *t)
{
    struct socket *s = &t->in.s;
    spin_lock(&s->lock);
    bool first = !(s->shut & SOCKET_SHUT_WR);
    s->shut |= SOCKET_SHUT_WR;
    if (first && t->state == TCP_IS_ESTABLISHED)
        t->state = t->peer ? TCP_IS_FIN_WAIT2 : TCP_IS_FIN_WAIT1;
    else if (first && t->state == TCP_IS_CLOSE_WAIT)
        t->state = t->peer ? TCP_IS_CLOSED : TCP_IS_LAST_ACK;
    spin_unlock(&s->lock);
    if (!first)
        return;
    if (t->peer)
        tcpsock_set_eof(t->peer);
    else
        tcpsock_remote_shutdown(t);
}

static void stop_listening(struct tcpsock *l);

static int tcp_shutdown(struct socket *s, int how)
{
    struct tcpsock *t = tcpsock_of(s);
    switch ((uint8_t)t->state) {
    case TCP_IS_LISTEN:
        if (how == SHUT_WR)
            return -ENOTCONN;
        stop_listening(t);
        t->state = TCP_IS_CLOSED;
        socket_wake_all(s, SOCKET_IN | EPOLLHUP | EPOLLRDHUP);
        return 0;
    case TCP_IS_CLOSED:
        if (!t->peer && !t->pcb)
            return -ENOTCONN;
        break;
    case TCP_IS_SYN_SENT:
        return tcp_disconnect(t);
    default:
        break;
    }
    if (how != SHUT_RD)
        shut_write(t);
    if (how != SHUT_WR)
        s->shut |= SOCKET_SHUT_RD;
    socket_wake_all(s, SOCKET_IN | SOCKET_OUT | EPOLLRDHUP | (s->shut == 3 ? EPOLLHUP : 0));
    return 0;
}

/* Take t's child out of the waiting list of the listener. True: it was there. */
static bool leave_waiting(struct tcpsock *child)
{
    struct tcpsock *l = child->parent;
    bool found = false;
    if (!l)
        return false;
    socket_get(&l->in.s);
    spin_lock(&l->in.s.lock);
    struct tcpsock *prev = NULL, *c = l->waiting;
    for (; c && c != child; c = c->list_next)
        prev = c;
    if (c) {
        if (prev)
            prev->list_next = c->list_next;
        else
            l->waiting = c->list_next;
        if (l->waiting_last == c)
            l->waiting_last = prev;
        l->nwaiting--;
        c->parent = NULL;
        found = true;
    }
    spin_unlock(&l->in.s.lock);
    socket_put(&l->in.s);
    return found;
}

/* This end of a local connection is gone. */
static void local_close(struct tcpsock *t, bool reset)
{
    struct socket *s = &t->in.s;
    spin_lock(&s->lock);
    struct tcpsock *p = t->peer;
    t->peer = NULL;
    struct netmsg_queue q = s->rq;
    s->rq = (struct netmsg_queue){ 0 };
    s->urgent = SOCKET_URGENT_NONE;
    bool connecting = t->state == TCP_IS_SYN_SENT;
    t->state = TCP_IS_CLOSED;
    spin_unlock(&s->lock);
    if (!p)
        return;
    if (connecting && leave_waiting(p)) {
        p->peer = NULL;
        socket_put(s);
        socket_put(&p->in.s);
    } else if (reset || q.head) {
        tcpsock_set_ended(p, ECONNRESET);
    } else {
        tcpsock_set_eof(p);
    }
    netmsg_purge(&q);
    socket_put(&p->in.s);
}

static void drop_children(struct tcpsock *l, struct tcpsock **list, uint32_t *n, int error)
{
    for (;;) {
        spin_lock(&l->in.s.lock);
        struct tcpsock *child = list_take(list);
        if (child)
            --*n;
        spin_unlock(&l->in.s.lock);
        if (!child)
            return;
        child->dead = true;
        if (child->peer) {
            tcpsock_set_ended(child->peer, error);
            struct tcpsock *p = child->peer;
            child->peer = NULL;
            socket_put(&p->in.s);
        } else {
            tcpsock_remote_close(child, true, 0);
        }
        socket_put(&child->in.s);
    }
}

static void stop_listening(struct tcpsock *l)
{
    tcpsock_remote_unlisten(l);
    inet_unbind(&l->in);
    drop_children(l, &l->pending, &l->npending, ECONNRESET);
    drop_children(l, &l->waiting, &l->nwaiting, ECONNREFUSED);
}

static int tcp_disconnect(struct tcpsock *t)
{
    struct socket *s = &t->in.s;
    if (t->state == TCP_IS_LISTEN)
        stop_listening(t);
    else if (t->peer)
        local_close(t, true);
    else
        tcpsock_remote_close(t, true, 0);
    spin_lock(&s->lock);
    struct netmsg_queue q = s->rq;
    s->rq = (struct netmsg_queue){ 0 };
    s->urgent = SOCKET_URGENT_NONE;
    t->state = TCP_IS_CLOSED;
    t->in.remote.port = 0;
    t->in.remote.addr = s->family == AF_INET ? addr_v4(0) : (struct inet_addr){ 0 };
    s->shut = 0;
    s->error = 0;
    t->connecting = false;
    spin_unlock(&s->lock);
    netmsg_purge(&q);
    if (!(t->in.bound_as & 2))
        inet_unbind(&t->in);
    return 0;
}

static void tcp_close(struct socket *s, bool nonblock)
{
    struct tcpsock *t = tcpsock_of(s);
    bool abort = s->flags & SOCKET_LINGER && !s->linger_s;
    spin_lock(&s->lock);
    t->dead = true;
    spin_unlock(&s->lock);
    if (t->state == TCP_IS_LISTEN)
        stop_listening(t);
    else if (t->peer)
        local_close(t, abort);
    else
        tcpsock_remote_close(t, abort,
                             s->flags & SOCKET_LINGER && !nonblock
                                 ? socket_deadline((uint64_t)s->linger_s * NS_PER_SEC, false)
                                 : 0);
    inet_unbind(&t->in);
}

/* ---- the rest ---- */

static bool tcp_writable(const struct tcpsock *t)
{
    uint32_t used = t->in.s.wmem, all = t->in.s.sndbuf;
    return used < all && all - used >= used / 2;
}

static unsigned tcp_poll(struct socket *s)
{
    struct tcpsock *t = tcpsock_of(s);
    unsigned events = 0, state = t->state, shut = s->shut;
    if (state == TCP_IS_LISTEN)
        return *(struct tcpsock *volatile *)&t->pending ? EPOLLIN | EPOLLRDNORM : 0;
    if (s->error || s->errors.head)
        events |= EPOLLERR;
    if (shut == (SOCKET_SHUT_RD | SOCKET_SHUT_WR) || state == TCP_IS_CLOSED)
        events |= EPOLLHUP;
    if (shut & SOCKET_SHUT_RD)
        events |= EPOLLIN | EPOLLRDNORM | EPOLLRDHUP;
    if (state == TCP_IS_SYN_SENT)
        return events;
    if (UNLIKELY(s->urgent) ? socket_has_readable(s) : s->rq.head && s->rq.bytes >= s->rcvlowat)
        events |= EPOLLIN | EPOLLRDNORM;
    if (s->urgent == SOCKET_URGENT_HERE)
        events |= EPOLLPRI;
    if (shut & SOCKET_SHUT_WR || tcp_writable(t))
        events |= EPOLLOUT | EPOLLWRNORM;
    return events;
}

static int tcp_name(struct socket *s, bool peer, struct abi_sockaddr_storage *ret)
{
    struct tcpsock *t = tcpsock_of(s);
    if (peer && (t->state == TCP_IS_LISTEN || t->state == TCP_IS_SYN_SENT ||
                 t->state == TCP_IS_CLOSED || !t->in.remote.port))
        return -ENOTCONN;
    return inet_name_of(&t->in, peer, ret);
}

static long tcp_ioctl(struct socket *s, unsigned cmd, unsigned long arg)
{
    struct tcpsock *t = tcpsock_of(s);
    int n;
    switch (cmd) {
    case FIONREAD:
        if (t->state == TCP_IS_LISTEN)
            return -EINVAL;
        n = (int)socket_readable(s);
        break;
    case SIOCOUTQ:
        if (t->state == TCP_IS_LISTEN)
            return -EINVAL;
        n = t->peer ? 0 : (int)t->sq.bytes;
        break;
    case SIOCATMARK:
        n = socket_at_mark(s);
        break;
    default:
        return inet_ioctl(s, cmd, arg);
    }
    return user_put(user_at(user_int_out_t, arg), &n, 1);
}

static int tcp_bind(struct socket *s, const struct abi_sockaddr_storage *a, unsigned len)
{
    return tcpsock_of(s)->state == TCP_IS_CLOSED ? inet_bind(s, a, len) : -EINVAL;
}

const struct socket_ops tcpsock_ops = {
    .bind = tcp_bind,
    .connect = tcp_connect,
    .listen = tcp_listen,
    .accept = tcp_accept,
    .accept_state = tcp_accept_state,
    .name = tcp_name,
    .send = tcp_send,
    .recv = tcp_recv,
    .shutdown = tcp_shutdown,
    .poll = tcp_poll,
    .set_option = tcpsock_set_option,
    .get_option = tcpsock_get_option,
    .option_changed = tcpsock_option_changed,
    .ioctl = tcp_ioctl,
    .close = tcp_close,
    .free = tcp_free,
    .recv_empty = tcp_recv_empty,
    .consumed = tcp_consumed,
};
