/* SPDX-License-Identifier: MIT */
/* AF_VSOCK: what becomes of a connection. Its state and credit are guarded by its socket's lock; packets are queued under it, so
 * that they leave in the order of what they say. Whoever sends takes credit first and copies then: concurrent writers need no
 * other order. A peer that sends more than it may is reset. Spec: virtio 1.2, 5.10.6; vsock(7). */
#include "vsock.h"
#include <abi/errno.h>
#include <abi/fcntl.h>
#include <libos/sched.h>
#include <libos/thread.h>
#include <plat/time.h>
#include <string.h>

#define CLOSE_TIMEOUT_NS (8 * NS_PER_SEC)
enum { CHARGE_SPARE = 1024 * 1024, COPY = 1024 };

/* ---- connecting ---- */

static bool connect_over(struct socket *s)
{
    return vsock_of(s)->state != VSOCK_SYN_SENT;
}

/* Begin: say so to the peer. -EINPROGRESS. */
static int begin_connect(struct vsock_sock *u, const struct abi_sockaddr_vm *vm)
{
    bool loop = vsock_is_local(vm->svm_cid);
    struct vsock_dev *d = vsock_dev();
    if (!loop && !d)
        return -ENODEV;
    if (!loop && u->s.type == SOCK_SEQPACKET && !d->seqpacket)
        return -ESOCKTNOSUPPORT;
    int err =
        u->local.port == VMADDR_PORT_ANY ? vsock_bind_to(u, VMADDR_CID_ANY, VMADDR_PORT_ANY) : 0;
    if (err == -EINVAL && u->bound)
        err = 0; /* another thread's connect has just bound it */
    struct vsock_packet *p = err ? NULL : vsock_packet_create(u, VSOCK_REQUEST, 0, NULL);
    if (!p)
        return err ? err : -ENOMEM;
    (void)WAIT_EVENT(&u->s.wait, SLEEP_UNINTERRUPTIBLE, NO_DEADLINE, !u->ending);
    spin_lock(&u->s.lock);
    bool late = u->state != VSOCK_CLOSE || u->stage != VSOCK_UNCONNECTED || u->ending;
    if (!late) {
        u->remote = (struct vsock_addr){ vm->svm_cid, vm->svm_port };
        u->loop = loop;
        u->state = VSOCK_SYN_SENT;
        u->stage = VSOCK_CONNECTING;
        u->s.error = 0; /* of an earlier try */
        u->done = false;
        u->peer_shut = 0;
        u->tx_cnt = u->fwd_cnt = u->fwd_told = 0;
    }
    spin_unlock(&u->s.lock);
    if (late) {
        vsock_packet_free(p);
        return -EALREADY;
    }
    vsock_enter(u);
    vsock_arm(u, plat_time_ns() + u->connect_timeout_ns);
    spin_lock(&u->s.lock);
    vsock_packet_queue(u, p);
    spin_unlock(&u->s.lock);
    vsock_push();
    return -EINPROGRESS;
}

/* A connect has failed: the next one may begin, now that the table does not hold u for it any more. */
static void connect_failed(struct vsock_sock *u, bool from_timer)
{
    vsock_forget_connection(u, from_timer);
    u->ending = false;
    socket_wake_all(&u->s, SOCKET_IN | SOCKET_OUT | EPOLLERR);
}

/* Say so under the lock; connect_failed has to follow without it. Locks: u->s.lock held. */
static void fail_connect_locked(struct vsock_sock *u, int error)
{
    u->ending = true;
    u->state = VSOCK_CLOSE;
    u->stage = VSOCK_UNCONNECTED;
    u->s.error = error;
}

/* Give a connect up that has not been answered. */
static void give_up(struct vsock_sock *u, int error, bool from_timer)
{
    socket_get(&u->s);
    spin_lock(&u->s.lock);
    bool waits = u->state == VSOCK_SYN_SENT;
    if (waits)
        fail_connect_locked(u, error);
    spin_unlock(&u->s.lock);
    if (waits)
        connect_failed(u, from_timer);
    socket_put(&u->s);
}

int vsock_connect(struct socket *s, const struct abi_sockaddr_storage *a, unsigned len,
                  unsigned file_flags)
{
    struct vsock_sock *u = vsock_of(s);
    struct abi_sockaddr_vm vm;
    int err = -EINPROGRESS;
    if (u->stage == VSOCK_CONNECTED)
        return -EISCONN;
    if (u->stage == VSOCK_CONNECTING) {
        if (file_flags & O_NONBLOCK)
            return -EALREADY;
    } else {
        if (u->state == VSOCK_LISTEN || vsock_check_name(a, len, &vm))
            return -EINVAL;
        err = begin_connect(u, &vm);
        if (err != -EINPROGRESS)
            return err;
    }
    if (file_flags & O_NONBLOCK && !connect_over(s))
        return err;
    err = connect_over(s) ? 0 : socket_sleep(s, SOCKET_IN | SOCKET_OUT, NO_DEADLINE, connect_over);
    if (err) {
        give_up(u, 0, false);
        return err == -ERESTARTSYS ? -EINTR : err;
    }
    return s->error ? -s->error : 0;
}

int vsock_listen(struct socket *s, int backlog)
{
    struct vsock_sock *u = vsock_of(s);
    int err = 0;
    spin_lock(&s->lock);
    if (u->stage != VSOCK_UNCONNECTED || !u->bound)
        err = -EINVAL;
    else {
        u->backlog = (uint32_t)backlog;
        u->state = VSOCK_LISTEN;
    }
    spin_unlock(&s->lock);
    return err;
}

int vsock_accept_state(struct socket *s)
{
    return vsock_of(s)->state == VSOCK_LISTEN ? 0 : -EINVAL;
}

static struct vsock_sock *take_pending(struct vsock_sock *l)
{
    spin_lock(&l->s.lock);
    struct vsock_sock *child = l->pending;
    if (child) {
        l->pending = child->pending_next;
        l->npending--;
    }
    spin_unlock(&l->s.lock);
    return child;
}

int vsock_accept(struct socket *s, struct socket **ret_socket)
{
    struct vsock_sock *child = take_pending(vsock_of(s));
    if (!child)
        return -EAGAIN;
    *ret_socket = &child->s;
    return 0;
}

/* ---- ending ---- */

/* True: it was connecting. Locks: u->s.lock held. */
static bool end_locked(struct vsock_sock *u, int error)
{
    bool connecting = u->state == VSOCK_SYN_SENT;
    u->done = !connecting;
    u->peer_shut = VSOCK_SHUT_BOTH;
    if (connecting) {
        fail_connect_locked(u, error ? error : ECONNRESET);
    } else if (u->state == VSOCK_ESTABLISHED) {
        if (error)
            u->s.error = error;
        if (!u->s.rq.bytes)
            u->state = VSOCK_CLOSING;
    }
    socket_wake_all(&u->s, SOCKET_IN | SOCKET_OUT | EPOLLRDHUP | EPOLLHUP | EPOLLERR);
    return connecting;
}

void vsock_end(struct vsock_sock *u, int error)
{
    spin_lock(&u->s.lock);
    bool connecting = end_locked(u, error), dead = u->dead;
    spin_unlock(&u->s.lock);
    if (connecting)
        connect_failed(u, false);
    if (dead)
        vsock_forget(u, false);
    else if (!connecting)
        vsock_forget_connection(u, false);
}

void vsock_timer(struct timer *t)
{
    struct vsock_sock *u = CONTAINER_OF(t, struct vsock_sock, timer);
    spin_lock(&u->s.lock);
    bool closes = u->dead;
    if (closes)
        (void)vsock_say(u, VSOCK_RST, 0); /* without memory its next packet is answered so */
    spin_unlock(&u->s.lock);
    if (closes)
        vsock_forget(u, true);
    else
        give_up(u, ETIMEDOUT, true);
    vsock_push();
}

int vsock_shutdown(struct socket *s, int how)
{
    struct vsock_sock *u = vsock_of(s);
    int err = 0;
    if (u->stage == VSOCK_UNCONNECTED)
        return -ENOTCONN;
    spin_lock(&s->lock);
    s->shut |= (uint32_t)how + 1;
    if (u->state == VSOCK_ESTABLISHED && !u->done)
        err = vsock_say(u, VSOCK_SHUTDOWN, (uint32_t)how + 1);
    spin_unlock(&s->lock);
    vsock_push();
    socket_wake_all(s, SOCKET_IN | SOCKET_OUT | EPOLLRDHUP | (s->shut == 3 ? EPOLLHUP : 0));
    return err;
}

/* Connections that nobody accepted. */
static void drop_pending(struct vsock_sock *l)
{
    for (struct vsock_sock *child; (child = take_pending(l));) {
        spin_lock(&child->s.lock);
        if (!child->done)
            (void)vsock_say(child, VSOCK_RST, 0); /* without memory: see vsock_timer */
        spin_unlock(&child->s.lock);
        vsock_end(child, 0);
        socket_put(&child->s);
    }
}

void vsock_close(struct socket *s, bool nonblock)
{
    struct vsock_sock *u = vsock_of(s);
    struct netmsg_queue rq, partial;
    bool waits = false;
    spin_lock(&s->lock);
    bool listens = u->state == VSOCK_LISTEN;
    u->dead = true;
    rq = s->rq;
    partial = u->partial;
    s->rq = u->partial = (struct netmsg_queue){ 0 };
    if (listens)
        u->state = VSOCK_CLOSE;
    else if (u->state == VSOCK_ESTABLISHED && !u->done) {
        waits = u->peer_shut != VSOCK_SHUT_BOTH;
        if (!waits)
            (void)vsock_say(u, VSOCK_RST, 0);
        else if (s->shut != VSOCK_SHUT_BOTH)
            (void)vsock_say(u, VSOCK_SHUTDOWN, VSOCK_SHUT_BOTH);
        s->shut |= VSOCK_SHUT_BOTH;
    }
    spin_unlock(&s->lock);
    if (waits)
        vsock_arm(u, plat_time_ns() + CLOSE_TIMEOUT_NS);
    else
        vsock_forget(u, false);
    drop_pending(u);
    netmsg_purge(&rq);
    netmsg_purge(&partial);
    vsock_push();
}

/* ---- sending ---- */

uint32_t vsock_credit(const struct vsock_sock *u)
{
    uint32_t out = u->tx_cnt - u->peer_fwd_cnt;
    return out < u->peer_buf_alloc ? u->peer_buf_alloc - out : 0;
}

static int may_send(const struct vsock_sock *u)
{
    if (u->s.shut & SOCKET_SHUT_WR || u->peer_shut & VSOCK_SHUT_RCV)
        return -EPIPE;
    return u->state == VSOCK_ESTABLISHED ? 0 : -ENOTCONN;
}

/* Take credit for at least one byte and at most want; whole: for all or none. The bytes, 0: wait; or a negative errno. */
static long reserve(struct vsock_sock *u, size_t want, bool whole)
{
    spin_lock(&u->s.lock);
    long got = u->s.error ? -u->s.error : may_send(u);
    if (!got && whole && want > u->peer_buf_alloc)
        got = -EMSGSIZE;
    if (!got && socket_has_room(&u->s)) {
        uint32_t credit = vsock_credit(u);
        got = want <= credit ? (long)want : whole ? 0 : (long)credit;
        u->tx_cnt += (uint32_t)got;
    }
    spin_unlock(&u->s.lock);
    return got;
}

static bool may_go_on(const struct vsock_sock *u, size_t need)
{
    return u->s.error || may_send(u) || (vsock_credit(u) >= need && socket_has_room(&u->s));
}

static int wait_credit(struct vsock_sock *u, size_t need, uint64_t deadline)
{
    struct waiter w;
    int err = 0;
    if (!deadline)
        return -EAGAIN;
    spin_lock(&u->s.lock);
    bool ask = vsock_credit(u) < need && !u->asked && !may_send(u);
    if (ask)
        u->asked = vsock_say(u, VSOCK_CREDIT_REQUEST, 0) == 0;
    spin_unlock(&u->s.lock);
    if (ask)
        vsock_push();
    waitq_add(&u->s.wait, &w);
    while (thread_prepare_sleep(SLEEP_INTERRUPTIBLE),
           !may_go_on(u, need) && !(err = thread_sleep(deadline)))
        ;
    thread_finish_sleep();
    waitq_remove(&u->s.wait, &w);
    if (err == -ETIMEDOUT)
        return -EAGAIN;
    if (err == -EINTR)
        return deadline == NO_DEADLINE ? -ERESTARTSYS : -EINTR;
    return err;
}

/* The packets of n bytes, linked (chain_next). -ENOMEM, -EFAULT. */
static int make_packets(struct vsock_sock *u, struct socket_msg *m, size_t n,
                        struct vsock_packet **ret)
{
    struct vsock_packet *list = NULL, *last = NULL;
    int err = 0;
    for (size_t left = n; left && !err;) {
        uint32_t part = left < VSOCK_PACKET_MAX ? (uint32_t)left : VSOCK_PACKET_MAX, flags = 0;
        struct netmsg *body = netmsg_create(&u->s, part);
        left -= part;
        if (u->s.type == SOCK_SEQPACKET && !left)
            flags = VSOCK_EOM | (m->flags & MSG_EOR ? VSOCK_EOR : 0);
        if (body && !netmsg_fill(body, m->it)) {
            netmsg_free(body);
            err = -EFAULT;
            break;
        }
        struct vsock_packet *p = body ? vsock_packet_create(u, VSOCK_RW, flags, body) : NULL;
        if (!p)
            err = -ENOMEM;
        else if (last)
            vsock_packet_link(last, p);
        else
            list = p;
        last = p;
    }
    *ret = list;
    return err;
}

/* Send n bytes for which there is credit. */
static int send_reserved(struct vsock_sock *u, struct socket_msg *m, size_t n)
{
    struct vsock_packet *list;
    int err = make_packets(u, m, n, &list);
    spin_lock(&u->s.lock);
    if (!err)
        err = may_send(u);
    if (err)
        u->tx_cnt -= (uint32_t)n;
    else
        u->unsent += (uint32_t)n;
    while (!err && list) {
        struct vsock_packet *next = vsock_packet_next(list);
        vsock_packet_queue(u, list);
        list = next;
    }
    spin_unlock(&u->s.lock);
    while (list) {
        struct vsock_packet *next = vsock_packet_next(list);
        vsock_packet_free(list);
        list = next;
    }
    vsock_push();
    return err;
}

ssize_type vsock_send(struct socket *s, struct socket_msg *m)
{
    struct vsock_sock *u = vsock_of(s);
    bool whole = s->type == SOCK_SEQPACKET;
    uint64_t deadline = socket_deadline(s->sndtimeo_ns, socket_no_wait(s, m->flags));
    ssize_type done = 0;
    if (m->flags & MSG_OOB)
        return -EOPNOTSUPP;
    if (m->name)
        return u->state == VSOCK_ESTABLISHED ? -EISCONN : -EOPNOTSUPP;
    long err = may_send(u);
    while (!err && m->it->left) {
        size_t want = whole || m->it->left < VSOCK_PACKET_MAX ? m->it->left : VSOCK_PACKET_MAX;
        long got = reserve(u, want, whole);
        if (got > 0) {
            err = send_reserved(u, m, (size_t)got);
            done += err ? 0 : got;
        } else {
            err = got ? got : wait_credit(u, whole ? want : 1, deadline);
        }
    }
    if (done)
        return done;
    return err == -EPIPE && !whole ? socket_broken_pipe(m->flags) : err;
}

/* ---- receiving ---- */

int vsock_recv_empty(struct socket *s)
{
    struct vsock_sock *u = vsock_of(s);
    if (u->peer_shut & VSOCK_SHUT_SEND || u->done)
        return 0;
    return u->state == VSOCK_ESTABLISHED ? 1 : -ENOTCONN;
}

ssize_type vsock_recv(struct socket *s, struct socket_msg *m)
{
    struct vsock_sock *u = vsock_of(s);
    if (u->state != VSOCK_ESTABLISHED)
        return u->done ? socket_take_error(s) : -ENOTCONN;
    if (m->flags & MSG_OOB)
        return -EOPNOTSUPP;
    if (s->shut & SOCKET_SHUT_RD || !m->it->left)
        return 0;
    return s->type == SOCK_STREAM ? socket_recv_stream(s, m) : socket_recv_message(s, m);
}

void vsock_consumed(struct socket *s, uint32_t bytes)
{
    struct vsock_sock *u = vsock_of(s);
    bool tell;
    spin_lock(&s->lock);
    u->fwd_cnt += bytes;
    uint32_t news = u->fwd_cnt - u->fwd_told;
    tell = !u->done && u->state == VSOCK_ESTABLISHED &&
           ((uint64_t)news * 4 >= u->buf_alloc || (u->owes && !s->rq.bytes));
    if (tell && vsock_say(u, VSOCK_CREDIT_UPDATE, 0) == 0 && !s->rq.bytes)
        u->owes = false;
    spin_unlock(&s->lock);
    if (tell)
        vsock_push();
}

bool vsock_recv_control(struct socket *s, struct netmsg *m, struct socket_msg *to, bool peek)
{
    if (m->info.word[1])
        to->ret_flags |= MSG_EOR;
    return false;
}

/* Put n bytes of body behind the last message, when that has room for it. Locks: s.lock held. */
static bool join_tail(struct socket *s, const struct netmsg *body)
{
    struct netmsg *t = s->rq.tail;
    if (!t || t->npages || body->npages || t->off + t->len + body->len > t->info.word[0])
        return false;
    memcpy(t->data + t->off + t->len, body->data + body->off, body->len);
    t->len += body->len;
    s->rq.bytes += body->len;
    return true;
}

/* One message of all pieces that have come. NULL: no memory. Locks: s.lock held. */
static struct netmsg *join_partial(struct vsock_sock *u)
{
    struct netmsg *m, *whole;
    uint32_t at = 0;
    if (u->partial.count == 1)
        return netmsg_pop(&u->partial);
    whole = netmsg_create(NULL, u->partial.bytes);
    if (!whole)
        return NULL;
    while ((m = netmsg_pop(&u->partial))) {
        for (uint32_t from = 0, n; from < m->len; from += n, at += n) {
            uint8_t copy[COPY];
            n = m->len - from < COPY ? m->len - from : COPY;
            netmsg_peek(m, from, copy, n);
            netmsg_poke(whole, at, copy, n);
        }
        netmsg_free(m);
    }
    return whole;
}

/* Data came. 0, or why the connection ends. Locks: s.lock held. */
static int take_data(struct vsock_sock *u, const struct vsock_header *h, struct netmsg **body)
{
    struct socket *s = &u->s;
    struct netmsg *m = *body;
    if (!m || u->dead)
        return 0;
    if ((uint64_t)s->rq.bytes + u->partial.bytes + m->len > u->buf_alloc ||
        (uint64_t)s->rq.charged + u->partial.charged > 4ull * u->buf_alloc + CHARGE_SPARE)
        return ECONNRESET; /* more than it may */
    if (s->shut & SOCKET_SHUT_RD) {
        u->fwd_cnt += m->len;
        return 0;
    }
    if (s->type == SOCK_STREAM && join_tail(s, m)) {
        socket_wake(s, SOCKET_IN);
        return 0;
    }
    *body = NULL;
    netmsg_push(s->type == SOCK_STREAM ? &s->rq : &u->partial, m);
    if (s->type == SOCK_SEQPACKET) {
        if (!(h->flags & VSOCK_EOM))
            return 0;
        m = join_partial(u);
        if (!m)
            return ENOMEM;
        m->info.word[1] = h->flags & VSOCK_EOR;
        netmsg_push(&s->rq, m);
    }
    socket_wake(s, SOCKET_IN);
    return 0;
}

/* A packet of a connection. -1, or that it ends, with which error (0: none). Locks: s.lock held. */
static int connected_locked(struct vsock_sock *u, const struct vsock_header *h,
                            struct netmsg **body)
{
    int err;
    switch (h->op) {
    case VSOCK_RW:
        err = take_data(u, h, body);
        if (err)
            (void)vsock_say(u, VSOCK_RST, 0);
        return err ? err : -1;
    case VSOCK_CREDIT_REQUEST:
        u->owes = u->s.rq.bytes != 0;
        (void)vsock_say(u, VSOCK_CREDIT_UPDATE, 0); /* without memory: asked again */
        return -1;
    case VSOCK_SHUTDOWN:
        u->peer_shut |= h->flags & VSOCK_SHUT_BOTH;
        socket_wake_all(&u->s, SOCKET_IN | SOCKET_OUT | EPOLLRDHUP | EPOLLHUP);
        if (u->peer_shut != VSOCK_SHUT_BOTH || u->s.rq.bytes)
            return -1;
        (void)vsock_say(u, VSOCK_RST, 0);
        return 0;
    case VSOCK_RST:
        return 0;
    default:
        return -1;
    }
}

/* An answer to a connect. -1, or the error that it ends with. Locks: s.lock held. */
static int connecting_locked(struct vsock_sock *u, const struct vsock_header *h)
{
    if (h->op == VSOCK_RST)
        return ECONNRESET;
    if (h->op != VSOCK_RESPONSE) {
        (void)vsock_say(u, VSOCK_RST, 0);
        return EPROTO;
    }
    u->state = VSOCK_ESTABLISHED;
    u->stage = VSOCK_CONNECTED;
    if (u->local.cid == VMADDR_CID_ANY)
        u->local.cid = (uint32_t)h->dst_cid;
    socket_wake_all(&u->s, SOCKET_IN | SOCKET_OUT);
    return -1;
}

/* Keep a place for one more connection. */
static bool listener_reserve(struct vsock_sock *l)
{
    spin_lock(&l->s.lock);
    bool fits = l->state == VSOCK_LISTEN && l->npending <= l->backlog;
    if (fits)
        l->npending++;
    spin_unlock(&l->s.lock);
    return fits;
}

/* Hand a connection on to who accepts, or give its place back. child NULL: there is none. */
static bool listener_add(struct vsock_sock *l, struct vsock_sock *child)
{
    spin_lock(&l->s.lock);
    bool fits = child && l->state == VSOCK_LISTEN;
    if (fits) {
        if (l->pending)
            l->pending_last->pending_next = child;
        else
            l->pending = child;
        l->pending_last = child;
    } else {
        l->npending--;
    }
    spin_unlock(&l->s.lock);
    if (fits)
        socket_wake(&l->s, SOCKET_IN);
    return fits;
}

/* A packet for a listener. */
static void listen_input(struct vsock_sock *l, const struct vsock_header *h, bool loop)
{
    if (h->op != VSOCK_REQUEST || !listener_reserve(l)) {
        vsock_refuse(h, loop);
        return;
    }
    struct vsock_sock *child = vsock_alloc(l->s.type, l);
    int err = -ENOMEM;
    if (child) {
        child->local = (struct vsock_addr){ (uint32_t)h->dst_cid, h->dst_port };
        child->remote = (struct vsock_addr){ (uint32_t)h->src_cid, h->src_port };
        child->loop = loop;
        child->peer_buf_alloc = h->buf_alloc;
        child->peer_fwd_cnt = h->fwd_cnt;
        child->state = VSOCK_ESTABLISHED;
        child->stage = VSOCK_CONNECTED;
        vsock_enter(child);
        spin_lock(&child->s.lock);
        err = vsock_say(child, VSOCK_RESPONSE, 0);
        spin_unlock(&child->s.lock);
    }
    if (!listener_add(l, err ? NULL : child)) {
        vsock_refuse(h, loop);
        if (child) {
            vsock_end(child, 0);
            socket_put(&child->s);
        }
    }
}

void vsock_process(struct vsock_sock *u, const struct vsock_header *h, struct netmsg *take_body,
                   bool loop)
{
    int end = -1;
    bool answered = false, refuse = false;
    spin_lock(&u->s.lock);
    unsigned state = u->state;
    if (state == VSOCK_ESTABLISHED || state == VSOCK_SYN_SENT) {
        u->peer_buf_alloc = h->buf_alloc;
        u->peer_fwd_cnt = h->fwd_cnt;
        u->asked = false;
    }
    if (state == VSOCK_ESTABLISHED && !u->done) {
        end = connected_locked(u, h, &take_body);
        if (vsock_credit(u))
            socket_wake(&u->s, SOCKET_OUT);
    } else if (state == VSOCK_SYN_SENT) {
        end = connecting_locked(u, h);
        answered = true;
    } else {
        refuse = state != VSOCK_LISTEN;
    }
    spin_unlock(&u->s.lock);
    if (take_body)
        netmsg_free(take_body);
    if (state == VSOCK_LISTEN)
        listen_input(u, h, loop);
    else if (refuse)
        vsock_refuse(h, loop);
    if (end >= 0)
        vsock_end(u, end);
    else if (answered)
        timer_stop(&u->timer);
}
