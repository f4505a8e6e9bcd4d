/* SPDX-License-Identifier: MIT */
/* Names of an overlay: which layers have them, what hides them. A whiteout is a character device 0:0; an opaque directory has an
 * attribute that says so. Documentation/filesystems/overlayfs.rst. */
#include "ovl_int.h"

#include <abi/errno.h>
#include <abi/stat.h>
#include <libos/below.h>
#include <libos/dentry.h>
#include <libos/heap.h>
#include <libos/xattr.h>
#include <stdio.h>
#include <string.h>

int ovl_find(struct dentry *dir, const char *name, size_t len, struct dentry **ret)
{
    return dentry_lookup(dir, name, len, name_hash(name, len), ret);
}

bool ovl_is_whiteout(const struct ovl *o, struct dentry *d)
{
    (void)o;
    return S_ISCHR(d->inode->mode) && d->inode->rdev == 0;
}

static const char *prefix_of(const struct ovl *o)
{
    return o->user_xattr ? "user.overlay." : "trusted.overlay.";
}

bool ovl_own_xattr(const struct ovl *o, const char *name)
{
    const char *prefix = prefix_of(o);
    return strncmp(name, prefix, strlen(prefix)) == 0;
}

static void opaque_name(const struct ovl *o, char name[40])
{
    snprintf(name, 40, "%sopaque", prefix_of(o));
}

bool ovl_is_opaque(const struct ovl *o, struct dentry *d)
{
    char name[40], value[4];
    struct inode *inode = d->inode;
    if (!inode->ops->getxattr)
        return false;
    opaque_name(o, name);
    rwmutex_read_lock(&inode->lock);
    int n = inode->ops->getxattr(inode, name, value, sizeof(value));
    rwmutex_read_unlock(&inode->lock);
    return n == 1 && value[0] == 'y';
}

int ovl_set_opaque(const struct ovl *o, struct dentry *d)
{
    char name[40];
    opaque_name(o, name);
    return below_setxattr(d, name, "y", 1, 0);
}

bool ovl_in_lower(const struct inode *dir, const char *name, size_t len)
{
    const struct ovl_inode *oi = ovl_inode(dir);
    for (unsigned i = 0; i < oi->nlower; i++) {
        struct dentry *d;
        if (ovl_find(oi->lower[i].dentry, name, len, &d))
            continue;
        bool hides = ovl_is_whiteout(ovl_of(dir), d);
        dentry_put(d);
        return !hides;
    }
    return false;
}

/* What lookup found so far. */
struct found {
    struct dentry *upper;
    struct ovl_lower *lower;
    unsigned nlower;
};

/* d is what the next layer has. 1: what is below does not count. Takes d. */
static int add(struct ovl *o, struct found *f, struct dentry *take_d, bool is_upper, unsigned layer)
{
    bool any = f->upper || f->nlower, dir = S_ISDIR(take_d->inode->mode);
    if (ovl_is_whiteout(o, take_d) || (any && !dir)) {
        dentry_put(take_d);
        return 1;
    }
    int last = !dir || ovl_is_opaque(o, take_d);
    if (is_upper)
        f->upper = take_d;
    else
        f->lower[f->nlower++] = (struct ovl_lower){ layer, take_d };
    return last;
}

static int find_all(struct inode *dir, const char *name, size_t len, struct found *f)
{
    struct ovl_inode *oi = ovl_inode(dir);
    struct ovl *o = ovl_of(dir);
    struct dentry *upper = ovl_upper(oi), *d;
    if (upper) {
        int err = ovl_find(upper, name, len, &d);
        if (!err && add(o, f, d, true, 0))
            return 0;
        if (err && err != -ENOENT)
            return err;
    }
    for (unsigned i = 0; i < oi->nlower; i++) {
        int err = ovl_find(oi->lower[i].dentry, name, len, &d);
        if (!err && add(o, f, d, false, oi->lower[i].layer))
            return 0;
        if (err && err != -ENOENT)
            return err;
    }
    return 0;
}

int ovl_lookup(struct inode *dir, const char *name, size_t len, struct inode **ret)
{
    struct ovl_inode *oi = ovl_inode(dir);
    struct found f = { NULL, NULL, 0 };
    f.lower = heap_calloc(oi->nlower + 1, sizeof(*f.lower));
    if (!f.lower)
        return -ENOMEM;
    int err = find_all(dir, name, len, &f);
    if (!err && !f.upper && !f.nlower)
        err = -ENOENT;
    if (!err && f.upper && !S_ISDIR(f.upper->inode->mode) &&
        (*ret = ovl_hash_find(ovl_of(dir), f.upper->inode))) {
        dentry_put(f.upper);
    } else if (!err) {
        err = ovl_inode_make(ovl_of(dir), f.upper, f.lower, f.nlower, dir, name, len, ret);
    } else {
        if (f.upper)
            dentry_put(f.upper);
        for (unsigned i = 0; i < f.nlower; i++)
            dentry_put(f.lower[i].dentry);
    }
    heap_free(f.lower);
    return err;
}
