/* SPDX-License-Identifier: MIT */
/* Indexes of directories: a tree of hash values whose root is the directory's first block, behind "." and "..". A leaf that is
 * full is split at the middle of its hashes; an index block too; a full root gets one level more. */
#include "ext4.h"

#include <abi/errno.h>
#include <stdlib.h>
#include <string.h>

enum { LEVELS_MAX = 3, ENTRIES_MAX = 4096 / 12 };

struct node {
    struct buf *buf;
    struct ext4_dx_entry *e; /* the first one's hash is count and limit */
    uint32_t count, limit, at;
};

struct index {
    struct node node[LEVELS_MAX];
    uint32_t levels; /* nodes on the way, the root included */
    unsigned version;
};

static struct ext4_dx_countlimit *counts(const struct node *n)
{
    return (void *)n->e;
}

static void set_count(struct node *n, uint32_t count)
{
    n->count = count;
    counts(n)->count = (uint16_t)count;
}

static uint32_t limit_of(const struct ext4 *fs, uint32_t first)
{
    return (fs->block_size - first - (fs->csum ? (uint32_t)sizeof(struct ext4_dx_tail) : 0)) /
           (uint32_t)sizeof(struct ext4_dx_entry);
}

/* The entries of an index block, if they make sense. */
static int node_take(struct ext4_inode *dir, struct buf *b, uint32_t first, struct node *n)
{
    n->buf = b;
    n->e = (void *)(b->data + first);
    n->count = counts(n)->count;
    n->limit = counts(n)->limit;
    n->at = 0;
    if (n->limit != limit_of(dir->fs, first) || !n->count || n->count > n->limit) {
        ext4_error(dir->fs, "index of directory", dir->ino);
        return -EIO;
    }
    return 0;
}

static void node_search(struct node *n, uint32_t hash)
{
    uint32_t lo = 1, hi = n->count;
    while (lo < hi) {
        uint32_t mid = (lo + hi) / 2;
        if (n->e[mid].hash <= hash)
            lo = mid + 1;
        else
            hi = mid;
    }
    n->at = lo - 1;
}

static void index_release(struct ext4_inode *dir, struct index *x)
{
    for (uint32_t i = 0; i < LEVELS_MAX; i++)
        if (x->node[i].buf)
            buf_put(dir->fs, x->node[i].buf);
    memset(x, 0, sizeof(*x));
}

/* The root's facts. -EOPNOTSUPP: of a kind that is not known. */
static int root_info(struct ext4_inode *dir, const struct buf *b, struct index *x)
{
    const struct ext4_dx_root_info *info = (const void *)(b->data + DX_ROOT_INFO_AT);
    if (info->hash_version > HASH_TEA || info->info_length != sizeof(*info) ||
        info->unused_flags & 1)
        return -EOPNOTSUPP;
    x->version = info->hash_version;
    x->levels = info->indirect_levels + 1u;
    if (x->levels > LEVELS_MAX) {
        ext4_error(dir->fs, "index of directory", dir->ino);
        return -EIO;
    }
    return 0;
}

static int index_find(struct ext4_inode *dir, uint32_t hash, struct index *x)
{
    struct buf *b;
    memset(x, 0, sizeof(*x));
    int err = dir_block(dir, 0, &b);
    if (err)
        return err;
    x->node[0].buf = b;
    err = root_info(dir, b, x);
    if (!err)
        err = node_take(dir, b, DX_ROOT_INFO_AT + 8, &x->node[0]);
    for (uint32_t i = 0; !err; i++) {
        node_search(&x->node[i], hash);
        if (i + 1 == x->levels)
            return 0;
        err = dir_block(dir, x->node[i].e[x->node[i].at].block & 0x0fffffff, &b);
        if (!err)
            err = node_take(dir, b, DX_NODE_AT, &x->node[i + 1]);
    }
    index_release(dir, x);
    return err;
}

int htree_hash_name(struct ext4_inode *dir, const char *name, size_t len, uint32_t *ret)
{
    struct index x = { 0 };
    struct buf *b;
    int err = dir_block(dir, 0, &b);
    if (err)
        return err;
    err = root_info(dir, b, &x);
    buf_put(dir->fs, b);
    return err ? err : ext4_name_hash(dir->fs, x.version, name, len, ret);
}

int htree_leaf(struct ext4_inode *dir, uint32_t hash, uint32_t *ret_lblock, uint32_t *ret_next)
{
    struct index x;
    int err = index_find(dir, hash, &x);
    if (err)
        return err;
    const struct node *leaf = &x.node[x.levels - 1];
    *ret_lblock = leaf->e[leaf->at].block & 0x0fffffff;
    *ret_next = 0;
    for (uint32_t i = x.levels; i-- > 0;) {
        const struct node *n = &x.node[i];
        if (n->at + 1 >= n->count)
            continue;
        uint32_t next = n->e[n->at + 1].hash;
        if (next & 1 && (next & ~1u) == (hash & ~1u) && next != hash)
            *ret_next = next;
        break;
    }
    index_release(dir, &x);
    return 0;
}

/* Names of a leaf with their hashes. */
struct name_map {
    uint32_t hash;
    uint16_t at, size;
};

static int by_hash(const void *a, const void *b)
{
    uint32_t x = ((const struct name_map *)a)->hash, y = ((const struct name_map *)b)->hash;
    return x < y ? -1 : x > y;
}

static uint32_t used_len(const struct ext4_dirent *e)
{
    return (DIRENT_HEADER + e->name_len + 3u) & ~3u;
}

static int map_names(struct ext4_inode *dir, const char *block, uint32_t from, unsigned version,
                     struct name_map *map, uint32_t *ret_n)
{
    uint32_t n = 0, end = dir_usable(dir->fs);
    for (uint32_t at = from; at + DIRENT_HEADER <= end;) {
        const struct ext4_dirent *e = (const void *)(block + at);
        if (!dirent_ok(dir->fs, at, e) || n == ENTRIES_MAX)
            return -EIO;
        if (e->inode) {
            map[n] = (struct name_map){ 0, (uint16_t)at, (uint16_t)used_len(e) };
            int err = ext4_name_hash(dir->fs, version, e->name, e->name_len, &map[n].hash);
            if (err)
                return err;
            n++;
        }
        at += e->rec_len;
    }
    qsort(map, n, sizeof(*map), by_hash);
    *ret_n = n;
    return 0;
}

/* Write these names of `from` into block, close together. */
static void pack(const struct ext4 *fs, char *block, const char *from, const struct name_map *map,
                 uint32_t n)
{
    uint32_t at = 0, end = dir_usable(fs);
    struct ext4_dirent *last = (void *)block;
    memset(block, 0, end);
    for (uint32_t i = 0; i < n; i++) {
        last = (void *)(block + at);
        memcpy(last, from + map[i].at, map[i].size);
        last->rec_len = map[i].size;
        at += map[i].size;
    }
    last->rec_len = (uint16_t)(last->rec_len + end - at);
}

static void insert_entry(struct node *n, uint32_t hash, uint32_t block)
{
    struct ext4_dx_entry *e = &n->e[n->at + 1];
    memmove(e + 1, e, (n->count - n->at - 1) * sizeof(*e));
    *e = (struct ext4_dx_entry){ hash, block };
    set_count(n, n->count + 1);
}

/* An empty index block. */
static int node_new(struct ext4_inode *dir, uint32_t *ret_lblock, struct node *n)
{
    struct buf *b;
    int err = dir_append(dir, BUF_DX, ret_lblock, &b);
    if (err)
        return err;
    struct ext4_dirent *e = (void *)b->data;
    memset(b->data, 0, dir->fs->block_size);
    e->rec_len = (uint16_t)dir->fs->block_size;
    n->buf = b;
    n->e = (void *)(b->data + DX_NODE_AT);
    n->limit = limit_of(dir->fs, DX_NODE_AT);
    n->at = 0;
    counts(n)->limit = (uint16_t)n->limit;
    set_count(n, 0);
    return 0;
}

/* The root's entries go one level down. */
static int deepen(struct ext4_inode *dir, struct index *x)
{
    struct node *root = &x->node[0], below;
    struct ext4_dx_root_info *info = (void *)(root->buf->data + DX_ROOT_INFO_AT);
    uint32_t lblock, max = dir->fs->incompat & INCOMPAT_LARGEDIR ? LEVELS_MAX : 2;
    if (x->levels == max)
        return -ENOSPC;
    int err = node_new(dir, &lblock, &below);
    if (!err)
        err = txn_access(dir->fs, root->buf, BUF_DX, dir->seed);
    if (err)
        return err;
    struct ext4_dx_countlimit keep = *counts(&below);
    memcpy(below.e, root->e, root->count * sizeof(root->e[0]));
    *counts(&below) = keep;
    set_count(&below, root->count);
    root->e[0].block = lblock;
    set_count(root, 1);
    info->indirect_levels++;
    buf_put(dir->fs, below.buf);
    return 0;
}

/* Split the full index block at level i, whose parent has room. */
static int split_node(struct ext4_inode *dir, struct index *x, uint32_t i)
{
    struct node *n = &x->node[i], *up = &x->node[i - 1], right;
    uint32_t lblock, keep = n->count / 2, moved = n->count - keep;
    int err = node_new(dir, &lblock, &right);
    if (!err)
        err = txn_access(dir->fs, n->buf, BUF_DX, dir->seed);
    if (!err)
        err = txn_access(dir->fs, up->buf, BUF_DX, dir->seed);
    if (err)
        return err;
    uint32_t hash = n->e[keep].hash;
    struct ext4_dx_countlimit c = *counts(&right);
    memcpy(right.e, n->e + keep, moved * sizeof(n->e[0]));
    *counts(&right) = c;
    set_count(&right, moved);
    set_count(n, keep);
    insert_entry(up, hash, lblock);
    buf_put(dir->fs, right.buf);
    return 0;
}

/* Find the way to hash's leaf, with room for one more entry in the lowest index block. */
static int find_with_room(struct ext4_inode *dir, uint32_t hash, struct index *x)
{
    for (;;) {
        int err = index_find(dir, hash, x);
        if (err)
            return err;
        uint32_t i = x->levels - 1;
        if (x->node[i].count < x->node[i].limit)
            return 0;
        while (i > 0 && x->node[i - 1].count == x->node[i - 1].limit)
            i--;
        err = i == 0 ? deepen(dir, x) : split_node(dir, x, i);
        index_release(dir, x);
        if (err)
            return err;
    }
}

/* Where to cut n sorted names, so that the halves are of about the same size. */
static uint32_t middle(const struct name_map *map, uint32_t n)
{
    uint32_t all = 0, sum = 0, i = 0;
    for (uint32_t k = 0; k < n; k++)
        all += map[k].size;
    while (i < n - 1 && sum + map[i].size / 2 < all / 2)
        sum += map[i++].size;
    return i ? i : 1;
}

/* Split the full leaf below the index's end. */
static int split_leaf(struct ext4_inode *dir, struct index *x, struct name_map *map, char *copy)
{
    struct ext4 *fs = dir->fs;
    struct node *up = &x->node[x->levels - 1];
    struct buf *leaf, *right;
    uint32_t n, lblock;
    int err = dir_block(dir, up->e[up->at].block & 0x0fffffff, &leaf);
    if (err)
        return err;
    err = map_names(dir, leaf->data, 0, x->version, map, &n);
    if (!err && n < 2)
        err = -ENOSPC;
    if (!err)
        err = txn_access(fs, leaf, BUF_DIR, dir->seed);
    if (!err)
        err = txn_access(fs, up->buf, BUF_DX, dir->seed);
    if (!err)
        err = dir_append(dir, BUF_DIR, &lblock, &right);
    if (!err) {
        uint32_t at = middle(map, n), hash = map[at].hash;
        memcpy(copy, leaf->data, fs->block_size);
        pack(fs, leaf->data, copy, map, at);
        pack(fs, right->data, copy, map + at, n - at);
        insert_entry(up, hash | (map[at - 1].hash == hash), lblock);
        buf_put(fs, right);
    }
    buf_put(fs, leaf);
    return err;
}

int htree_add(struct ext4_inode *dir, uint32_t hash, const char *name, size_t len, uint32_t ino,
              uint32_t mode)
{
    struct index x;
    struct buf *b;
    uint32_t lblock, next;
    struct name_map *map = heap_calloc(ENTRIES_MAX, sizeof(*map));
    char *copy = block_alloc(dir->fs);
    int err = map && copy ? find_with_room(dir, hash, &x) : -ENOMEM;
    if (!err) {
        err = split_leaf(dir, &x, map, copy);
        index_release(dir, &x);
    }
    if (!err)
        err = htree_leaf(dir, hash, &lblock, &next);
    if (!err)
        err = dir_block(dir, lblock, &b);
    if (!err) {
        err = dir_add_in_block(dir, b, name, len, ino, mode);
        buf_put(dir->fs, b);
    }
    heap_free(map);
    block_free(dir->fs, copy);
    return err;
}

/* Two leaves of the names of the first block, which becomes the root. */
static int make_root(struct ext4_inode *dir, struct buf *root, struct name_map *map, char *copy)
{
    struct ext4 *fs = dir->fs;
    struct ext4_dx_root_info info = { .hash_version = ext4_super(fs)->def_hash_version,
                                      .info_length = sizeof(info) };
    struct buf *leaf;
    uint32_t n, lblock;
    if (info.hash_version > HASH_TEA)
        info.hash_version = HASH_HALF_MD4;
    int err = map_names(dir, root->data, 24, info.hash_version, map, &n);
    if (!err && !n)
        err = -EOPNOTSUPP;
    if (!err)
        err = txn_access(fs, root, BUF_DX, dir->seed);
    if (!err)
        err = dir_append(dir, BUF_DIR, &lblock, &leaf);
    if (err)
        return err;
    memcpy(copy, root->data, fs->block_size);
    pack(fs, leaf->data, copy, map, n);
    buf_put(fs, leaf);
    struct ext4_dirent *dotdot = (void *)(root->data + 12);
    memset(root->data + 24, 0, fs->block_size - 24);
    dotdot->rec_len = (uint16_t)(fs->block_size - 12);
    memcpy(root->data + DX_ROOT_INFO_AT, &info, sizeof(info));
    struct node node = { .e = (void *)(root->data + DX_ROOT_INFO_AT + 8) };
    counts(&node)->limit = (uint16_t)limit_of(fs, DX_ROOT_INFO_AT + 8);
    set_count(&node, 1);
    node.e[0].block = lblock;
    dir->flags |= FL_INDEX;
    return 0;
}

int htree_make(struct ext4_inode *dir)
{
    struct name_map *map = heap_calloc(ENTRIES_MAX, sizeof(*map));
    char *copy = block_alloc(dir->fs);
    struct buf *b;
    int err = map && copy ? dir_block(dir, 0, &b) : -ENOMEM;
    if (!err) {
        const struct ext4_dirent *dot = (void *)b->data, *dotdot = (void *)(b->data + 12);
        /* Linux lays them out like this; another order is left as it is. */
        bool usual = dot->rec_len == 12 && dot->name_len == 1 && dotdot->rec_len == 12 &&
                     dotdot->name_len == 2;
        err = usual ? make_root(dir, b, map, copy) : -EOPNOTSUPP;
        buf_put(dir->fs, b);
    }
    heap_free(map);
    block_free(dir->fs, copy);
    return err;
}
