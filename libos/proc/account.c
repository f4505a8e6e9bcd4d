/* SPDX-License-Identifier: MIT */
/* What all processes of one user have together, for the limits that count per user (getrlimit(2)). A user exists while
 * somebody has its real id, or something that counts is left. Lock: accounts_lock for the table; counts are atomic. */
#include "proc.h"
#include <libos/heap.h>

enum { BUCKETS = 64 };

static struct slab account_slab = SLAB_INIT("account", struct account);
static struct spin accounts_lock = SPIN_INIT(RANK_ACCOUNTS);
static struct account *accounts[BUCKETS]; /* guarded by accounts_lock */

struct account *account_find(uint32_t uid)
{
    struct account **bucket = &accounts[uid % BUCKETS], *u;
    spin_lock(&accounts_lock);
    for (u = *bucket; u && u->uid != uid; u = u->next)
        ;
    if (u) {
        u->refs++;
    } else if ((u = slab_alloc(&account_slab))) {
        *u = (struct account){ .uid = uid, .refs = 1, .next = *bucket };
        *bucket = u;
    }
    spin_unlock(&accounts_lock);
    return u;
}

struct account *account_get(struct account *u)
{
    if (u)
        u->refs++;
    return u;
}

void account_put(struct account *u)
{
    uint32_t refs = u ? u->refs : 0;
    if (!u)
        return;
    while (refs > 1)
        if (atomic_compare_exchange_weak(&u->refs, &refs, refs - 1))
            return;
    spin_lock(&accounts_lock); /* account_find may give out a last reference's user */
    bool last = --u->refs == 0;
    if (last) {
        struct account **at = &accounts[u->uid % BUCKETS];
        while (*at != u)
            at = &(*at)->next;
        *at = u->next;
    }
    spin_unlock(&accounts_lock);
    if (last)
        slab_free(&account_slab, u);
}

uint64_t account_add(struct account *u, enum account_count what, uint64_t n)
{
    return atomic_fetch_add(&u->counts[what], n) + n;
}

bool account_charge(struct account *u, enum account_count what, uint64_t n, uint64_t limit)
{
    if (account_add(u, what, n) <= limit)
        return true;
    account_uncharge(u, what, n);
    return false;
}

void account_uncharge(struct account *u, enum account_count what, uint64_t n)
{
    atomic_fetch_sub(&u->counts[what], n);
}
