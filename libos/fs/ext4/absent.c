/* SPDX-License-Identifier: MIT */
/* In place of ext4 in a libOS that is linked without disks. */
#include <libos/ext4.h>

#include <abi/errno.h>

bool ext4_is(const char *type)
{
    return false; /* mount(2): ENODEV */
}

int ext4_mount(struct blk_device *dev, bool read_only, struct superblock **ret_sb)
{
    return -ENODEV;
}
