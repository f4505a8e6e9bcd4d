/* SPDX-License-Identifier: MIT */
/* /proc. proc(5). */
#ifndef LIBOS_PROCFS_H
#define LIBOS_PROCFS_H

#include <base/compiler.h>

/* Mount /proc. -ENOMEM. */
NODISCARD int procfs_init(void);

#endif
