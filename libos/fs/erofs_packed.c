/* SPDX-License-Identifier: MIT */
/* Compressed files of EROFS (Linux's fs/erofs/zmap.c describes the format in code): a file is cut into extents, each of which is one
 * LZ4 block that ends with a disk block (what is before it is zero), or plain data at the beginning of a block. An index tells
 * of each 4 KiB of the file whether an extent begins in it, where, and in which block; or how far back one does. It is an array of
 * 8 bytes each, or packed: groups of 16 or 2 entries of 14 or 16 bits, each behind the number of its first block. */
#include "erofs_int.h"

#include <abi/errno.h>
#include <abi/stat.h>
#include <base/compiler.h>
#include <libos/heap.h>
#include <lz4.h>

enum {
    HEADER = 8,
    INDEX = 8, /* bytes of an entry of a full index, and of what is before the first one */
    ADVISE_PACKED_2 = 1, /* the index has groups of 16 */
    ADVISE_BIG = 2,      /* an LZ4 block may take several disk blocks */
    ADVISE_BIG_2 = 4,    /* the same of a second algorithm, which no file here has */
    ADVISE_KNOWN = ADVISE_PACKED_2 | ADVISE_BIG | ADVISE_BIG_2,
    TYPE_PLAIN = 0,
    TYPE_LZ4 = 1,
    TYPE_INNER = 2, /* no extent begins there */
    BITS = 12,
    BLOCK_COUNT = 1 << 11, /* in a distance: it is the number of blocks instead */
    EXTENT_MAX = 4 << 20,  /* bytes; mkfs.erofs looks at less at a time */
    PACKED_MAX = 64 << 10,
};

/* An entry of the index. */
struct cluster {
    unsigned type;
    unsigned begin; /* where in these 4 KiB the extent begins */
    unsigned
        back; /* TYPE_INNER: how many entries before this one the extent begins, or nearer to there */
    unsigned blocks; /* TYPE_INNER: how many disk blocks the extent has; 0: it is not told here */
    uint64_t block;  /* others */
};

int packed_inode(const struct erofs *fs, struct erofs_inode *inode)
{
    const uint8_t *p = NULL;
    struct erofs_buf buf = { 0 };
    uint64_t at = align_up(inode->after, 8);
    if (!S_ISREG(inode->mode))
        return erofs_bad("a compressed inode that is not a file", at);
    int err = erofs_at(fs, &buf, at, HEADER, &p);
    unsigned advise = err ? 0 : le16(p + 4), algorithm = err ? 0 : p[6], bits = err ? 0 : p[7];
    erofs_buf_put(&buf);
    if (err)
        return err;
    if (advise & ~(unsigned)ADVISE_KNOWN || algorithm & 15 || bits)
        return erofs_bad("a file compressed in a way that is not known", at);
    inode->packed_advise = (uint8_t)advise;
    inode->after = at + HEADER + (inode->layout == LAYOUT_PACKED_FULL ? INDEX : 0);
    return 0;
}

/* What an inner entry's value says. False: nonsense. */
static bool inner(const struct erofs_inode *inode, unsigned value, struct cluster *ret)
{
    ret->type = TYPE_INNER;
    ret->back = value;
    if (!(value & BLOCK_COUNT))
        return true;
    ret->back = 1;
    ret->blocks = value & (BLOCK_COUNT - 1);
    return inode->packed_advise & ADVISE_BIG && ret->blocks;
}

static int load_full(const struct erofs *fs, struct erofs_buf *buf, const struct erofs_inode *inode,
                     uint64_t n, struct cluster *ret)
{
    const uint8_t *p = NULL;
    uint64_t at = inode->after + n * INDEX;
    int err = erofs_at(fs, buf, at, INDEX, &p);
    if (err)
        return err;
    *ret = (struct cluster){ le16(p) & 3, le16(p + 2), .block = le32(p + 4) };
    if (ret->type == TYPE_INNER && !inner(inode, le16(p + 4), ret))
        return erofs_bad("a malformed entry of a file's index", at);
    return 0;
}

/* A group of packed entries. */
struct group {
    const uint8_t *p;
    unsigned count, bits; /* entries, and bits of each */
};

static unsigned entry(const struct group *g, unsigned i, unsigned *ret_type)
{
    unsigned bit = i * g->bits;
    uint32_t v = le32(g->p + bit / 8) >> bit % 8;
    *ret_type = v >> BITS & 3;
    return v & ((1u << BITS) - 1);
}

/* How many blocks of the group are before those of entry i, which begins an extent. False: nonsense. */
static bool blocks_before(const struct group *g, unsigned i, bool big, unsigned *ret)
{
    int at = (int)i;
    unsigned type, n = big ? 0 : 1;
    while (at > 0) {
        unsigned value = entry(g, (unsigned)--at, &type);
        if (type != TYPE_INNER) {
            n++;
        } else if (!big) {
            at -= (int)value;
            n += at >= 0;
        } else if (value & BLOCK_COUNT) {
            at--; /* what began that extent is counted with it */
            n += value & (BLOCK_COUNT - 1);
        } else if (value < 2) {
            return false;
        } else {
            at -= (int)value - 2;
        }
    }
    *ret = n;
    return true;
}

static int load_group(const struct erofs *fs, struct erofs_buf *buf,
                      const struct erofs_inode *inode, uint64_t group_at, unsigned size, unsigned i,
                      struct cluster *ret)
{
    struct group g = { .count = size == 32 ? 16 : 2, .bits = size == 32 ? 14 : 16 };
    bool big = inode->packed_advise & ADVISE_BIG, good = true;
    unsigned type, before = 0;
    int err = erofs_at(fs, buf, group_at, size, &g.p);
    if (err)
        return err;
    unsigned value = entry(&g, i, &type);
    *ret = (struct cluster){ .type = type };
    if (type != TYPE_INNER) {
        ret->begin = value;
        good = blocks_before(&g, i, big, &before);
        ret->block = (uint64_t)le32(g.p + size - 4) + before;
    } else if (value & BLOCK_COUNT || i + 1 != g.count) {
        good = inner(inode, value, ret);
    } else { /* the last one of a group looks ahead: its distance back is one more than its neighbour's */
        value = entry(&g, i - 1, &type);
        value = type != TYPE_INNER ? 0 : value & BLOCK_COUNT ? 1 : value;
        ret->back = value + 1;
    }
    return good ? 0 : erofs_bad("a malformed entry of a file's index", group_at);
}

static int load(const struct erofs *fs, struct erofs_buf *buf, const struct erofs_inode *inode,
                uint64_t n, struct cluster *ret)
{
    uint64_t base = inode->after, total = (inode->size + BLOCK - 1) / BLOCK;
    if (inode->layout == LAYOUT_PACKED_FULL)
        return load_full(fs, buf, inode, n, ret);
    /* First single pairs up to a multiple of 32 bytes, then groups of 16 entries, then pairs. */
    uint64_t first = (32 - base % 32) / 4 & 7, wide = 0;
    if (inode->packed_advise & ADVISE_PACKED_2 && first < total)
        wide = align_down(total - first, 16);
    if (n >= first && n - first < wide) {
        n -= first;
        return load_group(fs, buf, inode, base + first * 4 + n / 16 * 32, 32, n % 16, ret);
    }
    uint64_t at = base + n * 4;
    if (n >= first)
        at = base + first * 4 + wide * 2 + (n - first - wide) * 4;
    return load_group(fs, buf, inode, align_down(at, 8), 8, at % 8 / 4, ret);
}

/* The entry in which the extent of byte off begins. */
static int find_head(const struct erofs *fs, struct erofs_buf *buf, const struct erofs_inode *inode,
                     uint64_t off, uint64_t *ret_n, struct cluster *c)
{
    uint64_t n = off / BLOCK;
    int err = load(fs, buf, inode, n, c);
    unsigned back = !err && c->type == TYPE_INNER ? c->back : 1;
    if (!err && c->type != TYPE_INNER && off % BLOCK >= c->begin)
        back = 0;
    while (!err && back) {
        if (back > n || off - (n - back) * BLOCK > EXTENT_MAX + BLOCK)
            return erofs_bad("an extent that begins nowhere", inode->after);
        n -= back;
        err = load(fs, buf, inode, n, c);
        back = c->type == TYPE_INNER ? c->back : 0;
        if (!err && c->type == TYPE_INNER && !back)
            return erofs_bad("an extent that begins nowhere", inode->after);
    }
    if (!err && (c->type > TYPE_LZ4 || c->begin >= BLOCK))
        return erofs_bad("an extent of an unknown kind", inode->after);
    *ret_n = n;
    return err;
}

/* The end of the extent that begins in entry n and has byte off. */
static int find_end(const struct erofs *fs, struct erofs_buf *buf, const struct erofs_inode *inode,
                    uint64_t n, uint64_t off, uint64_t *ret)
{
    struct cluster c;
    for (uint64_t l = max_u64(n + 1, off / BLOCK); l * BLOCK < inode->size; l++) {
        int err = load(fs, buf, inode, l, &c);
        if (err)
            return err;
        if (c.type != TYPE_INNER) {
            *ret = min_u64(l * BLOCK + c.begin, inode->size);
            return 0;
        }
        if ((l - n) * BLOCK > EXTENT_MAX)
            return erofs_bad("an extent that is too long", inode->after);
    }
    *ret = inode->size;
    return 0;
}

/* How many disk blocks has the LZ4 extent that begins in entry n? */
static int find_blocks(const struct erofs *fs, struct erofs_buf *buf,
                       const struct erofs_inode *inode, uint64_t n, uint64_t *ret)
{
    struct cluster c;
    *ret = 1;
    if (!(inode->packed_advise & ADVISE_BIG) || (n + 1) * BLOCK >= inode->size)
        return 0;
    int err = load(fs, buf, inode, n + 1, &c);
    if (err || c.type != TYPE_INNER)
        return err;
    if (!c.blocks)
        return erofs_bad("an extent of no known size", inode->after);
    *ret = c.blocks;
    return 0;
}

static int find(const struct erofs *fs, struct erofs_buf *buf, const struct erofs_inode *inode,
                uint64_t off, struct erofs_run *ret)
{
    uint64_t n = 0, blocks = 1;
    struct cluster c = { 0 };
    int err = find_head(fs, buf, inode, off, &n, &c);
    if (err)
        return err;
    struct erofs_run run = { .kind = c.type == TYPE_LZ4 ? EROFS_LZ4 : EROFS_PLAIN,
                             .from = n * BLOCK + c.begin,
                             .at = c.block * BLOCK };
    err = find_end(fs, buf, inode, n, off, &run.end);
    if (!err && run.kind == EROFS_LZ4)
        err = find_blocks(fs, buf, inode, n, &blocks);
    if (err)
        return err;
    run.packed = blocks * BLOCK;
    if (run.end <= off || run.from > off || run.packed > PACKED_MAX ||
        (run.kind == EROFS_PLAIN && run.end - run.from > BLOCK))
        return erofs_bad("an extent of an impossible size", inode->after);
    *ret = run;
    return 0;
}

int packed_find(const struct erofs *fs, const struct erofs_inode *inode, uint64_t off,
                struct erofs_run *ret)
{
    struct erofs_buf buf = { 0 };
    int err = find(fs, &buf, inode, off, ret);
    erofs_buf_put(&buf);
    return err;
}

/* The first size bytes of an LZ4 extent. */
static int decompress(const struct erofs_run *run, const uint8_t *packed, size_t size, char *out)
{
    uint64_t zeros = 0;
    while (zeros < BLOCK && !packed[zeros])
        zeros++;
    if (zeros == BLOCK ||
        LZ4_decompress_safe_partial((const char *)packed + zeros, out, (int)(run->packed - zeros),
                                    (int)size, (int)size) != (int)size)
        return erofs_bad("damaged LZ4 data", run->at);
    return 0;
}

/* n bytes from skip on of an LZ4 extent. */
static int unpack_lz4(const struct erofs *fs, struct erofs_buf *buf, const struct erofs_run *run,
                      uint64_t skip, size_t n, char *out)
{
    const uint8_t *packed = NULL;
    int err = erofs_at(fs, buf, run->at, run->packed, &packed);
    if (err || !skip)
        return err ? err : decompress(run, packed, n, out);
    char *all = heap_alloc(skip + n);
    if (!all)
        return -ENOMEM;
    err = decompress(run, packed, skip + n, all);
    if (!err)
        memcpy(out, all + skip, n);
    heap_free(all);
    return err;
}

int erofs_unpack(const struct erofs *fs, const struct erofs_inode *inode, uint64_t off, size_t size,
                 void *out)
{
    struct erofs_buf buf = { 0 };
    int err = 0;
    for (size_t done = 0, n; done < size && !err; done += n) {
        struct erofs_run run;
        const uint8_t *plain = NULL;
        err = find(fs, &buf, inode, off + done, &run);
        if (err)
            break;
        n = min_u64(run.end - (off + done), size - done);
        uint64_t skip = off + done - run.from;
        if (run.kind == EROFS_LZ4)
            err = unpack_lz4(fs, &buf, &run, skip, n, (char *)out + done);
        else if (!(err = erofs_at(fs, &buf, run.at + skip, n, &plain)))
            memcpy((char *)out + done, plain, n);
    }
    erofs_buf_put(&buf);
    return err;
}
