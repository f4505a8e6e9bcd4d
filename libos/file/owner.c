/* SPDX-License-Identifier: MIT */
/* Owners of open files. O_ASYNC hangs entries on the wait queues that the file's poll operation names; a wake that says what
 * became true counts one signal, which is sent as deferred work: wakes come with locks held that sending must not meet.
 * fcntl(2), signal(7). Lock: owner_lock for who is told and for what is counted; it is of the highest rank here. */
#include <abi/errno.h>
#include <abi/poll.h>
#include <libos/deferred.h>
#include <libos/file.h>
#include <libos/heap.h>
#include <libos/owner.h>
#include <libos/pipe.h>
#include <libos/poll.h>
#include <libos/process.h>
#include <libos/signal.h>
#include <string.h>

enum {
    QUEUES_MAX = 4,
    COUNT_MAX = 64,
    CODE_URGENT = POLL_HUP + 1, /* SIGURG, whatever F_SETSIG says */
    CODES,
};

struct async_entry {
    struct waiter waiter;
    struct waitq *queue; /* NULL: none */
};

struct file_owner {
    _Atomic uint32_t refs; /* the file, and queued work */
    struct deferred deferred;
    /* guarded by owner_lock */
    int type, pid, sig;
    uint64_t born;      /* start of the process or thread: its number may be given again */
    uint32_t uid, euid; /* of whoever set it */
    bool set;
    bool socket; /* that the other side closes is told as such, not as input */
    int fd;
    uint8_t counts[CODES]; /* signals to send, by code */
    /* the file's status flags are changed by one thread at a time */
    struct async_entry entries[QUEUES_MAX];
};

static struct spin owner_lock = SPIN_INIT(RANK_OWNER);

static void owner_put(struct file_owner *o)
{
    /* Acquire-release: who frees sees what all others did. */
    if (atomic_fetch_sub_explicit(&o->refs, 1, memory_order_acq_rel) == 1)
        heap_free(o);
}

/* What si_band says for each code. */
static const uint16_t bands[] = {
    [POLL_IN] = EPOLLIN | EPOLLRDNORM,
    [POLL_OUT] = EPOLLOUT | EPOLLWRNORM | EPOLLWRBAND,
    [POLL_MSG] = EPOLLIN | EPOLLRDNORM | EPOLLMSG,
    [POLL_ERR] = EPOLLERR,
    [POLL_PRI] = EPOLLPRI | EPOLLRDBAND,
    [POLL_HUP] = EPOLLHUP | EPOLLERR,
};

/* What is needed to send, copied out of the lock. */
struct telling {
    int type, pid, sig, fd, code;
    uint64_t born;
    uint32_t uid, euid;
};

/* May whoever set the owner send to somebody with these credentials? As kill(2), at the time of sending. */
static bool may_tell(const struct telling *w, const struct cred *c)
{
    return w->euid == 0 || w->euid == c->suid || w->euid == c->uid || w->uid == c->suid ||
           w->uid == c->uid;
}

static void tell_one(const struct telling *w, struct process *p, struct thread *t)
{
    spin_lock(&p->sig_lock);
    const struct thread *judge = t ? t : p->leader ? p->leader : p->threads;
    bool may = judge && judge->cred && may_tell(w, judge->cred);
    spin_unlock(&p->sig_lock);
    if (!may)
        return;
    struct abi_siginfo info = { .si_signo = SIGURG, .si_code = SI_KERNEL };
    if (w->code == CODE_URGENT) {
        (void)(t ? signal_send_thread(t, &info) : signal_send_process(p, &info)); /* it has ended */
        return;
    }
    info = (struct abi_siginfo){ .si_signo = w->sig, .si_code = w->code };
    info.poll.si_band = bands[w->code];
    info.poll.si_fd = w->fd;
    if (w->sig && (t ? signal_send_thread(t, &info) : signal_send_process(p, &info)) != -EAGAIN)
        return;
    info = (struct abi_siginfo){ .si_signo = SIGIO, .si_code = SI_KERNEL };
    (void)(t ? signal_send_thread(t, &info) : signal_send_process(p, &info)); /* it has ended */
}

static int tell_member(struct process *p, void *arg)
{
    tell_one(arg, p, NULL);
    return 0;
}

static void send(const struct telling *w)
{
    if (w->type == F_OWNER_PGRP) {
        spin_lock(&process_lock);
        process_each(w->pid, tell_member, (void *)w);
        spin_unlock(&process_lock);
    } else if (w->type == F_OWNER_TID) {
        struct thread *t = thread_find(w->pid);
        if (t && t->process && t->start_time_ns == w->born)
            tell_one(w, t->process, t);
        if (t)
            thread_put(t);
    } else {
        struct process *p = process_find(w->pid);
        if (p && p->start_time_ns == w->born)
            tell_one(w, p, NULL);
        if (p)
            process_put(p);
    }
}

/* Take one signal to send out of o. False: no more. */
static bool take(struct file_owner *o, struct telling *ret)
{
    bool found = false;
    spin_lock(&owner_lock);
    for (int code = POLL_IN; code < CODES && !found; code++) {
        if (!o->counts[code])
            continue;
        o->counts[code]--;
        *ret = (struct telling){ o->type, o->pid, o->sig, o->fd, code, o->born, o->uid, o->euid };
        found = true;
    }
    spin_unlock(&owner_lock);
    return found;
}

static void owner_run(struct deferred *d)
{
    struct file_owner *o = CONTAINER_OF(d, struct file_owner, deferred);
    struct telling w;
    while (take(o, &w))
        if (w.pid)
            send(&w);
    owner_put(o);
}

/* Count a signal. fd < 0: the one of O_ASYNC. */
static void count(struct file_owner *o, int code, int fd)
{
    spin_lock(&owner_lock);
    bool told = o->pid != 0;
    if (told && o->counts[code] < COUNT_MAX)
        o->counts[code]++;
    if (fd >= 0)
        o->fd = fd;
    spin_unlock(&owner_lock);
    if (!told)
        return;
    atomic_fetch_add_explicit(&o->refs, 1, memory_order_relaxed);
    if (!deferred_queue(&o->deferred))
        owner_put(o); /* the work that is queued has its own */
}

static bool async_wake(struct waiter *w, unsigned events)
{
    struct file_owner *o = w->arg;
    if (events & WAKE_AGAIN)
        return false;
    if (o->socket && events & (EPOLLHUP | EPOLLRDHUP | EPOLLERR)) {
        count(o, events & EPOLLERR ? POLL_ERR : POLL_HUP, -1);
        return false;
    }
    if (events & EPOLLIN)
        count(o, POLL_IN, -1);
    if (events & EPOLLOUT)
        count(o, POLL_OUT, -1);
    return false;
}

/* f's owner, made if need be. NULL: out of memory. */
static struct file_owner *owner_of(struct file *f)
{
    struct file_owner *o = __atomic_load_n(&f->owner, __ATOMIC_ACQUIRE), *fresh;
    if (o)
        return o;
    if (deferred_start() || !(fresh = heap_zalloc(sizeof(*fresh))))
        return NULL;
    fresh->refs = 1;
    fresh->deferred.run = owner_run;
    fresh->socket = S_ISSOCK(f->inode->mode);
    if (__atomic_compare_exchange_n(&f->owner, &o, fresh, false, __ATOMIC_ACQ_REL,
                                    __ATOMIC_ACQUIRE))
        return fresh;
    heap_free(fresh);
    return o;
}

static int is_member(struct process *p, void *arg)
{
    (void)p, (void)arg;
    return 1;
}

/* When the one with this number began; -ESRCH. Groups have no time of their own. */
static int birth(int type, int pid, uint64_t *ret)
{
    *ret = 0;
    if (type == F_OWNER_PGRP) {
        spin_lock(&process_lock);
        int found = process_each(pid, is_member, NULL);
        spin_unlock(&process_lock);
        return found ? 0 : -ESRCH;
    }
    if (type == F_OWNER_TID) {
        struct thread *t = thread_find(pid);
        if (!t)
            return -ESRCH;
        *ret = t->start_time_ns;
        thread_put(t);
        return 0;
    }
    struct process *p = process_find(pid);
    if (!p)
        return -ESRCH;
    *ret = p->start_time_ns;
    process_put(p);
    return 0;
}

static int set_owner(struct file *f, int type, int pid, bool first)
{
    uint64_t born = 0;
    int err = pid ? birth(type, pid, &born) : 0;
    if (err)
        return err;
    struct file_owner *o = owner_of(f);
    if (!o)
        return -ENOMEM;
    const struct cred *c = thread_current()->cred;
    spin_lock(&owner_lock);
    if (!first || !o->set) {
        o->type = type;
        o->pid = pid;
        o->born = born;
        o->uid = c->uid;
        o->euid = c->euid;
        o->set = pid != 0;
    }
    spin_unlock(&owner_lock);
    return 0;
}

int file_set_owner(struct file *f, int type, int pid)
{
    return set_owner(f, type, pid, false);
}

int file_set_owner_first(struct file *f, int type, int pid)
{
    return set_owner(f, type, pid, true);
}

void file_get_owner(struct file *f, int *ret_type, int *ret_pid)
{
    struct file_owner *o = __atomic_load_n(&f->owner, __ATOMIC_ACQUIRE);
    uint64_t born, was = 0;
    *ret_type = *ret_pid = 0;
    if (!o)
        return;
    spin_lock(&owner_lock);
    *ret_type = o->type;
    *ret_pid = o->pid;
    was = o->born;
    spin_unlock(&owner_lock);
    if (*ret_pid && (birth(*ret_type, *ret_pid, &born) || born != was))
        *ret_pid = 0;
}

int file_set_signal(struct file *f, unsigned long sig)
{
    if (sig > ABI_NSIG)
        return -EINVAL;
    struct file_owner *o = owner_of(f);
    if (!o)
        return -ENOMEM;
    o->sig = (int)sig;
    return 0;
}

int file_get_signal(struct file *f)
{
    struct file_owner *o = __atomic_load_n(&f->owner, __ATOMIC_ACQUIRE);
    return o ? o->sig : 0;
}

struct async_table {
    struct poll_table table;
    struct file_owner *owner;
};

static void async_add(struct poll_table *pt, struct waitq *q)
{
    struct file_owner *o = CONTAINER_OF(pt, struct async_table, table)->owner;
    for (unsigned i = 0; i < QUEUES_MAX; i++) {
        struct async_entry *e = &o->entries[i];
        if (e->queue == q)
            return;
        if (e->queue)
            continue;
        e->queue = q;
        e->waiter = (struct waiter){ .wake = async_wake, .arg = o };
        waitq_add_entry(q, &e->waiter);
        return;
    }
}

static void async_end(struct file_owner *o)
{
    for (unsigned i = 0; i < QUEUES_MAX; i++)
        if (o->entries[i].queue) {
            waitq_remove(o->entries[i].queue, &o->entries[i].waiter);
            o->entries[i].queue = NULL;
        }
}

int file_async_plain(struct file *f)
{
    (void)f;
    return 0;
}

static int set_async(struct file *f, int fd, bool on)
{
    int err = !f->ops->async ? 0 : on ? f->ops->async(f) : 0;
    if (!f->ops->async || err)
        return err;
    struct file_owner *o = on ? owner_of(f) : __atomic_load_n(&f->owner, __ATOMIC_ACQUIRE);
    if (!o)
        return on ? -ENOMEM : 0;
    bool locked = file_pos_lock(f); /* against another F_SETFL */
    if (on) {
        struct async_table t = { { async_add }, o };
        o->fd = fd;
        (void)f->ops->poll(f, &t.table); /* what is there already tells of nothing */
    } else {
        async_end(o);
    }
    file_pos_unlock(f, locked);
    return 0;
}

int file_set_flags(struct file *f, int fd, unsigned mask, unsigned flags)
{
    if ((flags ^ f->flags) & mask & O_ASYNC) {
        int err = set_async(f, fd, flags & O_ASYNC);
        if (err)
            return err;
    }
    f->flags = (f->flags & ~mask) | (flags & mask);
    return 0;
}

void file_owner_leave(struct file *f)
{
    async_end(f->owner);
    owner_put(f->owner);
}

void file_owner_tell(struct file *f, int code, int fd)
{
    if (f->owner)
        count(f->owner, code, fd);
}

void file_owner_urgent(struct file *f)
{
    struct file_owner *o = __atomic_load_n(&f->owner, __ATOMIC_ACQUIRE);
    if (!o)
        return;
    count(o, CODE_URGENT, -1);
    if (f->flags & O_ASYNC && o->sig)
        count(o, POLL_PRI, -1);
}
