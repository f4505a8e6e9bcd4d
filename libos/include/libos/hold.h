/* SPDX-License-Identifier: MIT */
/* Shares of a count that are not added to it, for as long as a thread stays on its CPU: what many threads look up and let
 * go all the time is not written to, by whoever looks it up. Each CPU says in one place which count its thread holds a share
 * of; who takes the object out of sight asks all CPUs, and makes the shares that it finds count (hold_settle). So does the
 * scheduler with the share of a thread that leaves its CPU. Interrupts are off, so nobody else comes between. */
#ifndef LIBOS_HOLD_H
#define LIBOS_HOLD_H

#include <base/compiler.h>
#include <plat/thread.h>
#include <stdatomic.h>

/* First in what plat_percpu() points to. */
struct hold {
    _Atomic uint32_t *_Atomic count; /* NULL: nothing is held */
};

/* Hold a share of count, which need not be there any more: look afterwards whether its object can still be found, and if not,
 * end the share. False: this thread holds another one, so count it. */
static inline bool hold_begin(_Atomic uint32_t *count)
{
    struct hold *h = plat_percpu();
    if (UNLIKELY(atomic_load_explicit(&h->count, memory_order_relaxed)))
        return false;
    /* A full barrier: this is seen before the object is looked for again; pairs with hold_settle. */
    (void)atomic_exchange(&h->count, count);
    return true;
}

/* End a share of count that hold_begin gave. True: it was made to count meanwhile, so the caller drops it. */
NODISCARD static inline bool hold_end(_Atomic uint32_t *count)
{
    struct hold *h = plat_percpu();
    _Atomic uint32_t *mine = count;
    if (UNLIKELY(atomic_load_explicit(&h->count, memory_order_relaxed) != count))
        return true;
    return !atomic_compare_exchange_strong(&h->count, &mine, NULL);
}

/* Make h's share of count count, if it still has it then. */
void hold_keep(struct hold *h, _Atomic uint32_t *count);

/* Make all shares of count count. Its object cannot be found any more by those who hold_begin from here on, and the caller has
 * a reference of his own. */
void hold_settle(_Atomic uint32_t *count);

#endif
