/* SPDX-License-Identifier: MIT */
/* TCP's urgent data (urgent.c) on the wire: it is the urgent pointer, which names the byte behind it, as everybody has it (RFC
 * 6093). tcp(7). */
#include "tcp.h"
#include "core.h"
#include <lwip/priv/tcp_priv.h>

/* Locks of both: core held. */

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
        socket_urgent_announce(&t->in.s);
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
