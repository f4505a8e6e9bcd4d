/* SPDX-License-Identifier: MIT */
/* mremap(2): shrink, grow in place, or move. Moving makes a second area first, so that a page map that takes pages away
 * meanwhile finds them at either place; leaves move in pieces of at most 2 MiB under mm->move_lock. */
#include "area.h"
#include "marks.h"
#include "uffd.h"

#include <abi/errno.h>
#include <abi/mman.h>
#include <abi/signal.h>
#include <libos/file.h>
#include <libos/process.h>
#include <libos/signal.h>

struct remap {
    struct mm *mm;
    uintptr_t old, new_addr;
    size_t old_size, size;
    unsigned flags;
    uintptr_t
        populate; /* bytes from the end of what was there that are locked and must be made present */
};

static int move_piece(struct mm *mm, uintptr_t from, uintptr_t to, size_t size)
{
    spin_lock(&mm->move_lock);
    int err = plat_mmu_move(&mm->aspace, from, to, size);
    spin_unlock(&mm->move_lock);
    return err;
}

/* Move leaves. On failure they are moved back. */
static int move_leaves(struct mm *mm, uintptr_t from, uintptr_t to, size_t size)
{
    size_t done = 0;
    int err = 0;
    while (done < size) {
        size_t step = LARGE_SIZE - ((from + done) & ~LARGE_MASK);
        step = step < size - done ? step : size - done;
        if ((err = move_piece(mm, from + done, to + done, step)))
            break;
        done += step;
    }
    if (!err)
        return 0;
    for (size_t back = 0; back < done;) {
        size_t step = LARGE_SIZE - ((from + back) & ~LARGE_MASK);
        step = step < done - back ? step : done - back;
        /* Not even that: the program's memory is in two places, and it must not go on. */
        if (move_piece(mm, to + back, from + back, step)) {
            signal_kernel(process_current(), SIGKILL);
            break;
        }
        back += step;
    }
    return err;
}

/* Move [old, old + min(old_size, size)) to a new area of size bytes at to, where nothing is. */
static int move_to(struct remap *r, uintptr_t to)
{
    struct mm *mm = r->mm;
    bool keep = r->flags & MREMAP_DONTUNMAP;
    if (mm->area_count + 3 >= MM_AREAS_MAX)
        return -ENOMEM;
    /* Cut out first what goes: nothing may fail once its pages are elsewhere. */
    int err = r->old_size ? area_cut(mm, r->old, r->old + r->old_size) : 0;
    if (err)
        return err;
    struct area *a = area_at(mm, r->old), *b = area_create(a);
    if (!b)
        return -ENOMEM;
    if (b->file)
        file_get(b->file);
    b->pgoff += (r->old - a->start) >> PAGE_SHIFT;
    b->start = to;
    b->end = to + r->size;
    b->fault_next = 0;
    bool watched = b->uffd;
    err = watched ? uffd_moving(a, b, r->old, r->old_size) : 0;
    watched = b->uffd;
    area_count(b, 1);
    area_insert(b);
    size_t moving = r->old_size < r->size ? r->old_size : r->size;
    if (!err && moving && marks_any(mm))
        err = marks_copy(mm, to, mm, r->old, moving, watched);
    if (!err && moving)
        err = move_leaves(mm, r->old, to, moving);
    if (!err && keep)
        marks_clear(mm, r->old, r->old + r->old_size, MARKS);
    if (!err && r->old_size && !keep)
        err = unmap_locked(mm, r->old, r->old + r->old_size);
    if (err) {
        marks_clear(mm, to, to + r->size, MARKS);
        area_count(b, -1);
        area_remove(b);
        area_destroy(b);
        return err;
    }
    a = keep ? area_at(mm, r->old) : NULL;
    if (a && (a->flags & AREA_LOCKED)) {
        /* What stays behind is empty and not locked any more (as Linux does). */
        area_count(a, -1);
        a->flags &= ~(uint32_t)(AREA_LOCKED | AREA_LOCKONFAULT);
        area_count(a, 1);
    }
    area_join(b);
    if (keep && (a = area_at(mm, r->old)))
        area_join(a);
    return 0;
}

/* The checks on the area that grows or moves. */
static int check_source(struct remap *r)
{
    struct mm *mm = r->mm;
    struct area *a = area_at(mm, r->old);
    if (!a)
        return -EFAULT;
    if (!r->old_size && !(a->flags & AREA_SHARED))
        return -EINVAL;
    if ((a->flags & AREA_SPECIAL) && (r->flags & MREMAP_DONTUNMAP))
        return -EINVAL;
    if (r->old_size > a->end - r->old)
        return -EFAULT;
    if (r->size == r->old_size)
        return 0;
    if (a->pages && a->pgoff + ((r->old - a->start + r->size) >> PAGE_SHIFT) < a->pgoff)
        return -EINVAL;
    if (a->flags & AREA_SPECIAL)
        return -EFAULT;
    uint64_t more = r->size > r->old_size ? (r->size - r->old_size) >> PAGE_SHIFT : 0;
    if ((a->flags & AREA_LOCKED) && limit_locked(mm, more))
        return -EAGAIN;
    return limit_pages(mm, more, 0, a->flags, a->prot);
}

/* MREMAP_FIXED and MREMAP_DONTUNMAP. */
static int remap_elsewhere(struct remap *r, uintptr_t *ret)
{
    struct mm *mm = r->mm;
    uintptr_t to = r->new_addr;
    if ((to & ~PAGE_MASK) || r->size > PLAT_USER_MAX || to > PLAT_USER_MAX - r->size)
        return -EINVAL;
    if (r->old < to + r->size && to < r->old + r->old_size)
        return -EINVAL;
    if (!area_at(mm, r->old))
        return -EFAULT;
    int err = 0;
    if (r->flags & MREMAP_FIXED) {
        if (to < MM_MIN_ADDR)
            return -EPERM;
        err = unmap_locked(mm, to, to + r->size);
    }
    if (!err && r->old_size > r->size) {
        err = unmap_locked(mm, r->old + r->size, r->old + r->old_size);
        r->old_size = r->size;
    }
    if (err || (err = check_source(r)))
        return err;
    if (r->flags & MREMAP_DONTUNMAP) {
        struct area *a = area_at(mm, r->old);
        if ((err = limit_pages(mm, r->size >> PAGE_SHIFT, 0, a->flags, a->prot)))
            return err;
    }
    if (!(r->flags & MREMAP_FIXED) && !(to >= MM_MIN_ADDR && area_none(mm, to, to + r->size)))
        to = area_room_down(mm, r->size, MM_MIN_ADDR, mm->mmap_base, PAGE_SIZE);
    if (!to)
        return -ENOMEM;
    *ret = to;
    return move_to(r, to);
}

/* Grow the area that ends at old + old_size where it is. */
static bool grow_in_place(struct remap *r)
{
    struct mm *mm = r->mm;
    struct area *a = area_at(mm, r->old);
    uintptr_t end = r->old + r->size;
    if (!r->old_size || a->end != r->old + r->old_size || end < r->old || end > PLAT_USER_MAX)
        return false;
    struct area *next = area_next(a);
    uintptr_t guard = next && (next->flags & AREA_GROWSDOWN) ? MM_STACK_GAP : 0;
    if (next && (next->start < guard || end > next->start - guard))
        return false;
    area_count(a, -1);
    area_resize(a, a->start, end);
    area_count(a, 1);
    area_join(a);
    return true;
}

static int remap_locked(struct remap *r, uintptr_t *ret)
{
    struct mm *mm = r->mm;
    struct area *a = area_at(mm, r->old);
    if (!a)
        return -EFAULT;
    if (a->flags & AREA_SEALED)
        return -EPERM;
    bool locked = a->flags & AREA_LOCKED;
    r->populate = locked && r->size > r->old_size ? r->size - r->old_size : 0;
    if (r->flags & (MREMAP_FIXED | MREMAP_DONTUNMAP))
        return remap_elsewhere(r, ret);
    *ret = r->old;
    if (r->old_size >= r->size && r->old_size)
        return r->old_size == r->size ? (r->old_size > PLAT_USER_MAX - r->old ? -EINVAL : 0)
                                      : unmap_locked(mm, r->old + r->size, r->old + r->old_size);
    int err = check_source(r);
    if (err)
        return err;
    if (grow_in_place(r))
        return 0;
    if (!(r->flags & MREMAP_MAYMOVE))
        return -ENOMEM;
    if (r->size > PLAT_USER_MAX)
        return -ENOMEM;
    uintptr_t to = area_room_down(mm, r->size, MM_MIN_ADDR, mm->mmap_base,
                                  !a->pages && r->size >= LARGE_SIZE ? LARGE_SIZE : PAGE_SIZE);
    if (!to)
        return -ENOMEM;
    *ret = to;
    return move_to(r, to);
}

int mm_remap(struct mm *mm, uintptr_t old, size_t old_size, size_t size, unsigned flags,
             uintptr_t new_addr, uintptr_t *ret)
{
    if (flags & ~(unsigned)(MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP))
        return -EINVAL;
    if ((flags & MREMAP_FIXED) && !(flags & MREMAP_MAYMOVE))
        return -EINVAL;
    if ((flags & MREMAP_DONTUNMAP) && (!(flags & MREMAP_MAYMOVE) || old_size != size))
        return -EINVAL;
    if (old & ~PAGE_MASK)
        return -EINVAL;
    struct remap r = { .mm = mm,
                       .old = old,
                       .old_size = align_up(old_size, PAGE_SIZE),
                       .size = align_up(size, PAGE_SIZE),
                       .flags = flags,
                       .new_addr = new_addr };
    if (!r.size || r.old_size < old_size || r.old_size > PLAT_USER_MAX)
        return -EINVAL;
    mm_write_lock(mm);
    int err = remap_locked(&r, ret);
    mm_write_unlock(mm);
    uffd_tell_pending(!err);
    if (!err && r.populate)
        mm_populate(mm, *ret + r.size - r.populate, r.populate);
    return err;
}
