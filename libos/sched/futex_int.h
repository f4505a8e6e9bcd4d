/* SPDX-License-Identifier: MIT */
/* Futex keys and buckets: private to libos/sched. */
#ifndef SCHED_FUTEX_INT_H
#define SCHED_FUTEX_INT_H

#include <abi/errno.h>
#include <libos/futex.h>
#include <libos/lock.h>
#include <libos/thread.h>
#include <plat/mmu.h>

/* What a futex word is: an offset in an address space, or in a page map for memory shared between processes. */
struct futex_key {
    const void *space; /* struct mm or struct pagemap; compared, never followed */
    uint64_t offset;   /* bytes */
};

/* One who waits on one word; on its stack. Guarded by the lock of its bucket, the owner part by pi_lock. */
struct futex_waiter {
    struct futex_waiter *next, *prev; /* bucket's list */
    struct futex_key key;
    uint32_t bitset;
    struct thread *thread;
    struct futex_bucket *_Atomic bucket; /* NULL: woken */

    /* PI futexes; see futex_pi.c. */
    uintptr_t addr;   /* of the word, in the waiter's address space */
    bool is_pi;       /* it waits for a PI futex */
    bool can_requeue; /* FUTEX_WAIT_REQUEUE_PI: it may be moved to requeue_to, and only there */
    struct futex_key requeue_to;
    uintptr_t requeue_addr;
    bool handoff;         /* somebody is giving it the lock: it is in no list but not free to go */
    bool granted;         /* it has the lock */
    uint32_t dead_owner;  /* tid of the owner that ended while this waited; 0: none */
    struct thread *owner; /* whom it lends its priority; a reference. NULL: nobody */
    struct futex_waiter *pi_next, *pi_prev; /* owner->pi_held */
};

struct futex_bucket {
    struct spin lock;
    struct futex_waiter *head; /* guarded by lock; utlist DL */
} ALIGNED(64);

/* The key of addr in memory that may be shared. -EFAULT. */
NODISCARD int futex_shared_key(uintptr_t addr, struct futex_key *ret);

/* The key of addr. -EINVAL (not aligned), -EFAULT. */
NODISCARD static inline int futex_key(uintptr_t addr, bool shared, struct futex_key *ret)
{
    ret->space = thread_current()->mm;
    ret->offset = addr;
    if (UNLIKELY(addr % 4))
        return -EINVAL;
    if (UNLIKELY(addr >= PLAT_USER_MAX))
        return -EFAULT;
    return shared ? futex_shared_key(addr, ret) : 0;
}

enum { FUTEX_BUCKETS = 256 };
extern struct futex_bucket futex_buckets[FUTEX_BUCKETS];

static inline struct futex_bucket *futex_bucket(const struct futex_key *key)
{
    uint64_t h = ((uint64_t)(uintptr_t)key->space >> 4) + (key->offset >> 2);
    return &futex_buckets[h * 0x9e3779b97f4a7c15ull >> 56];
}

static inline bool futex_same(const struct futex_key *a, const struct futex_key *b)
{
    return a->space == b->space && a->offset == b->offset;
}
/* Lock two buckets in address order (once if they are one). */
void futex_lock_two(struct futex_bucket *a, struct futex_bucket *b);
void futex_unlock_two(struct futex_bucket *a, struct futex_bucket *b);
/* Take w out of its bucket, whose lock is held, and wake it. */
void futex_wake_one(struct futex_waiter *w);
/* Take w out of whatever bucket it is in. False: it was woken before. */
bool futex_dequeue(struct futex_waiter *w);
/* Hang w into the bucket of its key. */
void futex_enqueue(struct futex_waiter *w);
/* The PI futexes that t owns get another owner, marked FUTEX_OWNER_DIED. */
void futex_pi_exit(struct thread *t);

#endif
