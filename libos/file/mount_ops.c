/* SPDX-License-Identifier: MIT */
/* What mount(2), umount2(2), pivot_root(2), move_mount(2) and mount_setattr(2) do to the tree, each whole under the tree's
 * mutex. What comes off the tree is buried after the mutex is dropped, since that may end a file system. */
#include "mount_int.h"
#include "vfs_int.h"

#include <abi/errno.h>
#include <abi/fcntl.h>
#include <abi/stat.h>
#include <abi/statfs.h>
#include <string.h>

bool mount_in_tree(const struct mount *m)
{
    return m->place == MOUNT_IN_TREE;
}

int mount_group(const struct mount *m)
{
    return m->group;
}

int mount_master(const struct mount *m)
{
    return m->master ? m->master->group : 0;
}

static bool is_root(const struct path *p)
{
    return p->dentry == p->mount->root;
}

static bool is_dir(const struct dentry *d)
{
    return S_ISDIR(d->inode->mode);
}

/* Go to the top of what is mounted at p: something may have been mounted since the path was walked. Drop with path_put. */
static void topmost(const struct path *p, struct path *ret)
{
    *ret = *p;
    path_get(ret);
    (void)path_cross_down(ret);
}

/* Hang tree over at, everywhere that this spreads to. */
static int graft(struct mount *tree, const struct path *at)
{
    struct path was;
    int err = mount_hang(tree, at);
    if (err)
        return err;
    err = mount_spread(tree, at);
    if (err) {
        if (mount_unhang(tree, &was))
            path_put(&was);
        return err;
    }
    for (struct mount *m = tree; m; m = mount_below(tree, m))
        mount_place(m, MOUNT_IN_TREE);
    mount_tell();
    return 0;
}

int mount_add(struct mount *take_m, const struct path *at)
{
    struct path top;
    int err = 0;
    mount_change_begin();
    topmost(at, &top);
    if (!mount_in_tree(top.mount))
        err = -EINVAL;
    else if (top.mount->sb == take_m->sb && is_root(&top))
        err = -EBUSY;
    else if (S_ISLNK(take_m->root->inode->mode))
        err = -EINVAL;
    else if (is_dir(take_m->root) != is_dir(top.dentry))
        err = -ENOTDIR;
    else
        err = graft(take_m, &top);
    mount_change_end();
    path_put(&top);
    if (err)
        mount_dissolve(take_m);
    return err;
}

void mount_dissolve(struct mount *take_m)
{
    struct mount *dead = NULL;
    mount_change_begin();
    mount_dissolve_locked(take_m, &dead);
    mount_change_end();
    mount_bury(dead);
}

int mount_file_create(struct mount *take_m, struct file **ret_file)
{
    struct path p = { take_m, take_m->root };
    int err = file_create(&file_path_ops, &p, O_PATH, take_m, ret_file);
    if (err)
        mount_dissolve(take_m);
    return err;
}

void mount_closed(struct mount *m)
{
    struct mount *dead = NULL;
    mount_change_begin();
    if (m->place == MOUNT_APART && !m->parent)
        mount_dissolve_locked(m, &dead);
    mount_change_end();
    mount_bury(dead);
}

int mount_set_group(const struct path *from, const struct path *to)
{
    struct mount *a = from->mount, *b = to->mount;
    int err = -EINVAL;
    mount_change_begin();
    if (is_root(from) && is_root(to) && mount_in_tree(a) && mount_in_tree(b) && a->sb == b->sb &&
        (a->group || a->master) && !b->group && !b->master && mount_below_root(b->root, a->root)) {
        mount_join(b, a);
        mount_tell();
        err = 0;
    }
    mount_change_end();
    return err;
}

int mount_copy(const struct path *from, bool recursive, struct mount **ret)
{
    int err = -EINVAL;
    mount_change_begin();
    if (from->mount->place != MOUNT_GONE && !from->mount->unbindable)
        err = mount_copy_tree(from->mount, from->dentry, recursive, COPY_BIND, ret);
    mount_change_end();
    return err;
}

int mount_bind(const struct path *from, const struct path *at, bool recursive)
{
    struct mount *copy = NULL;
    struct path top;
    int err = -EINVAL;
    mount_change_begin();
    topmost(at, &top);
    if (mount_in_tree(from->mount) && mount_in_tree(top.mount) && !from->mount->unbindable)
        err = mount_copy_tree(from->mount, from->dentry, recursive, COPY_BIND, &copy);
    if (!err) {
        err = is_dir(from->dentry) == is_dir(top.dentry) ? graft(copy, &top) : -ENOTDIR;
        if (err)
            mount_dissolve_locked(copy, NULL);
    }
    mount_change_end();
    path_put(&top);
    return err;
}

/* Moving. */

static bool has_unbindable(struct mount *top)
{
    for (struct mount *m = top; m; m = mount_below(top, m))
        if (m->unbindable)
            return true;
    return false;
}

static int check_move(const struct path *from, const struct path *to)
{
    struct mount *m = from->mount, *parent = m->parent;
    bool apart = m->place == MOUNT_APART;
    if (!is_root(from) || mount_is_first(m))
        return -EINVAL;
    /* A tree apart moves as a whole. */
    if (apart ? parent != NULL : !mount_in_tree(m) || !parent || mount_is_first(parent))
        return -EINVAL;
    if (!mount_in_tree(to->mount))
        return -EINVAL;
    if (is_dir(m->root) != is_dir(to->dentry))
        return -EINVAL;
    if (parent && parent->group)
        return -EINVAL;
    if (to->mount->group && has_unbindable(m))
        return -EINVAL;
    for (struct mount *p = to->mount; p; p = p->parent)
        if (p == m)
            return -ELOOP;
    return 0;
}

/* m goes to at; fails only where hanging does, and then it is where it was. */
static int rehang(struct mount *m, const struct path *at)
{
    struct path was = { NULL, NULL };
    bool hung = mount_unhang(m, &was);
    int err = graft(m, at);
    if (err && hung && mount_hang(m, &was))
        mount_dissolve_locked(m, NULL); /* its place was just removed */
    if (hung)
        path_put(&was);
    return err;
}

/* MOVE_MOUNT_BENEATH: m goes between the mount at top and what that covers. */
static int move_beneath(struct mount *m, struct path *top)
{
    struct mount *over = top->mount;
    struct path below, was;
    if (!is_root(top) || !mount_above(over, &below))
        return -EINVAL;
    int err = mount_is_first(below.mount) ? -EINVAL : 0;
    for (struct mount *p = below.mount; p && !err; p = p->parent)
        if (p == m)
            err = -ELOOP;
    if (!err && mount_unhang(over, &was))
        path_put(&was); /* below has both */
    if (!err) {
        err = rehang(m, &below);
        struct path at = err ? below : (struct path){ m, m->root };
        if (mount_hang(over, &at))
            mount_dissolve_locked(over, NULL); /* its place was just removed */
    }
    path_put(&below);
    return err;
}

int mount_move(const struct path *from, const struct path *to, bool beneath)
{
    struct path top;
    mount_change_begin();
    topmost(to, &top);
    int err = check_move(from, &top);
    if (!err)
        err = beneath ? move_beneath(from->mount, &top) : rehang(from->mount, &top);
    mount_change_end();
    path_put(&top);
    return err;
}

/* Unmounting. */

/* The file system that the caller's root is on cannot go; it becomes read-only. */
static int umount_root(struct path *take_root)
{
    int err = take_root->mount->sb->flags & ST_RDONLY
                  ? 0
                  : mount_remount_super(take_root->mount->sb, ST_RDONLY, ST_RDONLY);
    path_put(take_root);
    return err;
}

static int umount_locked(struct mount *m, unsigned flags, struct mount **dead)
{
    if (!mount_in_tree(m) || !m->parent || mount_is_first(m->parent))
        return -EINVAL;
    if (!(flags & UMOUNT_DETACH)) {
        int err = mount_unspread_check(m);
        if (err)
            return err;
    }
    if (flags & UMOUNT_DETACH) {
        mount_unspread(m, dead);
        mount_dissolve_locked(m, dead);
        return 0;
    }
    /* Of what it spreads to, find all before m is off the tree. */
    struct mount *parent = m->parent;
    struct dentry *point = m->point;
    bool shared = parent->group != 0 || parent->slaves;
    if (shared) {
        if (m->children || atomic_load(&m->refs) > 2)
            return -EBUSY;
        mount_unspread(m, dead);
    }
    (void)point;
    int err = mount_unhang_unused(m, 2);
    if (!err) {
        m->was_on = (struct path){ NULL, NULL };
        mount_dissolve_locked(m, dead);
    }
    return err;
}

int mount_umount(struct path *take_root, unsigned flags)
{
    struct mount *m = take_root->mount, *dead = NULL;
    struct thread *t = thread_current();
    struct path root;
    int err = 0;
    if (!is_root(take_root) || !mount_in_tree(m)) {
        path_put(take_root);
        return -EINVAL;
    }
    fs_context_root(t->fs, &root);
    bool own_root = root.mount == m;
    path_put(&root);
    if (flags & UMOUNT_EXPIRE) {
        if (own_root || flags & (UMOUNT_FORCE | UMOUNT_DETACH))
            err = -EINVAL;
        else if (m->children || atomic_load(&m->refs) != 2)
            err = -EBUSY;
        else if (!atomic_exchange(&m->expiring, true))
            err = -EAGAIN;
    } else if (own_root && !(flags & UMOUNT_DETACH)) {
        return umount_root(take_root);
    }
    if (!err) {
        mount_change_begin();
        err = umount_locked(m, flags, &dead);
        if (!err)
            mount_tell();
        mount_change_end();
    }
    path_put(take_root);
    mount_bury(dead); /* the last use of it: the file system ends here */
    return err;
}

/* Flags. */

int mount_write_begin(struct mount *m)
{
    atomic_fetch_add(&m->writers, 1);
    /* Sequentially consistent with make_read_only: one of the two sees the other. */
    if (LIKELY(!((m->flags | m->sb->flags) & ST_RDONLY)))
        return 0;
    atomic_fetch_sub(&m->writers, 1);
    return -EROFS;
}

void mount_write_end(struct mount *m)
{
    atomic_fetch_sub_explicit(&m->writers, 1, memory_order_release);
}

/* Take writing away from m unless somebody writes. */
static int make_read_only(struct mount *m)
{
    atomic_fetch_or(&m->flags, ST_RDONLY);
    if (!atomic_load(&m->writers))
        return 0;
    atomic_fetch_and(&m->flags, ~(unsigned)ST_RDONLY);
    return -EBUSY;
}

int mount_set_flags(const struct path *p, unsigned clear, unsigned set, bool recursive)
{
    struct mount *top = p->mount, *m, *done = NULL;
    int err = is_root(p) && top->place != MOUNT_GONE ? 0 : -EINVAL;
    mount_change_begin();
    for (m = top; m && !err && set & ST_RDONLY; m = recursive ? mount_below(top, m) : NULL) {
        if (m->flags & ST_RDONLY)
            continue;
        err = make_read_only(m);
        if (!err) {
            m->work_next = done;
            done = m;
        }
    }
    for (m = top; m && !err; m = recursive ? mount_below(top, m) : NULL)
        atomic_store(&m->flags, (m->flags & ~clear) | set);
    for (; done && err; done = done->work_next)
        atomic_fetch_and(&done->flags, ~(unsigned)ST_RDONLY);
    if (!err)
        mount_tell();
    mount_change_end();
    return err;
}

int mount_set_sharing(const struct path *p, enum mount_sharing sharing, bool recursive)
{
    struct mount *top = p->mount;
    if (!is_root(p) || top->place == MOUNT_GONE)
        return -EINVAL;
    mount_change_begin();
    for (struct mount *m = top; m; m = recursive ? mount_below(top, m) : NULL)
        mount_share(m, sharing);
    mount_tell();
    mount_change_end();
    return 0;
}

/* Is anything open for writing through a mount of sb? The mutex is held. */
static bool super_is_written(const struct superblock *sb)
{
    for (struct mount *m = mount_next(NULL); m; m = mount_next(m))
        if (m->sb == sb && atomic_load(&m->writers))
            return true;
    return false;
}

int mount_remount_super(struct superblock *sb, unsigned mask, unsigned flags)
{
    uint32_t old = sb->flags, new = (old & ~mask) | (flags & mask);
    int err = 0;
    mount_change_begin();
    if (new & ~old & ST_RDONLY) {
        atomic_fetch_or(&sb->flags, ST_RDONLY); /* nobody begins to write from here on */
        if (super_is_written(sb))
            err = -EBUSY;
    }
    if (!err && sb->ops && sb->ops->remount)
        err = sb->ops->remount(sb, new);
    sb->flags = err ? old : new;
    if (!err)
        mount_tell();
    mount_change_end();
    return err;
}

/* pivot_root. */

/* Is (m, d) at or below p? The mutex is held. */
static bool reachable(struct mount *m, struct dentry *d, const struct path *p)
{
    while (m != p->mount && m->parent) {
        d = m->point;
        m = m->parent;
    }
    if (m != p->mount)
        return false;
    while (d != p->dentry && d->parent != d && d != m->root)
        d = d->parent;
    return d == p->dentry;
}

static int check_pivot(const struct path *new, const struct path *old, const struct path *root)
{
    if (!mount_in_tree(root->mount) || !mount_in_tree(new->mount) || !mount_in_tree(old->mount))
        return -EINVAL;
    if (new->mount->group || new->mount->parent == NULL || new->mount->parent->group ||
        root->mount->parent == NULL || root->mount->parent->group)
        return new->mount == root->mount ? -EBUSY : -EINVAL;
    if (new->mount == root->mount || old->mount == root->mount)
        return -EBUSY;
    if (!is_root(root) || !is_root(new))
        return -EINVAL;
    if (!reachable(old->mount, old->dentry, new) || !reachable(new->mount, new->dentry, root))
        return -EINVAL;
    return 0;
}

/* root goes to old, and new to where root was. */
static int pivot(const struct path *new, const struct path *old, const struct path *root)
{
    struct path new_was, root_was, nothing;
    if (!mount_unhang(new->mount, &new_was))
        return -EINVAL;
    if (!mount_unhang(root->mount, &root_was)) {
        path_put(&new_was);
        return -EINVAL;
    }
    int err = mount_hang(new->mount, &root_was);
    if (!err && mount_hang(root->mount, old)) {
        /* put_old was just removed: all as it was. */
        if (mount_unhang(new->mount, &nothing))
            path_put(&nothing);
        err = -ENOENT;
    }
    if (err && (mount_hang(root->mount, &root_was) || mount_hang(new->mount, &new_was)))
        mount_dissolve_locked(new->mount, NULL);
    path_put(&new_was);
    path_put(&root_was);
    return err;
}

int mount_pivot(const struct path *new_root, const struct path *put_old)
{
    struct path old, root;
    fs_context_root(thread_current()->fs, &root);
    mount_change_begin();
    topmost(put_old, &old);
    int err = check_pivot(new_root, &old, &root);
    if (!err)
        err = pivot(new_root, &old, &root);
    if (!err)
        mount_tell();
    mount_change_end();
    if (!err)
        fs_contexts_move(&root, new_root);
    path_put(&old);
    path_put(&root);
    return err;
}

void mount_enter(struct fs_context *fs)
{
    struct path root;
    for (int i = 0; i < 2; i++) {
        vfs_root(&root);
        fs_context_set(fs, i ? FS_CWD : FS_ROOT, &root);
    }
}

/* For the boot. */

/* Make the directories of name that are missing. */
static int make_parents(const char *name)
{
    char *buf = path_buf_alloc();
    if (!buf)
        return -ENOMEM;
    int err = 0;
    size_t len = strlen(name);
    for (size_t i = 1; i <= len && len < ABI_PATH_MAX && !err; i++) {
        if (name[i] != '/' && name[i] != '\0')
            continue;
        memcpy(buf, name, i);
        buf[i] = '\0';
        err = vfs_make(buf, S_IFDIR | 0755, 0, NULL);
        if (err == -EEXIST)
            err = 0;
    }
    path_buf_free(buf);
    return err;
}

int vfs_mount(struct superblock *take_sb, const char *point, const char *source, unsigned flags)
{
    struct mount *m;
    struct walk w;
    int err = mount_create(take_sb, take_sb->root, source,
                           flags & ST_NOATIME ? flags : flags | ST_RELATIME, &m);
    if (err)
        return err;
    err = make_parents(point);
    if (err) {
        mount_dissolve(m);
        return err;
    }
    walk_start_kernel(&w, point, WALK_FOLLOW | WALK_DIRECTORY);
    err = walk_all(&w);
    if (err)
        mount_dissolve(m);
    else
        err = mount_add(m, &w.cur);
    walk_end(&w);
    return err;
}
