/* SPDX-License-Identifier: MIT */
/* Inode numbers. A directory in the root goes to a group with much room, other directories and files go where their parent
 * is. The bitmaps change within transactions only, under the group's lock. */
#include "ext4.h"

#include <abi/errno.h>
#include <string.h>

static bool bit(const void *map, uint32_t n)
{
    return ((const uint8_t *)map)[n / 8] >> n % 8 & 1;
}

static void change_bit(void *map, uint32_t n, bool on)
{
    uint8_t *p = (uint8_t *)map + n / 8;
    *p = (uint8_t)(on ? *p | 1u << n % 8 : *p & ~(1u << n % 8));
}

static bool tables_lazy(const struct ext4 *fs)
{
    return fs->csum || fs->gdt_csum;
}

static int inode_bitmap(struct ext4 *fs, uint32_t group, struct ext4_group *g, struct buf **ret)
{
    uint64_t block = group_inode_bitmap(fs, g);
    bool uninit = tables_lazy(fs) && g->flags & BG_INODE_UNINIT;
    struct buf *b;
    int err = uninit ? buf_fresh(fs, block, &b) : buf_read(fs, block, &b);
    if (err)
        return err;
    b->group = group;
    if (!b->tid)
        b->kind = BUF_IBITMAP;
    if (uninit) {
        uint32_t at = fs->inodes_per_group / 8;
        memset(b->data + at, 0xff, fs->block_size - at);
    } else if (!b->verified && !buf_checksum_ok(fs, b)) {
        ext4_error(fs, "inode bitmap of group", group);
        buf_put(fs, b);
        return -EIO;
    }
    b->verified = true;
    *ret = b;
    return 0;
}

/* The table's slots up to this one may hold anything: they become zeros. */
static int clear_slots(struct ext4 *fs, const struct ext4_group *g, uint32_t from, uint32_t to)
{
    uint32_t per = fs->block_size / fs->inode_size;
    int err = 0;
    for (uint32_t i = from; i <= to && !err; i++) {
        struct buf *b;
        uint64_t block = group_inode_table(fs, g) + i / per;
        /* The first slot of a block that is unused as a whole: no need to read it. */
        err = i % per == 0 ? buf_fresh(fs, block, &b) : buf_read(fs, block, &b);
        if (err)
            break;
        err = txn_access(fs, b, BUF_OTHER, 0);
        if (!err)
            memset(b->data + i % per * fs->inode_size, 0, fs->inode_size);
        buf_put(fs, b);
    }
    return err;
}

/* Take slot i of a group, whose bitmap is b. Locks: the group's is held. */
static int take_slot(struct ext4 *fs, struct ext4_group *g, struct buf *b, struct buf *gdt,
                     uint32_t i, bool directory)
{
    int err = txn_access(fs, b, BUF_IBITMAP, 0);
    if (!err)
        err = txn_access_group(fs, gdt, g);
    uint32_t used = fs->inodes_per_group - group_itable_unused(fs, g);
    if (g->flags & BG_INODE_UNINIT)
        used = 0;
    if (!err && tables_lazy(fs) && i >= used)
        err = clear_slots(fs, g, used, i);
    if (err)
        return err;
    change_bit(b->data, i, true);
    if (tables_lazy(fs) && i >= used)
        group_set_itable_unused(fs, g, fs->inodes_per_group - i - 1);
    g->flags &= (uint16_t)~BG_INODE_UNINIT;
    uint32_t n = group_free_inodes(fs, g);
    group_set_free_inodes(fs, g, n ? n - 1 : 0);
    if (directory)
        group_set_used_dirs(fs, g, group_used_dirs(fs, g) + 1);
    fs->free_inodes--;
    return 0;
}

static int take_in_group(struct ext4 *fs, uint32_t group, bool directory, uint32_t *ret_ino)
{
    struct ext4_group_info *gi = &fs->group[group];
    struct ext4_group *g;
    struct buf *b, *gdt;
    int err = ext4_group_desc(fs, group, &g, &gdt);
    if (err)
        return err;
    if (!group_free_inodes(fs, g))
        return -ENOSPC;
    mutex_lock(&gi->lock);
    err = inode_bitmap(fs, group, g, &b);
    if (!err) {
        uint32_t first = group ? 0 : ext4_super(fs)->rev_level ? ext4_super(fs)->first_ino - 1 : 10;
        uint32_t i = first;
        while (i < fs->inodes_per_group && bit(b->data, i))
            i += bit(b->data, i) && i % 8 == 0 && ((uint8_t *)b->data)[i / 8] == 0xff ? 8 : 1;
        err = i < fs->inodes_per_group ? take_slot(fs, g, b, gdt, i, directory) : -ENOSPC;
        *ret_ino = group * fs->inodes_per_group + i + 1;
        buf_put(fs, b);
    }
    mutex_unlock(&gi->lock);
    return err;
}

/* A group for a new directory of the root: the one with the most free blocks of those with inodes, from the last one on. */
static uint32_t spread(struct ext4 *fs)
{
    uint32_t best = 0, most = 0;
    for (uint32_t i = 1; i <= fs->groups; i++) {
        uint32_t group = (fs->dir_group + i) % fs->groups;
        struct ext4_group *g;
        if (ext4_group_desc(fs, group, &g, NULL))
            continue;
        uint32_t score = fs->group[group].free;
        if (group_free_inodes(fs, g) > fs->inodes_per_group / 4 && score > most) {
            most = score;
            best = group;
        }
    }
    fs->dir_group = best;
    return best;
}

int ialloc_new(struct ext4_inode *dir, uint32_t mode, uint32_t *ret_ino)
{
    struct ext4 *fs = dir->fs;
    bool directory = S_ISDIR(mode);
    uint32_t group = directory && dir->ino == INO_ROOT ? spread(fs) : dir->group;
    int err = -ENOSPC;
    for (uint32_t i = 0; i < fs->groups && err == -ENOSPC; i++)
        err = take_in_group(fs, (group + i) % fs->groups, directory, ret_ino);
    return err;
}

int ialloc_free(struct ext4 *fs, uint32_t ino, bool directory)
{
    uint32_t group = (ino - 1) / fs->inodes_per_group, i = (ino - 1) % fs->inodes_per_group;
    struct ext4_group_info *gi = &fs->group[group];
    struct ext4_group *g;
    struct buf *b = NULL, *gdt;
    int err = ext4_group_desc(fs, group, &g, &gdt);
    if (err)
        return err;
    mutex_lock(&gi->lock);
    err = inode_bitmap(fs, group, g, &b);
    if (!err)
        err = txn_access(fs, b, BUF_IBITMAP, 0);
    if (!err)
        err = txn_access_group(fs, gdt, g);
    if (!err && !bit(b->data, i)) {
        ext4_error(fs, "free inode freed again:", ino);
        err = -EIO;
    }
    if (!err) {
        change_bit(b->data, i, false);
        group_set_free_inodes(fs, g, group_free_inodes(fs, g) + 1);
        uint32_t dirs = group_used_dirs(fs, g);
        if (directory && dirs)
            group_set_used_dirs(fs, g, dirs - 1);
        fs->free_inodes++;
    }
    mutex_unlock(&gi->lock);
    buf_put(fs, b);
    return err;
}
