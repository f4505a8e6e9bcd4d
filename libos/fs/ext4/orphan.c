/* SPDX-License-Identifier: MIT */
/* The orphan list: inodes that have no name any more, or are being truncated, in a list that begins in the superblock and goes
 * on in the inodes' dtime. What a crash left in it is finished at mount; so is what Linux put into an orphan file. */
#include "ext4.h"

#include <abi/errno.h>
#include <base/log.h>
#include <string.h>
#include <utlist.h>

enum { ORPHAN_MAGIC = 0x0b10ca04 };

struct orphan_tail {
    uint32_t magic, checksum;
};

/* Write the next number of the list into ei's core. */
static int write_next(struct ext4_inode *ei, uint32_t next)
{
    struct ext4_dinode *c;
    struct buf *b;
    int err = ext4_core_get(ei, &b, &c);
    if (err)
        return err;
    err = txn_access(ei->fs, b, BUF_OTHER, 0);
    if (!err) {
        c->dtime = next;
        ext4_core_seal(ei, c);
        ei->orphan_next_ino = next;
    }
    buf_put(ei->fs, b);
    return err;
}

static int write_head(struct ext4 *fs, uint32_t ino)
{
    int err = txn_access(fs, fs->super, BUF_SUPER, 0);
    if (!err)
        ext4_super(fs)->last_orphan = ino;
    return err;
}

int orphan_add(struct ext4_inode *ei)
{
    struct ext4 *fs = ei->fs;
    int err = 0;
    mutex_lock(&fs->orphan);
    if (!ei->on_orphan) {
        err = write_next(ei, fs->orphans ? fs->orphans->ino : 0);
        if (!err)
            err = write_head(fs, ei->ino);
        if (!err) {
            DL_PREPEND2(fs->orphans, ei, orphan_prev, orphan_next);
            ei->on_orphan = true;
        }
    }
    mutex_unlock(&fs->orphan);
    return err;
}

int orphan_del(struct ext4_inode *ei)
{
    struct ext4 *fs = ei->fs;
    int err = 0;
    mutex_lock(&fs->orphan);
    if (ei->on_orphan) {
        uint32_t next = (uint32_t)ei->orphan_next_ino;
        err = ei == fs->orphans ? write_head(fs, next) : write_next(ei->orphan_prev, next);
        if (!err)
            err = write_next(ei, 0);
        if (!err) {
            DL_DELETE2(fs->orphans, ei, orphan_prev, orphan_next);
            ei->on_orphan = false;
        }
    }
    mutex_unlock(&fs->orphan);
    return err;
}

/* Finish what was begun with one inode. */
static int finish(struct ext4 *fs, struct inode *inode)
{
    struct ext4_inode *ei = ext4_i(inode);
    int err = 0;
    if (inode->nlink) {
        err = ext4_truncate_blocks(ei, inode->size);
        if (!err)
            err = txn_start(fs, 8);
        if (!err) {
            err = orphan_del(ei);
            txn_stop(fs);
        }
    }
    inode_put(inode); /* without a name, this frees it */
    return err;
}

static int orphan_file(struct ext4 *fs);

/* Put the inode at the end of the list in memory, as the disk has it. *ino: then its successor. */
static int list_one(struct ext4 *fs, uint32_t *ino, struct inode **ret)
{
    struct ext4_dinode *c;
    struct buf *b;
    int err = ext4_iget(fs, *ino, ret);
    if (err)
        return err;
    struct ext4_inode *ei = ext4_i(*ret);
    err = ei->on_orphan ? -EIO : ext4_core_get(ei, &b, &c);
    if (err) {
        inode_put(*ret);
        return err;
    }
    *ino = c->dtime;
    ei->orphan_next_ino = c->dtime;
    buf_put(fs, b);
    mutex_lock(&fs->orphan);
    DL_APPEND2(fs->orphans, ei, orphan_prev, orphan_next);
    ei->on_orphan = true;
    mutex_unlock(&fs->orphan);
    return 0;
}

int orphan_cleanup(struct ext4 *fs)
{
    struct inode *list[64];
    uint32_t n = 0, ino;
    int err = 0;
    /* In pieces: each is taken into memory before it is taken apart from its beginning. */
    while (!err && n < fs->inodes && (ino = ext4_super(fs)->last_orphan)) {
        uint32_t count = 0;
        while (ino && count < ARRAY_SIZE(list) && !(err = list_one(fs, &ino, &list[count])))
            count++;
        for (uint32_t i = 0; i < count; i++) {
            int err2 = finish(fs, list[i]);
            err = err ? err : err2;
        }
        n += count;
    }
    if (n)
        log_info("%s: ext4: %u orphans finished", fs->dev->name, n);
    if (err == -EIO || err == -ESTALE) {
        ext4_error(fs, "orphan list after inodes:", n);
        return -EIO;
    }
    return err ? err : orphan_file(fs);
}

/* One block of the orphan file: numbers, and a tail. */
static int orphan_block(struct ext4 *fs, struct buf *b)
{
    const struct orphan_tail *t = (void *)(b->data + fs->block_size - sizeof(*t));
    int err = 0;
    if (t->magic != ORPHAN_MAGIC)
        return -EIO;
    for (uint32_t at = 0; at + 4 <= fs->block_size - sizeof(*t) && !err; at += 4) {
        struct inode *inode;
        uint32_t ino;
        memcpy(&ino, b->data + at, 4);
        if (!ino)
            continue;
        err = ext4_iget(fs, ino, &inode);
        if (!err)
            err = finish(fs, inode);
    }
    return err;
}

/* The block's checksum is over the inode's seed, the block's number and its content. */
static uint32_t orphan_checksum(struct ext4_inode *ei, const struct buf *b)
{
    uint64_t n = b->block;
    uint32_t c = ext4_csum(ei->fs, ei->seed, &n, 8);
    return ext4_csum(ei->fs, c, b->data, ei->fs->block_size - sizeof(struct orphan_tail));
}

static int orphan_block_clear(struct ext4_inode *ei, struct buf *b)
{
    struct ext4 *fs = ei->fs;
    struct orphan_tail *t = (void *)(b->data + fs->block_size - sizeof(*t));
    int err = txn_start(fs, 4);
    if (err)
        return err;
    err = txn_access(fs, b, BUF_OTHER, 0);
    if (!err) {
        memset(b->data, 0, fs->block_size - sizeof(*t));
        t->checksum = fs->csum ? orphan_checksum(ei, b) : 0;
    }
    txn_stop(fs);
    return err;
}

static int orphan_file(struct ext4 *fs)
{
    struct inode *inode;
    if (!(fs->ro_compat & RO_ORPHAN_PRESENT) || !(fs->compat & COMPAT_ORPHAN_FILE))
        return 0;
    int err = ext4_iget(fs, ext4_super(fs)->orphan_file_inum, &inode);
    if (err)
        return err;
    struct ext4_inode *ei = ext4_i(inode);
    for (uint32_t i = 0; i < inode->size >> fs->block_bits && !err; i++) {
        struct ext4_run run;
        struct buf *b;
        err = ext4_map(ei, i, 1, &run);
        if (!err && !run.block)
            err = -EIO;
        if (!err)
            err = buf_read(fs, run.block, &b);
        if (err)
            break;
        err = orphan_block(fs, b);
        if (!err)
            err = orphan_block_clear(ei, b);
        buf_put(fs, b);
    }
    inode_put(inode);
    if (err)
        return err;
    err = txn_start(fs, 2);
    if (err)
        return err;
    err = txn_access(fs, fs->super, BUF_SUPER, 0);
    if (!err)
        ext4_super(fs)->feature_ro_compat &= ~(uint32_t)RO_ORPHAN_PRESENT;
    txn_stop(fs);
    return err;
}
