/* SPDX-License-Identifier: MIT */
/* Translations that other CPUs hold: how they are made to drop them. */
#ifndef X86_64_TLB_H
#define X86_64_TLB_H

#include <base/types.h>
#include <plat/mmu.h>

enum { TLB_PAGES = 32 }; /* more than this: everything */

/* What one CPU asks of others. Written by its owner before it raises pending; read by those whose bit is there. */
struct tlb_request {
    _Atomic uint64_t pending; /* CPUs that have not answered; bit by number */
    struct plat_aspace *as;   /* NULL: the upper half, global pages too */
    unsigned n;               /* pages in va; above TLB_PAGES: all */
    uintptr_t va[TLB_PAGES];
};

/* Make every CPU of the set but this one, of those that run, drop n translations of as (NULL: of the upper half), at va
 * or all if n is above TLB_PAGES; returns when they have. Each has passed a barrier, and is not in the middle of a walk
 * through page tables. Spin locks may be held: who waits for one answers. */
void x86_tlb_shoot(uint64_t cpus, struct plat_aspace *as, const uintptr_t *va, unsigned n);

/* Answer the requests of other CPUs. */
void x86_tlb_serve(void);

#endif
