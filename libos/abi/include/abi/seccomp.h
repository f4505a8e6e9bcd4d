/* SPDX-License-Identifier: MIT */
/* System call filters (linux/seccomp.h, linux/filter.h). */
#ifndef ABI_SECCOMP_H
#define ABI_SECCOMP_H

#include <base/user_ptr.h>
#include <stdint.h>

#define SECCOMP_MODE_DISABLED 0
#define SECCOMP_MODE_STRICT   1
#define SECCOMP_MODE_FILTER   2

#define SECCOMP_SET_MODE_STRICT  0
#define SECCOMP_SET_MODE_FILTER  1
#define SECCOMP_GET_ACTION_AVAIL 2
#define SECCOMP_GET_NOTIF_SIZES  3

#define SECCOMP_FILTER_FLAG_TSYNC              1
#define SECCOMP_FILTER_FLAG_LOG                2
#define SECCOMP_FILTER_FLAG_SPEC_ALLOW         4
#define SECCOMP_FILTER_FLAG_NEW_LISTENER       8
#define SECCOMP_FILTER_FLAG_TSYNC_ESRCH        16
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV 32
#define ABI_SECCOMP_FLAGS                      63

#define SECCOMP_RET_KILL_PROCESS 0x80000000u
#define SECCOMP_RET_KILL_THREAD  0x00000000u
#define SECCOMP_RET_TRAP         0x00030000u
#define SECCOMP_RET_ERRNO        0x00050000u
#define SECCOMP_RET_USER_NOTIF   0x7fc00000u
#define SECCOMP_RET_TRACE        0x7ff00000u
#define SECCOMP_RET_LOG          0x7ffc0000u
#define SECCOMP_RET_ALLOW        0x7fff0000u
#define SECCOMP_RET_ACTION_FULL  0xffff0000u
#define SECCOMP_RET_DATA         0x0000ffffu

#define SECCOMP_USER_NOTIF_FLAG_CONTINUE 1
#define SECCOMP_ADDFD_FLAG_SETFD         1
#define SECCOMP_ADDFD_FLAG_SEND          2

#define SECCOMP_IOCTL_NOTIF_RECV       0xc0502100u
#define SECCOMP_IOCTL_NOTIF_SEND       0xc0182101u
#define SECCOMP_IOCTL_NOTIF_ID_VALID   0x40082102u
#define ABI_SECCOMP_NOTIF_ID_VALID_OLD 0x80082102u /* as older headers had it */
#define SECCOMP_IOCTL_NOTIF_ADDFD      0x40182103u
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS  0x40082104u

#define SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP 1u

struct abi_seccomp_data {
    int32_t nr;
    uint32_t arch;
    uint64_t instruction_pointer, args[6];
};

struct abi_seccomp_notif {
    uint64_t id;
    uint32_t pid, flags;
    struct abi_seccomp_data data;
};

struct abi_seccomp_notif_resp {
    uint64_t id;
    int64_t val;
    int32_t error;
    uint32_t flags;
};

struct abi_seccomp_notif_addfd {
    uint64_t id;
    uint32_t flags, srcfd, newfd, newfd_flags;
};

struct abi_seccomp_notif_sizes {
    uint16_t notif, response, data;
};

/* One instruction of a classic BPF program, and a program. */
struct abi_sock_filter {
    uint16_t code;
    uint8_t jt, jf;
    uint32_t k;
};
USER_TYPES(sock_filter, struct abi_sock_filter);

struct abi_sock_fprog {
    uint16_t len;
    uint16_t pad[3];
    user_sock_filter_in_t filter;
};
USER_TYPES(sock_fprog, struct abi_sock_fprog);
USER_TYPES(seccomp_notif, struct abi_seccomp_notif);
USER_TYPES(seccomp_notif_resp, struct abi_seccomp_notif_resp);
USER_TYPES(seccomp_notif_addfd, struct abi_seccomp_notif_addfd);
USER_TYPES(seccomp_notif_sizes, struct abi_seccomp_notif_sizes);

#define BPF_MAXINSNS 4096
#define BPF_MEMWORDS 16

#define BPF_LD   0x00
#define BPF_LDX  0x01
#define BPF_ST   0x02
#define BPF_STX  0x03
#define BPF_ALU  0x04
#define BPF_JMP  0x05
#define BPF_RET  0x06
#define BPF_MISC 0x07
#define BPF_W    0x00
#define BPF_H    0x08
#define BPF_B    0x10
#define BPF_IMM  0x00
#define BPF_ABS  0x20
#define BPF_IND  0x40
#define BPF_MEM  0x60
#define BPF_LEN  0x80
#define BPF_MSH  0xa0
#define BPF_K    0x00
#define BPF_X    0x08
#define BPF_A    0x10
#define BPF_ADD  0x00
#define BPF_SUB  0x10
#define BPF_MUL  0x20
#define BPF_DIV  0x30
#define BPF_OR   0x40
#define BPF_AND  0x50
#define BPF_LSH  0x60
#define BPF_RSH  0x70
#define BPF_NEG  0x80
#define BPF_MOD  0x90
#define BPF_XOR  0xa0
#define BPF_JA   0x00
#define BPF_JEQ  0x10
#define BPF_JGT  0x20
#define BPF_JGE  0x30
#define BPF_JSET 0x40
#define BPF_TAX  0x00
#define BPF_TXA  0x80

#endif
