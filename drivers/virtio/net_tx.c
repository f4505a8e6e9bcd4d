/* SPDX-License-Identifier: MIT */
/* virtio-net, sending. Each frame has a slot in memory that the device knows: its header, and the frame itself when it is
 * small, so that it costs one descriptor and no wait. What was sent is taken back when more is sent, when frames come in
 * while there are some that were not copied, when the user asks, and by interrupt only once LAZY frames are in flight or the user waits for room.
 * Spec: virtio 1.2, 5.1.6.2. */
#include "virtio/net.h"

#include <abi/errno.h>
#include <base/log.h>
#include <libos/heap.h>
#include <plat/time.h>
#include <string.h>

enum {
    LAZY = 32,
    SLOTS = 128,
    NONE = 0xffff,
};
#define STUCK_NS 10000000000ull

static void watch(struct timer *t);

int net_tx_init(struct net *n, unsigned i)
{
    struct net_tx *tx = &n->tx[i];

    tx->net = n;
    tx->q = &n->dev->queues[2 * i + 1];
    tx->index = i;
    if (!tx->slots) {
        tx->nslots = tx->q->ring.size < SLOTS ? tx->q->ring.size : SLOTS;
        tx->slots = heap_calloc(tx->nslots, sizeof(tx->slots[0]));
        if (!tx->slots || plat_dma_alloc((size_t)tx->nslots * NET_TX_SLOT_BYTES, &tx->mem))
            return -ENOMEM;
        timer_init(&tx->watch, watch);
    }
    for (unsigned k = 0; k < tx->nslots; k++)
        tx->slots[k].next = (uint16_t)(k + 1 < tx->nslots ? k + 1 : NONE);
    tx->first_free = 0;
    tx->nfree = tx->nslots;
    tx->kept = 0;
    tx->armed = tx->blocked = false;
    return 0;
}

/* Locks: q->lock held. */
static void slot_free(struct net_tx *tx, struct net_tx_slot *s)
{
    if (s->tx) {
        s->tx->next = tx->done;
        tx->done = s->tx;
        s->tx = NULL;
        tx->kept--;
    }
    s->next = tx->first_free;
    tx->first_free = (uint16_t)(s - tx->slots);
    tx->nfree++;
}

/* Move what the device has sent to tx->done. Locks: q->lock held. */
static void reap(struct net_tx *tx)
{
    void *token;
    uint32_t len;

    while (virtq_get(&tx->q->ring, &token, &len) > 0)
        slot_free(tx, token);
}

/* Ask for an interrupt if enough is in flight. Locks: q->lock held. */
static void arm(struct net_tx *tx)
{
    struct virtq *r = &tx->q->ring;

    if (tx->armed || !r->in_flight || (r->in_flight < LAZY && !tx->blocked))
        return;
    tx->armed = true;
    if (virtq_enable(r, tx->blocked ? (r->in_flight + 3) / 4 : (r->in_flight * 3 + 3) / 4)) {
        reap(tx);
        tx->armed = false;
    }
}

/* The header for tx into *h, and the frame's length; 0: a field is out of range. */
static uint32_t make_header(const struct net *n, const struct netdev_tx *tx, struct net_header *h)
{
    uint32_t total = 0, have = n->netdev.offloads;

    if (!tx->nsegs || tx->nsegs > NETDEV_SEGS_MAX)
        return 0;
    for (unsigned i = 0; i < tx->nsegs; i++) {
        if (!tx->segs[i].len || tx->segs[i].len > NET_FRAME_MAX)
            return 0;
        total += tx->segs[i].len;
    }
    if (total < NET_ETHER_BYTES || total > NET_FRAME_MAX ||
        (!tx->gso && total > n->netdev.mtu + 18u))
        return 0;
    *h = (struct net_header){ 0 };
    if (tx->csum) {
        if (!(have & NETDEV_CSUM) || (uint32_t)tx->csum_start + tx->csum_offset + 2 > total)
            return 0;
        h->flags = NET_HDR_CSUM;
        h->csum_start = tx->csum_start;
        h->csum_offset = tx->csum_offset;
    }
    if (tx->gso) {
        if (!tx->csum || !tx->gso_size || tx->header_len >= total ||
            !(have & (tx->gso == NETDEV_GSO_TCP4 ? NETDEV_TSO4 : NETDEV_TSO6)) ||
            (tx->ecn && !(have & NETDEV_TSO_ECN)))
            return 0;
        h->gso = (uint8_t)((tx->gso == NETDEV_GSO_TCP4 ? NET_GSO_TCP4 : NET_GSO_TCP6) |
                           (tx->ecn ? NET_GSO_ECN : 0));
        h->gso_size = tx->gso_size;
        h->header_len = tx->header_len;
    }
    return total;
}

/* Put a frame of total bytes. 0, 1 (copied), -EAGAIN, -ENOMEM, -EIO. Locks: q->lock held. */
static int put(struct net_tx *tx, struct netdev_tx *frame, const struct net_header *h,
               uint32_t total)
{
    struct virtq_seg segs[1 + NETDEV_SEGS_MAX];
    unsigned header = tx->net->header, at = tx->first_free, n = 1;
    struct net_tx_slot *s = &tx->slots[at];
    bool copied = total <= NET_TX_COPY_MAX && !frame->gso;
    uint8_t *mem = (uint8_t *)tx->mem.ptr + (size_t)at * NET_TX_SLOT_BYTES;
    int err;

    if (!tx->nfree)
        return -EAGAIN;
    memcpy(mem, h, header == NET_HEADER_BYTES ? NET_HEADER_BYTES : NET_HEADER_OLD_BYTES);
    segs[0] = (struct virtq_seg){ .addr = tx->mem.addr + (uint64_t)at * NET_TX_SLOT_BYTES,
                                  .len = header };
    for (unsigned i = 0; i < frame->nsegs; i++) {
        const struct netdev_seg *f = &frame->segs[i];

        if (copied) {
            memcpy(mem + segs[0].len, f->data, f->len);
            segs[0].len += f->len;
        } else {
            segs[n++] = (struct virtq_seg){ .ptr = (void *)(uintptr_t)f->data, .len = f->len };
        }
    }
    err = virtq_put(&tx->q->ring, segs, n, 0, s);
    if (err)
        return err;
    tx->first_free = s->next;
    tx->nfree--;
    s->tx = copied ? NULL : frame;
    tx->kept = (uint16_t)(tx->kept + !copied);
    tx->frames++;
    tx->bytes += total;
    return copied;
}

int net_transmit(struct netdev *netdev, unsigned queue, struct netdev_tx *frame)
{
    struct net *n = netdev->data;
    struct net_tx *tx = &n->tx[queue];
    struct net_header h;
    uint32_t total = make_header(n, frame, &h);
    int err;

    if (!total)
        return -EINVAL;
    spin_lock(&tx->q->lock);
    if (n->dev->failed || !n->dev->ready) {
        tx->errors++;
        spin_unlock(&tx->q->lock);
        return -EIO;
    }
    if (tx->nfree < tx->nslots / 4 || tx->q->ring.free <= NETDEV_SEGS_MAX ||
        tx->q->ring.in_flight >= LAZY)
        reap(tx);
    err = put(tx, frame, &h, total);
    if (err == -ENOMEM)
        err = -EAGAIN; /* the DMA pool: what is in flight gives room */
    if (err == -EAGAIN) {
        tx->blocked = true;
        virtio_kick(tx->q);
    } else if (err >= 0 && !frame->more) {
        virtio_kick(tx->q);
    }
    if (err != -EIO)
        arm(tx);
    spin_unlock(&tx->q->lock);
    if (err == -EAGAIN)
        timer_start(&tx->watch, plat_time_ns() + STUCK_NS);
    if (err == -EIO)
        virtio_fail(n->dev, tx->q->ring.why ? tx->q->ring.why : "send queue broken");
    return err;
}

struct netdev_tx *net_reclaim(struct netdev *netdev, unsigned queue)
{
    struct net *n = netdev->data;
    struct net_tx *tx = &n->tx[queue];
    struct netdev_tx *list;

    spin_lock(&tx->q->lock);
    reap(tx);
    list = tx->done;
    tx->done = NULL;
    spin_unlock(&tx->q->lock);
    return list;
}

/* Take back, and tell the user if there is something to tell. */
static void finish(struct net_tx *tx, bool interrupt)
{
    struct net *n = tx->net;
    struct netdev_tx *list;
    bool room, broken;

    spin_lock(&tx->q->lock);
    if (interrupt) {
        tx->armed = false;
        virtq_disable(&tx->q->ring);
    }
    reap(tx);
    broken = tx->q->ring.broken;
    room = tx->blocked && tx->nfree && tx->q->ring.free > NETDEV_SEGS_MAX;
    if (room)
        tx->blocked = false;
    arm(tx);
    list = tx->done;
    tx->done = NULL;
    spin_unlock(&tx->q->lock);
    if ((list || room) && n->netdev.user)
        n->netdev.user->done(&n->netdev, tx->index, list);
    if (broken)
        virtio_fail(n->dev, tx->q->ring.why);
}

void net_tx_interrupt(struct virtio_queue *q)
{
    struct net *n = q->dev->data;

    finish(&n->tx[(q - q->dev->queues) / 2], true);
}

void net_tx_tidy(struct net_tx *tx)
{
    if (tx->kept || tx->done || tx->blocked)
        finish(tx, false);
}

/* The user has waited for room for long: one more kick, and if that does not help, the device is stuck. */
static void watch(struct timer *t)
{
    struct net_tx *tx = CONTAINER_OF(t, struct net_tx, watch);

    if (!tx->blocked || tx->net->dev->failed)
        return;
    finish(tx, false);
    if (tx->blocked)
        virtio_fail(tx->net->dev, "sends nothing any more");
}

void net_tx_end(struct net_tx *tx, bool leak)
{
    struct net *n = tx->net;
    struct net_tx_slot *s;
    struct netdev_tx *list;

    spin_lock(&tx->q->lock);
    while ((s = virtq_abandon(&tx->q->ring, leak)))
        slot_free(tx, s);
    tx->blocked = tx->armed = false;
    list = tx->done;
    tx->done = NULL;
    spin_unlock(&tx->q->lock);
    if (list && n->netdev.user)
        n->netdev.user->done(&n->netdev, tx->index, list);
}
