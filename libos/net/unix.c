/* SPDX-License-Identifier: MIT */
/* AF_UNIX: sockets and their names. A name is abstract or a node in the tree; both kinds lie in one hash table, by their
 * bytes or by their inode, under unix_table_lock. unix(7).
 *
 * What is on its way lies in the receiver's queue (struct socket, rq) and is charged to the sender. When one end of a
 * connection is closed, the other is shut down in both directions, as Linux does it: the peer pointer of a connection thus
 * never changes, and counts. */
#include "unix.h"
#include <abi/errno.h>
#include <abi/fcntl.h>
#include <abi/stat.h>
#include <abi/termios.h>
#include <libos/heap.h>
#include <libos/process.h>
#include <libos/random.h>
#include <libos/user.h>
#include <stdio.h>
#include <string.h>
#include <utlist.h>

enum { FAMILY_LEN = sizeof(uint16_t), DGRAM_BACKLOG = 10, AUTOBIND_TRIES = 1000 };

static struct slab unix_socks = SLAB_INIT("unix", struct unix_sock);
struct spin unix_table_lock = SPIN_INIT(RANK_SOCKET_TABLE);
static struct unix_sock *table[UNIX_HASH]; /* guarded by unix_table_lock, as is the next one */
static struct socket *all;

struct unix_sock *unix_alloc(int type)
{
    struct unix_sock *u = slab_alloc(&unix_socks);
    if (!u)
        return NULL;
    memset(u, 0, sizeof(*u));
    socket_init(&u->s, &unix_ops, AF_UNIX, type, 0);
    u->state = UNIX_UNCONNECTED;
    u->backlog = DGRAM_BACKLOG;
    u->peer_cred = (struct abi_ucred){ 0, UINT32_MAX, UINT32_MAX };
    waitq_init(&u->room);
    spin_lock(&unix_table_lock);
    DL_APPEND2(all, &u->s, list_prev, list_next);
    spin_unlock(&unix_table_lock);
    return u;
}

static int unix_create(int type, int protocol, struct socket **ret_socket)
{
    if (protocol && protocol != AF_UNIX)
        return -EPROTONOSUPPORT;
    if (type == SOCK_RAW)
        type = SOCK_DGRAM;
    if (type != SOCK_STREAM && type != SOCK_DGRAM && type != SOCK_SEQPACKET)
        return -ESOCKTNOSUPPORT;
    struct unix_sock *u = unix_alloc(type);
    if (!u)
        return -ENOMEM;
    *ret_socket = &u->s;
    return 0;
}

static void unix_free(struct socket *s)
{
    struct unix_sock *u = unix_of(s);
    netmsg_purge(&s->rq);
    spin_lock(&unix_table_lock);
    DL_DELETE2(all, s, list_prev, list_next);
    spin_unlock(&unix_table_lock);
    if (u->peer)
        socket_put(&u->peer->s);
    if (u->name)
        unix_name_put(u->name);
    if (u->has_path)
        path_put(&u->path);
    if (u->peer_groups)
        cred_put(u->peer_groups);
    slab_free(&unix_socks, u);
}

/* ---- names ---- */

void unix_name_put(struct unix_name *n)
{
    if (atomic_fetch_sub(&n->refs, 1) == 1)
        heap_free(n);
}

struct unix_name *unix_name_of(struct unix_sock *u)
{
    /* A name is set once, before anybody can send by it. */
    struct unix_name *n = *(struct unix_name *volatile *)&u->name;
    if (n)
        atomic_fetch_add_explicit(&n->refs, 1, memory_order_relaxed);
    return n;
}

static unsigned hash_bytes(const void *p, size_t n, int type)
{
    const uint8_t *b = p;
    uint32_t h = 2166136261u ^ (uint32_t)type;
    for (size_t i = 0; i < n; i++)
        h = (h ^ b[i]) * 16777619u;
    return (h ^ h >> 16) % UNIX_HASH;
}

static unsigned hash_inode(const struct inode *inode)
{
    return (unsigned)((uintptr_t)inode >> 6) % UNIX_HASH;
}

int unix_check_name(const struct abi_sockaddr_storage *a, unsigned len)
{
    return len <= FAMILY_LEN || len > sizeof(struct abi_sockaddr_un) || a->ss_family != AF_UNIX
               ? -EINVAL
               : 0;
}

static bool is_abstract(const struct abi_sockaddr_storage *a)
{
    return !a->data[0];
}

/* The path of an address as a string, in a buffer of its own. NULL: no memory. */
static char *path_of_name(const struct abi_sockaddr_storage *a, unsigned len)
{
    char *text = heap_zalloc(sizeof(struct abi_sockaddr_un) + 1);
    if (text)
        memcpy(text, a->data, len - FAMILY_LEN);
    return text;
}

/* The socket with an abstract name. Locks: unix_table_lock held. */
static struct unix_sock *find_abstract(const void *name, unsigned len, unsigned hash, int type)
{
    for (struct unix_sock *u = table[hash]; u; u = u->hash_next)
        if (!u->has_path && u->name->len == len && u->s.type == type &&
            !memcmp(&u->name->addr, name, len))
            return u;
    return NULL;
}

static void hash_insert(struct unix_sock *u, unsigned hash)
{
    u->hash = hash;
    u->hash_next = table[hash];
    table[hash] = u;
    u->hashed = true;
}

void unix_unhash(struct unix_sock *u)
{
    spin_lock(&unix_table_lock);
    if (u->hashed) {
        struct unix_sock **at = &table[u->hash];
        while (*at != u)
            at = &(*at)->hash_next;
        *at = u->hash_next;
        u->hashed = false;
    }
    spin_unlock(&unix_table_lock);
}

static struct unix_name *name_create(const void *addr, unsigned len)
{
    struct unix_name *n = heap_zalloc(sizeof(*n));
    if (!n)
        return NULL;
    atomic_init(&n->refs, 1);
    n->len = len;
    memcpy(&n->addr, addr, len);
    n->addr.sun_family = AF_UNIX;
    return n;
}

static int bind_abstract(struct unix_sock *u, const void *addr, unsigned len)
{
    struct unix_name *n = name_create(addr, len);
    if (!n)
        return -ENOMEM;
    unsigned hash = hash_bytes(&n->addr, len, u->s.type);
    spin_lock(&unix_table_lock);
    bool taken = find_abstract(&n->addr, len, hash, u->s.type);
    if (!taken) {
        u->name = n;
        hash_insert(u, hash);
    }
    spin_unlock(&unix_table_lock);
    if (taken)
        unix_name_put(n);
    return taken ? -EADDRINUSE : 0;
}

/* Make the node of a name. Its path, with references. */
static int make_node(const char *text, struct path *ret)
{
    int err = vfs_mknod(AT_FDCWD, text, S_IFSOCK | 0777, 0);
    if (!err)
        err = path_walk(AT_FDCWD, text, 0, ret);
    return err == -EEXIST ? -EADDRINUSE : err;
}

static int bind_path(struct unix_sock *u, const struct abi_sockaddr_storage *a, unsigned len)
{
    struct path p;
    char *text = path_of_name(a, len);
    struct unix_name *n = text ? name_create(a, FAMILY_LEN + (unsigned)strlen(text)) : NULL;
    int err = n ? make_node(text, &p) : -ENOMEM;
    if (err) {
        if (n)
            unix_name_put(n);
        heap_free(text);
        return err;
    }
    n->len++; /* with the zero, whether the program gave one or not */
    mutex_lock(&u->s.recv_lock);
    bool late = u->name; /* another thread bound it meanwhile */
    if (!late) {
        spin_lock(&unix_table_lock);
        u->path = p;
        u->has_path = true;
        u->name = n;
        hash_insert(u, hash_inode(p.dentry->inode));
        spin_unlock(&unix_table_lock);
    }
    mutex_unlock(&u->s.recv_lock);
    if (late) {
        err = vfs_unlink(AT_FDCWD, text, false);
        path_put(&p);
        unix_name_put(n);
    }
    heap_free(text);
    return late ? -EINVAL : err;
}

int unix_autobind(struct unix_sock *u)
{
    int err = 0;
    mutex_lock(&u->s.recv_lock);
    uint32_t at = (uint32_t)random_u64();
    for (int i = 0; !u->name && i < AUTOBIND_TRIES; i++, at++) {
        struct abi_sockaddr_un a = { .sun_family = AF_UNIX };
        char digits[8];
        snprintf(digits, sizeof(digits), "%05x", (unsigned)(at & 0xfffff));
        memcpy(a.sun_path + 1, digits, 5);
        err = bind_abstract(u, &a, FAMILY_LEN + 6);
        if (err != -EADDRINUSE)
            break;
    }
    mutex_unlock(&u->s.recv_lock);
    return err == -EADDRINUSE ? -ENOSPC : err;
}

int unix_bind(struct socket *s, const struct abi_sockaddr_storage *a, unsigned len)
{
    struct unix_sock *u = unix_of(s);
    if (len == FAMILY_LEN && a->ss_family == AF_UNIX)
        return u->name ? -EINVAL : unix_autobind(u);
    int err = unix_check_name(a, len);
    if (err)
        return err;
    if (u->name)
        return -EINVAL;
    if (!is_abstract(a))
        return bind_path(u, a, len);
    mutex_lock(&s->recv_lock);
    err = u->name ? -EINVAL : bind_abstract(u, a, len);
    mutex_unlock(&s->recv_lock);
    return err;
}

static int find_path(const struct abi_sockaddr_storage *a, unsigned len, struct unix_sock **ret)
{
    char *text = path_of_name(a, len);
    struct path p;
    if (!text)
        return -ENOMEM;
    int err = path_walk(AT_FDCWD, text, WALK_FOLLOW, &p);
    heap_free(text);
    if (err)
        return err;
    struct inode *inode = p.dentry->inode;
    err = inode_permission(inode, MAY_WRITE);
    struct unix_sock *u = NULL;
    if (!err && S_ISSOCK(inode->mode)) {
        spin_lock(&unix_table_lock);
        for (u = table[hash_inode(inode)]; u; u = u->hash_next)
            if (u->has_path && u->path.dentry->inode == inode)
                break;
        if (u)
            socket_get(&u->s);
        spin_unlock(&unix_table_lock);
    }
    path_put(&p);
    *ret = u;
    return err ? err : u ? 0 : -ECONNREFUSED;
}

int unix_find(const struct abi_sockaddr_storage *a, unsigned len, int type, struct unix_sock **ret)
{
    struct unix_sock *u = NULL;
    if (is_abstract(a)) {
        unsigned hash = hash_bytes(a, len, type);
        spin_lock(&unix_table_lock);
        u = find_abstract(a, len, hash, type);
        if (u)
            socket_get(&u->s);
        spin_unlock(&unix_table_lock);
        if (!u)
            return -ECONNREFUSED;
    } else {
        int err = find_path(a, len, &u);
        if (err)
            return err;
    }
    if (u->s.type != type) {
        socket_put(&u->s);
        return -EPROTOTYPE;
    }
    *ret = u;
    return 0;
}

static int put_name(const struct unix_name *n, struct abi_sockaddr_storage *ret)
{
    if (!n) {
        ret->ss_family = AF_UNIX;
        return FAMILY_LEN;
    }
    memcpy(ret, &n->addr, n->len);
    return (int)n->len;
}

static int unix_name(struct socket *s, bool peer, struct abi_sockaddr_storage *ret)
{
    struct unix_sock *u = unix_of(s), *p = NULL;
    if (peer && !(p = unix_peer_get(u)))
        return -ENOTCONN;
    int len = put_name(peer ? p->name : u->name, ret);
    if (p)
        socket_put(&p->s);
    return len;
}

/* ---- credentials of the peer ---- */

struct abi_ucred unix_cred_now(void)
{
    const struct cred *c = thread_current()->cred;
    return (struct abi_ucred){ process_current()->pid, c->euid, c->egid };
}

void unix_set_peer_cred(struct unix_sock *u, const struct abi_ucred *cred, struct cred *groups)
{
    spin_lock(&u->s.lock);
    struct cred *old = u->peer_groups;
    u->peer_cred = *cred;
    u->peer_groups = cred_get(groups);
    spin_unlock(&u->s.lock);
    if (old)
        cred_put(old);
}

static int unix_get_option(struct socket *s, int level, int name, void *value, unsigned *len)
{
    struct unix_sock *u = unix_of(s);
    if (level != SOL_SOCKET)
        return -EOPNOTSUPP;
    if (name == SO_PEERCRED) {
        unsigned n = *len < sizeof(u->peer_cred) ? *len : sizeof(u->peer_cred);
        spin_lock(&s->lock);
        memcpy(value, &u->peer_cred, n);
        spin_unlock(&s->lock);
        *len = n;
        return 0;
    }
    if (name == SO_PEERGROUPS) {
        struct cred *c = u->peer_groups;
        if (!c)
            return -ENODATA;
        unsigned n = c->ngroups * sizeof(*c->groups);
        bool fits = *len >= n;
        if (fits)
            memcpy(value, c->groups, n);
        *len = n;
        return fits ? 0 : -ERANGE;
    }
    return -ENOPROTOOPT;
}

static int unix_set_option(struct socket *s, int level, int name, const void *value, unsigned len)
{
    return level == SOL_SOCKET ? -ENOPROTOOPT : -EOPNOTSUPP;
}

/* ---- state ---- */

static int unix_shutdown(struct socket *s, int how)
{
    static const uint8_t mine[] = { SOCKET_SHUT_RD, SOCKET_SHUT_WR,
                                    SOCKET_SHUT_RD | SOCKET_SHUT_WR };
    static const uint8_t its[] = { SOCKET_SHUT_WR, SOCKET_SHUT_RD,
                                   SOCKET_SHUT_RD | SOCKET_SHUT_WR };
    struct unix_sock *u = unix_of(s), *p = unix_peer_get(u);
    s->shut |= mine[how];
    if (p && s->type != SOCK_DGRAM) {
        p->s.shut |= its[how];
        socket_wake_all(&p->s,
                        SOCKET_IN | SOCKET_OUT | EPOLLRDHUP | (p->s.shut == 3 ? EPOLLHUP : 0));
    }
    if (p)
        socket_put(&p->s);
    socket_wake_all(s, SOCKET_IN | SOCKET_OUT | EPOLLRDHUP | (s->shut == 3 ? EPOLLHUP : 0));
    waitq_wake(&u->room, WAITQ_ALL, 0);
    return 0;
}

static bool writable(const struct unix_sock *u)
{
    return u->s.wmem * 4 <= u->s.sndbuf;
}

static unsigned unix_poll(struct socket *s)
{
    struct unix_sock *u = unix_of(s);
    unsigned shut = s->shut, state = u->state, events = 0;
    if (s->error)
        events |= EPOLLERR;
    if (shut == (SOCKET_SHUT_RD | SOCKET_SHUT_WR))
        events |= EPOLLHUP;
    if (shut & SOCKET_SHUT_RD)
        events |= EPOLLRDHUP | EPOLLIN | EPOLLRDNORM;
    if (*(struct netmsg *volatile *)&s->rq.head || *(struct unix_sock *volatile *)&u->pending)
        events |= EPOLLIN | EPOLLRDNORM;
    if (UNLIKELY(s->urgent == SOCKET_URGENT_HERE))
        events |= EPOLLPRI;
    if (s->type != SOCK_DGRAM && state == UNIX_UNCONNECTED)
        events |= EPOLLHUP;
    if (state == UNIX_LISTENS || !writable(u))
        return events;
    if (s->type == SOCK_DGRAM) {
        struct unix_sock *p = unix_peer_get(u);
        bool full = p && p->peer != u && unix_is_full(p);
        if (p)
            socket_put(&p->s);
        if (full)
            return events;
    }
    return events | SOCKET_OUT;
}

/* The other end of a connection hears that this one is gone: with an error if it had sent what nobody read. */
static void hang_up(struct unix_sock *p, bool unread)
{
    if (unread)
        p->s.error = ECONNRESET;
    p->s.shut |= SOCKET_SHUT_RD | SOCKET_SHUT_WR;
    socket_wake_all(&p->s, SOCKET_IN | SOCKET_OUT | EPOLLRDHUP | EPOLLHUP | EPOLLERR);
}

/* u goes: let its peer know and drop it. The peer keeps u, for its name. */
static void unix_disconnect(struct unix_sock *u, bool unread)
{
    spin_lock(&u->s.lock);
    struct unix_sock *p = u->peer;
    u->peer = NULL;
    u->dead = true;
    spin_unlock(&u->s.lock);
    if (p && u->s.type != SOCK_DGRAM)
        hang_up(p, unread);
    if (p)
        socket_put(&p->s);
}

/* Connections that nobody accepted. */
static void drop_pending(struct unix_sock *u)
{
    for (;;) {
        spin_lock(&u->s.lock);
        struct unix_sock *child = u->pending;
        if (child) {
            u->pending = child->pending_next;
            u->npending--;
        }
        spin_unlock(&u->s.lock);
        if (!child)
            return;
        unix_disconnect(child, true);
        socket_put(&child->s);
    }
}

static void unix_close(struct socket *s, bool nonblock)
{
    struct unix_sock *u = unix_of(s);
    struct netmsg_queue q;
    unix_unhash(u);
    spin_lock(&s->lock);
    u->dead = true;
    s->shut |= SOCKET_SHUT_RD | SOCKET_SHUT_WR;
    q = s->rq;
    s->rq = (struct netmsg_queue){ 0 };
    spin_unlock(&s->lock);
    unix_disconnect(u, q.head != NULL);
    drop_pending(u);
    netmsg_purge(&q);
    waitq_wake(&u->room, WAITQ_ALL, 0);
    unix_gc_run();
    unix_rights_drain();
}

static long unix_ioctl(struct socket *s, unsigned cmd, unsigned long arg)
{
    struct unix_sock *u = unix_of(s);
    int n;
    switch (cmd) {
    case FIONREAD:
        if (u->state == UNIX_LISTENS)
            return -EINVAL;
        spin_lock(&s->lock);
        n = s->type != SOCK_DGRAM ? (int)s->rq.bytes : s->rq.head ? (int)s->rq.head->len : 0;
        spin_unlock(&s->lock);
        return user_put(user_at(user_int_out_t, arg), &n, 1);
    case SIOCATMARK:
        n = socket_at_mark(s);
        return user_put(user_at(user_int_out_t, arg), &n, 1);
    case SIOCOUTQ:
        n = (int)s->wmem;
        return user_put(user_at(user_int_out_t, arg), &n, 1);
    default:
        return -ENOTTY;
    }
}

static void describe(struct unix_sock *u, struct socket_info *info)
{
    *info = (struct socket_info){ .family = AF_UNIX, .type = u->s.type, .state = u->state };
    spin_lock(&u->s.lock);
    if (u->name)
        info->name_len = (unsigned)put_name(u->name, &info->name);
    if (u->peer && u->peer->s.inode)
        info->peer_ino = u->peer->s.inode->ino;
    info->rqueue = u->state == UNIX_LISTENS ? u->npending : u->s.rq.bytes;
    info->wqueue = u->state == UNIX_LISTENS ? u->backlog : u->s.wmem;
    info->ino = u->s.file ? u->s.inode->ino : 0;
    spin_unlock(&u->s.lock);
    info->refs = u->s.refs - 1;
    info->uid = u->s.uid;
    info->socket = &u->s;
}

struct each {
    int (*fn)(const struct socket_info *info, void *arg);
    void *arg;
};

static int describe_one(struct socket *s, void *arg)
{
    struct each *e = arg;
    struct socket_info info;
    describe(unix_of(s), &info);
    return e->fn(&info, e->arg);
}

static int unix_each(int protocol, int (*fn)(const struct socket_info *info, void *arg), void *arg)
{
    struct each e = { fn, arg };
    return socket_list_each(&unix_table_lock, &all, describe_one, &e);
}

const struct socket_ops unix_ops = {
    .bind = unix_bind,
    .connect = unix_connect,
    .listen = unix_listen,
    .accept = unix_accept,
    .accept_state = unix_accept_state,
    .name = unix_name,
    .send = unix_send,
    .recv = unix_recv,
    .shutdown = unix_shutdown,
    .poll = unix_poll,
    .set_option = unix_set_option,
    .get_option = unix_get_option,
    .ioctl = unix_ioctl,
    .close = unix_close,
    .free = unix_free,
    .recv_empty = unix_recv_empty,
    .consumed = unix_consumed,
    .recv_name = unix_recv_name,
    .recv_control = unix_recv_control,
    .recv_joins = unix_recv_joins,
};

const struct socket_family unix_family = { AF_UNIX, unix_create, unix_pair, unix_each };
