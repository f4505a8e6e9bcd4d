/* SPDX-License-Identifier: MIT */
/* ext4 as mount(2) sees it: the device, and options. */
#include "ext4.h"

#include <abi/errno.h>
#include <abi/fcntl.h>
#include <abi/stat.h>
#include <abi/statfs.h>
#include <libos/dev/blk.h>
#include <libos/ext4.h>
#include <libos/fstype.h>
#include <libos/mount.h>
#include <string.h>

/* What source names: a block device's node, or a device by name. -ENOENT, -ENOTBLK. */
static int find_device(const char *source, struct blk_device **ret)
{
    struct path p;
    int err = path_walk(AT_FDCWD, source, WALK_FOLLOW, &p);
    if (!err) {
        struct inode *inode = p.dentry->inode;
        err = S_ISBLK(inode->mode) ? 0 : -ENOTBLK;
        *ret = err ? NULL : blk_of_rdev(inode->rdev);
        if (!err && !*ret)
            err = -ENXIO;
        if (!err && p.mount->flags & ST_NODEV)
            err = -EACCES;
        path_put(&p);
        if (err != -ENOTBLK)
            return err;
    }
    if ((*ret = blk_find(source)))
        return 0;
    return err;
}

static int get(struct fs_setup *s, struct superblock **ret_sb)
{
    struct blk_device *dev;
    bool read_only = s->flags & ST_RDONLY;
    int err = s->source ? find_device(s->source, &dev) : -EINVAL;
    if (err)
        return err;
    if (ext4_mounted(dev, ret_sb)) {
        if (!s->exclusive && !((*ret_sb)->flags & ST_RDONLY) == !read_only)
            return 0;
        superblock_put(*ret_sb);
        return -EBUSY;
    }
    return ext4_mount(dev, read_only, ret_sb);
}

/* Options that say what this implementation does, or leaves it free. */
static int option(struct fs_setup *s, const char *key, const char *value)
{
    static const char *const plain[] = { "barrier", "delalloc",   "user_xattr", "nodiscard",
                                         "nogrpid", "sysvgroups", "noquota",    "noinit_itable" };
    (void)s;
    for (size_t i = 0; i < ARRAY_SIZE(plain) && !value; i++)
        if (strcmp(key, plain[i]) == 0)
            return 0;
    if (!value)
        return -EINVAL;
    if (strcmp(key, "errors") == 0)
        return strcmp(value, "remount-ro") == 0 || strcmp(value, "continue") == 0 ? 0 : -EINVAL;
    if (strcmp(key, "data") == 0)
        return strcmp(value, "ordered") == 0 ? 0 : -EINVAL;
    if (strcmp(key, "barrier") == 0)
        return strcmp(value, "1") == 0 ? 0 : -EINVAL;
    return -EINVAL;
}

const struct fs_type ext4_type = { .name = "ext4", .device = true, .option = option, .get = get };
const struct fs_type ext3_type = { .name = "ext3", .device = true, .option = option, .get = get };
const struct fs_type ext2_type = { .name = "ext2", .device = true, .option = option, .get = get };
