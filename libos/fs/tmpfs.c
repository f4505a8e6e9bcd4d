/* SPDX-License-Identifier: MIT */
/* tmpfs, and the root: a tmpfs over an EROFS image. Names live in the name cache, content in page maps. An inode with a
 * lower one takes names and pages from it on first use: a page of the image is mapped where it lies, and only one that is
 * written gets a copy. Before a name of the image goes, all names of its directory are brought up. */
#include "fs_int.h"
#include "tmpfs.h"

#include <abi/dirent.h>
#include <abi/errno.h>
#include <abi/fcntl.h>
#include <abi/prctl.h>
#include <base/log.h>
#include <libos/acl.h>
#include <libos/file.h>
#include <libos/heap.h>
#include <libos/mm.h>
#include <libos/mount.h>
#include <libos/xattr.h>
#include <string.h>
#include <utlist.h>

static const struct inode_ops tmpfs_ops;
static const struct file_ops dir_fops;

/* Was it made here, and so counts? Its data is the tmpfs then. */
static bool made_here(const struct inode *inode)
{
    return !inode->lower && inode->data;
}

/* Inodes. */

static struct inode *inode_make(struct superblock *sb, uint32_t mode)
{
    struct inode *inode = inode_create(sb, mode, &tmpfs_ops);
    if (!inode)
        return NULL;
    if (S_ISREG(mode)) {
        inode->fops = &regular_fops;
        pagemap_init(&inode->pages, &tmpfs_pages, inode);
    } else if (S_ISDIR(mode)) {
        inode->fops = &dir_fops;
    }
    return inode;
}

static struct inode *shared_find(struct tmpfs *t, uint64_t nid)
{
    struct inode *found = NULL;
    spin_lock(&t->lock);
    for (struct tmpfs_shared *s = t->shared[nid % ARRAY_SIZE(t->shared)]; s && !found; s = s->next)
        if (s->inode->lower == nid + 1)
            found = s->inode;
    if (found)
        inode_get(found);
    spin_unlock(&t->lock);
    return found;
}

/* Keep inode for the other names that it has; if somebody was faster, theirs instead. Takes and gives a reference. */
static struct inode *shared_keep(struct tmpfs *t, struct inode *take_inode)
{
    struct tmpfs_shared *s = heap_alloc(sizeof(*s));
    if (!s) {
        inode_put(take_inode);
        return NULL;
    }
    uint64_t nid = take_inode->lower - 1;
    struct inode *found = shared_find(t, nid);
    if (found) {
        heap_free(s);
        inode_put(take_inode);
        return found;
    }
    inode_get(take_inode);
    s->inode = take_inode;
    spin_lock(&t->lock);
    s->next = t->shared[nid % ARRAY_SIZE(t->shared)];
    t->shared[nid % ARRAY_SIZE(t->shared)] = s;
    spin_unlock(&t->lock);
    return take_inode;
}

/* The last name of an inode of the image is going: nothing will look for it again. */
static void shared_forget(struct tmpfs *t, struct inode *inode)
{
    struct tmpfs_shared *s, **p = &t->shared[(inode->lower - 1) % ARRAY_SIZE(t->shared)];
    spin_lock(&t->lock);
    while (*p && (*p)->inode != inode)
        p = &(*p)->next;
    s = *p;
    if (s)
        *p = s->next;
    spin_unlock(&t->lock);
    if (s) {
        inode_put(inode);
        heap_free(s);
    }
}

static int lower_xattrs(struct tmpfs *t, const struct erofs_inode *lower, struct inode *inode)
{
    unsigned pos = 0;
    struct erofs_xattr x;
    char name[XATTR_NAME_MAX + 32];
    struct erofs_buf buf = { 0 };
    int err, set = 0;
    while (!set && !(err = erofs_next_xattr(&t->image, lower, &pos, &buf, &x))) {
        size_t prefix = strlen(x.prefix);
        memcpy(name, x.prefix, prefix);
        memcpy(name + prefix, x.name, x.name_len);
        name[prefix + x.name_len] = '\0';
        set = xattr_set(inode, name, x.value, x.size, 0);
    }
    erofs_buf_put(&buf);
    return set ? set : err == -ENOENT ? 0 : lower_error(err);
}

static int lower_fill(struct tmpfs *t, const struct erofs_inode *lower, struct inode *inode)
{
    inode->lower = lower->nid + 1;
    inode->uid = lower->uid;
    inode->gid = lower->gid;
    inode->nlink = lower->nlink;
    inode->rdev = lower->rdev;
    inode->ino = lower->ino;
    inode->atime = inode->mtime = inode->ctime = inode->btime = lower->mtime;
    if (S_ISREG(lower->mode)) {
        struct erofs_inode *own = heap_alloc(sizeof(*own));
        if (!own)
            return -ENOMEM;
        *own = *lower;
        inode->data = own;
        inode->size = inode->lower_size = lower->size;
        lower_pages_init(t, inode);
    }
    if (S_ISLNK(lower->mode)) {
        inode->link = heap_zalloc(lower->size + 1);
        if (!inode->link)
            return -ENOMEM;
        int n = erofs_readlink(&t->image, lower, inode->link, lower->size);
        if (n < 0)
            return lower_error(n);
        inode->size = (uint64_t)n;
    }
    if (!lower->xattr_size)
        return 0;
    int err = lower_xattrs(t, lower, inode);
    return err ? err : acl_load(inode);
}

static int lower_inode(struct tmpfs *t, uint64_t nid, struct inode **ret)
{
    struct erofs_inode lower;
    int err = erofs_inode(&t->image, nid, &lower);
    if (err || (S_ISLNK(lower.mode) && lower.size >= ABI_PATH_MAX))
        return lower_error(err);
    bool many = lower.nlink > 1 && !S_ISDIR(lower.mode);
    if (many && (*ret = shared_find(t, nid)))
        return 0;
    struct inode *inode = inode_make(&t->sb, lower.mode);
    if (!inode)
        return -ENOMEM;
    err = lower_fill(t, &lower, inode);
    if (err) {
        inode_put(inode);
        return err;
    }
    *ret = many ? shared_keep(t, inode) : inode;
    return *ret ? 0 : -ENOMEM;
}

/* Names. */

static int tmpfs_lookup(struct inode *dir, const char *name, size_t len, struct inode **ret_inode)
{
    struct tmpfs *t = tmpfs_of(dir);
    struct erofs_inode lower;
    uint64_t nid;
    if (!dir->lower)
        return -ENOENT;
    int err = erofs_inode(&t->image, dir->lower - 1, &lower);
    if (!err)
        err = erofs_lookup(&t->image, &lower, name, len, &nid);
    return err ? lower_error(err) : lower_inode(t, nid, ret_inode);
}

static bool is_dots(const struct erofs_entry *e)
{
    return e->name[0] == '.' && (e->len == 1 || (e->len == 2 && e->name[1] == '.'));
}

static int seq_compare(const struct dentry *a, const struct dentry *b)
{
    return a->seq < b->seq ? -1 : a->seq > b->seq;
}

/* Bring all names of the image's directory into the cache, each at its place. dir->inode is locked for writing. */
static int tmpfs_complete(struct dentry *dir)
{
    struct inode *inode = dir->inode;
    struct tmpfs *t = tmpfs_of(inode);
    struct erofs_inode lower;
    struct erofs_entry e;
    struct erofs_buf buf = { 0 };
    uint64_t pos = 0;
    int err = 0, bad = 0;
    if (!inode->lower || dir->complete)
        return 0;
    err = erofs_inode(&t->image, inode->lower - 1, &lower);
    while (!err && !bad && !(err = erofs_next(&t->image, &lower, &pos, &buf, &e))) {
        struct dentry *d;
        if (is_dots(&e))
            continue;
        bad = dentry_lookup_locked(dir, e.name, e.len, name_hash(e.name, e.len), &d);
        if (bad)
            continue;
        d->seq = DIR_POS_FIRST + e.pos;
        dentry_put(d);
    }
    erofs_buf_put(&buf);
    if (bad)
        return bad == -ENOENT ? -EIO : bad; /* listed but not found: not sorted */
    if (err != -ENOENT)
        return lower_error(err);
    spin_lock(&dir->lock);
    DL_SORT2(dir->children, seq_compare, child_prev, child_next);
    spin_unlock(&dir->lock);
    dir->complete = true;
    return 0;
}

static int tmpfs_create_node(struct inode *dir, const char *name, size_t len, uint32_t mode,
                             uint32_t rdev, struct inode **ret_inode)
{
    (void)name, (void)len;
    struct tmpfs *t = tmpfs_of(dir);
    struct inode *inode = NULL;
    if (tmpfs_inode_add(t) && !(inode = inode_make(dir->sb, mode)))
        tmpfs_inode_drop(t);
    if (!inode)
        return -ENOSPC;
    inode->data = t;
    inode_init_owner(inode, dir);
    if (S_ISCHR(mode) || S_ISBLK(mode))
        inode->rdev = rdev;
    *ret_inode = inode;
    return 0;
}

static int tmpfs_symlink(struct inode *dir, const char *name, size_t len, const char *target,
                         struct inode **ret_inode)
{
    struct inode *inode;
    int err = tmpfs_create_node(dir, name, len, S_IFLNK | 0777, 0, &inode);
    if (err)
        return err;
    inode->link = heap_strdup(target);
    if (!inode->link) {
        inode_put(inode);
        return -ENOSPC;
    }
    inode->size = strlen(target);
    *ret_inode = inode;
    return 0;
}

static int tmpfs_link(struct inode *dir, const char *name, size_t len, struct inode *inode)
{
    (void)dir, (void)name, (void)len; /* the name cache has it */
    return made_here(inode) && inode->nlink && !tmpfs_inode_add(inode->data) ? -ENOSPC : 0;
}

static int tmpfs_unlink(struct inode *dir, const char *name, size_t len, struct inode *inode)
{
    (void)dir, (void)name, (void)len;
    if (inode->lower && inode->nlink == 1)
        shared_forget(tmpfs_of(inode), inode);
    if (made_here(inode) && inode->nlink > 1 && !S_ISDIR(inode->mode))
        tmpfs_inode_drop(inode->data);
    return 0;
}

static int tmpfs_rename(struct inode *old_dir, const char *old_name, size_t old_len,
                        struct inode *inode, struct inode *new_dir, const char *new_name,
                        size_t new_len, struct inode *replaced, unsigned flags)
{
    (void)old_dir, (void)old_name, (void)old_len, (void)inode, (void)flags;
    return replaced && !(flags & RENAME_EXCHANGE)
               ? tmpfs_unlink(new_dir, new_name, new_len, replaced)
               : 0;
}

static int tmpfs_readlink(struct inode *inode, char *buf, size_t size)
{
    if (!inode->link)
        return -EINVAL;
    size_t n = min_u64(inode->size, size);
    memcpy(buf, inode->link, n);
    return (int)n;
}

int memfd_setattr(struct inode *inode, const struct inode_attr *attr)
{
    if (attr->set & ATTR_MODE && inode->seals & F_SEAL_EXEC && (inode->mode ^ attr->mode) & 0111)
        return -EPERM;
    if (!(attr->set & ATTR_SIZE))
        return 0;
    return S_ISREG(inode->mode) ? regular_set_size(inode, attr->size) : -EINVAL;
}

static int tmpfs_getattr(struct inode *inode, struct abi_stat *st)
{
    if (S_ISDIR(inode->mode))
        st->st_size = inode->lower ? PAGE_SIZE : 40;
    return 0;
}

void memfd_evict(struct inode *inode)
{
    if (made_here(inode))
        tmpfs_inode_drop(inode->data);
    else
        heap_free(inode->data);
    inode->data = NULL;
}

static const struct inode_ops tmpfs_ops = {
    .evict = memfd_evict,
    .lookup = tmpfs_lookup,
    .create = tmpfs_create_node,
    .symlink = tmpfs_symlink,
    .link = tmpfs_link,
    .unlink = tmpfs_unlink,
    .rename = tmpfs_rename,
    .complete = tmpfs_complete,
    .readlink = tmpfs_readlink,
    .setattr = memfd_setattr,
    .getattr = tmpfs_getattr,
    .getxattr = xattr_get,
    .setxattr = xattr_set,
    .listxattr = xattr_list,
};

/* Listings. */

/* Names of the image from *pos on. 1: the sink is full. */
static int list_lower(struct inode *dir, struct dir_sink *s, uint64_t *pos)
{
    struct tmpfs *t = tmpfs_of(dir);
    struct erofs_inode lower, in;
    struct erofs_entry e;
    struct erofs_buf buf = { 0 };
    uint64_t at = *pos - DIR_POS_FIRST;
    bool full = false;
    int err = erofs_inode(&t->image, dir->lower - 1, &lower);
    while (!err && !full && !(err = erofs_next(&t->image, &lower, &at, &buf, &e))) {
        if (is_dots(&e))
            continue;
        err = erofs_inode(&t->image, e.nid, &in);
        if (err)
            break;
        full = !s->emit(s, e.name, e.len, in.ino, DIR_POS_FIRST + at, e.type);
        if (!full)
            *pos = DIR_POS_FIRST + at;
    }
    erofs_buf_put(&buf);
    if (full)
        return 1;
    if (err != -ENOENT)
        return lower_error(err);
    *pos = DIR_POS_UPPER;
    return 0;
}

static int dir_read(struct file *f, struct dir_sink *s, uint64_t *pos)
{
    struct dentry *dir = f->path.dentry;
    struct inode *inode = dir->inode;
    int err = 0;
    if (dir->dead)
        return -ENOENT;
    if (!dir_emit_dots(f, s, pos))
        return 0;
    rwmutex_read_lock(&inode->lock);
    bool lower = inode->lower && !dir->complete;
    if (lower && *pos >= DIR_POS_FIRST && *pos < DIR_POS_UPPER)
        err = list_lower(inode, s, pos);
    if (!err)
        err = dentry_list(f, dir, s, pos, lower ? DIR_POS_UPPER : DIR_POS_FIRST);
    rwmutex_read_unlock(&inode->lock);
    return err < 0 ? err : 0;
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
    (void)f, (void)from, (void)end, (void)data_only;
    return 0;
}

static const struct file_ops dir_fops = {
    .seek = dir_seek,
    .readdir = dir_read,
    .sync = dir_sync,
};

/* File systems. */

static void tmpfs_unmount(struct superblock *sb)
{
    dentry_drop_names(sb->root);
    dentry_put(sb->root);
    heap_free(sb->data);
}

static const struct superblock_ops tmpfs_super_ops = { .unmount = tmpfs_unmount };

static int tmpfs_make(const char *type, uint32_t mode, struct tmpfs **ret)
{
    struct tmpfs *t = heap_zalloc(sizeof(*t));
    if (!t)
        return -ENOMEM;
    spin_init(&t->lock, RANK_FILE);
    t->sb.pinned = true;
    t->sb.statfs = tmpfs_statfs;
    t->sb.show = tmpfs_show;
    t->sb.data = t;
    t->mode = mode;
    t->inodes = 1; /* the root */
    tmpfs_limit_default(t);
    int err = superblock_init(&t->sb, type, TMPFS_MAGIC, mode, &tmpfs_ops);
    if (err) {
        superblock_put(&t->sb);
        heap_free(t);
        return err;
    }
    t->sb.root->inode->fops = &dir_fops;
    t->sb.ops = &tmpfs_super_ops;
    *ret = t;
    return 0;
}

int tmpfs_create(const char *type, uint32_t root_mode, struct superblock **ret_sb)
{
    struct tmpfs *t;
    int err = tmpfs_make(type, root_mode, &t);
    if (!err)
        *ret_sb = &t->sb;
    return err;
}

/* Shared anonymous memory and memfds: files without a name in a tmpfs that is not in the tree. */
static struct mount shm_mount = { .refs = 1, .source = "tmpfs" };

static int shm_init(void)
{
    int err = tmpfs_create("tmpfs", 01777, &shm_mount.sb);
    if (err)
        return err;
    struct tmpfs *t = shm_mount.sb->data;
    t->max_pages = t->max_inodes = UINT64_MAX; /* what bounds it is the memory */
    shm_mount.root = shm_mount.sb->root;
    return 0;
}

int shmem_make(const struct shmem_make *m, struct file **ret_file)
{
    if (m->size > INT64_MAX)
        return -EINVAL;
    struct inode *inode = inode_make(shm_mount.sb, S_IFREG | m->mode);
    if (!inode)
        return -ENOMEM;
    inode_init_owner(inode, NULL);
    inode->size = m->size;
    inode->nlink = 0;
    inode->seals = m->seals;
    if (m->iops)
        inode->ops = m->iops;
    inode->fops = m->fops;
    struct dentry *d =
        dentry_create(shm_mount.sb, shm_mount.root, m->name, strlen(m->name), 0, inode);
    if (!d)
        return -ENOMEM;
    d->unlinked = true; /* shows as deleted */
    struct path p = { &shm_mount, d };
    int err = file_create(m->fops, &p, O_RDWR | O_LARGEFILE, NULL, ret_file);
    dentry_put(d);
    if (!err)
        (*ret_file)->seekable = (*ret_file)->one_by_one = m->fops->seek != NULL;
    return err;
}

int shmem_file_create(const char *name, uint64_t size, unsigned seals, struct file **ret_file)
{
    struct shmem_make m = {
        .name = name, .size = size, .seals = seals, .mode = 0777, .fops = &regular_fops
    };
    return shmem_make(&m, ret_file);
}

/* New inodes are numbered behind those of an image of size bytes, where a number is a place of 32 bytes. */
static void number_behind(struct tmpfs *t, uint64_t size)
{
    t->sb.next_ino = max_u64(t->sb.next_ino, size / 32 + 1);
}

/* Put the image, opened, below the root directory. */
static int root_image(struct tmpfs *t)
{
    struct erofs_inode lower;
    int err = erofs_inode(&t->image, t->image.root_nid, &lower);
    if (!err && !S_ISDIR(lower.mode))
        err = -EUCLEAN;
    if (err)
        return err;
    struct inode *root = t->sb.root->inode;
    err = lower_fill(t, &lower, root);
    root->mode = lower.mode;
    number_behind(t, t->image.size);
    return err;
}

static struct tmpfs *root_tmpfs; /* set once, by vfs_init */

int vfs_root_image(const struct erofs_source *source, uint64_t size)
{
    struct tmpfs *t = root_tmpfs;
    struct inode *root = t->sb.root->inode;
    int err = erofs_open_disk(source, size, &t->image);
    if (err)
        return err;
    rwmutex_write_lock(&root->lock);
    err = root_image(t);
    if (!err) /* the names that are there already, /dev and the like, take their places among the image's */
        err = tmpfs_complete(t->sb.root);
    rwmutex_write_unlock(&root->lock);
    return err;
}

/* The root stands on an empty directory that nothing ever uncovers, so that it can be moved and pivot_root works. */
static int mount_root(struct tmpfs *t, const char *source)
{
    struct tmpfs *base;
    struct mount *first, *root;
    int err = tmpfs_make("rootfs", 0755, &base);
    if (!err)
        err = mount_create(&base->sb, base->sb.root, "rootfs", 0, &first);
    if (!err)
        err = mount_create(&t->sb, t->sb.root, source, ST_RELATIME, &root);
    return err ? err : mount_first(first, root);
}

int vfs_init(const void *image, size_t size)
{
    struct tmpfs *t;
    page_on_pressure(pagemap_reclaim);
    int err = tmpfs_make("tmpfs", 0755, &t);
    if (!err)
        err = anon_init();
    if (!err)
        err = shm_init();
    if (!err && image)
        err = erofs_open(image, size, &t->image);
    if (!err && image)
        err = root_image(t);
    if (err)
        return err;
    number_behind(t, size);
    root_tmpfs = t;
    return mount_root(t, size ? "root" : "tmpfs");
}
