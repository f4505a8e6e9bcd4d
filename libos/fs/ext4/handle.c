/* SPDX-License-Identifier: MIT */
/* File handles: an inode's number with its generation, which a number that is used again does not keep. Whoever has a handle may
 * have made it up, so numbers that libOS itself uses, and free inodes, are as good as none. */
#include "ext4.h"

#include <abi/errno.h>
#include <libos/handle.h>
#include <string.h>

enum { INO_FIRST = 11 };

static uint32_t handle_generation(const struct inode *inode)
{
    return ext4_i(inode)->generation;
}

static int handle_find(struct superblock *sb, uint64_t ino, uint32_t generation,
                       struct inode **ret_inode)
{
    struct ext4 *fs = ext4_of(sb);
    struct inode *inode;
    if ((ino < INO_FIRST && ino != INO_ROOT) || ino > fs->inodes)
        return -ESTALE;
    int err = ext4_iget_named(fs, (uint32_t)ino, &inode);
    if (err)
        return err;
    if (generation && ext4_i(inode)->generation != generation) {
        inode_put(inode);
        return -ESTALE;
    }
    *ret_inode = inode;
    return 0;
}

static int parent_number(struct inode *dir, uint32_t *ret_ino)
{
    struct dir_place p;
    rwmutex_read_lock(&dir->lock);
    int err = dir_find(ext4_i(dir), "..", 2, &p);
    if (!err) {
        *ret_ino = dir_place_ino(&p);
        buf_put(ext4_i(dir)->fs, p.buf);
    }
    rwmutex_read_unlock(&dir->lock);
    return err == -ENOENT ? -ESTALE : err;
}

static int handle_parent(struct inode *dir, struct inode **ret_parent, char *ret_name)
{
    struct inode *parent;
    uint32_t ino;
    int err = parent_number(dir, &ino);
    if (!err)
        err = handle_find(dir->sb, ino, 0, &parent);
    if (err)
        return err;
    rwmutex_read_lock(&parent->lock);
    err = S_ISDIR(parent->mode) ? dir_name_of(ext4_i(parent), ext4_i(dir)->ino, ret_name) : -ESTALE;
    rwmutex_read_unlock(&parent->lock);
    if (err) {
        inode_put(parent);
        return err;
    }
    *ret_parent = parent;
    return 0;
}

const struct handle_ops ext4_handle_ops = {
    .generation = handle_generation,
    .find = handle_find,
    .parent = handle_parent,
};
