/* SPDX-License-Identifier: MIT */
/* /proc. proc(5). */
#ifndef LIBOS_PROCFS_H
#define LIBOS_PROCFS_H

#include <base/compiler.h>

struct file;
struct process;

/* Mount /proc. -ENOMEM. */
NODISCARD int procfs_init(void);
/* The process whose directory /proc/PID the open file f is, with a reference. -EBADF: it is none; -ESRCH: it is gone. */
NODISCARD int procfs_process(struct file *f, struct process **ret_p);

#endif
