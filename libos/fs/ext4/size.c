/* SPDX-License-Identifier: MIT */
/* What changes a file's size or map as a whole: truncate and fallocate. inode->lock is held for writing, so nobody writes; ei->wb
 * keeps write-back out. What takes several transactions leaves a whole file after each. */
#include "ext4.h"

#include <abi/errno.h>
#include <abi/fcntl.h>
#include <libos/sched.h>
#include <string.h>

enum { CREDITS = 32, PREALLOC_MAX = EXTENT_LEN_MAX - 1 };

/* Take [first, end) out of the map, in as many transactions as it takes. */
static int remove_blocks(struct ext4_inode *ei, uint32_t first, uint64_t end)
{
    struct ext4 *fs = ei->fs;
    bool more = true, mapped = ei->flags & FL_EXTENTS;
    while (more) {
        int err = txn_start(fs, CREDITS * 3);
        if (err)
            return err;
        rwmutex_write_lock(&ei->map);
        err = mapped ? extent_remove(ei, first, end, &more) : indirect_remove(ei, first, &more);
        rwmutex_write_unlock(&ei->map);
        if (!err)
            err = ext4_core_write(ei);
        txn_stop(fs);
        if (err)
            return err;
    }
    return 0;
}

static bool has_map(const struct ext4_inode *ei)
{
    uint32_t mode = ei->inode->mode;
    if (ei->flags & FL_INLINE_DATA)
        return false;
    return S_ISREG(mode) || S_ISDIR(mode) ||
           (S_ISLNK(mode) && ei->inode->size >= INODE_BLOCK_BYTES);
}

int ext4_truncate_blocks(struct ext4_inode *ei, uint64_t size)
{
    uint64_t first = (size + ei->fs->block_size - 1) >> ei->fs->block_bits;
    if (!has_map(ei) || first > UINT32_MAX)
        return 0;
    return remove_blocks(ei, (uint32_t)first, 1ull << 32);
}

/* Write the new size, within a transaction of its own; begin: also onto the orphan list, end: off it. */
static int write_size(struct ext4_inode *ei, bool begin, bool end)
{
    int err = txn_start(ei->fs, 8);
    if (err)
        return err;
    ei->disksize = ei->inode->size;
    if (begin)
        err = orphan_add(ei);
    if (!err && end)
        err = orphan_del(ei);
    if (!err)
        err = ext4_core_write(ei);
    txn_stop(ei->fs);
    return err;
}

static int shrink(struct ext4_inode *ei, uint64_t size)
{
    struct inode *inode = ei->inode;
    uint64_t old = inode->size;
    inode->size = size;
    int err = ext4_zero_eof(ei);
    if (err && err != -ENOSPC) {
        inode->size = old;
        return err;
    }
    pagemap_remove(&inode->pages, align_up(size, PAGE_SIZE) / PAGE_SIZE, UINT64_MAX / PAGE_SIZE);
    err = write_size(ei, true, false);
    if (!err)
        err = ext4_truncate_blocks(ei, size);
    if (!err)
        err = write_size(ei, false, true);
    return err;
}

int ext4_set_size(struct inode *inode, uint64_t size)
{
    struct ext4_inode *ei = ext4_i(inode);
    int err = 0;
    if (size > (uint64_t)UINT32_MAX << ei->fs->block_bits)
        return -EFBIG;
    if (!(ei->flags & FL_EXTENTS) && size)
        return -EOPNOTSUPP;
    if (size == inode->size && !size && !ei->blocks512 && !ei->delayed)
        return 0;
    ext4_direct_wait(ei, false);
    mutex_lock(&ei->wb);
    if (size < inode->size || size == 0) {
        err = shrink(ei, size);
    } else {
        if (size > inode->size)
            err = ext4_zero_eof(ei);
        /* The zeros first: with the new size they count. */
        if (!err && size > inode->size)
            err = ext4_writeback_locked(ei, inode->size / PAGE_SIZE, inode->size / PAGE_SIZE + 1);
        inode->size = err ? inode->size : size;
        if (!err)
            err = write_size(ei, false, false);
        if (!err) /* blocks that were allocated behind the end go with truncate(2) */
            err = ext4_truncate_blocks(ei, size);
    }
    mutex_unlock(&ei->wb);
    return err;
}

/* Zero bytes [from, to), within one page, if there is something. */
static int zero_part(struct ext4_inode *ei, uint64_t from, uint64_t to)
{
    struct page *p;
    if (from >= to || from >= ei->inode->size)
        return 0;
    int err = pagemap_get(&ei->inode->pages, from / PAGE_SIZE, true, &p);
    if (err)
        return err;
    err = ext4_page_dirty(ei, from / PAGE_SIZE, p);
    if (!err) {
        memset((char *)page_ptr(p) + from % PAGE_SIZE, 0, to - from);
        pagemap_mark(&ei->inode->pages, from / PAGE_SIZE, p, 0);
    }
    page_put(p);
    return err;
}

/* Make [from, to) read as zeros and free its whole blocks. */
static int punch(struct ext4_inode *ei, uint64_t from, uint64_t to)
{
    uint32_t bits = ei->fs->block_bits;
    uint64_t first = align_up(from, PAGE_SIZE), last = align_down(to, PAGE_SIZE);
    int err;
    if (first > last) {
        err = zero_part(ei, from, to);
    } else {
        err = zero_part(ei, from, first);
        if (!err)
            err = zero_part(ei, last, to);
    }
    if (!err)
        err = ext4_writeback_locked(ei, from / PAGE_SIZE, to / PAGE_SIZE + 1);
    if (!err && first < last)
        pagemap_remove(&ei->inode->pages, first / PAGE_SIZE, last / PAGE_SIZE);
    uint64_t b0 = align_up(from, 1u << bits) >> bits, b1 = to >> bits;
    if (!err && b0 < b1)
        err = remove_blocks(ei, (uint32_t)b0, b1);
    /* Again: a reader may have filled the cache from blocks that were still there. */
    if (first < last)
        pagemap_remove(&ei->inode->pages, first / PAGE_SIZE, last / PAGE_SIZE);
    return err;
}

/* Give one hole of [lblock, end) blocks; *ret_next: where to go on. */
static int preallocate_one(struct ext4_inode *ei, uint32_t lblock, uint64_t end, uint32_t *ret_next)
{
    struct ext4 *fs = ei->fs;
    struct ext4_run run;
    int err = txn_start(fs, CREDITS);
    if (err)
        return err;
    rwmutex_write_lock(&ei->map);
    err = ext4_map(ei, lblock, (uint32_t)min_u64(end - lblock, PREALLOC_MAX), &run);
    if (!err && !run.block) {
        uint32_t count = run.count;
        uint64_t block;
        err = fs->free_blocks - fs->reserved < (int64_t)count + 16 ? -ENOSPC : 0;
        if (!err)
            err = balloc_take(fs, ext4_goal(ei), &count, &block);
        if (!err) {
            err = balloc_mark(fs, block, count);
            if (err)
                balloc_untake(fs, block, count);
        }
        if (!err)
            err = extent_insert(ei, lblock, block, count, true);
        if (!err) {
            ei->blocks512 += (uint64_t)count * fs->sectors;
            ei->goal = block + count;
            run.count = count;
        }
    }
    rwmutex_write_unlock(&ei->map);
    if (!err)
        err = ext4_core_write(ei);
    txn_stop(fs);
    *ret_next = lblock + run.count;
    return err;
}

static int preallocate(struct ext4_inode *ei, uint64_t from, uint64_t to)
{
    uint32_t bits = ei->fs->block_bits, at = (uint32_t)(from >> bits);
    uint64_t end = (to + (1u << bits) - 1) >> bits;
    int err = 0;
    while (at < end && !err) {
        err = preallocate_one(ei, at, end, &at);
        if (!err && thread_preempt_point())
            err = -EINTR;
    }
    return err;
}

/* Move all blocks from `first` on by `by`. */
static int shift(struct ext4_inode *ei, uint32_t first, int64_t by)
{
    struct ext4 *fs = ei->fs;
    bool more = true;
    while (more) {
        int err = txn_start(fs, CREDITS);
        if (err)
            return err;
        rwmutex_write_lock(&ei->map);
        err = by < 0 ? extent_shift_left(ei, &first, (uint32_t)-by, &more)
                     : extent_shift_right(ei, first, (uint32_t)by, &more);
        rwmutex_write_unlock(&ei->map);
        if (!err)
            err = ext4_core_write(ei);
        txn_stop(fs);
        if (err)
            return err;
    }
    return 0;
}

static int collapse_or_insert(struct ext4_inode *ei, int mode, uint64_t off, uint64_t len)
{
    struct inode *inode = ei->inode;
    uint32_t bits = ei->fs->block_bits;
    bool collapse = mode & FALLOC_FL_COLLAPSE_RANGE;
    if ((off | len) & ((1u << bits) - 1) || (collapse ? off + len : off) >= inode->size)
        return -EINVAL;
    if (!collapse && len > ((uint64_t)UINT32_MAX << bits) - inode->size)
        return -EFBIG;
    int err = ext4_writeback_locked(ei, off / PAGE_SIZE, UINT64_MAX);
    if (err)
        return err;
    pagemap_remove(&inode->pages, off / PAGE_SIZE, UINT64_MAX / PAGE_SIZE);
    if (collapse) {
        err = remove_blocks(ei, (uint32_t)(off >> bits), (off + len) >> bits);
        if (!err)
            err = shift(ei, (uint32_t)((off + len) >> bits), -(int64_t)(len >> bits));
        inode->size -= err ? 0 : len;
        if (!err)
            err = write_size(ei, false, false);
    } else {
        /* The size first: no initialized block may lie behind it. */
        inode->size += len;
        err = write_size(ei, false, false);
        if (!err)
            err = shift(ei, (uint32_t)(off >> bits), (int64_t)(len >> bits));
    }
    /* Again: a reader may have filled the cache from blocks that had not moved yet. */
    pagemap_remove(&inode->pages, off / PAGE_SIZE, UINT64_MAX / PAGE_SIZE);
    return err;
}

static int change(struct ext4_inode *ei, int mode, uint64_t off, uint64_t len)
{
    struct inode *inode = ei->inode;
    uint64_t end = off + len;
    bool keep = mode & FALLOC_FL_KEEP_SIZE;
    int err = 0;
    if (mode & FALLOC_FL_PUNCH_HOLE)
        return punch(ei, off, end);
    if (mode & (FALLOC_FL_COLLAPSE_RANGE | FALLOC_FL_INSERT_RANGE))
        return collapse_or_insert(ei, mode, off, len);
    if (end > inode->size && !keep) {
        err = ext4_zero_eof(ei);
        if (!err)
            err = ext4_writeback_locked(ei, inode->size / PAGE_SIZE, inode->size / PAGE_SIZE + 1);
    }
    if (!err && mode & FALLOC_FL_ZERO_RANGE)
        err = punch(ei, off, end);
    if (!err)
        err = preallocate(ei, off, end);
    if (!err && !keep && end > inode->size) {
        inode->size = end;
        err = write_size(ei, false, false);
    }
    return err;
}

int ext4_fallocate(struct file *f, int mode, uint64_t off, uint64_t len)
{
    struct inode *inode = f->inode;
    struct ext4_inode *ei = ext4_i(inode);
    const int ops = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE | FALLOC_FL_COLLAPSE_RANGE |
                    FALLOC_FL_INSERT_RANGE;
    int op = mode & ops;
    if (mode & ~(ops | FALLOC_FL_KEEP_SIZE) || op & (op - 1) ||
        (op == FALLOC_FL_PUNCH_HOLE && !(mode & FALLOC_FL_KEEP_SIZE)) ||
        (op & (FALLOC_FL_COLLAPSE_RANGE | FALLOC_FL_INSERT_RANGE) && mode & FALLOC_FL_KEEP_SIZE) ||
        !(ei->flags & FL_EXTENTS))
        return -EOPNOTSUPP;
    if (off + len > (uint64_t)UINT32_MAX << ei->fs->block_bits)
        return -EFBIG;
    rwmutex_write_lock(&inode->lock);
    ext4_direct_wait(ei, false);
    int err = 0;
    if (!op && !(mode & FALLOC_FL_KEEP_SIZE) && off + len > inode->size &&
        file_write_limit(inode->size, off + len - inode->size) < (int64_t)(off + len - inode->size))
        err = -EFBIG;
    if (!err) {
        mutex_lock(&ei->wb);
        err = change(ei, mode, off, len);
        mutex_unlock(&ei->wb);
    }
    if (!err) {
        inode_drop_setid(inode);
        inode->mtime = inode->ctime = vfs_now();
        inode->atime_until = 0;
        ext4_core_dirty(ei, false);
    }
    rwmutex_write_unlock(&inode->lock);
    return err;
}
