/* SPDX-License-Identifier: MIT */
/* TCP connections to other machines: between our sockets and lwIP's control blocks (raw interface). What is sent stays in the
 * socket's sq, in pages that lwIP's segments refer to, until it is acknowledged; what comes in lies in the driver's pages, in
 * the socket's rq. User memory is copied outside of the core lock.
 *
 * Each control block that has a socket as its argument holds a reference on it. lwIP's window is opened in steps: a new
 * connection gets 64 KiB, one whose reader keeps up gets more, up to TCP_WND_LARGEST.
 *
 * A port that somebody listens on is open in lwIP once, for all addresses; the listener is looked up when a connection is
 * finished, so that SO_REUSEPORT and addresses mean the same as for local connections. */
#include "core.h"
#include "ip.h"
#include "tcp.h"
#include "tcp_sack.h"
#include "tcp_table.h"
#include <abi/errno.h>
#include <libos/heap.h>
#include <libos/page.h>
#include <lwip/priv/tcp_priv.h>
#include <lwip/tcp.h>
#include <plat/time.h>
#include <stdatomic.h>
#include <string.h>
#include "lwip/replace.h"

enum {
    REPORT_MIN = 16384,
    BACKLOG = 128, /* half-open connections; what comes beyond gets a cookie (syn_cookie.c) */
    PIECE_MAX = 15 * PAGE_SIZE,
    COPY_MAX = 896, /* what costs less to copy than to refer to */
};

/* A port that is open in lwIP. Guarded by the core lock. */
struct open_port {
    struct open_port *next;
    struct tcp_pcb *pcb;
    unsigned users;
    uint16_t port;
};
static struct open_port *open_ports;

static err_t on_recv(void *arg, struct tcp_pcb *pcb, struct pbuf *p, err_t err);
static err_t on_sent(void *arg, struct tcp_pcb *pcb, u16_t len);
static err_t on_connected(void *arg, struct tcp_pcb *pcb, err_t err);
static void on_error(void *arg, err_t err);

/* ---- binding a control block to a socket ---- */

static void apply_options(struct tcpsock *t)
{
    struct tcp_pcb *pcb = t->pcb;
    if (t->in.s.flags & SOCKET_KEEPALIVE)
        ip_set_option(pcb, SOF_KEEPALIVE);
    else
        ip_reset_option(pcb, SOF_KEEPALIVE);
    pcb->keep_idle = t->keepidle_s * 1000;
    pcb->keep_intvl = t->keepintvl_s * 1000;
    pcb->keep_cnt = t->keepcnt;
    if (t->nodelay)
        tcp_nagle_disable(pcb);
    else
        tcp_nagle_enable(pcb);
    if (t->in.ttl > 0)
        pcb->ttl = (u8_t)t->in.ttl;
    if (t->in.tos >= 0)
        pcb->tos = (u8_t)t->in.tos;
    if (t->in.minttl || t->in.minhops)
        tcp_set_flags(pcb, TCP_LEAST_TTL);
    else
        tcp_clear_flags(pcb, TCP_LEAST_TTL);
}

static void attach(struct tcpsock *t, struct tcp_pcb *pcb)
{
    t->pcb = pcb;
    socket_get(&t->in.s);
    tcp_arg(pcb, t);
    tcp_recv(pcb, on_recv);
    tcp_sent(pcb, on_sent);
    tcp_err(pcb, on_error);
    apply_options(t);
}

/* lwIP goes on with the control block alone. The reference is the caller's to drop, outside of the lock. */
static struct socket *detach(struct tcpsock *t)
{
    struct tcp_pcb *pcb = t->pcb;
    if (!pcb)
        return NULL;
    tcp_arg(pcb, NULL);
    tcp_recv(pcb, NULL);
    tcp_sent(pcb, NULL);
    tcp_err(pcb, NULL);
    t->pcb = NULL;
    return &t->in.s;
}

/* A connection is there: begin with a small window. */
static void established(struct tcpsock *t)
{
    struct tcp_pcb *pcb = t->pcb;
    t->window = TCP_WND_FIRST;
    pcb->rcv_wnd = pcb->rcv_ann_wnd = TCP_WND_FIRST;
    pcb->rcv_ann_right_edge = pcb->rcv_nxt + TCP_WND_FIRST;
    t->in_seq = pcb->rcv_nxt;
    t->in.local.addr = addr_of_ip(&pcb->local_ip);
    t->in.remote = (struct inet_end){ addr_of_ip(&pcb->remote_ip), pcb->remote_port, 0 };
    t->state = TCP_IS_ESTABLISHED;
}

/* ---- connecting ---- */

int tcpsock_remote_connect(struct tcpsock *t, const struct inet_end *to)
{
    ip_addr_t dest, from;
    bool v4 = addr_is_v4(&to->addr);
    ip_of_addr(&dest, &to->addr, to->scope);
    ip_of_addr(&from, &t->in.local.addr, 0);
    int err = 0;
    net_lock();
    struct tcp_pcb *pcb = tcp_new_ip_type(v4 ? IPADDR_TYPE_V4 : IPADDR_TYPE_V6);
    if (!pcb) {
        net_unlock();
        return -ENOBUFS;
    }
    attach(t, pcb);
    ip_set_option(pcb, SOF_REUSEADDR); /* who may have the port is ours to say */
    t->in.remote = *to;
    t->state = TCP_IS_SYN_SENT;
    if (t->in.s.bound_dev)
        tcp_bind_netif(pcb, netif_get_by_index((u8_t)t->in.s.bound_dev));
    err_t e = tcp_bind(pcb, &from, t->in.local.port);
    if (e == ERR_OK)
        e = tcp_connect(pcb, &dest, to->port, on_connected);
    if (e != ERR_OK) {
        struct socket *s = detach(t);
        tcp_abandon(pcb, 0);
        t->state = TCP_IS_CLOSED;
        t->in.remote.port = 0;
        socket_put(s); /* not the last */
        err = e == ERR_RTE                   ? -ENETUNREACH
              : e == ERR_USE || e == ERR_VAL ? -EADDRNOTAVAIL
                                             : -ENOBUFS;
    } else {
        t->in.local.addr = addr_of_ip(&pcb->local_ip);
    }
    net_unlock();
    return err;
}

static err_t on_connected(void *arg, struct tcp_pcb *pcb, err_t err)
{
    struct tcpsock *t = arg;
    established(t);
    socket_wake_all(&t->in.s, SOCKET_OUT);
    return ERR_OK;
}

void tcpsock_remote_refused(struct tcpsock *t, uint32_t seq, int error)
{
    struct tcp_pcb *pcb = t->pcb;
    if (!pcb || pcb->state != SYN_SENT || seq != pcb->lastack)
        return;
    struct socket *s = detach(t);
    tcp_abandon(pcb, 0);
    netmsg_purge(&t->sq);
    t->unsent = NULL;
    tcpsock_set_ended(t, error);
    socket_put(s); /* not the last: the caller has one */
}

void tcpsock_remote_timed_out(struct tcpsock *t)
{
    struct tcp_pcb *pcb = t->pcb;
    struct socket *s = detach(t);
    tcp_abort(pcb);
    netmsg_purge(&t->sq);
    t->unsent = NULL;
    tcpsock_set_ended(t, ETIMEDOUT);
    if (s)
        socket_put(s);
}

/* lwIP has freed the control block. */
static void on_error(void *arg, err_t err)
{
    struct tcpsock *t = arg;
    if (!t)
        return;
    t->pcb = NULL;
    int error = err == ERR_RST    ? (t->state == TCP_IS_SYN_SENT ? ECONNREFUSED : ECONNRESET)
                : err == ERR_CLSD ? 0
                : err == ERR_ABRT ? ETIMEDOUT
                                  : ECONNABORTED;
    netmsg_purge(&t->sq);
    t->unsent = NULL;
    tcpsock_set_ended(t, error);
    socket_put(&t->in.s);
}

/* ---- listening ---- */

/* Locks: core held, while a segment comes in. */
static bool listens_here(struct inet_sock *in)
{
    return tcpsock_is_listener(in) &&
           inet_takes_from(in, netif_get_index(ip_current_input_netif()));
}

static err_t on_accept(void *arg, struct tcp_pcb *pcb, err_t err)
{
    if (err != ERR_OK || !pcb)
        return ERR_VAL;
    struct inet_end local = { addr_of_ip(&pcb->local_ip), pcb->local_port, 0 };
    struct inet_end remote = { addr_of_ip(&pcb->remote_ip), pcb->remote_port, 0 };
    struct inet_sock *found = inet_find(&inet_tcp, &local, &remote, listens_here);
    if (!found)
        return ERR_VAL; /* lwIP aborts it */
    struct tcpsock *l = tcpsock_of(&found->s), *child = tcpsock_alloc_child(l);
    err_t result = ERR_MEM;
    if (child) {
        child->in.local = local;
        attach(child, pcb);
        established(child);
        if (tcpsock_enter_pending(l, child, false)) {
            result = ERR_OK;
        } else {
            detach(child);
            socket_put(&child->in.s);
            socket_put(&child->in.s);
        }
    }
    socket_put(&found->s);
    return result;
}

static struct open_port *port_find(uint16_t port)
{
    struct open_port *p = open_ports;
    while (p && p->port != port)
        p = p->next;
    return p;
}

static int port_open(struct open_port *fresh, uint16_t port)
{
    struct tcp_pcb *pcb = tcp_new_ip_type(IPADDR_TYPE_ANY), *l = NULL;
    if (!pcb)
        return -ENOMEM;
    ip_set_option(pcb, SOF_REUSEADDR);
    if (tcp_bind(pcb, IP_ANY_TYPE, port) == ERR_OK)
        l = tcp_listen_with_backlog(pcb, BACKLOG);
    if (!l) {
        tcp_abandon(pcb, 0);
        return -ENOMEM;
    }
    tcp_accept(l, on_accept);
    *fresh = (struct open_port){ open_ports, l, 1, port };
    open_ports = fresh;
    return 0;
}

int tcpsock_remote_listen(struct tcpsock *t)
{
    struct open_port *fresh = heap_alloc(sizeof(*fresh));
    int err = 0;
    if (!fresh)
        return -ENOMEM;
    net_lock();
    struct open_port *p = port_find(t->in.local.port);
    if (p)
        p->users++;
    else
        err = port_open(fresh, t->in.local.port);
    t->opens_port = !err;
    net_unlock();
    if (p || err)
        heap_free(fresh);
    return err;
}

void tcpsock_remote_unlisten(struct tcpsock *t)
{
    struct open_port *gone = NULL;
    net_lock();
    if (t->opens_port) {
        struct open_port **at = &open_ports;
        while ((*at)->port != t->in.local.port)
            at = &(*at)->next;
        if (!--(*at)->users) {
            gone = *at;
            *at = gone->next;
            tcp_close(gone->pcb);
        }
        t->opens_port = false;
    }
    net_unlock();
    heap_free(gone);
}

/* ---- sending ---- */

/* What lies at an offset of a message, in *ret; how many bytes lie there in one piece. */
static uint32_t piece_at(const struct netmsg *m, uint32_t at, uint8_t **ret)
{
    if (!m->npages) {
        *ret = m->data + at;
        return m->len - at;
    }
    uint32_t i = at / PAGE_SIZE, in = at & (PAGE_SIZE - 1), n = PAGE_SIZE - in;
    uint8_t *data = page_ptr(m->pages[i]);
    *ret = data + in;
    while (++i < m->npages && n < PIECE_MAX && page_ptr(m->pages[i]) == *ret + n)
        n += PAGE_SIZE;
    return n < m->len - at ? n : m->len - at;
}

/* Hand one contiguous piece of the first message that lwIP has not whole to it. Bytes; 0: it takes no more now. */
static uint32_t write_piece(struct tcpsock *t, bool more)
{
    struct netmsg *m = t->unsent;
    struct tcp_pcb *pcb = t->pcb;
    uint8_t *data;
    uint32_t at = t->unsent_off, n = piece_at(m, at, &data);
    u16_t mss = pcb->mss;
    err_t err;
    if (n > tcp_sndbuf(pcb))
        n = tcp_sndbuf(pcb);
    if (n > UINT16_MAX)
        n = UINT16_MAX;
    more = more || at + n < m->len || m->next;
    if (!n)
        return 0;
    if (pcb->unsent || n > pcb->mss / 2u)
        pcb->mss = tcp_segment_size(pcb);
    err = tcp_write(
        pcb, data, (u16_t)n,
        (u8_t)((more ? TCP_WRITE_FLAG_MORE : 0) | (n <= COPY_MAX ? TCP_WRITE_FLAG_COPY : 0)));
    pcb->mss = mss;
    return err == ERR_OK ? n : 0;
}

/* Give lwIP what it takes, and then the end of the stream when it is due. Locks: core held. */
static void flush(struct tcpsock *t, bool more)
{
    uint32_t n;
    while (t->unsent && (n = write_piece(t, more))) {
        t->unsent_off += n;
        if (t->unsent_off == t->unsent->len) {
            t->unsent = t->unsent->next;
            t->unsent_off = 0;
        }
    }
    if (!t->unsent && t->fin_wanted && !t->closing) {
        t->fin_wanted = false;
        tcp_shutdown(t->pcb, 0, 1);
    }
    /* What is to be followed waits for a whole segment; lwIP's clock (core.c) sends what is not. */
    if (!more || t->pcb->snd_lbb - t->pcb->snd_nxt >= t->pcb->mss)
        net_tcp_output(t->pcb);
}

static int send_one(struct tcpsock *t, struct netmsg *take_m, bool more, bool urgent)
{
    net_lock();
    if (!t->pcb || t->fin_wanted) {
        net_unlock();
        netmsg_free(take_m);
        return t->in.s.error ? socket_take_error(&t->in.s) : -EPIPE;
    }
    netmsg_push(&t->sq, take_m);
    if (!t->unsent) {
        t->unsent = take_m;
        t->unsent_off = 0;
    }
    if (UNLIKELY(urgent)) {
        t->urgent_out = t->pcb->snd_lbb - t->unsent_off;
        for (const struct netmsg *m = t->unsent; m; m = m->next)
            t->urgent_out += m->len;
        t->urgent_sent = true;
    }
    flush(t, more);
    net_unlock();
    return 0;
}

int tcpsock_remote_send(struct tcpsock *t, struct netmsg *take_m, bool more)
{
    return send_one(t, take_m, more, false);
}

int tcpsock_remote_send_urgent(struct tcpsock *t, struct netmsg *take_m)
{
    return send_one(t, take_m, false, true);
}

void tcpsock_remote_push(struct tcpsock *t)
{
    net_lock();
    if (t->pcb)
        flush(t, false);
    net_unlock();
}

/* Give the end of the stream to lwIP for good. The socket may be forgotten once nothing of it is being sent. */
static bool try_close(struct tcpsock *t)
{
    struct tcp_pcb *pcb = t->pcb;
    if (t->unsent)
        return false;
    t->fin_wanted = false;
    /* lwIP takes a window that is not whole for data that nobody read, which it answers with a reset. */
    if (!t->in.s.rq.head)
        pcb->rcv_wnd = TCP_WND_MAX(pcb);
    return tcp_close(pcb) == ERR_OK;
}

void tcpsock_remote_acked(struct tcpsock *t, uint32_t left)
{
    while (left && t->sq.head) {
        struct netmsg *m = t->sq.head;
        uint32_t rest = m->len - m->info.word[0], n = left < rest ? left : rest;
        m->info.word[0] += n; /* acknowledged so far */
        left -= n;
        if (n == rest) {
            netmsg_pop(&t->sq);
            netmsg_free(m);
        }
    }
}

static err_t on_sent(void *arg, struct tcp_pcb *pcb, u16_t len)
{
    struct tcpsock *t = arg;
    tcpsock_remote_acked(t, len);
    if (UNLIKELY(t->urgent_sent) && TCP_SEQ_GEQ(pcb->lastack, t->urgent_out))
        t->urgent_sent = false;
    if (t->unsent || t->fin_wanted)
        flush(t, false);
    if (t->dead && !t->closing && t->pcb && try_close(t))
        t->closing = true;
    if (t->closing && !t->sq.head) {
        struct socket *s = detach(t);
        if (s)
            socket_put(s);
    }
    return ERR_OK;
}

void tcpsock_remote_shutdown(struct tcpsock *t)
{
    net_lock();
    t->fin_wanted = true;
    if (t->pcb)
        flush(t, false);
    net_unlock();
}

static bool all_sent(struct socket *s)
{
    struct tcpsock *t = tcpsock_of(s);
    return !*(struct netmsg *volatile *)&t->sq.head || !t->pcb;
}

/* Locks: core held. The socket whose reference is to be dropped. */
static struct socket *close_locked(struct tcpsock *t, bool abort)
{
    struct tcp_pcb *pcb = t->pcb;
    if (!pcb)
        return NULL;
    if (abort || t->in.s.rq.head) {
        struct socket *s = detach(t);
        tcp_abort(pcb);
        netmsg_purge(&t->sq);
        t->unsent = NULL;
        return s;
    }
    t->fin_wanted = true;
    flush(t, false);
    if (!t->pcb || !try_close(t))
        return NULL; /* what lwIP cannot take now, on_sent gives it later */
    t->closing = true;
    return t->sq.head ? NULL : detach(t);
}

void tcpsock_remote_close(struct tcpsock *t, bool abort, uint64_t deadline_ns)
{
    net_lock();
    struct socket *s = close_locked(t, abort);
    net_unlock();
    if (s)
        socket_put(s);
    else if (deadline_ns && t->pcb)
        (void)!socket_sleep(&t->in.s, SOCKET_OUT, deadline_ns, all_sent);
}

/* ---- receiving ---- */

static void lent_free(struct netmsg *m)
{
    pbuf_free(m->lender); /* ours alone */
}

/* Put the first n bytes of p into a message that keeps it. NULL: no memory; p is still the caller's. */
static struct netmsg *lend(struct pbuf *take_p, uint32_t n)
{
    return netmsg_create_lent(take_p->payload, n, lent_free, take_p);
}

static struct netmsg *copy_of(const struct pbuf *p, uint32_t from, uint32_t n)
{
    struct netmsg *m = netmsg_create(NULL, n);
    if (m)
        netmsg_poke(m, 0, (const uint8_t *)p->payload + from, n);
    return m;
}

/* Queue a piece whose byte at is the urgent one: as what is before it, it, and what is behind it. False: no memory. */
static bool queue_urgent(struct tcpsock *t, struct pbuf *take_p, uint32_t at)
{
    struct socket *s = &t->in.s;
    uint32_t behind = take_p->len - at - 1u;
    struct netmsg *byte = copy_of(take_p, at, 1);
    struct netmsg *rest = behind ? copy_of(take_p, at + 1, behind) : NULL;
    struct netmsg *before = byte && (rest || !behind) && at ? lend(take_p, at) : NULL;
    if (!byte || (!rest && behind) || (!before && at)) {
        if (byte)
            netmsg_free(byte);
        if (rest)
            netmsg_free(rest);
        return false;
    }
    spin_lock(&s->lock);
    if (before)
        netmsg_push(&s->rq, before);
    socket_urgent_here(&t->in.s, byte);
    netmsg_push(&s->rq, byte);
    if (rest)
        netmsg_push(&s->rq, rest);
    spin_unlock(&s->lock);
    if (!before)
        pbuf_free(take_p);
    return true;
}

/* Queue what lies in one piece. False: no memory. */
static bool queue_piece(struct tcpsock *t, struct pbuf *take_p)
{
    struct socket *s = &t->in.s;
    uint32_t n = take_p->len, at = t->urgent_in - t->in_seq;
    if (!n) {
        pbuf_free(take_p);
        return true;
    }
    if (UNLIKELY(s->urgent == SOCKET_URGENT_ANNOUNCED) && at < n) {
        if (!queue_urgent(t, take_p, at))
            return false;
    } else {
        struct netmsg *m = lend(take_p, n);
        if (!m)
            return false;
        spin_lock(&s->lock);
        netmsg_push(&s->rq, m);
        spin_unlock(&s->lock);
    }
    t->in_seq += n;
    return true;
}

static err_t on_recv(void *arg, struct tcp_pcb *pcb, struct pbuf *p, err_t err)
{
    struct tcpsock *t = arg;
    struct socket *s = &t->in.s;
    if (!p) {
        tcpsock_set_eof(t);
        return ERR_OK;
    }
    if (s->shut & SOCKET_SHUT_RD && t->dead) {
        t->in_seq += p->tot_len;
        tcp_recved(pcb, p->tot_len);
        pbuf_free(p);
        return ERR_OK;
    }
    while (p) {
        /* The chain's own reference on what follows is ours then. */
        struct pbuf *rest = p->next;
        p->next = NULL;
        p->tot_len = p->len;
        if (!queue_piece(t, p)) {
            /* No memory for the message: bytes must not be lost, so the connection is. */
            if (rest)
                pbuf_free(rest);
            pbuf_free(p);
            tcp_abort(pcb);
            return ERR_ABRT;
        }
        p = rest;
    }
    socket_wake(s, UNLIKELY(s->urgent) ? SOCKET_IN | EPOLLPRI : SOCKET_IN);
    return ERR_OK;
}

/* The reader has taken n bytes: open the window again, and wider when it keeps up. Locks: core held. */
static void report(struct tcpsock *t, uint32_t n)
{
    struct tcp_pcb *pcb = t->pcb;
    uint32_t limit = t->in.s.flags & SOCKET_RCVBUF_SET ? t->in.s.rcvbuf : TCP_WND_LARGEST;
    if (limit > TCP_WND_MAX(pcb))
        limit = TCP_WND_MAX(pcb); /* the peer does not scale windows: more is never announced */
    if (n * 2 >= t->window && t->window * 2 <= limit) {
        n += t->window;
        t->window *= 2;
    }
    for (; n > UINT16_MAX; n -= UINT16_MAX)
        tcp_recved(pcb, UINT16_MAX);
    tcp_recved(pcb, (u16_t)n);
}

void tcpsock_remote_consumed(struct tcpsock *t, uint32_t n)
{
    uint32_t have = atomic_fetch_add(&t->unreported, n) + n;
    uint32_t least = t->window / 2 > REPORT_MIN ? t->window / 2 : REPORT_MIN;
    if (have < least)
        return;
    net_lock();
    have = atomic_exchange(&t->unreported, 0);
    if (t->pcb && have)
        report(t, have);
    net_unlock();
}

/* ---- options ---- */

void tcpsock_remote_options(struct tcpsock *t)
{
    net_lock();
    if (t->pcb)
        apply_options(t);
    net_unlock();
}

void tcpsock_remote_info(struct tcpsock *t, struct abi_tcp_info *info)
{
    net_lock();
    struct tcp_pcb *pcb = t->pcb;
    if (pcb) {
        info->tcpi_snd_mss = info->tcpi_rcv_mss = info->tcpi_advmss = pcb->mss;
        info->tcpi_snd_cwnd = pcb->cwnd / (pcb->mss ? pcb->mss : 1);
        info->tcpi_snd_ssthresh = pcb->ssthresh / (pcb->mss ? pcb->mss : 1);
        info->tcpi_unacked = (uint32_t)(pcb->snd_nxt - pcb->lastack) / (pcb->mss ? pcb->mss : 1);
        info->tcpi_rtt = pcb->sa > 0 ? (uint32_t)(pcb->sa >> 3) * TCP_SLOW_INTERVAL * 1000 : 0;
        info->tcpi_rttvar = pcb->sv > 0 ? (uint32_t)(pcb->sv >> 2) * TCP_SLOW_INTERVAL * 1000 : 0;
        info->tcpi_rto = (uint32_t)pcb->rto * TCP_SLOW_INTERVAL * 1000;
        info->tcpi_retransmits = pcb->nrtx;
        info->tcpi_rcv_space = t->window;
        info->tcpi_pmtu = 1500;
    }
    net_unlock();
}
