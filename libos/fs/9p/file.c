/* SPDX-License-Identifier: MIT */
/* Open files and their pages. read(2) and write(2) go to the server, so that both sides see each other's changes at once; the page
 * cache serves mappings (and so programs that are executed). A write puts what it wrote into pages that are there; pages that
 * were written through a mapping go to the server before the file is read, synced, or closed. */
#include "p9.h"
#include "../fs_int.h"

#include <abi/errno.h>
#include <abi/fcntl.h>
#include <libos/errseq.h>
#include <libos/heap.h>
#include <libos/page.h>
#include <libos/sched.h>
#include <string.h>

enum {
    OPEN_FLAGS = O_ACCMODE | O_SYNC | O_DSYNC | O_NOATIME,
    RUN = P9_DATA / PAGE_SIZE,
    SMALL = PAGE_SIZE,
    ENTRY = 24, /* of a listing, before the name */
};

/* An open file's fid, plus one, so that 0 is none. */
static uint32_t fid_of(const struct file *f)
{
    return (uint32_t)(uintptr_t)f->data - 1;
}

int p9_open(struct inode *inode, struct file *f)
{
    struct p9_inode *i = p9_i(inode);
    uint32_t fid = atomic_exchange(&i->first, P9_NONE);
    int err = 0;
    if (fid == P9_NONE) {
        unsigned flags = S_ISDIR(inode->mode) ? O_DIRECTORY : f->flags & OPEN_FLAGS;
        err = p9_reopen(p9_of(inode), i->fid, flags, &fid);
    }
    if (!err) {
        f->data = (void *)((uintptr_t)fid + 1);
        f->wb_seen = errseq_sample(&i->wb_error);
    }
    return err;
}

static void release(struct file *f)
{
    if (S_ISREG(f->inode->mode) && f->can_write && f->inode->pages.dirty)
        (void)p9_write_back(f->inode, 0, UINT64_MAX);
    if (f->data)
        p9_clunk(p9_of(f->inode), fid_of(f));
}

/* Memory for a transfer of up to want bytes; *ret_size: how much it is. */
static void *buffer(struct p9 *fs, size_t want, size_t *ret_size)
{
    size_t size = want > SMALL ? fs->data : SMALL;
    void *p = heap_alloc(size);
    if (!p && size > SMALL)
        p = heap_alloc(size = SMALL);
    *ret_size = size;
    return p;
}

static ssize_type p9_file_read(struct file *f, struct iter *it, uint64_t *pos)
{
    struct p9 *fs = p9_of(f->inode);
    size_t size, want = it->left, done = 0;
    int64_t n = f->inode->pages.dirty ? p9_write_back(f->inode, 0, UINT64_MAX) : 0;
    void *buf = n ? NULL : buffer(fs, want, &size);
    if (!buf)
        return n ? n : -ENOMEM;
    while (done < want) {
        uint32_t part = (uint32_t)min_u64(want - done, size);
        n = p9_read(fs, fid_of(f), *pos + done, &buf, part);
        if (n <= 0)
            break;
        size_t put = iter_put(it, buf, (size_t)n);
        done += put;
        if (put < (size_t)n) {
            n = -EFAULT;
            break;
        }
        if ((size_t)n < part || thread_preempt_point())
            break;
    }
    heap_free(buf);
    *pos += done;
    return done ? (ssize_type)done : n;
}

/* What was written belongs into pages that are there. */
static void update_pages(struct inode *inode, uint64_t pos, const char *data, size_t n)
{
    while (n && inode->pages.pages) {
        size_t in_page = pos % PAGE_SIZE, part = min_u64(n, PAGE_SIZE - in_page);
        struct page *p = pagemap_find(&inode->pages, pos / PAGE_SIZE);
        if (p) {
            memcpy((char *)page_ptr(p) + in_page, data, part);
            page_put(p);
        }
        pos += part;
        data += part;
        n -= part;
    }
}

static ssize_type write_parts(struct file *f, struct iter *it, uint64_t pos, size_t count,
                              void **buf, size_t size)
{
    struct inode *inode = f->inode;
    size_t done = 0;
    while (done < count) {
        size_t got = iter_get(it, *buf, min_u64(count - done, size));
        if (!got)
            return done ? (ssize_type)done : -EFAULT;
        int64_t n = p9_write(p9_of(inode), fid_of(f), pos + done, buf, (uint32_t)got);
        if (n <= 0)
            return done ? (ssize_type)done : n ? n : -EIO;
        update_pages(inode, pos + done, *buf, (size_t)n);
        done += (size_t)n;
        if (pos + done > inode->size)
            inode->size = pos + done;
        if ((size_t)n < got || thread_preempt_point())
            break;
    }
    return (ssize_type)done;
}

static ssize_type p9_file_write(struct file *f, struct iter *it, uint64_t *pos)
{
    struct inode *inode = f->inode;
    bool append = f->flags & O_APPEND || it->append;
    size_t size;
    void *buf = buffer(p9_of(inode), it->left, &size);
    if (!buf)
        return -ENOMEM;
    rwmutex_write_lock(&inode->lock);
    int err = append ? p9_refresh(inode) : 0;
    uint64_t at = append ? inode->size : *pos;
    ssize_type n = err ? err : regular_write_limit(inode, at, it->left);
    if (n > 0)
        inode_drop_setid(inode);
    if (n > 0)
        n = write_parts(f, it, at, (size_t)n, &buf, size);
    rwmutex_write_unlock(&inode->lock);
    heap_free(buf);
    if (n > 0 && it->sync)
        err = p9_fsync(p9_of(inode), fid_of(f), it->sync == ITER_DSYNC);
    if (n > 0)
        *pos = at + (uint64_t)n;
    return n > 0 && err ? err : n;
}

static int64_t p9_seek(struct file *f, int64_t off, int whence)
{
    if (whence == SEEK_SET || whence == SEEK_CUR)
        return regular_seek(f, off, whence);
    (void)p9_refresh(f->inode);
    /* The protocol knows no holes: all of a file is data. */
    if (whence == SEEK_DATA || whence == SEEK_HOLE) {
        uint64_t size = f->inode->size;
        if (off < 0 || (uint64_t)off >= size)
            return -ENXIO;
        f->pos = whence == SEEK_DATA ? (uint64_t)off : size;
        return (int64_t)f->pos;
    }
    return regular_seek(f, off, whence);
}

void p9_resized(struct inode *inode, uint64_t size)
{
    uint64_t first = (size + PAGE_SIZE - 1) / PAGE_SIZE;
    inode->size = size;
    if (!S_ISREG(inode->mode) || !inode->pages.pages)
        return;
    pagemap_remove(&inode->pages, first, UINT64_MAX);
    struct page *p = size % PAGE_SIZE ? pagemap_find(&inode->pages, size / PAGE_SIZE) : NULL;
    if (p) {
        memset((char *)page_ptr(p) + size % PAGE_SIZE, 0, PAGE_SIZE - size % PAGE_SIZE);
        page_put(p);
    }
}

static int sync_file(struct file *f, uint64_t from, uint64_t end, bool data_only)
{
    struct inode *inode = f->inode;
    int err = S_ISREG(inode->mode) ? p9_write_back(inode, from / PAGE_SIZE, pagemap_end(end)) : 0;
    if (!err)
        err = p9_fsync(p9_of(inode), fid_of(f), data_only);
    int err2 = errseq_check(&p9_i(inode)->wb_error, &f->wb_seen);
    return err2 ? err2 : err;
}

static int write_range(struct file *f, uint64_t from, uint64_t end, unsigned how)
{
    int err = 0;
    if (how & SYNC_FILE_RANGE_WRITE)
        err = p9_write_back(f->inode, from / PAGE_SIZE, pagemap_end(end));
    if (!(how & (SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WAIT_AFTER)))
        return 0; /* who waits is told */
    int err2 = errseq_check(&p9_i(f->inode)->wb_error, &f->wb_seen);
    return err2 ? err2 : err;
}

/* The fid through which pages are read, or written, opened by the first who needs it. */
static int pages_fid(struct p9_inode *i, bool write, uint32_t *ret)
{
    uint32_t *fid = write ? &i->writer : &i->reader;
    int err = 0;
    mutex_lock(&i->pages);
    if (*fid == P9_NONE)
        err = p9_reopen(p9_of(i->inode), i->fid, write ? O_WRONLY : O_RDONLY, fid);
    *ret = *fid;
    mutex_unlock(&i->pages);
    return err;
}

static int fill(struct pagemap *m, uint64_t index, bool writable, struct page **ret)
{
    struct inode *inode = m->owner;
    struct page *p = page_alloc(0, PAGE_FILE, 0);
    uint32_t fid, at = 0;
    void *buf = heap_alloc(PAGE_SIZE);
    (void)writable;
    int64_t n = p && buf ? pages_fid(p9_i(inode), false, &fid) : -ENOMEM;
    while (!n && at < PAGE_SIZE) {
        n = p9_read(p9_of(inode), fid, index * PAGE_SIZE + at, &buf, (uint32_t)PAGE_SIZE - at);
        if (n <= 0)
            break;
        memcpy((char *)page_ptr(p) + at, buf, (size_t)n);
        at += (uint32_t)n;
        n = 0;
    }
    heap_free(buf);
    if (!p)
        return -ENOMEM;
    memset((char *)page_ptr(p) + at, 0, PAGE_SIZE - at);
    if (n < 0) {
        page_put(p);
        return n == -ENOMEM ? -ENOMEM : -EIO;
    }
    *ret = p;
    return 0;
}

static uint64_t size_pages(struct pagemap *m)
{
    struct inode *inode = m->owner;
    return (inode->size + PAGE_SIZE - 1) / PAGE_SIZE;
}

static int make_writable(struct pagemap *m, uint64_t index, struct page *p)
{
    struct inode *inode = m->owner;
    uint32_t fid;
    int err = pages_fid(p9_i(inode), true, &fid);
    if (!err)
        (void)pagemap_mark(m, index, p, PAGE_DIRTY);
    return err ? -EIO : 0;
}

/* Write pages that follow each other, up to the end of the file. */
static int write_run(struct inode *inode, uint32_t fid, uint64_t index, struct page **page,
                     size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint64_t pos = (index + i) * PAGE_SIZE, size = inode->size;
        uint32_t len = pos < size ? (uint32_t)min_u64(PAGE_SIZE, size - pos) : 0;
        for (uint32_t at = 0; at < len;) {
            int64_t done = p9_write_firm(p9_of(inode), fid, pos + at,
                                         (char *)page_ptr(page[i]) + at, len - at);
            if (done <= 0)
                return done ? (int)done : -EIO;
            at += (uint32_t)done;
        }
    }
    return 0;
}

int p9_write_back(struct inode *inode, uint64_t first, uint64_t end)
{
    struct page *page[RUN];
    uint32_t fid;
    size_t n;
    if (!inode->pages.dirty)
        return 0;
    int err = pages_fid(p9_i(inode), true, &fid);
    while (!err && (n = pagemap_take_dirty(&inode->pages, &first, end, page, RUN))) {
        err = write_run(inode, fid, first, page, n);
        (void)pagemap_written(&inode->pages, page, n, false);
        first += n;
    }
    if (err)
        errseq_set(&p9_i(inode)->wb_error, err);
    return err;
}

/* One entry of a listing at data; its length. 0: it is no entry. */
static size_t entry(const uint8_t *data, size_t len, uint64_t *ino, uint64_t *next, unsigned *type,
                    const char **name, size_t *name_len)
{
    uint16_t n;
    if (len < ENTRY)
        return 0;
    memcpy(ino, data + 5, 8);
    memcpy(next, data + 13, 8);
    *type = data[21];
    memcpy(&n, data + 22, 2);
    *name = (const char *)data + ENTRY;
    *name_len = n;
    if (!n || n > ABI_NAME_MAX || n > len - ENTRY || memchr(*name, '/', n) || memchr(*name, 0, n))
        return 0;
    return ENTRY + (size_t)n;
}

/* Give the entries of a listing; 1: there is no room for more. */
static int give(struct dir_sink *s, const uint8_t *data, size_t len, uint64_t *pos)
{
    uint64_t ino, next;
    const char *name;
    size_t name_len;
    unsigned type;
    for (size_t at = 0, n; at < len; at += n) {
        n = entry(data + at, len - at, &ino, &next, &type, &name, &name_len);
        if (!n || next > INT64_MAX)
            return -EIO;
        if (!s->emit(s, name, name_len, ino, next, type & 15))
            return 1;
        *pos = next;
    }
    return 0;
}

static int read_dir(struct file *f, struct dir_sink *s, uint64_t *pos)
{
    struct p9 *fs = p9_of(f->inode);
    void *data = heap_alloc(P9_MSG);
    uint8_t *seen = heap_alloc(P9_MSG);
    int err = data && seen ? 0 : -ENOMEM;
    while (!err) {
        struct p9_msg *m = p9_begin(T_READDIR);
        if (!m) {
            err = -ENOMEM;
            break;
        }
        p9_put(m, fid_of(f), 4);
        p9_put(m, *pos, 8);
        p9_put(m, P9_MSG, 4);
        m->lend = &data;
        int64_t n = p9_fetch_data(fs, m, data, P9_MSG);
        p9_free(m);
        if (n <= 0) {
            err = (int)n;
            break;
        }
        memcpy(seen, data, (size_t)n);
        err = give(s, seen, (size_t)n, pos);
    }
    heap_free(data);
    heap_free(seen);
    return err < 0 ? err : 0;
}

static int64_t dir_seek(struct file *f, int64_t off, int whence)
{
    if (whence == SEEK_CUR)
        off += (int64_t)f->pos;
    else if (whence != SEEK_SET)
        return -EINVAL;
    if (off < 0)
        return -EINVAL;
    f->pos = (uint64_t)off;
    return off;
}

const struct pagemap_ops p9_pages = {
    .fill = fill,
    .fill_waits = true,
    .size_pages = size_pages,
    .make_writable = make_writable,
    .refills = true,
};

const struct file_ops p9_fops = {
    .read = p9_file_read,
    .write = p9_file_write,
    .seek = p9_seek,
    .pagemap = regular_pagemap,
    .sync = sync_file,
    .write_back = write_range,
    .lock = p9_lock,
    .getlock = p9_getlock,
    .release = release,
};

const struct file_ops p9_dir_fops = {
    .seek = dir_seek,
    .readdir = read_dir,
    .sync = sync_file,
    .lock = p9_lock,
    .getlock = p9_getlock,
    .release = release,
};
