/* SPDX-License-Identifier: MIT */
/* File handles: what names an inode whatever its name, name_to_handle_at(2). In tmpfs (and so in the image below it), whose names
 * all stay in the name cache, a handle is looked for there, directory by directory. Lock: sb->rename_lock keeps directories
 * where they are; the dentry's own lock its children. Other file systems find the inode (struct handle_ops); directories get their
 * place in the tree by the way up from them, others stand outside of it, as a file without a name does. */
#include "vfs_int.h"

#include <abi/errno.h>
#include <abi/fcntl.h>
#include <abi/statfs.h>
#include <libos/handle.h>
#include <libos/heap.h>
#include <libos/vfs.h>
#include <string.h>
#include <utlist.h>

enum { TYPE = 1, NAME_ROOM = 256, DEPTH_MAX = 4096 };

/* What a handle holds. Numbers are not used again; the time of birth tells file systems apart. */
struct content {
    uint32_t born, ino_low, ino_high;
};
_Static_assert(sizeof(struct content) <= HANDLE_MAX, "fits");

static struct content content_of(const struct inode *inode)
{
    return (struct content){ .born = (uint32_t)inode->btime.tv_nsec,
                             .ino_low = (uint32_t)inode->ino,
                             .ino_high = (uint32_t)(inode->ino >> 32) };
}

/* As ext4's are everywhere. */
struct short_content {
    uint32_t ino, generation;
};

static const struct handle_ops *ops_of(const struct superblock *sb)
{
    return sb->ops ? sb->ops->handles : NULL;
}

int handle_of(const struct path *p, struct handle *ret)
{
    const struct inode *inode = p->dentry->inode;
    const struct handle_ops *ops = ops_of(p->dentry->sb);
    if (ops) {
        const struct short_content s = { (uint32_t)inode->ino, ops->generation(inode) };
        ret->type = TYPE;
        ret->bytes = sizeof(s);
        memcpy(ret->data, &s, sizeof(s));
        return 0;
    }
    if (p->dentry->sb->magic != TMPFS_MAGIC)
        return -EOPNOTSUPP;
    const struct content c = content_of(p->dentry->inode);
    ret->type = TYPE;
    ret->bytes = sizeof(c);
    memcpy(ret->data, &c, sizeof(c));
    return 0;
}

/* Directories that are still to be looked into; each counted. */
struct search {
    struct dentry **todo;
    size_t n, room;
    struct content want;
};

static int search_add(struct search *s, struct dentry *dir)
{
    if (s->n == s->room) {
        size_t room = s->room ? 2 * s->room : 64;
        struct dentry **more = heap_alloc(room * sizeof(struct dentry *));
        if (!more)
            return -ENOMEM;
        if (s->n)
            memcpy(more, s->todo, s->n * sizeof(struct dentry *));
        heap_free(s->todo);
        s->todo = more;
        s->room = room;
    }
    dentry_get(dir);
    s->todo[s->n++] = dir;
    return 0;
}

static bool is_wanted(const struct search *s, const struct dentry *d)
{
    const struct content c = content_of(d->inode);
    return memcmp(&c, &s->want, sizeof(c)) == 0;
}

/* The child of dir at or after position *seq, counted; NULL. *seq: where to go on. */
static struct dentry *next_child(struct dentry *dir, uint64_t *seq)
{
    struct dentry *d;
    spin_lock(&dir->lock);
    for (d = dir->children; d && d->seq < *seq; d = d->child_next)
        ;
    if (d) {
        dentry_get(d);
        *seq = d->seq + 1;
    }
    spin_unlock(&dir->lock);
    return d;
}

/* Look through dir: what is wanted (counted), and directories for later. */
static int search_dir(struct search *s, struct dentry *dir, struct dentry **ret)
{
    struct dentry *d;
    uint64_t seq = 0;
    int err = 0;
    while (!err && (d = next_child(dir, &seq))) {
        if (is_wanted(s, d)) {
            *ret = d;
            return 0;
        }
        if (S_ISDIR(d->inode->mode))
            err = search_add(s, d);
        dentry_put(d);
    }
    return err;
}

static int search_all(struct search *s, struct dentry *root, struct dentry **ret)
{
    int err = 0;
    *ret = NULL;
    if (is_wanted(s, root)) {
        dentry_get(root);
        *ret = root;
        return 0;
    }
    err = search_add(s, root);
    while (!err && s->n && !*ret) {
        struct dentry *dir = s->todo[--s->n];
        err = search_dir(s, dir, ret);
        dentry_put(dir);
    }
    while (s->n)
        dentry_put(s->todo[--s->n]);
    heap_free(s->todo);
    return err ? err : *ret ? 0 : -ESTALE;
}

static int find_in_cache(struct superblock *sb, const struct handle *h, struct dentry **ret)
{
    struct search s = { .n = 0 };
    if (sb->magic != TMPFS_MAGIC || h->type != TYPE || h->bytes < sizeof(s.want))
        return -ESTALE;
    memcpy(&s.want, h->data, sizeof(s.want));
    mutex_lock(&sb->rename_lock);
    int err = search_all(&s, sb->root, ret);
    mutex_unlock(&sb->rename_lock);
    return err;
}

/* A step on the way down to a directory. */
struct step {
    struct step *below;
    struct inode *inode; /* what stands there; counted */
    char name[NAME_ROOM];
};

static void steps_free(struct step *s)
{
    while (s) {
        struct step *below = s->below;
        inode_put(s->inode);
        heap_free(s);
        s = below;
    }
}

/* The way from the root to dir, whose reference is taken. */
static int way_to(struct superblock *sb, struct inode *take_dir, struct step **ret_way)
{
    struct step *way = NULL;
    struct inode *at = take_dir;
    int err = 0;
    for (unsigned depth = 0; at != sb->root->inode && !err; depth++) {
        struct step *s = depth < DEPTH_MAX ? heap_alloc(sizeof(*s)) : NULL;
        struct inode *up;
        err = depth >= DEPTH_MAX ? -ESTALE : s ? ops_of(sb)->parent(at, &up, s->name) : -ENOMEM;
        if (err) {
            heap_free(s);
            break;
        }
        s->inode = at;
        s->below = way;
        way = s;
        at = up;
    }
    inode_put(at);
    if (err)
        steps_free(way);
    else
        *ret_way = way;
    return err == -ENOENT ? -ESTALE : err;
}

/* Down that way through the name cache. -ESTALE: something was moved meanwhile. */
static int walk_down(struct superblock *sb, const struct step *way, struct dentry **ret)
{
    struct dentry *at = sb->root;
    dentry_get(at);
    for (; way; way = way->below) {
        size_t len = strlen(way->name);
        struct dentry *next;
        int err = dentry_lookup(at, way->name, len, name_hash(way->name, len), &next);
        dentry_put(at);
        if (err)
            return err == -ENOENT ? -ESTALE : err;
        at = next;
        if (at->inode != way->inode) {
            dentry_put(at);
            return -ESTALE;
        }
    }
    *ret = at;
    return 0;
}

static int connect(struct superblock *sb, struct inode *take_dir, struct dentry **ret)
{
    struct step *way;
    int err = way_to(sb, take_dir, &way);
    if (err)
        return err;
    err = walk_down(sb, way, ret);
    steps_free(way);
    return err;
}

static int find_inode(struct superblock *sb, const struct handle *h, struct dentry **ret)
{
    struct short_content s;
    struct inode *inode;
    char name[24];
    if (h->type != TYPE || h->bytes < sizeof(s))
        return -ESTALE;
    memcpy(&s, h->data, sizeof(s));
    int err = ops_of(sb)->find(sb, s.ino, s.generation, &inode);
    if (err)
        return err;
    if (S_ISDIR(inode->mode))
        return connect(sb, inode, ret);
    int len = tmpfile_name(name, sizeof(name), inode->ino);
    *ret = dentry_create(sb, sb->root, name, (size_t)len, 0, inode);
    return *ret ? 0 : -ENOMEM;
}

int handle_open(const struct path *in, const struct handle *h, unsigned flags,
                struct file **ret_file)
{
    struct superblock *sb = in->dentry->sb;
    struct path p = { .mount = in->mount };
    int err = ops_of(sb) ? find_inode(sb, h, &p.dentry) : find_in_cache(sb, h, &p.dentry);
    if (err)
        return err;
    err = flags & O_DIRECTORY && !S_ISDIR(p.dentry->inode->mode) ? -ENOTDIR
                                                                 : file_reopen(&p, flags, ret_file);
    dentry_put(p.dentry);
    return err;
}
