/* SPDX-License-Identifier: MIT */
/* What a device holds in its volatile cache, and whether it shall have one. Who syncs after each write pays two requests for it:
 * the write and the flush. A device that can do without its cache makes each write durable before it says that it is done, and
 * there is nothing to flush. It is told to, when the last flushes each covered next to nothing, and told back when writes come
 * that nobody asks to be durable: for those a cache is faster.
 *
 * A change (blk_request.through) counts as durable only if the device was without its cache from before the request was handed to
 * it until it was done: those are counted in cache_state, and the cache comes back only when there are none. All others count
 * in dev->cached, and a flush covers those that it found there. Without locks: blk_done runs in interrupts. */
#include "blk_int.h"

#include <base/log.h>

enum {
    BACK,      /* there is a cache */
    THROUGH,   /* there is none */
    LEAVING,   /* there is none yet, but new changes do not rely on that */
    SWITCHING, /* somebody tells the device */
    MODE = 3,
    OUT = 4,          /* changes that are with the device and rely on it */
    CALM_CHANGES = 2, /* a flush of no more than that is calm */
    CALM_FLUSHES = 4, /* so many in a row, and the cache goes */
    UNASKED_MAX =
        8, /* so many changes in a row without a wish to have them durable, and it comes back */
};

/* Tell the device. The state is SWITCHING, and this thread's. */
static void tell(struct blk_device *dev, bool on)
{
    int err = dev->ops->write_cache(dev, on);
    if (err) {
        /* It keeps what it had, or that is not known: it has a cache, and is not asked again. */
        log_warn("%s: its cache cannot be switched (error %d)", dev->name, -err);
        dev->limits.cache_switch = false;
        on = true;
    }
    atomic_store(&dev->cache_unasked, 0);
    atomic_store(&dev->cache_calm, 0);
    atomic_store(&dev->cache_state, on ? BACK : THROUGH);
}

/* The cache comes back once nothing relies on its absence. */
static void try_back(struct blk_device *dev)
{
    uint32_t leaving = LEAVING;
    if (atomic_compare_exchange_strong(&dev->cache_state, &leaving, SWITCHING))
        tell(dev, true);
}

static void leave(struct blk_device *dev)
{
    uint32_t s = atomic_load(&dev->cache_state);
    while ((s & MODE) == THROUGH &&
           !atomic_compare_exchange_weak(&dev->cache_state, &s, s - THROUGH + LEAVING))
        ;
    try_back(dev);
}

bool blk_cache_begin(struct blk_device *dev)
{
    uint32_t s = atomic_load(&dev->cache_state);
    if (LIKELY(s == BACK))
        return false;
    if ((s & MODE) == THROUGH && atomic_fetch_add(&dev->cache_unasked, 1) >= UNASKED_MAX) {
        leave(dev);
        return false;
    }
    while ((s & MODE) == THROUGH)
        if (atomic_compare_exchange_weak(&dev->cache_state, &s, s + OUT))
            return true;
    return false;
}

void blk_cache_end(struct blk_device *dev)
{
    if (atomic_fetch_sub(&dev->cache_state, OUT) == OUT + LEAVING)
        try_back(dev);
}

bool blk_cache_holds(struct blk_device *dev)
{
    atomic_store(&dev->cache_unasked, 0);
    return atomic_load(&dev->cached) != atomic_load(&dev->flushed);
}

void blk_cache_flushed(struct blk_device *dev, uint64_t changes)
{
    uint64_t old = atomic_load(&dev->flushed);
    uint32_t back = BACK;
    while (old < changes && !atomic_compare_exchange_weak(&dev->flushed, &old, changes))
        ;
    if (!dev->limits.cache_switch || old >= changes)
        return;
    if (changes - old > CALM_CHANGES)
        atomic_store(&dev->cache_calm, 0);
    else if (atomic_fetch_add(&dev->cache_calm, 1) + 1 >= CALM_FLUSHES &&
             atomic_compare_exchange_strong(&dev->cache_state, &back, SWITCHING))
        tell(dev, false);
}
