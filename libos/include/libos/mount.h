/* SPDX-License-Identifier: MIT */
/* Mounts: where file systems, or parts of them, stand in the tree. mount(2), umount2(2), mount_namespaces(7). There is one
 * tree for all processes. Paths given are borrowed; who asks was allowed to (CAP_SYS_ADMIN). All of these may sleep, and
 * take the mutex of the tree (RANK_MOUNT_TREE). */
#ifndef LIBOS_MOUNT_H
#define LIBOS_MOUNT_H

#include <libos/vfs.h>

struct poll_table;

#define MOUNT_UNIQUE_FIRST (1ull << 31) /* unique ids lie above */

/* mount_set_sharing's types. */
enum mount_sharing { MOUNT_SHARED, MOUNT_SLAVE, MOUNT_PRIVATE, MOUNT_UNBINDABLE };

/* mount_umount's flags: umount2(2)'s. */
enum { UMOUNT_FORCE = 1, UMOUNT_DETACH = 2, UMOUNT_EXPIRE = 4, UMOUNT_NOFOLLOW = 8 };

/* Take or drop a reference of a file system. superblock_get: false when the last one is gone already. */
NODISCARD bool superblock_get(struct superblock *sb);

/* A mount of root (a dentry of sb; gets a reference) that is nowhere yet, with one reference, the tree's. Takes a reference
 * of sb, on failure too. flags: ST_*. source is copied. -ENOMEM. */
NODISCARD int mount_create(struct superblock *take_sb, struct dentry *root, const char *source,
                           unsigned flags, struct mount **ret);
/* The first mount of all, and the root that covers it, which nothing else can; vfs_init. -ENOMEM. */
NODISCARD int mount_first(struct mount *m, struct mount *root);
/* Put a mount from mount_create over at. Takes it, on failure too. -ENOTDIR, -ENOENT, -EINVAL (at is nowhere), -EBUSY (the
 * same file system is there already), -ENOMEM. */
NODISCARD int mount_add(struct mount *take_m, const struct path *at);
/* A copy of what is mounted at from (recursive: and below) that is nowhere yet; for open_tree. -EINVAL (unbindable, or
 * from is nowhere), -ENOMEM. */
NODISCARD int mount_copy(const struct path *from, bool recursive, struct mount **ret);
/* MS_BIND. Errnos of mount_copy and mount_add. */
NODISCARD int mount_bind(const struct path *from, const struct path *at, bool recursive);
/* End a tree that is nowhere. Takes it. */
void mount_dissolve(struct mount *take_m);
/* An O_PATH file of m, which is nowhere: when it is closed m ends, unless it is in the tree by then. Takes m, on failure too.
 * -ENFILE, -ENOMEM. */
NODISCARD int mount_file_create(struct mount *take_m, struct file **ret_file);
/* That file is closed. */
void mount_closed(struct mount *m);
/* MOVE_MOUNT_SET_GROUP: to shares as from does. -EINVAL. */
NODISCARD int mount_set_group(const struct path *from, const struct path *to);
/* MS_MOVE, move_mount(2): from is a mount's root, in the tree or apart. beneath: MOVE_MOUNT_BENEATH. -EINVAL, -ELOOP, -ENOENT,
 * -ENOTDIR, -ENOMEM. */
NODISCARD int mount_move(const struct path *from, const struct path *to, bool beneath);
/* umount2(2). Takes the path, which is the caller's only use of the mount. -EINVAL, -EBUSY, -EAGAIN (marked). */
NODISCARD int mount_umount(struct path *take_root, unsigned flags);
/* Clear and set flags (ST_*) of the mount at path, recursive: and of those below. All or none. -EINVAL (no mount's root),
 * -EBUSY (read-only, and files are open for writing). */
NODISCARD int mount_set_flags(const struct path *p, unsigned clear, unsigned set, bool recursive);
/* How mounts and unmounts spread from there, enum mount_sharing. -EINVAL (no mount's root). */
NODISCARD int mount_set_sharing(const struct path *p, enum mount_sharing sharing, bool recursive);
/* pivot_root(2), with the roots and working directories of all processes. Errnos of the man page. */
NODISCARD int mount_pivot(const struct path *new_root, const struct path *put_old);
/* File system sb becomes read-only or not, and other ST_* of mask. -EBUSY, -EROFS, -EIO. */
NODISCARD int mount_remount_super(struct superblock *sb, unsigned mask, unsigned flags);

/* setns(2) with the name space of mounts: root and working directory of fs become the root of the tree. */
void mount_enter(struct fs_context *fs);
/* The mount on (parent, point) with a reference; NULL. No sleep. */
struct mount *mount_find(const struct mount *parent, const struct dentry *point);
/* Where m hangs, with references. False: nowhere. No sleep. */
bool mount_above(struct mount *m, struct path *ret);
/* The mount of the tree with this id, with a reference; NULL. No sleep. */
struct mount *mount_by_id(int id);
/* The id that no other mount ever has, as statx(2), statmount(2) and listmount(2) tell it. */
static inline uint64_t mount_unique_id(const struct mount *m)
{
    return MOUNT_UNIQUE_FIRST + (uint64_t)m->id;
}
/* Is m in the tree that everybody sees? */
bool mount_in_tree(const struct mount *m);
/* Call fn for each mount of the tree that is below the current root, in order, with the mutex held, until it returns not 0;
 * that value. path is the mount point as seen from the current root (size PATH_MAX). For /proc/mounts. -ENOMEM. */
int mount_each(int (*fn)(struct mount *m, const char *path, void *arg), void *arg);
/* For fn of mount_each: the group of m's peers, or of its master (0: none). */
int mount_group(const struct mount *m);
int mount_master(const struct mount *m);
/* How often the tree changed; pt (may be NULL) hears of the next time. No sleep. */
uint64_t mount_events(struct poll_table *pt);
/* The mutex of the tree, for a series of mount_find and the like. */
void mount_change_begin(void);
void mount_change_end(void);

/* A file that writes is opened or closed on m. -EROFS. No sleep. */
NODISCARD int mount_write_begin(struct mount *m);
void mount_write_end(struct mount *m);

#endif
