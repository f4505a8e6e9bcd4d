/* SPDX-License-Identifier: MIT */
/* eventfd, signalfd and timerfd calls. */
#include "sys_proto.h"
#include <abi/errno.h>
#include <abi/fcntl.h>
#include <abi/poll.h>
#include <abi/signal.h>
#include <libos/event.h>
#include <libos/file.h>
#include <libos/user.h>

long sys_eventfd2(unsigned initval, unsigned flags)
{
    struct file *f;
    int err = eventfd_create(initval, flags, &f);
    return err ? err : fd_install(f, flags & EFD_CLOEXEC);
}

long sys_eventfd(unsigned initval)
{
    return sys_eventfd2(initval, 0);
}

long sys_signalfd4(int fd, user_sigset_in_t mask, size_t sigsetsize, unsigned flags)
{
    abi_sigset set;
    struct file *f;
    if (sigsetsize != sizeof(set))
        return -EINVAL;
    int err = user_get(&set, mask, 1);
    if (err)
        return err;
    if (flags & ~(unsigned)(SFD_CLOEXEC | SFD_NONBLOCK))
        return -EINVAL;
    if (fd == -1) {
        err = signalfd_create(set, flags, &f);
        return err ? err : fd_install(f, flags & SFD_CLOEXEC);
    }
    struct fd_ref ref;
    err = fd_borrow(fd, &ref);
    if (err)
        return err;
    err = signalfd_set(ref.file, set);
    fd_return(&ref);
    return err ? err : fd;
}

long sys_signalfd(int fd, user_sigset_in_t mask, size_t sigsetsize)
{
    return sys_signalfd4(fd, mask, sigsetsize, 0);
}

long sys_timerfd_create(int clockid, unsigned flags)
{
    struct file *f;
    int err = timerfd_create_file(clockid, flags, &f);
    return err ? err : fd_install(f, flags & TFD_CLOEXEC);
}

long sys_timerfd_settime(int fd, unsigned flags, user_itimerspec_in_t new,
                         user_itimerspec_out_t old)
{
    struct abi_itimerspec value, before;
    struct fd_ref ref;
    int err = user_get(&value, new, 1);
    if (err)
        return err;
    err = fd_borrow(fd, &ref);
    if (err)
        return err;
    err = timerfd_set(ref.file, flags, &value, &before);
    fd_return(&ref);
    if (!err && !user_is_null(old))
        err = user_put(old, &before, 1);
    return err;
}

long sys_timerfd_gettime(int fd, user_itimerspec_out_t cur)
{
    struct abi_itimerspec value;
    struct fd_ref ref;
    int err = fd_borrow(fd, &ref);
    if (err)
        return err;
    err = timerfd_get(ref.file, &value);
    fd_return(&ref);
    return err ? err : user_put(cur, &value, 1);
}
