/* SPDX-License-Identifier: MIT */
/* Inodes in memory. The cache (a hash by number) holds a reference on every inode that has a name, so what was looked up once
 * keeps its pages; an inode without a name leaves the cache and is freed when its last user goes. One that has something to
 * write is on the dirty list, which holds a reference too. Locks: fs->inode_lock for the hash and the dirty list. */
#include "ext4.h"

#include <abi/errno.h>
#include <libos/acl.h>
#include <base/log.h>
#include <string.h>
#include <utlist.h>

enum { CACHED_MAX = 8192, SHRINK_BATCH = 64 };

static struct slab ei_slab = SLAB_INIT("ext4-inode", struct ext4_inode);

static struct ext4_inode **slot(struct ext4 *fs, uint32_t ino)
{
    return &fs->inode_hash[ino % INODE_HASH];
}

/* The inode of this number with a reference, if it is in memory. */
static struct inode *cached(struct ext4 *fs, uint32_t ino)
{
    spin_lock(&fs->inode_lock);
    struct ext4_inode *ei = *slot(fs, ino);
    while (ei && ei->ino != ino)
        ei = ei->hash_next;
    if (ei)
        inode_get(ei->inode);
    spin_unlock(&fs->inode_lock);
    return ei ? ei->inode : NULL;
}

/* Put inode into the cache, which gets a reference; if another one was faster, that one instead. */
static struct inode *keep(struct ext4 *fs, struct inode *take_inode)
{
    struct ext4_inode *ei = ext4_i(take_inode), *other;
    spin_lock(&fs->inode_lock);
    struct ext4_inode **p = slot(fs, ei->ino);
    for (other = *p; other && other->ino != ei->ino; other = other->hash_next)
        ;
    if (other) {
        inode_get(other->inode);
    } else {
        inode_get(take_inode);
        ei->hash_next = *p;
        *p = ei;
        ei->hashed = true;
        fs->ncached++;
    }
    spin_unlock(&fs->inode_lock);
    if (!other)
        return take_inode;
    ei->discard = true;
    inode_put(take_inode);
    return other->inode;
}

/* Take ei out of the hash. True: it was there, its reference is the caller's now. Locks: inode_lock is held. */
static bool unhash(struct ext4 *fs, struct ext4_inode *ei)
{
    struct ext4_inode **p = slot(fs, ei->ino);
    if (!ei->hashed)
        return false;
    while (*p != ei)
        p = &(*p)->hash_next;
    *p = ei->hash_next;
    ei->hashed = false;
    fs->ncached--;
    return true;
}

void ext4_unused(struct ext4_inode *ei)
{
    spin_lock(&ei->fs->inode_lock);
    bool mine = unhash(ei->fs, ei);
    spin_unlock(&ei->fs->inode_lock);
    if (mine)
        inode_put(ei->inode);
}

/* Only the cache has it, and it can be read again: nothing is written when it goes. */
static bool unused(const struct ext4_inode *ei)
{
    return ei->inode->refs == 1 && ei->inode->nlink && !ei->core_dirty && !ei->data_dirty;
}

size_t ext4_inodes_shrink(struct ext4 *fs, size_t n, bool all)
{
    size_t done = 0;
    for (uint32_t i = 0; i < INODE_HASH && done < n; i++) {
        for (;;) {
            spin_lock(&fs->inode_lock);
            struct ext4_inode *ei = fs->inode_hash[(fs->shrink_at + i) % INODE_HASH];
            while (ei && !all && !unused(ei))
                ei = ei->hash_next;
            if (ei)
                unhash(fs, ei);
            spin_unlock(&fs->inode_lock);
            if (!ei)
                break;
            inode_put(ei->inode);
            if (++done >= n)
                break;
        }
    }
    fs->shrink_at = (fs->shrink_at + 7) % INODE_HASH;
    return done;
}

/* The table's block with the inode, and its place there. */
static int table_block(struct ext4 *fs, uint32_t ino, struct buf **ret,
                       struct ext4_dinode **ret_core)
{
    uint32_t group = (ino - 1) / fs->inodes_per_group, i = (ino - 1) % fs->inodes_per_group;
    uint32_t per = fs->block_size / fs->inode_size;
    struct ext4_group *g;
    int err = ext4_group_desc(fs, group, &g, NULL);
    if (!err)
        err = buf_read(fs, group_inode_table(fs, g) + i / per, ret);
    if (!err)
        *ret_core = (void *)((*ret)->data + i % per * fs->inode_size);
    return err;
}

int ext4_core_get(struct ext4_inode *ei, struct buf **ret, struct ext4_dinode **ret_core)
{
    return table_block(ei->fs, ei->ino, ret, ret_core);
}

static bool has_extra(const struct ext4 *fs, const struct ext4_dinode *c, size_t end)
{
    return fs->inode_size > INODE_GOOD_OLD && (size_t)INODE_GOOD_OLD + c->extra_isize >= end;
}
#define HAS(fs, c, field)                                                                          \
    has_extra((fs), (c), offsetof(struct ext4_dinode, field) + sizeof((c)->field))

static uint32_t core_checksum(struct ext4 *fs, uint32_t seed, const struct ext4_dinode *c)
{
    static const uint16_t zero;
    const char *p = (const char *)c;
    size_t at = offsetof(struct ext4_dinode, checksum_lo);
    uint32_t crc = ext4_csum(fs, seed, p, at);
    crc = ext4_csum(fs, crc, &zero, 2);
    crc = ext4_csum(fs, crc, p + at + 2, INODE_GOOD_OLD - at - 2);
    if (fs->inode_size > INODE_GOOD_OLD) {
        at = offsetof(struct ext4_dinode, checksum_hi);
        crc = ext4_csum(fs, crc, p + INODE_GOOD_OLD, at - INODE_GOOD_OLD);
        if (HAS(fs, c, checksum_hi)) {
            crc = ext4_csum(fs, crc, &zero, 2);
            at += 2;
        }
        crc = ext4_csum(fs, crc, p + at, fs->inode_size - at);
    }
    return crc;
}

static uint32_t inode_seed(struct ext4 *fs, uint32_t ino, uint32_t generation)
{
    return ext4_csum(fs, ext4_csum(fs, fs->csum_seed, &ino, 4), &generation, 4);
}

static bool core_checksum_ok(struct ext4 *fs, uint32_t ino, const struct ext4_dinode *c)
{
    if (!fs->csum)
        return true;
    uint32_t crc = core_checksum(fs, inode_seed(fs, ino, c->generation), c);
    return (uint16_t)crc == c->checksum_lo &&
           (!HAS(fs, c, checksum_hi) || crc >> 16 == c->checksum_hi);
}

static struct abi_timespec time_in(const struct ext4 *fs, const struct ext4_dinode *c, uint32_t sec,
                                   const uint32_t *extra)
{
    struct abi_timespec t = { (int32_t)sec, 0 };
    size_t end = (size_t)((const char *)extra - (const char *)c) + 4;
    if (has_extra(fs, c, end)) {
        t.tv_sec += (int64_t)(*extra & 3) << 32;
        t.tv_nsec = (int64_t)min_u64(*extra >> 2, 999999999);
    }
    return t;
}

static void time_out(const struct ext4 *fs, struct ext4_dinode *c, const struct abi_timespec *t,
                     uint32_t *sec, uint32_t *extra)
{
    size_t end = (size_t)((char *)extra - (char *)c) + 4;
    *sec = (uint32_t)t->tv_sec;
    if (has_extra(fs, c, end))
        *extra = ((uint32_t)((t->tv_sec - (int32_t)t->tv_sec) >> 32) & 3) | (uint32_t)t->tv_nsec
                                                                                << 2;
}

static uint32_t rdev_in(const struct ext4_dinode *c)
{
    uint32_t v[2];
    memcpy(v, c->block, 8);
    if (v[0])
        return (uint32_t)abi_makedev(v[0] >> 8 & 0xff, v[0] & 0xff);
    return (uint32_t)abi_makedev((v[1] & 0xfff00) >> 8, (v[1] & 0xff) | (v[1] >> 12 & 0xfff00));
}

static void rdev_out(struct ext4_inode *ei, uint32_t rdev)
{
    uint32_t major = abi_major(rdev), minor = abi_minor(rdev), v[2] = { 0, 0 };
    if (major < 256 && minor < 256)
        v[0] = major << 8 | minor;
    else
        v[1] = (minor & 0xff) | major << 8 | (minor & ~0xffu) << 12;
    memset(ei->block, 0, sizeof(ei->block));
    memcpy(ei->block, v, 8);
}

static uint64_t blocks_in(const struct ext4 *fs, const struct ext4_dinode *c)
{
    uint64_t n = c->blocks_lo;
    if (fs->ro_compat & RO_HUGE_FILE) {
        n |= (uint64_t)c->blocks_hi << 32;
        if (c->flags & FL_HUGE_FILE)
            n *= fs->sectors;
    }
    return n;
}

/* An object of no content yet. */
static struct inode *make(struct ext4 *fs, uint32_t ino, uint32_t mode)
{
    struct ext4_inode *ei = slab_alloc(&ei_slab);
    if (!ei)
        return NULL;
    struct inode *inode =
        inode_create(&fs->sb, mode, S_ISDIR(mode) ? &ext4_dir_ops : &ext4_file_ops);
    if (!inode) {
        slab_free(&ei_slab, ei);
        return NULL;
    }
    *ei = (struct ext4_inode){ .inode = inode, .fs = fs, .ino = ino };
    ei->group = (ino - 1) / fs->inodes_per_group;
    rwmutex_init(&ei->map, RANK_FS_MAP);
    mutex_init(&ei->wb, RANK_FS_WRITEBACK);
    waitq_init(&ei->direct_wait);
    inode->data = ei;
    inode->ino = ino;
    inode->fops = S_ISDIR(mode) ? &ext4_dir_fops : S_ISREG(mode) ? &ext4_fops : NULL;
    if (S_ISREG(mode))
        pagemap_init(&inode->pages, &ext4_pages, inode);
    return inode;
}

static void take_times(struct ext4 *fs, struct inode *inode, const struct ext4_dinode *c)
{
    inode->atime = time_in(fs, c, c->atime, &c->atime_extra);
    inode->mtime = time_in(fs, c, c->mtime, &c->mtime_extra);
    inode->ctime = time_in(fs, c, c->ctime, &c->ctime_extra);
    inode->btime = HAS(fs, c, crtime) ? time_in(fs, c, c->crtime, &c->crtime_extra) : inode->ctime;
}

/* Take what the table says. -EIO: it makes no sense. */
static int take_core(struct ext4_inode *ei, const struct ext4_dinode *c)
{
    struct ext4 *fs = ei->fs;
    struct inode *inode = ei->inode;
    uint64_t size = c->size_lo | (uint64_t)c->size_hi << 32;
    inode->uid = c->uid_lo | (uint32_t)c->uid_hi << 16;
    inode->gid = c->gid_lo | (uint32_t)c->gid_hi << 16;
    inode->nlink = c->links;
    inode->size = ei->disksize = size;
    take_times(fs, inode, c);
    ei->flags = c->flags;
    ei->generation = c->generation;
    ei->seed = inode_seed(fs, ei->ino, c->generation);
    ei->blocks512 = blocks_in(fs, c);
    ei->file_acl = c->file_acl_lo | (uint64_t)c->file_acl_hi << 32;
    ei->extra_isize = fs->inode_size > INODE_GOOD_OLD ? c->extra_isize : 0;
    memcpy(ei->block, c->block, sizeof(ei->block));
    if (S_ISCHR(c->mode) || S_ISBLK(c->mode))
        inode->rdev = rdev_in(c);
    bool mapped = S_ISREG(c->mode) || S_ISDIR(c->mode);
    if (size >> fs->block_bits > UINT32_MAX ||
        (S_ISDIR(c->mode) && (size >> fs->block_bits > UINT32_MAX / 2)) ||
        ei->extra_isize > fs->inode_size - INODE_GOOD_OLD || ei->extra_isize % 4)
        return -EIO;
    if (mapped && ei->flags & FL_EXTENTS && !(ei->flags & FL_INLINE_DATA))
        return extent_check_root(ei);
    return 0;
}

/* The slots of a table that was never written are not inodes. */
static bool never_used(struct ext4 *fs, uint32_t ino)
{
    struct ext4_group *g;
    if (!(fs->csum || fs->gdt_csum) ||
        ext4_group_desc(fs, (ino - 1) / fs->inodes_per_group, &g, NULL))
        return false;
    return g->flags & BG_INODE_UNINIT ||
           (ino - 1) % fs->inodes_per_group >= fs->inodes_per_group - group_itable_unused(fs, g);
}

static int read_inode(struct ext4 *fs, uint32_t ino, struct inode **ret)
{
    struct ext4_dinode *c;
    struct buf *b;
    uint32_t type;
    if (never_used(fs, ino))
        return -ESTALE;
    int err = table_block(fs, ino, &b, &c);
    if (err)
        return err;
    type = c->mode & S_IFMT;
    bool sound = type == S_IFREG || type == S_IFDIR || type == S_IFLNK || type == S_IFCHR ||
                 type == S_IFBLK || type == S_IFIFO || type == S_IFSOCK;
    if (!core_checksum_ok(fs, ino, c) || (!sound && ino >= 11)) {
        if (!c->mode && !c->links) {
            err = -ESTALE;
        } else {
            ext4_error(fs, "inode", ino);
            err = -EIO;
        }
    }
    struct inode *inode = err ? NULL : make(fs, ino, c->mode);
    if (!err && !inode)
        err = -ENOMEM;
    if (!err && (err = take_core(ext4_i(inode), c))) {
        ext4_error(fs, "inode", ino);
        ext4_i(inode)->discard = true;
        inode_put(inode);
    }
    buf_put(fs, b);
    if (!err)
        *ret = inode;
    return err;
}

/* Read an inode that is not in memory; it is in the cache then, unless it has no name. */
static int read_and_keep(struct ext4 *fs, uint32_t ino, struct inode **ret)
{
    struct inode *inode;
    int err = read_inode(fs, ino, &inode);
    if (err)
        return err;
    if (UNLIKELY(ext4_has_xattrs(ext4_i(inode))) && (err = acl_load(inode))) {
        inode_put(inode);
        return err;
    }
    *ret = inode->nlink ? keep(fs, inode) : inode;
    return 0;
}

/* An inode that lost its last name is an orphan before it leaves the cache, and until it is free on the disk. */
int ext4_iget_named(struct ext4 *fs, uint32_t ino, struct inode **ret)
{
    struct inode *inode = NULL;
    struct ext4_inode *ei;
    int err = 0;
    mutex_lock(&fs->orphan);
    if (!(inode = cached(fs, ino))) {
        DL_SEARCH_SCALAR2(fs->orphans, ei, ino, ino, orphan_next);
        err = ei ? -ESTALE : read_and_keep(fs, ino, &inode);
        if (!err && !inode->nlink)
            ext4_i(inode)->discard = true; /* it is free, and nobody else has it */
    }
    mutex_unlock(&fs->orphan);
    if (!err && !inode->nlink) {
        inode_put(inode);
        return -ESTALE;
    }
    if (!err)
        *ret = inode;
    return err;
}

int ext4_iget(struct ext4 *fs, uint32_t ino, struct inode **ret)
{
    if (!ino || ino > fs->inodes) {
        ext4_error(fs, "reference to inode", ino);
        return -EIO;
    }
    if ((*ret = cached(fs, ino)))
        return 0;
    if (fs->ncached > CACHED_MAX)
        ext4_inodes_shrink(fs, SHRINK_BATCH, false);
    return read_and_keep(fs, ino, ret);
}

int ext4_inode_new(struct ext4_inode *dir, uint32_t mode, uint32_t rdev, struct inode **ret)
{
    struct ext4 *fs = dir->fs;
    uint32_t ino;
    int err = ialloc_new(dir, mode, &ino);
    if (err)
        return err;
    struct inode *inode = make(fs, ino, mode);
    if (!inode) {
        (void)ialloc_free(fs, ino, S_ISDIR(mode)); /* else it stays taken; e2fsck finds it */
        return -ENOMEM;
    }
    struct ext4_inode *ei = ext4_i(inode);
    inode_init_owner(inode, dir->inode);
    inode->nlink = S_ISDIR(mode) ? 2 : 1;
    ei->generation = atomic_fetch_add(&fs->next_generation, 2654435761u);
    ei->seed = inode_seed(fs, ino, ei->generation);
    if (fs->inode_size > INODE_GOOD_OLD)
        ei->extra_isize = sizeof(struct ext4_dinode) - INODE_GOOD_OLD;
    ei->fresh = true;
    if (S_ISREG(mode) || S_ISDIR(mode) || S_ISLNK(mode)) {
        ei->flags = fs->incompat & INCOMPAT_EXTENTS ? FL_EXTENTS : 0;
        extent_init_root(ei);
    } else if (S_ISCHR(mode) || S_ISBLK(mode)) {
        inode->rdev = rdev;
        rdev_out(ei, rdev);
    }
    *ret = keep(fs, inode);
    return 0;
}

static void core_fill(struct ext4_inode *ei, struct ext4_dinode *c, uint32_t nlink)
{
    struct ext4 *fs = ei->fs;
    struct inode *inode = ei->inode;
    c->mode = (uint16_t)inode->mode;
    c->uid_lo = (uint16_t)inode->uid;
    c->uid_hi = (uint16_t)(inode->uid >> 16);
    c->gid_lo = (uint16_t)inode->gid;
    c->gid_hi = (uint16_t)(inode->gid >> 16);
    c->links = (uint16_t)(nlink >= 65000 && S_ISDIR(inode->mode) ? 1 : nlink);
    uint64_t size = S_ISREG(inode->mode) ? ei->disksize : inode->size;
    c->size_lo = (uint32_t)size;
    c->size_hi = (uint32_t)(size >> 32);
    c->flags = ei->flags;
    c->generation = ei->generation;
    c->blocks_lo = (uint32_t)ei->blocks512;
    if (fs->ro_compat & RO_HUGE_FILE)
        c->blocks_hi = (uint16_t)(ei->blocks512 >> 32);
    c->flags &= ~(uint32_t)FL_HUGE_FILE;
    c->file_acl_lo = (uint32_t)ei->file_acl;
    c->file_acl_hi = (uint16_t)(ei->file_acl >> 32);
    memcpy(c->block, ei->block, sizeof(c->block));
    if (fs->inode_size > INODE_GOOD_OLD)
        c->extra_isize = ei->extra_isize;
    time_out(fs, c, &inode->atime, &c->atime, &c->atime_extra);
    time_out(fs, c, &inode->mtime, &c->mtime, &c->mtime_extra);
    time_out(fs, c, &inode->ctime, &c->ctime, &c->ctime_extra);
    if (ei->fresh && HAS(fs, c, crtime))
        time_out(fs, c, &inode->btime, &c->crtime, &c->crtime_extra);
}

void ext4_core_seal(struct ext4_inode *ei, struct ext4_dinode *c)
{
    if (!ei->fs->csum)
        return;
    uint32_t crc = core_checksum(ei->fs, ei->seed, c);
    c->checksum_lo = (uint16_t)crc;
    if (HAS(ei->fs, c, checksum_hi))
        c->checksum_hi = (uint16_t)(crc >> 16);
}

/* data: what changes is also fdatasync's, not only if the size has changed. */
static int core_write(struct ext4_inode *ei, uint32_t nlink, bool data)
{
    struct ext4_dinode *c;
    struct buf *b;
    int err = table_block(ei->fs, ei->ino, &b, &c);
    if (err)
        return err;
    err = txn_access(ei->fs, b, BUF_OTHER, 0);
    if (!err) {
        /* Who finds the marks gone finds the transaction; a mark that comes after the look stays. */
        uint32_t tid = txn_tid(ei->fs);
        ei->tid = tid;
        ei->core_dirty = false;
        if (data || ei->data_dirty) {
            ei->data_tid = tid;
            ei->data_dirty = false;
        }
        if (ei->fresh)
            memset(c, 0, ei->fs->inode_size);
        core_fill(ei, c, nlink);
        c->dtime = nlink ? 0 : (uint32_t)ei->orphan_next_ino;
        ext4_core_seal(ei, c);
        ei->fresh = false;
    }
    buf_put(ei->fs, b);
    return err;
}

int ext4_core_write_links(struct ext4_inode *ei, uint32_t nlink)
{
    return core_write(ei, nlink, true);
}

int ext4_core_write(struct ext4_inode *ei)
{
    return ext4_core_write_links(ei, ei->inode->nlink);
}

/* The inode has something to write. */
void ext4_dirty(struct ext4_inode *ei)
{
    struct ext4 *fs = ei->fs;
    if (ei->on_dirty || fs->read_only)
        return;
    spin_lock(&fs->inode_lock);
    bool add = !ei->on_dirty;
    if (add) {
        DL_APPEND2(fs->dirty, ei, dirty_prev, dirty_next);
        fs->ndirty++;
        ei->on_dirty = true;
        inode_get(ei->inode);
    }
    spin_unlock(&fs->inode_lock);
    if (add)
        ext4_flusher_wake(fs);
}

struct ext4_inode *ext4_dirty_take(struct ext4 *fs)
{
    spin_lock(&fs->inode_lock);
    struct ext4_inode *ei = fs->dirty;
    if (ei) {
        DL_DELETE2(fs->dirty, ei, dirty_prev, dirty_next);
        fs->ndirty--;
        ei->on_dirty = false;
    }
    spin_unlock(&fs->inode_lock);
    return ei;
}

void ext4_core_dirty(struct ext4_inode *ei, bool data)
{
    ei->core_dirty = true;
    if (data)
        ei->data_dirty = true;
    ext4_dirty(ei);
}

int ext4_core_flush(struct ext4_inode *ei)
{
    if (!ei->core_dirty)
        return 0;
    int err = txn_start(ei->fs, 4);
    if (err)
        return err;
    err = core_write(ei, ei->inode->nlink, false);
    txn_stop(ei->fs);
    return err;
}

static void free_inode(struct ext4_inode *ei)
{
    struct ext4 *fs = ei->fs;
    struct ext4_dinode *c;
    struct buf *b;
    if (ext4_truncate_blocks(ei, 0) || txn_start(fs, 16))
        return; /* it stays an orphan: the next mount frees it */
    int err = xattr_release_block(ei);
    if (!err)
        err = orphan_del(ei);
    if (!err)
        err = table_block(fs, ei->ino, &b, &c);
    if (!err) {
        err = txn_access(fs, b, BUF_OTHER, 0);
        if (!err) {
            core_fill(ei, c, 0);
            c->dtime = (uint32_t)vfs_now().tv_sec;
            ext4_core_seal(ei, c);
        }
        buf_put(fs, b);
    }
    if (!err)
        err = ialloc_free(fs, ei->ino, S_ISDIR(ei->inode->mode));
    txn_stop(fs);
    if (err)
        log_warn("%s: ext4: inode %u was not freed (error %d)", fs->dev->name, ei->ino, -err);
}

void ext4_evict(struct inode *inode)
{
    struct ext4_inode *ei = ext4_i(inode);
    if (!inode->nlink && !ei->discard) {
        pagemap_remove(&inode->pages, 0, UINT64_MAX / PAGE_SIZE);
        if (!ei->fs->read_only && !ei->fs->error)
            free_inode(ei);
    }
    /* The page map's operations ask for ei until its pages are gone. */
    pagemap_fini(&inode->pages);
    heap_free(ei->link);
    inode->data = NULL;
    slab_free(&ei_slab, ei);
}
