/* SPDX-License-Identifier: MIT */
/* The root image on a disk. Every block is read into pages of ours and compared with its hash there, before anybody sees it.
 * Blocks of the hash tree, and those that describe files, are kept in two page maps that the clock shrinks; the content of files
 * lies in the files' own. A hash block is checked with the one above it, which is had first, so a fill nests once.
 *
 * There is one, set up before the first program; nothing changes afterwards but the two caches. */
#include <libos/rootdisk.h>

#include "verity_int.h"

#include <abi/errno.h>
#include <base/log.h>
#include <libos/dev/blk.h>
#include <libos/heap.h>
#include <libos/pagemap.h>
#include <string.h>

enum {
    BLOCK = VERITY_BLOCK,
    SECTORS = BLOCK / BLK_SECTOR,
    AHEAD_MAX = 16, /* blocks read at once for the cache, when they are asked for in order */
    SUPER_OFFSET = 1024,
};
#define EROFS_MAGIC 0xe0f5e1e2u

static struct {
    struct blk_device *dev;
    uint64_t blocks; /* of the image; the hash tree follows */
    bool checked;
    struct verity_tree tree;
    struct pagemap hashes, contents; /* by block of the tree, of the image */
    _Atomic uint64_t next;           /* block of contents after those that were read last */
} disk;

/* Read n blocks of dev into pages. */
static int read_blocks(struct blk_device *dev, uint64_t block, struct page *const *pages,
                       unsigned n)
{
    struct blk_seg segs[AHEAD_MAX];
    int err = 0;
    for (unsigned done = 0, part; done < n && !err; done += part) {
        part = n - done < AHEAD_MAX ? n - done : AHEAD_MAX;
        for (unsigned i = 0; i < part; i++)
            segs[i] = (struct blk_seg){ page_addr(pages[done + i]), BLOCK };
        err = blk_transfer(dev, BLK_READ, 0, (block + done) * SECTORS, part * SECTORS, segs, part);
    }
    if (err) {
        log_error("root image: %s cannot be read at block %llu (error %d)", dev->name,
                  (unsigned long long)block, -err);
        return -EIO;
    }
    return 0;
}

/* The digest of entry i of the level above l, out of its page, which is the caller's to put; NULL: it is the root hash. */
static int digest_get(unsigned l, uint64_t i, struct page **ret_page, const uint8_t **ret)
{
    *ret_page = NULL;
    if (l == disk.tree.levels) {
        *ret = disk.tree.root;
        return 0;
    }
    int err =
        pagemap_get(&disk.hashes, disk.tree.level_at[l] + i / VERITY_PER_BLOCK, false, ret_page);
    if (!err)
        *ret = (const uint8_t *)page_ptr(*ret_page) + i % VERITY_PER_BLOCK * VERITY_DIGEST;
    return err;
}

/* Block index of the tree. What is above it was asked for just before, and is there, but for want of memory. */
static int hashes_fill(struct pagemap *m, uint64_t index, bool writable, struct page **ret)
{
    unsigned l = 0;
    struct page *above = NULL, *p = page_alloc(0, PAGE_FILE, 0);
    const uint8_t *digest = NULL;
    (void)m, (void)writable;
    if (!p)
        return -ENOMEM;
    while (l + 1 < disk.tree.levels && index < disk.tree.level_at[l])
        l++;
    int err = read_blocks(disk.dev, disk.blocks + index, &p, 1);
    if (!err)
        err = digest_get(l + 1, index - disk.tree.level_at[l], &above, &digest);
    if (!err && !verity_block_is(&disk.tree, page_ptr(p), digest)) {
        log_error("root image: hash block %llu of the hash tree is not what the root hash says",
                  (unsigned long long)index);
        err = verity_wrong();
    }
    if (above)
        page_put(above);
    if (err)
        page_put(p);
    else
        *ret = p;
    return err;
}

static const struct pagemap_ops hashes_ops = {
    .fill = hashes_fill,
    .fill_waits = true,
    .refills = true,
};

/* The page of the tree with the hash of data block i, from the top down: each step finds the one before it. */
static int hashes_of(uint64_t i, struct page **ret)
{
    struct page *p = NULL, *last = NULL;
    int err = 0;
    for (unsigned l = disk.tree.levels; l-- > 0 && !err; last = p) {
        uint64_t index = i >> VERITY_PER_BLOCK_BITS * (l + 1);
        err = pagemap_get(&disk.hashes, disk.tree.level_at[l] + index, false, &p);
        if (last)
            page_put(last);
        if (err)
            p = NULL;
    }
    *ret = last;
    return err;
}

/* Are n blocks, of which one hash block tells, right? */
static int check(uint64_t block, struct page *const *pages, unsigned n)
{
    enum { N = PLAT_SHA256_LANES };
    struct page *hashes = NULL;
    uint8_t found[N][VERITY_DIGEST];
    int err = hashes_of(block, &hashes);
    if (err)
        return err;
    const uint8_t *digest =
        hashes ? (const uint8_t *)page_ptr(hashes) + block % VERITY_PER_BLOCK * VERITY_DIGEST
               : disk.tree.root;
    for (unsigned i = 0; i < n && !err; i += N) {
        const void *data[N];
        unsigned part = n - i < N ? n - i : N;
        for (unsigned k = 0; k < N; k++)
            data[k] = page_ptr(pages[i + (k < part ? k : 0)]);
        bool lanes = part > 1 && sha256_lanes(&disk.tree.salted, data, BLOCK, found);
        for (unsigned k = 0; k < part && !err; k++, digest += VERITY_DIGEST) {
            if (lanes ? !memcmp(found[k], digest, VERITY_DIGEST)
                      : verity_block_is(&disk.tree, data[k], digest))
                continue;
            log_error("root image: block %llu is not what the root hash says",
                      (unsigned long long)(block + i + k));
            err = verity_wrong();
        }
    }
    if (hashes)
        page_put(hashes);
    return err;
}

static int rootdisk_read(uint64_t block, struct page *const *pages, unsigned n)
{
    int err = read_blocks(disk.dev, block, pages, n);
    for (unsigned done = 0, part; done < n && !err && disk.checked; done += part) {
        unsigned left = VERITY_PER_BLOCK - (block + done) % VERITY_PER_BLOCK;
        part = n - done < left ? n - done : left;
        err = check(block + done, pages + done, part);
    }
    return err;
}

/* How many blocks to read at index. */
static unsigned ahead(uint64_t index)
{
    unsigned n = index == disk.next && page_free_count() > 64 * AHEAD_MAX ? AHEAD_MAX : 1;
    return (unsigned)min_u64(n, disk.blocks - index);
}

static int contents_fill(struct pagemap *m, uint64_t index, bool writable, struct page **ret)
{
    struct page *pages[AHEAD_MAX];
    unsigned n = ahead(index), got = 0;
    uint32_t gen = m->write_gen;
    (void)writable;
    while (got < n && (pages[got] = page_alloc(0, PAGE_FILE, 0)))
        got++;
    int err = got ? rootdisk_read(index, pages, got) : -ENOMEM;
    bool all = !err;
    if (err && got > 1) /* one that nobody asked for may be the wrong one */
        err = rootdisk_read(index, pages, 1);
    disk.next = index + (all ? got : 1);
    for (unsigned i = 1; i < got; i++)
        if (!all || !pagemap_insert_since(m, index + i, pages[i], gen))
            page_put(pages[i]);
    if (err && got)
        page_put(pages[0]);
    if (!err)
        *ret = pages[0];
    return err;
}

static const struct pagemap_ops contents_ops = {
    .fill = contents_fill,
    .fill_waits = true,
    .refills = true,
};

/* Is the image on dev? The superblock and the top of the tree say so, or without hashes EROFS's own superblock. */
static bool is_it(struct blk_device *dev, const uint8_t root_hash[32], struct page *p,
                  struct verity_tree *t)
{
    uint64_t blocks = dev->sectors / SECTORS;
    uint8_t *data = page_ptr(p);
    if (dev->limits.logical_block > BLOCK || blocks < disk.blocks)
        return false;
    if (!root_hash) {
        uint32_t magic, count;
        if (read_blocks(dev, 0, &p, 1))
            return false;
        memcpy(&magic, data + SUPER_OFFSET, 4);
        memcpy(&count, data + SUPER_OFFSET + 36, 4);
        return magic == EROFS_MAGIC && count <= disk.blocks;
    }
    if (blocks == disk.blocks || read_blocks(dev, disk.blocks, &p, 1) ||
        verity_tree_init(t, data, disk.blocks * BLOCK, blocks - disk.blocks, root_hash))
        return false;
    uint64_t top = t->levels ? disk.blocks + t->level_at[t->levels - 1] : 0;
    return !read_blocks(dev, top, &p, 1) && verity_block_is(t, data, root_hash);
}

/* Among whole disks, then among partitions, whose tables are read only then. */
static struct blk_device *find(const uint8_t root_hash[32], struct verity_tree *t)
{
    struct blk_device *found = NULL;
    struct page *p = page_alloc(0, PAGE_KERNEL, 0);
    for (int parts = 0; parts < 2 && p && !found; parts++) {
        if (parts)
            blk_scan();
        for (struct blk_device *d = NULL; !found && (d = blk_next(d));)
            if (!d->whole == !parts && is_it(d, root_hash, p, t))
                found = d;
    }
    if (p)
        page_put(p);
    return found;
}

int rootdisk_open(uint64_t size, const uint8_t root_hash[32], struct erofs_source *ret_source)
{
    disk.blocks = size / BLOCK;
    if (!disk.blocks || size % BLOCK)
        return -EINVAL;
    disk.dev = find(root_hash, &disk.tree);
    if (!disk.dev) {
        log_error("root image: no disk has it; give the machine the file that --root-disk wrote");
        return -ENODEV;
    }
    int err = blk_claim(disk.dev);
    if (err)
        return err;
    disk.checked = root_hash;
    disk.next = UINT64_MAX;
    pagemap_init(&disk.hashes, &hashes_ops, NULL);
    pagemap_init(&disk.contents, &contents_ops, NULL);
    *ret_source = (struct erofs_source){ &disk.contents, rootdisk_read };
    return 0;
}
