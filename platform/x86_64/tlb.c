/* SPDX-License-Identifier: MIT */
/* TLB shoot-down. Each CPU has one request of its own and a set of CPUs whose requests wait for it (tlb_from). A bit that
 * is set there already needs no second interrupt. Requests are answered in the interrupt, and, as ring 0 runs with
 * interrupts off, by whoever spins (plat_relax), asker included: so an asker may hold spin locks, and two that ask each
 * other do not wait for ever. Spec: Intel SDM volume 3, 4.10.5. */
#include "x86_64/tlb.h"
#include "vm/vm.h"
#include "x86_64/cpu.h"
#include "x86_64/x86.h"

#include <base/log.h>
#include <plat/cpu.h>
#include <plat/time.h>
#include <stdatomic.h>

enum { ANSWER_MAX_NS = 120 }; /* seconds until a CPU that does not answer is a bug */

static void flush_here(const struct x86_cpu *c, const struct tlb_request *r)
{
    if (!r->as) {
        if (r->n <= TLB_PAGES) {
            for (unsigned i = 0; i < r->n; i++)
                x86_invlpg(r->va[i]);
        } else {
            x86_set_cr4(x86_cr4() & ~(uint64_t)CR4_PGE); /* global ones too */
            x86_set_cr4(x86_cr4() | CR4_PGE);
        }
    } else if (c->aspace == r->as && r->n <= TLB_PAGES) {
        for (unsigned i = 0; i < r->n; i++)
            x86_invlpg(r->va[i]);
    } else if (c->aspace == r->as) {
        x86_set_cr3(x86_cr3());
    }
}

void x86_tlb_serve(void)
{
    struct x86_cpu *c = x86_this_cpu();
    uint64_t from = atomic_exchange(&c->tlb_from, 0);

    for (; from; from &= from - 1) {
        struct tlb_request *r = &x86_cpus[__builtin_ctzll(from)]->request;

        flush_here(c, r);
        /* Release: nothing of ours comes after; the asker reads it with acquire. */
        atomic_fetch_and(&r->pending, ~(1ull << c->p.cpu));
    }
}

static COLD NOINLINE void check_answer(const struct tlb_request *r, uint64_t since)
{
    if (plat_time_ns() - since > ANSWER_MAX_NS * NS_PER_SEC)
        panic("CPUs 0x%lx do not answer a TLB request", (unsigned long)r->pending);
}

void x86_tlb_shoot(uint64_t cpus, struct plat_aspace *as, const uintptr_t *va, unsigned n)
{
    struct x86_cpu *c = x86_this_cpu();
    struct tlb_request *r = &c->request;
    uint64_t self = 1ull << c->p.cpu, since;

    cpus &= ~self & x86_online;
    if (!cpus)
        return;
    r->as = as;
    r->n = n;
    for (unsigned i = 0; i < n && n <= TLB_PAGES; i++)
        r->va[i] = va[i];
    atomic_store(&r->pending, cpus);
    for (uint64_t left = cpus; left; left &= left - 1) {
        struct x86_cpu *to = x86_cpus[__builtin_ctzll(left)];

        if (!atomic_fetch_or(&to->tlb_from, self))
            vm_apic_send(to->apic_id, VEC_TLB);
    }
    since = plat_time_ns();
    for (unsigned spins = 1; atomic_load_explicit(&r->pending, memory_order_acquire); spins++) {
        plat_relax();
        if (spins % 4096 == 0)
            check_answer(r, since);
    }
}

void plat_relax(void)
{
    x86_pause();
    if (UNLIKELY(atomic_load_explicit(&x86_this_cpu()->tlb_from, memory_order_relaxed)))
        x86_tlb_serve();
}

void plat_membarrier(struct plat_aspace *as)
{
    atomic_thread_fence(memory_order_seq_cst);
    /* Reloading CR3 serialises the instruction stream too, as the SYNC_CORE command asks. */
    x86_tlb_shoot(as ? atomic_load(&as->cpus) : UINT64_MAX, as, NULL, TLB_PAGES + 1);
    atomic_thread_fence(memory_order_seq_cst);
}
