/* SPDX-License-Identifier: MIT */
/* Write-back. write(2) and mappings only make pages dirty and reserve room. Write-back takes dirty neighbours, chooses blocks for
 * those that have none, writes the data, and only when it is on its way through the device's queue and completed does a
 * transaction change the map and the size: no crash shows anybody what a block held before. One write-back of an inode at
 * a time (ei->wb), which truncation and its kind take too. */
#include "ext4.h"

#include <abi/errno.h>
#include <base/log.h>
#include <libos/errseq.h>
#include <libos/sched.h>
#include <string.h>

enum { BATCH_PAGES = 256, PIECES_MAX = 64, RUNS_MAX = 32, CREDITS = 24 };

/* A piece of a batch: blocks in a row, in the file and on the disk. */
struct piece {
    uint32_t lblock, count;
    uint64_t block;
    bool fresh;     /* chosen now: not in the map */
    bool unwritten; /* in the map, to be read as zeros so far */
};

/* Dirty neighbours, and where they go. */
struct run {
    uint64_t index;
    struct page **page;
    size_t n, whole; /* pages; those that have a place */
    uint64_t size;   /* of the file when it was taken */
    struct piece *piece;
    unsigned pieces;
    int err;
};

/* What is written together: all of it is on its way before anything is waited for. */
struct batch {
    struct ext4_inode *ei;
    struct page *page[BATCH_PAGES];
    struct piece piece[PIECES_MAX];
    struct run run[RUNS_MAX];
    size_t pages;
    unsigned pieces, runs;
    bool left; /* pieces did not fit: their pages are dirty again */
    struct io_batch io;
};

int ext4_page_dirty(struct ext4_inode *ei, uint64_t index, struct page *p)
{
    struct ext4 *fs = ei->fs;
    struct pagemap *m = &ei->inode->pages;
    uint32_t per = PAGE_SIZE >> fs->block_bits;
    if (fs->error || fs->read_only)
        return fs->error ? -EIO : -EROFS;
    if (p->flags & PAGE_DELAYED || (p->flags & PAGE_DIRTY && !(p->flags & PAGE_WRITEBACK))) {
        pagemap_mark(m, index, p, 0);
        ext4_dirty(ei);
        return 0;
    }
    struct ext4_run run = { 0 };
    uint64_t lblock = index * per;
    if (lblock + per > UINT32_MAX || (!(ei->flags & FL_EXTENTS)))
        return lblock + per > UINT32_MAX ? -EFBIG : -EOPNOTSUPP;
    rwmutex_read_lock(&ei->map);
    int err = ext4_map(ei, (uint32_t)lblock, per, &run);
    rwmutex_read_unlock(&ei->map);
    if (err)
        return err;
    if (run.block && run.count == per) {
        pagemap_mark(m, index, p, 0);
    } else {
        err = balloc_reserve(fs, per, vfs_may_use_reserve());
        if (err)
            return err;
        ei->delayed += per;
        if (!pagemap_mark(m, index, p, PAGE_DELAYED)) {
            balloc_unreserve(fs, per);
            ei->delayed -= per;
        }
    }
    ext4_dirty(ei);
    return 0;
}

/* Blocks of the run that are within the file. */
static uint32_t run_blocks(const struct ext4_inode *ei, const struct run *r)
{
    uint64_t at = r->index * PAGE_SIZE, bytes = r->whole * PAGE_SIZE;
    if (at >= r->size)
        return 0;
    bytes = min_u64(bytes, r->size - at);
    return (uint32_t)((bytes + ei->fs->block_size - 1) >> ei->fs->block_bits);
}

/* Choose blocks for a hole. */
static int choose(struct ext4_inode *ei, struct piece *p, uint32_t lblock, uint32_t max)
{
    uint32_t count = max;
    uint64_t block;
    int err = balloc_take(ei->fs, ext4_goal(ei), &count, &block);
    if (err)
        return err;
    *p = (struct piece){ lblock, count, block, .fresh = true };
    ei->goal = block + count;
    return 0;
}

/* Find or choose the places of the run's blocks. What does not fit into the list of pieces is left for the next round:
 * *ret_blocks says how many have a place. */
static int place(struct batch *b, struct run *r, uint32_t blocks, uint32_t *ret_blocks)
{
    struct ext4_inode *ei = b->ei;
    uint32_t per = PAGE_SIZE >> ei->fs->block_bits, first = (uint32_t)(r->index * per), done = 0;
    int err = 0;
    rwmutex_read_lock(&ei->map);
    while (done < blocks && b->pieces < PIECES_MAX && !err) {
        struct ext4_run run;
        struct piece *p = &b->piece[b->pieces];
        err = ext4_map(ei, first + done, blocks - done, &run);
        if (err)
            break;
        if (run.block)
            *p = (struct piece){ first + done, run.count, run.block, .unwritten = run.unwritten };
        else
            err = choose(ei, p, first + done, run.count);
        if (!err) {
            done += p->count;
            b->pieces++;
            r->pieces++;
        }
    }
    rwmutex_read_unlock(&ei->map);
    *ret_blocks = done;
    return done ? 0 : err;
}

/* Where the file ends as far as this run goes: behind the end zeros are written, and pages there need no place. While a write
 * extends the file, that is not so yet: the page with the end and those behind it stay dirty. */
static void settle_end(struct ext4_inode *ei, struct run *r)
{
    uint64_t last = r->index + r->n - 1;
    spin_lock(&ei->inode->pages.lock);
    uint64_t size = ei->inode->size;
    if (ei->extending) {
        uint64_t end = size / PAGE_SIZE;
        r->whole = end <= r->index ? 0 : (size_t)min_u64(r->n, end - r->index);
        ei->held_back |= r->whole < r->n;
    } else if (size > last * PAGE_SIZE && size < (last + 1) * PAGE_SIZE) {
        memset((char *)page_ptr(r->page[r->n - 1]) + size % PAGE_SIZE, 0,
               PAGE_SIZE - size % PAGE_SIZE);
    }
    spin_unlock(&ei->inode->pages.lock);
    r->size = size;
}

/* The pages from whole on have no place yet: dirty again. */
static void leave_dirty(struct ext4_inode *ei, const struct run *r)
{
    for (size_t i = r->whole; i < r->n; i++)
        (void)pagemap_mark(&ei->inode->pages, r->index + i, r->page[i], 0);
}

/* Start to write the pieces' data. Pages that are neighbours in memory make one transfer. */
static void transfer(struct batch *b, const struct run *r)
{
    struct ext4 *fs = b->ei->fs;
    uint32_t per = PAGE_SIZE >> fs->block_bits, first = (uint32_t)(r->index * per);
    for (unsigned i = 0; i < r->pieces; i++) {
        const struct piece *p = &r->piece[i];
        for (uint32_t done = 0; done < p->count;) {
            uint32_t at = p->lblock - first + done;
            uint32_t n = (uint32_t)min_u64(per - at % per, p->count - done);
            char *data = (char *)page_ptr(r->page[at / per]) + (at % per << fs->block_bits);
            while (done + n < p->count && n < (64u << 10 >> fs->block_bits)) {
                uint32_t more = (uint32_t)min_u64(per, p->count - done - n);
                if (page_ptr(r->page[(at + n) / per]) != data + ((size_t)n << fs->block_bits))
                    break;
                n += more;
            }
            io_batch_add(fs, &b->io, BLK_WRITE, (p->block + done) * fs->sectors, data,
                         n << fs->block_bits);
            done += n;
        }
    }
}

/* The data is there: the map and the size follow, piece by piece. */
static int publish_piece(struct ext4_inode *ei, const struct piece *p, uint64_t file_size)
{
    struct ext4 *fs = ei->fs;
    uint64_t end = (uint64_t)(p->lblock + p->count) << fs->block_bits;
    uint64_t size = min_u64(end, file_size);
    bool grow = size > ei->disksize;
    if (!p->fresh && !p->unwritten && !grow)
        return 0;
    int err = txn_start(fs, CREDITS);
    if (err)
        return err;
    rwmutex_write_lock(&ei->map);
    if (p->fresh) {
        err = balloc_mark(fs, p->block, p->count);
        if (!err) {
            err = extent_insert(ei, p->lblock, p->block, p->count, false);
            if (!err)
                ei->blocks512 += (uint64_t)p->count * fs->sectors;
        }
    } else if (p->unwritten) {
        err = extent_convert(ei, p->lblock, p->count);
    }
    rwmutex_write_unlock(&ei->map);
    if (!err && grow)
        ei->disksize = size;
    if (!err)
        err = ext4_core_write(ei);
    txn_stop(fs);
    return err;
}

/* The run's data is there (err 0) or not. Blocks that do not get into the map are free again. */
static int publish(struct ext4_inode *ei, struct run *r, int err)
{
    for (unsigned i = 0; i < r->pieces; i++) {
        struct piece *p = &r->piece[i];
        if (!err) {
            err = publish_piece(ei, p, r->size);
            if (!err)
                p->fresh = false;
        }
        if (err && p->fresh)
            balloc_untake(ei->fs, p->block, p->count);
    }
    return err;
}

/* Add the first dirty neighbours of [*index, end), and start to write them. False: there are none. */
static bool add_run(struct batch *b, uint64_t *index, uint64_t end)
{
    struct ext4_inode *ei = b->ei;
    struct run *r = &b->run[b->runs];
    uint32_t per = PAGE_SIZE >> ei->fs->block_bits, done = 0;
    *r = (struct run){ .index = *index, .page = b->page + b->pages, .piece = b->piece + b->pieces };
    r->n = pagemap_take_dirty(&ei->inode->pages, &r->index, end, r->page, BATCH_PAGES - b->pages);
    if (!r->n)
        return false;
    *index = r->index + r->n;
    r->whole = r->n;
    b->pages += r->n;
    b->runs++;
    settle_end(ei, r);
    uint32_t blocks = run_blocks(ei, r);
    if (blocks)
        r->err = place(b, r, blocks, &done);
    if (!r->err && done < blocks) {
        r->whole = done / per;
        b->left = true;
    }
    leave_dirty(ei, r);
    if (!blocks)
        return true;
    if (!r->err)
        transfer(b, r);
    return true;
}

/* End a run. Pages that found no place are dirty again. */
static int end_run(struct ext4_inode *ei, struct run *r, int io_error)
{
    uint32_t per = PAGE_SIZE >> ei->fs->block_bits;
    int err = publish(ei, r, r->err ? r->err : io_error);
    size_t delayed = pagemap_written(&ei->inode->pages, r->page, r->whole, true) * per;
    (void)pagemap_written(&ei->inode->pages, r->page + r->whole, r->n - r->whole, false);
    balloc_unreserve(ei->fs, (uint32_t)delayed);
    ei->delayed -= (uint32_t)delayed;
    return err;
}

/* A write-back failed: everybody who has the file open is told once, and so is who syncs the file system. */
static void tell_error(struct ext4_inode *ei, int err)
{
    log_error("%s: ext4: data of inode %u was lost (error %d)", ei->fs->dev->name, ei->ino, -err);
    errseq_set(&ei->wb_error, err);
    errseq_set(&ei->fs->sb.wb_error, err);
}

/* Go through [first, end) once. *ret_left: not all of it found room in a batch. */
static int write_round(struct ext4_inode *ei, uint64_t first, uint64_t end, bool *ret_left)
{
    int err = 0;
    *ret_left = false;
    if (!ei->inode->pages.dirty)
        return 0;
    struct batch *b = heap_alloc(sizeof(*b));
    if (!b)
        return -ENOMEM;
    b->ei = ei;
    b->left = false;
    io_batch_init(&b->io);
    for (bool more = true; more;) {
        b->pages = b->pieces = b->runs = 0;
        do
            more = add_run(b, &first, end);
        while (more && b->pages < BATCH_PAGES && b->pieces < PIECES_MAX && b->runs < RUNS_MAX);
        int io_error = b->runs ? io_batch_wait(&b->io) : 0;
        for (unsigned i = 0; i < b->runs; i++) {
            int err2 = end_run(ei, &b->run[i], io_error);
            if (err2)
                tell_error(ei, err2);
            err = err ? err : err2;
        }
        (void)thread_preempt_point(); /* what was begun is finished */
    }
    *ret_left = b->left;
    heap_free(b);
    return err;
}

int ext4_writeback_locked(struct ext4_inode *ei, uint64_t first, uint64_t end)
{
    bool left = true;
    int err = 0;
    ei->held_back = false;
    /* Until all is written, or nothing helps. */
    for (unsigned round = 0; !err && left && round < 16; round++)
        err = write_round(ei, first, end, &left);
    return err;
}

int ext4_writeback(struct ext4_inode *ei, uint64_t first, uint64_t end)
{
    mutex_lock(&ei->wb);
    int err = ext4_writeback_locked(ei, first, end);
    mutex_unlock(&ei->wb);
    return err;
}

/* All that was written before, also to the page where another write is extending the file just now: its end is waited for. */
static int write_all(struct ext4_inode *ei, uint64_t first, uint64_t end)
{
    mutex_lock(&ei->wb);
    int err = ext4_writeback_locked(ei, first, end);
    bool again = ei->held_back;
    mutex_unlock(&ei->wb);
    if (!again || err)
        return err;
    rwmutex_read_lock(&ei->inode->lock);
    err = ext4_writeback(ei, first, end);
    rwmutex_read_unlock(&ei->inode->lock);
    return err;
}

int ext4_fsync_inode(struct ext4_inode *ei, uint64_t from, uint64_t end, bool data_only)
{
    struct ext4 *fs = ei->fs;
    if (fs->read_only)
        return fs->error ? -EIO : 0;
    int err = write_all(ei, from / PAGE_SIZE, pagemap_end(end));
    if (!err && (data_only ? ei->data_dirty : ei->core_dirty))
        err = ext4_core_flush(ei);
    if (err)
        return err;
    uint32_t tid = data_only ? ei->data_tid : ei->tid;
    return tid ? txn_sync(fs, tid) : blk_flush(fs->dev) ? -EIO : 0;
}
