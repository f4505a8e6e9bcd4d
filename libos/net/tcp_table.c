/* SPDX-License-Identifier: MIT */
/* Owns the search for a connection. lwIP keeps its control blocks in singly linked lists, and walks them for each segment. Here
 * each also lies in a hash table, and knows who is before it in its list: a segment's connection is found there and put in front,
 * where lwIP's walk ends at once. For a segment of no connection the lists are hidden while lwIP looks at it. The hash has a
 * random key.
 *
 * lwIP calls of ours when a control block enters or leaves a list (replace.h). Its slow clock takes some out by itself: then
 * nobody trusts who is before whom (walking), that is made good afterwards, and the hash learns of it when the control block is
 * freed (the callbacks of its extra arguments). Everything is guarded by the core lock. */
#include "tcp_table.h"
#include "core.h"
#include <base/log.h>
#include <libos/heap.h>
#include <libos/page.h>
#include <libos/random.h>
#include <lwip/ip.h>
#include <lwip/priv/tcp_priv.h>
#include <lwip/tcp.h>
#include "lwip/replace.h"

/* A control block's extra arguments. */
enum { ARG_PREV, ARG_CHAIN, ARG_SELF };

static struct tcp_pcb **table;
static uint32_t mask;
static uint64_t key[2];
static struct tcp_pcb *hidden_active, *hidden_waiting;
static bool walking, unlinked;

static struct tcp_pcb *prev_of(const struct tcp_pcb *p)
{
    return p->ext_args[ARG_PREV].data;
}

static void set_prev(struct tcp_pcb *p, struct tcp_pcb *prev)
{
    p->ext_args[ARG_PREV].data = prev;
}

/* ---- the table ---- */

static uint64_t mix(uint64_t h, uint64_t v)
{
    h = (h ^ v) * key[1];
    return h ^ h >> 29;
}

static struct tcp_pcb **bucket(const ip_addr_t *remote, uint16_t remote_port, uint16_t local_port)
{
    uint64_t h = mix(key[0], (uint64_t)remote_port << 16 | local_port);
    if (IP_IS_V4(remote)) {
        h = mix(h, ip_2_ip4(remote)->addr);
    } else {
        const uint32_t *w = ip_2_ip6(remote)->addr;
        h = mix(mix(h, (uint64_t)w[0] << 32 | w[1]), (uint64_t)w[2] << 32 | w[3]);
    }
    return &table[(h ^ h >> 32) & mask];
}

struct tcp_pcb *tcp_table_find(const ip_addr_t *local, uint16_t local_port, const ip_addr_t *remote,
                               uint16_t remote_port)
{
    struct tcp_pcb *p = *bucket(remote, remote_port, local_port);
    while (p && (p->remote_port != remote_port || p->local_port != local_port ||
                 !ip_addr_cmp(&p->remote_ip, remote) || !ip_addr_cmp(&p->local_ip, local)))
        p = p->ext_args[ARG_CHAIN].data;
    return p;
}

static void leave_table(struct tcp_pcb *p)
{
    struct tcp_pcb **b = bucket(&p->remote_ip, p->remote_port, p->local_port);
    struct tcp_pcb *at = *b, *before = NULL;
    for (; at && at != p; at = at->ext_args[ARG_CHAIN].data)
        before = at;
    must(at);
    if (before)
        before->ext_args[ARG_CHAIN].data = p->ext_args[ARG_CHAIN].data;
    else
        *b = p->ext_args[ARG_CHAIN].data;
    p->ext_args[ARG_SELF].callbacks = NULL;
}

/* lwIP frees a control block that it has taken out of its list by itself. */
static void on_destroyed(u8_t id, void *data)
{
    unlinked = true;
    leave_table(data);
}

static const struct tcp_ext_arg_callbacks callbacks = { .destroy = on_destroyed };

static void enter_table(struct tcp_pcb *p)
{
    struct tcp_pcb **b = bucket(&p->remote_ip, p->remote_port, p->local_port);
    p->ext_args[ARG_CHAIN].data = *b;
    p->ext_args[ARG_SELF] = (struct tcp_pcb_ext_args){ &callbacks, p };
    *b = p;
}

/* ---- the lists ---- */

void net_pcb_enter(struct tcp_pcb **list, struct tcp_pcb *p)
{
    p->next = *list;
    set_prev(p, NULL);
    if (p->next)
        set_prev(p->next, p);
    *list = p;
    if (list == &tcp_active_pcbs || list == &tcp_tw_pcbs)
        enter_table(p);
    tcp_timer_needed();
}

/* Who points to p, by a walk. */
static struct tcp_pcb *search_prev(struct tcp_pcb *list, const struct tcp_pcb *p)
{
    while (list && list->next != p)
        list = list->next;
    return list;
}

static void unlink(struct tcp_pcb **list, struct tcp_pcb *p)
{
    struct tcp_pcb *prev = walking ? search_prev(*list, p) : prev_of(p);
    if (*list == p)
        *list = p->next;
    else if (prev)
        prev->next = p->next;
    else if (hidden_active == p)
        hidden_active = p->next;
    else if (hidden_waiting == p)
        hidden_waiting = p->next;
    if (p->next)
        set_prev(p->next, prev);
    p->next = NULL;
    set_prev(p, NULL);
}

void net_pcb_leave(struct tcp_pcb **list, struct tcp_pcb *p)
{
    unlink(list, p);
    if (p->ext_args[ARG_SELF].callbacks)
        leave_table(p);
}

static void put_in_front(struct tcp_pcb **list, struct tcp_pcb *p)
{
    if (*list == p)
        return;
    unlink(list, p);
    p->next = *list;
    set_prev(p->next, p);
    *list = p;
}

static void mend(struct tcp_pcb *list)
{
    for (struct tcp_pcb *prev = NULL; list; prev = list, list = list->next)
        set_prev(list, prev);
}

void tcp_table_begin_walk(void)
{
    walking = true;
    unlinked = false;
}

void tcp_table_end_walk(void)
{
    walking = false;
    if (!unlinked)
        return;
    mend(tcp_active_pcbs);
    mend(tcp_tw_pcbs);
}

/* Put what was hidden behind what has come since. */
static void show(struct tcp_pcb **list, struct tcp_pcb **hidden)
{
    struct tcp_pcb *rest = *hidden, *last = *list;
    *hidden = NULL;
    if (!last) {
        *list = rest;
        return;
    }
    while (last->next)
        last = last->next;
    last->next = rest;
    if (rest)
        set_prev(rest, last);
}

static void hide(struct tcp_pcb **list, struct tcp_pcb **hidden)
{
    *hidden = *list;
    *list = NULL;
}

/* ---- segments ---- */

void tcp_table_input_new(struct pbuf *p, struct netif *inp)
{
    bool outer = !hidden_active && !hidden_waiting;
    if (outer) {
        hide(&tcp_active_pcbs, &hidden_active);
        hide(&tcp_tw_pcbs, &hidden_waiting);
    }
    tcp_input(p, inp);
    if (outer) {
        show(&tcp_active_pcbs, &hidden_active);
        show(&tcp_tw_pcbs, &hidden_waiting);
    }
}

struct tcp_pcb_listen *tcp_table_listener(uint16_t port)
{
    struct tcp_pcb_listen *l = tcp_listen_pcbs.listen_pcbs;
    while (l && l->local_port != port)
        l = l->next;
    return l;
}

/* Does the segment begin a new connection in the place of one that has ended (RFC 6191; RFC 1122, 4.2.2.13)? */
static bool reopens(const struct tcp_pcb *p, const struct tcp_hdr *h)
{
    return (TCPH_FLAGS(h) & (TCP_SYN | TCP_ACK | TCP_RST)) == TCP_SYN &&
           TCP_SEQ_GT(lwip_ntohl(h->seqno), p->rcv_nxt);
}

void net_tcp_input(struct pbuf *p, struct netif *inp)
{
    tcp_table_input(p, inp);
}

void tcp_table_input(struct pbuf *p, struct netif *inp)
{
    const struct tcp_hdr *h = p->payload;
    if (p->len < TCP_HLEN) {
        tcp_input(p, inp);
        return;
    }
    struct tcp_pcb *pcb = tcp_table_find(ip_current_dest_addr(), lwip_ntohs(h->dest),
                                         ip_current_src_addr(), lwip_ntohs(h->src));
    if (pcb && pcb->state == TIME_WAIT && reopens(pcb, h)) {
        tcp_abandon(pcb, 0);
        pcb = NULL;
    }
    if (pcb && pcb->state != TIME_WAIT) {
        put_in_front(&tcp_active_pcbs, pcb);
        tcp_input(p, inp);
    } else if (pcb) {
        put_in_front(&tcp_tw_pcbs, pcb);
        hide(&tcp_active_pcbs, &hidden_active);
        tcp_input(p, inp);
        show(&tcp_active_pcbs, &hidden_active);
    } else {
        struct tcp_pcb_listen *l = tcp_table_listener(lwip_ntohs(h->dest));
        if (!l || !syn_cookie_input(l, p, inp))
            tcp_table_input_new(p, inp);
    }
}

void tcp_table_init(void)
{
    uint64_t pages = page_total_count(), n = 256;
    while (n < 65536 && n < pages / 4)
        n *= 2;
    table = net_mem_calloc(n, sizeof(struct tcp_pcb *));
    must(table);
    mask = (uint32_t)n - 1;
    random_bytes(key, sizeof(key));
    key[1] |= 1;
}
