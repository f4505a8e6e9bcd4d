/* SPDX-License-Identifier: MIT */
/* What protects TCP from strangers, and from peers that vanish. Segments are looked at before lwIP takes them: an acknowledgement
 * must be of something that was sent within the last window (RFC 5961, 5; lwIP itself checks resets and SYNs, 3 and 4). From the
 * clock: connections that only wait for stray packets are bounded, and TCP_USER_TIMEOUT is kept. All under the core lock. */
#include "core.h"
#include "tcp.h"
#include "tcp_sack.h"
#include <abi/errno.h>
#include <lwip/ip.h>
#include <lwip/priv/tcp_priv.h>
#include <plat/time.h>
#include <string.h>
#include "lwip/replace.h"

enum {
    TIME_WAIT_MAX = 4096,
    NS_PER_MS = 1000000,
    TIMESTAMP = 12,
    OPTIONS_MAX = 40,
    GIVE_UP_MS = 924600, /* what 15 repetitions come to on Linux */
};

static bool is_synchronised(const struct tcp_pcb *pcb)
{
    return pcb->state >= ESTABLISHED && pcb->state != TIME_WAIT;
}

/* Has the segment come further than the program allows (IP_MINTTL, IPV6_MINHOPCOUNT)? */
static NOINLINE bool is_from_afar(const struct tcp_pcb *pcb)
{
    const struct tcpsock *t = pcb->callback_arg;
    if (!t)
        return false;
    return ip_current_is_v6() ? IP6H_HOPLIM(ip6_current_header()) < t->in.minhops
                              : IPH_TTL(ip4_current_header()) < t->in.minttl;
}

/* Options that are more than a timestamp. */
static NOINLINE void take_options(struct tcp_pcb *pcb, const struct tcp_hdr *h, uint16_t n,
                                  uint16_t n1, const uint8_t *more)
{
    uint8_t opts[OPTIONS_MAX];
    if (n > OPTIONS_MAX || n1 > n || (n1 < n && !more))
        return;
    memcpy(opts, h + 1, n1);
    if (n1 < n)
        memcpy(opts + n1, more, n - n1);
    tcp_sack_options(pcb, opts, n);
}

/* May lwIP have the segment? h: in host order. */
int8_t net_hook_segment(void *taken_by, const void *header, uint16_t n, uint16_t n1,
                        const uint8_t *more)
{
    struct tcp_pcb *pcb = taken_by;
    const struct tcp_hdr *h = header;
    unsigned flags = TCPH_FLAGS(h);
    if (UNLIKELY(pcb->flags & TCP_LEAST_TTL) && pcb->state != LISTEN && is_from_afar(pcb))
        return ERR_VAL;
    if (pcb->state == LISTEN || !is_synchronised(pcb) || flags & (TCP_RST | TCP_SYN))
        return ERR_OK;
    if (!(flags & TCP_ACK))
        return ERR_VAL;
    if (TCP_SEQ_BETWEEN(h->ackno, pcb->lastack - pcb->snd_wnd_max, pcb->snd_nxt)) {
        if (UNLIKELY(flags & TCP_URG))
            tcpsock_urgent_segment(pcb, h);
        if (UNLIKELY(pcb->flags & TF_SACK && n > TIMESTAMP))
            take_options(pcb, h, n, n1, more);
        return ERR_OK;
    }
    tcp_ack_now(pcb);
    net_tcp_output(pcb);
    return ERR_VAL;
}

/* Is what the peer owes an acknowledgement for older than the program wants to wait? */
static bool has_waited(struct tcpsock *t, const struct tcp_pcb *pcb, uint64_t now_ms)
{
    uint64_t most_ms = t->user_timeout_ms;
    if (!most_ms && pcb->nrtx)
        most_ms = GIVE_UP_MS;
    if (!most_ms || (!pcb->unacked && !pcb->unsent)) {
        t->stuck_since_ms = 0;
        return false;
    }
    if (!t->stuck_since_ms || t->stuck_ack != pcb->lastack) {
        t->stuck_since_ms = now_ms;
        t->stuck_ack = pcb->lastack;
    }
    return now_ms - t->stuck_since_ms > most_ms;
}

static void bound_time_wait(void)
{
    unsigned n = 0;
    for (struct tcp_pcb *p = tcp_tw_pcbs, *next; p; p = next) {
        next = p->next;
        if (++n > TIME_WAIT_MAX)
            tcp_abandon(p, 0); /* the list begins with the youngest */
    }
}

void tcp_guard_hold_acks(void)
{
    for (struct tcp_pcb *p = tcp_active_pcbs; p; p = p->next) {
        struct tcpsock *t = p->callback_arg;
        if (!t || !(p->flags & TF_ACK_DELAY) || t->ack_seen == p->rcv_nxt)
            continue;
        t->ack_seen = p->rcv_nxt;
        t->ack_held = true;
        tcp_clear_flags(p, TF_ACK_DELAY);
    }
}

void tcp_guard_let_acks_go(void)
{
    for (struct tcp_pcb *p = tcp_active_pcbs; p; p = p->next) {
        struct tcpsock *t = p->callback_arg;
        if (!t || !t->ack_held)
            continue;
        t->ack_held = false;
        tcp_set_flags(p, TF_ACK_DELAY);
    }
}

void tcp_guard_tick(void)
{
    uint64_t now_ms = plat_time_ns() / NS_PER_MS;
    for (struct tcp_pcb *p = tcp_active_pcbs, *next; p; p = next) {
        struct tcpsock *t = p->callback_arg;
        next = p->next;
        if (t && is_synchronised(p) && has_waited(t, p, now_ms))
            tcpsock_remote_timed_out(t);
    }
    bound_time_wait();
}
