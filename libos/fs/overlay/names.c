/* SPDX-License-Identifier: MIT */
/* Names of an overlay that come, go and move. What is made is made in the work directory and renamed to its place; what is in a
 * lower layer is hidden by a whiteout. Locks: the overlay's own directories are locked by the caller. */
#include "ovl_int.h"

#include <abi/errno.h>
#include <abi/fcntl.h>
#include <abi/stat.h>
#include <libos/below.h>
#include <libos/dentry.h>
#include <libos/heap.h>
#include <string.h>

/* Names come with their length. */
struct text {
    char text[ABI_NAME_MAX + 1];
};

static void terminate(struct text *t, const char *name, size_t len)
{
    memcpy(t->text, name, len);
    t->text[len] = '\0';
}

/* What the upper directory has under this name: 1 a whiteout, 0 nothing or something else. */
static int whiteout_at(struct ovl *o, struct dentry *dir, const char *name)
{
    struct dentry *d;
    if (ovl_find(dir, name, strlen(name), &d))
        return 0;
    int is = ovl_is_whiteout(o, d);
    dentry_put(d);
    return is;
}

/* Put a whiteout in place of what is at name in dir, or of nothing. */
static int make_whiteout(struct ovl *o, struct dentry *dir, const char *name, bool replaces)
{
    char temp[16];
    struct dentry *made;
    ovl_temp(o, temp);
    int err = below_make(o->work, temp, S_IFCHR, 0, NULL, &made);
    if (err)
        return err;
    dentry_put(made);
    err = below_rename(o->upper, o->work, temp, dir, name, replaces ? RENAME_EXCHANGE : 0);
    if (err || replaces) {
        int err2 = below_remove(o->work, temp);
        err = err ? err : err2;
    }
    return err;
}

/* Owner and mode of a new inode, as the program's user makes it, go to its upper one. */
static int give_owner(struct ovl *o, const struct inode *inode, struct dentry *d)
{
    struct path at = { o->upper, d };
    struct inode_attr a = { .set = ATTR_UID | ATTR_GID | ATTR_MODE,
                            .uid = inode->uid,
                            .gid = inode->gid,
                            .mode = inode->mode & 07777 };
    if (S_ISLNK(inode->mode))
        a.set &= ~(unsigned)ATTR_MODE;
    return inode_setattr(&at, &a);
}

/* Move what was made as temp to name in dir. */
static int settle(struct ovl *o, const char *temp, struct dentry *dir, const char *name)
{
    bool over = whiteout_at(o, dir, name);
    int err = below_rename(o->upper, o->work, temp, dir, name, over ? RENAME_EXCHANGE : 0);
    if (err || over) /* what failed, or the whiteout */
        (void)below_remove(o->work, temp);
    return err;
}

static int make(struct inode *dir, const char *name, uint32_t mode, uint32_t rdev,
                const char *target, struct inode **ret)
{
    struct ovl *o = ovl_of(dir);
    struct dentry *upper = ovl_upper(ovl_inode(dir)), *made;
    struct inode model = { .mode = mode };
    char temp[16];
    ovl_temp(o, temp);
    inode_init_owner(&model, dir);
    bool was = below_begin();
    int err = below_make(o->work, temp, mode, rdev, target, &made);
    if (!err) {
        err = give_owner(o, &model, made);
        if (!err && S_ISDIR(mode) && ovl_in_lower(dir, name, strlen(name)))
            err = ovl_set_opaque(o, made);
        if (err)
            (void)below_remove(o->work, temp);
        else
            err = settle(o, temp, upper, name);
        if (err)
            dentry_put(made);
        else
            err = ovl_inode_make(o, made, NULL, 0, NULL, NULL, 0, ret);
    }
    below_end(was);
    return err;
}

int ovl_create(struct inode *dir, const char *name, size_t len, uint32_t mode, uint32_t rdev,
               struct inode **ret)
{
    struct text t;
    if (S_ISCHR(mode) && rdev == 0)
        return -EPERM; /* a program's cannot be told from the overlay's own */
    int err = ovl_copy_up(dir, UINT64_MAX);
    if (err)
        return err;
    terminate(&t, name, len);
    return make(dir, t.text, mode, rdev, NULL, ret);
}

int ovl_symlink(struct inode *dir, const char *name, size_t len, const char *target,
                struct inode **ret)
{
    struct text t;
    int err = ovl_copy_up(dir, UINT64_MAX);
    if (err)
        return err;
    terminate(&t, name, len);
    return make(dir, t.text, S_IFLNK | 0777, 0, target, ret);
}

int ovl_link(struct inode *dir, const char *name, size_t len, struct inode *inode)
{
    struct ovl *o = ovl_of(dir);
    struct text t;
    int err = ovl_copy_up(dir, UINT64_MAX);
    if (!err)
        err = ovl_copy_up(inode, UINT64_MAX);
    if (err)
        return err;
    terminate(&t, name, len);
    struct dentry *upper = ovl_upper(ovl_inode(dir));
    char temp[16];
    ovl_temp(o, temp);
    bool was = below_begin();
    err = below_link(ovl_upper(ovl_inode(inode)), o->work, temp);
    if (!err)
        err = settle(o, temp, upper, t.text);
    below_end(was);
    return err;
}

int ovl_unlink(struct inode *dir, const char *name, size_t len, struct inode *inode)
{
    struct ovl *o = ovl_of(dir);
    struct ovl_inode *oi = ovl_inode(inode);
    struct text t;
    int err = S_ISDIR(inode->mode) ? ovl_check_empty(inode) : 0;
    if (!err)
        err = ovl_copy_up(dir, UINT64_MAX);
    if (err)
        return err;
    terminate(&t, name, len);
    struct dentry *upper = ovl_upper(ovl_inode(dir)), *d = ovl_upper(oi);
    bool was = below_begin();
    if (d && S_ISDIR(inode->mode))
        err = ovl_clear(o, d, false);
    if (!err && ovl_in_lower(dir, name, len))
        err = make_whiteout(o, upper, t.text, d != NULL);
    else if (!err)
        err = below_remove(upper, t.text);
    below_end(was);
    if (!err && inode->nlink == 1)
        ovl_keep_no_more(o, oi);
    return err;
}

/* Both names, and what is known of them. */
struct move {
    struct ovl *o;
    struct dentry *from_dir, *to_dir;
    struct text from, to;
    bool from_lower, to_lower; /* the name is in a lower layer as well */
    struct inode *inode, *replaced;
};

/* A directory whose content comes from lower layers cannot move without redirection. */
static int may_move(struct inode *inode)
{
    if (S_ISDIR(inode->mode) && ovl_inode(inode)->nlower)
        return -EXDEV;
    return ovl_copy_up(inode, UINT64_MAX);
}

static int exchange(struct move *m)
{
    int err = 0;
    if (S_ISDIR(m->inode->mode) && m->to_lower)
        err = ovl_set_opaque(m->o, ovl_upper(ovl_inode(m->inode)));
    if (!err && S_ISDIR(m->replaced->mode) && m->from_lower)
        err = ovl_set_opaque(m->o, ovl_upper(ovl_inode(m->replaced)));
    return err ? err
               : below_rename(m->o->upper, m->from_dir, m->from.text, m->to_dir, m->to.text,
                              RENAME_EXCHANGE);
}

static int move(struct move *m)
{
    struct dentry *gone = m->replaced ? ovl_upper(ovl_inode(m->replaced)) : NULL;
    int err = 0;
    if (S_ISDIR(m->inode->mode) && m->to_lower)
        err = ovl_set_opaque(m->o, ovl_upper(ovl_inode(m->inode)));
    if (!err && gone && S_ISDIR(m->replaced->mode))
        err = ovl_clear(m->o, gone, false);
    if (err)
        return err;
    if (!gone && whiteout_at(m->o, m->to_dir, m->to.text)) {
        /* The whiteout comes to where the file was: that is wanted when a lower layer has the name. */
        err = below_rename(m->o->upper, m->from_dir, m->from.text, m->to_dir, m->to.text,
                           RENAME_EXCHANGE);
        if (!err && !m->from_lower)
            err = below_remove(m->from_dir, m->from.text);
        return err;
    }
    err = below_rename(m->o->upper, m->from_dir, m->from.text, m->to_dir, m->to.text,
                       m->from_lower ? RENAME_WHITEOUT : 0);
    return err;
}

int ovl_rename(struct inode *old_dir, const char *old_name, size_t old_len, struct inode *inode,
               struct inode *new_dir, const char *new_name, size_t new_len, struct inode *replaced,
               unsigned flags)
{
    if (flags & RENAME_WHITEOUT)
        return -EINVAL;
    struct move *m = heap_alloc(sizeof(*m));
    if (!m)
        return -ENOMEM;
    int err = may_move(inode);
    if (!err && flags & RENAME_EXCHANGE)
        err = may_move(replaced);
    else if (!err && replaced && S_ISDIR(replaced->mode))
        err = ovl_check_empty(replaced);
    if (!err)
        err = ovl_copy_up(old_dir, UINT64_MAX);
    if (!err)
        err = ovl_copy_up(new_dir, UINT64_MAX);
    if (!err) {
        *m = (struct move){ .o = ovl_of(old_dir),
                            .from_dir = ovl_upper(ovl_inode(old_dir)),
                            .to_dir = ovl_upper(ovl_inode(new_dir)),
                            .from_lower = ovl_in_lower(old_dir, old_name, old_len),
                            .to_lower = ovl_in_lower(new_dir, new_name, new_len),
                            .inode = inode,
                            .replaced = replaced };
        terminate(&m->from, old_name, old_len);
        terminate(&m->to, new_name, new_len);
        bool was = below_begin();
        err = flags & RENAME_EXCHANGE ? exchange(m) : move(m);
        below_end(was);
        if (!err && replaced && !(flags & RENAME_EXCHANGE) && replaced->nlink == 1)
            ovl_keep_no_more(m->o, ovl_inode(replaced));
    }
    heap_free(m);
    return err;
}
