/* SPDX-License-Identifier: MIT */
/* File handles: what names an inode whatever its name, name_to_handle_at(2). For tmpfs (and so for the image below it), whose names
 * all stay in the name cache: a handle is looked for there, directory by directory. Lock: sb->rename_lock keeps directories
 * where they are; the dentry's own lock its children. */
#include <abi/errno.h>
#include <abi/fcntl.h>
#include <abi/statfs.h>
#include <libos/handle.h>
#include <libos/heap.h>
#include <libos/vfs.h>
#include <string.h>
#include <utlist.h>

enum { TYPE = 1 };

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

int handle_of(const struct path *p, struct handle *ret)
{
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

int handle_open(const struct path *in, const struct handle *h, unsigned flags,
                struct file **ret_file)
{
    struct superblock *sb = in->dentry->sb;
    struct path p = { .mount = in->mount };
    struct search s = { .n = 0 };
    if (sb->magic != TMPFS_MAGIC || h->type != TYPE || h->bytes < sizeof(s.want))
        return -ESTALE;
    memcpy(&s.want, h->data, sizeof(s.want));
    mutex_lock(&sb->rename_lock);
    int err = search_all(&s, sb->root, &p.dentry);
    mutex_unlock(&sb->rename_lock);
    if (err)
        return err;
    err = flags & O_DIRECTORY && !S_ISDIR(p.dentry->inode->mode) ? -ENOTDIR
                                                                 : file_reopen(&p, flags, ret_file);
    dentry_put(p.dentry);
    return err;
}
