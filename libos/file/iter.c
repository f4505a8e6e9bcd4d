/* SPDX-License-Identifier: MIT */
/* Copies between libOS memory and the buffers of a read or write. */
#include <libos/iter.h>

#include <libos/lock.h>
#include <plat/user.h>
#include <string.h>

/* Bytes that can be copied to or from the current segment at once; steps over empty ones. 0: the end. */
static size_t chunk(struct iter *it, size_t n)
{
    while (it->left && it->off == it->seg->len) {
        it->seg++;
        it->segs--;
        it->off = 0;
    }
    if (n > it->left)
        n = it->left;
    size_t in_segment = it->left ? it->seg->len - it->off : 0;
    return n < in_segment ? n : in_segment;
}

enum direction { PUT, GET, ZERO };

static inline size_t copy_one(struct iter *it, enum direction dir, void *p, size_t n)
{
    uintptr_t at = it->seg->base + it->off;
    if (it->kernel) {
        if (dir == PUT)
            memcpy((void *)at, p, n);
        else if (dir == GET)
            memcpy(p, (void *)at, n);
        else
            memset((void *)at, 0, n);
        return n;
    }
    if (dir == PUT)
        return plat_user_write_part(at, p, n);
    if (dir == GET)
        return plat_user_read_part(p, at, n);
    return plat_user_clear(at, n) ? 0 : n;
}

static NOINLINE size_t copy_pieces(struct iter *it, enum direction dir, char *p, size_t n)
{
    size_t done = 0, part, copied;
    lock_check_none();
    do {
        part = chunk(it, n - done);
        if (!part)
            break;
        copied = copy_one(it, dir, p ? p + done : NULL, part);
        it->off += copied;
        it->left -= copied;
        done += copied;
    } while (copied == part && done < n);
    return done;
}

/* The common case: one user buffer that has room for all of it. Else from the start, in pieces. */
static ALWAYS_INLINE size_t copy(struct iter *it, enum direction dir, char *p, size_t n)
{
    if (UNLIKELY(it->kernel || it->segs != 1 || n > it->left || !n))
        return copy_pieces(it, dir, p, n);
    lock_check_none();
    size_t copied = copy_one(it, dir, p, n);
    it->off += copied;
    it->left -= copied;
    return copied;
}

size_t iter_put(struct iter *it, const void *src, size_t n)
{
    lock_check_none();
    if (LIKELY(it->seg == &it->one && !it->kernel)) {
        n = plat_user_write_part(it->one.base + it->off, src, n < it->left ? n : it->left);
        it->off += n;
        it->left -= n;
        return n;
    }
    return copy(it, PUT, (char *)(uintptr_t)src, n);
}

size_t iter_get(struct iter *it, void *dst, size_t n)
{
    lock_check_none();
    if (LIKELY(it->seg == &it->one && !it->kernel)) {
        n = plat_user_read_part(dst, it->one.base + it->off, n < it->left ? n : it->left);
        it->off += n;
        it->left -= n;
        return n;
    }
    return copy(it, GET, dst, n);
}

size_t iter_zero(struct iter *it, size_t n)
{
    lock_check_none();
    if (LIKELY(it->seg == &it->one && !it->kernel)) {
        if (n > it->left)
            n = it->left;
        if (UNLIKELY(plat_user_clear(it->one.base + it->off, n)))
            return 0;
        it->off += n;
        it->left -= n;
        return n;
    }
    return copy(it, ZERO, NULL, n);
}
