/* SPDX-License-Identifier: MIT */
/* Direct transfers (O_DIRECT): the program's pages are pinned and go to the device as they are. Only what needs no change of
 * metadata goes this way: reads, and writes over blocks that are written already. Everything else, and whatever the page cache
 * holds a page of, takes the ordinary way and is written back at once, so both ways see the same file.
 *
 * ei->direct counts transfers in flight. Who takes blocks away waits until there are none (inode->lock keeps new ones out),
 * and so does a fill of the page cache for those that write, else it would keep what was there before. */
#include "ext4.h"

#include <abi/errno.h>
#include <abi/fcntl.h>
#include <libos/mm.h>
#include <libos/page.h>
#include <libos/sched.h>
#include <libos/thread.h>
#include <plat/mem.h>
#include <string.h>

enum { PAGES_MAX = 256, IOS_MAX = 16, WRITES = 1 << 16 /* of ei->direct */ };

struct direct {
    struct ext4_inode *ei;
    ssize_type bytes;
    bool write;
    _Atomic uint32_t left; /* transfers not done, and one while they are started */
    _Atomic int status;
    file_done_fn *done;
    void *arg;
    unsigned npages, nsegs, nios, ios_max;
    struct page **page;
    struct blk_seg *mem; /* of each page, what is still to be used */
    struct blk_seg *seg;
    struct blk_io *io;
};

bool ext4_direct_aligned(const struct ext4 *fs, const struct iter *it, uint64_t pos)
{
    uint64_t bits = pos | it->left | it->at;
    if (it->kind & ITER_VECTOR) {
        bits |= it->here;
        for (size_t i = 0; i < it->more; i++)
            bits |= it->next[i].base | it->next[i].len;
    }
    return (bits & (fs->dev->limits.logical_block - 1)) == 0;
}

void ext4_direct_wait(struct ext4_inode *ei, bool writes_only)
{
    uint32_t least = writes_only ? WRITES : 1;
    if (LIKELY(atomic_load(&ei->direct) < least))
        return;
    atomic_fetch_add(&ei->direct_waits, 1);
    (void)WAIT_EVENT(&ei->direct_wait, SLEEP_UNINTERRUPTIBLE, NO_DEADLINE,
                     atomic_load(&ei->direct) < least);
    atomic_fetch_sub(&ei->direct_waits, 1);
}

/* A transfer of ei is in flight, and is not any more. */
static void enter(struct ext4_inode *ei, bool write)
{
    atomic_fetch_add(&ei->direct, write ? WRITES + 1 : 1);
    if (write) /* what a fill reads that has begun already is of before */
        atomic_fetch_add(&ei->inode->pages.write_gen, 1);
}

static void leave(struct ext4_inode *ei, bool write)
{
    atomic_fetch_sub(&ei->direct, write ? WRITES + 1 : 1);
    if (waitq_active(&ei->direct_wait))
        waitq_wake(&ei->direct_wait, WAITQ_ALL, 0);
}

/* May run in an interrupt. */
static void finish(struct direct *d)
{
    struct ext4_inode *ei = d->ei;
    ssize_type result = d->status ? -EIO : d->bytes;
    file_done_fn *done = d->done;
    void *arg = d->arg;
    for (unsigned i = 0; i < d->npages; i++)
        page_put(d->page[i]);
    leave(ei, d->write);
    heap_free(d);
    done(arg, result);
}

static void part_done(struct direct *d, int status)
{
    if (status)
        atomic_store(&d->status, status);
    if (atomic_fetch_sub(&d->left, 1) == 1)
        finish(d);
}

static void io_done(struct blk_io *io)
{
    part_done(io->arg, io->status);
}

/* Room for a transfer of bytes of it. */
static struct direct *create(struct ext4_inode *ei, const struct iter *it, size_t bytes, bool write)
{
    size_t ios = min_u64(IOS_MAX, (bytes >> ei->fs->block_bits) + 2);
    size_t pieces = it->kind & ITER_VECTOR ? it->more + 1 : 1,
           pages = bytes / PAGE_SIZE + 2 * min_u64(pieces, bytes / BLK_SECTOR), segs = pages + ios;
    struct direct *d = heap_alloc(sizeof(*d) + pages * (sizeof(d->page[0]) + sizeof(d->mem[0])) +
                                  segs * sizeof(d->seg[0]) + ios * sizeof(d->io[0]));
    if (!d)
        return NULL;
    *d = (struct direct){ .ei = ei, .write = write, .ios_max = (unsigned)ios };
    d->io = (void *)(d + 1);
    d->seg = (void *)(d->io + ios);
    d->mem = (void *)(d->seg + segs);
    d->page = (void *)(d->mem + pages);
    return d;
}

/* Pin the page at va. 0, -EFAULT; -EAGAIN: a device must not write to it. */
static int pin(struct direct *d, uintptr_t va)
{
    struct page *p;
    int err = mm_pin(thread_current()->mm, va, !d->write, &p);
    if (err)
        return err;
    if (!d->write && p->kind != PAGE_ANON) { /* a file's page would have to become dirty again */
        page_put(p);
        return -EAGAIN;
    }
    d->page[d->npages++] = p;
    return 0;
}

/* The same for the linear map's address of a program's page, which somebody has pinned. */
static int pin_kernel(struct direct *d, uintptr_t va)
{
    struct page *p = page_of(plat_virt_to_phys((const void *)va));
    if (!p || p->kind != PAGE_ANON)
        return -EAGAIN;
    page_get(p);
    d->page[d->npages++] = p;
    return 0;
}

/* Pin bytes of the iterator's memory. How much was. */
static ssize_type pin_all(struct direct *d, struct iter *it, size_t bytes)
{
    size_t done = 0;
    while (done < bytes) {
        size_t n = iter_span(it, bytes - done);
        uintptr_t va = it->at;
        n = min_u64(PAGE_SIZE - va % PAGE_SIZE, n);
        int err = it->kind & ITER_KERNEL ? pin_kernel(d, va) : pin(d, va);
        if (err)
            return done ? (ssize_type)done : err;
        paddr_t at = PADDR(page_addr(d->page[d->npages - 1]).v + va % PAGE_SIZE);
        d->mem[d->npages - 1] = (struct blk_seg){ at, (uint32_t)n };
        iter_advance(it, n);
        done += n;
    }
    return (ssize_type)done;
}

/* Take bytes of the pinned memory from *mem on for one run on the disk, or clear them. */
static void take_memory(struct direct *d, struct blk_seg **mem, size_t bytes, bool hole)
{
    while (bytes) {
        struct blk_seg *m = *mem, *last = d->nsegs ? &d->seg[d->nsegs - 1] : NULL;
        uint32_t n = (uint32_t)min_u64(m->len, bytes);
        if (hole)
            memset(plat_phys_to_virt(m->addr), 0, n);
        else if (last >= d->io[d->nios - 1].segs && last->addr.v + last->len == m->addr.v)
            last->len += n;
        else
            d->seg[d->nsegs++] = (struct blk_seg){ m->addr, n };
        m->addr.v += n;
        m->len -= n;
        *mem += m->len == 0;
        bytes -= n;
    }
}

/* Make the transfers of [pos, pos + bytes), whose memory is pinned. How much they are; -EAGAIN. */
static ssize_type map(struct direct *d, uint64_t pos, size_t bytes)
{
    struct ext4_inode *ei = d->ei;
    struct ext4 *fs = ei->fs;
    struct blk_seg *mem = d->mem;
    size_t done = 0;
    int err = 0;
    rwmutex_read_lock(&ei->map);
    while (done < bytes && d->nios < d->ios_max) {
        uint64_t at = pos + done, in_block = at & (fs->block_size - 1);
        uint64_t blocks = (in_block + bytes - done + fs->block_size - 1) >> fs->block_bits;
        struct ext4_run run = { 0 };
        err = ext4_map(ei, (uint32_t)(at >> fs->block_bits), (uint32_t)blocks, &run);
        bool hole = !run.block || run.unwritten;
        if (!err && (!run.count || (hole && d->write)))
            err = -EAGAIN;
        if (err)
            break;
        size_t n = min_u64(((uint64_t)run.count << fs->block_bits) - in_block, bytes - done);
        struct blk_io *io = &d->io[d->nios];
        if (!hole) {
            *io = (struct blk_io){ .segs = &d->seg[d->nsegs],
                                   .sector = run.block * fs->sectors + in_block / BLK_SECTOR,
                                   .sectors = (uint32_t)(n / BLK_SECTOR) };
            d->nios++;
        }
        take_memory(d, &mem, n, hole);
        if (!hole)
            io->nsegs = (uint16_t)(&d->seg[d->nsegs] - io->segs);
        done += n;
    }
    rwmutex_read_unlock(&ei->map);
    return done ? (ssize_type)done : err;
}

/* Put the iterator n bytes on. */
static void advance(struct iter *it, size_t n)
{
    while (n) {
        size_t part = iter_span(it, n);
        iter_advance(it, part);
        n -= part;
    }
}

static void start(struct direct *d)
{
    struct blk_plug plug;
    unsigned n = d->nios;
    blk_plug_start(&plug);
    for (unsigned i = 0; i < n; i++) {
        struct blk_io *io = &d->io[i];
        io->dev = d->ei->fs->dev;
        io->op = d->write ? BLK_WRITE : BLK_READ;
        io->flags = 0;
        io->done = io_done;
        io->arg = d;
        blk_submit(io, n > 1 ? &plug : NULL);
    }
    blk_plug_finish(&plug);
    part_done(d, 0);
}

static void undo(struct direct *d)
{
    for (unsigned i = 0; i < d->npages; i++)
        page_put(d->page[i]);
    heap_free(d);
}

/* Begin a transfer of up to bytes at pos. Bytes it will be; done is called in any case then, perhaps before this returns.
 * -EAGAIN: not without the page cache. */
static ssize_type begin(struct ext4_inode *ei, struct iter *it, uint64_t pos, size_t bytes,
                        bool write, file_done_fn *done, void *arg)
{
    struct pagemap *m = &ei->inode->pages;
    bool most = bytes > (size_t)(PAGES_MAX / 2) * PAGE_SIZE;
    bytes = most ? (size_t)(PAGES_MAX / 2) * PAGE_SIZE : bytes;
    if (write && ei->direct_waits)
        return -EAGAIN;
    uint64_t first = pos / PAGE_SIZE, end = (pos + bytes + PAGE_SIZE - 1) / PAGE_SIZE;
    if (m->pages) {
        int err = m->dirty ? ext4_writeback(ei, first, end) : 0;
        if (err)
            return err;
        if (!pagemap_evict(m, first, end))
            return -EAGAIN;
    }
    struct direct *d = create(ei, it, bytes, write);
    if (!d)
        return -ENOMEM;
    struct iter was = *it;
    ssize_type n = pin_all(d, it, bytes);
    *it = was;
    if (n > 0 && (size_t)n < bytes) /* whole blocks of the device */
        n = (ssize_type)align_down((uint64_t)n, ei->fs->dev->limits.logical_block);
    if (n > 0)
        n = map(d, pos, (size_t)n);
    if (n <= 0) {
        undo(d);
        return n ? n : -EFAULT;
    }
    enter(ei, write);
    /* Again: what was filled since. From here on nothing is, before this is through. */
    if (write && m->pages && !pagemap_evict(m, first, end)) {
        leave(ei, write);
        undo(d);
        return -EAGAIN;
    }
    advance(it, (size_t)n);
    d->bytes = n;
    d->done = done;
    d->arg = arg;
    atomic_init(&d->left, d->nios + 1);
    atomic_init(&d->status, 0);
    start(d);
    return n;
}

/* May [pos, pos + bytes) be written over? The file does not grow by it, and blocks are whole. */
static bool within(const struct ext4_inode *ei, uint64_t pos, size_t bytes)
{
    return pos + bytes <= ei->disksize && pos + bytes <= ei->inode->size;
}

static bool possible(const struct ext4_inode *ei, const struct iter *it)
{
    return !(ei->flags & FL_INLINE_DATA) && ei->flags & FL_EXTENTS;
}

ssize_type ext4_direct_start(struct file *f, struct iter *it, uint64_t pos, bool write,
                             file_done_fn *done, void *arg)
{
    struct inode *inode = f->inode;
    struct ext4_inode *ei = ext4_i(inode);
    size_t bytes = it->left;
    if (!ext4_direct_aligned(ei->fs, it, pos))
        return -EINVAL;
    if (!bytes || bytes > (size_t)(PAGES_MAX / 2) * PAGE_SIZE || !possible(ei, it))
        return -EAGAIN;
    ssize_type n;
    if (write) {
        rwmutex_write_lock(&inode->lock);
        bool plain = within(ei, pos, bytes) && !(inode->mode & (S_ISUID | S_ISGID)) &&
                     !(f->flags & (O_APPEND | O_DSYNC)) && !it->append && !it->sync &&
                     !ei->fs->read_only && !ei->fs->error;
        n = plain ? begin(ei, it, pos, bytes, true, done, arg) : -EAGAIN;
        if (n > 0) {
            inode->mtime = inode->ctime = vfs_now();
            inode->atime_until = 0;
            ext4_core_dirty(ei, false);
        }
        rwmutex_write_unlock(&inode->lock);
        return n;
    }
    rwmutex_read_lock(&inode->lock);
    uint64_t size = inode->size;
    n = pos + bytes <= size ? begin(ei, it, pos, bytes, false, done, arg) : -EAGAIN;
    rwmutex_read_unlock(&inode->lock);
    return n;
}

struct wait {
    struct waitq q;
    ssize_type result;
    _Atomic bool done;
};

static void wake(void *arg, ssize_type result)
{
    struct wait *w = arg;
    spin_lock(&w->q.lock);
    w->result = result;
    atomic_store(&w->done, true);
    if (w->q.head)
        thread_wake(w->q.head->thread);
    /* The waiter takes the lock before it leaves. */
    spin_unlock(&w->q.lock);
}

/* The same as begin, to its end. */
static ssize_type transfer(struct ext4_inode *ei, struct iter *it, uint64_t pos, size_t bytes,
                           bool write)
{
    struct wait w = { .done = false };
    struct waiter me;
    waitq_init(&w.q);
    waitq_add(&w.q, &me);
    ssize_type n = begin(ei, it, pos, bytes, write, wake, &w);
    /* Uninterruptible: thread_sleep gives 0. */
    while (n > 0 &&
           (thread_prepare_sleep(SLEEP_UNINTERRUPTIBLE), !w.done && !thread_sleep(NO_DEADLINE)))
        ;
    thread_finish_sleep();
    waitq_remove(&w.q, &me);
    return n > 0 ? w.result : n;
}

/* inode->lock is held. */
ssize_type ext4_direct(struct ext4_inode *ei, struct iter *it, uint64_t pos, size_t bytes,
                       bool write)
{
    size_t total = 0;
    if (!possible(ei, it) || (write && !within(ei, pos, bytes)))
        return -EAGAIN;
    while (total < bytes) {
        ssize_type n = transfer(ei, it, pos + total, bytes - total, write);
        if (n <= 0)
            return total ? (ssize_type)total : n;
        total += (size_t)n;
        if (thread_preempt_point())
            break;
    }
    return (ssize_type)total;
}
