/* SPDX-License-Identifier: MIT */
/* mount and umount2: a tmpfs more or less, and file systems on block devices. */
#include "name.h"
#include "sys_proto.h"

#include <abi/errno.h>
#include <abi/prctl.h>
#include <abi/statfs.h>
#include <libos/dev/blk.h>
#include <libos/ext4.h>
#include <libos/heap.h>
#include <libos/process.h>
#include <libos/user.h>
#include <string.h>

enum {
    MS_REMOUNT = 32,
    MS_BIND = 4096,
    MS_MOVE = 8192,
    MS_PROPAGATION = 1 << 17 | 1 << 18 | 1 << 19 | 1 << 20, /* unbindable, private, slave, shared */
    MS_SILENT_ALL = 1 << 15 | 1 << 14 | 1 << 21 | 1 << 24,  /* silent, rec, relatime, strictatime */
    MS_KEPT =
        ST_RDONLY | ST_NOSUID | ST_NODEV | ST_NOEXEC | ST_SYNCHRONOUS | ST_NOATIME | ST_NODIRATIME,
    UMOUNT_FORCE = 1,
    UMOUNT_DETACH = 2,
    UMOUNT_EXPIRE = 4,
    UMOUNT_NOFOLLOW = 8,
};

/* The options at data, if there are any. */
static int tmpfs_options(user_void_in_t data, struct tmpfs_options *ret)
{
    tmpfs_options_init(ret);
    if (user_is_null(data))
        return 0;
    char *text = path_buf_alloc();
    if (!text)
        return -ENOMEM;
    long len = user_str(text, ABI_PATH_MAX, user_cast(user_str_t, data));
    int err = len < 0 ? (int)len : tmpfs_parse(text, ret);
    path_buf_free(text);
    return err == -ENAMETOOLONG ? -EINVAL : err;
}

static long mount_tmpfs(const struct path *at, user_str_t source, unsigned long flags,
                        user_void_in_t data)
{
    struct superblock *sb;
    struct tmpfs_options o;
    int err = tmpfs_options(data, &o);
    if (!err && !S_ISDIR(at->dentry->inode->mode))
        err = -ENOTDIR;
    if (!err)
        err = tmpfs_create("tmpfs", o.mode, &sb);
    if (err)
        return err;
    tmpfs_configure(sb, &o);
    char *name = path_buf_alloc();
    char *keep = name && !user_is_null(source) && user_str(name, ABI_PATH_MAX, source) >= 0
                     ? heap_strdup(name)
                     : NULL;
    path_buf_free(name);
    return mount_attach(sb, at, keep ? keep : "none", (unsigned)flags & MS_KEPT) ? 0 : -ENOMEM;
}

static long remount(struct path *p, unsigned long flags, user_void_in_t data)
{
    struct tmpfs_options o;
    int err = 0;
    if (p->dentry != p->mount->root)
        return -EINVAL;
    if (p->mount->sb->magic == TMPFS_MAGIC) {
        err = tmpfs_options(data, &o);
        if (!err)
            err = tmpfs_remount(p->mount->sb, &o);
    }
    if (!err)
        p->mount->flags = (unsigned)flags & MS_KEPT;
    return err;
}

/* A file system on a block device: source names it. */
static long mount_device(const struct path *at, user_str_t source, unsigned long flags)
{
    struct superblock *sb;
    struct blk_device *dev;
    char *name = path_buf_alloc();
    if (!name)
        return -ENOMEM;
    long err = user_is_null(source) ? -EINVAL : user_str(name, ABI_PATH_MAX, source);
    if (err >= 0)
        err = (dev = blk_find(name)) ? 0 : -ENOENT;
    if (!err && !S_ISDIR(at->dentry->inode->mode))
        err = -ENOTDIR;
    if (!err)
        err = ext4_mount(dev, flags & ST_RDONLY, &sb);
    char *keep = err ? NULL : heap_strdup(name);
    if (!err && !mount_attach(sb, at, keep ? keep : dev->name, (unsigned)flags & MS_KEPT)) {
        sb->ops->unmount(sb);
        err = -ENOMEM;
    }
    path_buf_free(name);
    return err;
}

long sys_mount(user_str_t source, user_str_t target, user_str_t type, unsigned long flags,
               user_void_in_t data)
{
    char name[32] = "";
    struct path p;
    if (!user_is_null(type) && user_str(name, sizeof(name), type) == -EFAULT)
        return -EFAULT;
    long err = name_walk(AT_FDCWD, target, 0, &p);
    if (err)
        return err;
    if (!cred_capable(CAP_SYS_ADMIN))
        err = -EPERM;
    else if (flags & MS_PROPAGATION)
        err = 0; /* one name space: nothing propagates anywhere */
    else if (flags & (MS_BIND | MS_MOVE))
        err = -EPERM;
    else if (flags & MS_REMOUNT)
        err = remount(&p, flags, data);
    else if (user_is_null(type))
        err = -EINVAL;
    else if (strcmp(name, "tmpfs") == 0 || strcmp(name, "ramfs") == 0)
        err = mount_tmpfs(&p, source, flags, data);
    else if (ext4_is(name))
        err = mount_device(&p, source, flags);
    else
        err = -ENODEV;
    path_put(&p);
    return err;
}

long sys_umount2(user_str_t target, unsigned flags)
{
    struct path p;
    if (flags & ~(unsigned)(UMOUNT_FORCE | UMOUNT_DETACH | UMOUNT_EXPIRE | UMOUNT_NOFOLLOW))
        return -EINVAL;
    long err = name_walk(AT_FDCWD, target, flags & UMOUNT_NOFOLLOW ? AT_SYMLINK_NOFOLLOW : 0, &p);
    if (err)
        return err;
    if (!cred_capable(CAP_SYS_ADMIN))
        err = -EPERM;
    else if (flags & UMOUNT_EXPIRE)
        err = flags & (UMOUNT_FORCE | UMOUNT_DETACH) ? -EINVAL : -EAGAIN;
    else
        return vfs_unmount(&p, flags & UMOUNT_DETACH);
    path_put(&p);
    return err;
}
