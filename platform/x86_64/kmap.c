/* SPDX-License-Identifier: MIT */
/* Page tables of the upper half. The root's entries are all made at boot and never change after the first address
 * space was created, so that copies of them stay true: [256..] linear map, [384] devices and stacks, [511] image.
 * Runs on one CPU at boot; later callers (thread.c) hold their own lock. */
#include "x86_64/kmap.h"
#include "boot/boot.h"
#include "boot/memory.h"
#include "x86_64/cpu.h"
#include "x86_64/x86.h"

#include <base/log.h>
#include <plat/mem.h>
#include <plat/upcall.h>

static uintptr_t device_next = KMAP_DEVICE_BASE;
static bool boot_done;

uint64_t kmap_root_phys(void)
{
    return x86_image_phys(&boot_tables);
}

uint64_t *kmap_root(void)
{
    return plat_phys_to_virt(PADDR(kmap_root_phys()));
}

/* The boot tables are not mapped in the image, only here. */
static struct boot_tables *tables(void)
{
    return plat_phys_to_virt(PADDR(kmap_root_phys()));
}

static uint64_t *table_of(uint64_t entry)
{
    return plat_phys_to_virt(PADDR(entry & PTE_ADDR & ~x86_facts.enc_mask));
}

void kmap_boot_done(void)
{
    boot_done = true;
}

static uint64_t table_page(void)
{
    return boot_done ? upcall_page_alloc().v : boot_page();
}

/* The table that *slot points to, made if there is none. NULL: no page. */
static uint64_t *table_get(uint64_t *slot)
{
    uint64_t pa;

    if (*slot & PTE_P)
        return table_of(*slot);
    pa = table_page();
    if (!pa)
        return NULL;
    *slot = pa | x86_facts.enc_mask | PTE_P | PTE_W | PTE_A;
    return table_of(*slot);
}

void kmap_drop_identity(void)
{
    kmap_root()[0] = 0;
    x86_set_cr3(kmap_root_phys() | x86_facts.enc_mask);
}

void kmap_linear(uint64_t start, uint64_t end)
{
    uint64_t bits = PTE_P | PTE_W | PTE_A | PTE_D | PTE_G | PTE_LARGE | PTE_NX | x86_facts.enc_mask;
    const uint64_t giga = 1ull << 30;

    start = align_down(start, LARGE_SIZE);
    end = align_up(end, LARGE_SIZE);
    for (uint64_t pa = start; pa < end;) {
        uintptr_t va = PLAT_LINEAR_BASE + pa;
        uint64_t *pdpt = table_get(&kmap_root()[va >> 39 & 511]), *pdpte, *pd;

        must(pdpt);
        pdpte = &pdpt[va >> 30 & 511];
        if (!*pdpte && x86_facts.giant && pa % giga == 0 && end - pa >= giga) {
            *pdpte = pa | bits;
            pa += giga;
            continue;
        }
        if (*pdpte & PTE_LARGE) {
            pa = align_down(pa, giga) + giga;
            continue;
        }
        pd = table_get(pdpte);
        must(pd);
        do {
            pd[pa >> LARGE_SHIFT & 511] = pa | bits;
            pa += LARGE_SIZE;
        } while (pa < end && pa % giga);
    }
}

void kmap_linear_readonly(uint64_t start, uint64_t end)
{
    uint64_t *pd = tables()->linear_pd;

    for (uint64_t pa = start; pa < end; pa += PAGE_SIZE) {
        uint64_t *pde = &pd[pa >> LARGE_SHIFT], *pt;

        if (*pde & PTE_LARGE) {
            uint64_t page = *pde & ~PTE_LARGE, table = boot_page();

            must(table);
            pt = plat_phys_to_virt(PADDR(table));
            for (unsigned i = 0; i < 512; i++, page += PAGE_SIZE)
                pt[i] = page;
            *pde = table | x86_facts.enc_mask | PTE_P | PTE_W | PTE_A;
        }
        table_of(*pde)[pa >> PAGE_SHIFT & 511] &= ~PTE_W;
    }
    /* Global translations of the large pages may be cached. */
    x86_set_cr4(x86_cr4() & ~(uint64_t)CR4_PGE);
    x86_set_cr4(x86_cr4() | CR4_PGE);
}

/* The level-1 entry of va. */
static uint64_t *find_page(uintptr_t va)
{
    uint64_t *t = kmap_root();

    for (unsigned level = 4; level > 1; level--) {
        t = table_get(&t[va >> (12 + 9 * (level - 1)) & 511]);
        if (!t)
            return NULL;
    }
    return &t[va >> 12 & 511];
}

bool kmap_page(uintptr_t va, paddr_t pa)
{
    uint64_t *pte = find_page(va);

    if (!pte)
        return false;
    *pte = pa.v | x86_facts.enc_mask | PTE_P | PTE_W | PTE_A | PTE_D | PTE_G | PTE_NX;
    return true;
}

paddr_t kmap_unmap_page(uintptr_t va)
{
    uint64_t *pte = find_page(va), e;

    must(pte && *pte & PTE_P);
    e = *pte;
    *pte = 0;
    x86_invlpg(va);
    return PADDR(e & PTE_ADDR & ~x86_facts.enc_mask);
}

void kmap_share_page(uintptr_t va)
{
    uint64_t *pte = find_page(va);

    must(pte && *pte & PTE_P);
    *pte = (*pte & ~x86_facts.enc_mask) | x86_facts.shared_mask;
    x86_invlpg(va);
}

void kmap_linear_share(uint64_t pa, uint64_t size)
{
    for (uint64_t end = pa + size; pa < end; pa += LARGE_SIZE) {
        uintptr_t va = PLAT_LINEAR_BASE + pa;
        uint64_t *pdpt = table_of(kmap_root()[va >> 39 & 511]);
        uint64_t *pde = &table_of(pdpt[va >> 30 & 511])[va >> LARGE_SHIFT & 511];

        must(*pde & PTE_LARGE);
        *pde = (*pde & ~x86_facts.enc_mask) | x86_facts.shared_mask;
        x86_invlpg(va);
    }
}

bool kmap_device_phys(uintptr_t va, size_t size, uint64_t *ret_pa)
{
    uint64_t *pte;

    if (va < KMAP_DEVICE_BASE || va >= device_next || va % PAGE_SIZE + size > PAGE_SIZE)
        return false;
    pte = find_page(va);
    if (!pte || !(*pte & PTE_P) || *pte & x86_facts.enc_mask ||
        (*pte & x86_facts.shared_mask) != x86_facts.shared_mask)
        return false;
    *ret_pa = (*pte & PTE_ADDR & ~x86_facts.shared_mask) + va % PAGE_SIZE;
    return true;
}

static volatile void *map_outside(uint64_t pa, size_t size, uint64_t bits)
{
    uint64_t first = align_down(pa, PAGE_SIZE), end;
    uintptr_t va = device_next;

    if (!size || pa + size < pa || pa + size > x86_facts.phys_limit)
        return NULL;
    end = align_up(pa + size, PAGE_SIZE);
    if (boot_is_ram(first, end - first))
        return NULL;
    if (end - first > KMAP_STACK_BASE - device_next)
        return NULL;
    for (uint64_t p = first; p < end; p += PAGE_SIZE, device_next += PAGE_SIZE) {
        uint64_t *pte = find_page(device_next);
        if (!pte)
            return NULL;
        *pte = p | bits | PTE_P | PTE_W | PTE_A | PTE_D | PTE_G | PTE_NX;
    }
    return (volatile void *)(va + (pa - first));
}

volatile void *kmap_device(uint64_t pa, size_t size)
{
    /* Shared with the host: no encryption mask. */
    return map_outside(pa, size, x86_facts.shared_mask | PTE_PCD | PTE_PWT);
}

volatile void *kmap_firmware(uint64_t pa, size_t size)
{
    return map_outside(pa, size, x86_facts.enc_mask);
}

void *boot_window(uint64_t pa, size_t size)
{
    uint64_t *pd = tables()->image_pd, first = align_down(pa, LARGE_SIZE);
    uintptr_t va = BOOT_LINK_BASE + BOOT_WINDOW - 2 * LARGE_SIZE;

    if (size > LARGE_SIZE || pa + size < pa || pa + size > x86_facts.phys_limit)
        return NULL;
    for (unsigned i = 0; i < 2; i++) {
        pd[510 + i] = (first + i * LARGE_SIZE) | PTE_P | PTE_W | PTE_A | PTE_D | PTE_LARGE |
                      PTE_NX | x86_facts.enc_mask;
        x86_invlpg(va + i * LARGE_SIZE);
    }
    return (void *)(va + (pa - first));
}
