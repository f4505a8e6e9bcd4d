/* SPDX-License-Identifier: MIT */
/* struct socket over struct file: making sockets, the calls on them, and what all families share. socket(7).
 * A socket has one wait queue; those who sleep on it say which events they want, so a wake for writers does not use up
 * the turn of a reader. */
#include "icmp_error.h"
#include "inet.h"
#include <abi/errno.h>
#include <abi/fcntl.h>
#include <abi/stat.h>
#include <abi/termios.h>
#include <libos/heap.h>
#include <libos/owner.h>
#include <libos/pipe.h>
#include <libos/poll.h>
#include <libos/sched.h>
#include <libos/thread.h>
#include <libos/process.h>
#include <libos/user.h>
#include <plat/time.h>
#include <string.h>

static const struct socket_family *const families[] = { &unix_family,   &inet4_family,
                                                        &inet6_family,  &netlink_family,
                                                        &packet_family, &vsock_family };

static const struct file_ops socket_file_ops;

static const struct socket_family *family_find(int family)
{
    for (size_t i = 0; i < ARRAY_SIZE(families); i++)
        if (families[i]->family == family)
            return families[i];
    return NULL;
}

void socket_init(struct socket *s, const struct socket_ops *ops, int family, int type, int protocol)
{
    s->ops = ops;
    atomic_init(&s->refs, 1);
    s->family = (uint16_t)family;
    s->type = (uint16_t)type;
    s->protocol = protocol;
    waitq_init(&s->wait);
    mutex_init(&s->recv_lock, RANK_SOCKET_IO);
    spin_init(&s->lock, RANK_SOCKET);
    s->sndbuf = s->rcvbuf = SOCKET_BUF_DEFAULT;
    s->rcvlowat = 1;
    s->rcvtimeo_ns = s->sndtimeo_ns = NO_DEADLINE;
    if (thread_current()->cred)
        s->uid = thread_current()->cred->fsuid;
}

struct socket *socket_of(const struct file *f)
{
    return f->ops == &socket_file_ops ? f->data : NULL;
}

/* Give s an open file; the file takes the caller's reference, on failure too. */
static int socket_open(struct socket *take_s, unsigned flags, struct file **ret_file)
{
    struct inode *inode = anon_inode_create(S_IFSOCK | 0777);
    int err = -ENOMEM;
    if (inode) {
        take_s->inode = inode;
        err = file_create_inode(&socket_file_ops, inode, "socket", O_RDWR | (flags & SOCK_NONBLOCK),
                                take_s, ret_file);
    }
    if (!err) {
        take_s->file = *ret_file;
        return 0;
    }
    if (take_s->ops->close)
        take_s->ops->close(take_s, true);
    if (inode)
        inode_put(inode);
    take_s->inode = NULL;
    socket_put(take_s);
    return err;
}

static int socket_make(int family, int type, int protocol, struct socket **ret_socket)
{
    if (family < 0 || family >= AF_MAX)
        return -EAFNOSUPPORT;
    if (type < 0 || type > SOCK_PACKET)
        return -EINVAL;
    const struct socket_family *f = family_find(family);
    return f ? f->create(type, protocol, ret_socket) : -EAFNOSUPPORT;
}

int socket_create(int family, int type, int protocol, unsigned flags, struct file **ret_file)
{
    struct socket *s;
    int err = socket_make(family, type, protocol, &s);
    return err ? err : socket_open(s, flags, ret_file);
}

int socket_create_pair(int family, int type, int protocol, unsigned flags,
                       struct file *ret_files[2])
{
    struct socket *s[2];
    int err = socket_make(family, type, protocol, &s[0]);
    if (err)
        return err;
    err = socket_make(family, type, protocol, &s[1]);
    if (err) {
        socket_put(s[0]);
        return err;
    }
    const struct socket_family *f = family_find(family);
    err = f->pair ? f->pair(s[0], s[1]) : -EOPNOTSUPP;
    if (err) {
        socket_put(s[0]);
        socket_put(s[1]);
        return err;
    }
    err = socket_open(s[0], flags, &ret_files[0]);
    if (err) {
        s[1]->ops->close(s[1], true);
        socket_put(s[1]);
        return err;
    }
    err = socket_open(s[1], flags, &ret_files[1]);
    if (err)
        file_put(ret_files[0]);
    return err;
}

int socket_each(int family, int protocol, int (*fn)(const struct socket_info *info, void *arg),
                void *arg)
{
    const struct socket_family *f = family_find(family);
    return f && f->each ? f->each(protocol, fn, arg) : 0;
}

static size_t list_length(struct spin *lock, struct socket **list)
{
    size_t n = 0;
    spin_lock(lock);
    for (struct socket *s = *list; s; s = s->list_next)
        n++;
    spin_unlock(lock);
    return n;
}

/* One more reference, unless the last is gone: it is about to be freed. */
static bool get_living(struct socket *s)
{
    uint32_t refs = s->refs;
    while (refs && !atomic_compare_exchange_weak(&s->refs, &refs, refs + 1))
        ;
    return refs != 0;
}

/* Those of a list, counted, as far as there is room. */
static size_t list_get(struct spin *lock, struct socket **list, struct socket **all, size_t room)
{
    size_t n = 0;
    spin_lock(lock);
    for (struct socket *s = *list; s && n < room; s = s->list_next)
        if (get_living(s))
            all[n++] = s;
    spin_unlock(lock);
    return n;
}

int socket_list_each(struct spin *lock, struct socket **list,
                     int (*fn)(struct socket *s, void *arg), void *arg)
{
    size_t room = list_length(lock, list) + 16; /* some may come */
    struct socket **all = heap_alloc(room * sizeof(struct socket *));
    if (!all)
        return -ENOMEM;
    int result = 0;
    size_t n = list_get(lock, list, all, room);
    for (size_t i = 0; i < n; i++) {
        if (!result)
            result = fn(all[i], arg);
        socket_put(all[i]);
    }
    heap_free(all);
    return result;
}

int socket_take_pending(struct socket *s)
{
    return socket_take_error(s);
}

/* ---- waiting ---- */

struct sleeper {
    struct waiter w;
    unsigned events;
};

static bool sleeper_wake(struct waiter *w, unsigned events)
{
    struct sleeper *s = CONTAINER_OF(w, struct sleeper, w);
    if (events && !(events & s->events))
        return false;
    return thread_wake(w->thread);
}

int socket_sleep(struct socket *s, unsigned events, uint64_t deadline_ns,
                 bool (*ready)(struct socket *s))
{
    struct sleeper me = {
        .w = { .thread = thread_current(), .wake = sleeper_wake, .exclusive = true },
        .events = events | EPOLLERR | EPOLLHUP
    };
    int err = 0;
    if (!deadline_ns)
        return -EAGAIN;
    waitq_add_entry(&s->wait, &me.w);
    while (thread_prepare_sleep(SLEEP_INTERRUPTIBLE),
           !ready(s) && !(err = thread_sleep(deadline_ns)))
        ;
    thread_finish_sleep();
    waitq_remove(&s->wait, &me.w);
    if (err == -ETIMEDOUT)
        return -EAGAIN;
    if (err == -EINTR)
        return deadline_ns == NO_DEADLINE ? -ERESTARTSYS : -EINTR;
    return err;
}

uint64_t socket_deadline(uint64_t timeo_ns, bool no_wait)
{
    uint64_t deadline;
    if (no_wait)
        return 0;
    if (LIKELY(timeo_ns == NO_DEADLINE))
        return NO_DEADLINE;
    return __builtin_add_overflow(plat_time_ns(), timeo_ns, &deadline) ? NO_DEADLINE : deadline;
}

static bool room_or_end(struct socket *s)
{
    return socket_has_room(s) || s->error || (s->shut & SOCKET_SHUT_WR);
}

int socket_wait_room(struct socket *s, uint64_t deadline_ns)
{
    for (;;) {
        int err = socket_take_error(s);
        if (err)
            return err;
        if (s->shut & SOCKET_SHUT_WR)
            return -EPIPE;
        if (socket_has_room(s))
            return 0;
        err = socket_sleep(s, SOCKET_OUT, deadline_ns, room_or_end);
        if (err)
            return err;
    }
}

int socket_broken_pipe(unsigned flags)
{
    if (!(flags & MSG_NOSIGNAL))
        pipe_sigpipe();
    return -EPIPE;
}

/* ---- the calls ---- */

int socket_bind(struct socket *s, const struct abi_sockaddr_storage *a, unsigned len)
{
    return s->ops->bind ? s->ops->bind(s, a, len) : -EOPNOTSUPP;
}

int socket_connect(struct socket *s, const struct abi_sockaddr_storage *a, unsigned len,
                   bool no_wait)
{
    if (!s->ops->connect)
        return -EOPNOTSUPP;
    return s->ops->connect(s, a, len, no_wait || (s->file->flags & O_NONBLOCK) ? O_NONBLOCK : 0);
}

int socket_listen(struct socket *s, int backlog)
{
    if (!s->ops->listen)
        return -EOPNOTSUPP;
    return s->ops->listen(s, (unsigned)backlog > SOMAXCONN ? SOMAXCONN : backlog);
}

int socket_name(struct socket *s, bool peer, struct abi_sockaddr_storage *ret)
{
    return s->ops->name ? s->ops->name(s, peer, ret) : -EOPNOTSUPP;
}

int socket_shutdown(struct socket *s, int how)
{
    if (how < SHUT_RD || how > SHUT_RDWR)
        return -EINVAL;
    return s->ops->shutdown ? s->ops->shutdown(s, how) : -EOPNOTSUPP;
}

static NOINLINE ssize_type send_reported(struct socket *s, struct socket_msg *m)
{
    struct netmsg *report = inet_zerocopy_begin(s);
    if (!report)
        return -ENOBUFS;
    ssize_type n = s->ops->send(s, m);
    inet_zerocopy_end(s, report, n > 0);
    return n;
}

ssize_type socket_send(struct socket *s, struct socket_msg *m)
{
    if (UNLIKELY(m->flags & MSG_ZEROCOPY && s->flags & SOCKET_ZEROCOPY && m->it->left))
        return send_reported(s, m);
    return s->ops->send(s, m);
}

ssize_type socket_recv(struct socket *s, struct socket_msg *m)
{
    return s->ops->recv(s, m);
}

static bool accept_ready(struct socket *s)
{
    return s->error || s->ops->poll(s) & (EPOLLIN | EPOLLHUP);
}

static int accept_one(struct socket *s, bool no_wait, struct socket **ret_socket)
{
    uint64_t deadline = socket_deadline(s->rcvtimeo_ns, no_wait);
    for (;;) {
        int err = s->ops->accept_state ? s->ops->accept_state(s) : 0;
        if (!err)
            err = socket_take_error(s);
        if (!err)
            err = s->ops->accept(s, ret_socket);
        if (err != -EAGAIN || !deadline)
            return err;
        err = socket_sleep(s, SOCKET_IN, deadline, accept_ready);
        if (err)
            return err;
    }
}

int socket_accept(struct socket *s, unsigned flags, bool no_wait, struct file **ret_file,
                  struct abi_sockaddr_storage *ret_name, unsigned *ret_len)
{
    struct socket *child;
    if (!s->ops->accept)
        return -EOPNOTSUPP;
    int err = accept_one(s, no_wait || (s->file->flags & O_NONBLOCK), &child);
    if (err)
        return err;
    if (ret_name) {
        int len = child->ops->name(child, true, ret_name);
        *ret_len = len > 0 ? (unsigned)len : 0;
    }
    return socket_open(child, flags, ret_file);
}

/* ---- as a file ---- */

static ssize_type socket_read(struct file *f, struct iter *it, uint64_t *pos)
{
    struct socket *s = f->data;
    struct socket_msg m = { .it = it, .flags = it->nowait ? MSG_DONTWAIT : 0 };
    if (!it->left)
        return 0; /* not even an error is taken; recv(2) would wait */
    return s->ops->recv(s, &m);
}

static ssize_type socket_write(struct file *f, struct iter *it, uint64_t *pos)
{
    struct socket *s = f->data;
    struct socket_msg m = { .it = it, .flags = it->nowait ? MSG_DONTWAIT : 0 };
    if (s->type == SOCK_SEQPACKET)
        m.flags |= MSG_EOR;
    return s->ops->send(s, &m);
}

static unsigned socket_poll(struct file *f, struct poll_table *pt)
{
    struct socket *s = f->data;
    poll_wait(pt, &s->wait);
    return s->ops->poll ? s->ops->poll(s) : 0;
}

static long socket_ioctl(struct file *f, unsigned cmd, unsigned long arg)
{
    struct socket *s = f->data;
    int n, type;
    switch (cmd) {
    case FIOSETOWN:
    case SIOCSPGRP:
        if (user_get(&n, user_at(user_int_in_t, arg), 1))
            return -EFAULT;
        if (n == INT32_MIN)
            return -EINVAL;
        return n < 0 ? file_set_owner(f, F_OWNER_PGRP, -n) : file_set_owner(f, F_OWNER_PID, n);
    case FIOGETOWN:
    case SIOCGPGRP:
        file_get_owner(f, &type, &n);
        n = type == F_OWNER_PGRP ? -n : n;
        return user_put(user_at(user_int_out_t, arg), &n, 1);
    default: {
        long err = s->ops->ioctl ? s->ops->ioctl(s, cmd, arg) : -ENOTTY;
        return err == -ENOTTY ? inet_ioctl(s, cmd, arg) : err;
    }
    }
}

static struct pagemap *socket_pagemap(struct file *f)
{
    struct socket *s = f->data;
    return s->ops->pagemap ? s->ops->pagemap(s) : NULL;
}

static void socket_release(struct file *f)
{
    struct socket *s = f->data;
    spin_lock(&s->lock);
    s->file = NULL;
    spin_unlock(&s->lock);
    if (s->ops->close)
        s->ops->close(s, f->flags & O_NONBLOCK);
    inode_put(s->inode);
    socket_put(s);
}

static const struct file_ops socket_file_ops = { .read = socket_read,
                                                 .write = socket_write,
                                                 .poll = socket_poll,
                                                 .ioctl = socket_ioctl,
                                                 .pagemap = socket_pagemap,
                                                 .release = socket_release,
                                                 .async = file_async_plain,
                                                 .nowait = true };
