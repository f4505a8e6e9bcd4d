/* SPDX-License-Identifier: MIT */
/* TCP's urgent data, as programs know it: the last byte sent with MSG_OOB is kept beside the stream (or in it, with
 * SO_OOBINLINE), its place in the stream is a mark where reads end, and the owner of the file gets SIGURG. There is one such
 * byte at a time. In the queue it is a message of its own. On the wire it is the urgent pointer, which names the byte behind
 * it, as everybody has it (RFC 6093). tcp(7).
 *
 * State is in struct socket (urgent, urgent_byte) and in the flags of queued messages, under s.lock. */
#include "tcp.h"
#include "core.h"
#include <abi/errno.h>
#include <abi/poll.h>
#include <libos/file.h>
#include <libos/iter.h>
#include <libos/owner.h>
#include <lwip/priv/tcp_priv.h>

void tcpsock_urgent_announce(struct tcpsock *t)
{
    struct socket *s = &t->in.s;
    if (s->urgent >= SOCKET_URGENT_HERE) {
        struct netmsg *m = t->urgent_at;
        m->flags = m == s->rq.head && !(s->flags & SOCKET_OOBINLINE) ? NETMSG_PASSED : 0;
    }
    s->urgent = SOCKET_URGENT_ANNOUNCED;
    if (s->file)
        file_owner_urgent(s->file);
}

void tcpsock_urgent_here(struct tcpsock *t, struct netmsg *m)
{
    struct socket *s = &t->in.s;
    netmsg_peek(m, 0, &s->urgent_byte, 1);
    s->urgent = SOCKET_URGENT_HERE;
    m->flags = NETMSG_URGENT;
    t->urgent_at = m;
}

/* Does the queue begin with the urgent byte? Locks: s.lock held. */
static bool at_mark(const struct socket *s)
{
    return s->urgent && s->rq.head && s->rq.head->flags & NETMSG_URGENT;
}

bool tcpsock_at_mark(struct tcpsock *t)
{
    struct socket *s = &t->in.s;
    spin_lock(&s->lock);
    bool at = at_mark(s);
    spin_unlock(&s->lock);
    return at;
}

uint32_t tcpsock_readable(struct tcpsock *t)
{
    struct socket *s = &t->in.s;
    uint32_t n = 0;
    spin_lock(&s->lock);
    for (const struct netmsg *m = s->urgent ? s->rq.head : NULL; m; m = m->next) {
        if (m->flags & NETMSG_URGENT && !(s->flags & SOCKET_OOBINLINE))
            break;
        if (!(m->flags & NETMSG_PASSED))
            n += m->len;
    }
    if (!s->urgent)
        n = s->rq.bytes;
    spin_unlock(&s->lock);
    return n;
}

bool tcpsock_has_readable(struct tcpsock *t)
{
    struct socket *s = &t->in.s;
    spin_lock(&s->lock);
    uint32_t beside = at_mark(s) && !(s->flags & SOCKET_OOBINLINE);
    bool has = s->rq.head && s->rq.bytes >= s->rcvlowat + beside;
    spin_unlock(&s->lock);
    return has;
}

/* Take the byte, or look at it. 1, or what is the matter. */
static int take(struct socket *s, bool peek, uint8_t *ret_byte)
{
    int n = -EINVAL;
    spin_lock(&s->lock);
    if (s->flags & SOCKET_OOBINLINE || s->urgent == SOCKET_URGENT_READ || !s->urgent) {
        n = -EINVAL;
    } else if (s->urgent == SOCKET_URGENT_ANNOUNCED) {
        n = s->shut & SOCKET_SHUT_RD ? 0 : -EAGAIN;
    } else {
        *ret_byte = s->urgent_byte;
        n = 1;
        if (!peek)
            s->urgent = SOCKET_URGENT_READ;
    }
    spin_unlock(&s->lock);
    return n;
}

ssize_type tcpsock_urgent_recv(struct tcpsock *t, struct socket_msg *m)
{
    uint8_t byte = 0;
    int n = take(&t->in.s, m->flags & MSG_PEEK, &byte);
    if (n <= 0)
        return n;
    m->ret_flags |= MSG_OOB;
    if (!m->it->left) {
        m->ret_flags |= MSG_TRUNC;
        return 0;
    }
    if (m->flags & MSG_TRUNC)
        return 1;
    return iter_put(m->it, &byte, 1) == 1 ? 1 : -EFAULT;
}

/* ---- on the wire. Locks: core held ---- */

void tcpsock_urgent_segment(struct tcp_pcb *pcb, const struct tcp_hdr *h)
{
    struct tcpsock *t = pcb->callback_arg;
    uint32_t up = lwip_ntohs(h->urgp);
    uint32_t at = h->seqno + (up ? up - 1 : 0);
    /* Not behind what is next, nor beyond what the peer may send. */
    if (!t || !TCP_SEQ_BETWEEN(at, pcb->rcv_nxt, pcb->rcv_nxt + pcb->rcv_wnd) ||
        !TCP_SEQ_BETWEEN(h->seqno, pcb->rcv_nxt - pcb->rcv_wnd, pcb->rcv_nxt + pcb->rcv_wnd))
        return;
    struct socket *s = &t->in.s;
    spin_lock(&s->lock);
    if (!s->urgent || TCP_SEQ_GT(at, t->urgent_in)) {
        t->urgent_in = at;
        tcpsock_urgent_announce(t);
    }
    spin_unlock(&s->lock);
}

uint32_t *net_hook_options(void *header, const void *of, uint32_t *opts)
{
    struct tcp_hdr *h = header;
    const struct tcp_pcb *pcb = of;
    const struct tcpsock *t = pcb && pcb->state >= ESTABLISHED ? pcb->callback_arg : NULL;
    if (LIKELY(!t || !t->urgent_sent))
        return opts;
    uint32_t ahead = t->urgent_out - lwip_ntohl(h->seqno);
    if (!ahead || ahead > INT32_MAX)
        return opts; /* it is behind this segment */
    h->urgp = lwip_htons((uint16_t)(ahead < UINT16_MAX ? ahead : UINT16_MAX));
    TCPH_SET_FLAG(h, TCP_URG);
    return opts;
}
