/* SPDX-License-Identifier: MIT */
/* Changes to names of a file system by another that stands on it: by dentry, without the program's rights, and without a word to
 * inotify. All may sleep and take the locks of the file system below. */
#ifndef LIBOS_BELOW_H
#define LIBOS_BELOW_H

#include <libos/vfs.h>

/* From here to below_end the current thread acts with libOS's rights. What was, for below_end. */
bool below_begin(void);
void below_end(bool was);

/* Make a name (all kinds by mode's type bits; target for symbolic links) in directory dir. Errnos of mknod(2): -EEXIST, ... */
NODISCARD int below_make(struct dentry *dir, const char *name, uint32_t mode, uint32_t rdev,
                         const char *target, struct dentry **ret);
/* Remove a name; of a directory, if it is empty. -ENOENT, -ENOTEMPTY, -EBUSY, -EIO; to clean up it may be
 * ignored. */
int below_remove(struct dentry *dir, const char *name);
/* rename(2) of names in two directories of mount m. */
NODISCARD int below_rename(struct mount *m, struct dentry *from, const char *from_name,
                           struct dentry *to, const char *to_name, unsigned flags);
/* link(2). */
NODISCARD int below_link(struct dentry *old, struct dentry *dir, const char *name);
/* Set an extended attribute, or with value NULL remove it. -EOPNOTSUPP, -ENODATA, -ENOSPC, ... */
NODISCARD int below_setxattr(struct dentry *d, const char *name, const void *value, size_t size,
                             int flags);

#endif
