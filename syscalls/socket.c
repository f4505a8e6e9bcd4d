/* SPDX-License-Identifier: MIT */
/* The calls on sockets that move no data: making, naming, connecting, options. Addresses are copied in here, bounded by
 * the largest there is; what is in them the family checks. */
#include "sockaddr.h"
#include "sys_proto.h"
#include <abi/errno.h>
#include <abi/if_packet.h>
#include <abi/socket.h>
#include <libos/file.h>
#include <libos/socket.h>
#include <libos/user.h>
#include <string.h>

enum { OPTION_MAX = 1024 };

int socket_borrow(int fd, struct fd_ref *ref, struct socket **ret_socket)
{
    int err = fd_borrow(fd, ref);
    if (UNLIKELY(err))
        return err;
    *ret_socket = socket_of(ref->file);
    if (LIKELY(*ret_socket))
        return 0;
    fd_return(ref);
    return -ENOTSOCK;
}

int sockaddr_get(struct abi_sockaddr_storage *a, user_u8_in_t addr, int len)
{
    if (len < 0 || len > SOCKET_NAME_MAX)
        return -EINVAL;
    if ((size_t)len < sizeof(*a))
        memset((uint8_t *)a + len, 0, sizeof(*a) - (size_t)len);
    return len ? user_get((uint8_t *)a, addr, (size_t)len) : 0;
}

int sockaddr_put(const struct abi_sockaddr_storage *a, unsigned len, user_u8_out_t addr,
                 user_int_inout_t addrlen)
{
    int room, full = (int)len;
    int err = user_get(&room, user_cast(user_int_in_t, addrlen), 1);
    if (err)
        return err;
    if (room < 0)
        return -EINVAL;
    size_t n = (unsigned)room < len ? (unsigned)room : len;
    if (n && user_put(addr, (const uint8_t *)a, n))
        return -EFAULT;
    return user_put(addrlen, &full, 1);
}

long sys_socket(int family, int type, int protocol)
{
    struct file *f;
    if (type & ~(0xf | SOCK_CLOEXEC | SOCK_NONBLOCK))
        return -EINVAL;
    int err = socket_create(family, type & 0xf, protocol, type & SOCK_NONBLOCK, &f);
    return err ? err : fd_install(f, type & SOCK_CLOEXEC);
}

long sys_socketpair(int family, int type, int protocol, user_int_out_t fds)
{
    struct file *f[2];
    int fd[2];
    if (type & ~(0xf | SOCK_CLOEXEC | SOCK_NONBLOCK))
        return -EINVAL;
    int err = socket_create_pair(family, type & 0xf, protocol, type & SOCK_NONBLOCK, f);
    if (!err)
        err = fd_install_pair(f[0], f[1], type & SOCK_CLOEXEC, fd);
    if (!err && user_put(fds, fd, 2)) {
        fd_close(fd[0]);
        fd_close(fd[1]);
        err = -EFAULT;
    }
    return err;
}

long sys_bind(int fd, user_u8_in_t addr, int addrlen)
{
    struct abi_sockaddr_storage a;
    struct fd_ref ref;
    struct socket *s;
    int err = socket_borrow(fd, &ref, &s);
    if (err)
        return err;
    err = sockaddr_get(&a, addr, addrlen);
    if (!err)
        err = socket_bind(s, &a, (unsigned)addrlen);
    fd_return(&ref);
    return err;
}

long sys_connect(int fd, user_u8_in_t addr, int addrlen)
{
    struct abi_sockaddr_storage a;
    struct fd_ref ref;
    struct socket *s;
    int err = socket_borrow(fd, &ref, &s);
    if (err)
        return err;
    err = sockaddr_get(&a, addr, addrlen);
    if (!err)
        err = addrlen < (int)sizeof(uint16_t) ? -EINVAL
                                              : socket_connect(s, &a, (unsigned)addrlen, false);
    fd_return(&ref);
    return err;
}

long sys_listen(int fd, int backlog)
{
    struct fd_ref ref;
    struct socket *s;
    int err = socket_borrow(fd, &ref, &s);
    if (err)
        return err;
    err = socket_listen(s, backlog);
    fd_return(&ref);
    return err;
}

long sys_accept4(int fd, user_u8_out_t addr, user_int_inout_t addrlen, unsigned flags)
{
    struct abi_sockaddr_storage a;
    unsigned len = 0;
    struct fd_ref ref;
    struct socket *s;
    struct file *f;
    int err = socket_borrow(fd, &ref, &s);
    if (err)
        return err;
    bool named = !user_is_null(addr);
    err = socket_accept(s, flags & SOCK_NONBLOCK, false, &f, named ? &a : NULL, &len);
    fd_return(&ref);
    if (err)
        return err;
    if (named && (err = sockaddr_put(&a, len, addr, addrlen))) {
        file_put(f);
        return err;
    }
    return fd_install(f, flags & SOCK_CLOEXEC);
}

long sys_accept(int fd, user_u8_out_t addr, user_int_inout_t addrlen)
{
    return sys_accept4(fd, addr, addrlen, 0);
}

static long get_name(int fd, user_u8_out_t addr, user_int_inout_t addrlen, bool peer)
{
    struct abi_sockaddr_storage a;
    struct fd_ref ref;
    struct socket *s;
    int err = socket_borrow(fd, &ref, &s);
    if (err)
        return err;
    err = socket_name(s, peer, &a);
    fd_return(&ref);
    return err < 0 ? err : sockaddr_put(&a, (unsigned)err, addr, addrlen);
}

long sys_getsockname(int fd, user_u8_out_t addr, user_int_inout_t addrlen)
{
    return get_name(fd, addr, addrlen, false);
}

long sys_getpeername(int fd, user_u8_out_t addr, user_int_inout_t addrlen)
{
    return get_name(fd, addr, addrlen, true);
}

long sys_shutdown(int fd, int how)
{
    struct fd_ref ref;
    struct socket *s;
    int err = socket_borrow(fd, &ref, &s);
    if (err)
        return err;
    err = socket_shutdown(s, how);
    fd_return(&ref);
    return err;
}

long sys_setsockopt(int fd, int level, int name, user_u8_in_t value, int len)
{
    uint8_t buf[OPTION_MAX] ALIGNED(8);
    struct fd_ref ref;
    struct socket *s;
    if (len < 0)
        return -EINVAL;
    int err = socket_borrow(fd, &ref, &s);
    if (err)
        return err;
    /* A program may say more than it has: of most options only the first bytes count. */
    size_t want = len < OPTION_MAX ? (size_t)len : OPTION_MAX;
    size_t got = user_read_part(buf, value, want);
    err = want && got < want && got < sizeof(int)
              ? -EFAULT
              : socket_set_option(s, level, name, buf, (unsigned)got);
    fd_return(&ref);
    return err;
}

long sys_getsockopt(int fd, int level, int name, user_u8_out_t value, user_int_inout_t len)
{
    uint8_t buf[OPTION_MAX] ALIGNED(8);
    struct fd_ref ref;
    struct socket *s;
    int room;
    int err = socket_borrow(fd, &ref, &s);
    if (err)
        return err;
    err = user_get(&room, user_cast(user_int_in_t, len), 1);
    if (!err && room < 0)
        err = -EINVAL;
    unsigned n = room < OPTION_MAX ? (unsigned)room : OPTION_MAX;
    /* One option's answer depends on what the program has put there; nothing there is for the option to judge. */
    if (!err && level == SOL_PACKET && user_get(buf, user_cast(user_u8_in_t, value), n))
        n = 0;
    if (!err)
        err = socket_get_option(s, level, name, buf, &n);
    fd_return(&ref);
    if (err && err != -ERANGE)
        return err;
    int full = (int)n;
    if (!err && n && user_put(value, buf, n))
        return -EFAULT;
    if (user_put(len, &full, 1))
        return -EFAULT;
    return err;
}
