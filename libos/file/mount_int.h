/* SPDX-License-Identifier: MIT */
/* The mount table, for the files of this folder that change it. */
#ifndef FILE_MOUNT_INT_H
#define FILE_MOUNT_INT_H

#include <libos/mount.h>

/* Hang m (nowhere yet) over at. -ENOENT: at is no name any more. Locks: the mutex is held; takes at's directory. */
NODISCARD int mount_hang(struct mount *m, const struct path *at);
/* Take m off its parent. False: it hung nowhere; else *ret_point has the references that the table had. */
bool mount_unhang(struct mount *m, struct path *ret_point);
/* The same for one without mounts on it and with no more than refs references. -EBUSY. */
NODISCARD int mount_unhang_unused(struct mount *m, unsigned refs);
/* Say where m is: MOUNT_*. */
void mount_place(struct mount *m, int place);
/* The tree changed: tell who polls. */
void mount_tell(void);
/* The one after m (NULL: the first) of all in the tree; the mutex is held. */
struct mount *mount_next(struct mount *m);
/* The mount after m in the tree below top, parents first; NULL: no more. The mutex is held. */
struct mount *mount_below(const struct mount *top, struct mount *m);
/* Is it the one that everything hangs on? */
bool mount_is_first(const struct mount *m);
/* For superblock_number: sb exists now, with one reference. */
void superblock_add(struct superblock *sb);

/* How a copy stands to what it is of: bound like it, a peer of it (unbindable ones too), or its slave. */
enum copy_kind { COPY_BIND, COPY_PEER, COPY_SLAVE };
/* Copy top from its dentry root on, recursive: with what is mounted below that. The mutex is held. -ENOMEM. */
NODISCARD int mount_copy_tree(struct mount *top, struct dentry *root, bool recursive,
                              enum copy_kind kind, struct mount **ret);
/* Take top and all on it apart. They are put on the list *dead, for mount_bury; NULL: buried at once. */
void mount_dissolve_locked(struct mount *top, struct mount **dead);
/* Drop the references of a list; ends file systems, so better without the mutex. */
void mount_bury(struct mount *dead);
/* m, which shares with nobody, shares as peer does. */
void mount_join(struct mount *m, struct mount *peer);
/* Is d root or below it? */
bool mount_below_root(const struct dentry *d, const struct dentry *root);
/* How m shares from now on. */
void mount_share(struct mount *m, enum mount_sharing sharing);
/* Hang copies of tree wherever mounting over at spreads to. -ENOMEM. */
NODISCARD int mount_spread(struct mount *tree, const struct path *at);
/* Would unmounting m meet only unused ones where it spreads to? -EBUSY. */
NODISCARD int mount_unspread_check(struct mount *m);
/* Unmount them. */
void mount_unspread(struct mount *m, struct mount **dead);

#endif
