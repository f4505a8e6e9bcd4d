/* SPDX-License-Identifier: MIT */
/* virtio-balloon: lends pages to the host as it wishes, tells how much memory there is, and names free blocks whose content need
 * not be kept. One step at a time: a batch of pages is with the device, and its completion begins the next one, so no interrupt
 * takes long. The host's wish is a number: programs keep what they need whatever it says. A confidential guest lends
 * nothing: pages that the host takes out are an attack there.
 * Lock: that of the first queue guards everything here, the other queues' rings too. Spec: virtio 1.2, 5.5. */
#include "policy.h"
#include "virtio/virtio.h"

#include <abi/errno.h>
#include <base/log.h>
#include <libos/dev/balloon.h>
#include <libos/heap.h>
#include <libos/timer.h>
#include <plat/boot.h>
#include <plat/time.h>
#include <string.h>

enum {
    F_STATS = 1,
    F_DEFLATE_ON_OOM = 2,
    F_FREE_PAGE_HINT = 3,
    F_REPORTING = 5,
    INFLATE = 0,
    DEFLATE = 1,
    STATS = 2,
    REPORT = 3,
    QUEUES = 4,
    RING_SIZE = 32,
    BATCH = 256, /* pages of one request */
    BLOCKS = 16, /* blocks of one report */
    WANTED = 0,  /* offsets of the configuration: what the host wants, what it has */
    ACTUAL = 4,
};

/* When the host wants more than there is to be had; and how often free blocks are looked for, while there are some and not. */
#define AGAIN_NS  (1ull * NS_PER_SEC)
#define REPORT_NS (2ull * NS_PER_SEC)
#define QUIET_NS  (30ull * NS_PER_SEC)
/* How often a device without interrupts is looked at, while it has something of ours and not. */
#define POLL_NS 2000000ull
#define WISH_NS (1ull * NS_PER_SEC)

/* Tags of the statistics that libOS has. */
enum { STAT_FREE = 4, STAT_TOTAL = 5, STAT_AVAILABLE = 6, STAT_CACHES = 7, STAT_COUNT = 4 };

struct PACKED stat {
    uint16_t tag;
    uint64_t value;
};

struct balloon {
    struct virtio_device *dev;
    struct virtio_queue *stats, *report; /* NULL: not agreed on */
    struct plat_dma pages, stats_mem;
    uint64_t told; /* what the configuration has as actual */
    bool busy;     /* a batch is with the device */
    struct timer again, look, poll;
    void *block[BLOCKS];
    size_t blocks; /* with the device */
};

static uint64_t balloon_features(uint64_t offered)
{
    uint64_t want = VIRTIO_BIT(F_STATS) | VIRTIO_BIT(F_DEFLATE_ON_OOM);

    /* With hints there is one more queue in front of the reporting one. */
    return offered & VIRTIO_BIT(F_FREE_PAGE_HINT) ? want : want | VIRTIO_BIT(F_REPORTING);
}

/* Hand the first n page numbers to the device. Locks: the first queue's. */
static int hand_over(struct balloon *b, unsigned queue, size_t n)
{
    struct virtio_queue *q = &b->dev->queues[queue];
    struct virtq_seg seg = { .addr = b->pages.addr, .len = (uint32_t)(n * sizeof(uint32_t)) };
    int err = virtq_put(&q->ring, &seg, 1, 0, b);

    if (!err) {
        b->busy = true;
        (void)virtq_enable(&q->ring, 1);
        virtio_kick(q);
    }
    return err;
}

static void tell_actual(struct balloon *b)
{
    uint64_t have = balloon_count();

    if (have == b->told)
        return;
    b->told = have;
    b->dev->ops->config_write(b->dev, ACTUAL, 4, have);
}

/* Locks: the first queue's. */
static int step_locked(struct balloon *b, uint64_t want, bool *ret_short)
{
    uint64_t have = balloon_count();
    size_t n;

    tell_actual(b);
    if (b->busy || want == have)
        return 0;
    if (want < have) {
        n = balloon_deflate(b->pages.ptr, min_u64(BATCH, have - want));
        return n ? hand_over(b, DEFLATE, n) : 0;
    }
    n = balloon_inflate(b->pages.ptr, min_u64(BATCH, want - have));
    *ret_short = !n;
    return n ? hand_over(b, INFLATE, n) : 0;
}

static void step(struct balloon *b)
{
    struct virtio_device *d = b->dev;
    bool short_of = false;
    uint32_t want;
    int err;

    if (d->failed)
        return;
    err = virtio_config(d, WANTED, &want, sizeof(want), 4);
    if (!err) {
        spin_lock(&d->queues[0].lock);
        err = step_locked(b, want, &short_of);
        spin_unlock(&d->queues[0].lock);
    }
    if (!err && short_of)
        timer_start(&b->again, plat_time_ns() + AGAIN_NS);
    if (err)
        virtio_fail(d, "the balloon cannot be served");
}

static void again(struct timer *t)
{
    step(CONTAINER_OF(t, struct balloon, again));
}

static void balloon_changed(struct virtio_device *d)
{
    step(d->data);
}

/* A batch is done. */
static void pages_interrupt(struct virtio_queue *q)
{
    struct balloon *b = q->dev->data;
    uint32_t len;
    void *token;
    int got;

    spin_lock(&q->dev->queues[0].lock);
    got = virtq_get(&q->ring, &token, &len);
    if (got > 0) {
        b->busy = false;
        if (q->index == DEFLATE)
            balloon_returned();
        else
            balloon_arrived();
    }
    spin_unlock(&q->dev->queues[0].lock);
    if (got < 0)
        virtio_fail(q->dev, q->ring.why);
    else if (got)
        step(b);
}

/* Locks: the first queue's. */
static int put_stats(struct balloon *b)
{
    struct balloon_memory m;
    struct virtq_seg seg = { .addr = b->stats_mem.addr, .len = STAT_COUNT * sizeof(struct stat) };
    int err;

    balloon_memory(&m);
    const struct stat stats[STAT_COUNT] = {
        { STAT_FREE, m.free },
        { STAT_TOTAL, m.total },
        { STAT_AVAILABLE, m.available },
        { STAT_CACHES, m.caches },
    };
    memcpy(b->stats_mem.ptr, stats, sizeof(stats));
    err = virtq_put(&b->stats->ring, &seg, 1, 0, b);
    if (!err) {
        (void)virtq_enable(&b->stats->ring, 1);
        virtio_kick(b->stats);
    }
    return err;
}

static void forget_report(struct balloon *b)
{
    balloon_reported(b->block, b->blocks);
    b->blocks = 0;
}

/* Name free blocks. Locks: the first queue's. */
static int report_locked(struct balloon *b)
{
    struct virtq_seg seg[BLOCKS];
    int err = 0;

    if (b->dev->failed) /* nobody would take them back */
        return 0;
    if (!b->blocks)
        b->blocks = balloon_report(b->block, BLOCKS);
    for (size_t i = 0; i < b->blocks; i++)
        seg[i] = (struct virtq_seg){ .ptr = b->block[i], .len = BALLOON_BLOCK };
    if (b->blocks)
        err = virtq_put(&b->report->ring, seg, 0, (unsigned)b->blocks, b);
    if (b->blocks && !err) {
        (void)virtq_enable(&b->report->ring, 1);
        virtio_kick(b->report);
    }
    return err;
}

static void look(struct timer *t)
{
    struct balloon *b = CONTAINER_OF(t, struct balloon, look);
    int err = 0;

    if (b->dev->failed)
        return;
    spin_lock(&b->dev->queues[0].lock);
    if (!b->blocks)
        err = report_locked(b);
    spin_unlock(&b->dev->queues[0].lock);
    if (err)
        virtio_fail(b->dev, "free blocks cannot be reported");
    else
        timer_start(t, plat_time_ns() + (b->blocks ? REPORT_NS : QUIET_NS));
}

/* A buffer came back on the statistics' or the reports' queue: the host wants new numbers, or knows the blocks. */
static void side_interrupt(struct virtio_queue *q)
{
    struct balloon *b = q->dev->data;
    uint32_t len;
    void *token;
    int got;

    spin_lock(&q->dev->queues[0].lock);
    got = virtq_get(&q->ring, &token, &len);
    if (got > 0 && q == b->report) {
        forget_report(b);
        got = report_locked(b);
    } else if (got > 0) {
        got = put_stats(b);
    }
    spin_unlock(&q->dev->queues[0].lock);
    if (got < 0)
        virtio_fail(q->dev, q->ring.why ? q->ring.why : "no room for an answer");
}

/* Blocks that were being named are free again, unless the device may still act on their names. Pages in the balloon stay there:
 * nobody knows what the host has done with them. */
static void balloon_failed(struct virtio_device *d)
{
    struct balloon *b = d->data;

    if (d->ops->status(d) != 0)
        return;
    spin_lock(&d->queues[0].lock);
    forget_report(b);
    spin_unlock(&d->queues[0].lock);
}

static void poll(struct timer *t)
{
    struct balloon *b = CONTAINER_OF(t, struct balloon, poll);

    if (b->dev->failed)
        return;
    virtio_config_changed(b->dev);
    virtio_interrupt_all(b->dev);
    timer_start(t, plat_time_ns() + (b->busy || b->blocks ? POLL_NS : WISH_NS));
}

static int start(struct balloon *b)
{
    struct virtio_device *d = b->dev;
    bool stats = virtio_has(d, F_STATS), report = virtio_has(d, F_REPORTING);
    /* The reporting queue comes behind a statistics queue that is there whether its feature is agreed on or not. */
    int err = virtio_queues_alloc(d, report ? QUEUES : stats ? REPORT : STATS);

    if (!err)
        err = virtio_queue_start(d, INFLATE, INFLATE, RING_SIZE, 0, pages_interrupt);
    if (!err)
        err = virtio_queue_start(d, DEFLATE, DEFLATE, RING_SIZE, 0, pages_interrupt);
    if (!err && stats)
        err = virtio_queue_start(d, STATS, STATS, RING_SIZE, 0, side_interrupt);
    if (!err && report)
        err = virtio_queue_start(d, REPORT, REPORT, RING_SIZE, 0, side_interrupt);
    if (!err)
        err = plat_dma_alloc(BATCH * sizeof(uint32_t), &b->pages);
    if (!err)
        err = plat_dma_alloc(STAT_COUNT * sizeof(struct stat), &b->stats_mem);
    b->stats = stats ? &d->queues[STATS] : NULL;
    b->report = report ? &d->queues[REPORT] : NULL;
    return err;
}

static int balloon_probe(struct virtio_device *d)
{
    struct balloon *b;
    int err;

    if (policy_hostile() || plat_boot_info()->confidential)
        return -EPERM;
    b = heap_zalloc(sizeof(*b));
    if (!b)
        return -ENOMEM;
    b->dev = d;
    d->data = b;
    timer_init(&b->again, again);
    timer_init(&b->look, look);
    timer_init(&b->poll, poll);
    err = start(b);
    if (err)
        return err;
    if (virtio_has(d, F_DEFLATE_ON_OOM))
        balloon_yields();
    virtio_ready(d);
    if (b->stats) {
        spin_lock(&d->queues[0].lock);
        err = put_stats(b);
        spin_unlock(&d->queues[0].lock);
    }
    if (b->report)
        timer_start(&b->look, plat_time_ns() + REPORT_NS);
    if (!err)
        step(b);
    if (d->polled)
        timer_start(&b->poll, plat_time_ns() + WISH_NS);
    return err;
}

const struct virtio_driver virtio_balloon_driver = {
    .type = VIRTIO_BALLOON,
    .name = "balloon",
    .polls = true,
    .features = balloon_features,
    .probe = balloon_probe,
    .changed = balloon_changed,
    .failed = balloon_failed,
};
