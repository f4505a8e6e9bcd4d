/* SPDX-License-Identifier: MIT */
/* What the table needs of sockets (linux/socket.h). The rest comes with the network. */
#ifndef ABI_SOCKET_H
#define ABI_SOCKET_H

#include <abi/uio.h>
#include <base/user_ptr.h>
#include <stdint.h>

#define AF_UNSPEC      0
#define AF_UNIX        1
#define AF_INET        2
#define AF_INET6       10
#define AF_NETLINK     16
#define AF_PACKET      17
#define AF_VSOCK       40
#define SOCK_STREAM    1
#define SOCK_DGRAM     2
#define SOCK_RAW       3
#define SOCK_SEQPACKET 5
#define SOCK_CLOEXEC   02000000
#define SOCK_NONBLOCK  04000
#define SHUT_RD        0
#define SHUT_WR        1
#define SHUT_RDWR      2

struct abi_msghdr {
    user_u8_inout_t msg_name;
    int32_t msg_namelen;
    int32_t pad0;
    USER(const struct abi_iovec) msg_iov;
    uint64_t msg_iovlen;
    user_u8_inout_t msg_control;
    uint64_t msg_controllen;
    uint32_t msg_flags;
    uint32_t pad1;
};

struct abi_mmsghdr {
    struct abi_msghdr msg_hdr;
    uint32_t msg_len;
    uint32_t pad0;
};
USER_TYPES(msghdr, struct abi_msghdr);
USER_TYPES(mmsghdr, struct abi_mmsghdr);

#endif
