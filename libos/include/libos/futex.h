/* SPDX-License-Identifier: MIT */
/* Futexes and restartable sequences: what threads and libOS agree on through words of the program's memory. futex(2). */
#ifndef LIBOS_FUTEX_H
#define LIBOS_FUTEX_H

#include <abi/futex.h>
#include <base/compiler.h>
#include <base/types.h>

struct plat_frame;
struct thread;

/* All addresses are the program's and hostile: -EINVAL when not 4-byte aligned, -EFAULT when not readable (or writable
 * where they are written). shared: the word may be in memory shared with other address spaces. */

/* Sleep if the word at addr is val, until a wake whose bits meet bitset, or plat_time_ns() reaches deadline.
 * 0, -EAGAIN (another value), -EINTR, -ETIMEDOUT, -EINVAL (no bits). */
NODISCARD int futex_wait(uintptr_t addr, bool shared, uint32_t val, uint64_t deadline_ns,
                         uint32_t bitset);
/* A signal ended such a wait, whose timeout was relative: have restart_syscall go on with it. -ERESTART_RESTARTBLOCK. */
int futex_wait_restart(uintptr_t addr, bool shared, uint32_t val, uint64_t deadline_ns,
                       uint32_t bitset);
/* Wake up to n waiters. Their number. -EINVAL (no bits). */
int futex_wake(uintptr_t addr, bool shared, unsigned n, uint32_t bitset);
/* Wake up to wake of from's waiters, let up to requeue others wait on to instead. expected NULL: no comparison.
 * How many were woken or moved. -EAGAIN (another value). */
int futex_requeue(uintptr_t from, uintptr_t to, bool shared, unsigned wake, unsigned requeue,
                  const uint32_t *expected);
/* FUTEX_WAKE_OP: change the word at to by op, wake n of from, and m of to if the old value compares. Their number.
 * -ENOSYS: unknown operation. */
int futex_wake_op(uintptr_t from, uintptr_t to, bool shared, unsigned n, unsigned m, uint32_t op);
/* futex_waitv: wait on n (1 to 128) words at once. The index of one that was woken, -EAGAIN, -EINTR, -ETIMEDOUT, -ENOMEM. */
struct futex_wait_one {
    uintptr_t addr;
    uint32_t val;
    bool shared;
};
int futex_wait_many(const struct futex_wait_one *words, unsigned n, uint64_t deadline_ns);

/* Priority inheritance: the word holds the owner's tid, FUTEX_WAITERS, FUTEX_OWNER_DIED. -EDEADLK, -ESRCH (no such
 * owner), -EPERM (not the owner), -EAGAIN, -EINTR, -ETIMEDOUT, -ENOMEM. */
NODISCARD int futex_lock_pi(uintptr_t addr, bool shared, uint64_t deadline_ns, bool try_only);
NODISCARD int futex_unlock_pi(uintptr_t addr, bool shared);
NODISCARD int futex_wait_requeue_pi(uintptr_t addr, bool shared, uint32_t val, uint64_t deadline_ns,
                                    uint32_t bitset, uintptr_t to);
int futex_requeue_pi(uintptr_t from, uintptr_t to, bool shared, unsigned requeue,
                     const uint32_t *expected);

/* The end of thread t (current): walk its robust list, give up its PI futexes, clear and wake clear_child_tid. */
void futex_exit(struct thread *t);

/* rseq(2) for the current thread. -EINVAL, -EPERM (signature), -EBUSY (registered), -EFAULT. */
NODISCARD int rseq_register(uintptr_t area, uint32_t len, bool unregister, uint32_t sig);
/* The current thread was preempted in ring 3, or a signal is about to be delivered: abort its section, tell it its CPU. */
void rseq_preempted(struct thread *t, struct plat_frame *f);
void rseq_signal(struct thread *t, struct plat_frame *f);

#endif
