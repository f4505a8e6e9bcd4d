/* SPDX-License-Identifier: MIT */
/* AF_VSOCK, as Linux defines it. */
#ifndef ABI_VSOCK_H
#define ABI_VSOCK_H

#include <base/types.h>

#define SO_VM_SOCKETS_BUFFER_SIZE         0
#define SO_VM_SOCKETS_BUFFER_MIN_SIZE     1
#define SO_VM_SOCKETS_BUFFER_MAX_SIZE     2
#define SO_VM_SOCKETS_CONNECT_TIMEOUT_OLD 6
#define SO_VM_SOCKETS_CONNECT_TIMEOUT_NEW 8

#define VMADDR_CID_ANY      0xffffffffu
#define VMADDR_CID_LOCAL    1u
#define VMADDR_CID_HOST     2u
#define VMADDR_PORT_ANY     0xffffffffu
#define VMADDR_FLAG_TO_HOST 1

#define IOCTL_VM_SOCKETS_GET_LOCAL_CID 0x7b9

struct abi_sockaddr_vm {
    uint16_t svm_family;
    uint16_t svm_reserved1;
    uint32_t svm_port;
    uint32_t svm_cid;
    uint8_t svm_flags;
    uint8_t svm_zero[3];
};

#endif
