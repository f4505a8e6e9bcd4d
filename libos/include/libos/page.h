/* SPDX-License-Identifier: MIT */
/* Physical pages. Every page of RAM has a struct page; blocks are powers of two of pages. */
#ifndef LIBOS_PAGE_H
#define LIBOS_PAGE_H

#include <base/compiler.h>
#include <base/types.h>

enum page_kind {
    PAGE_RESERVED, /* not ours: libOS image, firmware, holes. The root image's pages too: mapped, never freed */
    PAGE_FREE,
    PAGE_KERNEL, /* heap, page tables, stacks */
    PAGE_ANON,   /* a program's private memory; refs counts the mappings */
    PAGE_FILE,   /* in a page map, which holds one reference */
};

/* 32 bytes for each page of RAM. Entries are cleared when their part of memory is first used, not at boot. */
struct page {
    struct page *next,
        *prev; /* free lists; free for the owner's use otherwise (PAGE_FILE: see pagemap.c) */
    union {
        void *owner; /* PAGE_KERNEL: slab; PAGE_FILE: struct pagemap */
        /* PAGE_ANON, the first page of 2 MiB: large leaves that show it. Together they have one reference of each page. */
        _Atomic uint32_t larges;
    };
    _Atomic uint32_t refs;
    uint8_t kind;   /* enum page_kind */
    uint8_t order;  /* of the block that this page heads */
    uint16_t flags; /* the owner's */
};

_Static_assert(sizeof(struct page) == 32, "the frame table is 32 bytes a page");

/* struct page.flags of a PAGE_ANON page; guarded by the range lock of the leaf that shows it. */
enum { PAGE_LAZY = 1 /* its content may go, unless it is written to (MADV_FREE) */ };
/* The same of a free block of the largest size; guarded by the allocator's lock. */
enum { PAGE_REPORTED = 2 /* the host knows that its content need not be kept */ };

enum page_flags {
    PAGE_ZERO = 1, /* cleared */
    PAGE_MUST = 2, /* use the reserve: for work that frees memory */
    PAGE_NORECLAIM = 4,
};

enum { PAGE_ORDER_MAX = 10 }; /* the largest block: 4 MiB */

/* Build the frame table from the platform's regions. Called once, before anything else of libOS. Panics, naming what is
 * needed, when memory is too small for the table. */
void page_init(void);

/* A further CPU runs: its memory comes from its node from now on. */
void page_init_cpu(unsigned cpu);

/* A block of 1 << order pages with one reference (its head has), kind set; NULL when there is none even after reclaim.
 * Locks: takes RANK_PAGES. May sleep: no. */
struct page *page_alloc(unsigned order, enum page_kind kind, unsigned flags);
/* Fill out[0..n) with single pages, neighbours in memory as far as possible; how many there were. */
size_t page_alloc_bulk(struct page **out, size_t n, enum page_kind kind, unsigned flags);

static inline void page_get(struct page *p)
{
    p->refs++;
}
/* Free the block of p, whose last reference is the caller's, or has just been dropped. */
void page_free_last(struct page *p);

/* Drop a reference; the last one frees the block. Reserved pages are left alone. */
static inline void page_put(struct page *p)
{
    if (UNLIKELY(p->kind == PAGE_RESERVED))
        return;
    if (UNLIKELY(p->refs == 1) || UNLIKELY(--p->refs == 0))
        page_free_last(p);
}
/* Drop one reference of each; cheapest when neighbours in memory stand next to each other. */
void page_put_bulk(struct page **pages, size_t n);
/* Drop one reference of each of the n single pages from first on. */
void page_put_run(struct page *first, size_t n);
/* Turn a block into single pages, each with one reference. */
void page_split(struct page *p);

/* A large leaf more shows the 2 MiB from first on. */
static inline void page_large_get(struct page *first)
{
    first->larges++;
}
/* One fewer; the last drops a reference of each page. */
void page_large_put(struct page *first);

struct page *page_of(paddr_t pa); /* NULL: not RAM */
/* The physical address of a page, and where the linear map has it. */
paddr_t page_addr(const struct page *p);
void *page_ptr(const struct page *p);

/* Pages that are ours. */
uint64_t page_total_count(void);
/* Free pages, roughly: no lock is taken. */
uint64_t page_free_count(void);
/* Free pages that programs can have: those kept for libOS are not counted. */
uint64_t page_available_count(void);
/* Register what is asked for memory when there is none: fn tries to free n pages and says how many it freed. It must not
 * sleep and may be called with any lock below RANK_PAGES held, so it only tries locks. At most 4. */
void page_on_pressure(size_t (*fn)(size_t n));

/* n allocated pages more (or fewer) are the host's: the machine's total is without them. */
void page_lend(int64_t n);
/* Take up to n free blocks of the largest size that the host was not told of; how many. They are in use until page_reported, and
 * memory that is short stays where it is. */
size_t page_unreported(struct page **out, size_t n);
/* Free one of them; the host has been told. */
void page_reported(struct page *p);

struct page_stats {
    uint64_t total, free, kernel, anon, file; /* pages */
};
/* Counts of pages by use. total leaves out what is not ours. */
void page_stats(struct page_stats *ret);

#endif
