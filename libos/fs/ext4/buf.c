/* SPDX-License-Identifier: MIT */
/* Metadata blocks in memory: a hash table by block number, and a list of those nobody uses, oldest first. A block stays while
 * somebody has a reference, while it is in the running transaction, and until its committed content is in its place.
 * Lock: fs->buf_lock for the lists and counts. What a block holds is checked when it is first used as its kind. */
#include "ext4.h"

#include <abi/errno.h>
#include <base/log.h>
#include <libos/page.h>
#include <plat/mem.h>
#include <string.h>
#include <utlist.h>

enum { BUFS_IDLE_MAX = 4096 }; /* kept without a user */

static struct slab buf_slab = SLAB_INIT("ext4-buf", struct buf);

void *block_alloc(struct ext4 *fs)
{
    (void)fs; /* a page for each, so that devices can be given the memory */
    struct page *p = page_alloc(0, PAGE_KERNEL, 0);
    return p ? page_ptr(p) : NULL;
}

void block_free(struct ext4 *fs, void *p)
{
    (void)fs;
    if (p)
        page_put(page_of(plat_virt_to_phys(p)));
}

int block_io(struct ext4 *fs, enum blk_op op, unsigned flags, uint64_t block, void *data)
{
    struct blk_seg seg = { plat_virt_to_phys(data), fs->block_size };
    return blk_transfer(fs->dev, op, flags, block * fs->sectors, fs->sectors, &seg, 1);
}

static struct buf **slot(struct ext4 *fs, uint64_t block)
{
    return &fs->hash[(block ^ block >> 10) % BUF_HASH];
}

/* Locks: buf_lock is held. */
static struct buf *lookup(struct ext4 *fs, uint64_t block)
{
    struct buf *b = *slot(fs, block);
    while (b && b->block != block)
        b = b->hash_next;
    if (b && b->refs++ == 0 && b->on_lru) {
        DL_DELETE2(fs->lru, b, lru_prev, lru_next);
        b->on_lru = false;
        fs->nlru--;
    }
    return b;
}

static void unhash(struct ext4 *fs, struct buf *b)
{
    struct buf **p = slot(fs, b->block);
    while (*p != b)
        p = &(*p)->hash_next;
    *p = b->hash_next;
    fs->nbufs--;
}

static void destroy(struct ext4 *fs, struct buf *b)
{
    block_free(fs, b->data);
    block_free(fs, b->frozen);
    block_free(fs, b->spare);
    slab_free(&buf_slab, b);
}

static struct buf *create(struct ext4 *fs, uint64_t block)
{
    struct buf *b = slab_alloc(&buf_slab);
    if (!b)
        return NULL;
    *b = (struct buf){ .block = block, .refs = 1 };
    if (!(b->data = block_alloc(fs))) {
        slab_free(&buf_slab, b);
        return NULL;
    }
    return b;
}

/* The block's buffer with a reference. filled: it has content, or the caller gives it some (then filling is set). */
static int get(struct ext4 *fs, uint64_t block, struct buf **ret)
{
    struct buf *fresh = NULL, *b;
    if (block >= fs->blocks)
        return -EIO;
    for (;;) {
        spin_lock(&fs->buf_lock);
        b = lookup(fs, block);
        if (b && fresh) {
            spin_unlock(&fs->buf_lock);
            destroy(fs, fresh);
            break;
        }
        if (!b && fresh) {
            struct buf **p = slot(fs, block);
            b = fresh;
            b->hash_next = *p;
            *p = b;
            fs->nbufs++;
        }
        spin_unlock(&fs->buf_lock);
        if (b)
            break;
        if (!(fresh = create(fs, block)))
            return -ENOMEM;
    }
    *ret = b;
    return 0;
}

struct buf *buf_cached(struct ext4 *fs, uint64_t block)
{
    spin_lock(&fs->buf_lock);
    struct buf *b = lookup(fs, block);
    spin_unlock(&fs->buf_lock);
    return b;
}

/* Become the one who gives b its content. False: it has it. */
static bool fill_begin(struct ext4 *fs, struct buf *b)
{
    for (;;) {
        spin_lock(&fs->buf_lock);
        bool mine = !b->filling && !b->uptodate;
        if (mine)
            b->filling = true;
        bool ready = b->uptodate;
        spin_unlock(&fs->buf_lock);
        if (mine || ready)
            return mine;
        (void)WAIT_EVENT(&fs->buf_wait, SLEEP_UNINTERRUPTIBLE, NO_DEADLINE, !b->filling);
    }
}

static void fill_end(struct ext4 *fs, struct buf *b, bool ok)
{
    spin_lock(&fs->buf_lock);
    b->uptodate = ok;
    b->filling = false;
    spin_unlock(&fs->buf_lock);
    waitq_wake(&fs->buf_wait, WAITQ_ALL, 0);
}

int buf_read(struct ext4 *fs, uint64_t block, struct buf **ret)
{
    struct buf *b;
    int err = get(fs, block, &b);
    if (err)
        return err;
    if (UNLIKELY(!b->uptodate) && fill_begin(fs, b)) {
        err = block_io(fs, BLK_READ, 0, block, b->data);
        fill_end(fs, b, !err);
        if (err) {
            buf_put(fs, b);
            return err == -ENOMEM ? err : -EIO;
        }
    }
    *ret = b;
    return 0;
}

int buf_fresh(struct ext4 *fs, uint64_t block, struct buf **ret)
{
    struct buf *b;
    int err = get(fs, block, &b);
    if (err)
        return err;
    /* Content of an earlier life may be there. */
    memset(b->data, 0, fs->block_size);
    b->verified = true;
    b->forgotten = false;
    if (fill_begin(fs, b))
        fill_end(fs, b, true);
    *ret = b;
    return 0;
}

int buf_read_kind(struct ext4 *fs, uint64_t block, enum buf_kind kind, uint32_t seed,
                  struct buf **ret)
{
    struct buf *b;
    if (!ext4_valid_run(fs, block, 1)) {
        ext4_error(fs, "reference to block", block);
        return -EIO;
    }
    int err = buf_read(fs, block, &b);
    if (err)
        return err;
    if (UNLIKELY(!b->verified || b->kind != kind || b->seed != seed)) {
        if (!b->tid) {
            b->kind = (uint8_t)kind;
            b->seed = seed;
        }
        if (!b->verified && !buf_checksum_ok(fs, b)) {
            ext4_error(fs, "checksum of block", block);
            buf_put(fs, b);
            return -EIO;
        }
        b->verified = true;
    }
    *ret = b;
    return 0;
}

static bool idle(const struct buf *b)
{
    return !b->refs && !b->tid && !b->frozen && !b->logged;
}

void buf_put(struct ext4 *fs, struct buf *b)
{
    struct buf *drop = NULL;
    if (!b)
        return;
    spin_lock(&fs->buf_lock);
    b->refs--;
    if (idle(b) && !b->on_lru) {
        DL_APPEND2(fs->lru, b, lru_prev, lru_next);
        b->on_lru = true;
        fs->nlru++;
        if (fs->nlru > BUFS_IDLE_MAX || !b->uptodate) {
            drop = b->uptodate ? fs->lru : b;
            DL_DELETE2(fs->lru, drop, lru_prev, lru_next);
            fs->nlru--;
            unhash(fs, drop);
        }
    }
    spin_unlock(&fs->buf_lock);
    if (drop)
        destroy(fs, drop);
}

size_t buf_shrink(struct ext4 *fs, size_t n)
{
    size_t done = 0;
    struct buf *list = NULL, *b;
    if (!spin_trylock(&fs->buf_lock))
        return 0;
    for (; done < n && (b = fs->lru); done++) {
        DL_DELETE2(fs->lru, b, lru_prev, lru_next);
        fs->nlru--;
        unhash(fs, b);
        b->hash_next = list;
        list = b;
    }
    spin_unlock(&fs->buf_lock);
    while ((b = list)) {
        list = b->hash_next;
        destroy(fs, b);
    }
    return done;
}

void buf_forget(struct ext4 *fs, uint64_t block, uint32_t count)
{
    /* What was committed must still reach its place or be revoked: only the right to trust the content goes. */
    for (uint32_t i = 0; i < count; i++) {
        spin_lock(&fs->buf_lock);
        struct buf *b = *slot(fs, block + i);
        while (b && b->block != block + i)
            b = b->hash_next;
        if (b) {
            b->verified = false;
            b->forgotten = b->tid != 0;
        }
        spin_unlock(&fs->buf_lock);
    }
}

/* Bytes of a run of sectors that lie in one block: where in the block, where in the run. */
struct overlap {
    uint32_t at, from, len;
};

static struct overlap overlap_of(const struct ext4 *fs, uint64_t block, uint64_t sector,
                                 uint32_t sectors)
{
    uint64_t first = max_u64(block * fs->sectors, sector);
    uint64_t end = min_u64((block + 1) * fs->sectors, sector + sectors);
    return (struct overlap){ (uint32_t)(first - block * fs->sectors) * BLK_SECTOR,
                             (uint32_t)(first - sector) * BLK_SECTOR,
                             (uint32_t)(end - first) * BLK_SECTOR };
}

/* Locks: buf_lock is held. No reference. */
static struct buf *peek(struct ext4 *fs, uint64_t block)
{
    struct buf *b = *slot(fs, block);
    while (b && b->block != block)
        b = b->hash_next;
    return b;
}

void buf_view_read(void *owner, uint64_t sector, uint32_t sectors, void *to)
{
    struct ext4 *fs = owner;
    spin_lock(&fs->buf_lock);
    for (uint64_t block = sector / fs->sectors; block * fs->sectors < sector + sectors; block++) {
        struct overlap o = overlap_of(fs, block, sector, sectors);
        struct buf *b = peek(fs, block);
        if (b && b->uptodate)
            memcpy((char *)to + o.from, b->data + o.at, o.len);
    }
    spin_unlock(&fs->buf_lock);
}

/* The bytes before the superblock are nobody's, but in its block: what is written there is kept with it. */
static bool before_super(struct buf *b, const struct overlap *o, const void *data)
{
    if (b->block || o->at + o->len > EXT4_SUPER_OFFSET)
        return false;
    if (data)
        memcpy(b->data + o->at, (const char *)data + o->from, o->len);
    else
        memset(b->data + o->at, 0, o->len);
    return true;
}

int buf_view_write(void *owner, uint64_t sector, uint32_t sectors, const void *data)
{
    struct ext4 *fs = owner;
    int err = 0;
    spin_lock(&fs->buf_lock);
    for (uint64_t block = sector / fs->sectors; !err && block * fs->sectors < sector + sectors;
         block++) {
        struct overlap o = overlap_of(fs, block, sector, sectors);
        struct buf *b = peek(fs, block);
        if (!b || (b->uptodate && before_super(b, &o, data)))
            continue;
        if (!b->on_lru) {
            err = -EBUSY;
            continue;
        }
        DL_DELETE2(fs->lru, b, lru_prev, lru_next);
        fs->nlru--;
        unhash(fs, b);
        destroy(fs, b);
    }
    spin_unlock(&fs->buf_lock);
    return err;
}

void buf_drop_all(struct ext4 *fs)
{
    for (unsigned i = 0; i < BUF_HASH; i++) {
        struct buf *b;
        while ((b = fs->hash[i])) {
            fs->hash[i] = b->hash_next;
            destroy(fs, b);
        }
    }
    fs->lru = NULL;
    fs->nlru = fs->nbufs = 0;
}

/* Checksums. Where a block keeps its own: *ret_at, 0 there while it is computed; over how much: *ret_size. */
static bool checksum_place(struct ext4 *fs, const struct buf *b, uint32_t *ret_at,
                           uint32_t *ret_size)
{
    const struct ext4_extent_header *h = (const void *)b->data;
    uint32_t at;
    switch (b->kind) {
    case BUF_EXTENT:
        at = (uint32_t)sizeof(*h) + h->max * (uint32_t)sizeof(struct ext4_extent);
        if (at + 4 > fs->block_size)
            return false;
        *ret_at = *ret_size = at;
        return true;
    case BUF_DIR:
        *ret_at = fs->block_size - 4;
        *ret_size = fs->block_size - DIRENT_TAIL;
        return true;
    default:
        return false;
    }
}

/* Index blocks of directories: the entries in use, and the tail without its checksum. */
static bool dx_place(struct ext4 *fs, const struct buf *b, uint32_t *ret_first, uint32_t *ret_count,
                     uint32_t *ret_tail)
{
    const struct ext4_dirent *e = (const void *)b->data;
    uint32_t first = e->rec_len == fs->block_size || (fs->block_size == 65536 && !e->rec_len)
                         ? DX_NODE_AT
                         : DX_ROOT_INFO_AT + 8;
    const struct ext4_dx_countlimit *c = (const void *)(b->data + first);
    uint32_t tail = first + c->limit * (uint32_t)sizeof(struct ext4_dx_entry);
    if (c->count > c->limit || tail + sizeof(struct ext4_dx_tail) > fs->block_size)
        return false;
    *ret_first = first;
    *ret_count = c->count;
    *ret_tail = tail;
    return true;
}

static uint32_t dx_checksum(struct ext4 *fs, const struct buf *b, uint32_t first, uint32_t count,
                            uint32_t tail)
{
    static const uint32_t zero;
    uint32_t c = ext4_csum(fs, b->seed, b->data, first + count * sizeof(struct ext4_dx_entry));
    c = ext4_csum(fs, c, b->data + tail, 4);
    return ext4_csum(fs, c, &zero, 4);
}

static uint32_t xattr_checksum(struct ext4 *fs, const struct buf *b)
{
    static const uint32_t zero;
    const uint32_t at = offsetof(struct ext4_xattr_header, checksum);
    uint64_t block = b->block;
    uint32_t c = ext4_csum(fs, fs->csum_seed, &block, 8);
    c = ext4_csum(fs, c, b->data, at);
    c = ext4_csum(fs, c, &zero, 4);
    return ext4_csum(fs, c, b->data + at + 4, fs->block_size - at - 4);
}

static void bitmap_checksum(struct ext4 *fs, const struct buf *b, uint16_t *lo, uint16_t *hi)
{
    uint32_t size = b->kind == BUF_BBITMAP ? fs->blocks_per_group / 8 : fs->inodes_per_group / 8;
    uint32_t c = ext4_csum(fs, fs->csum_seed, b->data, size);
    *lo = (uint16_t)c;
    *hi = (uint16_t)(c >> 16);
}

enum { CRC32C_POLY = (int)0x82f63b78 };
_Static_assert(offsetof(struct ext4_super, checksum) - offsetof(struct ext4_super, snapshot_id) ==
                   632,
               "SUPER_BACK is x to the power of minus the bits from the one to the other");
static const uint32_t SUPER_BACK = 0x4c4737b0;

/* a times b, modulo the polynomial of the checksum. Bit 31 is the coefficient of 1. */
static uint32_t crc_multiply(uint32_t a, uint32_t b)
{
    uint32_t product = 0;
    for (; a; a <<= 1) {
        product ^= a >> 31 ? b : 0;
        b = b >> 1 ^ (b & 1 ? (uint32_t)CRC32C_POLY : 0);
    }
    return product;
}

/* The checksum of the superblock lies in its second sector and what changes in its first. Were the power to go while the one is
 * written and the other not, no Linux and no e2fsck would open the file system, though the journal has it. So the checksum
 * stays what it is, and snapshot_id, which nobody reads and which lies in the first sector, makes it right: a change of it, carried
 * through all bits that follow, is the difference that is wanted. */
static void super_checksum(struct ext4 *fs, struct buf *b)
{
    struct ext4_super *s = (void *)(b->data + (fs->block_size > 1024 ? EXT4_SUPER_OFFSET : 0));
    uint32_t is = ext4_csum(fs, ~0u, s, offsetof(struct ext4_super, checksum));
    s->snapshot_id ^= crc_multiply(is ^ s->checksum, SUPER_BACK);
}

/* Of the groups that were changed. */
static void gdt_checksums(struct ext4 *fs, struct buf *b)
{
    uint64_t changed = atomic_exchange(&b->changed, 0);
    for (uint32_t i = 0; i < fs->descs_per_block; i++) {
        uint32_t group = b->group + i;
        struct ext4_group *g = (void *)(b->data + i * fs->desc_size);
        if (changed >> i % 64 & 1 && group < fs->groups)
            g->checksum = group_csum(fs, group, g);
    }
}

/* Before a commit writes b. Bitmaps come before the descriptors that hold their checksums. */
void buf_set_checksum(struct ext4 *fs, struct buf *b)
{
    uint32_t at, size, first, count, tail;
    struct ext4_group *g;
    if (b->kind == BUF_GDT && (fs->csum || fs->gdt_csum))
        gdt_checksums(fs, b);
    if (!fs->csum)
        return;
    if (checksum_place(fs, b, &at, &size)) {
        uint32_t c = ext4_csum(fs, b->seed, b->data, size);
        memcpy(b->data + at, &c, 4);
    } else if (b->kind == BUF_DX && dx_place(fs, b, &first, &count, &tail)) {
        uint32_t c = dx_checksum(fs, b, first, count, tail);
        memcpy(b->data + tail + 4, &c, 4);
    } else if (b->kind == BUF_XATTR) {
        ((struct ext4_xattr_header *)b->data)->checksum = xattr_checksum(fs, b);
    } else if (b->kind == BUF_SUPER) {
        super_checksum(fs, b);
    } else if ((b->kind == BUF_BBITMAP || b->kind == BUF_IBITMAP) &&
               !ext4_group_desc(fs, b->group, &g, NULL)) {
        uint16_t lo, hi;
        bitmap_checksum(fs, b, &lo, &hi);
        *(b->kind == BUF_BBITMAP ? &g->block_bitmap_csum_lo : &g->inode_bitmap_csum_lo) = lo;
        if (fs->desc_size >= 64)
            *(b->kind == BUF_BBITMAP ? &g->block_bitmap_csum_hi : &g->inode_bitmap_csum_hi) = hi;
    }
}

bool buf_checksum_ok(struct ext4 *fs, struct buf *b)
{
    uint32_t at, size, first, count, tail, c;
    struct ext4_group *g;
    uint16_t lo, hi;
    if (!fs->csum)
        return true;
    switch (b->kind) {
    case BUF_EXTENT:
    case BUF_DIR:
        if (!checksum_place(fs, b, &at, &size))
            return false;
        memcpy(&c, b->data + at, 4);
        return c == ext4_csum(fs, b->seed, b->data, size);
    case BUF_DX:
        if (!dx_place(fs, b, &first, &count, &tail))
            return false;
        memcpy(&c, b->data + tail + 4, 4);
        return c == dx_checksum(fs, b, first, count, tail);
    case BUF_XATTR:
        return ((struct ext4_xattr_header *)b->data)->checksum == xattr_checksum(fs, b);
    case BUF_BBITMAP:
    case BUF_IBITMAP:
        if (ext4_group_desc(fs, b->group, &g, NULL))
            return false;
        bitmap_checksum(fs, b, &lo, &hi);
        if (lo != (b->kind == BUF_BBITMAP ? g->block_bitmap_csum_lo : g->inode_bitmap_csum_lo))
            return false;
        return fs->desc_size < 64 ||
               hi == (b->kind == BUF_BBITMAP ? g->block_bitmap_csum_hi : g->inode_bitmap_csum_hi);
    default:
        return true;
    }
}
