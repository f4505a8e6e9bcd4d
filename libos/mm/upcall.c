/* SPDX-License-Identifier: MIT */
/* What page tables are made of and point to, as the platform sees it: pages with a count of users. A leaf has one reference
 * of its page, a shared page table keeps one for all its users, and large leaves of the same 2 MiB have one together. */
#include "area.h"

#include <libos/page.h>

paddr_t upcall_page_alloc(void)
{
    struct page *p = page_alloc(0, PAGE_KERNEL, PAGE_ZERO);
    return p ? page_addr(p) : PADDR(0);
}

paddr_t upcall_page_alloc_reserve(void)
{
    struct page *p = page_alloc(0, PAGE_KERNEL, PAGE_ZERO | PAGE_MUST);
    return p ? page_addr(p) : PADDR(0);
}

void upcall_page_free(paddr_t pa)
{
    page_put(page_of(pa));
}

paddr_t upcall_block_alloc(unsigned order)
{
    struct page *p = order <= PAGE_ORDER_MAX ? page_alloc(order, PAGE_KERNEL, PAGE_ZERO) : NULL;
    return p ? page_addr(p) : PADDR(0);
}

void upcall_block_free(paddr_t pa)
{
    page_put(page_of(pa));
}

void upcall_table_get(paddr_t pa)
{
    page_get(page_of(pa));
}

bool upcall_table_shared(paddr_t pa)
{
    /* Acquire: whoever left has done with the entries. */
    return atomic_load_explicit(&page_of(pa)->refs, memory_order_acquire) > 1;
}

bool upcall_table_put(paddr_t pa)
{
    struct page *p = page_of(pa);
    uint32_t refs = p->refs;
    while (refs > 1)
        if (atomic_compare_exchange_weak_explicit(&p->refs, &refs, refs - 1, memory_order_acq_rel,
                                                  memory_order_acquire))
            return true;
    return false;
}

void upcall_large_get(paddr_t pa)
{
    page_large_get(page_of(pa));
}

bool upcall_large_shared(paddr_t pa)
{
    struct page *p = page_of(pa);
    if (p->larges > 1)
        return true;
    for (size_t i = 0; i < LARGE_SIZE / PAGE_SIZE; i++)
        if (p[i].refs > 1)
            return true;
    return false;
}

void upcall_large_put(paddr_t pa)
{
    page_large_put(page_of(pa));
}
