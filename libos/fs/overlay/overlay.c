/* SPDX-License-Identifier: MIT */
/* The overlay file system: Documentation/filesystems/overlayfs.rst. An inode of it stands for one in the upper layer, or for one or
 * more in lower ones, and has no content: opening a file leads to the real inode (inode_ops.real). Names live in the name cache
 * only. Layers are held by mounts of the overlay's own, so that unmounting where they came from does not disturb it. Locks: the
 * overlay's come before those of the layers (RANK_OVL_*), which is why a layer cannot be an overlay. */
#include "ovl_int.h"

#include <abi/errno.h>
#include <abi/fcntl.h>
#include <abi/stat.h>
#include <abi/statfs.h>
#include <libos/below.h>
#include <libos/dentry.h>
#include <libos/fstype.h>
#include <libos/heap.h>
#include <libos/mount.h>
#include <libos/xattr.h>
#include <stdio.h>
#include <string.h>

enum { DIR_LINKS = 1 << 20 };

static const struct inode_ops ovl_ops;

struct path ovl_real_path(const struct inode *inode)
{
    const struct ovl *o = ovl_of(inode);
    const struct ovl_inode *oi = ovl_inode(inode);
    struct dentry *upper = ovl_upper(oi);
    if (upper)
        return (struct path){ o->upper, upper };
    return (struct path){ o->lower[oi->lower[0].layer], oi->lower[0].dentry };
}

/* Inodes. */

void ovl_mirror(struct inode *inode)
{
    const struct inode *real = ovl_real(ovl_inode(inode))->inode;
    inode->mode = real->mode;
    inode->uid = real->uid;
    inode->gid = real->gid;
    inode->rdev = real->rdev;
    inode->size = real->size;
    /* Of a merged directory nobody counts subdirectories: far from 0, and shown as 1. */
    inode->nlink = S_ISDIR(real->mode) ? DIR_LINKS : real->nlink;
    inode->atime = real->atime;
    inode->mtime = real->mtime;
    inode->ctime = real->ctime;
    inode->btime = real->btime;
}

static unsigned chain_of(const struct inode *upper)
{
    return (unsigned)((uintptr_t)upper >> 6) % OVL_HASH;
}

void ovl_hash_add(struct ovl *o, struct ovl_inode *oi)
{
    unsigned n = chain_of(ovl_upper(oi)->inode);
    spin_lock(&o->lock);
    oi->hash_next = o->hash[n];
    o->hash[n] = oi;
    oi->hashed = true;
    spin_unlock(&o->lock);
}

void ovl_hash_remove(struct ovl *o, struct ovl_inode *oi)
{
    spin_lock(&o->lock);
    if (oi->hashed) {
        struct ovl_inode **p = &o->hash[chain_of(ovl_upper(oi)->inode)];
        while (*p != oi)
            p = &(*p)->hash_next;
        *p = oi->hash_next;
    }
    oi->hashed = false;
    spin_unlock(&o->lock);
}

void ovl_keep(struct ovl *o, struct ovl_inode *oi)
{
    inode_get(oi->inode);
    spin_lock(&o->lock);
    oi->kept = true;
    spin_unlock(&o->lock);
}

void ovl_keep_no_more(struct ovl *o, struct ovl_inode *oi)
{
    spin_lock(&o->lock);
    bool was = oi->kept;
    oi->kept = false;
    spin_unlock(&o->lock);
    if (was)
        inode_put(oi->inode);
}

/* The whole ends. */
static void keep_none(struct ovl *o)
{
    for (unsigned i = 0; i < OVL_HASH; i++)
        for (struct ovl_inode *oi = o->hash[i], *next; oi; oi = next) {
            next = oi->hash_next; /* nobody else is here any more, and each has its own reference */
            ovl_keep_no_more(o, oi);
        }
}

struct inode *ovl_hash_find(struct ovl *o, const struct inode *upper)
{
    spin_lock(&o->lock);
    struct ovl_inode *oi = o->hash[chain_of(upper)];
    for (; oi; oi = oi->hash_next) {
        if (ovl_upper(oi)->inode != upper)
            continue;
        uint32_t n = atomic_load_explicit(&oi->inode->refs, memory_order_relaxed);
        while (n && !atomic_compare_exchange_weak(&oi->inode->refs, &n, n + 1))
            ;
        if (n)
            break; /* else it is just going */
    }
    spin_unlock(&o->lock);
    return oi ? oi->inode : NULL;
}

static void inode_free(struct ovl_inode *oi)
{
    struct dentry *upper = ovl_upper(oi);
    if (upper)
        dentry_put(upper);
    for (unsigned i = 0; i < oi->nlower; i++)
        dentry_put(oi->lower[i].dentry);
    inode_put(oi->parent);
    heap_free(oi->name);
    heap_free(oi);
}

static void ovl_evict(struct inode *inode)
{
    struct ovl_inode *oi = ovl_inode(inode);
    if (!oi)
        return;
    ovl_hash_remove(ovl_of(inode), oi);
    inode_free(oi);
    inode->data = NULL;
}

int ovl_inode_make(struct ovl *o, struct dentry *take_upper, struct ovl_lower *take_lower,
                   unsigned nlower, struct inode *parent, const char *name, size_t len,
                   struct inode **ret)
{
    struct ovl_inode *oi = heap_zalloc(sizeof(*oi) + nlower * sizeof(oi->lower[0]));
    if (!oi) {
        if (take_upper)
            dentry_put(take_upper);
        for (unsigned i = 0; i < nlower; i++)
            dentry_put(take_lower[i].dentry);
        return -ENOMEM;
    }
    atomic_init(&oi->upper, take_upper);
    oi->nlower = nlower;
    if (nlower)
        memcpy(oi->lower, take_lower, nlower * sizeof(oi->lower[0]));
    mutex_init(&oi->copy, RANK_OVL_COPY);
    bool fine = true;
    if (parent && !take_upper) {
        inode_get(parent);
        oi->parent = parent;
        oi->name = heap_alloc(len + 1);
        fine = oi->name != NULL;
        if (fine) {
            memcpy(oi->name, name, len);
            oi->name[len] = '\0';
        }
    }
    const struct inode *real = ovl_real(oi)->inode;
    struct inode *inode = fine ? inode_create(&o->sb, real->mode, &ovl_ops) : NULL;
    if (!inode) {
        inode_free(oi);
        return -ENOMEM;
    }
    bool dir = S_ISDIR(real->mode);
    rwmutex_init(&inode->lock, dir ? RANK_OVL_DIR : RANK_OVL_INODE);
    /* A directory that has gone up keeps its number, too. */
    inode->ino = dir && nlower ? oi->lower[0].dentry->inode->ino : real->ino;
    inode->fops = dir ? &ovl_dir_fops : NULL;
    inode->data = oi;
    oi->inode = inode;
    ovl_mirror(inode);
    if (take_upper && !dir)
        ovl_hash_add(o, oi);
    *ret = inode;
    return 0;
}

static int ovl_getattr(struct inode *inode, struct abi_stat *st)
{
    uint64_t dev = st->st_dev, ino = st->st_ino;
    int err = inode_stat(ovl_real(ovl_inode(inode))->inode, st);
    st->st_dev = dev;
    st->st_ino = ino;
    if (S_ISDIR(inode->mode))
        st->st_nlink = inode->nlink != 0;
    return err;
}

static int ovl_setattr(struct inode *inode, const struct inode_attr *attr)
{
    struct inode_attr a = *attr;
    int err = ovl_copy_up(inode, attr->set & ATTR_SIZE ? attr->size : UINT64_MAX);
    if (err)
        return err;
    struct path real = ovl_real_path(inode);
    bool was = below_begin();
    err = inode_setattr(&real, &a);
    below_end(was);
    return err;
}

static int ovl_readlink(struct inode *inode, char *buf, size_t size)
{
    struct inode *real = ovl_real(ovl_inode(inode))->inode;
    return real->ops->readlink ? real->ops->readlink(real, buf, size) : -EINVAL;
}

static int ovl_real_inode(struct inode *inode, unsigned flags, struct inode **ret)
{
    static const uint8_t writes[] = { 0, 1, 1, 1 };
    if (writes[flags & O_ACCMODE] || flags & O_TRUNC) {
        int err = ovl_copy_up(inode, flags & O_TRUNC ? 0 : UINT64_MAX);
        if (err)
            return err;
    }
    *ret = ovl_real(ovl_inode(inode))->inode;
    inode_get(*ret);
    return 0;
}

static int ovl_getxattr(struct inode *inode, const char *name, void *buf, size_t size)
{
    struct inode *real = ovl_real(ovl_inode(inode))->inode;
    if (ovl_own_xattr(ovl_of(inode), name))
        return -ENODATA;
    if (!real->ops->getxattr)
        return -EOPNOTSUPP;
    rwmutex_read_lock(&real->lock);
    int n = real->ops->getxattr(real, name, buf, size);
    rwmutex_read_unlock(&real->lock);
    return n;
}

static int ovl_setxattr(struct inode *inode, const char *name, const void *value, size_t size,
                        int flags)
{
    if (ovl_own_xattr(ovl_of(inode), name))
        return -EOPNOTSUPP;
    if (!value) { /* what is not there needs no copy */
        int n = ovl_getxattr(inode, name, NULL, 0);
        if (n < 0)
            return n;
    }
    int err = ovl_copy_up(inode, UINT64_MAX);
    return err ? err : below_setxattr(ovl_upper(ovl_inode(inode)), name, value, size, flags);
}

static int ovl_listxattr(struct inode *inode, char *buf, size_t size)
{
    struct inode *real = ovl_real(ovl_inode(inode))->inode;
    if (!real->ops->listxattr)
        return 0;
    rwmutex_read_lock(&real->lock);
    int n = real->ops->listxattr(real, NULL, 0);
    char *all = n > 0 ? heap_alloc((size_t)n) : NULL;
    if (all)
        n = real->ops->listxattr(real, all, (size_t)n);
    rwmutex_read_unlock(&real->lock);
    if (n > 0 && !all)
        return -ENOMEM;
    size_t done = 0;
    for (char *s = all; n > 0 && s < all + n; s += strlen(s) + 1) {
        size_t len = strlen(s) + 1;
        if (ovl_own_xattr(ovl_of(inode), s))
            continue;
        if (size && done + len > size) {
            heap_free(all);
            return -ERANGE;
        }
        if (size)
            memcpy(buf + done, s, len);
        done += len;
    }
    heap_free(all);
    return n < 0 ? n : (int)done;
}

static const struct inode_ops ovl_ops = {
    .lookup = ovl_lookup,
    .create = ovl_create,
    .symlink = ovl_symlink,
    .link = ovl_link,
    .unlink = ovl_unlink,
    .rename = ovl_rename,
    .readlink = ovl_readlink,
    .setattr = ovl_setattr,
    .getattr = ovl_getattr,
    .real = ovl_real_inode,
    .getxattr = ovl_getxattr,
    .setxattr = ovl_setxattr,
    .listxattr = ovl_listxattr,
    .evict = ovl_evict,
};

/* The whole. */

static void ovl_statfs(struct superblock *sb, struct abi_statfs *st)
{
    struct ovl *o = sb->data;
    struct superblock *real = o->upper ? o->upper->sb : o->lower[0]->sb;
    int64_t type = st->f_type;
    if (real->statfs)
        real->statfs(real, st);
    st->f_type = type;
}

static size_t ovl_show(const struct superblock *sb, char *buf, size_t size)
{
    static const char *const names[] = { "lowerdir", "upperdir", "workdir" };
    const struct ovl *o = sb->data;
    size_t n = 0;
    for (int i = 0; i < 3; i++)
        if (o->text[i] && n < size)
            n += (size_t)snprintf(buf + n, size - n, ",%s=%s", names[i], o->text[i]);
    if (o->user_xattr && n < size)
        n += (size_t)snprintf(buf + n, size - n, ",userxattr");
    return n < size ? n : size - 1;
}

static int ovl_sync(struct superblock *sb)
{
    struct ovl *o = sb->data;
    struct superblock *real = o->upper && !o->no_sync ? o->upper->sb : NULL;
    return real && real->ops && real->ops->sync ? real->ops->sync(real) : 0;
}

static void ovl_free(struct ovl *o)
{
    if (o->work)
        dentry_put(o->work);
    if (o->upper)
        mount_put(o->upper);
    for (unsigned i = 0; i < o->nlower; i++)
        mount_put(o->lower[i]);
    heap_free(o->lower);
    for (int i = 0; i < 3; i++)
        heap_free(o->text[i]);
    heap_free(o);
}

static void ovl_unmount(struct superblock *sb)
{
    dentry_put(sb->root);
    keep_none(sb->data);
    ovl_free(sb->data);
}

static int ovl_remount(struct superblock *sb, uint32_t flags)
{
    struct ovl *o = sb->data;
    return !(flags & ST_RDONLY) && !o->upper ? -EROFS : 0;
}

static const struct superblock_ops ovl_super_ops = { .sync = ovl_sync,
                                                     .unmount = ovl_unmount,
                                                     .remount = ovl_remount };

/* Mounting. */

struct options {
    char *text[3]; /* owned: lowerdir, upperdir, workdir */
    bool user_xattr, no_sync;
};

static int option(struct fs_setup *s, const char *key, const char *value)
{
    static const char *const dirs[] = { "lowerdir", "upperdir", "workdir" };
    /* What is not done can be switched off. */
    static const char *const off[][2] = { { "redirect_dir", "off" }, { "redirect_dir", "nofollow" },
                                          { "index", "off" },        { "metacopy", "off" },
                                          { "nfs_export", "off" },   { "xino", "off" },
                                          { "xino", "auto" },        { "verity", "off" },
                                          { "uuid", "auto" },        { "uuid", "null" } };
    struct options *o = s->options;
    for (int i = 0; i < 3; i++)
        if (strcmp(key, dirs[i]) == 0) {
            if (!value || !*value)
                return -EINVAL;
            heap_free(o->text[i]);
            o->text[i] = heap_strdup(value);
            return o->text[i] ? 0 : -ENOMEM;
        }
    for (size_t i = 0; value && i < ARRAY_SIZE(off); i++)
        if (strcmp(key, off[i][0]) == 0 && strcmp(value, off[i][1]) == 0)
            return 0;
    if (value)
        return -EINVAL;
    if (strcmp(key, "userxattr") == 0)
        o->user_xattr = true;
    else if (strcmp(key, "volatile") == 0)
        o->no_sync = true;
    else
        return strcmp(key, "default_permissions") == 0 ? 0 : -EINVAL;
    return 0;
}

static void end(struct fs_setup *s)
{
    struct options *o = s->options;
    for (int i = 0; i < 3; i++)
        heap_free(o->text[i]);
}

/* Take the escapes out of a name, in place. */
static void unescape(char *text)
{
    char *to = text;
    for (; *text; *to++ = *text++)
        if (*text == '\\' && text[1])
            text++;
    *to = '\0';
}

/* A mount of our own of the directory called name. */
static int open_layer(const char *name, bool writable, struct mount **ret)
{
    struct path p;
    int err = path_walk(AT_FDCWD, name, WALK_FOLLOW, &p);
    if (err)
        return err;
    struct superblock *sb = p.mount->sb;
    if (!S_ISDIR(p.dentry->inode->mode))
        err = -ENOTDIR;
    else if (sb->magic == OVERLAYFS_SUPER_MAGIC || !p.dentry->inode->ops->lookup)
        err = -EINVAL;
    else if (writable && (p.mount->flags | sb->flags) & ST_RDONLY)
        err = -EINVAL;
    else if (!superblock_get(sb))
        err = -EINVAL;
    else
        err =
            mount_create(sb, p.dentry, "none", writable ? ST_NOATIME : ST_RDONLY | ST_NOATIME, ret);
    path_put(&p);
    return err;
}

/* lowerdir: names with colons between them; "\:" is one in a name. */
static int open_lowers(struct ovl *o, const char *text)
{
    char *copy = heap_strdup(text), *s = copy;
    o->lower = heap_calloc(OVL_LAYERS_MAX, sizeof(struct mount *));
    int err = copy && o->lower ? 0 : -ENOMEM;
    while (!err && s) {
        char *next = s;
        while (*next && *next != ':')
            next += *next == '\\' && next[1] ? 2 : 1;
        next = *next ? next : NULL;
        if (next)
            *next++ = '\0';
        unescape(s);
        if (!*s || o->nlower == OVL_LAYERS_MAX)
            err = -EINVAL;
        else
            err = open_layer(s, false, &o->lower[o->nlower]);
        if (!err)
            o->nlower++;
        s = next;
    }
    heap_free(copy);
    return err;
}

/* Is a at or below b? */
static bool within(struct dentry *a, const struct dentry *b)
{
    bool found = false;
    dentry_get(a);
    for (;;) {
        struct dentry *up = dentry_parent(a);
        found = found || a == b;
        bool top = up == a;
        dentry_put(a);
        a = up;
        if (found || top)
            break;
    }
    dentry_put(a);
    return found;
}

/* What an earlier mount left in the work directory goes. */
static int clean_work(struct ovl *o, struct dentry *dir)
{
    int err = below_remove(dir, "work");
    if (err == -ENOTEMPTY) {
        struct dentry *old;
        err = ovl_find(dir, "work", 4, &old);
        if (!err) {
            err = ovl_clear(o, old, true);
            dentry_put(old);
        }
        if (!err)
            err = below_remove(dir, "work");
    }
    return err == -ENOENT ? 0 : err;
}

static int open_upper(struct ovl *o, const struct options *opt)
{
    struct mount *work;
    char *name = heap_strdup(opt->text[1]), *work_name = heap_strdup(opt->text[2]);
    int err = name && work_name ? 0 : -ENOMEM;
    if (!err) {
        unescape(name);
        unescape(work_name);
        err = open_layer(name, true, &o->upper);
    }
    if (!err) {
        o->upper_root = o->upper->root;
        err = open_layer(work_name, true, &work);
    }
    heap_free(name);
    heap_free(work_name);
    if (err)
        return err;
    if (work->sb != o->upper->sb || within(work->root, o->upper_root) ||
        within(o->upper_root, work->root))
        err = -EINVAL;
    bool was = below_begin();
    if (!err)
        err = clean_work(o, work->root);
    if (!err)
        err = below_make(work->root, "work", S_IFDIR | 0, 0, NULL, &o->work);
    below_end(was);
    mount_put(work);
    return err;
}

static int make_root(struct ovl *o)
{
    struct inode *root;
    struct ovl_lower *lower = heap_calloc(o->nlower, sizeof(*lower));
    if (!lower)
        return -ENOMEM;
    for (unsigned i = 0; i < o->nlower; i++) {
        dentry_get(o->lower[i]->root);
        lower[i] = (struct ovl_lower){ i, o->lower[i]->root };
    }
    if (o->upper_root)
        dentry_get(o->upper_root);
    int err = ovl_inode_make(o, o->upper_root, lower, o->nlower, NULL, NULL, 0, &root);
    heap_free(lower);
    if (err)
        return err;
    o->sb.root = dentry_create(&o->sb, NULL, "/", 1, 0, root);
    return o->sb.root ? 0 : -ENOMEM;
}

static int get(struct fs_setup *s, struct superblock **ret_sb)
{
    struct options *opt = s->options;
    if (!opt->text[0] || !opt->text[1] != !opt->text[2])
        return -EINVAL;
    struct ovl *o = heap_zalloc(sizeof(*o));
    if (!o)
        return -ENOMEM;
    spin_init(&o->lock, RANK_FILE);
    o->user_xattr = opt->user_xattr;
    o->no_sync = opt->no_sync;
    int err = opt->text[1] ? open_upper(o, opt) : 0;
    if (!err)
        err = open_lowers(o, opt->text[0]);
    if (!err && !o->upper && o->nlower < 2)
        err = -EINVAL;
    if (err) {
        ovl_free(o);
        return err;
    }
    superblock_number(&o->sb, "overlay", OVERLAYFS_SUPER_MAGIC);
    mutex_init(&o->sb.rename_lock, RANK_OVL_RENAME);
    o->sb.data = o;
    o->sb.statfs = ovl_statfs;
    o->sb.show = ovl_show;
    err = make_root(o);
    if (err) {
        superblock_put(&o->sb); /* without operations yet: it only leaves the list */
        ovl_free(o);
        return err;
    }
    for (int i = 0; i < 3; i++) {
        o->text[i] = opt->text[i];
        opt->text[i] = NULL;
    }
    if (!o->upper)
        o->sb.flags |= ST_RDONLY;
    o->sb.ops = &ovl_super_ops;
    *ret_sb = &o->sb;
    return 0;
}

const struct fs_type overlay_type = { .name = "overlay",
                                      .options_size = sizeof(struct options),
                                      .option = option,
                                      .get = get,
                                      .end = end };
