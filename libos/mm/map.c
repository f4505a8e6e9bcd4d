/* SPDX-License-Identifier: MIT */
/* mmap(2), munmap(2), brk(2): what is mapped where. */
#include "area.h"
#include "marks.h"
#include "uffd.h"

#include <abi/errno.h>
#include <abi/fcntl.h>
#include <abi/mman.h>
#include <abi/resource.h>
#include <abi/statfs.h>
#include <libos/file.h>
#include <libos/page.h>
#include <libos/process.h>

/* What the file allows: open mode, kind, mount. *a gets the page map and what mprotect may give. */
static int file_check(const struct mm_map *what, struct area *a)
{
    struct file *f = what->file;
    uint32_t may = AREA_MAY_ALL;
    if (f->flags & O_PATH)
        return -EBADF;
    uint32_t seals = f->inode ? f->inode->seals : 0;
    if (what->flags & AREA_SHARED) {
        if (seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)) {
            if (what->prot & PLAT_WRITE)
                return -EPERM;
            may &= ~(uint32_t)AREA_MAY_WRITE;
        }
        if ((what->prot & PLAT_WRITE) && !f->can_write)
            return -EACCES;
        if (!f->can_write)
            may &= ~(uint32_t)AREA_MAY_WRITE;
    }
    if (!f->can_read)
        return -EACCES;
    if (f->path.mount && (f->path.mount->flags & ST_NOEXEC)) {
        if (what->prot & PLAT_EXEC)
            return -EPERM;
        may &= ~(uint32_t)AREA_MAY_EXEC;
    }
    if (!f->ops->pagemap)
        return -ENODEV;
    int err = f->ops->may_map ? f->ops->may_map(f, what->offset, what->size, &a->flags) : 0;
    if (!err && (a->flags & ~what->flags & AREA_LOCKED))
        err = limit_locked(a->mm, align_up(what->size, PAGE_SIZE) >> PAGE_SHIFT);
    if (err)
        return err == -EPERM ? -EAGAIN : err;
    if (what->flags & AREA_GROWSDOWN)
        return -EINVAL;
    a->pages = f->ops->pagemap(f);
    if (!a->pages)
        return -ENODEV;
    if (f->ops->map) {
        uint64_t offset = what->offset;
        err = f->ops->map(f, &offset, a->end - a->start);
        if (err)
            return err;
        a->pgoff = offset >> PAGE_SHIFT;
    }
    a->flags |= may;
    return 0;
}

/* Where a mapping of size bytes goes when nobody says. Large anonymous ones begin at a large page. */
static uintptr_t place(struct mm *mm, const struct mm_map *what, size_t size)
{
    uintptr_t align =
        !what->file && size >= LARGE_SIZE && size % LARGE_SIZE == 0 ? LARGE_SIZE : PAGE_SIZE;
    uintptr_t hint = what->addr & PAGE_MASK, at = 0;
    if (hint >= MM_MIN_ADDR && hint <= PLAT_USER_MAX - size && area_none(mm, hint, hint + size) &&
        (!what->low32 || hint + size <= 0x80000000)) {
        struct area *next = area_find(mm, hint);
        if (!next || !(next->flags & AREA_GROWSDOWN) || next->start - (hint + size) >= MM_STACK_GAP)
            return hint;
    }
    if (what->low32)
        return area_room_up(mm, size, 0x40000000, 0x80000000, PAGE_SIZE);
    at = area_room_down(mm, size, MM_MIN_ADDR, mm->mmap_base, align);
    if (!at && align != PAGE_SIZE)
        at = area_room_down(mm, size, MM_MIN_ADDR, mm->mmap_base, PAGE_SIZE);
    /* The space above is for the stack and the vDSO; use it rather than fail. */
    return at ? at : area_room_up(mm, size, mm->mmap_base, PLAT_USER_MAX, PAGE_SIZE);
}

/* The address for what, with everything checked that is about the address alone. */
static int choose(struct mm *mm, const struct mm_map *what, size_t size, uintptr_t *ret)
{
    if (size > PLAT_USER_MAX - MM_MIN_ADDR)
        return -ENOMEM;
    if (!what->fixed) {
        *ret = place(mm, what, size);
        return *ret ? 0 : -ENOMEM;
    }
    if (what->addr > PLAT_USER_MAX - size)
        return -ENOMEM;
    if (what->addr & ~PAGE_MASK)
        return -EINVAL;
    if (what->addr < MM_MIN_ADDR)
        return -EPERM;
    if (what->noreplace && !area_none(mm, what->addr, what->addr + size))
        return -EEXIST;
    *ret = what->addr;
    return 0;
}

/* Extend the area below or above by a, if they mean the same; a common case that needs no new object. */
static bool extend(struct mm *mm, const struct area *a)
{
    struct area *prev = a->start ? area_at(mm, a->start - 1) : NULL;
    if (!prev || a->file || prev->file || prev->prot != a->prot || prev->name != a->name ||
        prev->policy.mode || ((prev->flags ^ a->flags) & ~(uint32_t)(AREA_COW | AREA_LAZY)))
        return false;
    area_resize(prev, prev->start, a->end);
    area_join(prev);
    return true;
}

/* Pages of [start, end) that are mapped. */
static uint64_t mapped_in(struct mm *mm, uintptr_t start, uintptr_t end)
{
    uint64_t n = 0;
    for (struct area *a = area_find(mm, start); a && a->start < end; a = area_next(a))
        n += ((a->end < end ? a->end : end) - (a->start > start ? a->start : start)) >> PAGE_SHIFT;
    return n;
}

int map_new(struct mm *mm, const struct area *a)
{
    area_count(a, 1);
    if (extend(mm, a))
        return 0;
    struct area *b = area_create(a);
    if (!b) {
        area_count(a, -1);
        return -ENOMEM;
    }
    if (b->file)
        file_get(b->file);
    area_insert(b);
    area_join(b);
    return 0;
}

int map_locked(struct mm *mm, const struct mm_map *what, uintptr_t *ret)
{
    size_t size = align_up(what->size, PAGE_SIZE);
    if (what->size == 0)
        return -EINVAL;
    if (size == 0)
        return -ENOMEM;
    if (what->offset + size < what->offset)
        return -EOVERFLOW;
    if (mm->area_count >= MM_AREAS_MAX)
        return -ENOMEM;
    if (mm->mdwe && what->prot & PLAT_WRITE && what->prot & PLAT_EXEC)
        return -EACCES;
    struct area a = {
        .mm = mm, .prot = what->prot, .flags = what->flags | mm->def_flags, .name = what->name
    };
    int err = choose(mm, what, size, &a.start);
    if (err)
        return err;
    a.end = a.start + size;
    if ((a.flags & AREA_LOCKED) && (err = limit_locked(mm, size >> PAGE_SHIFT)))
        return err;
    if (what->file) {
        a.file = what->file;
        a.pgoff = what->offset >> PAGE_SHIFT;
        if ((err = file_check(what, &a)))
            return err;
    } else {
        a.flags |= AREA_MAY_ALL;
    }
    /* What is replaced does not count. */
    uint64_t old = what->fixed ? mapped_in(mm, a.start, a.end) : 0;
    err = limit_pages(mm, size >> PAGE_SHIFT, old, a.flags, a.prot);
    if (err)
        return err;
    if (what->fixed && (err = unmap_locked(mm, a.start, a.end)))
        return err;
    *ret = a.start;
    return map_new(mm, &a);
}

/* Shared anonymous memory is a file without a name. */
static int map_shared_anonymous(struct mm *mm, const struct mm_map *what, uintptr_t *ret)
{
    struct mm_map m = *what;
    size_t size = align_up(what->size, PAGE_SIZE);
    if (what->size == 0)
        return -EINVAL;
    if (size == 0 || size > PLAT_USER_MAX)
        return -ENOMEM;
    if (what->flags & AREA_GROWSDOWN)
        return -EINVAL;
    int err = shmem_file_create("dev/zero", size, 0, &m.file);
    if (err)
        return -ENOMEM;
    m.offset = 0;
    mm_write_lock(mm);
    err = map_locked(mm, &m, ret);
    mm_write_unlock(mm);
    uffd_tell_pending(!err);
    file_put(m.file);
    return err;
}

int mm_map(struct mm *mm, const struct mm_map *what, uintptr_t *ret)
{
    int err;
    if ((what->flags & AREA_SHARED) && !what->file) {
        err = map_shared_anonymous(mm, what, ret);
    } else if (LIKELY(!mm->lanes_open) || !lane_map(mm, what, ret, &err)) {
        bool waits = mm_write_lock_waits(mm);
        err = map_locked(mm, what, ret);
        if (UNLIKELY(waits) && lane_fits(mm, what))
            lanes_waited(mm);
        mm_write_unlock(mm);
        uffd_tell_pending(!err);
    }
    if (!err && (what->populate ||
                 ((what->flags | mm->def_flags) & (AREA_LOCKED | AREA_LOCKONFAULT)) == AREA_LOCKED))
        mm_populate(mm, *ret, align_up(what->size, PAGE_SIZE));
    return err;
}

/* Remove the part [start, end) of one area. The tree changes only when nothing can fail any more. */
static int remove_part(struct area *a, uintptr_t start, uintptr_t end)
{
    struct mm *mm = a->mm;
    if (start > a->start && end < a->end) {
        if (mm->area_count >= MM_AREAS_MAX)
            return -ENOMEM;
        int err = area_split(a, end);
        if (err)
            return err;
    }
    int err = range_unmap(mm, start, end, area_is_quiet(a));
    if (err)
        return err;
    marks_clear(mm, start, end, MARKS);
    struct area part = *a;
    part.start = start;
    part.end = end;
    area_count(&part, -1);
    if (start == a->start && end == a->end) {
        area_remove(a);
        area_destroy(a);
    } else if (start == a->start) {
        area_resize(a, end, a->end);
    } else {
        area_resize(a, a->start, start);
    }
    return 0;
}

/* Is a part of [start, end) sealed? */
static bool sealed_in(struct mm *mm, uintptr_t start, uintptr_t end)
{
    for (struct area *a = area_find(mm, start); a && a->start < end; a = area_next(a))
        if (a->flags & AREA_SEALED)
            return true;
    return false;
}

int unmap_locked(struct mm *mm, uintptr_t start, uintptr_t end)
{
    if (sealed_in(mm, start, end))
        return -EPERM;
    struct area *a = area_find(mm, start);
    while (a && a->start < end) {
        uintptr_t from = a->start > start ? a->start : start, to = a->end < end ? a->end : end;
        struct area *next = to < end ? area_next(a) : NULL;
        int err = UNLIKELY(a->uffd) ? uffd_unmapping(a, start, end) : 0;
        if (!err)
            err = remove_part(a, from, to);
        if (err)
            return err;
        a = next;
    }
    return 0;
}

/* The checks on an address range that munmap and others share: *ret_end. */
int mm_unmap(struct mm *mm, uintptr_t start, size_t size)
{
    if ((start & ~PAGE_MASK) || start > PLAT_USER_MAX || size > PLAT_USER_MAX - start || size == 0)
        return -EINVAL;
    uintptr_t end = align_up(start + size, PAGE_SIZE);
    struct rwmutex *lock = mm_write_lock_part(mm, start, end);
    int err = unmap_locked(mm, start, end);
    rwmutex_write_unlock(lock);
    uffd_tell_pending(!err);
    return err;
}

/* Grow the heap to end; 0, -ENOMEM, -EAGAIN. */
static int brk_grow(struct mm *mm, uintptr_t start, uintptr_t end)
{
    struct area *next = area_find(mm, start);
    if (next && next->start < end + PAGE_SIZE)
        return -ENOMEM;
    if (next && (next->flags & AREA_GROWSDOWN) && next->start - end < MM_STACK_GAP)
        return -ENOMEM;
    struct mm_map m = { .addr = start,
                        .size = end - start,
                        .prot = PLAT_READ | PLAT_WRITE,
                        .flags = AREA_HEAP,
                        .fixed = true,
                        .name = "[heap]" };
    uintptr_t at;
    return map_locked(mm, &m, &at);
}

uintptr_t mm_brk(struct mm *mm, uintptr_t brk)
{
    bool populate = false;
    mm_write_lock(mm);
    uintptr_t old = align_up(mm->brk, PAGE_SIZE), end = align_up(brk, PAGE_SIZE), result = mm->brk;
    /* The data segment counts too, as far as it is known. */
    uint64_t limit = process_limit(process_current(), RLIMIT_DATA);
    uint64_t used = mm->data_end - mm->data_start;
    if (brk < mm->brk_start || brk > PLAT_USER_MAX - PAGE_SIZE ||
        (limit != ABI_RLIM_INFINITY && brk - mm->brk_start + used > limit))
        goto out;
    if (end < old && unmap_locked(mm, end, old))
        goto out;
    if (end > old) {
        if (brk_grow(mm, old, end))
            goto out;
        populate = (mm->def_flags & (AREA_LOCKED | AREA_LOCKONFAULT)) == AREA_LOCKED;
    }
    result = mm->brk = brk;
out:
    mm_write_unlock(mm);
    uffd_tell_pending(result == brk);
    if (populate)
        mm_populate(mm, old, end - old);
    return result;
}

int mm_remap_file(struct mm *mm, uintptr_t start, size_t size, unsigned long prot, uint64_t pgoff,
                  bool nonblock)
{
    start &= PAGE_MASK;
    size &= PAGE_MASK;
    if (prot || !size || start + size <= start || pgoff + (size >> PAGE_SHIFT) < pgoff)
        return -EINVAL;
    mm_write_lock(mm);
    struct area *a = area_at(mm, start);
    int err = -EINVAL;
    bool locked = false;
    if (a && a->file && (a->flags & AREA_SHARED) && start + size <= a->end) {
        struct mm_map what = { .addr = start,
                               .size = size,
                               .fixed = true,
                               .prot = a->prot,
                               .file = a->file,
                               .offset = pgoff << PAGE_SHIFT,
                               .flags = a->flags & (AREA_SHARED | AREA_LOCKED) };
        uintptr_t at;
        locked = a->flags & AREA_LOCKED;
        file_get(what.file);
        err = map_locked(mm, &what, &at);
        file_put(what.file);
    }
    mm_write_unlock(mm);
    uffd_tell_pending(!err);
    if (!err && (locked || !nonblock))
        mm_populate(mm, start, size);
    return err;
}
