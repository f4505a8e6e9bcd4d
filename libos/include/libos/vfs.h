/* SPDX-License-Identifier: MIT */
/* The tree of names: dentries (names), inodes (what they name), mounts, and the walk over them. path_resolution(7). */
#ifndef LIBOS_VFS_H
#define LIBOS_VFS_H

#include <abi/stat.h>
#include <libos/lock.h>
#include <libos/pagemap.h>
#include <libos/waitq.h>

struct dentry;
struct dir_sink;
struct file;
struct file_ops;
struct inode;
struct mount;
struct cred;

struct path {
    struct mount *mount;
    struct dentry *dentry;
};

/* Attributes to change; set says which. */
struct inode_attr {
    unsigned set; /* ATTR_* */
    uint32_t mode, uid, gid;
    uint64_t size;
    struct abi_timespec atime, mtime;
};
enum { ATTR_MODE = 1, ATTR_UID = 2, ATTR_GID = 4, ATTR_SIZE = 8, ATTR_ATIME = 16, ATTR_MTIME = 32, ATTR_CTIME = 64 };

/* What a file system does with names and inodes. Called with dir->lock held for writing (changes) or reading (lookup).
 * A NULL member: -EPERM for changes, -ENOTDIR for lookup. New inodes come with one reference. */
struct inode_ops {
    int (*lookup)(struct inode *dir, const char *name, size_t len, struct inode **ret_inode); /* -ENOENT */
    /* The name cache gave inode: is that still true? NULL: always. For trees that change by themselves (/proc): on false the
     * name is dropped and looked up again. No sleep. */
    bool (*valid)(struct inode *inode);
    int (*create)(struct inode *dir, const char *name, size_t len, uint32_t mode, uint32_t rdev,
                  struct inode **ret_inode); /* all kinds by mode's type bits, but symlinks */
    int (*symlink)(struct inode *dir, const char *name, size_t len, const char *target, struct inode **ret_inode);
    int (*link)(struct inode *dir, const char *name, size_t len, struct inode *inode);
    int (*unlink)(struct inode *dir, const char *name, size_t len, struct inode *inode); /* also empty directories */
    int (*rename)(struct inode *old_dir, const char *old_name, size_t old_len, struct inode *inode,
                  struct inode *new_dir, const char *new_name, size_t new_len, struct inode *replaced, unsigned flags);
    int (*readlink)(struct inode *inode, char *buf, size_t size);   /* length; -EINVAL */
    /* Magic links (/proc/self/fd/N): the path itself with references. NULL: readlink's text is walked. */
    int (*follow)(struct inode *inode, struct path *ret_path);
    int (*setattr)(struct inode *inode, const struct inode_attr *attr); /* after permission checks */
    int (*getattr)(struct inode *inode, struct abi_stat *st); /* adjust what the generic code filled; may be NULL */
    int (*open)(struct inode *inode, struct file *f);       /* sets f->ops, f->data; may be NULL */
    int (*getxattr)(struct inode *inode, const char *name, void *buf, size_t size);
    int (*setxattr)(struct inode *inode, const char *name, const void *value, size_t size, int flags); /* NULL value: remove */
    int (*listxattr)(struct inode *inode, char *buf, size_t size);
    void (*evict)(struct inode *inode);                      /* last reference and last link gone, or memory wanted */
};

struct superblock;

struct inode {
    _Atomic uint32_t refs;
    uint32_t mode, uid, gid;  /* guarded by lock (write); read without */
    _Atomic uint32_t nlink;
    uint32_t rdev;
    uint64_t ino;
    _Atomic uint64_t size;
    struct abi_timespec atime, mtime, ctime, btime;
    const struct inode_ops *ops;
    const struct file_ops *fops; /* for open */
    struct superblock *sb;
    struct rwmutex lock;
    struct pagemap pages;     /* regular files */
    _Atomic int32_t writers;  /* open for writing, or -n: n executing (ETXTBSY) */
    struct file_lock *locks;  /* flock and POSIX; guarded by lock_lock */
    struct spin lock_lock;
    struct waitq lock_wait;
    void *watches;            /* inotify; libos/file/inotify.c */
    void *pipe;               /* of a FIFO */
    void *data;               /* of the file system */
};

struct superblock {
    const char *type;         /* "tmpfs", "proc", ... */
    uint32_t magic, dev, flags;
    struct dentry *root;
    void (*statfs)(struct superblock *sb, void *abi_statfs);
    _Atomic uint64_t next_ino;
    void *data;
};

/* A name. Negative ones (inode NULL) are not kept. */
struct dentry {
    _Atomic uint32_t refs;
    uint32_t hash;
    struct dentry *parent;    /* root: itself; holds a reference */
    struct inode *inode;
    struct dentry *hash_next;
    struct dentry *child_next, *child_prev, *children; /* guarded by the directory's lock_dentry */
    struct mount *mounted;    /* a mount covers this dentry */
    struct superblock *sb;
    bool unlinked;
    uint16_t len;
    char name[];              /* zero-terminated */
};

struct mount {
    _Atomic uint32_t refs;
    struct superblock *sb;
    struct dentry *root, *point; /* point: the dentry covered, NULL for the root mount */
    struct mount *parent, *next; /* all mounts, in order */
    unsigned flags;              /* MS_RDONLY, ... */
    int id;
    const char *source;
};

/* cwd, root and umask, shared by CLONE_FS. */
struct fs_context {
    _Atomic uint32_t refs;
    struct spin lock;
    struct path cwd, root;
    uint32_t umask;
};
struct fs_context *fs_context_copy(struct fs_context *src); /* NULL */
void fs_context_put(struct fs_context *fs);

void path_get(const struct path *p);
void path_put(struct path *p);

enum walk_flags {
    WALK_FOLLOW = 1,      /* the last component, if it is a symbolic link */
    WALK_PARENT = 2,      /* stop at the parent; the last component's name is given */
    WALK_DIRECTORY = 4,   /* -ENOTDIR otherwise */
    WALK_EMPTY = 8,       /* AT_EMPTY_PATH */
    WALK_NO_XDEV = 16, WALK_NO_MAGICLINKS = 32, WALK_NO_SYMLINKS = 64, WALK_BENEATH = 128, WALK_IN_ROOT = 256, /* openat2 */
};

/* Resolve name (zero-terminated, libOS memory) from descriptor dirfd (or AT_FDCWD). ret_path has references.
 * -ENOENT -ENOTDIR -EACCES -ELOOP -ENAMETOOLONG -EBADF -ENOMEM -EXDEV -EIO. */
NODISCARD int path_walk(int dirfd, const char *name, unsigned flags, struct path *ret_path);
/* The parent directory and last name (points into name; its length in ret_len; trailing slashes: ret_slash). -EEXIST-like
 * cases ("/", ".", "..") are told by ret_type. */
struct last_name {
    const char *name;
    size_t len;
    bool slash;
    enum { LAST_NORMAL, LAST_ROOT, LAST_DOT, LAST_DOTDOT } type;
};
NODISCARD int path_walk_parent(int dirfd, const char *name, unsigned flags, struct path *ret_parent,
                               struct last_name *ret_last);
/* open(2) as a whole. how_flags: O_*; walk: openat2's extra walk flags. */
NODISCARD int path_open(int dirfd, const char *name, unsigned how_flags, uint32_t mode, unsigned walk,
                        struct file **ret_file);
/* For libOS's own use: open by absolute path with root's rights. */
NODISCARD int path_open_kernel(const char *name, unsigned flags, struct file **ret_file);
/* Write the absolute path as seen from the current root, zero-terminated; its length with the zero.
 * -ENAMETOOLONG. " (deleted)" is added for removed names. */
int path_text(const struct path *p, char *buf, size_t size);

void inode_get(struct inode *inode);
void inode_put(struct inode *inode);
/* A fresh inode with one reference. NULL. */
struct inode *inode_create(struct superblock *sb, uint32_t mode, const struct inode_ops *ops);
/* May the current thread do this (MAY_*)? 0, -EACCES, -EROFS, -EPERM. */
enum { MAY_EXEC = 1, MAY_WRITE = 2, MAY_READ = 4 };
NODISCARD int inode_permission(struct inode *inode, unsigned may);
NODISCARD int inode_setattr(const struct path *p, struct inode_attr *attr); /* with checks; sets ctime */
void inode_stat(struct inode *inode, struct abi_stat *ret);
NODISCARD int inode_truncate(struct inode *inode, uint64_t size);

/* Mount a file system made by its module at absolute path point. -ENOENT, -ENOTDIR, -ENOMEM. */
NODISCARD int vfs_mount(struct superblock *sb, const char *point, const char *source, unsigned flags);
/* A fresh in-memory file system; type as /proc/mounts shows it ("tmpfs", "devtmpfs"), a string constant. -ENOMEM. */
NODISCARD int tmpfs_create(const char *type, uint32_t root_mode, struct superblock **ret_sb);
/* Make a node at an absolute path with root's rights, for libOS's own trees: kind by mode's type bits; target for symbolic
 * links. -EEXIST, -ENOENT, -ENOMEM. */
NODISCARD int vfs_make(const char *name, uint32_t mode, uint32_t rdev, const char *target);
/* The root: tmpfs over the EROFS image at image (size bytes, page aligned, verified by check before use). */
NODISCARD int vfs_init(void);

struct abi_timespec vfs_now(void);

#endif
