/* SPDX-License-Identifier: MIT */
/* Shared by the file systems of this folder. */
#ifndef FS_FS_INT_H
#define FS_FS_INT_H

#include <libos/dentry.h>

struct file_ops;

/* Files whose content is in inode->pages. */
extern const struct file_ops regular_fops;
/* Does the file hold something at page index: a page of its own, or one of the image below? */
bool regular_has_page(struct inode *inode, uint64_t index);
/* ATTR_SIZE. Locks: inode->lock is held for writing. */
int regular_set_size(struct inode *inode, uint64_t size);

#endif
