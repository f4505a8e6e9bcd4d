/* SPDX-License-Identifier: MIT */
/* /sys: what programs ask about CPUs, memory nodes and large pages. sysfs(5). */
#ifndef LIBOS_SYSFS_H
#define LIBOS_SYSFS_H

#include <base/compiler.h>

struct superblock;

/* Mount /sys. -ENOMEM. */
NODISCARD int sysfs_init(void);
/* Mount /sys/kernel/security, if the firmware's log was found. After the devices. -ENOMEM. */
NODISCARD int securityfs_init(void);
/* The file system of /sys. */
struct superblock *sysfs_super(void);

#endif
