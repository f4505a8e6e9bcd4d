/* SPDX-License-Identifier: MIT */
/* Extended attributes, xattr(7). Names carry their prefix: "user.mime". */
#ifndef LIBOS_XATTR_H
#define LIBOS_XATTR_H

#include <abi/xattr.h>
#include <base/compiler.h>
#include <base/types.h>

struct inode;
struct path;

/* With all checks: value of name into buf; its size; size 0: only the size. -ENODATA, -ERANGE, -EOPNOTSUPP, -EPERM, -EACCES. */
ssize_type path_getxattr(const struct path *p, const char *name, void *buf, size_t size);
/* flags: XATTR_CREATE, XATTR_REPLACE. value NULL: remove. -EEXIST, -ENODATA, -EOPNOTSUPP, -EPERM, -EACCES, -EROFS, -ENOSPC,
 * -ENOMEM, -EINVAL. */
NODISCARD int path_setxattr(const struct path *p, const char *name, const void *value, size_t size,
                            int flags);
/* Names, each with its zero, one after the other; size 0: only the size. -ERANGE. */
ssize_type path_listxattr(const struct path *p, char *buf, size_t size);

/* Capabilities of a file, as bit sets. */
struct file_caps {
    uint64_t permitted, inheritable;
    bool effective;
};
/* 1: it has some, in *ret; 0: none. -EINVAL: of no known form. Locks: takes inode->lock. */
int inode_file_caps(struct inode *inode, struct file_caps *ret);
/* They go, because content or owner changes. Locks: inode->lock held for writing. */
void inode_drop_caps(struct inode *inode);

/* Attributes kept in inode->xattrs, for file systems in memory. Locks: inode->lock held (writing for set). */
int xattr_get(struct inode *inode, const char *name, void *buf, size_t size);
NODISCARD int xattr_set(struct inode *inode, const char *name, const void *value, size_t size,
                        int flags);
int xattr_list(struct inode *inode, char *buf, size_t size);
void xattr_free(struct inode *inode);

#endif
