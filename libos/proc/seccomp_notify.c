/* SPDX-License-Identifier: MIT */
/* Filters that ask another process: seccomp_unotify(2). A thread whose call is to be decided puts a question, on its own
 * stack, into the listener's list and sleeps; whoever has the listener's file takes it, and answers. Lock: listener->lock
 * for the list and the questions in it. Nothing on a stack is touched once it is out of the list. */
#include "seccomp_int.h"
#include <abi/errno.h>
#include <abi/fcntl.h>
#include <abi/poll.h>
#include <libos/file.h>
#include <libos/heap.h>
#include <libos/poll.h>
#include <libos/process.h>
#include <libos/sched.h>
#include <libos/user.h>
#include <libos/waitq.h>
#include <utlist.h>

/* A descriptor on its way to the thread that asked, on the answerer's stack. */
struct add_fd {
    struct add_fd *next, *prev;
    struct file *file; /* a reference */
    int newfd;         /* to replace; -1: any */
    bool cloexec, answers;
    bool done;
    int result;
};

enum question_state { QUESTION_NEW, QUESTION_TAKEN, QUESTION_ANSWERED };

struct question {
    struct question *next, *prev;
    uint64_t id;
    int tid;
    enum question_state state;
    const struct abi_seccomp_data *data;
    int64_t val;
    int error;
    uint32_t flags;
    struct add_fd *fds;
    struct waitq wait; /* the thread that asked */
};

struct seccomp_listener {
    _Atomic uint32_t refs;
    struct spin lock;
    struct question *questions; /* guarded by lock, as are the next two */
    uint64_t next_id;
    bool closed;
    bool killable;       /* once a question is taken only death ends its wait; never changes */
    _Atomic bool unused; /* no thread has the filter */
    struct waitq wait;   /* those who answer, or send descriptors */
};

void seccomp_listener_put(struct seccomp_listener *l)
{
    if (!--l->refs)
        heap_free(l);
}

void seccomp_listener_unused(struct seccomp_listener *l)
{
    l->unused = true;
    waitq_wake(&l->wait, WAITQ_ALL, EPOLLHUP);
}

static struct question *first_new(const struct seccomp_listener *l)
{
    struct question *q;
    DL_FOREACH(l->questions, q)
    if (q->state == QUESTION_NEW)
        return q;
    return NULL;
}

static struct question *with_id(const struct seccomp_listener *l, uint64_t id)
{
    struct question *q;
    DL_FOREACH(l->questions, q)
    if (q->id == id)
        return q;
    return NULL;
}

static void answer(struct question *q, int64_t val, int error, uint32_t flags)
{
    q->state = QUESTION_ANSWERED;
    q->val = val;
    q->error = error;
    q->flags = flags;
    waitq_wake(&q->wait, WAITQ_ALL, EPOLLIN);
}

/* In the thread that asked: take over the first descriptor that waits. False: none does. */
static bool take_fd(struct seccomp_listener *l, struct question *q)
{
    spin_lock(&l->lock);
    struct add_fd *a = q->fds;
    struct file *f = a ? a->file : NULL;
    struct add_fd what = a ? *a : (struct add_fd){ 0 };
    if (a) {
        file_get(f);
        DL_DELETE(q->fds, a);
        a->next = a->prev = NULL;
    }
    spin_unlock(&l->lock);
    if (!a)
        return false;
    int fd = what.newfd < 0 ? fd_install(f, what.cloexec) : fd_replace(what.newfd, f, what.cloexec);
    spin_lock(&l->lock);
    /* a still stands: its owner waits until it is done, however long. */
    a->result = fd;
    a->done = true;
    if (fd >= 0 && what.answers && q->state == QUESTION_TAKEN)
        answer(q, fd, 0, 0);
    waitq_wake(&l->wait, WAITQ_ALL, 0);
    spin_unlock(&l->lock);
    return true;
}

static bool has_news(struct seccomp_listener *l, struct question *q)
{
    spin_lock(&l->lock);
    bool news = q->state == QUESTION_ANSWERED || q->fds;
    spin_unlock(&l->lock);
    return news;
}

/* Is q taken, and was the wait for answers made safe from signals? */
static bool waits_firmly(struct seccomp_listener *l, const struct question *q)
{
    spin_lock(&l->lock);
    bool firm = l->killable && q->state != QUESTION_NEW;
    spin_unlock(&l->lock);
    return firm;
}

/* Take q out of the list; descriptors that were to come do not. */
static void withdraw(struct seccomp_listener *l, struct question *q)
{
    struct add_fd *a, *next;
    spin_lock(&l->lock);
    DL_FOREACH_SAFE(q->fds, a, next)
    {
        DL_DELETE(q->fds, a);
        a->result = -ESRCH;
        a->done = true;
    }
    DL_DELETE(l->questions, q);
    waitq_wake(&l->wait, WAITQ_ALL, EPOLLIN); /* those who send descriptors sleep there */
    spin_unlock(&l->lock);
}

bool seccomp_listener_ask(struct seccomp_listener *l, const struct abi_seccomp_data *data,
                          long *ret)
{
    struct question q = { .tid = thread_current()->tid, .data = data };
    int err = 0;
    waitq_init(&q.wait);
    spin_lock(&l->lock);
    bool closed = l->closed;
    q.id = l->next_id++;
    if (!closed)
        DL_APPEND(l->questions, &q);
    spin_unlock(&l->lock);
    *ret = -ENOSYS;
    if (closed)
        return false;
    waitq_wake(&l->wait, WAITQ_ALL, EPOLLIN | EPOLLRDNORM);
    while (!err && q.state != QUESTION_ANSWERED) {
        bool firm = waits_firmly(l, &q);
        err = WAIT_EVENT(&q.wait, firm ? SLEEP_KILLABLE : SLEEP_INTERRUPTIBLE, NO_DEADLINE,
                         has_news(l, &q));
        if (err && !firm && waits_firmly(l, &q))
            err = 0; /* it was taken meanwhile */
        while (!err && take_fd(l, &q))
            ;
    }
    withdraw(l, &q);
    if (err) {
        *ret = -ERESTARTSYS;
        return false;
    }
    *ret = q.error ? q.error : (long)q.val;
    return q.flags & SECCOMP_USER_NOTIF_FLAG_CONTINUE;
}

/* Is there a question that nobody took, or will there never be one? */
static bool may_receive(struct seccomp_listener *l)
{
    spin_lock(&l->lock);
    bool may = first_new(l) || l->unused;
    spin_unlock(&l->lock);
    return may;
}

static long notif_recv(struct seccomp_listener *l, uintptr_t user)
{
    struct abi_seccomp_notif n;
    const uint8_t *bytes = (const uint8_t *)&n;
    if (user_get(&n, user_at(user_seccomp_notif_in_t, user), 1) < 0)
        return -EFAULT;
    for (size_t i = 0; i < sizeof(n); i++)
        if (bytes[i])
            return -EINVAL;
    spin_lock(&l->lock);
    struct question *q;
    while (!(q = first_new(l))) {
        spin_unlock(&l->lock);
        int err = WAIT_EVENT(&l->wait, SLEEP_INTERRUPTIBLE, NO_DEADLINE, may_receive(l));
        if (err)
            return -ERESTARTSYS;
        spin_lock(&l->lock);
        if (!first_new(l) && l->unused) {
            spin_unlock(&l->lock);
            return -ENOENT;
        }
    }
    n.id = q->id;
    n.pid = (uint32_t)q->tid;
    n.data = *q->data;
    q->state = QUESTION_TAKEN;
    spin_unlock(&l->lock);
    waitq_wake(&l->wait, WAITQ_ALL, EPOLLOUT | EPOLLWRNORM);
    if (user_put(user_at(user_seccomp_notif_out_t, user), &n, 1) == 0)
        return 0;
    spin_lock(&l->lock);
    q = with_id(l, n.id);
    if (q && q->state == QUESTION_TAKEN)
        q->state = QUESTION_NEW;
    spin_unlock(&l->lock);
    return -EFAULT;
}

static long notif_send(struct seccomp_listener *l, uintptr_t user)
{
    struct abi_seccomp_notif_resp r;
    if (user_get(&r, user_at(user_seccomp_notif_resp_in_t, user), 1) < 0)
        return -EFAULT;
    if (r.flags & ~(uint32_t)SECCOMP_USER_NOTIF_FLAG_CONTINUE || (r.flags && (r.error || r.val)))
        return -EINVAL;
    spin_lock(&l->lock);
    struct question *q = with_id(l, r.id);
    long err = !q ? -ENOENT : q->state != QUESTION_TAKEN ? -EINPROGRESS : 0;
    if (!err)
        answer(q, r.val, r.error, r.flags);
    spin_unlock(&l->lock);
    return err;
}

static long notif_id_valid(struct seccomp_listener *l, uintptr_t user)
{
    uint64_t id;
    if (user_get(&id, user_at(user_u64_in_t, user), 1) < 0)
        return -EFAULT;
    spin_lock(&l->lock);
    const struct question *q = with_id(l, id);
    bool valid = q && q->state == QUESTION_TAKEN;
    spin_unlock(&l->lock);
    return valid ? 0 : -ENOENT;
}

static bool is_done(struct seccomp_listener *l, const struct add_fd *a)
{
    spin_lock(&l->lock);
    bool done = a->done;
    spin_unlock(&l->lock);
    return done;
}

/* Hand a to the question with this id and wait until its thread has it. */
static int send_fd(struct seccomp_listener *l, uint64_t id, struct add_fd *a)
{
    spin_lock(&l->lock);
    struct question *q = with_id(l, id);
    int err = !q ? -ENOENT : q->state != QUESTION_TAKEN ? -EINPROGRESS : 0;
    if (!err && a->answers && q->fds)
        err = -EBUSY;
    if (!err) {
        DL_APPEND(q->fds, a);
        waitq_wake(&q->wait, WAITQ_ALL, EPOLLIN);
    }
    spin_unlock(&l->lock);
    if (err)
        return err;
    /* The thread that asked takes it, or withdraws, soon: it only sleeps for us. a must stand until then. */
    (void)WAIT_EVENT(&l->wait, SLEEP_UNINTERRUPTIBLE, NO_DEADLINE, is_done(l, a));
    return a->result;
}

static long notif_addfd(struct seccomp_listener *l, uintptr_t user)
{
    struct abi_seccomp_notif_addfd d;
    if (user_get(&d, user_at(user_seccomp_notif_addfd_in_t, user), 1) < 0)
        return -EFAULT;
    if (d.newfd_flags & ~(uint32_t)O_CLOEXEC ||
        d.flags & ~(uint32_t)(SECCOMP_ADDFD_FLAG_SETFD | SECCOMP_ADDFD_FLAG_SEND) ||
        (d.newfd && !(d.flags & SECCOMP_ADDFD_FLAG_SETFD)))
        return -EINVAL;
    struct add_fd a = { .newfd = d.flags & SECCOMP_ADDFD_FLAG_SETFD ? (int)d.newfd : -1,
                        .cloexec = d.newfd_flags & O_CLOEXEC,
                        .answers = d.flags & SECCOMP_ADDFD_FLAG_SEND };
    int err = fd_get((int)d.srcfd, &a.file);
    if (err)
        return err;
    err = send_fd(l, d.id, &a);
    file_put(a.file);
    return err;
}

static long listener_ioctl(struct file *f, unsigned cmd, unsigned long arg)
{
    struct seccomp_listener *l = f->data;
    switch (cmd) {
    case SECCOMP_IOCTL_NOTIF_RECV:
        return notif_recv(l, arg);
    case SECCOMP_IOCTL_NOTIF_SEND:
        return notif_send(l, arg);
    case SECCOMP_IOCTL_NOTIF_ID_VALID:
    case ABI_SECCOMP_NOTIF_ID_VALID_OLD:
        return notif_id_valid(l, arg);
    case SECCOMP_IOCTL_NOTIF_ADDFD:
        return notif_addfd(l, arg);
    case SECCOMP_IOCTL_NOTIF_SET_FLAGS: /* who is woken runs soon in any case */
        return arg & ~(unsigned long)SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP ? -EINVAL : 0;
    default:
        return -EINVAL;
    }
}

static unsigned listener_poll(struct file *f, struct poll_table *pt)
{
    struct seccomp_listener *l = f->data;
    struct question *q;
    unsigned events = 0;
    poll_wait(pt, &l->wait);
    spin_lock(&l->lock);
    DL_FOREACH(l->questions, q)
    events |= q->state == QUESTION_NEW     ? EPOLLIN | EPOLLRDNORM
              : q->state == QUESTION_TAKEN ? EPOLLOUT | EPOLLWRNORM
                                           : 0;
    spin_unlock(&l->lock);
    return events | (l->unused ? EPOLLHUP : 0);
}

/* Nobody will answer any more. */
static void listener_release(struct file *f)
{
    struct seccomp_listener *l = f->data;
    struct question *q;
    spin_lock(&l->lock);
    l->closed = true;
    DL_FOREACH(l->questions, q)
    if (q->state != QUESTION_ANSWERED)
        answer(q, 0, -ENOSYS, 0);
    spin_unlock(&l->lock);
    seccomp_listener_put(l);
}

static const struct file_ops listener_ops = { .ioctl = listener_ioctl,
                                              .poll = listener_poll,
                                              .release = listener_release };

int seccomp_listener_create(bool killable, struct seccomp_listener **ret, struct file **ret_file)
{
    struct seccomp_listener *l = heap_zalloc(sizeof(*l));
    if (!l)
        return -ENOMEM;
    l->refs = 1;
    spin_init(&l->lock, RANK_FILE);
    waitq_init(&l->wait);
    l->next_id = 1;
    l->killable = killable;
    int err = file_create_anon(&listener_ops, "seccomp notify", O_RDWR, l, ret_file);
    if (err) {
        heap_free(l);
        return err;
    }
    l->refs++; /* the file's */
    *ret = l;
    return 0;
}
