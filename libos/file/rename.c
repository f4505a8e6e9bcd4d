/* SPDX-License-Identifier: MIT */
/* rename(2) and renameat2(2). Two directories are locked ancestor first, else by address; sb->rename_lock keeps the tree's
 * shape still when they differ. */
#include "vfs_int.h"

#include <abi/errno.h>
#include <abi/fcntl.h>
#include <libos/below.h>
#include <libos/heap.h>
#include <libos/inotify.h>
#include <string.h>

struct rename {
    struct walk from, to;
    struct last_name from_last, to_last;
    struct dentry *source, *target; /* referenced; target may be NULL */
    struct dentry *whiteout;
    unsigned flags;
};

/* Is a an ancestor of d, or d itself? Parents stay: rename_lock is held. The child of a on the way in *ret_child. */
static bool is_ancestor(const struct dentry *a, struct dentry *d, struct dentry **ret_child)
{
    for (struct dentry *below = NULL;; below = d, d = d->parent) {
        if (d == a) {
            *ret_child = below;
            return true;
        }
        if (d->parent == d)
            return false;
    }
}

/* Lock both directories; *trap is the dentry on the way from one to the other, when one lies in the other. */
static void lock_both(struct dentry *a, struct dentry *b, struct dentry **trap)
{
    *trap = NULL;
    if (a == b) {
        rwmutex_write_lock(&a->inode->lock);
        return;
    }
    mutex_lock(&a->sb->rename_lock);
    if (!is_ancestor(a, b, trap) && (is_ancestor(b, a, trap) || b < a)) {
        struct dentry *t = a;
        a = b;
        b = t;
    }
    rwmutex_write_lock(&a->inode->lock);
    rwmutex_write_lock(&b->inode->lock);
}

static void unlock_both(struct dentry *a, struct dentry *b)
{
    rwmutex_write_unlock(&a->inode->lock);
    if (a == b)
        return;
    rwmutex_write_unlock(&b->inode->lock);
    mutex_unlock(&a->sb->rename_lock);
}

/* Find both names; what they may be, in Linux's order. */
static int find_both(struct rename *r, const struct dentry *trap)
{
    struct last_name *l = &r->from_last;
    int err = dentry_lookup_locked(r->from.cur.dentry, l->name, l->len, l->hash, &r->source);
    if (err)
        return err;
    l = &r->to_last;
    err = dentry_lookup_locked(r->to.cur.dentry, l->name, l->len, l->hash, &r->target);
    if (err && err != -ENOENT)
        return err;
    if (r->target && r->flags & RENAME_NOREPLACE)
        return -EEXIST;
    if (r->flags & RENAME_EXCHANGE) {
        if (!r->target)
            return -ENOENT;
        if (!S_ISDIR(r->target->inode->mode) && r->to_last.slash)
            return -ENOTDIR;
    }
    if (!S_ISDIR(r->source->inode->mode) &&
        (r->from_last.slash || (!(r->flags & RENAME_EXCHANGE) && r->to_last.slash)))
        return -ENOTDIR;
    if (r->source == trap)
        return -EINVAL;
    if (r->target && r->target == trap)
        return r->flags & RENAME_EXCHANGE ? -EINVAL : -ENOTEMPTY;
    return 0;
}

static int rename_rights(struct rename *r)
{
    struct dentry *from = r->from.cur.dentry, *to = r->to.cur.dentry;
    bool source_dir = S_ISDIR(r->source->inode->mode);
    bool target_dir = r->target && S_ISDIR(r->target->inode->mode);
    bool exchange = r->flags & RENAME_EXCHANGE;
    int err = may_delete(from, r->source, source_dir);
    if (!err)
        err = r->target ? may_delete(to, r->target, exchange ? target_dir : source_dir)
                        : may_create(to);
    if (!err && !from->inode->ops->rename)
        err = -EPERM;
    if (!err && from != to && source_dir)
        err = inode_permission(r->source->inode, MAY_WRITE);
    if (!err && from != to && exchange && target_dir)
        err = inode_permission(r->target->inode, MAY_WRITE);
    if (!err && (r->source->mounted || (r->target && r->target->mounted)))
        err = -EBUSY;
    return err;
}

/* A name that does not fit into a dentry gets memory of its own. False: out of memory. */
static bool name_memory(const char *name, size_t len, char **ret)
{
    *ret = NULL;
    if (len < sizeof(((struct dentry *)NULL)->name_inline))
        return true;
    *ret = heap_alloc(len + 1);
    if (!*ret)
        return false;
    memcpy(*ret, name, len);
    (*ret)[len] = '\0';
    return true;
}

static void nlink_moved(struct inode *inode, struct inode *from, struct inode *to)
{
    if (from == to || !S_ISDIR(inode->mode))
        return;
    from->nlink--;
    to->nlink++;
}

static void stamps(struct rename *r, struct inode *from, struct inode *to)
{
    struct abi_timespec now = vfs_now();
    from->mtime = from->ctime = to->mtime = to->ctime = r->source->inode->ctime = now;
    from->atime_until = to->atime_until = r->source->inode->atime_until = 0;
    inode_changed(from);
    inode_changed(to);
    inode_changed(r->source->inode);
    if (r->target) {
        r->target->inode->ctime = now;
        r->target->inode->atime_until = 0;
        inode_changed(r->target->inode);
    }
}

static int do_exchange(struct rename *r)
{
    struct dentry *from = r->from.cur.dentry, *to = r->to.cur.dentry;
    char name_a[ABI_NAME_MAX + 1], name_b[ABI_NAME_MAX + 1];
    char *mem_a, *mem_b;
    size_t len_a = r->source->len, len_b = r->target->len;
    memcpy(name_a, r->source->name, len_a + 1);
    memcpy(name_b, r->target->name, len_b + 1);
    if (!name_memory(name_a, len_a, &mem_a))
        return -ENOMEM;
    if (!name_memory(name_b, len_b, &mem_b)) {
        heap_free(mem_a);
        return -ENOMEM;
    }
    dentry_detach(r->source);
    dentry_detach(r->target);
    dentry_move(r->source, to, name_b, len_b, mem_b);
    dentry_move(r->target, from, name_a, len_a, mem_a);
    nlink_moved(r->source->inode, from->inode, to->inode);
    nlink_moved(r->target->inode, to->inode, from->inode);
    return 0;
}

static int do_move(struct rename *r)
{
    struct dentry *from = r->from.cur.dentry, *to = r->to.cur.dentry;
    char *mem;
    int err = 0;
    if (r->target && S_ISDIR(r->target->inode->mode))
        err = dir_empty(r->target);
    if (err)
        return err;
    if (!name_memory(r->to_last.name, r->to_last.len, &mem))
        return -ENOMEM;
    if (r->target) {
        dentry_detach(r->target);
        if (S_ISDIR(r->target->inode->mode))
            to->inode->nlink--;
        inode_unlinked(r->target->inode);
    }
    dentry_detach(r->source);
    dentry_move(r->source, to, r->to_last.name, r->to_last.len, mem);
    nlink_moved(r->source->inode, from->inode, to->inode);
    return 0;
}

/* RENAME_WHITEOUT: a character device 0:0 takes the old name. */
static int make_whiteout(struct rename *r)
{
    return create_locked(r->from.cur.dentry, &r->from_last, S_IFCHR | 0600 | MODE_AS_IS, 0, NULL,
                         &r->whiteout);
}

static int rename_locked(struct rename *r, const struct dentry *trap)
{
    struct dentry *from = r->from.cur.dentry, *to = r->to.cur.dentry;
    int err = find_both(r, trap);
    if (err)
        return err;
    if (r->target && r->target->inode == r->source->inode)
        return 1; /* two names of one file: nothing happens */
    err = rename_rights(r);
    if (!err && from->inode->ops->complete)
        err = from->inode->ops->complete(from);
    if (!err && from != to && to->inode->ops->complete)
        err = to->inode->ops->complete(to);
    if (!err)
        err = dentry_reserve(to);
    if (!err)
        err = from->inode->ops->rename(from->inode, r->source->name, r->source->len,
                                       r->source->inode, to->inode, r->to_last.name, r->to_last.len,
                                       r->target ? r->target->inode : NULL, r->flags);
    if (err)
        return err;
    dentry_renaming(from, true);
    dentry_renaming(to, true);
    err = r->flags & RENAME_EXCHANGE ? do_exchange(r) : do_move(r);
    if (!err) {
        stamps(r, from->inode, to->inode);
        err = r->flags & RENAME_WHITEOUT ? make_whiteout(r) : 0;
    }
    dentry_renaming(to, false);
    dentry_renaming(from, false);
    return err;
}

static void tell(const struct rename *r)
{
    struct dentry *from = r->from.cur.dentry, *to = r->to.cur.dentry;
    uint32_t cookie = inotify_cookie();
    uint32_t dir = S_ISDIR(r->source->inode->mode) ? IN_ISDIR : 0;
    inotify_name_event(from, &r->from_last, IN_MOVED_FROM | dir, cookie);
    inotify_name_event(to, &r->to_last, IN_MOVED_TO | dir, cookie);
    inotify_inode_event(r->source->inode, IN_MOVE_SELF | dir);
    if (!r->target)
        return;
    if (r->flags & RENAME_EXCHANGE) {
        cookie = inotify_cookie();
        dir = S_ISDIR(r->target->inode->mode) ? IN_ISDIR : 0;
        inotify_name_event(to, &r->to_last, IN_MOVED_FROM | dir, cookie);
        inotify_name_event(from, &r->from_last, IN_MOVED_TO | dir, cookie);
        inotify_inode_event(r->target->inode, IN_MOVE_SELF | dir);
    } else if (!S_ISDIR(r->target->inode->mode)) {
        inotify_inode_event(r->target->inode, IN_ATTRIB);
    }
}

static int rename_walked(struct rename *r)
{
    struct dentry *from = r->from.cur.dentry, *to = r->to.cur.dentry, *trap;
    if (r->from.cur.mount != r->to.cur.mount)
        return -EXDEV;
    if (r->from_last.type != LAST_NORMAL)
        return -EBUSY;
    if (r->to_last.type != LAST_NORMAL)
        return r->flags & RENAME_NOREPLACE ? -EEXIST : -EBUSY;
    int err = path_writable(&r->from.cur);
    if (err)
        return err;
    lock_both(from, to, &trap);
    err = rename_locked(r, trap);
    unlock_both(from, to);
    if (!err)
        tell(r);
    if (r->source)
        dentry_put(r->source);
    if (r->target)
        dentry_put(r->target);
    if (r->whiteout)
        dentry_put(r->whiteout);
    return err > 0 ? 0 : err;
}

static struct last_name last_of(const char *name)
{
    size_t len = strlen(name);
    return (struct last_name){
        .name = name, .len = len, .hash = name_hash(name, len), .type = LAST_NORMAL
    };
}

int vfs_rename(int old_dirfd, const char *old_name, int new_dirfd, const char *new_name,
               unsigned flags)
{
    if (flags & ~(unsigned)(RENAME_NOREPLACE | RENAME_EXCHANGE | RENAME_WHITEOUT) ||
        (flags & RENAME_EXCHANGE && flags & (RENAME_NOREPLACE | RENAME_WHITEOUT)))
        return -EINVAL;
    struct rename *r = heap_zalloc(sizeof(*r)); /* two walks: too much for the stack */
    if (!r)
        return -ENOMEM;
    r->flags = flags;
    int err = walk_start(&r->from, old_dirfd, old_name, 0);
    if (!err) {
        err = walk_to_parent(&r->from, &r->from_last);
        int err2 = err ? err : walk_start(&r->to, new_dirfd, new_name, 0);
        err = err2;
        if (!err) {
            err = walk_to_parent(&r->to, &r->to_last);
            if (!err)
                err = rename_walked(r);
            walk_end(&r->to);
        }
        walk_end(&r->from);
    }
    heap_free(r);
    return err;
}

int below_rename(struct mount *m, struct dentry *from, const char *from_name, struct dentry *to,
                 const char *to_name, unsigned flags)
{
    struct rename *r = heap_zalloc(sizeof(*r));
    if (!r)
        return -ENOMEM;
    r->flags = flags;
    r->from.cur = (struct path){ m, from };
    r->to.cur = (struct path){ m, to };
    r->from_last = last_of(from_name);
    r->to_last = last_of(to_name);
    int err = rename_walked(r);
    heap_free(r);
    return err;
}
