/* SPDX-License-Identifier: MIT */
/* The machinery under /proc and /sys. An inode is an entry of a table plus the numbers it is about; nothing is kept for names
 * that nobody asked for. A file's text is made when it is read from the start and kept until then, so that a reader in
 * pieces sees one state. Its file->pos_lock (reads at a position: the file's own mutex) guards the text. */
#include "gen.h"
#include <abi/errno.h>
#include <abi/fcntl.h>
#include <libos/file.h>
#include <libos/heap.h>
#include <libos/poll.h>
#include <libos/process.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    TEXT_FIRST = 1024,
    TEXT_MAX = 64 * 1024 * 1024,
    STORE_MAX = 4096,
    FIRST_POS = 2,        /* positions of "." and ".." are 0 and 1 */
    NUMBER_POS = 1 << 20, /* those of names with numbers begin here */
};

struct node {
    const struct gen_entry *entry;
    const struct gen_names *names; /* the entry is one of these */
    struct gen_ctx ctx, dir_ctx;
    int number;
};

struct gen_file {
    struct gen_ctx ctx;
    struct mutex lock;
    struct text text;
    bool filled;
    _Atomic uint64_t seen; /* changes that poll told of */
};

static const struct inode_ops dir_ops, file_inode_ops, link_ops, magic_ops;
static const struct file_ops dir_fops, text_fops, changing_fops;

static bool text_grow(struct text *t, size_t more)
{
    size_t want = t->len + more + 1;
    if (t->failed || want > TEXT_MAX) {
        t->failed = true;
        return false;
    }
    if (want <= t->size)
        return true;
    size_t size = t->size ? t->size : TEXT_FIRST;
    while (size < want)
        size *= 2;
    char *buf = heap_realloc(t->buf, t->size, size);
    if (!buf) {
        t->failed = true;
        return false;
    }
    t->buf = buf;
    t->size = size;
    return true;
}

void text_add(struct text *t, const void *bytes, size_t n)
{
    if (!text_grow(t, n))
        return;
    memcpy(t->buf + t->len, bytes, n);
    t->len += n;
}

void text_printf(struct text *t, const char *format, ...)
{
    va_list args;
    if (!text_grow(t, 256))
        return;
    va_start(args, format);
    int n = vsnprintf(t->buf + t->len, t->size - t->len, format, args);
    va_end(args);
    if (n < 0)
        return;
    if ((size_t)n >= t->size - t->len) {
        if (!text_grow(t, (size_t)n))
            return;
        va_start(args, format);
        vsnprintf(t->buf + t->len, t->size - t->len, format, args);
        va_end(args);
    }
    t->len += (size_t)n;
}

void text_pad(struct text *t, size_t start, size_t width)
{
    while (!t->failed && t->len - start < width)
        text_add(t, " ", 1);
}

void text_fini(struct text *t)
{
    heap_free(t->buf);
    *t = (struct text){ 0 };
}

static struct node *node_of(struct inode *inode)
{
    return inode->data;
}

/* Owners follow the credentials of the process that a node is about. */
static void set_owner(struct inode *inode)
{
    const struct gen_tree *tree = inode->sb->data;
    if (tree->owner)
        tree->owner(&node_of(inode)->ctx, inode->mode, &inode->uid, &inode->gid);
}

static int node_permission(struct inode *inode, unsigned may)
{
    const struct node *n = node_of(inode);
    set_owner(inode);
    int err = n->entry->enter ? n->entry->enter(&n->ctx) : 0;
    return err < 0 ? err : err ? 0 : inode_mode_permission(inode, may);
}

static int node_inode(struct superblock *sb, const struct node *n, struct inode **ret_inode)
{
    uint32_t type = n->entry->mode & S_IFMT;
    const struct inode_ops *ops = type == S_IFDIR    ? &dir_ops
                                  : type == S_IFREG  ? &file_inode_ops
                                  : n->entry->follow ? &magic_ops
                                                     : &link_ops;
    struct node *copy = heap_alloc(sizeof(*copy));
    struct inode *inode = copy ? inode_create(sb, n->entry->mode, ops) : NULL;
    if (!inode) {
        heap_free(copy);
        return -ENOMEM;
    }
    *copy = *n;
    inode->data = copy;
    inode->fops = type == S_IFDIR     ? &dir_fops
                  : n->entry->fops    ? n->entry->fops
                  : n->entry->changes ? &changing_fops
                                      : &text_fops;
    if (type == S_IFREG)
        inode->size =
            n->entry->size ? n->entry->size : ((const struct gen_tree *)sb->data)->file_size;
    set_owner(inode);
    *ret_inode = inode;
    return 0;
}

/* The number that name (prefix and decimal digits, no leading zero) ends with; -1: it is not of that form. */
static int name_number(const struct gen_names *names, const char *name, size_t len)
{
    if (names->parse)
        return names->parse(name, len);
    size_t skip = strlen(names->prefix);
    int n = 0;
    if (len <= skip || len - skip > 9 || memcmp(name, names->prefix, skip) ||
        (name[skip] == '0' && len - skip > 1))
        return -1;
    for (size_t i = skip; i < len; i++) {
        if (name[i] < '0' || name[i] > '9')
            return -1;
        n = n * 10 + (name[i] - '0');
    }
    return n;
}

static int dir_lookup(struct inode *dir, const char *name, size_t len, struct inode **ret_inode)
{
    const struct node *d = node_of(dir);
    struct node n = { .ctx = d->ctx, .dir_ctx = d->ctx };
    for (const struct gen_entry *e = d->entry->children; e && e->name; e++) {
        if (strlen(e->name) == len && !memcmp(e->name, name, len)) {
            n.entry = e;
            return node_inode(dir->sb, &n, ret_inode);
        }
    }
    n.names = d->entry->names;
    n.number = n.names ? name_number(n.names, name, len) : -1;
    if (n.number < 0 || !n.names->exists(&d->ctx, n.number))
        return -ENOENT;
    n.entry = &n.names->entry;
    n.names->enter(&n.ctx, n.number);
    return node_inode(dir->sb, &n, ret_inode);
}

static bool dir_valid(struct inode *inode)
{
    const struct node *n = node_of(inode);
    if (!n->names || !n->names->may_go)
        return true;
    struct gen_ctx now = n->dir_ctx;
    n->names->enter(&now, n->number);
    return now.born_ns == n->ctx.born_ns && n->names->exists(&n->dir_ctx, n->number);
}

static unsigned type_of(uint32_t mode)
{
    return mode >> 12; /* DT_* are S_IF* shifted */
}

/* Names with numbers, from *pos on. */
static void list_numbers(const struct node *d, struct dir_sink *s, uint64_t *pos)
{
    const struct gen_names *names = d->entry->names;
    char name[32];
    int n = (int)(*pos - NUMBER_POS);
    while ((n = names->next(&d->ctx, n)) >= 0) {
        int len = names->print ? names->print(n, name, sizeof(name))
                               : snprintf(name, sizeof(name), "%s%d", names->prefix, n);
        if (!s->emit(s, name, (size_t)len, (uint64_t)n + NUMBER_POS, NUMBER_POS + (uint64_t)n + 1,
                     type_of(names->entry.mode)))
            return;
        *pos = NUMBER_POS + (uint64_t)++n;
    }
}

static int dir_readdir(struct file *f, struct dir_sink *s, uint64_t *pos)
{
    const struct node *d = node_of(f->inode);
    if (!dir_valid(f->inode))
        return -ENOENT;
    for (; *pos < FIRST_POS; ++*pos)
        if (!s->emit(s, "..", 1 + *pos, f->inode->ino, *pos + 1, type_of(S_IFDIR)))
            return 0;
    if (*pos < NUMBER_POS) {
        const struct gen_entry *e = d->entry->children;
        uint64_t i = FIRST_POS;
        for (; e && e->name; e++, i++) {
            if (i < *pos)
                continue;
            if (!s->emit(s, e->name, strlen(e->name), f->inode->ino + i, i + 1, type_of(e->mode)))
                return 0;
            *pos = i + 1;
        }
        *pos = NUMBER_POS;
    }
    if (d->entry->names)
        list_numbers(d, s, pos);
    return 0;
}

/* Positions are those that entries told. */
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

static int link_readlink(struct inode *inode, char *buf, size_t size)
{
    const struct node *n = node_of(inode);
    struct text t = { 0 };
    int err = 0;
    if (n->entry->fixed)
        text_add(&t, n->entry->fixed, strlen(n->entry->fixed));
    else
        err = n->entry->show(&t, &n->ctx);
    if (!err && t.failed)
        err = -ENOMEM;
    if (!err) {
        size_t len = t.len < size ? t.len : size;
        memcpy(buf, t.buf, len);
        err = (int)len;
    }
    text_fini(&t);
    return err;
}

static int link_follow(struct inode *inode, struct path *ret)
{
    const struct node *n = node_of(inode);
    return n->entry->follow(&n->ctx, ret);
}

static int node_getattr(struct inode *inode, struct abi_stat *st)
{
    const struct node *n = node_of(inode);
    if (n->entry->link_mode)
        st->st_mode = (st->st_mode & S_IFMT) | n->entry->link_mode(&n->ctx);
    set_owner(inode);
    st->st_uid = inode->uid;
    st->st_gid = inode->gid;
    st->st_blksize = 1024;
    st->st_blocks = 0;
    return 0;
}

static void node_evict(struct inode *inode)
{
    heap_free(inode->data);
    inode->data = NULL;
}

static int text_open(struct inode *inode, struct file *f)
{
    const struct node *n = node_of(inode);
    if (n->entry->fops && !n->entry->open)
        return 0;
    if (!n->entry->fops && f->can_write && !n->entry->store)
        return -EACCES;
    struct gen_file *g = heap_zalloc(sizeof(*g));
    if (!g)
        return -ENOMEM;
    mutex_init(&g->lock, RANK_GEN_TEXT);
    g->ctx = n->ctx;
    g->seen = n->entry->changes ? n->entry->changes(NULL) : 0;
    int err = n->entry->open ? n->entry->open(&g->ctx) : 0;
    if (err)
        heap_free(g);
    else
        f->data = g;
    return err;
}

static int text_fill(struct file *f, struct gen_file *g)
{
    const struct node *n = node_of(f->inode);
    int err = 0;
    g->text.len = 0;
    g->text.failed = false;
    g->filled = false;
    if (n->entry->fixed)
        text_add(&g->text, n->entry->fixed, strlen(n->entry->fixed));
    else
        err = n->entry->show(&g->text, &g->ctx);
    if (!err && g->text.failed)
        err = -ENOMEM;
    g->filled = !err;
    return err;
}

static ssize_type text_read(struct file *f, struct iter *it, uint64_t *pos)
{
    struct gen_file *g = f->data;
    const struct node *n = node_of(f->inode);
    ssize_type done = 0;
    if (!n->entry->show && !n->entry->fixed)
        return -EINVAL;
    mutex_lock(&g->lock);
    if (*pos == 0 || !g->filled)
        done = text_fill(f, g);
    if (!done && *pos < g->text.len && it->left) {
        size_t want = g->text.len - *pos;
        want = want < it->left ? want : it->left;
        size_t got = iter_put(it, g->text.buf + *pos, want);
        *pos += got;
        done = got ? (ssize_type)got : -EFAULT;
    }
    mutex_unlock(&g->lock);
    return done;
}

static ssize_type text_write(struct file *f, struct iter *it, uint64_t *pos)
{
    const struct node *n = node_of(f->inode);
    size_t len = it->left < STORE_MAX ? it->left : STORE_MAX;
    char *value = heap_alloc(len + 1);
    if (!value)
        return -ENOMEM;
    ssize_type result = -EFAULT;
    if (iter_get(it, value, len) == len) {
        value[len] = '\0';
        int err = n->entry->store(&n->ctx, value, len);
        result = err ? err : (ssize_type)len;
        if (!err)
            *pos += len;
    }
    heap_free(value);
    return result;
}

static int64_t text_seek(struct file *f, int64_t off, int whence)
{
    if (whence == SEEK_CUR && __builtin_add_overflow(off, (int64_t)f->pos, &off))
        return -EOVERFLOW;
    if (whence != SEEK_SET && whence != SEEK_CUR)
        return -EINVAL;
    if (off < 0)
        return -EINVAL;
    f->pos = (uint64_t)off;
    return off;
}

static unsigned text_poll(struct file *f, struct poll_table *pt)
{
    struct gen_file *g = f->data;
    uint64_t now = node_of(f->inode)->entry->changes(pt);
    bool changed = atomic_exchange(&g->seen, now) != now;
    return EPOLLIN | EPOLLRDNORM | (changed ? EPOLLPRI | EPOLLERR : 0);
}

void gen_release(struct file *f)
{
    struct gen_file *g = f->data;
    if (g)
        text_fini(&g->text);
    heap_free(g);
}

const struct gen_ctx *gen_of_open(struct file *f)
{
    return &((struct gen_file *)f->data)->ctx;
}

const struct gen_ctx *gen_of_file(struct file *f)
{
    return &node_of(f->inode)->ctx;
}

const struct gen_ctx *gen_of_directory(struct file *f, const struct gen_entry *e)
{
    return f->ops == &dir_fops && node_of(f->inode)->entry == e ? gen_of_file(f) : NULL;
}

static int refuse_setattr(struct inode *inode, const struct inode_attr *attr)
{
    return attr->set & ~(unsigned)(ATTR_SIZE | ATTR_CTIME | ATTR_MTIME)
               ? -EPERM
               : 0; /* O_TRUNC is nothing */
}

static const struct inode_ops dir_ops = { .lookup = dir_lookup,
                                          .valid = dir_valid,
                                          .permission = node_permission,
                                          .getattr = node_getattr,
                                          .setattr = refuse_setattr,
                                          .evict = node_evict };
static const struct inode_ops file_inode_ops = { .permission = node_permission,
                                                 .getattr = node_getattr,
                                                 .setattr = refuse_setattr,
                                                 .open = text_open,
                                                 .evict = node_evict };
static const struct inode_ops link_ops = { .readlink = link_readlink,
                                           .permission = node_permission,
                                           .getattr = node_getattr,
                                           .evict = node_evict };
static const struct inode_ops magic_ops = { .readlink = link_readlink,
                                            .follow = link_follow,
                                            .permission = node_permission,
                                            .getattr = node_getattr,
                                            .evict = node_evict };
static const struct file_ops dir_fops = { .readdir = dir_readdir, .seek = dir_seek };
static const struct file_ops changing_fops = {
    .read = text_read, .seek = text_seek, .poll = text_poll, .release = gen_release
};
static const struct file_ops text_fops = {
    .read = text_read, .write = text_write, .seek = text_seek, .release = gen_release
};

int gen_create(const char *type, uint32_t magic, const struct gen_entry *root,
               const struct gen_tree *tree, struct superblock **ret_sb)
{
    struct superblock *sb = heap_zalloc(sizeof(*sb));
    struct node *n = heap_zalloc(sizeof(*n));
    int err = -ENOMEM;
    if (!sb || !n)
        goto out;
    sb->data = (void *)(uintptr_t)tree;
    err = superblock_init(sb, type, magic, root->mode & 07777, &dir_ops);
    if (err)
        goto out;
    n->entry = root;
    sb->root->inode->data = n;
    sb->root->inode->fops = &dir_fops;
    *ret_sb = sb;
    return 0;
out:
    heap_free(n);
    heap_free(sb);
    return err;
}
