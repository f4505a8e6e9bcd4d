/* SPDX-License-Identifier: MIT */
/* IPv4 routes that programs add, and what all routes and neighbours are. lwIP knows the networks of its netifs and one
 * gateway for each; a default route is that gateway. Every other route lies in a table here, which lwIP asks through its
 * hooks. IPv6 routes are those of addresses and router advertisements. Guarded by the core lock. rtnetlink(7). */
#include "core.h"
#include "ip.h"
#include "netconf.h"
#include "tcp_path.h"
#include <abi/errno.h>
#include <abi/netlink.h>
#include <lwip/dhcp.h>
#include <lwip/etharp.h>
#include <lwip/netif.h>
#include <lwip/priv/nd6_priv.h>
#include <string.h>

enum { METRIC6 = 256, METRIC6_RA = 1024 };

static struct net_route table[ROUTES_MAX];
static size_t ntable;

static uint32_t mask_of(unsigned prefix)
{
    return prefix ? lwip_htonl(0xffffffffu << (32 - prefix)) : 0;
}

static unsigned prefix_of(uint32_t mask)
{
    return (unsigned)__builtin_popcount(mask);
}

/* The route of the table that fits an address best; NULL. */
static const struct net_route *table_find(uint32_t addr)
{
    const struct net_route *best = NULL;
    for (size_t i = 0; i < ntable; i++) {
        const struct net_route *r = &table[i];
        struct netif *n = netconf_netif(r->ifindex);
        if ((addr ^ r->dst.w[3]) & mask_of(r->prefix) || !n || !netif_is_up(n))
            continue;
        if (!best || r->prefix > best->prefix ||
            (r->prefix == best->prefix && r->metric < best->metric))
            best = r;
    }
    return best;
}

static bool usable(const struct netif *n)
{
    return netif_is_up(n) && !ip4_addr_isany_val(*netif_ip4_addr(n));
}

/* The netif on whose network an address lies, by the longest prefix; NULL. */
static struct netif *connected(uint32_t addr, unsigned *ret_prefix)
{
    struct netif *n, *best = NULL;
    *ret_prefix = 0;
    NETIF_FOREACH(n)
    {
        uint32_t mask = netif_ip4_netmask(n)->addr;
        if (!usable(n) || (addr ^ netif_ip4_addr(n)->addr) & mask)
            continue;
        if (!best || prefix_of(mask) > *ret_prefix) {
            best = n;
            *ret_prefix = prefix_of(mask);
        }
    }
    return best;
}

static struct netif *gateway_netif(void)
{
    struct netif *n = netif_default;
    return n && usable(n) && !ip4_addr_isany_val(*netif_ip4_gw(n)) ? n : NULL;
}

bool netconf_reaches(uint32_t addr)
{
    unsigned prefix;
    return connected(addr, &prefix) || table_find(addr) || gateway_netif() || addr == UINT32_MAX ||
           (lwip_ntohl(addr) >> 28) == 14;
}

/* Which netif does a packet leave by? NULL: as lwIP thinks. */
struct netif *net_hook_route(const void *src, const void *dest)
{
    uint32_t addr = ((const ip4_addr_t *)dest)->addr;
    unsigned prefix;
    if (!ntable)
        return NULL;
    const struct net_route *r = table_find(addr);
    struct netif *n = connected(addr, &prefix);
    if (!r || (n && prefix >= r->prefix) || (!r->prefix && gateway_netif()))
        return NULL;
    return netconf_netif(r->ifindex);
}

/* The neighbour that a packet to dest goes to; NULL: lwIP's gateway. */
const void *net_hook_gateway(struct netif *n, const void *dest)
{
    const struct net_route *r = ntable ? table_find(((const ip4_addr_t *)dest)->addr) : NULL;
    if (!r || (!r->prefix && gateway_netif()))
        return NULL;
    return addr_is_any(&r->gateway) ? dest : (const void *)&r->gateway.w[3];
}

/* ---- changing ---- */

static bool same(const struct net_route *a, const struct net_route *b)
{
    return a->prefix == b->prefix && addr_equal(&a->dst, &b->dst) && a->metric == b->metric;
}

static struct net_route *table_same(const struct net_route *r)
{
    for (size_t i = 0; i < ntable; i++)
        if (same(&table[i], r))
            return &table[i];
    return NULL;
}

/* The interface that a route to be added belongs to. */
static int route_netif(struct net_route *r, struct netif **ret)
{
    unsigned prefix;
    struct netif *n = r->ifindex ? netconf_netif(r->ifindex) : NULL;
    if (r->ifindex && !n)
        return -ENODEV;
    if (!addr_is_any(&r->gateway)) {
        struct netif *via = connected(r->gateway.w[3], &prefix);
        if (!via || (n && netconf_index(via) != r->ifindex))
            return -ENETUNREACH;
        n = netconf_netif(netconf_index(via));
    }
    if (!n)
        return -ENODEV;
    if (!netif_is_up(n))
        return -ENETDOWN;
    r->ifindex = netif_get_index(n);
    *ret = n;
    return 0;
}

static int add_locked(struct net_route *r, bool replace)
{
    struct netif *n;
    int err = route_netif(r, &n);
    if (err)
        return err;
    if (!r->prefix && !r->metric && !addr_is_any(&r->gateway)) {
        ip4_addr_t gw = { r->gateway.w[3] };
        if (gateway_netif() && !replace)
            return -EEXIST;
        netif_set_default(n);
        netif_set_gw(n, &gw);
        return 0;
    }
    struct net_route *at = table_same(r);
    if (at && !replace)
        return -EEXIST;
    if (!at && ntable == ROUTES_MAX)
        return -ENOBUFS;
    if (!at)
        at = &table[ntable++];
    *at = *r;
    return 0;
}

int netconf_route_add(const struct net_route *r, bool replace)
{
    struct net_route copy = *r;
    if (r->v6)
        return -EOPNOTSUPP;
    if (r->prefix > 32 || r->dst.w[3] & ~mask_of(r->prefix))
        return -EINVAL;
    net_lock();
    tcp_path_forget();
    int err = add_locked(&copy, replace);
    net_unlock();
    return err;
}

/* Does a route have what is asked for? */
static bool matches(const struct net_route *r, const struct net_route *want)
{
    return r->prefix == want->prefix && addr_equal(&r->dst, &want->dst) &&
           (addr_is_any(&want->gateway) || addr_equal(&r->gateway, &want->gateway)) &&
           (!want->ifindex || r->ifindex == want->ifindex) &&
           (!want->metric || r->metric == want->metric);
}

static int del_locked(const struct net_route *want)
{
    struct netif *n = gateway_netif();
    for (size_t i = 0; i < ntable; i++)
        if (matches(&table[i], want)) {
            memmove(&table[i], &table[i + 1], (--ntable - i) * sizeof(table[0]));
            return 0;
        }
    if (want->prefix || !n || (want->ifindex && want->ifindex != netif_get_index(n)) ||
        (!addr_is_any(&want->gateway) && want->gateway.w[3] != netif_ip4_gw(n)->addr))
        return -ESRCH;
    netif_set_gw(n, IP4_ADDR_ANY4);
    return 0;
}

int netconf_route_del(const struct net_route *r)
{
    net_lock();
    tcp_path_forget();
    int err = r->v6 ? -EOPNOTSUPP : del_locked(r);
    net_unlock();
    return err;
}

/* ---- listing ---- */

struct list {
    struct net_route *r;
    size_t n, max;
};

static void put(struct list *l, struct net_route r)
{
    if (l->n < l->max)
        l->r[l->n++] = r;
}

static void put_ip4(struct list *l, struct netif *n)
{
    uint32_t addr = netif_ip4_addr(n)->addr, mask = netif_ip4_netmask(n)->addr;
    bool loop = !(n->flags & NETIF_FLAG_ETHERNET);
    struct dhcp *d = netif_dhcp_data(n);
    struct net_route r = { .ifindex = netconf_index(n), .src = addr_v4(addr), .type = RTN_UNICAST };
    if (n == gateway_netif()) {
        r.table = RT_TABLE_MAIN;
        r.protocol = d && dhcp_supplied_address(n) ? RTPROT_DHCP : RTPROT_BOOT;
        r.dst = addr_v4(0);
        r.gateway = addr_v4(netif_ip4_gw(n)->addr);
        r.src = addr_v4(0);
        put(l, r);
        r.gateway = addr_v4(0);
        r.src = addr_v4(addr);
    }
    r.protocol = RTPROT_KERNEL;
    if (!loop && prefix_of(mask) < 32) {
        r.dst = addr_v4(addr & mask);
        r.prefix = (uint8_t)prefix_of(mask);
        r.table = RT_TABLE_MAIN;
        r.scope = RT_SCOPE_LINK;
        put(l, r);
    }
    r.table = RT_TABLE_LOCAL;
    r.type = RTN_LOCAL;
    r.scope = RT_SCOPE_HOST;
    if (loop) {
        r.dst = addr_v4(addr & mask);
        r.prefix = (uint8_t)prefix_of(mask);
        put(l, r);
    }
    r.dst = addr_v4(addr);
    r.prefix = 32;
    put(l, r);
}

static void put_ip6(struct list *l, struct netif *n)
{
    struct net_route r = { .ifindex = netif_get_index(n), .v6 = true, .type = RTN_UNICAST };
    r.protocol = RTPROT_KERNEL;
    r.metric = METRIC6;
    for (int i = 0; i < LWIP_IPV6_NUM_ADDRESSES; i++) {
        const ip6_addr_t *a = netif_ip6_addr(n, i);
        if (!ip6_addr_isvalid(netif_ip6_addr_state(n, i)))
            continue;
        bool loop = ip6_addr_isloopback(a);
        memcpy(r.dst.w, a->addr, 16);
        r.prefix = loop ? 128 : 64;
        if (!loop)
            r.dst.w[2] = r.dst.w[3] = 0;
        r.table = RT_TABLE_MAIN;
        put(l, r);
    }
}

static void put_routers(struct list *l)
{
    for (int i = 0; i < LWIP_ND6_NUM_ROUTERS; i++) {
        const struct nd6_neighbor_cache_entry *e = default_router_list[i].neighbor_entry;
        if (!e || !e->netif)
            continue;
        struct net_route r = { .ifindex = netif_get_index(e->netif),
                               .v6 = true,
                               .type = RTN_UNICAST,
                               .table = RT_TABLE_MAIN,
                               .protocol = RTPROT_RA,
                               .metric = METRIC6_RA };
        memcpy(r.gateway.w, e->next_hop_address.addr, 16);
        put(l, r);
    }
}

size_t netconf_routes(struct net_route *ret, size_t max)
{
    struct list l = { ret, 0, max };
    struct netif *n;
    net_lock();
    NETIF_FOREACH(n)
    {
        if (usable(n))
            put_ip4(&l, n);
        if (netif_is_up(n) && !netconf_is_alias(n))
            put_ip6(&l, n);
    }
    for (size_t i = 0; i < ntable; i++)
        put(&l, table[i]);
    put_routers(&l);
    net_unlock();
    return l.n;
}

/* Locks: core held. */
static int route4_to(uint32_t addr, struct net_route *ret)
{
    unsigned prefix;
    const struct net_route *r = table_find(addr);
    struct netif *n = connected(addr, &prefix);
    if (r && (!n || r->prefix > prefix) && (r->prefix || !gateway_netif())) {
        ret->gateway = r->gateway;
        n = netconf_netif(r->ifindex);
    } else if (!n) {
        n = gateway_netif();
        if (n)
            ret->gateway = addr_v4(netif_ip4_gw(n)->addr);
    }
    if (!n)
        return -ENETUNREACH;
    ret->ifindex = netconf_index(n);
    ret->src = addr_v4(netif_ip4_addr(n)->addr);
    return 0;
}

/* Locks: core held. */
static int route6_to(const struct inet_addr *to, struct net_route *ret)
{
    ip_addr_t ip;
    ip_of_addr(&ip, to, 0);
    struct netif *n = ip_route(IP6_ADDR_ANY, &ip);
    const ip_addr_t *src = n ? ip_netif_get_local_ip(n, &ip) : NULL;
    if (!src)
        return -ENETUNREACH;
    ret->ifindex = netif_get_index(n);
    ret->src = addr_of_ip(src);
    return 0;
}

int netconf_route_to(const struct inet_addr *to, struct net_route *ret)
{
    bool v4 = addr_is_v4(to);
    struct inet_addr none = v4 ? addr_v4(0) : (struct inet_addr){ 0 };
    *ret = (struct net_route){ .dst = *to,
                               .gateway = none,
                               .v6 = !v4,
                               .prefix = v4 ? 32 : 128,
                               .table = RT_TABLE_MAIN,
                               .type = RTN_UNICAST };
    ret->answer = true;
    if (addr_is_local(to)) {
        struct netif *n;
        *ret = (struct net_route){ .dst = *to, .gateway = none, .src = *to, .v6 = !v4 };
        ret->answer = true;
        ret->prefix = v4 ? 32 : 128;
        ret->table = RT_TABLE_LOCAL;
        ret->type = RTN_LOCAL;
        net_lock();
        NETIF_FOREACH(n)
        if (!(n->flags & NETIF_FLAG_ETHERNET) && !netconf_is_alias(n))
            ret->ifindex = netif_get_index(n);
        net_unlock();
        return 0;
    }
    net_lock();
    int err = v4 ? route4_to(to->w[3], ret) : route6_to(to, ret);
    net_unlock();
    return err;
}

/* ---- neighbours ---- */

static const uint16_t nud_of[] = { [ND6_INCOMPLETE] = NUD_INCOMPLETE,
                                   [ND6_REACHABLE] = NUD_REACHABLE,
                                   [ND6_STALE] = NUD_STALE,
                                   [ND6_DELAY] = NUD_DELAY,
                                   [ND6_PROBE] = NUD_PROBE };

static size_t neighbours6(struct net_neighbour *ret, size_t at, size_t max)
{
    for (int i = 0; i < LWIP_ND6_NUM_NEIGHBORS && at < max; i++) {
        const struct nd6_neighbor_cache_entry *e = &neighbor_cache[i];
        if (e->state == ND6_NO_ENTRY || !e->netif)
            continue;
        struct net_neighbour *o = &ret[at++];
        *o = (struct net_neighbour){ .ifindex = netconf_index(e->netif), .v6 = true };
        memcpy(o->addr.w, e->next_hop_address.addr, 16);
        o->state = nud_of[e->state];
        o->has_mac = e->state != ND6_INCOMPLETE;
        o->router = e->isrouter;
        memcpy(o->mac, e->lladdr, 6);
    }
    return at;
}

size_t netconf_neighbours(struct net_neighbour *ret, size_t max)
{
    size_t n = 0;
    net_lock();
    for (size_t i = 0; i < ARP_TABLE_SIZE && n < max; i++) {
        ip4_addr_t *ip;
        struct netif *netif;
        struct eth_addr *mac;
        if (!etharp_get_entry(i, &ip, &netif, &mac))
            continue;
        ret[n] = (struct net_neighbour){ .addr = addr_v4(ip->addr),
                                         .ifindex = netconf_index(netif),
                                         .has_mac = true,
                                         .state = NUD_REACHABLE };
        memcpy(ret[n++].mac, mac, 6);
    }
    n = neighbours6(ret, n, max);
    net_unlock();
    return n;
}

int netconf_neighbour_add(const struct net_neighbour *n)
{
    ip4_addr_t ip = { n->addr.w[3] };
    struct eth_addr mac;
    memcpy(&mac, n->mac, 6);
    if (n->v6)
        return -EOPNOTSUPP;
    net_lock();
    tcp_path_forget();
    err_t e = netconf_netif(n->ifindex) ? etharp_add_static_entry(&ip, &mac) : ERR_IF;
    net_unlock();
    return e == ERR_OK ? 0 : e == ERR_IF ? -ENODEV : e == ERR_RTE ? -ENETUNREACH : -ENOBUFS;
}

int netconf_neighbour_del(const struct net_neighbour *n)
{
    ip4_addr_t ip = { n->addr.w[3] };
    struct eth_addr *mac, copy;
    const ip4_addr_t *found;
    err_t e = ERR_VAL;
    if (n->v6)
        return -EOPNOTSUPP;
    net_lock();
    tcp_path_forget();
    if (etharp_find_addr(NULL, &ip, &mac, &found) >= 0) {
        copy = *mac; /* one that was learnt can only go as one that was set */
        e = etharp_add_static_entry(&ip, &copy);
        if (e == ERR_OK)
            e = etharp_remove_static_entry(&ip);
    }
    net_unlock();
    return e == ERR_OK ? 0 : -ENOENT;
}
