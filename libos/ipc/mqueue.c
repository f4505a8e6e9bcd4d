/* SPDX-License-Identifier: MIT */
/* POSIX message queues. A queue's lock guards it; who waits looks again whenever gen has moved. Messages are kept in the
 * order in which they are received. A queue lives while it has a name or an open file. */
#include "mq_int.h"

#include <abi/errno.h>
#include <abi/poll.h>
#include <abi/prctl.h>
#include <abi/resource.h>
#include <base/types.h>
#include <libos/file.h>
#include <libos/heap.h>
#include <libos/mqueue.h>
#include <libos/netlink_note.h>
#include <libos/poll.h>
#include <libos/process.h>
#include <libos/signal.h>
#include <stdio.h>
#include <string.h>
#include <utlist.h>

enum {
    HARD_MSG_MAX = 65536,
    HARD_SIZE_MAX = 16 << 20,
    NODE_SIZE = 48, /* what Linux counts for a message and for a priority */
};

struct mqueue {
    _Atomic uint32_t refs;
    struct mqueue *next, *prev; /* utlist DL, guarded by table_lock */
    bool named;                 /* guarded by table_lock */
    struct inode *inode;        /* owner and mode; holds a reference */
    uint64_t cost;              /* bytes that count against the owner's RLIMIT_MSGQUEUE */
    struct account *payer;      /* whose; a reference */
    struct abi_mq_attr attr;    /* maxmsg and msgsize; never changes */
    struct waitq senders, receivers;
    struct spin lock;     /* RANK_IPC: what follows */
    struct msg *messages; /* utlist DL, highest priority first */
    uint64_t count, bytes;
    uint32_t gen, receiving; /* receiving: threads that wait for a message */
    int notify_pid;          /* 0: nobody is told */
    struct abi_sigevent notify;
    struct netlink_note *note; /* what SIGEV_THREAD is told by; owned, not NULL with that alone */
    char name[MQ_NAME_MAX + 1];
};

struct mq_limits mq_limits = { .queues_max = 256,
                               .msg_max = 10,
                               .msgsize_max = 8192,
                               .msg_default = 10,
                               .msgsize_default = 8192 };

static struct spin table_lock = SPIN_INIT(RANK_IPC_TABLE);
static struct mqueue *queues;  /* guarded by table_lock: all, named or open */
static unsigned queues_in_all; /* guarded by table_lock */

static void mq_put(struct mqueue *q)
{
    spin_lock(&table_lock);
    /* Acquire-release: who frees sees what all others did. */
    bool last = atomic_fetch_sub_explicit(&q->refs, 1, memory_order_acq_rel) == 1;
    if (last) {
        DL_DELETE(queues, q);
        queues_in_all--;
    }
    spin_unlock(&table_lock);
    if (!last)
        return;
    while (q->messages) {
        struct msg *m = q->messages;
        DL_DELETE(q->messages, m);
        msg_free(m);
    }
    netlink_note_destroy(q->note);
    inode_put(q->inode);
    account_uncharge(q->payer, ACCOUNT_MQ_BYTES, q->cost);
    account_put(q->payer);
    heap_free(q);
}

/* Something changed: wake these. q is locked. */
static void mq_changed(struct mqueue *q, struct waitq *who, unsigned events)
{
    q->gen++;
    waitq_wake(who, WAITQ_ALL, events);
}

/* The file of a queue. */

static ssize_type mq_read(struct file *f, struct iter *it, uint64_t *pos)
{
    struct mqueue *q = f->data;
    char text[80];
    spin_lock(&q->lock);
    bool told = q->notify_pid != 0;
    size_t n = (size_t)snprintf(
        text, sizeof(text), "QSIZE:%-10lu NOTIFY:%-5d SIGNO:%-5d NOTIFY_PID:%-6d\n",
        (unsigned long)q->bytes, told ? q->notify.sigev_notify : 0,
        told && q->notify.sigev_notify == SIGEV_SIGNAL ? q->notify.sigev_signo : 0, q->notify_pid);
    spin_unlock(&q->lock);
    if (*pos >= n)
        return 0;
    size_t want = min_u64(n - *pos, it->left), done = iter_put(it, text + *pos, want);
    *pos += done;
    return done || !want ? (ssize_type)done : -EFAULT;
}

static unsigned mq_poll(struct file *f, struct poll_table *pt)
{
    struct mqueue *q = f->data;
    poll_wait(pt, &q->receivers);
    poll_wait(pt, &q->senders);
    spin_lock(&q->lock);
    unsigned events = (q->count ? EPOLLIN | EPOLLRDNORM : 0) |
                      (q->count < (uint64_t)q->attr.maxmsg ? EPOLLOUT | EPOLLWRNORM : 0);
    spin_unlock(&q->lock);
    return events;
}

/* How a note ends: what it is sent for, in its last byte. */
enum { NOTIFY_WOKEN_UP = 1, NOTIFY_REMOVED = 2 };

/* Nobody is to be told any more; the note, which the caller sends or gives up without the lock. q is locked. */
static struct netlink_note *drop_notify(struct mqueue *q)
{
    struct netlink_note *note = q->note;
    q->note = NULL;
    q->notify_pid = 0;
    return note;
}

/* The current process wants not to be told any more. */
static void end_notify(struct mqueue *q)
{
    struct netlink_note *note = NULL;
    spin_lock(&q->lock);
    if (q->notify_pid == process_current()->pid)
        note = drop_notify(q);
    spin_unlock(&q->lock);
    netlink_note_send(note, NOTIFY_REMOVED);
}

/* close(2) by the process that is to be told ends that. */
static int mq_flush(struct file *f)
{
    end_notify(f->data);
    return 0;
}

static void mq_release(struct file *f)
{
    mq_put(f->data);
}

static const struct file_ops mq_ops = {
    .read = mq_read, .poll = mq_poll, .flush = mq_flush, .release = mq_release
};

static struct mqueue *mq_of(struct file *f)
{
    return f->ops == &mq_ops ? f->data : NULL;
}

/* Names. */

static int check_name(const char *name)
{
    size_t n = strlen(name);
    if (!n)
        return -ENOENT;
    if (n > MQ_NAME_MAX)
        return -ENAMETOOLONG;
    return strchr(name, '/') || !strcmp(name, ".") || !strcmp(name, "..") ? -EACCES : 0;
}

/* Locks: table_lock held. */
static struct mqueue *find(const char *name)
{
    struct mqueue *q;
    DL_FOREACH(queues, q)
    {
        if (q->named && strcmp(q->name, name) == 0)
            return q;
    }
    return NULL;
}

static int check_attr(const struct abi_mq_attr *a)
{
    bool all = cred_capable(CAP_SYS_RESOURCE);
    uint64_t count = all ? HARD_MSG_MAX : mq_limits.msg_max,
             size = all ? HARD_SIZE_MAX : mq_limits.msgsize_max;
    return a->maxmsg <= 0 || a->msgsize <= 0 || (uint64_t)a->maxmsg > count ||
                   (uint64_t)a->msgsize > size
               ? -EINVAL
               : 0;
}

static int make(const char *name, uint32_t mode, const struct abi_mq_attr *attr,
                struct mqueue **ret)
{
    struct abi_mq_attr a = { .maxmsg = (int64_t)min_u64(mq_limits.msg_max, mq_limits.msg_default),
                             .msgsize = (int64_t)min_u64(mq_limits.msgsize_max,
                                                         mq_limits.msgsize_default) };
    if (attr) {
        a.maxmsg = attr->maxmsg;
        a.msgsize = attr->msgsize;
    }
    int err = check_attr(&a);
    if (err)
        return err;
    struct mqueue *q = heap_zalloc(sizeof(*q));
    if (!q)
        return -ENOMEM;
    q->inode = mq_inode_create(S_IFREG | (mode & 0777));
    if (!q->inode) {
        heap_free(q);
        return -ENOMEM;
    }
    atomic_init(&q->refs, 1);
    spin_init(&q->lock, RANK_IPC);
    waitq_init(&q->senders);
    waitq_init(&q->receivers);
    inode_init_owner(q->inode, NULL);
    q->payer = account_get(thread_current()->cred->account);
    q->attr = a;
    q->cost = (uint64_t)a.maxmsg * (NODE_SIZE + (uint64_t)a.msgsize) +
              min_u64((uint64_t)a.maxmsg, MQ_PRIO_MAX) * NODE_SIZE;
    strcpy(q->name, name);
    *ret = q;
    return 0;
}

/* Give a new queue its name. -EEXIST (somebody was faster), -ENOSPC, -EMFILE. */
static int publish(struct mqueue *q)
{
    uint64_t limit = process_limit(process_current(), RLIMIT_MSGQUEUE);
    int err = 0;
    spin_lock(&table_lock);
    if (find(q->name))
        err = -EEXIST;
    else if (queues_in_all >= mq_limits.queues_max && !cred_capable(CAP_SYS_RESOURCE))
        err = -ENOSPC;
    else if (!account_charge(q->payer, ACCOUNT_MQ_BYTES, q->cost, limit))
        err = -EMFILE;
    if (!err) {
        q->named = true;
        /* Relaxed: the name's own reference; the caller has one. */
        atomic_fetch_add_explicit(&q->refs, 1, memory_order_relaxed);
        DL_APPEND(queues, q);
        queues_in_all++;
    }
    spin_unlock(&table_lock);
    return err;
}

static int create(const char *name, uint32_t mode, const struct abi_mq_attr *attr,
                  struct mqueue **ret)
{
    struct mqueue *q;
    int err = make(name, mode, attr, &q);
    if (err)
        return err;
    err = publish(q);
    if (err) {
        inode_put(q->inode);
        account_put(q->payer);
        heap_free(q);
        return err;
    }
    *ret = q;
    return 0;
}

static struct mqueue *find_get(const char *name)
{
    spin_lock(&table_lock);
    struct mqueue *q = find(name);
    if (q)
        atomic_fetch_add_explicit(&q->refs, 1, memory_order_relaxed);
    spin_unlock(&table_lock);
    return q;
}

int mq_open_file(const char *name, unsigned flags, uint32_t mode, const struct abi_mq_attr *attr,
                 struct file **ret_file)
{
    static const unsigned may[] = { MAY_READ, MAY_WRITE, MAY_READ | MAY_WRITE };
    struct mqueue *q;
    int err = check_name(name);
    while (!err) {
        q = find_get(name);
        if (q && (flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL))
            err = -EEXIST;
        else if (q && (flags & O_ACCMODE) == O_ACCMODE)
            err = -EINVAL;
        else if (q)
            err = inode_permission(q->inode, may[flags & O_ACCMODE]);
        else if (!(flags & O_CREAT))
            return -ENOENT;
        else if ((err = create(name, mode & ~vfs_umask(), attr, &q)) == -EEXIST &&
                 !(flags & O_EXCL)) {
            err = 0;
            continue;
        } else if (err) {
            return err;
        }
        if (!err)
            err = file_create_inode(&mq_ops, q->inode, "mqueue", flags & (O_ACCMODE | O_NONBLOCK),
                                    q, ret_file);
        if (err)
            mq_put(q);
        return err;
    }
    return err;
}

/* For the file system. */

int mq_inode_of(const char *name, struct inode **ret)
{
    struct mqueue *q = find_get(name);
    if (!q)
        return -ENOENT;
    inode_get(q->inode);
    *ret = q->inode;
    mq_put(q);
    return 0;
}

bool mq_is_named(struct inode *inode)
{
    struct mqueue *q;
    spin_lock(&table_lock);
    DL_FOREACH(queues, q)
    if (q->inode == inode)
        break;
    bool named = q && q->named;
    spin_unlock(&table_lock);
    return named;
}

int mq_make_file(const char *name, uint32_t mode, struct inode **ret)
{
    struct mqueue *q;
    int err = create(name, mode, NULL, &q);
    if (err)
        return err;
    inode_get(q->inode);
    *ret = q->inode;
    mq_put(q);
    return 0;
}

int mq_open_inode(struct inode *inode, struct file *f)
{
    struct mqueue *q;
    spin_lock(&table_lock);
    DL_FOREACH(queues, q)
    if (q->inode == inode)
        break;
    if (q)
        atomic_fetch_add_explicit(&q->refs, 1, memory_order_relaxed);
    spin_unlock(&table_lock);
    if (!q)
        return -ENOENT;
    f->ops = &mq_ops;
    f->data = q;
    f->seekable = true;
    return 0;
}

bool mq_name_at(uint64_t n, char *name, uint64_t *ret_ino)
{
    struct mqueue *q;
    spin_lock(&table_lock);
    DL_FOREACH(queues, q)
    if (q->named && n-- == 0)
        break;
    if (q) {
        strcpy(name, q->name);
        *ret_ino = q->inode->ino;
    }
    spin_unlock(&table_lock);
    return q != NULL;
}

int mq_remove(const char *name)
{
    int err = check_name(name);
    if (err)
        return err;
    struct mqueue *q = find_get(name);
    if (!q)
        return -ENOENT;
    /* The names are in a sticky directory of root's. */
    err = thread_current()->cred->fsuid == q->inode->uid || cred_capable(CAP_FOWNER) ? 0 : -EPERM;
    spin_lock(&table_lock);
    bool mine = !err && q->named;
    if (mine)
        q->named = false;
    spin_unlock(&table_lock);
    if (mine)
        mq_put(q);
    mq_put(q);
    return err ? err : mine ? 0 : -ENOENT;
}

/* Messages. */

/* Sleep until q changes. It is locked before and after. */
static int mq_wait(struct file *f, struct mqueue *q, struct waitq *where, uint64_t deadline_ns)
{
    uint32_t seen = q->gen;
    if (f->flags & O_NONBLOCK)
        return -EAGAIN;
    spin_unlock(&q->lock);
    int err = WAIT_EVENT(where, SLEEP_INTERRUPTIBLE, deadline_ns,
                         *(const volatile uint32_t *)&q->gen != seen);
    spin_lock(&q->lock);
    return err == -EINTR ? -ERESTARTSYS : err;
}

/* A message came to an empty queue: who is to be told, if anybody, by a signal or by *ret_note. q is locked. */
static int take_notify(struct mqueue *q, struct abi_siginfo *ret_info,
                       struct netlink_note **ret_note)
{
    int pid = q->notify_pid;
    if (!pid || q->count || q->receiving)
        return 0;
    *ret_note = drop_notify(q);
    *ret_info = (struct abi_siginfo){ .si_signo = q->notify.sigev_signo,
                                      .si_code = SI_MESGQ,
                                      .rt = { .si_pid = process_current()->pid,
                                              .si_uid = thread_current()->cred->uid,
                                              .si_value = q->notify.sigev_value } };
    return q->notify.sigev_notify == SIGEV_SIGNAL && q->notify.sigev_signo ? pid : 0;
}

static void put_in_order(struct mqueue *q, struct msg *m)
{
    struct msg *at;
    DL_FOREACH(q->messages, at)
    {
        if (at->type < m->type)
            break;
    }
    if (at)
        DL_PREPEND_ELEM(q->messages, at, m);
    else
        DL_APPEND(q->messages, m);
}

int mq_check_send(struct file *f, size_t size)
{
    struct mqueue *q = mq_of(f);
    if (!q || !f->can_write)
        return -EBADF;
    return size > (uint64_t)q->attr.msgsize ? -EMSGSIZE : 0;
}

int mq_send(struct file *f, struct msg *m, uint64_t deadline_ns)
{
    struct mqueue *q = mq_of(f);
    struct abi_siginfo info;
    struct netlink_note *note = NULL;
    int err = mq_check_send(f, m->size), pid = 0;
    if (err)
        return err;
    spin_lock(&q->lock);
    while (!err && q->count >= (uint64_t)q->attr.maxmsg)
        err = mq_wait(f, q, &q->senders, deadline_ns);
    if (!err) {
        pid = take_notify(q, &info, &note);
        put_in_order(q, m);
        q->count++;
        q->bytes += m->size;
        mq_changed(q, &q->receivers, EPOLLIN | EPOLLRDNORM);
    }
    spin_unlock(&q->lock);
    netlink_note_send(note, NOTIFY_WOKEN_UP);
    struct process *p = pid ? process_find(pid) : NULL;
    if (p) {
        (void)signal_send_process(p, &info); /* it ends, or has too many already: not told */
        process_put(p);
    }
    return err;
}

int mq_receive(struct file *f, size_t size, uint64_t deadline_ns, struct msg **ret_msg)
{
    struct mqueue *q = mq_of(f);
    int err = 0;
    if (!q || !f->can_read)
        return -EBADF;
    if (size < (uint64_t)q->attr.msgsize)
        return -EMSGSIZE;
    spin_lock(&q->lock);
    while (!err && !q->messages) {
        q->receiving++;
        err = mq_wait(f, q, &q->receivers, deadline_ns);
        q->receiving--;
    }
    if (!err) {
        struct msg *m = q->messages;
        DL_DELETE(q->messages, m);
        q->count--;
        q->bytes -= m->size;
        mq_changed(q, &q->senders, EPOLLOUT | EPOLLWRNORM);
        *ret_msg = m;
    }
    spin_unlock(&q->lock);
    return err;
}

int mq_set_notify(struct file *f, const struct abi_sigevent *ev, struct netlink_note *take_note)
{
    struct mqueue *q = mq_of(f);
    int err = 0;
    if (!q) {
        netlink_note_destroy(take_note);
        return -EBADF;
    }
    if (!ev) {
        end_notify(q);
        return 0;
    }
    spin_lock(&q->lock);
    if (q->notify_pid) {
        err = -EBUSY;
    } else {
        q->notify = *ev;
        q->note = take_note;
        q->notify_pid = process_current()->pid;
    }
    spin_unlock(&q->lock);
    if (err)
        netlink_note_destroy(take_note);
    return err;
}

int mq_attributes(struct file *f, const struct abi_mq_attr *new, struct abi_mq_attr *ret_old)
{
    struct mqueue *q = mq_of(f);
    if (new &&new->flags & ~(int64_t)O_NONBLOCK)
        return -EINVAL;
    if (!q)
        return -EBADF;
    *ret_old = q->attr;
    spin_lock(&q->lock);
    ret_old->flags = f->flags & O_NONBLOCK;
    ret_old->curmsgs = (int64_t)q->count;
    if (new)
        f->flags = (f->flags & ~(unsigned)O_NONBLOCK) | (unsigned)new->flags;
    spin_unlock(&q->lock);
    return 0;
}
