/* SPDX-License-Identifier: MIT */
/* fork(2): a second address space that shares every private page until one of the two writes it. Leaves of the parent
 * lose the right to write first; then both have a leaf, and the page a reference, more. Shared mappings are not copied:
 * the child faults them in. Locks: the parent's mm->lock for writing; nobody knows the child yet. */
#include "area.h"

#include <abi/errno.h>
#include <libos/file.h>
#include <libos/page.h>
#include <libos/pagemap.h>
#include <string.h>

enum { BATCH = 64 };

/* Share the large page of leaf at va. */
static int share_large(struct mm *to, uintptr_t va, const struct plat_leaf *leaf, unsigned prot)
{
    struct page *p = page_of(leaf->pa);
    int err = plat_mmu_map_large(&to->aspace, va, leaf->pa, prot);
    if (err)
        return err;
    for (size_t i = 0; i < LARGE_SIZE / PAGE_SIZE; i++)
        page_get(p + i);
    to->rss_anon += LARGE_SIZE / PAGE_SIZE;
    return 0;
}

/* Share up to BATCH small pages from va on, at most to end. *ret_next: where to go on. */
static int share_some(struct mm *from, struct mm *to, uintptr_t va, uintptr_t end, unsigned prot,
                      uintptr_t *ret_next)
{
    paddr_t pa[BATCH];
    struct plat_leaf leaf;
    size_t n = 0;
    for (uintptr_t at = va; at < end && n < BATCH; at += PAGE_SIZE, n++) {
        plat_mmu_query(&from->aspace, at, &leaf);
        if (!leaf.present)
            break;
        pa[n] =
            PADDR(leaf.pa.v +
                  (at & (leaf.size - 1))); /* part of a large page where an area ends inside it */
    }
    int err = plat_mmu_map(&to->aspace, va, pa, n, prot, false);
    if (err)
        return err < 0 ? err : -EEXIST;
    for (size_t i = 0; i < n; i++) {
        struct page *p = page_of(pa[i]);
        if (prot & PLAT_SPECIAL || p == zero_page())
            continue;
        page_get(p);
        if (p->kind == PAGE_ANON)
            to->rss_anon++;
        else
            to->rss_file++;
    }
    *ret_next = va + (n << PAGE_SHIFT);
    return 0;
}

static int share_small(struct area *a, struct mm *to, uintptr_t va, uintptr_t end, unsigned prot,
                       uintptr_t *ret_next)
{
    /* The page map takes no page away between the look, the child's leaf and its reference. */
    if (a->pages)
        spin_lock(&a->pages->lock);
    int err = share_some(a->mm, to, va, end, prot, ret_next);
    if (a->pages)
        spin_unlock(&a->pages->lock);
    return err;
}

static int share_leaves(struct area *a, struct mm *to)
{
    struct mm *from = a->mm;
    unsigned prot = leaf_prot(a->prot, false) | (a->flags & AREA_SPECIAL ? PLAT_SPECIAL : 0);
    int err = 0;
    for (uintptr_t va = a->start; va < a->end && !err;) {
        struct plat_leaf leaf;
        plat_mmu_query(&from->aspace, va, &leaf);
        uintptr_t stop = (va & ~((uintptr_t)leaf.size - 1)) + leaf.size,
                  end = (va & LARGE_MASK) + LARGE_SIZE;
        if (!leaf.present)
            va = stop > va ? stop : a->end;
        else if (leaf.size == LARGE_SIZE && !(va & ~LARGE_MASK) && a->end - va >= LARGE_SIZE)
            err = share_large(to, va, &leaf, prot), va = stop;
        else
            err = share_small(a, to, va, end < a->end ? end : a->end, prot, &va);
    }
    return err;
}

static int fork_area(struct area *a, struct mm *to)
{
    struct area *b = area_create(a);
    if (!b)
        return -ENOMEM;
    b->mm = to;
    b->flags &= ~(uint32_t)(AREA_LOCKED | AREA_LOCKONFAULT);
    b->fault_next = 0;
    if (b->file)
        file_get(b->file);
    area_insert(b);
    area_count(b, 1);
    if ((a->flags & AREA_SHARED) || (a->flags & AREA_WIPEONFORK))
        return 0;
    if (!(a->flags & AREA_SPECIAL)) {
        a->flags |= AREA_COW;
        b->flags |= AREA_COW;
        int err = a->prot & PLAT_WRITE
                      ? range_protect(a, a->start, a->end, leaf_prot(a->prot, false), false)
                      : 0;
        if (err)
            return err;
    }
    return share_leaves(a, to);
}

int mm_fork(struct mm *src, struct mm **ret_mm)
{
    struct mm *mm = mm_create();
    if (!mm)
        return -ENOMEM;
    rwmutex_write_lock(&src->lock);
    mm->mmap_base = src->mmap_base;
    mm->brk_start = src->brk_start;
    mm->brk = src->brk;
    mm->stack_top = src->stack_top;
    mm->arg_start = src->arg_start;
    mm->arg_end = src->arg_end;
    mm->env_start = src->env_start;
    mm->env_end = src->env_end;
    mm->code_start = src->code_start;
    mm->code_end = src->code_end;
    mm->data_start = src->data_start;
    mm->data_end = src->data_end;
    mm->vdso = src->vdso;
    memcpy(mm->auxv, src->auxv, sizeof mm->auxv);
    mm->membarrier = src->membarrier;
    mm->def_flags = src->def_flags & ~(uint32_t)(AREA_LOCKED | AREA_LOCKONFAULT);
    mm->dumpable = src->dumpable;
    int err = src->exe ? mm_set_exe(mm, src->exe) : 0;
    for (struct area *a = area_find(src, 0); a && !err; a = area_next(a))
        if (!(a->flags & AREA_DONTFORK))
            err = fork_area(a, mm);
    rwmutex_write_unlock(&src->lock);
    if (err) {
        mm_put(mm);
        return err;
    }
    *ret_mm = mm;
    return 0;
}
