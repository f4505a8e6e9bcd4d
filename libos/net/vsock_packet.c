/* SPDX-License-Identifier: MIT */
/* AF_VSOCK: packets on their way. All leave through one queue each for the host and for this machine itself, in the order in
 * which their sockets' locks were held; whoever comes first sends for all (vsock_push), so that a packet of the loopback, which
 * is answered by packets, is never handled inside another. Data of a socket is bounded by its SO_SNDBUF, answers to packets
 * that nobody wants by REFUSALS_MAX. What comes from the host is copied once, then checked. Spec: virtio 1.2, 5.10.6. */
#include "vsock.h"
#include <abi/errno.h>
#include <base/log.h>
#include <libos/heap.h>
#include <libos/page.h>
#include <string.h>

enum { REFUSALS_MAX = 256, SMALL = 512 };

struct vsock_packet {
    struct vsock_tx tx;
    struct netmsg *body;
    bool loop, refusal;
};

struct out {
    struct vsock_packet *head, *tail;
};

static struct slab packets = SLAB_INIT("vsock", struct vsock_packet);
static struct spin out_lock = SPIN_INIT(RANK_VSOCK_OUT);
/* guarded by out_lock */
static struct out to_host, to_self;
static unsigned refusals;
static bool pushing, again;

static struct vsock_packet *packet_of(struct vsock_tx *tx)
{
    return tx ? CONTAINER_OF(tx, struct vsock_packet, tx) : NULL;
}

static struct vsock_packet *packet_alloc(void)
{
    struct vsock_packet *p = slab_alloc(&packets);
    if (p)
        memset(p, 0, sizeof(*p));
    return p;
}

void vsock_packet_free(struct vsock_packet *p)
{
    if (p->body)
        netmsg_free(p->body);
    slab_free(&packets, p);
}

void vsock_packet_link(struct vsock_packet *p, struct vsock_packet *next)
{
    p->tx.next = &next->tx;
}

struct vsock_packet *vsock_packet_next(struct vsock_packet *p)
{
    return packet_of(p->tx.next);
}

static void out_append(struct out *o, struct vsock_packet *p)
{
    p->tx.next = NULL;
    if (o->tail)
        o->tail->tx.next = &p->tx;
    else
        o->head = p;
    o->tail = p;
}

static struct vsock_packet *out_pop(struct out *o)
{
    struct vsock_packet *p = o->head;
    if (p) {
        o->head = packet_of(p->tx.next);
        if (!o->head)
            o->tail = NULL;
    }
    return p;
}

/* ---- making them ---- */

/* The memory of a body, for the device. */
static void set_segments(struct vsock_packet *p)
{
    struct netmsg *m = p->body;
    struct vsock_tx *tx = &p->tx;
    uint32_t left = m ? m->len : 0;
    tx->header.len = left;
    if (left && !m->npages) {
        tx->segs[tx->nsegs++] = (struct vsock_seg){ m->data + m->off, left };
        return;
    }
    for (unsigned i = 0; left; i++) {
        uint32_t n = left < PAGE_SIZE ? left : PAGE_SIZE;
        tx->segs[tx->nsegs++] = (struct vsock_seg){ page_ptr(m->pages[i]), n };
        left -= n;
    }
}

struct vsock_packet *vsock_packet_create(struct vsock_sock *u, enum vsock_op op, uint32_t flags,
                                         struct netmsg *take_body)
{
    struct vsock_packet *p = packet_alloc();
    if (!p) {
        if (take_body)
            netmsg_free(take_body);
        return NULL;
    }
    p->body = take_body;
    p->tx.header.op = op;
    p->tx.header.flags = flags;
    p->tx.header.type = u->s.type == SOCK_STREAM ? VSOCK_STREAM : VSOCK_SEQPACKET;
    set_segments(p);
    return p;
}

static void queue(struct vsock_packet *p)
{
    spin_lock(&out_lock);
    out_append(p->loop ? &to_self : &to_host, p);
    spin_unlock(&out_lock);
}

void vsock_packet_queue(struct vsock_sock *u, struct vsock_packet *take_p)
{
    struct vsock_header *h = &take_p->tx.header;
    struct vsock_dev *d = vsock_dev();
    take_p->loop = u->loop;
    h->src_cid = u->loop ? VMADDR_CID_LOCAL : d ? d->cid : VMADDR_CID_ANY;
    h->src_port = u->local.port;
    h->dst_cid = u->remote.cid;
    h->dst_port = u->remote.port;
    h->buf_alloc = u->buf_alloc;
    h->fwd_cnt = u->fwd_told = u->fwd_cnt;
    queue(take_p);
}

int vsock_say(struct vsock_sock *u, enum vsock_op op, uint32_t flags)
{
    struct vsock_packet *p = vsock_packet_create(u, op, flags, NULL);
    if (!p)
        return -ENOMEM;
    vsock_packet_queue(u, p);
    return 0;
}

void vsock_refuse(const struct vsock_header *h, bool loop)
{
    if (h->op == VSOCK_RST)
        return;
    spin_lock(&out_lock);
    bool many = refusals >= REFUSALS_MAX;
    if (!many)
        refusals++;
    spin_unlock(&out_lock);
    struct vsock_packet *p = many ? NULL : packet_alloc();
    if (p) {
        p->refusal = true;
        p->loop = loop;
        p->tx.header = (struct vsock_header){ .src_cid = h->dst_cid,
                                              .dst_cid = h->src_cid,
                                              .src_port = h->dst_port,
                                              .dst_port = h->src_port,
                                              .type = h->type,
                                              .op = VSOCK_RST };
        queue(p);
    } else if (!many) {
        spin_lock(&out_lock);
        refusals--;
        spin_unlock(&out_lock);
    }
}

/* ---- receiving ---- */

/* One packet whose header is whole; data that cannot be had (-ENOMEM) ends its connection. */
static void input(const struct vsock_header *h, struct netmsg *take_body, bool lost, bool loop)
{
    struct vsock_sock *u = NULL;
    bool known = h->type == VSOCK_STREAM || h->type == VSOCK_SEQPACKET;
    if (known)
        u = vsock_find(h, loop);
    if (u && (u->s.type == SOCK_STREAM) != (h->type == VSOCK_STREAM)) {
        socket_put(&u->s);
        u = NULL;
    }
    if (!u || lost) {
        vsock_refuse(h, loop);
        if (take_body)
            netmsg_free(take_body);
    }
    if (u && lost)
        vsock_end(u, ENOMEM);
    else if (u)
        vsock_process(u, h, take_body, loop);
    if (u)
        socket_put(&u->s);
}

/* A packet of the host's. Its sender cannot be this machine. */
static void receive(struct vsock_dev *d, const struct vsock_header *h, const void *data)
{
    struct netmsg *m = NULL;
    if (h->dst_cid != d->cid || h->src_cid == d->cid || h->src_cid >= VMADDR_CID_ANY ||
        h->src_cid == VMADDR_CID_LOCAL)
        return;
    if (h->len && h->op == VSOCK_RW) {
        /* Room behind a small one, for those that follow it (vsock_conn.c). */
        m = netmsg_create(NULL, h->len < SMALL ? SMALL : h->len);
        if (m) {
            m->info.word[0] = h->len < SMALL ? SMALL : h->len;
            m->len = h->len;
            netmsg_poke(m, 0, data, h->len);
        }
    }
    input(h, m, h->len && h->op == VSOCK_RW && !m, false);
    vsock_push();
}

/* ---- sending ---- */

static void count_sent(struct vsock_packet *p)
{
    if (p->body && p->body->sender)
        vsock_of(p->body->sender)->unsent -= p->tx.header.len;
    if (p->refusal) {
        spin_lock(&out_lock);
        refusals--;
        spin_unlock(&out_lock);
    }
}

/* Give the device what it takes. What it will never take (it has failed) is returned. Locks: out_lock held. */
static struct vsock_packet *push_to_host(void)
{
    struct vsock_dev *d = vsock_dev();
    int err = 0;
    while (to_host.head && d && !err) {
        struct vsock_packet *p = to_host.head, *next = packet_of(p->tx.next);
        err = d->ops->transmit(d, &p->tx);
        if (!err) { /* p may be gone already */
            to_host.head = next;
            if (!next)
                to_host.tail = NULL;
        }
    }
    struct vsock_packet *lost = NULL;
    if (!d || err == -EIO) {
        lost = to_host.head;
        to_host = (struct out){ 0 };
    }
    return lost;
}

static void free_list(struct vsock_packet *p)
{
    while (p) {
        struct vsock_packet *next = packet_of(p->tx.next);
        count_sent(p);
        vsock_packet_free(p);
        p = next;
    }
}

static void deliver_to_self(struct vsock_packet *p)
{
    struct netmsg *m = p->body;
    count_sent(p);
    p->body = NULL;
    input(&p->tx.header, m, false, true);
    vsock_packet_free(p);
}

void vsock_push(void)
{
    spin_lock(&out_lock);
    again = true;
    if (pushing) {
        spin_unlock(&out_lock);
        return;
    }
    pushing = true;
    while (again) {
        again = false;
        struct vsock_packet *lost = push_to_host(), *p;
        if (lost) {
            spin_unlock(&out_lock);
            free_list(lost);
            spin_lock(&out_lock);
        }
        while ((p = out_pop(&to_self))) {
            spin_unlock(&out_lock);
            deliver_to_self(p);
            spin_lock(&out_lock);
        }
    }
    pushing = false;
    spin_unlock(&out_lock);
}

static void done(struct vsock_dev *d, struct vsock_tx *list)
{
    free_list(packet_of(list));
    vsock_push();
}

static void lose(struct vsock_sock *u)
{
    vsock_end(u, ECONNRESET);
}

static void reset(struct vsock_dev *d)
{
    vsock_each_remote(lose);
    vsock_push();
}

static const struct vsock_dev_user user = { .receive = receive, .done = done, .reset = reset };

void vsock_init(void)
{
    int err = vsock_dev_attach(&user);
    if (err)
        log_warn("vsock: cannot be used (error %d)", -err);
}
