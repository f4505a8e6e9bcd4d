/* SPDX-License-Identifier: MIT */
/* Extended attributes: who may use which name space, and attributes kept in memory. A list per inode, guarded by
 * inode->lock: there are few. */
#include <libos/xattr.h>

#include "vfs_int.h"

#include <abi/errno.h>
#include <abi/prctl.h>
#include <libos/acl.h>
#include <libos/heap.h>
#include <libos/inotify.h>
#include <string.h>
#include <utlist.h>

enum { INODE_TOTAL_MAX = 1024 * 1024 }; /* bytes of all attributes of one inode */

struct xattr {
    struct xattr *next;
    size_t name_len, size;
    char data[]; /* name, zero, value */
};

static struct xattr *find(struct inode *inode, const char *name)
{
    struct xattr *x;
    LL_FOREACH(inode->xattrs, x)
    if (strcmp(x->data, name) == 0)
        return x;
    return NULL;
}

int xattr_get(struct inode *inode, const char *name, void *buf, size_t size)
{
    const struct xattr *x = find(inode, name);
    if (!x)
        return -ENODATA;
    if (size && size < x->size)
        return -ERANGE;
    if (size)
        memcpy(buf, x->data + x->name_len + 1, x->size);
    return (int)x->size;
}

static size_t total(const struct inode *inode)
{
    size_t n = 0;
    const struct xattr *x;
    LL_FOREACH(inode->xattrs, x)
    n += sizeof(*x) + x->name_len + 1 + x->size;
    return n;
}

int xattr_set(struct inode *inode, const char *name, const void *value, size_t size, int flags)
{
    struct xattr *old = find(inode, name), *x = NULL;
    if (old && flags & XATTR_CREATE)
        return -EEXIST;
    if (!old && (flags & XATTR_REPLACE || !value))
        return -ENODATA;
    if (value) {
        size_t len = strlen(name);
        if (total(inode) + size > INODE_TOTAL_MAX)
            return -ENOSPC;
        x = heap_alloc(sizeof(*x) + len + 1 + size);
        if (!x)
            return -ENOSPC;
        x->name_len = len;
        x->size = size;
        memcpy(x->data, name, len + 1);
        memcpy(x->data + len + 1, value, size);
    }
    if (old) {
        LL_DELETE(inode->xattrs, old);
        heap_free(old);
    }
    if (x)
        LL_PREPEND(inode->xattrs, x);
    return 0;
}

int xattr_list(struct inode *inode, char *buf, size_t size)
{
    size_t n = 0;
    const struct xattr *x;
    bool trusted = vfs_capable(CAP_SYS_ADMIN);
    LL_FOREACH(inode->xattrs, x)
    {
        if (!trusted && strncmp(x->data, "trusted.", 8) == 0)
            continue;
        if (size && n + x->name_len + 1 > size)
            return -ERANGE;
        if (size)
            memcpy(buf + n, x->data, x->name_len + 1);
        n += x->name_len + 1;
    }
    return n > XATTR_LIST_MAX ? -E2BIG : (int)n;
}

void xattr_free(struct inode *inode)
{
    struct xattr *x, *next;
    LL_FOREACH_SAFE(inode->xattrs, x, next)
    heap_free(x);
    inode->xattrs = NULL;
}

static bool starts(const char *name, const char *prefix)
{
    size_t n = strlen(prefix);
    return strncmp(name, prefix, n) == 0 && name[n];
}

/* May the caller get at this name? write: change it. */
static int xattr_permission(struct inode *inode, const char *name, bool write)
{
    uint32_t mode = inode->mode;
    if (starts(name, "security.") && !caps_is_name(name))
        return write && !vfs_capable(CAP_SYS_ADMIN) ? -EPERM : 0;
    if (caps_is_name(name))
        return 0; /* looked at where the value is known */
    if (starts(name, "trusted."))
        return vfs_capable(CAP_SYS_ADMIN) ? 0 : write ? -EPERM : -ENODATA;
    if (starts(name, "user.")) {
        if (!S_ISREG(mode) && !S_ISDIR(mode))
            return write ? -EPERM : -ENODATA;
        if (S_ISDIR(mode) && mode & S_ISVTX && write && !vfs_owner(inode))
            return -EPERM;
        return inode_permission(inode, write ? MAY_WRITE : MAY_READ);
    }
    return -EOPNOTSUPP;
}

ssize_type path_getxattr(const struct path *p, const char *name, void *buf, size_t size)
{
    struct inode *inode = p->dentry->inode;
    if (acl_index(name) >= 0)
        return acl_get(inode, acl_index(name), buf, size);
    int n = xattr_permission(inode, name, false);
    if (n)
        return n;
    if (!inode->ops->getxattr)
        return -EOPNOTSUPP;
    rwmutex_read_lock(&inode->lock);
    char caps[24];
    bool own_form = caps_is_name(name);
    n = own_form ? inode->ops->getxattr(inode, name, caps, sizeof(caps))
                 : inode->ops->getxattr(inode, name, buf, size);
    rwmutex_read_unlock(&inode->lock);
    if (own_form && n >= 0 && (n = caps_to_show(caps, n)) > 0 && size) {
        if (size < (size_t)n)
            return -ERANGE;
        memcpy(buf, caps, (size_t)n);
    }
    return n;
}

int path_setxattr(const struct path *p, const char *name, const void *value, size_t size, int flags)
{
    struct inode *inode = p->dentry->inode;
    int err = path_writable(p);
    if (acl_index(name) >= 0) {
        err = err ? err : acl_set(inode, acl_index(name), value, size);
        if (!err)
            inotify_event(p->dentry, IN_ATTRIB);
        return err;
    }
    if (!err && caps_is_name(name))
        err = caps_check_set(value, size);
    if (!err)
        err = xattr_permission(inode, name, true);
    if (!err && !inode->ops->setxattr)
        err = -EOPNOTSUPP;
    if (err)
        return err;
    rwmutex_write_lock(&inode->lock);
    if (caps_is_name(name))
        inode->caps_none = false;
    err = inode->ops->setxattr(inode, name, value, size, flags);
    if (!err) {
        inode->ctime = vfs_now();
        inode->atime_until = 0;
    }
    rwmutex_write_unlock(&inode->lock);
    if (!err)
        inotify_event(p->dentry, IN_ATTRIB);
    return err;
}

ssize_type path_listxattr(const struct path *p, char *buf, size_t size)
{
    struct inode *inode = p->dentry->inode;
    if (!inode->ops->listxattr)
        return -EOPNOTSUPP;
    rwmutex_read_lock(&inode->lock);
    int n = inode->ops->listxattr(inode, buf, size);
    rwmutex_read_unlock(&inode->lock);
    return n;
}
