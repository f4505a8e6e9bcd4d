/* SPDX-License-Identifier: MIT */
/* The process file system. proc(5). */
#ifndef LIBOS_PROCFS_H
#define LIBOS_PROCFS_H

#include <base/compiler.h>

/* Mount it at /proc. -ENOMEM. */
NODISCARD int procfs_init(void);

#endif
