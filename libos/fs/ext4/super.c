/* SPDX-License-Identifier: MIT */
/* Mounting and unmounting: the superblock is checked field by field, the journal replayed, what a crash left unlinked is
 * removed, and only then is the tree shown. Features that can be read but not written make the mount read-only; others
 * refuse it; both with one line that names them. */
#include "ext4.h"

#include <abi/errno.h>
#include <abi/statfs.h>
#include <base/log.h>
#include <libos/deferred.h>
#include <libos/ext4.h>
#include <libos/mount.h>
#include <plat/cpu.h>
#include <stdio.h>
#include <string.h>

enum {
    INCOMPAT_READ = INCOMPAT_FILETYPE | INCOMPAT_RECOVER | INCOMPAT_META_BG | INCOMPAT_EXTENTS |
                    INCOMPAT_64BIT | INCOMPAT_FLEX_BG | INCOMPAT_CSUM_SEED | INCOMPAT_LARGEDIR |
                    INCOMPAT_INLINE_DATA | INCOMPAT_MMP,
    INCOMPAT_WRITE = INCOMPAT_READ & ~(INCOMPAT_MMP | INCOMPAT_INLINE_DATA),
    RO_WRITE = RO_SPARSE_SUPER | RO_LARGE_FILE | RO_HUGE_FILE | RO_GDT_CSUM | RO_DIR_NLINK |
               RO_EXTRA_ISIZE | RO_METADATA_CSUM | RO_ORPHAN_PRESENT,
    GROUPS_MAX = 1 << 20,
    INODES_AT_ONCE = 256, /* taken from each cache when memory is short */
};

static struct spin mounts_lock = SPIN_INIT(RANK_FS_MOUNTS);
static struct ext4
    *mounts; /* guarded by mounts_lock; additions and removals by the mounting thread */

/* What caches of inodes gave back when memory was short and programs used none of them. Not under whatever locks an allocation
 * happens to hold. */
static void shrink_inodes(struct deferred *d)
{
    (void)d;
    /* The structure of a file system stays when it is unmounted, and its cache is empty then. */
    for (struct ext4 *fs = __atomic_load_n(&mounts, __ATOMIC_ACQUIRE); fs;
         fs = __atomic_load_n(&fs->next, __ATOMIC_ACQUIRE))
        (void)ext4_inodes_shrink(fs, INODES_AT_ONCE, false);
}

static struct deferred inodes_work = { .run = shrink_inodes };

/* Memory is short: blocks of metadata that nobody uses go at once, inodes when the thread has let its locks go. */
static size_t reclaim(size_t n)
{
    size_t done = 0;
    uint32_t inodes = 0;
    if (!spin_trylock(&mounts_lock))
        return 0;
    for (struct ext4 *fs = mounts; fs; fs = fs->next) {
        done += done < n ? buf_shrink(fs, n - done) : 0;
        inodes += fs->ncached;
    }
    spin_unlock(&mounts_lock);
    if (done < n && inodes)
        (void)deferred_try_queue(&inodes_work); /* else the next one who needs memory does */
    return done;
}

struct feature {
    uint32_t bit;
    const char *name;
};

static const struct feature incompat_names[] = {
    { INCOMPAT_COMPRESSION, "compression" },
    { INCOMPAT_JOURNAL_DEV, "journal_dev" },
    { INCOMPAT_MMP, "mmp" },
    { INCOMPAT_EA_INODE, "ea_inode" },
    { INCOMPAT_DIRDATA, "dirdata" },
    { INCOMPAT_INLINE_DATA, "inline_data" },
    { INCOMPAT_ENCRYPT, "encrypt" },
    { INCOMPAT_CASEFOLD, "casefold" },
};
static const struct feature ro_names[] = {
    { RO_QUOTA, "quota" },     { RO_BIGALLOC, "bigalloc" }, { RO_READONLY, "read-only" },
    { RO_PROJECT, "project" }, { RO_VERITY, "verity" },
};

static void name_features(char *text, size_t size, const struct feature *f, size_t n, uint32_t bits)
{
    size_t at = strlen(text);
    for (size_t i = 0; i < n; i++)
        if (bits & f[i].bit) {
            at += (size_t)snprintf(text + at, size - at, " %s", f[i].name);
            bits &= ~f[i].bit;
        }
    if (bits)
        snprintf(text + at, size - at, " 0x%x", bits);
}

uint32_t ext4_csum(const struct ext4 *fs, uint32_t crc, const void *data, size_t size)
{
    (void)fs;
    return plat_crc32c(crc, data, size);
}

struct ext4_super *ext4_super(struct ext4 *fs)
{
    return (void *)(fs->super->data + (fs->block_size > 1024 ? EXT4_SUPER_OFFSET : 0));
}

void ext4_error(struct ext4 *fs, const char *what, uint64_t where)
{
    if (!fs->error)
        log_error("%s: ext4: damaged: %s %llu%s", fs->dev->name, what, (unsigned long long)where,
                  fs->read_only ? "" : "; no more changes");
    if (!fs->read_only)
        fs->error = true;
}

static bool sizes_make_sense(const struct ext4_super *s)
{
    uint32_t inode_size = s->rev_level ? s->inode_size : INODE_GOOD_OLD;
    if (s->log_block_size > 2 || s->rev_level > 1)
        return false;
    uint32_t block = 1024u << s->log_block_size;
    return s->first_data_block == (block == 1024) && s->blocks_per_group >= 256 &&
           s->blocks_per_group <= block * 8 && s->blocks_per_group % 8 == 0 &&
           inode_size >= INODE_GOOD_OLD && inode_size <= block &&
           !(inode_size & (inode_size - 1)) && s->inodes_per_group >= block / inode_size &&
           s->inodes_per_group <= block * 8 && s->inodes_per_group % 8 == 0;
}

/* Take what the superblock says into fs. -EINVAL: it makes no sense. */
static int take_super(struct ext4 *fs, const struct ext4_super *s)
{
    if (s->magic != EXT4_MAGIC || !sizes_make_sense(s))
        return -EINVAL;
    fs->block_size = 1024u << s->log_block_size;
    fs->block_bits = 10 + s->log_block_size;
    fs->sectors = fs->block_size / BLK_SECTOR;
    fs->compat = s->feature_compat;
    fs->incompat = s->feature_incompat;
    fs->ro_compat = s->feature_ro_compat;
    bool is64 = fs->incompat & INCOMPAT_64BIT;
    fs->blocks = s->blocks_count_lo | (is64 ? (uint64_t)s->blocks_count_hi << 32 : 0);
    fs->root_blocks = s->r_blocks_count_lo | (is64 ? (uint64_t)s->r_blocks_count_hi << 32 : 0);
    fs->first_data = s->first_data_block;
    fs->blocks_per_group = s->blocks_per_group;
    fs->inodes_per_group = s->inodes_per_group;
    fs->inode_size = s->rev_level ? s->inode_size : INODE_GOOD_OLD;
    fs->desc_size = is64 ? s->desc_size : 32;
    fs->inodes = s->inodes_count;
    if (fs->desc_size < (is64 ? 64u : 32u) || fs->desc_size > 64 ||
        fs->blocks <= fs->first_data + 8 || fs->blocks >> 48 || fs->root_blocks > fs->blocks)
        return -EINVAL;
    uint64_t groups =
        (fs->blocks - fs->first_data + fs->blocks_per_group - 1) / fs->blocks_per_group;
    if (groups > GROUPS_MAX || fs->inodes != groups * fs->inodes_per_group)
        return -EINVAL;
    fs->groups = (uint32_t)groups;
    fs->descs_per_block = fs->block_size / fs->desc_size;
    fs->csum = fs->ro_compat & RO_METADATA_CSUM;
    fs->gdt_csum = !fs->csum && fs->ro_compat & RO_GDT_CSUM;
    fs->csum_seed =
        fs->incompat & INCOMPAT_CSUM_SEED ? s->checksum_seed : plat_crc32c(~0u, s->uuid, 16);
    memcpy(fs->hash_seed, s->hash_seed, sizeof(fs->hash_seed));
    fs->hash_unsigned = s->flags & 2;
    fs->was_valid = (s->state & (STATE_VALID | STATE_ERROR)) == STATE_VALID;
    fs->sb.next_ino = fs->inodes + 1;
    return 0;
}

static bool super_csum_ok(const struct ext4_super *s)
{
    return !(s->feature_ro_compat & RO_METADATA_CSUM) ||
           (s->checksum_type == 1 &&
            s->checksum == plat_crc32c(~0u, s, offsetof(struct ext4_super, checksum)));
}

/* Read the superblock alone, before the size of blocks is known. strict: its checksum counts (it may be torn while the
 * journal still has it). */
static int read_super(struct ext4 *fs, bool strict)
{
    void *p = block_alloc(fs);
    if (!p)
        return -ENOMEM;
    const struct ext4_super *s = (void *)((char *)p + EXT4_SUPER_OFFSET);
    int err = fs->dev->sectors < 8 ? -EINVAL : blk_read(fs->dev, 0, 8, p);
    if (!err)
        err = take_super(fs, s);
    if (!err && strict && !super_csum_ok(s))
        err = -EUCLEAN;
    if (!err && fs->blocks > fs->dev->sectors / fs->sectors) {
        log_error("%s: ext4: the file system is larger than the device", fs->dev->name);
        err = -EINVAL;
    }
    block_free(fs, p);
    return err;
}

/* What may be done with this file system? */
static int check_features(struct ext4 *fs)
{
    char text[160] = "";
    uint32_t no = fs->incompat & ~(uint32_t)INCOMPAT_READ;
    if (no) {
        name_features(text, sizeof(text), incompat_names, ARRAY_SIZE(incompat_names), no);
        log_error("%s: ext4: cannot be mounted, has features that are not known:%s", fs->dev->name,
                  text);
        return -EINVAL;
    }
    no = fs->incompat & ~(uint32_t)INCOMPAT_WRITE;
    uint32_t no_ro = fs->ro_compat & ~(uint32_t)RO_WRITE;
    if ((no || no_ro) && !fs->read_only) {
        name_features(text, sizeof(text), incompat_names, ARRAY_SIZE(incompat_names), no);
        name_features(text, sizeof(text), ro_names, ARRAY_SIZE(ro_names), no_ro);
        log_warn("%s: ext4: mounted read-only, has features that cannot be written:%s",
                 fs->dev->name, text);
        fs->read_only = true;
    }
    if (fs->ro_compat & RO_BIGALLOC) {
        log_error("%s: ext4: cannot be mounted, has features that are not known: bigalloc",
                  fs->dev->name);
        return -EINVAL;
    }
    return 0;
}

/* Make what belongs to this device's content; the superblock's buffer first. */
static int load(struct ext4 *fs)
{
    int err = buf_read(fs, fs->block_size > 1024 ? 0 : 1, &fs->super);
    if (!err) {
        fs->super->kind = BUF_SUPER;
        err = ext4_groups_init(fs);
    }
    return err;
}

static void unload(struct ext4 *fs)
{
    ext4_inodes_shrink(fs, SIZE_MAX, true);
    for (uint32_t i = 0; fs->group && i < fs->groups; i++)
        heap_free(fs->group[i].busy);
    heap_free(fs->group);
    heap_free(fs->gdt);
    fs->group = NULL;
    fs->gdt = NULL;
    fs->super = NULL;
    buf_drop_all(fs);
}

/* Write the superblock now. */
static int super_write(struct ext4 *fs)
{
    struct abi_timespec now = vfs_now();
    struct ext4_super *s = ext4_super(fs);
    s->wtime = (uint32_t)now.tv_sec;
    s->wtime_hi = (uint8_t)(now.tv_sec >> 32);
    buf_set_checksum(fs, fs->super);
    return block_io(fs, BLK_WRITE, BLK_FUA, fs->super->block, fs->super->data);
}

/* Replay the journal if there is something in it. What was read before is forgotten then. */
static int recover(struct ext4 *fs)
{
    if (!(fs->compat & COMPAT_HAS_JOURNAL))
        return fs->incompat & INCOMPAT_RECOVER ? -EINVAL : 0;
    if (!ext4_super(fs)->journal_inum) {
        log_warn("%s: ext4: mounted read-only, its journal is on another device", fs->dev->name);
        fs->read_only = true;
        return fs->incompat & INCOMPAT_RECOVER ? -EINVAL : 0;
    }
    int err = journal_open(fs);
    if (err || fs->journal->empty)
        return err;
    if (fs->dev->limits.read_only) {
        log_error("%s: ext4: has to be recovered and the device is read-only", fs->dev->name);
        return -EROFS;
    }
    err = journal_recover(fs);
    journal_close(fs);
    unload(fs);
    if (!err)
        err = read_super(fs, true);
    if (!err)
        err = load(fs);
    return err ? err : journal_open(fs);
}

/* The journal gets the features that its new content will have; it is empty. */
static int journal_begin(struct ext4 *fs)
{
    struct ext4_journal *j = fs->journal;
    struct jbd_super *s = (void *)j->super;
    uint32_t incompat = JBD_INCOMPAT_REVOKE |
                        (fs->incompat & INCOMPAT_64BIT ? JBD_INCOMPAT_64BIT : 0) |
                        (fs->csum ? JBD_INCOMPAT_CSUM_V3 : 0);
    j->is64 = incompat & JBD_INCOMPAT_64BIT;
    j->csum_version = fs->csum ? 3 : 0;
    s->header.blocktype = __builtin_bswap32(JBD_SUPER_V2);
    s->feature_compat = 0;
    s->feature_incompat = __builtin_bswap32(incompat);
    s->checksum_type = fs->csum ? 4 : 0;
    j->head = j->tail = j->first;
    j->used = 0;
    if (!j->tail_tid)
        j->tail_tid = 1;
    fs->txn.tid = j->tail_tid;
    fs->committed = fs->txn.tid - 1;
    return journal_super_write(fs);
}

/* The disk says from now on that it is in use. */
static int begin_writing(struct ext4 *fs)
{
    struct ext4_super *s = ext4_super(fs);
    int err = 0;
    fs->txn.tid = 1;
    if (fs->journal)
        err = journal_begin(fs);
    if (err)
        return err;
    if (fs->journal)
        s->feature_incompat |= INCOMPAT_RECOVER;
    else
        s->state &= (uint16_t)~STATE_VALID;
    s->mtime = (uint32_t)vfs_now().tv_sec;
    s->mnt_count++;
    return super_write(fs);
}

static void init_locks(struct ext4 *fs)
{
    spin_init(&fs->buf_lock, RANK_FS_CACHE);
    spin_init(&fs->inode_lock, RANK_FS_CACHE);
    spin_init(&fs->txn_list, RANK_FS_TXN);
    waitq_init(&fs->buf_wait);
    mutex_init(&fs->commit, RANK_FS_COMMIT);
    rwmutex_init(&fs->txn_lock, RANK_FS_HANDLE);
    mutex_init(&fs->orphan, RANK_FS_ORPHAN);
}

static void ext4_statfs(struct superblock *sb, struct abi_statfs *st)
{
    struct ext4 *fs = ext4_of(sb);
    const struct ext4_super *s = ext4_super(fs);
    int64_t free_blocks = fs->free_blocks - fs->reserved;
    uint64_t overhead = s->overhead_blocks;
    st->f_bsize = st->f_frsize = fs->block_size;
    st->f_blocks = fs->blocks - min_u64(overhead, fs->blocks);
    st->f_bfree = free_blocks > 0 ? (uint64_t)free_blocks : 0;
    st->f_bavail = st->f_bfree > fs->root_blocks ? st->f_bfree - fs->root_blocks : 0;
    st->f_files = fs->inodes;
    st->f_ffree = (uint64_t)fs->free_inodes;
    uint64_t id[2];
    memcpy(id, s->uuid, 16);
    id[0] ^= id[1];
    memcpy(&st->f_fsid, &id[0], sizeof(st->f_fsid));
}

static int make_root(struct ext4 *fs)
{
    struct inode *root;
    int err = ext4_iget(fs, INO_ROOT, &root);
    if (err)
        return err;
    if (!S_ISDIR(root->mode) || !root->nlink) {
        inode_put(root);
        return -EUCLEAN;
    }
    fs->sb.root = dentry_create(&fs->sb, NULL, "/", 1, 0, root);
    return fs->sb.root ? 0 : -ENOMEM;
}

static int open_fs(struct ext4 *fs)
{
    bool asked = fs->read_only;
    int err = read_super(fs, false);
    if (err)
        return err;
    bool torn = read_super(fs, true) == -EUCLEAN;
    if (torn && !(fs->incompat & INCOMPAT_RECOVER))
        return -EUCLEAN;
    err = check_features(fs);
    if (!err)
        err = load(fs);
    if (!err)
        err = recover(fs);
    if (!err && fs->dev->limits.read_only)
        fs->read_only = true;
    fs->never_writable = fs->read_only && !asked;
    if (!err && !fs->read_only) {
        err = begin_writing(fs);
        if (!err)
            err = orphan_cleanup(fs);
        if (!err)
            err = ext4_flusher_start(fs);
    } else if (!err && fs->journal && fs->incompat & INCOMPAT_RECOVER &&
               !fs->dev->limits.read_only) {
        /* The journal is empty now, and nothing will be written. */
        ext4_super(fs)->feature_incompat &= ~(uint32_t)INCOMPAT_RECOVER;
        err = super_write(fs);
    }
    return err ? err : make_root(fs);
}

static void destroy(struct ext4 *fs)
{
    blk_view_set(fs->dev, NULL, NULL);
    unload(fs);
    journal_close(fs);
    heap_free(fs->batch);
    blk_release(fs->dev);
    heap_free(fs);
}

bool ext4_is(const char *type)
{
    return strcmp(type, "ext4") == 0 || strcmp(type, "ext3") == 0 || strcmp(type, "ext2") == 0;
}

bool ext4_mounted(const struct blk_device *dev, struct superblock **ret_sb)
{
    spin_lock(&mounts_lock);
    struct ext4 *fs = mounts;
    while (fs && (fs->dev != dev || !superblock_get(&fs->sb)))
        fs = fs->next;
    spin_unlock(&mounts_lock);
    if (fs)
        *ret_sb = &fs->sb;
    return fs != NULL;
}

static const struct blk_view view = { .settle = ext4_settle,
                                      .read = buf_view_read,
                                      .write = buf_view_write };

int ext4_mount(struct blk_device *dev, bool read_only, struct superblock **ret_sb)
{
    struct ext4 *fs = heap_zalloc(sizeof(*fs));
    static _Atomic bool reclaims;
    if (!fs)
        return -ENOMEM;
    if (!atomic_exchange(&reclaims, true))
        page_on_pressure(reclaim);
    int err = deferred_start();
    err = err ? err : blk_claim(dev);
    if (err) {
        heap_free(fs);
        return err;
    }
    fs->dev = dev;
    fs->read_only = read_only;
    init_locks(fs);
    superblock_number(&fs->sb, "ext4", EXT4_MAGIC);
    fs->sb.dev = dev->rdev; /* what stat and mountinfo name */
    fs->sb.statfs = ext4_statfs;
    fs->sb.data = fs;
    fs->batch = heap_zalloc(sizeof(*fs->batch));
    if (fs->batch)
        io_batch_init(fs->batch);
    err = fs->batch ? open_fs(fs) : -ENOMEM;
    if (err) {
        if (err == -EUCLEAN)
            log_error("%s: ext4: the superblock is damaged", dev->name);
        superblock_put(&fs->sb); /* without operations yet: it only leaves the list */
        destroy(fs);
        return err;
    }
    blk_view_set(dev, &view, fs);
    if (fs->read_only)
        fs->sb.flags |= ST_RDONLY;
    if (!fs->was_valid)
        log_warn("%s: ext4: was not left clean; e2fsck is recommended", dev->name);
    fs->sb.ops = &ext4_sb_ops;
    spin_lock(&mounts_lock);
    fs->next = mounts;
    __atomic_store_n(&mounts, fs, __ATOMIC_RELEASE);
    spin_unlock(&mounts_lock);
    *ret_sb = &fs->sb;
    return 0;
}

/* Everything to its place; the disk says that it is clean. */
static int finish_writing(struct ext4 *fs)
{
    int err = ext4_sync_fs(fs), err2 = txn_checkpoint(fs);
    if (err || err2 || fs->error)
        return err ? err : err2 ? err2 : -EIO;
    struct ext4_super *s = ext4_super(fs);
    s->free_blocks_count_lo = (uint32_t)fs->free_blocks;
    s->free_blocks_count_hi =
        fs->incompat & INCOMPAT_64BIT ? (uint32_t)((uint64_t)fs->free_blocks >> 32) : 0;
    s->free_inodes_count = (uint32_t)fs->free_inodes;
    s->feature_incompat &= ~(uint32_t)INCOMPAT_RECOVER;
    if (fs->was_valid)
        s->state |= STATE_VALID;
    return super_write(fs);
}

static int sb_sync(struct superblock *sb)
{
    struct ext4 *fs = ext4_of(sb);
    return fs->read_only ? 0 : ext4_sync_fs(fs);
}

static void sb_unmount(struct superblock *sb)
{
    struct ext4 *fs = ext4_of(sb);
    struct ext4 **p;
    dentry_put(sb->root);
    if (!fs->read_only)
        ext4_flusher_stop(fs);
    if (!fs->read_only && finish_writing(fs))
        log_error("%s: ext4: could not be written completely", fs->dev->name);
    spin_lock(&mounts_lock);
    for (p = &mounts; *p != fs; p = &(*p)->next)
        ;
    *p = fs->next;
    spin_unlock(&mounts_lock);
    destroy(fs);
}

/* Read-only: everything goes to the disk first. Writable: the disk says so first. */
static int sb_remount(struct superblock *sb, uint32_t flags)
{
    struct ext4 *fs = ext4_of(sb);
    bool read_only = flags & ST_RDONLY;
    if (read_only == fs->read_only)
        return 0;
    if (!read_only && fs->never_writable)
        return -EROFS;
    if (read_only) {
        if (fs->super && ext4_super(fs)->last_orphan)
            return -EBUSY; /* files without a name are open */
        ext4_flusher_stop(fs);
        int err = finish_writing(fs);
        fs->read_only = !err;
        if (err && ext4_flusher_start(fs))
            log_error("%s: ext4: nothing is written back any more", fs->dev->name);
        return err;
    }
    int err = begin_writing(fs);
    if (!err)
        err = ext4_flusher_start(fs);
    fs->read_only = err != 0;
    return err;
}

/* The machine stops: bring everything to the disk, but keep what programs may still look at. */
static void sb_stop(struct superblock *sb)
{
    struct ext4 *fs = ext4_of(sb);
    if (!fs->read_only && finish_writing(fs))
        log_error("%s: ext4: could not be written completely", fs->dev->name);
    fs->read_only = true;
}

const struct superblock_ops ext4_sb_ops = {
    .sync = sb_sync,
    .unmount = sb_unmount,
    .remount = sb_remount,
    .stop = sb_stop,
    .handles = &ext4_handle_ops,
};
