/* SPDX-License-Identifier: MIT */
/* The mount table and the per-process view of the tree (cwd, root, umask). A mount is never freed while the machine runs:
 * there are few, and a walk may look at one without counting it first. Guarded by mount_lock. */
#include "vfs_int.h"

#include <abi/errno.h>
#include <abi/fcntl.h>
#include <abi/stat.h>
#include <libos/heap.h>
#include <string.h>

static struct spin mount_lock = SPIN_INIT(RANK_MOUNT);
static struct mount *mounts; /* guarded by mount_lock: in the order of mounting */
static int next_id = 1;      /* guarded by mount_lock */

struct mount *mount_attach(struct superblock *sb, const struct path *point, const char *source,
                           unsigned flags)
{
    struct mount *m = heap_zalloc(sizeof(*m));
    if (!m)
        return NULL;
    atomic_init(&m->refs, 1);
    m->sb = sb;
    m->root = sb->root;
    m->flags = flags;
    m->source = source;
    if (point) {
        m->parent = point->mount;
        m->point = point->dentry;
        path_get(point); /* the table's */
    }
    spin_lock(&mount_lock);
    m->id = next_id++;
    struct mount **p = &mounts;
    while (*p)
        p = &(*p)->next;
    *p = m;
    if (point) /* Release: who sees the mount sees its fields. */
        atomic_store_explicit(&point->dentry->mounted, m, memory_order_release);
    spin_unlock(&mount_lock);
    return m;
}

int mount_detach(struct path *root, bool lazy)
{
    struct mount *m = root->mount;
    if (root->dentry != m->root || !m->point)
        return -EINVAL;
    spin_lock(&mount_lock);
    struct mount *child = mounts;
    while (child && (child->gone || child->parent != m))
        child = child->next;
    /* One reference is the table's, one the caller's. */
    bool busy = m->gone || (!lazy && (child || m->refs > 2));
    if (!busy) {
        m->gone = true;
        atomic_store_explicit(&m->point->mounted, NULL, memory_order_release);
    }
    spin_unlock(&mount_lock);
    if (busy)
        return -EBUSY;
    struct path point = { m->parent, m->point };
    path_put(&point);
    return 0;
}

/* Is sb in the tree at another place? Locks: mount_lock is held. */
static bool mounted_elsewhere(const struct superblock *sb)
{
    for (const struct mount *m = mounts; m; m = m->next)
        if (!m->gone && m->sb == sb)
            return true;
    return false;
}

int vfs_unmount(struct path *take_root, bool lazy)
{
    struct mount *m = take_root->mount;
    int err = mount_detach(take_root, lazy);
    path_put(take_root);
    if (err || !m->sb->ops)
        return err;
    spin_lock(&mount_lock);
    bool last = m->refs == 1 && !mounted_elsewhere(m->sb);
    spin_unlock(&mount_lock);
    if (last && m->sb->ops->unmount)
        m->sb->ops->unmount(m->sb);
    else if (m->sb->ops->sync)
        err = m->sb->ops->sync(m->sb);
    return err;
}

int vfs_sync(void)
{
    int err = 0;
    /* Mounts are appended and never freed: the list can be followed without the lock. */
    for (struct mount *m = mounts; m; m = m->next)
        if (!m->gone && m->sb->ops && m->sb->ops->sync) {
            int err2 = m->sb->ops->sync(m->sb);
            err = err ? err : err2;
        }
    return err;
}

void vfs_stop(void)
{
    for (struct mount *m = mounts; m; m = m->next)
        if (!m->gone && m->sb->ops && m->sb->ops->stop)
            m->sb->ops->stop(m->sb);
}

bool path_cross_down(struct path *p)
{
    struct mount *m;
    bool crossed = false;
    /* Acquire: pairs with mount_attach. Mounts stack by covering the upper one's root. */
    while ((m = atomic_load_explicit(&p->dentry->mounted, memory_order_acquire)) &&
           m->parent == p->mount) {
        struct path next = { m, m->root };
        path_get(&next);
        path_put(p);
        *p = next;
        crossed = true;
    }
    return crossed;
}

void vfs_root(struct path *ret)
{
    ret->mount = mounts; /* the first one is never removed */
    ret->dentry = mounts->root;
    path_get(ret);
    path_cross_down(ret);
}

int mount_each(int (*fn)(struct mount *m, const char *path, void *arg), void *arg)
{
    char *buf = path_buf_alloc();
    if (!buf)
        return -ENOMEM;
    int result = 0;
    /* Mounts are appended and never freed: the list can be followed without the lock. */
    for (struct mount *m = mounts; m && result == 0; m = m->next) {
        if (m->gone)
            continue;
        struct path p = { m, m->root };
        if (path_text(&p, buf, ABI_PATH_MAX) > 0 && buf[0] == '/')
            result = fn(m, buf, arg);
    }
    path_buf_free(buf);
    return result;
}

/* Make the directories of name that are missing. */
static int make_parents(const char *name)
{
    char *buf = path_buf_alloc();
    if (!buf)
        return -ENOMEM;
    int err = 0;
    size_t len = strlen(name);
    for (size_t i = 1; i <= len && len < ABI_PATH_MAX && !err; i++) {
        if (name[i] != '/' && name[i] != '\0')
            continue;
        memcpy(buf, name, i);
        buf[i] = '\0';
        err = vfs_make(buf, S_IFDIR | 0755, 0, NULL);
        if (err == -EEXIST)
            err = 0;
    }
    path_buf_free(buf);
    return err;
}

int vfs_mount(struct superblock *sb, const char *point, const char *source, unsigned flags)
{
    struct walk w;
    int err = make_parents(point);
    if (err)
        return err;
    walk_start_kernel(&w, point, WALK_FOLLOW | WALK_DIRECTORY);
    err = walk_all(&w);
    if (!err && !mount_attach(sb, &w.cur, source, flags))
        err = -ENOMEM;
    walk_end(&w);
    return err;
}

struct fs_context *fs_context_create(void)
{
    struct fs_context *fs = heap_zalloc(sizeof(*fs));
    if (!fs)
        return NULL;
    atomic_init(&fs->refs, 1);
    spin_init(&fs->lock, RANK_FS_CONTEXT);
    fs->umask = 022;
    vfs_root(&fs->root);
    vfs_root(&fs->cwd);
    return fs;
}

struct fs_context *fs_context_copy(struct fs_context *src)
{
    struct fs_context *fs = heap_zalloc(sizeof(*fs));
    if (!fs)
        return NULL;
    atomic_init(&fs->refs, 1);
    spin_init(&fs->lock, RANK_FS_CONTEXT);
    spin_lock(&src->lock);
    fs->umask = src->umask;
    fs->cwd = src->cwd;
    fs->root = src->root;
    path_get(&fs->cwd);
    path_get(&fs->root);
    spin_unlock(&src->lock);
    return fs;
}

void fs_context_put(struct fs_context *fs)
{
    /* Acquire-release: who frees sees what all others did. */
    if (!fs || atomic_fetch_sub_explicit(&fs->refs, 1, memory_order_acq_rel) != 1)
        return;
    path_put(&fs->cwd);
    path_put(&fs->root);
    heap_free(fs);
}

uint32_t vfs_umask(void)
{
    struct thread *t = thread_current();
    return t && t->fs ? t->fs->umask : 022;
}
