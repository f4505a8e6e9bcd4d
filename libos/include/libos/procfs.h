/* SPDX-License-Identifier: MIT */
/* /proc. proc(5). */
#ifndef LIBOS_PROCFS_H
#define LIBOS_PROCFS_H

#include <base/compiler.h>
#include <base/types.h>

struct file;
struct process;
struct superblock;

/* Mount /proc. -ENOMEM. */
NODISCARD int procfs_init(void);
/* Is f open on /proc/PID/ns/mnt? */
bool proc_is_ns(const struct file *f);
/* The file system of /proc. */
struct superblock *procfs_super(void);
/* The process whose directory /proc/PID the open file f is, with a reference. -EBADF: it is none; -ESRCH: it is gone. */
NODISCARD int procfs_process(struct file *f, struct process **ret_p);

#endif
