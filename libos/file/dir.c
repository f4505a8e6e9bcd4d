/* SPDX-License-Identifier: MIT */
/* Making and removing names: mknod, mkdir, symlink, link, unlink, rmdir. Errors come in Linux's order: what the last name
 * is, whether it exists, read-only, rights, what the file system says. */
#include "vfs_int.h"

#include <abi/errno.h>
#include <abi/fcntl.h>
#include <abi/prctl.h>
#include <libos/acl.h>
#include <libos/heap.h>
#include <libos/inotify.h>
#include <stdio.h>
#include <string.h>

int tmpfile_name(char *buf, size_t size, uint64_t ino)
{
    return snprintf(buf, size, "#%llu", (unsigned long long)ino);
}

void dir_changed(struct inode *dir)
{
    dir->mtime = dir->ctime = vfs_now();
    dir->atime_until = 0;
    inode_changed(dir);
}

/* The new inode does not get what it should: it goes again. */
static void create_undo(struct inode *dir, const struct last_name *last, struct inode *inode)
{
    (void)dir->ops->unlink(dir, last->name, last->len,
                           inode); /* what is left shows in a check of the file system */
    inode_put(inode);
}

int create_locked(struct dentry *parent, const struct last_name *last, uint32_t mode, uint32_t rdev,
                  const char *target, struct dentry **ret_dentry)
{
    struct inode *dir = parent->inode, *inode;
    struct acl *acl = NULL;
    bool as_is = mode & MODE_AS_IS;
    mode &= ~MODE_AS_IS;
    int err = may_create(parent);
    if (err)
        return err;
    if (last->len > ABI_NAME_MAX)
        return -ENAMETOOLONG;
    if (S_ISLNK(mode) ? !dir->ops->symlink : !dir->ops->create)
        return -EPERM;
    err = dentry_reserve(parent);
    if (!err && S_ISLNK(mode))
        err = dir->ops->symlink(dir, last->name, last->len, target, &inode);
    else if (!err && (as_is || !(err = acl_new_mode(dir, &mode, &acl))) &&
             (err = dir->ops->create(dir, last->name, last->len, mode, rdev, &inode)))
        acl_drop(acl);
    if (!err && UNLIKELY(acl != NULL) && (err = acl_new_inode(dir, inode, acl)))
        create_undo(dir, last, inode);
    if (err)
        return err;
    struct dentry *d = dentry_create(parent->sb, parent, last->name, last->len, last->hash, inode);
    if (!d)
        return -ENOMEM;
    dentry_attach(parent, d, 0);
    if (S_ISDIR(mode))
        dir->nlink++;
    dir_changed(dir);
    *ret_dentry = d;
    return 0;
}

/* A walk to where a name is to be made: 0 with w->cur the parent, its inode locked for writing. */
static int begin_create(struct walk *w, struct last_name *last, bool directory)
{
    int err = walk_to_parent(w, last);
    if (err)
        return err;
    if (last->type != LAST_NORMAL)
        return -EEXIST;
    struct dentry *dir = w->cur.dentry, *child;
    rwmutex_write_lock(&dir->inode->lock);
    err = dentry_lookup_locked(dir, last->name, last->len, last->hash, &child);
    if (!err) {
        dentry_put(child);
        err = -EEXIST;
    } else if (err == -ENOENT) {
        err = last->slash && !directory ? -ENOENT : path_writable(&w->cur);
    }
    if (err)
        rwmutex_write_unlock(&dir->inode->lock);
    return err;
}

/* mode's type bits say what to make; with rights as w->kernel says. */
static int make_node(struct walk *w, uint32_t mode, uint32_t rdev, const char *target)
{
    struct last_name last;
    struct dentry *made;
    bool directory = S_ISDIR(mode);
    int err = begin_create(w, &last, directory);
    if (err)
        return err;
    struct dentry *dir = w->cur.dentry;
    err = may_create(dir);
    if (!err && (S_ISCHR(mode) || S_ISBLK(mode)) && !(S_ISCHR(mode) && rdev == 0) &&
        !vfs_capable(CAP_MKNOD))
        err = -EPERM;
    if (!err)
        err = create_locked(dir, &last, mode | (w->kernel ? MODE_AS_IS : 0), rdev, target, &made);
    rwmutex_write_unlock(&dir->inode->lock);
    if (err)
        return err;
    inotify_name_event(dir, &last, IN_CREATE | (directory ? IN_ISDIR : 0), 0);
    dentry_put(made);
    return 0;
}

int vfs_mknod(int dirfd, const char *name, uint32_t mode, uint32_t rdev)
{
    struct walk w;
    int err = walk_start(&w, dirfd, name, 0);
    if (err)
        return err;
    err = make_node(&w, mode, rdev, NULL);
    walk_end(&w);
    return err;
}

int vfs_symlink(const char *target, int dirfd, const char *name)
{
    struct walk w;
    if (!*target)
        return -ENOENT;
    int err = walk_start(&w, dirfd, name, 0);
    if (err)
        return err;
    err = make_node(&w, S_IFLNK | 0777, 0, target);
    walk_end(&w);
    return err;
}

int vfs_make(const char *name, uint32_t mode, uint32_t rdev, const char *target)
{
    struct walk w;
    walk_start_kernel(&w, name, 0);
    int err = make_node(&w, mode, rdev, target);
    walk_end(&w);
    return err;
}

int link_locked(struct dentry *dir, const struct last_name *last, struct dentry *old)
{
    struct inode *inode = old->inode;
    int err = may_create(dir);
    if (err)
        return err;
    if (!dir->inode->ops->link || S_ISDIR(inode->mode))
        return -EPERM;
    if (inode->nlink == 0 && !inode->can_link)
        return -ENOENT;
    err = dentry_reserve(dir);
    if (err)
        return err;
    inode_get(inode);
    struct dentry *d = dentry_create(dir->sb, dir, last->name, last->len, last->hash, inode);
    if (!d)
        return -ENOMEM;
    err = dir->inode->ops->link(dir->inode, last->name, last->len, inode);
    if (!err) {
        dentry_attach(dir, d, 0);
        inode->nlink++;
        inode->can_link = false;
        inode->ctime = vfs_now();
        inode->atime_until = 0;
        dir_changed(dir->inode);
    }
    dentry_put(d);
    return err;
}

/* fs.protected_hardlinks: another name for a file of somebody else's only where one could write a copy, and none that has rights. */
static bool may_name_again(struct inode *inode)
{
    if (vfs_owner(inode))
        return true;
    uint32_t mode = inode->mode, group = S_ISGID | S_IXGRP;
    return S_ISREG(mode) && !(mode & S_ISUID) && (mode & group) != group &&
           !inode_permission(inode, MAY_READ | MAY_WRITE);
}

int vfs_link(const struct path *old, int dirfd, const char *name)
{
    struct walk w;
    struct last_name last;
    int err = walk_start(&w, dirfd, name, 0);
    if (err)
        return err;
    err = begin_create(&w, &last, false);
    if (!err) {
        struct dentry *dir = w.cur.dentry;
        err = old->mount != w.cur.mount             ? -EXDEV
              : !may_name_again(old->dentry->inode) ? -EPERM
                                                    : link_locked(dir, &last, old->dentry);
        rwmutex_write_unlock(&dir->inode->lock);
        if (!err) {
            inotify_inode_event(old->dentry->inode, IN_ATTRIB);
            inotify_name_event(dir, &last, IN_CREATE, 0);
        }
    }
    walk_end(&w);
    return err;
}

/* One name of inode is gone. */
void inode_unlinked(struct inode *inode)
{
    if (S_ISDIR(inode->mode))
        inode->nlink = 0;
    else
        inode->nlink--;
    inode->ctime = vfs_now();
    inode->atime_until = 0;
}

/* Take victim out of dir; dir's inode is locked for writing. */
int remove_locked(struct dentry *dir, struct dentry *victim, bool directory)
{
    struct inode *inode = victim->inode;
    int err = may_delete(dir, victim, directory);
    if (err)
        return err;
    if (!dir->inode->ops->unlink)
        return -EPERM;
    if (victim->mounted)
        return -EBUSY;
    if (dir->inode->ops->complete)
        err = dir->inode->ops->complete(dir);
    if (!err && directory)
        err = dir_empty(victim);
    if (!err)
        err = dir->inode->ops->unlink(dir->inode, victim->name, victim->len, inode);
    if (err)
        return err;
    dentry_detach(victim);
    inode_unlinked(inode);
    if (directory)
        dir->inode->nlink--;
    dir_changed(dir->inode);
    return 0;
}

int dir_empty(struct dentry *d)
{
    struct inode *inode = d->inode;
    int err = 0;
    if (inode->ops->complete) {
        /* A child of a directory that is locked: parent before child. */
        rwmutex_write_lock(&inode->lock);
        err = inode->ops->complete(d);
        rwmutex_write_unlock(&inode->lock);
    }
    return err ? err : dentry_kill(d);
}

static int unlink_last(struct walk *w, const struct last_name *last, bool directory,
                       struct dentry **ret_victim)
{
    struct dentry *dir = w->cur.dentry, *victim;
    int err = path_writable(&w->cur);
    if (err)
        return err;
    rwmutex_write_lock(&dir->inode->lock);
    err = dentry_lookup_locked(dir, last->name, last->len, last->hash, &victim);
    if (!err) {
        if (!directory && last->slash)
            err = S_ISDIR(victim->inode->mode) ? -EISDIR : -ENOTDIR;
        else
            err = remove_locked(dir, victim, directory);
        if (err)
            dentry_put(victim);
        else
            *ret_victim = victim;
    }
    rwmutex_write_unlock(&dir->inode->lock);
    return err;
}

static int unlink_walk(struct walk *w, bool directory)
{
    struct last_name last;
    struct dentry *victim;
    int err = walk_to_parent(w, &last);
    if (!err && last.type != LAST_NORMAL)
        err = !directory                 ? -EISDIR
              : last.type == LAST_DOT    ? -EINVAL
              : last.type == LAST_DOTDOT ? -ENOTEMPTY
                                         : -EBUSY;
    if (!err)
        err = unlink_last(w, &last, directory, &victim);
    if (!err) {
        struct inode *inode = victim->inode;
        if (!directory)
            inotify_inode_event(inode, IN_ATTRIB);
        inotify_name_event(w->cur.dentry, &last, IN_DELETE | (directory ? IN_ISDIR : 0), 0);
        dentry_put(victim); /* may free the content: not with a lock held */
    }
    return err;
}

int vfs_unlink(int dirfd, const char *name, bool directory)
{
    struct walk w;
    int err = walk_start(&w, dirfd, name, 0);
    if (err)
        return err;
    err = unlink_walk(&w, directory);
    walk_end(&w);
    return err;
}

void vfs_unmake(const char *name)
{
    struct walk w;
    walk_start_kernel(&w, name, 0);
    (void)unlink_walk(&w, false); /* it is not there, then */
    walk_end(&w);
}
