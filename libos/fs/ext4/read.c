/* SPDX-License-Identifier: MIT */
/* Filling the page cache. A miss reads as many pages as the reader is likely to want: twice as many each time it goes on where
 * the last read ended, one otherwise. Pages are read outside of the map and put into it when they are whole; if one was faster,
 * or pages were removed meanwhile, what was read is dropped. */
#include "ext4.h"

#include <abi/errno.h>
#include <string.h>

enum { WINDOW_FIRST = 8, WINDOW_MAX = IO_BATCH };

/* Add the transfers that fill page p of file index to the batch. */
static int read_page(struct ext4_inode *ei, uint64_t index, struct page *p, struct io_batch *b)
{
    struct ext4 *fs = ei->fs;
    uint32_t per = PAGE_SIZE >> fs->block_bits;
    char *data = page_ptr(p);
    for (uint32_t i = 0; i < per;) {
        uint64_t lblock = index * per + i;
        struct ext4_run run = { .count = per - i };
        if (lblock > UINT32_MAX)
            return -EIO;
        int err = ext4_map(ei, (uint32_t)lblock, per - i, &run);
        if (err)
            return err;
        uint32_t bytes = run.count << fs->block_bits;
        if (run.block && !run.unwritten)
            io_batch_add(fs, b, BLK_READ, run.block * fs->sectors, data + (i << fs->block_bits),
                         bytes);
        else
            memset(data + (i << fs->block_bits), 0, bytes);
        i += run.count;
    }
    return 0;
}

/* Bytes behind the end of the file are zeros, whatever the disk has there. */
static void clear_tail(struct inode *inode, uint64_t index, struct page *p)
{
    uint64_t size = inode->size, at = index * PAGE_SIZE;
    if (at + PAGE_SIZE > size) {
        size_t keep = size > at ? size - at : 0;
        memset((char *)page_ptr(p) + keep, 0, PAGE_SIZE - keep);
    }
}

static int fill_inline(struct ext4_inode *ei, uint64_t index, struct page *p)
{
    const void *more;
    struct buf *hold = NULL;
    char *data = page_ptr(p);
    memset(data, 0, PAGE_SIZE);
    if (index)
        return 0;
    memcpy(data, ei->block, INODE_BLOCK_BYTES);
    int n = xattr_inline_data(ei, &more, &hold);
    if (n > 0)
        memcpy(data + INODE_BLOCK_BYTES, more, min_u64((uint64_t)n, PAGE_SIZE - INODE_BLOCK_BYTES));
    buf_put(ei->fs, hold);
    clear_tail(ei->inode, 0, p);
    return n < 0 && n != -ENODATA ? n : 0;
}

/* How many pages to read at index. */
static uint32_t window(struct ext4_inode *ei, uint64_t index)
{
    uint64_t pages = (ei->inode->size + PAGE_SIZE - 1) / PAGE_SIZE;
    uint32_t n = ei->ra_window;
    if (index == ei->ra_next)
        n = n < WINDOW_FIRST ? WINDOW_FIRST : n < WINDOW_MAX / 2 ? n * 2 : WINDOW_MAX;
    else
        n = index == 0 ? WINDOW_FIRST : 1;
    if (page_free_count() < 16 * WINDOW_MAX)
        n = 1;
    ei->ra_window = n;
    return (uint32_t)min_u64(n, pages > index ? pages - index : 1);
}

/* Read n pages from index on into fresh ones; out[i] NULL where one is there already. */
static int read_pages(struct ext4_inode *ei, uint64_t index, uint32_t *n, struct page **out)
{
    struct io_batch *b = heap_alloc(sizeof(*b));
    int err = b ? 0 : -ENOMEM;
    uint32_t done = 0;
    if (err)
        return err;
    io_batch_init(b);
    rwmutex_read_lock(&ei->map);
    for (; done < *n && !err; done++) {
        out[done] = NULL;
        struct page *there = done ? pagemap_find(&ei->inode->pages, index + done) : NULL;
        if (there) {
            page_put(there);
            break;
        }
        if (!(out[done] = page_alloc(0, PAGE_FILE, 0))) {
            err = done ? 0 : -ENOMEM;
            break;
        }
        err = read_page(ei, index + done, out[done], b);
    }
    rwmutex_read_unlock(&ei->map);
    int err2 = io_batch_wait(b);
    heap_free(b);
    *n = done;
    err = err ? err : err2;
    for (uint32_t i = 0; i < done; i++)
        if (err)
            page_put(out[i]);
        else
            clear_tail(ei->inode, index + i, out[i]);
    return err;
}

static int ext4_fill(struct pagemap *m, uint64_t index, bool writable, struct page **ret)
{
    struct inode *inode = m->owner;
    struct ext4_inode *ei = ext4_i(inode);
    struct page *page[WINDOW_MAX];
    (void)writable; /* a page of the cache is always the file's own */
    if (ei->flags & FL_INLINE_DATA) {
        struct page *p = page_alloc(0, PAGE_FILE, 0);
        int err = p ? fill_inline(ei, index, p) : -ENOMEM;
        if (err && p)
            page_put(p);
        if (!err)
            *ret = p;
        return err;
    }
    uint32_t gen = m->write_gen; /* first: a direct write that is not waited for makes it another */
    ext4_direct_wait(ei, true);
    uint32_t n = window(ei, index);
    int err = read_pages(ei, index, &n, page);
    if (err && n > 1) { /* a page that nobody asked for may be the one that cannot be read */
        n = 1;
        err = read_pages(ei, index, &n, page);
    }
    if (err && err != -ENOMEM)
        return -EIO;
    if (err)
        return err;
    ei->ra_next = index + n;
    for (uint32_t i = 1; i < n; i++)
        if (!pagemap_insert_since(m, index + i, page[i], gen))
            page_put(page[i]);
    *ret = page[0];
    return 0;
}

static uint64_t ext4_size_pages(struct pagemap *m)
{
    struct inode *inode = m->owner;
    return (inode->size + PAGE_SIZE - 1) / PAGE_SIZE;
}

static int ext4_make_writable(struct pagemap *m, uint64_t index, struct page *p)
{
    struct ext4_inode *ei = ext4_i(((struct inode *)m->owner));
    ei->inode->mtime = ei->inode->ctime = vfs_now();
    ext4_core_dirty(ei, false);
    int err = ext4_page_dirty(ei, index, p);
    if (!err && pagemap_dirty_full())
        ext4_throttle(ei);
    return err;
}

static void ext4_dropped(struct pagemap *m, size_t n)
{
    struct ext4_inode *ei = ext4_i(((struct inode *)m->owner));
    uint32_t blocks = (uint32_t)n * (PAGE_SIZE >> ei->fs->block_bits);
    balloc_unreserve(ei->fs, blocks);
    ei->delayed -= blocks;
}

const struct pagemap_ops ext4_pages = {
    .fill = ext4_fill,
    .fill_waits = true,
    .size_pages = ext4_size_pages,
    .make_writable = ext4_make_writable,
    .dropped = ext4_dropped,
    .refills = true,
};
