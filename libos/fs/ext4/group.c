/* SPDX-License-Identifier: MIT */
/* Block groups: their descriptors, which are read on first use and then stay, and what lies where. A descriptor is guarded by
 * its group's lock; its checksum is computed when the transaction is committed. */
#include "ext4.h"

#include <abi/errno.h>
#include <base/crc.h>
#include <base/log.h>
#include <string.h>

static bool power_of(uint32_t n, uint32_t base)
{
    while (n % base == 0)
        n /= base;
    return n == 1;
}

bool ext4_group_has_super(const struct ext4 *fs, uint32_t group)
{
    if (group <= 1 || !(fs->ro_compat & RO_SPARSE_SUPER))
        return true;
    return (group & 1) && (power_of(group, 3) || power_of(group, 5) || power_of(group, 7));
}

uint64_t ext4_group_first(const struct ext4 *fs, uint32_t group)
{
    return fs->first_data + (uint64_t)group * fs->blocks_per_group;
}

uint32_t ext4_group_blocks(const struct ext4 *fs, uint32_t group)
{
    return (uint32_t)min_u64(fs->blocks_per_group, fs->blocks - ext4_group_first(fs, group));
}

bool ext4_valid_run(const struct ext4 *fs, uint64_t block, uint64_t count)
{
    return block > fs->first_data && block < fs->blocks && count <= fs->blocks - block;
}

/* Where block n of the table of descriptors lies: behind the superblock, or with meta_bg in the group it describes. */
static uint64_t gdt_place(struct ext4 *fs, uint32_t n)
{
    if (!(fs->incompat & INCOMPAT_META_BG) || n < ext4_super(fs)->first_meta_bg)
        return ext4_group_first(fs, 0) + 1 + n;
    uint32_t group = n * fs->descs_per_block;
    return ext4_group_first(fs, group) + ext4_group_has_super(fs, group);
}

uint16_t group_csum(const struct ext4 *fs, uint32_t group, const struct ext4_group *g)
{
    const char *p = (const char *)g;
    const uint32_t at = offsetof(struct ext4_group, checksum), after = at + 2;
    static const uint16_t zero;
    if (fs->csum) {
        uint32_t c = ext4_csum(fs, fs->csum_seed, &group, 4);
        c = ext4_csum(fs, c, p, at);
        c = ext4_csum(fs, c, &zero, 2);
        if (fs->desc_size > after)
            c = ext4_csum(fs, c, p + after, fs->desc_size - after);
        return (uint16_t)c;
    }
    uint16_t c = crc16_add(
        0xffff,
        ((const struct ext4_super *)(fs->super->data + (fs->block_size > 1024 ? 1024 : 0)))->uuid,
        16);
    c = crc16_add(c, &group, 4);
    c = crc16_add(c, p, at);
    if (fs->desc_size > after && fs->incompat & INCOMPAT_64BIT)
        c = crc16_add(c, p + after, fs->desc_size - after);
    return c;
}

/* A descriptor from the disk: everything that it says is checked before it is used. */
static bool group_sound(struct ext4 *fs, uint32_t group, const struct ext4_group *g)
{
    uint64_t table = group_inode_table(fs, g);
    uint32_t table_blocks =
        (uint32_t)(((uint64_t)fs->inodes_per_group * fs->inode_size + fs->block_size - 1) >>
                   fs->block_bits);
    return ext4_valid_run(fs, group_block_bitmap(fs, g), 1) &&
           ext4_valid_run(fs, group_inode_bitmap(fs, g), 1) &&
           ext4_valid_run(fs, table, table_blocks) &&
           group_free_blocks(fs, g) <= ext4_group_blocks(fs, group) &&
           group_free_inodes(fs, g) <= fs->inodes_per_group &&
           group_itable_unused(fs, g) <= fs->inodes_per_group;
}

/* Check the descriptors of a block that was just read. */
static int gdt_check(struct ext4 *fs, uint32_t n, const char *data)
{
    for (uint32_t i = 0; i < fs->descs_per_block; i++) {
        uint32_t group = n * fs->descs_per_block + i;
        const struct ext4_group *g = (const void *)(data + i * fs->desc_size);
        if (group >= fs->groups)
            break;
        if ((fs->csum || fs->gdt_csum) && g->checksum != group_csum(fs, group, g)) {
            ext4_error(fs, "checksum of the descriptor of group", group);
            return -EIO;
        }
        if (!group_sound(fs, group, g)) {
            ext4_error(fs, "descriptor of group", group);
            return -EIO;
        }
    }
    return 0;
}

int ext4_group_desc(struct ext4 *fs, uint32_t group, struct ext4_group **ret, struct buf **ret_buf)
{
    uint32_t n = group / fs->descs_per_block;
    if (group >= fs->groups)
        return -EIO;
    if (!fs->gdt[n]) {
        struct buf *b;
        int err = buf_read(fs, gdt_place(fs, n), &b);
        if (err)
            return err;
        if (!b->verified && (err = gdt_check(fs, n, b->data))) {
            buf_put(fs, b);
            return err;
        }
        b->verified = true;
        spin_lock(&fs->buf_lock);
        struct buf *drop = fs->gdt[n] ? b : NULL;
        if (!drop)
            fs->gdt[n] = b;
        spin_unlock(&fs->buf_lock);
        if (drop)
            buf_put(fs, drop);
    }
    *ret = (void *)(fs->gdt[n]->data + group % fs->descs_per_block * fs->desc_size);
    if (ret_buf)
        *ret_buf = fs->gdt[n];
    return 0;
}

static bool wide(const struct ext4 *fs)
{
    return fs->desc_size >= 64;
}

uint64_t group_block_bitmap(const struct ext4 *fs, const struct ext4_group *g)
{
    return g->block_bitmap_lo | (wide(fs) ? (uint64_t)g->block_bitmap_hi << 32 : 0);
}

uint64_t group_inode_bitmap(const struct ext4 *fs, const struct ext4_group *g)
{
    return g->inode_bitmap_lo | (wide(fs) ? (uint64_t)g->inode_bitmap_hi << 32 : 0);
}

uint64_t group_inode_table(const struct ext4 *fs, const struct ext4_group *g)
{
    return g->inode_table_lo | (wide(fs) ? (uint64_t)g->inode_table_hi << 32 : 0);
}

uint32_t group_free_blocks(const struct ext4 *fs, const struct ext4_group *g)
{
    return g->free_blocks_lo | (wide(fs) ? (uint32_t)g->free_blocks_hi << 16 : 0);
}

uint32_t group_free_inodes(const struct ext4 *fs, const struct ext4_group *g)
{
    return g->free_inodes_lo | (wide(fs) ? (uint32_t)g->free_inodes_hi << 16 : 0);
}

uint32_t group_used_dirs(const struct ext4 *fs, const struct ext4_group *g)
{
    return g->used_dirs_lo | (wide(fs) ? (uint32_t)g->used_dirs_hi << 16 : 0);
}

uint32_t group_itable_unused(const struct ext4 *fs, const struct ext4_group *g)
{
    return g->itable_unused_lo | (wide(fs) ? (uint32_t)g->itable_unused_hi << 16 : 0);
}

void group_set_free_blocks(const struct ext4 *fs, struct ext4_group *g, uint32_t n)
{
    g->free_blocks_lo = (uint16_t)n;
    if (wide(fs))
        g->free_blocks_hi = (uint16_t)(n >> 16);
}

void group_set_free_inodes(const struct ext4 *fs, struct ext4_group *g, uint32_t n)
{
    g->free_inodes_lo = (uint16_t)n;
    if (wide(fs))
        g->free_inodes_hi = (uint16_t)(n >> 16);
}

void group_set_used_dirs(const struct ext4 *fs, struct ext4_group *g, uint32_t n)
{
    g->used_dirs_lo = (uint16_t)n;
    if (wide(fs))
        g->used_dirs_hi = (uint16_t)(n >> 16);
}

void group_set_itable_unused(const struct ext4 *fs, struct ext4_group *g, uint32_t n)
{
    g->itable_unused_lo = (uint16_t)n;
    if (wide(fs))
        g->itable_unused_hi = (uint16_t)(n >> 16);
}

/* Add the groups' counts up. Every descriptor is read: 64 of them to a block. */
int ext4_groups_init(struct ext4 *fs)
{
    int64_t free_blocks = 0, free_inodes = 0;
    uint32_t nblocks = (fs->groups + fs->descs_per_block - 1) / fs->descs_per_block;
    fs->gdt = heap_calloc(nblocks, sizeof(struct buf *));
    fs->group = heap_calloc(fs->groups, sizeof(fs->group[0]));
    if (!fs->gdt || !fs->group)
        return -ENOMEM;
    for (uint32_t i = 0; i < fs->groups; i++) {
        struct ext4_group *g;
        int err = ext4_group_desc(fs, i, &g, NULL);
        if (err)
            return err;
        mutex_init(&fs->group[i].lock, RANK_FS_GROUP);
        fs->group[i].free = group_free_blocks(fs, g);
        free_blocks += group_free_blocks(fs, g);
        free_inodes += group_free_inodes(fs, g);
    }
    fs->free_blocks = free_blocks;
    fs->free_inodes = free_inodes;
    return 0;
}
