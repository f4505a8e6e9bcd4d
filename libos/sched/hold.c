/* SPDX-License-Identifier: MIT */
/* Shares of counts that are made to count: libos/hold.h. A share has one end: its owner, the owner's CPU when the owner
 * leaves it, or whoever settles; the exchange of the CPU's word decides. */
#include "runq.h"
#include <libos/hold.h>
#include <plat/cpu.h>

_Static_assert(offsetof(struct runq, hold) == 0, "libos/hold.h finds it at plat_percpu()");

void hold_keep(struct hold *h, _Atomic uint32_t *count)
{
    /* Counted before the owner can be told so. */
    _Atomic uint32_t *theirs = count;
    atomic_fetch_add_explicit(count, 1, memory_order_relaxed);
    if (!atomic_compare_exchange_strong(&h->count, &theirs, NULL))
        atomic_fetch_sub_explicit(count, 1, memory_order_relaxed); /* not the last: the caller's */
}

void hold_settle(_Atomic uint32_t *count)
{
    /* What was taken out of sight is, before others' words are read; pairs with hold_begin. */
    atomic_thread_fence(memory_order_seq_cst);
    for (unsigned i = 0; i < plat_cpu_count(); i++) {
        struct runq *rq = runq_of(i);
        if (rq && atomic_load_explicit(&rq->hold.count, memory_order_relaxed) == count)
            hold_keep(&rq->hold, count);
    }
}
