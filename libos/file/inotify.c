/* SPDX-License-Identifier: MIT */
/* inotify(7). A watch hangs on its inode and on its instance and holds neither: when either goes, the watch does. One spin
 * lock guards all lists and queues; nobody takes it while no watch exists. */
#include <libos/inotify.h>

#include "vfs_int.h"

#include <abi/errno.h>
#include <abi/fcntl.h>
#include <abi/poll.h>
#include <abi/termios.h>
#include <libos/heap.h>
#include <libos/poll.h>
#include <libos/user.h>
#include <string.h>
#include <utlist.h>

enum { QUEUE_MAX = 16384, WATCHES_MAX = 8192 };

struct event {
    struct event *next, *prev;
    struct abi_inotify_event e;
    char name[]; /* e.len bytes, zero-padded */
};

struct watch {
    struct watch *next_of_inode, *next_of_instance;
    struct inode *inode;
    struct instance *instance;
    int wd;
    uint32_t mask;
};

struct instance {
    struct event *events; /* utlist DL */
    unsigned queued, nwatches;
    struct watch *watches;
    int next_wd;
    struct waitq waitq;
};

static struct spin lock = SPIN_INIT(RANK_FILE); /* guards everything above, and inode->watches */
_Atomic uint32_t inotify_watch_count;
static _Atomic uint32_t cookie;

static bool same_event(const struct event *a, const struct event *b)
{
    return a->e.wd == b->e.wd && a->e.mask == b->e.mask && a->e.cookie == b->e.cookie &&
           a->e.len == b->e.len && memcmp(a->name, b->name, a->e.len) == 0;
}

/* Of what it is told; not terminated. */
struct told_name {
    const char *text;
    size_t len;
};

/* Queue an event; one that repeats the last is dropped, one too many becomes IN_Q_OVERFLOW. lock is held. */
static void queue(struct instance *in, int wd, uint32_t mask, uint32_t event_cookie,
                  const struct told_name *name)
{
    size_t len = name ? align_up(name->len + 1, sizeof(struct abi_inotify_event)) : 0;
    if (in->queued == QUEUE_MAX)
        return;
    if (in->queued == QUEUE_MAX - 1) {
        wd = -1;
        mask = IN_Q_OVERFLOW;
        event_cookie = 0;
        len = 0;
    }
    struct event *e = heap_zalloc(sizeof(*e) + len);
    if (!e)
        return; /* as lost as in an overflow, and no memory to say so */
    e->e = (struct abi_inotify_event){
        .wd = wd, .mask = mask, .cookie = event_cookie, .len = (uint32_t)len
    };
    if (len)
        memcpy(e->name, name->text, name->len);
    if (in->events && same_event(in->events->prev, e)) {
        heap_free(e);
        return;
    }
    DL_APPEND(in->events, e);
    in->queued++;
    waitq_wake(&in->waitq, 1, EPOLLIN);
}

/* End a watch; lock is held. */
static void watch_end(struct watch *w, bool tell)
{
    struct watch *first = w->inode->watches;
    LL_DELETE2(first, w, next_of_inode);
    w->inode->watches = first;
    LL_DELETE2(w->instance->watches, w, next_of_instance);
    w->instance->nwatches--;
    if (tell)
        queue(w->instance, w->wd, IN_IGNORED, 0, NULL);
    heap_free(w);
    atomic_fetch_sub_explicit(&inotify_watch_count, 1, memory_order_relaxed);
}

static void tell(struct inode *inode, uint32_t mask, uint32_t event_cookie,
                 const struct told_name *name, bool unlinked)
{
    struct watch *w, *next;
    if (UNLIKELY(dnotify_count))
        dnotify_tell(inode, mask);
    spin_lock(&lock);
    for (w = inode->watches; w; w = next) {
        next = w->next_of_inode;
        if (!(w->mask & mask & IN_ALL_EVENTS) || (name && unlinked && w->mask & IN_EXCL_UNLINK))
            continue;
        queue(w->instance, w->wd, mask, event_cookie, name);
        if (w->mask & IN_ONESHOT)
            watch_end(w, true);
    }
    spin_unlock(&lock);
}

/* Does anybody want to hear of this inode? */
static bool watched(const struct inode *inode)
{
    return inode->watches || UNLIKELY(dnotify_count);
}

/* IN_UNMOUNT comes whether it was asked for or not. */
static void tell_unmount(struct inode *inode)
{
    spin_lock(&lock);
    for (struct watch *w = inode->watches; w; w = w->next_of_inode)
        queue(w->instance, w->wd, IN_UNMOUNT, 0, NULL);
    spin_unlock(&lock);
}

static bool nobody(void)
{
    return LIKELY(atomic_load_explicit(&inotify_watch_count, memory_order_relaxed) == 0);
}

void inotify_event_slow(struct dentry *d, uint32_t mask)
{
    if (nobody())
        return;
    if (S_ISDIR(d->inode->mode))
        mask |= IN_ISDIR;
    char text[ABI_NAME_MAX];
    struct told_name name = { text, 0 };
    spin_lock(&d->lock); /* the name stays, and is one in this parent */
    struct dentry *parent = d->parent;
    dentry_get(parent);
    bool tells = parent != d && watched(parent->inode);
    if (tells) {
        name.len = d->len;
        memcpy(text, d->name, name.len);
    }
    spin_unlock(&d->lock);
    if (tells)
        tell(parent->inode, mask, 0, &name, d->unlinked);
    dentry_put(parent);
    if (watched(d->inode))
        tell(d->inode, mask, 0, NULL, false);
}

void inotify_inode_event(struct inode *inode, uint32_t mask)
{
    if (!nobody() && watched(inode))
        tell(inode, mask, 0, NULL, false);
}

void inotify_name_event(struct dentry *dir, const struct last_name *name, uint32_t mask,
                        uint32_t event_cookie)
{
    const struct told_name told = { name->name, name->len };
    if (!nobody() && watched(dir->inode))
        tell(dir->inode, mask, event_cookie, &told, false);
}

uint32_t inotify_cookie(void)
{
    return nobody() ? 0 : atomic_fetch_add_explicit(&cookie, 1, memory_order_relaxed) + 1;
}

void inotify_inode_gone(struct inode *inode)
{
    if (inode->sb->ending)
        tell_unmount(inode);
    else if (inode->nlink == 0)
        tell(inode, IN_DELETE_SELF, 0, NULL, false);
    spin_lock(&lock);
    while (inode->watches)
        watch_end(inode->watches, true);
    spin_unlock(&lock);
}

/* The first event if it fits into size bytes; 0: none, -EINVAL: it does not. */
static int take_event(struct instance *in, size_t size, struct event **ret)
{
    spin_lock(&lock);
    struct event *e = in->events;
    int found = e ? 1 : 0;
    if (e && sizeof(e->e) + e->e.len > size) {
        found = -EINVAL;
    } else if (e) {
        DL_DELETE(in->events, e);
        in->queued--;
        *ret = e;
    }
    spin_unlock(&lock);
    return found;
}

static ssize_type inotify_read(struct file *f, struct iter *it, uint64_t *pos)
{
    struct instance *in = f->data;
    struct event *e;
    ssize_type total = 0;
    (void)pos;
    for (;;) {
        int found = take_event(in, it->left, &e);
        if (found > 0) {
            size_t want = sizeof(e->e) + e->e.len, n = iter_put(it, &e->e, want);
            heap_free(e);
            if (n < want)
                return total ? total : -EFAULT;
            total += (ssize_type)n;
            continue;
        }
        if (total)
            return total;
        if (found < 0)
            return found;
        if (f->flags & O_NONBLOCK)
            return -EAGAIN;
        if (WAIT_EVENT(&in->waitq, SLEEP_INTERRUPTIBLE, NO_DEADLINE, in->events))
            return -ERESTARTSYS;
    }
}

static unsigned inotify_poll(struct file *f, struct poll_table *pt)
{
    struct instance *in = f->data;
    poll_wait(pt, &in->waitq);
    return in->events ? EPOLLIN | EPOLLRDNORM : 0;
}

static long inotify_ioctl(struct file *f, unsigned cmd, unsigned long arg)
{
    struct instance *in = f->data;
    const struct event *e;
    int n = 0;
    if (cmd != FIONREAD)
        return -ENOTTY;
    spin_lock(&lock);
    DL_FOREACH(in->events, e)
    n += (int)(sizeof(e->e) + e->e.len);
    spin_unlock(&lock);
    return user_put(user_at(user_int_out_t, arg), &n, 1);
}

static void inotify_release(struct file *f)
{
    struct instance *in = f->data;
    struct event *e, *next;
    spin_lock(&lock);
    while (in->watches)
        watch_end(in->watches, false);
    spin_unlock(&lock);
    DL_FOREACH_SAFE(in->events, e, next)
    heap_free(e);
    heap_free(in);
}

static const struct file_ops inotify_fops = {
    .read = inotify_read,
    .poll = inotify_poll,
    .ioctl = inotify_ioctl,
    .async = file_async_plain,
    .release = inotify_release,
};

int inotify_create(unsigned flags, struct file **ret_file)
{
    struct instance *in = heap_zalloc(sizeof(*in));
    if (!in)
        return -ENOMEM;
    waitq_init(&in->waitq);
    in->next_wd = 1;
    int err = file_create_anon(&inotify_fops, "anon_inode:inotify",
                               (flags & IN_NONBLOCK ? O_NONBLOCK : 0) | O_RDONLY, in, ret_file);
    if (err)
        heap_free(in);
    return err;
}

/* Change the watch that there is; its number, 0: there is none. lock is held. */
static int watch_change(struct instance *in, struct inode *inode, uint32_t mask)
{
    struct watch *w = inode->watches;
    while (w && w->instance != in)
        w = w->next_of_inode;
    if (!w)
        return 0;
    if (mask & IN_MASK_CREATE)
        return -EEXIST;
    uint32_t keep = IN_ALL_EVENTS | IN_ONESHOT | IN_EXCL_UNLINK;
    w->mask = (mask & IN_MASK_ADD ? w->mask : 0) | (mask & keep);
    return w->wd;
}

int inotify_add(struct file *f, const struct path *path, uint32_t mask)
{
    if (f->ops != &inotify_fops)
        return -EINVAL;
    struct instance *in = f->data;
    struct inode *inode = path->dentry->inode;
    struct watch *w = heap_zalloc(sizeof(*w));
    if (!w)
        return -ENOMEM;
    spin_lock(&lock);
    int wd = watch_change(in, inode, mask);
    if (wd == 0 && in->nwatches >= WATCHES_MAX)
        wd = -ENOSPC;
    if (wd == 0) {
        wd = in->next_wd++;
        *w = (struct watch){ inode->watches,
                             in->watches,
                             inode,
                             in,
                             wd,
                             mask & (IN_ALL_EVENTS | IN_ONESHOT | IN_EXCL_UNLINK) };
        inode->watches = in->watches = w;
        in->nwatches++;
        atomic_fetch_add_explicit(&inotify_watch_count, 1, memory_order_relaxed);
        w = NULL;
    }
    spin_unlock(&lock);
    heap_free(w);
    return wd;
}

int inotify_remove(struct file *f, int wd)
{
    if (f->ops != &inotify_fops)
        return -EINVAL;
    struct instance *in = f->data;
    spin_lock(&lock);
    struct watch *w = in->watches;
    while (w && w->wd != wd)
        w = w->next_of_instance;
    if (w)
        watch_end(w, true);
    spin_unlock(&lock);
    return w ? 0 : -EINVAL;
}
