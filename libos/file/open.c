/* SPDX-License-Identifier: MIT */
/* open(2) and openat2(2): from a name or an inode to a struct file. Errors come in Linux's order. */
#include "vfs_int.h"

#include <abi/errno.h>
#include <abi/fcntl.h>
#include <abi/stat.h>
#include <abi/statfs.h>
#include <libos/acl.h>
#include <libos/dev/blk.h>
#include <libos/dev/char.h>
#include <libos/errseq.h>
#include <libos/flock.h>
#include <libos/inotify.h>
#include <libos/mount.h>
#include <libos/pipe.h>

struct open_state {
    unsigned flags; /* O_*, FILE_OPEN_EXEC */
    uint32_t mode;  /* of a file that is made */
    bool kernel;    /* libOS itself: no permission checks */
    bool created;
};

static unsigned may_of(unsigned flags)
{
    static const uint8_t may[] = { MAY_READ, MAY_WRITE, MAY_READ | MAY_WRITE,
                                   MAY_READ | MAY_WRITE };
    if (flags & FILE_OPEN_EXEC)
        return MAY_EXEC;
    return may[flags & O_ACCMODE] | (flags & O_TRUNC ? MAY_WRITE : 0);
}

/* What kinds of file cannot be opened this way, then the permission bits. */
static int may_open(const struct open_state *o, const struct path *p)
{
    struct inode *inode = p->dentry->inode;
    unsigned may = may_of(o->flags);
    switch (inode->mode & S_IFMT) {
    case S_IFLNK:
        return -ELOOP;
    case S_IFDIR:
        if (may & MAY_WRITE)
            return -EISDIR;
        if (may & MAY_EXEC)
            return -EACCES;
        break;
    case S_IFBLK:
    case S_IFCHR:
        if (p->mount->flags & ST_NODEV || may & MAY_EXEC)
            return -EACCES;
        break;
    case S_IFIFO:
    case S_IFSOCK:
        if (may & MAY_EXEC)
            return -EACCES;
        break;
    default:
        if (may & MAY_EXEC && p->mount->flags & ST_NOEXEC)
            return -EACCES;
        if (may & MAY_WRITE && path_writable(p))
            return -EROFS;
    }
    if (o->kernel)
        return 0;
    int err = o->created ? 0 : inode_permission(inode, may);
    if (!err && o->flags & O_NOATIME && !vfs_owner(inode))
        err = -EPERM;
    return err;
}

/* Give the file its operations. */
static int open_kind(const struct open_state *o, struct inode *inode, struct file *f)
{
    switch (inode->mode & S_IFMT) {
    case S_IFIFO:
        return fifo_open(inode, f);
    case S_IFCHR:
        return char_device_open(inode, f);
    case S_IFBLK:
        return blk_node_open(inode->rdev, o->flags & O_EXCL, f);
    case S_IFSOCK:
        return -ENXIO;
    default:
        f->ops = inode->fops;
        f->seekable = f->one_by_one = true;
        return inode->ops->open ? inode->ops->open(inode, f) : 0;
    }
}

static int open_truncate(struct file *f)
{
    struct inode *inode = f->inode;
    int err = f->counted_writer ? 0 : inode_write_begin(inode);
    if (err)
        return err;
    err = inode_truncate(inode, 0);
    if (!f->counted_writer)
        inode_write_end(inode);
    if (!err)
        inotify_event(f->path.dentry, IN_MODIFY);
    return err;
}

static int open_inode(const struct open_state *o, struct file *f)
{
    struct inode *inode = f->inode;
    bool regular = S_ISREG(inode->mode);
    int err;
    if (UNLIKELY(inode->ops->real) && !S_ISDIR(inode->mode)) {
        err = inode->ops->real(inode, o->flags, &inode);
        if (err)
            return err;
        f->inode = inode;
        f->real_inode = true;
        f->sb_seen = errseq_sample(&inode->sb->wb_error);
    }
    if (regular) {
        if (f->can_write) {
            err = inode_write_begin(inode);
            if (err)
                return err;
            err = mount_write_begin(f->path.mount);
            if (err) {
                inode_write_end(inode);
                return err;
            }
            f->counted_writer = true;
        }
        err = lease_break(inode, o->flags);
        if (err)
            return err;
    }
    err = open_kind(o, inode, f);
    if (err) {
        f->ops = &file_path_ops; /* there is nothing of the kind to release */
        f->data = NULL;
        return err;
    }
    if (o->flags & O_DIRECT && !regular && !S_ISFIFO(inode->mode) && !S_ISBLK(inode->mode))
        return -EINVAL;
    if (o->flags & O_TRUNC && regular && !o->created)
        return open_truncate(f);
    return 0;
}

/* Make the file for p, whose rights have been checked. */
static int open_path(const struct open_state *o, const struct path *p, struct file **ret_file)
{
    struct file *f;
    unsigned drop = O_CREAT | O_EXCL | O_TRUNC | FILE_OPEN_EXEC;
    int err = file_create(&file_path_ops, p, o->flags & ~drop, NULL, &f);
    if (err)
        return err;
    if (!(o->flags & O_PATH)) {
        err = open_inode(o, f);
        if (err) {
            file_put(f);
            return err;
        }
        inotify_event(p->dentry, IN_OPEN);
    }
    f->flags &= ~(uint32_t)O_NOCTTY; /* known to the device while it was opened */
    *ret_file = f;
    return 0;
}

/* Make the name that is missing; 1: somebody else just did. */
static int open_create(struct walk *w, const struct last_name *last, struct open_state *o,
                       struct dentry **ret)
{
    struct dentry *dir = w->cur.dentry;
    if (path_writable(&w->cur))
        return -EROFS;
    uint32_t mode = S_IFREG | (o->mode & 07777);
    rwmutex_write_lock(&dir->inode->lock);
    int err = dentry_lookup_locked(dir, last->name, last->len, last->hash, ret);
    if (err == -ENOENT) {
        err = create_locked(dir, last, mode, 0, NULL, ret);
        o->created = !err;
    }
    rwmutex_write_unlock(&dir->inode->lock);
    if (o->created)
        inotify_name_event(dir, last, IN_CREATE, 0);
    return err;
}

/* The last step with O_CREAT; w->cur becomes the file. */
static int walk_create(struct walk *w, struct open_state *o)
{
    struct last_name last;
    int err;
    bool follow = !(o->flags & (O_NOFOLLOW | O_EXCL));
    do {
        err = walk_to_parent(w, &last);
        if (err)
            return err;
        if (last.type == LAST_DOTDOT)
            return walk_up(w);
        if (last.type != LAST_NORMAL)
            return 0;
        if (w->must_dir)
            return -EISDIR;
        struct dentry *child;
        err = dentry_lookup(w->cur.dentry, last.name, last.len, last.hash, &child);
        if (err == -ENOENT)
            err = open_create(w, &last, o, &child);
        if (!err)
            err = walk_to_child(w, child, follow);
    } while (err > 0);
    return err;
}

/* O_TMPFILE: a file without a name in directory w->cur. */
static int open_tmpfile(struct walk *w, struct open_state *o, struct file **ret_file)
{
    struct dentry *dir = w->cur.dentry;
    struct inode *inode = dir->inode, *made;
    int err = path_writable(&w->cur);
    if (!err)
        err = o->kernel ? 0 : inode_permission(inode, MAY_WRITE | MAY_EXEC);
    if (err)
        return err;
    if (!inode->ops->create || !dir->sb->pinned)
        return -EOPNOTSUPP;
    uint32_t mode = S_IFREG | (o->mode & 07777);
    struct acl *acl;
    err = acl_new_mode(inode, &mode, &acl);
    if (err)
        return err;
    err = inode->ops->create(inode, "", 0, mode, 0, &made);
    if (err)
        acl_drop(acl);
    else if (acl && (err = acl_new_inode(inode, made, acl)))
        inode_put(made);
    if (err)
        return err;
    made->nlink = 0;
    made->can_link = !(o->flags & O_EXCL);
    char name[24];
    int len = tmpfile_name(name, sizeof(name), made->ino);
    struct dentry *d = dentry_create(dir->sb, dir, name, (size_t)len, 0, made);
    if (!d)
        return -ENOMEM;
    struct path p = { w->cur.mount, d };
    o->created = true;
    err = open_path(o, &p, ret_file);
    dentry_put(d);
    return err;
}

static int open_walk(struct walk *w, struct open_state *o, struct file **ret_file)
{
    int err;
    if ((o->flags & O_TMPFILE) == O_TMPFILE) {
        w->flags |= WALK_DIRECTORY;
        err = walk_all(w);
        err = err ? err : walk_check_inside(w);
        return err ? err : open_tmpfile(w, o, ret_file);
    }
    err = o->flags & O_CREAT ? walk_create(w, o) : walk_all(w);
    if (!err)
        err = walk_check_inside(w);
    if (err)
        return err;
    uint32_t mode = w->cur.dentry->inode->mode;
    if (o->flags & O_CREAT) {
        if (o->flags & O_EXCL && !o->created)
            return -EEXIST;
        if (S_ISDIR(mode))
            return -EISDIR;
    }
    if (o->flags & O_DIRECTORY && !S_ISDIR(mode))
        return -ENOTDIR;
    if (!(o->flags & O_PATH)) {
        err = may_open(o, &w->cur);
        if (err)
            return err;
    }
    return open_path(o, &w->cur, ret_file);
}

/* Flags that contradict each other; O_PATH silences most. */
static int open_flags(struct open_state *o)
{
    if (o->flags & O_PATH) {
        o->flags &= O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC | FILE_OPEN_EXEC;
        return 0;
    }
    if (o->flags & (O_TMPFILE & ~O_DIRECTORY)) {
        if ((o->flags & O_TMPFILE) != O_TMPFILE || o->flags & O_CREAT ||
            !(may_of(o->flags) & MAY_WRITE))
            return -EINVAL;
    } else if (o->flags & O_CREAT && o->flags & O_DIRECTORY) {
        return -EINVAL;
    }
    return 0;
}

int path_open(int dirfd, const char *name, unsigned how_flags, uint32_t mode, unsigned walk,
              struct file **ret_file)
{
    struct open_state o = { .flags = how_flags, .mode = mode };
    struct walk w;
    int err = open_flags(&o);
    if (err)
        return err;
    if (!(how_flags & O_NOFOLLOW))
        walk |= WALK_FOLLOW;
    err = walk_start(&w, dirfd, name, walk);
    if (err)
        return err;
    err = open_walk(&w, &o, ret_file);
    walk_end(&w);
    return err;
}

int path_open_kernel(const char *name, unsigned flags, struct file **ret_file)
{
    struct open_state o = { .flags = flags, .mode = 0600, .kernel = true };
    struct walk w;
    walk_start_kernel(&w, name, WALK_FOLLOW);
    int err = open_walk(&w, &o, ret_file);
    walk_end(&w);
    return err;
}

int file_reopen(const struct path *p, unsigned flags, struct file **ret_file)
{
    struct open_state o = { .flags = flags };
    int err = flags & O_PATH ? 0 : may_open(&o, p);
    return err ? err : open_path(&o, p, ret_file);
}
