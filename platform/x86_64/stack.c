/* SPDX-License-Identifier: MIT */
/* Slots lie one after another in their area. A free slot keeps its pages while there are few of them, so that making
 * a thread maps nothing; its first stack word links the list. When there are many, half of them lose their pages at
 * once, as every CPU has to forget them. lock guards everything here. */
#include "x86_64/stack.h"
#include "x86_64/kmap.h"
#include "x86_64/tlb.h"

#include <plat/upcall.h>

enum { KEEP_MAX = 64, SHRINK = KEEP_MAX / 2, PAGES = SLOT_SIZE / PAGE_SIZE };

static uint32_t busy;         /* lock */
static uintptr_t mapped_free; /* list of slots with pages */
static unsigned mapped_free_count;
static uintptr_t area_next = KMAP_STACK_BASE;
/* Addresses of slots without pages: a stack in a page of its own would be needed for the list, so the slot's first
 * stack page is kept and links it. */
static uintptr_t bare_free;

static void lock(void)
{
    while (__atomic_exchange_n(&busy, 1, __ATOMIC_ACQUIRE))
        plat_relax();
}

static void unlock(void)
{
    __atomic_store_n(&busy, 0, __ATOMIC_RELEASE);
}

static uint64_t *link_of(uintptr_t slot)
{
    return (uint64_t *)(slot + PAGE_SIZE);
}

/* Map pages [from, to) of the slot, counted from its guard page. On failure nothing of them stays. */
static bool map_pages(uintptr_t slot, unsigned from, unsigned to)
{
    for (unsigned i = from; i < to; i++) {
        paddr_t pa = upcall_page_alloc();

        if (pa.v && kmap_page(slot + i * PAGE_SIZE, pa))
            continue;
        if (pa.v)
            upcall_page_free(pa);
        while (i-- > from)
            upcall_page_free(kmap_unmap_page(slot + i * PAGE_SIZE));
        return false;
    }
    return true;
}

static uintptr_t slot_make(void)
{
    uintptr_t slot = bare_free;

    if (slot) {
        uintptr_t next = *link_of(slot);
        if (!map_pages(slot, 2, PAGES))
            return 0;
        bare_free = next;
        return slot;
    }
    if (area_next + SLOT_SIZE > KMAP_STACK_END || !map_pages(area_next, 1, PAGES))
        return 0;
    slot = area_next;
    area_next += SLOT_SIZE;
    return slot;
}

uintptr_t x86_slot_get(void)
{
    uintptr_t slot;

    lock();
    slot = mapped_free;
    if (slot) {
        mapped_free = *link_of(slot);
        mapped_free_count--;
    } else {
        slot = slot_make();
    }
    unlock();
    return slot;
}

static void shrink(void)
{
    static paddr_t pages[SHRINK * (PAGES - 2)];
    unsigned n = 0;

    while (n < SHRINK * (PAGES - 2)) {
        uintptr_t slot = mapped_free;

        mapped_free = *link_of(slot);
        mapped_free_count--;
        for (unsigned i = 2; i < PAGES; i++)
            pages[n++] = kmap_unmap_page(slot + i * PAGE_SIZE);
        *link_of(slot) = bare_free;
        bare_free = slot;
    }
    x86_tlb_shoot(UINT64_MAX, NULL, NULL, TLB_PAGES + 1);
    while (n)
        upcall_page_free(pages[--n]);
}

void x86_slot_put(uintptr_t slot)
{
    lock();
    *link_of(slot) = mapped_free;
    mapped_free = slot;
    if (++mapped_free_count > KEEP_MAX)
        shrink();
    unlock();
}
