/* SPDX-License-Identifier: MIT */
/* A message header of the program and what it refers to, copied in: for sendmsg, recvmsg and io_uring's forms of them. */
#ifndef SYSCALLS_MESSAGE_H
#define SYSCALLS_MESSAGE_H

#include "vector.h"
#include <libos/socket.h>

enum { CONTROL_NEAR = 256 };

/* A message header and what it refers to, copied in. */
struct message {
    struct abi_msghdr h;
    struct vector v;
    struct abi_sockaddr_storage name;
    struct socket_msg m;
    uint8_t near[CONTROL_NEAR] ALIGNED(8), *control; /* sent */
};

/* Copy a header and its vector in. -EFAULT, -EINVAL, -EMSGSIZE, -ENOMEM; else ended by message_put. */
NODISCARD int message_get(struct message *g, user_msghdr_in_t msg, unsigned flags);
/* The parts that only sending has: address and ancillary data. The same, and -ENOBUFS. */
NODISCARD int message_get_more(struct message *g);
/* Where what is received besides data goes. */
void message_set_room(struct message *g);
/* Write the header back after n bytes were received. n, -EFAULT. */
NODISCARD long message_tell(struct message *g, user_msghdr_inout_t msg, unsigned flags, long n);
void message_put(struct message *g);

#endif
