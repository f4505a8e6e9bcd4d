/* SPDX-License-Identifier: MIT */
/* Page tables and large leaves that two or more address spaces share after a fork, until one of them changes a leaf.
 *
 * The level-2 entries of all sharers have PTE_SHARED and no right to write, so the CPU takes a fault on each write, and
 * the entries of a shared table stay what they are, with two exceptions that no sharer minds: the CPU sets accessed
 * marks, and whoever copies the table takes the right to write from the leaves that are copied on write.
 *
 * The table's users are counted by libOS (upcall_table_*). The page counts a leaf of a shared table once; a copy of the
 * table counts its leaves anew (upcall_leaves_get). Who finds itself the last user has the table for its own again. That
 * is stable: only a user can add users, by plat_mmu_share, which no other change of its page tables runs beside.
 * Spec: Intel SDM volume 3, 4.6 (a write needs the right at every level), 4.10.2 to 4.10.4 (cached upper levels). */
#include <abi/errno.h>
#include <plat/upcall.h>
#include <stdatomic.h>

#include "x86_64/pagetable.h"

enum { ENTRIES = 512, BATCH = 64, GROUP = 16, GIB_MASK = (1 << 30) - 1 };

/* The leaves of a batch of entries that have an owner to be told, and where in a table to go on. */
struct batch {
    paddr_t pages[BATCH];
    uint16_t index[BATCH];
    size_t n;
    unsigned next, left; /* entry; used entries from there on */
};

static void batch_begin(struct batch *b, size_t used)
{
    b->next = 0;
    b->left = (unsigned)used;
}

/* Used entries of the table that this entry points to. */
static size_t used_entries(uint64_t e)
{
    return (e & COUNT_MASK) >> COUNT_SHIFT;
}

/* Collect more of t. False: there are no more. take: clear the entries. */
static ALWAYS_INLINE bool batch_next(uint64_t *t, struct batch *b, bool take)
{
    uint64_t address = pte_addresses();
    uint64_t *p = t + b->next, *end = t + ENTRIES;
    unsigned left = b->left;
    size_t n = 0;

    for (; left && p < end && n <= BATCH - GROUP; p += GROUP) {
        /* Most tables are nearly empty. */
        if (!(p[0] | p[1] | p[2] | p[3] | p[4] | p[5] | p[6] | p[7] | p[8] | p[9] | p[10] | p[11] |
              p[12] | p[13] | p[14] | p[15]))
            continue;
        for (unsigned i = 0; i < GROUP; i++) {
            uint64_t e = p[i];
            if (!e)
                continue;
            left--;
            if (take)
                p[i] = 0;
            else
                b->index[n] = (uint16_t)(p + i - t);
            b->pages[n] = PADDR(e & address);
            n += !(e & PTE_SPECIAL);
        }
    }
    b->n = n;
    b->next = (unsigned)(p - t);
    b->left = left;
    return n > 0;
}

/* Drop a table that nobody uses, and the references of its leaves. */
static void table_drop(uint64_t *t, size_t used)
{
    struct batch b;

    for (batch_begin(&b, used); batch_next(t, &b, true);)
        upcall_leaves_put(b.pages, b.n);
    mmu_table_free(t);
}

/* Copy a shared table; leaves that are copied on write lose the right to write in both. */
static void table_copy(uint64_t *old, uint64_t *new, size_t used)
{
    struct batch b;

    x86_copy(new, old, PAGE_SIZE);
    for (batch_begin(&b, used); batch_next(new, &b, false);) {
        uint64_t cow = upcall_leaves_get(b.pages, b.n);
        for (; cow; cow &= cow - 1) {
            unsigned i = b.index[__builtin_ctzll(cow)];
            if (!(new[i] & PTE_W))
                continue;
            new[i] &= ~PTE_W;
            __atomic_fetch_and(&old[i], ~PTE_W, __ATOMIC_RELAXED);
        }
    }
}

static int table_own(struct plat_aspace *as, uint64_t *pde, uintptr_t va, bool reserve)
{
    uint64_t e = *pde, *old = pte_table(e), *new;

    if (!upcall_table_shared(plat_virt_to_phys(old))) {
        *pde = (e & ~PTE_SHARED) | PTE_W; /* a right more: nothing to flush */
        return 0;
    }
    new = mmu_table_alloc(reserve);
    if (!new)
        return -ENOMEM;
    table_copy(old, new, used_entries(e));
    *pde = (e & ~(pte_addresses() | PTE_SHARED)) | plat_virt_to_phys(new).v | PTE_W;
    /* Before the others can think they are alone: no CPU of ours may still walk through what they change then. */
    mmu_flush_one(as, va);
    if (!upcall_table_put(plat_virt_to_phys(old)))
        table_drop(old, used_entries(e)); /* they went meanwhile */
    return 0;
}

int mmu_own(struct plat_aspace *as, uint64_t *pde, uintptr_t va, bool reserve)
{
    uint64_t e = *pde;

    if (!(e & PTE_LARGE))
        return table_own(as, pde, va, reserve);
    if (upcall_large_shared(PADDR(e & pte_addresses())))
        return mmu_split(as, pde, va, reserve);
    __atomic_fetch_and(pde, ~(PTE_SHARED | PTE_WAS_W), __ATOMIC_RELAXED);
    if (e & PTE_WAS_W)
        __atomic_fetch_or(pde, PTE_W, __ATOMIC_RELAXED);
    return 0;
}

int plat_mmu_own(struct plat_aspace *as, uintptr_t va)
{
    uintptr_t next;
    uint64_t *pde = mmu_find_pde(as, va, &next);

    return pde && *pde & PTE_SHARED ? mmu_own(as, pde, va, false) : 0;
}

/* Take the right to write from *pde and mark it shared; one user more. The entry for the new user. */
static uint64_t entry_share(uint64_t *pde)
{
    uint64_t e = *pde, new;

    if (!(e & PTE_LARGE)) {
        upcall_table_get(PADDR(e & pte_addresses()));
        return *pde = (e & ~PTE_W) | PTE_SHARED;
    }
    upcall_large_get(PADDR(e & pte_addresses()));
    do /* other CPUs may be setting marks */
        new = (e & ~PTE_W) | PTE_SHARED | (e & PTE_W ? PTE_WAS_W : 0);
    while (!__atomic_compare_exchange_n(pde, &e, new, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
    return new;
}

/* Let to have what *src shows at va. Another CPU may be taking a file's pages away from to, whose areas are known. */
static int share_at(uint64_t *src, struct plat_aspace *to, uintptr_t va)
{
    uint64_t *dst, *upper;

    mmu_lock(to);
    dst = mmu_make_pde(to, va, &upper);
    if (dst && !*dst) { /* the caller's ranges may overlap */
        *dst = entry_share(src);
        *upper += COUNT_ONE;
    }
    mmu_unlock(to);
    return dst ? 0 : -ENOMEM;
}

int plat_mmu_share(struct plat_aspace *from, struct plat_aspace *to, uintptr_t va, uintptr_t end)
{
    uintptr_t next;
    uint64_t *src;

    while (va < end) {
        src = mmu_find_pde(from, va, &next);
        if (!src) {
            va = next;
            continue;
        }
        do {
            if (*src && share_at(src, to, va) != 0)
                return -ENOMEM;
            src++;
            va += LARGE_SIZE;
        } while (va < end && va & GIB_MASK);
    }
    return 0;
}

/* What *pde showed to an address space that ends is shown no more. */
static void entry_drop(uint64_t e)
{
    paddr_t pa = PADDR(e & pte_addresses());

    if (e & PTE_LARGE) {
        if (!(e & PTE_SPECIAL))
            upcall_large_put(pa);
    } else if (!(e & PTE_SHARED) || !upcall_table_put(pa)) {
        table_drop(pte_table(e), used_entries(e));
    }
}

/* The table that *slot points to has become empty: no walk can meet it, as nobody runs there. */
static void upper_drop(uint64_t *slot, uint64_t *parent)
{
    upcall_page_free(PADDR(*slot & pte_addresses()));
    *slot = 0;
    if (parent)
        *parent -= COUNT_ONE;
}

void plat_mmu_drop(struct plat_aspace *as, uintptr_t va, uintptr_t end)
{
    uint64_t *pde, *upper, *root;
    uintptr_t next;

    if (x86_this_cpu()->aspace == as)
        plat_aspace_activate(NULL); /* drops what it remembers of the tables */
    root = plat_phys_to_virt(as->root);
    while (va < end) {
        pde = mmu_find_pde(as, va, &next);
        if (!pde) {
            va = next;
            continue;
        }
        /* The tables above, once for all entries of this one. */
        uint64_t *top = &root[va >> 39 & 511];
        upper = &pte_table(*top)[va >> 30 & 511];
        do {
            if (*pde) {
                entry_drop(*pde);
                *pde = 0;
                *upper -= COUNT_ONE;
            }
            pde++;
            va += LARGE_SIZE;
        } while (*upper & COUNT_MASK && va < end && va & GIB_MASK);
        if (!(*upper & COUNT_MASK)) {
            va = (va - LARGE_SIZE) / (GIB_MASK + 1ul) * (GIB_MASK + 1ul) + GIB_MASK + 1ul;
            upper_drop(upper, top);
            if (!(*top & COUNT_MASK))
                upper_drop(top, NULL);
        }
    }
}
