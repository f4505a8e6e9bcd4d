/* SPDX-License-Identifier: MIT */
/* Private to tmpfs.c, lower.c and tmpfs_limit.c. */
#ifndef FS_TMPFS_H
#define FS_TMPFS_H

#include <abi/statfs.h>
#include <libos/erofs.h>
#include <libos/pagemap.h>
#include <libos/vfs.h>

/* An inode of the image that has several names: every name must lead to the same inode. */
struct tmpfs_shared {
    struct tmpfs_shared *next;
    struct inode *inode; /* holds a reference */
};

struct tmpfs {
    struct superblock sb;
    struct erofs image;
    struct spin lock;                       /* RANK_FILE */
    struct tmpfs_shared *shared[64];        /* guarded by lock: by nid */
    _Atomic uint64_t max_pages, max_inodes; /* UINT64_MAX: no limit */
    _Atomic uint64_t pages, inodes;         /* in use */
    uint32_t mode, uid, gid;                /* as mounted */
};

static inline struct tmpfs *tmpfs_of(const struct inode *inode)
{
    return inode->sb->data;
}

/* lower.c: the content of files that come from the image. Their inodes keep the decoded one (inode->data). */
extern const struct pagemap_ops tmpfs_pages;
/* Choose how the pages of inode, which has its lower one, are had. */
void lower_pages_init(struct tmpfs *t, struct inode *inode);
/* What a program is told of an error of the image. */
int lower_error(int err);

/* Options of tmpfs(5). */
struct tmpfs_options {
    uint32_t mode, uid, gid;
    uint64_t pages, inodes; /* limits, UINT64_MAX: none */
    bool set_pages, set_inodes;
};

/* Half of the memory for pages, and as many inodes. */
void tmpfs_limit_default(struct tmpfs *t);
/* One inode (or name) more; false: there are too many. */
bool tmpfs_inode_add(struct tmpfs *t);
void tmpfs_inode_drop(struct tmpfs *t);
/* For struct pagemap_ops. */
bool tmpfs_charge(struct pagemap *m);
void tmpfs_uncharge(struct pagemap *m, size_t n);
/* For struct superblock. */
void tmpfs_statfs(struct superblock *sb, struct abi_statfs *st);
size_t tmpfs_show(const struct superblock *sb, char *buf, size_t size);

#endif
