/* SPDX-License-Identifier: MIT */
/* Changing extent trees. Room is made before anything is changed, so that what begins can be finished: a full leaf is split,
 * from the lowest level that has room downwards; a full root grows. The key of an index entry is always the first block
 * below it. */
#include "extent.h"

#include <abi/errno.h>
#include <string.h>

enum { REMOVE_STEPS = 24 }; /* extents taken out in one go */

static uint32_t node_max(const struct ext4 *fs)
{
    return (fs->block_size - sizeof(struct ext4_extent_header)) / sizeof(struct ext4_extent);
}

static void set_start(struct ext4_extent *e, uint64_t block)
{
    e->start_lo = (uint32_t)block;
    e->start_hi = (uint16_t)(block >> 32);
}

static void set_len(struct ext4_extent *e, uint32_t len, bool unwritten)
{
    e->len = (uint16_t)(unwritten ? len + EXTENT_LEN_MAX : len);
}

/* The longest extent of a kind. */
static uint32_t len_max(bool unwritten)
{
    return unwritten ? EXTENT_LEN_MAX - 1 : EXTENT_LEN_MAX;
}

/* Level i is about to change. */
static int dirty(struct ext4_inode *ei, struct extent_path *p, uint32_t i)
{
    struct buf *b = p->level[i].buf;
    return b ? txn_access(ei->fs, b, BUF_EXTENT, ei->seed) : 0;
}

/* All levels may change: keys go up. */
static int dirty_all(struct ext4_inode *ei, struct extent_path *p)
{
    int err = 0;
    for (uint32_t i = 0; i <= p->depth && !err; i++)
        err = dirty(ei, p, i);
    return err;
}

static void fix_keys(struct extent_path *p)
{
    for (uint32_t i = p->depth; i > 0; i--) {
        const struct ext4_extent *first = (const void *)(p->level[i].h + 1);
        if (p->level[i].h->entries)
            level_index(&p->level[i - 1])->block = first->block;
    }
}

/* Open a place for an entry behind l->at. Entries of both kinds are 12 bytes. */
static void *open_entry(struct extent_level *l)
{
    l->at++;
    struct ext4_extent *e = level_extent(l);
    memmove(e + 1, e, (size_t)(l->h->entries - l->at) * sizeof(*e));
    l->h->entries++;
    return e;
}

static void close_entry(struct extent_level *l)
{
    struct ext4_extent *e = level_extent(l);
    memmove(e, e + 1, (size_t)(l->h->entries - l->at - 1) * sizeof(*e));
    l->h->entries--;
    memset((struct ext4_extent *)(l->h + 1) + l->h->entries, 0, sizeof(*e));
    l->at--;
}

/* The root's entries move into a block of their own. */
static int grow(struct ext4_inode *ei, struct extent_path *p)
{
    struct ext4_extent_header *root = p->level[0].h;
    struct buf *b;
    if (root->depth >= EXTENT_DEPTH_MAX)
        return -EFBIG;
    int err = balloc_meta(ei, BUF_EXTENT, &b);
    if (err)
        return err;
    struct ext4_extent_header *h = (void *)b->data;
    memcpy(h, root, sizeof(*h) + root->entries * sizeof(struct ext4_extent));
    h->max = (uint16_t)node_max(ei->fs);
    uint32_t key = ((struct ext4_extent *)(h + 1))->block;
    struct ext4_extent_index x = { key, (uint32_t)b->block, (uint16_t)(b->block >> 32), 0 };
    memset(root + 1, 0, 4 * sizeof(x));
    root->entries = 1;
    root->depth++;
    memcpy(root + 1, &x, sizeof(x));
    buf_put(ei->fs, b);
    return 0;
}

/* Split the full node at level i; level i - 1 has room. At its end when something is added there, else in the middle. */
static int split(struct ext4_inode *ei, struct extent_path *p, uint32_t i)
{
    struct extent_level *l = &p->level[i], *up = &p->level[i - 1];
    struct buf *b;
    int err = dirty(ei, p, i);
    if (!err)
        err = dirty(ei, p, i - 1);
    if (!err)
        err = balloc_meta(ei, BUF_EXTENT, &b);
    if (err)
        return err;
    uint32_t n = l->h->entries, keep = l->at == (int)n - 1 ? n - 1 : n / 2;
    struct ext4_extent_header *h = (void *)b->data;
    struct ext4_extent *from = (struct ext4_extent *)(l->h + 1) + keep;
    *h = *l->h;
    h->entries = (uint16_t)(n - keep);
    h->max = (uint16_t)node_max(ei->fs);
    memcpy(h + 1, from, (n - keep) * sizeof(*from));
    memset(from, 0, (n - keep) * sizeof(*from));
    l->h->entries = (uint16_t)keep;
    struct ext4_extent_index *x = open_entry(up);
    *x = (struct ext4_extent_index){ ((struct ext4_extent *)(h + 1))->block, (uint32_t)b->block,
                                     (uint16_t)(b->block >> 32), 0 };
    buf_put(ei->fs, b);
    return 0;
}

/* Find lblock's place in a leaf that has room for n more entries. */
static int find_with_room(struct ext4_inode *ei, uint32_t lblock, uint32_t n, struct extent_path *p)
{
    for (;;) {
        int err = path_find(ei, lblock, p);
        if (err)
            return err;
        const struct ext4_extent_header *leaf = p->level[p->depth].h;
        if (leaf->entries + n <= leaf->max) {
            err = dirty_all(ei, p);
            if (err)
                path_release(ei, p);
            return err;
        }
        uint32_t i = p->depth;
        while (i > 0 && p->level[i - 1].h->entries == p->level[i - 1].h->max)
            i--;
        err = i == 0 ? grow(ei, p) : split(ei, p, i);
        path_release(ei, p);
        if (err)
            return err;
    }
}

/* Join the entry at l->at with the one behind it, if they are one run. */
static bool join(struct extent_level *l)
{
    if (l->at < 0 || l->at + 1 >= l->h->entries)
        return false;
    struct ext4_extent *a = level_extent(l), *b = a + 1;
    uint32_t la = extent_len(a), lb = extent_len(b);
    bool u = extent_unwritten(a);
    if (u != extent_unwritten(b) || a->block + la != b->block ||
        extent_start(a) + la != extent_start(b) || la + lb > len_max(u))
        return false;
    set_len(a, la + lb, u);
    l->at++;
    close_entry(l);
    return true;
}

int extent_insert(struct ext4_inode *ei, uint32_t lblock, uint64_t block, uint32_t count,
                  bool unwritten)
{
    while (count) {
        struct extent_path p;
        uint32_t n = (uint32_t)min_u64(count, len_max(unwritten));
        int err = find_with_room(ei, lblock, 1, &p);
        if (err)
            return err;
        struct extent_level *l = &p.level[p.depth];
        struct ext4_extent *e = open_entry(l);
        memset(e, 0, sizeof(*e));
        e->block = lblock;
        set_start(e, block);
        set_len(e, n, unwritten);
        join(l);
        l->at--;
        if (!join(l))
            l->at++;
        if (l->at < 0)
            l->at = 0;
        fix_keys(&p);
        path_release(ei, &p);
        lblock += n;
        block += n;
        count -= n;
    }
    return 0;
}

int extent_convert(struct ext4_inode *ei, uint32_t lblock, uint32_t count)
{
    while (count) {
        struct extent_path p;
        int err = find_with_room(ei, lblock, 2, &p);
        if (err)
            return err;
        struct extent_level *l = &p.level[p.depth];
        struct ext4_extent *e = l->at >= 0 ? level_extent(l) : NULL;
        uint32_t off = e ? lblock - e->block : 0;
        if (!e || off >= extent_len(e)) {
            path_release(ei, &p);
            return -EIO; /* not mapped */
        }
        uint32_t n = (uint32_t)min_u64(count, extent_len(e) - off);
        if (extent_unwritten(e)) {
            uint32_t rest = extent_len(e) - off - n;
            uint64_t start = extent_start(e);
            if (rest) {
                struct ext4_extent *r = open_entry(l);
                memset(r, 0, sizeof(*r));
                r->block = lblock + n;
                set_start(r, start + off + n);
                set_len(r, rest, true);
                l->at--;
            }
            e = level_extent(l);
            if (off) {
                set_len(e, off, true);
                e = open_entry(l);
                memset(e, 0, sizeof(*e));
            }
            e->block = lblock;
            set_start(e, start + off);
            set_len(e, n, false);
            join(l);
            l->at--;
            if (!join(l))
                l->at++;
            if (l->at < 0)
                l->at = 0;
            fix_keys(&p);
        }
        path_release(ei, &p);
        lblock += n;
        count -= n;
    }
    return 0;
}

/* The leaf at the path's end is empty: it goes, and with it those above that become empty. */
static int drop_empty(struct ext4_inode *ei, struct extent_path *p)
{
    uint32_t i = p->depth;
    int err = 0;
    for (; i > 0 && p->level[i].h->entries == 0 && !err; i--) {
        err = balloc_free(ei->fs, p->level[i].buf->block, 1, true);
        if (!err) {
            ei->blocks512 -= ei->fs->sectors;
            close_entry(&p->level[i - 1]);
            if (p->level[i - 1].at < 0)
                p->level[i - 1].at = 0;
        }
    }
    if (err)
        return err;
    if (p->level[0].h->entries == 0) {
        p->level[0].h->depth = 0;
        return 0;
    }
    p->depth = i;
    fix_keys(p);
    return 0;
}

/* Take [from, to) out of the extent at the path's end. */
static int cut(struct ext4_inode *ei, struct extent_path *p, uint32_t from, uint64_t to)
{
    struct extent_level *l = &p->level[p->depth];
    struct ext4_extent *e = level_extent(l);
    uint32_t len = extent_len(e), head = from - e->block;
    uint64_t start = extent_start(e), end = (uint64_t)e->block + len;
    uint32_t tail = (uint32_t)(end - to), n = len - head - tail;
    bool u = extent_unwritten(e);
    int err = balloc_free(ei->fs, start + head, n, !S_ISREG(ei->inode->mode));
    if (err)
        return err;
    ei->blocks512 -= (uint64_t)n * ei->fs->sectors;
    if (head && tail) {
        struct ext4_extent *r = open_entry(l);
        memset(r, 0, sizeof(*r));
        r->block = (uint32_t)to;
        set_start(r, start + head + n);
        set_len(r, tail, u);
        set_len(r - 1, head, u);
    } else if (head) {
        set_len(e, head, u);
    } else if (tail) {
        e->block = (uint32_t)to;
        set_start(e, start + n);
        set_len(e, tail, u);
    } else {
        close_entry(l);
        if (l->h->entries == 0)
            return drop_empty(ei, p);
        if (l->at < 0)
            l->at = 0;
    }
    fix_keys(p);
    return 0;
}

int extent_remove(struct ext4_inode *ei, uint32_t first, uint64_t end, bool *ret_more)
{
    *ret_more = false;
    for (unsigned steps = 0; end > first; steps++) {
        struct extent_path p;
        uint32_t last = (uint32_t)min_u64(end - 1, UINT32_MAX);
        if (steps == REMOVE_STEPS) {
            *ret_more = true;
            return 0;
        }
        int err = path_find(ei, last, &p);
        if (err)
            return err;
        const struct extent_level *l = &p.level[p.depth];
        const struct ext4_extent *e = l->at >= 0 ? level_extent(l) : NULL;
        uint64_t e_end = e ? (uint64_t)e->block + extent_len(e) : 0;
        if (!e || e_end <= first) {
            path_release(ei, &p);
            return 0;
        }
        if (!extent_len(e) || !ext4_valid_run(ei->fs, extent_start(e), extent_len(e))) {
            path_release(ei, &p);
            ext4_error(ei->fs, "extents of inode", ei->ino);
            return -EIO;
        }
        uint32_t from = (uint32_t)max_u64(first, e->block), at = e->block;
        uint64_t to = min_u64(end, e_end);
        path_release(ei, &p);
        if (to > from) {
            /* A hole in the middle needs one more entry. */
            err = find_with_room(ei, from, from > at && to < e_end, &p);
            if (!err) {
                err = cut(ei, &p, from, to);
                path_release(ei, &p);
            }
            if (err)
                return err;
        }
        end = from;
    }
    return 0;
}

/* Take the extent with lblock out without freeing anything. */
static int detach(struct ext4_inode *ei, uint32_t lblock)
{
    struct extent_path p;
    int err = find_with_room(ei, lblock, 0, &p);
    if (err)
        return err;
    struct extent_level *l = &p.level[p.depth];
    close_entry(l);
    if (l->h->entries == 0) {
        err = drop_empty(ei, &p);
    } else {
        if (l->at < 0)
            l->at = 0;
        fix_keys(&p);
    }
    path_release(ei, &p);
    return err;
}

static int move_extent(struct ext4_inode *ei, uint32_t at, int64_t by)
{
    struct ext4_run run;
    int err = ext4_map(ei, at, UINT32_MAX, &run);
    if (err)
        return err;
    err = detach(ei, at);
    return err ? err : extent_insert(ei, (uint32_t)(at + by), run.block, run.count, run.unwritten);
}

int extent_shift_left(struct ext4_inode *ei, uint32_t *first, uint32_t by, bool *ret_more)
{
    struct ext4_run run;
    int err = ext4_map(ei, *first, UINT32_MAX, &run);
    if (!err && !run.block) { /* a hole: the next extent, if there is one */
        *first += run.count;
        *ret_more = *first != UINT32_MAX;
        return 0;
    }
    if (err)
        return err;
    err = move_extent(ei, *first, -(int64_t)by);
    *first += run.count;
    return err;
}

/* Cut the extent that has lblock in its middle in two. */
static int split_extent(struct ext4_inode *ei, uint32_t lblock)
{
    struct extent_path p;
    int err = find_with_room(ei, lblock, 1, &p);
    if (err)
        return err;
    struct extent_level *l = &p.level[p.depth];
    struct ext4_extent *e = l->at >= 0 ? level_extent(l) : NULL;
    if (e && e->block < lblock && lblock - e->block < extent_len(e)) {
        uint32_t head = lblock - e->block, tail = extent_len(e) - head;
        bool u = extent_unwritten(e);
        struct ext4_extent *r = open_entry(l);
        memset(r, 0, sizeof(*r));
        r->block = lblock;
        set_start(r, extent_start(r - 1) + head);
        set_len(r, tail, u);
        set_len(r - 1, head, u);
    }
    path_release(ei, &p);
    return 0;
}

int extent_shift_right(struct ext4_inode *ei, uint32_t first, uint32_t by, bool *ret_more)
{
    struct extent_path p;
    /* What is to move lies behind what has moved: the last extent below the gap that is being made. */
    uint32_t top = ei->shift_top ? ei->shift_top - 1 : UINT32_MAX;
    int err = path_find(ei, top, &p);
    if (err)
        return err;
    const struct extent_level *l = &p.level[p.depth];
    const struct ext4_extent *e = l->at >= 0 ? level_extent(l) : NULL;
    bool found = e && (uint64_t)e->block + extent_len(e) > first;
    uint32_t at = found ? e->block : 0;
    path_release(ei, &p);
    *ret_more = found;
    if (!found) {
        ei->shift_top = 0;
        return 0;
    }
    if (at < first) {
        err = split_extent(ei, first);
        at = first;
    }
    if (!err)
        err = move_extent(ei, at, by);
    ei->shift_top = at;
    *ret_more = at > first;
    if (!*ret_more || err)
        ei->shift_top = 0;
    return err;
}

/* Free what an indirect block of this many levels names, and itself. */
static int indirect_free(struct ext4_inode *ei, uint32_t block, unsigned levels)
{
    struct ext4 *fs = ei->fs;
    struct buf *b;
    if (!block)
        return 0;
    if (!ext4_valid_run(fs, block, 1)) {
        ext4_error(fs, "block map of inode", ei->ino);
        return -EIO;
    }
    int err = levels ? buf_read_kind(fs, block, BUF_OTHER, 0, &b) : 0;
    if (err)
        return err;
    for (uint32_t i = 0; levels && i < fs->block_size / 4 && !err; i++) {
        uint32_t child;
        memcpy(&child, b->data + i * 4, 4);
        err = indirect_free(ei, child, levels - 1);
    }
    if (levels)
        buf_put(fs, b);
    if (!err)
        err = balloc_free(fs, block, 1, levels != 0 || !S_ISREG(ei->inode->mode));
    if (!err)
        ei->blocks512 -= fs->sectors;
    return err;
}

/* Of an indirect map only everything can be freed. */
int indirect_remove(struct ext4_inode *ei, uint32_t first, bool *ret_more)
{
    *ret_more = false;
    if (first)
        return -EOPNOTSUPP;
    for (unsigned i = 0; i < 15; i++) {
        uint32_t block;
        memcpy(&block, ei->block + i * 4, 4);
        if (!block)
            continue;
        int err = indirect_free(ei, block, i < 12 ? 0 : i - 11);
        if (err)
            return err;
        memset(ei->block + i * 4, 0, 4);
    }
    return 0;
}
