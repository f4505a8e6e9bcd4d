/* SPDX-License-Identifier: MIT */
/* Sockets in general and AF_UNIX (linux/socket.h, asm-generic/socket.h, linux/un.h, linux/sockios.h). */
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
#define AF_MAX         46
#define SOCK_STREAM    1
#define SOCK_DGRAM     2
#define SOCK_RAW       3
#define SOCK_RDM       4
#define SOCK_SEQPACKET 5
#define SOCK_PACKET    10
#define SOCK_CLOEXEC   02000000
#define SOCK_NONBLOCK  04000
#define SHUT_RD        0
#define SHUT_WR        1
#define SHUT_RDWR      2
#define SOMAXCONN      4096

#define MSG_OOB          0x1
#define MSG_PEEK         0x2
#define MSG_DONTROUTE    0x4
#define MSG_CTRUNC       0x8
#define MSG_TRUNC        0x20
#define MSG_DONTWAIT     0x40
#define MSG_EOR          0x80
#define MSG_WAITALL      0x100
#define MSG_CONFIRM      0x800
#define MSG_ERRQUEUE     0x2000
#define MSG_NOSIGNAL     0x4000
#define MSG_MORE         0x8000
#define MSG_WAITFORONE   0x10000
#define MSG_ZEROCOPY     0x4000000
#define MSG_FASTOPEN     0x20000000
#define MSG_CMSG_CLOEXEC 0x40000000

#define SOL_SOCKET          1
#define SO_DEBUG            1
#define SO_REUSEADDR        2
#define SO_TYPE             3
#define SO_ERROR            4
#define SO_DONTROUTE        5
#define SO_BROADCAST        6
#define SO_SNDBUF           7
#define SO_RCVBUF           8
#define SO_KEEPALIVE        9
#define SO_OOBINLINE        10
#define SO_NO_CHECK         11
#define SO_PRIORITY         12
#define SO_LINGER           13
#define SO_BSDCOMPAT        14
#define SO_REUSEPORT        15
#define SO_PASSCRED         16
#define SO_PEERCRED         17
#define SO_RCVLOWAT         18
#define SO_SNDLOWAT         19
#define SO_RCVTIMEO         20
#define SO_SNDTIMEO         21
#define SO_BINDTODEVICE     25
#define SO_PEERNAME         28
#define SO_BPF_EXTENSIONS   48
#define SO_INCOMING_NAPI_ID 56
#define SO_COOKIE           57
#define SO_ATTACH_FILTER    26
#define SO_DETACH_FILTER    27
#define SO_TIMESTAMP        29
#define SO_ACCEPTCONN       30
#define SO_PEERSEC          31
#define SO_SNDBUFFORCE      32
#define SO_RCVBUFFORCE      33
#define SO_PASSSEC          34
#define SO_TIMESTAMPNS      35
#define SO_MARK             36
#define SO_TIMESTAMPING     37
#define SO_PROTOCOL         38
#define SO_DOMAIN           39
#define SO_RXQ_OVFL         40
#define SO_PEEK_OFF         42
#define SO_LOCK_FILTER      44
#define SO_BUSY_POLL        46
#define SO_INCOMING_CPU     49
#define SO_MEMINFO          55
#define SO_PEERGROUPS       59
#define SO_ZEROCOPY         60
#define SO_BINDTOIFINDEX    62

#define SCM_RIGHTS      1
#define SCM_CREDENTIALS 2

#define SIOCOUTQ   0x5411
#define FIOSETOWN  0x8901
#define SIOCSPGRP  0x8902
#define FIOGETOWN  0x8903
#define SIOCGPGRP  0x8904
#define SIOCATMARK 0x8905

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

struct abi_cmsghdr {
    uint64_t cmsg_len; /* with this header */
    int32_t cmsg_level;
    int32_t cmsg_type;
};

struct abi_ucred {
    int32_t pid;
    uint32_t uid;
    uint32_t gid;
};

struct abi_linger {
    int32_t l_onoff;
    int32_t l_linger;
};

struct abi_sockaddr_un {
    uint16_t sun_family;
    char sun_path[108];
};

/* Room for an address of any family. */
struct abi_sockaddr_storage {
    uint16_t ss_family;
    uint8_t data[126];
} __attribute__((aligned(8)));

#endif
