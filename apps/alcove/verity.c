/* SPDX-License-Identifier: MIT */
/* dm-verity's on-disk format: a superblock, then the levels of the tree from the root down, 128 digests to a block.
 * Spec: cryptsetup wiki, DMVerity; Linux Documentation/admin-guide/device-mapper/verity.rst. */
#include "verity.h"

#include "sha256.h"
#include "util.h"

#include <string.h>

enum { BLOCK = 4096, DIGEST = 32, PER_BLOCK = BLOCK / DIGEST, LEVELS_MAX = 9 };

struct superblock {
    char magic[8];
    uint32_t version, hash_type;
    uint8_t uuid[16];
    char algorithm[32];
    uint32_t data_block_size, hash_block_size;
    uint64_t data_blocks;
    uint16_t salt_size;
    uint8_t padding[6];
    uint8_t salt[256];
    uint8_t padding2[168];
};
_Static_assert(sizeof(struct superblock) == 512, "as on disk");

static void digest(const struct superblock *sb, const uint8_t *block, uint8_t ret[32])
{
    struct sha256 s;
    sha256_init(&s);
    sha256_add(&s, sb->salt, sb->salt_size);
    sha256_add(&s, block, BLOCK);
    sha256_done(&s, ret);
}

/* The n digests of level are those of the blocks below. */
static const char *check_level(const struct superblock *sb, const uint8_t *level,
                               const uint8_t *below, uint64_t n, const char *what)
{
    uint8_t sum[32];
    for (uint64_t i = 0; i < n; i++) {
        digest(sb, below + i * BLOCK, sum);
        if (memcmp(sum, level + i / PER_BLOCK * BLOCK + i % PER_BLOCK * DIGEST, DIGEST) != 0)
            return xprintf("block %llu of the %s does not match its hash", (unsigned long long)i,
                           what);
    }
    return NULL;
}

static const char *check_superblock(const struct superblock *sb, size_t root_size)
{
    if (memcmp(sb->magic, "verity\0\0", 8) != 0 || sb->version != 1 || sb->hash_type != 1 ||
        strncmp(sb->algorithm, "sha256", sizeof(sb->algorithm)) != 0)
        return "the hash tree has no dm-verity superblock for SHA-256";
    if (sb->data_block_size != BLOCK || sb->hash_block_size != BLOCK ||
        sb->salt_size > sizeof(sb->salt))
        return "the hash tree has an unknown block or salt size";
    if (root_size % BLOCK || sb->data_blocks != root_size / BLOCK || !sb->data_blocks)
        return "the hash tree is for a root of another size";
    return NULL;
}

const char *verity_check(const uint8_t *root, size_t root_size, const uint8_t *hash,
                         size_t hash_size, const uint8_t roothash[32])
{
    struct superblock sb;
    uint64_t counts[LEVELS_MAX + 1], total = 1;
    int levels = 0;
    if (hash_size < BLOCK)
        return "the hash tree is missing";
    memcpy(&sb, hash, sizeof(sb));
    const char *wrong = check_superblock(&sb, root_size);
    if (wrong)
        return wrong;
    /* counts[0] data blocks, counts[i] hash blocks of level i above them; the top has one. */
    for (counts[0] = sb.data_blocks; counts[levels] > 1 || levels == 0; levels++) {
        if (levels == LEVELS_MAX)
            return "the hash tree is too deep";
        counts[levels + 1] = (counts[levels] + PER_BLOCK - 1) / PER_BLOCK;
        total += counts[levels + 1];
    }
    if (total > hash_size / BLOCK)
        return "the hash tree is truncated";
    uint8_t sum[32];
    const uint8_t *at = hash + BLOCK;
    digest(&sb, at, sum);
    if (memcmp(sum, roothash, DIGEST) != 0)
        return "the hash tree does not match the root hash";
    for (int level = levels; level > 1; level--) {
        wrong = check_level(&sb, at, at + counts[level] * BLOCK, counts[level - 1], "hash tree");
        if (wrong)
            return wrong;
        at += counts[level] * BLOCK;
    }
    return check_level(&sb, at, root, counts[0], "root");
}
