/* SPDX-License-Identifier: MIT */
/* In place of a root image on a disk in a libOS that is linked without disks. */
#include <libos/rootdisk.h>

#include <abi/errno.h>

int rootdisk_open(uint64_t size, const uint8_t root_hash[32], struct erofs_source *ret_source)
{
    return -ENODEV;
}
