/* SPDX-License-Identifier: MIT */
/* Advisory locks: fcntl(2) record locks (of a descriptor table, or of an open file), flock(2) and leases. All of an inode
 * hang on inode->locks, guarded by inode->lock_lock; who waits sleeps on inode->lock_wait. A process that waits for a
 * record lock says for whose, so that a cycle is found before it is closed. */
#include <libos/flock.h>

#include "vfs_int.h"

#include <abi/errno.h>
#include <abi/prctl.h>
#include <libos/heap.h>
#include <libos/owner.h>
#include <libos/signal.h>
#include <plat/time.h>
#include <utlist.h>

enum kind { KIND_FLOCK, KIND_POSIX, KIND_OFD, KIND_LEASE };

struct file_lock {
    struct file_lock *next;
    enum kind kind;
    const void *owner;   /* POSIX: the descriptor table; else the file */
    short type;          /* F_RDLCK, F_WRLCK */
    uint64_t start, end; /* end is the last byte */
    int pid;
    struct file *file; /* lease: whose owner to tell, with which descriptor */
    int fd;
    bool breaking; /* lease: its holder was told */
};

/* Who waits for whom, for record locks of descriptor tables. Guarded by wait_lock. */
struct wait_edge {
    struct wait_edge *next;
    const void *waiter, *holder;
};
static struct spin wait_lock = SPIN_INIT(RANK_WAITQ);
static struct wait_edge *edges;

static struct slab lock_slab = SLAB_INIT("file_lock", struct file_lock);
enum { LEASE_BREAK_SECONDS = 45 };

static bool same_space(enum kind a, enum kind b)
{
    return (a == KIND_POSIX || a == KIND_OFD) == (b == KIND_POSIX || b == KIND_OFD) &&
           (a == KIND_LEASE) == (b == KIND_LEASE);
}

static bool conflicts(const struct file_lock *have, const struct file_lock *want)
{
    if (!same_space(have->kind, want->kind) ||
        (have->kind == want->kind && have->owner == want->owner))
        return false;
    if (have->start > want->end || want->start > have->end)
        return false;
    return have->type == F_WRLCK || want->type == F_WRLCK;
}

static struct file_lock *find_conflict(struct inode *inode, const struct file_lock *want)
{
    struct file_lock *l, *first = NULL; /* F_GETLK tells of the first in the file */
    LL_FOREACH(inode->locks, l)
    if (conflicts(l, want) && (!first || l->start < first->start))
        first = l;
    return first;
}

static bool mine(const struct file_lock *l, const struct file_lock *w)
{
    return l->kind == w->kind && l->owner == w->owner;
}

/* Take [w->start, w->end] out of the owner's locks; one that is cut in two uses *spare for the second half. */
static void carve(struct inode *inode, const struct file_lock *w, struct file_lock **spare)
{
    struct file_lock *l, *next;
    LL_FOREACH_SAFE(inode->locks, l, next)
    {
        if (!mine(l, w) || l->start > w->end || w->start > l->end)
            continue;
        if (l->start < w->start && l->end > w->end) {
            struct file_lock *rest = *spare;
            *spare = NULL;
            *rest = *l;
            rest->start = w->end + 1;
            l->end = w->start - 1;
            LL_PREPEND(inode->locks, rest);
        } else if (l->start < w->start) {
            l->end = w->start - 1;
        } else if (l->end > w->end) {
            l->start = w->end + 1;
        } else {
            LL_DELETE(inode->locks, l);
            slab_free(&lock_slab, l);
        }
    }
}

/* Join neighbours of the same type. */
static void join(struct inode *inode, struct file_lock *w)
{
    struct file_lock *l, *next;
    LL_FOREACH_SAFE(inode->locks, l, next)
    {
        bool touches = l->start <= w->end + (w->end != INT64_MAX) &&
                       w->start <= l->end + (l->end != INT64_MAX);
        if (l == w || !mine(l, w) || l->type != w->type || !touches)
            continue;
        w->start = min_u64(w->start, l->start);
        w->end = max_u64(w->end, l->end);
        LL_DELETE(inode->locks, l);
        slab_free(&lock_slab, l);
    }
}

/* The range and type of a flock structure; type F_UNLCK stays to the caller. */
static int lock_parse(const struct file *f, const struct abi_flock *l, struct file_lock *w)
{
    int64_t base = 0, start, end;
    switch (l->l_whence) {
    case SEEK_SET:
        break;
    case SEEK_CUR:
        base = (int64_t)f->pos;
        break;
    case SEEK_END:
        base = (int64_t)f->inode->size;
        break;
    default:
        return -EINVAL;
    }
    if (__builtin_add_overflow(base, l->l_start, &start))
        return -EOVERFLOW;
    if (start < 0)
        return -EINVAL;
    end = INT64_MAX;
    if (l->l_len > 0 && __builtin_add_overflow(start, l->l_len - 1, &end))
        return -EOVERFLOW;
    if (l->l_len < 0) {
        end = start - 1;
        start += l->l_len;
        if (start < 0)
            return -EINVAL;
    }
    if (l->l_type != F_RDLCK && l->l_type != F_WRLCK && l->l_type != F_UNLCK)
        return -EINVAL;
    w->type = l->l_type;
    w->start = (uint64_t)start;
    w->end = (uint64_t)end;
    return 0;
}

static void lock_owner(struct file *f, int cmd, struct file_lock *w)
{
    bool ofd = cmd == F_OFD_SETLK || cmd == F_OFD_SETLKW || cmd == F_OFD_GETLK;
    w->kind = ofd ? KIND_OFD : KIND_POSIX;
    w->owner = ofd ? (const void *)f : thread_current()->fds;
    w->pid = ofd ? -1 : process_current()->pid;
}

/* Would waiting for holder close a cycle? */
static bool deadlock(const void *waiter, const void *holder)
{
    for (unsigned i = 0; i < 100; i++) {
        struct wait_edge *e = edges;
        if (holder == waiter)
            return true;
        while (e && e->waiter != holder)
            e = e->next;
        if (!e)
            return false;
        holder = e->holder;
    }
    return false;
}

/* Sleep until something of inode was unlocked since blocker was seen. */
static int wait_unlock(struct inode *inode, const struct file_lock *w, const void *holder,
                       bool check)
{
    struct wait_edge edge = { .waiter = w->owner, .holder = holder };
    struct waiter waiter;
    if (check) {
        spin_lock(&wait_lock);
        bool cycle = deadlock(w->owner, holder);
        if (!cycle)
            LL_PREPEND(edges, &edge);
        spin_unlock(&wait_lock);
        if (cycle)
            return -EDEADLK;
    }
    waitq_add(&inode->lock_wait, &waiter);
    thread_prepare_sleep(SLEEP_INTERRUPTIBLE);
    spin_lock(&inode->lock_lock);
    bool blocked = find_conflict(inode, w);
    spin_unlock(&inode->lock_lock);
    int err = blocked ? thread_sleep(NO_DEADLINE) : 0;
    thread_finish_sleep();
    waitq_remove(&inode->lock_wait, &waiter);
    if (check) {
        spin_lock(&wait_lock);
        LL_DELETE(edges, &edge);
        spin_unlock(&wait_lock);
    }
    return err == -EINTR ? -ERESTARTSYS : err;
}

/* Put w in force: 1: conflict, *ret_holder. fresh and spare are used up as needed. */
static int try_lock(struct inode *inode, const struct file_lock *w, struct file_lock **fresh,
                    struct file_lock **spare, const void **ret_holder, bool *ret_check)
{
    spin_lock(&inode->lock_lock);
    struct file_lock *c = w->type == F_UNLCK ? NULL : find_conflict(inode, w);
    if (c) {
        *ret_holder = c->owner;
        *ret_check = w->kind == KIND_POSIX && c->kind == KIND_POSIX;
    } else {
        carve(inode, w, spare);
        if (w->type != F_UNLCK) {
            struct file_lock *l = *fresh;
            *fresh = NULL;
            *l = *w;
            LL_PREPEND(inode->locks, l);
            join(inode, l);
        }
    }
    spin_unlock(&inode->lock_lock);
    if (!c)
        waitq_wake(&inode->lock_wait, WAITQ_ALL, 0); /* a downgrade lets others in too */
    return c != NULL;
}

static int lock_apply(struct inode *inode, const struct file_lock *w, bool wait)
{
    struct file_lock *fresh = slab_alloc(&lock_slab), *spare = slab_alloc(&lock_slab);
    const void *holder;
    bool check;
    int err = fresh && spare ? 0 : -ENOLCK;
    while (!err && try_lock(inode, w, &fresh, &spare, &holder, &check))
        err = wait ? wait_unlock(inode, w, holder, check) : -EAGAIN;
    if (fresh)
        slab_free(&lock_slab, fresh);
    if (spare)
        slab_free(&lock_slab, spare);
    return err;
}

static int tell(struct file *f, const struct file_lock *w, bool wait)
{
    struct lock_range r = { w->type, w->start, w->end, w->pid };
    return f->ops->lock ? f->ops->lock(f, &r, wait) : 0;
}

/* Here first, and then with those who share the file. */
static int lock_file(struct file *f, struct file_lock *w, bool wait)
{
    int err = lock_apply(f->inode, w, wait);
    if (err || LIKELY(!f->ops->lock))
        return err;
    err = tell(f, w, wait);
    if (err && w->type != F_UNLCK) {
        w->type = F_UNLCK;
        (void)lock_apply(f->inode, w, false); /* unlocking has nothing to wait for */
    }
    return err;
}

int posix_lock_set(struct file *f, int fd, int cmd, const struct abi_flock *l)
{
    struct file_lock w = { .file = NULL };
    int err = lock_parse(f, l, &w);
    if (err)
        return err;
    if ((w.type == F_RDLCK && !f->can_read) || (w.type == F_WRLCK && !f->can_write))
        return -EBADF;
    if (cmd >= F_OFD_GETLK && l->l_pid != 0)
        return -EINVAL;
    lock_owner(f, cmd, &w);
    err = lock_file(f, &w, cmd == F_SETLKW || cmd == F_OFD_SETLKW);
    /* Another thread may have closed fd meanwhile, and found no lock to release. */
    if (!err && w.kind == KIND_POSIX && w.type != F_UNLCK) {
        struct fd_ref ref;
        bool still = fd_borrow_any(fd, &ref) == 0;
        bool same = still && ref.file == f;
        if (still)
            fd_return(&ref);
        if (!same) {
            w.type = F_UNLCK;
            (void)lock_file(f, &w, false); /* unlocking has nothing to wait for */
            err = -EBADF;
        }
    }
    return err;
}

int posix_lock_get(struct file *f, int cmd, struct abi_flock *l)
{
    struct file_lock w = { .file = NULL };
    int err = lock_parse(f, l, &w);
    if (err)
        return err;
    if (w.type == F_UNLCK)
        return -EINVAL;
    if (cmd == F_OFD_GETLK && l->l_pid != 0)
        return -EINVAL;
    lock_owner(f, cmd, &w);
    struct lock_range found = { w.type, w.start, w.end, w.pid };
    spin_lock(&f->inode->lock_lock);
    struct file_lock *c = find_conflict(f->inode, &w);
    if (c) {
        found = (struct lock_range){ c->type, c->start, c->end, c->pid };
    }
    spin_unlock(&f->inode->lock_lock);
    if (!c && f->ops->getlock)
        err = f->ops->getlock(f, &found);
    else if (!c)
        found.type = F_UNLCK;
    if (err)
        return err;
    l->l_type = found.type;
    if (found.type == F_UNLCK)
        return 0;
    l->l_whence = SEEK_SET;
    l->l_start = (int64_t)found.start;
    l->l_len = found.end == INT64_MAX ? 0 : (int64_t)(found.end - found.start + 1);
    l->l_pid = found.pid;
    return 0;
}

int flock_set(struct file *f, unsigned op)
{
    struct file_lock w = {
        .kind = KIND_FLOCK, .owner = f, .end = INT64_MAX, .pid = process_current()->pid
    };
    switch (op & ~(unsigned)LOCK_NB) {
    case LOCK_SH:
        w.type = F_RDLCK;
        break;
    case LOCK_EX:
        w.type = F_WRLCK;
        break;
    case LOCK_UN:
        w.type = F_UNLCK;
        break;
    default:
        return -EINVAL;
    }
    /* Changing the type lets go of the old lock first: not atomic, as flock(2) says. */
    spin_lock(&f->inode->lock_lock);
    struct file_lock *l;
    LL_FOREACH(f->inode->locks, l)
    if (mine(l, &w))
        break;
    bool change = l && l->type != w.type && w.type != F_UNLCK;
    spin_unlock(&f->inode->lock_lock);
    if (change) {
        struct file_lock un = w;
        un.type = F_UNLCK;
        (void)lock_file(f, &un, false); /* unlocking has nothing to wait for */
    }
    return lock_file(f, &w, !(op & LOCK_NB));
}

/* Free the locks of inode that match kind (bit mask) and owner. True: there were some. */
static bool drop(struct inode *inode, unsigned kinds, const void *owner)
{
    struct file_lock *l, *next;
    bool any = false;
    spin_lock(&inode->lock_lock);
    LL_FOREACH_SAFE(inode->locks, l, next)
    {
        if (l->owner != owner || !(kinds >> l->kind & 1))
            continue;
        LL_DELETE(inode->locks, l);
        slab_free(&lock_slab, l);
        any = true;
    }
    spin_unlock(&inode->lock_lock);
    if (any)
        waitq_wake(&inode->lock_wait, WAITQ_ALL, 0);
    return any;
}

/* Likewise of all of f's inode, and those who share the file hear it. */
static void drop_file(struct file *f, unsigned kinds, const void *owner, int pid)
{
    struct file_lock w = { .type = F_UNLCK, .end = INT64_MAX, .pid = pid };
    if (drop(f->inode, kinds, owner))
        (void)tell(f, &w, false); /* nobody is left to be told of an error */
}

void flock_close(struct file *f, struct fd_table *t)
{
    drop_file(f, 1u << KIND_POSIX, t, process_current()->pid);
}

void flock_release(struct file *f)
{
    drop_file(f, 1u << KIND_FLOCK | 1u << KIND_OFD | 1u << KIND_LEASE, f, -1);
}

/* Leases. */

int lease_get(struct file *f)
{
    int type = F_UNLCK;
    struct file_lock *l;
    spin_lock(&f->inode->lock_lock);
    LL_FOREACH(f->inode->locks, l)
    if (l->kind == KIND_LEASE && l->owner == f)
        type = l->type;
    spin_unlock(&f->inode->lock_lock);
    return type;
}

/* May f have a lease of this type now? -EAGAIN. */
static int lease_allowed(struct file *f, short type)
{
    struct inode *inode = f->inode;
    struct file_lock *l;
    if (type == F_RDLCK && inode->writers > 0)
        return -EAGAIN;
    if (type == F_WRLCK &&
        (f->path.dentry->refs > 2u + (f->path.dentry->sb->pinned && !f->path.dentry->unlinked) ||
         inode->writers > (f->can_write ? 1 : 0)))
        return -EAGAIN;
    LL_FOREACH(inode->locks, l)
    if (l->kind == KIND_LEASE && l->owner != f && (type == F_WRLCK || l->type == F_WRLCK))
        return -EAGAIN;
    return 0;
}

int lease_set(struct file *f, int fd, long arg)
{
    struct inode *inode = f->inode;
    if (arg != F_RDLCK && arg != F_WRLCK && arg != F_UNLCK)
        return -EINVAL;
    if (vfs_cred()->fsuid != inode->uid && !vfs_capable(CAP_LEASE))
        return -EACCES;
    if (!S_ISREG(inode->mode))
        return -EINVAL;
    if (arg == F_UNLCK) {
        if (lease_get(f) == F_UNLCK)
            return -EAGAIN;
        drop(inode, 1u << KIND_LEASE, f);
        return 0;
    }
    if (arg == F_RDLCK && f->can_write)
        return -EAGAIN;
    struct file_lock *fresh = slab_alloc(&lock_slab);
    if (!fresh)
        return -ENOMEM;
    *fresh = (struct file_lock){ .kind = KIND_LEASE,
                                 .owner = f,
                                 .type = (short)arg,
                                 .end = INT64_MAX,
                                 .file = f,
                                 .fd = fd,
                                 .pid = process_current()->pid };
    spin_lock(&inode->lock_lock);
    int err = lease_allowed(f, fresh->type);
    struct file_lock *l, *old = NULL;
    LL_FOREACH(inode->locks, l)
    if (l->kind == KIND_LEASE && l->owner == f)
        old = l;
    if (!err && old) {
        old->type = fresh->type;
        old->breaking = false;
    } else if (!err) {
        LL_PREPEND(inode->locks, fresh);
        fresh = NULL;
    }
    spin_unlock(&inode->lock_lock);
    if (fresh)
        slab_free(&lock_slab, fresh);
    if (!err && (err = file_set_owner_first(f, F_OWNER_PID, process_current()->pid)))
        drop(inode, 1u << KIND_LEASE, f);
    if (!err)
        waitq_wake(&inode->lock_wait, WAITQ_ALL, 0);
    return err;
}

/* Tell one holder in the way that has not been told; 0: nobody is in the way, 1: somebody is. */
static int lease_tell(struct inode *inode, bool write, uint64_t now, uint64_t deadline)
{
    struct file_lock *l, *next;
    int found = 0;
    spin_lock(&inode->lock_lock);
    LL_FOREACH_SAFE(inode->locks, l, next)
    {
        if (l->kind != KIND_LEASE || !(write || l->type == F_WRLCK))
            continue;
        if (now >= deadline) { /* the holder had its time */
            LL_DELETE(inode->locks, l);
            slab_free(&lock_slab, l);
            continue;
        }
        found = 1;
        if (!l->breaking) {
            l->breaking = true;
            file_owner_tell(l->file, POLL_MSG, l->fd);
        }
    }
    spin_unlock(&inode->lock_lock);
    return found;
}

int lease_break(struct inode *inode, unsigned flags)
{
    if (LIKELY(!inode->locks))
        return 0;
    bool write = (flags & O_ACCMODE) != O_RDONLY || flags & O_TRUNC;
    uint64_t deadline = plat_time_ns() + LEASE_BREAK_SECONDS * NS_PER_SEC;
    int err = 0;
    while (!err && lease_tell(inode, write, plat_time_ns(), deadline)) {
        if (flags & O_NONBLOCK)
            return -EWOULDBLOCK;
        struct waiter w;
        waitq_add(&inode->lock_wait, &w);
        thread_prepare_sleep(SLEEP_INTERRUPTIBLE);
        if (lease_tell(inode, write, plat_time_ns(), deadline))
            err = thread_sleep(deadline);
        thread_finish_sleep();
        waitq_remove(&inode->lock_wait, &w);
        if (err == -EINTR)
            return -ERESTARTSYS;
        err = 0; /* time is up: the next look removes what is left */
    }
    return 0;
}
