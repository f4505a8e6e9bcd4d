/* SPDX-License-Identifier: MIT */
/* All kinds of file systems. */
#ifndef LIBOS_FSTYPES_H
#define LIBOS_FSTYPES_H

#include <libos/fstype.h>

/* The n-th, in the order of /proc/filesystems; NULL: there are no more. */
const struct fs_type *fs_type_at(size_t n);
/* The one of this name that can be mounted; NULL. */
const struct fs_type *fs_type_find(const char *name);

#endif
