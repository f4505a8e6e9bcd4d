/* SPDX-License-Identifier: MIT */
/* From a file's blocks to the disk's: extent trees, and the indirect blocks of older file systems. Everything read from the
 * disk is checked before use: counts against the node, depth against the level above, blocks against the file system. */
#include "extent.h"

#include <abi/errno.h>
#include <string.h>

uint64_t extent_start(const struct ext4_extent *e)
{
    return e->start_lo | (uint64_t)e->start_hi << 32;
}

uint32_t extent_len(const struct ext4_extent *e)
{
    return e->len <= EXTENT_LEN_MAX ? e->len : e->len - EXTENT_LEN_MAX;
}

bool extent_unwritten(const struct ext4_extent *e)
{
    return e->len > EXTENT_LEN_MAX;
}

uint64_t extent_child(const struct ext4_extent_index *x)
{
    return x->leaf_lo | (uint64_t)x->leaf_hi << 32;
}

static bool header_ok(const struct ext4_extent_header *h, uint32_t max, uint32_t depth)
{
    return h->magic == EXTENT_MAGIC && h->entries <= h->max && h->max <= max && h->max &&
           h->depth == depth;
}

static uint32_t node_max(const struct ext4 *fs)
{
    return (fs->block_size - sizeof(struct ext4_extent_header)) / sizeof(struct ext4_extent);
}

int extent_check_root(struct ext4_inode *ei)
{
    const struct ext4_extent_header *h = (const void *)ei->block;
    if (h->depth > EXTENT_DEPTH_MAX || !header_ok(h, 4, h->depth)) {
        ext4_error(ei->fs, "extents of inode", ei->ino);
        return -EIO;
    }
    return 0;
}

void extent_init_root(struct ext4_inode *ei)
{
    struct ext4_extent_header h = { .magic = EXTENT_MAGIC, .max = 4 };
    memset(ei->block, 0, sizeof(ei->block));
    memcpy(ei->block, &h, sizeof(h));
}

/* The last entry whose first block is at most lblock; -1: none. Entries of both kinds begin with their block. */
static int search(const struct ext4_extent_header *h, uint32_t lblock)
{
    const struct ext4_extent *e = (const void *)(h + 1);
    int lo = 0, hi = h->entries;
    while (lo < hi) {
        int mid = (lo + hi) / 2;
        if (e[mid].block <= lblock)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo - 1;
}

void path_release(struct ext4_inode *ei, struct extent_path *p)
{
    for (uint32_t i = 1; i <= EXTENT_DEPTH_MAX; i++)
        if (p->level[i].buf) {
            buf_put(ei->fs, p->level[i].buf);
            p->level[i].buf = NULL;
        }
}

int path_find(struct ext4_inode *ei, uint32_t lblock, struct extent_path *p)
{
    struct ext4 *fs = ei->fs;
    memset(p, 0, sizeof(*p));
    p->level[0].h = (void *)ei->block;
    p->depth = p->level[0].h->depth;
    if (extent_check_root(ei))
        return -EIO;
    for (uint32_t i = 0;; i++) {
        struct extent_level *l = &p->level[i];
        l->at = search(l->h, lblock);
        if (i == p->depth)
            return 0;
        if (l->at < 0)
            l->at = 0;
        if (l->h->entries == 0)
            break;
        struct ext4_extent_index *x = level_index(l);
        struct extent_level *next = &p->level[i + 1];
        int err = buf_read_kind(fs, extent_child(x), BUF_EXTENT, ei->seed, &next->buf);
        if (err) {
            path_release(ei, p);
            return err;
        }
        next->h = (void *)next->buf->data;
        if (!header_ok(next->h, node_max(fs), p->depth - i - 1))
            break;
    }
    path_release(ei, p);
    ext4_error(fs, "extents of inode", ei->ino);
    return -EIO;
}

/* The first block that is mapped at or after the path's place; UINT32_MAX: none. */
static uint32_t next_mapped(const struct extent_path *p)
{
    for (int i = (int)p->depth; i >= 0; i--) {
        const struct extent_level *l = &p->level[i];
        if (l->at + 1 < l->h->entries)
            return ((const struct ext4_extent *)(l->h + 1))[l->at + 1].block;
    }
    return UINT32_MAX;
}

static int map_extents(struct ext4_inode *ei, uint32_t lblock, uint32_t max, struct ext4_run *ret)
{
    struct extent_path p;
    int err = path_find(ei, lblock, &p);
    if (err)
        return err;
    const struct extent_level *l = &p.level[p.depth];
    const struct ext4_extent *e = l->at >= 0 ? level_extent(l) : NULL;
    if (e && lblock - e->block < extent_len(e)) {
        uint32_t off = lblock - e->block;
        ret->block = extent_start(e) + off;
        ret->count = (uint32_t)min_u64(extent_len(e) - off, max);
        ret->unwritten = extent_unwritten(e);
        if (!ext4_valid_run(ei->fs, ret->block, ret->count)) {
            ext4_error(ei->fs, "extents of inode", ei->ino);
            err = -EIO;
        }
    } else {
        uint32_t next = next_mapped(&p);
        ret->block = 0;
        ret->count = (uint32_t)min_u64(next > lblock ? next - lblock : 1, max);
        ret->unwritten = false;
    }
    path_release(ei, &p);
    return err;
}

/* Indirect maps: twelve direct blocks, then one block of blocks, one of those, and one of those. */
static int map_indirect(struct ext4_inode *ei, uint32_t lblock, struct ext4_run *ret)
{
    struct ext4 *fs = ei->fs;
    uint32_t per = fs->block_size / 4, block, levels = 0;
    uint64_t n = lblock, span = 1;
    *ret = (struct ext4_run){ .count = 1 };
    if (n >= 12) {
        n -= 12;
        for (levels = 1, span = per; n >= span; n -= span, span *= per)
            if (++levels > 3)
                return -EFBIG;
    }
    memcpy(&block, ei->block + (levels ? 11 + levels : n) * 4, 4);
    for (; levels && block; levels--) {
        struct buf *b;
        span /= per;
        int err = buf_read_kind(fs, block, BUF_OTHER, 0, &b);
        if (err)
            return err;
        memcpy(&block, b->data + n / span * 4, 4);
        n %= span;
        buf_put(fs, b);
    }
    if (block && !ext4_valid_run(fs, block, 1)) {
        ext4_error(fs, "block map of inode", ei->ino);
        return -EIO;
    }
    ret->block = block;
    return 0;
}

int ext4_map(struct ext4_inode *ei, uint32_t lblock, uint32_t max, struct ext4_run *ret)
{
    if (ei->flags & FL_EXTENTS)
        return map_extents(ei, lblock, max, ret);
    int err = map_indirect(ei, lblock, ret);
    for (struct ext4_run next; !err && ret->count < max; ret->count++) {
        if (map_indirect(ei, lblock + ret->count, &next) ||
            next.block != (ret->block ? ret->block + ret->count : 0) ||
            (!ret->block && ret->count >= 1024))
            break;
    }
    return err;
}
