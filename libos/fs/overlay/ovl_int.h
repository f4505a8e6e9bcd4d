/* SPDX-License-Identifier: MIT */
/* Private to overlay. */
#ifndef FS_OVERLAY_H
#define FS_OVERLAY_H

#include <libos/vfs.h>

enum { OVL_LAYERS_MAX = 500, OVL_HASH = 64 };

struct ovl_inode;

struct ovl {
    struct superblock sb;
    struct mount *upper; /* of our own, in no tree; NULL: read-only */
    struct dentry *upper_root, *work;
    struct mount **lower; /* of our own too, the uppermost first */
    unsigned nlower;
    bool user_xattr; /* marks are user.overlay.*, not trusted.overlay.* */
    bool no_sync;    /* "volatile" */
    char *text[3];   /* lowerdir, upperdir, workdir as given */
    _Atomic uint32_t temp;
    struct spin lock;                 /* RANK_FILE */
    struct ovl_inode *hash[OVL_HASH]; /* guarded by lock: files by their inode in the upper layer */
};

/* What an inode of the overlay stands for. Its data. */
struct ovl_inode {
    struct inode *inode;
    struct inode *parent; /* holds a reference; NULL: the root, or made in the upper layer */
    char *name;           /* in parent, for as long as it is not in the upper layer */
    _Atomic(struct dentry *) upper; /* set once; holds a reference */
    struct mutex copy;              /* RANK_OVL_COPY: it goes up */
    struct ovl_inode *hash_next;
    bool hashed;
    bool
        kept; /* came up since it was mounted, and keeps its number: holds a reference of its own. Guarded by the lock */
    unsigned nlower;
    struct ovl_lower {
        unsigned layer;
        struct dentry *dentry; /* holds a reference */
    } lower[];
};

static inline struct ovl *ovl_of(const struct inode *inode)
{
    return inode->sb->data;
}

static inline struct ovl_inode *ovl_inode(const struct inode *inode)
{
    return inode->data;
}

static inline struct dentry *ovl_upper(const struct ovl_inode *oi)
{
    /* Acquire: pairs with the copy that made it. */
    return atomic_load_explicit(&((struct ovl_inode *)(uintptr_t)oi)->upper, memory_order_acquire);
}

/* The dentry that counts, and the path of it. */
static inline struct dentry *ovl_real(const struct ovl_inode *oi)
{
    struct dentry *upper = ovl_upper(oi);
    return upper ? upper : oi->lower[0].dentry;
}
struct path ovl_real_path(const struct inode *inode);

/* overlay.c: an inode over upper (takes the reference; may be NULL) and lowers (takes them). parent and name: where it goes when
 * it goes up. -ENOMEM. */
NODISCARD int ovl_inode_make(struct ovl *o, struct dentry *take_upper, struct ovl_lower *take_lower,
                             unsigned nlower, struct inode *parent, const char *name, size_t len,
                             struct inode **ret);
/* Attributes as the real one has them. */
void ovl_mirror(struct inode *inode);
/* Files in the upper layer are found by their inode there. */
void ovl_hash_add(struct ovl *o, struct ovl_inode *oi);
void ovl_hash_remove(struct ovl *o, struct ovl_inode *oi);
/* A file that came up stays, so that its number does; until its last name is gone. */
void ovl_keep(struct ovl *o, struct ovl_inode *oi);
void ovl_keep_no_more(struct ovl *o, struct ovl_inode *oi);
struct inode *ovl_hash_find(struct ovl *o, const struct inode *upper);

/* lookup.c */
int ovl_lookup(struct inode *dir, const char *name, size_t len, struct inode **ret);
/* The name in a real directory, with a reference. -ENOENT, ... */
NODISCARD int ovl_find(struct dentry *dir, const char *name, size_t len, struct dentry **ret);
bool ovl_is_whiteout(const struct ovl *o, struct dentry *d);
bool ovl_is_opaque(const struct ovl *o, struct dentry *d);
NODISCARD int ovl_set_opaque(const struct ovl *o, struct dentry *d);
/* Is the name of overlay directory dir in a layer below the upper one? */
bool ovl_in_lower(const struct inode *dir, const char *name, size_t len);
/* Does this extended attribute belong to the overlay itself? */
bool ovl_own_xattr(const struct ovl *o, const char *name);

/* copy_up.c: bring inode and its directories to the upper layer. size: of its content, at most. -EROFS, -ENOSPC, -EIO, ... */
NODISCARD int ovl_copy_up(struct inode *inode, uint64_t size);
/* A name for something in the work directory. */
void ovl_temp(struct ovl *o, char name[16]);

/* dir.c: the names of directory inode, merged. */
struct ovl_entry {
    struct ovl_entry *next, *hash_next;
    uint64_t ino;
    unsigned type;
    uint16_t len;
    bool hidden; /* a whiteout */
    char name[];
};
struct ovl_list {
    struct ovl_entry *first, **last;
    struct ovl_entry *hash[256];
    int err;
};
NODISCARD int ovl_list(struct inode *dir, struct ovl_list **ret);
void ovl_list_free(struct ovl_list *l);
/* -ENOTEMPTY */
NODISCARD int ovl_check_empty(struct inode *dir);
/* The whiteouts in directory d of the upper layer go, or all that is there. -ENOTEMPTY: a directory is not empty. */
NODISCARD int ovl_clear(struct ovl *o, struct dentry *d, bool all);
extern const struct file_ops ovl_dir_fops;

/* names.c: changes, for inode_ops. */
int ovl_create(struct inode *dir, const char *name, size_t len, uint32_t mode, uint32_t rdev,
               struct inode **ret);
int ovl_symlink(struct inode *dir, const char *name, size_t len, const char *target,
                struct inode **ret);
int ovl_link(struct inode *dir, const char *name, size_t len, struct inode *inode);
int ovl_unlink(struct inode *dir, const char *name, size_t len, struct inode *inode);
int ovl_rename(struct inode *old_dir, const char *old_name, size_t old_len, struct inode *inode,
               struct inode *new_dir, const char *new_name, size_t new_len, struct inode *replaced,
               unsigned flags);

#endif
