/* SPDX-License-Identifier: MIT */
/* Taking a file's pages away from the programs that map them: truncation, and a page that is replaced by another.
 *
 * Runs without mm->lock: the page map's lock keeps its areas where they are (an area leaves the list, or changes its
 * bounds, only with that lock), the range locks order it against faults, and mm->move_lock against mremap. */
#include "area.h"

#include <libos/page.h>
#include <libos/pagemap.h>
#include <utlist.h>

enum { BATCH = 32 };

/* Unmap [start, end), which is inside one 2 MiB range, but for copies. */
static void zap_file_pages(struct mm *mm, uintptr_t start, uintptr_t end)
{
    for (uintptr_t va = start; va < end; va += PAGE_SIZE) {
        struct plat_leaf leaf;
        plat_mmu_query(&mm->aspace, va, &leaf);
        if (!leaf.present || page_of(leaf.pa)->kind == PAGE_ANON)
            continue;
        uintptr_t at = va;
        if (plat_mmu_unmap(&mm->aspace, &at, va + PAGE_SIZE, &leaf, 1) == 1)
            leaves_put(mm, &leaf, 1);
    }
}

static void zap_all(struct mm *mm, uintptr_t start, uintptr_t end)
{
    struct plat_leaf leaf[BATCH];
    while (start < end) {
        int n = plat_mmu_unmap(&mm->aspace, &start, end, leaf, BATCH);
        if (n < 0) /* only a large page has to be split, and files have none */
            return;
        leaves_put(mm, leaf, (size_t)n);
    }
}

static void zap_range(struct area *a, uintptr_t start, uintptr_t end, bool private_too)
{
    struct mm *mm = a->mm;
    spin_lock(&mm->move_lock);
    while (start < end) {
        uintptr_t stop = align_down(start, LARGE_SIZE) + LARGE_SIZE;
        stop = stop < end ? stop : end;
        struct spin *lock = range_lock(mm, start);
        spin_lock(lock);
        if (private_too || (a->flags & AREA_SHARED))
            zap_all(mm, start, stop);
        else
            zap_file_pages(mm, start, stop);
        spin_unlock(lock);
        start = stop;
    }
    spin_unlock(&mm->move_lock);
}

void zap_area(struct area *a, uintptr_t start, uintptr_t end)
{
    zap_range(a, start, end, false);
}

void mm_zap_file(struct pagemap *m, uint64_t first, uint64_t end, bool private_too)
{
    struct area *a;
    spin_lock(&m->lock);
    DL_FOREACH2(m->mappings, a, file_next)
    {
        uint64_t from = a->pgoff > first ? a->pgoff : first, to = a->pgoff + area_pages(a);
        to = to < end ? to : end;
        if (from < to)
            zap_range(a, a->start + ((from - a->pgoff) << PAGE_SHIFT),
                      a->start + ((to - a->pgoff) << PAGE_SHIFT), private_too);
    }
    spin_unlock(&m->lock);
}

static void try_unmap(struct area *a, uintptr_t va)
{
    struct mm *mm = a->mm;
    if (!spin_trylock(&mm->move_lock))
        return;
    struct spin *lock = range_lock(mm, va);
    if (spin_trylock(lock)) {
        zap_file_pages(mm, va, va + PAGE_SIZE);
        spin_unlock(lock);
    }
    spin_unlock(&mm->move_lock);
}

static bool shows(const struct area *a, uint64_t index)
{
    return index >= a->pgoff && index - a->pgoff < area_pages(a);
}

bool mm_try_unmap_file(struct pagemap *m, uint64_t index)
{
    struct area *a;
    DL_FOREACH2(m->mappings, a, file_next)
    {
        if (a->flags & AREA_LOCKED && shows(a, index))
            return false;
    }
    DL_FOREACH2(m->mappings, a, file_next)
    {
        if (shows(a, index))
            try_unmap(a, a->start + ((index - a->pgoff) << PAGE_SHIFT));
    }
    return true;
}
