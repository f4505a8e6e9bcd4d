/* SPDX-License-Identifier: MIT */
/* Opening the journal, and its recovery at mount: find the last complete transaction, gather what was revoked, write the rest
 * to its place. What the journal says is hostile: every number is bounded, and no walk is longer than the journal. */
#include "ext4.h"

#include <abi/errno.h>
#include <base/log.h>
#include <plat/cpu.h>
#include <string.h>

#define BE32(x) __builtin_bswap32(x)
#define BE64(x) __builtin_bswap64(x)

enum pass { PASS_SCAN, PASS_REVOKE, PASS_REPLAY };
enum { REVOKE_HASH = 256, JOURNAL_MIN = 256 };

struct revoke {
    struct revoke *next;
    uint64_t block;
    uint32_t tid;
};

struct recovery {
    struct ext4 *fs;
    struct ext4_journal *j;
    enum pass pass;
    uint32_t end; /* the first transaction that is not complete */
    struct revoke *revokes[REVOKE_HASH];
    char *block, *data;
    uint32_t pos, tid, steps;
    uint32_t replayed;
};

static int read_log(struct recovery *r, uint32_t n, void *buf)
{
    uint64_t block;
    int err = journal_block(r->j, n, &block);
    return err ? err : block_io(r->fs, BLK_READ, 0, block, buf);
}

static void advance(struct recovery *r, uint32_t n)
{
    r->steps += n;
    r->pos = r->pos + n >= r->j->maxlen ? r->pos + n - (r->j->maxlen - r->j->first) : r->pos + n;
}

/* The checksum at the end of a descriptor or revoke block. */
static bool tail_ok(const struct recovery *r)
{
    uint32_t at = r->fs->block_size - 4, sum, zero = 0;
    if (!r->j->csum_version)
        return true;
    memcpy(&sum, r->block + at, 4);
    return BE32(sum) == plat_crc32c(plat_crc32c(r->j->seed, r->block, at), &zero, 4);
}

static bool commit_ok(const struct recovery *r)
{
    struct jbd_commit *h = (void *)r->block;
    uint32_t sum = h->chksum[0];
    if (!r->j->csum_version)
        return true;
    h->chksum[0] = 0;
    bool ok = BE32(sum) == plat_crc32c(r->j->seed, r->block, r->fs->block_size);
    h->chksum[0] = sum;
    return ok;
}

static int revoke_add(struct recovery *r, uint64_t block)
{
    struct revoke **p = &r->revokes[block % REVOKE_HASH], *v = *p;
    while (v && v->block != block)
        v = v->next;
    if (!v) {
        if (!(v = heap_alloc(sizeof(*v))))
            return -ENOMEM;
        *v = (struct revoke){ *p, block, r->tid };
        *p = v;
    }
    if ((int32_t)(r->tid - v->tid) > 0)
        v->tid = r->tid;
    return 0;
}

static bool revoked(const struct recovery *r, uint64_t block)
{
    for (const struct revoke *v = r->revokes[block % REVOKE_HASH]; v; v = v->next)
        if (v->block == block)
            return (int32_t)(v->tid - r->tid) >= 0;
    return false;
}

static int revoke_block(struct recovery *r)
{
    uint32_t used, size = r->j->is64 ? 8 : 4;
    int err = 0;
    memcpy(&used, r->block + sizeof(struct jbd_header), 4);
    used = BE32(used);
    if (used > r->fs->block_size)
        return -EIO;
    for (uint32_t at = 16; at + size <= used && !err; at += size) {
        uint64_t b64;
        uint32_t b32;
        memcpy(&b64, r->block + at, size);
        memcpy(&b32, r->block + at, 4);
        err = revoke_add(r, size == 8 ? BE64(b64) : BE32(b32));
    }
    return err;
}

struct tag {
    uint64_t block;
    uint32_t flags, checksum, size;
};

/* The tag at *at of the descriptor; false: no more. */
static bool next_tag(const struct recovery *r, uint32_t *at, struct tag *t)
{
    uint32_t v3 = r->j->csum_version == 3, base = v3 ? 16 : r->j->is64 ? 12 : 8;
    uint32_t limit = r->fs->block_size - (r->j->csum_version ? 4 : 0), lo, hi = 0;
    if (*at + base > limit)
        return false;
    const char *p = r->block + *at;
    memcpy(&lo, p, 4);
    if (v3) {
        struct jbd_tag3 full;
        memcpy(&full, p, sizeof(full));
        t->flags = BE32(full.flags);
        hi = full.blocknr_hi;
        t->checksum = BE32(full.checksum);
    } else {
        uint16_t sum, flags;
        memcpy(&sum, p + 4, 2);
        memcpy(&flags, p + 6, 2);
        t->flags = __builtin_bswap16(flags);
        t->checksum = __builtin_bswap16(sum);
        if (r->j->is64)
            memcpy(&hi, p + 8, 4);
    }
    t->block = BE32(lo) | (r->j->is64 ? (uint64_t)BE32(hi) << 32 : 0);
    *at += base + (t->flags & JBD_TAG_SAME_UUID ? 0 : 16);
    return true;
}

static int replay(struct recovery *r, uint32_t pos, const struct tag *t)
{
    int err = read_log(r, pos, r->data);
    if (err)
        return err;
    if (r->j->csum_version) {
        uint32_t sum = jbd_csum_block(r->j, r->tid, r->data, r->fs->block_size);
        if (r->j->csum_version == 2 ? (sum & 0xffff) != t->checksum : sum != t->checksum) {
            log_error("%s: journal block %u is damaged", r->fs->dev->name, pos);
            return -EIO;
        }
    }
    if (t->block >= r->fs->blocks) {
        log_error("%s: the journal names a block that does not exist", r->fs->dev->name);
        return -EIO;
    }
    if (revoked(r, t->block))
        return 0;
    if (t->flags & JBD_TAG_ESCAPE) {
        uint32_t magic = BE32(JBD_MAGIC);
        memcpy(r->data, &magic, 4);
    }
    r->replayed++;
    return block_io(r->fs, BLK_WRITE, 0, t->block, r->data);
}

static int descriptor(struct recovery *r)
{
    uint32_t at = sizeof(struct jbd_header);
    struct tag t = { 0 };
    do {
        if (!next_tag(r, &at, &t))
            break;
        if (r->steps >= r->j->maxlen)
            return -EIO;
        int err = r->pass == PASS_REPLAY ? replay(r, r->pos, &t) : 0;
        if (err)
            return err;
        advance(r, 1);
    } while (!(t.flags & JBD_TAG_LAST));
    return 0;
}

/* One pass over the log. What is not as it should be ends the scan; in later passes it is an error. */
static int walk(struct recovery *r, enum pass pass)
{
    const struct jbd_super *s = (const void *)r->j->super;
    r->pass = pass;
    r->pos = BE32(s->start);
    r->tid = BE32(s->sequence);
    r->steps = 0;
    while (r->steps < r->j->maxlen && (pass == PASS_SCAN || r->tid != r->end)) {
        struct jbd_header h;
        int err = read_log(r, r->pos, r->block);
        if (err)
            return err;
        memcpy(&h, r->block, sizeof(h));
        if (h.magic != BE32(JBD_MAGIC) || BE32(h.sequence) != r->tid)
            break;
        advance(r, 1);
        uint32_t type = BE32(h.blocktype);
        if (type == JBD_DESCRIPTOR) {
            if (!tail_ok(r) || descriptor(r))
                break;
        } else if (type == JBD_COMMIT) {
            if (!commit_ok(r))
                break;
            r->tid++;
        } else if (type == JBD_REVOKE) {
            if (!tail_ok(r))
                break;
            err = pass == PASS_REVOKE ? revoke_block(r) : 0;
            if (err == -ENOMEM)
                return err;
            if (err)
                break;
        } else {
            break;
        }
    }
    if (pass == PASS_SCAN)
        r->end = r->tid;
    return pass == PASS_SCAN || r->tid == r->end ? 0 : -EIO;
}

static void recovery_free(struct recovery *r)
{
    for (unsigned i = 0; i < REVOKE_HASH; i++) {
        struct revoke *v;
        while ((v = r->revokes[i])) {
            r->revokes[i] = v->next;
            heap_free(v);
        }
    }
    block_free(r->fs, r->block);
    block_free(r->fs, r->data);
    heap_free(r);
}

int journal_recover(struct ext4 *fs)
{
    struct ext4_journal *j = fs->journal;
    if (j->empty)
        return 0;
    struct recovery *r = heap_zalloc(sizeof(*r));
    if (!r)
        return -ENOMEM;
    r->fs = fs;
    r->j = j;
    r->block = block_alloc(fs);
    r->data = block_alloc(fs);
    int err = r->block && r->data ? walk(r, PASS_SCAN) : -ENOMEM;
    if (!err)
        err = walk(r, PASS_REVOKE);
    if (!err)
        err = walk(r, PASS_REPLAY);
    if (!err)
        err = blk_flush(fs->dev);
    if (!err) {
        log_info("%s: journal recovered, %u blocks", fs->dev->name, r->replayed);
        j->empty = true;
        j->head = j->tail = j->first;
        j->tail_tid = r->end + 1;
        err = journal_super_write(fs);
    } else {
        log_error("%s: the journal cannot be recovered; e2fsck may help", fs->dev->name);
    }
    recovery_free(r);
    return err;
}

/* Where the journal's blocks are. */
static int map_journal(struct ext4 *fs, struct ext4_inode *ei)
{
    struct ext4_journal *j = fs->journal;
    uint64_t blocks = ei->inode->size >> fs->block_bits;
    if (!S_ISREG(ei->inode->mode) || blocks < JOURNAL_MIN || blocks > 1u << 26)
        return -EINVAL;
    uint32_t room = 0;
    for (uint32_t at = 0; at < blocks;) {
        struct ext4_run run;
        int err = ext4_map(ei, at, (uint32_t)blocks - at, &run);
        if (err || !run.block || run.unwritten)
            return -EINVAL;
        if (j->nruns == room) {
            uint32_t more = room ? room * 2 : 16;
            void *p = heap_realloc(j->runs, room * sizeof(j->runs[0]), more * sizeof(j->runs[0]));
            if (!p)
                return -ENOMEM;
            j->runs = p;
            room = more;
        }
        j->runs[j->nruns++] = (struct jbd_run){ run.block, at, run.count };
        at += run.count;
    }
    j->maxlen = (uint32_t)blocks;
    return 0;
}

static int super_sound(struct ext4 *fs)
{
    struct ext4_journal *j = fs->journal;
    const struct jbd_super *s = (const void *)j->super;
    uint32_t known = JBD_INCOMPAT_REVOKE | JBD_INCOMPAT_64BIT | JBD_INCOMPAT_CSUM_V2 |
                     JBD_INCOMPAT_CSUM_V3,
             type = BE32(s->header.blocktype), incompat = 0;
    if (s->header.magic != BE32(JBD_MAGIC) || (type != JBD_SUPER_V1 && type != JBD_SUPER_V2) ||
        BE32(s->blocksize) != fs->block_size || BE32(s->maxlen) > j->maxlen ||
        BE32(s->maxlen) < JOURNAL_MIN || !s->first || BE32(s->first) >= BE32(s->maxlen) / 2 ||
        (s->start && (BE32(s->start) < BE32(s->first) || BE32(s->start) >= BE32(s->maxlen))))
        return -EINVAL;
    if (type == JBD_SUPER_V2)
        incompat = BE32(s->feature_incompat);
    if (incompat & ~known) {
        log_error("%s: the journal has features 0x%x that are not known", fs->dev->name,
                  incompat & ~known);
        return -EOPNOTSUPP;
    }
    j->csum_version = incompat & JBD_INCOMPAT_CSUM_V3 ? 3 : incompat & JBD_INCOMPAT_CSUM_V2 ? 2 : 0;
    j->is64 = incompat & JBD_INCOMPAT_64BIT;
    j->seed = plat_crc32c(~0u, s->uuid, 16);
    if (j->csum_version) {
        struct jbd_super *w = (void *)j->super;
        uint32_t sum = w->checksum;
        w->checksum = 0;
        bool ok = BE32(sum) == plat_crc32c(~0u, w, sizeof(*w));
        w->checksum = sum;
        if (!ok)
            return -EIO;
    }
    j->maxlen = BE32(s->maxlen);
    j->first = BE32(s->first);
    j->empty = !s->start;
    j->head = j->tail = j->first;
    j->tail_tid = BE32(s->sequence);
    return 0;
}

int journal_open(struct ext4 *fs)
{
    struct inode *inode;
    uint64_t block;
    int err = ext4_iget(fs, ext4_super(fs)->journal_inum, &inode);
    if (err)
        return err;
    fs->journal = heap_zalloc(sizeof(*fs->journal));
    err = fs->journal ? map_journal(fs, ext4_i(inode)) : -ENOMEM;
    inode_put(inode);
    if (!err &&
        (!(fs->journal->super = block_alloc(fs)) || !(fs->journal->block = block_alloc(fs)) ||
         !(fs->journal->zeros = block_alloc(fs))))
        err = -ENOMEM;
    if (!err)
        memset(fs->journal->zeros, 0, fs->block_size);
    if (!err)
        err = journal_block(fs->journal, 0, &block);
    if (!err)
        err = block_io(fs, BLK_READ, 0, block, fs->journal->super);
    if (!err)
        err = super_sound(fs);
    if (err && err != -ENOMEM)
        log_error("%s: the journal cannot be used", fs->dev->name);
    return err;
}

void journal_close(struct ext4 *fs)
{
    struct ext4_journal *j = fs->journal;
    if (!j)
        return;
    heap_free(j->runs);
    block_free(fs, j->super);
    block_free(fs, j->block);
    block_free(fs, j->zeros);
    heap_free(j);
    fs->journal = NULL;
}
