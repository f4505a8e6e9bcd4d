/* SPDX-License-Identifier: MIT */
/* Slots lie one after another in their area. A free slot keeps its pages while there are few of them, so that making
 * a thread maps nothing; its first stack word links the list. When there are many, half of them lose their pages at
 * once, as every CPU has to forget them. lock guards everything here. */
#include "x86_64/stack.h"
#include "x86_64/kmap.h"
#include "x86_64/tlb.h"

#include <plat/upcall.h>

enum {
    KEEP_MAX = 64,
    SHRINK = KEEP_MAX / 2,
    PAGES = SLOT_SIZE / PAGE_SIZE,
    SLOTS_MAX = 1 << 16, /* more than there are numbers for threads */
};

static uint32_t busy;         /* lock */
static uintptr_t mapped_free; /* list of slots with pages */
static unsigned mapped_free_count;
static uintptr_t area_next = KMAP_STACK_BASE;
static uint64_t bare[SLOTS_MAX / 64]; /* slots that lost their pages, by number */
static unsigned bare_first;           /* in no word of bare below it is any */

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

/* One that lost its pages gets new ones. 0: there is none, or no memory. */
static uintptr_t bare_take(void)
{
    while (bare_first < SLOTS_MAX / 64 && !bare[bare_first])
        bare_first++;
    if (bare_first == SLOTS_MAX / 64)
        return 0;
    unsigned n = (unsigned)__builtin_ctzll(bare[bare_first]);
    uintptr_t slot = KMAP_STACK_BASE + (bare_first * 64ul + n) * SLOT_SIZE;
    if (!map_pages(slot, 1, PAGES))
        return 0;
    bare[bare_first] &= ~(1ull << n);
    return slot;
}

static void bare_put(uintptr_t slot)
{
    size_t n = (slot - KMAP_STACK_BASE) / SLOT_SIZE;

    bare[n / 64] |= 1ull << n % 64;
    if (n / 64 < bare_first)
        bare_first = (unsigned)(n / 64);
}

static uintptr_t slot_make(void)
{
    uintptr_t slot = bare_take();

    if (slot || bare_first < SLOTS_MAX / 64)
        return slot;
    slot = area_next;
    if (slot == KMAP_STACK_BASE + (uintptr_t)SLOTS_MAX * SLOT_SIZE || !map_pages(slot, 1, PAGES))
        return 0;
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
    static paddr_t pages[SHRINK * (PAGES - 1)];
    unsigned n = 0;

    while (n < SHRINK * (PAGES - 1)) {
        uintptr_t slot = mapped_free;

        mapped_free = *link_of(slot);
        mapped_free_count--;
        for (unsigned i = 1; i < PAGES; i++)
            pages[n++] = kmap_unmap_page(slot + i * PAGE_SIZE);
        bare_put(slot);
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
