/* SPDX-License-Identifier: MIT */
/* Losses of several segments at once (RFC 6675, in bytes of whole segments; RFC 6582 where the peer acknowledges nothing selectively). lwIP
 * sends the first segment again after three duplicates and waits for the clock with every further one. Here segments
 * that the peer says it has are marked in lwIP's list of what is not acknowledged. While a loss is being repaired, the holes between
 * them are sent again, two for each segment that comes, and what the peer has does not count as under way. After the clock has
 * run out, lwIP sends everything again; what is marked is taken out of that, for the first times: a peer may drop what it has said it has.
 * All under the core lock. */
#include "tcp_sack.h"
#include <lwip/priv/tcp_priv.h>
#include <lwip/snmp.h>
#include "lwip/replace.h"

enum {
    /* tcp_pcb.flags that lwIP does not use. */
    HOLES = TCP_SACK_HOLES,
    REPAIR = TCP_SACK_REPAIR,
    /* tcp_seg.flags that lwIP does not use. */
    HAS = 0x80,  /* the peer has it */
    SENT = 0x40, /* was sent again in this repair */
    ENOUGH = 3,  /* segments that overtook another one: it is lost */
    BURST = 2,
    TRUST = 3,      /* time-outs after which marks are not believed any more */
    RTO_MOST = 600, /* slow clocks: a minute */
    KIND_END = 0,
    KIND_NOP = 1,
    KIND_SACK = 5,
    ARG = 3, /* of the control block: where a repair ends, and where its last segment was sent */
};

/* What the list of unacknowledged segments says. */
struct view {
    uint32_t has;      /* bytes that the peer has */
    uint32_t top;      /* end of the last of them */
    unsigned segments; /* of these */
    unsigned late;     /* those that were sent after the repair's last */
    unsigned all;
};

static uint32_t begin_of(const struct tcp_seg *s)
{
    return lwip_ntohl(s->tcphdr->seqno);
}

static uint32_t end_of(const struct tcp_seg *s)
{
    return begin_of(s) + TCP_TCPLEN(s);
}

static uint32_t repair_end(const struct tcp_pcb *pcb)
{
    return (uint32_t)((uintptr_t)pcb->ext_args[ARG].data >> 32);
}

static uint32_t repair_sent(const struct tcp_pcb *pcb)
{
    return (uint32_t)(uintptr_t)pcb->ext_args[ARG].data;
}

static void set_repair(struct tcp_pcb *pcb, uint32_t end, uint32_t sent)
{
    pcb->ext_args[ARG].data = (void *)((uintptr_t)end << 32 | sent);
}

/* ---- what the peer says ---- */

static uint32_t get32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void mark(struct tcp_pcb *pcb, uint32_t left, uint32_t right)
{
    if (!TCP_SEQ_LT(left, right) || TCP_SEQ_LT(left, pcb->lastack) ||
        TCP_SEQ_GT(right, pcb->snd_nxt))
        return;
    for (struct tcp_seg *s = pcb->unacked; s && TCP_SEQ_LT(begin_of(s), right); s = s->next)
        if (TCP_SEQ_GEQ(begin_of(s), left) && TCP_SEQ_LEQ(end_of(s), right)) {
            s->flags |= HAS;
            tcp_set_flags(pcb, HOLES);
        }
}

void tcp_sack_options(struct tcp_pcb *pcb, const uint8_t *opts, unsigned n)
{
    if (!(pcb->flags & TF_SACK) || !pcb->unacked)
        return;
    for (unsigned i = 0; i < n && opts[i] != KIND_END;) {
        if (opts[i] == KIND_NOP) {
            i++;
            continue;
        }
        if (i + 2 > n || opts[i + 1] < 2 || i + opts[i + 1] > n)
            return;
        if (opts[i] == KIND_SACK)
            for (unsigned k = i + 2; k + 8 <= i + opts[i + 1]; k += 8)
                mark(pcb, get32(opts + k), get32(opts + k + 4));
        i += opts[i + 1];
    }
}

/* ---- what is sent again ---- */

static struct view look(const struct tcp_pcb *pcb)
{
    struct view v = { .top = pcb->lastack };
    uint32_t sent = repair_sent(pcb);
    for (const struct tcp_seg *s = pcb->unacked; s; s = s->next) {
        v.all++;
        if (!(s->flags & HAS))
            continue;
        v.has += s->len;
        v.top = end_of(s);
        v.segments++;
        v.late += TCP_SEQ_GEQ(begin_of(s), sent);
    }
    return v;
}

static void clear(struct tcp_pcb *pcb, u8_t marks)
{
    for (struct tcp_seg *s = pcb->unacked; s; s = s->next)
        s->flags &= (u8_t)~marks;
    for (struct tcp_seg *s = pcb->unsent; s && TCP_SEQ_LT(begin_of(s), pcb->snd_nxt); s = s->next)
        s->flags &= (u8_t)~marks;
}

/* Put a segment into a list that is sorted. */
static void enter(struct tcp_seg **at, struct tcp_seg *s)
{
    while (*at && TCP_SEQ_LT(begin_of(*at), begin_of(s)))
        at = &(*at)->next;
    s->next = *at;
    *at = s;
}

/* Half the window, as lwIP has it. */
static void begin(struct tcp_pcb *pcb)
{
    if (!(pcb->flags & TF_INFR) || pcb->flags & REPAIR) {
        pcb->ssthresh = LWIP_MIN(pcb->cwnd, pcb->snd_wnd) / 2;
        if (pcb->ssthresh < 2u * pcb->mss)
            pcb->ssthresh = 2u * pcb->mss;
    }
    tcp_set_flags(pcb, TF_INFR | REPAIR);
    clear(pcb, SENT);
    if (pcb->unsent && TCP_SEQ_LT(begin_of(pcb->unsent), pcb->snd_nxt))
        pcb->unsent->flags |= SENT;
    set_repair(pcb, pcb->snd_nxt, pcb->snd_nxt);
    pcb->rtime = 0;
}

/* Is the first segment lost? Where too few are under way for the usual sign, all but one do. */
static bool is_lost(const struct tcp_pcb *pcb, const struct view *v)
{
    if (pcb->flags & TF_INFR)
        return true; /* lwIP thinks so, and has put it in front of what is to be sent */
    if (!pcb->unacked || pcb->unacked->flags & HAS)
        return false;
    if (v->segments >= ENOUGH || v->has >= ENOUGH * (uint32_t)pcb->mss)
        return true;
    return !pcb->unsent && v->segments && v->segments + 1 == v->all;
}

/* Move holes to what is to be sent. Where the last of them ends, or lastack. */
static uint32_t move_holes(struct tcp_pcb *pcb, uint32_t top)
{
    uint32_t end = pcb->lastack;
    unsigned n = 0;
    for (struct tcp_seg **at = &pcb->unacked, *s; n < BURST && (s = *at);) {
        if (TCP_SEQ_GT(begin_of(s), pcb->lastack) && TCP_SEQ_GEQ(begin_of(s), top))
            break;
        if (s->flags & (HAS | SENT) || s->p->ref != 1) {
            at = &s->next;
            continue;
        }
        *at = s->next;
        s->flags |= SENT;
        enter(&pcb->unsent, s);
        end = end_of(s);
        MIB2_STATS_INC(mib2.tcpretranssegs);
        n++;
    }
    if (n) {
        pcb->rttest = 0;
        set_repair(pcb, repair_end(pcb), pcb->snd_nxt);
    }
    return end;
}

uint32_t tcp_sack_prepare(struct tcp_pcb *pcb)
{
    struct view v = look(pcb);
    uint32_t end = pcb->lastack;
    if (pcb->flags & REPAIR && TCP_SEQ_GEQ(pcb->lastack, repair_end(pcb))) {
        tcp_clear_flags(pcb, TF_INFR | REPAIR);
        clear(pcb, SENT);
    }
    if (!(pcb->flags & (REPAIR | TF_RTO)) && is_lost(pcb, &v))
        begin(pcb);
    else if (pcb->flags & REPAIR && v.late >= ENOUGH)
        begin(pcb); /* what was sent again is lost, too */
    if (pcb->flags & REPAIR) {
        tcp_set_flags(pcb, TF_INFR); /* lwIP ends it with each acknowledgement */
        pcb->cwnd = pcb->ssthresh;
        end = move_holes(pcb, v.top);
    }
    if (!v.segments)
        tcp_clear_flags(pcb, HOLES);
    if (pcb->flags & (REPAIR | TF_RTO))
        tcp_set_flags(pcb, TF_NAGLEMEMERR); /* a short segment is not to wait: it is sent again */
    uint32_t before = end - pcb->lastack, open = pcb->cwnd + v.has;
    return open > before ? open : before;
}

void tcp_sack_timeout(struct tcp_pcb *pcb)
{
    if (pcb->rto > RTO_MOST)
        pcb->rto = RTO_MOST;
    if (!(pcb->flags & (HOLES | REPAIR)))
        return;
    tcp_clear_flags(pcb, TF_INFR | REPAIR);
    bool trust = pcb->nrtx < TRUST && pcb->unsent && !(pcb->unsent->flags & HAS);
    clear(pcb, trust ? SENT : SENT | HAS);
    if (!trust)
        tcp_clear_flags(pcb, HOLES);
    for (struct tcp_seg **at = &pcb->unsent, *s; trust && (s = *at);) {
        if (TCP_SEQ_GEQ(begin_of(s), pcb->snd_nxt))
            break;
        if (s->flags & HAS) {
            *at = s->next;
            enter(&pcb->unacked, s);
        } else {
            at = &s->next;
        }
    }
    tcp_set_flags(pcb, TF_NAGLEMEMERR);
}
