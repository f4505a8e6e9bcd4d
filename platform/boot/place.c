/* SPDX-License-Identifier: MIT */
/* Places the image: picks a random address, applies the relocations, maps text, read-only data and data with their
 * rights. Runs at the identity mapping before relocation, so everything here is reached relative to the instruction
 * pointer and no table of pointers may be read. */
#include "boot/boot.h"
#include "x86_64/cpu.h"
#include "x86_64/x86.h"

struct rela {
    uint64_t offset, info;
    int64_t addend;
};
enum { R_X86_64_RELATIVE = 8 };

#pragma GCC visibility push(hidden)
extern const char __image_start[], __text_end[], __rodata_end[], __image_end[], boot_stack[];
extern const struct rela __rela_start[], __rela_end[];
extern const uint64_t __relr_start[], __relr_end[];
extern const int32_t __smap_sites_start[], __smap_sites_end[];
extern struct boot_tables boot_tables;
extern struct x86_facts x86_facts;
#pragma GCC visibility pop

_Static_assert(sizeof(struct boot_tables) == 10 * PAGE_SIZE, "TABLES in pvh.S");

static uint64_t random_word(void)
{
    uint64_t r = 0;
    uint8_t ok = 0;

    if (x86_cpuid(1, 0).ecx & 1u << 30)
        for (int i = 0; i < 10 && !ok; i++)
            __asm__ volatile("rdrand %0; setc %1" : "=r"(r), "=qm"(ok) : : "cc");
    if (!ok)
        r = 0;
    /* The counter's low bits depend on what the host did so far: weak, and better than nothing. */
    r ^= x86_rdtsc() * 0x9e3779b97f4a7c15ull;
    return r ^ r >> 32;
}

/* Where the image lies, less where it was linked to lie. */
static uint64_t load_offset(void)
{
    return (uintptr_t)__image_start - BOOT_PHYS_BASE;
}

static void relocate(uint64_t slide)
{
    uint64_t base = BOOT_LINK_BASE - load_offset();

    for (const struct rela *r = __rela_start; r < __rela_end; r++)
        if (r->info == R_X86_64_RELATIVE)
            *(uint64_t *)(r->offset - base) = (uint64_t)r->addend + slide;
}

/* The compact form: an even word is the address of one place, an odd one says by its bits which of the 63 words after
 * that are more of them. The place holds its link-time value. Spec: the ELF gABI's SHT_RELR. */
static void relocate_packed(uint64_t slide)
{
    uint64_t base = BOOT_LINK_BASE - load_offset(), *place = NULL;

    for (const uint64_t *r = __relr_start; r < __relr_end; r++) {
        if (!(*r & 1)) {
            place = (uint64_t *)(*r - base);
            *place++ += slide;
            continue;
        }
        for (uint64_t bits = *r >> 1; bits; bits &= bits - 1)
            place[__builtin_ctzll(bits)] += slide;
        place += 63;
    }
}

static uint64_t rights(uintptr_t pa)
{
    if (pa < (uintptr_t)__text_end)
        return 0;
    if (pa < (uintptr_t)__rodata_end)
        return PTE_NX;
    return PTE_NX | PTE_W | PTE_D;
}

static void map_image(uint64_t slide)
{
    struct boot_tables *t = &boot_tables;
    uint64_t mask = x86_facts.enc_mask;
    uint64_t table = PTE_P | PTE_W | PTE_A | mask;
    size_t first = slide / LARGE_SIZE;
    uint64_t *pt = t->image_pt[0];

    t->root[511] = (uintptr_t)t->image_pdpt | table;
    t->root[384] = (uintptr_t)t->device_pdpt | table;
    t->image_pdpt[510] = (uintptr_t)t->image_pd | table;
    t->image_pd[first] = (uintptr_t)t->image_pt[0] | table;
    t->image_pd[first + 1] = (uintptr_t)t->image_pt[1] | table;
    for (uintptr_t pa = (uintptr_t)__image_start; pa < (uintptr_t)__image_end; pa += PAGE_SIZE)
        if (pa < (uintptr_t)t || pa >= (uintptr_t)boot_stack)
            pt[(pa - load_offset()) / PAGE_SIZE] = pa | PTE_P | PTE_A | rights(pa) | mask;
}

/* STAC and CLAC are no instructions on a CPU without SMAP: NOPs of their length take their places. */
static void without_smap(void)
{
    if (x86_cpuid(0, 0).eax >= 7 && x86_cpuid(7, 0).ebx & 1u << 20)
        return;
    for (const int32_t *site = __smap_sites_start; site < __smap_sites_end; site++)
        __builtin_memcpy((char *)site + *site, "\x0f\x1f", 3);
}

uint64_t boot_place(void)
{
    /* The last two slots of the window are boot_window's; the image has two page tables. */
    uint64_t slots = BOOT_WINDOW / LARGE_SIZE - 4;
    uint64_t slide = random_word() % slots * LARGE_SIZE;

    relocate(slide);
    relocate_packed(slide);
    without_smap();
    map_image(slide);
    x86_facts.slide = slide;
    x86_facts.load = load_offset();
    return BOOT_LINK_BASE + slide - load_offset();
}
