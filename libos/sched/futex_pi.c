/* SPDX-License-Identifier: MIT */
/* Futexes with priority inheritance: futex(2), FUTEX_LOCK_PI and its family. The word holds the owner's tid, with
 * FUTEX_WAITERS set while somebody waits in here, so that the owner's release comes here too.
 *
 * User memory is only touched without locks, so a word is looked at before and again after a waiter is queued; whoever
 * changes it in between finds the waiter or is found by the second look. A release takes the best waiter out of its list
 * (handoff), writes its tid into the word, and then lets it go: a waiter in handoff cannot leave. A waiter that is woken
 * without the lock (granted is false) starts over.
 *
 * Each waiter lends its real-time priority to the owner, and through the futex that the owner waits for to the next one.
 * Locks: the bucket's, then pi_lock: whom waiters lend to (owner, pi_held, futex_waiter). */
#include "futex_int.h"
#include "runq.h"
#include <abi/errno.h>
#include <libos/user.h>
#include <libos/waitq.h>
#include <utlist.h>

enum { RETRY = 1, CHAIN_MAX = 1024 };

static struct spin pi_lock = SPIN_INIT(RANK_WAITQ);

/* Who waits for t's futexes has changed: lend it what they have, and so on along the chain. pi_lock is held. */
static void lend(struct thread *t)
{
    for (int depth = 0; t && depth < CHAIN_MAX; depth++) {
        struct futex_waiter *w;
        const struct thread *best = NULL;
        DL_FOREACH2(t->pi_held, w, pi_next)
        if (!best || thread_more_urgent(w->thread, best))
            best = w->thread;
        unsigned priority = best ? thread_rt_priority(best) : 0;
        uint64_t deadline = priority == RT_DEADLINE ? best->deadline_ns : 0;
        if (t->boost == priority && t->lent_ns == deadline)
            return;
        sched_boost(t, priority, deadline);
        t = t->futex_waiter ? t->futex_waiter->owner : NULL;
    }
}

static void attach(struct futex_waiter *w, struct thread *owner)
{
    thread_get(owner);
    w->owner = owner;
    w->thread->futex_waiter = w;
    DL_APPEND2(owner->pi_held, w, pi_prev, pi_next);
    lend(owner);
}

static void detach(struct futex_waiter *w)
{
    struct thread *owner = w->owner;
    if (!owner)
        return;
    DL_DELETE2(owner->pi_held, w, pi_prev, pi_next);
    w->owner = NULL;
    w->thread->futex_waiter = NULL;
    lend(owner);
    thread_put(owner);
}

/* Would waiting for owner close a circle? pi_lock is held. */
static bool circle(const struct thread *owner, const struct thread *waiter)
{
    for (int depth = 0; owner && depth < CHAIN_MAX; depth++) {
        if (owner == waiter)
            return true;
        owner = owner->futex_waiter ? owner->futex_waiter->owner : NULL;
    }
    return owner != NULL;
}

/* The waiter for the PI futex key that comes next: highest priority, then first come. The bucket's lock is held. */
static struct futex_waiter *best_waiter(struct futex_bucket *b, const struct futex_key *key)
{
    struct futex_waiter *w, *best = NULL;
    DL_FOREACH(b->head, w)
    if (w->is_pi && futex_same(&w->key, key) &&
        (!best || thread_more_urgent(w->thread, best->thread)))
        best = w;
    return best;
}

/* w is in no list any more; the bucket's lock need not be held. It is gone when this returns. */
static void let_go(struct futex_waiter *w, bool granted)
{
    struct thread *t = w->thread;
    thread_get(t);
    w->granted = granted;
    /* Release: all of w is written before its thread may leave. A handoff ends by this alone: between two stores its thread would
     * find itself queued and free to go. */
    atomic_store_explicit(&w->bucket, NULL, memory_order_release);
    thread_wake(t);
    thread_put(t);
}

/* Take w out of its list to be let go, with all that it lends. The bucket's lock is held. */
static void take_out(struct futex_bucket *b, struct futex_waiter *w)
{
    DL_DELETE(b->head, w);
    spin_lock(&pi_lock);
    detach(w);
    spin_unlock(&pi_lock);
}

/* Everybody who waits for key lends to owner from now on. The bucket's lock is held. */
static void new_owner(struct futex_bucket *b, const struct futex_key *key, struct thread *owner)
{
    struct futex_waiter *w;
    spin_lock(&pi_lock);
    DL_FOREACH(b->head, w)
    {
        if (w->is_pi && futex_same(&w->key, key)) {
            detach(w);
            attach(w, owner);
        }
    }
    spin_unlock(&pi_lock);
}

/* The waiter itself wants to leave. False: it was let go meanwhile. */
static bool leave(struct futex_waiter *w)
{
    struct futex_bucket *b;
    while ((b = atomic_load_explicit(&w->bucket, memory_order_acquire))) {
        spin_lock(&b->lock);
        bool mine = w->bucket == b && !w->handoff;
        if (mine) {
            take_out(b, w);
            w->bucket = NULL;
        }
        spin_unlock(&b->lock);
        if (mine)
            return true;
        /* In handoff, or moved. Uninterruptible: the one who gives it the lock wakes it. */
        thread_prepare_sleep(SLEEP_UNINTERRUPTIBLE);
        if (w->bucket && w->handoff && thread_sleep(NO_DEADLINE))
            break;
        thread_finish_sleep();
    }
    w->handoff = false;
    return false;
}

/* Wake the best waiter of key, if there is one, to look at the word again. */
static void wake_to_retry(struct futex_bucket *b, const struct futex_key *key)
{
    spin_lock(&b->lock);
    struct futex_waiter *w = best_waiter(b, key);
    if (w) {
        take_out(b, w);
        let_go(w, false);
    }
    spin_unlock(&b->lock);
}

/* The lock is free, or its owner is dead: take it. RETRY: the word changed. */
static int take_free(struct futex_waiter *w, uint32_t word)
{
    struct futex_bucket *b = futex_bucket(&w->key);
    uint32_t found, me = (uint32_t)thread_current()->tid;
    uint32_t new =
        me | (word & (FUTEX_OWNER_DIED | FUTEX_WAITERS)) | (w->dead_owner ? FUTEX_OWNER_DIED : 0);
    int err = user_cmpxchg32(w->addr, word, new, &found);
    if (err || found != word)
        return err ? err : RETRY;
    spin_lock(&b->lock);
    new_owner(b, &w->key, thread_current());
    spin_unlock(&b->lock);
    return 0;
}

/* Queue w behind owner. -EDEADLK; -EAGAIN: the owner is about to end, and will hand over soon. */
static int queue_behind(struct futex_waiter *w, struct thread *owner)
{
    struct futex_bucket *b = futex_bucket(&w->key);
    int err = 0;
    spin_lock(&b->lock);
    spin_lock(&pi_lock);
    if (owner->exiting)
        err = -EAGAIN;
    else if (circle(owner, w->thread))
        err = -EDEADLK;
    else
        attach(w, owner);
    spin_unlock(&pi_lock);
    if (!err) {
        w->bucket = b;
        DL_APPEND(b->head, w);
    }
    spin_unlock(&b->lock);
    return err;
}

/* Sleep until let go. 0: the lock is held. RETRY: look again. */
static int sleep_queued(struct futex_waiter *w, uint32_t owner, uint64_t deadline_ns)
{
    uint32_t word;
    int err = user_load32(w->addr, &word);
    bool stale = !err && (word & FUTEX_TID_MASK) != owner;
    while (!err && !stale && (thread_prepare_sleep(SLEEP_INTERRUPTIBLE), w->bucket))
        err = thread_sleep(deadline_ns);
    thread_finish_sleep();
    if (leave(w))
        return err ? err : RETRY;
    return w->granted ? 0 : RETRY;
}

/* One attempt at the lock. */
static int attempt(struct futex_waiter *w, uint64_t deadline_ns, bool try_only)
{
    uint32_t word, found, me = (uint32_t)thread_current()->tid;
    int err = user_load32(w->addr, &word);
    uint32_t owner = word & FUTEX_TID_MASK;
    if (err)
        return err;
    if (!owner || owner == w->dead_owner)
        return take_free(w, word);
    if (owner == me)
        return -EDEADLK;
    if (try_only)
        return -EAGAIN;
    if (!(word & FUTEX_WAITERS)) {
        err = user_cmpxchg32(w->addr, word, word | FUTEX_WAITERS, &found);
        if (err || found != word)
            return err ? err : RETRY;
    }
    struct thread *t = thread_find((int)owner);
    if (!t) {
        err = user_load32(w->addr, &found);
        return err ? err : (found & FUTEX_TID_MASK) == owner ? -ESRCH : RETRY;
    }
    err = t->is_kernel ? -EPERM : queue_behind(w, t);
    thread_put(t);
    if (err == -EAGAIN) {
        (void)sched_yield_cpu(); /* 0 */
        return thread_interrupted(thread_current()) ? -EINTR : RETRY;
    }
    return err ? err : sleep_queued(w, owner, deadline_ns);
}

int futex_lock_pi(uintptr_t addr, bool shared, uint64_t deadline_ns, bool try_only)
{
    struct futex_waiter w = {
        .bitset = FUTEX_BITSET_MATCH_ANY, .thread = thread_current(), .addr = addr, .is_pi = true
    };
    int err = futex_key(addr, shared, &w.key);
    if (!err)
        do
            err = attempt(&w, deadline_ns, try_only);
        while (err == RETRY);
    return err;
}

/* Change the word from what me owns to new. RETRY: somebody changed its flags. -EPERM: it is not me's. */
static int change_owned(uintptr_t addr, uint32_t *word, uint32_t me, uint32_t new)
{
    uint32_t found;
    if ((*word & FUTEX_TID_MASK) != me)
        return -EPERM;
    int err = user_cmpxchg32(addr, *word, new, &found);
    if (err || found == *word)
        return err;
    *word = found;
    return RETRY;
}

int futex_unlock_pi(uintptr_t addr, bool shared)
{
    struct futex_key key;
    uint32_t word, me = (uint32_t)thread_current()->tid;
    int err = futex_key(addr, shared, &key);
    if (!err)
        err = user_load32(addr, &word);
    if (err)
        return err;
    if ((word & FUTEX_TID_MASK) != me)
        return -EPERM;
    struct futex_bucket *b = futex_bucket(&key);
    spin_lock(&b->lock);
    struct futex_waiter *w = best_waiter(b, &key);
    uint32_t new = 0;
    if (w) {
        take_out(b, w);
        w->handoff = true;
        new_owner(b, &key, w->thread);
        new = (uint32_t)w->thread->tid | (best_waiter(b, &key) ? FUTEX_WAITERS : 0);
    }
    spin_unlock(&b->lock);
    do
        err = change_owned(addr, &word, me, new);
    while (err == RETRY);
    if (w)
        let_go(w, !err);
    else if (!err)
        wake_to_retry(b, &key); /* one may have queued after the look and before the change */
    return err;
}

void futex_pi_exit(struct thread *t)
{
    for (;;) {
        spin_lock(&pi_lock);
        struct futex_waiter *w = t->pi_held;
        struct futex_bucket *b = w ? w->bucket : NULL;
        spin_unlock(&pi_lock);
        if (!w)
            return;
        if (!b)
            continue;
        spin_lock(&b->lock);
        DL_FOREACH(b->head, w)
        if (w->owner == t)
            break;
        if (w) {
            w->dead_owner = (uint32_t)t->tid;
            take_out(b, w);
            let_go(w, false);
        }
        spin_unlock(&b->lock);
    }
}

int futex_wait_requeue_pi(uintptr_t addr, bool shared, uint32_t val, uint64_t deadline_ns,
                          uint32_t bitset, uintptr_t to)
{
    struct futex_waiter w = { .bitset = bitset,
                              .thread = thread_current(),
                              .addr = to,
                              .can_requeue = true,
                              .requeue_addr = to };
    uint32_t now;
    int err = addr == to || !bitset ? -EINVAL : futex_key(addr, shared, &w.key);
    if (!err)
        err = futex_key(to, shared, &w.requeue_to);
    if (err)
        return err;
    futex_enqueue(&w);
    err = user_load32(addr, &now);
    if (!err && now != val)
        err = -EAGAIN;
    while (!err && (thread_prepare_sleep(SLEEP_INTERRUPTIBLE), w.bucket))
        err = thread_sleep(deadline_ns);
    thread_finish_sleep();
    if (leave(&w))
        return err;
    if (w.granted)
        return 0;
    w.can_requeue = false;
    while ((err = attempt(&w, deadline_ns, false)) == RETRY)
        ;
    return err;
}

/* The first who waits on from to be moved; its lock is held. *ret_err: one waits who must not be. */
static struct futex_waiter *first_movable(struct futex_bucket *b, const struct futex_key keys[2],
                                          int *ret_err)
{
    struct futex_waiter *w;
    *ret_err = 0;
    DL_FOREACH(b->head, w)
    {
        if (!futex_same(&w->key, &keys[0]))
            continue;
        if (!w->can_requeue || w->is_pi || !futex_same(&w->requeue_to, &keys[1]))
            *ret_err = -EINVAL;
        return *ret_err ? NULL : w;
    }
    return NULL;
}

/* The lock at to is free: give it to the first who waits on from. 1: given; 0: nobody waits; RETRY + 1: the word changed. */
static int give_free(const struct futex_key keys[2], uintptr_t to, uint32_t word)
{
    struct futex_bucket *b = futex_bucket(&keys[0]);
    uint32_t found;
    int err;
    spin_lock(&b->lock);
    struct futex_waiter *w = first_movable(b, keys, &err);
    if (w) {
        DL_DELETE(b->head, w);
        w->handoff = true;
    }
    spin_unlock(&b->lock);
    if (!w)
        return err;
    /* FUTEX_WAITERS to be safe: others may be moved behind it; a release that finds nobody clears it. */
    err = user_cmpxchg32(
        to, word, (uint32_t)w->thread->tid | FUTEX_WAITERS | (word & FUTEX_OWNER_DIED), &found);
    if (!err && found == word) {
        let_go(w, true);
        return 1;
    }
    spin_lock(&b->lock);
    DL_PREPEND(b->head, w);
    w->handoff = false;
    thread_wake(w->thread); /* it may be waiting for the end of the handoff to leave */
    spin_unlock(&b->lock);
    return err ? err : RETRY + 1;
}

/* Move up to n from keys[0] to behind owner. How many; -EAGAIN: the owner is about to end. */
static int move_behind(const struct futex_key keys[2], struct thread *owner, unsigned n)
{
    struct futex_bucket *a = futex_bucket(&keys[0]), *b = futex_bucket(&keys[1]);
    struct futex_waiter *w;
    int moved = 0, err = 0;
    futex_lock_two(a, b);
    spin_lock(&pi_lock);
    if (owner->exiting)
        err = -EAGAIN;
    while (!err && (unsigned)moved < n && (w = first_movable(a, keys, &err))) {
        DL_DELETE(a->head, w);
        w->key = keys[1];
        w->is_pi = true;
        DL_APPEND(b->head, w);
        w->bucket = b;
        attach(w, owner);
        moved++;
    }
    spin_unlock(&pi_lock);
    futex_unlock_two(a, b);
    return err ? err : moved;
}

/* The lock at to is taken by who word says: queue up to n behind. How many, RETRY as -ERESTART, or an errno. */
static int queue_many(const struct futex_key keys[2], uintptr_t to, uint32_t word, unsigned n)
{
    uint32_t found;
    if (!(word & FUTEX_WAITERS)) {
        int err = user_cmpxchg32(to, word, word | FUTEX_WAITERS, &found);
        if (err || found != word)
            return err ? err : -ERESTART;
    }
    struct thread *t = thread_find((int)(word & FUTEX_TID_MASK));
    if (!t)
        return -ESRCH;
    int moved = move_behind(keys, t, n);
    thread_put(t);
    if (moved == -EAGAIN) {
        (void)sched_yield_cpu(); /* 0 */
        return -ERESTART;
    }
    if (moved > 0 &&
        (user_load32(to, &found) || (found & FUTEX_TID_MASK) != (word & FUTEX_TID_MASK)))
        wake_to_retry(futex_bucket(&keys[1]), &keys[1]);
    return moved;
}

int futex_requeue_pi(uintptr_t from, uintptr_t to, bool shared, unsigned requeue,
                     const uint32_t *expected)
{
    struct futex_key keys[2];
    uint32_t now, word;
    int given = 0, err = from == to ? -EINVAL : futex_key(from, shared, &keys[0]);
    if (!err)
        err = futex_key(to, shared, &keys[1]);
    if (!err)
        err = user_load32(from, &now);
    if (!err && now != *expected)
        err = -EAGAIN;
    while (!err) {
        err = user_load32(to, &word);
        if (err)
            break;
        if (!(word & FUTEX_TID_MASK)) {
            int gave = give_free(keys, to, word);
            if (gave <= 0)
                return gave ? gave : given;
            given += gave == 1;
            if ((unsigned)given > requeue)
                return given;
            continue;
        }
        /* Linux takes one waiter for the lock and moves `requeue` more; one that cannot have it is moved too. */
        err = queue_many(keys, to, word, requeue + 1 - (unsigned)given);
        if (err != -ERESTART)
            return err < 0 ? err : given + err;
        err = 0;
    }
    return err;
}
