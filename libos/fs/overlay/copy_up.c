/* SPDX-License-Identifier: MIT */
/* Bringing a file to the upper layer before it changes: made in the work directory with all that it has, then renamed to its
 * place, so that nobody sees half of it. Directories above it go first. What the program's user may is not asked here. */
#include "ovl_int.h"

#include <abi/errno.h>
#include <abi/fcntl.h>
#include <abi/stat.h>
#include <libos/below.h>
#include <libos/dentry.h>
#include <libos/file.h>
#include <libos/heap.h>
#include <libos/iter.h>
#include <stdio.h>
#include <string.h>

enum { PIECE = 32768 };

void ovl_temp(struct ovl *o, char name[16])
{
    snprintf(name, 16, "#%x", (unsigned)atomic_fetch_add(&o->temp, 1));
}

/* Copy size bytes, or what there is. */
static int copy_bytes(struct file *in, struct file *out, uint64_t size)
{
    char *buf = heap_alloc(PIECE);
    int err = buf ? 0 : -ENOMEM;
    uint64_t from = 0, to = 0;
    while (!err && from < size) {
        struct iter it;
        iter_kernel(&it, buf, min_u64(PIECE, size - from));
        ssize_type n = file_read(in, &it, &from);
        if (n <= 0) {
            err = (int)n;
            break;
        }
        iter_kernel(&it, buf, (size_t)n);
        ssize_type done = file_write(out, &it, &to);
        if (done != n)
            err = done < 0 ? (int)done : -EIO;
    }
    heap_free(buf);
    return err;
}

static int copy_content(const struct path *from, const struct path *to, uint64_t size)
{
    struct file *in, *out;
    int err = file_reopen(from, O_RDONLY | O_LARGEFILE, &in);
    if (err)
        return err;
    err = file_reopen(to, O_WRONLY | O_LARGEFILE, &out);
    if (!err) {
        err = copy_bytes(in, out, size);
        file_put(out);
    }
    file_put(in);
    return err;
}

/* The value of one attribute. */
static int copy_xattr(struct inode *from, struct dentry *to, const char *name)
{
    rwmutex_read_lock(&from->lock);
    int n = from->ops->getxattr(from, name, NULL, 0);
    char *value = n >= 0 ? heap_alloc((size_t)n + 1) : NULL;
    if (value)
        n = from->ops->getxattr(from, name, value, (size_t)n);
    rwmutex_read_unlock(&from->lock);
    int err = n == -ENODATA ? 0 : n < 0 ? n : !value ? -ENOMEM : 0;
    if (!err && value && n >= 0)
        err = below_setxattr(to, name, value, (size_t)n, 0);
    heap_free(value);
    return err == -EOPNOTSUPP ? 0 : err; /* the upper layer keeps none */
}

static int copy_xattrs(const struct ovl *o, struct inode *from, struct dentry *to)
{
    if (!from->ops->listxattr || !from->ops->getxattr)
        return 0;
    rwmutex_read_lock(&from->lock);
    int n = from->ops->listxattr(from, NULL, 0);
    char *names = n > 0 ? heap_alloc((size_t)n) : NULL;
    if (names)
        n = from->ops->listxattr(from, names, (size_t)n);
    rwmutex_read_unlock(&from->lock);
    int err = n > 0 && !names ? -ENOMEM : 0;
    for (char *s = names; !err && n > 0 && s < names + n; s += strlen(s) + 1)
        if (!ovl_own_xattr(o, s))
            err = copy_xattr(from, to, s);
    heap_free(names);
    return err;
}

static struct inode_attr attributes(const struct inode *inode)
{
    return (struct inode_attr){ .set = ATTR_MODE | ATTR_UID | ATTR_GID | ATTR_ATIME | ATTR_MTIME |
                                       ATTR_TIMES_SET,
                                .mode = inode->mode & 07777,
                                .uid = inode->uid,
                                .gid = inode->gid,
                                .atime = inode->atime,
                                .mtime = inode->mtime };
}

/* Everything but the place. */
static int fill(struct ovl *o, struct ovl_inode *oi, struct dentry *to, uint64_t size)
{
    struct dentry *low = oi->lower[0].dentry;
    struct path from = { o->lower[oi->lower[0].layer], low }, at = { o->upper, to };
    int err = 0;
    if (S_ISREG(low->inode->mode) && size)
        err = copy_content(&from, &at, min_u64(size, low->inode->size));
    if (!err)
        err = copy_xattrs(o, low->inode, to);
    struct inode_attr a = attributes(low->inode);
    if (S_ISLNK(low->inode->mode))
        a.set &= ~(unsigned)ATTR_MODE;
    return err ? err : inode_setattr(&at, &a);
}

static int make_temp(struct ovl *o, const char *name, struct inode *low, struct dentry **ret)
{
    char *target = NULL;
    if (S_ISLNK(low->mode)) {
        target = path_buf_alloc();
        if (!target)
            return -ENOMEM;
        int n = low->ops->readlink ? low->ops->readlink(low, target, ABI_PATH_MAX - 1) : -EINVAL;
        if (n < 0) {
            path_buf_free(target);
            return n;
        }
        target[n] = '\0';
    }
    uint32_t mode = (low->mode & S_IFMT) | (S_ISDIR(low->mode) ? 0700 : 0600);
    int err = below_make(o->work, name, mode, low->rdev, target, ret);
    path_buf_free(target);
    return err;
}

/* The directory that got the name shall not show that. */
static void keep_times(struct ovl *o, struct dentry *dir, const struct inode_attr *before)
{
    struct path at = { o->upper, dir };
    struct inode_attr a = *before;
    a.set = ATTR_ATIME | ATTR_MTIME | ATTR_TIMES_SET;
    if (inode_setattr(&at, &a))
        return; /* they are only times */
}

static int copy_one(struct ovl *o, struct ovl_inode *oi, uint64_t size)
{
    char temp[16];
    struct dentry *made, *dir = ovl_upper(ovl_inode(oi->parent));
    struct inode_attr before = attributes(dir->inode);
    ovl_temp(o, temp);
    int err = make_temp(o, temp, oi->lower[0].dentry->inode, &made);
    if (err)
        return err;
    err = fill(o, oi, made, size);
    if (!err)
        err = below_rename(o->upper, o->work, temp, dir, oi->name, 0);
    if (err) {
        (void)below_remove(o->work, temp);
        dentry_put(made);
        return err;
    }
    keep_times(o, dir, &before);
    atomic_store_explicit(&oi->upper, made, memory_order_release);
    if (!S_ISDIR(made->inode->mode)) {
        ovl_hash_add(o, oi);
        ovl_keep(o, oi);
    }
    return 0;
}

int ovl_copy_up(struct inode *inode, uint64_t size)
{
    struct ovl *o = ovl_of(inode);
    struct ovl_inode *oi = ovl_inode(inode);
    int err = 0;
    if (LIKELY(ovl_upper(oi)))
        return 0;
    if (!o->upper)
        return -EROFS;
    bool was = below_begin();
    while (!err && !ovl_upper(oi)) {
        struct ovl_inode *top = oi;
        while (!ovl_upper(ovl_inode(top->parent)))
            top = ovl_inode(top->parent);
        mutex_lock(&top->copy);
        if (!ovl_upper(top))
            err = copy_one(o, top, top == oi ? size : UINT64_MAX);
        mutex_unlock(&top->copy);
    }
    below_end(was);
    return err;
}
