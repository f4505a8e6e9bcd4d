/* SPDX-License-Identifier: MIT */
/* Listings of an overlay: the names of all layers, each once, the uppermost first, without what whiteouts hide. An open directory
 * keeps the list that it made when it was read from the start. */
#include "ovl_int.h"

#include <abi/errno.h>
#include <abi/fcntl.h>
#include <abi/stat.h>
#include <libos/below.h>
#include <libos/dentry.h>
#include <libos/file.h>
#include <libos/heap.h>
#include <string.h>

enum { TYPE_CHR = 2 };

void ovl_list_free(struct ovl_list *l)
{
    for (struct ovl_entry *e = l ? l->first : NULL, *next; e; e = next) {
        next = e->next;
        heap_free(e);
    }
    heap_free(l);
}

struct sink {
    struct dir_sink s;
    struct ovl_list *list;
};

static bool emit(struct dir_sink *s, const char *name, size_t len, uint64_t ino, uint64_t next_pos,
                 unsigned type)
{
    struct ovl_list *l = ((struct sink *)s)->list;
    (void)next_pos;
    if (name[0] == '.' && (len == 1 || (len == 2 && name[1] == '.')))
        return true;
    struct ovl_entry **chain = &l->hash[name_hash(name, len) & 255], *e;
    for (e = *chain; e; e = e->hash_next)
        if (e->len == len && memcmp(e->name, name, len) == 0)
            return true;
    e = heap_alloc(sizeof(*e) + len + 1);
    if (!e) {
        l->err = -ENOMEM;
        return false;
    }
    *e = (struct ovl_entry){ .ino = ino, .type = type, .len = (uint16_t)len, .hash_next = *chain };
    memcpy(e->name, name, len);
    e->name[len] = '\0';
    *chain = e;
    *l->last = e;
    l->last = &e->next;
    return true;
}

/* Add the names of a real directory. */
static int list_real(struct mount *m, struct dentry *d, struct ovl_list *l)
{
    struct sink s = { { emit }, l };
    struct path p = { m, d };
    struct file *f;
    int err = file_reopen(&p, O_RDONLY | O_DIRECTORY, &f);
    if (err)
        return err;
    uint64_t pos = 0, before;
    do {
        before = pos;
        err = f->ops->readdir ? f->ops->readdir(f, &s.s, &pos) : -ENOTDIR;
    } while (!err && !l->err && pos != before);
    file_put(f);
    return err ? err : l->err;
}

/* Of the names that were added since from, mark those that hide one. */
static void mark(struct ovl *o, struct dentry *d, struct ovl_entry *from)
{
    for (struct ovl_entry *e = from; e; e = e->next) {
        struct dentry *child;
        if (e->type != TYPE_CHR || ovl_find(d, e->name, e->len, &child))
            continue;
        e->hidden = ovl_is_whiteout(o, child);
        dentry_put(child);
    }
}

int ovl_list(struct inode *dir, struct ovl_list **ret)
{
    struct ovl *o = ovl_of(dir);
    struct ovl_inode *oi = ovl_inode(dir);
    struct ovl_list *l = heap_zalloc(sizeof(*l));
    struct dentry *upper = ovl_upper(oi);
    int err = 0;
    if (!l)
        return -ENOMEM;
    l->last = &l->first;
    bool was = below_begin();
    if (upper) {
        err = list_real(o->upper, upper, l);
        mark(o, upper, l->first);
    }
    for (unsigned i = 0; i < oi->nlower && !err; i++) {
        struct ovl_entry **from = l->last;
        err = list_real(o->lower[oi->lower[i].layer], oi->lower[i].dentry, l);
        mark(o, oi->lower[i].dentry, *from);
    }
    below_end(was);
    if (err)
        ovl_list_free(l);
    else
        *ret = l;
    return err;
}

int ovl_check_empty(struct inode *dir)
{
    struct ovl_list *l;
    int err = ovl_list(dir, &l);
    if (err)
        return err;
    for (struct ovl_entry *e = l->first; e && !err; e = e->next)
        if (!e->hidden)
            err = -ENOTEMPTY;
    ovl_list_free(l);
    return err;
}

int ovl_clear(struct ovl *o, struct dentry *d, bool all)
{
    struct ovl_list *l = heap_zalloc(sizeof(*l));
    if (!l)
        return -ENOMEM;
    l->last = &l->first;
    int err = list_real(o->upper, d, l);
    mark(o, d, l->first);
    for (struct ovl_entry *e = l->first; e && !err; e = e->next)
        if (e->hidden || all)
            err = below_remove(d, e->name);
    ovl_list_free(l);
    return err;
}

static int dir_read(struct file *f, struct dir_sink *s, uint64_t *pos)
{
    struct ovl_list *l = f->data;
    if (f->path.dentry->dead)
        return -ENOENT;
    if (!l || *pos == 0) {
        struct ovl_list *new;
        int err = ovl_list(f->inode, &new);
        if (err)
            return err;
        ovl_list_free(l);
        f->data = l = new;
    }
    if (!dir_emit_dots(f, s, pos))
        return 0;
    uint64_t at = DIR_POS_FIRST;
    for (struct ovl_entry *e = l->first; e; e = e->next, at++) {
        if (at < *pos)
            continue;
        if (!e->hidden && !s->emit(s, e->name, e->len, e->ino, at + 1, e->type))
            return 0;
        *pos = at + 1;
    }
    return 0;
}

static int64_t dir_seek(struct file *f, int64_t off, int whence)
{
    if (whence == SEEK_CUR)
        off += (int64_t)f->pos;
    else if (whence != SEEK_SET)
        return -EINVAL;
    if (off < 0)
        return -EINVAL;
    f->pos = (uint64_t)off;
    return off;
}

static int dir_sync(struct file *f, uint64_t from, uint64_t end, bool data_only)
{
    struct ovl *o = ovl_of(f->inode);
    struct dentry *upper = ovl_upper(ovl_inode(f->inode));
    struct path p = { o->upper, upper };
    struct file *real;
    if (!upper || o->no_sync)
        return 0;
    bool was = below_begin();
    int err = file_reopen(&p, O_RDONLY | O_DIRECTORY, &real);
    below_end(was);
    if (err)
        return err;
    err = real->ops->sync ? real->ops->sync(real, from, end, data_only) : 0;
    file_put(real);
    return err;
}

static void dir_release(struct file *f)
{
    ovl_list_free(f->data);
}

const struct file_ops ovl_dir_fops = {
    .readdir = dir_read, .seek = dir_seek, .sync = dir_sync, .release = dir_release
};
