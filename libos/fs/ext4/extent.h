/* SPDX-License-Identifier: MIT */
/* The way from the root of an extent tree to one of its extents; for map.c and extent.c. */
#ifndef EXT4_EXTENT_H
#define EXT4_EXTENT_H

#include "ext4.h"

struct extent_level {
    struct buf *buf; /* NULL: the root, in the inode */
    struct ext4_extent_header *h;
    int at; /* the entry; -1 in a leaf: before the first */
};

struct extent_path {
    uint32_t depth;
    struct extent_level level[EXTENT_DEPTH_MAX + 1];
};

static inline struct ext4_extent *level_extent(const struct extent_level *l)
{
    return (struct ext4_extent *)(l->h + 1) + l->at;
}

static inline struct ext4_extent_index *level_index(const struct extent_level *l)
{
    return (struct ext4_extent_index *)(l->h + 1) + l->at;
}

uint64_t extent_start(const struct ext4_extent *e);
uint32_t extent_len(const struct ext4_extent *e);
bool extent_unwritten(const struct ext4_extent *e);
uint64_t extent_child(const struct ext4_extent_index *x);
/* Find the extent that has lblock, or the one before it. -EIO. Released with path_release. */
NODISCARD int path_find(struct ext4_inode *ei, uint32_t lblock, struct extent_path *p);
void path_release(struct ext4_inode *ei, struct extent_path *p);

#endif
