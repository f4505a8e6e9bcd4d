/* SPDX-License-Identifier: MIT */
/* From transfers to requests: merging, cutting by the device's limits, handing to the driver, completion and timeouts.
 * A queue's lock is held only to move things between its lists; the driver and the users' callbacks are called without it.
 * A CPU that is in blk_dispatch is not entered there again (a driver that completes in submit would recurse): it is told to
 * look once more instead. */
#include "blk_int.h"

#include <abi/errno.h>
#include <base/log.h>
#include <libos/heap.h>
#include <libos/sched.h>
#include <libos/waitq.h>
#include <plat/time.h>
#include <utlist.h>

static struct waitq recovery = { .lock = SPIN_INIT(RANK_WAITQ) };
static _Atomic bool recovery_started;
static _Atomic uint32_t late_queues;

static void queue_timer(struct timer *t);

/* One more request, if there may be more. Locks: q->lock is held. */
static struct blk_request *request_add(struct blk_queue *q)
{
    struct blk_request *r;
    if (q->nall == q->nall_max || !(r = heap_zalloc(sizeof(*r))))
        return NULL;
    r->dev = q->dev;
    r->queue = (uint16_t)q->index;
    r->tag = (uint16_t)q->nall++;
    r->all_next = q->all;
    q->all = r;
    return r;
}

int blk_queues_create(struct blk_device *dev)
{
    struct blk_queue *queues = heap_calloc(dev->limits.queues, sizeof(*queues));
    if (!queues)
        return -ENOMEM;
    for (uint32_t i = 0; i < dev->limits.queues; i++) {
        struct blk_queue *q = &queues[i];
        spin_init(&q->lock, RANK_BLK_QUEUE);
        q->dev = dev;
        q->index = i;
        q->nall_max = (uint32_t)min_u64(dev->limits.queue_depth, REQUESTS_MAX);
        timer_init(&q->timer, queue_timer);
        /* The first is there from the start: without memory, progress is slow but made. */
        if (!(q->free = request_add(q))) {
            while (i--)
                heap_free(queues[i].free);
            heap_free(queues);
            return -ENOMEM;
        }
    }
    dev->queues = queues;
    return 0;
}

struct blk_queue *blk_queue_here(struct blk_device *dev)
{
    return &dev->queues[thread_cpu() % dev->limits.queues];
}

void blk_enqueue(struct blk_queue *q, struct blk_io *io)
{
    spin_lock(&q->lock);
    DL_APPEND(q->waiting, io);
    spin_unlock(&q->lock);
}

static bool has_memory(unsigned op)
{
    return op == BLK_READ || op == BLK_WRITE;
}

static uint32_t max_sectors(const struct blk_limits *l, unsigned op)
{
    return op == BLK_DISCARD        ? l->max_discard_sectors
           : op == BLK_WRITE_ZEROES ? l->max_zero_sectors
                                    : l->max_sectors;
}

/* Add up to len bytes at addr to r's memory; how many were added. Only whole logical blocks are cut off. */
static uint32_t add_seg(struct blk_request *r, const struct blk_limits *l, paddr_t addr,
                        uint32_t len)
{
    struct blk_seg *last = r->nsegs ? &r->segs[r->nsegs - 1] : NULL;
    if (l->seg_boundary) {
        uint64_t room = l->seg_boundary - (addr.v & (l->seg_boundary - 1));
        len = (uint32_t)min_u64(len, room);
    }
    bool joins = last && last->addr.v + last->len == addr.v && last->len < l->max_seg_len &&
                 !(l->seg_boundary && (addr.v & (l->seg_boundary - 1)) == 0);
    if (joins) {
        len = (uint32_t)min_u64(len, l->max_seg_len - last->len);
        last->len += len;
        return len;
    }
    if (r->nsegs == l->max_segs)
        return 0;
    len = (uint32_t)min_u64(len, l->max_seg_len);
    r->segs[r->nsegs++] = (struct blk_seg){ addr, len };
    return len;
}

/* Take bytes off the end of r's memory, so that it is whole blocks. */
static void trim(struct blk_request *r, struct blk_io *io, uint32_t bytes)
{
    while (bytes) {
        struct blk_seg *last = &r->segs[r->nsegs - 1];
        uint32_t n = (uint32_t)min_u64(bytes, last->len);
        last->len -= n;
        bytes -= n;
        if (!last->len)
            r->nsegs--;
        /* The cursor goes back by n; a piece of memory may have been cut into several. */
        for (uint32_t back = n; back;) {
            if (!io->seg_off)
                io->seg_off = io->segs[--io->seg].len;
            uint32_t step = (uint32_t)min_u64(back, io->seg_off);
            io->seg_off -= step;
            back -= step;
        }
    }
}

/* Put as much of io into r as fits. True: all that was left of it. */
static bool take_io(struct blk_request *r, const struct blk_limits *l, struct blk_io *io)
{
    uint32_t left = io->sectors - io->taken, room = max_sectors(l, r->op) - r->sectors;
    uint32_t want = (uint32_t)min_u64(left, room), got = 0;
    want -= want % (l->logical_block / BLK_SECTOR);
    if (!has_memory(r->op)) {
        got = want * BLK_SECTOR;
    } else {
        while (got < want * BLK_SECTOR) {
            const struct blk_seg *s = &io->segs[io->seg];
            uint32_t n = (uint32_t)min_u64(s->len - io->seg_off, want * BLK_SECTOR - got);
            n = add_seg(r, l, PADDR(s->addr.v + io->seg_off), n);
            if (!n)
                break;
            got += n;
            io->seg_off += n;
            if (io->seg_off == s->len) {
                io->seg++;
                io->seg_off = 0;
            }
        }
        trim(r, io, got % l->logical_block);
        got -= got % l->logical_block;
    }
    if (!got)
        return false;
    r->sectors += got / BLK_SECTOR;
    io->taken += got / BLK_SECTOR;
    atomic_fetch_add(&io->parts, 1);
    r->ios[r->nios++] = io;
    return io->taken == io->sectors;
}

/* Make a request of what waits first. Locks: q->lock is held. ret_cut: transfers of which nothing waits any more: their
 * first part is dropped without the lock. */
static struct blk_request *build(struct blk_queue *q)
{
    const struct blk_limits *l = &q->dev->limits;
    struct blk_io *io = q->waiting, *next;
    struct blk_request *r;
    if (!io || (!q->free && !(q->free = request_add(q))))
        return NULL;
    r = q->free;
    q->free = r->next;
    bool flush = io->flushing || io->op == BLK_FLUSH;
    r->op = flush ? BLK_FLUSH : io->op;
    r->flags = flush ? 0 : (uint8_t)(l->fua ? io->flags : io->flags & ~BLK_FUA);
    r->nsegs = 0;
    r->nios = 0;
    r->tries = 0;
    r->sector = io->start + io->taken;
    r->sectors = 0;
    if (flush) {
        /* One flush serves all that wait for one: everything they are to cover is completed already. */
        for (; io && r->nios < BLK_IOS_MAX && (io->flushing || io->op == BLK_FLUSH); io = next) {
            next = io->next;
            DL_DELETE(q->waiting, io);
            r->ios[r->nios++] = io;
        }
        return r;
    }
    uint8_t op = io->op, flags = io->flags;
    while (io && r->nios < BLK_IOS_MAX && io->op == op && io->flags == flags && !io->flushing &&
           io->start + io->taken == r->sector + r->sectors) {
        next = io->next;
        if (!take_io(r, l, io))
            break;
        DL_DELETE(q->waiting, io);
        io = next;
    }
    return r;
}

void blk_io_end(struct blk_io *io, int status)
{
    io->status = status;
    io->done(io);
}

/* One part of io is done. The transfer's own part, which stood for what was not handed out yet, is the last request's: it is
 * counted in take_io, and parts begins at 0; while sectors are left, it is not over. */
static void part_done(struct blk_queue *q, struct blk_io *io, int status)
{
    int none = 0;
    if (status)
        atomic_compare_exchange_strong(&io->part_status, &none, status);
    spin_lock(&q->lock);
    bool over = io->flushing || io->op == BLK_FLUSH ||
                (atomic_fetch_sub(&io->parts, 1) == 1 && io->taken == io->sectors);
    status = io->part_status;
    if (over && !status && io->flags & BLK_FUA && io->op == BLK_WRITE && !io->flushing &&
        !q->dev->limits.fua && q->dev->limits.volatile_cache) {
        bool held = blk_cache_holds(q->dev);
        if (held && io->cached) {
            io->flushing = true;
            io->covers = q->dev->cached;
            over = false;
            DL_APPEND(q->waiting, io);
        }
    }
    spin_unlock(&q->lock);
    if (over && (io->flushing || io->op == BLK_FLUSH) && !status)
        blk_cache_flushed(q->dev, io->covers);
    if (over)
        blk_io_end(io, status);
}

static void timer_arm(struct blk_queue *q, uint64_t deadline)
{
    if (!atomic_exchange(&q->timer_armed, true))
        timer_start(&q->timer, deadline);
}

/* Offer r to the driver. False: it has no room. */
static bool offer(struct blk_queue *q, struct blk_request *r, bool more)
{
    struct blk_device *dev = q->dev;
    uint32_t gen = atomic_load(&q->done_gen);
    uint64_t now = plat_time_ns();
    r->deadline_ns = dev->stacked ? UINT64_MAX : now + BLK_TIMEOUT_S * NS_PER_SEC;
    blk_stat_begin(r, now);
    atomic_store(&r->out, 1);
    if (!dev->stacked)
        timer_arm(q, r->deadline_ns);
    r->through = r->op == BLK_WRITE && blk_cache_begin(dev);
    int err = dev->dead ? -EIO : dev->ops->submit(dev, r, more);
    if (err != -EAGAIN) {
        if (err)
            blk_done(r, -EIO);
        return true;
    }
    atomic_store(&r->out, 0);
    blk_stat_undo(r);
    if (r->through)
        blk_cache_end(dev);
    spin_lock(&q->lock);
    r->next = q->held;
    q->held = r;
    /* A completion may have come before r was put there. */
    bool retry = atomic_load(&q->done_gen) != gen;
    spin_unlock(&q->lock);
    return retry;
}

static void dispatch_once(struct blk_queue *q)
{
    bool kick = false;
    for (bool go = true; go;) {
        spin_lock(&q->lock);
        struct blk_request *r = q->held;
        if (r)
            q->held = r->next;
        else
            r = build(q);
        bool more = q->held || (q->waiting && (q->free || q->nall < q->nall_max));
        spin_unlock(&q->lock);
        if (!r)
            break;
        kick = true;
        go = offer(q, r, more);
    }
    if (kick && q->dev->ops->kick)
        q->dev->ops->kick(q->dev, q->index);
}

void blk_dispatch(struct blk_queue *q)
{
    uint64_t me = 1ull << (thread_cpu() % 64);
    if (atomic_fetch_or(&q->dispatching, me) & me) {
        atomic_store(&q->again, true);
        return;
    }
    do {
        atomic_store(&q->again, false);
        dispatch_once(q);
    } while (atomic_load(&q->again));
    atomic_fetch_and(&q->dispatching, ~me);
}

void blk_done(struct blk_request *r, int status)
{
    struct blk_device *dev = r->dev;
    struct blk_queue *q = &dev->queues[r->queue];
    struct blk_io *ios[BLK_IOS_MAX];
    if (!atomic_exchange(&r->out, 0))
        return; /* given up already */
    uint32_t n = r->nios;
    for (uint32_t i = 0; i < n; i++)
        ios[i] = r->ios[i];
    if (status)
        log_warn("%s: %s of %u sectors at %llu failed (error %d)", dev->name,
                 r->op == BLK_READ    ? "read"
                 : r->op == BLK_WRITE ? "write"
                 : r->op == BLK_FLUSH ? "flush"
                                      : "discard",
                 r->sectors, (unsigned long long)r->sector, -status);
    blk_stat_end(r);
    bool through = r->through, cached = !through && r->op != BLK_READ && r->op != BLK_FLUSH;
    if (cached)
        atomic_fetch_add(&dev->cached, 1);
    spin_lock(&q->lock);
    r->next = q->free;
    q->free = r;
    atomic_fetch_add(&q->done_gen, 1);
    spin_unlock(&q->lock);
    if (through)
        blk_cache_end(dev);
    for (uint32_t i = 0; i < n; i++) {
        if (cached)
            ios[i]->cached = true;
        part_done(q, ios[i], status);
    }
    if (q->waiting || q->held)
        blk_dispatch(q);
}

void blk_retry(struct blk_request *r)
{
    struct blk_device *dev = r->dev;
    struct blk_queue *q = &dev->queues[r->queue];
    if (++r->tries >= BLK_TRIES) {
        blk_done(r, -EIO);
        return;
    }
    if (!atomic_exchange(&r->out, 0))
        return; /* given up already */
    blk_stat_undo(r);
    if (r->through)
        blk_cache_end(dev);
    spin_lock(&q->lock);
    r->next = q->held;
    q->held = r;
    spin_unlock(&q->lock);
    blk_dispatch(q);
}

void blk_restarted(struct blk_device *dev)
{
    for (uint32_t i = 0; i < dev->limits.queues; i++)
        blk_dispatch(&dev->queues[i]);
}

/* The earliest deadline of a request that is out, UINT64_MAX: none is. */
static uint64_t first_deadline(struct blk_queue *q)
{
    uint64_t first = UINT64_MAX;
    spin_lock(&q->lock);
    for (struct blk_request *r = q->all; r; r = r->all_next)
        if (atomic_load(&r->out))
            first = min_u64(first, r->deadline_ns);
    spin_unlock(&q->lock);
    return first;
}

static void queue_timer(struct timer *t)
{
    struct blk_queue *q = (struct blk_queue *)((char *)t - offsetof(struct blk_queue, timer));
    uint64_t first = first_deadline(q);
    if (first <= plat_time_ns()) {
        atomic_store(&q->late, true);
        atomic_fetch_add(&late_queues, 1);
        waitq_wake(&recovery, WAITQ_ALL, 0);
        return;
    }
    atomic_store(&q->timer_armed, false);
    /* One that was given out in between armed the timer itself, or is found here. */
    first = first_deadline(q);
    if (first != UINT64_MAX)
        timer_arm(q, first);
}

/* Nothing comes back from dev any more: its requests end, and all later ones. */
static void give_up(struct blk_device *dev)
{
    log_error("%s: does not answer and is given up", dev->name);
    atomic_store(&dev->dead, true);
    for (uint32_t i = 0; i < dev->limits.queues; i++) {
        for (struct blk_request *r = dev->queues[i].all; r; r = r->all_next)
            blk_done(r, -EIO);
        blk_dispatch(&dev->queues[i]);
    }
}

static bool late(struct blk_request *r, uint64_t now)
{
    return atomic_load(&r->out) && r->deadline_ns <= now;
}

static void recover(struct blk_queue *q)
{
    struct blk_device *dev = q->dev;
    uint64_t now = plat_time_ns();
    for (struct blk_request *r = q->all; r; r = r->all_next) {
        if (!late(r, now))
            continue;
        if (dev->ops->poll)
            dev->ops->poll(dev, q->index);
        if (!late(r, now)) /* it was done, and may be out again with other transfers */
            continue;
        log_warn("%s: a request is not answered after %u s", dev->name, BLK_TIMEOUT_S);
        if (dev->ops->timeout)
            dev->ops->timeout(dev, r);
        else
            give_up(dev);
    }
    atomic_store(&q->timer_armed, false);
    uint64_t first = first_deadline(q);
    if (first != UINT64_MAX)
        timer_arm(q, max_u64(first, now + NS_PER_SEC));
}

static void recovery_thread(void *arg)
{
    (void)arg;
    for (;;) {
        (void)WAIT_EVENT(&recovery, SLEEP_UNINTERRUPTIBLE, NO_DEADLINE, late_queues != 0);
        for (struct blk_device *d = blk_next(NULL); d; d = blk_next(d)) {
            for (uint32_t i = 0; !d->whole && i < d->limits.queues; i++) {
                if (!atomic_exchange(&d->queues[i].late, false))
                    continue;
                atomic_fetch_sub(&late_queues, 1);
                recover(&d->queues[i]);
            }
        }
    }
}

int blk_recovery_start(void)
{
    if (atomic_exchange(&recovery_started, true))
        return 0;
    return thread_create_kernel("blk-recovery", recovery_thread, NULL);
}
