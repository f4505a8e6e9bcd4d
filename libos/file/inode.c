/* SPDX-License-Identifier: MIT */
/* Inodes: life, attributes, time stamps, and file systems as objects. Attributes are written with inode->lock held and
 * read without: a reader sees each field whole. */
#include "mount_int.h"
#include "vfs_int.h"

#include <abi/errno.h>
#include <abi/fcntl.h>
#include <abi/prctl.h>
#include <abi/resource.h>
#include <abi/statfs.h>
#include <libos/acl.h>
#include <libos/flock.h>
#include <libos/heap.h>
#include <libos/inotify.h>
#include <libos/signal.h>
#include <libos/timer.h>
#include <libos/xattr.h>
#include <plat/time.h>
#include <string.h>

static struct slab inode_slab = SLAB_INIT("inode", struct inode);
static _Atomic uint32_t next_dev = 1;

struct abi_timespec vfs_now(void)
{
    uint64_t ns = plat_time_ns() + clock_realtime_offset();
    return (struct abi_timespec){ (int64_t)(ns / NS_PER_SEC), (int64_t)(ns % NS_PER_SEC) };
}

void inode_get(struct inode *inode)
{
    atomic_fetch_add_explicit(&inode->refs, 1, memory_order_relaxed);
}

void inode_put(struct inode *inode)
{
    /* Acquire-release: who frees sees what all others did. */
    if (!inode || atomic_fetch_sub_explicit(&inode->refs, 1, memory_order_acq_rel) != 1)
        return;
    if (inode->watches)
        inotify_inode_gone(inode);
    if (inode->ops->evict)
        inode->ops->evict(inode);
    pagemap_fini(&inode->pages);
    if (inode->xattrs)
        xattr_free(inode);
    if (UNLIKELY(inode->acl || inode->acl_default))
        acl_free(inode);
    heap_free(inode->link);
    slab_free(&inode_slab, inode);
}

struct inode *inode_create(struct superblock *sb, uint32_t mode, const struct inode_ops *ops)
{
    struct inode *inode = slab_alloc(&inode_slab);
    if (!inode)
        return NULL;
    memset(inode, 0, sizeof(*inode));
    atomic_init(&inode->refs, 1);
    inode->mode = mode;
    atomic_init(&inode->nlink, S_ISDIR(mode) ? 2 : 1);
    inode->ino = atomic_fetch_add_explicit(&sb->next_ino, 1, memory_order_relaxed);
    inode->atime = inode->mtime = inode->ctime = inode->btime = vfs_now();
    inode->ops = ops;
    inode->sb = sb;
    inode->seals = F_SEAL_SEAL;
    rwmutex_init(&inode->lock, S_ISDIR(mode) ? RANK_DIR : RANK_INODE);
    spin_init(&inode->lock_lock, RANK_FILE);
    waitq_init(&inode->lock_wait);
    pagemap_init(&inode->pages, NULL, inode);
    return inode;
}

void superblock_number(struct superblock *sb, const char *type, uint32_t magic)
{
    sb->type = type;
    sb->magic = magic;
    sb->dev = (uint32_t)abi_makedev(0, atomic_fetch_add(&next_dev, 1));
    if (!sb->next_ino)
        sb->next_ino = 1;
    mutex_init(&sb->rename_lock, RANK_RENAME);
    superblock_add(sb);
}

int superblock_init(struct superblock *sb, const char *type, uint32_t magic, uint32_t mode,
                    const struct inode_ops *ops)
{
    superblock_number(sb, type, magic);
    struct inode *inode = inode_create(sb, S_IFDIR | mode, ops);
    if (!inode)
        return -ENOMEM;
    sb->root = dentry_create(sb, NULL, "/", 1, 0, inode);
    return sb->root ? 0 : -ENOMEM;
}

int inode_stat(struct inode *inode, struct abi_stat *ret)
{
    *ret = (struct abi_stat){
        .st_dev = inode->sb->dev,
        .st_ino = inode->ino,
        .st_nlink = inode->nlink,
        .st_mode = inode->mode,
        .st_uid = inode->uid,
        .st_gid = inode->gid,
        .st_rdev = inode->rdev,
        .st_size = (int64_t)inode->size,
        .st_blksize = PAGE_SIZE,
        .st_atim = inode->atime,
        .st_mtim = inode->mtime,
        .st_ctim = inode->ctime,
    };
    if (S_ISREG(inode->mode)) {
        uint64_t below = inode->lower ? align_up(inode->lower_size, PAGE_SIZE) / 512 : 0;
        ret->st_blocks = (int64_t)max_u64(below, inode->pages.pages * (PAGE_SIZE / 512));
    }
    return inode->ops->getattr ? inode->ops->getattr(inode, ret) : 0;
}

static NOINLINE void touch(const struct path *p, uint64_t now_ns)
{
    struct inode *inode = p->dentry->inode;
    unsigned flags = (p->mount ? p->mount->flags : 0) | inode->sb->flags;
    if (flags & (ST_RDONLY | ST_NOATIME) || (S_ISDIR(inode->mode) && flags & ST_NODIRATIME))
        return;
    /* relatime: only if the file was changed since, or the stamp is a day old. */
    const struct abi_timespec *a = &inode->atime, *m = &inode->mtime, *c = &inode->ctime;
    bool after_m = a->tv_sec > m->tv_sec || (a->tv_sec == m->tv_sec && a->tv_nsec > m->tv_nsec);
    bool after_c = a->tv_sec > c->tv_sec || (a->tv_sec == c->tv_sec && a->tv_nsec > c->tv_nsec);
    struct abi_timespec now = vfs_now();
    int64_t age = now.tv_sec - a->tv_sec, day = 24 * 60 * 60;
    if (!after_m || !after_c || age >= day || age < 0) {
        inode->atime = now;
        age = 0;
        inode_changed(inode);
    }
    inode->atime_until = now_ns + (uint64_t)(day - age) * NS_PER_SEC;
}

void inode_touch(const struct path *p)
{
    uint64_t now_ns = plat_time_ns();
    if (UNLIKELY(now_ns >= p->dentry->inode->atime_until))
        touch(p, now_ns);
}

int inode_write_begin(struct inode *inode)
{
    int32_t n = atomic_load(&inode->writers);
    do {
        if (n < 0)
            return -ETXTBSY;
    } while (!atomic_compare_exchange_weak(&inode->writers, &n, n + 1));
    return 0;
}

void inode_write_end(struct inode *inode)
{
    atomic_fetch_sub(&inode->writers, 1);
}

int inode_deny_write(struct inode *inode)
{
    int32_t n = atomic_load(&inode->writers);
    do {
        if (n > 0)
            return -ETXTBSY;
    } while (!atomic_compare_exchange_weak(&inode->writers, &n, n - 1));
    return 0;
}

void inode_allow_write(struct inode *inode)
{
    atomic_fetch_add(&inode->writers, 1);
}

void inode_init_owner(struct inode *inode, const struct inode *dir)
{
    const struct cred *c = vfs_cred();
    inode->uid = c->fsuid;
    inode->gid = c->fsgid;
    if (dir && dir->mode & S_ISGID) {
        inode->gid = dir->gid;
        if (S_ISDIR(inode->mode))
            inode->mode |= S_ISGID;
        else if ((inode->mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP) &&
                 !cred_in_group(c, inode->gid) && !vfs_capable(CAP_FSETID))
            inode->mode &= ~(uint32_t)S_ISGID;
    }
}

/* Set-id bits go when someone without CAP_FSETID writes, truncates, or when the owner changes. 0: no change. */
static uint32_t mode_without_setid(uint32_t mode)
{
    if (S_ISDIR(mode))
        return mode;
    mode &= ~(uint32_t)S_ISUID;
    if (mode & S_IXGRP) /* without group execute it means something else */
        mode &= ~(uint32_t)S_ISGID;
    return mode;
}

void inode_drop_setid(struct inode *inode)
{
    if (UNLIKELY(!inode->caps_none))
        inode_drop_caps(inode);
    if (UNLIKELY(inode->mode & (S_ISUID | S_ISGID)) && !vfs_capable(CAP_FSETID))
        inode->mode = mode_without_setid(inode->mode);
}

/* Do set-id bits go when the caller changes the owner? */
static bool chown_drops(const struct inode *inode)
{
    if (S_ISDIR(inode->mode))
        return false;
    return mode_without_setid(inode->mode) != inode->mode ||
           (inode->mode & S_ISGID && !cred_in_group(thread_current()->cred, inode->gid) &&
            !vfs_capable(CAP_FSETID));
}

/* May the caller set these attributes? chown(2), chmod(2), utimensat(2). */
static int setattr_check(struct inode *inode, struct inode_attr *a)
{
    const struct cred *c = vfs_cred();
    bool chown_cap = vfs_capable(CAP_CHOWN);
    if (a->set & ATTR_UID && !chown_cap && (c->fsuid != inode->uid || a->uid != inode->uid))
        return -EPERM;
    if (a->set & ATTR_GID && !chown_cap &&
        (c->fsuid != inode->uid || (a->gid != inode->gid && !cred_in_group(c, a->gid))))
        return -EPERM;
    if (a->set & ATTR_CHOWN && chown_drops(inode) && !vfs_owner(inode))
        return -EPERM; /* it would change the mode, too */
    if (a->set & ATTR_MODE) {
        if (!vfs_owner(inode))
            return -EPERM;
        uint32_t gid = a->set & ATTR_GID ? a->gid : inode->gid;
        if (a->mode & S_ISGID && !S_ISDIR(inode->mode) && !cred_in_group(c, gid) &&
            !vfs_capable(CAP_FSETID))
            a->mode &= ~(uint32_t)S_ISGID;
    }
    if (a->set & ATTR_TIMES_SET && !vfs_owner(inode))
        return -EPERM;
    if (a->set & ATTR_TOUCH && !vfs_owner(inode))
        return inode_permission(inode, MAY_WRITE);
    return 0;
}

/* Write what a says into the inode; its lock is held for writing. */
static void setattr_apply(struct inode *inode, const struct inode_attr *a)
{
    if (a->set & ATTR_CHOWN) {
        inode->mode = mode_without_setid(inode->mode);
        inode_drop_caps(inode);
    }
    if (a->set & ATTR_UID)
        inode->uid = a->uid;
    if (a->set & ATTR_GID)
        inode->gid = a->gid;
    if (a->set & ATTR_MODE)
        inode->mode = (inode->mode & S_IFMT) | (a->mode & 07777);
    if (a->set & ATTR_ATIME)
        inode->atime = a->atime;
    if (a->set & ATTR_MTIME)
        inode->mtime = a->mtime;
    inode->ctime = vfs_now();
    inode->atime_until = 0;
    inode_changed(inode);
}

bool vfs_may_use_reserve(void)
{
    return vfs_capable(CAP_SYS_RESOURCE);
}

int inode_setattr(const struct path *p, struct inode_attr *a)
{
    struct inode *inode = p->dentry->inode;
    int err = path_writable(p);
    if (err)
        return err;
    rwmutex_write_lock(&inode->lock);
    err = setattr_check(inode, a);
    if (!err && inode->ops->setattr)
        err = inode->ops->setattr(inode, a);
    if (!err && a->set & ATTR_MODE && UNLIKELY(inode->acl))
        err = acl_chmod(inode, a->mode);
    if (!err)
        setattr_apply(inode, a);
    rwmutex_write_unlock(&inode->lock);
    if (!err)
        inotify_event(p->dentry, a->set & (ATTR_MODE | ATTR_UID | ATTR_GID) ||
                                         (a->set & ATTR_ATIME && a->set & ATTR_MTIME)
                                     ? IN_ATTRIB
                                 : a->set & ATTR_MTIME ? IN_MODIFY
                                                       : IN_ACCESS);
    return err;
}

static uint64_t size_limit(void)
{
    struct thread *t = thread_current();
    uint64_t limit = t && t->process ? process_limit(t->process, RLIMIT_FSIZE) : UINT64_MAX;
    return min_u64(limit, INT64_MAX);
}

/* Too big: the signal too when it is RLIMIT_FSIZE that says so. */
static int size_refuse(uint64_t limit)
{
    struct abi_siginfo info = { .si_signo = SIGXFSZ, .si_code = SI_KERNEL };
    if (limit < INT64_MAX)
        (void)signal_send_thread(thread_current(),
                                 &info); /* if it is about to end, that does as well */
    return -EFBIG;
}

int64_t file_write_limit(uint64_t pos, uint64_t count)
{
    uint64_t limit = size_limit();
    if (UNLIKELY(pos >= limit && count))
        return size_refuse(limit);
    return (int64_t)min_u64(count, limit - min_u64(pos, limit));
}

int inode_truncate(struct inode *inode, uint64_t size)
{
    if (size > INT64_MAX)
        return -EINVAL;
    if (size > inode->size && size > size_limit())
        return size_refuse(size_limit());
    struct inode_attr a = { .set = ATTR_SIZE, .size = size };
    rwmutex_write_lock(&inode->lock);
    int err = inode->ops->setattr ? inode->ops->setattr(inode, &a) : -EINVAL;
    if (!err) {
        inode_drop_setid(inode);
        inode->mtime = inode->ctime = vfs_now();
        inode->atime_until = 0;
        inode_changed(inode);
    }
    rwmutex_write_unlock(&inode->lock);
    return err;
}

int path_truncate(const struct path *p, uint64_t size)
{
    struct inode *inode = p->dentry->inode;
    int err = path_writable(p);
    if (!err)
        err = inode_permission(inode, MAY_WRITE);
    if (!err && inode->ops->real)
        err = inode->ops->real(inode, size ? O_WRONLY : O_WRONLY | O_TRUNC, &inode);
    else if (!err)
        inode_get(inode);
    if (err)
        return err;
    err = inode_write_begin(inode);
    if (!err) {
        err = lease_break(inode, O_WRONLY);
        if (!err)
            err = inode_truncate(inode, size);
        inode_write_end(inode);
    }
    inode_put(inode);
    return err;
}
