/* SPDX-License-Identifier: MIT */
/* The calls on sockets in a libOS that is linked without the network: there is no family, so no descriptor is a socket. */
#include "sys_proto.h"

#include <abi/errno.h>
#include <libos/file.h>

static long no_socket(int fd)
{
    struct fd_ref ref;
    int err = fd_borrow(fd, &ref);
    if (err)
        return err;
    fd_return(&ref);
    return -ENOTSOCK;
}

long sys_socket(int family, int type, int protocol)
{
    return -EAFNOSUPPORT;
}

long sys_socketpair(int family, int type, int protocol, user_int_out_t sv)
{
    return -EAFNOSUPPORT;
}

#define NO_SOCKET(name, ...)                                                                       \
    long sys_##name(int fd, __VA_ARGS__)                                                           \
    {                                                                                              \
        return no_socket(fd);                                                                      \
    }
#define ADDR_IN  user_u8_in_t addr, int addrlen
#define ADDR_OUT user_u8_out_t addr, user_int_inout_t addrlen

NO_SOCKET(connect, ADDR_IN)
NO_SOCKET(bind, ADDR_IN)
NO_SOCKET(listen, int backlog)
NO_SOCKET(accept, ADDR_OUT)
NO_SOCKET(accept4, ADDR_OUT, unsigned flags)
NO_SOCKET(getsockname, ADDR_OUT)
NO_SOCKET(getpeername, ADDR_OUT)
NO_SOCKET(shutdown, int how)
NO_SOCKET(sendto, user_u8_in_t buf, size_t len, unsigned flags, ADDR_IN)
NO_SOCKET(recvfrom, user_u8_out_t buf, size_t len, unsigned flags, ADDR_OUT)
NO_SOCKET(sendmsg, user_msghdr_in_t msg, unsigned flags)
NO_SOCKET(recvmsg, user_msghdr_inout_t msg, unsigned flags)
NO_SOCKET(sendmmsg, user_mmsghdr_inout_t vec, unsigned vlen, unsigned flags)
NO_SOCKET(recvmmsg, user_mmsghdr_inout_t vec, unsigned vlen, unsigned flags,
          user_timespec_inout_t timeout)
NO_SOCKET(setsockopt, int level, int name, user_u8_in_t value, int len)
NO_SOCKET(getsockopt, int level, int name, user_u8_out_t value, user_int_inout_t len)
