/* SPDX-License-Identifier: MIT */
/* virtio-vsock: packets to and from the host. Receive buffers are a pool that is the device's for good: a packet's header is
 * copied before it is looked at, its data by whoever wants them. A packet longer than its buffer says ends the device. One
 * interrupt serves at most BUDGET packets; what is left then is for a timer, so that programs run too.
 * Spec: virtio 1.2, 5.10. */
#include "virtio/virtio.h"

#include <abi/errno.h>
#include <libos/dev/vsock.h>
#include <libos/heap.h>
#include <libos/timer.h>
#include <plat/dma.h>
#include <plat/mem.h>
#include <plat/time.h>
#include <string.h>

enum { RX, TX, EVENT, QUEUES };
enum { F_SEQPACKET = 1 };
enum { RX_BUFFERS = 64, EVENTS = 8, RING_SIZE = 128, BUDGET = 256, LATER_NS = 20000 };
enum { HEADER = sizeof(struct vsock_header), CID_FIRST = 3, EVENT_RESET = 0 };

struct rx_buffer {
    struct plat_dma mem;
};

struct vsock {
    struct vsock_dev vdev;
    struct virtio_device *dev;
    struct timer later;
    struct rx_buffer rx[RX_BUFFERS];
    struct plat_dma events;
    /* guarded by the receive queue's lock */
    bool busy, again;
};

static uint64_t vsock_features(uint64_t offered)
{
    (void)offered;
    return VIRTIO_BIT(F_SEQPACKET);
}

/* Two pieces, header and data: the form that every device takes. Locks: the queue's held. */
static int offer(struct virtio_queue *q, struct rx_buffer *b)
{
    struct virtq_seg s[2] = { { .addr = b->mem.addr, .len = HEADER },
                              { .addr = b->mem.addr + HEADER, .len = PAGE_SIZE - HEADER } };

    return virtq_put(&q->ring, s, 0, 2, b);
}

/* One packet: 1, none: 0, -EIO. Locks: none held; vs->busy is ours. */
static int receive_one(struct vsock *vs, struct virtio_queue *q)
{
    struct vsock_header h;
    struct rx_buffer *b;
    void *token;
    uint32_t len;

    spin_lock(&q->lock);
    int got = virtq_get(&q->ring, &token, &len);
    spin_unlock(&q->lock);
    if (got <= 0)
        return got;
    b = token;
    if (len >= HEADER)
        memcpy(&h, b->mem.ptr, HEADER);
    if (len < HEADER || h.len > len - HEADER) {
        spin_lock(&q->lock);
        q->ring.broken = true;
        q->ring.why = "a packet longer than what came";
        spin_unlock(&q->lock);
        return -EIO;
    }
    vs->vdev.user->receive(&vs->vdev, &h, (const uint8_t *)b->mem.ptr + HEADER);
    spin_lock(&q->lock);
    got = offer(q, b);
    virtio_kick(q);
    spin_unlock(&q->lock);
    return got ? got : 1;
}

/* Up to BUDGET packets. True: there are more. */
static bool receive_some(struct vsock *vs, struct virtio_queue *q, int *ret_err)
{
    for (unsigned i = 0; i < BUDGET; i++) {
        int got = receive_one(vs, q);

        if (got > 0)
            continue;
        *ret_err = got;
        if (got < 0)
            return false;
        spin_lock(&q->lock);
        bool more = virtq_enable(&q->ring, 1);
        spin_unlock(&q->lock);
        if (!more)
            return false;
    }
    return true;
}

static void rx_interrupt(struct virtio_queue *q)
{
    struct vsock *vs = q->dev->data;
    bool more = false;
    int err = 0;

    spin_lock(&q->lock);
    bool go = vs->vdev.user && !vs->busy;
    vs->again = !go; /* whoever is busy looks once more */
    if (go)
        vs->busy = true;
    spin_unlock(&q->lock);
    while (go) {
        more = receive_some(vs, q, &err);
        spin_lock(&q->lock);
        go = vs->again && !more && !err;
        vs->again = false;
        if (!go)
            vs->busy = false;
        spin_unlock(&q->lock);
    }
    if (err)
        virtio_fail(q->dev, q->ring.why ? q->ring.why : "receive queue broken");
    else if (more)
        timer_start(&vs->later, plat_time_ns() + LATER_NS);
}

static void later(struct timer *t)
{
    struct vsock *vs = CONTAINER_OF(t, struct vsock, later);

    if (vs->dev->ready)
        rx_interrupt(&vs->dev->queues[RX]);
}

/* What was sent, as a list. Locks: q->lock held. */
static struct vsock_tx *take_sent(struct virtio_queue *q, int *ret_err)
{
    struct vsock_tx *list = NULL, **tail = &list;
    void *token;
    uint32_t len;

    do {
        while ((*ret_err = virtq_get(&q->ring, &token, &len)) > 0) {
            *tail = token;
            tail = &(*tail)->next;
        }
    } while (!*ret_err && virtq_enable(&q->ring, 1));
    *tail = NULL;
    return list;
}

static void tx_interrupt(struct virtio_queue *q)
{
    struct vsock *vs = q->dev->data;
    int err;

    spin_lock(&q->lock);
    struct vsock_tx *list = take_sent(q, &err);
    spin_unlock(&q->lock);
    if (vs->vdev.user)
        vs->vdev.user->done(&vs->vdev, list);
    if (err)
        virtio_fail(q->dev, q->ring.why);
}

static int vsock_transmit(struct vsock_dev *vdev, struct vsock_tx *tx)
{
    struct vsock *vs = CONTAINER_OF(vdev, struct vsock, vdev);
    struct virtio_queue *q = &vs->dev->queues[TX];
    struct virtq_seg segs[1 + VSOCK_SEGS_MAX] = { { .ptr = &tx->header, .len = HEADER } };

    for (unsigned i = 0; i < tx->nsegs; i++)
        segs[1 + i] = (struct virtq_seg){ .ptr = (void *)(uintptr_t)tx->segs[i].data,
                                          .len = tx->segs[i].len };
    spin_lock(&q->lock);
    int err = vdev->failed ? -EIO : virtq_put(&q->ring, segs, 1u + tx->nsegs, 0, tx);
    if (!err)
        virtio_kick(q);
    spin_unlock(&q->lock);
    /* With the pool used up there is room again when something was sent, if anything is on its way. */
    return err == -ENOMEM ? -EAGAIN : err;
}

/* The context id, checked. */
static int read_cid(struct vsock *vs)
{
    uint64_t cid;

    if (virtio_config(vs->dev, 0, &cid, sizeof(cid), sizeof(cid)) || cid < CID_FIRST ||
        cid >= UINT32_MAX)
        return -EIO;
    vs->vdev.cid = (uint32_t)cid;
    return 0;
}

static int offer_event(struct vsock *vs, struct virtio_queue *q, uint32_t *slot)
{
    size_t at = (size_t)((uint8_t *)slot - (uint8_t *)vs->events.ptr);
    struct virtq_seg s = { .addr = vs->events.addr + at, .len = sizeof(*slot) };

    return virtq_put(&q->ring, &s, 0, 1, slot);
}

/* 5.10.6.7: after a reset event the context id is read again, and no connection is left. */
static void event_interrupt(struct virtio_queue *q)
{
    struct vsock *vs = q->dev->data;
    bool reset = false;
    void *token;
    uint32_t len;
    int got;

    spin_lock(&q->lock);
    do {
        while ((got = virtq_get(&q->ring, &token, &len)) > 0) {
            reset |= len == sizeof(uint32_t) && *(volatile uint32_t *)token == EVENT_RESET;
            if (offer_event(vs, q, token))
                break;
        }
    } while (!got && virtq_enable(&q->ring, 1));
    virtio_kick(q);
    spin_unlock(&q->lock);
    if (got < 0 || (reset && read_cid(vs)))
        virtio_fail(q->dev, got < 0 ? q->ring.why : "no context id");
    else if (reset && vs->vdev.user)
        vs->vdev.user->reset(&vs->vdev);
}

static void vsock_failed(struct virtio_device *d)
{
    struct vsock *vs = d->data;
    struct virtio_queue *q = &d->queues[TX];
    bool confirmed = !d->ops->status(d);
    struct vsock_tx *list = NULL, *tx;

    vs->vdev.failed = true;
    spin_lock(&q->lock);
    while ((tx = virtq_abandon(&q->ring, !confirmed)))
        if (confirmed) { /* otherwise the device may still read it: it stays as it is, for good */
            tx->next = list;
            list = tx;
        }
    spin_unlock(&q->lock);
    if (vs->vdev.user) {
        vs->vdev.user->done(&vs->vdev, list);
        vs->vdev.user->reset(&vs->vdev);
    }
}

/* Buffers for the device, of queues that it does not use yet. */
static int fill(struct vsock *vs)
{
    struct virtio_queue *q = &vs->dev->queues[RX], *e = &vs->dev->queues[EVENT];
    unsigned n = q->ring.size / 2u < RX_BUFFERS ? q->ring.size / 2u : RX_BUFFERS;
    int err = plat_dma_alloc(EVENTS * sizeof(uint32_t), &vs->events);

    for (unsigned i = 0; !err && i < n; i++) {
        err = plat_dma_alloc(PAGE_SIZE, &vs->rx[i].mem);
        if (!err)
            err = offer(q, &vs->rx[i]);
    }
    for (unsigned i = 0; !err && i < EVENTS && i < e->ring.size; i++)
        err = offer_event(vs, e, (uint32_t *)vs->events.ptr + i);
    return err;
}

static int vsock_start(struct vsock_dev *vdev)
{
    struct vsock *vs = CONTAINER_OF(vdev, struct vsock, vdev);
    struct virtio_device *d = vs->dev;

    if (d->failed)
        return -EIO;
    virtio_ready(d);
    for (unsigned i = RX; i < QUEUES; i++) {
        struct virtio_queue *q = &d->queues[i];
        spin_lock(&q->lock);
        bool more = virtq_enable(&q->ring, 1);
        virtio_kick(q);
        spin_unlock(&q->lock);
        if (more)
            q->fn(q);
    }
    return d->failed ? -EIO : 0;
}

static const struct vsock_dev_ops vsock_ops = { .start = vsock_start, .transmit = vsock_transmit };

static int vsock_probe(struct virtio_device *d)
{
    static void (*const fn[QUEUES])(struct virtio_queue * q) = { rx_interrupt, tx_interrupt,
                                                                 event_interrupt };
    struct vsock *vs = heap_zalloc(sizeof(*vs));
    int err;

    if (!vs)
        return -ENOMEM;
    vs->dev = d;
    d->data = vs; /* kept: others may know the device */
    vs->vdev.ops = &vsock_ops;
    vs->vdev.seqpacket = virtio_has(d, F_SEQPACKET);
    timer_init(&vs->later, later);
    err = read_cid(vs);
    if (!err)
        err = virtio_queues_alloc(d, QUEUES);
    for (unsigned i = 0; !err && i < QUEUES; i++)
        err = virtio_queue_start(d, i, i, RING_SIZE, 0, fn[i]);
    if (!err)
        err = fill(vs);
    return err ? err : vsock_dev_register(&vs->vdev);
}

const struct virtio_driver virtio_vsock_driver = {
    .type = VIRTIO_VSOCK,
    .name = "vsock",
    .features = vsock_features,
    .probe = vsock_probe,
    .failed = vsock_failed,
};
