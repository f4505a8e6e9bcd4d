/* SPDX-License-Identifier: MIT */
/* The memory side of a read or write: user buffers (one, or a vector already copied in and bounded) or libOS memory. */
#ifndef LIBOS_ITER_H
#define LIBOS_ITER_H

#include <base/compiler.h>
#include <base/types.h>

struct iter_seg {
    uintptr_t base; /* user address, or libOS pointer when kernel is set */
    size_t len;
};

enum iter_sync { ITER_DSYNC = 1, ITER_SYNC = 2 }; /* RWF_DSYNC, RWF_SYNC */

struct iter {
    const struct iter_seg *seg; /* the current one */
    size_t segs;                /* left, the current one included */
    size_t off;                 /* into the current one */
    size_t left;                /* bytes left in all */
    bool kernel;
    bool append;         /* writing: at the end of the file, whatever the position (RWF_APPEND) */
    uint8_t sync;        /* writing: enum iter_sync */
    bool nowait;         /* -EAGAIN rather than wait (RWF_NOWAIT); for files with file_ops.nowait */
    struct iter_seg one; /* storage for the common case */
};

/* One user buffer. The address is not looked at; copying does. */
static inline void iter_user(struct iter *it, uintptr_t base, size_t len)
{
    it->one.base = base;
    it->one.len = len;
    it->seg = &it->one;
    it->segs = 1;
    it->off = 0;
    it->left = len;
    it->kernel = false;
    it->append = false;
    it->sync = 0;
    it->nowait = false;
}

/* One libOS buffer. */
static inline void iter_kernel(struct iter *it, void *base, size_t len)
{
    iter_user(it, (uintptr_t)base, len);
    it->kernel = true;
}

/* segs stay the caller's; total is the sum of their lengths, at most SSIZE_MAX. */
static inline void iter_vector(struct iter *it, const struct iter_seg *segs, size_t n, size_t total)
{
    it->seg = segs;
    it->segs = n;
    it->off = 0;
    it->left = total;
    it->kernel = false;
    it->append = false;
    it->sync = 0;
    it->nowait = false;
}

/* Copy up to n bytes from libOS memory to the iterator (put), or the other way (get), and advance. Bytes copied: less
 * than n at the end of the iterator or of readable memory. May fault and sleep: no spin lock held. */
size_t iter_put(struct iter *it, const void *src, size_t n);
size_t iter_get(struct iter *it, void *dst, size_t n);
/* Write n zero bytes. */
size_t iter_zero(struct iter *it, size_t n);

#endif
