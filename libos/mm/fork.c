/* SPDX-License-Identifier: MIT */
/* fork(2): a second address space that shares every private page until one of the two writes it. Whole page tables are
 * shared (plat_mmu_share), so what is mapped costs next to nothing until it is changed; only where an area is not to be
 * seen by the child (MADV_DONTFORK, MADV_WIPEONFORK) the leaves of its 2 MiB are copied one by one.
 *
 * Locks: the parent's mm->lock for writing. Nobody knows the child, but by its areas in the lists of files: mm_zap_file
 * comes to the parent's areas first, which stand before the child's, and waits there for move_lock; so it finds each page
 * in the parent before it was shared, or in both after. */
#include "area.h"
#include "marks.h"
#include "uffd.h"

#include <abi/errno.h>
#include <abi/prctl.h>
#include <libos/file.h>
#include <libos/page.h>
#include <string.h>

enum { BATCH = 64 };

/* Share the large page of leaf at va. */
static int share_large(struct mm *to, uintptr_t va, const struct plat_leaf *leaf, unsigned prot)
{
    page_large_get(page_of(leaf->pa));
    int err = plat_mmu_map_large(&to->aspace, va, leaf->pa, prot);
    if (err)
        page_large_put(page_of(leaf->pa));
    return err;
}

/* Share up to BATCH small pages from va on, at most to end. *ret_next: where to go on. */
static int share_small(struct mm *from, struct mm *to, uintptr_t va, uintptr_t end, unsigned prot,
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
        if (!(prot & PLAT_SPECIAL) && p != zero_page())
            page_get(p);
    }
    *ret_next = va + (n << PAGE_SHIFT);
    return 0;
}

/* Share the leaves of [start, end), part of a and of one 2 MiB range. */
static int share_leaves(struct area *a, struct mm *to, uintptr_t start, uintptr_t end)
{
    struct mm *from = a->mm;
    unsigned prot = leaf_prot(a->prot, false) | (a->flags & AREA_SPECIAL ? PLAT_SPECIAL : 0);
    int err = 0;
    if (!(a->flags & AREA_SPECIAL) && (a->prot & PLAT_WRITE))
        err = range_protect(a, start, end, leaf_prot(a->prot, false), false);
    for (uintptr_t va = start; va < end && !err;) {
        struct plat_leaf leaf;
        plat_mmu_query(&from->aspace, va, &leaf);
        uintptr_t stop = (va & ~((uintptr_t)leaf.size - 1)) + leaf.size;
        if (!leaf.present)
            va = stop;
        else if (leaf.size == LARGE_SIZE && !(va & ~LARGE_MASK) && end - va >= LARGE_SIZE)
            err = share_large(to, va, &leaf, prot), va = stop;
        else
            err = share_small(from, to, va, end, prot, &va);
    }
    return err;
}

/* The child does not get the leaves of [start, end): they do not count as its pages. */
static void leave_out(struct area *a, struct mm *to, uintptr_t start, uintptr_t end)
{
    for (uintptr_t va = start; va < end;) {
        struct plat_leaf leaf;
        plat_mmu_query(&a->mm->aspace, va, &leaf);
        uintptr_t stop = (va & ~((uintptr_t)leaf.size - 1)) + leaf.size;
        stop = stop < end ? stop : end;
        if (leaf.present && !(leaf.prot & PLAT_SPECIAL)) {
            struct page *p = page_of(leaf.pa);
            int64_t n = (int64_t)((stop - va) >> PAGE_SHIFT);
            if (p != zero_page())
                *(p->kind == PAGE_ANON ? &to->rss_anon : &to->rss_file) -= n;
        }
        va = stop;
    }
}

/* Areas whose leaves the child must not see. */
static bool hidden(const struct area *a)
{
    return a->flags & (AREA_DONTFORK | AREA_WIPEONFORK);
}

/* Share leaf by leaf what may be shared of the 2 MiB from va on. */
static int share_part(struct mm *from, struct mm *to, uintptr_t va)
{
    int err = 0;
    uintptr_t stop = va + LARGE_SIZE;
    for (struct area *a = area_find(from, va); a && a->start < stop && !err; a = area_next(a)) {
        uintptr_t start = a->start > va ? a->start : va, end = a->end < stop ? a->end : stop;
        if (hidden(a) || (a->flags & AREA_SHARED)) /* a shared mapping faults them in again */
            leave_out(a, to, start, end);
        else
            err = share_leaves(a, to, start, end);
    }
    return err;
}

/* The next hidden area from a on. */
static struct area *next_hidden(struct area *a)
{
    while (a && !hidden(a))
        a = area_next(a);
    return a;
}

/* Share all that is mapped. move_lock held. */
static int share_all(struct mm *from, struct mm *to)
{
    struct span span[SPAN_MAX];
    size_t n = mm_spans(from, span);
    struct area *hide = from->hides ? next_hidden(area_find(from, 0)) : NULL;
    int err = 0;
    for (size_t i = 0; i < n; i++) {
        for (uintptr_t va = span[i].start, end = span[i].end; va < end && !err;) {
            while (hide && hide->end <= va)
                hide = next_hidden(area_next(hide));
            uintptr_t stop = hide && hide->start < end ? hide->start & LARGE_MASK : end;
            if (va < stop) {
                err = plat_mmu_share(&from->aspace, &to->aspace, va, stop);
                va = stop;
            } else {
                err = share_part(from, to, va);
                va += LARGE_SIZE;
            }
        }
    }
    plat_mmu_flush(&from->aspace);
    return err;
}

/* What the child has of a, in no tree yet. */
static struct area *copy_area(struct area *a, struct mm *to)
{
    struct area *b = area_create(a);
    if (!b)
        return NULL;
    if (!(a->flags & (AREA_SHARED | AREA_SPECIAL | AREA_WIPEONFORK)))
        a->flags |= AREA_COW;
    b->flags = a->flags & ~(uint32_t)(AREA_LOCKED | AREA_LOCKONFAULT);
    b->mm = to;
    b->fault_next = 0;
    if (b->file)
        file_get(b->file);
    if (UNLIKELY(b->uffd) && uffd_forking(a, b)) {
        area_destroy(b);
        return NULL;
    }
    return b;
}

/* The same in the child's tree, with the marks of its pages. */
static int fork_area(struct area *a, struct mm *to)
{
    struct area *b = copy_area(a, to);
    if (!b)
        return -ENOMEM;
    area_insert(b);
    area_count(b, 1);
    if (!marks_any(a->mm) || (a->flags & AREA_WIPEONFORK))
        return 0;
    return marks_copy(to, a->start, a->mm, a->start, a->end - a->start, b->uffd);
}

/* Give the child the meaning of all areas that it may have. */
static int copy_areas(struct mm *from, struct mm *to)
{
    int err = 0;
    if (!from->hides && !marks_any(from)) {
        to->total_pages = to->peak_pages = from->total_pages;
        to->data_pages = from->data_pages;
        to->stack_pages = from->stack_pages;
        to->exec_pages = from->exec_pages;
        return area_copy_all(from, to, copy_area);
    }
    to->hides = from->hides;
    for (struct area *a = area_find(from, 0); a && !err; a = area_next(a))
        if (!(a->flags & AREA_DONTFORK))
            err = fork_area(a, to);
    return err;
}

void mm_inherit(struct mm *mm, const struct mm *src)
{
    mm->def_flags |= src->def_flags & AREA_NOHUGE;
    mm->mdwe = src->mdwe & PR_MDWE_NO_INHERIT ? 0 : src->mdwe;
}

int mm_fork(struct mm *src, struct mm **ret_mm)
{
    struct mm *mm = mm_create();
    if (!mm)
        return -ENOMEM;
    mm_write_lock(src);
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
    mm_inherit(mm, src);
    int err = src->exe ? mm_set_exe(mm, src->exe) : 0;
    if (!err)
        err = copy_areas(src, mm);
    if (!err) {
        spin_lock(&src->move_lock);
        mm->rss_anon = src->rss_anon;
        mm->rss_file = src->rss_file;
        err = share_all(src, mm);
        spin_unlock(&src->move_lock);
    }
    mm_write_unlock(src);
    if (err)
        mm_put(mm);
    uffd_tell_pending(!err);
    if (err)
        return err;
    *ret_mm = mm;
    return 0;
}
