/* SPDX-License-Identifier: MIT */
/* The thread of each file system that brings to the disk what nobody syncs: a few seconds after something became dirty, and not at
 * all while nothing is. */
#include "ext4.h"

#include <abi/errno.h>
#include <base/log.h>
#include <libos/page.h>
#include <libos/sched.h>
#include <plat/time.h>

enum { FLUSH_AFTER_S = 5 };

/* Write what one inode has. */
static int flush_inode(struct ext4_inode *ei)
{
    int err = ext4_writeback(ei, 0, UINT64_MAX), err2 = ext4_core_flush(ei);
    return err ? err : err2;
}

static void walk_end(struct ext4 *fs)
{
    if (atomic_fetch_sub(&fs->walkers, 1) == 1)
        ext4_flusher_wake(fs);
}

int ext4_sync_fs(struct ext4 *fs)
{
    struct ext4_inode *ei;
    int err = 0;
    atomic_fetch_add(&fs->walkers, 1);
    /* Those that become dirty meanwhile are another sync's; a bound, in case they never end. */
    for (uint32_t n = fs->ndirty + 64; n && (ei = ext4_dirty_take(fs)); n--) {
        int err2 = flush_inode(ei);
        err = err ? err : err2;
        inode_put(ei->inode);
    }
    walk_end(fs);
    /* What somebody else took from the list is not written yet, perhaps. */
    (void)WAIT_EVENT(&fs->flusher, SLEEP_UNINTERRUPTIBLE, NO_DEADLINE, !fs->walkers);
    int err2 = txn_commit(fs, txn_tid(fs));
    if (!err2)
        err2 = blk_flush(fs->dev) ? -EIO : 0;
    return err ? err : err2;
}

void ext4_settle(void *owner)
{
    struct ext4 *fs = owner;
    struct ext4_inode *ei;
    if (fs->read_only)
        return;
    atomic_fetch_add(&fs->walkers, 1);
    for (uint32_t n = fs->ndirty; n && (ei = ext4_dirty_take(fs)); n--) {
        (void)!ext4_core_flush(ei); /* who syncs is told of errors */
        if (ei->inode->pages.dirty || ei->core_dirty)
            ext4_dirty(ei);
        inode_put(ei->inode);
    }
    walk_end(fs);
}

void ext4_flusher_wake(struct ext4 *fs)
{
    if (waitq_active(&fs->flusher))
        waitq_wake(&fs->flusher, WAITQ_ALL, 0);
}

static bool has_work(const struct ext4 *fs)
{
    return fs->dirty || fs->txn.nbufs || fs->flusher_stop;
}

static void flusher(void *arg)
{
    struct ext4 *fs = arg;
    while (!fs->flusher_stop) {
        (void)WAIT_EVENT(&fs->flusher, SLEEP_UNINTERRUPTIBLE, NO_DEADLINE, has_work(fs));
        uint64_t until = plat_time_ns() + FLUSH_AFTER_S * NS_PER_SEC;
        (void)WAIT_EVENT(&fs->flusher, SLEEP_UNINTERRUPTIBLE, until, fs->flusher_stop);
        if (!fs->flusher_stop && !fs->error)
            (void)ext4_sync_fs(fs); /* who syncs is told of errors */
        if (fs->error)
            (void)WAIT_EVENT(&fs->flusher, SLEEP_UNINTERRUPTIBLE, NO_DEADLINE, fs->flusher_stop);
    }
    fs->flusher_done = true;
    waitq_wake(&fs->flusher, WAITQ_ALL, 0);
}

int ext4_flusher_start(struct ext4 *fs)
{
    waitq_init(&fs->flusher);
    return thread_create_kernel("ext4-flush", flusher, fs);
}

void ext4_flusher_stop(struct ext4 *fs)
{
    fs->flusher_stop = true;
    waitq_wake(&fs->flusher, WAITQ_ALL, 0);
    (void)WAIT_EVENT(&fs->flusher, SLEEP_UNINTERRUPTIBLE, NO_DEADLINE, fs->flusher_done);
}
