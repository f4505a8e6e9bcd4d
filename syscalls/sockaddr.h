/* SPDX-License-Identifier: MIT */
/* Sockets by descriptor, and their addresses between the program and libOS. */
#ifndef SYSCALLS_SOCKADDR_H
#define SYSCALLS_SOCKADDR_H

#include <abi/socket.h>
#include <base/compiler.h>
#include <libos/file.h>

struct socket;

/* fd_borrow of a socket: -EBADF, -ENOTSOCK. Ended by fd_return. */
NODISCARD int socket_borrow(int fd, struct fd_ref *ref, struct socket **ret_socket);
/* Copy an address in; what is past len is 0. -EINVAL, -EFAULT. */
NODISCARD int sockaddr_get(struct abi_sockaddr_storage *a, user_u8_in_t addr, int len);
/* Copy an address out, as much as *addrlen says, and its full length. -EINVAL, -EFAULT. */
NODISCARD int sockaddr_put(const struct abi_sockaddr_storage *a, unsigned len, user_u8_out_t addr,
                           user_int_inout_t addrlen);

#endif
