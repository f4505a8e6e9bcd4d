/* SPDX-License-Identifier: MIT */
/* AF_VSOCK: sockets and where they are found: by the port that they are bound to (listeners), and by their connection, in two
 * hash tables under vsock_table_lock. A table has a reference, so that a connection whose file is closed stays until its peer
 * has heard of it. The peer is the host, or over the loopback a socket of this machine: context id 1, or the machine's own.
 * vsock(7). */
#include "vsock.h"
#include <abi/errno.h>
#include <abi/poll.h>
#include <abi/termios.h>
#include <abi/time.h>
#include <libos/heap.h>
#include <libos/process.h>
#include <libos/random.h>
#include <libos/user.h>
#include <string.h>

enum {
    BUFFER_DEFAULT = 256 * 1024,
    BUFFER_MIN = 128,
    CAP_NET_BIND_SERVICE = 10,
    ADDR_LEN = sizeof(struct abi_sockaddr_vm),
};
#define CONNECT_TIMEOUT_NS (2 * NS_PER_SEC)
#define TIMEOUT_SEC_MAX    (INT64_MAX / 1000 / 1000 - 1)

static struct slab socks = SLAB_INIT("vsock_sock", struct vsock_sock);
static struct spin table_lock = SPIN_INIT(RANK_SOCKET_TABLE);
/* guarded by table_lock */
static struct vsock_sock *bound[VSOCK_HASH], *connections[VSOCK_HASH];

static const struct socket_ops vsock_ops;

/* ---- making and finding ---- */

struct vsock_sock *vsock_alloc(int type, const struct vsock_sock *parent)
{
    struct vsock_sock *u = slab_alloc(&socks);
    if (!u)
        return NULL;
    memset(u, 0, sizeof(*u));
    socket_init(&u->s, &vsock_ops, AF_VSOCK, type, 0);
    u->state = VSOCK_CLOSE;
    u->local = u->remote = (struct vsock_addr){ VMADDR_CID_ANY, VMADDR_PORT_ANY };
    u->buffer_size = parent ? parent->buffer_size : BUFFER_DEFAULT;
    u->buffer_min = parent ? parent->buffer_min : BUFFER_MIN;
    u->buffer_max = parent ? parent->buffer_max : BUFFER_DEFAULT;
    u->buf_alloc = parent ? parent->buf_alloc : BUFFER_DEFAULT;
    u->connect_timeout_ns = parent ? parent->connect_timeout_ns : CONNECT_TIMEOUT_NS;
    if (parent)
        u->s.uid = parent->s.uid;
    timer_init(&u->timer, vsock_timer);
    return u;
}

static int vsock_create(int type, int protocol, struct socket **ret_socket)
{
    if (protocol && protocol != AF_VSOCK)
        return -EPROTONOSUPPORT;
    if (type == SOCK_DGRAM)
        return -ENODEV; /* no transport has them */
    if (type != SOCK_STREAM && type != SOCK_SEQPACKET)
        return -ESOCKTNOSUPPORT;
    struct vsock_sock *u = vsock_alloc(type, NULL);
    if (!u)
        return -ENOMEM;
    *ret_socket = &u->s;
    return 0;
}

static void vsock_free(struct socket *s)
{
    netmsg_purge(&s->rq);
    netmsg_purge(&vsock_of(s)->partial);
    slab_free(&socks, vsock_of(s));
}

bool vsock_is_local(uint32_t cid)
{
    struct vsock_dev *d = vsock_dev();
    return cid == VMADDR_CID_LOCAL || (d && cid == d->cid);
}

/* Locks: table_lock held. */
static bool port_taken(uint32_t cid, uint32_t port)
{
    for (struct vsock_sock *u = bound[port % VSOCK_HASH]; u; u = u->bound_next)
        if (u->local.port == port &&
            (u->local.cid == cid || u->local.cid == VMADDR_CID_ANY || cid == VMADDR_CID_ANY))
            return true;
    return false;
}

/* A free port from a random one on. VMADDR_PORT_ANY: none was found. Locks: table_lock held. */
static uint32_t choose_port(uint32_t cid)
{
    enum { TRIES = 1024 };
    uint32_t port = (uint32_t)random_u64();
    for (unsigned i = 0; i < TRIES; i++, port++) {
        if (port < VSOCK_PORTS_RESERVED || port == VMADDR_PORT_ANY)
            port = VSOCK_PORTS_RESERVED;
        if (!port_taken(cid, port))
            return port;
    }
    return VMADDR_PORT_ANY;
}

int vsock_bind_to(struct vsock_sock *u, uint32_t cid, uint32_t port)
{
    int err = 0;
    spin_lock(&table_lock);
    if (u->bound || u->local.port != VMADDR_PORT_ANY)
        err = -EINVAL;
    else if (port == VMADDR_PORT_ANY)
        port = choose_port(cid);
    else if (port_taken(cid, port))
        err = -EADDRINUSE;
    if (!err && port == VMADDR_PORT_ANY)
        err = -EADDRNOTAVAIL;
    if (!err) {
        u->local = (struct vsock_addr){ cid, port };
        u->bound_next = bound[port % VSOCK_HASH];
        bound[port % VSOCK_HASH] = u;
        u->bound = true;
        socket_get(&u->s);
    }
    spin_unlock(&table_lock);
    return err;
}

static unsigned conn_hash(uint32_t local_port, uint32_t remote_port)
{
    return (local_port ^ remote_port * 2654435761u >> 16) % VSOCK_HASH;
}

void vsock_enter(struct vsock_sock *u)
{
    unsigned h = conn_hash(u->local.port, u->remote.port);
    spin_lock(&table_lock);
    u->conn_next = connections[h];
    connections[h] = u;
    u->connected = true;
    socket_get(&u->s);
    spin_unlock(&table_lock);
}

void vsock_arm(struct vsock_sock *u, uint64_t deadline_ns)
{
    spin_lock(&table_lock);
    if (u->connected)
        timer_start(&u->timer, deadline_ns);
    spin_unlock(&table_lock);
}

void vsock_forget_connection(struct vsock_sock *u, bool from_timer)
{
    spin_lock(&table_lock);
    bool was = u->connected;
    if (was) {
        struct vsock_sock **at = &connections[conn_hash(u->local.port, u->remote.port)];
        while (*at != u)
            at = &(*at)->conn_next;
        *at = u->conn_next;
        u->connected = false;
    }
    spin_unlock(&table_lock);
    if (was && !from_timer)
        timer_stop(&u->timer);
    if (was)
        socket_put(&u->s);
}

void vsock_forget(struct vsock_sock *u, bool from_timer)
{
    socket_get(&u->s);
    vsock_forget_connection(u, from_timer);
    spin_lock(&table_lock);
    bool was = u->bound;
    if (was) {
        struct vsock_sock **at = &bound[u->local.port % VSOCK_HASH];
        while (*at != u)
            at = &(*at)->bound_next;
        *at = u->bound_next;
        u->bound = false;
    }
    spin_unlock(&table_lock);
    if (was)
        socket_put(&u->s);
    socket_put(&u->s);
}

struct vsock_sock *vsock_find(const struct vsock_header *h, bool loop)
{
    struct vsock_sock *u;
    spin_lock(&table_lock);
    for (u = connections[conn_hash(h->dst_port, h->src_port)]; u; u = u->conn_next)
        if (u->local.port == h->dst_port && u->remote.port == h->src_port && u->loop == loop &&
            (loop || u->remote.cid == h->src_cid))
            break;
    if (!u)
        for (u = bound[h->dst_port % VSOCK_HASH]; u; u = u->bound_next)
            if (u->state == VSOCK_LISTEN && u->local.port == h->dst_port &&
                (u->local.cid == VMADDR_CID_ANY || u->local.cid == h->dst_cid))
                break;
    if (u)
        socket_get(&u->s);
    spin_unlock(&table_lock);
    return u;
}

/* The first connection to the host, with a reference. */
static struct vsock_sock *first_remote(void)
{
    spin_lock(&table_lock);
    for (unsigned i = 0; i < VSOCK_HASH; i++)
        for (struct vsock_sock *u = connections[i]; u; u = u->conn_next)
            if (!u->loop) {
                socket_get(&u->s);
                spin_unlock(&table_lock);
                return u;
            }
    spin_unlock(&table_lock);
    return NULL;
}

void vsock_each_remote(void (*fn)(struct vsock_sock *u))
{
    for (struct vsock_sock *u; (u = first_remote());) {
        fn(u);
        socket_put(&u->s);
    }
}

/* ---- names ---- */

int vsock_check_name(const struct abi_sockaddr_storage *a, unsigned len,
                     struct abi_sockaddr_vm *ret)
{
    if (len < ADDR_LEN)
        return -EINVAL;
    memcpy(ret, a, ADDR_LEN);
    return ret->svm_family != AF_VSOCK || ret->svm_flags & ~VMADDR_FLAG_TO_HOST ? -EINVAL : 0;
}

static int vsock_bind(struct socket *s, const struct abi_sockaddr_storage *a, unsigned len)
{
    struct vsock_sock *u = vsock_of(s);
    struct abi_sockaddr_vm vm;
    int err = vsock_check_name(a, len, &vm);
    if (err)
        return err;
    if (u->local.port != VMADDR_PORT_ANY)
        return -EINVAL;
    if (vm.svm_cid != VMADDR_CID_ANY && !vsock_is_local(vm.svm_cid))
        return -EADDRNOTAVAIL;
    if (vm.svm_port < VSOCK_PORTS_RESERVED && !cred_capable(CAP_NET_BIND_SERVICE))
        return -EACCES;
    return vsock_bind_to(u, vm.svm_cid, vm.svm_port);
}

static int vsock_name(struct socket *s, bool peer, struct abi_sockaddr_storage *ret)
{
    struct vsock_sock *u = vsock_of(s);
    if (peer && u->stage != VSOCK_CONNECTED)
        return -ENOTCONN;
    struct vsock_addr a = peer ? u->remote : u->local;
    struct abi_sockaddr_vm vm = { .svm_family = AF_VSOCK, .svm_port = a.port, .svm_cid = a.cid };
    memcpy(ret, &vm, sizeof(vm));
    return sizeof(vm);
}

/* ---- state ---- */

static unsigned vsock_poll(struct socket *s)
{
    struct vsock_sock *u = vsock_of(s);
    unsigned shut = s->shut, its = u->peer_shut, state = u->state, events = 0;
    if (s->error)
        events |= EPOLLERR;
    if (shut == VSOCK_SHUT_BOTH || (shut & SOCKET_SHUT_WR && its & VSOCK_SHUT_SEND))
        events |= EPOLLHUP;
    if (shut & SOCKET_SHUT_RD || its & VSOCK_SHUT_SEND)
        events |= EPOLLRDHUP | EPOLLIN | EPOLLRDNORM;
    if (state == VSOCK_LISTEN && *(struct vsock_sock *volatile *)&u->pending)
        events |= EPOLLIN | EPOLLRDNORM;
    if (!(shut & SOCKET_SHUT_RD) && s->rq.bytes && s->rq.bytes >= s->rcvlowat)
        events |= EPOLLIN | EPOLLRDNORM;
    if (shut & SOCKET_SHUT_WR)
        return events;
    if (state == VSOCK_ESTABLISHED && vsock_credit(u) && socket_has_room(s))
        events |= SOCKET_OUT;
    if (state == VSOCK_CLOSE || state == VSOCK_CLOSING)
        events |= EPOLLOUT | EPOLLWRNORM;
    return events;
}

static void update_buffer(struct vsock_sock *u, uint64_t size)
{
    bool tell = false;
    spin_lock(&u->s.lock);
    if (size < u->buffer_min)
        size = u->buffer_min;
    if (size > u->buffer_max)
        size = u->buffer_max;
    if (size != u->buffer_size && size > UINT32_MAX)
        size = UINT32_MAX;
    if (size != u->buffer_size) {
        u->buf_alloc = (uint32_t)size;
        tell = u->state == VSOCK_ESTABLISHED;
    }
    u->buffer_size = size;
    if (tell)
        (void)vsock_say(u, VSOCK_CREDIT_UPDATE, 0); /* without memory: with the next packet */
    spin_unlock(&u->s.lock);
    if (tell)
        vsock_push();
}

static int set_timeout(struct vsock_sock *u, const void *value, unsigned len)
{
    struct abi_timeval tv;
    if (len < sizeof(tv))
        return -EINVAL;
    memcpy(&tv, value, sizeof(tv));
    if (tv.tv_sec < 0 || tv.tv_usec < 0 || tv.tv_usec >= 1000000 || tv.tv_sec >= TIMEOUT_SEC_MAX)
        return -ERANGE;
    uint64_t ns = tv.tv_sec > (int64_t)(UINT32_MAX)
                      ? (uint64_t)UINT32_MAX * NS_PER_SEC
                      : (uint64_t)tv.tv_sec * NS_PER_SEC + (uint64_t)tv.tv_usec * 1000;
    u->connect_timeout_ns = ns ? ns : CONNECT_TIMEOUT_NS;
    return 0;
}

static int vsock_set_option(struct socket *s, int level, int name, const void *value, unsigned len)
{
    struct vsock_sock *u = vsock_of(s);
    uint64_t v;
    if (level != AF_VSOCK)
        return -ENOPROTOOPT;
    if (name == SO_VM_SOCKETS_CONNECT_TIMEOUT_OLD || name == SO_VM_SOCKETS_CONNECT_TIMEOUT_NEW)
        return set_timeout(u, value, len);
    if (name < SO_VM_SOCKETS_BUFFER_SIZE || name > SO_VM_SOCKETS_BUFFER_MAX_SIZE)
        return -ENOPROTOOPT;
    if (len < sizeof(v))
        return -EINVAL;
    memcpy(&v, value, sizeof(v));
    if (name == SO_VM_SOCKETS_BUFFER_MAX_SIZE)
        u->buffer_max = v;
    if (name == SO_VM_SOCKETS_BUFFER_MIN_SIZE)
        u->buffer_min = v;
    update_buffer(u, name == SO_VM_SOCKETS_BUFFER_SIZE ? v : u->buffer_size);
    return 0;
}

static int vsock_get_option(struct socket *s, int level, int name, void *value, unsigned *len)
{
    struct vsock_sock *u = vsock_of(s);
    union {
        uint64_t n;
        struct abi_timeval tv;
    } v;
    unsigned size = sizeof(v.n);
    if (level != AF_VSOCK)
        return -ENOPROTOOPT;
    switch (name) {
    case SO_VM_SOCKETS_BUFFER_SIZE:
        v.n = u->buffer_size;
        break;
    case SO_VM_SOCKETS_BUFFER_MIN_SIZE:
        v.n = u->buffer_min;
        break;
    case SO_VM_SOCKETS_BUFFER_MAX_SIZE:
        v.n = u->buffer_max;
        break;
    case SO_VM_SOCKETS_CONNECT_TIMEOUT_OLD:
    case SO_VM_SOCKETS_CONNECT_TIMEOUT_NEW:
        v.tv.tv_sec = (int64_t)(u->connect_timeout_ns / NS_PER_SEC);
        v.tv.tv_usec = (int64_t)(u->connect_timeout_ns % NS_PER_SEC / 1000);
        size = sizeof(v.tv);
        break;
    default:
        return -ENOPROTOOPT;
    }
    if (*len < size)
        return -EINVAL;
    memcpy(value, &v, size);
    *len = size;
    return 0;
}

static long vsock_ioctl(struct socket *s, unsigned cmd, unsigned long arg)
{
    int n;
    if (cmd != FIONREAD && cmd != SIOCOUTQ)
        return -ENOTTY;
    if (vsock_of(s)->state == VSOCK_LISTEN)
        return -EINVAL;
    spin_lock(&s->lock);
    n = (int)(cmd == FIONREAD ? s->rq.bytes : vsock_of(s)->unsent);
    spin_unlock(&s->lock);
    return user_put(user_at(user_int_out_t, arg), &n, 1);
}

static const struct socket_ops vsock_ops = {
    .bind = vsock_bind,
    .connect = vsock_connect,
    .listen = vsock_listen,
    .accept = vsock_accept,
    .accept_state = vsock_accept_state,
    .name = vsock_name,
    .send = vsock_send,
    .recv = vsock_recv,
    .shutdown = vsock_shutdown,
    .poll = vsock_poll,
    .set_option = vsock_set_option,
    .get_option = vsock_get_option,
    .ioctl = vsock_ioctl,
    .close = vsock_close,
    .free = vsock_free,
    .recv_empty = vsock_recv_empty,
    .consumed = vsock_consumed,
    .recv_control = vsock_recv_control,
};

const struct socket_family vsock_family = { .family = AF_VSOCK, .create = vsock_create };
