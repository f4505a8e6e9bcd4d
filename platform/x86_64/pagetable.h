/* SPDX-License-Identifier: MIT */
/* What mmu.c and mmu_share.c know together: the bits of entries, and how tables are found, made and dropped. */
#ifndef X86_64_PAGETABLE_H
#define X86_64_PAGETABLE_H

#include "x86_64/cpu.h"
#include "x86_64/x86.h"

#include <plat/cpu.h>
#include <plat/mem.h>
#include <plat/mmu.h>

/* Each used entry is not 0. A leaf without any right is not present to the CPU (a copy in ring 0 must fault on it
 * too), so leaves have a bit of their own. */
#define PTE_USED (1ull << 10)
/* Level 2: the table or large leaf is another address space's too. It is not writable then, whatever the entries below
 * say; a large leaf remembers in PTE_WAS_W that it was. */
#define PTE_SHARED  (1ull << 11)
#define PTE_WAS_W   (1ull << 52)
#define COUNT_SHIFT 52
#define COUNT_ONE   (1ull << COUNT_SHIFT)
#define COUNT_MASK  (0x3ffull << COUNT_SHIFT)

/* The bits of an entry that are an address. */
static ALWAYS_INLINE uint64_t pte_addresses(void)
{
    return PTE_ADDR & ~x86_facts.enc_mask;
}

static inline uint64_t *pte_table(uint64_t entry)
{
    return plat_phys_to_virt(PADDR(entry & pte_addresses()));
}

/* The levels above page tables are changed under this lock. */
static inline void mmu_lock(struct plat_aspace *as)
{
    while (__atomic_exchange_n(&as->lock, 1, __ATOMIC_ACQUIRE))
        plat_relax();
}

static inline void mmu_unlock(struct plat_aspace *as)
{
    __atomic_store_n(&as->lock, 0, __ATOMIC_RELEASE);
}

/* The place of the level-2 entry for va, or NULL and in *next the first address that may have one. */
uint64_t *mmu_find_pde(struct plat_aspace *as, uintptr_t va, uintptr_t *next);
/* The same, with all tables above it made; the entry that counts the table it lies in is *ret_upper. NULL: no memory.
 * Lock held. */
uint64_t *mmu_make_pde(struct plat_aspace *as, uintptr_t va, uint64_t **ret_upper);
/* A page table, all zero (reserve: where else there is no memory); NULL. And its return, all zero again. */
uint64_t *mmu_table_alloc(bool reserve);
void mmu_table_free(uint64_t *t);
/* Flush the translation of va and what the CPUs remember of the tables above it. */
void mmu_flush_one(struct plat_aspace *as, uintptr_t va);

/* Make the table or large leaf at *pde, shared, this address space's own (plat_mmu_own). The caller holds the lock of its
 * 2 MiB range. 0, -ENOMEM. */
NODISCARD int mmu_own(struct plat_aspace *as, uint64_t *pde, uintptr_t va, bool reserve);
/* Turn a large leaf into a table of the same pages. -ENOMEM. */
NODISCARD int mmu_split(struct plat_aspace *as, uint64_t *pde, uintptr_t va, bool reserve);

#endif
