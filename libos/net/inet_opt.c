/* SPDX-License-Identifier: MIT */
/* Options of the levels IPPROTO_IP and IPPROTO_IPV6, and the ancillary data that belongs to them. ip(7), ipv6(7). */
#include "core.h"
#include "inet.h"
#include "ip.h"
#include <abi/errno.h>
#include <libos/heap.h>
#include <libos/process.h>
#include <lwip/igmp.h>
#include <lwip/mld6.h>
#include <lwip/netif.h>
#include <string.h>

enum { TTL_DEFAULT = 64, TTL_MAX = 255, GROUPS_MAX = 64, V4_FLAGS = 16 };

/* Options that are one bit. */
static const struct {
    uint8_t level, name;
    bool inverted;
    uint32_t bit;
} bits[] = {
    { IPPROTO_IP, IP_PKTINFO, false, INET_PKTINFO },
    { IPPROTO_IP, IP_RECVTTL, false, INET_RECVTTL },
    { IPPROTO_IP, IP_RECVTOS, false, INET_RECVTOS },
    { IPPROTO_IP, IP_RECVERR, false, INET_RECVERR },
    { IPPROTO_IP, IP_RECVOPTS, false, INET_RECVOPTS },
    { IPPROTO_IP, IP_RETOPTS, false, INET_RETOPTS },
    { IPPROTO_IP, IP_HDRINCL, false, INET_HDRINCL },
    { IPPROTO_IP, IP_FREEBIND, false, INET_FREEBIND },
    { IPPROTO_IP, IP_TRANSPARENT, false, INET_TRANSPARENT },
    { IPPROTO_IP, IP_RECVORIGDSTADDR, false, INET_RECVORIGDST },
    { IPPROTO_IP, IP_MULTICAST_LOOP, true, INET_MC_LOOP_OFF },
    { IPPROTO_IP, IP_MULTICAST_ALL, true, INET_MC_ALL_OFF },
    { IPPROTO_IPV6, IPV6_RECVPKTINFO, false, INET6_PKTINFO },
    { IPPROTO_IPV6, IPV6_RECVHOPLIMIT, false, INET6_HOPLIMIT },
    { IPPROTO_IPV6, IPV6_RECVTCLASS, false, INET6_TCLASS },
    { IPPROTO_IPV6, IPV6_RECVERR, false, INET6_RECVERR },
    { IPPROTO_IPV6, IPV6_MULTICAST_LOOP, true, INET_MC_LOOP_OFF },
    { IPPROTO_IPV6, IPV6_FREEBIND, false, INET_FREEBIND },
};

static int bit_index(int level, int name)
{
    for (size_t i = 0; i < ARRAY_SIZE(bits); i++)
        if (bits[i].level == level && bits[i].name == name)
            return (int)i;
    return -1;
}

/* ---- groups ---- */

static err_t group_change(const struct inet_addr *group, unsigned ifindex, bool join)
{
    ip_addr_t ip;
    ip_of_addr(&ip, group, ifindex);
    net_lock();
    struct netif *n = ifindex         ? netif_get_by_index((u8_t)ifindex)
                      : netif_default ? netif_default
                                      : netif_list;
    err_t e = ERR_IF;
    net_touch();
    if (n && IP_IS_V4(&ip))
        e = n->flags & NETIF_FLAG_IGMP ? (join ? igmp_joingroup_netif(n, ip_2_ip4(&ip))
                                               : igmp_leavegroup_netif(n, ip_2_ip4(&ip)))
                                       : ERR_OK;
    else if (n)
        e = n->flags & NETIF_FLAG_MLD6 ? (join ? mld6_joingroup_netif(n, ip_2_ip6(&ip))
                                               : mld6_leavegroup_netif(n, ip_2_ip6(&ip)))
                                       : ERR_OK;
    net_unlock();
    return e;
}

static struct inet_group **group_at(struct inet_sock *in, const struct inet_addr *a,
                                    unsigned ifindex)
{
    struct inet_group **at = &in->groups;
    while (*at && !(addr_equal(&(*at)->addr, a) && (!ifindex || (*at)->ifindex == ifindex)))
        at = &(*at)->next;
    return at;
}

bool inet_group_wanted(struct inet_sock *in, const struct inet_addr *group, unsigned ifindex)
{
    spin_lock(&in->s.lock);
    bool joined = *group_at(in, group, 0);
    spin_unlock(&in->s.lock);
    return joined || !(in->want & INET_MC_ALL_OFF);
}

static int group_join(struct inet_sock *in, const struct inet_addr *a, unsigned ifindex)
{
    if (!addr_is_multicast(a))
        return -EINVAL;
    struct inet_group *g = heap_alloc(sizeof(*g));
    if (!g)
        return -ENOMEM;
    *g = (struct inet_group){ NULL, *a, ifindex };
    spin_lock(&in->s.lock);
    unsigned n = 0;
    for (struct inet_group *o = in->groups; o; o = o->next)
        n++;
    struct inet_group **at = group_at(in, a, ifindex);
    int err = *at ? -EADDRINUSE : n >= GROUPS_MAX ? -ENOBUFS : 0;
    if (!err) {
        g->next = in->groups;
        in->groups = g;
    }
    spin_unlock(&in->s.lock);
    if (!err && group_change(a, ifindex, true) != ERR_OK)
        err = -ENODEV;
    else if (!err)
        return 0;
    if (err == -ENODEV) {
        spin_lock(&in->s.lock);
        at = group_at(in, a, ifindex);
        if (*at)
            *at = (*at)->next;
        spin_unlock(&in->s.lock);
    }
    heap_free(g);
    return err;
}

static int group_leave(struct inet_sock *in, const struct inet_addr *a, unsigned ifindex)
{
    spin_lock(&in->s.lock);
    struct inet_group **at = group_at(in, a, ifindex), *g = *at;
    if (g)
        *at = g->next;
    spin_unlock(&in->s.lock);
    if (!g)
        return -EADDRNOTAVAIL;
    group_change(&g->addr, g->ifindex, false);
    heap_free(g);
    return 0;
}

void inet_groups_drop(struct inet_sock *in)
{
    while (in->groups) {
        struct inet_addr a = in->groups->addr;
        (void)!group_leave(in, &a, in->groups->ifindex);
    }
}

/* The number of the interface with this IPv4 address; 0. */
static unsigned index_of_addr(uint32_t be)
{
    struct netif *n;
    unsigned index = 0;
    net_lock();
    NETIF_FOREACH(n)
    if (be && netif_ip4_addr(n)->addr == be)
        index = netif_get_index(n);
    net_unlock();
    return index;
}

static int membership4(struct inet_sock *in, int name, const void *value, unsigned len)
{
    struct abi_ip_mreqn m = { 0 };
    if (len < 8)
        return -EINVAL;
    memcpy(&m, value, len < sizeof(m) ? len : sizeof(m));
    struct inet_addr a = addr_v4(m.imr_multiaddr);
    unsigned index =
        len >= sizeof(m) && m.imr_ifindex ? (unsigned)m.imr_ifindex : index_of_addr(m.imr_address);
    return name == IP_ADD_MEMBERSHIP ? group_join(in, &a, index) : group_leave(in, &a, index);
}

static int membership6(struct inet_sock *in, int name, const void *value, unsigned len)
{
    struct abi_ipv6_mreq m;
    struct inet_addr a;
    if (len < sizeof(m))
        return -EINVAL;
    memcpy(&m, value, sizeof(m));
    memcpy(a.b, m.ipv6mr_multiaddr, 16);
    return name == IPV6_JOIN_GROUP ? group_join(in, &a, (unsigned)m.ipv6mr_ifindex)
                                   : group_leave(in, &a, (unsigned)m.ipv6mr_ifindex);
}

static int multicast_if4(struct inet_sock *in, const void *value, unsigned len)
{
    struct abi_ip_mreqn m = { 0 };
    if (len >= 8)
        memcpy(&m, value, len < sizeof(m) ? len : sizeof(m));
    else if (len >= 4)
        memcpy(&m.imr_address, value, 4);
    else
        return -EINVAL;
    unsigned index = m.imr_ifindex ? (unsigned)m.imr_ifindex : index_of_addr(m.imr_address);
    if (!index && m.imr_address)
        return -EADDRNOTAVAIL;
    in->mc_if = index;
    in->mc_addr = addr_v4(m.imr_address);
    return 0;
}

/* ---- setting ---- */

static int set_ttl(int *at, int v, int least, bool may_default)
{
    if (v == -1 && may_default) {
        *at = -1;
        return 0;
    }
    if (v < least || v > TTL_MAX)
        return -EINVAL;
    *at = v;
    return 0;
}

static int set_least(uint8_t *at, int v)
{
    if (v < 0 || v > TTL_MAX)
        return -EINVAL;
    *at = (uint8_t)v;
    return 0;
}

static int set4(struct inet_sock *in, int name, int v)
{
    switch (name) {
    case IP_TOS:
        in->tos = v & 0xff;
        return 0;
    case IP_TTL:
        return set_ttl(&in->ttl, v, 1, true);
    case IP_MULTICAST_TTL:
        if (in->s.type == SOCK_STREAM)
            return -EINVAL;
        return set_ttl(&in->mc_ttl, v, 0, true);
    case IP_MTU_DISCOVER:
        if (v < IP_PMTUDISC_DONT || v > 5)
            return -EINVAL;
        in->mtu_discover = v;
        return 0;
    case IP_MINTTL:
        return set_least(&in->minttl, v);
    case IP_BIND_ADDRESS_NO_PORT:
        return 0;
    default:
        return -ENOPROTOOPT;
    }
}

static int set_v6only(struct inet_sock *in, int v)
{
    if (in->in_table)
        return -EINVAL;
    in->v6only = v;
    return 0;
}

static int set6(struct inet_sock *in, int name, int v)
{
    switch (name) {
    case IPV6_V6ONLY:
        return set_v6only(in, v);
    case IPV6_UNICAST_HOPS:
        return set_ttl(&in->ttl, v, 0, true);
    case IPV6_MULTICAST_HOPS:
        if (in->s.type == SOCK_STREAM)
            return -ENOPROTOOPT;
        return set_ttl(&in->mc_ttl, v, 0, true);
    case IPV6_MULTICAST_IF:
        in->mc_if = (unsigned)v;
        return 0;
    case IPV6_TCLASS:
        if (v < -1 || v > 0xff)
            return -EINVAL;
        in->tclass = v;
        return 0;
    case IPV6_MTU_DISCOVER:
        if (v < 0 || v > 5)
            return -EINVAL;
        in->mtu_discover = v;
        return 0;
    case IPV6_MINHOPCOUNT:
        return set_least(&in->minhops, v);
    case IPV6_DONTFRAG:
    case IPV6_AUTOFLOWLABEL:
    case IPV6_ADDR_PREFERENCES:
        return 0;
    case IPV6_CHECKSUM:
        return in->s.type == SOCK_RAW ? 0 : -ENOPROTOOPT;
    default:
        return -ENOPROTOOPT;
    }
}

static int set_bit(struct inet_sock *in, int i, int v)
{
    if (bits[i].bit == INET_HDRINCL && in->s.type != SOCK_RAW)
        return -ENOPROTOOPT;
    if (bits[i].level == IPPROTO_IP && bits[i].name == IP_MULTICAST_ALL && (v < 0 || v > 1))
        return -EINVAL;
    if (bits[i].bit == INET_TRANSPARENT && v && !cred_capable(12) && !cred_capable(13))
        return -EPERM;
    spin_lock(&in->s.lock);
    in->want = (v != 0) != bits[i].inverted ? in->want | bits[i].bit : in->want & ~bits[i].bit;
    spin_unlock(&in->s.lock);
    return 0;
}

/* An option of IPPROTO_IP without a value is one of 0, but for these. */
static bool needs_value(int name)
{
    return name == IP_TTL || name == IP_FREEBIND || name == IP_TRANSPARENT || name == IP_MINTTL ||
           name == IP_MULTICAST_TTL || name == IP_MULTICAST_LOOP || name == IP_MULTICAST_ALL;
}

int inet_set_option(struct socket *s, int level, int name, const void *value, unsigned len)
{
    struct inet_sock *in = inet_of(s);
    int v = 0;
    if (level != IPPROTO_IP && (level != IPPROTO_IPV6 || s->family != AF_INET6))
        return -ENOPROTOOPT;
    if (level == IPPROTO_IP && (name == IP_ADD_MEMBERSHIP || name == IP_DROP_MEMBERSHIP))
        return s->type == SOCK_STREAM ? -EPROTO : membership4(in, name, value, len);
    if (level == IPPROTO_IP && name == IP_MULTICAST_IF)
        return s->type == SOCK_STREAM ? -EINVAL : multicast_if4(in, value, len);
    if (level == IPPROTO_IPV6 && (name == IPV6_JOIN_GROUP || name == IPV6_LEAVE_GROUP))
        return membership6(in, name, value, len);
    if (len >= sizeof(v))
        memcpy(&v, value, sizeof(v));
    else if (len >= 1 && level == IPPROTO_IP)
        v = *(const uint8_t *)value;
    else if (len || level != IPPROTO_IP || needs_value(name))
        return -EINVAL;
    int i = bit_index(level, name);
    if (i >= 0)
        return set_bit(in, i, v);
    return level == IPPROTO_IP ? set4(in, name, v) : set6(in, name, v);
}

/* ---- getting ---- */

static int get4(struct inet_sock *in, int name, int *v)
{
    switch (name) {
    case IP_TOS:
        *v = in->tos < 0 ? 0 : in->tos;
        return 0;
    case IP_TTL:
        *v = in->ttl < 0 ? TTL_DEFAULT : in->ttl;
        return 0;
    case IP_MULTICAST_TTL:
        *v = in->mc_ttl < 0 ? 1 : in->mc_ttl;
        return 0;
    case IP_MINTTL:
        *v = in->minttl;
        return 0;
    case IP_MTU_DISCOVER:
        *v = in->mtu_discover;
        return 0;
    case IP_MTU:
        if (!in->remote.port)
            return -ENOTCONN;
        *v = addr_is_local(&in->remote.addr) ? 65536 : 1500;
        return 0;
    case IP_MULTICAST_IF:
        *v = (int)in->mc_addr.w[3];
        return 0;
    case IP_BIND_ADDRESS_NO_PORT:
    case IP_OPTIONS:
        *v = 0;
        return 0;
    default:
        return -ENOPROTOOPT;
    }
}

static int get6(struct inet_sock *in, int name, int *v)
{
    switch (name) {
    case IPV6_V6ONLY:
        *v = in->v6only;
        return 0;
    case IPV6_UNICAST_HOPS:
        *v = in->ttl < 0 ? TTL_DEFAULT : in->ttl;
        return 0;
    case IPV6_MULTICAST_HOPS:
        *v = in->mc_ttl < 0 ? 1 : in->mc_ttl;
        return 0;
    case IPV6_MULTICAST_IF:
        *v = (int)in->mc_if;
        return 0;
    case IPV6_TCLASS:
        *v = in->tclass < 0 ? 0 : in->tclass;
        return 0;
    case IPV6_MINHOPCOUNT:
        *v = in->minhops;
        return 0;
    case IPV6_MTU_DISCOVER:
        *v = in->mtu_discover;
        return 0;
    case IPV6_MTU:
        if (!in->remote.port)
            return -ENOTCONN;
        *v = addr_is_local(&in->remote.addr) ? 65536 : 1500;
        return 0;
    case IPV6_DONTFRAG:
    case IPV6_ADDR_PREFERENCES:
        *v = 0;
        return 0;
    case IPV6_AUTOFLOWLABEL:
        *v = 1;
        return 0;
    default:
        return -ENOPROTOOPT;
    }
}

int inet_get_option(struct socket *s, int level, int name, void *value, unsigned *len)
{
    struct inet_sock *in = inet_of(s);
    int v, err;
    if (level == SOL_SOCKET)
        return -ENOPROTOOPT;
    if (level != IPPROTO_IP && (level != IPPROTO_IPV6 || s->family != AF_INET6))
        return -EOPNOTSUPP;
    int i = bit_index(level, name);
    if (i >= 0) {
        v = ((in->want & bits[i].bit) != 0) != bits[i].inverted;
        err = 0;
    } else {
        err = level == IPPROTO_IP ? get4(in, name, &v) : get6(in, name, &v);
    }
    if (err)
        return err;
    if (*len > sizeof(v))
        *len = sizeof(v);
    if (level == IPPROTO_IP && *len < sizeof(v) && *len > 0 && v >= 0 && v <= 255) {
        *(uint8_t *)value = (uint8_t)v; /* Linux gives a byte to who asks for less than an int */
        *len = 1;
        return 0;
    }
    memcpy(value, &v, *len);
    return 0;
}

/* ---- ancillary data ---- */

void inet_message_from(struct netmsg *m, const struct inet_end *from, const struct inet_addr *to)
{
    _Static_assert(sizeof(*from) <= sizeof(m->name), "an end fits");
    memcpy(m->name, from, sizeof(*from));
    m->name_len = sizeof(*from);
    memcpy(m->info.addr, to, sizeof(m->info.addr));
}

void inet_recv_name(struct socket *s, struct netmsg *m, struct socket_msg *to)
{
    struct inet_end from;
    if (!to->name)
        return;
    memcpy(&from, m->name, sizeof(from));
    to->name_len = (unsigned)inet_put_end(inet_of(s), &from, to->name);
}

bool inet_recv_control(struct socket *s, struct netmsg *m, struct socket_msg *to, bool peek)
{
    struct inet_sock *in = inet_of(s);
    uint32_t want = in->want;
    struct inet_addr dest;
    if (LIKELY(!(want & (INET_PKTINFO | INET_RECVTTL | INET_RECVTOS | INET6_PKTINFO |
                         INET6_HOPLIMIT | INET6_TCLASS))))
        return false;
    memcpy(dest.b, m->info.addr, 16);
    int ttl = m->ttl, tos = m->tos;
    if (addr_is_v4(&dest)) {
        struct abi_in_pktinfo info = { (int32_t)m->ifindex, dest.w[3], dest.w[3] };
        if (want & INET_PKTINFO)
            socket_put_control(to, IPPROTO_IP, IP_PKTINFO, &info, sizeof(info));
        if (want & INET_RECVTTL)
            socket_put_control(to, IPPROTO_IP, IP_TTL, &ttl, sizeof(ttl));
        if (want & INET_RECVTOS)
            socket_put_control(to, IPPROTO_IP, IP_TOS, &m->tos, 1);
    }
    if (want & INET6_PKTINFO) {
        struct abi_in6_pktinfo info = { .ipi6_ifindex = m->ifindex };
        memcpy(info.ipi6_addr, dest.b, 16);
        socket_put_control(to, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof(info));
    }
    if (want & INET6_HOPLIMIT && !addr_is_v4(&dest))
        socket_put_control(to, IPPROTO_IPV6, IPV6_HOPLIMIT, &ttl, sizeof(ttl));
    if (want & INET6_TCLASS && !addr_is_v4(&dest))
        socket_put_control(to, IPPROTO_IPV6, IPV6_TCLASS, &tos, sizeof(tos));
    return false;
}

static int send_item(const struct control_item *c, struct inet_send *out)
{
    int v = 0;
    if (c->len >= sizeof(v))
        memcpy(&v, c->data, sizeof(v));
    if (c->level == IPPROTO_IP && c->type == IP_PKTINFO &&
        c->len == sizeof(struct abi_in_pktinfo)) {
        struct abi_in_pktinfo info;
        memcpy(&info, c->data, sizeof(info));
        out->ifindex = (unsigned)info.ipi_ifindex;
        if (info.ipi_spec_dst)
            out->from = addr_v4(info.ipi_spec_dst);
        return 0;
    }
    if (c->level == IPPROTO_IPV6 && c->type == IPV6_PKTINFO &&
        c->len == sizeof(struct abi_in6_pktinfo)) {
        struct abi_in6_pktinfo info;
        memcpy(&info, c->data, sizeof(info));
        out->ifindex = info.ipi6_ifindex;
        memcpy(out->from.b, info.ipi6_addr, 16);
        return 0;
    }
    if ((c->level == IPPROTO_IP && c->type == IP_TTL) ||
        (c->level == IPPROTO_IPV6 && c->type == IPV6_HOPLIMIT)) {
        if (c->len != sizeof(v) || v < -1 || v > TTL_MAX)
            return -EINVAL;
        out->ttl = v;
        return 0;
    }
    if ((c->level == IPPROTO_IP && c->type == IP_TOS) ||
        (c->level == IPPROTO_IPV6 && c->type == IPV6_TCLASS)) {
        out->tos = c->len >= sizeof(v) ? v : c->len ? *c->data : 0;
        return 0;
    }
    return c->level == IPPROTO_IP || c->level == IPPROTO_IPV6 || c->level == SOL_SOCKET ? -EINVAL
                                                                                        : 0;
}

int inet_send_control(struct inet_sock *in, const struct socket_msg *m, struct inet_send *out)
{
    struct control_item c;
    size_t pos = 0;
    int more;
    while ((more = socket_next_control(m, &pos, &c)) > 0) {
        int err = send_item(&c, out);
        if (err)
            return err;
    }
    return more;
}
