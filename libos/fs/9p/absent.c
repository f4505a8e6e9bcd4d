/* SPDX-License-Identifier: MIT */
/* In place of 9P in a libOS that is linked without disks. */
#include <libos/p9.h>

#include <abi/errno.h>
#include <libos/fstype.h>

/* mount(2): ENODEV */
const struct fs_type p9_type;

int p9_mount(const char *tag, bool read_only, struct superblock **ret_sb)
{
    return -ENODEV;
}
