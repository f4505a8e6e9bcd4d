/* SPDX-License-Identifier: MIT */
/* Shared by the file systems of this folder. */
#ifndef FS_FS_INT_H
#define FS_FS_INT_H

#include <libos/dentry.h>

struct file;
struct file_ops;
struct iter;

/* Files whose content is in inode->pages. */
extern const struct file_ops regular_fops;
/* Their operations that hold for every file with a page map. */
ssize_type regular_read(struct file *f, struct iter *it, uint64_t *pos);
int64_t regular_seek(struct file *f, int64_t off, int whence);
struct pagemap *regular_pagemap(struct file *f);
/* Seals and RLIMIT_FSIZE: how many of count bytes may be written at pos? -EINVAL, -EFBIG, -EPERM. */
int64_t regular_write_limit(struct inode *inode, uint64_t pos, uint64_t count);
/* Does the file hold something at page index: a page of its own, or one of the image below? */
bool regular_has_page(struct inode *inode, uint64_t index);
/* Can the file get so many more pages? */
bool tmpfs_has_room(struct inode *inode, uint64_t pages);
/* ATTR_SIZE. Locks: inode->lock is held for writing. */
int regular_set_size(struct inode *inode, uint64_t size);

/* A file without a name in the tmpfs that is not in the tree. iops: NULL for those of tmpfs. -EINVAL, -ENOMEM, -ENFILE. */
struct shmem_make {
    const char *name;
    uint64_t size;
    unsigned seals;
    uint32_t mode; /* permission bits */
    const struct inode_ops *iops;
    const struct file_ops *fops;
};
NODISCARD int shmem_make(const struct shmem_make *m, struct file **ret_file);
/* What tmpfs does with such an inode. */
int memfd_setattr(struct inode *inode, const struct inode_attr *attr);
void memfd_evict(struct inode *inode);

#endif
