/* SPDX-License-Identifier: MIT */
/* Handles of files, for name_to_handle_at(2) and open_by_handle_at(2). */
#ifndef LIBOS_HANDLE_H
#define LIBOS_HANDLE_H

#include <base/compiler.h>
#include <stdint.h>

struct file;
struct path;

enum { HANDLE_MAX = 128 };

struct handle {
    uint32_t bytes; /* of data that count */
    int32_t type;
    uint8_t data[HANDLE_MAX];
};

/* The handle of what p names. -EOPNOTSUPP: its file system has none. */
NODISCARD int handle_of(const struct path *p, struct handle *ret);
/* Open what has this handle in the file system that in is in, as file_reopen. -ESTALE: nothing has, or no more; -ENOTDIR (O_DIRECTORY),
 * -ENOMEM, and open(2)'s. May sleep. */
NODISCARD int handle_open(const struct path *in, const struct handle *h, unsigned flags,
                          struct file **ret_file);

#endif
