/* SPDX-License-Identifier: MIT */
/* The mount table: which mount covers which (mount, dentry) pair. Changes are made with mount_lock held and mount_seq odd;
 * a walk looks without the lock and looks again if the sequence moved. Memory of mounts is used again for mounts only,
 * which is why that look is safe, and a reference is taken only of one that has some. What changes the shape of the tree
 * also holds the mutex of mount_change_begin. */
#include "mount_int.h"
#include "vfs_int.h"

#include <abi/errno.h>
#include <abi/fcntl.h>
#include <abi/stat.h>
#include <abi/statfs.h>
#include <libos/heap.h>
#include <libos/poll.h>
#include <string.h>
#include <utlist.h>

enum { HASH_SIZE = 128, CHAIN_MAX = 4096 };

static struct spin mount_lock = SPIN_INIT(RANK_MOUNT);
static struct mutex tree_mutex = { .rw = { .lock = SPIN_INIT(RANK_WAITQ),
                                           .rank = RANK_MOUNT_TREE } };
static _Atomic uint32_t mount_seq; /* odd: a change is being made */
static _Atomic(struct mount *) hash[HASH_SIZE];
static struct mount *mounts;      /* guarded by mount_lock: all in the tree */
static struct mount *spare;       /* guarded by mount_lock: memory, linked by all_next */
static struct mount *first;       /* the one that everything hangs on; never removed */
static struct superblock *supers; /* guarded by mount_lock: all file systems */
static int next_id = 1;           /* guarded by mount_lock */
static _Atomic uint64_t events;   /* changes of the tree so far */
static struct waitq event_wait = { .lock = SPIN_INIT(RANK_WAITQ) };

static _Atomic(struct mount *) *chain_of(const struct mount *parent, const struct dentry *point)
{
    uint64_t h = ((uintptr_t)parent >> 4) * 0x9e3779b97f4a7c15ull ^ (uintptr_t)point >> 5;
    return &hash[(h * 0x9e3779b97f4a7c15ull) >> 57 & (HASH_SIZE - 1)];
}

void mount_change_begin(void)
{
    mutex_lock(&tree_mutex);
}

void mount_change_end(void)
{
    mutex_unlock(&tree_mutex);
}

/* Locks. Between them walks do not trust what they see. */
static void table_lock(void)
{
    spin_lock(&mount_lock);
    moves_begin();
    atomic_fetch_add_explicit(&mount_seq, 1, memory_order_acq_rel);
}

static void table_unlock(void)
{
    /* Release: who sees the sequence even again sees the change. */
    atomic_fetch_add_explicit(&mount_seq, 1, memory_order_release);
    moves_end();
    spin_unlock(&mount_lock);
}

void mount_tell(void)
{
    atomic_fetch_add_explicit(&events, 1, memory_order_release);
    waitq_wake(&event_wait, WAITQ_ALL, EPOLLPRI | EPOLLERR);
}

uint64_t mount_events(struct poll_table *pt)
{
    poll_wait(pt, &event_wait);
    return atomic_load_explicit(&events, memory_order_acquire);
}

/* Life. */

void superblock_add(struct superblock *sb)
{
    atomic_init(&sb->active, 1);
    spin_lock(&mount_lock);
    DL_APPEND2(supers, sb, all_prev, all_next);
    spin_unlock(&mount_lock);
}

bool superblock_get(struct superblock *sb)
{
    uint32_t n = atomic_load_explicit(&sb->active, memory_order_relaxed);
    while (n != 0)
        if (atomic_compare_exchange_weak_explicit(&sb->active, &n, n + 1, memory_order_relaxed,
                                                  memory_order_relaxed))
            return true;
    return false;
}

void superblock_put(struct superblock *sb)
{
    /* Acquire-release: who ends it sees what all others did. */
    if (atomic_fetch_sub_explicit(&sb->active, 1, memory_order_acq_rel) != 1)
        return;
    spin_lock(&mount_lock);
    DL_DELETE2(supers, sb, all_prev, all_next);
    spin_unlock(&mount_lock);
    sb->ending = true;
    if (sb->ops && sb->ops->unmount)
        sb->ops->unmount(sb);
}

/* Add a reference unless the last one is gone already. */
static bool mount_get_live(struct mount *m)
{
    uint32_t n = atomic_load_explicit(&m->refs, memory_order_relaxed);
    while (n != 0)
        if (atomic_compare_exchange_weak_explicit(&m->refs, &n, n + 1, memory_order_acquire,
                                                  memory_order_relaxed))
            return true;
    return false;
}

int mount_create(struct superblock *take_sb, struct dentry *root, const char *source,
                 unsigned flags, struct mount **ret)
{
    char *name = heap_strdup(source);
    spin_lock(&mount_lock);
    struct mount *m = name ? spare : NULL;
    if (m)
        spare = m->all_next;
    spin_unlock(&mount_lock);
    if (!m && name)
        m = heap_zalloc(sizeof(*m));
    if (!m) {
        heap_free(name);
        superblock_put(take_sb);
        return -ENOMEM;
    }
    m->sb = take_sb;
    dentry_get(root);
    m->root = root;
    m->source = name;
    atomic_store_explicit(&m->flags, flags, memory_order_relaxed);
    atomic_store_explicit(&m->writers, 0, memory_order_relaxed);
    m->expiring = false;
    m->place = MOUNT_APART;
    m->children = m->sibling_next = m->sibling_prev = m->all_next = m->all_prev = NULL;
    m->group = 0;
    m->unbindable = false;
    m->peer_next = m;
    m->master = m->slaves = m->slave_next = m->slave_prev = NULL;
    m->sent = NULL;
    spin_lock(&mount_lock);
    m->id = next_id++;
    spin_unlock(&mount_lock);
    /* Release: a walk with an old pointer takes a reference of something complete. */
    atomic_store_explicit(&m->refs, 1, memory_order_release);
    *ret = m;
    return 0;
}

void mount_drop_last(struct mount *m)
{
    dentry_put(m->root);
    superblock_put(m->sb);
    heap_free((void *)(uintptr_t)m->source);
    spin_lock(&mount_lock);
    m->all_next = spare;
    spare = m;
    spin_unlock(&mount_lock);
}

/* Shape. */

/* Count a mount on d, which must still be a name. -ENOENT. */
static int point_claim(struct dentry *d)
{
    for (;;) {
        struct dentry *parent = dentry_parent(d);
        if (parent == d) {
            atomic_fetch_add(&d->mounted, 1);
            dentry_put(parent);
            return 0;
        }
        rwmutex_write_lock(&parent->inode->lock); /* names are removed and moved with it */
        bool same = d->parent == parent;
        int err = d->unlinked || d->dead ? -ENOENT : 0;
        if (same && !err)
            atomic_fetch_add(&d->mounted, 1);
        rwmutex_write_unlock(&parent->inode->lock);
        dentry_put(parent);
        if (same)
            return err;
    }
}

int mount_hang(struct mount *m, const struct path *at)
{
    int err = point_claim(at->dentry);
    if (err)
        return err;
    path_get(at); /* the table's */
    _Atomic(struct mount *) *chain = chain_of(at->mount, at->dentry);
    table_lock();
    atomic_store_explicit(&m->parent, at->mount, memory_order_relaxed);
    atomic_store_explicit(&m->point, at->dentry, memory_order_relaxed);
    DL_APPEND2(at->mount->children, m, sibling_prev, sibling_next);
    atomic_store_explicit(&m->hash_next, atomic_load_explicit(chain, memory_order_relaxed),
                          memory_order_relaxed);
    atomic_store_explicit(chain, m, memory_order_release);
    table_unlock();
    return 0;
}

void mount_place(struct mount *m, int place)
{
    spin_lock(&mount_lock);
    if (m->place == MOUNT_IN_TREE && place != MOUNT_IN_TREE)
        DL_DELETE2(mounts, m, all_prev, all_next);
    else if (m->place != MOUNT_IN_TREE && place == MOUNT_IN_TREE)
        DL_APPEND2(mounts, m, all_prev, all_next);
    m->place = place;
    spin_unlock(&mount_lock);
}

/* Take m off its parent; *ret_point keeps the references. table_lock is held. False: it hung nowhere. */
static bool unhang_locked(struct mount *m, struct path *ret_point)
{
    struct mount *parent = m->parent;
    struct dentry *point = m->point;
    if (!parent)
        return false;
    _Atomic(struct mount *) *p = chain_of(parent, point);
    while (*p != m)
        p = &(*p)->hash_next;
    atomic_store_explicit(p, m->hash_next, memory_order_relaxed);
    DL_DELETE2(parent->children, m, sibling_prev, sibling_next);
    m->parent = NULL;
    m->point = NULL;
    atomic_fetch_sub(&point->mounted, 1);
    *ret_point = (struct path){ parent, point };
    return true;
}

bool mount_unhang(struct mount *m, struct path *ret_point)
{
    table_lock();
    bool hung = unhang_locked(m, ret_point);
    table_unlock();
    return hung;
}

int mount_unhang_unused(struct mount *m, unsigned refs)
{
    struct path point;
    table_lock();
    /* Acquire: the last user is done with it. */
    bool busy = m->children || atomic_load_explicit(&m->refs, memory_order_acquire) > refs;
    bool hung = !busy && unhang_locked(m, &point);
    table_unlock();
    if (hung)
        path_put(&point);
    return busy ? -EBUSY : 0;
}

/* Walks. */

static struct mount *find_locked(const struct mount *parent, const struct dentry *point)
{
    struct mount *m = *chain_of(parent, point);
    while (m && (m->parent != parent || m->point != point))
        m = m->hash_next;
    return m;
}

/* The mount on (parent, point) with a reference. False: look again, with the lock. */
static bool find_quick(const struct mount *parent, const struct dentry *point, struct mount **ret)
{
    uint32_t seq = atomic_load_explicit(&mount_seq, memory_order_acquire);
    struct mount *m = atomic_load_explicit(chain_of(parent, point), memory_order_acquire);
    unsigned steps = 0;
    while (m && (atomic_load_explicit(&m->parent, memory_order_relaxed) != parent ||
                 atomic_load_explicit(&m->point, memory_order_relaxed) != point)) {
        m = atomic_load_explicit(&m->hash_next, memory_order_relaxed);
        if (++steps > CHAIN_MAX)
            return false;
    }
    if (seq & 1 || (m && !mount_get_live(m)))
        return false;
    atomic_thread_fence(memory_order_acquire);
    if (atomic_load_explicit(&mount_seq, memory_order_relaxed) == seq) {
        *ret = m;
        return true;
    }
    if (m)
        mount_put(m);
    return false;
}

struct mount *mount_find(const struct mount *parent, const struct dentry *point)
{
    struct mount *m;
    if (LIKELY(find_quick(parent, point, &m)))
        return m;
    spin_lock(&mount_lock);
    m = find_locked(parent, point);
    if (m) /* what is in the table has a reference of the tree */
        atomic_fetch_add_explicit(&m->refs, 1, memory_order_relaxed);
    spin_unlock(&mount_lock);
    return m;
}

bool path_cross_down(struct path *p)
{
    struct mount *m;
    bool crossed = false;
    while (atomic_load_explicit(&p->dentry->mounted, memory_order_acquire) &&
           (m = mount_find(p->mount, p->dentry))) {
        struct path next = { m, m->root };
        dentry_get(next.dentry);
        path_put(p);
        *p = next;
        crossed = true;
    }
    return crossed;
}

bool mount_above(struct mount *m, struct path *ret)
{
    spin_lock(&mount_lock);
    *ret = (struct path){ m->parent, m->point };
    if (ret->mount)
        path_get(ret);
    spin_unlock(&mount_lock);
    return ret->mount != NULL;
}

void vfs_root(struct path *ret)
{
    *ret = (struct path){ first, first->root };
    path_get(ret);
    path_cross_down(ret);
}

int mount_first(struct mount *m, struct mount *root)
{
    struct path at = { m, m->root };
    first = m;
    mount_place(m, MOUNT_IN_TREE);
    mount_place(root, MOUNT_IN_TREE);
    return mount_hang(root, &at);
}

bool mount_is_first(const struct mount *m)
{
    return m == first;
}

/* All of them. */

struct mount *mount_next(struct mount *m)
{
    return m ? m->all_next : mounts;
}

struct mount *mount_below(const struct mount *top, struct mount *m)
{
    if (m->children)
        return m->children;
    for (; m != top; m = m->parent)
        if (m->sibling_next)
            return m->sibling_next;
    return NULL;
}

struct mount *mount_by_id(int id)
{
    struct mount *m;
    spin_lock(&mount_lock);
    for (m = mounts; m && m->id != id; m = m->all_next)
        ;
    if (m)
        atomic_fetch_add_explicit(&m->refs, 1, memory_order_relaxed);
    spin_unlock(&mount_lock);
    return m;
}

int mount_each(int (*fn)(struct mount *m, const char *path, void *arg), void *arg)
{
    char *buf = path_buf_alloc();
    if (!buf)
        return -ENOMEM;
    int result = 0;
    mount_change_begin();
    for (struct mount *m = mounts; m && result == 0; m = m->all_next) {
        struct path p = { m, m->root };
        if (path_text(&p, buf, ABI_PATH_MAX) > 0 && buf[0] == '/')
            result = fn(m, buf, arg);
    }
    mount_change_end();
    path_buf_free(buf);
    return result;
}

/* The file system after sb (NULL: the first) with a reference; sb's is dropped. */
static struct superblock *super_next(struct superblock *sb)
{
    spin_lock(&mount_lock);
    struct superblock *next = sb ? sb->all_next : supers;
    while (next && !superblock_get(next))
        next = next->all_next;
    spin_unlock(&mount_lock);
    if (sb)
        superblock_put(sb);
    return next;
}

struct superblock *superblock_of_dev(uint32_t dev)
{
    struct superblock *sb = super_next(NULL);
    while (sb && sb->dev != dev)
        sb = super_next(sb);
    return sb;
}

int vfs_sync(void)
{
    int err = 0;
    for (struct superblock *sb = super_next(NULL); sb; sb = super_next(sb))
        if (sb->ops && sb->ops->sync) {
            int err2 = sb->ops->sync(sb);
            err = err ? err : err2;
        }
    return err;
}

void vfs_stop(void)
{
    for (struct superblock *sb = super_next(NULL); sb; sb = super_next(sb))
        if (sb->ops && sb->ops->stop)
            sb->ops->stop(sb);
}
