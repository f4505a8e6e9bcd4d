/* SPDX-License-Identifier: MIT */
/* inotify(7): who watches an inode, and what the rest of libOS tells. */
#ifndef LIBOS_INOTIFY_H
#define LIBOS_INOTIFY_H

#include <abi/inotify.h>
#include <base/compiler.h>
#include <base/types.h>

struct dentry;
struct fd_table;
struct file;
struct inode;
struct last_name;
struct path;

/* An instance as a file with one reference. flags: IN_NONBLOCK. -ENFILE, -ENOMEM. */
NODISCARD int inotify_create(unsigned flags, struct file **ret_file);
/* Watch path for mask (IN_*, checked by the caller). The watch descriptor; -EINVAL (f is no inotify file), -EEXIST
 * (IN_MASK_CREATE), -ENOSPC, -ENOMEM. */
int inotify_add(struct file *f, const struct path *path, uint32_t mask);
/* End a watch; IN_IGNORED follows. -EINVAL: no such watch, or no inotify file. */
NODISCARD int inotify_remove(struct file *f, int wd);

/* mask happened to d: tell the watches of its inode, and those of its directory with the name. Cheap when there is no
 * watch at all. May be called with sleeping locks held, with no spin lock. */
void inotify_event_slow(struct dentry *d, uint32_t mask);
extern _Atomic uint32_t
    inotify_watch_count; /* read here only: no call on the way of a read while it is 0 */
static inline void inotify_event(struct dentry *d, uint32_t mask)
{
    if (UNLIKELY(inotify_watch_count))
        inotify_event_slow(d, mask);
}
/* mask happened to the inode itself (IN_DELETE_SELF, IN_MOVE_SELF, IN_ATTRIB of a lost link). */
void inotify_inode_event(struct inode *inode, uint32_t mask);
/* mask happened to name in dir, whose text is the caller's since others may rename the file: IN_CREATE, IN_DELETE, IN_MOVED_FROM, IN_MOVED_TO (the two share a cookie). IN_ISDIR is the
 * caller's to add. */
void inotify_name_event(struct dentry *dir, const struct last_name *name, uint32_t mask,
                        uint32_t cookie);
/* A fresh cookie. */
uint32_t inotify_cookie(void);
/* F_NOTIFY: tell the owner of the directory f, open as fd, of mask (DN_*); without any of them no more. -ENOTDIR, -EBADF (closed
 * meanwhile), -ENOMEM. */
NODISCARD int dnotify_set(struct file *f, int fd, uint32_t mask);
/* A descriptor of table t for f was closed. Only called while there is a watch. */
void dnotify_close(struct file *f, struct fd_table *t);
extern _Atomic uint32_t dnotify_count; /* watches; read only */
/* mask (IN_*) happened to the directory inode or to an entry of it. */
void dnotify_tell(struct inode *inode, uint32_t mask);

/* The inode goes: its watches end. */
void inotify_inode_gone(struct inode *inode);

#endif
