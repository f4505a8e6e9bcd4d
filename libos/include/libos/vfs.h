/* SPDX-License-Identifier: MIT */
/* The tree of names: dentries (names), inodes (what they name), mounts, and the walk over them. path_resolution(7). */
#ifndef LIBOS_VFS_H
#define LIBOS_VFS_H

#include <abi/stat.h>
#include <libos/lock.h>
#include <libos/pagemap.h>
#include <libos/waitq.h>

struct dentry;
struct abi_statfs;
struct dir_sink;
struct file;
struct file_ops;
struct inode;
struct mount;
struct cred;
struct acl;
struct handle_ops;
struct xattr;

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
enum {
    ATTR_MODE = 1,
    ATTR_UID = 2,
    ATTR_GID = 4,
    ATTR_SIZE = 8,
    ATTR_ATIME = 16,
    ATTR_MTIME = 32,
    ATTR_CTIME = 64,
    ATTR_TIMES_SET = 128, /* the times are given, not now: takes the owner */
    ATTR_TOUCH = 256,     /* the times become now: takes the owner or write permission */
    ATTR_CHOWN = 512      /* chown(2): set-id bits go, even when neither id changes */
};

/* What a file system does with names and inodes. Called with dir->lock held for writing (changes) or reading (lookup).
 * A NULL member: -EPERM for changes, -ENOTDIR for lookup. New inodes come with one reference. */
struct inode_ops {
    int (*lookup)(struct inode *dir, const char *name, size_t len,
                  struct inode **ret_inode); /* -ENOENT */
    /* The name cache gave inode: is that still true? NULL: always. For trees that change by themselves (/proc): on false the
     * name is dropped and looked up again. No sleep. */
    bool (*valid)(struct inode *inode);
    int (*create)(struct inode *dir, const char *name, size_t len, uint32_t mode, uint32_t rdev,
                  struct inode **ret_inode); /* all kinds by mode's type bits, but symlinks */
    int (*symlink)(struct inode *dir, const char *name, size_t len, const char *target,
                   struct inode **ret_inode);
    int (*link)(struct inode *dir, const char *name, size_t len, struct inode *inode);
    int (*unlink)(struct inode *dir, const char *name, size_t len,
                  struct inode *inode); /* also empty directories */
    int (*rename)(struct inode *old_dir, const char *old_name, size_t old_len, struct inode *inode,
                  struct inode *new_dir, const char *new_name, size_t new_len,
                  struct inode *replaced, unsigned flags);
    int (*complete)(
        struct dentry *
            dir); /* before a name goes: bring all names into the cache; may be NULL. -ENOMEM, -EIO */
    /* Instead of the mode bits, for trees whose owners change by themselves (/proc): see inode_permission. NULL: the bits. */
    int (*permission)(struct inode *inode, unsigned may);
    int (*readlink)(struct inode *inode, char *buf, size_t size); /* length; -EINVAL */
    /* Magic links (/proc/self/fd/N): the path itself with references. NULL: readlink's text is walked. */
    int (*follow)(struct inode *inode, struct path *ret_path);
    int (*setattr)(struct inode *inode,
                   const struct inode_attr *attr); /* after permission checks */
    int (*getattr)(struct inode *inode,
                   struct abi_stat *st); /* adjust what the generic code filled; may be NULL */
    int (*open)(struct inode *inode, struct file *f); /* sets f->ops, f->data; may be NULL */
    /* Another inode has the content; it is opened instead, with these O_* flags. With a reference. NULL: this one has. */
    int (*real)(struct inode *inode, unsigned flags, struct inode **ret);
    /* The generic code changed attributes (times, owner, mode, links): they have to be written some time. No sleep; may be
     * NULL. */
    void (*changed)(struct inode *inode);
    int (*getxattr)(struct inode *inode, const char *name, void *buf, size_t size);
    int (*setxattr)(struct inode *inode, const char *name, const void *value, size_t size,
                    int flags); /* NULL value: remove */
    int (*listxattr)(struct inode *inode, char *buf, size_t size);
    void (*evict)(struct inode *inode); /* last reference gone; may be NULL */
};

struct superblock;

struct inode {
    _Atomic uint32_t refs;
    uint32_t mode, uid, gid; /* guarded by lock (write); read without */
    _Atomic uint32_t nlink;
    uint32_t rdev;
    uint64_t ino;
    _Atomic uint64_t size;
    struct abi_timespec atime, mtime, ctime, btime;
    uint64_t
        atime_until; /* plat_time_ns(): reading before that does not change atime; 0 after any change */
    const struct inode_ops *ops;
    const struct file_ops *fops; /* for open */
    struct superblock *sb;
    struct rwmutex lock;
    struct pagemap pages;    /* regular files */
    _Atomic int32_t writers; /* open for writing, or -n: n executing (ETXTBSY) */
    struct file_lock *locks; /* flock and POSIX; guarded by lock_lock */
    struct spin lock_lock;
    struct waitq lock_wait;
    void *watches;                 /* inotify; libos/file/inotify.c */
    void *pipe;                    /* of a FIFO */
    uint8_t write_hint;            /* F_SET_RW_HINT */
    bool caps_none;                /* known to have no security.capability; guarded by lock */
    bool can_link;                 /* nlink is 0 and linkat may give it a first name (O_TMPFILE) */
    struct acl *acl, *acl_default; /* access control lists, libos/acl.h; NULL: none */
    struct xattr *xattrs;   /* guarded by lock; file systems that keep them in memory (tmpfs) */
    _Atomic uint32_t seals; /* F_SEAL_*; F_SEAL_SEAL from the start where fcntl may not add any */
    char *link;          /* text of a symbolic link, owned; file systems that keep it in memory */
    uint64_t lower;      /* tmpfs over an image: nid + 1 of the inode below, 0: none */
    uint64_t lower_size; /* bytes of the lower file that still count; guarded by lock */
    void *data;          /* of the file system */
};

/* What a file system on a device does as a whole; NULL members: nothing to do. All may sleep. */
struct superblock_ops {
    int (*sync)(struct superblock *sb); /* everything is on the medium when it returns 0; -EIO */
    void (*unmount)(struct superblock *sb); /* nobody uses it any more: ends and frees all of it */
    /* The mount options changed to flags (ST_*): read-only or not. NULL: nothing to do. -EROFS, -EIO. */
    int (*remount)(struct superblock *sb, uint32_t flags);
    void (*stop)(
        struct superblock *sb); /* the machine ends: like unmount, but users are still there */
    const struct handle_ops
        *handles; /* NULL: files have no handles, but where all names are in the cache (tmpfs) */
};

struct superblock {
    const char *type;                 /* "tmpfs", "proc", ... */
    const struct superblock_ops *ops; /* NULL: nothing to sync */
    uint32_t magic, dev;
    _Atomic uint32_t flags;  /* ST_RDONLY, ... */
    _Atomic uint32_t active; /* mounts and other users; the last one ends it */
    bool ending;             /* its inodes go because it is unmounted */
    struct dentry *root;
    struct superblock *all_next, *all_prev; /* utlist DL; guarded by the lock of the mount table */
    void (*statfs)(
        struct superblock *sb,
        struct abi_statfs *st); /* type, name length and so on are filled; NULL: no blocks */
    /* Mount options as /proc/mounts shows them, each with a comma in front, a string; its length. NULL: none. */
    size_t (*show)(const struct superblock *sb, char *buf, size_t size);
    _Atomic uint64_t next_ino;
    bool pinned; /* names live in the dentry cache: a dentry stays until it is unlinked (tmpfs) */
    bool no_acl; /* lists of rights are the server's: -EOPNOTSUPP here */
    struct mutex rename_lock;  /* moves of directories */
    _Atomic uint32_t wb_error; /* errseq: what syncfs tells */
    void *data;
};

/* Prepare sb with a root directory of ops and mode: one inode, one dentry. Device number and ids are allocated.
 * -ENOMEM. */
NODISCARD int superblock_init(struct superblock *sb, const char *type, uint32_t magic,
                              uint32_t mode, const struct inode_ops *ops);

/* The file system that shows this number as its files' device, with a reference; NULL. */
struct superblock *superblock_of_dev(uint32_t dev);
/* Drop a reference; the last one ends the file system, and may sleep. */
void superblock_put(struct superblock *sb);

/* The part of that without a root. */
void superblock_number(struct superblock *sb, const char *type, uint32_t magic);

/* A name. Negative ones (inode NULL) are not kept. The name, hash and list links of a child are guarded by its parent's
 * lock; they change only with the parent inode's lock held for writing too, so either suffices to read. */
struct dentry {
    _Atomic uint32_t refs;
    uint32_t hash;
    struct dentry *
        parent; /* root: itself; holds a reference. Guarded by this dentry's own lock; changes only with
                                 sb->rename_lock held too */
    struct inode *inode; /* never changes */
    struct superblock *sb;
    struct spin lock; /* RANK_DENTRY: the children */
    struct dentry *hash_next;
    struct dentry *child_next, *child_prev; /* in the parent's children, by seq */
    struct dentry *children;                /* guarded by lock; utlist DL */
    struct dentry **
        table; /* guarded by lock: hash table of the children, table_size (a power of two) chains */
    uint32_t table_size, nchildren; /* guarded by lock */
    uint64_t seq;                   /* position in a listing of the parent */
    uint64_t next_seq;              /* guarded by lock: of the next child */
    _Atomic uint32_t mounted; /* mounts that cover this dentry, in any mount of its file system */
    bool unlinked;            /* not in its parent any more */
    bool renaming; /* names of it are on their way, see dentry_renaming. Guarded by lock */
    bool complete; /* of an image: all its names are in the cache. Guarded by inode->lock */
    bool dead;     /* a removed directory: takes no children. Guarded by lock */
    bool own_name; /* name was allocated by itself */
    uint16_t len;
    const char *name; /* zero-terminated; name_inline, or memory of its own */
    char name_inline[32];
};

/* Take or drop a reference; the last put may free and so sleep. */
static inline void dentry_get(struct dentry *d)
{
    /* Relaxed: whoever has a reference may add one. */
    atomic_fetch_add_explicit(&d->refs, 1, memory_order_relaxed);
}

/* The last reference is gone; for dentry_put. */
void dentry_drop_last(struct dentry *d);

static inline void dentry_put(struct dentry *d)
{
    /* Acquire-release: who frees sees what all others did. */
    if (UNLIKELY(d && atomic_fetch_sub_explicit(&d->refs, 1, memory_order_acq_rel) == 1))
        dentry_drop_last(d);
}

/* One place of a (part of a) file system. Memory of mounts is used again for mounts only, so that a walk may look at one
 * that just went. See libos/mount.h. */
struct mount {
    _Atomic uint32_t
        refs; /* one of the tree that it is in, one of each mount on it, and its users */
    _Atomic uint32_t flags; /* ST_RDONLY, ST_NOSUID, ST_NODEV, ... */
    struct superblock *sb;  /* holds a reference */
    struct dentry *root;    /* holds a reference */
    const char *source;     /* owned */
    int id;
    _Atomic uint32_t writers; /* files open for writing */
    _Atomic bool expiring;    /* MNT_EXPIRE marked it, and no walk came since */
    /* Guarded by the lock of the mount table. */
    _Atomic(struct mount *) parent;    /* NULL: the first of a tree; holds a reference */
    _Atomic(struct dentry *) point;    /* the dentry of parent that it covers; holds a reference */
    _Atomic(struct mount *) hash_next; /* by parent and point */
    struct mount *children, *sibling_next, *sibling_prev; /* utlist DL */
    struct mount *all_next, *all_prev;                    /* all in the tree, in order; utlist DL */
    enum {
        MOUNT_GONE,
        MOUNT_APART,
        MOUNT_IN_TREE
    } place; /* APART: an open_tree or fsmount file's */
    /* mount_namespaces(7): changed with the tree's mutex. */
    int group; /* shared: of its peers; 0: not shared */
    bool unbindable;
    struct mount *peer_next;                        /* ring of the peers, itself when alone */
    struct mount *master;                           /* a peer of the group that it is a slave of */
    struct mount *slaves, *slave_next, *slave_prev; /* utlist DL */
    struct mount *work_next, *copy, *sent;          /* of the change that is being made */
    struct path was_on; /* once it is off the tree: references to drop */
};

/* The last reference is gone; for mount_put. May sleep. */
void mount_drop_last(struct mount *m);

static inline void mount_put(struct mount *m)
{
    /* Acquire-release: who frees sees what all others did. */
    if (UNLIKELY(atomic_fetch_sub_explicit(&m->refs, 1, memory_order_acq_rel) == 1))
        mount_drop_last(m);
}

/* Bring everything of every mounted file system to its device. -EIO. */
int vfs_sync(void);
/* The machine is about to end: all file systems finish. May sleep. */
void vfs_stop(void);

/* cwd, root and umask, shared by CLONE_FS. */
struct fs_context {
    _Atomic uint32_t refs;
    struct spin lock;
    struct path cwd, root;
    struct path next
        [2]; /* what pivot_root made of them, until the thread takes it over; mount NULL: nothing */
    uint32_t umask;
};
enum { FS_ROOT, FS_CWD };
/* The current thread's umask. */
uint32_t vfs_umask(void);
/* At the root of the tree, umask 022, one reference. NULL. After vfs_init. */
struct fs_context *fs_context_create(void);
struct fs_context *fs_context_copy(struct fs_context *src); /* NULL */
void fs_context_put(struct fs_context *fs);
/* Make p the root (FS_ROOT) or the working directory of the current thread's fs. Takes the path. */
void fs_context_set(struct fs_context *fs, int which, const struct path *take_p);
/* Its root, with references. */
void fs_context_root(struct fs_context *fs, struct path *ret);
/* pivot_root: whoever is at path from goes to path to. Another thread does so itself on its way out of the kernel (WORK_ROOT),
 * because a walk of its own relies on its root without counting it. */
void fs_contexts_move(const struct path *from, const struct path *to);
/* The current thread's part of that. */
void fs_context_settle(struct fs_context *fs);

/* Take or drop the references that a path holds on its parts. */
static inline void path_get(const struct path *p)
{
    dentry_get(p->dentry);
    atomic_fetch_add_explicit(&p->mount->refs, 1, memory_order_relaxed);
}

static inline void path_put(struct path *p)
{
    dentry_put(p->dentry); /* first: the mount's last user ends the file system */
    mount_put(p->mount);
}

enum walk_flags {
    WALK_FOLLOW = 1,    /* the last component, if it is a symbolic link */
    WALK_PARENT = 2,    /* stop at the parent; the last component's name is given */
    WALK_DIRECTORY = 4, /* -ENOTDIR otherwise */
    WALK_EMPTY = 8,     /* AT_EMPTY_PATH */
    WALK_NO_XDEV = 16,
    WALK_NO_MAGICLINKS = 32,
    WALK_NO_SYMLINKS = 64,
    WALK_BENEATH = 128,
    WALK_IN_ROOT = 256, /* openat2 */
    WALK_EXPIRE = 512,  /* for umount2: being walked to is no use of a mount */
};

/* Buffers of PATH_MAX bytes. NULL: out of memory. */
char *path_buf_alloc(void);
void path_buf_free(char *buf);

/* Resolve name (zero-terminated, libOS memory) from descriptor dirfd (or AT_FDCWD). ret_path has references.
 * -ENOENT -ENOTDIR -EACCES -ELOOP -ENAMETOOLONG -EBADF -ENOMEM -EXDEV -EIO. */
NODISCARD int path_walk(int dirfd, const char *name, unsigned flags, struct path *ret_path);
/* The last name of a path: points into it. slash: one follows. A name that is not LAST_NORMAL has no len of use. */
struct last_name {
    const char *name;
    size_t len;
    uint32_t hash; /* name_hash */
    bool slash;
    enum { LAST_NORMAL, LAST_ROOT, LAST_DOT, LAST_DOTDOT } type;
};
/* open(2) as a whole. how_flags: O_*, and for execve FILE_OPEN_EXEC (wants execute permission instead of read); walk:
 * openat2's extra walk flags. */
enum { FILE_OPEN_EXEC = 1 << 30 };
NODISCARD int path_open(int dirfd, const char *name, unsigned how_flags, uint32_t mode,
                        unsigned walk, struct file **ret_file);
/* For libOS's own use: open by absolute path with root's rights. */
NODISCARD int path_open_kernel(const char *name, unsigned flags, struct file **ret_file);
/* Open what p names once more, with permission checks (opening /proc/self/fd/N, mq files). No O_CREAT. Errnos of open(2). */
NODISCARD int file_reopen(const struct path *p, unsigned flags, struct file **ret_file);
/* Write the absolute path as seen from the current root, zero-terminated; its length with the zero.
 * -ENAMETOOLONG. " (deleted)" is added for removed names; a path that is not below the root begins with
 * "(unreachable)". */
int path_text(const struct path *p, char *buf, size_t size);
/* The path of p's name inside its file system, zero-terminated; its length with the zero. -ENAMETOOLONG. */
int dentry_text(const struct path *p, char *buf, size_t size);
/* The same for an open file of any kind: "pipe:[7]", "anon_inode:[eventfd]". */
int file_text(const struct file *f, char *buf, size_t size);

/* Take or drop a reference; the last put of an unlinked inode frees it and may sleep. */
void inode_get(struct inode *inode);
void inode_put(struct inode *inode);
/* A fresh inode with one reference. NULL. */
struct inode *inode_create(struct superblock *sb, uint32_t mode, const struct inode_ops *ops);
/* May the current thread do this (MAY_*)? 0, -EACCES, -EROFS, -EPERM. */
enum { MAY_EXEC = 1, MAY_WRITE = 2, MAY_READ = 4 };
NODISCARD int inode_permission(struct inode *inode, unsigned may);
/* The same by owner, group and mode bits alone, for inode_ops.permission. */
NODISCARD int inode_mode_permission(struct inode *inode, unsigned may);
NODISCARD int inode_setattr(const struct path *p,
                            struct inode_attr *attr); /* with checks; sets ctime */
int inode_stat(struct inode *inode, struct abi_stat *ret);
/* Tell the file system that attributes of inode were changed in memory. */
static inline void inode_changed(struct inode *inode)
{
    if (UNLIKELY(inode->ops->changed))
        inode->ops->changed(inode);
}
/* May the current thread use the blocks that a file system keeps for root? */
bool vfs_may_use_reserve(void);
/* Set the size of a regular file; the caller checked the rights. -EINVAL, -EFBIG (RLIMIT_FSIZE: with SIGXFSZ), -EPERM
 * (sealed), -EIO, -ENOMEM. Locks: takes inode->lock. */
NODISCARD int inode_truncate(struct inode *inode, uint64_t size);
/* F_ADD_SEALS. -EPERM (sealed against it), -EINVAL, -EBUSY (F_SEAL_WRITE while mapped for writing). */
NODISCARD int inode_add_seals(struct inode *inode, uint32_t seals);
/* truncate(2) on a regular file, with its checks: -EROFS, -EACCES, -ETXTBSY and those of inode_truncate. */
NODISCARD int path_truncate(const struct path *p, uint64_t size);
/* How many of count bytes may be written from pos on under RLIMIT_FSIZE; -EFBIG (and SIGXFSZ sent): none. */
int64_t file_write_limit(uint64_t pos, uint64_t count);
/* For file systems' create: owner and group from the current thread, or the group from a set-group-id directory. */
void inode_init_owner(struct inode *inode, const struct inode *dir);
/* Someone writes: set-id bits go, unless CAP_FSETID. Locks: inode->lock held for writing. */
void inode_drop_setid(struct inode *inode);
/* execve: nobody may open the file for writing until inode_allow_write. -ETXTBSY: someone has. */
NODISCARD int inode_deny_write(struct inode *inode);
void inode_allow_write(struct inode *inode);

/* Mount a file system made by its module at absolute path point; missing directories on the way are made. For the
 * boot and the modules, no permission checks. Takes a reference of sb. -ENOTDIR, -ENOMEM. */
NODISCARD int vfs_mount(struct superblock *take_sb, const char *point, const char *source,
                        unsigned flags);
/* A fresh in-memory file system; type as /proc/mounts shows it ("tmpfs", "devtmpfs"), a string constant. -ENOMEM. */
NODISCARD int tmpfs_create(const char *type, uint32_t root_mode, struct superblock **ret_sb);
/* Make a node at an absolute path with root's rights, for libOS's own trees: kind by mode's type bits; target for symbolic
 * links. -EEXIST, -ENOENT, -ENOMEM. */
NODISCARD int vfs_make(const char *name, uint32_t mode, uint32_t rdev, const char *target);
/* The opposite, for what is no directory; nothing if it is not there, or the caller may not. */
void vfs_unmake(const char *name);
struct erofs_source;

/* Make the root: a tmpfs over the EROFS image at image (size bytes, page aligned, in the linear map; each block goes
 * through verity_check before it is used), or a plain tmpfs when image is NULL: for good when size is 0, else until
 * vfs_root_image brings an image of that size. Needs pages, heap and time; does not
 * need a current thread. -EINVAL, -EIO with a logged line: not an image that can be used; -ENOMEM. */
NODISCARD int vfs_init(const void *image, size_t size);
/* Put the image of size bytes behind source below the root, whose names stay. May sleep. Errors of vfs_init, -EOPNOTSUPP. */
NODISCARD int vfs_root_image(const struct erofs_source *source, uint64_t size);

/* Prepare for files without a place in the tree; vfs_init does. -ENOMEM. */
NODISCARD int anon_init(void);

/* What shims call; name is libOS memory, dirfd a descriptor or AT_FDCWD. All checks included; errnos of the man page. */
NODISCARD int vfs_mknod(int dirfd, const char *name, uint32_t mode,
                        uint32_t rdev); /* directories too */
NODISCARD int vfs_symlink(const char *target, int dirfd, const char *name);
NODISCARD int vfs_link(const struct path *old, int dirfd, const char *name);
NODISCARD int vfs_unlink(int dirfd, const char *name, bool directory);
NODISCARD int vfs_rename(int old_dirfd, const char *old_name, int new_dirfd, const char *new_name,
                         unsigned flags);

/* For readdir: give "." at position 0 and ".." at 1 if *pos is there. False: the sink is full. */
bool dir_emit_dots(struct file *f, struct dir_sink *s, uint64_t *pos);
/* p was read: update the access time, as relatime does. */
void inode_touch(const struct path *p);
/* Current wall time as time stamps have it. */
struct abi_timespec vfs_now(void);

#endif
