/* SPDX-License-Identifier: MIT */
/* Accounting: of processes, acct(2), and of disk space, quotactl(2), which no file system here keeps. */
#include "name.h"
#include "sys_proto.h"

#include <abi/errno.h>
#include <abi/fcntl.h>
#include <abi/prctl.h>
#include <abi/stat.h>
#include <libos/acct.h>
#include <libos/file.h>
#include <libos/process.h>
#include <libos/user.h>
#include <libos/vfs.h>

enum { QUOTA_TYPES = 3, Q_SYNC = 0x800001, CMD_SHIFT = 8 };

long sys_acct(user_str_t path)
{
    struct name n;
    struct file *f = NULL;
    if (!cred_capable(CAP_SYS_PACCT))
        return -EPERM;
    if (user_is_null(path))
        return acct_set(NULL);
    long err = name_get(&n, path);
    if (err)
        return err;
    err = path_open(AT_FDCWD, n.text, O_WRONLY | O_APPEND | O_LARGEFILE, 0, 0, &f);
    name_put(&n);
    return err ? err : acct_set(f);
}

/* Without any file system that has quotas. special: a block device. */
long sys_quotactl(unsigned cmd, user_str_t special, unsigned id, user_void_inout_t addr)
{
    struct path p;
    (void)id, (void)addr;
    if ((cmd & ((1u << CMD_SHIFT) - 1)) >= QUOTA_TYPES)
        return -EINVAL;
    if (user_is_null(special))
        return cmd >> CMD_SHIFT == Q_SYNC ? 0 : -ENODEV;
    long err = name_walk(AT_FDCWD, special, 0, &p);
    if (err)
        return err;
    bool block = S_ISBLK(p.dentry->inode->mode);
    path_put(&p);
    return block ? -ENOSYS : -ENOTBLK;
}

long sys_quotactl_fd(int fd, unsigned cmd, unsigned id, user_void_inout_t addr)
{
    struct fd_ref ref;
    (void)id, (void)addr;
    long err = fd_borrow_any(fd, &ref);
    if (err)
        return err;
    fd_return(&ref);
    return (cmd & ((1u << CMD_SHIFT) - 1)) >= QUOTA_TYPES ? -EINVAL : -ENOSYS;
}
