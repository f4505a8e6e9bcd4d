/* SPDX-License-Identifier: MIT */
/* Transfers that the caller waits for. */
#include "blk_int.h"

#include <abi/errno.h>
#include <libos/page.h>
#include <libos/sched.h>
#include <libos/waitq.h>
#include <plat/mem.h>

struct wait {
    struct waitq q;
    _Atomic bool done;
};

static void wake(struct blk_io *io)
{
    struct wait *w = io->arg;
    spin_lock(&w->q.lock);
    atomic_store(&w->done, true);
    if (w->q.head)
        thread_wake(w->q.head->thread);
    /* The waiter takes the lock before it leaves: w and io are gone after this. */
    spin_unlock(&w->q.lock);
}

int blk_transfer(struct blk_device *dev, enum blk_op op, unsigned flags, uint64_t sector,
                 uint32_t sectors, const struct blk_seg *segs, unsigned nsegs)
{
    struct wait w = { .done = false };
    struct blk_io io = {
        .dev = dev,
        .op = (uint8_t)op,
        .flags = (uint8_t)flags,
        .sector = sector,
        .sectors = sectors,
        .segs = segs,
        .nsegs = (uint16_t)nsegs,
        .done = wake,
        .arg = &w,
    };
    struct waiter me;
    waitq_init(&w.q);
    waitq_add(&w.q, &me);
    blk_submit(&io, NULL);
    /* Uninterruptible: thread_sleep gives 0. */
    while (thread_prepare_sleep(SLEEP_UNINTERRUPTIBLE), !w.done && !thread_sleep(NO_DEADLINE))
        ;
    thread_finish_sleep();
    waitq_remove(&w.q, &me);
    return io.status;
}

/* One buffer, in transfers that a 32-bit length holds. */
static int buffer(struct blk_device *dev, enum blk_op op, unsigned flags, uint64_t sector,
                  uint32_t sectors, void *buf)
{
    const uint32_t step = 1u << 20;
    int err = 0;
    for (uint32_t at = 0, n; at < sectors && !err; at += n) {
        n = (uint32_t)min_u64(sectors - at, step);
        struct blk_seg seg = { plat_virt_to_phys((char *)buf + (size_t)at * BLK_SECTOR),
                               n * BLK_SECTOR };
        err = blk_transfer(dev, op, flags, sector + at, n, &seg, 1);
    }
    return err;
}

int blk_read(struct blk_device *dev, uint64_t sector, uint32_t sectors, void *buf)
{
    return buffer(dev, BLK_READ, 0, sector, sectors, buf);
}

int blk_write(struct blk_device *dev, uint64_t sector, uint32_t sectors, const void *buf,
              unsigned flags)
{
    return buffer(dev, BLK_WRITE, flags, sector, sectors, (void *)(uintptr_t)buf);
}

int blk_flush(struct blk_device *dev)
{
    return blk_transfer(dev, BLK_FLUSH, 0, 0, 0, NULL, 0);
}

/* Write pages of zeros. */
static int write_zeros(struct blk_device *dev, uint64_t sector, uint64_t sectors)
{
    struct blk_seg segs[BLK_SEGS_MAX];
    struct page *zero = page_alloc(0, PAGE_KERNEL, PAGE_ZERO);
    int err = zero ? 0 : -ENOMEM;
    while (sectors && !err) {
        uint32_t n = (uint32_t)min_u64(sectors, BLK_SEGS_MAX * (PAGE_SIZE / BLK_SECTOR));
        unsigned nsegs = 0;
        for (uint32_t left = n * BLK_SECTOR; left; nsegs++) {
            segs[nsegs] = (struct blk_seg){ page_addr(zero), (uint32_t)min_u64(left, PAGE_SIZE) };
            left -= segs[nsegs].len;
        }
        err = blk_transfer(dev, BLK_WRITE, 0, sector, n, segs, nsegs);
        sector += n;
        sectors -= n;
    }
    if (zero)
        page_put(zero);
    return err;
}

int blk_zero(struct blk_device *dev, uint64_t sector, uint64_t sectors)
{
    int err = dev->limits.max_zero_sectors ? 0 : -EOPNOTSUPP;
    while (sectors && !err) {
        uint32_t n = (uint32_t)min_u64(sectors, 1u << 30);
        err = blk_transfer(dev, BLK_WRITE_ZEROES, BLK_NO_UNMAP, sector, n, NULL, 0);
        if (!err) {
            sector += n;
            sectors -= n;
        }
    }
    return err == -EOPNOTSUPP ? write_zeros(dev, sector, sectors) : err;
}

void blk_discard(struct blk_device *dev, uint64_t sector, uint64_t sectors)
{
    while (sectors && dev->limits.max_discard_sectors) {
        uint32_t n = (uint32_t)min_u64(sectors, 1u << 30);
        if (blk_transfer(dev, BLK_DISCARD, 0, sector, n, NULL, 0))
            return;
        sector += n;
        sectors -= n;
    }
}
