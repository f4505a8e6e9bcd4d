/* SPDX-License-Identifier: MIT */
/* Regular files whose content is in their page map: read, write, seek, truncate, fallocate. Size is written with
 * inode->lock held; readers take no lock and bound themselves by the size once per page. */
#include "fs_int.h"

#include <abi/errno.h>
#include <abi/fcntl.h>
#include <abi/resource.h>
#include <libos/erofs.h>
#include <libos/file.h>
#include <libos/mm.h>
#include <libos/page.h>
#include <libos/process.h>
#include <libos/sched.h>
#include <plat/time.h>
#include <string.h>

enum { PREEMPT_PAGES = 16 }; /* after so many a long read looks whether somebody else is to run */

/* Read what lies behind each other in memory, as far as the next look. Bytes; 0: page by page. */
static NOINLINE size_t read_run(struct inode *inode, struct iter *it, uint64_t off, size_t want)
{
    uint64_t index = off / PAGE_SIZE;
    struct page *first;
    size_t n =
        pagemap_find_run(&inode->pages, index,
                         min_u64(want / PAGE_SIZE, PREEMPT_PAGES - index % PREEMPT_PAGES), &first);
    if (!n)
        return 0;
    size_t got = iter_put(it, page_ptr(first), n * PAGE_SIZE);
    page_put_run(first, n);
    return got;
}

ssize_type regular_read(struct file *f, struct iter *it, uint64_t *pos)
{
    struct inode *inode = f->inode;
    uint64_t off = *pos, size = inode->size;
    size_t want = it->left, total = 0, n;
    int err = 0;
    if (off >= size)
        want = 0;
    else if (want > size - off)
        want = size - off;
    for (; total < want; total += n) {
        size_t in_page = (off + total) % PAGE_SIZE,
               part = min_u64(PAGE_SIZE - in_page, want - total);
        uint64_t index = (off + total) / PAGE_SIZE;
        struct page *p = pagemap_find(&inode->pages, index);
        if (UNLIKELY(!p)) {
            if (it->nowait && inode->pages.ops->fill_waits) {
                err = -EAGAIN;
                break;
            }
            err = pagemap_get(&inode->pages, index, false, &p);
            if (err)
                break;
        }
        if (LIKELY(p)) {
            n = iter_put(it, (char *)page_ptr(p) + in_page, part);
            page_put(p);
        } else {
            n = iter_zero(it, part);
        }
        if (UNLIKELY(n < part)) {
            total += n;
            err = -EFAULT;
            break;
        }
        if (UNLIKELY(total + n < want)) {
            total += n;
            n = read_run(inode, it, off + total, want - total);
            if ((off + total + n) % (PREEMPT_PAGES * PAGE_SIZE) == 0 && thread_preempt_point()) {
                total += n;
                break;
            }
        }
    }
    *pos = off + total;
    if (UNLIKELY(plat_time_ns() >= inode->atime_until) && !(f->flags & O_NOATIME))
        inode_touch(&f->path);
    return total ? (ssize_type)total : err;
}

static uint64_t limit_fsize(void)
{
    const struct thread *t = thread_current();
    return t && t->process
               ? __atomic_load_n(&t->process->rlimits[RLIMIT_FSIZE].rlim_cur, __ATOMIC_RELAXED)
               : UINT64_MAX;
}

/* Seals and RLIMIT_FSIZE: how many bytes may be written at pos? */
int64_t regular_write_limit(struct inode *inode, uint64_t pos, uint64_t count)
{
    if (pos > INT64_MAX)
        return -EINVAL;
    int64_t n = (int64_t)count;
    if (UNLIKELY(pos + count > INT64_MAX || limit_fsize() != UINT64_MAX))
        n = file_write_limit(pos, count);
    if (n <= 0 || LIKELY(!(inode->seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE | F_SEAL_GROW))))
        return n;
    if (inode->seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE))
        return -EPERM;
    if (pos >= inode->size)
        return -EPERM;
    return (int64_t)min_u64((uint64_t)n, inode->size - pos);
}

/* page_put of a page that was written to, which is no reserved one. */
static ALWAYS_INLINE void put_written(struct page *p)
{
    if (UNLIKELY(p->refs == 1) || UNLIKELY(--p->refs == 0))
        page_free_last(p);
}

static ssize_type write_pages(struct inode *inode, struct iter *it, uint64_t *pos, size_t count)
{
    uint64_t off = *pos, end = off + count;
    int err = 0;
    while (off < end) {
        size_t in_page = off % PAGE_SIZE, n = min_u64(PAGE_SIZE - in_page, end - off);
        struct page *p;
        p = pagemap_find(&inode->pages, off / PAGE_SIZE);
        if (UNLIKELY(!p || p->kind == PAGE_RESERVED || p->flags & PAGE_BELOW)) {
            if (p)
                page_put(p);
            err = pagemap_get(&inode->pages, off / PAGE_SIZE, true, &p);
            if (err) {
                err = err == -ENOMEM ? -ENOSPC : err;
                break;
            }
        }
        size_t done = iter_get(it, (char *)page_ptr(p) + in_page, n);
        put_written(p);
        off += done;
        if (off > inode->size)
            inode->size = off;
        if (UNLIKELY(done < n)) {
            err = -EFAULT;
            break;
        }
        if (UNLIKELY(off / PAGE_SIZE % 16 == 0) && off < end && thread_preempt_point())
            break;
    }
    ssize_type total = (ssize_type)(off - *pos);
    *pos = off;
    return total ? total : err;
}

static ssize_type regular_write(struct file *f, struct iter *it, uint64_t *pos)
{
    struct inode *inode = f->inode;
    if (it->left == 0)
        return 0;
    rwmutex_write_lock(&inode->lock);
    if (f->flags & O_APPEND || it->append)
        *pos = inode->size;
    ssize_type n = regular_write_limit(inode, *pos, it->left);
    if (n > 0) {
        if (UNLIKELY(inode->mode & (S_ISUID | S_ISGID) || !inode->caps_none))
            inode_drop_setid(inode);
        n = write_pages(inode, it, pos, (size_t)n);
        if (n > 0) {
            inode->mtime = inode->ctime = vfs_now();
            inode->atime_until = 0;
        }
    }
    rwmutex_write_unlock(&inode->lock);
    return n;
}

/* SEEK_DATA and SEEK_HOLE: the first page from off on that is (not) there. */
static int64_t seek_page(struct inode *inode, uint64_t off, bool data)
{
    uint64_t size = inode->size;
    if (off >= size)
        return -ENXIO;
    for (uint64_t i = off / PAGE_SIZE; i * PAGE_SIZE < size; i++) {
        if (regular_has_page(inode, i) == data)
            return (int64_t)max_u64(off, i * PAGE_SIZE);
        if (i % 4096 == 0 && thread_preempt_point())
            return -EINTR;
    }
    return data ? -ENXIO : (int64_t)size;
}

int64_t regular_seek(struct file *f, int64_t off, int whence)
{
    struct inode *inode = f->inode;
    int64_t base = 0;
    switch (whence) {
    case SEEK_SET:
        break;
    case SEEK_CUR:
        base = (int64_t)f->pos;
        break;
    case SEEK_END:
        base = (int64_t)inode->size;
        break;
    case SEEK_DATA:
    case SEEK_HOLE:
        if (off < 0)
            return -ENXIO;
        off = seek_page(inode, (uint64_t)off, whence == SEEK_DATA);
        if (off < 0)
            return off;
        break;
    default:
        return -EINVAL;
    }
    int64_t to;
    if (__builtin_add_overflow(base, off, &to))
        return whence == SEEK_SET || off < 0 ? -EINVAL : -EOVERFLOW;
    if (to < 0)
        return -EINVAL;
    f->pos = (uint64_t)to;
    return to;
}

struct pagemap *regular_pagemap(struct file *f)
{
    return &f->inode->pages;
}

static int regular_sync(struct file *f, uint64_t from, uint64_t end, bool data_only)
{
    (void)f, (void)from, (void)end, (void)data_only; /* memory is as far as it goes */
    return 0;
}

/* Zero bytes [from, to) of one page, if it holds anything. */
static int zero_part(struct inode *inode, uint64_t from, uint64_t to)
{
    struct page *p;
    if (from >= to || !regular_has_page(inode, from / PAGE_SIZE))
        return 0;
    int err = pagemap_get(&inode->pages, from / PAGE_SIZE, true, &p);
    if (err)
        return err;
    memset((char *)page_ptr(p) + from % PAGE_SIZE, 0, to - from);
    page_put(p);
    return 0;
}

int regular_set_size(struct inode *inode, uint64_t size)
{
    uint64_t old = inode->size;
    if ((inode->seals & F_SEAL_SHRINK && size < old) || (inode->seals & F_SEAL_GROW && size > old))
        return -EPERM;
    if (size < old) {
        int err = zero_part(inode, size, min_u64(align_up(size, PAGE_SIZE), old));
        if (err)
            return err;
        inode->size = size;
        if (inode->lower_size > size)
            inode->lower_size = size;
        pagemap_remove(&inode->pages, align_up(size, PAGE_SIZE) / PAGE_SIZE,
                       UINT64_MAX / PAGE_SIZE);
    }
    inode->size = size;
    return 0;
}

/* Make [from, to) read as zeros and free its whole pages. */
static int punch(struct inode *inode, uint64_t from, uint64_t to)
{
    uint64_t first = align_up(from, PAGE_SIZE), last = align_down(to, PAGE_SIZE);
    int err;
    if (first > last) /* within one page */
        return zero_part(inode, from, to);
    err = zero_part(inode, from, first);
    if (!err)
        err = zero_part(inode, last, to);
    /* Pages of an image below would come back: they become zero pages of the file's own. */
    for (uint64_t at = first; !err && at < last && at < inode->lower_size; at += PAGE_SIZE)
        err = zero_part(inode, at, at + PAGE_SIZE);
    first = max_u64(first, align_up(inode->lower_size, PAGE_SIZE));
    if (!err && first < last)
        pagemap_remove(&inode->pages, first / PAGE_SIZE, last / PAGE_SIZE);
    return err;
}

/* Get pages for [from, to), in the order of the file: none if there is no room for all. */
static int reserve(struct inode *inode, uint64_t from, uint64_t to)
{
    uint64_t first = from / PAGE_SIZE, end = align_up(to, PAGE_SIZE) / PAGE_SIZE, missing = 0;
    for (uint64_t i = first; i < end && missing <= page_total_count(); i++)
        missing += !regular_has_page(inode, i);
    if (!tmpfs_has_room(inode, missing))
        return -ENOSPC;
    for (uint64_t i = first; i < end; i++) {
        struct page *p;
        int err = regular_has_page(inode, i) ? 1 : pagemap_get(&inode->pages, i, true, &p);
        if (err < 0)
            return err == -ENOMEM ? -ENOSPC : err;
        if (err == 0)
            page_put(p);
        if (i % 64 == 0 && thread_preempt_point())
            return -EINTR;
    }
    return 0;
}

static int regular_fallocate(struct file *f, int mode, uint64_t off, uint64_t len)
{
    struct inode *inode = f->inode;
    uint64_t end = off + len;
    int err;
    if (mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE))
        return -EOPNOTSUPP;
    rwmutex_write_lock(&inode->lock);
    if (mode & FALLOC_FL_PUNCH_HOLE) {
        err = inode->seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE) ? -EPERM : punch(inode, off, end);
    } else if (!(mode & FALLOC_FL_KEEP_SIZE) && end > inode->size &&
               file_write_limit(inode->size, end - inode->size) < (int64_t)(end - inode->size)) {
        err = -EFBIG;
    } else if (inode->seals & F_SEAL_GROW && end > inode->size) {
        err = -EPERM;
    } else {
        err = reserve(inode, off, end);
        if (!err && !(mode & FALLOC_FL_KEEP_SIZE) && end > inode->size)
            inode->size = end;
    }
    if (!err) {
        inode_drop_setid(inode);
        inode->mtime = inode->ctime = vfs_now();
        inode->atime_until = 0;
    }
    rwmutex_write_unlock(&inode->lock);
    return err;
}

const struct file_ops regular_fops = {
    .read = regular_read,
    .write = regular_write,
    .seek = regular_seek,
    .pagemap = regular_pagemap,
    .sync = regular_sync,
    .fallocate = regular_fallocate,
};

/* Is the file mapped so that a program may write to it? */
static bool mapped_writable(struct inode *inode)
{
    bool found = false;
    spin_lock(&inode->pages.lock);
    for (const struct area *a = inode->pages.mappings; a && !found; a = a->file_next)
        found = (a->flags & (AREA_SHARED | AREA_MAY_WRITE)) == (AREA_SHARED | AREA_MAY_WRITE);
    spin_unlock(&inode->pages.lock);
    return found;
}

int inode_add_seals(struct inode *inode, uint32_t seals)
{
    const uint32_t known = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE |
                           F_SEAL_FUTURE_WRITE | F_SEAL_EXEC;
    int err = 0;
    if (seals & ~known)
        return -EINVAL;
    rwmutex_write_lock(&inode->lock);
    if (inode->seals & F_SEAL_SEAL)
        err = -EPERM;
    else if (seals & F_SEAL_WRITE && !(inode->seals & F_SEAL_WRITE) && mapped_writable(inode))
        err = -EBUSY;
    /* An executable file that must stay one must not change either. */
    if (!err && seals & F_SEAL_EXEC && inode->mode & 0111)
        seals |= F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_FUTURE_WRITE;
    if (!err)
        inode->seals |= seals;
    rwmutex_write_unlock(&inode->lock);
    return err;
}
