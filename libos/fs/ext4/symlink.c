/* SPDX-License-Identifier: MIT */
/* Symbolic links: short texts lie in the inode, longer ones in a block of their own. A text once read stays with the inode. */
#include "ext4.h"

#include <abi/errno.h>
#include <abi/fcntl.h>
#include <string.h>

int symlink_write(struct ext4_inode *ei, const char *target)
{
    size_t len = strlen(target);
    struct buf *b;
    ei->inode->size = len;
    if (len < INODE_BLOCK_BYTES) {
        ei->flags &= ~(uint32_t)FL_EXTENTS;
        memset(ei->block, 0, sizeof(ei->block));
        memcpy(ei->block, target, len);
        return 0;
    }
    int err = balloc_meta(ei, BUF_OTHER, &b);
    if (err)
        return err;
    memcpy(b->data, target, len + 1);
    err = extent_insert(ei, 0, b->block, 1, false);
    buf_put(ei->fs, b);
    return err;
}

static int read_block(struct ext4_inode *ei, char *text, size_t size)
{
    struct ext4_run run;
    struct buf *b;
    rwmutex_read_lock(&ei->map);
    int err = ext4_map(ei, 0, 1, &run);
    rwmutex_read_unlock(&ei->map);
    if (!err && (!run.block || run.unwritten))
        err = -EIO;
    if (!err)
        err = buf_read(ei->fs, run.block, &b);
    if (err)
        return err;
    memcpy(text, b->data, size);
    buf_put(ei->fs, b);
    return 0;
}

int symlink_text(struct ext4_inode *ei, const char **ret)
{
    uint64_t size = ei->inode->size;
    const void *data = ei->block;
    if (!S_ISLNK(ei->inode->mode))
        return -EINVAL;
    if (size == 0 || size >= ei->fs->block_size || size >= ABI_PATH_MAX) {
        ext4_error(ei->fs, "symbolic link", ei->ino);
        return -EIO;
    }
    if (!ei->link) {
        char *text = heap_zalloc(size + 1);
        int err = text ? 0 : -ENOMEM;
        if (!err && ei->flags & FL_INLINE_DATA)
            memcpy(text, data, min_u64(size, INODE_BLOCK_BYTES));
        else if (!err && size < INODE_BLOCK_BYTES)
            memcpy(text, data, size);
        else if (!err)
            err = read_block(ei, text, size);
        if (err) {
            heap_free(text);
            return err;
        }
        spin_lock(&ei->fs->inode_lock);
        char *drop = ei->link ? text : NULL;
        if (!drop)
            ei->link = text;
        spin_unlock(&ei->fs->inode_lock);
        heap_free(drop);
    }
    *ret = ei->link;
    return (int)strlen(ei->link);
}
