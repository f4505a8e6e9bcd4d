/* SPDX-License-Identifier: MIT */
/* mlock(2) and its family, msync(2), mincore(2). Nothing is ever swapped out, so a locked page is one that is present and
 * that madvise does not drop. */
#include "area.h"

#include <abi/errno.h>
#include <abi/mman.h>
#include <abi/prctl.h>
#include <abi/resource.h>
#include <libos/file.h>
#include <libos/page.h>
#include <libos/pagemap.h>
#include <libos/process.h>

/* Set the locking flags of [start, end). -ENOMEM at a hole. */
static int set_locked(struct mm *mm, uintptr_t start, uintptr_t end, uint32_t flags)
{
    while (start < end) {
        struct area *a = area_at(mm, start);
        if (!a)
            return -ENOMEM;
        uintptr_t to = a->end < end ? a->end : end;
        uint32_t mask = AREA_LOCKED | AREA_LOCKONFAULT;
        if (!(a->flags & AREA_SPECIAL) && (a->flags & mask) != flags) {
            int err = area_cut(mm, start, to);
            if (err)
                return err;
            a = area_at(mm, start);
            area_count(a, -1);
            a->flags = (a->flags & ~mask) | flags;
            if (flags & AREA_LOCKED && a->flags & AREA_LAZY)
                lazy_keep(a, start, to);
            area_count(a, 1);
            area_join(a);
        }
        start = to;
    }
    return 0;
}

/* Pages of [start, end) that are locked already. */
static uint64_t locked_in(struct mm *mm, uintptr_t start, uintptr_t end)
{
    uint64_t n = 0;
    for (struct area *a = area_find(mm, start); a && a->start < end; a = area_next(a)) {
        uintptr_t from = a->start > start ? a->start : start, to = a->end < end ? a->end : end;
        if (a->flags & AREA_LOCKED)
            n += (to - from) >> PAGE_SHIFT;
    }
    return n;
}

/* As POSIX has mlock tell it: -ENOMEM where nothing can be, -EAGAIN without memory. */
static int populate_error(int err)
{
    return err == -ENOMEM ? -EAGAIN : err && err != -EINTR ? -ENOMEM : err;
}

int mm_lock_range(struct mm *mm, uintptr_t start, size_t size, bool on, bool on_fault)
{
    bool may = cred_capable(CAP_IPC_LOCK);
    uint64_t limit = limit_of(RLIMIT_MEMLOCK);
    if (on && !may && limit == 0)
        return -EPERM;
    size_t len = align_up(size + (start & ~PAGE_MASK), PAGE_SIZE);
    start &= PAGE_MASK;
    uintptr_t end = start + len;
    mm_write_lock(mm);
    int err = 0;
    if (on && !may && mm->locked_pages + (len >> PAGE_SHIFT) - locked_in(mm, start, end) > limit)
        err = -ENOMEM;
    else if (end < start)
        err = -EINVAL;
    else
        err = set_locked(mm, start, end,
                         (on ? AREA_LOCKED : 0) | (on && on_fault ? AREA_LOCKONFAULT : 0));
    mm_write_unlock(mm);
    if (!err && on && !on_fault)
        err = populate_error(mm_populate(mm, start, len));
    return err;
}

int mm_lock_all(struct mm *mm, unsigned flags)
{
    bool may = cred_capable(CAP_IPC_LOCK);
    uint64_t limit = limit_of(RLIMIT_MEMLOCK);
    if ((flags & ~(unsigned)(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT)) || flags == MCL_ONFAULT)
        return -EINVAL;
    if (flags && !may && limit == 0)
        return -EPERM;
    uint32_t on_fault = flags & MCL_ONFAULT ? AREA_LOCKONFAULT : 0;
    mm_write_lock(mm);
    int err = 0;
    if ((flags & MCL_CURRENT) && !may && mm->total_pages > limit) {
        err = -ENOMEM;
    } else {
        mm->def_flags &= ~(uint32_t)(AREA_LOCKED | AREA_LOCKONFAULT);
        if (flags & MCL_FUTURE)
            mm->def_flags |= AREA_LOCKED | on_fault;
        for (struct area *a = area_find(mm, 0); a && (!flags || (flags & MCL_CURRENT));
             a = area_find(mm, a->end)) {
            /* Joining may free a, but its end stays an end or lies inside the area found next. */
            uintptr_t end = a->end;
            (void)set_locked(mm, a->start, end,
                             flags ? AREA_LOCKED | on_fault : 0); /* as Linux: what cannot, stays */
            if (!(a = area_find(mm, end - 1)))
                break;
        }
    }
    mm_write_unlock(mm);
    if (!err && (flags & MCL_CURRENT) && !on_fault)
        (void)mm_populate(mm, 0, PLAT_USER_MAX);
    return err;
}

int mm_sync(struct mm *mm, uintptr_t start, size_t size, unsigned flags)
{
    if ((flags & ~(unsigned)(MS_ASYNC | MS_INVALIDATE | MS_SYNC)) || (start & ~PAGE_MASK) ||
        ((flags & MS_ASYNC) && (flags & MS_SYNC)))
        return -EINVAL;
    size_t len = align_up(size, PAGE_SIZE);
    uintptr_t end = start + len;
    if (end < start || (size && !len))
        return -ENOMEM;
    int hole = 0, err = 0;
    mm_read_lock(mm);
    while (start < end && !err) {
        struct area *a = area_find(mm, start);
        if (!a || a->start >= end) {
            hole = -ENOMEM;
            break;
        }
        hole = a->start > start ? -ENOMEM : hole;
        uintptr_t from = start > a->start ? start : a->start;
        start = a->end;
        if ((flags & MS_INVALIDATE) && (a->flags & AREA_LOCKED))
            err = -EBUSY;
        struct file *f = a->file;
        if (!err && (flags & MS_SYNC) && f && (a->flags & AREA_SHARED) && f->ops->sync) {
            uint64_t at = (uint64_t)a->pgoff * PAGE_SIZE - a->start; /* wraps: of address 0 */
            uint64_t last = at + min_u64(a->end, end);
            file_get(f);
            mm_read_unlock(mm);
            err = f->ops->sync(f, at + from, last, true); /* of metadata what finds it, as Linux */
            file_put(f);
            mm_read_lock(mm);
        }
    }
    mm_read_unlock(mm);
    return err ? err : hole;
}

/* Is the page at va there? For a file: in its page map, mapped or not. */
static bool resident(struct area *a, uintptr_t va)
{
    struct plat_leaf leaf;
    plat_mmu_query(&a->mm->aspace, va, &leaf);
    if (leaf.present)
        return true;
    if (!a->pages)
        return false;
    struct page *p;
    pagemap_find_around(a->pages, a->pgoff + ((va - a->start) >> PAGE_SHIFT), 1, &p);
    if (p)
        page_put(p);
    return p != NULL;
}

int mm_resident(struct mm *mm, uintptr_t start, size_t n, uint8_t *vec)
{
    int err = 0;
    mm_read_lock(mm);
    for (size_t i = 0; i < n; i++) {
        uintptr_t va = start + (i << PAGE_SHIFT);
        struct area *a = area_at(mm, va);
        if (!a) {
            err = -ENOMEM;
            break;
        }
        vec[i] = resident(a, va);
    }
    mm_read_unlock(mm);
    return err;
}

uint64_t area_resident(struct area *a)
{
    uint64_t n = 0;
    struct plat_leaf leaf;
    for (uintptr_t va = a->start; va < a->end;) {
        plat_mmu_query(&a->mm->aspace, va, &leaf);
        uintptr_t next = (va & ~((uintptr_t)leaf.size - 1)) + leaf.size;
        next = next < a->end ? next : a->end;
        if (leaf.present)
            n += (next - va) >> PAGE_SHIFT;
        va = next;
    }
    return n;
}
