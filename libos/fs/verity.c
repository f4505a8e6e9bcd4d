/* SPDX-License-Identifier: MIT */
/* dm-verity as veritysetup(8) lays it out: a superblock, then the levels of the hash tree from the root block down to the
 * hashes of the data blocks. Each block is hashed once, salt first; a bit per block remembers. A bit is set only after
 * the block and everything above it were right, and is never cleared, so readers need no lock: at worst two CPUs check
 * the same block. Where the CPU hashes several blocks in little more time than one, those beside it are checked, too. */
#include <libos/verity.h>

#include <abi/errno.h>
#include <base/log.h>
#include <libos/heap.h>
#include <libos/sha256.h>
#include <stdatomic.h>
#include <string.h>

enum {
    BLOCK = 4096,
    DIGEST = 32,
    PER_BLOCK = BLOCK / DIGEST,
    LEVELS_MAX = 9, /* of 128 hashes each: 2^63 blocks */
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
    uint64_t blocks; /* of data */
    unsigned levels; /* 0: the one data block's hash is the root hash */
    uint64_t
        level_at[LEVELS_MAX]; /* hash block where level i begins; level 0 holds the data's hashes */
    uint64_t level_count[LEVELS_MAX];
    uint8_t root[DIGEST];
    struct sha256 salted;                    /* the state after the salt */
    _Atomic uint64_t *data_done, *hash_done; /* NULL: no checking */
    _Atomic bool one_by_one;                 /* hashing several at once gains nothing */
} v;

static bool is_done(_Atomic uint64_t *map, uint64_t block)
{
    /* Relaxed: the checked bytes do not change, so there is nothing to order. */
    return atomic_load_explicit(&map[block / 64], memory_order_relaxed) >> block % 64 & 1;
}

static void set_done(_Atomic uint64_t *map, uint64_t block)
{
    atomic_fetch_or_explicit(&map[block / 64], 1ull << block % 64, memory_order_relaxed);
}

static bool block_is(const uint8_t *block, const uint8_t digest[DIGEST])
{
    struct sha256 s = v.salted;
    uint8_t found[DIGEST];
    sha256_add(&s, block, BLOCK);
    sha256_end(&s, found);
    return memcmp(found, digest, DIGEST) == 0;
}

/* The hash of entry i of the level above: in hash level l, or the root hash above the top. */
static const uint8_t *digest(unsigned l, uint64_t i)
{
    return l == v.levels
               ? v.root
               : v.hash + (v.level_at[l] + i / PER_BLOCK) * BLOCK + i % PER_BLOCK * DIGEST;
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
    if (!sha256_lanes(&v.salted, data, BLOCK, found)) {
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
    if (!block_is(r->base + i * BLOCK, digest(r->above, i)))
        return false;
    set_done(r->done, r->done_at + i);
    return true;
}

/* Check data block i, and before it the hash blocks above it from the top down. */
static int check_block(uint64_t i)
{
    for (unsigned l = v.levels; l-- > 0;) {
        struct row r = { v.hash + v.level_at[l] * BLOCK, v.level_count[l], v.hash_done,
                         v.level_at[l], l + 1 };
        uint64_t index = i >> 7 * (l + 1);
        if (!check_in_row(&r, index)) {
            log_error("root image: hash block %llu of the hash tree is not what the root hash says",
                      (unsigned long long)(v.level_at[l] + index));
            return -EIO;
        }
    }
    struct row r = { v.data, v.blocks, v.data_done, 0, 0 };
    if (!check_in_row(&r, i)) {
        log_error("root image: block %llu is not what the root hash says", (unsigned long long)i);
        return -EIO;
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

static int refuse(const char *why)
{
    log_error("root image: verity superblock: %s", why);
    return -EINVAL;
}

static int super_check(const struct super *s, size_t root_size)
{
    static const uint8_t signature[8] = "verity";
    if (memcmp(s->signature, signature, sizeof(signature)) != 0)
        return refuse("there is none");
    if (s->version != 1 || s->hash_type != 1)
        return refuse("not version 1, type 1");
    if (strncmp(s->algorithm, "sha256", sizeof(s->algorithm)) != 0)
        return refuse("the hash is not sha256");
    if (s->data_block_size != BLOCK || s->hash_block_size != BLOCK)
        return refuse("blocks are not of 4096 bytes");
    if (s->salt_size > SALT_MAX)
        return refuse("the salt is too long");
    if (root_size % BLOCK || s->data_blocks != root_size / BLOCK || s->data_blocks == 0)
        return refuse("not for an image of this size");
    return 0;
}

/* Place the levels behind the superblock's block, top level first. False: the area is too small. */
static bool place_levels(uint64_t blocks, uint64_t hash_blocks)
{
    uint64_t at = 1;
    v.levels = 0;
    for (uint64_t n = blocks; n > 1 && v.levels < LEVELS_MAX;) {
        n = (n + PER_BLOCK - 1) / PER_BLOCK;
        v.level_count[v.levels++] = n;
    }
    for (unsigned l = v.levels; l-- > 0;) {
        v.level_at[l] = at;
        at += v.level_count[l];
    }
    return at <= hash_blocks;
}

int verity_init(const void *root, size_t root_size, const void *hash, size_t hash_size,
                const uint8_t root_hash[32])
{
    struct super s;
    if (hash_size < BLOCK)
        return refuse("there is none");
    memcpy(&s, hash, sizeof(s));
    int err = super_check(&s, root_size);
    if (err)
        return err;
    if (!place_levels(s.data_blocks, hash_size / BLOCK))
        return refuse("the hash tree is truncated");
    v.data = root;
    v.hash = hash;
    v.blocks = s.data_blocks;
    memcpy(v.root, root_hash, DIGEST);
    sha256_init(&v.salted);
    sha256_add(&v.salted, s.salt, s.salt_size);
    _Atomic uint64_t *data_done = heap_calloc((v.blocks + 63) / 64, sizeof(uint64_t));
    v.hash_done = heap_calloc((hash_size / BLOCK + 63) / 64, sizeof(uint64_t));
    if (!data_done || !v.hash_done) {
        heap_free((void *)data_done);
        heap_free((void *)v.hash_done);
        return -ENOMEM;
    }
    v.data_done = data_done;
    return verity_check(0, 1); /* the first block, and with it the tree's top */
}
