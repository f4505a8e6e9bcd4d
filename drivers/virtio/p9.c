/* SPDX-License-Identifier: MIT */
/* virtio-9p: messages to a server of the host that shares a directory, one chain each. After a violation all calls end with -EIO.
 * Device type 9; its configuration is the length of the tag and the tag. */
#include "virtio/virtio.h"

#include <abi/errno.h>
#include <base/log.h>
#include <libos/dev/p9.h>
#include <libos/heap.h>

enum { F_MOUNT_TAG = 0, CONFIG_TAG_LEN = 0, CONFIG_TAG = 2, RING_SIZE = 128 };

struct p9_dev {
    struct p9_channel ch;
    struct virtio_device *dev;
};

static uint64_t p9_features(uint64_t offered)
{
    return offered & VIRTIO_BIT(F_MOUNT_TAG);
}

static int p9_start(struct p9_channel *ch, struct p9_call *c)
{
    struct p9_dev *p = ch->data;
    struct virtio_queue *q = &p->dev->queues[0];
    struct virtq_seg segs[4] = { { .ptr = (void *)(uintptr_t)c->out, .len = c->out_len } };
    unsigned out = 1, n;
    int err = -EIO;

    if (c->out_data_len)
        segs[out++] =
            (struct virtq_seg){ .ptr = (void *)(uintptr_t)c->out_data, .len = c->out_data_len };
    n = out;
    segs[n++] = (struct virtq_seg){ .ptr = c->in, .len = c->in_len };
    if (c->in_data_len)
        segs[n++] = (struct virtq_seg){ .ptr = c->in_data, .len = c->in_data_len };
    spin_lock(&q->lock);
    if (!p->dev->failed)
        err = virtq_put(&q->ring, segs, out, n - out, c);
    if (err == -ENOMEM) /* the DMA pool: what is in flight gives room */
        err = q->ring.in_flight ? -EAGAIN : -EIO;
    if (!err)
        virtio_kick(q);
    spin_unlock(&q->lock);
    return err;
}

static void p9_interrupt(struct virtio_queue *q)
{
    struct p9_dev *p = q->dev->data;
    bool broken, more;

    do {
        void *token;
        uint32_t len;
        int got;

        do {
            spin_lock(&q->lock);
            got = virtq_get(&q->ring, &token, &len);
            spin_unlock(&q->lock);
            if (got > 0)
                p9_done(&p->ch, token, len);
        } while (got > 0);
        spin_lock(&q->lock);
        more = virtq_enable(&q->ring, 1);
        broken = q->ring.broken;
        spin_unlock(&q->lock);
    } while (more && !broken);
    if (broken)
        virtio_fail(q->dev, q->ring.why);
}

static void p9_failed(struct virtio_device *d)
{
    struct p9_dev *p = d->data;
    struct virtio_queue *q = &d->queues[0];
    bool leak = d->ops->status(d) != 0;
    struct p9_call *c;

    do {
        spin_lock(&q->lock);
        c = virtq_abandon(&q->ring, leak);
        spin_unlock(&q->lock);
        if (c)
            p9_done(&p->ch, c, -EIO);
    } while (c);
}

/* The tag becomes a name: printable, and of a length that fits. */
static int read_tag(struct virtio_device *d, char tag[P9_TAG_MAX])
{
    uint16_t len = 0;

    if (!virtio_has(d, F_MOUNT_TAG) || virtio_config(d, CONFIG_TAG_LEN, &len, 2, 2) || !len ||
        len >= P9_TAG_MAX || virtio_config(d, CONFIG_TAG, tag, len, 1))
        return -EINVAL;
    for (unsigned i = 0; i < len; i++)
        if (tag[i] <= ' ' || tag[i] >= 0x7f)
            return -EINVAL;
    tag[len] = 0;
    return 0;
}

static int p9_probe(struct virtio_device *d)
{
    struct p9_dev *p = heap_zalloc(sizeof(*p));
    int err = p ? read_tag(d, p->ch.tag) : -ENOMEM;

    if (!err) {
        p->dev = d;
        p->ch.start = p9_start;
        p->ch.data = p;
        d->data = p;
        err = virtio_queues_alloc(d, 1);
    }
    if (!err)
        err = virtio_queue_start(d, 0, 0, RING_SIZE, 0, p9_interrupt);
    if (err)
        return err;
    virtio_ready(d);
    (void)virtq_enable(&d->queues[0].ring, 1); /* nothing is in flight */
    p9_register(&p->ch);
    return 0;
}

const struct virtio_driver virtio_9p_driver = {
    .type = VIRTIO_9P,
    .name = "9p",
    .features = p9_features,
    .probe = p9_probe,
    .failed = p9_failed,
};
