/* SPDX-License-Identifier: MIT */
/* MADV_FREE: pages whose content the program does not need any more stay until memory runs short; one that it writes to
 * meanwhile stays for good. A page is marked (PAGE_LAZY) and its leaf is made clean; a leaf that is dirty later shows the write.
 *
 * An address space that has such pages is in a list, with the parts where they lie. The parts are only hints: what decides is
 * the page's mark, which goes with the page. Whoever needs a page looks through them with any locks held, so all locks are
 * tried only, and mm->lock is not taken at all: areas that had such pages are AREA_LAZY, and their leaves are changed under
 * range locks always, as those of files. Lock: lazy_lock, for the list and the parts. */
#include "area.h"

#include <libos/page.h>

enum { RUN = 32, LOOKS_MAX = 16384 };

static struct spin lazy_lock = SPIN_INIT(RANK_MM_LAZY);
static struct mm *first; /* guarded by lazy_lock */
static _Atomic bool any; /* first is not NULL */

/* The part [start, end) of mm has lazy pages. lazy_lock is held. */
static void add_part(struct mm *mm, uintptr_t start, uintptr_t end)
{
    struct mm_part *p = mm->lazy, *best = p;
    for (uint32_t i = 0; i < mm->nlazy; i++, p++) {
        if (start <= p->end && p->start <= end) {
            best = p;
            goto widen;
        }
        if (p->start - start < best->start - start) /* the next one above, if there is any */
            best = p;
    }
    if (mm->nlazy < MM_LAZY_MAX) {
        mm->lazy[mm->nlazy++] = (struct mm_part){ start, end };
        return;
    }
widen:
    best->start = start < best->start ? start : best->start;
    best->end = end > best->end ? end : best->end;
}

static void remember(struct mm *mm, uintptr_t start, uintptr_t end)
{
    spin_lock(&lazy_lock);
    if (!mm->nlazy) {
        mm->lazy_next = first;
        mm->lazy_prev = NULL;
        if (first)
            first->lazy_prev = mm;
        first = mm;
        any = true;
    }
    add_part(mm, start, end);
    spin_unlock(&lazy_lock);
}

/* mm has none any more. lazy_lock is held. */
static void unlist(struct mm *mm)
{
    if (mm->lazy_next)
        mm->lazy_next->lazy_prev = mm->lazy_prev;
    if (mm->lazy_prev)
        mm->lazy_prev->lazy_next = mm->lazy_next;
    else
        first = mm->lazy_next;
    any = first != NULL;
    mm->nlazy = 0;
}

void lazy_forget(struct mm *mm)
{
    spin_lock(&lazy_lock);
    if (mm->nlazy)
        unlist(mm);
    spin_unlock(&lazy_lock);
}

/* The page that a leaf's mark is on, if it is the program's own and nobody else's; NULL. */
static struct page *own_page(const struct plat_leaf *leaf)
{
    if (!leaf->present || leaf->prot & (PLAT_SPECIAL | PLAT_SHARED))
        return NULL;
    struct page *p = page_of(leaf->pa);
    bool alone = leaf->size == PAGE_SIZE ? p->refs == 1 : p->refs == 1 && p->larges == 1;
    return p->kind == PAGE_ANON && alone ? p : NULL;
}

/* The end of the leaf, or of the hole, at va. */
static uintptr_t leaf_end(uintptr_t va, const struct plat_leaf *leaf)
{
    return (va & ~((uintptr_t)leaf->size - 1)) + leaf->size;
}

/* Mark the pages of [start, end), in one 2 MiB range, or take the marks away. How many leaves; the range's lock is held. */
static size_t mark_pages(struct mm *mm, uintptr_t start, uintptr_t end, bool on)
{
    size_t n = 0;
    struct plat_leaf leaf;
    for (uintptr_t va = start, next; va < end; va = next) {
        plat_mmu_query(&mm->aspace, va, &leaf);
        next = leaf_end(va, &leaf);
        struct page *p = own_page(&leaf);
        if (!p || (leaf.size == LARGE_SIZE && (next > end || next - va < LARGE_SIZE)))
            continue;
        p->flags = (uint16_t)(on ? p->flags | PAGE_LAZY : p->flags & ~PAGE_LAZY);
        n++;
    }
    if (n && on)
        plat_mmu_clean(&mm->aspace, start, end, true, true);
    return n;
}

static size_t mark(struct mm *mm, uintptr_t start, uintptr_t end, bool on)
{
    size_t n = 0;
    while (start < end) {
        uintptr_t stop = (start & LARGE_MASK) + LARGE_SIZE;
        stop = stop < end ? stop : end;
        struct spin *lock = range_lock(mm, start);
        spin_lock(lock);
        n += mark_pages(mm, start, stop, on);
        spin_unlock(lock);
        start = stop;
    }
    return n;
}

void lazy_free(struct area *a, uintptr_t start, uintptr_t end)
{
    if (mark(a->mm, start, end, true)) {
        a->flags |= AREA_LAZY;
        remember(a->mm, start, end);
    }
}

void lazy_keep(struct area *a, uintptr_t start, uintptr_t end)
{
    (void)mark(a->mm, start, end, false);
}

uint64_t area_lazy(struct area *a)
{
    uint64_t n = 0;
    struct plat_leaf leaf;
    for (uintptr_t va = a->start, next; a->flags & AREA_LAZY && va < a->end; va = next) {
        plat_mmu_query(&a->mm->aspace, va, &leaf);
        next = leaf_end(va, &leaf);
        next = next < a->end ? next : a->end;
        if (own_page(&leaf) && page_of(leaf.pa)->flags & PAGE_LAZY && !leaf.dirty)
            n += (next - va) >> PAGE_SHIFT;
    }
    return n;
}

/* Take the pages of [start, end), which are marked, are clean and lie side by side, unless one is written to before its right to
 * write is gone. The range's lock is held. */
static size_t take_run(struct mm *mm, uintptr_t start, uintptr_t end)
{
    struct plat_leaf leaf;
    size_t done = 0;
    plat_mmu_query(&mm->aspace, start, &leaf);
    unsigned prot = leaf.prot;
    if (plat_mmu_protect(&mm->aspace, start, end, prot & ~(unsigned)PLAT_WRITE, false))
        return 0;
    for (uintptr_t va = start, next; va < end; va = next) {
        plat_mmu_query(&mm->aspace, va, &leaf);
        next = va + leaf.size;
        uintptr_t at = va;
        if (leaf.dirty) {
            page_of(leaf.pa)->flags &= (uint16_t)~PAGE_LAZY;
            (void)!plat_mmu_protect(&mm->aspace, va, next, prot, true); /* no leaf is split */
        } else if (plat_mmu_unmap(&mm->aspace, &at, next, &leaf, 1) == 1) {
            leaves_put(mm, &leaf, 1);
            done += leaf.size >> PAGE_SHIFT;
        }
    }
    return done;
}

/* What has been looked at and found. */
struct hunt {
    size_t want, done, looks;
};

/* Look through [start, end), in one 2 MiB range. Where to go on. The range's lock is held. */
static uintptr_t take_range(struct mm *mm, uintptr_t start, uintptr_t end, struct hunt *h)
{
    uintptr_t run = 0, va = start, next;
    unsigned prot = 0;
    struct plat_leaf leaf;
    for (; va < end && h->done < h->want; va = next) {
        plat_mmu_query(&mm->aspace, va, &leaf);
        next = leaf_end(va, &leaf);
        h->looks++;
        struct page *p = own_page(&leaf);
        bool wanted = p && p->flags & PAGE_LAZY && (va & (leaf.size - 1)) == 0 && next <= end;
        if (wanted && leaf.dirty) {
            p->flags &= (uint16_t)~PAGE_LAZY;
            wanted = false;
        }
        if (run && (!wanted || leaf.prot != prot || va - run >= RUN * PAGE_SIZE)) {
            h->done += take_run(mm, run, va);
            run = 0;
        }
        if (wanted && !run) {
            run = va;
            prot = leaf.prot;
        }
    }
    if (run)
        h->done += take_run(mm, run, va);
    return va;
}

/* Look through one part. False: something is left, or could not be had. */
static bool take_part(struct mm *mm, struct mm_part *part, struct hunt *h)
{
    while (part->start < part->end && h->done < h->want && h->looks < LOOKS_MAX) {
        uintptr_t stop = (part->start & LARGE_MASK) + LARGE_SIZE;
        stop = stop < part->end ? stop : part->end;
        struct spin *lock = range_lock(mm, part->start);
        if (!spin_trylock(lock))
            return false;
        part->start = take_range(mm, part->start, stop, h);
        spin_unlock(lock);
    }
    return part->start >= part->end;
}

/* Look through mm. True: it has none left. */
static bool take_mm(struct mm *mm, struct hunt *h)
{
    if (!spin_trylock(&mm->move_lock))
        return false;
    for (uint32_t i = 0; i < mm->nlazy && h->done < h->want && h->looks < LOOKS_MAX;) {
        if (take_part(mm, &mm->lazy[i], h))
            mm->lazy[i] = mm->lazy[--mm->nlazy];
        else
            i++;
    }
    spin_unlock(&mm->move_lock);
    return mm->nlazy == 0;
}

size_t lazy_reclaim(size_t n)
{
    struct hunt h = { .want = n };
    if (!any || !spin_trylock(&lazy_lock))
        return 0;
    for (struct mm *mm = first, *next; mm && h.done < n && h.looks < LOOKS_MAX; mm = next) {
        next = mm->lazy_next;
        if (take_mm(mm, &h))
            unlist(mm);
    }
    spin_unlock(&lazy_lock);
    return h.done;
}
