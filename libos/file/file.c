/* SPDX-License-Identifier: MIT */
/* Open files: life, and the checks that every transfer shares. A file's position is guarded by pos_lock, which is taken
 * only when somebody else could have the file: one reference belongs to one descriptor of one thread. */
#include "vfs_int.h"

#include <abi/errno.h>
#include <abi/fcntl.h>
#include <abi/statfs.h>
#include <libos/epoll.h>
#include <libos/errseq.h>
#include <libos/flock.h>
#include <libos/heap.h>
#include <libos/inotify.h>
#include <libos/mount.h>
#include <libos/owner.h>
#include <string.h>

enum {
    TRANSFER_MAX = 0x7ffff000, /* bytes of one read or write, as Linux bounds it */
};

static struct slab file_slab = SLAB_INIT("file", struct file);
static _Atomic uint32_t file_count;

const struct file_ops file_path_ops = { .read = NULL };

/* Pipes, sockets and the like live in a file system that is not in the tree. */
static struct superblock anon_sb = { .type = "anon_inodefs", .magic = ANON_INODE_FS_MAGIC };
static struct mount anon_mount = { .refs = 1, .sb = &anon_sb, .source = "anon_inodefs" };
static const struct inode_ops anon_inode_ops = { .lookup = NULL };

int64_t file_seek_nowhere(struct file *f, int64_t off, int whence)
{
    return 0;
}

unsigned files_open(void)
{
    return file_count;
}

int anon_init(void)
{
    int err = superblock_init(&anon_sb, anon_sb.type, anon_sb.magic, 0, &anon_inode_ops);
    if (err)
        return err;
    anon_sb.root->inode->mode = 0600;
    anon_sb.root->inode->nlink = 1;
    anon_mount.root = anon_sb.root;
    return 0;
}

struct inode *anon_inode_create(uint32_t mode)
{
    struct inode *inode = inode_create(&anon_sb, mode, &anon_inode_ops);
    if (inode)
        inode_init_owner(inode, NULL);
    return inode;
}

int file_create(const struct file_ops *ops, const struct path *path, unsigned flags, void *data,
                struct file **ret_file)
{
    static const uint8_t access[] = { 1, 2, 3, 0 };
    if (atomic_fetch_add_explicit(&file_count, 1, memory_order_relaxed) >= FILES_MAX) {
        atomic_fetch_sub_explicit(&file_count, 1, memory_order_relaxed);
        return -ENFILE;
    }
    struct file *f = slab_alloc(&file_slab);
    if (!f) {
        atomic_fetch_sub_explicit(&file_count, 1, memory_order_relaxed);
        return -ENOMEM;
    }
    memset(f, 0, sizeof(*f));
    atomic_init(&f->refs, 1);
    atomic_init(&f->flags, flags & ~(unsigned)O_CLOEXEC); /* that belongs to the descriptor */
    f->ops = ops;
    f->data = data;
    f->path = *path;
    path_get(path);
    f->inode = path->dentry->inode;
    mutex_init(&f->pos_lock, RANK_FILE_POS);
    atomic_init(&f->sb_seen, errseq_sample(&f->inode->sb->wb_error));
    f->cred = thread_current() && thread_current()->cred ? cred_get(thread_current()->cred) : NULL;
    f->can_read = access[flags & O_ACCMODE] & 1;
    f->can_write = access[flags & O_ACCMODE] & 2;
    *ret_file = f;
    return 0;
}

int file_create_anon(const struct file_ops *ops, const char *name, unsigned flags, void *data,
                     struct file **ret_file)
{
    struct path p = { &anon_mount, anon_sb.root };
    int err = file_create(ops, &p, flags, data, ret_file);
    if (!err)
        (*ret_file)->name = name;
    return err;
}

int file_create_inode(const struct file_ops *ops, struct inode *inode, const char *name,
                      unsigned flags, void *data, struct file **ret_file)
{
    inode_get(inode);
    struct dentry *d = dentry_create(&anon_sb, anon_sb.root, name, strlen(name), 0, inode);
    if (!d)
        return -ENOMEM;
    struct path p = { &anon_mount, d };
    int err = file_create(ops, &p, flags, data, ret_file);
    if (!err)
        (*ret_file)->name = name;
    dentry_put(d);
    return err;
}

static NOINLINE void file_free(struct file *f)
{
    bool opened = f->ops != &file_path_ops;
    if (opened && !f->name)
        inotify_event(f->path.dentry, f->can_write ? IN_CLOSE_WRITE : IN_CLOSE_NOWRITE);
    if (f->epoll_items)
        epoll_forget_file(f);
    if (f->owner)
        file_owner_leave(f);
    if (f->inode->locks)
        flock_release(f);
    if (f->ops->release)
        f->ops->release(f);
    if (f->dir_cursor)
        dentry_put(f->dir_cursor);
    if (f->counted_writer) {
        inode_write_end(f->inode);
        mount_write_end(f->path.mount);
    }
    if (UNLIKELY(!opened && f->data)) /* only those of mount_file_create have any */
        mount_closed(f->data);
    if (UNLIKELY(f->real_inode))
        inode_put(f->inode);
    path_put(&f->path);
    if (f->cred)
        cred_put(f->cred);
    slab_free(&file_slab, f);
    atomic_fetch_sub_explicit(&file_count, 1, memory_order_relaxed);
}

void file_put(struct file *f)
{
    /* Acquire-release: who frees sees what all others did. */
    if (atomic_fetch_sub_explicit(&f->refs, 1, memory_order_acq_rel) == 1)
        file_free(f);
}

static NOINLINE bool pos_lock(struct file *f)
{
    /* The one reference is the descriptor's, which no other thread has. */
    const struct fd_table *t = thread_current()->fds;
    if (LIKELY(t && atomic_load_explicit(&t->refs, memory_order_relaxed) == 1 &&
               atomic_load_explicit(&f->refs, memory_order_relaxed) == 1))
        return false;
    mutex_lock(&f->pos_lock);
    return true;
}

bool file_pos_lock(struct file *f)
{
    return pos_lock(f);
}

void file_pos_unlock(struct file *f, bool locked)
{
    if (locked)
        mutex_unlock(&f->pos_lock);
}

ssize_type file_read(struct file *f, struct iter *it, uint64_t *pos)
{
    ssize_type n;
    if (UNLIKELY(!f->can_read))
        return -EBADF;
    ssize_type (*read)(struct file *, struct iter *, uint64_t *) = f->ops->read;
    if (UNLIKELY(!read))
        return S_ISDIR(f->inode->mode) ? -EISDIR : -EINVAL;
    if (UNLIKELY(it->left > TRANSFER_MAX))
        it->left = TRANSFER_MAX;
    if (LIKELY(pos)) {
        n = read(f, it, pos);
    } else {
        /* What cannot seek takes no notice of the position, and must not be locked while it waits. */
        bool locked = f->one_by_one && pos_lock(f);
        n = read(f, it, &f->pos);
        file_pos_unlock(f, locked);
    }
    if (n > 0)
        inotify_event(f->path.dentry, IN_ACCESS);
    return n;
}

/* n bytes were written and have to be on the medium. */
static NOINLINE ssize_type written_sync(struct file *f, const struct iter *it, uint64_t end,
                                        ssize_type n)
{
    if (!f->inode->sb->ops || !f->inode->sb->ops->sync || !f->ops->sync)
        return n;
    int err = f->ops->sync(f, end - (uint64_t)n, end,
                           it->sync ? it->sync == ITER_DSYNC : (f->flags & O_SYNC) != O_SYNC);
    return err ? err : n;
}

int file_sync(struct file *f, uint64_t from, uint64_t end, bool data_only)
{
    return f->ops->sync ? f->ops->sync(f, from, end, data_only) : -EINVAL;
}

int file_write_back(struct file *f, uint64_t from, uint64_t len, unsigned how)
{
    uint32_t mode = f->inode->mode;
    if (from > INT64_MAX || len > INT64_MAX - from)
        return -EINVAL;
    if (!S_ISREG(mode) && !S_ISBLK(mode) && !S_ISDIR(mode) && !S_ISLNK(mode))
        return -ESPIPE;
    if (!how || !f->ops->write_back)
        return 0;
    return f->ops->write_back(f, from, len ? from + len : INT64_MAX, how);
}

ssize_type file_write(struct file *f, struct iter *it, uint64_t *pos)
{
    ssize_type n;
    if (UNLIKELY(!f->can_write))
        return -EBADF;
    if (UNLIKELY(!f->ops->write))
        return -EINVAL;
    if (UNLIKELY(it->left > TRANSFER_MAX))
        it->left = TRANSFER_MAX;
    if (LIKELY(pos)) {
        n = f->ops->write(f, it, pos);
    } else {
        /* What cannot seek takes no notice of the position, and must not be locked while it waits. */
        bool locked = f->one_by_one && pos_lock(f);
        n = f->ops->write(f, it, &f->pos);
        file_pos_unlock(f, locked);
    }
    if (n <= 0)
        return n;
    inotify_event(f->path.dentry, IN_MODIFY);
    return UNLIKELY(f->flags & O_DSYNC || it->sync) ? written_sync(f, it, pos ? *pos : f->pos, n)
                                                    : n;
}

bool file_owned(const struct file *f)
{
    return vfs_owner(f->inode);
}
