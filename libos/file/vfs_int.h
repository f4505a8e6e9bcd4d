/* SPDX-License-Identifier: MIT */
/* Shared by the files of this folder: the walk, rights, and where names are made. */
#ifndef FILE_VFS_INT_H
#define FILE_VFS_INT_H

#include <libos/dentry.h>
#include <libos/file.h>
#include <libos/process.h>

/* The credentials that decide: the current thread's, or root's where there is none (boot). */
const struct cred *vfs_cred(void);
/* True if those have capability cap. */
bool vfs_capable(unsigned cap);
/* Owner of inode, or CAP_FOWNER. */
bool vfs_owner(const struct inode *inode);
/* 0, or -EROFS: the mount or its file system is read-only. */
int path_writable(const struct path *p);
/* May name victim be removed from dir (a directory when directory is set)? -EACCES, -EPERM, -EISDIR, -ENOTDIR. */
int may_delete(struct dentry *dir, struct dentry *victim, bool directory);
/* May a name be added to dir? -EACCES, -ENOENT (dir was removed). */
int may_create(struct dentry *dir);

/* The root mount's root, with references. */
void vfs_root(struct path *ret);
/* If a mount covers p, go to its root, as often as needed. True if it did. */
bool path_cross_down(struct path *p);

/* A walk in progress. Names lie in libOS memory and outlive the walk. */
enum { WALK_LINKS_MAX = 40 };
struct walk {
    struct path cur; /* where we are; referenced */
    struct path
        root; /* "/" and the ceiling of ".."; referenced if root_held, else the context's own */
    bool root_held;
    unsigned flags; /* enum walk_flags */
    bool kernel;    /* libOS itself: no permission checks */
    bool must_dir;  /* a slash follows the last name */
    unsigned links; /* symbolic links followed */
    uint32_t moves; /* moves_now() at its beginning, if it has a ceiling of its own */
    unsigned depth;
    char *buf;        /* text of the link that name points into, or NULL */
    const char *name; /* rest to resolve */
    struct {
        const char *rest;
        char *buf;
    } stack[WALK_LINKS_MAX]; /* what follows the links that are being resolved */
};

/* Begin at dirfd for name. On error nothing is held. */
int walk_start(struct walk *w, int dirfd, const char *name, unsigned flags);
/* The same from the global root as libOS itself. */
void walk_start_kernel(struct walk *w, const char *name, unsigned flags);
void walk_end(struct walk *w);
/* Resolve all but the last name; w->cur is its directory, which may be searched. */
int walk_to_parent(struct walk *w, struct last_name *ret_last);
/* Take the last step to child (takes the reference): follows it if it is a symbolic link and follow is set (then
 * 1: go on with walk_to_parent), crosses mounts. 0: w->cur is the result. */
int walk_to_child(struct walk *w, struct dentry *take_child, bool follow);
/* The last step for "..". */
int walk_up(struct walk *w);
/* After all steps: is w->cur, as the tree is now, where a ceiling of the walk's own lets it be? -EXDEV. May sleep. */
int walk_check_inside(const struct walk *w);
/* Resolve all of it; w->cur is the result. */
int walk_all(struct walk *w);

/* Make a name in parent, whose inode's lock is held for writing: create's checks, the inode, the dentry. The
 * process's mask, or the directory's access control list, limits mode, unless it has MODE_AS_IS. */
#define MODE_AS_IS (1u << 31)
int create_locked(struct dentry *parent, const struct last_name *last, uint32_t mode, uint32_t rdev,
                  const char *target, struct dentry **ret_dentry);

/* Give old one more name in dir, whose inode is locked for writing: link's checks, the name. */
int link_locked(struct dentry *dir, const struct last_name *last, struct dentry *old);
/* Take victim out of dir, whose inode is locked for writing. directory: it shall be one. */
int remove_locked(struct dentry *dir, struct dentry *victim, bool directory);

/* A name came or went: the directory's times. */
void dir_changed(struct inode *dir);
/* One name of inode went: its links and time. */
void inode_unlinked(struct inode *inode);
/* If directory d has no names, it takes none from now on. -ENOTEMPTY, -EIO, -ENOMEM. */
int dir_empty(struct dentry *d);

/* The name that a file without one shows in /proc: "#7". Its length. */
int tmpfile_name(char *buf, size_t size, uint64_t ino);

/* Operations of a file that only has a path (O_PATH): none. */
extern const struct file_ops file_path_ops;

/* Count a writer (-ETXTBSY) or let it go. */
int inode_write_begin(struct inode *inode);
void inode_write_end(struct inode *inode);

/* Is this the attribute of file capabilities? May it become value (NULL: go)? -EINVAL, -EPERM. */
bool caps_is_name(const char *name);
NODISCARD int caps_check_set(const void *value, size_t size);
/* The n bytes of value (room for 24) in the form that getxattr(2) shows: their number, -EINVAL. */
int caps_to_show(void *value, int n);

#endif
