/* SPDX-License-Identifier: MIT */
/* Scattered buffers (linux/uio.h) and per-call flags (linux/fs.h). */
#ifndef ABI_UIO_H
#define ABI_UIO_H

#include <base/user_ptr.h>
#include <stdint.h>

#define UIO_MAXIOV 1024
#define RWF_HIPRI  0x1
#define RWF_DSYNC  0x2
#define RWF_SYNC   0x4
#define RWF_NOWAIT 0x8
#define RWF_APPEND 0x10

struct abi_iovec {
    user_u8_inout_t iov_base;
    uint64_t iov_len;
};
USER_TYPES(iovec, struct abi_iovec);

#endif
