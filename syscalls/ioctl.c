/* SPDX-License-Identifier: MIT */
/* ioctl: what every descriptor understands; the rest is the file's. */
#include "sys_proto.h"
#include <abi/errno.h>
#include <abi/fcntl.h>
#include <abi/stat.h>
#include <abi/termios.h>
#include <libos/file.h>
#include <libos/user.h>
#include <libos/vfs.h>

/* FIONBIO, FIOASYNC: set or clear one flag of the open file. */
static long set_flag(struct file *f, int fd, unsigned flag, unsigned long arg)
{
    int on;
    int err = user_get(&on, user_at(user_int_in_t, arg), 1);
    if (err)
        return err;
    return file_set_flags(f, fd, flag, on ? flag : 0);
}

static long regular_ioctl(struct file *f, unsigned cmd, unsigned long arg)
{
    if (!f->inode || !S_ISREG(f->inode->mode) || cmd != FIONREAD)
        return -ENOTTY;
    int left = (int)(f->inode->size - f->pos);
    return user_put(user_at(user_int_out_t, arg), &left, 1);
}

static long file_ioctl(struct file *f, int fd, unsigned cmd, unsigned long arg)
{
    switch (cmd) {
    case FIOCLEX:
        return fd_set_cloexec(fd, true);
    case FIONCLEX:
        return fd_set_cloexec(fd, false);
    case FIONBIO:
        return set_flag(f, fd, O_NONBLOCK, arg);
    case FIOASYNC:
        return set_flag(f, fd, O_ASYNC, arg);
    case FIOQSIZE: {
        if (!f->inode ||
            !(S_ISREG(f->inode->mode) || S_ISDIR(f->inode->mode) || S_ISLNK(f->inode->mode)))
            return -ENOTTY;
        long size = (long)f->inode->size;
        return user_put(user_at(user_long_out_t, arg), &size, 1);
    }
    default:
        return f->ops->ioctl ? f->ops->ioctl(f, cmd, arg) : regular_ioctl(f, cmd, arg);
    }
}

long sys_ioctl(int fd, unsigned cmd, unsigned long arg)
{
    struct fd_ref ref;
    int err = fd_borrow(fd, &ref);
    if (err)
        return err;
    long result = file_ioctl(ref.file, fd, cmd, arg);
    fd_return(&ref);
    return result;
}
