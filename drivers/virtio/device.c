/* SPDX-License-Identifier: MIT */
/* virtio devices above their transports (virtio.h). Order and checks of virtio 1.2, 3.1.1: features the device does not offer
 * are never acknowledged, FEATURES_OK is read back, nothing the device says is taken twice. A queue's lock is never held
 * over virtio_fail, which ends what is in flight on all of them. */
#include "virtio/virtio.h"
#include "policy.h"

#include <abi/errno.h>
#include <base/log.h>
#include <libos/heap.h>
#include <plat/cpu.h>
#include <plat/mmio.h>
#include <plat/time.h>
#include <string.h>

enum { CONFIG_RETRIES = 16, RESET_NS = 200000000 };

static const struct virtio_driver *const drivers[] = { &virtio_blk_driver,   &virtio_net_driver,
                                                       &virtio_rng_driver,   &virtio_console_driver,
                                                       &virtio_vsock_driver, &virtio_balloon_driver,
                                                       &virtio_9p_driver };

bool virtio_reset(struct virtio_device *d)
{
    uint64_t end = plat_time_ns() + RESET_NS;

    d->ready = false;
    d->ops->set_status(d, 0);
    while (d->ops->status(d)) {
        if (plat_time_ns() > end)
            return false;
        plat_relax();
    }
    return true;
}

/* 3.1.1, steps 1 to 6. */
static int negotiate(struct virtio_device *d)
{
    uint64_t wanted = VIRTIO_BIT(VIRTIO_F_EVENT_IDX) | VIRTIO_BIT(VIRTIO_F_ANY_LAYOUT) |
                      VIRTIO_BIT(VIRTIO_F_VERSION_1) | VIRTIO_BIT(VIRTIO_F_ACCESS_PLATFORM);
    uint64_t offered;

    if (!virtio_reset(d))
        return -EIO;
    d->ops->set_status(d, VIRTIO_S_ACKNOWLEDGE);
    d->ops->set_status(d, VIRTIO_S_ACKNOWLEDGE | VIRTIO_S_DRIVER);
    offered = d->ops->features(d);
    if (d->modern && !(offered & VIRTIO_BIT(VIRTIO_F_VERSION_1)))
        return -EIO;
    if (policy_hostile() && (!d->modern || !(offered & VIRTIO_BIT(VIRTIO_F_ACCESS_PLATFORM))))
        return -EPERM;
    if (!d->modern)
        offered &= UINT32_MAX;
    d->features = (offered & wanted) | (d->driver->features(offered) & offered);
    d->ops->set_features(d, d->features);
    if (!d->modern)
        return 0;
    d->ops->set_status(d, VIRTIO_S_ACKNOWLEDGE | VIRTIO_S_DRIVER | VIRTIO_S_FEATURES_OK);
    return d->ops->status(d) & VIRTIO_S_FEATURES_OK ? 0 : -EIO;
}

bool virtio_polls(enum virtio_type type)
{
    for (size_t i = 0; i < ARRAY_SIZE(drivers); i++)
        if (drivers[i]->type == type)
            return drivers[i]->polls;
    return false;
}

int virtio_attach(struct virtio_device *d)
{
    int err;

    for (unsigned i = 0; i < ARRAY_SIZE(drivers) && !d->driver; i++)
        if (drivers[i]->type == d->type)
            d->driver = drivers[i];
    if (!d->driver)
        return -ENODEV; /* nothing is known of it: left alone */
    err = negotiate(d);
    if (!err)
        err = d->driver->probe(d);
    if (!err)
        return 0;
    log_warn("virtio-%s at %s: cannot be used (error %d)", d->driver->name, d->where, -err);
    d->failed = true;
    if (virtio_reset(d))
        virtio_queues_free(d);
    return err;
}

int virtio_restart(struct virtio_device *d)
{
    uint64_t before = d->features;
    int err = negotiate(d);

    if (err || d->features != before)
        return -EIO;
    d->failed = false;
    return 0;
}

int virtio_config(struct virtio_device *d, unsigned offset, void *buf, unsigned n, unsigned width)
{
    uint8_t *out = buf;

    for (unsigned tries = 0; tries < CONFIG_RETRIES; tries++) {
        uint32_t before = d->ops->generation(d);

        for (unsigned i = 0; i < n; i += width) {
            uint64_t v = d->ops->config_read(d, offset + i, width);
            memcpy(out + i, &v, width); /* little-endian, as we are */
        }
        if (d->ops->generation(d) == before)
            return 0;
    }
    return -EIO;
}

/* The ring's size: a power of two, at most size and at most what the device takes. 0: none. */
static unsigned ring_size(struct virtio_device *d, unsigned index, unsigned size)
{
    unsigned max = d->ops->queue_max(d, index);

    if (d->fixed_size)
        return max <= VIRTQ_SIZE_MAX && !(max & (max - 1)) ? max : 0;
    while (size > max)
        size /= 2;
    return size;
}

int virtio_queues_alloc(struct virtio_device *d, unsigned n)
{
    if (d->queues)
        return 0;
    d->queues = heap_calloc(n, sizeof(d->queues[0]));
    if (!d->queues)
        return -ENOMEM;
    d->nqueues = n;
    for (unsigned i = 0; i < n; i++) {
        spin_init(&d->queues[i].lock, RANK_VIRTIO);
        d->queues[i].dev = d;
    }
    return 0;
}

int virtio_queue_start(struct virtio_device *d, unsigned i, unsigned index, unsigned size,
                       unsigned cpu, void (*fn)(struct virtio_queue *q))
{
    struct virtio_queue *q = &d->queues[i];
    unsigned entries = ring_size(d, index, size);
    int err = -EIO;

    /* After a restart others may know the queue. */
    spin_lock(&q->lock);
    if (entries)
        err = virtq_init(&q->ring, entries, virtio_has(d, VIRTIO_F_EVENT_IDX));
    spin_unlock(&q->lock);
    if (err)
        return err;
    q->index = index;
    q->cpu = cpu;
    q->fn = fn;
    return d->ops->queue_start(d, q);
}

void virtio_queues_free(struct virtio_device *d)
{
    for (unsigned i = 0; i < d->nqueues; i++) {
        spin_lock(&d->queues[i].lock);
        virtq_fini(&d->queues[i].ring);
        spin_unlock(&d->queues[i].lock);
    }
}

void virtio_ready(struct virtio_device *d)
{
    d->ready = true;
    d->ops->set_status(d, (uint8_t)(VIRTIO_S_ACKNOWLEDGE | VIRTIO_S_DRIVER | VIRTIO_S_DRIVER_OK |
                                    (d->modern ? VIRTIO_S_FEATURES_OK : 0)));
}

void virtio_kick(struct virtio_queue *q)
{
    if (virtq_publish(&q->ring) && !q->dev->failed)
        q->dev->ops->notify(q);
}

void virtio_fail(struct virtio_device *d, const char *why)
{
    if (atomic_exchange(&d->failed, true))
        return;
    log_error("virtio-%s at %s: %s; it was reset", d->driver->name, d->where, why);
    (void)virtio_reset(
        d); /* if it does not confirm, its memory stays its own: nothing is freed here */
    if (d->driver->failed)
        d->driver->failed(d);
}

void virtio_interrupt(struct virtio_device *d, unsigned i)
{
    struct virtio_queue *q = &d->queues[i];

    if (d->ready && q->fn)
        q->fn(q);
}

void virtio_interrupt_all(struct virtio_device *d)
{
    for (unsigned i = 0; d->ready && i < d->nqueues; i++)
        virtio_interrupt(d, i);
}

void virtio_config_changed(struct virtio_device *d)
{
    if (!d->ready)
        return;
    if (d->ops->status(d) & VIRTIO_S_NEEDS_RESET)
        virtio_fail(d, "asks for a reset");
    else if (d->driver->changed)
        d->driver->changed(d);
}
