/* SPDX-License-Identifier: MIT */
/* The memory side of a read or write: user buffers (one, or a vector already copied in and bounded) or libOS memory. */
#ifndef LIBOS_ITER_H
#define LIBOS_ITER_H

#include <base/compiler.h>
#include <base/types.h>
#include <plat/user.h>

struct iter_seg {
    uintptr_t base; /* user address, or libOS pointer when kernel is set */
    size_t len;
};

enum iter_sync { ITER_DSYNC = 1, ITER_SYNC = 2 }; /* RWF_DSYNC, RWF_SYNC */

enum iter_kind { ITER_USER, ITER_KERNEL = 1, ITER_VECTOR = 2 }; /* bits */

struct iter {
    uintptr_t at; /* where the next byte is */
    size_t left;  /* bytes left in all */
    uint8_t kind; /* enum iter_kind; ITER_USER, one user buffer, is what nearly all have */
    bool append;  /* writing: at the end of the file, whatever the position (RWF_APPEND) */
    uint8_t sync; /* writing: enum iter_sync */
    bool nowait;  /* -EAGAIN rather than wait (RWF_NOWAIT); for files with file_ops.nowait */
    /* Of a vector only: */
    size_t here;                 /* bytes left where at is */
    const struct iter_seg *next; /* what comes after it */
    size_t more;                 /* how many of these */
};

/* One user buffer. The address is not looked at; copying does. */
static inline void iter_user(struct iter *it, uintptr_t base, size_t len)
{
    it->at = base;
    it->left = len;
    it->kind = ITER_USER;
    it->append = false;
    it->sync = 0;
    it->nowait = false;
}

/* One libOS buffer. */
static inline void iter_kernel(struct iter *it, void *base, size_t len)
{
    iter_user(it, (uintptr_t)base, len);
    it->kind = ITER_KERNEL;
}

/* segs stay the caller's; total is the sum of their lengths, at most SSIZE_MAX. */
static inline void iter_vector(struct iter *it, const struct iter_seg *segs, size_t n, size_t total)
{
    iter_user(it, 0, total);
    it->kind = ITER_VECTOR;
    it->here = 0;
    it->next = segs;
    it->more = n;
}

/* Copy up to n bytes from libOS memory to the iterator (put), or the other way (get), and advance. Bytes copied: less
 * than n at the end of the iterator or of readable memory. May fault and sleep: no spin lock held. */
size_t iter_put(struct iter *it, const void *src, size_t n);
size_t iter_get(struct iter *it, void *dst, size_t n);
/* How many of the next n bytes follow each other in memory from it->at on; steps over empty segments. 0: the end. */
size_t iter_span(struct iter *it, size_t n);

/* Go on by n bytes, at most what iter_span said. */
static inline void iter_advance(struct iter *it, size_t n)
{
    it->at += n;
    it->left -= n;
    if (it->kind & ITER_VECTOR)
        it->here -= n;
}

/* Write n zero bytes. iter_zero_slow: the same, for anything but one user buffer. */
size_t iter_zero_slow(struct iter *it, size_t n);

static ALWAYS_INLINE size_t iter_zero(struct iter *it, size_t n)
{
    if (UNLIKELY(it->kind != ITER_USER))
        return iter_zero_slow(it, n);
    if (n > it->left)
        n = it->left;
    if (UNLIKELY(plat_user_clear(it->at, n)))
        return 0;
    it->at += n;
    it->left -= n;
    return n;
}

#endif
