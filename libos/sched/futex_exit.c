/* SPDX-License-Identifier: MIT */
/* What the end of a thread means to futexes: robust lists (set_robust_list(2)), PI futexes it owns, clear_child_tid. All
 * lists are the program's: bounded, each word fetched once; the first bad address ends the walk. */
#include "futex_int.h"
#include <abi/errno.h>
#include <libos/mm.h>
#include <libos/user.h>

/* The word at addr belongs to a robust mutex: if t owns it, mark the owner dead and wake one waiter. pending: t was about
 * to take or release it. -EFAULT and the like end the walk. */
static int owner_died(struct thread *t, uintptr_t addr, bool pi, bool pending)
{
    uint32_t old, found;
    int err = user_load32(addr, &old);
    if (err)
        return err;
    for (;; old = found) {
        if (pending && !pi && !old) { /* released, but the wake may not have happened */
            futex_wake(addr, true, 1, FUTEX_BITSET_MATCH_ANY);
            return 0;
        }
        if ((old & FUTEX_TID_MASK) != (uint32_t)t->tid)
            return 0;
        err = user_cmpxchg32(addr, old, (old & FUTEX_WAITERS) | FUTEX_OWNER_DIED, &found);
        if (err)
            return err;
        if (found == old)
            break;
    }
    if (!pi && old & FUTEX_WAITERS) {
        /* Waiters may have slept on the private or the shared key. */
        if (futex_wake(addr, true, 1, FUTEX_BITSET_MATCH_ANY) == 0)
            futex_wake(addr, false, 1, FUTEX_BITSET_MATCH_ANY);
    }
    return 0;
}

static void walk_robust(struct thread *t)
{
    struct abi_robust_list_head head;
    uintptr_t at, next;
    if (user_get((uint8_t *)&head, user_at(user_u8_in_t, t->robust_list), sizeof(head)) < 0)
        return;
    uintptr_t pending = head.list_op_pending & ~1ul, offset = (uintptr_t)head.futex_offset;
    int left = ROBUST_LIST_LIMIT;
    /* Bit 0 of a link says that the entry is a PI futex. */
    for (at = head.next; (at & ~1ul) != t->robust_list && left-- > 0; at = next) {
        /* The next link first: the entry may be unmapped by whoever is woken. */
        if (user_get(&next, user_at(user_addr_in_t, at & ~1ul), 1) < 0)
            break;
        if ((at & ~1ul) != pending && owner_died(t, (at & ~1ul) + offset, at & 1, false) < 0)
            break;
    }
    if (pending)
        owner_died(t, pending + offset, head.list_op_pending & 1, true); /* nobody left to tell */
}

void futex_exit(struct thread *t)
{
    if (t->robust_list)
        walk_robust(t);
    t->robust_list = 0;
    futex_pi_exit(t);
    uintptr_t clear = t->clear_child_tid;
    t->clear_child_tid = 0;
    if (!clear || !t->mm || t->mm->users < 2)
        return; /* nobody shares the memory: nobody can see it */
    int zero = 0;
    if (user_put(user_at(user_int_out_t, clear), &zero, 1) == 0)
        futex_wake(clear, true, 1, FUTEX_BITSET_MATCH_ANY);
}
