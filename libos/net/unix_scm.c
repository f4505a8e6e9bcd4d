/* SPDX-License-Identifier: MIT */
/* SCM_RIGHTS and SCM_CREDENTIALS, and the collector of what only they keep alive. A socket whose file is referred to by
 * nothing but messages, which wait in sockets of the same kind, can never be reached again. The collector counts, for each
 * candidate, the references that come from the queues of candidates; those with others are reached, and so is what lies in
 * their queues. The rest is emptied. unix(7).
 *
 * gc_lock guards the list of rights with AF_UNIX sockets, their receivers and the counts. */
#include "unix.h"
#include <abi/errno.h>
#include <abi/fcntl.h>
#include <abi/resource.h>
#include <libos/heap.h>
#include <libos/process.h>
#include <libos/user.h>
#include <string.h>
#include <utlist.h>

enum { CAP_SETUID = 7, CAP_SETGID = 6, CAP_SYS_ADMIN = 21, CAP_SYS_RESOURCE = 24 };

static struct spin gc_lock = SPIN_INIT(RANK_SOCKET_TABLE);
static struct unix_rights *listed;    /* guarded by gc_lock */
static struct unix_rights *graveyard; /* guarded by gc_lock: to be closed */
static _Atomic bool draining;
static _Atomic unsigned files_in_flight;

static struct unix_sock *unix_of_file(const struct file *f)
{
    struct socket *s = socket_of(f);
    return s && s->family == AF_UNIX ? unix_of(s) : NULL;
}

/* ---- what is sent ---- */

static int check_cred(const struct abi_ucred *want, struct abi_ucred *cred)
{
    const struct cred *c = thread_current()->cred;
    bool pid = want->pid == process_current()->pid || cred_capable(CAP_SYS_ADMIN);
    bool uid = want->uid == c->uid || want->uid == c->euid || want->uid == c->suid ||
               cred_capable(CAP_SETUID);
    bool gid = want->gid == c->gid || want->gid == c->egid || want->gid == c->sgid ||
               cred_capable(CAP_SETGID);
    if (!pid || !uid || !gid)
        return -EPERM;
    *cred = *want;
    return 0;
}

static int add_files(struct unix_rights *r, const uint8_t *fds, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        int fd;
        memcpy(&fd, fds + i * sizeof(fd), sizeof(fd));
        int err = fd_get_any(fd, &r->files[r->n]);
        if (err)
            return err;
        if (uring_of(r->files[r->n])) { /* could keep itself, or end under another one's lock */
            file_put(r->files[r->n]);
            return -EINVAL;
        }
        r->n++;
    }
    return 0;
}

static int get_rights(const struct control_item *c, struct unix_rights **rights)
{
    unsigned n = (unsigned)(c->len / sizeof(int));
    unsigned have = *rights ? (*rights)->n : 0;
    if (n + have > UNIX_RIGHTS_MAX)
        return -EINVAL;
    if (!n)
        return 0;
    if (!*rights) {
        *rights = heap_alloc(sizeof(**rights) + UNIX_RIGHTS_MAX * sizeof(struct file *));
        if (!*rights)
            return -ENOMEM;
        memset(*rights, 0, sizeof(**rights));
    }
    return add_files(*rights, c->data, n);
}

static int count_flight(const struct unix_rights *r)
{
    uint64_t limit = process_limit(process_current(), RLIMIT_NOFILE);
    if (files_in_flight > limit && !cred_capable(CAP_SYS_RESOURCE) && !cred_capable(CAP_SYS_ADMIN))
        return -ETOOMANYREFS;
    files_in_flight += r->n;
    return 0;
}

/* Closing a file can close a socket whose queue has more of them, and so on: what is to be closed is put on a list, which
 * one thread at a time works off, so that the depth of the stack does not depend on what a program built. */
static void drop_files(struct unix_rights *r)
{
    spin_lock(&gc_lock);
    r->next = graveyard;
    graveyard = r;
    spin_unlock(&gc_lock);
}

void unix_rights_drain(void)
{
    struct unix_rights *r;
    if (LIKELY(!*(struct unix_rights *volatile *)&graveyard) || atomic_exchange(&draining, true))
        return;
    do {
        spin_lock(&gc_lock);
        r = graveyard;
        if (r)
            graveyard = r->next;
        else
            draining = false;
        spin_unlock(&gc_lock);
        for (unsigned i = 0; r && i < r->n; i++)
            file_put(r->files[i]);
        heap_free(r);
    } while (r);
}

int unix_control_get(const struct socket_msg *m, struct unix_rights **ret_rights,
                     struct abi_ucred *cred)
{
    struct unix_rights *r = NULL;
    struct control_item c;
    size_t pos = 0;
    int more, err = 0;
    while (!err && (more = socket_next_control(m, &pos, &c))) {
        struct abi_ucred want;
        if (more < 0)
            err = more;
        else if (c.level != SOL_SOCKET)
            continue;
        else if (c.type == SCM_RIGHTS)
            err = get_rights(&c, &r);
        else if (c.type == SCM_CREDENTIALS && c.len == sizeof(want)) {
            memcpy(&want, c.data, sizeof(want));
            err = check_cred(&want, cred);
        } else
            err = -EINVAL;
    }
    if (!err && r)
        err = count_flight(r);
    if (err && r)
        drop_files(r);
    if (!err)
        *ret_rights = r;
    return err;
}

void unix_rights_free(struct unix_rights *r)
{
    unix_gc_leave(r);
    files_in_flight -= r->n;
    drop_files(r);
}

/* ---- what is received ---- */

static void put_files(struct socket_msg *to, struct unix_rights *r)
{
    int fds[UNIX_RIGHTS_MAX];
    unsigned room =
        to->ret_control_left < sizeof(struct abi_cmsghdr)
            ? 0
            : (unsigned)min_u64((to->ret_control_left - sizeof(struct abi_cmsghdr)) / sizeof(int),
                                UNIX_RIGHTS_MAX);
    unsigned n = 0;
    for (; n < r->n && n < room; n++) {
        file_get(r->files[n]);
        fds[n] = fd_install(r->files[n], to->flags & MSG_CMSG_CLOEXEC);
        if (fds[n] < 0)
            break;
    }
    if (n)
        socket_put_control(to, SOL_SOCKET, SCM_RIGHTS, fds, n * sizeof(int));
    if (n < r->n)
        to->ret_flags |= MSG_CTRUNC;
}

bool unix_recv_control(struct socket *s, struct netmsg *m, struct socket_msg *to, bool peek)
{
    if (s->flags & SOCKET_PASSCRED && !to->have_cred) {
        to->have_cred = true;
        socket_put_control(to, SOL_SOCKET, SCM_CREDENTIALS, &m->cred, sizeof(m->cred));
    }
    struct unix_rights *r = m->rights;
    if (LIKELY(!r))
        return false;
    if (user_is_null(to->ret_control))
        to->ret_flags |= MSG_CTRUNC;
    else
        put_files(to, r);
    if (!peek) {
        m->rights = NULL; /* given once, with the first byte */
        unix_rights_free(r);
    }
    return true;
}

/* ---- the collector ---- */

void unix_gc_enter(struct unix_rights *r, struct unix_sock *receiver)
{
    bool any = false;
    spin_lock(&gc_lock);
    for (unsigned i = 0; i < r->n; i++) {
        struct unix_sock *u = unix_of_file(r->files[i]);
        if (u) {
            u->inflight++;
            any = true;
        }
    }
    if (any) {
        r->receiver = receiver;
        r->listed = true;
        DL_APPEND(listed, r);
    }
    spin_unlock(&gc_lock);
}

void unix_gc_leave(struct unix_rights *r)
{
    spin_lock(&gc_lock);
    if (r->listed) {
        DL_DELETE(listed, r);
        r->listed = false;
        for (unsigned i = 0; i < r->n; i++) {
            struct unix_sock *u = unix_of_file(r->files[i]);
            if (u)
                u->inflight--;
        }
    }
    spin_unlock(&gc_lock);
}

static bool only_in_flight(const struct unix_sock *u)
{
    const struct file *f = *(struct file *const volatile *)&u->s.file;
    return f && u->inflight && f->refs == u->inflight;
}

/* Call fn for each AF_UNIX socket that a listed message carries. Locks: gc_lock held. */
static void each_carried(void (*fn)(struct unix_rights *r, struct unix_sock *u))
{
    struct unix_rights *r;
    DL_FOREACH(listed, r)
    for (unsigned i = 0; i < r->n; i++) {
        struct unix_sock *u = unix_of_file(r->files[i]);
        if (u)
            fn(r, u);
    }
}

static void mark_clear(struct unix_rights *r, struct unix_sock *u)
{
    u->inner = 0;
    u->reached = !only_in_flight(u);
    r->receiver->reached = !only_in_flight(r->receiver);
}

/* A connection that waits in a listener has no file: it is as reachable as the listener, which nobody looks for. */
static bool receiver_reached(const struct unix_rights *r)
{
    return r->receiver->reached;
}

static bool changed;

static void mark_spread(struct unix_rights *r, struct unix_sock *u)
{
    if (receiver_reached(r) && !u->reached) {
        u->reached = true;
        changed = true;
    }
}

/* One unreached receiver's queue with a reference on the socket; NULL. Locks: gc_lock held. */
static struct unix_sock *find_garbage(void)
{
    struct unix_rights *r;
    DL_FOREACH(listed, r)
    if (!receiver_reached(r) && !r->receiver->dead)
        return unix_of(socket_get(&r->receiver->s));
    return NULL;
}

void unix_gc_run(void)
{
    if (LIKELY(!files_in_flight))
        return;
    for (;;) {
        spin_lock(&gc_lock);
        each_carried(mark_clear);
        do {
            changed = false;
            each_carried(mark_spread);
        } while (changed);
        struct unix_sock *u = find_garbage();
        spin_unlock(&gc_lock);
        if (!u)
            return;
        /* Nobody can receive from it, so nobody minds. */
        struct netmsg_queue q;
        spin_lock(&u->s.lock);
        q = u->s.rq;
        u->s.rq = (struct netmsg_queue){ 0 };
        u->dead = true;
        spin_unlock(&u->s.lock);
        netmsg_purge(&q);
        socket_put(&u->s);
    }
}
