/* SPDX-License-Identifier: MIT */
/* io_uring's operations on sockets in a libOS that is linked without the network: no descriptor is a socket. */
#include "uring_op.h"

#include <abi/errno.h>

int uring_prep_send(struct uring_req *r)
{
    return 0;
}

long uring_op_send(struct uring_req *r, unsigned flags)
{
    return -ENOTSOCK;
}

int uring_prep_recv(struct uring_req *r)
{
    return 0;
}

long uring_op_recv(struct uring_req *r, unsigned flags)
{
    return -ENOTSOCK;
}

int uring_prep_msg(struct uring_req *r)
{
    return 0;
}

void uring_free_msg(struct uring_req *r)
{
}

long uring_op_sendmsg(struct uring_req *r, unsigned flags)
{
    return -ENOTSOCK;
}

long uring_op_send_zc(struct uring_req *r, unsigned flags)
{
    return -ENOTSOCK;
}

long uring_op_sendmsg_zc(struct uring_req *r, unsigned flags)
{
    return -ENOTSOCK;
}

long uring_op_recvmsg(struct uring_req *r, unsigned flags)
{
    return -ENOTSOCK;
}

int uring_prep_accept(struct uring_req *r)
{
    return 0;
}

long uring_op_accept(struct uring_req *r, unsigned flags)
{
    return -ENOTSOCK;
}

int uring_prep_connect(struct uring_req *r)
{
    return 0;
}

long uring_op_connect(struct uring_req *r, unsigned flags)
{
    return -ENOTSOCK;
}

int uring_prep_shutdown(struct uring_req *r)
{
    return 0;
}

long uring_op_shutdown(struct uring_req *r, unsigned flags)
{
    return -ENOTSOCK;
}

int uring_prep_socket(struct uring_req *r)
{
    return 0;
}

long uring_op_socket(struct uring_req *r, unsigned flags)
{
    return -EAFNOSUPPORT;
}
