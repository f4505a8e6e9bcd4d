/* SPDX-License-Identifier: MIT */
/* Page maps: a radix tree of 64-way nodes from page index to page. A file of one page has no node at all (height 0: root
 * is the page). A tree of height h holds indices below 64^h; it grows when a larger one is stored.
 *
 * Invariant: the map holds one reference on each page in it. A page that programs may write to is PAGE_FILE; a page of
 * the image (PAGE_RESERVED) is replaced before it is written, and then everybody who maps the old one is unmapped. */
#include "pagemap_int.h"

#include <abi/errno.h>
#include <libos/mm.h>
#include <libos/sched.h>
#include <libos/thread.h>
#include <libos/waitq.h>
#include <plat/time.h>
#include <utlist.h>

enum {
    SHIFT = PAGEMAP_SHIFT,
    SLOTS = PAGEMAP_SLOTS,
    BATCH = 64,
    RUN_MAX = 16,
    TRIES = 8, /* to get memory that is there but for a lock */
    REST_NS = 1000000,
};

static struct slab slab = SLAB_INIT("pagemap-node", struct pagemap_node);

void pagemap_init(struct pagemap *m, const struct pagemap_ops *ops, void *owner)
{
    spin_init(&m->lock, RANK_PAGEMAP);
    m->ops = ops;
    m->owner = owner;
    m->root = NULL;
    m->height = 0;
    m->pages = 0;
    m->mappings = NULL;
    m->write_gen = 0;
    m->dirty = 0;
    m->hand = 0;
    m->clock_next = m->clock_prev = NULL;
}

/* Can the map's clean pages be dropped? */
static bool refills(const struct pagemap *m)
{
    return m->ops && m->ops->refills;
}

static bool beyond(const struct pagemap *m, uint64_t index)
{
    return m->height * SHIFT < 64 && index >> (m->height * SHIFT) != 0;
}

static struct page *find(const struct pagemap *m, uint64_t index)
{
    if (beyond(m, index))
        return NULL;
    void *p = m->root;
    for (uint32_t h = m->height; h && p; h--)
        p = ((struct pagemap_node *)p)->slot[index >> ((h - 1) * SHIFT) & (SLOTS - 1)];
    return p;
}

/* The pages index to index + n: whole rows of the tree at a time. */
static void find_run(const struct pagemap *m, uint64_t index, size_t n, struct page **out)
{
    void *const *slot = NULL;
    for (size_t i = 0; i < n; i++, index++) {
        if (i == 0 || (index & (SLOTS - 1)) == 0) {
            void *p = beyond(m, index) ? NULL : m->root;
            for (uint32_t h = m->height; h > 1 && p; h--)
                p = ((struct pagemap_node *)p)->slot[index >> ((h - 1) * SHIFT) & (SLOTS - 1)];
            slot = p && m->height ? (void *const *)((struct pagemap_node *)p)->slot : NULL;
        }
        out[i] = slot ? slot[index & (SLOTS - 1)] : m->height ? NULL : find(m, index);
    }
}

static struct pagemap_node *node_create(void)
{
    struct pagemap_node *n = slab_alloc(&slab);
    if (n)
        *n = (struct pagemap_node){ .used = 0 };
    return n;
}

void pagemap_node_free(struct pagemap_node *n)
{
    slab_free(&slab, n);
}

/* Make the tree high enough for index. */
static int grow(struct pagemap *m, uint64_t index)
{
    while (beyond(m, index)) {
        if (m->root) {
            struct pagemap_node *n = node_create();
            if (!n)
                return -ENOMEM;
            n->slot[0] = m->root;
            n->dirty = m->dirty != 0;
            n->used = 1;
            m->root = n;
        }
        m->height++;
    }
    return 0;
}

/* Does p count against what the file system may hold? */
static bool counts(const struct pagemap *m, const struct page *p)
{
    return m->ops->charge && p->kind == PAGE_FILE && !(p->flags & PAGE_BELOW);
}

/* A page that is as the image has it becomes the file's own, where it is. m->lock is held. */
static int take_over(struct pagemap *m, struct page *p)
{
    if (m->ops->charge && !m->ops->charge(m))
        return -ENOSPC;
    p->flags = (uint16_t)((p->flags & ~PAGE_BELOW) | PAGE_DIRTY);
    return 0;
}

/* Store p at index, where nothing is or a page of the image is to be replaced. -ENOMEM, -ENOSPC. */
static int store(struct pagemap *m, uint64_t index, struct page *p)
{
    if (grow(m, index))
        return -ENOMEM;
    void **slot = &m->root;
    struct pagemap_node *n = NULL;
    for (uint32_t h = m->height; h; h--) {
        if (!*slot) {
            if (!(*slot = node_create()))
                return -ENOMEM; /* an empty node above stays; the next store uses it */
            if (n)
                n->used++;
        }
        n = *slot;
        slot = &n->slot[index >> ((h - 1) * SHIFT) & (SLOTS - 1)];
    }
    if (counts(m, p) && !m->ops->charge(m))
        return -ENOSPC;
    if (!*slot) {
        if (refills(m)) {
            if (m->pages == 0)
                clock_add(m);
            clock_count(1, 0, 0);
        }
        m->pages++;
        if (n)
            n->used++;
    }
    *slot = p;
    if (p->kind == PAGE_FILE) {
        p->owner = m;
        p->next = (struct page *)(uintptr_t)index;
    }
    return 0;
}

/* Take pages of [first, end) out of the subtree at *slot, whose first index is base, until out has BATCH. */
static size_t take(struct pagemap *m, void **slot, uint32_t h, uint64_t base, uint64_t first,
                   uint64_t end, struct page **out, size_t n)
{
    if (!*slot || n == BATCH)
        return n;
    if (h == 0) {
        if (base >= first && base < end) {
            struct page *p = *slot;
            if (p->kind == PAGE_FILE && p->flags & PAGE_TAGGED) {
                p->flags &= (uint16_t) ~(PAGE_TAGGED | PAGE_DIRTY);
                m->dirty--;
                clock_count(0, -1, 0);
            }
            out[n++] = p;
            *slot = NULL;
            m->pages--;
        }
        return n;
    }
    struct pagemap_node *node = *slot;
    uint64_t span = 1ull << ((h - 1) * SHIFT);
    uint64_t from = first > base ? (first - base) / span : 0;
    for (uint64_t i = from; i < SLOTS && base + i * span < end; i++) {
        if (!node->slot[i])
            continue;
        n = take(m, &node->slot[i], h - 1, base + i * span, first, end, out, n);
        if (!node->slot[i]) {
            node->used--;
            node->dirty &= ~(1ull << i);
        }
    }
    if (node->used == 0) {
        slab_free(&slab, node);
        *slot = NULL;
    }
    return n;
}

static size_t take_batch(struct pagemap *m, uint64_t first, uint64_t end, struct page **out)
{
    if (beyond(m, first))
        return 0;
    size_t n = take(m, &m->root, m->height, 0, first, end, out, 0);
    if (!m->root)
        m->height = 0;
    size_t counted = 0;
    for (size_t i = 0; i < n; i++)
        counted += counts(m, out[i]);
    if (counted)
        m->ops->uncharge(m, counted);
    if (n && refills(m)) {
        clock_count(-(int64_t)n, 0, 0);
        if (m->pages == 0)
            clock_remove(m);
    }
    return n;
}

static void drop_pages(struct pagemap *m, uint64_t first, uint64_t end)
{
    struct page *out[BATCH];
    size_t n;
    do {
        spin_lock(&m->lock);
        n = take_batch(m, first, end, out);
        m->write_gen++;
        size_t delayed = 0;
        for (size_t i = 0; i < n; i++)
            if (out[i]->kind == PAGE_FILE && out[i]->flags & PAGE_DELAYED) {
                out[i]->flags &= (uint16_t)~PAGE_DELAYED;
                delayed++;
            }
        spin_unlock(&m->lock);
        if (delayed && m->ops->dropped)
            m->ops->dropped(m, delayed);
        page_put_bulk(out, n);
    } while (n);
}

void pagemap_fini(struct pagemap *m)
{
    /* Under the lock: reclaim may just be taking the last page, and is through with the map when it lets the lock go. */
    spin_lock(&m->lock);
    bool any = m->root;
    spin_unlock(&m->lock);
    if (any)
        drop_pages(m, 0, UINT64_MAX);
}

void pagemap_remove(struct pagemap *m, uint64_t first, uint64_t end)
{
    if (first >= end)
        return;
    drop_pages(m, first, end);
    mm_zap_file(m, first, end, true);
}

static NOINLINE void first_use(struct page *p)
{
    p->flags = (uint16_t)(p->flags & PAGE_FRESH ? p->flags & ~PAGE_FRESH : p->flags | PAGE_USED);
}

/* Somebody looked p up: the clock lets it be for a round. */
static ALWAYS_INLINE void use(struct page *p)
{
    if (UNLIKELY(!(p->flags & PAGE_USED)))
        first_use(p);
}

struct page *pagemap_find(struct pagemap *m, uint64_t index)
{
    spin_lock(&m->lock);
    struct page *p = find(m, index);
    if (p) {
        use(p);
        page_get(p);
    }
    spin_unlock(&m->lock);
    return p;
}

size_t pagemap_find_run(struct pagemap *m, uint64_t index, size_t n, struct page **ret)
{
    struct page *pages[RUN_MAX];
    size_t i = 0;
    n = min_u64(n, RUN_MAX);
    spin_lock(&m->lock);
    find_run(m, index, n, pages);
    for (; i < n && pages[i] && pages[i] == pages[0] + i; i++) {
        use(pages[i]);
        page_get(pages[i]);
    }
    spin_unlock(&m->lock);
    *ret = pages[0];
    return i;
}

void pagemap_find_around(struct pagemap *m, uint64_t index, size_t n, struct page **out)
{
    uint64_t missing = 0; /* bit i: out[i] */
    spin_lock(&m->lock);
    find_run(m, index, n, out);
    for (size_t i = 0; i < n; i++) {
        if (out[i])
            page_get(out[i]);
        else
            missing |= 1ull << i;
    }
    spin_unlock(&m->lock);
    if (!m->ops->ready)
        return;
    while (missing) { /* run by run */
        unsigned i = (unsigned)__builtin_ctzll(missing);
        uint64_t behind = ~(missing >> i);
        unsigned end = behind ? i + (unsigned)__builtin_ctzll(behind) : 64;
        m->ops->ready(m, index + i, end - i, out + i);
        missing = end < 64 ? missing >> end << end : 0;
    }
}

/* pagemap_get, once. */
static int get(struct pagemap *m, uint64_t index, bool writable, struct page **ret)
{
    struct page *fresh = NULL, *old;
    uint32_t gen = 0;
    for (;;) {
        spin_lock(&m->lock);
        old = find(m, index);
        if (old && !(writable && old->kind == PAGE_RESERVED)) {
            int full = writable && old->flags & PAGE_BELOW ? take_over(m, old) : 0;
            use(old);
            if (!full)
                page_get(old);
            spin_unlock(&m->lock);
            if (fresh)
                page_put(fresh);
            if (!full)
                *ret = old;
            return full;
        }
        if (fresh && m->write_gen == gen)
            break;
        gen = m->write_gen;
        spin_unlock(&m->lock);
        if (fresh) /* pages were removed meanwhile: what was filled may be what a truncation cut off */
            page_put(fresh);
        fresh = NULL;
        int err = m->ops->fill(m, index, writable, &fresh);
        if (err)
            return err;
        if (!fresh && !writable) {
            *ret = NULL;
            return 0;
        }
        if (!fresh && !(fresh = page_alloc(0, PAGE_FILE, PAGE_ZERO)))
            return -ENOMEM;
    }
    int err = store(m, index, fresh);
    if (!err) {
        page_get(fresh); /* the caller's, beside the map's own */
        if (old)
            m->write_gen++;
    }
    spin_unlock(&m->lock);
    if (err) {
        page_put(fresh);
        return err;
    }
    if (old) {
        mm_zap_file(m, index, index + 1, false);
        page_put(old);
    }
    *ret = fresh;
    return 0;
}

/* There was no memory. Is some likely soon? What could go is kept for a moment by whoever has its map's lock, which may have been
 * this thread (store): so nodes are asked for without it, and others get the time to let theirs go. */
static COLD NOINLINE bool memory_soon(void)
{
    struct pagemap_stats s;
    struct pagemap_node *n = node_create();
    if (n)
        pagemap_node_free(n);
    pagemap_stats(&s);
    if (s.cached <= s.dirty + s.writeback)
        return false;
    thread_prepare_sleep(SLEEP_UNINTERRUPTIBLE);
    (void)!thread_sleep(plat_time_ns() + REST_NS);
    thread_finish_sleep();
    return true;
}

int pagemap_get(struct pagemap *m, uint64_t index, bool writable, struct page **ret)
{
    int err;
    for (unsigned tries = 0;; tries++) {
        err = get(m, index, writable, ret);
        if (LIKELY(err != -ENOMEM) || tries == TRIES || !memory_soon())
            return err;
    }
}

uint64_t pagemap_mappings(struct pagemap *m)
{
    uint64_t n = 0;
    struct area *a;
    spin_lock(&m->lock);
    DL_FOREACH2(m->mappings, a, file_next)
    {
        n++;
    }
    spin_unlock(&m->lock);
    return n;
}

bool pagemap_insert(struct pagemap *m, uint64_t index, struct page *take_page)
{
    return pagemap_insert_since(m, index, take_page, m->write_gen);
}

bool pagemap_insert_since(struct pagemap *m, uint64_t index, struct page *take_page, uint32_t gen)
{
    spin_lock(&m->lock);
    bool done = m->write_gen == gen && !find(m, index) && !store(m, index, take_page);
    if (done)
        take_page->flags |= PAGE_FRESH;
    spin_unlock(&m->lock);
    return done;
}

/* Tag index as dirty. */
static void tag(struct pagemap *m, uint64_t index)
{
    void *p = m->root;
    for (uint32_t h = m->height; h && p; h--) {
        uint64_t i = index >> ((h - 1) * SHIFT) & (SLOTS - 1);
        ((struct pagemap_node *)p)->dirty |= 1ull << i;
        p = ((struct pagemap_node *)p)->slot[i];
    }
    m->dirty++;
    clock_count(0, 1, 0);
}

bool pagemap_mark(struct pagemap *m, uint64_t index, struct page *p, unsigned flags)
{
    bool fresh = false;
    spin_lock(&m->lock);
    if (find(m, index) == p) {
        fresh = flags && !(p->flags & flags);
        p->flags |= (uint16_t)(PAGE_DIRTY | flags);
        if (!(p->flags & PAGE_TAGGED)) {
            p->flags |= PAGE_TAGGED;
            tag(m, index);
            thread_current()->blocks_out += PAGE_SIZE / 512;
        }
    }
    spin_unlock(&m->lock);
    return fresh;
}

/* Collecting dirty pages that are neighbours. */
struct collect {
    uint64_t from, end; /* indices wanted */
    uint64_t next;      /* the index that continues what was found */
    struct page **out;
    size_t n, max;
};

/* False: a gap or the end: enough. */
static bool collect_dirty(struct pagemap *m, void *slot, uint32_t h, uint64_t base,
                          struct collect *c)
{
    if (h == 0) {
        struct page *p = slot;
        if (c->n && base != c->next)
            return false;
        page_get(p);
        p->flags =
            (uint16_t)((p->flags & ~(PAGE_TAGGED | PAGE_DIRTY)) | PAGE_WRITEBACK | PAGE_WRITTEN);
        m->dirty--;
        clock_count(0, -1, 1);
        c->out[c->n++] = p;
        c->next = base + 1;
        return c->n < c->max;
    }
    struct pagemap_node *node = slot;
    uint64_t span = 1ull << ((h - 1) * SHIFT);
    for (uint64_t bits = node->dirty; bits; bits &= bits - 1) {
        uint64_t i = (uint64_t)__builtin_ctzll(bits), at = base + i * span;
        if (at + span - 1 < c->from)
            continue;
        if (at >= c->end)
            return false;
        bool go = collect_dirty(m, node->slot[i], h - 1, at, c);
        /* A page was taken, or a node has no dirty ones left. */
        if (h == 1 ? c->n && c->next == at + 1 : !((struct pagemap_node *)node->slot[i])->dirty)
            node->dirty &= ~(1ull << i);
        if (!go)
            return false;
    }
    return true;
}

size_t pagemap_take_dirty(struct pagemap *m, uint64_t *index, uint64_t end, struct page **out,
                          size_t n)
{
    struct collect c = { .from = *index, .end = end, .out = out, .max = n };
    spin_lock(&m->lock);
    if (m->dirty) {
        if (m->height)
            collect_dirty(m, m->root, m->height, 0, &c);
        else if (c.from == 0 && end > 0)
            collect_dirty(m, m->root, 0, 0, &c);
    }
    bool mapped = m->mappings && c.n;
    if (mapped) /* whoever is about to map one of them writable looks again */
        m->write_gen++;
    spin_unlock(&m->lock);
    if (!c.n)
        return 0;
    *index = c.next - c.n;
    if (mapped)
        mm_zap_file(m, *index, c.next, false);
    return c.n;
}

size_t pagemap_written(struct pagemap *m, struct page **pages, size_t n, bool place)
{
    size_t delayed = 0;
    spin_lock(&m->lock);
    for (size_t i = 0; i < n; i++) {
        struct page *p = pages[i];
        if (p->flags & PAGE_WRITEBACK)
            clock_count(0, 0, -1);
        p->flags &= (uint16_t)~PAGE_WRITEBACK;
        if (place && p->flags & PAGE_DELAYED) {
            p->flags &= (uint16_t)~PAGE_DELAYED;
            delayed++;
        }
    }
    spin_unlock(&m->lock);
    page_put_bulk(pages, n);
    return delayed;
}
