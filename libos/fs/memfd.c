/* SPDX-License-Identifier: MIT */
/* Files without a name that memfd_create(2) and memfd_secret(2) make, in the tmpfs that is not in the tree. Those of huge pages
 * behave as on a Linux whose pool of them is empty: they have a size, read as zeros, and cannot be mapped or filled. Secret ones
 * can only be mapped. */
#include "fs_int.h"

#include <abi/errno.h>
#include <abi/fcntl.h>
#include <libos/file.h>
#include <libos/mm.h>

enum { HUGE_SIZE = 2 << 20 };

static int huge_setattr(struct inode *inode, const struct inode_attr *attr)
{
    if (attr->set & ATTR_SIZE && attr->size % HUGE_SIZE)
        return -EINVAL;
    return memfd_setattr(inode, attr);
}

static int huge_getattr(struct inode *inode, struct abi_stat *st)
{
    (void)inode;
    st->st_blksize = HUGE_SIZE;
    return 0;
}

static const struct inode_ops huge_iops = { .setattr = huge_setattr,
                                            .getattr = huge_getattr,
                                            .evict = memfd_evict };

static int huge_may_map(struct file *f, uint64_t offset, size_t size, uint32_t *flags)
{
    (void)f, (void)size, (void)flags;
    return offset % HUGE_SIZE ? -EINVAL : -ENOMEM;
}

static int huge_fallocate(struct file *f, int mode, uint64_t off, uint64_t len)
{
    (void)f, (void)off, (void)len;
    if (mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE))
        return -EOPNOTSUPP;
    return mode & FALLOC_FL_PUNCH_HOLE ? 0 : -ENOSPC; /* a hole is all there is */
}

static const struct file_ops huge_fops = { .read = regular_read,
                                           .seek = regular_seek,
                                           .fallocate = huge_fallocate,
                                           .may_map = huge_may_map,
                                           .pagemap = regular_pagemap };

static int secret_setattr(struct inode *inode, const struct inode_attr *attr)
{
    if (attr->set & ATTR_SIZE && inode->size)
        return -EINVAL; /* its size is given once */
    return memfd_setattr(inode, attr);
}

static const struct inode_ops secret_iops = { .setattr = secret_setattr, .evict = memfd_evict };

static int secret_may_map(struct file *f, uint64_t offset, size_t size, uint32_t *flags)
{
    (void)f, (void)offset, (void)size;
    if (!(*flags & AREA_SHARED))
        return -EINVAL;
    *flags |= AREA_SECRET | AREA_LOCKED | AREA_LOCKONFAULT | AREA_DONTDUMP;
    return 0;
}

static const struct file_ops secret_fops = { .may_map = secret_may_map,
                                             .pagemap = regular_pagemap };

int memfd_create_file(const char *name, enum memfd_kind kind, unsigned seals, uint32_t mode,
                      struct file **ret_file)
{
    struct shmem_make m = { .name = name, .seals = seals, .mode = mode, .fops = &regular_fops };
    if (kind == MEMFD_HUGE) {
        m.iops = &huge_iops;
        m.fops = &huge_fops;
    } else if (kind == MEMFD_SECRET) {
        m.iops = &secret_iops;
        m.fops = &secret_fops;
    }
    return shmem_make(&m, ret_file);
}
