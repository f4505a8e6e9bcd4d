/* SPDX-License-Identifier: MIT */
/* Transactions and the journal (jbd2's format, Documentation/filesystems/ext4/journal.rst).
 *
 * There is one running transaction. A change of metadata holds txn_lock for reading (a handle); a commit takes it for
 * writing just long enough to copy the transaction's blocks, and writes the copies while the next transaction runs. A
 * committed copy is kept (buf.frozen) until it was written to its place, so a block may change again at once. Data is
 * written before the transaction that maps it begins to change the map, so a commit has no data to wait for, and nobody
 * ever sees what a block held before.
 *
 * Order on the medium: the copies, everything before them, and zeros where the commit block will be; a flush; the commit
 * block (FUA). It has one sector that is not zero, so that a write of it which the power's end tears leaves all of it or
 * none: a commit block of which a part is missing makes e2fsck and Linux refuse the journal. The journal's beginning moves only
 * after the copies are in their places and flushed. */
#include "ext4.h"

#include <abi/errno.h>
#include <base/log.h>
#include <libos/timer.h>
#include <plat/cpu.h>
#include <string.h>
#include <utlist.h>

#define BE32(x) __builtin_bswap32(x)
#define BE64(x) __builtin_bswap64(x)

static bool tid_reached(uint32_t committed, uint32_t tid)
{
    return (int32_t)(committed - tid) >= 0;
}

static uint32_t space(const struct ext4_journal *j)
{
    return j->maxlen - j->first;
}

/* Buffers that a transaction may have: the whole of it and its descriptors fit into a quarter of the journal. */
static uint32_t txn_max(const struct ext4 *fs)
{
    return fs->journal ? space(fs->journal) / 4 : 2048;
}

static int usable(const struct ext4 *fs)
{
    if (fs->error)
        return fs->aborted ? -EROFS : -EIO;
    return fs->read_only ? -EROFS : 0;
}

int txn_start(struct ext4 *fs, uint32_t credits)
{
    for (;;) {
        int err = usable(fs);
        if (err)
            return err;
        rwmutex_read_lock(&fs->txn_lock);
        if (!fs->txn.nbufs || fs->txn.nbufs + fs->txn.nrevoke / 128 + credits < txn_max(fs))
            return 0;
        uint32_t tid = fs->txn.tid;
        rwmutex_read_unlock(&fs->txn_lock);
        err = txn_commit(fs, tid);
        if (err)
            return err;
    }
}

void txn_stop(struct ext4 *fs)
{
    rwmutex_read_unlock(&fs->txn_lock);
}

uint32_t txn_tid(struct ext4 *fs)
{
    return fs->txn.tid;
}

int txn_access(struct ext4 *fs, struct buf *b, enum buf_kind kind, uint32_t seed)
{
    char *spare = NULL;
    if (b->tid == fs->txn.tid && !b->forgotten) {
        b->kind = (uint8_t)kind;
        b->seed = seed;
        return 0;
    }
    if (!b->spare && !(spare = block_alloc(fs)))
        return -ENOMEM;
    spin_lock(&fs->txn_list);
    if (!b->spare) {
        b->spare = spare;
        spare = NULL;
    }
    b->kind = (uint8_t)kind;
    b->seed = seed;
    b->forgotten = false;
    bool join = b->tid != fs->txn.tid;
    if (join) {
        b->tid = fs->txn.tid;
        b->txn_next = fs->txn.bufs;
        fs->txn.bufs = b;
        fs->txn.nbufs++;
    }
    spin_unlock(&fs->txn_list);
    block_free(fs, spare);
    if (join) {
        spin_lock(&fs->buf_lock);
        b->refs++; /* the transaction's */
        spin_unlock(&fs->buf_lock);
    }
    return 0;
}

int txn_access_group(struct ext4 *fs, struct buf *gdt, const struct ext4_group *g)
{
    uint32_t i = (uint32_t)((const char *)g - gdt->data) / fs->desc_size;
    int err = txn_access(fs, gdt, BUF_GDT, 0);
    if (!err)
        atomic_fetch_or(&gdt->changed, 1ull << i % 64);
    return err;
}

int txn_freed(struct ext4 *fs, uint64_t block, uint32_t count, bool metadata)
{
    struct ext4_freed *f = heap_alloc(sizeof(*f));
    if (!f)
        return -ENOMEM;
    *f = (struct ext4_freed){ .block = block, .count = count, .revoke = metadata };
    if (metadata)
        buf_forget(fs, block, count);
    spin_lock(&fs->txn_list);
    f->next = fs->txn.freed;
    fs->txn.freed = f;
    if (metadata)
        fs->txn.nrevoke += count;
    spin_unlock(&fs->txn_list);
    return 0;
}

int journal_block(struct ext4_journal *j, uint32_t n, uint64_t *ret)
{
    for (uint32_t i = 0; i < j->nruns; i++)
        if (n - j->runs[i].first < j->runs[i].count) {
            *ret = j->runs[i].block + (n - j->runs[i].first);
            return 0;
        }
    return -EIO;
}

uint32_t jbd_csum_block(const struct ext4_journal *j, uint32_t seq, const void *data, size_t size)
{
    uint32_t be = BE32(seq), c = plat_crc32c(j->seed, &be, 4);
    return plat_crc32c(c, data, size);
}

int journal_super_write(struct ext4 *fs)
{
    struct ext4_journal *j = fs->journal;
    struct jbd_super *s = (void *)j->super;
    uint64_t block;
    s->start = BE32(j->empty ? 0 : j->tail);
    s->sequence = BE32(j->tail_tid);
    s->checksum = 0;
    if (j->csum_version)
        s->checksum = BE32(plat_crc32c(~0u, s, sizeof(*s)));
    int err = journal_block(j, 0, &block);
    return err ? err : block_io(fs, BLK_WRITE, BLK_FUA, block, j->super);
}

/* One commit in the making. */
struct commit {
    struct ext4 *fs;
    struct buf *bufs; /* by log_next; those that are logged */
    uint32_t nbufs, tid, first;
    struct ext4_freed *freed;
    uint32_t nrevoke;
};

static uint32_t revokes_per_block(const struct ext4 *fs)
{
    return (fs->block_size - 16 - 4) / 8;
}

static uint32_t tags_per_block(const struct ext4 *fs)
{
    return (fs->block_size - sizeof(struct jbd_header) - 16 - 4) / sizeof(struct jbd_tag3);
}

/* Close the running transaction: checksums and copies of all its blocks, under the lock that keeps changes out. */
static void freeze(struct commit *c)
{
    struct ext4 *fs = c->fs;
    struct buf *b, *next;
    for (b = fs->txn.bufs; b; b = b->txn_next)
        if (!b->forgotten && b->kind != BUF_GDT)
            buf_set_checksum(fs, b);
    for (b = fs->txn.bufs; b; b = b->txn_next)
        if (!b->forgotten && b->kind == BUF_GDT)
            buf_set_checksum(fs, b);
    for (b = fs->txn.bufs; b; b = next) {
        next = b->txn_next;
        b->txn_next = NULL;
        b->tid = 0;
        b->logged = b->spare;
        b->spare = NULL;
        if (b->forgotten) {
            block_free(fs, b->logged);
            b->logged = NULL;
            b->forgotten = false;
            buf_put(fs, b);
            continue;
        }
        memcpy(b->logged, b->data, fs->block_size);
        b->log_next = c->bufs;
        c->bufs = b;
        c->nbufs++;
    }
    c->tid = fs->txn.tid;
    c->freed = fs->txn.freed;
    c->nrevoke = fs->txn.nrevoke;
    fs->txn = (struct ext4_txn){ .tid = c->tid + 1 };
}

/* Add the block data to the journal at its head. */
static int log_block(struct commit *c, void *data)
{
    struct ext4_journal *j = c->fs->journal;
    uint64_t block;
    int err = journal_block(j, j->head, &block);
    if (err)
        return err;
    io_batch_add(c->fs, c->fs->batch, BLK_WRITE, block * c->fs->sectors, data, c->fs->block_size);
    j->head = j->head + 1 == j->maxlen ? j->first : j->head + 1;
    j->used++;
    return 0;
}

static void block_begin(struct commit *c, uint32_t type)
{
    struct jbd_header *h = (void *)c->fs->journal->block;
    memset(h, 0, c->fs->block_size);
    *h = (struct jbd_header){ BE32(JBD_MAGIC), BE32(type), BE32(c->tid) };
}

static void block_tail(struct commit *c)
{
    struct ext4_journal *j = c->fs->journal;
    if (!j->csum_version)
        return;
    uint32_t sum = BE32(plat_crc32c(j->seed, j->block, c->fs->block_size));
    memcpy(j->block + c->fs->block_size - 4, &sum, 4);
}

/* The tag of b, in the form that the journal has. Its length. */
static uint32_t put_tag(struct commit *c, char *at, const struct buf *b, uint32_t flags)
{
    const struct ext4_journal *j = c->fs->journal;
    uint32_t lo = BE32((uint32_t)b->block), hi = BE32((uint32_t)(b->block >> 32));
    if (j->csum_version == 3) {
        struct jbd_tag3 t = { lo, BE32(flags), hi,
                              BE32(jbd_csum_block(j, c->tid, b->logged, c->fs->block_size)) };
        memcpy(at, &t, sizeof(t));
        return sizeof(t);
    }
    uint16_t flags16 = __builtin_bswap16((uint16_t)flags);
    memcpy(at, &lo, 4);
    memcpy(at + 6, &flags16, 2);
    if (j->is64)
        memcpy(at + 8, &hi, 4);
    return j->is64 ? 12 : 8;
}

static bool escaped(const struct buf *b)
{
    uint32_t first;
    memcpy(&first, b->logged, 4);
    return first == BE32(JBD_MAGIC);
}

/* Zeros to where the commit block goes next. */
static int clear_commit_block(struct commit *c)
{
    struct ext4_journal *j = c->fs->journal;
    uint64_t block;
    int err = journal_block(j, j->head, &block);
    if (!err)
        io_batch_add(c->fs, c->fs->batch, BLK_WRITE, block * c->fs->sectors, j->zeros,
                     c->fs->block_size);
    return err;
}

/* One descriptor and the blocks it names, from *from on; behind the last one the commit block is to go. */
static int log_chunk(struct commit *c, struct buf **from)
{
    struct ext4_journal *j = c->fs->journal;
    uint32_t at = sizeof(struct jbd_header), n = 0, max = tags_per_block(c->fs);
    struct buf *b;
    block_begin(c, JBD_DESCRIPTOR);
    for (b = *from; b && n < max; b = b->log_next, n++) {
        uint32_t flags = n ? JBD_TAG_SAME_UUID : 0;
        if (escaped(b)) {
            flags |= JBD_TAG_ESCAPE;
            memset(b->logged, 0, 4);
        }
        if (!b->log_next || n + 1 == max)
            flags |= JBD_TAG_LAST;
        at += put_tag(c, j->block + at, b, flags);
        if (n == 0) {
            memcpy(j->block + at, ((struct jbd_super *)j->super)->uuid, 16);
            at += 16;
        }
        b->escaped = (flags & JBD_TAG_ESCAPE) != 0;
    }
    block_tail(c);
    int err = log_block(c, j->block);
    struct buf *end = b;
    for (b = *from; b != end && !err; b = b->log_next)
        err = log_block(c, b->logged);
    if (!end && !err)
        err = clear_commit_block(c);
    int err2 = io_batch_wait(c->fs->batch);
    for (b = *from; b != end; b = b->log_next)
        if (b->escaped) {
            uint32_t magic = BE32(JBD_MAGIC);
            memcpy(b->logged, &magic, 4);
            b->escaped = false;
        }
    *from = end;
    return err ? err : err2;
}

static int revoke_write(struct commit *c, uint32_t at)
{
    struct ext4_journal *j = c->fs->journal;
    uint32_t used = BE32(at);
    memcpy(j->block + sizeof(struct jbd_header), &used, 4);
    block_tail(c);
    int err = log_block(c, j->block), err2 = io_batch_wait(c->fs->batch);
    return err ? err : err2;
}

/* Blocks that were metadata and are free: what the journal has of them must not be replayed. */
static int log_revokes(struct commit *c)
{
    struct ext4_journal *j = c->fs->journal;
    const uint32_t size = j->is64 ? 8 : 4, max = 16 + revokes_per_block(c->fs) * 8;
    uint32_t at = 0;
    int err = 0;
    for (const struct ext4_freed *f = c->freed; f && !err; f = f->next)
        for (uint32_t i = 0; f->revoke && i < f->count && !err; i++) {
            uint64_t be64 = BE64(f->block + i);
            uint32_t be32 = BE32((uint32_t)(f->block + i));
            if (!at) {
                block_begin(c, JBD_REVOKE);
                at = 16;
            }
            memcpy(j->block + at, size == 8 ? (void *)&be64 : (void *)&be32, size);
            at += size;
            if (at + size > max) {
                err = revoke_write(c, at);
                at = 0;
            }
        }
    return at && !err ? revoke_write(c, at) : err;
}

static int log_commit_block(struct commit *c)
{
    struct ext4_journal *j = c->fs->journal;
    struct jbd_commit *h = (void *)j->block;
    struct abi_timespec now = vfs_now();
    uint64_t block;
    block_begin(c, JBD_COMMIT);
    h->commit_sec = BE64((uint64_t)now.tv_sec);
    h->commit_nsec = BE32((uint32_t)now.tv_nsec);
    if (j->csum_version)
        h->chksum[0] = BE32(plat_crc32c(j->seed, j->block, c->fs->block_size));
    int err = journal_block(j, j->head, &block);
    j->head = j->head + 1 == j->maxlen ? j->first : j->head + 1;
    j->used++;
    return err ? err : block_io(c->fs, BLK_WRITE, BLK_FUA, block, j->block);
}

/* Write every committed copy to its place and empty the journal. Locks: commit is held. */
static int checkpoint(struct ext4 *fs)
{
    struct ext4_journal *j = fs->journal;
    struct buf *b;
    DL_FOREACH2(fs->ckpt, b, ckpt_next)
    io_batch_add(fs, fs->batch, BLK_WRITE, b->block * fs->sectors, b->frozen, fs->block_size);
    int err = io_batch_wait(fs->batch);
    if (!err)
        err = blk_flush(fs->dev);
    if (err)
        return err;
    if (j) {
        j->tail = j->head;
        j->used = 0;
        j->tail_tid = fs->committed + 1;
        j->empty = true;
        err = journal_super_write(fs);
        if (err)
            return err;
    }
    while ((b = fs->ckpt)) {
        DL_DELETE2(fs->ckpt, b, ckpt_prev, ckpt_next);
        block_free(fs, b->frozen);
        b->frozen = NULL;
        buf_put(fs, b);
    }
    fs->nckpt = 0;
    return 0;
}

static int write_to_journal(struct commit *c)
{
    struct ext4 *fs = c->fs;
    struct ext4_journal *j = fs->journal;
    uint32_t tags = tags_per_block(fs), rev = revokes_per_block(fs);
    uint32_t need = c->nbufs + (c->nbufs + tags - 1) / tags + (c->nrevoke + rev - 1) / rev + 1;
    int err = 0;
    if (j->used + need > space(j))
        err = checkpoint(fs);
    if (!err && need > space(j))
        err = -ENOSPC;
    if (!err && j->empty) {
        j->empty = false;
        j->tail = j->head;
        j->tail_tid = c->tid;
        err = journal_super_write(fs);
    }
    if (!err && c->nrevoke)
        err = log_revokes(c);
    for (struct buf *b = c->bufs; b && !err;)
        err = log_chunk(c, &b);
    if (!err && !c->bufs && !(err = clear_commit_block(c)))
        err = io_batch_wait(fs->batch);
    if (!err)
        err = blk_flush(fs->dev);
    return err ? err : log_commit_block(c);
}

/* The copies are what has to be brought to its place now. */
static void keep_copies(struct commit *c)
{
    struct ext4 *fs = c->fs;
    struct buf *b, *next;
    for (b = c->bufs; b; b = next) {
        next = b->log_next;
        b->log_next = NULL;
        if (b->frozen) {
            block_free(fs, b->frozen);
            b->frozen = b->logged;
            b->logged = NULL;
            buf_put(fs, b); /* the list has a reference already */
        } else {
            b->frozen = b->logged;
            b->logged = NULL;
            DL_APPEND2(fs->ckpt, b, ckpt_prev, ckpt_next); /* with the transaction's reference */
            fs->nckpt++;
        }
    }
}

/* A committed copy of a block that is free now must not reach it any more. */
static void drop_frozen(struct ext4 *fs, uint64_t block)
{
    struct buf *b = buf_cached(fs, block);
    if (!b)
        return;
    if (b->frozen) {
        DL_DELETE2(fs->ckpt, b, ckpt_prev, ckpt_next);
        fs->nckpt--;
        block_free(fs, b->frozen);
        b->frozen = NULL;
        buf_put(fs, b); /* the list's */
    }
    buf_put(fs, b);
}

static void release_freed(struct commit *c, bool usable_again)
{
    struct ext4_freed *f;
    while ((f = c->freed)) {
        c->freed = f->next;
        for (uint32_t i = 0; f->revoke && i < f->count; i++)
            drop_frozen(c->fs, f->block + i);
        if (usable_again)
            balloc_release(c->fs, f->block, f->count);
        heap_free(f);
    }
}

/* Commit the running transaction. Locks: commit is held. */
static int commit_running(struct ext4 *fs)
{
    struct commit c = { .fs = fs };
    int err = 0;
    rwmutex_write_lock(&fs->txn_lock);
    bool nothing = !fs->txn.nbufs && !fs->txn.freed;
    if (!nothing)
        freeze(&c);
    rwmutex_write_unlock(&fs->txn_lock);
    if (nothing)
        return 0;
    if (fs->journal)
        err = write_to_journal(&c);
    if (err) {
        log_error("%s: the journal cannot be written (error %d); no more changes", fs->dev->name,
                  -err);
        fs->aborted = true;
        fs->error = true;
        for (struct buf *b = c.bufs, *next; b; b = next) {
            next = b->log_next;
            block_free(fs, b->logged);
            b->logged = NULL;
            buf_put(fs, b);
        }
    } else {
        keep_copies(&c);
        fs->committed = c.tid;
        if (!fs->journal || fs->journal->used > space(fs->journal) / 2)
            err = checkpoint(fs);
    }
    release_freed(&c, !err);
    return err ? -EIO : 0;
}

int txn_commit(struct ext4 *fs, uint32_t tid)
{
    int err = 0;
    if (tid_reached(fs->committed, tid))
        return fs->error ? -EIO : 0;
    mutex_lock(&fs->commit);
    if (fs->error)
        err = -EIO;
    else if (!tid_reached(fs->committed, tid))
        err = commit_running(fs);
    mutex_unlock(&fs->commit);
    return err;
}

int txn_sync(struct ext4 *fs, uint32_t tid)
{
    int err = 0;
    bool flushed = false;
    if (!tid_reached(fs->committed, tid)) {
        mutex_lock(&fs->commit);
        uint32_t before = fs->committed;
        if (fs->error)
            err = -EIO;
        else if (!tid_reached(before, tid))
            err = commit_running(fs);
        flushed = fs->committed != before; /* here, so after all that the caller wrote */
        mutex_unlock(&fs->commit);
    }
    if (!err && !flushed)
        err = blk_flush(fs->dev) ? -EIO : 0;
    return err;
}

int txn_checkpoint(struct ext4 *fs)
{
    if (fs->error)
        return -EIO;
    mutex_lock(&fs->commit);
    int err = commit_running(fs);
    if (!err && (fs->ckpt || (fs->journal && !fs->journal->empty)))
        err = checkpoint(fs);
    mutex_unlock(&fs->commit);
    return err ? -EIO : 0;
}
