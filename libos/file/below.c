/* SPDX-License-Identifier: MIT */
/* Changes of names by a file system that stands on another (below.h); below_rename is in rename.c. */
#include "vfs_int.h"

#include <abi/errno.h>
#include <abi/stat.h>
#include <libos/below.h>
#include <string.h>

bool below_begin(void)
{
    struct thread *t = thread_current();
    bool was = t->as_kernel;
    t->as_kernel = true;
    return was;
}

void below_end(bool was)
{
    thread_current()->as_kernel = was;
}

static struct last_name last_of(const char *name)
{
    size_t len = strlen(name);
    return (struct last_name){
        .name = name, .len = len, .hash = name_hash(name, len), .type = LAST_NORMAL
    };
}

int below_make(struct dentry *dir, const char *name, uint32_t mode, uint32_t rdev,
               const char *target, struct dentry **ret)
{
    struct last_name last = last_of(name);
    struct dentry *there;
    rwmutex_write_lock(&dir->inode->lock);
    int err = dentry_lookup_locked(dir, name, last.len, last.hash, &there);
    if (!err) {
        dentry_put(there);
        err = -EEXIST;
    } else if (err == -ENOENT) {
        err = create_locked(dir, &last, mode | MODE_AS_IS, rdev, target, ret);
    }
    rwmutex_write_unlock(&dir->inode->lock);
    return err;
}

int below_remove(struct dentry *dir, const char *name)
{
    struct last_name last = last_of(name);
    struct dentry *victim;
    rwmutex_write_lock(&dir->inode->lock);
    int err = dentry_lookup_locked(dir, name, last.len, last.hash, &victim);
    if (!err)
        err = remove_locked(dir, victim, S_ISDIR(victim->inode->mode));
    else
        victim = NULL;
    rwmutex_write_unlock(&dir->inode->lock);
    if (victim)
        dentry_put(victim); /* may free the file, and so sleep */
    return err;
}

int below_link(struct dentry *old, struct dentry *dir, const char *name)
{
    struct last_name last = last_of(name);
    rwmutex_write_lock(&dir->inode->lock);
    int err = link_locked(dir, &last, old);
    rwmutex_write_unlock(&dir->inode->lock);
    return err;
}

int below_setxattr(struct dentry *d, const char *name, const void *value, size_t size, int flags)
{
    struct inode *inode = d->inode;
    if (!inode->ops->setxattr)
        return -EOPNOTSUPP;
    rwmutex_write_lock(&inode->lock);
    int err = inode->ops->setxattr(inode, name, value, size, flags);
    if (!err) {
        inode->ctime = vfs_now();
        inode_changed(inode);
    }
    rwmutex_write_unlock(&inode->lock);
    return err;
}
