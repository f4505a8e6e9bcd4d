/* SPDX-License-Identifier: MIT */
/* lwIP's core/tcp_in.c, with the macros of replace.h in place of its own, and a short way in front of its tcp_input: the
 * next segment of an established connection, without anything special, goes to its tcp_receive at once. */
#include "replace.h"
#include "../tcp_sack.h"
#define tcp_output net_tcp_output
#include <tcp_in.c>

enum {
    FLAGS_AT = 13, /* in the header */
    TIMESTAMP = 12,
    SPECIAL = TCP_LEAST_TTL | TCP_SACK_HOLES | TCP_SACK_REPAIR | TF_INFR | TF_RTO | TF_RXCLOSED |
              TF_CLOSEPEND,
};

/* Does the segment, whose header has so many bytes, come next, and neither it nor the connection's state need lwIP's care? */
static bool is_next(const struct tcp_pcb *pcb, const struct pbuf *p, const struct tcp_hdr *h)
{
    const u32_t *opts = (const u32_t *)(h + 1);
    u32_t header = TCP_HLEN + (pcb->flags & TF_TIMESTAMP ? TIMESTAMP : 0),
          ack = lwip_ntohl(h->ackno);
    u32_t len = p->tot_len - header;
    u8_t bits = ((const u8_t *)h)[FLAGS_AT];
    if (p->len < header || TCPH_HDRLEN_BYTES(h) != header || (bits & ~TCP_PSH) != TCP_ACK ||
        tcp_input_pcb)
        return false;
    if (header > TCP_HLEN && opts[0] != PP_HTONL(0x0101080a))
        return false; /* two bytes of nothing, and the timestamp */
    if (lwip_ntohl(h->seqno) != pcb->rcv_nxt || len > pcb->rcv_wnd || pcb->ooseq ||
        pcb->refused_data || pcb->flags & SPECIAL)
        return false;
    return TCP_SEQ_BETWEEN(ack, pcb->lastack + !len, pcb->snd_nxt);
}

/* Make the segment the one that tcp_receive works on, and have it do so. */
static void receive_next(struct tcp_pcb *pcb, struct pbuf *p, struct tcp_hdr *h)
{
    u32_t header = TCPH_HDRLEN_BYTES(h);
    tcphdr = h;
    seqno = h->seqno = lwip_ntohl(h->seqno);
    ackno = h->ackno = lwip_ntohl(h->ackno);
    h->wnd = lwip_ntohs(h->wnd);
    flags = ((const u8_t *)h)[FLAGS_AT];
    if (flags & TCP_PSH)
        p->flags |= PBUF_FLAG_PUSH;
    p->payload = (u8_t *)p->payload + header;
    p->len = (u16_t)(p->len - header);
    p->tot_len = (u16_t)(p->tot_len - header);
    tcplen = p->tot_len;
    inseg = (struct tcp_seg){ .p = p, .len = p->tot_len, .tcphdr = h };
    recv_data = NULL;
    recv_flags = 0;
    recv_acked = 0;
    tcp_input_pcb = pcb;
    pcb->tmr = tcp_ticks;
    pcb->keep_cnt_sent = 0;
    pcb->persist_probe = 0;
    if (header > TCP_HLEN && TCP_SEQ_BETWEEN(pcb->ts_lastacksent, seqno, seqno + tcplen))
        pcb->ts_recent = lwip_ntohl(((const u32_t *)(h + 1))[1]);
    tcp_receive(pcb);
}

/* Tell the socket what was acknowledged. False: the control block is gone. */
static bool tell_acked(struct tcp_pcb *pcb)
{
    err_t err = ERR_OK;
    for (u32_t n; recv_acked; recv_acked -= n) {
        n = recv_acked < 0xffff ? recv_acked : 0xffff;
        TCP_EVENT_SENT(pcb, (u16_t)n, err);
        if (err == ERR_ABRT)
            return false;
    }
    return !(recv_flags & TF_CLOSED) || !tcp_input_delayed_close(pcb);
}

/* Tell it that, and what came. False: the control block is gone. */
static bool deliver(struct tcp_pcb *pcb)
{
    err_t err = ERR_OK;
    if (!tell_acked(pcb)) {
        if (recv_data)
            pbuf_free(recv_data);
        return false;
    }
    if (!recv_data)
        return true;
    if (pcb->flags & TF_RXCLOSED) {
        pbuf_free(recv_data);
        tcp_abort(pcb); /* the peer is told that nobody reads this */
        return false;
    }
    TCP_EVENT_RECV(pcb, recv_data, ERR_OK, err);
    if (err == ERR_ABRT)
        return false;
    if (err != ERR_OK)
        pcb->refused_data = recv_data;
    return !(recv_flags & TF_CLOSED) || !tcp_input_delayed_close(pcb);
}

bool net_tcp_predicted(struct tcp_pcb *pcb, struct pbuf *p)
{
    struct tcp_hdr *h = p->payload;
    if (!is_next(pcb, p, h))
        return false;
    MIB2_STATS_INC(mib2.tcpinsegs);
    receive_next(pcb, p, h);
    bool alive = deliver(pcb);
    tcp_input_pcb = NULL;
    recv_data = NULL;
    if (inseg.p)
        pbuf_free(inseg.p);
    inseg.p = NULL;
    if (alive && (pcb->unsent || pcb->flags & TF_ACK_NOW))
        tcp_output(pcb);
    return true;
}
