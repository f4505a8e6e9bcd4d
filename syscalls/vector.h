/* SPDX-License-Identifier: MIT */
/* A vector of user buffers (iovec), copied in once and bounded. */
#ifndef SYSCALLS_VECTOR_H
#define SYSCALLS_VECTOR_H

#include <abi/uio.h>
#include <base/compiler.h>
#include <libos/iter.h>

enum { IOV_FAST = 8 };
#define TRANSFER_MAX 0x7ffff000ul /* as Linux bounds one transfer */

struct vector {
    struct iter it;
    struct iter_seg *segs;
    union { /* the two have the same layout; what was copied in is converted in place */
        struct abi_iovec user;
        struct iter_seg seg;
    } fast[IOV_FAST], *all;
};

/* -EINVAL, -EFAULT, -ENOMEM. On success ended by vector_put. */
NODISCARD int vector_get(struct vector *v, user_iovec_in_t iov, unsigned long n);
void vector_put(struct vector *v);

#endif
