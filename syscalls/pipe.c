/* SPDX-License-Identifier: MIT */
/* pipe and pipe2. */
#include "sys_proto.h"
#include <abi/errno.h>
#include <abi/fcntl.h>
#include <libos/file.h>
#include <libos/pipe.h>
#include <libos/user.h>

long sys_pipe2(user_int_out_t fds, unsigned flags)
{
    struct file *ends[2];
    int numbers[2];
    if (flags & O_NOTIFICATION_PIPE)
        return -ENOPKG; /* as Linux without CONFIG_WATCH_QUEUE */
    int err = pipe_create(flags, ends);
    if (err)
        return err;
    err = fd_install_pair(ends[0], ends[1], flags & O_CLOEXEC, numbers);
    if (err)
        return err;
    err = user_put(fds, numbers, 2);
    if (err) {
        (void)fd_close(numbers[0]); /* another thread may have closed them already: its business */
        (void)fd_close(numbers[1]);
    }
    return err;
}

long sys_pipe(user_int_out_t fds)
{
    return sys_pipe2(fds, 0);
}
