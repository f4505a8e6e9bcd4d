/* SPDX-License-Identifier: MIT */
/* What a userfaultfd is told and tells (linux/userfaultfd.h). */
#ifndef ABI_USERFAULTFD_H
#define ABI_USERFAULTFD_H

#include <base/user_ptr.h>
#include <stdint.h>

#define UFFD_API            0xaau
#define UFFD_USER_MODE_ONLY 1

#define UFFDIO_API          0xc018aa3fu
#define UFFDIO_REGISTER     0xc020aa00u
#define UFFDIO_UNREGISTER   0x8010aa01u
#define UFFDIO_WAKE         0x8010aa02u
#define UFFDIO_COPY         0xc028aa03u
#define UFFDIO_ZEROPAGE     0xc020aa04u
#define UFFDIO_MOVE         0xc028aa05u
#define UFFDIO_WRITEPROTECT 0xc018aa06u
#define UFFDIO_CONTINUE     0xc020aa07u
#define UFFDIO_POISON       0xc020aa08u

#define UFFD_EVENT_PAGEFAULT 0x12
#define UFFD_EVENT_FORK      0x13
#define UFFD_EVENT_REMAP     0x14
#define UFFD_EVENT_REMOVE    0x15
#define UFFD_EVENT_UNMAP     0x16

#define UFFD_PAGEFAULT_FLAG_WRITE 1
#define UFFD_PAGEFAULT_FLAG_WP    2
#define UFFD_PAGEFAULT_FLAG_MINOR 4

#define UFFD_FEATURE_PAGEFAULT_FLAG_WP  0x1
#define UFFD_FEATURE_EVENT_FORK         0x2
#define UFFD_FEATURE_EVENT_REMAP        0x4
#define UFFD_FEATURE_EVENT_REMOVE       0x8
#define UFFD_FEATURE_MISSING_SHMEM      0x20
#define UFFD_FEATURE_EVENT_UNMAP        0x40
#define UFFD_FEATURE_SIGBUS             0x80
#define UFFD_FEATURE_THREAD_ID          0x100
#define UFFD_FEATURE_MINOR_SHMEM        0x400
#define UFFD_FEATURE_EXACT_ADDRESS      0x800
#define UFFD_FEATURE_WP_HUGETLBFS_SHMEM 0x1000
#define UFFD_FEATURE_WP_UNPOPULATED     0x2000
#define UFFD_FEATURE_POISON             0x4000
#define UFFD_FEATURE_MOVE               0x10000

#define UFFDIO_REGISTER_MODE_MISSING      1
#define UFFDIO_REGISTER_MODE_WP           2
#define UFFDIO_REGISTER_MODE_MINOR        4
#define UFFDIO_COPY_MODE_DONTWAKE         1
#define UFFDIO_COPY_MODE_WP               2
#define UFFDIO_ZEROPAGE_MODE_DONTWAKE     1
#define UFFDIO_WRITEPROTECT_MODE_WP       1
#define UFFDIO_WRITEPROTECT_MODE_DONTWAKE 2
#define UFFDIO_CONTINUE_MODE_DONTWAKE     1
#define UFFDIO_CONTINUE_MODE_WP           2
#define UFFDIO_MOVE_MODE_DONTWAKE         1
#define UFFDIO_MOVE_MODE_ALLOW_SRC_HOLES  2

/* Of faults as they are named; UFFD_EVENT_FORK: flags is the descriptor; UFFD_EVENT_REMAP: from, to, len; the other two: start, end. */
struct abi_uffd_msg {
    uint8_t event, reserved[7];
    uint64_t flags, address;
    union {
        struct {
            uint32_t ptid, reserved2;
        };
        uint64_t len;
    };
};

struct abi_uffdio_api {
    uint64_t api, features, ioctls;
};

struct abi_uffdio_range {
    uint64_t start, len;
};

struct abi_uffdio_register {
    uint64_t start, len, mode, ioctls;
};

/* UFFDIO_COPY, and UFFDIO_MOVE. */
struct abi_uffdio_copy {
    uint64_t dst, src, len, mode;
    int64_t copy;
};

struct abi_uffdio_writeprotect {
    uint64_t start, len, mode;
};

/* UFFDIO_ZEROPAGE and UFFDIO_CONTINUE. */
struct abi_uffdio_fill {
    uint64_t start, len, mode;
    int64_t done;
};

#endif
