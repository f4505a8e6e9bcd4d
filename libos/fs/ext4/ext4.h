/* SPDX-License-Identifier: MIT */
/* ext4: what its files share. Lock order, outermost first: inode->lock, ext4_inode.wb (write-back and changes of the
 * block map), ext4.commit, ext4.txn_lock (a handle holds it for reading, a commit for writing), ext4_inode.map, the
 * group's mutex, buffers' fill lock; spin locks last. */
#ifndef EXT4_EXT4_H
#define EXT4_EXT4_H

#include "../fs_int.h"
#include "disk.h"

#include <libos/dev/blk.h>
#include <libos/file.h>
#include <libos/heap.h>
#include <libos/waitq.h>

struct ext4;
struct ext4_inode;

/* What a metadata block is, for its checksum. */
enum buf_kind {
    BUF_OTHER,   /* none, or kept by who changes it (inode tables) */
    BUF_SUPER,   /* the block with the superblock */
    BUF_GDT,     /* group descriptors */
    BUF_BBITMAP, /* its checksum is in the group's descriptor */
    BUF_IBITMAP,
    BUF_EXTENT,
    BUF_DIR,
    BUF_DX,
    BUF_XATTR
};

/* A metadata block in memory. Its data is guarded by the lock of the object that it belongs to. */
struct buf {
    uint64_t block;
    char *data;
    struct buf *hash_next;
    struct buf *lru_next, *lru_prev; /* guarded by fs->buf_lock: of those nobody uses */
    struct buf *txn_next;            /* of a transaction */
    struct buf *ckpt_next, *ckpt_prev;
    char *frozen; /* as the last commit has it, not in its place yet; NULL: it is */
    char *spare;  /* memory for the next commit's copy; in a transaction */
    char *logged; /* the copy that is being committed */
    struct buf *log_next;
    uint32_t refs;  /* guarded by fs->buf_lock */
    uint32_t tid;   /* of the running transaction that it is in; 0 */
    uint32_t group; /* bitmaps */
    uint32_t seed;  /* extents, directories: the inode's checksum seed */
    uint8_t kind;   /* enum buf_kind */
    _Atomic uint64_t
        changed; /* groups of a descriptor block, by number modulo 64, whose checksums are to be made */
    bool uptodate, on_lru, verified;
    bool filling;   /* guarded by fs->buf_lock: being read */
    bool escaped;   /* its first word is written as 0 in the journal */
    bool forgotten; /* freed by the transaction that it is in */
};

/* A run of blocks freed by a transaction: not to be used before it is committed. */
struct ext4_freed {
    struct ext4_freed *next;
    uint64_t block;
    uint32_t count;
    bool revoke; /* was metadata */
};

/* The running transaction. */
struct ext4_txn {
    uint32_t tid;
    struct buf *bufs;
    uint32_t nbufs;
    struct ext4_freed *freed;
    uint32_t nrevoke;
};

struct ext4_group_info {
    struct mutex lock;
    uint8_t *busy; /* guarded by lock: blocks that must not be allocated; NULL: not loaded */
    uint32_t free; /* guarded by lock: bits clear in busy; before loading: of the descriptor */
    uint32_t next; /* guarded by lock: where the last allocation ended */
    uint32_t low;  /* guarded by lock: no bit below is clear in busy */
    bool bad;      /* a bitmap is damaged: not used */
};

struct jbd_run {
    uint64_t block;
    uint32_t first, count;
};

struct ext4_journal {
    struct jbd_run *runs; /* of the journal inode */
    uint32_t nruns;
    uint32_t maxlen, first; /* blocks; the first after its superblock */
    uint32_t head;          /* next block to write */
    uint32_t tail;          /* first block that is needed; tail_tid's */
    uint32_t used;          /* blocks between */
    uint32_t tail_tid;
    bool empty;            /* its superblock says that nothing is to be replayed */
    char *super, *block;   /* its superblock; memory for a descriptor or commit block */
    char *zeros;           /* a block of them */
    uint32_t seed;         /* of checksums */
    uint32_t csum_version; /* 0, 2, 3 */
    bool is64;
};

enum { BUF_HASH = 1024, INODE_HASH = 512 };

struct ext4 {
    struct superblock sb;
    struct blk_device *dev;
    uint32_t block_size, block_bits, sectors; /* sectors of a block */
    uint64_t blocks, first_data;
    uint32_t groups, blocks_per_group, inodes_per_group, inodes;
    uint32_t inode_size, desc_size, descs_per_block;
    uint32_t compat, incompat, ro_compat;
    uint32_t csum_seed;
    bool csum, gdt_csum; /* metadata_csum; the older uninit_bg */
    bool read_only;
    bool never_writable; /* has features that cannot be written */
    bool was_valid;      /* state at mount */
    _Atomic bool error;  /* damage was found: no more changes */
    _Atomic bool
        aborted; /* the journal could not be written: that is the error, and it is as if mounted read-only */
    struct buf *super; /* held */
    struct buf **gdt;  /* held once loaded */
    struct ext4_group_info *group;
    uint32_t hash_seed[4];
    bool hash_unsigned;

    struct spin buf_lock; /* RANK_FS_CACHE */
    struct buf *hash[BUF_HASH];
    struct buf *lru; /* guarded by buf_lock: oldest first */
    uint32_t nlru, nbufs;
    struct waitq buf_wait;

    struct mutex commit; /* one commit at a time */
    struct rwmutex txn_lock;
    struct spin txn_list;         /* RANK_FS_TXN: the lists of the running transaction */
    struct ext4_txn txn;          /* running */
    _Atomic uint32_t committed;   /* tid: this one and all before are on the medium */
    struct buf *ckpt;             /* guarded by commit */
    uint32_t nckpt;               /* guarded by commit */
    struct ext4_journal *journal; /* NULL: none */
    struct io_batch *batch;       /* guarded by commit */

    _Atomic int64_t
        free_blocks;          /* that can be allocated, those reserved for delayed ones included */
    _Atomic int64_t reserved; /* for delayed allocation */
    _Atomic int64_t free_inodes;
    uint64_t root_blocks; /* kept for root */

    struct spin inode_lock; /* RANK_FS_CACHE */
    struct ext4_inode *inode_hash[INODE_HASH];
    uint32_t ncached, shrink_at, ndirty; /* guarded by inode_lock; entries of dirty */
    struct ext4_inode
        *dirty; /* guarded by inode_lock: have pages or a core to write; DL by dirty_next */
    struct mutex orphan;        /* the orphan list */
    struct ext4_inode *orphans; /* guarded by orphan: DL by orphan_next, the list's head first */
    _Atomic uint32_t next_generation;
    uint32_t dir_group;       /* where the last top directory went */
    _Atomic uint32_t walkers; /* who takes inodes from the dirty list */
    struct ext4 *next;        /* all that are mounted */
    struct waitq flusher;
    _Atomic bool flusher_stop, flusher_done;
};

/* An inode; inode->data points here. */
struct ext4_inode {
    struct inode *inode;
    struct ext4 *fs;
    uint32_t ino, flags, generation, seed;
    uint32_t group;
    uint32_t parent_ino,
        name_hash; /* of a directory: the one name it was found under; 0: not known */
    struct ext4_inode *hash_next;
    struct ext4_inode *dirty_next, *dirty_prev, *orphan_next, *orphan_prev;
    bool on_dirty, on_orphan, hashed;
    bool fresh; /* was never written to the table */
    bool
        discard; /* an object that lost against another of the same number: nothing is freed with it */
    uint64_t orphan_next_ino; /* as the disk has it */
    struct rwmutex map;       /* the block map below */
    uint8_t block[INODE_BLOCK_BYTES];
    uint64_t blocks512; /* i_blocks in sectors */
    uint64_t disksize;  /* size as the next write of the core has it; at most inode->size */
    uint64_t file_acl;
    uint16_t extra_isize;
    struct mutex wb;           /* write-back, and changes that must not meet it */
    _Atomic bool core_dirty;   /* times and so on differ from the table */
    _Atomic bool data_dirty;   /* what fdatasync has to bring too: the size */
    _Atomic uint32_t tid;      /* last transaction that changed it */
    _Atomic uint32_t data_tid; /* last one that fdatasync needs */
    bool extending; /* guarded by the page map's lock: a write is putting data behind the end */
    bool held_back; /* guarded by wb: for its sake the last write-back left pages dirty */
    _Atomic uint32_t delayed; /* blocks reserved for pages that have none */
    uint32_t shift_top;       /* guarded by wb: extents from here on have been moved; 0: none */
    uint32_t add_hint;        /* of a directory: the blocks before it are full */
    uint64_t goal;            /* where the next block should be */
    uint64_t ra_next;         /* read-ahead: the index that continues the last read */
    uint32_t ra_window;
    _Atomic uint32_t wb_error;     /* errseq */
    _Atomic uint32_t direct;       /* direct transfers in flight; see direct.c */
    _Atomic uint32_t direct_waits; /* who waits for them */
    struct waitq direct_wait;
    char *link; /* text of a symbolic link once it was read; owned */
};

static inline struct ext4 *ext4_of(const struct superblock *sb)
{
    return sb->data;
}

static inline struct ext4_inode *ext4_i(const struct inode *inode)
{
    return inode->data;
}

/* super.c */
void ext4_error(struct ext4 *fs, const char *what, uint64_t where);
uint32_t ext4_csum(const struct ext4 *fs, uint32_t crc, const void *data, size_t size);
struct ext4_super *ext4_super(struct ext4 *fs);

/* group.c: descriptors. The pointer is into fs->gdt's buffer. */
NODISCARD int ext4_group_desc(struct ext4 *fs, uint32_t group, struct ext4_group **ret,
                              struct buf **ret_buf);
uint64_t group_block_bitmap(const struct ext4 *fs, const struct ext4_group *g);
uint64_t group_inode_bitmap(const struct ext4 *fs, const struct ext4_group *g);
uint64_t group_inode_table(const struct ext4 *fs, const struct ext4_group *g);
uint32_t group_free_blocks(const struct ext4 *fs, const struct ext4_group *g);
uint32_t group_free_inodes(const struct ext4 *fs, const struct ext4_group *g);
uint32_t group_used_dirs(const struct ext4 *fs, const struct ext4_group *g);
uint32_t group_itable_unused(const struct ext4 *fs, const struct ext4_group *g);
void group_set_free_blocks(const struct ext4 *fs, struct ext4_group *g, uint32_t n);
void group_set_free_inodes(const struct ext4 *fs, struct ext4_group *g, uint32_t n);
void group_set_used_dirs(const struct ext4 *fs, struct ext4_group *g, uint32_t n);
void group_set_itable_unused(const struct ext4 *fs, struct ext4_group *g, uint32_t n);
uint16_t group_csum(const struct ext4 *fs, uint32_t group, const struct ext4_group *g);
NODISCARD int ext4_groups_init(struct ext4 *fs);
uint64_t ext4_group_first(const struct ext4 *fs, uint32_t group);
uint32_t ext4_group_blocks(const struct ext4 *fs, uint32_t group);
bool ext4_group_has_super(const struct ext4 *fs, uint32_t group);
/* Is [block, block + count) a place where data can be? */
bool ext4_valid_run(const struct ext4 *fs, uint64_t block, uint64_t count);

/* buf.c */
NODISCARD int buf_read(struct ext4 *fs, uint64_t block, struct buf **ret);  /* with a reference */
NODISCARD int buf_fresh(struct ext4 *fs, uint64_t block, struct buf **ret); /* zeros, not read */
struct buf *buf_cached(struct ext4 *fs, uint64_t block); /* with a reference, or NULL */
void buf_put(struct ext4 *fs, struct buf *b);
/* The block is free now: what the cache has of it does not matter any more. */
void buf_forget(struct ext4 *fs, uint64_t block, uint32_t count);
void buf_drop_all(struct ext4 *fs);
size_t buf_shrink(struct ext4 *fs, size_t n);
void buf_set_checksum(struct ext4 *fs, struct buf *b);
bool buf_checksum_ok(struct ext4 *fs, struct buf *b);
/* Read and verify one. */
NODISCARD int buf_read_kind(struct ext4 *fs, uint64_t block, enum buf_kind kind, uint32_t seed,
                            struct buf **ret);
void *block_alloc(struct ext4 *fs);
void block_free(struct ext4 *fs, void *p);
NODISCARD int block_io(struct ext4 *fs, enum blk_op op, unsigned flags, uint64_t block, void *data);

/* io.c: several transfers that are waited for together. */
enum { IO_BATCH = 63 }; /* the structure is two pages */
struct io_batch {
    struct blk_io io[IO_BATCH];
    struct blk_seg seg[IO_BATCH];
    unsigned n, nsegs;
    struct waitq wait;
    uint32_t pending; /* guarded by wait.lock */
    int status;       /* guarded by wait.lock: the first error */
};
void io_batch_init(struct io_batch *b);
/* Add count bytes of memory at block; starts and waits when the batch is full. Whole sectors. */
void io_batch_add(struct ext4 *fs, struct io_batch *b, enum blk_op op, uint64_t sector, void *data,
                  uint32_t bytes);
/* Start and wait for all; 0 or the first error. The batch can be used again. */
NODISCARD int io_batch_wait(struct io_batch *b);

/* journal.c */
/* Begin a change of at most credits buffers; -EROFS, -EIO (the file system is damaged). May commit. */
NODISCARD int txn_start(struct ext4 *fs, uint32_t credits);
void txn_stop(struct ext4 *fs);
/* Before b is changed. -ENOMEM. */
NODISCARD int txn_access(struct ext4 *fs, struct buf *b, enum buf_kind kind, uint32_t seed);
/* The same for g in its block of descriptors. Locks: the group's is held. */
int txn_access_group(struct ext4 *fs, struct buf *gdt, const struct ext4_group *g);
/* [block, block + count) was freed in this transaction. */
NODISCARD int txn_freed(struct ext4 *fs, uint64_t block, uint32_t count, bool metadata);
uint32_t txn_tid(struct ext4 *fs);
/* Bring transaction tid and all before onto the medium. Data written meanwhile need not be there: a commit that somebody else had
 * begun may have flushed before. */
NODISCARD int txn_commit(struct ext4 *fs, uint32_t tid);
/* The same, and with it all that was written before the call. */
NODISCARD int txn_sync(struct ext4 *fs, uint32_t tid);
/* Commit what there is, write everything to its place, and empty the journal. */
NODISCARD int txn_checkpoint(struct ext4 *fs);
NODISCARD int journal_open(struct ext4 *fs);
void journal_close(struct ext4 *fs);
NODISCARD int journal_block(struct ext4_journal *j, uint32_t n, uint64_t *ret);
NODISCARD int journal_super_write(struct ext4 *fs);
/* recover.c */
NODISCARD int journal_recover(struct ext4 *fs);
uint32_t jbd_csum_block(const struct ext4_journal *j, uint32_t seq, const void *data, size_t size);

/* map.c */
struct ext4_run {
    uint64_t block; /* 0: a hole */
    uint32_t count; /* blocks */
    bool unwritten;
};
/* The run that begins at logical block lblock, at most max blocks. map is held. */
NODISCARD int ext4_map(struct ext4_inode *ei, uint32_t lblock, uint32_t max, struct ext4_run *ret);
/* extent.c; map is held for writing, within a transaction */
NODISCARD int extent_insert(struct ext4_inode *ei, uint32_t lblock, uint64_t block, uint32_t count,
                            bool unwritten);
NODISCARD int extent_convert(struct ext4_inode *ei, uint32_t lblock, uint32_t count);
/* Take out the mapping of [first, end); the blocks are freed. *ret_more: not all was done, for lack of credits. */
NODISCARD int extent_remove(struct ext4_inode *ei, uint32_t first, uint64_t end, bool *ret_more);
/* Move the extents from first on, one at a time; *ret_more: there are more. *first: where the next one is. */
NODISCARD int extent_shift_left(struct ext4_inode *ei, uint32_t *first, uint32_t by,
                                bool *ret_more);
NODISCARD int extent_shift_right(struct ext4_inode *ei, uint32_t first, uint32_t by,
                                 bool *ret_more);
NODISCARD int extent_check_root(struct ext4_inode *ei);
void extent_init_root(struct ext4_inode *ei);
NODISCARD int indirect_remove(struct ext4_inode *ei, uint32_t first, bool *ret_more);

/* balloc.c */
/* Take up to *count free blocks near goal out of what can be allocated; *count: how many. Not in the bitmap yet. -ENOSPC. */
NODISCARD int balloc_take(struct ext4 *fs, uint64_t goal, uint32_t *count, uint64_t *ret_block);
void balloc_untake(struct ext4 *fs, uint64_t block, uint32_t count);
/* Within a transaction: mark what balloc_take gave, or free blocks. */
NODISCARD int balloc_mark(struct ext4 *fs, uint64_t block, uint32_t count);
int balloc_free(struct ext4 *fs, uint64_t block, uint32_t count, bool metadata);
/* The transaction that freed them is committed. */
void balloc_release(struct ext4 *fs, uint64_t block, uint32_t count);
/* One metadata block for ei, marked and counted, as a fresh buffer that is in the transaction. */
NODISCARD int balloc_meta(struct ext4_inode *ei, enum buf_kind kind, struct buf **ret);
NODISCARD int balloc_reserve(struct ext4 *fs, uint32_t count, bool root);
void balloc_unreserve(struct ext4 *fs, uint32_t count);
uint64_t ext4_goal(struct ext4_inode *ei);

/* ialloc.c; within a transaction */
NODISCARD int ialloc_new(struct ext4_inode *dir, uint32_t mode, uint32_t *ret_ino);
int ialloc_free(struct ext4 *fs, uint32_t ino, bool directory);

/* inode.c */
NODISCARD int ext4_iget(struct ext4 *fs, uint32_t ino, struct inode **ret);
/* The same for a number that nobody vouches for: -ESTALE when the inode is free or has no name any more. No locks are held. */
NODISCARD int ext4_iget_named(struct ext4 *fs, uint32_t ino, struct inode **ret);
NODISCARD int ext4_inode_new(struct ext4_inode *dir, uint32_t mode, uint32_t rdev,
                             struct inode **ret);
/* Write the core to the inode table; within a transaction. */
NODISCARD int ext4_core_write(struct ext4_inode *ei);
NODISCARD int ext4_core_write_links(struct ext4_inode *ei, uint32_t nlink);
NODISCARD int ext4_core_get(struct ext4_inode *ei, struct buf **ret, struct ext4_dinode **ret_core);
void ext4_core_seal(struct ext4_inode *ei, struct ext4_dinode *c);
void ext4_dirty(struct ext4_inode *ei);
struct ext4_inode *ext4_dirty_take(struct ext4 *fs);
void ext4_flusher_wake(struct ext4 *fs);
void ext4_core_dirty(struct ext4_inode *ei, bool data);
/* The same with a transaction of its own if it is dirty. */
NODISCARD int ext4_core_flush(struct ext4_inode *ei);
void ext4_evict(struct inode *inode);
size_t ext4_inodes_shrink(struct ext4 *fs, size_t n, bool all);
NODISCARD int orphan_add(struct ext4_inode *ei);
NODISCARD int orphan_del(struct ext4_inode *ei);
NODISCARD int orphan_cleanup(struct ext4 *fs);
/* Free all blocks from size on; starts transactions. */
NODISCARD int ext4_truncate_blocks(struct ext4_inode *ei, uint64_t size);
void ext4_unused(struct ext4_inode *ei);

/* dir.c */
struct dir_place {
    struct buf *buf; /* with a reference */
    uint32_t lblock, at;
    uint32_t prev; /* offset of the entry before it in the block */
};
NODISCARD int dir_find(struct ext4_inode *dir, const char *name, size_t len, struct dir_place *ret);
uint32_t dir_place_ino(const struct dir_place *p);
NODISCARD int dir_block(struct ext4_inode *dir, uint32_t lblock, struct buf **ret);
/* Add an empty block; within a transaction, like all that change something. */
NODISCARD int dir_append(struct ext4_inode *dir, enum buf_kind kind, uint32_t *ret_lblock,
                         struct buf **ret);
NODISCARD int dir_add_in_block(struct ext4_inode *dir, struct buf *b, const char *name, size_t len,
                               uint32_t ino, uint32_t mode);
NODISCARD int dir_add(struct ext4_inode *dir, const char *name, size_t len, uint32_t ino,
                      uint32_t mode);
NODISCARD int dir_remove(struct ext4_inode *dir, const char *name, size_t len, uint32_t ino);
NODISCARD int dir_set(struct ext4_inode *dir, const char *name, size_t len, uint32_t old_ino,
                      uint32_t ino, uint32_t mode);
NODISCARD int dir_is_empty(struct ext4_inode *dir);
/* The name, of at most 255 bytes and a zero, of ino in dir. -ENOENT; dir's inode is locked. */
NODISCARD int dir_name_of(struct ext4_inode *dir, uint32_t ino, char *ret_name);
NODISCARD int dir_make_first(struct ext4_inode *dir, uint32_t parent);
bool dirent_ok(const struct ext4 *fs, uint32_t at, const struct ext4_dirent *e);
uint32_t dir_usable(const struct ext4 *fs);
void dir_tail_init(struct ext4 *fs, char *block);
extern const struct file_ops ext4_dir_fops;
/* hash.c */
NODISCARD int ext4_name_hash(const struct ext4 *fs, unsigned version, const char *name, size_t len,
                             uint32_t *ret);
/* htree.c. -EOPNOTSUPP: the index is of a kind that is not known; the directory is searched block by block. */
NODISCARD int htree_hash_name(struct ext4_inode *dir, const char *name, size_t len, uint32_t *ret);
/* The leaf that would hold hash; *ret_next: the hash to go on with in the next leaf, 0: not needed. */
NODISCARD int htree_leaf(struct ext4_inode *dir, uint32_t hash, uint32_t *ret_lblock,
                         uint32_t *ret_next);
/* Add a name whose leaf is full. */
NODISCARD int htree_add(struct ext4_inode *dir, uint32_t hash, const char *name, size_t len,
                        uint32_t ino, uint32_t mode);
/* Give a directory of one block an index. */
NODISCARD int htree_make(struct ext4_inode *dir);

/* read.c, file.c */
extern const struct file_ops ext4_fops;
extern const struct pagemap_ops ext4_pages;
int ext4_open(struct inode *inode, struct file *f);
void ext4_throttle(struct ext4_inode *ei);
NODISCARD int ext4_zero_eof(struct ext4_inode *ei);
/* direct.c */
/* Do position and memory fit what the device can do? */
bool ext4_direct_aligned(const struct ext4 *fs, const struct iter *it, uint64_t pos);
/* Transfer bytes at pos without the page cache and wait. Bytes; -EAGAIN: not possible, nothing was done; -EFAULT, -EIO, -ENOMEM.
 * Locks: inode->lock is held, for writing if write. */
ssize_type ext4_direct(struct ext4_inode *ei, struct iter *it, uint64_t pos, size_t bytes,
                       bool write);
/* file_ops.direct */
ssize_type ext4_direct_start(struct file *f, struct iter *it, uint64_t pos, bool write,
                             file_done_fn *done, void *arg);
/* Wait until no direct transfer is in flight, or none that writes. */
void ext4_direct_wait(struct ext4_inode *ei, bool writes_only);
/* What who reads and writes the disk's node sees of metadata: struct blk_view. */
void ext4_settle(void *fs); /* flush.c: the inodes' cores go to their blocks */
void buf_view_read(void *fs, uint64_t sector, uint32_t sectors, void *to);
int buf_view_write(void *fs, uint64_t sector, uint32_t sectors, const void *data);
/* write.c */
/* Page p at index was or will be written: reserve what it needs. -ENOSPC, -EIO, -EROFS, -EFBIG. */
NODISCARD int ext4_page_dirty(struct ext4_inode *ei, uint64_t index, struct page *p);
/* Write dirty pages [first, end) and wait; _locked: ei->wb is held. */
int ext4_writeback(struct ext4_inode *ei, uint64_t first, uint64_t end);
NODISCARD int ext4_writeback_locked(struct ext4_inode *ei, uint64_t first, uint64_t end);
NODISCARD int ext4_fsync_inode(struct ext4_inode *ei, uint64_t from, uint64_t end, bool data_only);
/* size.c */
NODISCARD int ext4_set_size(struct inode *inode, uint64_t size);
int ext4_fallocate(struct file *f, int mode, uint64_t off, uint64_t len);
/* flush.c */
int ext4_sync_fs(struct ext4 *fs);
NODISCARD int ext4_flusher_start(struct ext4 *fs);
void ext4_flusher_stop(struct ext4 *fs);

/* xattr.c */
int ext4_getxattr(struct inode *inode, const char *name, void *buf, size_t size);
int ext4_setxattr(struct inode *inode, const char *name, const void *value, size_t size, int flags);
int ext4_listxattr(struct inode *inode, char *buf, size_t size);
/* Might the inode, as it is on the disk, have attributes? Cheap. */
bool ext4_has_xattrs(struct ext4_inode *ei);

/* acl.c: a list of the disk's form as the attribute that programs see; room 0: its size alone. -ERANGE, -EINVAL: malformed. And the
 * other way, which never gets longer: bytes written. */
int ext4_acl_from_disk(const void *disk, size_t size, void *buf, size_t room);
size_t ext4_acl_to_disk(const void *value, size_t size, void *disk);
/* The inode goes: its attribute block does. Within a transaction. */
NODISCARD int xattr_release_block(struct ext4_inode *ei);
/* Inline data: the value of system.data. Length, -ENODATA. */
int xattr_inline_data(struct ext4_inode *ei, const void **ret, struct buf **ret_buf);

/* symlink.c */
NODISCARD int symlink_write(struct ext4_inode *ei, const char *target); /* within a transaction */
int symlink_text(struct ext4_inode *ei, const char **ret);              /* its length */

/* namei.c */
extern const struct inode_ops ext4_dir_ops, ext4_file_ops;
extern const struct handle_ops ext4_handle_ops;
extern const struct superblock_ops ext4_sb_ops;

#endif
