/* SPDX-License-Identifier: MIT */
/* Blocks. Each group has two bitmaps: the disk's, which changes within transactions, and `busy`, which says what must not be
 * given out: the disk's, and what was given out but is not mapped yet, and what was freed but is not committed. Blocks for
 * delayed data are reserved as a number first, so that write(2) learns of a full disk. Lock: the group's. */
#include "ext4.h"

#include <abi/errno.h>
#include <string.h>

enum { SLACK = 32 /* blocks kept for metadata when data is reserved */ };

static bool bit(const void *map, uint32_t n)
{
    return ((const uint8_t *)map)[n / 8] >> n % 8 & 1;
}

static void set_bits(void *map, uint32_t first, uint32_t count, bool on)
{
    uint8_t *m = map;
    for (uint32_t i = first; i < first + count; i++)
        if (on)
            m[i / 8] |= (uint8_t)(1u << i % 8);
        else
            m[i / 8] &= (uint8_t) ~(1u << i % 8);
}

/* Blocks at a group's beginning for the superblock's copy, the descriptors and their reserve. */
static uint32_t base_blocks(struct ext4 *fs, uint32_t group)
{
    const struct ext4_super *s = ext4_super(fs);
    uint32_t has = ext4_group_has_super(fs, group), per = fs->descs_per_block;
    uint32_t gdt = (fs->groups + per - 1) / per;
    if (fs->incompat & INCOMPAT_META_BG && group >= s->first_meta_bg * per) {
        uint32_t in = group % per;
        return has + (in == 0 || in == 1 || in == per - 1);
    }
    if (fs->incompat & INCOMPAT_META_BG)
        gdt = s->first_meta_bg;
    return has ? 1 + gdt + s->reserved_gdt_blocks : 0;
}

static void mark_place(struct ext4 *fs, uint32_t group, uint8_t *map, uint64_t block,
                       uint32_t count)
{
    uint64_t first = ext4_group_first(fs, group);
    uint32_t n = ext4_group_blocks(fs, group);
    for (uint32_t i = 0; i < count; i++)
        if (block + i >= first && block + i < first + n)
            set_bits(map, (uint32_t)(block + i - first), 1, true);
}

/* The bitmap of a group that was never written. */
static void make_bitmap(struct ext4 *fs, uint32_t group, const struct ext4_group *g, uint8_t *map)
{
    uint32_t n = ext4_group_blocks(fs, group), base = base_blocks(fs, group);
    uint32_t table =
        (uint32_t)(((uint64_t)fs->inodes_per_group * fs->inode_size + fs->block_size - 1) >>
                   fs->block_bits);
    memset(map, 0, fs->block_size);
    set_bits(map, 0, (uint32_t)min_u64(base, n), true);
    mark_place(fs, group, map, group_block_bitmap(fs, g), 1);
    mark_place(fs, group, map, group_inode_bitmap(fs, g), 1);
    mark_place(fs, group, map, group_inode_table(fs, g), table);
    set_bits(map, n, fs->block_size * 8 - n, true);
}

/* The group's bitmap as the disk has it. */
static int disk_bitmap(struct ext4 *fs, uint32_t group, struct ext4_group *g, struct buf **ret)
{
    uint64_t block = group_block_bitmap(fs, g);
    struct buf *b;
    bool uninit = (fs->csum || fs->gdt_csum) && g->flags & BG_BLOCK_UNINIT;
    if (fs->group[group].bad)
        return -EIO;
    int err = uninit ? buf_fresh(fs, block, &b) : buf_read(fs, block, &b);
    if (err)
        return err;
    b->group = group;
    if (!b->tid)
        b->kind = BUF_BBITMAP;
    if (uninit) {
        make_bitmap(fs, group, g, (uint8_t *)b->data);
    } else if (!b->verified && !buf_checksum_ok(fs, b)) {
        ext4_error(fs, "block bitmap of group", group);
        fs->group[group].bad = true;
        buf_put(fs, b);
        return -EIO;
    }
    b->verified = true;
    *ret = b;
    return 0;
}

/* Make busy of a group. Locks: the group's is held. */
static int load_group(struct ext4 *fs, uint32_t group)
{
    struct ext4_group_info *gi = &fs->group[group];
    struct ext4_group *g;
    struct buf *b;
    if (gi->busy)
        return 0;
    int err = ext4_group_desc(fs, group, &g, NULL);
    if (!err)
        err = disk_bitmap(fs, group, g, &b);
    if (err)
        return err;
    if ((gi->busy = heap_alloc(fs->block_size))) {
        uint32_t n = ext4_group_blocks(fs, group), clear = 0;
        memcpy(gi->busy, b->data, fs->block_size);
        set_bits(gi->busy, n, fs->block_size * 8 - n, true);
        for (uint32_t i = 0; i < fs->block_size; i += 8) {
            uint64_t w;
            memcpy(&w, gi->busy + i, 8);
            clear += 64u - (uint32_t)__builtin_popcountll(w);
        }
        fs->free_blocks += (int64_t)clear - gi->free;
        gi->free = clear;
    } else {
        err = -ENOMEM;
    }
    buf_put(fs, b);
    return err;
}

/* The 64 bits of map that bit at lies in, from it on. */
static uint64_t bits_from(const uint8_t *map, uint32_t at)
{
    uint64_t w;
    memcpy(&w, map + at / 64 * 8, 8);
    return w >> at % 64;
}

/* The first free bit from at on; limit: none. */
static uint32_t next_free(const uint8_t *map, uint32_t at, uint32_t limit)
{
    while (at < limit) {
        /* Zeros that came in at the top must not look free. */
        uint64_t taken = bits_from(map, at) | ~(UINT64_MAX >> at % 64);
        if (taken != UINT64_MAX)
            return (uint32_t)min_u64(at + (unsigned)__builtin_ctzll(~taken), limit);
        at += 64 - at % 64;
    }
    return limit;
}

/* How many bits from at on are free, at most want. */
static uint32_t run_length(const uint8_t *map, uint32_t at, uint32_t limit, uint32_t want)
{
    uint32_t end = (uint32_t)min_u64((uint64_t)at + want, limit), from = at;
    while (at < end) {
        uint64_t taken = bits_from(map, at);
        if (taken) {
            at += (unsigned)__builtin_ctzll(taken);
            break;
        }
        at += 64 - at % 64;
    }
    return (uint32_t)min_u64(at, end) - from;
}

/* The first free run of want bits from `from` on, else the longest seen. */
static uint32_t find_run(const uint8_t *map, uint32_t limit, uint32_t from, uint32_t want,
                         uint32_t *ret_len)
{
    uint32_t best = 0, best_len = 0;
    for (uint32_t at = next_free(map, from, limit); at < limit; at = next_free(map, at, limit)) {
        uint32_t n = run_length(map, at, limit, want);
        if (n > best_len) {
            best = at;
            best_len = n;
        }
        if (best_len == want)
            break;
        at += n;
    }
    *ret_len = best_len;
    return best;
}

/* Take up to *count blocks of a group from bit `from` on, at least min. */
static int take_in_group(struct ext4 *fs, uint32_t group, uint32_t from, uint32_t min,
                         uint32_t *count, uint64_t *ret_block)
{
    struct ext4_group_info *gi = &fs->group[group];
    uint32_t n = ext4_group_blocks(fs, group), len = 0, at = 0;
    mutex_lock(&gi->lock);
    int err = gi->free < min ? -ENOSPC : load_group(fs, group);
    if (!err && gi->free >= min) {
        gi->low = next_free(gi->busy, gi->low, n);
        at = find_run(gi->busy, n, from < n ? (uint32_t)max_u64(from, gi->low) : gi->low, *count,
                      &len);
        if (len < *count && from) {
            uint32_t len2, at2 = find_run(gi->busy, n, gi->low, *count, &len2);
            if (len2 > len) {
                at = at2;
                len = len2;
            }
        }
    }
    if (!err && (!len || len < min))
        err = -ENOSPC;
    if (!err) {
        set_bits(gi->busy, at, len, true);
        gi->free -= len;
        gi->next = at + len;
        fs->free_blocks -= len;
        *count = len;
        *ret_block = ext4_group_first(fs, group) + at;
    }
    mutex_unlock(&gi->lock);
    return err;
}

int balloc_take(struct ext4 *fs, uint64_t goal, uint32_t *count, uint64_t *ret_block)
{
    if (goal < fs->first_data || goal >= fs->blocks)
        goal = fs->first_data;
    uint32_t group = (uint32_t)((goal - fs->first_data) / fs->blocks_per_group);
    uint32_t from = (uint32_t)((goal - fs->first_data) % fs->blocks_per_group);
    uint32_t want = (uint32_t)min_u64(*count, fs->blocks_per_group);
    /* First a group that can give all of it in one piece, then ever less. */
    for (uint32_t min = want;; min = min / 4 ? min / 4 : 1) {
        for (uint32_t i = 0; i < fs->groups; i++) {
            uint32_t g = (group + i) % fs->groups;
            *count = want;
            int err = take_in_group(fs, g, i ? fs->group[g].next : from, min, count, ret_block);
            if (err != -ENOSPC && err != -EIO)
                return err;
        }
        if (min == 1)
            return -ENOSPC;
    }
}

static void give_back(struct ext4 *fs, uint64_t block, uint32_t count)
{
    uint32_t group = (uint32_t)((block - fs->first_data) / fs->blocks_per_group);
    struct ext4_group_info *gi = &fs->group[group];
    mutex_lock(&gi->lock);
    uint32_t first = (uint32_t)(block - ext4_group_first(fs, group));
    if (gi->busy)
        set_bits(gi->busy, first, count, false);
    gi->low = (uint32_t)min_u64(gi->low, first);
    gi->free += count;
    fs->free_blocks += count;
    mutex_unlock(&gi->lock);
}

void balloc_untake(struct ext4 *fs, uint64_t block, uint32_t count)
{
    give_back(fs, block, count);
}

void balloc_release(struct ext4 *fs, uint64_t block, uint32_t count)
{
    give_back(fs, block, count);
}

/* Set or clear [block, block + count), all of one group, in the disk's bitmap. */
static int change(struct ext4 *fs, uint64_t block, uint32_t count, bool on)
{
    uint32_t group = (uint32_t)((block - fs->first_data) / fs->blocks_per_group);
    uint32_t first = (uint32_t)(block - ext4_group_first(fs, group));
    struct ext4_group_info *gi = &fs->group[group];
    struct ext4_group *g;
    struct buf *b = NULL, *gdt;
    int err = ext4_group_desc(fs, group, &g, &gdt);
    if (err)
        return err;
    mutex_lock(&gi->lock);
    err = load_group(fs, group);
    if (!err)
        err = disk_bitmap(fs, group, g, &b);
    if (!err)
        err = txn_access(fs, b, BUF_BBITMAP, 0);
    if (!err)
        err = txn_access_group(fs, gdt, g);
    for (uint32_t i = 0; i < count && !err; i++)
        if (bit(b->data, first + i) == on) {
            ext4_error(fs, on ? "block used twice:" : "free block freed again:", block + i);
            err = -EIO;
        }
    if (!err) {
        uint32_t n = group_free_blocks(fs, g);
        set_bits(b->data, first, count, on);
        group_set_free_blocks(fs, g, on ? n - (uint32_t)min_u64(n, count) : n + count);
        g->flags &= (uint16_t)~BG_BLOCK_UNINIT;
    }
    mutex_unlock(&gi->lock);
    buf_put(fs, b);
    return err;
}

/* Cut a run at the groups' borders. */
static int change_run(struct ext4 *fs, uint64_t block, uint32_t count, bool on)
{
    int err = 0;
    while (count && !err) {
        uint64_t in = (block - fs->first_data) % fs->blocks_per_group;
        uint32_t n = (uint32_t)min_u64(count, fs->blocks_per_group - in);
        err = change(fs, block, n, on);
        block += n;
        count -= n;
    }
    return err;
}

int balloc_mark(struct ext4 *fs, uint64_t block, uint32_t count)
{
    return change_run(fs, block, count, true);
}

int balloc_free(struct ext4 *fs, uint64_t block, uint32_t count, bool metadata)
{
    int err = 0;
    if (!ext4_valid_run(fs, block, count)) {
        ext4_error(fs, "freed block", block);
        return -EIO;
    }
    while (count && !err) {
        uint64_t in = (block - fs->first_data) % fs->blocks_per_group;
        uint32_t n = (uint32_t)min_u64(count, fs->blocks_per_group - in);
        err = change(fs, block, n, false);
        if (!err)
            err = txn_freed(fs, block, n, metadata);
        block += n;
        count -= n;
    }
    return err;
}

uint64_t ext4_goal(struct ext4_inode *ei)
{
    if (ei->goal)
        return ei->goal;
    return ext4_group_first(ei->fs, ei->group);
}

int balloc_meta(struct ext4_inode *ei, enum buf_kind kind, struct buf **ret)
{
    struct ext4 *fs = ei->fs;
    uint32_t count = 1;
    uint64_t block;
    int err = balloc_take(fs, ext4_goal(ei), &count, &block);
    if (err)
        return err;
    err = balloc_mark(fs, block, 1);
    if (err) {
        balloc_untake(fs, block, 1);
        return err;
    }
    err = buf_fresh(fs, block, ret);
    if (!err)
        err = txn_access(fs, *ret, kind, ei->seed);
    if (!err)
        ei->blocks512 += fs->sectors;
    return err;
}

int balloc_reserve(struct ext4 *fs, uint32_t count, bool root)
{
    int64_t keep = SLACK + (root ? 0 : (int64_t)fs->root_blocks);
    for (unsigned tries = 0; tries < 2; tries++) {
        int64_t now = atomic_fetch_add(&fs->reserved, count) + count;
        if (fs->free_blocks - now >= keep)
            return 0;
        atomic_fetch_sub(&fs->reserved, count);
        /* What was freed a moment ago comes back with a commit. */
        if (tries || txn_commit(fs, txn_tid(fs)))
            break;
    }
    return -ENOSPC;
}

void balloc_unreserve(struct ext4 *fs, uint32_t count)
{
    atomic_fetch_sub(&fs->reserved, count);
}
