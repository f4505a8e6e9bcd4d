/* SPDX-License-Identifier: MIT */
/* Copying, taking down and spreading trees of mounts: mount_namespaces(7), "shared subtrees". All of this is done with the
 * tree's mutex held. Peers are a ring; a slave hangs in the list of one peer of the group that it follows. A spreading
 * change visits peers and slaves from a queue, each once, so that nothing recurses. */
#include "mount_int.h"
#include "vfs_int.h"

#include <abi/errno.h>
#include <abi/stat.h>
#include <utlist.h>

static int next_group = 1; /* guarded by the tree's mutex */

bool mount_below_root(const struct dentry *d, const struct dentry *root)
{
    struct superblock *sb = d->sb;
    if (sb != root->sb)
        return false;
    mutex_lock(&sb->rename_lock); /* parents stay */
    while (d != root && d->parent != d)
        d = d->parent;
    mutex_unlock(&sb->rename_lock);
    return d == root;
}

/* Peers and slaves. */

static void peer_join(struct mount *m, struct mount *peer)
{
    m->group = peer->group;
    m->peer_next = peer->peer_next;
    peer->peer_next = m;
}

static void slave_join(struct mount *m, struct mount *master)
{
    m->master = master;
    DL_APPEND2(master->slaves, m, slave_prev, slave_next);
}

static void slave_leave(struct mount *m)
{
    if (m->master)
        DL_DELETE2(m->master->slaves, m, slave_prev, slave_next);
    m->master = NULL;
}

/* m is shared no more: its slaves and itself follow a peer, or whom it followed. */
static void make_slave(struct mount *m)
{
    if (!m->group)
        return;
    struct mount *peer = m->peer_next != m ? m->peer_next : NULL, *heir = peer ? peer : m->master,
                 *s;
    struct mount *p = m;
    while (p->peer_next != m)
        p = p->peer_next;
    p->peer_next = m->peer_next;
    m->peer_next = m;
    m->group = 0;
    while ((s = m->slaves)) {
        slave_leave(s);
        if (heir)
            slave_join(s, heir);
    }
    if (peer) {
        slave_leave(m);
        slave_join(m, peer);
    }
}

void mount_join(struct mount *m, struct mount *peer)
{
    if (peer->group)
        peer_join(m, peer);
    if (peer->master)
        slave_join(m, peer->master);
}

void mount_share(struct mount *m, enum mount_sharing sharing)
{
    if (sharing == MOUNT_SHARED) {
        m->unbindable = false;
        if (!m->group)
            m->group = next_group++;
        return;
    }
    make_slave(m);
    if (sharing != MOUNT_SLAVE)
        slave_leave(m);
    m->unbindable = sharing == MOUNT_UNBINDABLE;
}

/* Copies. */

static int copy_one(struct mount *m, struct dentry *root, enum copy_kind kind, struct mount **ret)
{
    if (!superblock_get(m->sb))
        return -EINVAL; /* cannot be: m has a reference */
    int err = mount_create(m->sb, root, m->source, m->flags, ret);
    if (err)
        return err;
    struct mount *copy = *ret;
    copy->unbindable = m->unbindable;
    if (kind == COPY_SLAVE) {
        slave_join(copy, m);
        return 0;
    }
    mount_join(copy, m);
    return 0;
}

/* Copy m, which is below top and whose parent has been copied. */
static int copy_below(struct mount *m, enum copy_kind kind)
{
    int err = copy_one(m, m->root, kind, &m->copy);
    if (err)
        return err;
    struct path at = { m->parent->copy, m->point };
    err = mount_hang(m->copy, &at);
    if (err)
        mount_dissolve_locked(m->copy, NULL);
    return err;
}

int mount_copy_tree(struct mount *top, struct dentry *root, bool recursive, enum copy_kind kind,
                    struct mount **ret)
{
    int err = copy_one(top, root, kind, ret);
    if (err || !recursive)
        return err;
    top->copy = *ret;
    for (struct mount *m = mount_below(top, top); m && !err; m = mount_below(top, m)) {
        /* What is not wanted has no copy, and so what is on it has none either. */
        m->copy = NULL;
        if (!m->parent->copy || (kind == COPY_BIND && m->unbindable) ||
            (m->parent == top && !mount_below_root(m->point, root)))
            continue;
        err = copy_below(m, kind);
        if (err == -ENOENT) { /* its place was just removed */
            m->copy = NULL;
            err = 0;
        }
    }
    if (err) {
        struct mount *dead = NULL;
        mount_dissolve_locked(*ret, &dead);
        mount_bury(dead);
    }
    return err;
}

/* Taking down. */

void mount_dissolve_locked(struct mount *top, struct mount **dead)
{
    struct mount *all = NULL, *m, *next;
    for (m = top; m; m = mount_below(top, m)) {
        m->work_next = all;
        all = m;
    }
    for (m = all; m; m = next) { /* leaves first */
        next = m->work_next;
        m->was_on = (struct path){ NULL, NULL };
        (void)mount_unhang(m, &m->was_on);
        mount_share(m, MOUNT_PRIVATE);
        mount_place(m, MOUNT_GONE);
        if (dead) {
            m->work_next = *dead;
            *dead = m;
        } else {
            m->work_next = NULL;
            mount_bury(m);
        }
    }
}

void mount_bury(struct mount *dead)
{
    while (dead) {
        struct mount *next = dead->work_next;
        if (dead->was_on.mount)
            path_put(&dead->was_on);
        mount_put(dead);
        dead = next;
    }
}

/* Spreading. A mount that was visited has sent: the copy that it got, or that whoever told it got. What spreads, and the copies of
 * it, are peers too when a mount is bound into itself: they have themselves there, and get nothing. */

struct spread {
    struct mount *first, *last; /* queue through work_next; all that were visited */
};

static void visit(struct spread *s, struct mount *m, struct mount *sent)
{
    m->sent = sent;
    m->work_next = NULL;
    if (s->last)
        s->last->work_next = m;
    else
        s->first = m;
    s->last = m;
}

static void spread_end(struct spread *s)
{
    for (struct mount *m = s->first; m; m = m->work_next)
        m->sent = NULL;
}

static void mark_new(struct mount *tree)
{
    for (struct mount *m = tree; m; m = mount_below(tree, m))
        m->sent = m;
}

static void unmark_new(struct mount *tree)
{
    for (struct mount *m = tree; m; m = mount_below(tree, m))
        if (m->sent == m)
            m->sent = NULL;
}

/* Hang a copy of what the mount that told m got over point in m. */
static int spread_to(struct spread *s, struct mount *m, struct mount *model, struct dentry *point,
                     bool slave)
{
    struct mount *copy, *over;
    if (m->sent)
        return 0;
    if (m->place == MOUNT_GONE || !mount_below_root(point, m->root)) {
        visit(s, m, model);
        return 0;
    }
    int err = mount_copy_tree(model, model->root, true, slave ? COPY_SLAVE : COPY_PEER, &copy);
    if (err)
        return err;
    mark_new(copy);
    if (slave && m->group)
        for (struct mount *c = copy; c; c = mount_below(copy, c))
            mount_share(c, MOUNT_SHARED);
    struct path at = { m, point }, was;
    over = mount_find(m, point);
    if (over && mount_unhang(over, &was))
        path_put(&was); /* at keeps both */
    err = mount_hang(copy, &at);
    for (struct mount *c = copy; c && !err; c = mount_below(copy, c))
        mount_place(c, m->place);
    if (over) { /* what was there covers it */
        struct path top = { copy, copy->root };
        if (!err && mount_hang(over, &top))
            err = -ENOENT;
        mount_put(over);
    }
    if (err)
        mount_dissolve_locked(copy, NULL);
    else
        visit(s, m, copy);
    return err;
}

int mount_spread(struct mount *tree, const struct path *at)
{
    struct spread s = { NULL, NULL };
    int err = 0;
    if (!at->mount->group)
        return 0;
    for (struct mount *m = tree; m; m = mount_below(tree, m))
        mount_share(m, MOUNT_SHARED);
    if (tree->place == MOUNT_APART)
        mark_new(tree);
    visit(&s, at->mount, tree);
    for (struct mount *m = s.first; m && !err; m = m->work_next) {
        struct mount *model = m->sent, *p;
        for (p = m->peer_next; p != m && !err; p = p->peer_next)
            err = spread_to(&s, p, model, at->dentry, false);
        for (p = m->slaves; p && !err; p = p->slave_next)
            err = spread_to(&s, p, model, at->dentry, true);
    }
    for (struct mount *m = s.first->work_next; m; m = m->work_next) {
        if (m->sent->parent != m || m->sent->point != at->dentry)
            continue;
        unmark_new(m->sent);
        if (err)
            mount_dissolve_locked(m->sent, NULL);
    }
    unmark_new(tree);
    spread_end(&s);
    return err;
}

/* Call fn for each mount that an unmount of m spreads to. */
static int each_spread(struct mount *m, int (*fn)(struct mount *m, struct mount **dead),
                       struct mount **dead)
{
    struct spread s = { NULL, NULL };
    struct mount *parent = m->parent;
    struct dentry *point = m->point;
    int err = 0;
    if (!parent)
        return 0;
    visit(&s, parent, m);
    for (struct mount *v = s.first; v && !err; v = v->work_next) {
        struct mount *p;
        for (p = v->peer_next; p != v; p = p->peer_next)
            if (!p->sent)
                visit(&s, p, m);
        for (p = v->slaves; p; p = p->slave_next)
            if (!p->sent)
                visit(&s, p, m);
        struct mount *c = v != parent ? mount_find(v, point) : NULL;
        if (!c)
            continue;
        mount_put(c); /* the tree has one */
        err = fn(c, dead);
    }
    spread_end(&s);
    return err;
}

static int check_unused(struct mount *m, struct mount **dead)
{
    (void)dead;
    return m->children || atomic_load(&m->refs) > 1 ? -EBUSY : 0;
}

/* Found while a queue goes through work_next: only remember it. */
static int note(struct mount *m, struct mount **list)
{
    m->copy = *list;
    *list = m;
    return 0;
}

int mount_unspread_check(struct mount *m)
{
    return each_spread(m, check_unused, NULL);
}

void mount_unspread(struct mount *m, struct mount **dead)
{
    struct mount *list = NULL;
    (void)each_spread(m, note, &list);
    while (list) {
        struct mount *next = list->copy;
        if (list->place != MOUNT_GONE)
            mount_dissolve_locked(list, dead);
        list = next;
    }
}
