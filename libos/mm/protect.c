/* SPDX-License-Identifier: MIT */
/* mprotect(2). An area changes its meaning first, then the leaves lose what it forbids; a right that is gained reaches a
 * leaf at once only where the page is the program's own, else at its next fault. */
#include "area.h"

#include <abi/errno.h>
#include <abi/mman.h>

/* Could a leaf of a show a page that must not be written through it? */
static bool may_share_pages(const struct area *a)
{
    return a->pages || (a->flags & (AREA_COW | AREA_SPECIAL));
}

int range_protect(struct area *a, uintptr_t start, uintptr_t end, unsigned prot, bool may_write)
{
    struct mm *mm = a->mm;
    while (start < end) {
        uintptr_t stop = align_down(start, LARGE_SIZE) + LARGE_SIZE;
        struct spin *lock = range_lock(mm, start);
        if (area_is_quiet(a) && !(start & ~LARGE_MASK) && end - start >= LARGE_SIZE) {
            stop = end & LARGE_MASK;
            lock = NULL; /* nobody else: see mm.c */
        }
        stop = stop < end ? stop : end;
        if (lock)
            spin_lock(lock);
        int err = plat_mmu_protect(&mm->aspace, start, stop, prot, may_write);
        if (lock)
            spin_unlock(lock);
        if (err)
            return err;
        start = stop;
    }
    return 0;
}

/* What a may be given: each right has its AREA_MAY_ bit. */
static bool may_have(const struct area *a, unsigned prot)
{
    return !((prot & PLAT_READ) && !(a->flags & AREA_MAY_READ)) &&
           !((prot & PLAT_WRITE) && !(a->flags & AREA_MAY_WRITE)) &&
           !((prot & PLAT_EXEC) && !(a->flags & AREA_MAY_EXEC));
}

/* Give the part [start, end) of a its protection. *ret_next: where to go on. */
static int protect_part(struct area *a, uintptr_t start, uintptr_t end, unsigned prot)
{
    struct mm *mm = a->mm;
    if (a->prot == prot)
        return 0;
    bool data_before = area_is_data(a);
    if (!data_before && (prot & PLAT_WRITE) && !(a->flags & AREA_SHARED)) {
        /* The pages are in total_pages already. */
        uint64_t n = (end - start) >> PAGE_SHIFT;
        int err = limit_pages(mm, n, n, a->flags, prot);
        if (err)
            return err;
    }
    if ((a->start < start || a->end > end) && mm->area_count >= MM_AREAS_MAX)
        return -ENOMEM;
    int err = area_cut(mm, start, end);
    if (err)
        return err;
    a = area_at(mm, start);
    area_count(a, -1);
    uint8_t old = a->prot;
    a->prot = (uint8_t)prot;
    err = range_protect(a, start, end, leaf_prot(prot, true), !may_share_pages(a));
    if (err) {
        /* Rights that are too many were taken, none too many given: the old protection is kept, faults restore it. */
        a->prot = old;
    }
    area_count(a, 1);
    area_join(a);
    return err;
}

static int protect_locked(struct mm *mm, uintptr_t start, uintptr_t end, unsigned prot,
                          unsigned grows)
{
    struct area *a = area_find(mm, start);
    if (!a)
        return -ENOMEM;
    if (grows & PROT_GROWSDOWN) {
        if (a->start >= end)
            return -ENOMEM;
        start = a->start;
        if (!(a->flags & AREA_GROWSDOWN))
            return -EINVAL;
    } else {
        if (a->start > start)
            return -ENOMEM;
        if (grows & PROT_GROWSUP)
            return -EINVAL; /* nothing grows up */
    }
    while (start < end) {
        a = area_at(mm, start);
        if (!a)
            return -ENOMEM;
        uintptr_t to = a->end < end ? a->end : end;
        if (!may_have(a, prot) ||
            (mm->mdwe && prot & PLAT_EXEC && (prot & PLAT_WRITE || !(a->prot & PLAT_EXEC))))
            return -EACCES;
        if (a->flags & AREA_SEALED)
            return -EPERM;
        int err = protect_part(a, start, to, prot);
        if (err)
            return err;
        start = to;
    }
    return 0;
}

int mm_protect(struct mm *mm, uintptr_t start, size_t size, unsigned prot, unsigned grows)
{
    if (grows == (PROT_GROWSDOWN | PROT_GROWSUP) || (start & ~PAGE_MASK))
        return -EINVAL;
    if (size == 0)
        return 0;
    uintptr_t end;
    if (__builtin_add_overflow(start, align_up(size, PAGE_SIZE), &end) || end <= start)
        return -ENOMEM;
    struct rwmutex *lock = mm_write_lock_part(mm, start, end);
    int err = protect_locked(mm, start, end, prot, grows);
    rwmutex_write_unlock(lock);
    return err;
}
