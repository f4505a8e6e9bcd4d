/* SPDX-License-Identifier: MIT */
/* The root image on a disk: an EROFS image, and behind it its dm-verity hash tree. Which disk it is needs no name: it is the one
 * with the measured root hash. Only what is used is read, and memory that runs short takes it back. */
#ifndef LIBOS_ROOTDISK_H
#define LIBOS_ROOTDISK_H

#include <base/compiler.h>
#include <libos/erofs.h>

/* Find the disk or partition whose first size bytes (of whole blocks) lead to root_hash, and claim it. NULL: nothing is checked,
 * and it is the first one that has an EROFS image of that size. Once, by the boot, from a thread that may sleep. -ENODEV: there is
 * none; -ENOMEM; -EBUSY. A line tells what was wrong. */
NODISCARD int rootdisk_open(uint64_t size, const uint8_t root_hash[32],
                            struct erofs_source *ret_source);

#endif
