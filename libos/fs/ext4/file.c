/* SPDX-License-Identifier: MIT */
/* Regular files: read, write, seek, sync. Reading is generic but for O_DIRECT: it goes through the page cache, which read.c
 * fills. */
#include "ext4.h"

#include <abi/errno.h>
#include <abi/fcntl.h>
#include <libos/errseq.h>
#include <libos/page.h>
#include <libos/sched.h>
#include <string.h>

enum { DIRTY_MAX = 4096 /* pages of one file before its writer has to write them */ };

int ext4_open(struct inode *inode, struct file *f)
{
    f->wb_seen = errseq_sample(&ext4_i(inode)->wb_error);
    return 0;
}

/* The page where the file ends has zeros behind the end; they must be on the disk too before the file grows. */
int ext4_zero_eof(struct ext4_inode *ei)
{
    uint64_t size = ei->inode->size;
    struct page *p;
    if (size % PAGE_SIZE == 0)
        return 0;
    int err = pagemap_get(&ei->inode->pages, size / PAGE_SIZE, true, &p);
    if (err)
        return err;
    memset((char *)page_ptr(p) + size % PAGE_SIZE, 0, PAGE_SIZE - size % PAGE_SIZE);
    err = ext4_page_dirty(ei, size / PAGE_SIZE, p);
    page_put(p);
    return err;
}

/* A page that needs nothing from the disk: all of it is written, or it lies behind the end. *ret_done: bytes copied. */
static int write_fresh(struct ext4_inode *ei, struct iter *it, uint64_t index, size_t in_page,
                       size_t n, size_t *ret_done)
{
    struct pagemap *m = &ei->inode->pages;
    struct page *p = page_alloc(0, PAGE_FILE, n == PAGE_SIZE ? 0 : PAGE_ZERO), *there;
    *ret_done = 0;
    if (!p)
        return -ENOMEM;
    char *data = page_ptr(p);
    size_t done = iter_get(it, data + in_page, n);
    bool whole = done == n;
    /* Ours beside the map's, before anybody can find it there: a clean page that nobody else has may be reclaimed. */
    page_get(p);
    if (whole && pagemap_insert(m, index, p)) {
        int err = ext4_page_dirty(ei, index, p);
        if (err) { /* nobody may see what cannot be kept */
            page_put(p);
            pagemap_remove(m, index, index + 1);
            return err;
        }
        page_put(p);
        *ret_done = done;
        return 0;
    }
    /* Another page came first, or not all could be copied. */
    page_put(p);
    int err = done ? pagemap_get(m, index, true, &there) : -EFAULT;
    if (!err) {
        err = ext4_page_dirty(ei, index, there);
        if (!err) {
            memcpy((char *)page_ptr(there) + in_page, data + in_page, done);
            pagemap_mark(m, index, there, 0);
            *ret_done = done;
        }
        page_put(there);
    }
    page_put(p);
    return err;
}

static int write_page(struct ext4_inode *ei, struct iter *it, uint64_t off, size_t n,
                      size_t *ret_done)
{
    struct pagemap *m = &ei->inode->pages;
    uint64_t index = off / PAGE_SIZE;
    size_t in_page = off % PAGE_SIZE;
    struct page *p = pagemap_find(m, index);
    *ret_done = 0;
    if (!p) {
        if (n == PAGE_SIZE || index * PAGE_SIZE >= ei->inode->size)
            return write_fresh(ei, it, index, in_page, n, ret_done);
        int err = pagemap_get(m, index, true, &p);
        if (err)
            return err;
    }
    int err = ext4_page_dirty(ei, index, p);
    if (!err) {
        *ret_done = iter_get(it, (char *)page_ptr(p) + in_page, n);
        /* Once more: it may have been written back between the two. */
        pagemap_mark(m, index, p, 0);
        ext4_dirty(ei);
    }
    page_put(p);
    return err;
}

/* From here until the size has followed, what lies behind the end is data: write-back leaves it alone. */
static void set_extending(struct ext4_inode *ei, bool on)
{
    spin_lock(&ei->inode->pages.lock);
    ei->extending = on;
    spin_unlock(&ei->inode->pages.lock);
}

static ssize_type write_pages(struct ext4_inode *ei, struct iter *it, uint64_t *pos, size_t count)
{
    struct inode *inode = ei->inode;
    uint64_t off = *pos, end = off + count;
    bool extends = end > inode->size;
    int err = 0;
    if (off > inode->size)
        err = ext4_zero_eof(ei);
    if (extends)
        set_extending(ei, true);
    while (off < end && !err) {
        size_t n = min_u64(PAGE_SIZE - off % PAGE_SIZE, end - off), done;
        err = write_page(ei, it, off, n, &done);
        off += done;
        if (off > inode->size) {
            inode->size = off;
            ei->data_dirty = true;
        }
        if (!err && done < n)
            err = -EFAULT;
        if (UNLIKELY(off / PAGE_SIZE % 16 == 0) && off < end && thread_preempt_point())
            break;
    }
    if (extends)
        set_extending(ei, false);
    ssize_type total = (ssize_type)(off - *pos);
    *pos = off;
    return total ? total : err;
}

static uint64_t size_max(const struct ext4 *fs)
{
    return (uint64_t)UINT32_MAX << fs->block_bits;
}

/* Too much of the memory waits to be written: this writer does some of it. Errors are told by the next fsync. */
void ext4_throttle(struct ext4_inode *ei)
{
    struct ext4 *fs = ei->fs;
    uint64_t limit = min_u64(DIRTY_MAX, page_total_count() / 8);
    bool full = pagemap_dirty_full();
    if (ei->inode->pages.dirty > (full ? 64 : limit))
        (void)ext4_writeback(ei, 0, UINT64_MAX);
    /* Many small files: those that nobody writes to any more. */
    for (unsigned i = 0; full && i < 64 && pagemap_dirty_full(); i++) {
        struct ext4_inode *other = ext4_dirty_take(fs);
        if (!other)
            break;
        (void)ext4_writeback(other, 0, UINT64_MAX);
        if (other->core_dirty) /* its times are the flusher's */
            ext4_dirty(other);
        inode_put(other->inode);
    }
}

/* Write at *pos, at most n bytes: as the file is opened, directly where that is possible. */
static ssize_type write_at(struct file *f, struct iter *it, uint64_t *pos, size_t n)
{
    struct ext4_inode *ei = ext4_i(f->inode);
    if (f->flags & O_DIRECT) {
        ssize_type done = ext4_direct(ei, it, *pos, n, true);
        if (done > 0)
            *pos += (uint64_t)done;
        if (done != -EAGAIN && (done < 0 || (size_t)done == n))
            return done;
        if (it->nowait)
            return done;
        if (done > 0) {
            ssize_type more = write_pages(ei, it, pos, n - (size_t)done);
            return done + (more > 0 ? more : 0);
        }
    }
    return write_pages(ei, it, pos, n);
}

static ssize_type ext4_write(struct file *f, struct iter *it, uint64_t *pos)
{
    struct inode *inode = f->inode;
    struct ext4_inode *ei = ext4_i(inode);
    bool direct = f->flags & O_DIRECT;
    if (it->nowait && !direct)
        return -EOPNOTSUPP; /* as Linux: the page cache may have to be filled */
    if (direct && !ext4_direct_aligned(ei->fs, it, *pos))
        return -EINVAL;
    if (it->left == 0)
        return 0;
    rwmutex_write_lock(&inode->lock);
    if (f->flags & O_APPEND || it->append)
        *pos = inode->size;
    uint64_t from = *pos;
    ssize_type n = regular_write_limit(inode, *pos, it->left);
    if (n > 0 && *pos >= size_max(ei->fs))
        n = -EFBIG;
    if (n > 0) {
        n = (ssize_type)min_u64((uint64_t)n, size_max(ei->fs) - *pos);
        inode_drop_setid(inode);
        n = write_at(f, it, pos, (size_t)n);
        if (n > 0) {
            inode->mtime = inode->ctime = vfs_now();
            inode->atime_until = 0;
            ext4_core_dirty(ei, false);
            ext4_throttle(ei);
        }
    }
    rwmutex_write_unlock(&inode->lock);
    if (n > 0 && direct && inode->pages.dirty) {
        int err = ext4_writeback(ei, from / PAGE_SIZE, *pos / PAGE_SIZE + 1);
        if (err)
            return err;
    }
    return n;
}

static ssize_type ext4_read(struct file *f, struct iter *it, uint64_t *pos)
{
    struct inode *inode = f->inode;
    struct ext4_inode *ei = ext4_i(inode);
    ssize_type n = -EAGAIN;
    if (LIKELY(!(f->flags & O_DIRECT)))
        return regular_read(f, it, pos);
    if (!ext4_direct_aligned(ei->fs, it, *pos))
        return -EINVAL;
    rwmutex_read_lock(&inode->lock);
    uint64_t size = inode->size;
    if (*pos < size && it->left && !it->nowait) {
        /* The file's end is read through the page cache. */
        size_t bytes = min_u64(it->left, align_down(size - *pos, ei->fs->block_size));
        n = bytes ? ext4_direct(ei, it, *pos, bytes, false) : -EAGAIN;
    }
    rwmutex_read_unlock(&inode->lock);
    if (n <= 0)
        return n == -EAGAIN ? regular_read(f, it, pos) : n;
    *pos += (uint64_t)n;
    if (it->left && *pos < size) {
        ssize_type more = regular_read(f, it, pos);
        n += more > 0 ? more : 0;
    }
    inode_touch(&f->path);
    return n;
}

/* SEEK_DATA and SEEK_HOLE by the block map, once everything has its place. */
static int64_t seek_map(struct ext4_inode *ei, uint64_t off, bool data)
{
    struct ext4 *fs = ei->fs;
    uint64_t size = ei->inode->size;
    int err = ext4_writeback(ei, 0, UINT64_MAX);
    if (err)
        return err;
    for (uint64_t at = off; at < size;) {
        struct ext4_run run = { 0 };
        uint64_t lblock = at >> fs->block_bits;
        rwmutex_read_lock(&ei->map);
        err = ext4_map(ei, (uint32_t)lblock, UINT32_MAX - (uint32_t)lblock, &run);
        rwmutex_read_unlock(&ei->map);
        if (err)
            return err;
        bool is_data = run.block && !run.unwritten;
        if (is_data == data)
            return (int64_t)at;
        if (!run.count || thread_preempt_point())
            return run.count ? -EINTR : -EIO;
        at = (lblock + run.count) << fs->block_bits;
    }
    return data ? -ENXIO : (int64_t)size;
}

static int64_t ext4_seek(struct file *f, int64_t off, int whence)
{
    struct ext4_inode *ei = ext4_i(f->inode);
    if (whence != SEEK_DATA && whence != SEEK_HOLE)
        return regular_seek(f, off, whence);
    if (off < 0 || (uint64_t)off >= f->inode->size)
        return -ENXIO;
    if (ei->flags & FL_INLINE_DATA)
        off = whence == SEEK_DATA ? off : (int64_t)f->inode->size;
    else
        off = seek_map(ei, (uint64_t)off, whence == SEEK_DATA);
    if (off >= 0)
        f->pos = (uint64_t)off;
    return off;
}

static int ext4_sync(struct file *f, uint64_t from, uint64_t end, bool data_only)
{
    struct ext4_inode *ei = ext4_i(f->inode);
    int err = ext4_fsync_inode(ei, from, end, data_only),
        err2 = errseq_check(&ei->wb_error, &f->wb_seen);
    return err2 ? err2 : err;
}

static int ext4_write_range(struct file *f, uint64_t from, uint64_t end, unsigned how)
{
    struct ext4_inode *ei = ext4_i(f->inode);
    int err = 0;
    if (how & SYNC_FILE_RANGE_WRITE) {
        err = ext4_writeback(ei, from / PAGE_SIZE, pagemap_end(end));
    } else { /* nothing is begun; what is on its way is waited for */
        mutex_lock(&ei->wb);
        mutex_unlock(&ei->wb);
    }
    if (!(how & (SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WAIT_AFTER)))
        return 0; /* who waits is told */
    int err2 = errseq_check(&ei->wb_error, &f->wb_seen);
    return err2 ? err2 : err;
}

const struct file_ops ext4_fops = {
    .read = ext4_read,
    .write = ext4_write,
    .seek = ext4_seek,
    .pagemap = regular_pagemap,
    .sync = ext4_sync,
    .write_back = ext4_write_range,
    .direct = ext4_direct_start,
    .nowait = true,
    .fallocate = ext4_fallocate,
};
