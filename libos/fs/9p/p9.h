/* SPDX-License-Identifier: MIT */
/* Shared by the files of this folder: messages, file identifiers (fids), and inodes of a 9P2000.L file system. */
#ifndef P9_P9_H
#define P9_P9_H

#include <libos/dentry.h>
#include <libos/dev/p9.h>
#include <libos/file.h>
#include <libos/lock.h>
#include <libos/vfs.h>

enum {
    P9_MSG = 8192,   /* a message without its data */
    P9_DATA = 65536, /* of one read, write or listing */
    P9_FIDS = 65536,
    P9_NONE = 0xffffffff, /* no fid */
    P9_TABLE = 256,
};

struct lock_range;

enum p9_type {
    T_STATFS = 8,
    T_LOPEN = 12,
    T_LCREATE = 14,
    T_SYMLINK = 16,
    T_MKNOD = 18,
    T_READLINK = 22,
    T_GETATTR = 24,
    T_SETATTR = 26,
    T_XATTRWALK = 30,
    T_XATTRCREATE = 32,
    T_READDIR = 40,
    T_FSYNC = 50,
    T_LOCK = 52,
    T_GETLOCK = 54,
    T_LINK = 70,
    T_MKDIR = 72,
    T_RENAMEAT = 74,
    T_UNLINKAT = 76,
    T_VERSION = 100,
    T_ATTACH = 104,
    T_FLUSH = 108,
    T_WALK = 110,
    T_READ = 116,
    T_WRITE = 118,
    T_CLUNK = 120,
};

struct p9 {
    struct superblock sb;
    struct p9_channel *ch;
    uint32_t data;    /* bytes of one transfer */
    uint32_t root;    /* fid */
    struct spin lock; /* RANK_FS_CACHE: fids and the table */
    uint64_t fids[P9_FIDS / 64];
    struct p9_inode *table[P9_TABLE];
    uint32_t session; /* of the channel */
};

struct p9_inode {
    struct inode *inode;
    uint32_t fid;
    uint64_t path; /* qid.path: one file of the server */
    uint32_t version;
    struct p9_inode *next;  /* guarded by p9.lock */
    _Atomic uint32_t first; /* fid that creating it opened, for the first who opens it; P9_NONE */
    _Atomic uint32_t wb_error; /* errseq: pages that could not be written */
    struct mutex pages;        /* RANK_FS_MAP: the two below */
    uint32_t reader, writer;   /* fids for the page cache; P9_NONE */
    /* Where it was found last, to ask whether that still holds. Guarded by p9.lock. */
    struct inode *dir; /* a reference */
    char name[ABI_NAME_MAX + 1];
    uint8_t name_len;
};

/* What is said of a file. */
struct p9_attr {
    uint64_t path, nlink, rdev, size, blksize, blocks;
    uint32_t version, mode, uid, gid;
    struct abi_timespec atime, mtime, ctime;
};

/* A message being written, and its answer being read. Reading or writing past the end makes it bad, and values 0.
 * One whose sender must die before the answer comes is abandoned (orphan.c): it stays the device's, with the memory that was lent. */
struct p9_msg {
    struct p9_call call; /* first */
    uint32_t at, end;    /* of the answer */
    bool bad;
    bool firm; /* its answer is waited for whatever happens */
    void **
        lend; /* memory of the heap that holds the data; NULL: memory that cannot be left to the device */
    /* From here on of abandoned ones. */
    void *kept;
    uint16_t tag;
    uint8_t
        missing; /* answers that are not back: its own and its flush's; guarded by the channel's lock */
    struct p9_msg *of; /* a flush: the message that it ends */
    uint32_t session;
    _Atomic uint8_t refs; /* its sender's and the device's */
    uint8_t out[P9_MSG];
    uint8_t in[P9_MSG];   /* the device writes here */
    uint8_t seen[P9_MSG]; /* the copy that is looked at */
};

/* rpc.c. Begin a message. NULL: no memory. Freed by p9_free. */
struct p9_msg *p9_begin(enum p9_type type);
void p9_free(struct p9_msg *m);
void p9_put(struct p9_msg *m, uint64_t value, unsigned bytes);
void p9_put_name(struct p9_msg *m, const char *name, size_t len);
uint64_t p9_get(struct p9_msg *m, unsigned bytes);
/* Send m and wait for its answer, of which the fixed part is then ready to be read. 0, the server's errno, -EIO, -EINVAL (what
 * was put does not fit), -EINTR (the thread must die; the server was told that nobody waits any more),
 * -ERESTARTSYS (likewise, and it was not asked). */
NODISCARD int p9_send(struct p9 *fs, struct p9_msg *m);
/* The same with data to the server, or at most len bytes from it. The latter: how many bytes came. */
NODISCARD int p9_send_data(struct p9 *fs, struct p9_msg *m, const void *data, uint32_t len);
NODISCARD int64_t p9_fetch_data(struct p9 *fs, struct p9_msg *m, void *data, uint32_t len);
/* The channel of this name; NULL. */
struct p9_channel *p9_channel_find(const char *tag);
/* Is the answer to m, of got bytes, what it has to be? 0, the server's errno, -EIO. */
NODISCARD int p9_verdict(struct p9_msg *m, uint32_t got);

/* orphan.c. A tag that no message of the channel has; P9_TAGS: there is none. */
uint16_t p9_tag_new(struct p9_channel *ch);
void p9_tag_drop(struct p9_channel *ch, uint16_t tag);
/* Leave m, which was handed to the device, to it, and tell the server. False: the answer is there. */
bool p9_abandon(struct p9 *fs, struct p9_msg *m);
/* Tidy up after abandoned messages whose answers came. */
void p9_reap(struct p9 *fs);

/* client.c. A fresh fid that the server knows: name below fid (name NULL: the same file once more). */
NODISCARD int p9_walk(struct p9 *fs, uint32_t fid, const char *name, size_t len, uint32_t *ret_fid,
                      uint64_t *ret_path);
void p9_clunk(struct p9 *fs, uint32_t fid);
/* The same where the server has something to say to that: 0, its errno, -EIO, -ENOMEM, -EINTR. */
NODISCARD int p9_clunk_error(struct p9 *fs, uint32_t fid);
NODISCARD int p9_getattr(struct p9 *fs, uint32_t fid, struct p9_attr *ret);
NODISCARD int p9_lopen(struct p9 *fs, uint32_t fid, unsigned flags);
/* Once more, opened. */
NODISCARD int p9_reopen(struct p9 *fs, uint32_t fid, unsigned flags, uint32_t *ret_fid);
NODISCARD int p9_fsync(struct p9 *fs, uint32_t fid, bool data_only);
NODISCARD int p9_version(struct p9 *fs);
NODISCARD int p9_attach(struct p9 *fs);
/* At most len bytes at pos from or to *buf, memory of the heap; how many. *buf is NULL after -EINTR: the device has it. */
NODISCARD int64_t p9_read(struct p9 *fs, uint32_t fid, uint64_t pos, void **buf, uint32_t len);
NODISCARD int64_t p9_write(struct p9 *fs, uint32_t fid, uint64_t pos, void **buf, uint32_t len);
/* To the server, from any memory of libOS's, also for a thread that must die. */
NODISCARD int64_t p9_write_firm(struct p9 *fs, uint32_t fid, uint64_t pos, const void *data,
                                uint32_t len);
uint32_t p9_fid_new(struct p9 *fs); /* P9_NONE: there are no more */
void p9_fid_drop(struct p9 *fs, uint32_t fid);

/* inode.c */
static inline struct p9_inode *p9_i(struct inode *inode)
{
    return inode->data;
}
static inline struct p9 *p9_of(struct inode *inode)
{
    return inode->sb->data;
}
/* The inode of what fid names, which becomes its own. The fid is clunked on errors. */
NODISCARD int p9_inode_get(struct p9 *fs, uint32_t take_fid, struct inode **ret);
/* An inode of the n-th chain of the table with pages to write, with a reference; NULL. */
struct inode *p9_dirty(struct p9 *fs, unsigned n);
/* Ask the server for attributes. */
int p9_refresh(struct inode *inode);
extern const struct inode_ops p9_dir_ops, p9_file_ops;

/* file.c */
int p9_open(struct inode *inode, struct file *f);
/* The size is size now: what the page cache has behind it goes. Locks: inode->lock is held for writing. */
void p9_resized(struct inode *inode, uint64_t size);
extern const struct file_ops p9_fops, p9_dir_fops;
extern const struct pagemap_ops p9_pages;
/* xattr.c: extended attributes, with the checks left to the server. */
int p9_getxattr(struct inode *inode, const char *name, void *buf, size_t size);
int p9_setxattr(struct inode *inode, const char *name, const void *value, size_t size, int flags);
int p9_listxattr(struct inode *inode, char *buf, size_t size);

/* lock.c: what file_ops.lock and getlock do. */
int p9_lock(struct file *f, const struct lock_range *r, bool wait);
int p9_getlock(struct file *f, struct lock_range *r);

/* Write what programs changed through mappings. */
int p9_write_back(struct inode *inode, uint64_t first, uint64_t end);

#endif
