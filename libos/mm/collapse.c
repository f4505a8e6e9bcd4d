/* SPDX-License-Identifier: MIT */
/* MADV_COLLAPSE: the pages of an aligned 2 MiB of private memory become one large page. With mm->lock held for writing, so that no
 * fault comes between; threads in ring 3 lose the right to write while their pages are copied. */
#include "area.h"
#include "marks.h"

#include <abi/errno.h>
#include <abi/signal.h>
#include <libos/page.h>
#include <libos/process.h>
#include <libos/sched.h>
#include <libos/signal.h>
#include <string.h>

enum { PAGES = LARGE_SIZE / PAGE_SIZE, TRIES = 16 };

/* Copy what is at base into to. -EINVAL: nothing; -EAGAIN: somebody else uses a page. */
static int copy_block(struct mm *mm, uintptr_t base, struct page *to)
{
    unsigned found = 0;
    for (unsigned i = 0; i < PAGES; i++) {
        struct plat_leaf leaf;
        plat_mmu_query(&mm->aspace, base + i * PAGE_SIZE, &leaf);
        if (!leaf.present)
            continue;
        struct page *p = page_of(leaf.pa);
        found++;
        if (p == zero_page())
            continue;
        if (p->kind != PAGE_ANON || p->refs != 1)
            return -EAGAIN;
        memcpy(page_ptr(to + i), page_ptr(p), PAGE_SIZE);
    }
    return found ? 0 : -EINVAL;
}

/* Put the large page p (taken) where the small ones are, which hold the same. */
static void replace_block(struct area *a, uintptr_t base, struct page *take_p)
{
    struct mm *mm = a->mm;
    struct spin *lock = range_lock(mm, base);
    int err = range_unmap(mm, base, base + LARGE_SIZE, false);
    bool mapped = false;
    /* A table may have to be made anew, of the pages that were just freed: somebody else may be faster once, not always. */
    for (unsigned i = 0; !err && !mapped && i < TRIES; i++) {
        spin_lock(lock);
        mapped =
            !plat_mmu_map_large(&mm->aspace, base, page_addr(take_p), leaf_prot(a->prot, true));
        spin_unlock(lock);
    }
    if (mapped) {
        mm->rss_anon += PAGES;
        return;
    }
    /* Still no table, and (but for an error before) the small pages are gone. */
    page_put_run(take_p, PAGES);
    signal_kernel(process_current(), SIGKILL);
}

static int collapse_block(struct area *a, uintptr_t base)
{
    struct mm *mm = a->mm;
    struct plat_leaf leaf;
    plat_mmu_query(&mm->aspace, base, &leaf);
    if (leaf.present && leaf.size == LARGE_SIZE)
        return 0;
    if (marks_any(mm) && marks_next(mm, base, base + LARGE_SIZE) != base + LARGE_SIZE)
        return -EINVAL;
    struct page *p = page_alloc(LARGE_SHIFT - PAGE_SHIFT, PAGE_ANON, PAGE_ZERO | PAGE_NORECLAIM);
    if (!p)
        return -ENOMEM;
    page_split(p);
    p->larges = 1;
    if (a->flags & AREA_LAZY)
        lazy_keep(a, base, base + LARGE_SIZE);
    int err = range_protect(a, base, base + LARGE_SIZE,
                            leaf_prot(a->prot, true) & ~(unsigned)PLAT_WRITE, false);
    if (!err)
        err = copy_block(mm, base, p);
    if (err)
        page_put_run(p, PAGES); /* the next writes get their right back, one by one */
    else
        replace_block(a, base, p);
    return err;
}

/* The first block of [*start, end) that a has wholly; *start goes on. *ret_failed: an earlier one's or this one's error. */
static void collapse_next(struct area *a, uintptr_t *start, uintptr_t end, int *ret_failed)
{
    uintptr_t to = a->end < end ? a->end : end, base = align_up(*start, LARGE_SIZE);
    uintptr_t last = to & LARGE_MASK;
    if (a->pages || a->uffd ||
        a->flags & (AREA_SHARED | AREA_SPECIAL | AREA_NOHUGE | AREA_GROWSDOWN) || base > last) {
        *ret_failed = -EINVAL;
        *start = to;
        return;
    }
    int err = base < last ? collapse_block(a, base) : 0;
    if (err)
        *ret_failed = err;
    *start = base + LARGE_SIZE < last ? base + LARGE_SIZE : to;
}

int mm_collapse(struct mm *mm, uintptr_t start, uintptr_t end)
{
    int hole = 0, failed = 0;
    while (start < end) {
        mm_write_lock(mm);
        struct area *a = area_find(mm, start);
        if (a && a->start < end) {
            if (a->start > start) {
                start = a->start;
                hole = -ENOMEM;
            }
            uintptr_t area_end = a->end < end ? a->end : end;
            collapse_next(a, &start, end, &failed);
            if (failed && start >= area_end)
                end = start;
        } else {
            hole = -ENOMEM;
            end = start;
        }
        mm_write_unlock(mm);
        if (thread_preempt_point())
            return -EINTR;
    }
    return failed ? failed : hole;
}
