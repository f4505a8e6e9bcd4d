/* SPDX-License-Identifier: MIT */
/* The name cache. Each directory has its own hash table, list and spin lock, so that lookups in different directories
 * never meet and those in one meet for some twenty instructions. A pinned file system's names stay until they are
 * unlinked (the cache is where tmpfs keeps its names); others go with their last reference. */
#include <libos/dentry.h>

#include <abi/errno.h>
#include <abi/fcntl.h>
#include <libos/file.h>
#include <libos/heap.h>
#include <string.h>
#include <utlist.h>

enum { TABLE_FIRST = 16 };

static struct slab dentry_slab = SLAB_INIT("dentry", struct dentry);

/* Add a reference unless the last one is gone already. */
static bool dentry_get_live(struct dentry *d)
{
    uint32_t n = atomic_load_explicit(&d->refs, memory_order_relaxed);
    while (n != 0)
        if (atomic_compare_exchange_weak_explicit(&d->refs, &n, n + 1, memory_order_relaxed,
                                                  memory_order_relaxed))
            return true;
    return false;
}

static void table_remove(struct dentry *dir, struct dentry *d)
{
    struct dentry **p = &dir->table[d->hash & (dir->table_size - 1)];
    while (*p != d)
        p = &(*p)->hash_next;
    *p = d->hash_next;
    DL_DELETE2(dir->children, d, child_prev, child_next);
    dir->nchildren--;
}

static void dentry_free(struct dentry *d)
{
    struct dentry *dir = d->parent;
    if (dir != d && !d->unlinked && !d->sb->pinned) {
        spin_lock(&dir->lock);
        if (!d->unlinked) /* else an invalid name was dropped meanwhile */
            table_remove(dir, d);
        spin_unlock(&dir->lock);
    }
    if (d->inode)
        inode_put(d->inode);
    heap_free(d->table);
    if (d->own_name)
        heap_free((void *)(uintptr_t)d->name);
    slab_free(&dentry_slab, d);
}

void dentry_drop_last(struct dentry *d)
{
    /* The loop replaces recursion up the tree. */
    do {
        struct dentry *parent = d->parent == d ? NULL : d->parent;
        dentry_free(d);
        d = parent;
    } while (d && atomic_fetch_sub_explicit(&d->refs, 1, memory_order_acq_rel) == 1);
}

static bool name_set(struct dentry *d, const char *name, size_t len, uint32_t hash)
{
    char *p = d->name_inline;
    if (len >= sizeof(d->name_inline)) {
        p = heap_alloc(len + 1);
        if (!p)
            return false;
        d->own_name = true;
    }
    memcpy(p, name, len);
    p[len] = '\0';
    d->name = p;
    d->len = (uint16_t)len;
    d->hash = hash;
    return true;
}

struct dentry *dentry_create(struct superblock *sb, struct dentry *parent, const char *name,
                             size_t len, uint32_t hash, struct inode *take_inode)
{
    struct dentry *d = slab_alloc(&dentry_slab);
    if (!d) {
        inode_put(take_inode);
        return NULL;
    }
    memset(d, 0, sizeof(*d));
    if (!name_set(d, name, len, hash)) {
        slab_free(&dentry_slab, d);
        inode_put(take_inode);
        return NULL;
    }
    atomic_init(&d->refs, 1);
    spin_init(&d->lock, RANK_DENTRY);
    d->sb = sb;
    d->inode = take_inode;
    d->parent = parent ? parent : d;
    d->unlinked = parent != NULL; /* until it is attached */
    d->next_seq = DIR_POS_UPPER;
    if (parent)
        dentry_get(parent);
    return d;
}

/* Of no name, *ret_settled: a rename that is under way cannot be why. */
static ALWAYS_INLINE struct dentry *find(struct dentry *dir, const char *name, size_t len,
                                         uint32_t hash, bool *ret_settled)
{
    spin_lock(&dir->lock);
    struct dentry *d = dir->table ? dir->table[hash & (dir->table_size - 1)] : NULL;
    for (; d; d = d->hash_next) {
        if (d->hash != hash || d->len != len || !name_equal(d->name, name, len))
            continue;
        if (LIKELY(d->sb->pinned)) { /* then the cache itself holds a reference */
            dentry_get(d);
            break;
        }
        if (dentry_get_live(d))
            break;
    }
    *ret_settled = !dir->renaming;
    spin_unlock(&dir->lock);
    return d;
}

struct dentry *dentry_find(struct dentry *dir, const char *name, size_t len, uint32_t hash)
{
    bool settled;
    return find(dir, name, len, hash, &settled);
}

/* Double the table; failing is harmless, chains get longer. */
static void table_grow(struct dentry *dir)
{
    uint32_t size = dir->table_size * 2;
    struct dentry **table = heap_calloc(size, sizeof(*table));
    if (!table)
        return;
    spin_lock(&dir->lock);
    struct dentry **old = dir->table;
    for (uint32_t i = 0; i < dir->table_size; i++) {
        for (struct dentry *d = old[i], *next; d; d = next) {
            next = d->hash_next;
            d->hash_next = table[d->hash & (size - 1)];
            table[d->hash & (size - 1)] = d;
        }
    }
    dir->table = table;
    dir->table_size = size;
    spin_unlock(&dir->lock);
    heap_free(old);
}

int dentry_reserve(struct dentry *dir)
{
    /* Read without the lock: only holders of the inode's lock for writing change the table. */
    if (dir->table) {
        if (dir->nchildren >= dir->table_size * 2)
            table_grow(dir);
        return 0;
    }
    struct dentry **table = heap_calloc(TABLE_FIRST, sizeof(*table));
    if (!table)
        return -ENOMEM;
    spin_lock(&dir->lock);
    dir->table = table;
    dir->table_size = TABLE_FIRST;
    spin_unlock(&dir->lock);
    return 0;
}

void dentry_attach(struct dentry *dir, struct dentry *d, uint64_t seq)
{
    if (dir->sb->pinned)
        dentry_get(d);
    spin_lock(&dir->lock);
    struct dentry **chain = &dir->table[d->hash & (dir->table_size - 1)];
    d->hash_next = *chain;
    *chain = d;
    d->seq = seq ? seq : dir->next_seq++;
    d->unlinked = false;
    if (seq) /* of the image below: before all that were added, sorted when the directory is completed */
        DL_PREPEND2(dir->children, d, child_prev, child_next);
    else
        DL_APPEND2(dir->children, d, child_prev, child_next);
    dir->nchildren++;
    spin_unlock(&dir->lock);
}

void dentry_detach(struct dentry *d)
{
    struct dentry *dir = d->parent;
    spin_lock(&dir->lock);
    bool was = !d->unlinked;
    if (was)
        table_remove(dir, d);
    d->unlinked = true;
    spin_unlock(&dir->lock);
    if (was && d->sb->pinned)
        dentry_put(d);
}

void dentry_drop_names(struct dentry *root)
{
    struct dentry *d = root;
    while (d->children || d != root) {
        if (d->children) {
            d = d->children;
            continue;
        }
        struct dentry *parent = d->parent; /* stays: it is pinned, or root */
        dentry_detach(d);
        d = parent;
    }
}

int dentry_kill(struct dentry *d)
{
    spin_lock(&d->lock);
    bool empty = d->nchildren == 0;
    if (empty)
        d->dead = true;
    spin_unlock(&d->lock);
    return empty ? 0 : -ENOTEMPTY;
}

void dentry_renaming(struct dentry *dir, bool on)
{
    spin_lock(&dir->lock);
    dir->renaming = on;
    spin_unlock(&dir->lock);
}

/* Moves of directories to another parent, and changes of the mount table. */
static _Atomic uint32_t moves_begun, moves_ended;

void moves_begin(void)
{
    atomic_fetch_add(&moves_begun, 1); /* before the change is seen; pairs with moves_since */
}

void moves_end(void)
{
    atomic_fetch_add(&moves_ended, 1);
}

uint32_t moves_now(void)
{
    return moves_ended;
}

bool moves_since(uint32_t then)
{
    return moves_begun != then;
}

void dentry_move(struct dentry *d, struct dentry *dir, const char *name, size_t len,
                 char *take_name)
{
    struct dentry *old = d->parent;
    char *old_name = d->own_name ? (char *)(uintptr_t)d->name : NULL;
    if (old != dir)
        dentry_get(dir);
    bool moves = old != dir && S_ISDIR(d->inode->mode);
    if (moves)
        moves_begin();
    /* Whoever has not found d in a directory, with that one's lock, reads name and parent under d's; d has been detached. */
    spin_lock(&d->lock);
    if (take_name) {
        d->name = take_name;
    } else {
        memcpy(d->name_inline, name, len);
        d->name_inline[len] = '\0';
        d->name = d->name_inline;
    }
    d->own_name = take_name != NULL;
    d->len = (uint16_t)len;
    d->hash = name_hash(d->name, len);
    d->parent = dir;
    spin_unlock(&d->lock);
    if (moves)
        moves_end();
    dentry_attach(dir, d, 0);
    heap_free(old_name);
    if (old != dir)
        dentry_put(old);
}

struct dentry *dentry_parent(struct dentry *d)
{
    spin_lock(&d->lock);
    struct dentry *p = d->parent;
    dentry_get(p);
    spin_unlock(&d->lock);
    return p;
}

/* A name that the file system takes back: forget it, so that it is asked again. */
static void dentry_drop(struct dentry *d)
{
    dentry_detach(d);
    dentry_put(d);
}

int dentry_lookup_locked(struct dentry *dir, const char *name, size_t len, uint32_t hash,
                         struct dentry **ret_dentry)
{
    if (len > ABI_NAME_MAX)
        return -ENAMETOOLONG;
    struct inode *inode = dir->inode;
    struct dentry *d = dentry_find(dir, name, len, hash);
    if (d && inode->ops->valid && !inode->ops->valid(d->inode)) {
        dentry_drop(d);
        d = NULL;
    }
    if (d) {
        *ret_dentry = d;
        return 0;
    }
    if (!inode->ops->lookup || dir->dead || dir->complete)
        return -ENOENT;
    struct inode *found;
    int err = inode->ops->lookup(inode, name, len, &found);
    if (err)
        return err;
    err = dentry_reserve(dir);
    if (err) {
        inode_put(found);
        return err;
    }
    d = dentry_create(dir->sb, dir, name, len, hash, found);
    if (!d)
        return -ENOMEM;
    dentry_attach(dir, d,
                  inode->lower ? DIR_POS_FIRST
                               : 0); /* of an image: its place is found when it matters */
    *ret_dentry = d;
    return 0;
}

int dentry_lookup(struct dentry *dir, const char *name, size_t len, uint32_t hash,
                  struct dentry **ret_dentry)
{
    struct inode *inode = dir->inode;
    bool settled;
    struct dentry *d = find(dir, name, len, hash, &settled);
    if (LIKELY(d) && (!inode->ops->valid || inode->ops->valid(d->inode))) {
        *ret_dentry = d;
        return 0;
    }
    if (d)
        dentry_put(d);
    else if (dir->sb->pinned && settled &&
             (!inode->lower || dir->complete)) /* all its names are in the cache */
        return len > ABI_NAME_MAX ? -ENAMETOOLONG : -ENOENT;
    rwmutex_write_lock(&inode->lock);
    int err = dentry_lookup_locked(dir, name, len, hash, ret_dentry);
    rwmutex_write_unlock(&inode->lock);
    return err;
}

/* The first child at or after pos; the cursor of the last listing saves the search. */
static struct dentry *list_start(struct file *f, struct dentry *dir, uint64_t pos)
{
    struct dentry *c = f->dir_cursor;
    if (c && !c->unlinked && c->parent == dir && c->seq == pos)
        return c;
    for (c = dir->children; c && c->seq < pos; c = c->child_next)
        ;
    return c;
}

int dentry_list(struct file *f, struct dentry *dir, struct dir_sink *s, uint64_t *pos,
                uint64_t first)
{
    if (*pos < first)
        *pos = first;
    struct dentry *d = list_start(f, dir, *pos);
    struct dentry *old = f->dir_cursor;
    for (; d; d = d->child_next) {
        if (d->seq < first)
            continue;
        if (!s->emit(s, d->name, d->len, d->inode->ino, d->seq + 1, d->inode->mode >> 12))
            break;
        *pos = d->seq + 1;
    }
    if (d) {
        dentry_get(d);
        *pos = d->seq;
    }
    f->dir_cursor = d;
    dentry_put(old);
    return 0;
}

bool dir_emit_dots(struct file *f, struct dir_sink *s, uint64_t *pos)
{
    struct dentry *d = f->path.dentry;
    if (*pos == 0) {
        if (!s->emit(s, ".", 1, d->inode->ino, 1, S_IFDIR >> 12))
            return false;
        *pos = 1;
    }
    if (*pos == 1) {
        struct dentry *up = dentry_parent(d);
        uint64_t ino = up->inode->ino;
        dentry_put(up);
        if (!s->emit(s, "..", 2, ino, DIR_POS_FIRST, S_IFDIR >> 12))
            return false;
        *pos = DIR_POS_FIRST;
    }
    return true;
}
