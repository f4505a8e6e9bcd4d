/* SPDX-License-Identifier: MIT */
/* madvise(2), and making pages present. Advice that Linux may ignore and that would gain nothing here (there is no swap)
 * is checked as Linux checks it and then remembered or ignored. */
#include "area.h"
#include "marks.h"
#include "uffd.h"

#include <abi/errno.h>
#include <abi/fcntl.h>
#include <abi/mman.h>
#include <libos/file.h>
#include <libos/page.h>
#include <libos/pagemap.h>
#include <libos/sched.h>

/* Does madvise know it? */
static bool known(int advice)
{
    return (advice >= MADV_NORMAL && advice <= MADV_DONTNEED) ||
           (advice >= MADV_FREE && advice <= MADV_DOFORK) ||
           (advice >= MADV_MERGEABLE && advice <= MADV_COLLAPSE) || advice == MADV_GUARD_INSTALL ||
           advice == MADV_GUARD_REMOVE;
}

/* Do pages go by it? */
static bool drops(int advice)
{
    return advice == MADV_DONTNEED || advice == MADV_DONTNEED_LOCKED || advice == MADV_FREE ||
           advice == MADV_REMOVE;
}

/* Change the flags of the part [start, end) of a. */
static int set_flags(struct area *a, uintptr_t start, uintptr_t end, uint32_t set, uint32_t clear)
{
    struct mm *mm = a->mm;
    uint32_t flags = (a->flags & ~clear) | set;
    if (flags == a->flags)
        return 0;
    if ((a->start < start || a->end > end) && mm->area_count >= MM_AREAS_MAX)
        return -ENOMEM;
    int err = area_cut(mm, start, end);
    if (err)
        return err;
    if (set & (AREA_DONTFORK | AREA_WIPEONFORK))
        mm->hides = true;
    a = area_at(mm, start);
    a->flags = flags;
    area_join(a);
    return 0;
}

static int drop_pages(struct area *a, uintptr_t start, uintptr_t end, int advice)
{
    if (a->flags & AREA_SPECIAL)
        return -EINVAL;
    if ((a->flags & AREA_LOCKED) && advice != MADV_DONTNEED_LOCKED)
        return -EINVAL;
    if (advice == MADV_FREE && a->pages)
        return -EINVAL;
    if (advice == MADV_FREE) {
        lazy_free(a, start, end);
        return 0;
    }
    a->fault_next = 0;
    marks_clear(a->mm, start, end, MARK_POISON);
    return range_unmap(a->mm, start, end, area_is_quiet(a));
}

/* MADV_GUARD_INSTALL. The pages go, and none comes before the guard does. */
static int guard(struct area *a, uintptr_t start, uintptr_t end)
{
    if (a->flags & (AREA_SPECIAL | AREA_LOCKED))
        return -EINVAL;
    int err = range_unmap(a->mm, start, end, area_is_quiet(a));
    return err ? err : marks_set(a->mm, start, end, MARK_GUARD);
}

static int unguard(struct area *a, uintptr_t start, uintptr_t end)
{
    if (a->flags & AREA_SPECIAL)
        return -EINVAL;
    marks_clear(a->mm, start, end, MARK_GUARD);
    return 0;
}

/* MADV_PAGEOUT without swap: clean pages of files go, where they can be read again and the caller could change the file. */
static int page_out(struct area *a, uintptr_t start, uintptr_t end)
{
    if (a->flags & (AREA_LOCKED | AREA_SPECIAL))
        return -EINVAL;
    struct pagemap *m = a->pages;
    if (!m || !m->ops->refills || !a->file->can_write)
        return 0;
    uint64_t first = a->pgoff + ((start - a->start) >> PAGE_SHIFT);
    zap_area(a, start, end);
    (void)!pagemap_evict(m, first, first + ((end - start) >> PAGE_SHIFT)); /* others may use some */
    return 0;
}

/* Does it take away what a sealed area holds, that the program may not write itself? */
static bool breaks_seal(const struct area *a, int advice)
{
    if (!(a->flags & AREA_SEALED) || a->pages || (a->prot & PLAT_WRITE))
        return false;
    return advice == MADV_DONTNEED || advice == MADV_DONTNEED_LOCKED || advice == MADV_FREE ||
           advice == MADV_DONTFORK || advice == MADV_WIPEONFORK || advice == MADV_GUARD_INSTALL;
}

/* One area's part. With mm->lock held for writing, or that of the lane if the advice is to drop pages. */
static int advise_part(struct area *a, uintptr_t start, uintptr_t end, int advice)
{
    if (breaks_seal(a, advice))
        return -EPERM;
    switch (advice) {
    case MADV_NORMAL:
        return set_flags(a, start, end, 0, AREA_SEQ | AREA_RANDOM);
    case MADV_SEQUENTIAL:
        return set_flags(a, start, end, AREA_SEQ, AREA_RANDOM);
    case MADV_RANDOM:
        return set_flags(a, start, end, AREA_RANDOM, AREA_SEQ);
    case MADV_DONTFORK:
        return set_flags(a, start, end, AREA_DONTFORK, 0);
    case MADV_DOFORK:
        return a->flags & AREA_SPECIAL ? -EINVAL : set_flags(a, start, end, 0, AREA_DONTFORK);
    case MADV_WIPEONFORK:
        return a->pages || (a->flags & AREA_SHARED) ? -EINVAL
                                                    : set_flags(a, start, end, AREA_WIPEONFORK, 0);
    case MADV_KEEPONFORK:
        return set_flags(a, start, end, 0, AREA_WIPEONFORK);
    case MADV_DONTDUMP:
        return set_flags(a, start, end, AREA_DONTDUMP, 0);
    case MADV_DODUMP:
        return a->flags & AREA_SPECIAL ? -EINVAL : set_flags(a, start, end, 0, AREA_DONTDUMP);
    case MADV_HUGEPAGE:
        return a->flags & AREA_SPECIAL ? -EINVAL : set_flags(a, start, end, AREA_HUGE, AREA_NOHUGE);
    case MADV_NOHUGEPAGE:
        return a->flags & AREA_SPECIAL ? -EINVAL : set_flags(a, start, end, AREA_NOHUGE, AREA_HUGE);
    case MADV_MERGEABLE: /* remembered, as by a Linux whose merging thread has not been started */
        return a->pages || a->flags & (AREA_SHARED | AREA_SPECIAL)
                   ? 0
                   : set_flags(a, start, end, AREA_MERGEABLE, 0);
    case MADV_UNMERGEABLE:
        return set_flags(a, start, end, 0, AREA_MERGEABLE);
    case MADV_PAGEOUT:
        return page_out(a, start, end);
    case MADV_COLD:
        return a->flags & (AREA_LOCKED | AREA_SPECIAL) ? -EINVAL : 0;
    case MADV_DONTNEED:
    case MADV_DONTNEED_LOCKED:
    case MADV_FREE:
        return drop_pages(a, start, end, advice);
    case MADV_GUARD_INSTALL:
        return guard(a, start, end);
    case MADV_GUARD_REMOVE:
        return unguard(a, start, end);
    default:
        return 0; /* MADV_WILLNEED */
    }
}

/* Call advise_part for all of [start, end): a hole is reported at the end (-ENOMEM), another error at once. */
static int advise_all(struct mm *mm, uintptr_t start, uintptr_t end, int advice)
{
    int hole = 0, err = 0;
    while (start < end && !err) {
        struct area *a = area_find(mm, start);
        if (!a || a->start >= end)
            return -ENOMEM;
        if (a->start > start) {
            hole = -ENOMEM;
            start = a->start;
        }
        uintptr_t to = a->end < end ? a->end : end;
        err = advise_part(a, start, to, advice);
        start = to;
    }
    return err ? err : hole;
}

/* MADV_REMOVE: punch holes into the files behind. The lock is dropped for each. */
static int advise_remove(struct mm *mm, uintptr_t start, uintptr_t end)
{
    int hole = 0;
    while (start < end) {
        mm_read_lock(mm);
        struct area *a = area_find(mm, start);
        int err = !a || a->start >= end                                        ? -ENOMEM
                  : a->flags & AREA_LOCKED                                     ? -EINVAL
                  : !a->file                                                   ? -EINVAL
                  : !((a->flags & AREA_SHARED) && (a->flags & AREA_MAY_WRITE)) ? -EACCES
                                                                               : 0;
        if (err) {
            mm_read_unlock(mm);
            return err;
        }
        if (a->start > start) {
            hole = -ENOMEM;
            start = a->start;
        }
        uintptr_t to = a->end < end ? a->end : end;
        uint64_t off = (a->pgoff << PAGE_SHIFT) + (start - a->start);
        struct file *f = a->file;
        file_get(f);
        mm_read_unlock(mm);
        err = f->ops->fallocate ? f->ops->fallocate(f, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                                                    off, to - start)
                                : -EOPNOTSUPP;
        file_put(f);
        if (err)
            return err;
        start = to;
    }
    return hole;
}

/* Fault in one page for access. *ret_next: the next address that is not known to be there. */
static int touch(struct mm *mm, uintptr_t va, enum plat_access access, uintptr_t *ret_next)
{
    struct plat_leaf leaf;
    plat_mmu_query(&mm->aspace, va, &leaf);
    if (leaf.present && (access != PLAT_ACCESS_WRITE || (leaf.prot & PLAT_WRITE))) {
        *ret_next = (va & ~((uintptr_t)leaf.size - 1)) + leaf.size;
        return 0;
    }
    *ret_next = leaf.present ? va + PAGE_SIZE : va;
    return mm_fault(mm, va, access, leaf.present);
}

/* Why nothing can be at va: no area, or a guard. */
static int nothing_at(struct mm *mm, uintptr_t va)
{
    struct rwmutex *lock = mm_read_lock_at(mm, va);
    int err = area_at(mm, va) ? -EFAULT : -ENOMEM;
    rwmutex_read_unlock(lock);
    return err;
}

/* MADV_POPULATE_READ and _WRITE. */
static int populate(struct mm *mm, uintptr_t start, uintptr_t end, enum plat_access access)
{
    while (start < end) {
        struct rwmutex *lock = mm_read_lock_at(mm, start);
        struct area *a = area_at(mm, start);
        int err = !a                            ? -ENOMEM
                  : a->flags & AREA_SPECIAL     ? -EINVAL
                  : access == PLAT_ACCESS_WRITE ? (a->prot & PLAT_WRITE ? 0 : -EINVAL)
                                                : (a->prot ? 0 : -EINVAL);
        uintptr_t to = a && a->end < end ? a->end : end;
        rwmutex_read_unlock(lock);
        while (!err && start < to) {
            err = touch(mm, start, access, &start);
            if (thread_preempt_point())
                return -EINTR;
        }
        if (err)
            return err == -EIO || err == -ENOSPC || err == -EACCES ? -EFAULT
                   : err == -EFAULT                                ? nothing_at(mm, start)
                                                                   : err;
    }
    return 0;
}

int mm_populate(struct mm *mm, uintptr_t start, size_t size)
{
    uintptr_t end = start + size;
    while (start < end) {
        mm_read_lock(mm);
        struct area *a = area_find(mm, start);
        if (!a || a->start >= end) {
            mm_read_unlock(mm);
            return 0;
        }
        start = a->start > start ? a->start : start;
        uintptr_t to = a->end < end ? a->end : end;
        bool write = (a->prot & PLAT_WRITE) && !(a->flags & AREA_SHARED),
             special = a->flags & AREA_SPECIAL;
        int err = a->prot || special ? 0 : -EFAULT;
        mm_read_unlock(mm);
        while (!err && !special && start < to) {
            err = touch(mm, start, write ? PLAT_ACCESS_WRITE : PLAT_ACCESS_READ, &start);
            if (!err && thread_preempt_point())
                err = -EINTR;
        }
        if (err)
            return err;
        start = to;
    }
    return 0;
}

void mm_release(struct mm *mm)
{
    mm_write_lock(mm);
    for (struct area *a = area_find(mm, 0); a; a = area_next(a))
        if (!a->pages && !(a->flags & (AREA_SPECIAL | AREA_SHARED)) &&
            range_unmap(mm, a->start, a->end, area_is_quiet(a)))
            break; /* the rest goes when the last thread does */
    mm_write_unlock(mm);
}

int mm_advise(struct mm *mm, uintptr_t start, size_t size, int advice)
{
    if (!known(advice) || (start & ~PAGE_MASK))
        return -EINVAL;
    size_t len = align_up(size, PAGE_SIZE);
    uintptr_t end = start + len;
    if ((size && !len) || end < start)
        return -EINVAL;
    if (end == start)
        return 0;
    if (advice == MADV_POPULATE_READ || advice == MADV_POPULATE_WRITE)
        return populate(mm, start, end,
                        advice == MADV_POPULATE_WRITE ? PLAT_ACCESS_WRITE : PLAT_ACCESS_READ);
    if (advice == MADV_COLLAPSE)
        return mm_collapse(mm, start, end);
    if (UNLIKELY(__atomic_load_n(&uffd_living, __ATOMIC_RELAXED)) && drops(advice))
        uffd_removing(mm, start, end);
    if (advice == MADV_REMOVE)
        return advise_remove(mm, start, end);
    if (advice == MADV_FREE || advice == MADV_DONTNEED || advice == MADV_DONTNEED_LOCKED) {
        struct rwmutex *lock = mm_write_lock_part(mm, start, end);
        int err = advise_all(mm, start, end, advice);
        rwmutex_write_unlock(lock);
        return err;
    }
    mm_write_lock(mm);
    int err = advise_all(mm, start, end, advice);
    mm_write_unlock(mm);
    return err;
}
