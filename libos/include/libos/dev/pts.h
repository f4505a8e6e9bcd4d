/* SPDX-License-Identifier: MIT */
/* The file systems of /dev and /dev/pts. There is one of each, and each mount shows it. */
#ifndef LIBOS_DEV_PTS_H
#define LIBOS_DEV_PTS_H

#include <libos/fstype.h>

extern const struct fs_type devtmpfs_type, devpts_type;

#endif
