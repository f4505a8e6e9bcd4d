/* SPDX-License-Identifier: MIT */
/* Descriptors: close, dup, fcntl. */
#include "sys_proto.h"

#include <abi/errno.h>
#include <abi/fcntl.h>
#include <libos/file.h>
#include <libos/flock.h>
#include <libos/inotify.h>
#include <libos/owner.h>
#include <libos/pipe.h>
#include <libos/process.h>
#include <libos/user.h>

/* What F_SETFL may change. */
enum { SETFL_FLAGS = O_APPEND | O_NONBLOCK | O_ASYNC | O_DIRECT | O_NOATIME };

long sys_close(int fd)
{
    return fd_close(fd);
}

long sys_close_range(unsigned first, unsigned last, unsigned flags)
{
    return fd_close_range(first, last, flags);
}

long sys_dup(int fd)
{
    struct file *f;
    long err = fd_get_any(fd, &f);
    return err ? err : fd_install(f, false);
}

long sys_dup3(int oldfd, unsigned newfd, unsigned flags)
{
    struct file *f;
    if ((unsigned)oldfd == newfd)
        return -EINVAL;
    long err = fd_get_any(oldfd, &f);
    return err ? err : fd_replace((int)newfd, f, flags & O_CLOEXEC);
}

long sys_dup2(int oldfd, unsigned newfd)
{
    struct fd_ref ref;
    if ((unsigned)oldfd != newfd)
        return sys_dup3(oldfd, newfd, 0);
    long err = fd_borrow_any(oldfd, &ref);
    if (err)
        return err;
    fd_return(&ref);
    return oldfd;
}

static long set_flags(struct file *f, int fd, unsigned flags)
{
    if (flags & O_NOATIME && !(f->flags & O_NOATIME) && !file_owned(f))
        return -EPERM;
    if (flags & O_DIRECT && !S_ISREG(f->inode->mode) && !S_ISFIFO(f->inode->mode))
        return -EINVAL;
    return file_set_flags(f, fd, SETFL_FLAGS, flags);
}

static long set_lock(struct file *f, int fd, int cmd, unsigned long arg)
{
    struct abi_flock l;
    int err = user_get(&l, user_at(user_flock_in_t, arg), 1);
    return err ? err : posix_lock_set(f, fd, cmd, &l);
}

static long get_lock(struct file *f, int cmd, unsigned long arg)
{
    struct abi_flock l;
    int err = user_get(&l, user_at(user_flock_in_t, arg), 1);
    if (!err)
        err = posix_lock_get(f, cmd, &l);
    return err ? err : user_put(user_at(user_flock_out_t, arg), &l, 1);
}

/* Who gets SIGIO: a process, or a process group as its negative number. */
static long set_owner(struct file *f, int who)
{
    if (who == INT32_MIN)
        return -EINVAL;
    return who < 0 ? file_set_owner(f, F_OWNER_PGRP, -who) : file_set_owner(f, F_OWNER_PID, who);
}

static long get_owner(struct file *f)
{
    int type, pid;
    file_get_owner(f, &type, &pid);
    return type == F_OWNER_PGRP ? -pid : pid;
}

static long set_owner_ex(struct file *f, unsigned long arg)
{
    struct abi_f_owner_ex o;
    if (user_get(&o, user_at(user_f_owner_ex_in_t, arg), 1))
        return -EFAULT;
    if (o.type < F_OWNER_TID || o.type > F_OWNER_PGRP)
        return -EINVAL;
    return file_set_owner(f, o.type, o.pid);
}

static long get_owner_ex(struct file *f, unsigned long arg)
{
    struct abi_f_owner_ex o;
    file_get_owner(f, &o.type, &o.pid);
    return user_put(user_at(user_f_owner_ex_out_t, arg), &o, 1);
}

/* memfd and tmpfs seals. */
static long add_seals(struct file *f, unsigned long seals)
{
    if (!f->can_write)
        return -EPERM;
    if (!S_ISREG(f->inode->mode))
        return -EINVAL;
    return inode_add_seals(f->inode, (uint32_t)seals);
}

static long dup_from(struct file *f, unsigned long min, bool cloexec)
{
    if (min > INT32_MAX)
        return -EINVAL;
    file_get(f);
    return fd_install_from(f, (int)min, cloexec);
}

static long hint(struct file *f, int cmd, unsigned long arg)
{
    uint64_t value;
    if (cmd == F_GET_RW_HINT) {
        value = f->inode->write_hint;
        return user_put(user_at(user_u64_out_t, arg), &value, 1);
    }
    int err = user_get(&value, user_at(user_u64_in_t, arg), 1);
    if (err)
        return err;
    if (value > 5)
        return -EINVAL;
    f->inode->write_hint = (uint8_t)value;
    return 0;
}

static long control(struct file *f, int fd, int cmd, unsigned long arg)
{
    switch (cmd) {
    case F_SETFL:
        return set_flags(f, fd, (unsigned)arg);
    case F_GETLK:
    case F_OFD_GETLK:
        return get_lock(f, cmd, arg);
    case F_SETLK:
    case F_SETLKW:
    case F_OFD_SETLK:
    case F_OFD_SETLKW:
        return set_lock(f, fd, cmd, arg);
    case F_SETOWN:
        return set_owner(f, (int)arg);
    case F_GETOWN:
        return get_owner(f);
    case F_SETOWN_EX:
        return set_owner_ex(f, arg);
    case F_GETOWN_EX:
        return get_owner_ex(f, arg);
    case F_SETSIG:
        return file_set_signal(f, arg);
    case F_GETSIG:
        return file_get_signal(f);
    case F_SETLEASE:
        return lease_set(f, fd, (long)(int)arg);
    case F_GETLEASE:
        return lease_get(f);
    case F_SETPIPE_SZ:
        return pipe_set_size(f, arg);
    case F_GETPIPE_SZ:
        return pipe_size(f);
    case F_ADD_SEALS:
        return add_seals(f, arg);
    case F_GET_SEALS:
        return S_ISREG(f->inode->mode) && f->ops->fallocate ? (long)f->inode->seals : -EINVAL;
    case F_GET_RW_HINT:
    case F_SET_RW_HINT:
        return hint(f, cmd, arg);
    case F_NOTIFY:
        return dnotify_set(f, fd, (uint32_t)arg);
    default:
        return -EINVAL;
    }
}

long sys_fcntl(int fd, int cmd, unsigned long arg)
{
    struct fd_ref ref;
    long result = fd_borrow_any(fd, &ref);
    if (result)
        return result;
    switch (cmd) { /* what an O_PATH descriptor can do too */
    case F_DUPFD:
        result = dup_from(ref.file, arg, false);
        break;
    case F_DUPFD_CLOEXEC:
        result = dup_from(ref.file, arg, true);
        break;
    case F_GETFD:
        result = fd_get_cloexec(fd) == 1 ? FD_CLOEXEC : 0;
        break;
    case F_SETFD:
        result = fd_set_cloexec(fd, arg & FD_CLOEXEC);
        break;
    case F_GETFL:
        result = ref.file->flags;
        break;
    default:
        result = ref.file->flags & O_PATH ? -EBADF : control(ref.file, fd, cmd, arg);
    }
    fd_return(&ref);
    return result;
}
