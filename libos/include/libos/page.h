/* SPDX-License-Identifier: MIT */
/* Physical pages. Every page of RAM has a struct page; blocks are powers of two of pages. */
#ifndef LIBOS_PAGE_H
#define LIBOS_PAGE_H

#include <base/compiler.h>
#include <base/types.h>

enum page_kind {
    PAGE_RESERVED, /* not ours: libOS image, firmware, holes. The root image's pages too: mapped, never freed */
    PAGE_FREE,
    PAGE_KERNEL,   /* heap, page tables, stacks */
    PAGE_ANON,     /* a program's private memory; refs counts the mappings */
    PAGE_FILE,     /* in a page map, which holds one reference */
};

struct page {
    struct page *next, *prev; /* free lists; free for the owner's use otherwise */
    void *owner;              /* PAGE_KERNEL: slab; PAGE_FILE: struct pagemap */
    _Atomic uint32_t refs;
    uint8_t kind;             /* enum page_kind */
    uint8_t order;            /* of the block that this page heads */
    uint16_t flags;           /* the owner's */
};

enum page_flags {
    PAGE_ZERO = 1,    /* cleared */
    PAGE_MUST = 2,    /* use the reserve: for work that frees memory */
    PAGE_NORECLAIM = 4,
};

/* Build the frame table from the platform's regions. Called once. */
void page_init(void);

/* A block of 1 << order pages with one reference, kind set; NULL when there is none even after reclaim. */
struct page *page_alloc(unsigned order, enum page_kind kind, unsigned flags);
/* Fill out[0..n) with single pages; how many there were. */
size_t page_alloc_bulk(struct page **out, size_t n, enum page_kind kind, unsigned flags);

static inline void page_get(struct page *p)
{
    p->refs++;
}
/* Drop a reference; the last one frees the block. Reserved pages are left alone. */
void page_put(struct page *p);
/* Drop one reference of each. */
void page_put_bulk(struct page **pages, size_t n);
/* Turn a block into single pages, each with one reference. */
void page_split(struct page *p);

struct page *page_of(paddr_t pa); /* NULL: not RAM */
paddr_t page_addr(const struct page *p);
void *page_ptr(const struct page *p);

struct page_stats {
    uint64_t total, free, kernel, anon, file; /* pages */
};
void page_stats(struct page_stats *ret);

#endif
