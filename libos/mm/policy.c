/* SPDX-License-Identifier: MIT */
/* What is remembered of areas: seals, which later changes look at, and memory policies, by which anonymous pages are chosen where
 * there are several nodes, and moved. Lock: mm->lock. */
#include "area.h"

#include <abi/errno.h>
#include <abi/mempolicy.h>
#include <libos/node.h>
#include <libos/page.h>
#include <plat/cpu.h>
#include <plat/node.h>
#include <string.h>

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
        err = !leaf.present                     ? -ENOENT
              : page_of(leaf.pa) == zero_page() ? -EFAULT
                                                : (int)page_node(page_of(leaf.pa));
        spin_unlock(lock);
    }
    mm_read_unlock(mm);
    return err;
}

/* The page that is seen at va of a becomes a copy on another node; take_to is that page, NULL: there is none. The node, or why
 * not. mm->lock is held for writing and the range's lock, so nobody else changes the leaf, and who writes waits. */
static int move_leaf(struct area *a, uintptr_t va, struct page *take_to, struct page **ret_old)
{
    struct plat_aspace *as = &a->mm->aspace;
    struct plat_leaf leaf;
    plat_mmu_query(as, va, &leaf);
    struct page *from = leaf.present ? page_of(PADDR(leaf.pa.v + (va & (leaf.size - 1)))) : NULL;
    *ret_old = take_to;
    if (!from)
        return -ENOENT;
    if (from == zero_page())
        return -EFAULT;
    if (take_to && page_node(from) == page_node(take_to))
        return (int)page_node(from);
    if (from->kind != PAGE_ANON || from->refs != 1 || leaf.prot & PLAT_SHARED)
        return -EBUSY;
    bool writable = leaf.prot & PLAT_WRITE;
    int err = take_to ? plat_mmu_protect(as, va, va + PAGE_SIZE, leaf_prot(a->prot, false), false)
                      : -ENOMEM;
    if (err)
        return err;
    memcpy(page_ptr(take_to), page_ptr(from), PAGE_SIZE);
    paddr_t pa = page_addr(take_to);
    err = plat_mmu_map(as, va, &pa, 1, leaf_prot(a->prot, writable), true);
    if (err) /* the old one stays, read-only until the next fault */
        return err;
    *ret_old = from;
    return (int)page_node(take_to);
}

int mm_move_page(struct mm *mm, uintptr_t addr, unsigned node)
{
    struct page *to = page_alloc_on(node, 1ull << node, PAGE_ANON, 0), *old = to;
    int err = -EFAULT;
    addr &= PAGE_MASK;
    mm_write_lock(mm);
    struct area *a = addr < PLAT_USER_MAX ? area_at(mm, addr) : NULL;
    if (a && !(a->flags & AREA_SPECIAL)) {
        struct spin *lock = range_lock(mm, addr);
        spin_lock(lock);
        err = move_leaf(a, addr, to, &old);
        spin_unlock(lock);
    }
    mm_write_unlock(mm);
    if (old)
        page_put(old);
    return err;
}

bool mm_next_range(struct mm *mm, uintptr_t addr, uintptr_t *ret_start, uintptr_t *ret_end)
{
    mm_read_lock(mm);
    struct area *a = area_find(mm, addr);
    if (a) {
        *ret_start = a->start > addr ? a->start : addr;
        *ret_end = a->end;
    }
    mm_read_unlock(mm);
    return a != NULL;
}

unsigned node_count(void)
{
    return plat_node_count();
}

unsigned page_node(const struct page *p)
{
    uint64_t end;
    return plat_node_of(page_addr(p), &end);
}

uint64_t node_all(void)
{
    return (1ull << node_count()) - 1;
}

uint64_t mempolicy_nodes(const struct mempolicy *policy)
{
    uint64_t nodes = policy->nodes & node_all();
    if (policy->mode & MPOL_F_RELATIVE_NODES) { /* folded onto those that there are */
        nodes = 0;
        for (unsigned i = 0; i < 64; i++)
            if (policy->nodes >> i & 1)
                nodes |= 1ull << i % node_count();
    }
    return nodes ? nodes : node_all();
}

/* The node of number n of those in nodes. */
static unsigned nth_node(uint64_t nodes, uint64_t n)
{
    for (n %= (unsigned)__builtin_popcountll(nodes); n; n--)
        nodes &= nodes - 1;
    return (unsigned)__builtin_ctzll(nodes);
}

unsigned mempolicy_node(const struct mempolicy *policy, uint64_t index, uint64_t *ret_allowed)
{
    unsigned mode = policy->mode & ~(unsigned)MPOL_MODE_FLAGS,
             here = plat_node_of_cpu(plat_cpu_id());
    uint64_t nodes = mempolicy_nodes(policy);
    *ret_allowed = mode == MPOL_BIND ? nodes : node_all();
    switch (mode) {
    case MPOL_PREFERRED:
        return nth_node(nodes, 0);
    case MPOL_BIND:
        return here;
    case MPOL_PREFERRED_MANY:
        return nodes >> here & 1 ? here : nth_node(nodes, 0);
    case MPOL_INTERLEAVE:
    case MPOL_WEIGHTED_INTERLEAVE:
        return nth_node(nodes, index);
    default:
        return here;
    }
}

size_t mempolicy_alloc(const struct mempolicy *policy, uint64_t index, struct page **out, size_t n)
{
    size_t got = 0;
    for (; got < n; got++) {
        uint64_t allowed;
        unsigned node = mempolicy_node(policy, index + got, &allowed);
        out[got] = page_alloc_on(node, allowed, PAGE_ANON, PAGE_ZERO);
        if (!out[got] && allowed == node_all() && !got) /* with all that can be done for it */
            out[got] = page_alloc(0, PAGE_ANON, PAGE_ZERO);
        if (!out[got])
            break;
    }
    return got;
}
