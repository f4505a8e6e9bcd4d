/* SPDX-License-Identifier: MIT */
/* futex(2) and its successors. */
#include "sys_proto.h"
#include <libos/futex.h>
#include <libos/time.h>
#include <libos/user.h>
#include <libos/waitq.h>
#include <base/types.h>

#define COMMAND(op) ((op) & ~(FUTEX_PRIVATE_FLAG | FUTEX_CLOCK_REALTIME))

/* The timeout at ts on clock (absolute), or from now, as a deadline. -EFAULT, -EINVAL. */
static int get_deadline(uintptr_t ts, int clockid, bool absolute, uint64_t *ret)
{
    struct abi_timespec value;
    uint64_t ns, now;
    *ret = NO_DEADLINE;
    if (!ts)
        return 0;
    if (user_get(&value, user_at(user_timespec_in_t, ts), 1) < 0)
        return -EFAULT;
    int err = timespec_to_ns(&value, &ns);
    if (err)
        return err;
    if (absolute)
        return clock_deadline(clockid, ns, ret);
    err = clock_read(CLOCK_MONOTONIC, &now);
    *ret = now + ns;
    return err;
}

/* FUTEX_WAIT and FUTEX_WAIT_BITSET. */
static long wait(uintptr_t uaddr, unsigned op, unsigned val, uintptr_t timeout, unsigned bitset)
{
    bool absolute = COMMAND(op) == FUTEX_WAIT_BITSET;
    uint64_t deadline;
    int err = get_deadline(timeout, op & FUTEX_CLOCK_REALTIME ? CLOCK_REALTIME : CLOCK_MONOTONIC,
                           absolute, &deadline);
    if (err)
        return err;
    err = futex_wait(uaddr, !(op & FUTEX_PRIVATE_FLAG), val, deadline, bitset);
    if (err != -EINTR)
        return err;
    return timeout && !absolute
               ? futex_wait_restart(uaddr, !(op & FUTEX_PRIVATE_FLAG), val, deadline, bitset)
               : -ERESTARTSYS;
}

static long lock_pi(uintptr_t uaddr, unsigned op, uintptr_t timeout, int clockid)
{
    uint64_t deadline;
    int err = get_deadline(timeout, clockid, true, &deadline);
    if (err)
        return err;
    err = futex_lock_pi(uaddr, !(op & FUTEX_PRIVATE_FLAG), deadline, false);
    return err == -EINTR ? -ERESTARTNOINTR : err;
}

static long wait_requeue_pi(uintptr_t uaddr, unsigned op, unsigned val, uintptr_t timeout,
                            uintptr_t uaddr2)
{
    uint64_t deadline;
    int err = get_deadline(timeout, op & FUTEX_CLOCK_REALTIME ? CLOCK_REALTIME : CLOCK_MONOTONIC,
                           true, &deadline);
    if (err)
        return err;
    err = futex_wait_requeue_pi(uaddr, !(op & FUTEX_PRIVATE_FLAG), val, deadline,
                                FUTEX_BITSET_MATCH_ANY, uaddr2);
    return err == -EINTR ? -EAGAIN : err;
}

static NOINLINE long other(uintptr_t uaddr, unsigned op, unsigned val, uintptr_t timeout_or_val2,
                           uintptr_t uaddr2, unsigned val3)
{
    bool shared = !(op & FUTEX_PRIVATE_FLAG);
    unsigned cmd = COMMAND(op), val2 = (unsigned)timeout_or_val2;
    if (op & FUTEX_CLOCK_REALTIME && cmd != FUTEX_WAIT_BITSET && cmd != FUTEX_WAIT_REQUEUE_PI &&
        cmd != FUTEX_LOCK_PI2 && cmd != FUTEX_WAIT)
        return -ENOSYS;
    switch (cmd) {
    case FUTEX_WAIT:
        return wait(uaddr, op, val, timeout_or_val2, FUTEX_BITSET_MATCH_ANY);
    case FUTEX_WAIT_BITSET:
        return wait(uaddr, op, val, timeout_or_val2, val3);
    case FUTEX_WAKE:
        return futex_wake(uaddr, shared, val, FUTEX_BITSET_MATCH_ANY);
    case FUTEX_WAKE_BITSET:
        return futex_wake(uaddr, shared, val, val3);
    case FUTEX_REQUEUE:
    case FUTEX_CMP_REQUEUE:
        if ((int)val < 0 || (int)val2 < 0)
            return -EINVAL;
        return futex_requeue(uaddr, uaddr2, shared, val, val2,
                             cmd == FUTEX_CMP_REQUEUE ? &val3 : NULL);
    case FUTEX_WAKE_OP:
        return futex_wake_op(uaddr, uaddr2, shared, val, val2, val3);
    case FUTEX_LOCK_PI:
        return lock_pi(uaddr, op, timeout_or_val2, CLOCK_REALTIME);
    case FUTEX_LOCK_PI2:
        return lock_pi(uaddr, op, timeout_or_val2,
                       op & FUTEX_CLOCK_REALTIME ? CLOCK_REALTIME : CLOCK_MONOTONIC);
    case FUTEX_TRYLOCK_PI:
        return futex_lock_pi(uaddr, shared, 0, true);
    case FUTEX_UNLOCK_PI:
        return futex_unlock_pi(uaddr, shared);
    case FUTEX_WAIT_REQUEUE_PI:
        return wait_requeue_pi(uaddr, op, val, timeout_or_val2, uaddr2);
    case FUTEX_CMP_REQUEUE_PI:
        return val != 1 || (int)val2 < 0 ? -EINVAL
                                         : futex_requeue_pi(uaddr, uaddr2, shared, val2, &val3);
    default:
        return -ENOSYS;
    }
}

long sys_futex(uintptr_t uaddr, unsigned op, unsigned val, uintptr_t timeout_or_val2,
               uintptr_t uaddr2, unsigned val3)
{
    /* The two that matter for speed, without a timeout to read. */
    if (LIKELY((op & ~FUTEX_PRIVATE_FLAG) == FUTEX_WAKE))
        return futex_wake(uaddr, !(op & FUTEX_PRIVATE_FLAG), val, FUTEX_BITSET_MATCH_ANY);
    if ((op & ~FUTEX_PRIVATE_FLAG) == FUTEX_WAIT && !timeout_or_val2) {
        int err =
            futex_wait(uaddr, !(op & FUTEX_PRIVATE_FLAG), val, NO_DEADLINE, FUTEX_BITSET_MATCH_ANY);
        return err != -EINTR ? err : -ERESTARTSYS;
    }
    return other(uaddr, op, val, timeout_or_val2, uaddr2, val3);
}

/* One element of futex_waitv. */
static int get_one(const struct abi_futex_waitv *v, struct futex_wait_one *ret)
{
    if (v->flags & ~(FUTEX2_SIZE_U32 | FUTEX2_PRIVATE) || (v->flags & 3) != FUTEX2_SIZE_U32 ||
        v->reserved || v->val > UINT32_MAX)
        return -EINVAL;
    *ret = (struct futex_wait_one){ v->uaddr, (uint32_t)v->val, !(v->flags & FUTEX2_PRIVATE) };
    return 0;
}

long sys_futex_waitv(user_futex_waitv_in_t waiters, unsigned nr, unsigned flags,
                     user_timespec_in_t timeout, int clockid)
{
    struct futex_wait_one ones[FUTEX_WAITV_MAX];
    struct abi_futex_waitv v;
    uint64_t deadline;
    if (flags || !nr || nr > FUTEX_WAITV_MAX || user_is_null(waiters))
        return -EINVAL;
    if (!user_is_null(timeout) && clockid != CLOCK_MONOTONIC && clockid != CLOCK_REALTIME)
        return -EINVAL;
    int err = get_deadline(timeout.addr, clockid, true, &deadline);
    for (unsigned i = 0; !err && i < nr; i++) {
        err = user_get(&v, user_advance(waiters, i), 1);
        if (!err)
            err = get_one(&v, &ones[i]);
    }
    if (err)
        return err;
    err = futex_wait_many(ones, nr, deadline);
    return err == -EINTR ? -ERESTARTSYS : err;
}

static bool valid_flags(unsigned flags)
{
    return (flags & 3) == FUTEX2_SIZE_U32 && !(flags & ~(FUTEX2_SIZE_U32 | FUTEX2_PRIVATE));
}

long sys_futex_wake(uintptr_t uaddr, unsigned long mask, int nr, unsigned flags)
{
    if (!valid_flags(flags) || mask > UINT32_MAX)
        return -EINVAL;
    return futex_wake(uaddr, !(flags & FUTEX2_PRIVATE), (unsigned)nr, (uint32_t)mask);
}

long sys_futex_wait(uintptr_t uaddr, unsigned long val, unsigned long mask, unsigned flags,
                    user_timespec_in_t timeout, int clockid)
{
    uint64_t deadline;
    if (!valid_flags(flags) || val > UINT32_MAX || mask > UINT32_MAX)
        return -EINVAL;
    if (!user_is_null(timeout) && clockid != CLOCK_MONOTONIC && clockid != CLOCK_REALTIME)
        return -EINVAL;
    int err = get_deadline(timeout.addr, clockid, true, &deadline);
    if (err)
        return err;
    err = futex_wait(uaddr, !(flags & FUTEX2_PRIVATE), (uint32_t)val, deadline, (uint32_t)mask);
    return err == -EINTR ? -ERESTARTSYS : err;
}

long sys_futex_requeue(user_futex_waitv_in_t waiters, unsigned flags, int nr_wake, int nr_requeue)
{
    struct abi_futex_waitv v[2];
    struct futex_wait_one a, b;
    if (flags || user_is_null(waiters))
        return -EINVAL;
    int err = user_get(v, waiters, 2);
    if (!err)
        err = get_one(&v[0], &a);
    if (!err)
        err = get_one(&v[1], &b);
    if (err)
        return err;
    if (nr_wake < 0 || nr_requeue < 0 || a.shared != b.shared)
        return -EINVAL;
    return futex_requeue(a.addr, b.addr, a.shared, (unsigned)nr_wake, (unsigned)nr_requeue, &a.val);
}
