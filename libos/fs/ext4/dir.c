/* SPDX-License-Identifier: MIT */
/* Directories: blocks of entries, each entry with the length to the next. What a block holds is checked entry by entry while it
 * is walked. Lock: the directory's inode->lock; for writing where something changes. */
#include "ext4.h"

#include <abi/dirent.h>
#include <abi/errno.h>
#include <string.h>

static uint32_t used_len(uint32_t name_len)
{
    return (DIRENT_HEADER + name_len + 3) & ~3u;
}

uint32_t dir_usable(const struct ext4 *fs)
{
    return fs->csum ? fs->block_size - DIRENT_TAIL : fs->block_size;
}

static uint32_t dir_blocks(const struct ext4_inode *dir)
{
    return (uint32_t)(dir->inode->size >> dir->fs->block_bits);
}

bool dirent_ok(const struct ext4 *fs, uint32_t at, const struct ext4_dirent *e)
{
    uint32_t left = fs->block_size - at;
    return e->rec_len % 4 == 0 && e->rec_len >= DIRENT_HEADER && e->rec_len <= left &&
           (!e->inode || (e->rec_len >= used_len(e->name_len) && e->name_len));
}

/* Is there an entry at `at` of the block? -EIO: a damaged one. */
static int entry_at(struct ext4_inode *dir, const struct buf *b, uint32_t at,
                    struct ext4_dirent **ret)
{
    struct ext4 *fs = dir->fs;
    if (at + DIRENT_HEADER > dir_usable(fs))
        return -ENOENT;
    *ret = (void *)(b->data + at);
    if (!dirent_ok(fs, at, *ret)) {
        ext4_error(fs, "directory", dir->ino);
        return -EIO;
    }
    return 0;
}

void dir_tail_init(struct ext4 *fs, char *block)
{
    struct ext4_dirent_tail t = { .rec_len = DIRENT_TAIL, .type = DIRENT_TAIL_TYPE };
    if (fs->csum)
        memcpy(block + fs->block_size - DIRENT_TAIL, &t, sizeof(t));
}

/* Index blocks have no tail of entries: the root, and those with one entry that covers all. */
static enum buf_kind kind_of(const struct ext4_inode *dir, uint32_t lblock, const char *data)
{
    const struct ext4_dirent *e = (const void *)data;
    if (!(dir->flags & FL_INDEX))
        return BUF_DIR;
    return lblock == 0 || (!e->inode && e->rec_len == dir->fs->block_size) ? BUF_DX : BUF_DIR;
}

int dir_block(struct ext4_inode *dir, uint32_t lblock, struct buf **ret)
{
    struct ext4 *fs = dir->fs;
    struct ext4_run run;
    rwmutex_read_lock(&dir->map);
    int err = ext4_map(dir, lblock, 1, &run);
    rwmutex_read_unlock(&dir->map);
    if (!err && (!run.block || run.unwritten)) {
        ext4_error(fs, "hole in directory", dir->ino);
        err = -EIO;
    }
    if (err)
        return err;
    struct buf *b;
    err = buf_read(fs, run.block, &b);
    if (err)
        return err;
    enum buf_kind kind = kind_of(dir, lblock, b->data);
    err = buf_read_kind(fs, run.block, kind, dir->seed, ret);
    buf_put(fs, b);
    return err;
}

/* Look for name in one block. -ENOENT. */
static int find_in_block(struct ext4_inode *dir, struct buf *b, const char *name, size_t len,
                         struct dir_place *ret)
{
    struct ext4_dirent *e;
    uint32_t prev = 0;
    int err;
    for (uint32_t at = 0; !(err = entry_at(dir, b, at, &e)); at += e->rec_len) {
        if (e->inode && e->name_len == len && !memcmp(e->name, name, len)) {
            ret->at = at;
            ret->prev = prev;
            return 0;
        }
        prev = at;
    }
    return err;
}

static int find_linear(struct ext4_inode *dir, const char *name, size_t len, struct dir_place *ret)
{
    int err = -ENOENT;
    for (uint32_t i = 0; i < dir_blocks(dir) && err == -ENOENT; i++) {
        err = dir_block(dir, i, &ret->buf);
        if (err)
            return err;
        ret->lblock = i;
        if (ret->buf->kind == BUF_DX && i)
            err = -ENOENT;
        else
            err = find_in_block(dir, ret->buf, name, len, ret);
        if (err)
            buf_put(dir->fs, ret->buf);
    }
    return err;
}

static bool is_dots(const char *name, size_t len)
{
    return name[0] == '.' && (len == 1 || (len == 2 && name[1] == '.'));
}

static int find_indexed(struct ext4_inode *dir, const char *name, size_t len, struct dir_place *ret)
{
    uint32_t hash, lblock, next;
    int err = htree_hash_name(dir, name, len, &hash);
    if (!err)
        err = htree_leaf(dir, hash, &lblock, &next);
    for (;;) {
        if (err)
            return err;
        err = dir_block(dir, lblock, &ret->buf);
        if (err)
            return err;
        ret->lblock = lblock;
        err = find_in_block(dir, ret->buf, name, len, ret);
        if (!err)
            return 0;
        buf_put(dir->fs, ret->buf);
        if (err != -ENOENT || !next)
            return err;
        /* Names of one hash value go on in the next leaf. */
        err = htree_leaf(dir, next, &lblock, &next);
    }
}

int dir_find(struct ext4_inode *dir, const char *name, size_t len, struct dir_place *ret)
{
    int err;
    if (dir->flags & FL_INDEX && !is_dots(name, len)) {
        err = find_indexed(dir, name, len, ret);
        if (err != -EOPNOTSUPP)
            return err;
    }
    return find_linear(dir, name, len, ret);
}

uint32_t dir_place_ino(const struct dir_place *p)
{
    return ((const struct ext4_dirent *)(p->buf->data + p->at))->inode;
}

static uint8_t type_of(const struct ext4 *fs, uint32_t mode)
{
    static const uint8_t types[16] = {
        [1] = 5, [2] = 3, [4] = 2, [6] = 4, [8] = 1, [10] = 7, [12] = 6
    };
    return fs->incompat & INCOMPAT_FILETYPE ? types[mode >> 12 & 15] : 0;
}

static void fill_entry(const struct ext4 *fs, struct ext4_dirent *e, const char *name, size_t len,
                       uint32_t ino, uint32_t mode)
{
    e->inode = ino;
    e->name_len = (uint8_t)len;
    e->type = type_of(fs, mode);
    memcpy(e->name, name, len);
}

/* Add an entry to a block, if it has room: -ENOSPC. */
int dir_add_in_block(struct ext4_inode *dir, struct buf *b, const char *name, size_t len,
                     uint32_t ino, uint32_t mode)
{
    struct ext4_dirent *e;
    uint32_t need = used_len((uint32_t)len);
    int err;
    for (uint32_t at = 0; !(err = entry_at(dir, b, at, &e)); at += e->rec_len) {
        uint32_t used = e->inode ? used_len(e->name_len) : 0;
        if (e->rec_len < used + need)
            continue;
        err = txn_access(dir->fs, b, BUF_DIR, dir->seed);
        if (err)
            return err;
        if (used) {
            struct ext4_dirent *n = (void *)((char *)e + used);
            n->rec_len = (uint16_t)(e->rec_len - used);
            e->rec_len = (uint16_t)used;
            e = n;
        }
        fill_entry(dir->fs, e, name, len, ino, mode);
        return 0;
    }
    return err == -ENOENT ? -ENOSPC : err;
}

int dir_append(struct ext4_inode *dir, enum buf_kind kind, uint32_t *ret_lblock, struct buf **ret)
{
    struct ext4 *fs = dir->fs;
    uint32_t lblock = dir_blocks(dir);
    struct buf *b;
    if (!(dir->flags & FL_EXTENTS))
        return -EOPNOTSUPP;
    int err = balloc_meta(dir, kind, &b);
    if (err)
        return err;
    rwmutex_write_lock(&dir->map);
    err = extent_insert(dir, lblock, b->block, 1, false);
    rwmutex_write_unlock(&dir->map);
    if (err) {
        dir->blocks512 -= fs->sectors;
        (void)balloc_free(fs, b->block, 1,
                          true); /* what cannot be freed is lost until e2fsck runs */
        buf_put(fs, b);
        return err;
    }
    struct ext4_dirent *e = (void *)b->data;
    e->rec_len = (uint16_t)dir_usable(fs);
    dir_tail_init(fs, b->data);
    dir->goal = b->block + 1;
    dir->inode->size += fs->block_size;
    *ret_lblock = lblock;
    *ret = b;
    return 0;
}

/* Make an indexed directory a plain one: its index blocks become blocks without names. */
static int unindex(struct ext4_inode *dir)
{
    struct ext4 *fs = dir->fs;
    for (uint32_t i = 0; i < dir_blocks(dir); i++) {
        struct buf *b;
        int err = dir_block(dir, i, &b);
        if (!err && b->kind == BUF_DX)
            err = txn_access(fs, b, BUF_DIR, dir->seed);
        else if (!err) {
            buf_put(fs, b);
            continue;
        }
        if (err)
            return err;
        struct ext4_dirent *e = (void *)b->data;
        uint32_t at = i ? 0 : 12;
        e = (void *)(b->data + at);
        if (i)
            e->inode = 0;
        e->rec_len = (uint16_t)(dir_usable(fs) - at);
        dir_tail_init(fs, b->data);
        buf_put(fs, b);
    }
    dir->flags &= ~(uint32_t)FL_INDEX;
    dir->add_hint = 0;
    return 0;
}

static int add_indexed(struct ext4_inode *dir, const char *name, size_t len, uint32_t ino,
                       uint32_t mode)
{
    uint32_t hash, lblock, next;
    struct buf *b;
    int err = htree_hash_name(dir, name, len, &hash);
    if (!err)
        err = htree_leaf(dir, hash, &lblock, &next);
    if (!err)
        err = dir_block(dir, lblock, &b);
    if (err)
        return err;
    err = dir_add_in_block(dir, b, name, len, ino, mode);
    buf_put(dir->fs, b);
    return err == -ENOSPC ? htree_add(dir, hash, name, len, ino, mode) : err;
}

int dir_add(struct ext4_inode *dir, const char *name, size_t len, uint32_t ino, uint32_t mode)
{
    struct buf *b;
    uint32_t lblock;
    int err = -ENOSPC;
    if (dir->flags & FL_INDEX) {
        err = add_indexed(dir, name, len, ino, mode);
        if (err != -EOPNOTSUPP)
            return err;
        err = unindex(dir);
        if (err)
            return err;
        err = -ENOSPC;
    }
    for (uint32_t i = dir->add_hint; i < dir_blocks(dir) && err == -ENOSPC; i++) {
        err = dir_block(dir, i, &b);
        if (err)
            return err;
        err = dir_add_in_block(dir, b, name, len, ino, mode);
        buf_put(dir->fs, b);
        if (err == -ENOSPC && len <= 16)
            dir->add_hint = i + 1; /* not even a short name fits there */
    }
    if (err != -ENOSPC)
        return err;
    if (dir_blocks(dir) == 1 && dir->fs->compat & COMPAT_DIR_INDEX) {
        err = htree_make(dir);
        if (!err)
            return dir_add(dir, name, len, ino, mode);
        if (err != -EOPNOTSUPP)
            return err;
    }
    err = dir_append(dir, BUF_DIR, &lblock, &b);
    if (err)
        return err;
    err = dir_add_in_block(dir, b, name, len, ino, mode);
    buf_put(dir->fs, b);
    return err;
}

/* Find name, which must lead to ino. */
static int find_exactly(struct ext4_inode *dir, const char *name, size_t len, uint32_t ino,
                        struct dir_place *p)
{
    int err = dir_find(dir, name, len, p);
    if (!err && dir_place_ino(p) != ino) {
        buf_put(dir->fs, p->buf);
        err = -ENOENT;
    }
    return err;
}

int dir_remove(struct ext4_inode *dir, const char *name, size_t len, uint32_t ino)
{
    struct dir_place p;
    int err = find_exactly(dir, name, len, ino, &p);
    if (err)
        return err;
    err = txn_access(dir->fs, p.buf, BUF_DIR, dir->seed);
    if (!err) {
        struct ext4_dirent *e = (void *)(p.buf->data + p.at),
                           *prev = (void *)(p.buf->data + p.prev);
        if (p.at)
            prev->rec_len = (uint16_t)(prev->rec_len + e->rec_len);
        e->inode = 0;
        if (p.lblock < dir->add_hint)
            dir->add_hint = p.lblock;
    }
    buf_put(dir->fs, p.buf);
    return err;
}

int dir_set(struct ext4_inode *dir, const char *name, size_t len, uint32_t old_ino, uint32_t ino,
            uint32_t mode)
{
    struct dir_place p;
    int err = find_exactly(dir, name, len, old_ino, &p);
    if (err)
        return err;
    /* ".." of an indexed directory is in the index's root. */
    err = txn_access(dir->fs, p.buf, p.buf->kind, dir->seed);
    if (!err) {
        struct ext4_dirent *e = (void *)(p.buf->data + p.at);
        e->inode = ino;
        e->type = type_of(dir->fs, mode);
    }
    buf_put(dir->fs, p.buf);
    return err;
}

int dir_is_empty(struct ext4_inode *dir)
{
    for (uint32_t i = 0; i < dir_blocks(dir); i++) {
        struct ext4_dirent *e;
        struct buf *b;
        int err = dir_block(dir, i, &b);
        if (err)
            return err;
        for (uint32_t at = 0; !(i && b->kind == BUF_DX) && !(err = entry_at(dir, b, at, &e));
             at += e->rec_len)
            if (e->inode && !is_dots(e->name, e->name_len)) {
                err = -ENOTEMPTY;
                break;
            }
        buf_put(dir->fs, b);
        if (err && err != -ENOENT)
            return err;
    }
    return 0;
}

int dir_make_first(struct ext4_inode *dir, uint32_t parent)
{
    struct buf *b;
    uint32_t lblock;
    int err = dir_append(dir, BUF_DIR, &lblock, &b);
    if (err)
        return err;
    struct ext4_dirent *e = (void *)b->data;
    fill_entry(dir->fs, e, ".", 1, dir->ino, S_IFDIR);
    e->rec_len = 12;
    e = (void *)(b->data + 12);
    fill_entry(dir->fs, e, "..", 2, parent, S_IFDIR);
    e->rec_len = (uint16_t)(dir_usable(dir->fs) - 12);
    buf_put(dir->fs, b);
    return 0;
}

/* Listing: the position is the place of the next entry, block and offset. Names of an indexed directory are listed in the order
 * of their blocks too: an entry keeps its place until a leaf is split. */
static int list_block(struct ext4_inode *dir, struct dir_sink *s, uint64_t *pos, uint32_t lblock)
{
    static const uint8_t types[8] = { DT_UNKNOWN, DT_REG,  DT_DIR,  DT_CHR,
                                      DT_BLK,     DT_FIFO, DT_SOCK, DT_LNK };
    struct ext4 *fs = dir->fs;
    uint64_t base = (uint64_t)lblock << fs->block_bits;
    struct ext4_dirent *e;
    struct buf *b;
    int err = dir_block(dir, lblock, &b);
    if (err)
        return err;
    for (uint32_t at = 0; !(lblock && b->kind == BUF_DX) && !(err = entry_at(dir, b, at, &e));
         at += e->rec_len) {
        uint64_t next = DIR_POS_FIRST + base + at + e->rec_len;
        if (base + at + DIR_POS_FIRST < *pos)
            continue;
        if (e->inode && !is_dots(e->name, e->name_len)) {
            unsigned type =
                fs->incompat & INCOMPAT_FILETYPE && e->type < 8 ? types[e->type] : DT_UNKNOWN;
            if (!s->emit(s, e->name, e->name_len, e->inode, next, type)) {
                err = 1;
                break;
            }
        }
        *pos = next;
    }
    buf_put(fs, b);
    if (err == -ENOENT || err == 0) {
        *pos = DIR_POS_FIRST + base + fs->block_size;
        err = 0;
    }
    return err;
}

/* Looks for a number in a listing. */
struct search {
    struct dir_sink sink;
    uint32_t ino;
    char *name;
    bool found;
};

static bool compare(struct dir_sink *s, const char *name, size_t len, uint64_t ino,
                    uint64_t next_pos, unsigned type)
{
    struct search *x = CONTAINER_OF(s, struct search, sink);
    if (ino != x->ino)
        return true;
    memcpy(x->name, name, len);
    x->name[len] = 0;
    x->found = true;
    return false;
}

int dir_name_of(struct ext4_inode *dir, uint32_t ino, char *ret_name)
{
    struct search s = { .sink.emit = compare, .ino = ino, .name = ret_name };
    uint64_t pos = DIR_POS_FIRST;
    int err = 0;
    for (uint32_t i = 0; !err && i < dir_blocks(dir); i++)
        err = list_block(dir, &s.sink, &pos, i);
    return err < 0 ? err : s.found ? 0 : -ENOENT;
}

static int dir_read(struct file *f, struct dir_sink *s, uint64_t *pos)
{
    struct inode *inode = f->inode;
    struct ext4_inode *dir = ext4_i(inode);
    int err = 0;
    if (f->path.dentry->dead)
        return -ENOENT;
    if (!dir_emit_dots(f, s, pos))
        return 0;
    rwmutex_read_lock(&inode->lock);
    while (!err && *pos - DIR_POS_FIRST < inode->size)
        err = list_block(dir, s, pos, (uint32_t)((*pos - DIR_POS_FIRST) >> dir->fs->block_bits));
    rwmutex_read_unlock(&inode->lock);
    return err < 0 ? err : 0;
}

static int64_t dir_seek(struct file *f, int64_t off, int whence)
{
    if (whence == SEEK_CUR)
        off += (int64_t)f->pos;
    else if (whence == SEEK_END)
        off += INT64_MAX;
    else if (whence != SEEK_SET)
        return -EINVAL;
    if (off < 0)
        return -EINVAL;
    f->pos = (uint64_t)off;
    return off;
}

static int dir_sync(struct file *f, uint64_t from, uint64_t end, bool data_only)
{
    (void)from, (void)end; /* it is metadata, all of it */
    return ext4_fsync_inode(ext4_i(f->inode), 0, UINT64_MAX, data_only);
}

const struct file_ops ext4_dir_fops = {
    .seek = dir_seek,
    .readdir = dir_read,
    .sync = dir_sync,
};
