/* SPDX-License-Identifier: MIT */
/* The name cache: finding, adding and removing the children of a directory. For libos/file and libos/fs. */
#ifndef LIBOS_DENTRY_H
#define LIBOS_DENTRY_H

#include <libos/vfs.h>
#include <string.h>

/* Listings: "." is at position 0, ".." at 1. Names of an image below come next, then those added since boot. */
enum {
    DIR_POS_FIRST = 2,
};
#define DIR_POS_UPPER (1ull << 40)

/* Hash of a name: start with 0, add eight bytes after eight; the rest of the last eight is zero, and none is added for
 * nothing. */
static inline uint64_t name_hash_add(uint64_t hash, uint64_t eight)
{
    return ((hash << 5 | hash >> 59) ^ eight) * 0x9e3779b97f4a7c15ull;
}

static inline uint32_t name_hash_end(uint64_t hash)
{
    return (uint32_t)(hash >> 32);
}

static inline uint32_t name_hash(const char *name, size_t len)
{
    uint64_t h = 0, eight;
    for (; len >= 8; len -= 8, name += 8) {
        memcpy(&eight, name, 8);
        h = name_hash_add(h, eight);
    }
    eight = 0;
    memcpy(&eight, name, len);
    return name_hash_end(len ? name_hash_add(h, eight) : h);
}

/* Are these len bytes equal? Without a call, for the lengths that names have. */
static inline bool name_equal(const char *a, const char *b, size_t len)
{
    uint64_t x, y;
    if (len < 8) { /* two overlapping halves, or first, middle and last */
        if (len < 4)
            return len == 0 ||
                   (a[0] == b[0] && a[len / 2] == b[len / 2] && a[len - 1] == b[len - 1]);
        uint32_t p, q, r, s;
        memcpy(&p, a, 4);
        memcpy(&q, b, 4);
        memcpy(&r, a + len - 4, 4);
        memcpy(&s, b + len - 4, 4);
        return ((p ^ q) | (r ^ s)) == 0;
    }
    for (size_t i = 0; i + 8 < len; i += 8) {
        memcpy(&x, a + i, 8);
        memcpy(&y, b + i, 8);
        if (x != y)
            return false;
    }
    memcpy(&x, a + len - 8, 8);
    memcpy(&y, b + len - 8, 8);
    return x == y;
}

/* A name outside any directory with one reference; takes the inode's reference, on failure too. The name, whose name_hash
 * is given, is copied.
 * parent NULL: a root, its own parent. Else the parent gets a reference. NULL. */
struct dentry *dentry_create(struct superblock *sb, struct dentry *parent, const char *name,
                             size_t len, uint32_t hash, struct inode *take_inode);

/* The child of dir with this name, with a reference; NULL. Locks: takes dir's. */
struct dentry *dentry_find(struct dentry *dir, const char *name, size_t len, uint32_t hash);

/* Make sure that a child can be attached. -ENOMEM. */
NODISCARD int dentry_reserve(struct dentry *dir);

/* Make d, whose parent is dir, findable at position seq (0: after all others). dentry_reserve was called.
 * Locks: dir->inode->lock is held for writing; takes dir's. */
void dentry_attach(struct dentry *dir, struct dentry *d, uint64_t seq);

/* Take d out of its parent: it becomes unlinked. Locks: the parent's inode->lock is held for writing; takes the parent's. */
void dentry_detach(struct dentry *d);

/* A pinned file system ends: let go of all names below root. Nobody else uses it. */
void dentry_drop_names(struct dentry *root);

/* Mark directory d as taking no more children if it has none. -ENOTEMPTY. */
NODISCARD int dentry_kill(struct dentry *d);

/* Names of dir are about to go and to come back: until it is off again, a lookup that finds none waits for the inode's
 * lock, so that a name which one file takes from another is never missing. Locks: dir->inode->lock is held for writing. */
void dentry_renaming(struct dentry *dir, bool on);

/* Around whatever changes what is above a directory. Never waits. */
void moves_begin(void);
void moves_end(void);
/* To be asked moves_since about: has any move begun since then, or was one under way? */
uint32_t moves_now(void);
bool moves_since(uint32_t then);

/* Move d to dir under a new name, after all others. d was detached with dentry_detach; unlinked no more.
 * take_name: NULL (fits inline, name is copied) or memory that becomes the dentry's. Locks: both directories'
 * inode->lock for writing, and sb->rename_lock when dir is not the old parent. */
void dentry_move(struct dentry *d, struct dentry *dir, const char *name, size_t len,
                 char *take_name);

/* The parent of d, with a reference. */
struct dentry *dentry_parent(struct dentry *d);

/* The child of this name from the cache or the file system, with a reference. -ENOENT, -ENAMETOOLONG, -ENOMEM, -EIO.
 * dentry_lookup_locked: dir->inode->lock is held for writing. */
NODISCARD int dentry_lookup(struct dentry *dir, const char *name, size_t len, uint32_t hash,
                            struct dentry **ret_dentry);
NODISCARD int dentry_lookup_locked(struct dentry *dir, const char *name, size_t len, uint32_t hash,
                                   struct dentry **ret_dentry);

/* List the children from *pos on, in order of seq. For file systems whose names all are in the cache.
 * Locks: dir->inode->lock is held for reading. */
int dentry_list(struct file *f, struct dentry *dir, struct dir_sink *s, uint64_t *pos,
                uint64_t first);

#endif
