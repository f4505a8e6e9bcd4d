/* SPDX-License-Identifier: MIT */
/* What is remembered of areas and changes nothing about their pages: seals, which later changes look at, and memory policies
 * on a machine with one node. Lock: mm->lock. */
#include "area.h"

#include <abi/errno.h>
#include <abi/mempolicy.h>
#include <libos/page.h>

/* Is all of [start, end) mapped? */
static bool mapped(struct mm *mm, uintptr_t start, uintptr_t end)
{
    while (start < end) {
        struct area *a = area_at(mm, start);
        if (!a)
            return false;
        start = a->end;
    }
    return true;
}

/* Cut so that the areas of [start, end), all mapped, can be changed: at both ends or not at all. */
static int cut_ends(struct mm *mm, uintptr_t start, uintptr_t end)
{
    if (mm->area_count + 2 > MM_AREAS_MAX)
        return -ENOMEM;
    int err = 0;
    struct area *a = area_at(mm, start);
    if (a->start < start)
        err = area_split(a, start);
    if (!err && (a = area_at(mm, end - 1))->end > end)
        err = area_split(a, end);
    return err;
}

/* Join what became alike. */
static void join_all(struct mm *mm, uintptr_t start, uintptr_t end)
{
    for (struct area *a = area_find(mm, start); a && a->start <= end;) {
        uintptr_t next = area_join(a)->end;
        a = area_find(mm, next);
    }
}

int mm_seal(struct mm *mm, uintptr_t start, size_t size)
{
    uintptr_t end = start + size;
    mm_write_lock(mm);
    int err = mapped(mm, start, end) ? cut_ends(mm, start, end) : -ENOMEM;
    if (!err) {
        for (struct area *a = area_at(mm, start); a && a->start < end; a = area_next(a))
            a->flags |= AREA_SEALED;
        join_all(mm, start, end);
    }
    mm_write_unlock(mm);
    return err;
}

int mm_set_policy(struct mm *mm, uintptr_t start, size_t size, const struct mempolicy *policy)
{
    uintptr_t end = start + size;
    mm_write_lock(mm);
    int err = mapped(mm, start, end) ? cut_ends(mm, start, end) : -EFAULT;
    if (!err) {
        for (struct area *a = area_at(mm, start); a && a->start < end; a = area_next(a))
            a->policy = *policy;
        join_all(mm, start, end);
    }
    mm_write_unlock(mm);
    return err;
}

int mm_get_policy(struct mm *mm, uintptr_t addr, struct mempolicy *ret)
{
    mm_read_lock(mm);
    struct area *a = area_at(mm, addr);
    if (a)
        *ret = a->policy;
    mm_read_unlock(mm);
    return a ? 0 : -EFAULT;
}

int mm_check_home(struct mm *mm, uintptr_t start, size_t size)
{
    int err = -ENOENT;
    mm_read_lock(mm);
    for (struct area *a = area_find(mm, start); a && a->start < start + size; a = area_next(a)) {
        unsigned mode = a->policy.mode & ~(unsigned)MPOL_MODE_FLAGS;
        if (!mode)
            continue;
        err = mode == MPOL_BIND || mode == MPOL_PREFERRED_MANY ? 0 : -EOPNOTSUPP;
        if (err)
            break;
    }
    mm_read_unlock(mm);
    return err;
}

int mm_page_node(struct mm *mm, uintptr_t addr)
{
    struct plat_leaf leaf = { .present = false };
    int err = -EFAULT;
    mm_read_lock(mm);
    struct area *a = addr < PLAT_USER_MAX ? area_at(mm, addr) : NULL;
    if (a && !(a->flags & AREA_SPECIAL)) {
        struct spin *lock = range_lock(mm, addr);
        spin_lock(lock);
        plat_mmu_query(&mm->aspace, addr, &leaf);
        err = !leaf.present ? -ENOENT : page_of(leaf.pa) == zero_page() ? -EFAULT : 0;
        spin_unlock(lock);
    }
    mm_read_unlock(mm);
    return err;
}
