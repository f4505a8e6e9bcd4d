/* SPDX-License-Identifier: MIT */
/* virtio-net, receiving. Each buffer is a page of its own, so that a frame's pages can go to the stack as they are; a frame
 * that needs more than one (MRG_RXBUF) takes them all at once. An interrupt serves at most BUDGET frames before the stack
 * gets them, and ROUNDS times that; what is left then is for a timer, so that programs run too. While a queue is busy it
 * has no interrupts. Spec: virtio 1.2, 5.1.6.3, 5.1.6.4. */
#include "virtio/net.h"

#include <abi/errno.h>
#include <base/log.h>
#include <plat/time.h>
#include <string.h>

enum {
    BUDGET = 64,
    ROUNDS = 4,
    BUFFERS = 128,
    REFILL = 16, /* missing buffers that make a refill worth it */
    LATER_NS = 20000,
    NO_MEMORY_NS = 50000000,
};

static void later(struct timer *t)
{
    struct net_rx *rx = CONTAINER_OF(t, struct net_rx, later);

    if (rx->net->dev->ready)
        net_rx_interrupt(rx->q);
}

void net_rx_init(struct net *n, unsigned i)
{
    struct net_rx *rx = &n->rx[i];

    rx->net = n;
    rx->q = &n->dev->queues[2 * i];
    rx->index = i;
    if (!rx->later.fn)
        timer_init(&rx->later, later);
}

/* Locks: q->lock held. */
static bool fill_locked(struct net_rx *rx)
{
    struct virtq *r = &rx->q->ring;
    unsigned want = r->size < BUFFERS ? r->size : BUFFERS;

    if (r->in_flight && (unsigned)r->in_flight + REFILL > want)
        return true;
    while (r->in_flight < want) {
        struct netbuf *b = netbuf_alloc();
        struct virtq_seg s = { .len = PAGE_SIZE };

        if (!b)
            break;
        s.ptr = b->data;
        if (virtq_put(r, &s, 0, 1, b)) {
            netbuf_free(b);
            break;
        }
    }
    virtio_kick(rx->q);
    return r->in_flight;
}

int net_rx_fill(struct net_rx *rx)
{
    spin_lock(&rx->q->lock);
    bool some = fill_locked(rx);
    spin_unlock(&rx->q->lock);
    return some ? 0 : -ENOMEM;
}

/* Take the header's offload fields over into the frame. False: they contradict the frame or what was agreed on. */
static bool check_header(const struct net *n, const struct net_header *h, struct netbuf *b)
{
    uint32_t offloads = n->netdev.offloads;
    uint8_t gso = h->gso & (uint8_t)~NET_GSO_ECN;

    if (h->flags & NET_HDR_CSUM) {
        if (!(offloads & NETDEV_RX_CSUM) || (uint32_t)h->csum_start + h->csum_offset + 2 > b->total)
            return false;
        b->flags = NETBUF_CSUM_PARTIAL;
        b->csum_start = h->csum_start;
        b->csum_offset = h->csum_offset;
    } else if (h->flags & NET_HDR_VALID && offloads & NETDEV_RX_CSUM) {
        b->flags = NETBUF_CSUM_GOOD;
    }
    if (h->gso == 0)
        return true;
    if (!(offloads & NETDEV_RX_TSO) || (gso != NET_GSO_TCP4 && gso != NET_GSO_TCP6) || !h->gso_size)
        return false;
    b->gso = gso == NET_GSO_TCP4 ? NETDEV_GSO_TCP4 : NETDEV_GSO_TCP6;
    b->gso_size = h->gso_size;
    return true;
}

/* Take one whole frame off the ring: 1 and *ret_frame (NULL: it was dropped), 0: none, -EIO. Locks: q->lock held. */
static int take_frame(struct net_rx *rx, struct netbuf **ret_frame)
{
    struct net *n = rx->net;
    struct virtq *r = &rx->q->ring;
    struct net_header h = { .num_buffers = 1 };
    struct netbuf *first, *tail;
    void *token;
    uint32_t len;
    int got = virtq_get(r, &token, &len);

    if (got <= 0)
        return got;
    *ret_frame = NULL;
    first = tail = token;
    if (len < n->header) {
        rx->errors++;
        netbuf_free(first);
        return 1;
    }
    memcpy(&h, first->data, n->header);
    if (!virtio_has(n->dev, NET_F_MRG_RXBUF))
        h.num_buffers = 1;
    first->data += n->header;
    first->len = first->total = len - n->header;
    for (unsigned i = 1; i < h.num_buffers; i++) {
        got = virtq_get(r, &token, &len);
        if (got <= 0) {
            netbuf_free_frame(first);
            if (!got) {
                r->broken = true;
                r->why = "a frame lacks buffers";
            }
            return -EIO;
        }
        tail = tail->next = token;
        tail->len = len;
        first->total += len;
    }
    if (!h.num_buffers || first->total < NET_ETHER_BYTES || first->total > NET_FRAME_MAX ||
        !check_header(n, &h, first)) {
        rx->errors++;
        netbuf_free_frame(first);
        return 1;
    }
    rx->frames++;
    rx->bytes += first->total;
    *ret_frame = first;
    return 1;
}

/* Up to BUDGET frames as a list; NULL with *ret_err 0: there was nothing. *ret_starved: the device has no buffers, and there is
 * no memory for any. Locks: q->lock held. */
static struct netbuf *take_frames(struct net_rx *rx, int *ret_err, bool *ret_starved)
{
    struct netbuf *head = NULL, **tail = &head, *b;
    int got = 0;

    for (unsigned i = 0; i < BUDGET && (got = take_frame(rx, &b)) > 0; i++)
        if (b) {
            *tail = b;
            tail = &b->next_frame;
        }
    *ret_err = got < 0 ? got : 0;
    *ret_starved = !fill_locked(rx) && got >= 0;
    return head;
}

/* Hand frames on until there are none. True: enough for now, there are more. Locks: none held on entry and return; rx->busy
 * is ours. */
static bool serve(struct net_rx *rx, int *ret_err)
{
    struct net *n = rx->net;

    for (unsigned round = 0; round < ROUNDS; round++) {
        struct netbuf *list;
        bool more, starved;

        spin_lock(&rx->q->lock);
        rx->again = false;
        virtq_disable(&rx->q->ring);
        list = take_frames(rx, ret_err, &starved);
        more = !*ret_err && virtq_enable(&rx->q->ring, 1);
        spin_unlock(&rx->q->lock);
        if (starved)
            timer_start(&rx->later, plat_time_ns() + NO_MEMORY_NS);
        if (list && n->netdev.user)
            n->netdev.user->receive(&n->netdev, rx->index, list);
        else
            while (list) {
                struct netbuf *next = list->next_frame;
                netbuf_free_frame(list);
                list = next;
            }
        if (!more)
            return false;
    }
    return true;
}

void net_rx_interrupt(struct virtio_queue *q)
{
    struct net *n = q->dev->data;
    struct net_rx *rx = &n->rx[(q - q->dev->queues) / 2];
    bool more = false;
    int err = 0;

    spin_lock(&q->lock);
    if (rx->busy) { /* on another CPU: it will look once more */
        rx->again = true;
        spin_unlock(&q->lock);
        return;
    }
    rx->busy = true;
    spin_unlock(&q->lock);
    for (bool go = true; go;) {
        more = serve(rx, &err);
        spin_lock(&q->lock);
        go = !more && !err && rx->again;
        if (!go)
            rx->busy = false;
        spin_unlock(&q->lock);
    }
    if (err) {
        virtio_fail(n->dev, q->ring.why ? q->ring.why : "receive queue broken");
        return;
    }
    if (more) {
        spin_lock(&q->lock);
        virtq_disable(&q->ring);
        spin_unlock(&q->lock);
        timer_start(&rx->later, plat_time_ns() + LATER_NS);
    }
    net_tx_tidy(&n->tx[rx->index]);
}

void net_rx_end(struct net_rx *rx, bool leak)
{
    struct netbuf *b;

    spin_lock(&rx->q->lock);
    while ((b = virtq_abandon(&rx->q->ring, leak)))
        if (!leak)
            netbuf_free(b);
    spin_unlock(&rx->q->lock);
}
