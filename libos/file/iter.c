/* SPDX-License-Identifier: MIT */
/* Copies between libOS memory and the buffers of a read or write. */
#include <libos/iter.h>

#include <libos/lock.h>
#include <plat/user.h>
#include <string.h>

size_t iter_span(struct iter *it, size_t n)
{
    if (n > it->left)
        n = it->left;
    if (!(it->kind & ITER_VECTOR))
        return n;
    while (n && !it->here && it->more) {
        it->at = it->next->base;
        it->here = it->next->len;
        it->next++;
        it->more--;
    }
    return n < it->here ? n : it->here;
}

enum direction { PUT, GET, ZERO };

static inline size_t copy_one(struct iter *it, enum direction dir, void *p, size_t n)
{
    uintptr_t at = it->at;
    if (it->kind & ITER_KERNEL) {
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
        part = iter_span(it, n - done);
        if (!part)
            break;
        copied = copy_one(it, dir, p ? p + done : NULL, part);
        iter_advance(it, copied);
        done += copied;
    } while (copied == part && done < n);
    return done;
}

size_t iter_put(struct iter *it, const void *src, size_t n)
{
    if (UNLIKELY(it->kind != ITER_USER))
        return copy_pieces(it, PUT, (char *)(uintptr_t)src, n);
    lock_check_none();
    n = plat_user_write_part(it->at, src, n < it->left ? n : it->left);
    it->at += n;
    it->left -= n;
    return n;
}

size_t iter_get(struct iter *it, void *dst, size_t n)
{
    if (UNLIKELY(it->kind != ITER_USER))
        return copy_pieces(it, GET, dst, n);
    lock_check_none();
    n = plat_user_read_part(dst, it->at, n < it->left ? n : it->left);
    it->at += n;
    it->left -= n;
    return n;
}

size_t iter_zero_slow(struct iter *it, size_t n)
{
    return copy_pieces(it, ZERO, NULL, n);
}
