/* SPDX-License-Identifier: MIT */
/* The layer that encrypts. A read goes to the device below with the user's own memory and is decrypted there when it is done; a
 * write is encrypted into pages of its own, the one copy that there is. What is small is encrypted where it comes from and decrypted
 * in the interrupt that ends it; the rest is done by a thread, which lets others run in between. If there is no memory for a
 * write's pages, it sends them in small pieces through pages that are kept for that.
 *
 * A request's job is found by its queue and tag, so starting one allocates nothing but those pages. */
#include "crypt.h"

#include <abi/errno.h>
#include <libos/heap.h>
#include <libos/page.h>
#include <libos/sched.h>
#include <libos/waitq.h>
#include <plat/cpu.h>
#include <plat/mem.h>
#include <stdio.h>
#include <string.h>

enum {
    SECTORS_MAX = 256, /* of one request: 128 KiB */
    PAGES_MAX = SECTORS_MAX * BLK_SECTOR / PAGE_SIZE,
    DEPTH = 32,         /* requests of one queue */
    HERE_AES = 32,      /* sectors that are done at once, with the CPU's instructions */
    HERE_C = 8,         /* and without */
    KEPT_PAGES = 4,     /* for writes when there is no memory */
    BREATHE = 16 << 10, /* bytes between two looks at other threads */
};

struct job {
    struct job *next; /* in the list of those that a thread is to do */
    struct crypt *c;
    struct blk_request *r;
    struct blk_io io; /* to the device below */
    struct page *pages[PAGES_MAX];
    struct blk_seg segs[PAGES_MAX];
};

struct crypt {
    struct blk_device dev;
    struct blk_device *lower;
    struct crypt *all; /* of crypts */
    struct xts *xts;
    uint64_t offset, iv_tweak;
    uint32_t sector_size, here; /* here: sectors done at once */
    struct spin lock;           /* RANK_BLK_DRIVER */
    struct job *first, **last;  /* guarded by lock: for the thread */
    struct waitq work;
    struct page *kept[KEPT_PAGES];
    struct job jobs[]; /* DEPTH of each queue */
};

static struct crypt *_Atomic crypts;

/* Where in a request's memory one is. */
struct cursor {
    const struct blk_seg *seg;
    uint32_t off;
};

/* The next bytes bytes, which never lie in two pieces: a piece is whole blocks of the device, and those are whole sectors. */
static void *next(struct cursor *at, uint32_t bytes)
{
    char *p = (char *)plat_phys_to_virt(at->seg->addr) + at->off;
    at->off += bytes;
    if (at->off == at->seg->len) {
        at->seg++;
        at->off = 0;
    }
    return p;
}

/* From one list of pieces to the other (which may be the same one), beginning at the device's sector. */
static void transform(const struct crypt *c, bool decrypt, uint64_t sector, uint32_t sectors,
                      struct cursor from, struct cursor to, bool may_sleep)
{
    uint32_t step = c->sector_size / BLK_SECTOR;
    for (uint32_t done = 0; done < sectors; done += step) {
        const void *in = next(&from, c->sector_size);
        void *out = next(&to, c->sector_size);
        xts_crypt(c->xts, decrypt, sector + done + c->iv_tweak, in, out, c->sector_size);
        if (may_sleep && (done + step) * BLK_SECTOR % BREATHE == 0)
            thread_preempt_point();
    }
}

static void decrypt(struct job *j, bool may_sleep)
{
    struct cursor at = { j->r->segs, 0 };
    transform(j->c, true, j->r->sector, j->r->sectors, at, at, may_sleep);
}

/* Have a thread do j. */
static void defer(struct job *j)
{
    struct crypt *c = j->c;
    j->next = NULL;
    spin_lock(&c->lock);
    *c->last = j;
    c->last = &j->next;
    spin_unlock(&c->lock);
    waitq_wake(&c->work, 1, 0);
}

static void lower_done(struct blk_io *io)
{
    struct job *j = io->arg;
    struct blk_request *r = j->r;
    int status = io->status;
    if (r->op == BLK_READ && !status) {
        if (r->sectors > j->c->here) {
            defer(j);
            return;
        }
        decrypt(j, false);
    }
    if (r->op == BLK_WRITE)
        page_put_bulk(j->pages, (r->sectors * BLK_SECTOR + PAGE_SIZE - 1) / PAGE_SIZE);
    blk_done(r, status);
}

/* Send j to the device below. */
static void send(struct job *j, const struct blk_seg *segs, unsigned nsegs)
{
    struct blk_request *r = j->r;
    j->io = (struct blk_io){
        .dev = j->c->lower,
        .op = r->op,
        .flags = r->flags,
        .sector = r->op == BLK_FLUSH ? 0 : j->c->offset + r->sector,
        .sectors = r->op == BLK_FLUSH ? 0 : r->sectors,
        .segs = segs,
        .nsegs = (uint16_t)nsegs,
        .done = lower_done,
        .arg = j,
    };
    blk_submit(&j->io, NULL);
}

/* Pages for a write's encrypted sectors, as pieces in j. False: there is not enough memory. */
static bool take_pages(struct job *j)
{
    uint32_t left = j->r->sectors * BLK_SECTOR;
    size_t n = (left + PAGE_SIZE - 1) / PAGE_SIZE, got;
    got = page_alloc_bulk(j->pages, n, PAGE_KERNEL, PAGE_NORECLAIM);
    if (got < n) {
        page_put_bulk(j->pages, got);
        return false;
    }
    for (size_t i = 0; i < n; i++, left -= PAGE_SIZE)
        j->segs[i] = (struct blk_seg){ page_addr(j->pages[i]), (uint32_t)min_u64(left, PAGE_SIZE) };
    return true;
}

/* Encrypt and send a write whose pages are there. */
static void write_out(struct job *j, bool may_sleep)
{
    struct blk_request *r = j->r;
    struct cursor from = { r->segs, 0 }, to = { j->segs, 0 };
    transform(j->c, false, r->sector, r->sectors, from, to, may_sleep);
    send(j, j->segs, (r->sectors * BLK_SECTOR + PAGE_SIZE - 1) / PAGE_SIZE);
}

/* A write without memory for it: a page at a time through those that are kept. */
static void write_kept(struct job *j)
{
    struct crypt *c = j->c;
    struct blk_request *r = j->r;
    struct blk_seg segs[KEPT_PAGES];
    struct cursor from = { r->segs, 0 };
    int err = 0;
    for (uint32_t done = 0, n; done < r->sectors && !err; done += n) {
        unsigned nsegs = 0;
        n = (uint32_t)min_u64(r->sectors - done, KEPT_PAGES * PAGE_SIZE / BLK_SECTOR);
        for (uint32_t left = n * BLK_SECTOR; left; left -= segs[nsegs++].len)
            segs[nsegs] =
                (struct blk_seg){ page_addr(c->kept[nsegs]), (uint32_t)min_u64(left, PAGE_SIZE) };
        transform(c, false, r->sector + done, n, from, (struct cursor){ segs, 0 }, true);
        for (uint32_t skip = 0; skip < n * BLK_SECTOR; skip += c->sector_size)
            next(&from, c->sector_size);
        err = blk_transfer(c->lower, BLK_WRITE, r->flags, c->offset + r->sector + done, n, segs,
                           nsegs);
    }
    blk_done(r, err);
}

static int crypt_submit(struct blk_device *dev, struct blk_request *r, bool more)
{
    struct crypt *c = dev->data;
    struct job *j = &c->jobs[r->queue * DEPTH + r->tag];
    (void)more;
    j->c = c;
    j->r = r;
    if (r->op != BLK_WRITE)
        send(j, r->segs, r->nsegs);
    else if (r->sectors <= c->here && take_pages(j))
        write_out(j, false);
    else
        defer(j);
    return 0;
}

static struct job *take_job(struct crypt *c)
{
    spin_lock(&c->lock);
    struct job *j = c->first;
    if (j && !(c->first = j->next))
        c->last = &c->first;
    spin_unlock(&c->lock);
    return j;
}

static void worker(void *arg)
{
    struct crypt *c = arg;
    struct job *j;
    for (;;) {
        (void)WAIT_EVENT(&c->work, SLEEP_UNINTERRUPTIBLE, NO_DEADLINE, (j = take_job(c)) != NULL);
        if (j->r->op == BLK_READ) {
            decrypt(j, true);
            blk_done(j->r, 0);
        } else if (take_pages(j)) {
            write_out(j, true);
        } else {
            write_kept(j);
        }
    }
}

static void set_limits(struct crypt *c, bool allow_discards)
{
    struct blk_limits *l = &c->dev.limits;
    *l = c->lower->limits;
    l->cache_switch = false; /* of the device below */
    l->logical_block = (uint32_t)max_u64(l->logical_block, c->sector_size);
    l->physical_block = (uint32_t)max_u64(l->physical_block, l->logical_block);
    l->max_sectors = SECTORS_MAX;
    l->max_segs = BLK_SEGS_MAX;
    l->max_seg_len = SECTORS_MAX * BLK_SECTOR;
    l->seg_boundary = 0;
    l->max_zero_sectors = 0; /* zeros below are not zeros here */
    if (!allow_discards)
        l->max_discard_sectors = 0;
    l->queue_depth = DEPTH;
}

static void destroy(struct crypt *c)
{
    for (unsigned i = 0; i < KEPT_PAGES && c->kept[i]; i++)
        page_put(c->kept[i]);
    xts_destroy(c->xts);
    heap_free(c);
}

/* Threads and memory of c, which is not registered yet. */
static int prepare(struct crypt *c)
{
    for (unsigned i = 0; i < KEPT_PAGES; i++)
        if (!(c->kept[i] = page_alloc(0, PAGE_KERNEL, 0)))
            return -ENOMEM;
    return 0;
}

int crypt_create(struct blk_device *lower, const char *name, const struct crypt_layout *layout,
                 struct xts *take_xts, struct blk_device **ret_dev)
{
    static const struct blk_ops ops = { .submit = crypt_submit };
    uint32_t queues = lower->whole ? lower->whole->limits.queues : lower->limits.queues;
    struct crypt *c = heap_zalloc(sizeof(*c) + queues * DEPTH * sizeof(c->jobs[0]));
    if (!c) {
        xts_destroy(take_xts);
        return -ENOMEM;
    }
    c->xts = take_xts;
    c->lower = lower;
    c->offset = layout->offset;
    c->iv_tweak = layout->iv_tweak;
    c->sector_size = layout->sector_size;
    c->here = plat_has_aes() ? HERE_AES : HERE_C;
    spin_init(&c->lock, RANK_BLK_DRIVER);
    waitq_init(&c->work);
    c->last = &c->first;
    c->dev.ops = &ops;
    c->dev.data = c;
    c->dev.sectors = layout->sectors;
    c->dev.stacked = true;
    set_limits(c, layout->allow_discards);
    c->dev.limits.queues = queues;
    snprintf(c->dev.name, sizeof(c->dev.name), "%s", name);
    int err = prepare(c);
    if (!err)
        err = blk_register(&c->dev);
    if (err) {
        destroy(c);
        return err;
    }
    err = thread_create_kernel("luks", worker, c);
    c->all = crypts;
    while (!atomic_compare_exchange_weak(&crypts, &c->all, c))
        ;
    *ret_dev = &c->dev;
    return err;
}

void crypt_wipe(void)
{
    for (struct crypt *c = crypts; c; c = c->all)
        xts_wipe(c->xts);
}
