/* SPDX-License-Identifier: MIT */
/* What names do: each operation is one transaction that leaves the tree whole. The generic code changes link counts and times of
 * the inodes in memory after an operation succeeded; what goes to the disk here has them already. */
#include "ext4.h"

#include <abi/errno.h>
#include <abi/fcntl.h>
#include <string.h>

enum { CREDITS = 40, RENAME_CREDITS = 64, LINKS_MAX = 65000 };

static void set_name(struct ext4_inode *ei, const struct ext4_inode *dir, const char *name,
                     size_t len)
{
    ei->parent_ino = dir->ino;
    ei->name_hash = name_hash(name, len);
}

/* A directory has one name and ".." leads back. On a damaged disk it may have two: then two names would lead to one lock. */
static int check_one_name(struct ext4_inode *dir, struct ext4_inode *ei, const char *name,
                          size_t len)
{
    if (!S_ISDIR(ei->inode->mode))
        return 0;
    if (!ei->parent_ino) {
        struct dir_place p;
        int err = dir_find(ei, "..", 2, &p);
        if (err && err != -ENOENT)
            return err;
        if (!err && dir_place_ino(&p) == dir->ino)
            set_name(ei, dir, name, len);
        if (!err)
            buf_put(ei->fs, p.buf);
    }
    if (ei->ino != INO_ROOT && ei->parent_ino == dir->ino && ei->name_hash == name_hash(name, len))
        return 0;
    ext4_error(ei->fs, "directory with two names:", ei->ino);
    return -EIO;
}

static int ext4_lookup(struct inode *dir, const char *name, size_t len, struct inode **ret_inode)
{
    struct ext4_inode *di = ext4_i(dir);
    struct dir_place p;
    int err = dir_find(di, name, len, &p);
    if (err)
        return err;
    uint32_t ino = dir_place_ino(&p);
    buf_put(di->fs, p.buf);
    err = ext4_iget(di->fs, ino, ret_inode);
    if (!err) {
        err = (*ret_inode)->nlink ? check_one_name(di, ext4_i(*ret_inode), name, len) : -ESTALE;
        if (err)
            inode_put(*ret_inode);
    }
    if (err == -ESTALE) {
        ext4_error(di->fs, "name of a free inode in directory", di->ino);
        err = -EIO;
    }
    return err;
}

/* The directory has other names now: its times and the number of its links, on the disk. */
static int dir_write(struct inode *dir, int links)
{
    uint32_t n = dir->nlink;
    dir->mtime = dir->ctime = vfs_now();
    /* 1 stands for "too many to count". */
    if (!(n == 1 && links))
        n += (uint32_t)links;
    return ext4_core_write_links(ext4_i(dir), n);
}

/* What was made has no name after all. */
static void abandon(struct inode *inode)
{
    inode->nlink = 0;
    /* If even that fails, e2fsck finds an inode without a name. */
    (void)(orphan_add(ext4_i(inode)) || ext4_core_write_links(ext4_i(inode), 0));
    ext4_unused(ext4_i(inode));
}

/* Give a new inode its name in dir; the symbolic link's text and the directory's first block first. */
static int make_named(struct inode *dir, const char *name, size_t len, struct inode *inode,
                      const char *target)
{
    struct ext4_inode *di = ext4_i(dir), *ei = ext4_i(inode);
    bool directory = S_ISDIR(inode->mode);
    int err = 0;
    if (directory) {
        set_name(ei, di, name, len);
        err = dir_make_first(ei, di->ino);
    } else if (target) {
        err = symlink_write(ei, target);
    }
    if (!err)
        err = ext4_core_write(ei);
    if (!err)
        err = dir_add(di, name, len, ei->ino, inode->mode);
    if (err) {
        abandon(inode);
        return err;
    }
    return dir_write(dir, directory);
}

static int make(struct inode *dir, const char *name, size_t len, uint32_t mode, uint32_t rdev,
                const char *target, struct inode **ret_inode)
{
    struct ext4_inode *di = ext4_i(dir);
    struct inode *inode = NULL;
    if (S_ISDIR(mode) && dir->nlink >= LINKS_MAX && !(di->fs->ro_compat & RO_DIR_NLINK))
        return -EMLINK;
    int err = txn_start(di->fs, CREDITS);
    if (err)
        return err;
    err = ext4_inode_new(di, mode, rdev, &inode);
    if (!err)
        err = make_named(dir, name, len, inode, target);
    txn_stop(di->fs);
    if (err && inode)
        inode_put(inode);
    if (!err)
        *ret_inode = inode;
    return err;
}

static int ext4_create(struct inode *dir, const char *name, size_t len, uint32_t mode,
                       uint32_t rdev, struct inode **ret_inode)
{
    return make(dir, name, len, mode, rdev, NULL, ret_inode);
}

static int ext4_symlink(struct inode *dir, const char *name, size_t len, const char *target,
                        struct inode **ret_inode)
{
    if (strlen(target) >= ext4_i(dir)->fs->block_size)
        return -ENAMETOOLONG;
    return make(dir, name, len, S_IFLNK | 0777, 0, target, ret_inode);
}

static int ext4_link(struct inode *dir, const char *name, size_t len, struct inode *inode)
{
    struct ext4_inode *di = ext4_i(dir), *ei = ext4_i(inode);
    if (inode->nlink >= LINKS_MAX)
        return -EMLINK;
    int err = txn_start(di->fs, CREDITS);
    if (err)
        return err;
    err = dir_add(di, name, len, ei->ino, inode->mode);
    if (!err) {
        inode->ctime = vfs_now();
        err = ext4_core_write_links(ei, inode->nlink + 1);
    }
    if (!err)
        err = dir_write(dir, 0);
    txn_stop(di->fs);
    return err;
}

/* One name of inode is gone: what its table entry says. gone: it was the last one. */
static int write_unlinked(struct inode *inode, bool *gone)
{
    struct ext4_inode *ei = ext4_i(inode);
    uint32_t n = S_ISDIR(inode->mode) || !inode->nlink ? 0 : inode->nlink - 1;
    int err = 0;
    *gone = n == 0;
    inode->ctime = vfs_now();
    if (*gone)
        err = orphan_add(ei);
    return err ? err : ext4_core_write_links(ei, n);
}

static int ext4_unlink(struct inode *dir, const char *name, size_t len, struct inode *inode)
{
    struct ext4_inode *di = ext4_i(dir);
    bool directory = S_ISDIR(inode->mode), gone = false;
    int err = directory ? dir_is_empty(ext4_i(inode)) : 0;
    if (!err)
        err = txn_start(di->fs, CREDITS);
    if (err)
        return err;
    err = dir_remove(di, name, len, ext4_i(inode)->ino);
    if (!err)
        err = write_unlinked(inode, &gone);
    if (!err)
        err = dir_write(dir, directory ? -1 : 0);
    txn_stop(di->fs);
    if (!err && gone)
        ext4_unused(ext4_i(inode));
    return err;
}

struct move {
    struct inode *old_dir, *inode, *new_dir, *replaced;
    const char *old_name, *new_name;
    size_t old_len, new_len;
    bool exchange, gone;
};

/* ".." of a directory that moves. */
static int set_parent(struct inode *inode, struct inode *from, struct inode *to)
{
    if (!S_ISDIR(inode->mode) || from == to)
        return 0;
    return dir_set(ext4_i(inode), "..", 2, ext4_i(from)->ino, ext4_i(to)->ino, S_IFDIR);
}

static int exchange(struct move *m)
{
    struct ext4_inode *a = ext4_i(m->inode), *b = ext4_i(m->replaced);
    int links = S_ISDIR(m->inode->mode) - S_ISDIR(m->replaced->mode);
    int err =
        dir_set(ext4_i(m->old_dir), m->old_name, m->old_len, a->ino, b->ino, m->replaced->mode);
    if (!err)
        err = dir_set(ext4_i(m->new_dir), m->new_name, m->new_len, b->ino, a->ino, m->inode->mode);
    if (!err)
        err = set_parent(m->inode, m->old_dir, m->new_dir);
    if (!err)
        err = set_parent(m->replaced, m->new_dir, m->old_dir);
    if (err || m->old_dir == m->new_dir)
        return err ? err : dir_write(m->old_dir, 0);
    err = dir_write(m->old_dir, -links);
    return err ? err : dir_write(m->new_dir, links);
}

static int move(struct move *m)
{
    struct ext4_inode *from = ext4_i(m->old_dir), *to = ext4_i(m->new_dir), *ei = ext4_i(m->inode);
    bool directory = S_ISDIR(m->inode->mode),
         replaced_dir = m->replaced && S_ISDIR(m->replaced->mode);
    int err;
    if (m->replaced) {
        err =
            dir_set(to, m->new_name, m->new_len, ext4_i(m->replaced)->ino, ei->ino, m->inode->mode);
        if (!err)
            err = write_unlinked(m->replaced, &m->gone);
    } else {
        err = dir_add(to, m->new_name, m->new_len, ei->ino, m->inode->mode);
    }
    if (!err)
        err = dir_remove(from, m->old_name, m->old_len, ei->ino);
    if (!err)
        err = set_parent(m->inode, m->old_dir, m->new_dir);
    if (err)
        return err;
    m->inode->ctime = vfs_now();
    err = ext4_core_write(ei);
    int links = -(int)replaced_dir;
    if (!err && from != to) {
        err = dir_write(m->old_dir, directory ? -1 : 0);
        links += directory;
    }
    return err ? err : dir_write(m->new_dir, links);
}

static int ext4_rename(struct inode *old_dir, const char *old_name, size_t old_len,
                       struct inode *inode, struct inode *new_dir, const char *new_name,
                       size_t new_len, struct inode *replaced, unsigned flags)
{
    struct move m = { old_dir,  inode,    new_dir,
                      replaced, old_name, new_name,
                      old_len,  new_len,  flags & RENAME_EXCHANGE,
                      false };
    struct ext4 *fs = ext4_i(old_dir)->fs;
    int err = 0;
    if (replaced && !m.exchange && S_ISDIR(replaced->mode))
        err = dir_is_empty(ext4_i(replaced));
    if (!err)
        err = txn_start(fs, RENAME_CREDITS);
    if (err)
        return err;
    err = m.exchange ? exchange(&m) : move(&m);
    txn_stop(fs);
    if (!err) {
        set_name(ext4_i(inode), ext4_i(new_dir), new_name, new_len);
        if (m.exchange)
            set_name(ext4_i(replaced), ext4_i(old_dir), old_name, old_len);
    }
    if (!err && m.gone)
        ext4_unused(ext4_i(replaced));
    return err;
}

static int ext4_readlink(struct inode *inode, char *buf, size_t size)
{
    const char *text;
    int len = symlink_text(ext4_i(inode), &text);
    if (len < 0)
        return len;
    size_t n = min_u64((uint64_t)len, size);
    memcpy(buf, text, n);
    return (int)n;
}

static int ext4_setattr(struct inode *inode, const struct inode_attr *attr)
{
    struct ext4_inode *ei = ext4_i(inode);
    if (ei->fs->error)
        return -EIO;
    if (attr->set & ATTR_SIZE)
        return S_ISREG(inode->mode) ? ext4_set_size(inode, attr->size) : -EINVAL;
    if (ei->flags & FL_IMMUTABLE)
        return -EPERM;
    return 0;
}

/* The generic code changed attributes in memory. */
static void ext4_changed(struct inode *inode)
{
    ext4_core_dirty(ext4_i(inode), false);
}

static int ext4_getattr(struct inode *inode, struct abi_stat *st)
{
    struct ext4_inode *ei = ext4_i(inode);
    st->st_blksize = PAGE_SIZE;
    st->st_blocks = (int64_t)(ei->blocks512 + (uint64_t)ei->delayed * ei->fs->sectors);
    return 0;
}

const struct inode_ops ext4_dir_ops = {
    .lookup = ext4_lookup,
    .create = ext4_create,
    .symlink = ext4_symlink,
    .link = ext4_link,
    .unlink = ext4_unlink,
    .rename = ext4_rename,
    .setattr = ext4_setattr,
    .getattr = ext4_getattr,
    .changed = ext4_changed,
    .getxattr = ext4_getxattr,
    .setxattr = ext4_setxattr,
    .listxattr = ext4_listxattr,
    .evict = ext4_evict,
};

const struct inode_ops ext4_file_ops = {
    .open = ext4_open,
    .readlink = ext4_readlink,
    .setattr = ext4_setattr,
    .getattr = ext4_getattr,
    .changed = ext4_changed,
    .getxattr = ext4_getxattr,
    .setxattr = ext4_setxattr,
    .listxattr = ext4_listxattr,
    .evict = ext4_evict,
};
