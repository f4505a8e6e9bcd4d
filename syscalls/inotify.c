/* SPDX-License-Identifier: MIT */
/* inotify. */
#include "name.h"
#include "sys_proto.h"

#include <abi/errno.h>
#include <abi/inotify.h>
#include <libos/file.h>
#include <libos/inotify.h>

long sys_inotify_init1(unsigned flags)
{
    struct file *f;
    int err = inotify_create(flags, &f);
    return err ? err : fd_install(f, flags & IN_CLOEXEC);
}

long sys_inotify_init(void)
{
    return sys_inotify_init1(0);
}

static long add_watch(struct file *f, user_str_t path, unsigned mask)
{
    struct path p;
    if (!(mask & IN_ALL_EVENTS) || (mask & IN_MASK_ADD && mask & IN_MASK_CREATE))
        return -EINVAL;
    long wd = name_walk(AT_FDCWD, path, mask & IN_DONT_FOLLOW ? AT_SYMLINK_NOFOLLOW : 0, &p);
    if (wd)
        return wd;
    if (mask & IN_ONLYDIR && !S_ISDIR(p.dentry->inode->mode))
        wd = -ENOTDIR;
    else
        wd = inode_permission(p.dentry->inode, MAY_READ);
    if (!wd)
        wd = inotify_add(f, &p, mask);
    path_put(&p);
    return wd;
}

long sys_inotify_add_watch(int fd, user_str_t path, unsigned mask)
{
    struct fd_ref ref;
    long err = fd_borrow(fd, &ref);
    if (err)
        return err;
    err = add_watch(ref.file, path, mask);
    fd_return(&ref);
    return err;
}

long sys_inotify_rm_watch(int fd, int wd)
{
    struct fd_ref ref;
    long err = fd_borrow(fd, &ref);
    if (err)
        return err;
    err = inotify_remove(ref.file, wd);
    fd_return(&ref);
    return err;
}
