/* SPDX-License-Identifier: MIT */
/* Faults that a program handles itself: userfaultfd(2). */
#ifndef LIBOS_UFFD_H
#define LIBOS_UFFD_H

#include <base/compiler.h>
#include <stdbool.h>

struct file;

/* A file for faults of the current address space. user_only: those of libOS, in system calls, are errors; flags: O_NONBLOCK.
 * -ENOMEM, -ENFILE. */
NODISCARD int uffd_create(bool user_only, unsigned flags, struct file **ret_file);

#endif
