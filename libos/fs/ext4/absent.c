/* SPDX-License-Identifier: MIT */
/* In place of ext4 in a libOS that is linked without disks. */
#include <libos/ext4.h>

#include <abi/errno.h>
#include <libos/fstype.h>

bool ext4_is(const char *type)
{
    return false;
}

/* mount(2): ENODEV */
const struct fs_type ext4_type, ext3_type, ext2_type;

int ext4_mount(struct blk_device *dev, bool read_only, struct superblock **ret_sb)
{
    return -ENODEV;
}
