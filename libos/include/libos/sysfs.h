/* SPDX-License-Identifier: MIT */
/* /sys: what programs ask about CPUs, memory nodes and large pages. sysfs(5). */
#ifndef LIBOS_SYSFS_H
#define LIBOS_SYSFS_H

#include <base/compiler.h>

/* Mount /sys. -ENOMEM. */
NODISCARD int sysfs_init(void);

#endif
