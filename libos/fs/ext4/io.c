/* SPDX-License-Identifier: MIT */
/* Transfers that are started together and waited for together. */
#include "ext4.h"

#include <libos/sched.h>
#include <plat/mem.h>

static void io_done(struct blk_io *io)
{
    struct io_batch *b = io->arg;
    spin_lock(&b->wait.lock);
    if (io->status && !b->status)
        b->status = io->status;
    if (--b->pending == 0 && b->wait.head)
        thread_wake(b->wait.head->thread);
    /* The waiter takes the lock before it goes on: b is not used after this. */
    spin_unlock(&b->wait.lock);
}

void io_batch_init(struct io_batch *b)
{
    waitq_init(&b->wait);
    b->n = b->nsegs = 0;
    b->pending = 0;
    b->status = 0;
}

static void start_and_wait(struct io_batch *b)
{
    struct blk_plug plug;
    struct waiter me;
    b->pending = b->n; /* nobody else knows the batch yet */
    blk_plug_start(&plug);
    for (unsigned i = 0; i < b->n; i++)
        blk_submit(&b->io[i], &plug);
    blk_plug_finish(&plug);
    waitq_add(&b->wait, &me);
    /* Uninterruptible: thread_sleep gives 0. */
    while (thread_prepare_sleep(SLEEP_UNINTERRUPTIBLE),
           *(volatile uint32_t *)&b->pending && !thread_sleep(NO_DEADLINE))
        ;
    thread_finish_sleep();
    waitq_remove(&b->wait, &me);
    b->n = b->nsegs = 0;
}

void io_batch_add(struct ext4 *fs, struct io_batch *b, enum blk_op op, uint64_t sector, void *data,
                  uint32_t bytes)
{
    if (b->nsegs == IO_BATCH)
        start_and_wait(b);
    struct blk_io *last = b->n ? &b->io[b->n - 1] : NULL;
    struct blk_seg *seg = &b->seg[b->nsegs++];
    *seg = (struct blk_seg){ plat_virt_to_phys(data), bytes };
    if (last && last->op == op && last->dev == fs->dev && last->sector + last->sectors == sector) {
        last->sectors += bytes / BLK_SECTOR;
        last->nsegs++;
        return;
    }
    b->io[b->n++] = (struct blk_io){
        .dev = fs->dev,
        .op = (uint8_t)op,
        .sector = sector,
        .sectors = bytes / BLK_SECTOR,
        .segs = seg,
        .nsegs = 1,
        .done = io_done,
        .arg = b,
    };
}

int io_batch_wait(struct io_batch *b)
{
    start_and_wait(b);
    int err = b->status;
    b->status = 0;
    return err;
}
