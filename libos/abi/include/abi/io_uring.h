/* SPDX-License-Identifier: MIT */
/* io_uring: include/uapi/linux/io_uring.h. What several operations use under different names has one name here. */
#ifndef ABI_IO_URING_H
#define ABI_IO_URING_H

#include <base/types.h>

enum {
    IORING_OP_NOP = 0,
    IORING_OP_READV = 1,
    IORING_OP_WRITEV = 2,
    IORING_OP_FSYNC = 3,
    IORING_OP_READ_FIXED = 4,
    IORING_OP_WRITE_FIXED = 5,
    IORING_OP_POLL_ADD = 6,
    IORING_OP_POLL_REMOVE = 7,
    IORING_OP_SYNC_FILE_RANGE = 8,
    IORING_OP_SENDMSG = 9,
    IORING_OP_RECVMSG = 10,
    IORING_OP_TIMEOUT = 11,
    IORING_OP_TIMEOUT_REMOVE = 12,
    IORING_OP_ACCEPT = 13,
    IORING_OP_ASYNC_CANCEL = 14,
    IORING_OP_LINK_TIMEOUT = 15,
    IORING_OP_CONNECT = 16,
    IORING_OP_FALLOCATE = 17,
    IORING_OP_OPENAT = 18,
    IORING_OP_CLOSE = 19,
    IORING_OP_FILES_UPDATE = 20,
    IORING_OP_STATX = 21,
    IORING_OP_READ = 22,
    IORING_OP_WRITE = 23,
    IORING_OP_FADVISE = 24,
    IORING_OP_MADVISE = 25,
    IORING_OP_SEND = 26,
    IORING_OP_RECV = 27,
    IORING_OP_OPENAT2 = 28,
    IORING_OP_EPOLL_CTL = 29,
    IORING_OP_SPLICE = 30,
    IORING_OP_PROVIDE_BUFFERS = 31,
    IORING_OP_REMOVE_BUFFERS = 32,
    IORING_OP_TEE = 33,
    IORING_OP_SHUTDOWN = 34,
    IORING_OP_RENAMEAT = 35,
    IORING_OP_UNLINKAT = 36,
    IORING_OP_MKDIRAT = 37,
    IORING_OP_SYMLINKAT = 38,
    IORING_OP_LINKAT = 39,
    IORING_OP_MSG_RING = 40,
    IORING_OP_FSETXATTR = 41,
    IORING_OP_SETXATTR = 42,
    IORING_OP_FGETXATTR = 43,
    IORING_OP_GETXATTR = 44,
    IORING_OP_SOCKET = 45,
    IORING_OP_URING_CMD = 46,
    IORING_OP_SEND_ZC = 47,
    IORING_OP_SENDMSG_ZC = 48,
};

enum {
    IORING_REGISTER_BUFFERS = 0,
    IORING_UNREGISTER_BUFFERS = 1,
    IORING_REGISTER_FILES = 2,
    IORING_UNREGISTER_FILES = 3,
    IORING_REGISTER_EVENTFD = 4,
    IORING_UNREGISTER_EVENTFD = 5,
    IORING_REGISTER_FILES_UPDATE = 6,
    IORING_REGISTER_EVENTFD_ASYNC = 7,
    IORING_REGISTER_PROBE = 8,
    IORING_REGISTER_PERSONALITY = 9,
    IORING_UNREGISTER_PERSONALITY = 10,
    IORING_REGISTER_RESTRICTIONS = 11,
    IORING_REGISTER_ENABLE_RINGS = 12,
    IORING_REGISTER_FILES2 = 13,
    IORING_REGISTER_FILES_UPDATE2 = 14,
    IORING_REGISTER_BUFFERS2 = 15,
    IORING_REGISTER_BUFFERS_UPDATE = 16,
    IORING_REGISTER_IOWQ_AFF = 17,
    IORING_UNREGISTER_IOWQ_AFF = 18,
    IORING_REGISTER_IOWQ_MAX_WORKERS = 19,
    IORING_REGISTER_RING_FDS = 20,
    IORING_UNREGISTER_RING_FDS = 21,
    IORING_REGISTER_PBUF_RING = 22,
    IORING_UNREGISTER_PBUF_RING = 23,
    IORING_REGISTER_SYNC_CANCEL = 24,
    IORING_REGISTER_FILE_ALLOC_RANGE = 25,
    IORING_REGISTER_FILES_SKIP = -2
};

/* Bits, by the word that they are in. */
enum {
    IOSQE_FIXED_FILE = 1 << 0,
    IOSQE_IO_DRAIN = 1 << 1,
    IOSQE_IO_LINK = 1 << 2,
    IOSQE_IO_HARDLINK = 1 << 3,
    IOSQE_ASYNC = 1 << 4,
    IOSQE_BUFFER_SELECT = 1 << 5,
    IOSQE_CQE_SKIP_SUCCESS = 1 << 6,

    IORING_SETUP_IOPOLL = 1 << 0,
    IORING_SETUP_SQPOLL = 1 << 1,
    IORING_SETUP_SQ_AFF = 1 << 2,
    IORING_SETUP_CQSIZE = 1 << 3,
    IORING_SETUP_CLAMP = 1 << 4,
    IORING_SETUP_ATTACH_WQ = 1 << 5,
    IORING_SETUP_R_DISABLED = 1 << 6,
    IORING_SETUP_SUBMIT_ALL = 1 << 7,
    IORING_SETUP_COOP_TASKRUN = 1 << 8,
    IORING_SETUP_TASKRUN_FLAG = 1 << 9,
    IORING_SETUP_SQE128 = 1 << 10,
    IORING_SETUP_CQE32 = 1 << 11,
    IORING_SETUP_SINGLE_ISSUER = 1 << 12,
    IORING_SETUP_DEFER_TASKRUN = 1 << 13,

    IORING_FSYNC_DATASYNC = 1 << 0,

    IORING_TIMEOUT_ABS = 1 << 0,
    IORING_TIMEOUT_UPDATE = 1 << 1,
    IORING_TIMEOUT_BOOTTIME = 1 << 2,
    IORING_TIMEOUT_REALTIME = 1 << 3,
    IORING_LINK_TIMEOUT_UPDATE = 1 << 4,
    IORING_TIMEOUT_ETIME_SUCCESS = 1 << 5,

    IORING_POLL_ADD_MULTI = 1 << 0,
    IORING_POLL_UPDATE_EVENTS = 1 << 1,
    IORING_POLL_UPDATE_USER_DATA = 1 << 2,
    IORING_POLL_ADD_LEVEL = 1 << 3,

    IORING_ASYNC_CANCEL_ALL = 1 << 0,
    IORING_ASYNC_CANCEL_FD = 1 << 1,
    IORING_ASYNC_CANCEL_ANY = 1 << 2,
    IORING_ASYNC_CANCEL_FD_FIXED = 1 << 3,
    IORING_ASYNC_CANCEL_USERDATA = 1 << 4,
    IORING_ASYNC_CANCEL_OP = 1 << 5,

    IORING_RECVSEND_POLL_FIRST = 1 << 0,
    IORING_RECV_MULTISHOT = 1 << 1,
    IORING_RECVSEND_FIXED_BUF = 1 << 2,
    IORING_SEND_ZC_REPORT_USAGE = 1 << 3,

    IORING_ACCEPT_MULTISHOT = 1 << 0,

    IORING_MSG_RING_CQE_SKIP = 1 << 0,

    IORING_CQE_F_BUFFER = 1 << 0,
    IORING_CQE_F_MORE = 1 << 1,
    IORING_CQE_F_SOCK_NONEMPTY = 1 << 2,
    IORING_CQE_F_NOTIF = 1 << 3,
    ABI_NOTIF_USAGE_ZC_COPIED = INT32_MIN, /* as the completion has it */

    IORING_SQ_NEED_WAKEUP = 1 << 0,
    IORING_SQ_CQ_OVERFLOW = 1 << 1,
    IORING_SQ_TASKRUN = 1 << 2,

    IORING_CQ_EVENTFD_DISABLED = 1 << 0,

    IORING_ENTER_GETEVENTS = 1 << 0,
    IORING_ENTER_SQ_WAKEUP = 1 << 1,
    IORING_ENTER_SQ_WAIT = 1 << 2,
    IORING_ENTER_EXT_ARG = 1 << 3,
    IORING_ENTER_REGISTERED_RING = 1 << 4,

    IORING_FEAT_SINGLE_MMAP = 1 << 0,
    IORING_FEAT_NODROP = 1 << 1,
    IORING_FEAT_SUBMIT_STABLE = 1 << 2,
    IORING_FEAT_RW_CUR_POS = 1 << 3,
    IORING_FEAT_CUR_PERSONALITY = 1 << 4,
    IORING_FEAT_FAST_POLL = 1 << 5,
    IORING_FEAT_POLL_32BITS = 1 << 6,
    IORING_FEAT_SQPOLL_NONFIXED = 1 << 7,
    IORING_FEAT_EXT_ARG = 1 << 8,
    IORING_FEAT_NATIVE_WORKERS = 1 << 9,
    IORING_FEAT_RSRC_TAGS = 1 << 10,
    IORING_FEAT_CQE_SKIP = 1 << 11,
    IORING_FEAT_LINKED_FILE = 1 << 12,

    IORING_RSRC_REGISTER_SPARSE = 1 << 0,

    IO_URING_OP_SUPPORTED = 1 << 0
};

enum {
    IORING_SETUP_NO_MMAP = 1 << 14,
    IORING_SETUP_REGISTERED_FD_ONLY = 1 << 15,
    IORING_SETUP_NO_SQARRAY = 1 << 16,
    IORING_FEAT_REG_REG_RING = 1 << 13,
    IORING_REGISTER_USE_REGISTERED_RING = INT32_MIN, /* bit 31 of the opcode */
    IORING_TIMEOUT_MULTISHOT = 1 << 6,
    IOU_PBUF_RING_MMAP = 1
};

enum { IORING_CQE_BUFFER_SHIFT = 16 };
enum { IORING_MSG_DATA = 0, IORING_MSG_SEND_FD = 1 };
enum {
    IORING_RESTRICTION_REGISTER_OP = 0,
    IORING_RESTRICTION_SQE_OP = 1,
    IORING_RESTRICTION_SQE_FLAGS_ALLOWED = 2,
    IORING_RESTRICTION_SQE_FLAGS_REQUIRED = 3
};

#define IORING_FILE_INDEX_ALLOC (~0u)
#define IORING_OFF_SQ_RING      0ull
#define IORING_OFF_CQ_RING      0x8000000ull
#define IORING_OFF_SQES         0x10000000ull
#define IORING_OFF_PBUF_RING    0x80000000ull
#define IORING_OFF_MMAP_MASK    0xf8000000ull
#define SPLICE_F_FD_IN_FIXED    (1u << 31)

struct abi_io_uring_sqe {
    uint8_t opcode, flags;
    uint16_t ioprio;
    int32_t fd;
    uint64_t off;  /* or addr2 */
    uint64_t addr; /* or splice_off_in */
    uint32_t len;
    uint32_t rw_flags; /* and every other kind of flags */
    uint64_t user_data;
    uint16_t buf_index; /* or buf_group */
    uint16_t personality;
    uint32_t file_index; /* or splice_fd_in, addr_len */
    uint64_t addr3;
    uint64_t pad;
};

struct abi_io_uring_cqe {
    uint64_t user_data;
    int32_t res;
    uint32_t flags;
};

struct abi_io_sqring_offsets {
    uint32_t head, tail, ring_mask, ring_entries, flags, dropped, array, resv1;
    uint64_t user_addr;
};

struct abi_io_cqring_offsets {
    uint32_t head, tail, ring_mask, ring_entries, overflow, cqes, flags, resv1;
    uint64_t user_addr;
};

struct abi_io_uring_params {
    uint32_t sq_entries, cq_entries, flags, sq_thread_cpu, sq_thread_idle, features, wq_fd;
    uint32_t resv[3];
    struct abi_io_sqring_offsets sq_off;
    struct abi_io_cqring_offsets cq_off;
};

struct abi_io_uring_files_update { /* and io_uring_rsrc_update */
    uint32_t offset, resv;
    uint64_t data;
};

struct abi_io_uring_rsrc_register {
    uint32_t nr, flags;
    uint64_t resv2, data, tags;
};

struct abi_io_uring_rsrc_update2 {
    uint32_t offset, resv;
    uint64_t data, tags;
    uint32_t nr, resv2;
};

struct abi_io_uring_probe_op {
    uint8_t op, resv;
    uint16_t flags;
    uint32_t resv2;
};

struct abi_io_uring_probe {
    uint8_t last_op, ops_len;
    uint16_t resv;
    uint32_t resv2[3];
};

struct abi_io_uring_restriction {
    uint16_t opcode;
    uint8_t register_op, resv;
    uint32_t resv2[3];
};

struct abi_io_uring_buf {
    uint64_t addr;
    uint32_t len;
    uint16_t bid, resv; /* resv of the first one: the tail */
};

struct abi_io_uring_buf_reg {
    uint64_t ring_addr;
    uint32_t ring_entries;
    uint16_t bgid, flags;
    uint64_t resv[3];
};

struct abi_io_uring_getevents_arg {
    uint64_t sigmask;
    uint32_t sigmask_sz, pad;
    uint64_t ts;
};

struct abi_io_uring_sync_cancel_reg {
    uint64_t addr;
    int32_t fd;
    uint32_t flags;
    int64_t timeout[2];
    uint64_t pad[4];
};

struct abi_io_uring_file_index_range {
    uint32_t off, len;
    uint64_t resv;
};

struct abi_io_uring_recvmsg_out {
    uint32_t namelen, controllen, payloadlen, flags;
};
_Static_assert(sizeof(struct abi_io_uring_sqe) == 64 && sizeof(struct abi_io_uring_cqe) == 16 &&
                   sizeof(struct abi_io_uring_params) == 120,
               "ABI");

#endif
