/* SPDX-License-Identifier: MIT */
/* epoll. An instance has items (file and descriptor), each with an entry on every wait queue that the file names; a wake
 * puts the item on the ready list, and only items on that list are looked at by epoll_wait: its cost does not depend on
 * how many are watched.
 *
 * Locks: ep->lock (a mutex) guards the items and is held while ready ones are polled. ep->ready_lock (spin) guards the
 * ready list; wakes take it inside the wait queue's lock. A file's list of items is guarded by a spin lock chosen by
 * the file. An item is taken off its wait queues before it leaves the file's list, so a file whose list is empty is not
 * used by any instance. Instances that watch others: ranks follow the level (how deep the instances below go), which
 * only grows. epoll(7). */
#include <abi/errno.h>
#include <abi/fcntl.h>
#include <base/log.h>
#include <libos/epoll.h>
#include <libos/file.h>
#include <libos/heap.h>
#include <libos/poll.h>
#include <libos/thread.h>
#include <stdio.h>
#include <string.h>
#include <sys/tree.h>
#include <utlist.h>

enum {
    LEVEL_MAX = 5,      /* instances below an instance */
    NEST_VISITS = 1000, /* paths upwards that a nested instance may have */
    LINK_LOCKS = 64,
    ALWAYS = EPOLLERR | EPOLLHUP,
    EXCLUSIVE_WITH = EPOLLIN | EPOLLOUT | EPOLLERR | EPOLLHUP,
};
#define MODE_BITS (EPOLLEXCLUSIVE | EPOLLWAKEUP | EPOLLONESHOT | EPOLLET)

/* One entry of an item on one wait queue. */
struct epoll_entry {
    struct waiter waiter;
    struct waitq *queue;
    struct epoll_entry *next;
};

struct epoll_item {
    RB_ENTRY(epoll_item) node;
    struct epoll *ep;
    struct file *file; /* not counted: epoll_forget_file */
    int fd;
    uint32_t events; /* interest and mode; written under ep->lock, read by wakes */
    uint64_t data;
    struct epoll_item *file_next,
        *file_prev; /* file->epoll_items; guarded by the file's link lock */
    struct epoll_item *ready_next,
        *ready_prev;                 /* ep->ready; guarded by ep->ready_lock, as is the next one */
    bool ready;                      /* on ep->ready */
    bool woken;                      /* since it was last looked at: it stays there */
    struct epoll_entry first, *more; /* first.queue NULL: none */
};

RB_HEAD(epoll_items, epoll_item);

struct epoll {
    _Atomic uint32_t refs;
    struct mutex lock;
    struct epoll_items items; /* guarded by lock */
    struct file *file;        /* this instance's own, borrowed */
    uint32_t level;           /* guarded by nest_lock */
    struct spin ready_lock;
    struct epoll_item *ready; /* guarded by ready_lock */
    struct waitq wait;        /* who waits for this instance: epoll_wait, poll, other instances */
};

static struct slab items = SLAB_INIT("epoll_item", struct epoll_item);
static struct spin link_locks[LINK_LOCKS] = { [0 ... LINK_LOCKS - 1] = SPIN_INIT(RANK_EPOLL_LINK) };
/* One change of nesting at a time. Its holder walks upwards under link_locks[0], the lock of all epoll files. */
static struct mutex nest_lock = { .rw = { .lock = SPIN_INIT(RANK_WAITQ),
                                          .rank = RANK_EPOLL_NEST } };

static const struct file_ops epoll_ops;

static int item_compare(struct epoll_item *a, struct epoll_item *b)
{
    if (a->file != b->file)
        return (uintptr_t)a->file < (uintptr_t)b->file ? -1 : 1;
    return a->fd < b->fd ? -1 : a->fd > b->fd;
}

RB_GENERATE_STATIC(epoll_items, epoll_item, node, item_compare)

static struct epoll *epoll_of(struct file *f)
{
    return f->ops == &epoll_ops ? f->data : NULL;
}

static struct spin *link_lock(const struct file *f)
{
    return &link_locks[f->ops == &epoll_ops ? 0 : 1 + ((uintptr_t)f >> 7) % (LINK_LOCKS - 1)];
}

static void epoll_set_level(struct epoll *ep, unsigned level)
{
    ep->level = level;
    ep->lock.rw.rank = RANK_EPOLL_ITEMS + LEVEL_MAX - level;
    ep->ready_lock.rank = RANK_EPOLL_READY + 2 * level;
    ep->wait.lock.rank = RANK_EPOLL_READY + 2 * level + 1;
}

static void epoll_put(struct epoll *ep)
{
    if (atomic_fetch_sub(&ep->refs, 1) == 1)
        heap_free(ep);
}

static bool epoll_any_ready(const struct epoll *ep)
{
    return *(struct epoll_item *const volatile *)&ep->ready != NULL;
}

/* Put item on the ready list and wake one who waits. True if there was somebody. */
static bool item_set_ready(struct epoll_item *item)
{
    struct epoll *ep = item->ep;
    spin_lock(&ep->ready_lock);
    item->woken = true;
    if (!item->ready) {
        DL_APPEND2(ep->ready, item, ready_prev, ready_next);
        item->ready = true;
    }
    spin_unlock(&ep->ready_lock);
    if (!waitq_active(&ep->wait))
        return false;
    waitq_wake(&ep->wait, 1, EPOLLIN | EPOLLRDNORM);
    return true;
}

/* A queue of the item's file was woken. Runs under that queue's lock, from interrupts too. */
static bool item_wake(struct waiter *w, unsigned events)
{
    struct epoll_item *item = w->arg;
    uint32_t want = *(volatile uint32_t *)&item->events;
    if (!(want & ~MODE_BITS) || (events && !(events & want)))
        return false;
    return item_set_ready(item);
}

/* Collects the queues of one item. */
struct item_table {
    struct poll_table table;
    struct epoll_item *item;
    bool failed;
};

static void item_add_queue(struct poll_table *pt, struct waitq *q)
{
    struct item_table *t = CONTAINER_OF(pt, struct item_table, table);
    struct epoll_item *item = t->item;
    struct epoll_entry *e = &item->first;
    if (e->queue) {
        e = heap_zalloc(sizeof(*e));
        if (!e) {
            t->failed = true;
            return;
        }
        e->next = item->more;
        item->more = e;
    }
    e->queue = q;
    e->waiter = (struct waiter){ .wake = item_wake,
                                 .arg = item,
                                 .exclusive = item->events & EPOLLEXCLUSIVE };
    waitq_add_entry(q, &e->waiter);
}

static void item_leave_queues(struct epoll_item *item)
{
    if (item->first.queue)
        waitq_remove(item->first.queue, &item->first.waiter);
    while (item->more) {
        struct epoll_entry *e = item->more;
        item->more = e->next;
        waitq_remove(e->queue, &e->waiter);
        heap_free(e);
    }
}

/* Take item away and free it. Locks: ep->lock held. */
static void item_remove(struct epoll_item *item)
{
    struct epoll *ep = item->ep;
    struct file *f = item->file;
    struct spin *lock = link_lock(f);
    item_leave_queues(item);
    RB_REMOVE(epoll_items, &ep->items, item);
    spin_lock(&ep->ready_lock);
    if (item->ready)
        DL_DELETE2(ep->ready, item, ready_prev, ready_next);
    spin_unlock(&ep->ready_lock);
    spin_lock(lock);
    DL_DELETE2(f->epoll_items, item, file_prev, file_next); /* from here on f may be gone */
    spin_unlock(lock);
    slab_free(&items, item);
}

static unsigned item_poll(struct epoll_item *item, struct poll_table *pt)
{
    return item->file->ops->poll(item->file, pt) & item->events;
}

/* How far the instances go that watch ep, directly or not; below: levels of the instance to be put under ep. Raises
 * their levels when set is true. -ELOOP: target is among them, or it gets too deep; -EINVAL: too many paths.
 * Locks: nest_lock and link_locks[0] held. */
static int nest_walk(struct epoll *ep, const struct epoll *target, unsigned level, int *visits,
                     bool set)
{
    if (ep == target || level > LEVEL_MAX)
        return -ELOOP;
    if (--*visits < 0)
        return -EINVAL;
    if (set && ep->level < level)
        epoll_set_level(ep, level);
    struct epoll_item *item;
    DL_FOREACH2(ep->file->epoll_items, item, file_next)
    {
        int err = nest_walk(item->ep, target, level + 1, visits, set);
        if (err)
            return err;
    }
    return 0;
}

/* Let ep watch the instance target: no circle, not too deep. */
static int nest_check(struct epoll *ep, struct epoll *target)
{
    int visits = NEST_VISITS;
    spin_lock(&link_locks[0]);
    int err = nest_walk(ep, target, target->level + 1, &visits, false);
    if (!err) {
        visits = NEST_VISITS;
        (void)nest_walk(ep, target, target->level + 1, &visits,
                        true); /* the same walk succeeded just now */
    }
    spin_unlock(&link_locks[0]);
    return err;
}

static struct epoll_item *item_find(struct epoll *ep, struct file *f, int fd)
{
    struct epoll_item key;
    key.file = f;
    key.fd = fd;
    return RB_FIND(epoll_items, &ep->items, &key);
}

/* Locks: ep->lock held. */
static int item_add(struct epoll *ep, int fd, struct file *f, const struct abi_epoll_event *event)
{
    if (item_find(ep, f, fd))
        return -EEXIST;
    struct epoll_item *item = slab_alloc(&items);
    if (!item)
        return -ENOMEM;
    memset(item, 0, sizeof(*item));
    item->ep = ep;
    item->file = f;
    item->fd = fd;
    item->events = event->events;
    item->data = event->data;
    RB_INSERT(epoll_items, &ep->items, item);
    spin_lock(link_lock(f));
    DL_APPEND2(f->epoll_items, item, file_prev, file_next);
    spin_unlock(link_lock(f));
    struct item_table t = { .table.add = item_add_queue, .item = item };
    unsigned now = item_poll(item, &t.table);
    if (t.failed) {
        item_remove(item);
        return -ENOMEM;
    }
    if (now)
        item_set_ready(item);
    return 0;
}

/* Locks: ep->lock held. */
static int item_modify(struct epoll_item *item, const struct abi_epoll_event *event)
{
    if (item->events & EPOLLEXCLUSIVE)
        return -EINVAL;
    item->data = event->data;
    /* Sequentially consistent: a wake from here on sees the new interest, or the poll below sees what it told. */
    __atomic_store_n(&item->events, event->events, __ATOMIC_SEQ_CST);
    if (item_poll(item, NULL))
        item_set_ready(item);
    return 0;
}

static int epoll_check_event(int op, struct file *f, struct abi_epoll_event *event)
{
    event->events &= ~EPOLLWAKEUP;
    if (event->events & EPOLLEXCLUSIVE) {
        if (op == EPOLL_CTL_MOD || f->ops == &epoll_ops)
            return -EINVAL;
        if (event->events & ~(EXCLUSIVE_WITH | EPOLLET | EPOLLEXCLUSIVE))
            return -EINVAL;
    }
    event->events |= ALWAYS;
    return 0;
}

static int epoll_apply(struct epoll *ep, int op, int fd, struct file *f,
                       const struct abi_epoll_event *event)
{
    struct epoll_item *item;
    int err = 0;
    mutex_lock(&ep->lock);
    if (op == EPOLL_CTL_ADD) {
        err = item_add(ep, fd, f, event);
    } else if (!(item = item_find(ep, f, fd))) {
        err = -ENOENT;
    } else if (op == EPOLL_CTL_MOD) {
        err = item_modify(item, event);
    } else {
        item_remove(item);
    }
    mutex_unlock(&ep->lock);
    return err;
}

int epoll_control(struct file *epoll, int op, int fd, struct file *f,
                  const struct abi_epoll_event *event)
{
    struct abi_epoll_event e = { 0 };
    struct epoll *ep = epoll_of(epoll);
    if (!f->ops || !f->ops->poll)
        return -EPERM;
    if (f == epoll || !ep)
        return -EINVAL;
    if (op == EPOLL_CTL_ADD || op == EPOLL_CTL_MOD) {
        e = *event;
        int err = epoll_check_event(op, f, &e);
        if (err)
            return err;
    } else if (op != EPOLL_CTL_DEL) {
        return -EINVAL;
    }
    if (op != EPOLL_CTL_ADD || f->ops != &epoll_ops)
        return epoll_apply(ep, op, fd, f, &e);
    mutex_lock(&nest_lock);
    int err = nest_check(ep, f->data);
    if (!err)
        err = epoll_apply(ep, op, fd, f, &e);
    mutex_unlock(&nest_lock);
    return err;
}

/* Ask an item on the ready list what it is ready for. A wake from here on leaves it there. */
static unsigned epoll_ask(struct epoll_item *item)
{
    /* A full barrier: either the wake's mark stays, or the poll sees what the wake was about. */
    (void)__atomic_exchange_n(&item->woken, false, __ATOMIC_SEQ_CST);
    return item_poll(item, NULL);
}

/* After item was looked at: take it off the ready list unless it stays ready or was woken again, and find the next one. What
 * stays goes to the end, so that all get their turn. */
static struct epoll_item *epoll_next(struct epoll *ep, struct epoll_item *item, bool stay)
{
    spin_lock(&ep->ready_lock);
    struct epoll_item *next = item->ready_next;
    DL_DELETE2(ep->ready, item, ready_prev, ready_next);
    item->ready = stay || item->woken;
    if (item->ready)
        DL_APPEND2(ep->ready, item, ready_prev, ready_next);
    spin_unlock(&ep->ready_lock);
    return next;
}

/* One pass over what is on the ready list now; what is added meanwhile is for the next call. */
static int epoll_collect(struct epoll *ep,
                         int (*put)(void *arg, int i, const struct abi_epoll_event *e), void *arg,
                         int max)
{
    int n = 0;
    mutex_lock(&ep->lock);
    spin_lock(&ep->ready_lock);
    struct epoll_item *item = ep->ready, *last = item ? item->ready_prev : NULL;
    spin_unlock(&ep->ready_lock);
    while (n < max && item) {
        unsigned now = epoll_ask(item);
        bool again = false;
        if (now) {
            int err = put(arg, n, &(struct abi_epoll_event){ .events = now, .data = item->data });
            if (err) {
                n = n ? n : err;
                break;
            }
            n++;
            again = !(item->events & (EPOLLONESHOT | EPOLLET));
            if (!again && item->events & EPOLLONESHOT)
                item->events &= MODE_BITS;
        }
        if (again && !*(struct epoll_item *volatile *)&item->ready_next && ep->ready == item)
            break; /* alone: it is at the end already */
        struct epoll_item *next = epoll_next(ep, item, again);
        item = item == last ? NULL : next;
    }
    mutex_unlock(&ep->lock);
    /* As waitq_active; the unlocking, which exchanges atomically, was the barrier. */
    if (UNLIKELY(*(struct waiter *const volatile *)&ep->wait.head != NULL) && epoll_any_ready(ep))
        waitq_wake(&ep->wait, 1, EPOLLIN | EPOLLRDNORM);
    return n;
}

static int epoll_sleep(struct epoll *ep, uint64_t deadline_ns)
{
    struct waiter w;
    int err = 0;
    waitq_add_exclusive(&ep->wait, &w);
    while (thread_prepare_sleep(SLEEP_INTERRUPTIBLE),
           !epoll_any_ready(ep) && !(err = thread_sleep(deadline_ns)))
        ;
    thread_finish_sleep();
    waitq_remove(&ep->wait, &w);
    return err;
}

int epoll_harvest(struct file *epoll, int (*put)(void *arg, int i, const struct abi_epoll_event *e),
                  void *arg, int max, uint64_t deadline_ns)
{
    struct epoll *ep = epoll->data;
    if (UNLIKELY(epoll->ops != &epoll_ops))
        return -EINVAL;
    for (;;) {
        if (epoll_any_ready(ep)) {
            int n = epoll_collect(ep, put, arg, max);
            if (n)
                return n;
        }
        if (!deadline_ns)
            return 0;
        int err = epoll_sleep(ep, deadline_ns);
        if (err == -ETIMEDOUT)
            deadline_ns = 0; /* look once more */
        else if (err)
            return err;
    }
}

/* An instance is readable when an item on its ready list really is ready. */
static unsigned epoll_poll(struct file *f, struct poll_table *pt)
{
    struct epoll *ep = f->data;
    struct epoll_item *item;
    poll_wait(pt, &ep->wait);
    if (!epoll_any_ready(ep))
        return 0;
    mutex_lock(&ep->lock);
    while ((item = ep->ready) && !epoll_ask(item))
        epoll_next(ep, item, false);
    mutex_unlock(&ep->lock);
    return item ? EPOLLIN | EPOLLRDNORM : 0;
}

static void epoll_release(struct file *f)
{
    struct epoll *ep = f->data;
    mutex_lock(&ep->lock);
    struct epoll_item *item;
    while ((item = RB_MIN(epoll_items, &ep->items)))
        item_remove(item);
    mutex_unlock(&ep->lock);
    epoll_put(ep);
}

static void epoll_fdinfo(struct file *f, char *buf, size_t size)
{
    struct epoll *ep = f->data;
    struct epoll_item *item;
    size_t len = 0;
    buf[0] = '\0';
    mutex_lock(&ep->lock);
    RB_FOREACH(item, epoll_items, &ep->items)
    {
        const struct inode *inode = item->file->inode;
        int n = snprintf(buf + len, size - len,
                         "tfd: %8d events: %8x data: %16llx  pos:%lli ino:%llx sdev:%x\n", item->fd,
                         (unsigned)item->events, (unsigned long long)item->data,
                         (long long)item->file->pos, (unsigned long long)(inode ? inode->ino : 0),
                         inode && inode->sb ? (unsigned)inode->sb->dev : 0);
        if (n < 0 || (size_t)n >= size - len) {
            buf[len] = '\0'; /* whole lines only */
            break;
        }
        len += (size_t)n;
    }
    mutex_unlock(&ep->lock);
}

static const struct file_ops epoll_ops = {
    .seek = file_seek_nowhere, .poll = epoll_poll, .release = epoll_release, .fdinfo = epoll_fdinfo
};

int epoll_create_file(struct file **ret_file)
{
    struct epoll *ep = heap_zalloc(sizeof(*ep));
    if (!ep)
        return -ENOMEM;
    ep->refs = 1;
    RB_INIT(&ep->items);
    mutex_init(&ep->lock, RANK_EPOLL_ITEMS);
    spin_init(&ep->ready_lock, RANK_EPOLL_READY);
    waitq_init(&ep->wait);
    epoll_set_level(ep, 0);
    int err = file_create_anon(&epoll_ops, "[eventpoll]", O_RDWR, ep, ret_file);
    if (err)
        heap_free(ep);
    else
        ep->file = *ret_file;
    return err;
}

void epoll_forget_file(struct file *f)
{
    for (;;) {
        spin_lock(link_lock(f));
        struct epoll_item *item = f->epoll_items;
        struct epoll *ep = item ? item->ep : NULL;
        if (ep)
            ep->refs++;
        spin_unlock(link_lock(f));
        if (!ep)
            return;
        mutex_lock(&ep->lock);
        /* The item found may have gone meanwhile; another of the same instance will do as well. */
        spin_lock(link_lock(f));
        DL_FOREACH2(f->epoll_items, item, file_next)
        if (item->ep == ep)
            break;
        spin_unlock(link_lock(f));
        if (item)
            item_remove(item);
        mutex_unlock(&ep->lock);
        epoll_put(ep);
    }
}
