/* SPDX-License-Identifier: MIT */
/* Looking into an address space from outside: process_vm_readv, ptrace, /proc/PID/mem, the key of a shared futex; and
 * adding pages that belong to libOS. Pages are pinned by a reference, then copied through the linear map. */
#include "area.h"

#include <abi/errno.h>
#include <libos/page.h>
#include <string.h>

/* A copy that no other process sees. The range's lock is held. */
static bool is_own(paddr_t pa)
{
    const struct page *p = page_of(pa);
    return p->kind == PAGE_ANON && p->refs == 1;
}

/* The page behind va with a reference, faulted in if need be. *ret_area_shared: of a shared mapping. */
static int pin(struct mm *mm, uintptr_t va, enum plat_access access, bool force, struct page **ret,
               bool *ret_shared)
{
    for (unsigned tries = 0; tries < 100; tries++) {
        rwmutex_read_lock(&mm->lock);
        struct area *a = area_at(mm, va);
        struct plat_leaf leaf;
        int err = 0;
        bool write = access == PLAT_ACCESS_WRITE;
        bool forced = a && write && !(a->prot & PLAT_WRITE);
        if (!a)
            err = -EFAULT;
        else if (forced || !a->prot)
            err = force && !(a->flags & AREA_SHARED) ? 0 : -EFAULT;
        if (err) {
            rwmutex_read_unlock(&mm->lock);
            return err;
        }
        struct spin *lock = range_lock(mm, va);
        spin_lock(lock);
        plat_mmu_query(&mm->aspace, va, &leaf);
        bool usable = leaf.present && (!write || (leaf.prot & PLAT_WRITE));
        if (forced && tries > 0) /* after a fault: nobody else has the page */
            usable = leaf.present && is_own(PADDR(leaf.pa.v + (va & (leaf.size - 1))));
        if (usable) {
            *ret = page_of(PADDR(leaf.pa.v + (va & (leaf.size - 1))));
            *ret_shared = a->flags & AREA_SHARED;
            page_get(*ret);
        }
        spin_unlock(lock);
        rwmutex_read_unlock(&mm->lock);
        if (usable)
            return 0;
        err =
            forced ? mm_fault_forced(mm, va, leaf.present) : mm_fault(mm, va, access, leaf.present);
        if (err)
            return err;
    }
    return -EFAULT;
}

size_t mm_access(struct mm *mm, uintptr_t addr, void *buf, size_t n, bool write, bool force)
{
    size_t done = 0;
    while (done < n) {
        uintptr_t va = addr + done, in = va & ~PAGE_MASK;
        size_t step = PAGE_SIZE - in < n - done ? PAGE_SIZE - in : n - done;
        struct page *p;
        bool shared;
        if (va < addr ||
            pin(mm, va, write ? PLAT_ACCESS_WRITE : PLAT_ACCESS_READ, force, &p, &shared))
            break;
        char *mem = (char *)page_ptr(p) + in;
        if (write)
            memcpy(mem, (char *)buf + done, step);
        else
            memcpy((char *)buf + done, mem, step);
        page_put(p);
        done += step;
    }
    return done;
}

int mm_pin(struct mm *mm, uintptr_t addr, bool write, struct page **ret_page)
{
    bool shared;
    return pin(mm, addr, write ? PLAT_ACCESS_WRITE : PLAT_ACCESS_READ, false, ret_page, &shared);
}

int mm_shared_page(struct mm *mm, uintptr_t addr, struct page **ret_page)
{
    rwmutex_read_lock(&mm->lock);
    struct area *a = area_at(mm, addr);
    bool shared = a && (a->flags & AREA_SHARED), write = a && (a->prot & PLAT_WRITE);
    rwmutex_read_unlock(&mm->lock);
    *ret_page = NULL;
    if (!a)
        return -EFAULT;
    if (!shared)
        return (int)(addr & ~PAGE_MASK);
    int err = pin(mm, addr, write ? PLAT_ACCESS_WRITE : PLAT_ACCESS_READ, false, ret_page, &shared);
    if (err)
        return err;
    return (int)(addr & ~PAGE_MASK);
}

int mm_map_special(struct mm *mm, uintptr_t addr, paddr_t *pages, size_t n, unsigned prot,
                   const char *name)
{
    struct area like = { .mm = mm,
                         .start = addr,
                         .end = addr + (n << PAGE_SHIFT),
                         .prot = (uint8_t)prot,
                         .name = name,
                         .flags = AREA_SPECIAL | AREA_MAY_READ |
                                  (prot & PLAT_EXEC ? AREA_MAY_EXEC : 0) };
    rwmutex_write_lock(&mm->lock);
    int err = area_none(mm, like.start, like.end) ? 0 : -EEXIST;
    struct area *a = err ? NULL : area_create(&like);
    if (!err && !a)
        err = -ENOMEM;
    if (!err) {
        area_insert(a);
        area_count(a, 1);
    }
    for (uintptr_t va = addr; !err && va < like.end;) {
        uintptr_t stop = align_down(va, LARGE_SIZE) + LARGE_SIZE;
        stop = stop < like.end ? stop : like.end;
        struct spin *lock = range_lock(mm, va);
        spin_lock(lock);
        err = plat_mmu_map(&mm->aspace, va, pages + ((va - addr) >> PAGE_SHIFT),
                           (stop - va) >> PAGE_SHIFT, prot | PLAT_SPECIAL, false);
        spin_unlock(lock);
        err = err > 0 ? -EEXIST : err;
        va = stop;
    }
    rwmutex_write_unlock(&mm->lock);
    return err;
}
