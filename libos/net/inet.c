/* SPDX-License-Identifier: MIT */
/* What TCP, UDP and raw sockets share: addresses, ports and who may have which, and finding the socket that takes a packet.
 * One table for each protocol, hashed by port, holds all bound sockets; its lock guards membership, and the local
 * address of what is in it. ip(7), ipv6(7). */
#include "inet.h"
#include "core.h"
#include <abi/errno.h>
#include <libos/process.h>
#include <libos/random.h>
#include <string.h>
#include <utlist.h>

enum { CAP_NET_BIND_SERVICE = 10, PRIVILEGED = 1024, V4_LEN = 16, V6_LEN_MIN = 24 };

struct inet_table inet_tcp = { .lock = SPIN_INIT(RANK_SOCKET_TABLE) };
struct inet_table inet_raw = { .lock = SPIN_INIT(RANK_SOCKET_TABLE) };
struct inet_table inet_udp = { .lock = SPIN_INIT(RANK_SOCKET_TABLE) };

static int inet_create(int family, int type, int protocol, struct socket **ret)
{
    if (protocol < 0 || protocol >= IPPROTO_MAX)
        return -EINVAL;
    switch (type) {
    case SOCK_STREAM:
        return protocol && protocol != IPPROTO_TCP ? -EPROTONOSUPPORT
                                                   : tcpsock_create(family, protocol, ret);
    case SOCK_DGRAM:
        if (protocol == (family == AF_INET ? IPPROTO_ICMP : IPPROTO_ICMPV6))
            return rawsock_create(family, type, protocol, ret);
        return protocol && protocol != IPPROTO_UDP ? -EPROTONOSUPPORT
                                                   : udpsock_create(family, protocol, ret);
    case SOCK_RAW:
        return protocol ? rawsock_create(family, type, protocol, ret) : -EPROTONOSUPPORT;
    default:
        return -ESOCKTNOSUPPORT;
    }
}

static int inet4_create(int type, int protocol, struct socket **ret)
{
    return inet_create(AF_INET, type, protocol, ret);
}

static int inet6_create(int type, int protocol, struct socket **ret)
{
    return inet_create(AF_INET6, type, protocol, ret);
}

void inet_init(struct inet_sock *in, const struct socket_ops *ops, int family, int type,
               int protocol, struct inet_table *table)
{
    socket_init(&in->s, ops, family, type, protocol);
    in->ttl = in->tos = in->tclass = in->mc_ttl = -1;
    in->mtu_discover = IP_PMTUDISC_WANT;
    in->table = table;
    if (family == AF_INET)
        in->local.addr = in->remote.addr = addr_v4(0);
    spin_lock(&table->lock);
    DL_APPEND2(table->all, &in->s, list_prev, list_next);
    spin_unlock(&table->lock);
}

void inet_fini(struct inet_sock *in)
{
    inet_unbind(in);
    inet_groups_drop(in);
    spin_lock(&in->table->lock);
    DL_DELETE2(in->table->all, &in->s, list_prev, list_next);
    spin_unlock(&in->table->lock);
}

/* ---- addresses ---- */

bool addr_is_local(const struct inet_addr *a)
{
    return addr_is_any(a) || addr_is_loopback(a) || net_addr_is_own(a);
}

struct inet_addr addr_source_for(const struct inet_addr *a)
{
    if (addr_is_loopback(a) || addr_is_any(a))
        return addr_is_v4(a) ? addr_v4(0x0100007f)
                             : (struct inet_addr){ .w = { 0, 0, 0, 0x01000000u } };
    if (net_addr_is_own(a))
        return *a;
    return net_source_for(a);
}

static uint16_t swap16(uint16_t v)
{
    return (uint16_t)(v << 8 | v >> 8);
}

int inet_get_end(struct inet_sock *in, const struct abi_sockaddr_storage *a, unsigned len,
                 struct inet_end *ret)
{
    const struct abi_sockaddr_in *v4 = (const void *)a;
    const struct abi_sockaddr_in6 *v6 = (const void *)a;
    *ret = (struct inet_end){ 0 };
    if (len < sizeof(uint16_t))
        return -EINVAL;
    if (in->s.family == AF_INET) {
        if (len < V4_LEN)
            return -EINVAL;
        if (a->ss_family != AF_INET && (a->ss_family != AF_UNSPEC || v4->sin_addr))
            return -EAFNOSUPPORT;
        ret->addr = addr_v4(v4->sin_addr);
        ret->port = swap16(v4->sin_port);
        return 0;
    }
    if (a->ss_family == AF_INET && len >= V4_LEN) {
        ret->addr = addr_v4(v4->sin_addr);
        ret->port = swap16(v4->sin_port);
        return in->s.type == SOCK_STREAM || in->v6only ? -EAFNOSUPPORT : 0;
    }
    if (len < V6_LEN_MIN)
        return -EINVAL;
    if (a->ss_family != AF_INET6)
        return -EAFNOSUPPORT;
    memcpy(ret->addr.b, v6->sin6_addr, 16);
    ret->port = swap16(v6->sin6_port);
    if (len >= sizeof(*v6))
        ret->scope = v6->sin6_scope_id;
    return 0;
}

int inet_put_end(const struct inet_sock *in, const struct inet_end *e,
                 struct abi_sockaddr_storage *ret)
{
    if (in->s.family == AF_INET) {
        struct abi_sockaddr_in v4 = { AF_INET, swap16(e->port), e->addr.w[3], { 0 } };
        memcpy(ret, &v4, sizeof(v4));
        return sizeof(v4);
    }
    struct abi_sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = swap16(e->port) };
    memcpy(v6.sin6_addr, e->addr.b, 16);
    if (e->addr.b[0] == 0xfe && (e->addr.b[1] & 0xc0) == 0x80)
        v6.sin6_scope_id = e->scope;
    memcpy(ret, &v6, sizeof(v6));
    return sizeof(v6);
}

int inet_name_of(struct inet_sock *in, bool peer, struct abi_sockaddr_storage *ret)
{
    spin_lock(&in->s.lock);
    struct inet_end e = peer ? in->remote : in->local;
    spin_unlock(&in->s.lock);
    return inet_put_end(in, &e, ret);
}

/* ---- ports ---- */

/* Could a packet be meant for both? An AF_INET6 socket on :: takes IPv4 too unless it is V6ONLY. */
static bool overlaps(const struct inet_sock *a, const struct inet_sock *b)
{
    const struct inet_addr *x = &a->local.addr, *y = &b->local.addr;
    bool x4 = addr_is_v4(x), y4 = addr_is_v4(y);
    if (a->s.bound_dev && b->s.bound_dev && a->s.bound_dev != b->s.bound_dev)
        return false;
    if (x4 != y4) {
        const struct inet_sock *six = x4 ? b : a;
        return addr_is_any(&six->local.addr) && !six->v6only;
    }
    return addr_is_any(x) || addr_is_any(y) || addr_equal(x, y);
}

static bool is_listener(const struct inet_sock *in)
{
    return in->s.type == SOCK_STREAM && in->s.ops->accept_state &&
           !in->s.ops->accept_state((struct socket *)(uintptr_t)&in->s);
}

static bool conflicts(const struct inet_sock *in, const struct inet_sock *other)
{
    if (in == other || in->local.port != other->local.port || !overlaps(in, other))
        return false;
    uint32_t both = in->s.flags & other->s.flags;
    if (both & SOCKET_REUSEPORT && in->s.uid == other->s.uid)
        return false;
    return !(both & SOCKET_REUSEADDR) || is_listener(other);
}

/* Locks: the table's. */
static bool port_taken(const struct inet_sock *in)
{
    for (struct inet_sock *o = in->table->chain[in->local.port % INET_HASH]; o; o = o->next)
        if (conflicts(in, o))
            return true;
    return false;
}

static void table_insert(struct inet_sock *in)
{
    struct inet_sock **head = &in->table->chain[in->local.port % INET_HASH];
    in->next = *head;
    in->link = head;
    if (*head)
        (*head)->link = &in->next;
    *head = in;
    in->in_table = true;
}

void inet_unbind(struct inet_sock *in)
{
    spin_lock(&in->table->lock);
    if (in->in_table) {
        *in->link = in->next;
        if (in->next)
            in->next->link = in->link;
        in->in_table = false;
        in->local.port = 0;
    }
    spin_unlock(&in->table->lock);
}

/* Find a port that nobody has, beginning anywhere. Locks: the table's. */
static bool pick_port(struct inet_sock *in)
{
    unsigned n = PORT_LAST - PORT_FIRST + 1, at = (unsigned)(random_u64() % n);
    uint32_t flags = in->s.flags;
    in->s.flags &= ~(uint32_t)(SOCKET_REUSEADDR | SOCKET_REUSEPORT);
    bool found = false;
    for (unsigned i = 0; i < n && !found; i++) {
        in->local.port = (uint16_t)(PORT_FIRST + (at + i) % n);
        found = !port_taken(in);
    }
    in->s.flags = flags;
    if (!found)
        in->local.port = 0;
    return found;
}

int inet_autobind(struct inet_sock *in)
{
    spin_lock(&in->table->lock);
    bool ok = in->in_table || pick_port(in);
    if (ok && !in->in_table)
        table_insert(in);
    spin_unlock(&in->table->lock);
    return ok ? 0 : -EAGAIN;
}

/* May a socket have this address? */
static int check_bind_addr(struct inet_sock *in, const struct inet_end *e)
{
    if (in->s.family == AF_INET6 && addr_is_v4(&e->addr) && in->v6only)
        return -EINVAL;
    if (addr_is_local(&e->addr) || in->want & (INET_FREEBIND | INET_TRANSPARENT))
        return 0;
    if (in->s.type != SOCK_STREAM && (addr_is_multicast(&e->addr) || addr_is_broadcast(&e->addr)))
        return 0;
    return -EADDRNOTAVAIL;
}

int inet_bind(struct socket *s, const struct abi_sockaddr_storage *a, unsigned len)
{
    struct inet_sock *in = inet_of(s);
    struct inet_end e;
    int err = inet_get_end(in, a, len, &e);
    if (!err)
        err = check_bind_addr(in, &e);
    if (err)
        return err;
    if (e.port && e.port < PRIVILEGED && !cred_capable(CAP_NET_BIND_SERVICE))
        return -EACCES;
    spin_lock(&in->table->lock);
    if (in->in_table || in->remote.port) {
        err = -EINVAL;
    } else {
        struct inet_end old = in->local;
        in->local = e;
        if (e.port ? port_taken(in) : !pick_port(in)) {
            in->local = old;
            err = -EADDRINUSE;
        } else {
            table_insert(in);
            in->has_addr = !addr_is_any(&e.addr);
            in->bound_as = (uint8_t)(in->has_addr | (e.port ? 2 : 0));
        }
    }
    spin_unlock(&in->table->lock);
    return err;
}

int inet_check_listener(struct inet_sock *in)
{
    int err = 0;
    spin_lock(&in->table->lock);
    for (struct inet_sock *o = in->table->chain[in->local.port % INET_HASH]; o; o = o->next)
        if (is_listener(o) && conflicts(in, o))
            err = -EADDRINUSE;
    spin_unlock(&in->table->lock);
    return err;
}

/* How well a socket fits; 0: not at all. */
static unsigned score(const struct inet_sock *in, const struct inet_end *local,
                      const struct inet_end *remote)
{
    unsigned points = 1;
    const struct inet_addr *mine = &in->local.addr;
    if (in->local.port != local->port)
        return 0;
    bool v4 = addr_is_v4(&local->addr);
    if (addr_is_any(mine)) {
        bool mine4 = addr_is_v4(mine);
        if (v4 ? !mine4 && in->v6only : mine4)
            return 0;
        points += mine4 == v4;
    } else if (!addr_equal(mine, &local->addr)) {
        return 0;
    } else {
        points += 4;
    }
    if (in->remote.port) {
        if (in->remote.port != remote->port || !addr_equal(&in->remote.addr, &remote->addr))
            return 0;
        points += 8;
    }
    return points;
}

struct inet_sock *inet_find(struct inet_table *t, const struct inet_end *local,
                            const struct inet_end *remote, bool (*fits)(struct inet_sock *in))
{
    struct inet_sock *best = NULL;
    unsigned most = 0, equal = 0;
    uint32_t spread = remote->addr.w[3] * 2654435761u + remote->port * 40503u;
    spin_lock(&t->lock);
    for (struct inet_sock *in = t->chain[local->port % INET_HASH]; in; in = in->next) {
        unsigned points = score(in, local, remote);
        if (!points || points < most || (fits && !fits(in)))
            continue;
        equal = points > most ? 1 : equal + 1;
        most = points;
        /* Among equals (SO_REUSEPORT) by the peer's address, so that a flow stays with one. */
        if (equal == 1 || (spread ^ spread >> 15) % equal == 0)
            best = in;
        spread = spread * 1103515245u + 12345;
    }
    if (best)
        socket_get(&best->s);
    spin_unlock(&t->lock);
    return best;
}

/* ---- /proc/net, sock_diag ---- */

struct each {
    int (*fn)(const struct socket_info *info, void *arg);
    void *arg;
    int family;
};

static int describe_one(struct socket *s, void *arg)
{
    struct each *e = arg;
    struct inet_sock *in = inet_of(s);
    struct socket_info info = { .family = s->family, .type = s->type, .protocol = s->protocol };
    if (s->family != e->family)
        return 0;
    info.state = s->type == SOCK_STREAM ? tcpsock_state(s) : in->remote.port ? 1 : 7;
    info.name_len = (unsigned)inet_name_of(in, false, &info.name);
    info.peer_len = (unsigned)inet_name_of(in, true, &info.peer);
    spin_lock(&s->lock);
    info.rqueue = s->rq.bytes;
    info.wqueue = s->wmem;
    info.ino = s->file ? s->inode->ino : 0;
    spin_unlock(&s->lock);
    info.dropped = s->dropped;
    info.refs = s->refs - 1;
    info.uid = s->uid;
    info.socket = s;
    return e->fn(&info, e->arg);
}

static int each_of(int family, int protocol, int (*fn)(const struct socket_info *info, void *arg),
                   void *arg)
{
    struct each e = { fn, arg, family };
    struct inet_table *t = protocol == IPPROTO_UDP   ? &inet_udp
                           : protocol == IPPROTO_TCP ? &inet_tcp
                                                     : &inet_raw;
    return socket_list_each(&t->lock, &t->all, describe_one, &e);
}

static int inet4_each(int protocol, int (*fn)(const struct socket_info *info, void *arg), void *arg)
{
    return each_of(AF_INET, protocol, fn, arg);
}

static int inet6_each(int protocol, int (*fn)(const struct socket_info *info, void *arg), void *arg)
{
    return each_of(AF_INET6, protocol, fn, arg);
}

const struct socket_family inet4_family = { AF_INET, inet4_create, NULL, inet4_each };
const struct socket_family inet6_family = { AF_INET6, inet6_create, NULL, inet6_each };
