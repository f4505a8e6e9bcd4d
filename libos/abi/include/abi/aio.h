/* SPDX-License-Identifier: MIT */
/* Linux asynchronous I/O: include/uapi/linux/aio_abi.h. */
#ifndef ABI_AIO_H
#define ABI_AIO_H

#include <base/types.h>

enum {
    IOCB_CMD_PREAD = 0,
    IOCB_CMD_PWRITE = 1,
    IOCB_CMD_FSYNC = 2,
    IOCB_CMD_FDSYNC = 3,
    IOCB_CMD_POLL = 5,
    IOCB_CMD_NOOP = 6,
    IOCB_CMD_PREADV = 7,
    IOCB_CMD_PWRITEV = 8,
    IOCB_FLAG_RESFD = 1,
    IOCB_FLAG_IOPRIO = 2
};

struct abi_io_event {
    uint64_t data, obj;
    int64_t res, res2;
};

struct abi_iocb {
    uint64_t aio_data;
    uint32_t aio_key, aio_rw_flags;
    uint16_t aio_lio_opcode;
    int16_t aio_reqprio;
    uint32_t aio_fildes;
    uint64_t aio_buf, aio_nbytes;
    int64_t aio_offset;
    uint64_t aio_reserved2;
    uint32_t aio_flags, aio_resfd;
};
_Static_assert(sizeof(struct abi_io_event) == 32 && sizeof(struct abi_iocb) == 64, "ABI");

#endif
