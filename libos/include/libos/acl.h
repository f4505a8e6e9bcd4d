/* SPDX-License-Identifier: MIT */
/* POSIX access control lists, acl(5): the attributes system.posix_acl_access and system.posix_acl_default. */
#ifndef LIBOS_ACL_H
#define LIBOS_ACL_H

#include <base/compiler.h>
#include <base/types.h>

struct acl;
struct inode;

#define XATTR_ACL_ACCESS  "system.posix_acl_access"
#define XATTR_ACL_DEFAULT "system.posix_acl_default"

/* Read the lists of an inode that nobody else sees yet from its attributes. -EIO, -ENOMEM. May sleep. */
NODISCARD int acl_load(struct inode *inode);
/* The inode goes. */
void acl_free(struct inode *inode);

/* What the access list says to the current thread, which does not own the inode: 0, -EACCES; -EAGAIN: there is none. may:
 * MAY_*. Does not sleep. */
NODISCARD int acl_permission(struct inode *inode, unsigned may);
/* The permission bits become those of mode: so does the access list. -ENOMEM, and what storing it says. Locks: inode->lock is held for
 * writing. */
NODISCARD int acl_chmod(struct inode *inode, uint32_t mode);

/* The mode of a new file in dir, and its access list in *ret for acl_new_inode or acl_drop: by the default list of dir, or by the
 * process's mask (then *ret is NULL). -ENOMEM. Locks: dir's lock is held. */
NODISCARD int acl_new_mode(struct inode *dir, uint32_t *mode, struct acl **ret);
/* Give the new inode its lists. -ENOMEM, and what storing them says. Locks: dir's lock is held for writing. */
NODISCARD int acl_new_inode(struct inode *dir, struct inode *inode, struct acl *take_acl);
void acl_drop(struct acl *take_acl);

/* Which list an attribute is: 0: access, 1: default, -1: it is none. */
int acl_index(const char *name);
/* The attribute's value into buf; size 0: its size alone. -ENODATA, -ERANGE, -EOPNOTSUPP (links, or the file system has none). */
ssize_type acl_get(struct inode *inode, bool is_default, void *buf, size_t size);
/* Replace it; value NULL or empty: remove it. -EINVAL, -EOPNOTSUPP, -EPERM, -EACCES (a default list on no directory),
 * -ENOMEM, and what storing says. Locks: takes inode->lock. */
NODISCARD int acl_set(struct inode *inode, bool is_default, const void *value, size_t size);

#endif
