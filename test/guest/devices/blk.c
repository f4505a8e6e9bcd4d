/* SPDX-License-Identifier: MIT */
/* Disks: what is written is read back, in many sizes and several at a time; errors are errors. The script checks what the
 * image then holds. */
#include "devices_test.h"

#include <abi/errno.h>
#include <libos/dev/blk.h>
#include <libos/heap.h>
#include <libos/page.h>
#include <libos/waitq.h>
#include <plat/mem.h>
#include <plat/time.h>
#include <string.h>

enum { AREA = 2048, MANY = 96 }; /* sectors of the test; transfers at once */

static struct waitq wait;
static _Atomic unsigned ended, failed;

static void fill(uint8_t *p, uint64_t sector, unsigned sectors)
{
    for (unsigned i = 0; i < sectors * BLK_SECTOR; i++)
        p[i] = (uint8_t)((sector + i / BLK_SECTOR) * 13 + i);
}

static void sizes(struct blk_device *d, uint8_t *a, uint8_t *b, unsigned unit)
{
    uint64_t at = 0;

    for (unsigned n = unit; n <= 256; n = n < 8 * unit ? n + unit : n * 2) {
        fill(a, at, n);
        must(!blk_write(d, at, n, a, 0));
        memset(b, 0, n * BLK_SECTOR);
        must(!blk_read(d, at, n, b));
        must(!memcmp(a, b, n * BLK_SECTOR));
        at += n;
    }
    must(!blk_flush(d));
}

static void done(struct blk_io *io)
{
    failed += io->status != 0;
    ended++;
    waitq_wake(&wait, WAITQ_ALL, 0);
}

/* MANY transfers of a page each, some neighbours, begun together. */
static void many(struct blk_device *d, enum blk_op op, uint8_t *mem)
{
    static struct blk_io ios[MANY];
    static struct blk_seg segs[MANY];
    struct blk_plug plug;

    ended = 0;
    blk_plug_start(&plug);
    for (unsigned i = 0; i < MANY; i++) {
        unsigned k = i * 37 % MANY;
        segs[i] = (struct blk_seg){ page_addr(page_of(plat_virt_to_phys(mem))), PAGE_SIZE };
        segs[i].addr.v += (uint64_t)k * PAGE_SIZE;
        ios[i] = (struct blk_io){ .dev = d,
                                  .op = op,
                                  .nsegs = 1,
                                  .sector = AREA + k * 8u,
                                  .sectors = 8,
                                  .segs = &segs[i],
                                  .done = done };
        blk_submit(&ios[i], &plug);
    }
    blk_plug_finish(&plug);
    (void)WAIT_EVENT(&wait, SLEEP_UNINTERRUPTIBLE, plat_time_ns() + 60 * NS_PER_SEC, ended == MANY);
    if (ended != MANY || failed)
        panic("blk: %u of %u ended, %u failed", ended, MANY, failed);
}

static void edges(struct blk_device *d, uint8_t *a, unsigned unit)
{
    uint64_t n = d->sectors;

    must(!blk_write(d, n - unit, unit, a, 0));
    must(blk_read(d, n, unit, a) == -EIO);
    must(blk_read(d, n - unit, 2 * unit, a) == -EIO);
    must(blk_read(d, UINT64_MAX - unit + 1, unit, a) == -EIO);
    if (d->limits.max_zero_sectors) {
        must(!blk_zero(d, 0, 64));
        must(!blk_read(d, 0, 64, a));
        for (unsigned i = 0; i < 64 * BLK_SECTOR; i++)
            must(!a[i]);
    }
    if (d->limits.max_discard_sectors)
        blk_discard(d, AREA + MANY * 8, 64);
}

static void one(struct blk_device *d)
{
    struct page *p = page_alloc(7, PAGE_KERNEL, 0), *q = page_alloc(7, PAGE_KERNEL, 0);
    unsigned unit = d->limits.logical_block / BLK_SECTOR;

    must(p && q);
    say("blk name=%s sectors=%llu serial=%s block=%u/%u ro=%u cache=%u queues=%u depth=%u segs=%u "
        "discard=%u zero=%u",
        d->name, (unsigned long long)d->sectors, d->serial, d->limits.logical_block,
        d->limits.physical_block, d->limits.read_only, d->limits.volatile_cache, d->limits.queues,
        d->limits.queue_depth, d->limits.max_segs, d->limits.max_discard_sectors,
        d->limits.max_zero_sectors);
    if (d->limits.read_only) {
        must(!blk_read(d, 0, unit, page_ptr(p)));
        say("blk name=%s first=%02x write=%d", d->name, *(uint8_t *)page_ptr(p),
            blk_write(d, 0, unit, page_ptr(p), 0));
    } else {
        sizes(d, page_ptr(p), page_ptr(q), unit);
        fill(page_ptr(p), 7, MANY * 8);
        many(d, BLK_WRITE, page_ptr(p));
        memset(page_ptr(q), 0, MANY * PAGE_SIZE);
        many(d, BLK_READ, page_ptr(q));
        must(!memcmp(page_ptr(p), page_ptr(q), MANY * PAGE_SIZE));
        edges(d, page_ptr(p), unit);
        must(!blk_flush(d));
    }
    page_put(p);
    page_put(q);
}

void test_blk(void)
{
    waitq_init(&wait);
    for (struct blk_device *d = blk_next(NULL); d; d = blk_next(d))
        one(d);
}
