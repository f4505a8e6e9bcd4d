/* SPDX-License-Identifier: MIT */
/* Taking clean pages of files back when memory runs short. All page maps whose pages can be read again (and have some) stand
 * in a ring. A clock goes round: through each map's pages, then on to the next map. A page that was looked up since it last
 * came by gets another round (PAGE_USED); one that programs map is unmapped, and goes the next time unless somebody faulted
 * it in again. Dirty pages and those of locked areas stay.
 *
 * Whoever wants a page runs this with any locks held, so it takes none but by trying. Lock: clock.lock for the ring; a map in
 * the ring stays alive while it is held, because a map leaves the ring before it goes. */
#include "pagemap_int.h"

#include <libos/mm.h>
#include <libos/page.h>
#include <libos/vfs.h>
#include <plat/cpu.h>
#include <utlist.h>

enum {
    BATCH = 32,
    PATIENCE =
        1
        << 20, /* tries to be the one who reclaims; another CPU is done with a batch long before */
    ROUNDS = 3 /* used, then mapped, then free */
};

static struct {
    struct spin lock;
    struct pagemap *ring; /* guarded by lock: where the hand is; DL by clock_next */
} ring = { SPIN_INIT(RANK_MAP_CLOCK), NULL };

static _Atomic int64_t cached_pages, dirty_pages, writeback_pages;

void clock_add(struct pagemap *m)
{
    spin_lock(&ring.lock);
    DL_APPEND2(ring.ring, m, clock_prev, clock_next);
    spin_unlock(&ring.lock);
}

static void unlist(struct pagemap *m)
{
    DL_DELETE2(ring.ring, m, clock_prev, clock_next);
    m->clock_next = m->clock_prev = NULL;
    m->hand = 0;
}

void clock_remove(struct pagemap *m)
{
    spin_lock(&ring.lock);
    unlist(m);
    spin_unlock(&ring.lock);
}

void clock_count(int64_t pages, int64_t dirty, int64_t writeback)
{
    if (pages)
        atomic_fetch_add_explicit(&cached_pages, pages, memory_order_relaxed);
    if (dirty)
        atomic_fetch_add_explicit(&dirty_pages, dirty, memory_order_relaxed);
    if (writeback)
        atomic_fetch_add_explicit(&writeback_pages, writeback, memory_order_relaxed);
}

static uint64_t not_negative(int64_t n)
{
    return n > 0 ? (uint64_t)n : 0;
}

void pagemap_stats(struct pagemap_stats *ret)
{
    ret->cached = not_negative(cached_pages);
    ret->dirty = not_negative(dirty_pages);
    ret->writeback = not_negative(writeback_pages);
}

bool pagemap_dirty_full(void)
{
    struct pagemap_stats s;
    pagemap_stats(&s);
    /* A fifth of what programs do not use themselves, as Linux counts. */
    return s.dirty + s.writeback > (page_free_count() + s.cached) / 5 + 64;
}

struct scan {
    struct pagemap *m;
    uint64_t next;       /* index after the last one looked at */
    uint64_t seen, most; /* pages looked at */
    struct page *out[BATCH];
    size_t n, want;
};

static bool enough(const struct scan *s)
{
    return s->n == s->want || s->seen >= s->most;
}

/* Is this a page to take? */
static bool visit(struct pagemap *m, struct page *p, uint64_t index)
{
    if (p->kind != PAGE_FILE || p->flags & (PAGE_DIRTY | PAGE_WRITEBACK))
        return false;
    if (p->flags & PAGE_USED) {
        p->flags &= (uint16_t)~PAGE_USED;
        return false;
    }
    bool mapped = p->refs != 1;
    if (m->mappings && !mm_try_unmap_file(m, index))
        return false;
    return !mapped;
}

/* Look at the pages of the subtree at *slot, whose first index is base, from s->next on. */
static void scan(struct scan *s, void **slot, uint32_t h, uint64_t base)
{
    if (h == 0) {
        struct page *p = *slot;
        s->next = base + 1;
        s->seen++;
        if (!visit(s->m, p, base))
            return;
        s->m->pages--;
        if (p->flags & PAGE_WRITTEN) /* a fill may have read this place before it was written */
            s->m->write_gen++;
        s->out[s->n++] = p;
        *slot = NULL;
        return;
    }
    struct pagemap_node *node = *slot;
    uint64_t span = 1ull << ((h - 1) * PAGEMAP_SHIFT);
    uint64_t from = s->next > base ? (s->next - base) / span : 0;
    for (uint64_t i = from; i < PAGEMAP_SLOTS && !enough(s); i++) {
        if (!node->slot[i])
            continue;
        scan(s, &node->slot[i], h - 1, base + i * span);
        if (!node->slot[i]) {
            node->used--;
            node->dirty &= ~(1ull << i);
        }
    }
    if (node->used == 0) {
        pagemap_node_free(node);
        *slot = NULL;
    }
}

/* Go on in one map. True: its end is reached. m->lock and the ring's are held. */
static bool scan_map(struct scan *s)
{
    struct pagemap *m = s->m;
    size_t before = s->n;
    s->next = m->hand;
    bool beyond = m->height * PAGEMAP_SHIFT < 64 && s->next >> (m->height * PAGEMAP_SHIFT) != 0;
    if (m->root && !beyond)
        scan(s, &m->root, m->height, 0);
    if (!m->root)
        m->height = 0;
    clock_count(-(int64_t)(s->n - before), 0, 0);
    bool end = !enough(s);
    m->hand = end ? 0 : s->next;
    if (m->pages == 0)
        unlist(m);
    return end;
}

/* One batch; the ring's lock is held. */
static void scan_ring(struct scan *s)
{
    struct pagemap *m;
    while (!enough(s) && (m = ring.ring)) {
        bool end = true;
        s->seen++; /* a map that cannot be had counts too */
        if (spin_trylock(&m->lock)) {
            s->m = m;
            end = scan_map(s);
            spin_unlock(&m->lock);
        }
        /* A list with the hand at its head is a ring: the next map comes to the head. */
        if (end && ring.ring == m && m->clock_next) {
            DL_DELETE2(ring.ring, m, clock_prev, clock_next);
            DL_APPEND2(ring.ring, m, clock_prev, clock_next);
        }
    }
}

/* Wait for another CPU to be through with its batch: when two run short at a time, neither is out of memory. Who holds the
 * lock waits for no other, so this is no deadlock whatever the caller holds; bounded all the same. */
static bool ring_lock(void)
{
    for (unsigned i = 0; i < PATIENCE; i++) {
        if (spin_trylock(&ring.lock))
            return true;
        plat_relax();
    }
    return false;
}

size_t pagemap_reclaim(size_t n)
{
    size_t done = 0;
    struct scan s = { .seen = 0, .most = ROUNDS * not_negative(cached_pages) + 64 };
    do {
        if (!ring.ring || !ring_lock())
            break;
        s.n = 0;
        s.want = min_u64(BATCH, n - done);
        scan_ring(&s);
        spin_unlock(&ring.lock);
        page_put_bulk(s.out, s.n);
        done += s.n;
    } while (s.n && done < n);
    return done;
}

bool pagemap_write_back(void)
{
    if (!not_negative(dirty_pages) && !not_negative(writeback_pages))
        return false;
    (void)vfs_sync(); /* errors are told to those who sync */
    return true;
}

/* The slot of the page at index, NULL: no page. */
static void **leaf_slot(struct pagemap *m, uint64_t index, struct pagemap_node **ret_node)
{
    struct pagemap_node *n = NULL;
    void **slot = &m->root;
    if (m->height * PAGEMAP_SHIFT < 64 && index >> (m->height * PAGEMAP_SHIFT) != 0)
        return NULL;
    for (uint32_t h = m->height; h && *slot; h--) {
        n = *slot;
        slot = &n->slot[index >> ((h - 1) * PAGEMAP_SHIFT) & (PAGEMAP_SLOTS - 1)];
    }
    *ret_node = n;
    return *slot ? slot : NULL;
}

bool pagemap_evict(struct pagemap *m, uint64_t first, uint64_t end)
{
    struct page *out[BATCH];
    size_t n = 0;
    bool all = true;
    spin_lock(&m->lock);
    for (uint64_t i = first; i < end && m->pages && n < BATCH; i++) {
        struct pagemap_node *node;
        void **slot = leaf_slot(m, i, &node);
        struct page *p = slot ? *slot : NULL;
        if (!p)
            continue;
        if (!node || p->kind != PAGE_FILE || p->refs != 1 ||
            p->flags & (PAGE_DIRTY | PAGE_WRITEBACK)) {
            all = false;
            continue;
        }
        *slot = NULL;
        node->used--;
        m->pages--;
        out[n++] = p;
    }
    if (n) {
        m->write_gen++;
        clock_count(-(int64_t)n, 0, 0);
        if (m->pages == 0)
            clock_remove(m);
    }
    spin_unlock(&m->lock);
    page_put_bulk(out, n);
    return all && (n < BATCH || pagemap_evict(m, first, end));
}
