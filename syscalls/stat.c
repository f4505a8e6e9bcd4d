/* SPDX-License-Identifier: MIT */
/* stat, statx, statfs. */
#include "name.h"
#include "sys_proto.h"
#include "uring_op.h"

#include <abi/errno.h>
#include <abi/fcntl.h>
#include <abi/stat.h>
#include <abi/statfs.h>
#include <libos/file.h>
#include <libos/mount.h>
#include <libos/user.h>

static long put_stat(struct inode *inode, user_stat_out_t buf)
{
    struct abi_stat st;
    int err = inode_stat(inode, &st);
    return err ? err : user_put(buf, &st, 1);
}

static long stat_name(int dfd, user_str_t path, unsigned flags, user_stat_out_t buf)
{
    struct path p;
    long err = name_walk(dfd, path, flags, &p);
    if (err)
        return err;
    err = put_stat(p.dentry->inode, buf);
    path_put(&p);
    return err;
}

long sys_stat(user_str_t path, user_stat_out_t buf)
{
    return stat_name(AT_FDCWD, path, 0, buf);
}

long sys_lstat(user_str_t path, user_stat_out_t buf)
{
    return stat_name(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, buf);
}

long sys_newfstatat(int dfd, user_str_t path, user_stat_out_t buf, unsigned flags)
{
    char first;
    /* What fstat(3) calls: no walk. */
    if (flags & AT_EMPTY_PATH && dfd >= 0 && user_get(&first, path, 1) == 0 && first == '\0')
        return sys_fstat(dfd, buf);
    return stat_name(dfd, path, flags, buf);
}

long sys_fstat(int fd, user_stat_out_t buf)
{
    struct fd_ref ref;
    long err = fd_borrow_any(fd, &ref);
    if (err)
        return err;
    /* Of an overlay's file, as its name shows it. */
    err = put_stat(ref.file->real_inode ? ref.file->path.dentry->inode : ref.file->inode, buf);
    fd_return(&ref);
    return err;
}

static struct abi_statx_timestamp statx_time(const struct abi_timespec *t)
{
    return (struct abi_statx_timestamp){ .tv_sec = t->tv_sec, .tv_nsec = (uint32_t)t->tv_nsec };
}

int statx_fill(const struct path *p, unsigned mask, struct abi_statx *x)
{
    struct inode *inode = p->dentry->inode;
    struct abi_stat st;
    int err = inode_stat(inode, &st);
    if (err)
        return err;
    *x = (struct abi_statx){
        .stx_mask = STATX_BASIC_STATS | STATX_BTIME |
                    (mask & STATX_MNT_ID_UNIQUE ? STATX_MNT_ID_UNIQUE : STATX_MNT_ID),
        .stx_blksize = (uint32_t)st.st_blksize,
        .stx_attributes = p->dentry == p->mount->root ? STATX_ATTR_MOUNT_ROOT : 0,
        .stx_attributes_mask = STATX_ATTR_MOUNT_ROOT | STATX_ATTR_IMMUTABLE | STATX_ATTR_APPEND |
                               STATX_ATTR_NODUMP | STATX_ATTR_AUTOMOUNT | STATX_ATTR_DAX,
        .stx_nlink = (uint32_t)st.st_nlink,
        .stx_uid = st.st_uid,
        .stx_gid = st.st_gid,
        .stx_mode = (uint16_t)st.st_mode,
        .stx_ino = st.st_ino,
        .stx_size = (uint64_t)st.st_size,
        .stx_blocks = (uint64_t)st.st_blocks,
        .stx_atime = statx_time(&st.st_atim),
        .stx_btime = statx_time(&inode->btime),
        .stx_ctime = statx_time(&st.st_ctim),
        .stx_mtime = statx_time(&st.st_mtim),
        .stx_rdev_major = abi_major(st.st_rdev),
        .stx_rdev_minor = abi_minor(st.st_rdev),
        .stx_dev_major = abi_major(st.st_dev),
        .stx_dev_minor = abi_minor(st.st_dev),
        .stx_mnt_id =
            mask & STATX_MNT_ID_UNIQUE ? mount_unique_id(p->mount) : (uint64_t)p->mount->id,
    };
    return 0;
}

long sys_statx(int dfd, user_str_t path, unsigned flags, unsigned mask, user_statx_out_t buf)
{
    struct abi_statx x;
    struct path p;
    if (mask & STATX__RESERVED || (flags & (AT_STATX_FORCE_SYNC | AT_STATX_DONT_SYNC)) ==
                                      (AT_STATX_FORCE_SYNC | AT_STATX_DONT_SYNC))
        return -EINVAL;
    long err = name_walk(dfd, path, flags, &p);
    if (err)
        return err;
    err = statx_fill(&p, mask, &x); /* everything costs the same, asked for or not */
    path_put(&p);
    return err ? err : user_put(buf, &x, 1);
}

static long put_statfs(const struct path *p, user_statfs_out_t buf)
{
    struct superblock *sb = p->dentry->sb;
    struct abi_statfs st = {
        .f_type = sb->magic,
        .f_bsize = PAGE_SIZE,
        .f_frsize = PAGE_SIZE,
        .f_namelen = ABI_NAME_MAX,
        .f_fsid = { (int32_t)sb->dev, 0 },
        .f_flags = ABI_ST_VALID | (int64_t)(sb->flags | p->mount->flags),
    };
    if (sb->statfs)
        sb->statfs(sb, &st);
    return user_put(buf, &st, 1);
}

long sys_statfs(user_str_t path, user_statfs_out_t buf)
{
    struct path p;
    long err = name_walk(AT_FDCWD, path, 0, &p);
    if (err)
        return err;
    err = put_statfs(&p, buf);
    path_put(&p);
    return err;
}

long sys_fstatfs(int fd, user_statfs_out_t buf)
{
    struct fd_ref ref;
    long err = fd_borrow_any(fd, &ref);
    if (err)
        return err;
    err = put_statfs(&ref.file->path, buf);
    fd_return(&ref);
    return err;
}
