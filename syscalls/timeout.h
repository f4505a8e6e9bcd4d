/* SPDX-License-Identifier: MIT */
/* Relative timeouts of poll, select and epoll as deadlines on the platform's clock. */
#ifndef SYSCALLS_TIMEOUT_H
#define SYSCALLS_TIMEOUT_H

#include <abi/errno.h>
#include <abi/time.h>
#include <base/types.h>
#include <libos/poll.h>

/* A deadline ns from now: 0 for 0 (do not wait), NO_DEADLINE past the end of time. */
static inline uint64_t timeout_ns(uint64_t ns)
{
    uint64_t deadline;
    if (!ns)
        return 0;
    return __builtin_add_overflow(poll_now(), ns, &deadline) ? NO_DEADLINE : deadline;
}

/* Milliseconds; negative: for ever. */
static inline uint64_t timeout_ms(int ms)
{
    return ms < 0 ? NO_DEADLINE : timeout_ns((uint64_t)ms * 1000000);
}

/* -EINVAL: negative, or nanoseconds out of range. */
NODISCARD static inline int timeout_timespec(const struct abi_timespec *ts, uint64_t *ret)
{
    uint64_t ns;
    if (ts->tv_sec < 0 || ts->tv_nsec < 0 || ts->tv_nsec >= (int64_t)NS_PER_SEC)
        return -EINVAL;
    if (__builtin_mul_overflow((uint64_t)ts->tv_sec, NS_PER_SEC, &ns) ||
        __builtin_add_overflow(ns, (uint64_t)ts->tv_nsec, &ns))
        *ret = NO_DEADLINE;
    else
        *ret = timeout_ns(ns);
    return 0;
}

/* What is left of it, for the calls that write the timeout back. */
static inline struct abi_timespec timeout_left(uint64_t deadline_ns)
{
    uint64_t now = poll_now(), left = deadline_ns > now ? deadline_ns - now : 0;
    return (struct abi_timespec){ (int64_t)(left / NS_PER_SEC), (int64_t)(left % NS_PER_SEC) };
}

#endif
