/* SPDX-License-Identifier: MIT */
/* virtio-rng: random bytes of the host's, mixed into the generator; once, at boot. When the CPU has given enough already,
 * nobody waits for them. A VMM that is an adversary knows what it sent: then nothing is credited. Spec: virtio 1.2, 5.4. */
#include "policy.h"
#include "virtio/virtio.h"

#include <abi/errno.h>
#include <libos/heap.h>
#include <libos/random.h>
#include <plat/cpu.h>
#include <plat/time.h>
#include <string.h>

enum { BYTES = 64, RING_SIZE = 8 };
#define WAIT_NS 5000000000ull

struct rng {
    struct virtio_device *dev;
    struct plat_dma mem;
};

static uint64_t rng_features(uint64_t offered)
{
    (void)offered;
    return 0;
}

/* Take what came. Zero bytes are no entropy, and the device may write on, so that a copy is used. */
static void rng_interrupt(struct virtio_queue *q)
{
    struct rng *r = q->dev->data;
    uint8_t bytes[BYTES];
    uint32_t len = 0;
    void *token;
    int got;

    spin_lock(&q->lock);
    got = virtq_get(&q->ring, &token, &len);
    if (got > 0)
        memcpy(bytes, r->mem.ptr, len); /* at most BYTES: the ring has looked */
    spin_unlock(&q->lock);
    if (got < 0)
        virtio_fail(q->dev, q->ring.why);
    if (got > 0 && len)
        random_add(bytes, len, policy_hostile() ? 0 : 8 * len);
}

static int rng_probe(struct virtio_device *d)
{
    struct rng *r = heap_zalloc(sizeof(*r));
    uint64_t end = plat_time_ns() + WAIT_NS;
    struct virtq_seg seg = { .len = BYTES };
    struct virtio_queue *q;
    int err;

    if (!r)
        return -ENOMEM;
    r->dev = d;
    d->data = r;
    err = virtio_queues_alloc(d, 1);
    if (!err)
        err = virtio_queue_start(d, 0, 0, RING_SIZE, 0, rng_interrupt);
    if (!err)
        err = plat_dma_alloc(BYTES, &r->mem);
    if (err)
        return err;
    q = &d->queues[0];
    seg.addr = r->mem.addr;
    virtio_ready(d);
    spin_lock(&q->lock);
    (void)virtq_enable(&q->ring, 1); /* nothing was asked for yet */
    err = virtq_put(&q->ring, &seg, 0, 1, r);
    virtio_kick(q);
    spin_unlock(&q->lock);
    while (!err && !random_ready() && !d->failed && q->ring.in_flight && plat_time_ns() < end) {
        rng_interrupt(q);
        plat_relax();
    }
    return err;
}

const struct virtio_driver virtio_rng_driver = {
    .type = VIRTIO_RNG,
    .name = "rng",
    .features = rng_features,
    .probe = rng_probe,
};
