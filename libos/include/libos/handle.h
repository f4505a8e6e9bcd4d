/* SPDX-License-Identifier: MIT */
/* Handles of files, for name_to_handle_at(2) and open_by_handle_at(2). */
#ifndef LIBOS_HANDLE_H
#define LIBOS_HANDLE_H

#include <base/compiler.h>
#include <stdint.h>

struct file;
struct inode;
struct path;
struct superblock;

enum { HANDLE_MAX = 128 };

struct handle {
    uint32_t bytes; /* of data that count */
    int32_t type;
    uint8_t data[HANDLE_MAX];
};

/* What a file system with handles can do. */
struct handle_ops {
    /* What tells an inode from others that had its number. */
    uint32_t (*generation)(const struct inode *inode);
    /* The inode of that number and generation (0: any), with a reference. -ESTALE: there is none; -EIO, -ENOMEM. */
    int (*find)(struct superblock *sb, uint64_t ino, uint32_t generation, struct inode **ret_inode);
    /* The directory that dir, not the root, is in, with a reference, and dir's name there, of at most 255 bytes and a zero. -ESTALE,
     * -ENOENT (it is moving), -EIO, -ENOMEM. */
    int (*parent)(struct inode *dir, struct inode **ret_parent, char *ret_name);
};

/* The handle of what p names. -EOPNOTSUPP: its file system has none. */
NODISCARD int handle_of(const struct path *p, struct handle *ret);
/* Open what has this handle in the file system that in is in, as file_reopen. -ESTALE: nothing has, or no more; -ENOTDIR (O_DIRECTORY),
 * -ENOMEM, and open(2)'s. May sleep. */
NODISCARD int handle_open(const struct path *in, const struct handle *h, unsigned flags,
                          struct file **ret_file);

#endif
