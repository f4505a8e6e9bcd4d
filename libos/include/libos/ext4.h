/* SPDX-License-Identifier: MIT */
/* The ext4 file system. */
#ifndef LIBOS_EXT4_H
#define LIBOS_EXT4_H

#include <base/compiler.h>
#include <base/types.h>

struct blk_device;
struct superblock;

/* Is type the name of a file system that ext4_mount reads? */
bool ext4_is(const char *type);

/* Read what is on dev as ext4 (ext2 and ext3 too), replaying its journal, for vfs_mount. The device is claimed until the
 * unmount. -EINVAL: not ext4, or features that are not known (a line names them); -EUCLEAN: its superblock is damaged; -EROFS:
 * it has to be recovered and cannot be written; -EBUSY: in use; -EIO, -ENOMEM. May sleep. */
NODISCARD int ext4_mount(struct blk_device *dev, bool read_only, struct superblock **ret_sb);

/* Is dev mounted? Then its file system, with a reference. No sleep. */
bool ext4_mounted(const struct blk_device *dev, struct superblock **ret_sb);

#endif
