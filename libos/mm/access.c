/* SPDX-License-Identifier: MIT */
/* Looking into an address space from outside: process_vm_readv, ptrace, /proc/PID/mem, the key of a shared futex; and
 * adding pages that belong to libOS. Copies go through the linear map, with the range's lock held. */
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

/* One page's worth of looking, and what to do with the page: copy n bytes of buf, or with buf NULL keep a reference. */
struct look {
    uintptr_t va;
    enum plat_access access;
    bool force;
    void *buf;
    size_t n;
    struct page *page; /* result, with a reference */
    bool futex;        /* only its address is wanted */
    bool shared;       /* result: of a shared mapping */
};

/* Do it to the page at pa. With the range's lock held: a fork, a write-back or an unmapping comes before the copy or after
 * it, so that no other process sees what is written and no page is changed that is clean again. */
static void use_page(struct look *l, paddr_t pa, const struct plat_leaf *leaf)
{
    struct page *p = page_of(pa), *marked = page_of(leaf->pa);
    /* The leaf does not show what is written here, nor what a device will write. */
    if (marked->kind == PAGE_ANON && l->access == PLAT_ACCESS_WRITE)
        marked->flags &= (uint16_t)~PAGE_LAZY;
    if (!l->buf) {
        l->page = p;
        page_get(p);
        return;
    }
    char *mem = (char *)page_ptr(p) + (l->va & ~PAGE_MASK);
    if (l->access == PLAT_ACCESS_WRITE)
        memcpy(mem, l->buf, l->n);
    else
        memcpy(l->buf, mem, l->n);
}

/* One try: true when the page was there. Otherwise *ret_present says whether the fault to take finds one. */
static bool use_present(struct mm *mm, struct look *l, bool own_only, bool *ret_present)
{
    struct plat_leaf leaf;
    struct spin *lock = range_lock(mm, l->va);
    spin_lock(lock);
    plat_mmu_query(&mm->aspace, l->va, &leaf);
    paddr_t pa = PADDR(leaf.pa.v + (l->va & (leaf.size - 1)));
    bool usable = leaf.present && (l->access != PLAT_ACCESS_WRITE || leaf.prot & PLAT_WRITE ||
                                   (own_only && is_own(pa)));
    if (usable)
        use_page(l, pa, &leaf);
    spin_unlock(lock);
    *ret_present = leaf.present;
    return usable;
}

/* Look at the page behind l->va, faulted in if need be. */
static int look(struct mm *mm, struct look *l)
{
    for (unsigned tries = 0; tries < 100; tries++) {
        struct rwmutex *lock = mm_read_lock_at(mm, l->va);
        struct area *a = area_at(mm, l->va);
        bool forced = a && l->access == PLAT_ACCESS_WRITE && !(a->prot & PLAT_WRITE), present;
        int err = 0;
        if (!a || (a->flags & AREA_SECRET && !l->futex))
            err = -EFAULT;
        else if (forced || !a->prot)
            err = l->force && !(a->flags & AREA_SHARED) ? 0 : -EFAULT;
        if (a)
            l->shared = a->flags & AREA_SHARED;
        /* Forced, and after a fault: nobody else has the page. */
        bool done = !err && use_present(mm, l, forced && tries > 0, &present);
        rwmutex_read_unlock(lock);
        if (err || done)
            return err;
        err =
            forced ? mm_fault_forced(mm, l->va, present) : mm_fault(mm, l->va, l->access, present);
        if (err)
            return err;
    }
    return -EFAULT;
}

/* A piece of a copy: from addr on, within one page. Its size or an errno. */
static ssize_type access_piece(struct mm *mm, uintptr_t addr, void *buf, size_t n, bool write,
                               bool force)
{
    size_t in = addr & ~PAGE_MASK;
    struct look l = { .va = addr,
                      .access = write ? PLAT_ACCESS_WRITE : PLAT_ACCESS_READ,
                      .force = force,
                      .buf = buf,
                      .n = PAGE_SIZE - in < n ? PAGE_SIZE - in : n };
    int err = look(mm, &l);
    return err ? err : (ssize_type)l.n;
}

size_t mm_access(struct mm *mm, uintptr_t addr, void *buf, size_t n, bool write, bool force)
{
    size_t done = 0;
    while (done < n && addr + done >= addr) {
        ssize_type got = access_piece(mm, addr + done, (char *)buf + done, n - done, write, force);
        if (got < 0)
            break;
        done += (size_t)got;
    }
    return done;
}

int mm_write(struct mm *mm, uintptr_t addr, const void *buf, size_t n)
{
    for (size_t done = 0; done < n;) {
        ssize_type got =
            access_piece(mm, addr + done, (char *)(uintptr_t)buf + done, n - done, true, false);
        if (got < 0)
            return (int)got;
        done += (size_t)got;
    }
    return 0;
}

int mm_pin(struct mm *mm, uintptr_t addr, bool write, struct page **ret_page)
{
    struct look l = { .va = addr, .access = write ? PLAT_ACCESS_WRITE : PLAT_ACCESS_READ };
    int err = look(mm, &l);
    if (!err)
        *ret_page = l.page;
    return err;
}

int mm_shared_page(struct mm *mm, uintptr_t addr, struct page **ret_page)
{
    struct rwmutex *lock = mm_read_lock_at(mm, addr);
    struct area *a = area_at(mm, addr);
    bool shared = a && (a->flags & AREA_SHARED), write = a && (a->prot & PLAT_WRITE);
    rwmutex_read_unlock(lock);
    *ret_page = NULL;
    if (!a)
        return -EFAULT;
    if (!shared)
        return (int)(addr & ~PAGE_MASK);
    struct look l = { .va = addr,
                      .access = write ? PLAT_ACCESS_WRITE : PLAT_ACCESS_READ,
                      .futex = true };
    int err = look(mm, &l);
    if (err)
        return err;
    *ret_page = l.page;
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
    mm_write_lock(mm);
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
    mm_write_unlock(mm);
    return err;
}
