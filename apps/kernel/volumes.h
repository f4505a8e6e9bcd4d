/* SPDX-License-Identifier: MIT */
/* The data disks that the command line asks for. */
#ifndef KERNEL_VOLUMES_H
#define KERNEL_VOLUMES_H

#include <base/compiler.h>

/* Mount what mount= says, in its order; from a thread that may sleep. -EINVAL, -ENODEV, or what the file system says, with a
 * logged line that names the volume. */
NODISCARD int volumes_mount(void);

#endif
