/* SPDX-License-Identifier: MIT */
/* Names and attributes. Nothing is believed for longer than it is in use: a name is looked up whenever nobody holds it, and one that
 * somebody holds is asked for again; stat(2) asks too. The host may change everything at any time. Inodes are found by the server's
 * number of the file, so that all who have a file open share its pages. */
#include "p9.h"

#include <abi/errno.h>
#include <abi/fcntl.h>
#include <base/log.h>
#include <libos/heap.h>
#include <libos/process.h>
#include <libos/thread.h>
#include <string.h>

enum {
    SET_MODE = 1,
    SET_UID = 2,
    SET_GID = 4,
    SET_SIZE = 8,
    SET_ATIME = 16,
    SET_MTIME = 32,
    SET_ATIME_TO = 128,
    SET_MTIME_TO = 256,
    REMOVE_DIR = 0x200,
};

static bool get_live(struct inode *inode)
{
    uint32_t n = atomic_load(&inode->refs);
    while (n)
        if (atomic_compare_exchange_weak(&inode->refs, &n, n + 1))
            return true;
    return false;
}

static struct p9_inode **bucket(struct p9 *fs, uint64_t path)
{
    return &fs->table[(path ^ path >> 8 ^ path >> 16) % P9_TABLE];
}

/* The inode of that file which somebody uses; NULL. */
static struct inode *find(struct p9 *fs, uint64_t path, uint32_t mode)
{
    struct inode *found = NULL;
    spin_lock(&fs->lock);
    for (struct p9_inode *i = *bucket(fs, path); i && !found; i = i->next)
        if (i->path == path && (i->inode->mode & S_IFMT) == (mode & S_IFMT) && get_live(i->inode))
            found = i->inode;
    spin_unlock(&fs->lock);
    return found;
}

struct inode *p9_dirty(struct p9 *fs, unsigned n)
{
    struct inode *found = NULL;
    spin_lock(&fs->lock);
    for (struct p9_inode *i = fs->table[n]; i && !found; i = i->next)
        if (i->inode->pages.dirty && get_live(i->inode))
            found = i->inode;
    spin_unlock(&fs->lock);
    return found;
}

static void apply(struct inode *inode, const struct p9_attr *a)
{
    struct p9_inode *i = p9_i(inode);
    bool changed = i->version != a->version || inode->size != a->size ||
                   inode->mtime.tv_sec != a->mtime.tv_sec ||
                   inode->mtime.tv_nsec != a->mtime.tv_nsec;
    inode->mode = (inode->mode & S_IFMT) | (a->mode & 07777);
    inode->uid = a->uid;
    inode->gid = a->gid;
    inode->nlink = (uint32_t)a->nlink;
    inode->atime = a->atime;
    inode->mtime = a->mtime;
    inode->ctime = a->ctime;
    i->version = a->version;
    /* What programs wrote through mappings and is not at the server yet counts more. */
    if (!S_ISREG(inode->mode) || inode->pages.dirty)
        return;
    inode->size = a->size;
    if (changed && inode->pages.pages && !pagemap_evict(&inode->pages, 0, UINT64_MAX))
        log_debug("9p: pages of a file that the host changed stay while they are used");
}

int p9_refresh(struct inode *inode)
{
    struct p9_attr a;
    int err = p9_getattr(p9_of(inode), p9_i(inode)->fid, &a);
    if (!err && (a.mode & S_IFMT) != (inode->mode & S_IFMT))
        err = -ESTALE;
    if (!err)
        apply(inode, &a);
    return err;
}

static uint32_t rdev_of(const struct p9_attr *a)
{
    return S_ISCHR(a->mode) || S_ISBLK(a->mode) ? (uint32_t)a->rdev : 0;
}

static int make_inode(struct p9 *fs, uint32_t fid, const struct p9_attr *a, struct inode **ret)
{
    uint32_t type = a->mode & S_IFMT;
    if (type != S_IFREG && type != S_IFDIR && type != S_IFLNK && type != S_IFCHR &&
        type != S_IFBLK && type != S_IFIFO && type != S_IFSOCK)
        return -EIO;
    struct p9_inode *i = heap_zalloc(sizeof(*i));
    struct inode *inode =
        i ? inode_create(&fs->sb, a->mode, type == S_IFDIR ? &p9_dir_ops : &p9_file_ops) : NULL;
    if (!inode) {
        heap_free(i);
        return -ENOMEM;
    }
    *i = (struct p9_inode){ .inode = inode,
                            .fid = fid,
                            .path = a->path,
                            .first = P9_NONE,
                            .reader = P9_NONE,
                            .writer = P9_NONE };
    mutex_init(&i->pages, RANK_FS_MAP);
    inode->data = i;
    inode->ino = a->path;
    inode->rdev = rdev_of(a);
    inode->caps_none =
        true; /* capabilities of files count for nothing here; a write need not ask for them */
    inode->fops = type == S_IFDIR ? &p9_dir_fops : &p9_fops;
    if (type == S_IFREG)
        pagemap_init(&inode->pages, &p9_pages, inode);
    else
        inode->size = a->size;
    apply(inode, a);
    spin_lock(&fs->lock);
    struct p9_inode **head = bucket(fs, a->path);
    i->next = *head;
    *head = i;
    spin_unlock(&fs->lock);
    *ret = inode;
    return 0;
}

int p9_inode_get(struct p9 *fs, uint32_t take_fid, struct inode **ret)
{
    struct p9_attr a;
    int err = p9_getattr(fs, take_fid, &a);
    /* A directory has one name: a server that shows one below itself would have its lock taken twice. */
    struct inode *inode = err || S_ISDIR(a.mode) ? NULL : find(fs, a.path, a.mode);
    if (inode) {
        apply(inode, &a);
        p9_clunk(fs, take_fid);
        *ret = inode;
        return 0;
    }
    if (!err)
        err = make_inode(fs, take_fid, &a, ret);
    if (err)
        p9_clunk(fs, take_fid);
    return err;
}

static void remember(struct inode *dir, const char *name, size_t len, struct inode *inode)
{
    struct p9_inode *i = p9_i(inode);
    inode_get(dir);
    spin_lock(&p9_of(inode)->lock);
    struct inode *old = i->dir;
    i->dir = dir;
    memcpy(i->name, name, len);
    i->name_len = (uint8_t)len;
    spin_unlock(&p9_of(inode)->lock);
    inode_put(old);
}

static int lookup(struct inode *dir, const char *name, size_t len, struct inode **ret)
{
    struct p9 *fs = p9_of(dir);
    uint64_t path;
    uint32_t fid;
    int err = p9_walk(fs, p9_i(dir)->fid, name, len, &fid, &path);
    if (!err)
        err = p9_inode_get(fs, fid, ret);
    if (!err)
        remember(dir, name, len, *ret);
    return err;
}

/* The name under which inode was found last need not be the one that is held: it keeps that directory itself. */
static bool valid(struct inode *inode)
{
    struct p9_inode *i = p9_i(inode);
    struct p9 *fs = p9_of(inode);
    char name[ABI_NAME_MAX];
    uint64_t path = 0;
    uint32_t fid;
    spin_lock(&fs->lock);
    struct inode *dir = i->dir;
    size_t len = i->name_len;
    memcpy(name, i->name, len);
    if (dir)
        inode_get(dir);
    spin_unlock(&fs->lock);
    if (!dir)
        return false;
    int err = p9_walk(fs, p9_i(dir)->fid, name, len, &fid, &path);
    if (!err)
        p9_clunk(fs, fid);
    inode_put(dir);
    return !err && path == i->path && !p9_refresh(inode);
}

/* Send m, which makes name, and find what it made. */
static int made(struct p9_msg *m, struct inode *dir, const char *name, size_t len,
                struct inode **ret)
{
    int err = m ? p9_send(p9_of(dir), m) : -ENOMEM;
    p9_free(m);
    return err ? err : lookup(dir, name, len, ret);
}

static struct p9_msg *begin_in(enum p9_type type, struct inode *dir, const char *name, size_t len)
{
    struct p9_msg *m = p9_begin(type);
    if (m) {
        p9_put(m, p9_i(dir)->fid, 4);
        p9_put_name(m, name, len);
    }
    return m;
}

/* A regular file is open when it is made, and for writing whatever its mode: the first who opens it gets that. */
static int create_file(struct inode *dir, const char *name, size_t len, uint32_t mode,
                       struct inode **ret)
{
    struct p9 *fs = p9_of(dir);
    uint32_t fid;
    int err = p9_walk(fs, p9_i(dir)->fid, NULL, 0, &fid, NULL);
    if (err)
        return err;
    struct p9_msg *m = p9_begin(T_LCREATE);
    if (m) {
        p9_put(m, fid, 4);
        p9_put_name(m, name, len);
        p9_put(m, O_RDWR | O_EXCL, 4);
        p9_put(m, mode & 07777, 4);
        p9_put(m, thread_current()->cred->fsgid, 4);
    }
    err = m ? p9_send(fs, m) : -ENOMEM;
    p9_free(m);
    if (!err)
        err = lookup(dir, name, len, ret);
    if (!err && S_ISREG((*ret)->mode))
        fid = atomic_exchange(&p9_i(*ret)->first, fid);
    p9_clunk(fs, fid);
    return err;
}

static int create(struct inode *dir, const char *name, size_t len, uint32_t mode, uint32_t rdev,
                  struct inode **ret)
{
    uint32_t gid = thread_current()->cred->fsgid;
    if (S_ISREG(mode))
        return create_file(dir, name, len, mode, ret);
    struct p9_msg *m = begin_in(S_ISDIR(mode) ? T_MKDIR : T_MKNOD, dir, name, len);
    if (m) {
        p9_put(m, S_ISDIR(mode) ? mode & 07777 : mode, 4);
        if (!S_ISDIR(mode)) {
            p9_put(m, abi_major(rdev), 4);
            p9_put(m, abi_minor(rdev), 4);
        }
        p9_put(m, gid, 4);
    }
    return made(m, dir, name, len, ret);
}

static int make_symlink(struct inode *dir, const char *name, size_t len, const char *target,
                        struct inode **ret)
{
    struct p9_msg *m = begin_in(T_SYMLINK, dir, name, len);
    if (m) {
        p9_put_name(m, target, strlen(target));
        p9_put(m, thread_current()->cred->fsgid, 4);
    }
    return made(m, dir, name, len, ret);
}

static int send(struct p9 *fs, struct p9_msg *m)
{
    int err = m ? p9_send(fs, m) : -ENOMEM;
    p9_free(m);
    return err;
}

static int make_link(struct inode *dir, const char *name, size_t len, struct inode *inode)
{
    struct p9_msg *m = p9_begin(T_LINK);
    if (m) {
        p9_put(m, p9_i(dir)->fid, 4);
        p9_put(m, p9_i(inode)->fid, 4);
        p9_put_name(m, name, len);
    }
    return send(p9_of(dir), m);
}

static int unlink_name(struct inode *dir, const char *name, size_t len, struct inode *inode)
{
    struct p9_msg *m = begin_in(T_UNLINKAT, dir, name, len);
    if (m)
        p9_put(m, S_ISDIR(inode->mode) ? REMOVE_DIR : 0, 4);
    return send(p9_of(dir), m);
}

static int rename_name(struct inode *old_dir, const char *old_name, size_t old_len,
                       struct inode *inode, struct inode *new_dir, const char *new_name,
                       size_t new_len, struct inode *replaced, unsigned flags)
{
    (void)replaced;
    if (flags)
        return -EINVAL; /* the protocol has none */
    struct p9_msg *m = begin_in(T_RENAMEAT, old_dir, old_name, old_len);
    if (m) {
        p9_put(m, p9_i(new_dir)->fid, 4);
        p9_put_name(m, new_name, new_len);
    }
    int err = send(p9_of(old_dir), m);
    if (!err)
        remember(new_dir, new_name, new_len, inode);
    return err;
}

static int read_link(struct inode *inode, char *buf, size_t size)
{
    struct p9_msg *m = p9_begin(T_READLINK);
    if (!m)
        return -ENOMEM;
    p9_put(m, p9_i(inode)->fid, 4);
    int err = p9_send(p9_of(inode), m);
    size_t len = p9_get(m, 2);
    if (!err && (m->bad || len > m->end - m->at || !len || memchr(m->seen + m->at, 0, len)))
        err = -EIO;
    if (!err) {
        err = (int)(len < size ? len : size);
        memcpy(buf, m->seen + m->at, (size_t)err);
    }
    p9_free(m);
    return err;
}

static int set_attr(struct inode *inode, const struct inode_attr *a)
{
    unsigned set = a->set, valid = 0;
    struct p9_msg *m = p9_begin(T_SETATTR);
    if (!m)
        return -ENOMEM;
    valid |= set & ATTR_MODE ? SET_MODE : 0;
    valid |= set & ATTR_UID ? SET_UID : 0;
    valid |= set & ATTR_GID ? SET_GID : 0;
    valid |= set & ATTR_SIZE ? SET_SIZE : 0;
    valid |= set & ATTR_ATIME ? SET_ATIME | (set & ATTR_TOUCH ? 0 : SET_ATIME_TO) : 0;
    valid |= set & ATTR_MTIME ? SET_MTIME | (set & ATTR_TOUCH ? 0 : SET_MTIME_TO) : 0;
    p9_put(m, p9_i(inode)->fid, 4);
    p9_put(m, valid, 4);
    p9_put(m, a->mode & 07777, 4);
    p9_put(m, a->uid, 4);
    p9_put(m, a->gid, 4);
    p9_put(m, a->size, 8);
    p9_put(m, (uint64_t)a->atime.tv_sec, 8);
    p9_put(m, (uint64_t)a->atime.tv_nsec, 8);
    p9_put(m, (uint64_t)a->mtime.tv_sec, 8);
    p9_put(m, (uint64_t)a->mtime.tv_nsec, 8);
    int err = valid ? send(p9_of(inode), m) : 0;
    if (!valid)
        p9_free(m);
    if (!err && set & ATTR_SIZE)
        p9_resized(inode, a->size);
    return err;
}

static int get_attr(struct inode *inode, struct abi_stat *st)
{
    struct p9_attr a;
    /* A file that was removed while it is open may have no attributes at the server: what was known stands. */
    if (p9_getattr(p9_of(inode), p9_i(inode)->fid, &a) ||
        (a.mode & S_IFMT) != (inode->mode & S_IFMT))
        return 0;
    apply(inode, &a);
    st->st_mode = inode->mode;
    st->st_nlink = inode->nlink;
    st->st_uid = inode->uid;
    st->st_gid = inode->gid;
    st->st_size = (int64_t)inode->size;
    st->st_atim = inode->atime;
    st->st_mtim = inode->mtime;
    st->st_ctim = inode->ctime;
    st->st_blocks = (int64_t)a.blocks;
    return 0;
}

static void evict(struct inode *inode)
{
    struct p9_inode *i = p9_i(inode);
    struct p9 *fs = p9_of(inode);
    if (S_ISREG(inode->mode) && inode->pages.dirty)
        (void)p9_write_back(inode, 0, UINT64_MAX); /* nobody is left to be told of an error */
    spin_lock(&fs->lock);
    struct p9_inode **at = bucket(fs, i->path);
    while (*at != i)
        at = &(*at)->next;
    *at = i->next;
    spin_unlock(&fs->lock);
    p9_clunk(fs, i->first);
    p9_clunk(fs, i->reader);
    p9_clunk(fs, i->writer);
    p9_clunk(fs, i->fid);
    inode_put(i->dir);
    heap_free(i);
}

const struct inode_ops p9_dir_ops = {
    .lookup = lookup,
    .valid = valid,
    .create = create,
    .symlink = make_symlink,
    .link = make_link,
    .unlink = unlink_name,
    .rename = rename_name,
    .setattr = set_attr,
    .getattr = get_attr,
    .getxattr = p9_getxattr,
    .setxattr = p9_setxattr,
    .listxattr = p9_listxattr,
    .open = p9_open,
    .evict = evict,
};

const struct inode_ops p9_file_ops = {
    .readlink = read_link,
    .setattr = set_attr,
    .getattr = get_attr,
    .getxattr = p9_getxattr,
    .setxattr = p9_setxattr,
    .listxattr = p9_listxattr,
    .open = p9_open,
    .evict = evict,
};
