/* SPDX-License-Identifier: MIT */
/* What of /sys programs read: CPUs, memory nodes, huge pages. sysfs(5). */
#ifndef LIBOS_SYSFS_H
#define LIBOS_SYSFS_H

#include <base/compiler.h>

/* Mount it at /sys. -ENOMEM. */
NODISCARD int sysfs_init(void);

#endif
