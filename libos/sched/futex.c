/* SPDX-License-Identifier: MIT */
/* Futexes: futex(2), futex_waitv(2). A waiter hangs in the bucket of its key; the word is compared after queueing with
 * the bucket's lock released, because looking at user memory may fault: a waker that changes the word after the
 * comparison finds the waiter queued, one that changed it before is seen by the comparison.
 * Lock: the bucket's. */
#include "futex_int.h"
#include <abi/errno.h>
#include <libos/heap.h>
#include <libos/sched.h>
#include <libos/user.h>
#include <libos/waitq.h>
#include <utlist.h>

static ALWAYS_INLINE void enqueue(struct futex_waiter *w)
{
    struct futex_bucket *b = futex_bucket(&w->key);
    spin_lock(&b->lock);
    w->bucket = b;
    DL_APPEND(b->head, w);
    spin_unlock(&b->lock);
    /* Sequentially consistent: queued before the word is looked at; pairs with the fence in futex_wake. */
    atomic_thread_fence(memory_order_seq_cst);
}

void futex_enqueue(struct futex_waiter *w)
{
    enqueue(w);
}

void futex_wake_one(struct futex_waiter *w)
{
    struct thread *t = w->thread;
    struct futex_bucket *b = w->bucket;
    DL_DELETE(b->head, w);
    thread_get(t);
    /* Release: w is on t's stack and may be gone once bucket is NULL. */
    atomic_store_explicit(&w->bucket, NULL, memory_order_release);
    thread_wake(t);
    thread_put(t);
}

bool futex_dequeue(struct futex_waiter *w)
{
    struct futex_bucket *b;
    while ((b = atomic_load_explicit(&w->bucket, memory_order_acquire))) {
        spin_lock(&b->lock);
        if (w->bucket == b) {
            DL_DELETE(b->head, w);
            w->bucket = NULL;
            spin_unlock(&b->lock);
            return true;
        }
        spin_unlock(&b->lock); /* moved to another bucket meanwhile */
    }
    return false;
}

int futex_wait(uintptr_t addr, bool shared, uint32_t val, uint64_t deadline_ns, uint32_t bitset)
{
    struct futex_waiter w; /* the PI part is not looked at */
    uint32_t now;
    w.bitset = bitset;
    w.thread = thread_current();
    w.is_pi = w.can_requeue = false;
    int err = futex_key(addr, shared, &w.key);
    if (UNLIKELY(err || !bitset))
        return err ? err : -EINVAL;
    enqueue(&w);
    err = user_load32(addr, &now);
    if (!err && now != val)
        err = -EAGAIN;
    while (!err && (thread_prepare_sleep(SLEEP_INTERRUPTIBLE), w.bucket))
        err = thread_sleep(deadline_ns);
    thread_finish_sleep();
    /* A wake that came is not lost to a signal or a deadline. */
    return w.bucket && futex_dequeue(&w) ? err : 0;
}

/* restart_syscall: the wait goes on to the same deadline. */
static int restart_wait(struct thread *t)
{
    const unsigned long *d = t->restart_data;
    int err = futex_wait(d[0], d[1], (uint32_t)d[2], d[3], (uint32_t)d[4]);
    return err == -EINTR ? -ERESTART_RESTARTBLOCK : err;
}

int futex_wait_restart(uintptr_t addr, bool shared, uint32_t val, uint64_t deadline_ns,
                       uint32_t bitset)
{
    struct thread *t = thread_current();
    t->restart = restart_wait;
    t->restart_data[0] = addr;
    t->restart_data[1] = shared;
    t->restart_data[2] = val;
    t->restart_data[3] = deadline_ns;
    t->restart_data[4] = bitset;
    return -ERESTART_RESTARTBLOCK;
}

/* Wake up to n waiters of key in b, whose lock is held. */
static ALWAYS_INLINE int wake_in(struct futex_bucket *b, const struct futex_key *key, unsigned n,
                                 uint32_t bitset)
{
    struct futex_waiter *w, *next;
    int woken = 0;
    DL_FOREACH_SAFE(b->head, w, next)
    {
        if (!futex_same(&w->key, key) || !(w->bitset & bitset))
            continue;
        if (w->is_pi || w->can_requeue)
            return -EINVAL; /* waits for a PI futex: plain wakes are a program's mistake */
        if ((unsigned)woken >= n)
            break;
        futex_wake_one(w);
        woken++;
    }
    return woken;
}

int futex_wake(uintptr_t addr, bool shared, unsigned n, uint32_t bitset)
{
    struct futex_key key;
    int ret = futex_key(addr, shared, &key);
    if (ret || !bitset)
        return ret ? ret : -EINVAL;
    struct futex_bucket *b = futex_bucket(&key);
    /* Sequentially consistent: the program's store to the word comes before the look; pairs with the fence in enqueue. */
    atomic_thread_fence(memory_order_seq_cst);
    if (!*(struct futex_waiter *volatile *)&b->head)
        return 0;
    spin_lock(&b->lock);
    ret = wake_in(b, &key, n, bitset);
    spin_unlock(&b->lock);
    return ret;
}

/* Wake and move what wakes and moves; both locks are held. */
static int move_in(struct futex_bucket *from, struct futex_bucket *to,
                   const struct futex_key keys[2], unsigned wake, unsigned requeue,
                   unsigned *ret_moved)
{
    struct futex_waiter *w, *next;
    int woken = 0;
    *ret_moved = 0;
    DL_FOREACH_SAFE(from->head, w, next)
    {
        if (!futex_same(&w->key, &keys[0]))
            continue;
        if (w->is_pi || w->can_requeue)
            return -EINVAL;
        if ((unsigned)woken < wake) {
            futex_wake_one(w);
            woken++;
        } else if (*ret_moved < requeue) {
            w->key = keys[1];
            if (from != to) { /* else it would be met again and again */
                DL_DELETE(from->head, w);
                DL_APPEND(to->head, w);
                w->bucket = to;
            }
            ++*ret_moved;
        } else {
            break;
        }
    }
    return woken;
}

int futex_requeue(uintptr_t from, uintptr_t to, bool shared, unsigned wake, unsigned requeue,
                  const uint32_t *expected)
{
    struct futex_key keys[2];
    uint32_t now;
    unsigned moved;
    int err = futex_key(from, shared, &keys[0]);
    if (!err)
        err = futex_key(to, shared, &keys[1]);
    /* Compared before the locks, as a fault may sleep: what changes meanwhile also could have just after. */
    if (!err && expected && !(err = user_load32(from, &now)) && now != *expected)
        err = -EAGAIN;
    if (err)
        return err;
    struct futex_bucket *a = futex_bucket(&keys[0]), *b = futex_bucket(&keys[1]);
    futex_lock_two(a, b);
    int woken = move_in(a, b, keys, wake, requeue, &moved);
    futex_unlock_two(a, b);
    return woken < 0 ? woken : woken + (int)moved;
}

/* The new value that FUTEX_WAKE_OP's operation makes of old. */
static int apply_op(uint32_t op, uint32_t old, uint32_t *ret)
{
    uint32_t arg = (uint32_t)((int32_t)(op << 8) >> 20), kind = op >> 28;
    if (kind & FUTEX_OP_OPARG_SHIFT)
        arg = 1u << (arg & 31);
    switch (kind & 7) {
    case FUTEX_OP_SET:
        *ret = arg;
        return 0;
    case FUTEX_OP_ADD:
        *ret = old + arg;
        return 0;
    case FUTEX_OP_OR:
        *ret = old | arg;
        return 0;
    case FUTEX_OP_ANDN:
        *ret = old & ~arg;
        return 0;
    case FUTEX_OP_XOR:
        *ret = old ^ arg;
        return 0;
    default:
        return -ENOSYS;
    }
}

static int compare_op(uint32_t op, uint32_t old_value)
{
    int32_t arg = (int32_t)(op << 20) >> 20, old = (int32_t)old_value;
    switch (op >> 24 & 15) {
    case FUTEX_OP_CMP_EQ:
        return old == arg;
    case FUTEX_OP_CMP_NE:
        return old != arg;
    case FUTEX_OP_CMP_LT:
        return old < arg;
    case FUTEX_OP_CMP_LE:
        return old <= arg;
    case FUTEX_OP_CMP_GT:
        return old > arg;
    case FUTEX_OP_CMP_GE:
        return old >= arg;
    default:
        return -ENOSYS;
    }
}

int futex_wake_op(uintptr_t from, uintptr_t to, bool shared, unsigned n, unsigned m, uint32_t op)
{
    struct futex_key keys[2];
    uint32_t old, found, value;
    int err = futex_key(from, shared, &keys[0]);
    if (!err)
        err = futex_key(to, shared, &keys[1]);
    if (!err)
        err = user_load32(to, &old);
    for (; !err; old = found) {
        err = apply_op(op, old, &value);
        if (!err)
            err = user_cmpxchg32(to, old, value, &found);
        if (!err && found == old)
            break;
    }
    int compares = err ? err : compare_op(op, old);
    if (compares < 0)
        return compares;
    struct futex_bucket *a = futex_bucket(&keys[0]), *b = futex_bucket(&keys[1]);
    futex_lock_two(a, b);
    int woken = wake_in(a, &keys[0], n, FUTEX_BITSET_MATCH_ANY);
    if (woken >= 0 && compares) {
        int more = wake_in(b, &keys[1], m, FUTEX_BITSET_MATCH_ANY);
        woken = more < 0 ? more : woken + more;
    }
    futex_unlock_two(a, b);
    return woken;
}

/* Dequeue the first n of ws; the index of one that had been woken, or -1. */
static int dequeue_many(struct futex_waiter *ws, unsigned n)
{
    int woken = -1;
    for (unsigned i = 0; i < n; i++)
        if (!futex_dequeue(&ws[i]))
            woken = (int)i;
    return woken;
}

static bool any_woken(const struct futex_waiter *ws, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        if (!ws[i].bucket)
            return true;
    return false;
}

int futex_wait_many(const struct futex_wait_one *words, unsigned n, uint64_t deadline_ns)
{
    struct futex_waiter *ws = heap_calloc(n, sizeof(*ws));
    unsigned queued = 0;
    uint32_t now;
    int err = ws ? 0 : -ENOMEM;
    for (unsigned i = 0; !err && i < n; i++) {
        ws[i].bitset = FUTEX_BITSET_MATCH_ANY;
        ws[i].thread = thread_current();
        err = futex_key(words[i].addr, words[i].shared, &ws[i].key);
    }
    for (; !err && queued < n; queued++) {
        futex_enqueue(&ws[queued]);
        err = user_load32(words[queued].addr, &now);
        if (!err && now != words[queued].val)
            err = -EAGAIN;
    }
    while (!err && (thread_prepare_sleep(SLEEP_INTERRUPTIBLE), !any_woken(ws, n)))
        err = thread_sleep(deadline_ns);
    thread_finish_sleep();
    int woken = ws ? dequeue_many(ws, queued) : -1;
    heap_free(ws);
    return woken >= 0 ? woken : err;
}
