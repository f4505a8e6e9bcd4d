/* SPDX-License-Identifier: MIT */
/* Private to verity.c and rootdisk.c: where the levels of a hash tree lie, and what a block's hash is. */
#ifndef FS_VERITY_INT_H
#define FS_VERITY_INT_H

#include <base/compiler.h>
#include <libos/sha256.h>

enum {
    VERITY_BLOCK = 4096,
    VERITY_DIGEST = 32,
    VERITY_PER_BLOCK = VERITY_BLOCK / VERITY_DIGEST,
    VERITY_PER_BLOCK_BITS = 7,
    VERITY_LEVELS_MAX = 9, /* of 128 hashes each: 2^63 blocks */
};

struct verity_tree {
    uint64_t blocks;      /* of data */
    unsigned levels;      /* 0: the one data block's hash is the root hash */
    uint64_t hash_blocks; /* with the superblock's */
    uint64_t level_at
        [VERITY_LEVELS_MAX]; /* hash block where level i begins; level 0 holds the data's hashes */
    uint64_t level_count[VERITY_LEVELS_MAX];
    uint8_t root[VERITY_DIGEST];
    struct sha256 salted; /* the state after the salt */
};

/* Read the superblock at super (4096 bytes) of the tree for data_size bytes, which has max hash blocks at most. NULL: it fits,
 * else why it does not. */
const char *verity_tree_init(struct verity_tree *t, const void *super, uint64_t data_size,
                             uint64_t max, const uint8_t root_hash[32]);
/* Does block, of 4096 bytes, have this digest? */
bool verity_block_is(const struct verity_tree *t, const void *block,
                     const uint8_t digest[VERITY_DIGEST]);
/* A block of the root is wrong, and a line has said so. Ends the machine if that was asked for. -EIO. */
int verity_wrong(void);

#endif
