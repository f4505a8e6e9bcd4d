/* SPDX-License-Identifier: MIT */
/* libOS's own memory. Objects of one size come from a slab: pages cut into objects, with a magazine of free objects in
 * front. heap_alloc picks one of a few slabs by size, or whole pages.
 *
 * In a slab's page, struct page holds: owner the slab, refs 1 + objects taken out of the page, flags the index of the
 * first free object (each free object begins with the index of the next), next and prev the list of pages with free
 * objects. A page is cut only when it joins its slab. Objects larger than half a page have a block of pages each.
 *
 * In front of the magazine each CPU has a few objects of each slab for itself, which need no lock: ring 0 is not
 * interrupted. Half of such a front moves to or from the magazine at a time. */
#include "heap_check.h"

#include <base/log.h>
#include <libos/page.h>
#include <plat/cpu.h>
#include <plat/mem.h>
#include <plat/thread.h>
#include <string.h>

enum { NONE = 0xffff, REFILL = 16, FRONT = 31, FRONTS = 128 };

struct front {
    uint32_t n;
    void *object[FRONT]; /* most recent last */
} ALIGNED(64);
static struct front
    *fronts[PLAT_CPU_MAX]; /* FRONTS of each CPU, by the slab's id; made at its first use */
static _Atomic uint32_t last_id;

static uint32_t stride(const struct slab *s)
{
    uint32_t align = s->align < 8 ? 8 : s->align;
    return (uint32_t)align_up(s->size < 8 ? 8 : s->size, align);
}

static unsigned order_for(size_t size)
{
    unsigned order = 0;
    while (((size_t)PAGE_SIZE << order) < size)
        order++;
    return order;
}

static struct page *page_holding(const void *p)
{
    return page_of(plat_virt_to_phys(p));
}

static void partial_add(struct slab *s, struct page *p)
{
    struct page *head = s->partial;
    p->prev = NULL;
    p->next = head;
    if (head)
        head->prev = p;
    s->partial = p;
}

static void partial_remove(struct slab *s, struct page *p)
{
    if (p->next)
        p->next->prev = p->prev;
    if (p->prev)
        p->prev->next = p->next;
    else
        s->partial = p->next;
}

/* Cut a fresh page into free objects. */
static void page_cut(struct slab *s, struct page *p)
{
    uint32_t step = stride(s), n = PAGE_SIZE / step;
    char *base = page_ptr(p);
    for (uint32_t i = 0; i < n; i++)
        *(uint16_t *)(base + i * step) = (uint16_t)(i + 1 < n ? i + 1 : NONE);
    p->owner = s;
    p->flags = 0;
    partial_add(s, p);
    s->slabs++;
}

/* Move up to REFILL free objects from pages into the magazine. */
static void magazine_fill(struct slab *s)
{
    uint32_t step = stride(s);
    struct page *p;
    while (s->in_magazine < REFILL && (p = s->partial)) {
        char *base = page_ptr(p);
        while (s->in_magazine < REFILL && p->flags != NONE) {
            void *o = base + p->flags * step;
            p->flags = *(uint16_t *)o;
            p->refs++;
            s->magazine[s->in_magazine++] = o;
        }
        if (p->flags == NONE)
            partial_remove(s, p);
    }
}

/* Return an object to its page. A page without objects in use goes back, unless it is the slab's last one. */
static struct page *object_return(struct slab *s, void *o)
{
    struct page *p = page_holding(o);
    uint32_t step = stride(s);
    if (p->flags == NONE)
        partial_add(s, p);
    *(uint16_t *)o = p->flags;
    p->flags = (uint16_t)((uint32_t)((char *)o - (char *)page_ptr(p)) / step);
    if (--p->refs != 1 || (!p->next && !p->prev) || s->keep)
        return NULL;
    partial_remove(s, p);
    s->slabs--;
    return p;
}

static void *large_alloc(size_t size, struct slab *owner)
{
    if (size > (size_t)PAGE_SIZE << PAGE_ORDER_MAX)
        return NULL;
    struct page *p = page_alloc(order_for(size), PAGE_KERNEL, 0);
    if (!p)
        return NULL;
    p->owner = owner;
    return page_ptr(p);
}

/* This CPU's front of s; NULL: there is none (yet). */
static ALWAYS_INLINE struct front *front_of(const struct slab *s)
{
    struct front *f = fronts[plat_cpu_id()];
    return LIKELY(f && s->id - 1 < FRONTS) ? &f[s->id - 1] : NULL;
}

/* Objects for the magazine, from a fresh page. The lock is held, and dropped meanwhile. */
static bool magazine_grow(struct slab *s)
{
    spin_unlock(&s->lock);
    struct page *p = page_alloc(0, PAGE_KERNEL, 0);
    spin_lock(&s->lock);
    if (p) {
        page_cut(s, p);
        magazine_fill(s);
    }
    return s->in_magazine != 0;
}

/* Make this CPU's fronts, and give s its place in them. */
static void front_make(struct slab *s)
{
    unsigned cpu = plat_cpu_id();
    uint32_t none = 0;
    if (!fronts[cpu]) {
        struct page *p = page_alloc(order_for(FRONTS * sizeof(struct front)), PAGE_KERNEL,
                                    PAGE_ZERO | PAGE_NORECLAIM);
        fronts[cpu] = p ? page_ptr(p) : NULL;
    }
    if (!s->id)
        __atomic_compare_exchange_n(&s->id, &none, ++last_id, false, __ATOMIC_RELAXED,
                                    __ATOMIC_RELAXED);
}

static NOINLINE void *alloc_slow(struct slab *s)
{
    if (UNLIKELY(s->size > PAGE_SIZE / 2))
        return large_alloc(s->size, s);
    if (!front_of(s))
        front_make(s);
    spin_lock(&s->lock);
    if (UNLIKELY(s->in_magazine == 0)) {
        magazine_fill(s);
        if (s->in_magazine == 0 && !magazine_grow(s)) {
            spin_unlock(&s->lock);
            return NULL;
        }
    }
    struct front *f = front_of(s);
    void *o = s->magazine[--s->in_magazine];
    while (f && f->n < FRONT / 2 && s->in_magazine)
        f->object[f->n++] = s->magazine[--s->in_magazine];
    spin_unlock(&s->lock);
    return o;
}

void *slab_alloc(struct slab *s)
{
    struct front *f = front_of(s);
    if (LIKELY(f && f->n))
        return f->object[--f->n];
    return alloc_slow(s);
}

/* Make room in the magazine; the pages that nobody uses any more. */
static size_t magazine_drain(struct slab *s, struct page **empty)
{
    size_t n = 0;
    while (s->in_magazine > SLAB_MAGAZINE / 2)
        if ((empty[n] = object_return(s, s->magazine[--s->in_magazine])))
            n++;
    return n;
}

static NOINLINE void free_slow(struct slab *s, void *o, struct front *f)
{
    if (UNLIKELY(s->size > PAGE_SIZE / 2)) {
        page_put(page_holding(o));
        return;
    }
    struct page *empty[SLAB_MAGAZINE];
    size_t n = 0;
    spin_lock(&s->lock);
    if (UNLIKELY(s->in_magazine + FRONT > SLAB_MAGAZINE))
        n = magazine_drain(s, empty);
    s->magazine[s->in_magazine++] = o;
    while (f && f->n > FRONT / 2)
        s->magazine[s->in_magazine++] = f->object[--f->n];
    spin_unlock(&s->lock);
    while (n)
        page_put(empty[--n]);
}

void slab_free(struct slab *s, void *o)
{
    if (!o)
        return;
    if (s->size <= PAGE_SIZE / 2 && !heap_check_free(&s, &o))
        return;
    struct front *f = front_of(s);
    if (LIKELY(f && f->n < FRONT))
        f->object[f->n++] = o;
    else
        free_slow(s, o, f);
}

#define CLASS(n)                                                                                   \
    {                                                                                              \
        .name = "heap-" #n, .size = (n), .align = 16, .lock = SPIN_INIT(RANK_SLAB),                \
        .magazine = (void *[SLAB_MAGAZINE])                                                        \
        {                                                                                          \
            NULL                                                                                   \
        }                                                                                          \
    }
static struct slab classes[] = {
    CLASS(16),  CLASS(32),  CLASS(64),  CLASS(96),   CLASS(128),  CLASS(192),  CLASS(256),
    CLASS(384), CLASS(512), CLASS(768), CLASS(1024), CLASS(1344), CLASS(2048),
};

/* The class for a size, by its number of 16 bytes begun. */
static const uint8_t class_of[] = {
    [0 ... 1] = 0,    [2] = 1,          [3 ... 4] = 2,     [5 ... 6] = 3,   [7 ... 8] = 4,
    [9 ... 12] = 5,   [13 ... 16] = 6,  [17 ... 24] = 7,   [25 ... 32] = 8, [33 ... 48] = 9,
    [49 ... 64] = 10, [65 ... 84] = 11, [85 ... 128] = 12,
};

static struct slab *class_for(size_t size)
{
    return &classes[class_of[(size + 15) / 16]];
}

void *heap_alloc(size_t size)
{
    if (size > PAGE_SIZE / 2)
        return large_alloc(size, NULL);
    struct slab *s = class_for(size);
    void *p = slab_alloc(s);
    if (p)
        heap_check_size(p, size, s->size);
    return p;
}

void *heap_zalloc(size_t size)
{
    void *p = heap_alloc(size);
    return p ? memset(p, 0, size) : NULL;
}

void *heap_calloc(size_t n, size_t size)
{
    size_t total;
    if (__builtin_mul_overflow(n, size, &total))
        return NULL;
    return heap_zalloc(total);
}

/* Bytes that are usable at p. */
static size_t room(void *p)
{
    struct page *page = page_holding(p);
    struct slab *s = page->owner;
    return s ? s->size : (size_t)PAGE_SIZE << page->order;
}

void *heap_realloc(void *p, size_t old_size, size_t size)
{
    if (p && size <= room(p) && size > room(p) / 4) {
        if (room(p) <= PAGE_SIZE / 2)
            heap_check_size(p, size, room(p));
        return p;
    }
    void *q = heap_alloc(size);
    if (!q || !p)
        return q;
    memcpy(q, p, old_size < size ? old_size : size);
    heap_free(p);
    return q;
}

void heap_free(void *p)
{
    if (!p)
        return;
    struct page *page = page_holding(p);
    struct slab *s = page->owner;
    if (s)
        slab_free(s, p);
    else
        page_put(page);
}

char *heap_strdup(const char *s)
{
    size_t n = strlen(s) + 1;
    char *copy = heap_alloc(n);
    return copy ? memcpy(copy, s, n) : NULL;
}
