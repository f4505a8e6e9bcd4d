/* SPDX-License-Identifier: MIT */
/* What /proc/diskstats and /sys/block say of a device's requests: how many, how large, how long they took, and for how long there was
 * one at all. A request to a partition counts for it and for its disk. Documentation/admin-guide/iostats.rst. */
#include "blk_int.h"

#include <plat/time.h>

/* The time from the last beginning or end of a request to this one passed with requests out, or without. */
static void step(struct blk_device *d, const struct blk_request *r, uint64_t now, int change)
{
    uint64_t last = atomic_exchange_explicit(&d->stat_at_ns, now, memory_order_relaxed);
    if (r->op == BLK_READ)
        atomic_fetch_add_explicit(&d->inflight_reads, (uint32_t)change, memory_order_relaxed);
    if (atomic_fetch_add_explicit(&d->inflight, (uint32_t)change, memory_order_relaxed) &&
        now > last)
        atomic_fetch_add_explicit(&d->busy_ns, now - last, memory_order_relaxed);
}

void blk_stat_begin(struct blk_request *r, uint64_t now)
{
    struct blk_device *d = r->ios[0]->dev;
    r->stat_dev = d;
    r->began_ns = now;
    step(r->dev, r, now, 1);
    if (d != r->dev)
        step(d, r, now, 1);
}

void blk_stat_undo(struct blk_request *r)
{
    step(r->dev, r, r->began_ns, -1);
    if (r->stat_dev != r->dev)
        step(r->stat_dev, r, r->began_ns, -1);
}

static void count(struct blk_device *d, const struct blk_request *r, uint64_t now)
{
    step(d, r, now, -1);
    atomic_fetch_add_explicit(&d->done_ios[r->op], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&d->done_sectors[r->op], r->sectors, memory_order_relaxed);
    if (r->nios > 1 && r->op != BLK_FLUSH)
        atomic_fetch_add_explicit(&d->done_merges[r->op], r->nios - 1, memory_order_relaxed);
    if (now > r->began_ns)
        atomic_fetch_add_explicit(&d->done_ns[r->op], now - r->began_ns, memory_order_relaxed);
}

void blk_stat_end(const struct blk_request *r)
{
    uint64_t now = plat_time_ns();
    count(r->dev, r, now);
    if (r->stat_dev != r->dev)
        count(r->stat_dev, r, now);
}

void blk_stats(struct blk_device *d, struct blk_stats *ret)
{
    *ret = (struct blk_stats){ .inflight = d->inflight, .inflight_reads = d->inflight_reads };
    ret->inflight_reads = (uint32_t)min_u64(ret->inflight_reads, ret->inflight);
    for (unsigned op = 0; op < ARRAY_SIZE(ret->ios); op++) {
        ret->ios[op] = d->done_ios[op];
        ret->merges[op] = d->done_merges[op];
        ret->sectors[op] = d->done_sectors[op];
        ret->ms[op] = d->done_ns[op] / (NS_PER_SEC / 1000);
        ret->queue_ms += ret->ms[op];
    }
    uint64_t busy = d->busy_ns, now = plat_time_ns(), last = d->stat_at_ns;
    ret->busy_ms = (busy + (ret->inflight && now > last ? now - last : 0)) / (NS_PER_SEC / 1000);
}
