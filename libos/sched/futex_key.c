/* SPDX-License-Identifier: MIT */
/* Which futex an address means. Private ones are told apart by address space and address, without a look at the map.
 * Shared ones by page map and offset when the memory is a shared mapping, so that two mappings of one page meet; else by
 * address space and address again. A space is only compared: if it goes away while somebody sleeps there, at worst a
 * later one at the same address wakes the sleeper for nothing. */
#include "futex_int.h"
#include <abi/errno.h>
#include <libos/mm.h>
#include <libos/user.h>

struct futex_bucket futex_buckets[FUTEX_BUCKETS] = { [0 ... FUTEX_BUCKETS -
                                                      1] = { .lock = SPIN_INIT(RANK_FUTEX) } };

int futex_shared_key(uintptr_t addr, struct futex_key *ret)
{
    struct mm *mm = thread_current()->mm;
    uint32_t value;
    int err = user_load32(addr, &value); /* faults it in, or says that it is not there */
    if (err)
        return err;
    mm_read_lock(mm);
    struct area *a = area_find(mm, addr);
    if (a && a->start <= addr && a->flags & AREA_SHARED && a->pages)
        *ret = (struct futex_key){ a->pages, (a->pgoff << PAGE_SHIFT) + (addr - a->start) };
    mm_read_unlock(mm);
    return 0;
}

void futex_lock_two(struct futex_bucket *a, struct futex_bucket *b)
{
    spin_lock(a < b ? &a->lock : &b->lock);
    if (a != b) {
        lock_check_drop(a < b ? &a->lock : &b->lock,
                        RANK_FUTEX); /* two of one rank, ordered by address */
        spin_lock(a < b ? &b->lock : &a->lock);
    }
}

void futex_unlock_two(struct futex_bucket *a, struct futex_bucket *b)
{
    if (a != b) {
        spin_unlock(a < b ? &b->lock : &a->lock);
        lock_check_take(a < b ? &a->lock : &b->lock, RANK_FUTEX);
    }
    spin_unlock(a < b ? &a->lock : &b->lock);
}
