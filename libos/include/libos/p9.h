/* SPDX-License-Identifier: MIT */
/* A directory of the host (9P2000.L), for development. */
#ifndef LIBOS_P9_H
#define LIBOS_P9_H

#include <base/compiler.h>
#include <base/types.h>

struct superblock;

/* The file system behind the channel called tag. -ENODEV: there is none, or libOS is linked without; -EBUSY, -EIO (its server breaks
 * the protocol), -ENOMEM, and what the server says. May sleep. */
NODISCARD int p9_mount(const char *tag, bool read_only, struct superblock **ret_sb);

#endif
