/* SPDX-License-Identifier: MIT */
/* Vectors of user buffers. */
#include "vector.h"
#include <abi/errno.h>
#include <libos/heap.h>
#include <libos/user.h>

int vector_get(struct vector *v, user_iovec_in_t iov, unsigned long n)
{
    _Static_assert(sizeof(v->fast[0]) == sizeof(struct abi_iovec), "iovec and segment");
    size_t total = 0;
    v->all = v->fast;
    if (n > UIO_MAXIOV)
        return -EINVAL;
    if (n > IOV_FAST && !(v->all = heap_calloc(n, sizeof(v->fast[0]))))
        return -ENOMEM;
    int err = user_get(&v->all[0].user, iov, n);
    for (unsigned long i = 0; i < n && !err; i++) {
        struct iter_seg s = { v->all[i].user.iov_base.addr, v->all[i].user.iov_len };
        if ((ssize_type)s.len < 0)
            err = -EINVAL;
        if (s.len > TRANSFER_MAX - total)
            s.len = TRANSFER_MAX - total;
        total += s.len;
        v->all[i].seg = s;
    }
    if (err && v->all != v->fast)
        heap_free(v->all);
    iter_vector(&v->it, &v->all[0].seg, n, total);
    return err;
}

void vector_put(struct vector *v)
{
    if (v->all != v->fast)
        heap_free(v->all);
}
