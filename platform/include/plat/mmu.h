/* SPDX-License-Identifier: MIT */
/* User address spaces: the page tables of the lower half. The upper half is shared by all and the platform's own.
 * The caller serialises calls on one address space per 2 MiB range (libos/mm does, by the map's locks); calls on
 * different ranges may run at the same time. Page-table pages come from upcall_page_alloc. */
#ifndef PLAT_MMU_H
#define PLAT_MMU_H

#include <base/compiler.h>
#include <base/types.h>
#include <plat_arch/mmu.h> /* struct plat_aspace */

enum plat_prot {
    PLAT_READ = 1,
    PLAT_WRITE = 2,
    PLAT_EXEC = 4,
    PLAT_SPECIAL =
        8, /* a page that has no owner to be told (vDSO, zero page): reported by unmap with this bit */
    PLAT_SHARED =
        16, /* only reported: the page table, or the large leaf, is another address space's too */
};

enum {
    PLAT_USER_MIN = 0x1000,
#define PLAT_USER_MAX 0x7ffffffff000ull /* first address past user memory */
};

/* One leaf of a page table. */
struct plat_leaf {
    paddr_t pa;    /* of the page's first byte */
    uint32_t size; /* PAGE_SIZE or LARGE_SIZE */
    uint8_t prot;  /* enum plat_prot, as far as the CPU grants it */
    bool present;
    bool accessed;
    bool dirty; /* written since mapped or last cleaned */
};

/* Create an address space with an empty lower half. -ENOMEM. */
NODISCARD int plat_aspace_init(struct plat_aspace *as);

/* Free the page tables. Every leaf has been unmapped and no CPU runs in it. */
void plat_aspace_fini(struct plat_aspace *as);

/* Make as the address space of this CPU. NULL: one with an empty lower half (kernel threads, idle). */
void plat_aspace_activate(struct plat_aspace *as);

/* Look up va. Without a leaf, ret->present is false and ret->size says how large the aligned block around va is that
 * is known to have none: PAGE_SIZE, LARGE_SIZE or 1 GiB. */
void plat_mmu_query(struct plat_aspace *as, uintptr_t va, struct plat_leaf *ret);

/* Map n consecutive pages from va; pages[i] is the i-th page's address, or v == 0 to leave that one alone.
 * A present leaf is left alone too and bit 0 of pages[i].v is set to tell so, unless replace is true: then it is
 * replaced and flushed everywhere (the caller knows by plat_mmu_query what it replaces).
 * The range does not cross a 2 MiB boundary. The number of present leaves left alone, normally 0; -ENOMEM (nothing
 * mapped), -EEXIST (a large page is there; nothing mapped). */
NODISCARD int plat_mmu_map(struct plat_aspace *as, uintptr_t va, paddr_t *pages, size_t n,
                           unsigned prot, bool replace);

/* Map one 2 MiB page; va and pa are 2 MiB aligned. 0, -ENOMEM, -EEXIST (something is mapped in the range). */
NODISCARD int plat_mmu_map_large(struct plat_aspace *as, uintptr_t va, paddr_t pa, unsigned prot);

/* Remove leaves from *va up to end into out[0..max), flush them from every CPU that may hold them, advance *va to
 * where to go on (end when all is done). A large page that lies partly outside is split first. Page-table pages that
 * became empty are freed. Count of leaves, or -ENOMEM (splitting; *va tells how far it came, nothing is lost). */
NODISCARD int plat_mmu_unmap(struct plat_aspace *as, uintptr_t *va, uintptr_t end,
                             struct plat_leaf *out, size_t max);

/* Change present leaves in [va, end) to prot & (what keep allows): a leaf without PLAT_WRITE gains it only if
 * may_write is true (else copy on write would be lost); losing a right is flushed everywhere. Splits large pages at
 * the ends. 0, -ENOMEM. */
NODISCARD int plat_mmu_protect(struct plat_aspace *as, uintptr_t va, uintptr_t end, unsigned prot,
                               bool may_write);

/* Clear accessed and/or dirty marks in [va, end), flushing; large pages are not split. */
void plat_mmu_clean(struct plat_aspace *as, uintptr_t va, uintptr_t end, bool accessed, bool dirty);

/* Move the leaves of [from, from + size) to to: same page-table work as unmap and map, marks kept. Both ranges are
 * page aligned and do not overlap; nothing is mapped at the destination. 0, -ENOMEM (nothing moved). */
NODISCARD int plat_mmu_move(struct plat_aspace *as, uintptr_t from, uintptr_t to, size_t size);

/* Show in to what from shows in [va, end), copy on write: whole page tables and large leaves become both's, and neither may
 * write through them. Whoever then changes a leaf of a shared table, by any function here, first gets a copy of the table
 * of his own: upcall_leaves_get counts the pages' new users and says which leaves lose the right to write for good. to has
 * nothing mapped in the range and nobody knows it; va and end are 2 MiB aligned. Call plat_mmu_flush(from) after the last
 * range. 0, -ENOMEM (a part may be shared). */
NODISCARD int plat_mmu_share(struct plat_aspace *from, struct plat_aspace *to, uintptr_t va,
                             uintptr_t end);

/* Flush all translations of as, from every CPU. */
void plat_mmu_flush(struct plat_aspace *as);

/* Make the page table around va this address space's own: what was writable before plat_mmu_share is again, where no
 * other uses it any more. A large leaf is split unless it is this one's alone. 0, -ENOMEM. */
NODISCARD int plat_mmu_own(struct plat_aspace *as, uintptr_t va);

/* Take all leaves and tables out of [va, end) (2 MiB aligned) of an address space that no CPU runs in and that ends: page tables
 * that others share stay theirs; what is this one's alone loses its references by upcall_leaves_put and upcall_large_put, but for
 * PLAT_SPECIAL leaves, which have none. */
void plat_mmu_drop(struct plat_aspace *as, uintptr_t va, uintptr_t end);

#endif
