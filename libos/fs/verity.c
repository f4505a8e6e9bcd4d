/* SPDX-License-Identifier: MIT */
/* dm-verity as veritysetup(8) lays it out: a superblock, then the levels of the hash tree from the root block down to the
 * hashes of the data blocks. Each block is hashed once, salt first; a bit per block remembers. A bit is set only after
 * the block and everything above it were right, and is never cleared, so readers need no lock: at worst two CPUs check
 * the same block. Where the CPU hashes several blocks in little more time than one, those beside it are checked, too. */
#include "verity_int.h"

#include <libos/verity.h>

#include <abi/errno.h>
#include <base/log.h>
#include <libos/heap.h>
#include <plat/boot.h>
#include <stdatomic.h>
#include <string.h>

enum {
    BLOCK = VERITY_BLOCK,
    DIGEST = VERITY_DIGEST,
    PER_BLOCK = VERITY_PER_BLOCK,
    SALT_MAX = 256,
};

/* The superblock on disk. */
struct super {
    uint8_t signature[8];
    uint32_t version, hash_type;
    uint8_t uuid[16];
    char algorithm[32];
    uint32_t data_block_size, hash_block_size;
    uint64_t data_blocks;
    uint16_t salt_size;
    uint8_t pad[6];
    uint8_t salt[SALT_MAX];
};
_Static_assert(sizeof(struct super) == 344, "dm-verity superblock");

static struct {
    const uint8_t *data, *hash;
    struct verity_tree tree;
    _Atomic uint64_t *data_done, *hash_done; /* NULL: no checking */
    _Atomic bool one_by_one;                 /* hashing several at once gains nothing */
} v;
static bool fatal; /* a wrong block ends the machine; set before the first one is read */

void verity_set_fatal(void)
{
    fatal = true;
}

int verity_wrong(void)
{
    if (fatal) {
        log_error("root image: the machine ends, as verity=panic asks");
        plat_power_off(true);
    }
    return -EIO;
}

static bool is_done(_Atomic uint64_t *map, uint64_t block)
{
    /* Relaxed: the checked bytes do not change, so there is nothing to order. */
    return atomic_load_explicit(&map[block / 64], memory_order_relaxed) >> block % 64 & 1;
}

static void set_done(_Atomic uint64_t *map, uint64_t block)
{
    atomic_fetch_or_explicit(&map[block / 64], 1ull << block % 64, memory_order_relaxed);
}

bool verity_block_is(const struct verity_tree *t, const void *block, const uint8_t digest[DIGEST])
{
    struct sha256 s = t->salted;
    uint8_t found[DIGEST];
    sha256_add(&s, block, BLOCK);
    sha256_end(&s, found);
    return memcmp(found, digest, DIGEST) == 0;
}

/* The hash of entry i of the level above: in hash level l, or the root hash above the top. */
static const uint8_t *digest(unsigned l, uint64_t i)
{
    return l == v.tree.levels
               ? v.tree.root
               : v.hash + (v.tree.level_at[l] + i / PER_BLOCK) * BLOCK + i % PER_BLOCK * DIGEST;
}

/* One level's blocks, or the data's. */
struct row {
    const uint8_t *base;
    uint64_t count;
    _Atomic uint64_t *done;
    uint64_t done_at; /* bit of block 0 */
    unsigned above;   /* the level that has their hashes */
};

/* Check block i of a row together with those of its eight that were not yet checked. The level above has been checked: one
 * block of it holds the hashes of all eight. False: not here. A wrong one beside i is found when it is used. */
static bool check_eight(const struct row *r, uint64_t i, bool *ret_right)
{
    enum { N = PLAT_SHA256_LANES };
    const void *data[N];
    uint8_t found[N][DIGEST];
    uint64_t index[N], first = i & ~(uint64_t)(N - 1);
    unsigned n = 0;
    for (uint64_t b = first; b < min_u64(first + N, r->count); b++)
        if (b == i || !is_done(r->done, r->done_at + b))
            index[n++] = b;
    if (n < 2)
        return false;
    for (unsigned m = 0; m < N; m++)
        data[m] = r->base + index[m < n ? m : 0] * BLOCK;
    if (!sha256_lanes(&v.tree.salted, data, BLOCK, found)) {
        v.one_by_one = true; /* for this CPU and salt it is always so */
        return false;
    }
    *ret_right = false;
    for (unsigned m = 0; m < n; m++) {
        if (memcmp(found[m], digest(r->above, index[m]), DIGEST) != 0)
            continue;
        set_done(r->done, r->done_at + index[m]);
        *ret_right |= index[m] == i;
    }
    return true;
}

static bool check_in_row(const struct row *r, uint64_t i)
{
    bool right;
    if (is_done(r->done, r->done_at + i))
        return true;
    if (!v.one_by_one && check_eight(r, i, &right))
        return right;
    if (!verity_block_is(&v.tree, r->base + i * BLOCK, digest(r->above, i)))
        return false;
    set_done(r->done, r->done_at + i);
    return true;
}

/* Check data block i, and before it the hash blocks above it from the top down. */
static int check_block(uint64_t i)
{
    for (unsigned l = v.tree.levels; l-- > 0;) {
        struct row r = { v.hash + v.tree.level_at[l] * BLOCK, v.tree.level_count[l], v.hash_done,
                         v.tree.level_at[l], l + 1 };
        uint64_t index = i >> 7 * (l + 1);
        if (!check_in_row(&r, index)) {
            log_error("root image: hash block %llu of the hash tree is not what the root hash says",
                      (unsigned long long)(v.tree.level_at[l] + index));
            return verity_wrong();
        }
    }
    struct row r = { v.data, v.tree.blocks, v.data_done, 0, 0 };
    if (!check_in_row(&r, i)) {
        log_error("root image: block %llu is not what the root hash says", (unsigned long long)i);
        return verity_wrong();
    }
    return 0;
}

uint64_t verity_ready(uint64_t offset, unsigned n)
{
    uint64_t block = offset / BLOCK, mask = n < 64 ? (1ull << n) - 1 : ~0ull;
    unsigned shift = block % 64;
    if (!v.data_done)
        return mask;
    /* Relaxed: as is_done. */
    _Atomic uint64_t *word = &v.data_done[block / 64];
    uint64_t done = atomic_load_explicit(word, memory_order_relaxed) >> shift;
    if (shift + n > 64) /* then shift is not 0 */
        done |= atomic_load_explicit(word + 1, memory_order_relaxed) << (64 - shift);
    return done & mask;
}

int verity_check(uint64_t offset, uint64_t size)
{
    if (UNLIKELY(!v.data_done || !size))
        return 0;
    for (uint64_t i = offset / BLOCK; i <= (offset + size - 1) / BLOCK; i++) {
        if (LIKELY(is_done(v.data_done, i)))
            continue;
        int err = check_block(i);
        if (err)
            return err;
    }
    return 0;
}

static const char *super_check(const struct super *s, uint64_t data_size)
{
    static const uint8_t signature[8] = "verity";
    if (memcmp(s->signature, signature, sizeof(signature)) != 0)
        return "there is none";
    if (s->version != 1 || s->hash_type != 1)
        return "not version 1, type 1";
    if (strncmp(s->algorithm, "sha256", sizeof(s->algorithm)) != 0)
        return "the hash is not sha256";
    if (s->data_block_size != BLOCK || s->hash_block_size != BLOCK)
        return "blocks are not of 4096 bytes";
    if (s->salt_size > SALT_MAX)
        return "the salt is too long";
    if (data_size % BLOCK || s->data_blocks != data_size / BLOCK || s->data_blocks == 0)
        return "not for an image of this size";
    return NULL;
}

const char *verity_tree_init(struct verity_tree *t, const void *super, uint64_t data_size,
                             uint64_t max, const uint8_t root_hash[32])
{
    struct super s;
    memcpy(&s, super, sizeof(s));
    const char *why = super_check(&s, data_size);
    if (why)
        return why;
    /* The levels lie behind the superblock's block, the top one first. */
    *t = (struct verity_tree){ .blocks = s.data_blocks, .hash_blocks = 1 };
    for (uint64_t n = t->blocks; n > 1 && t->levels < VERITY_LEVELS_MAX;) {
        n = (n + PER_BLOCK - 1) / PER_BLOCK;
        t->level_count[t->levels++] = n;
    }
    for (unsigned l = t->levels; l-- > 0;) {
        t->level_at[l] = t->hash_blocks;
        t->hash_blocks += t->level_count[l];
    }
    memcpy(t->root, root_hash, DIGEST);
    sha256_init(&t->salted);
    sha256_add(&t->salted, s.salt, s.salt_size);
    return t->hash_blocks <= max ? NULL : "the hash tree is truncated";
}

int verity_init(const void *root, size_t root_size, const void *hash, size_t hash_size,
                const uint8_t root_hash[32])
{
    const char *why = hash_size < BLOCK ? "there is none"
                                        : verity_tree_init(&v.tree, hash, root_size,
                                                           hash_size / BLOCK, root_hash);
    if (why) {
        log_error("root image: verity superblock: %s", why);
        return -EINVAL;
    }
    v.data = root;
    v.hash = hash;
    _Atomic uint64_t *data_done = heap_calloc((v.tree.blocks + 63) / 64, sizeof(uint64_t));
    v.hash_done = heap_calloc((hash_size / BLOCK + 63) / 64, sizeof(uint64_t));
    if (!data_done || !v.hash_done) {
        heap_free((void *)data_done);
        heap_free((void *)v.hash_done);
        return -ENOMEM;
    }
    v.data_done = data_done;
    return verity_check(0, 1); /* the first block, and with it the tree's top */
}
