/* SPDX-License-Identifier: MIT */
/* Physical pages: a buddy allocator below one lock, and per-CPU stores of single pages above it.
 *
 * The frame table has an entry for every page up to the end of RAM, but nothing walks it at boot: memory is opened in
 * chunks of the largest block size when the free lists run dry, and a chunk's entries are cleared at that moment. Only
 * chunks that a region covers in part, and the pages of the image, are cleared at boot.
 *
 * Invariant: an entry with kind PAGE_FREE and its order set heads a block on free_list[order]; pages in a CPU's store
 * have kind PAGE_KERNEL and no references. Stores are touched by their CPU alone (ring 0 is not interrupted). */
#include "area.h"

#include <base/log.h>
#include <libos/lock.h>
#include <libos/node.h>
#include <libos/page.h>
#include <plat/boot.h>
#include <plat/cpu.h>
#include <plat/mem.h>
#include <plat/node.h>
#include <plat/thread.h>
#include <plat/upcall.h>
#include <string.h>

enum {
    REGION_MAX = 64,
    CHUNK = 1 << PAGE_ORDER_MAX, /* pages */
    STORE = 56,                  /* pages a CPU keeps at hand */
    REFILL_ORDER = 5,
    RESERVE_MIN = 16, /* pages that only libOS itself gets */
    RESERVE_MAX = 256,
    PRESSURE_MAX = 4,
    BLOCK_TRIES = 6,
    REPORT_LOOKS = 4096,      /* blocks looked at under the lock */
    REPORT_SPARE = 4 * CHUNK, /* free pages that stay while others are with the host */
};

struct chunks {
    uint64_t next, end; /* page numbers, whole chunks not opened yet */
};

struct store {
    uint32_t n;
    struct page *page[STORE];
    int64_t used[PAGE_FILE + 1]; /* pages of each kind given out minus taken back on this CPU */
} ALIGNED(64);

static struct spin lock = SPIN_INIT(RANK_PAGES);

/* What is free of one node's memory; guarded by lock. */
struct node {
    uint64_t total, free; /* pages; free: not in a CPU\'s store */
    struct page *free_list[PAGE_ORDER_MAX + 1];
    uint32_t free_orders; /* bit o: free_list[o] is not empty */
    uint32_t nchunks;     /* entries of chunks that have some left */
    struct chunks chunks[REGION_MAX];
};
static struct node nodes[PLAT_NODE_MAX];
static unsigned nnodes = 1;
bool node_many;
/* For each node: itself, then the others, nearest first. */
static uint8_t near[PLAT_NODE_MAX][PLAT_NODE_MAX];
static uint8_t cpu_node[PLAT_CPU_MAX];
static uint64_t free_pages; /* written with lock; unopened chunks included */
static uint64_t total_pages, table_pages, reserve;
static _Atomic uint64_t lent_pages; /* allocated, and the host's */
static struct page *frames;
static uint64_t nframes;
static struct store stores[PLAT_CPU_MAX];
static size_t (*pressure[PRESSURE_MAX])(size_t n);

struct page *page_of(paddr_t pa)
{
    uint64_t n = pa.v >> PAGE_SHIFT;
    return LIKELY(n < nframes) ? &frames[n] : NULL;
}

paddr_t page_addr(const struct page *p)
{
    return PADDR((uint64_t)(p - frames) << PAGE_SHIFT);
}

void *page_ptr(const struct page *p)
{
    return plat_phys_to_virt(page_addr(p));
}

static struct node *node_of(const struct page *p)
{
    uint64_t end;
    return LIKELY(nnodes == 1) ? &nodes[0] : &nodes[plat_node_of(page_addr(p), &end)];
}

static void list_push(struct page *p, unsigned order)
{
    struct node *nd = node_of(p);
    nd->free += 1ull << order;
    p->kind = PAGE_FREE;
    p->order = (uint8_t)order;
    p->prev = NULL;
    p->next = nd->free_list[order];
    if (p->next)
        p->next->prev = p;
    nd->free_list[order] = p;
    nd->free_orders |= 1u << order;
}

static void list_remove(struct page *p, unsigned order)
{
    struct node *nd = node_of(p);
    nd->free -= 1ull << order;
    if (p->next)
        p->next->prev = p->prev;
    if (p->prev)
        p->prev->next = p->next;
    else if (!(nd->free_list[order] = p->next))
        nd->free_orders &= ~(1u << order);
    p->kind = PAGE_KERNEL;
}

/* Put a block back, joined with its free neighbours. Chunks are opened whole, so the neighbour's entry is valid. */
static void block_free(struct page *p, unsigned order)
{
    free_pages += 1ull << order;
    uint64_t n = (uint64_t)(p - frames);
    while (order < PAGE_ORDER_MAX) {
        uint64_t m = n ^ (1ull << order);
        if (m >= nframes || frames[m].kind != PAGE_FREE || frames[m].order != order)
            break;
        if (UNLIKELY(nnodes > 1) && node_of(&frames[m]) != node_of(&frames[n]))
            break;
        list_remove(&frames[m], order);
        n &= ~(1ull << order);
        order++;
    }
    list_push(&frames[n], order);
}

/* Open one more chunk. */
static bool chunk_open(struct node *nd)
{
    if (nd->nchunks == 0)
        return false;
    struct chunks *c = &nd->chunks[nd->nchunks - 1];
    struct page *p = &frames[c->next];
    c->next += CHUNK;
    if (c->next == c->end)
        nd->nchunks--;
    plat_mem_accept(page_addr(p), (uint64_t)CHUNK << PAGE_SHIFT);
    memset(p, 0, CHUNK * sizeof *p);
    p->flags = PAGE_REPORTED; /* the host has not given it so far */
    nd->free -= CHUNK;
    list_push(p, PAGE_ORDER_MAX);
    return true;
}

static struct page *node_take(struct node *nd, unsigned order)
{
    uint32_t fits = nd->free_orders & (~0u << order);
    if (UNLIKELY(!fits)) {
        if (!chunk_open(nd))
            return NULL;
        fits = 1u << PAGE_ORDER_MAX;
    }
    unsigned o = (unsigned)__builtin_ctz(fits);
    struct page *p = nd->free_list[o];
    list_remove(p, o);
    while (o > order) {
        o--;
        list_push(p + (1u << o), o);
    }
    free_pages -= 1ull << order;
    return p;
}

/* Take a block of exactly this order, the nearest to this CPU, or NULL. */
static struct page *block_take(unsigned order)
{
    const uint8_t *order_of = near[cpu_node[plat_cpu_id()]];
    struct page *p = NULL;
    for (unsigned i = 0; i < nnodes && !p; i++)
        p = node_take(&nodes[order_of[i]], order);
    return p;
}

/* Is there a block of this order, or a larger one? */
static bool block_any(unsigned order)
{
    for (unsigned i = 0; i < nnodes; i++)
        if (nodes[i].free_orders >> order || nodes[i].nchunks)
            return true;
    return false;
}

/* May an allocation of n pages with these flags go below what others need? */
static bool above_reserve(size_t n, enum page_kind kind, unsigned flags)
{
    uint64_t keep = flags & PAGE_MUST ? 0 : kind == PAGE_KERNEL ? reserve / 4 : reserve;
    return free_pages >= n + keep;
}

/* Make each page of a block a single one with so many references. refs, kind, order and flags are one store: nobody else
 * knows the page yet. */
static void block_scatter(struct page *p, size_t n, enum page_kind kind, uint32_t refs)
{
    struct head {
        uint32_t refs;
        uint8_t kind, order;
        uint16_t flags;
    } head = { .refs = refs, .kind = (uint8_t)kind };
    _Static_assert(sizeof head == sizeof *p - offsetof(struct page, refs),
                   "the last members of struct page");
    for (struct page *end = p + n; p < end; p++) {
        p->owner = NULL;
        __builtin_memcpy((char *)p + offsetof(struct page, refs), &head, sizeof head);
    }
}

/* Ask the registered owners of memory to give some back. */
static bool relieve(size_t n)
{
    size_t got = 0;
    for (size_t i = 0; i < PRESSURE_MAX && pressure[i] && got < n; i++)
        got += pressure[i](n - got);
    return got > 0;
}

void page_on_pressure(size_t (*fn)(size_t n))
{
    for (size_t i = 0; i < PRESSURE_MAX; i++) {
        if (!pressure[i]) {
            pressure[i] = fn;
            return;
        }
    }
    panic("too many sources of memory");
}

/* Give the whole of this CPU's store back, so that neighbours can join. */
static size_t store_drain(struct store *s)
{
    size_t n = s->n;
    spin_lock(&lock);
    while (s->n)
        block_free(s->page[--s->n], 0);
    spin_unlock(&lock);
    return n;
}

static bool store_refill(struct store *s, enum page_kind kind, unsigned flags)
{
    spin_lock(&lock);
    unsigned order = REFILL_ORDER;
    struct page *p = NULL;
    while (above_reserve(1ull << order, kind, flags) ? !(p = block_take(order)) : true) {
        if (order-- == 0)
            break;
    }
    spin_unlock(&lock);
    if (!p)
        return false;
    size_t n = 1ull << order;
    block_scatter(p, n, PAGE_KERNEL, 0);
    for (size_t i = 0; i < n; i++)
        s->page[s->n++] = &p[n - 1 - i];
    return true;
}

static struct page *single_take(struct store *s, enum page_kind kind, unsigned flags)
{
    for (unsigned tries = 0; UNLIKELY(s->n == 0); tries++) {
        if (store_refill(s, kind, flags))
            break;
        if (tries == 3 || (flags & PAGE_NORECLAIM) || !relieve(32))
            return NULL;
    }
    struct page *p = s->page[--s->n];
    p->owner = NULL;
    p->flags = 0;
    return p;
}

static struct page *block_alloc(struct store *s, unsigned order, enum page_kind kind,
                                unsigned flags)
{
    for (unsigned tries = 0;; tries++) {
        struct page *p = NULL;
        spin_lock(&lock);
        if (above_reserve(1ull << order, kind, flags))
            p = block_take(order);
        spin_unlock(&lock);
        if (p) {
            block_scatter(p, 1, kind, 0);
            p->order = (uint8_t)order;
            return p;
        }
        if (tries == BLOCK_TRIES || (flags & PAGE_NORECLAIM))
            return NULL;
        /* Pages that come back are scattered: more of them each time, until some are neighbours. */
        bool got = relieve(32ull << tries << order);
        if (!store_drain(s) && !got)
            return NULL;
    }
}

struct page *page_alloc(unsigned order, enum page_kind kind, unsigned flags)
{
    must(order <= PAGE_ORDER_MAX);
    struct store *s = &stores[plat_cpu_id()];
    struct page *p = order ? block_alloc(s, order, kind, flags) : single_take(s, kind, flags);
    if (UNLIKELY(!p))
        return NULL;
    s->used[kind] += 1ll << order;
    p->kind = (uint8_t)kind;
    atomic_store_explicit(&p->refs, 1, memory_order_relaxed);
    if (flags & PAGE_ZERO)
        memset(page_ptr(p), 0, (size_t)PAGE_SIZE << order);
    return p;
}

void node_memory(unsigned node, struct node_memory *ret)
{
    spin_lock(&lock);
    *ret = (struct node_memory){ nodes[node].total, nodes[node].free };
    spin_unlock(&lock);
}

/* Clear pages, a run of neighbours at a time. */
static void clear(struct page **pages, size_t n)
{
    for (size_t i = 0; i < n;) {
        size_t run = 1;
        while (i + run < n && pages[i + run] == pages[i] + run)
            run++;
        memset(page_ptr(pages[i]), 0, run << PAGE_SHIFT);
        i += run;
    }
}

struct page *page_alloc_on(unsigned node, uint64_t allowed, enum page_kind kind, unsigned flags)
{
    struct page *p = NULL;
    spin_lock(&lock);
    for (unsigned i = 0; i < nnodes && !p && above_reserve(1, kind, flags); i++)
        if (allowed >> near[node][i] & 1)
            p = node_take(&nodes[near[node][i]], 0);
    spin_unlock(&lock);
    if (!p)
        return NULL;
    block_scatter(p, 1, kind, 1);
    stores[plat_cpu_id()].used[kind]++;
    if (flags & PAGE_ZERO)
        clear(&p, 1);
    return p;
}

size_t page_alloc_bulk(struct page **out, size_t n, enum page_kind kind, unsigned flags)
{
    struct store *s = &stores[plat_cpu_id()];
    size_t got = 0;
    while (got < n) {
        size_t left = n - got;
        unsigned order = left == 1 ? 0 : (unsigned)(63 - __builtin_clzll(left));
        order = order > LARGE_SHIFT - PAGE_SHIFT ? LARGE_SHIFT - PAGE_SHIFT : order;
        struct page *p = NULL;
        if (order) {
            spin_lock(&lock);
            if (above_reserve(1ull << order, kind, flags) && block_any(order))
                p = block_take(order);
            spin_unlock(&lock);
        }
        size_t run = p ? 1ull << order : 1;
        if (!p && !(p = single_take(s, kind, flags)))
            break;
        block_scatter(p, run, kind, 1);
        for (size_t i = 0; i < run; i++)
            out[got++] = p + i;
    }
    s->used[kind] += (int64_t)got;
    if (flags & PAGE_ZERO)
        clear(out, got);
    return got;
}

/* A page of another node does not stay at this CPU. */
static NOINLINE bool sent_home(struct store *s, struct page *p)
{
    if (node_of(p) == &nodes[cpu_node[plat_cpu_id()]])
        return false;
    s->used[p->kind]--;
    spin_lock(&lock);
    block_free(p, 0);
    spin_unlock(&lock);
    return true;
}

static void single_free(struct store *s, struct page *p)
{
    if (UNLIKELY(nnodes > 1) && sent_home(s, p))
        return;
    if (UNLIKELY(s->n == STORE)) {
        spin_lock(&lock);
        while (s->n > STORE / 2)
            block_free(s->page[--s->n], 0);
        spin_unlock(&lock);
    }
    s->used[p->kind]--;
    p->kind = PAGE_KERNEL;
    s->page[s->n++] = p;
}

void page_free_last(struct page *p)
{
    atomic_store_explicit(&p->refs, 0, memory_order_relaxed);
    struct store *s = &stores[plat_cpu_id()];
    if (p->order == 0) {
        single_free(s, p);
        return;
    }
    s->used[p->kind] -= 1ll << p->order;
    spin_lock(&lock);
    block_free(p, p->order);
    spin_unlock(&lock);
}

/* Free n neighbours that have no references left, in the largest blocks that fit. */
static void run_free(struct store *s, struct page *p, size_t n)
{
    if (n < 4) {
        while (n--)
            single_free(s, p++);
        return;
    }
    s->used[p->kind] -= (int64_t)n;
    spin_lock(&lock);
    while (n) {
        unsigned align = (unsigned)__builtin_ctzll((uint64_t)(p - frames) | CHUNK);
        unsigned fit = (unsigned)(63 - __builtin_clzll(n));
        unsigned order = align < fit ? align : fit;
        p->order = 0;
        block_free(p, order);
        p += 1ull << order;
        n -= 1ull << order;
    }
    spin_unlock(&lock);
}

/* Drops the only reference of the page; false: it has others, or is not a single page of this kind. */
static ALWAYS_INLINE bool drop(struct page *p, uint8_t kind)
{
    if (p->kind != kind || p->order != 0 ||
        atomic_load_explicit(&p->refs, memory_order_acquire) != 1)
        return false;
    atomic_store_explicit(&p->refs, 0, memory_order_relaxed);
    p->kind = PAGE_KERNEL;
    return true;
}

/* Free a run that drop has taken, of pages that were of this kind. */
static void run_drop(struct store *s, struct page *p, size_t run, uint8_t kind)
{
    /* The count goes by the pages' kind, which drop has overwritten. */
    s->used[kind] -= (int64_t)run;
    s->used[PAGE_KERNEL] += (int64_t)run;
    run_free(s, p, run);
}

void page_put_bulk(struct page **pages, size_t n)
{
    struct store *s = &stores[plat_cpu_id()];
    for (size_t i = 0; i < n;) {
        struct page *p = pages[i];
        uint8_t kind = p->kind;
        if (kind == PAGE_RESERVED || !drop(p, kind)) {
            page_put(p);
            i++;
            continue;
        }
        size_t run = 1;
        while (i + run < n && pages[i + run] == p + run && drop(p + run, kind))
            run++;
        run_drop(s, p, run, kind);
        i += run;
    }
}

void page_put_leaves(const struct plat_leaf *leaf, size_t n, int64_t *ret_anon, int64_t *ret_file)
{
    struct store *s = &stores[plat_cpu_id()];
    const struct page *zeros = zero_page();
    int64_t anon = 0, file = 0;
    for (size_t i = 0; i < n;) {
        struct page *p = &frames[leaf[i].pa.v >> PAGE_SHIFT];
        uint8_t kind = p->kind;
        if (UNLIKELY(leaf[i].prot & PLAT_SPECIAL || p == zeros)) {
            i++;
            continue;
        }
        size_t run = 1, pages = leaf[i].size >> PAGE_SHIFT;
        if (UNLIKELY(pages != 1)) {
            page_large_put(p);
        } else if (kind != PAGE_RESERVED && drop(p, kind)) {
            uint64_t pa = leaf[i].pa.v + PAGE_SIZE;
            while (i + run < n && leaf[i + run].pa.v == pa && leaf[i + run].size == PAGE_SIZE &&
                   drop(p + run, kind)) {
                pa += PAGE_SIZE;
                run++;
            }
            run_drop(s, p, run, kind);
            pages = run;
        } else {
            page_put(p);
        }
        *(kind == PAGE_ANON ? &anon : &file) += (int64_t)pages;
        i += run;
    }
    *ret_anon = anon;
    *ret_file = file;
}

uint64_t upcall_leaves_get(const paddr_t *pages, size_t n)
{
    uint64_t cow = 0;
    for (size_t i = 0; i < n; i++) {
        struct page *p = &frames[pages[i].v >> PAGE_SHIFT];
        uint8_t kind = p->kind;
        if (kind == PAGE_RESERVED)
            continue;
        page_get(p);
        cow |= (uint64_t)(kind == PAGE_ANON) << i;
    }
    return cow;
}

void upcall_leaves_put(const paddr_t *pages, size_t n)
{
    struct store *s = &stores[plat_cpu_id()];
    for (size_t i = 0; i < n;) {
        struct page *p = &frames[pages[i].v >> PAGE_SHIFT];
        uint8_t kind = p->kind;
        size_t run = 1;
        if (kind == PAGE_RESERVED) {
            i++;
            continue;
        }
        if (drop(p, kind)) {
            while (i + run < n && pages[i + run].v == pages[i].v + (run << PAGE_SHIFT) &&
                   drop(p + run, kind))
                run++;
            run_drop(s, p, run, kind);
        } else {
            page_put(p);
        }
        i += run;
    }
}

struct page *zero_page(void)
{
    static struct page *zero;
    if (UNLIKELY(!zero)) {
        struct page *p = page_alloc(0, PAGE_KERNEL, PAGE_ZERO | PAGE_MUST);
        must(p);
        p->kind = PAGE_RESERVED;
        struct page *expected = NULL;
        if (!__atomic_compare_exchange_n(&zero, &expected, p, false, __ATOMIC_ACQ_REL,
                                         __ATOMIC_ACQUIRE)) {
            p->kind = PAGE_KERNEL;
            page_put(p);
        }
    }
    return zero;
}

void page_put_run(struct page *first, size_t n)
{
    struct page *batch[64];
    while (n) {
        size_t k = n < ARRAY_SIZE(batch) ? n : ARRAY_SIZE(batch);
        for (size_t i = 0; i < k; i++)
            batch[i] = first + i;
        page_put_bulk(batch, k);
        first += k;
        n -= k;
    }
}

void page_large_put(struct page *first)
{
    if (--first->larges == 0)
        page_put_run(first, LARGE_SIZE / PAGE_SIZE);
}

void page_split(struct page *p)
{
    size_t n = 1ull << p->order;
    block_scatter(p, n, p->kind, 1);
}

uint64_t page_total_count(void)
{
    return total_pages - lent_pages;
}

void page_lend(int64_t n)
{
    atomic_fetch_add(&lent_pages, (uint64_t)n);
}

size_t page_unreported(struct page **out, size_t n)
{
    struct store *s = &stores[plat_cpu_id()];
    size_t got = 0;
    spin_lock(&lock);
    unsigned looked = 0;
    for (unsigned i = 0; i < nnodes; i++) {
        struct page *p = nodes[i].free_list[PAGE_ORDER_MAX], *next;
        for (; p && got < n && looked < REPORT_LOOKS; p = next, looked++) {
            next = p->next;
            if (p->flags & PAGE_REPORTED || free_pages < reserve + REPORT_SPARE)
                continue;
            list_remove(p, PAGE_ORDER_MAX);
            free_pages -= CHUNK;
            block_scatter(p, 1, PAGE_KERNEL, 1);
            p->order = PAGE_ORDER_MAX;
            s->used[PAGE_KERNEL] += CHUNK;
            out[got++] = p;
        }
    }
    spin_unlock(&lock);
    return got;
}

void page_reported(struct page *p)
{
    atomic_store_explicit(&p->refs, 0, memory_order_relaxed);
    stores[plat_cpu_id()].used[PAGE_KERNEL] -= CHUNK;
    spin_lock(&lock);
    block_free(p, PAGE_ORDER_MAX);
    p->flags = PAGE_REPORTED;
    spin_unlock(&lock);
}

uint64_t page_free_count(void)
{
    return *(volatile uint64_t *)&free_pages;
}

uint64_t page_available_count(void)
{
    uint64_t n = page_free_count();
    return n > reserve ? n - reserve : 0;
}

void page_stats(struct page_stats *ret)
{
    int64_t used[PAGE_FILE + 1] = { 0 };
    uint64_t stored = 0;
    for (size_t i = 0; i < PLAT_CPU_MAX; i++) {
        stored += stores[i].n;
        for (size_t k = 0; k <= PAGE_FILE; k++)
            used[k] += stores[i].used[k];
    }
    uint64_t lent = lent_pages;
    ret->total = total_pages - lent;
    ret->free = page_free_count() + stored;
    ret->kernel = (uint64_t)used[PAGE_KERNEL] + table_pages - lent;
    ret->anon = (uint64_t)used[PAGE_ANON];
    ret->file = (uint64_t)used[PAGE_FILE];
}

/* Clear the entries of pages [from, to), unless an earlier call did. Calls come in ascending order. */
static void entries_clear(uint64_t from, uint64_t to, uint64_t *done)
{
    from = max_u64(from, *done);
    to = min_u64(to, nframes);
    if (from < to)
        memset(&frames[from], 0, (to - from) * sizeof *frames);
    *done = max_u64(*done, to);
}

/* Give the pages [from, to) to the free lists; their entries are clear. */
static void pages_add(uint64_t from, uint64_t to)
{
    plat_mem_accept(PADDR(from << PAGE_SHIFT), (to - from) << PAGE_SHIFT);
    while (from < to) {
        unsigned align = (unsigned)__builtin_ctzll(from | CHUNK);
        unsigned fit = (unsigned)(63 - __builtin_clzll(to - from));
        unsigned order = align < fit ? align : fit;
        block_free(&frames[from], order);
        from += 1ull << order;
    }
}

/* Whole chunks of the region, which is of one node, stay closed; the rest is added now. */
static void part_add(uint64_t from, uint64_t to, struct node *nd, uint64_t *done)
{
    uint64_t first = align_up(from, CHUNK), last = align_down(to, CHUNK);
    if (first >= last || nd->nchunks == REGION_MAX) {
        entries_clear(align_down(from, CHUNK), align_up(to, CHUNK), done);
        pages_add(from, to);
        return;
    }
    entries_clear(align_down(from, CHUNK), first, done);
    *done = max_u64(*done, last);
    pages_add(from, first);
    nd->chunks[nd->nchunks++] = (struct chunks){ first, last };
    free_pages += last - first;
    nd->free += last - first;
    entries_clear(last, align_up(to, CHUNK), done);
    pages_add(last, to);
}

static void region_add(uint64_t from, uint64_t to, uint64_t *done)
{
    while (from < to) {
        uint64_t end;
        unsigned node = plat_node_of(PADDR(from << PAGE_SHIFT), &end);
        /* A boundary within a page: it is the first node's. */
        uint64_t stop = end == UINT64_MAX ? to : min_u64(to, (end + PAGE_SIZE - 1) >> PAGE_SHIFT);
        nodes[node].total += stop - from;
        part_add(from, stop, &nodes[node], done);
        from = stop;
    }
}

static void nodes_init(void)
{
    nnodes = plat_node_count();
    node_many = nnodes > 1;
    for (unsigned i = 0; i < nnodes; i++) {
        unsigned n = 0;
        /* By insertion: near[i][0..n) is in order. */
        for (unsigned k = 0; k < nnodes; k++) {
            unsigned at = n++;
            for (; at > 0 && plat_node_distance(i, k) < plat_node_distance(i, near[i][at - 1]);
                 at--)
                near[i][at] = near[i][at - 1];
            near[i][at] = (uint8_t)k;
        }
    }
    cpu_node[plat_cpu_id()] = (uint8_t)plat_node_of_cpu(plat_cpu_id());
}

void page_init_cpu(unsigned cpu)
{
    cpu_node[cpu] = (uint8_t)plat_node_of_cpu(cpu);
}

/* Find room for the frame table at the end of the largest region. Its index. */
static size_t table_place(uint64_t bytes)
{
    struct plat_mem_region r;
    size_t best = 0;
    uint64_t largest = 0;
    for (size_t i = 0; plat_mem_region(i, &r); i++) {
        if (r.size > largest) {
            largest = r.size;
            best = i;
        }
    }
    if (largest < bytes + 64 * PAGE_SIZE)
        panic("too little memory: at least %llu KiB more are needed",
              (unsigned long long)(bytes - largest) / 1024 + 256);
    return best;
}

void page_init(void)
{
    nodes_init();
    nframes = align_up(plat_mem_end().v >> PAGE_SHIFT, CHUNK);
    uint64_t bytes = align_up(nframes * sizeof *frames, PAGE_SIZE);
    size_t home = table_place(bytes);
    struct plat_mem_region r;
    must(plat_mem_region(home, &r));
    uint64_t table = r.start.v + r.size - bytes;
    plat_mem_accept(PADDR(table), bytes);
    frames = plat_phys_to_virt(PADDR(table));
    table_pages = bytes >> PAGE_SHIFT;

    const void *payload = plat_boot_info()->payload;
    uint64_t image = payload ? plat_virt_to_phys(payload).v >> PAGE_SHIFT : 0, done = 0, end = 0;
    for (size_t i = 0; plat_mem_region(i, &r); i++) {
        uint64_t from = r.start.v >> PAGE_SHIFT,
                 to = (i == home ? table : r.start.v + r.size) >> PAGE_SHIFT;
        /* A gap in front: the image's pages are looked up, device memory (a large gap) is not. */
        if (from - end < (64u << 20 >> PAGE_SHIFT) || (image >= end && image < from))
            entries_clear(end, from, &done);
        region_add(from, to, &done);
        end = (r.start.v + r.size) >> PAGE_SHIFT;
        total_pages += r.size >> PAGE_SHIFT;
    }
    if (image >= end)
        entries_clear(end, nframes, &done);
    reserve = min_u64(RESERVE_MIN + total_pages / 256, RESERVE_MAX);
}
