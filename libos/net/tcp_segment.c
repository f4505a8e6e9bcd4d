/* SPDX-License-Identifier: MIT */
/* Segments that are longer than a frame, where the device cuts them (TSO). lwIP's own measure (mss) stays what the peer asked for;
 * only what tcp_write makes is longer, by how much may be under way. A long segment that the windows do not take any more, after
 * a loss say, is split: lwIP sends whole segments only. Nothing long is fragmented by IP. All under the core lock. */
#include "core.h"
#include "tcp.h"
#include "tcp_sack.h"
#include "tcp_table.h"
#include <lwip/nd6.h>
#include <lwip/priv/tcp_priv.h>
#include <string.h>
#include "lwip/replace.h"

enum {
    FRAMES_MAX = 44, /* in one segment: 64 KiB with all headers */
    CUT_LEAST = 536,
    TIMESTAMP = 12,
    RTO_LEAST = 3, /* slow clocks: 200 ms at least */
    ETH = 14,
    V4_PROTO = 9,
    V6_NEXT = 6,
    V6_BYTES = 40,
};

static uint32_t options_of(const struct tcp_pcb *pcb)
{
    return pcb->flags & TF_TIMESTAMP ? TIMESTAMP : 0;
}

uint16_t tcp_segment_size(const struct tcp_pcb *pcb)
{
    uint32_t options = options_of(pcb), frame = pcb->mss - options, least = pcb->mss;
    uint32_t wnd = pcb->cwnd < pcb->snd_wnd_max ? pcb->cwnd : pcb->snd_wnd_max;
    uint32_t n = wnd / 2 / frame;
    const struct tcp_seg *last = pcb->unsent;
    if (last) { /* lwIP adds to it, so it must not be longer than what is allowed now */
        while (last->next)
            last = last->next;
        if (last->len + options > least)
            least = last->len + options;
    }
    const struct tcpsock *t = pcb->callback_arg;
    if (pcb->mss < CUT_LEAST || (t && t->urgent_sent) ||
        !ether_all_cut(IP_IS_V6_VAL(pcb->remote_ip)))
        n = 1;
    n = n > FRAMES_MAX ? FRAMES_MAX : n;
    while (n * frame + options > UINT16_MAX - 256)
        n--;
    n = n * frame + options;
    return (uint16_t)(n > least ? n : least);
}

/* Split the first unsent segment at n bytes or less. */
static void split(struct tcp_pcb *pcb, uint32_t n)
{
    u16_t mss = pcb->mss;
    struct tcp_seg *s = pcb->unsent;
    const struct tcp_seg *next = s->next;
    pcb->mss = UINT16_MAX; /* lwIP knows no longer segments */
    (void)tcp_split_unsent_seg(pcb, (u16_t)n);
    pcb->mss = mss;
    /* lwIP gives these flags to the rest, and means to take them from what comes before it. */
    if (s->next != next)
        TCPH_UNSET_FLAG(s->tcphdr, TCP_FIN | TCP_PSH);
}

void net_tcp_split(struct tcp_pcb *pcb, uint16_t n)
{
    split(pcb, n < pcb->mss ? n : pcb->mss);
}

/* Forget what of the first unsent segment has been acknowledged: lwIP would send it again. It counts what is acknowledged by the
 * segments that it frees itself, so the count of this one is ours. */
static void trim(struct tcp_pcb *pcb)
{
    struct tcp_seg *s = pcb->unsent;
    uint32_t acked = pcb->lastack - lwip_ntohl(s->tcphdr->seqno);
    if ((int32_t)acked <= 0 || acked >= s->len || s->p->ref != 1)
        return;
    split(pcb, acked);
    if (s->len != acked)
        return;
    pcb->unsent = s->next;
    pcb->snd_queuelen -= pbuf_clen(s->p);
    tcp_seg_free(s);
    pcb->snd_buf += acked;
    if (pcb->callback_arg)
        tcpsock_remote_acked(pcb->callback_arg, acked);
}

/* Make the first unsent segment so short that the windows take it, if that must be. True: it was split. */
static NOINLINE bool fit_long(struct tcp_pcb *pcb)
{
    trim(pcb);
    const struct tcp_seg *s = pcb->unsent;
    if (s->len <= pcb->mss)
        return false;
    uint32_t wnd = pcb->snd_wnd < pcb->cwnd ? pcb->snd_wnd : pcb->cwnd;
    uint32_t before = lwip_ntohl(s->tcphdr->seqno) - pcb->lastack,
             frame = pcb->mss - options_of(pcb);
    if ((int32_t)(before + s->len - wnd) <= 0 || (int32_t)(wnd - before) < (int32_t)frame)
        return false;
    if (pcb->unacked && s->len <= wnd)
        return false; /* it will fit when more has been acknowledged */
    uint32_t n = (wnd - before) / frame * frame;
    if (n >= s->len)
        return false;
    split(pcb, n);
    return pcb->unsent->len <= n;
}

static ALWAYS_INLINE bool fit(struct tcp_pcb *pcb)
{
    return UNLIKELY(pcb->unsent && pcb->unsent->len > pcb->mss) && fit_long(pcb);
}

static ALWAYS_INLINE err_t output_fitting(struct tcp_pcb *pcb)
{
    fit(pcb);
    err_t err = tcp_output(pcb);
    while (err == ERR_OK && fit(pcb))
        err = tcp_output(pcb);
    return err;
}

static NOINLINE err_t output_repairing(struct tcp_pcb *pcb)
{
    uint32_t open = tcp_sack_prepare(pcb), own = pcb->cwnd;
    pcb->cwnd = open;
    err_t err = output_fitting(pcb);
    pcb->cwnd = own;
    return err;
}

err_t net_tcp_output(struct tcp_pcb *pcb)
{
    if (tcp_input_pcb == pcb)
        return ERR_OK;
    if (pcb->rto < RTO_LEAST)
        pcb->rto = RTO_LEAST; /* lwIP has no lower bound */
    if (UNLIKELY(pcb->flags & (TCP_SACK_HOLES | TCP_SACK_REPAIR | TF_INFR)))
        return output_repairing(pcb);
    return output_fitting(pcb);
}

void net_tcp_rexmit(struct tcp_pcb *pcb)
{
    tcp_sack_timeout(pcb);
    fit(pcb);
    tcp_rexmit_rto_commit(pcb);
}

/* ---- what the device is told ---- */

uint16_t tcp_segment_cut(const uint8_t *f, uint32_t header, uint32_t mtu)
{
    ip_addr_t from, to;
    const uint8_t *ports, *ip = f + ETH;
    memset(&from, 0, sizeof(from));
    memset(&to, 0, sizeof(to));
    if (ip[0] >> 4 == 4) {
        uint32_t a[2];
        memcpy(a, ip + 12, sizeof(a));
        ip_addr_set_ip4_u32_val(from, a[0]);
        ip_addr_set_ip4_u32_val(to, a[1]);
        ports = ip + (ip[0] & 15) * 4;
    } else {
        memcpy(ip_2_ip6(&from)->addr, ip + 8, 16);
        memcpy(ip_2_ip6(&to)->addr, ip + 24, 16);
        IP_SET_TYPE_VAL(from, IPADDR_TYPE_V6);
        IP_SET_TYPE_VAL(to, IPADDR_TYPE_V6);
        ports = ip + V6_BYTES;
    }
    const struct tcp_pcb *pcb = tcp_table_find(&from, (uint16_t)(ports[0] << 8 | ports[1]), &to,
                                               (uint16_t)(ports[2] << 8 | ports[3]));
    uint32_t cut = pcb ? pcb->mss - options_of(pcb) : CUT_LEAST, most = mtu + ETH - header;
    return (uint16_t)(cut < most ? cut : most);
}

err_t net_ip4_frag(struct pbuf *p, struct netif *netif, const ip4_addr_t *dest)
{
    const uint8_t *ip = p->payload;
    if (ip[V4_PROTO] == IP_PROTO_TCP && ether_cuts(netif, false))
        return netif->output(netif, p, dest);
    return ip4_frag(p, netif, dest);
}

err_t net_ip6_frag(struct pbuf *p, struct netif *netif, const ip6_addr_t *dest)
{
    const uint8_t *ip = p->payload;
    if (ip[V6_NEXT] == IP_PROTO_TCP && ether_cuts(netif, true) &&
        nd6_get_destination_mtu(dest, netif) >= netif->mtu)
        return netif->output_ip6(netif, p, dest);
    return ip6_frag(p, netif, dest);
}
