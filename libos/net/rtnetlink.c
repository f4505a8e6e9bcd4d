/* SPDX-License-Identifier: MIT */
/* NETLINK_ROUTE's questions: links, addresses, routes, neighbours and rules, one or all of them. rtnetlink(7). */
#include "netconf.h"
#include "netlink.h"
#include <abi/errno.h>
#include <abi/if.h>
#include <libos/heap.h>
#include <libos/process.h>
#include <string.h>

enum {
    CAP_NET_ADMIN = 12,
    RTM_LAST = 127,
    TXQLEN = 1000,
    OPER_UNKNOWN = 0,
    OPER_DOWN = 2,
    OPER_UP = 6,
    HOST_SCOPE6 = 0x10,
    LINK_SCOPE6 = 0x20,
    FOREVER = -1,
};

/* ---- links ---- */

static void put_stats(struct nl_answer *a, const struct net_interface *n)
{
    struct abi_rtnl_link_stats64 st = { .rx_packets = n->rx_packets,
                                        .tx_packets = n->tx_packets,
                                        .rx_bytes = n->rx_bytes,
                                        .tx_bytes = n->tx_bytes,
                                        .rx_errors = n->rx_errors,
                                        .tx_errors = n->tx_errors,
                                        .rx_dropped = n->rx_dropped };
    uint32_t narrow[sizeof(st) / sizeof(uint64_t) - 1];
    const uint64_t *wide = &st.rx_packets;
    for (size_t i = 0; i < ARRAY_SIZE(narrow); i++)
        narrow[i] = (uint32_t)wide[i];
    nl_put(a, IFLA_STATS64, &st, sizeof(st));
    nl_put(a, IFLA_STATS, narrow, sizeof(narrow));
}

void rtnl_put_link(struct nl_answer *a, const struct net_interface *n)
{
    static const uint8_t broadcast[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff }, none[6];
    bool loop = n->flags & IFF_LOOPBACK;
    struct abi_ifinfomsg m = { .ifi_type = loop ? ARPHRD_LOOPBACK : ARPHRD_ETHER,
                               .ifi_index = (int32_t)n->index,
                               .ifi_flags = n->flags };
    nl_begin(a, RTM_NEWLINK, &m, sizeof(m));
    nl_put_string(a, IFLA_IFNAME, n->name);
    nl_put_u32(a, IFLA_TXQLEN, TXQLEN);
    nl_put_u8(a, IFLA_OPERSTATE,
              loop                      ? OPER_UNKNOWN
              : n->flags & IFF_LOWER_UP ? OPER_UP
                                        : OPER_DOWN);
    nl_put_u8(a, IFLA_LINKMODE, 0);
    nl_put_u32(a, IFLA_MTU, n->mtu);
    nl_put_u32(a, IFLA_GROUP, 0);
    nl_put_u32(a, IFLA_PROMISCUITY, 0);
    nl_put_u32(a, IFLA_NUM_TX_QUEUES, n->queues);
    nl_put_u32(a, IFLA_NUM_RX_QUEUES, n->queues);
    nl_put_u8(a, IFLA_CARRIER, (n->flags & IFF_LOWER_UP) != 0);
    nl_put_string(a, IFLA_QDISC, "noqueue");
    nl_put(a, IFLA_ADDRESS, n->mac, 6);
    nl_put(a, IFLA_BROADCAST, loop ? none : broadcast, 6);
    put_stats(a, n);
    nl_end(a);
}

static int get_links(const struct nl_request *r, struct nl_answer *a)
{
    struct net_interface n;
    a->multi = true;
    for (unsigned i = 0; net_interface_next(i, &n); i = n.index + 1)
        rtnl_put_link(a, &n);
    return 0;
}

/* The name in a request's attribute, bounded; false: none, or too long. */
static bool name_of(const struct nl_attr *at, char ret[IFNAMSIZ])
{
    if (!at->data || !at->len || at->len > IFNAMSIZ)
        return false;
    memcpy(ret, at->data, at->len);
    ret[at->len == IFNAMSIZ ? IFNAMSIZ - 1 : at->len] = 0;
    return true;
}

static int get_link(const struct nl_request *r, struct nl_answer *a)
{
    struct abi_ifinfomsg m;
    struct nl_attr at[NL_ATTRS_MAX];
    struct net_interface n;
    char name[IFNAMSIZ];
    if (!nl_body(r, &m, sizeof(m)) || nl_attrs(r, sizeof(m), at))
        return -EINVAL;
    bool named = name_of(&at[IFLA_IFNAME], name) || name_of(&at[IFLA_ALT_IFNAME], name);
    if (m.ifi_index < 0 || (!m.ifi_index && !named))
        return -EINVAL;
    if (!netconf_find(m.ifi_index ? NULL : name, (unsigned)m.ifi_index, &n))
        return -ENODEV;
    rtnl_put_link(a, &n);
    return 0;
}

/* ---- addresses ---- */

static void put_times(struct nl_answer *a)
{
    struct abi_ifa_cacheinfo c = { (uint32_t)FOREVER, (uint32_t)FOREVER, 0, 0 };
    nl_put(a, IFA_CACHEINFO, &c, sizeof(c));
}

void rtnl_put_addr4(struct nl_answer *a, unsigned type, const struct net_interface *n, unsigned i)
{
    uint32_t addr = n->ip4[i].addr, mask = n->ip4[i].netmask, broadcast = addr | ~mask;
    unsigned prefix = (unsigned)__builtin_popcount(mask), flags = IFA_F_PERMANENT;
    bool loop = n->flags & IFF_LOOPBACK;
    for (unsigned j = 0; j < i; j++)
        if (n->ip4[j].netmask == mask && !((n->ip4[j].addr ^ addr) & mask))
            flags |= IFA_F_SECONDARY;
    struct abi_ifaddrmsg m = { AF_INET, (uint8_t)prefix, (uint8_t)flags,
                               (addr & 0xff) == 127 ? RT_SCOPE_HOST : RT_SCOPE_UNIVERSE, n->index };
    nl_begin(a, type, &m, sizeof(m));
    nl_put_u32(a, IFA_ADDRESS, addr);
    nl_put_u32(a, IFA_LOCAL, addr);
    if (!loop && prefix < 31)
        nl_put_u32(a, IFA_BROADCAST, broadcast);
    nl_put_string(a, IFA_LABEL, n->name);
    nl_put_u32(a, IFA_FLAGS, flags);
    put_times(a);
    nl_end(a);
}

void rtnl_put_addr6(struct nl_answer *a, unsigned type, const struct net_interface *n, unsigned i)
{
    unsigned flags = IFA_F_PERMANENT | (n->ip6[i].tentative ? IFA_F_TENTATIVE : 0);
    struct abi_ifaddrmsg m = { AF_INET6, n->ip6[i].prefix, (uint8_t)flags,
                               n->ip6[i].scope == HOST_SCOPE6   ? RT_SCOPE_HOST
                               : n->ip6[i].scope == LINK_SCOPE6 ? RT_SCOPE_LINK
                                                                : RT_SCOPE_UNIVERSE,
                               n->index };
    nl_begin(a, type, &m, sizeof(m));
    nl_put(a, IFA_ADDRESS, n->ip6[i].addr, 16);
    put_times(a);
    nl_put_u32(a, IFA_FLAGS, flags);
    nl_end(a);
}

static int get_addrs(const struct nl_request *r, struct nl_answer *a)
{
    struct abi_ifaddrmsg m;
    struct net_interface n;
    bool whole = nl_body(r, &m, sizeof(m));
    unsigned only = whole && r->nl->flags & NL_STRICT ? m.ifa_index : 0;
    if (only && !netconf_find(NULL, only, &n))
        return -ENODEV;
    a->multi = true;
    for (unsigned i = 0; net_interface_next(i, &n); i = n.index + 1) {
        if (only && n.index != only)
            continue;
        for (unsigned j = 0; j < n.nip4 && (!m.ifa_family || m.ifa_family == AF_INET); j++)
            rtnl_put_addr4(a, RTM_NEWADDR, &n, j);
    }
    /* Linux asks one family after the other. */
    for (unsigned i = 0; net_interface_next(i, &n); i = n.index + 1) {
        if (only && n.index != only)
            continue;
        for (unsigned j = 0; j < n.nip6 && (!m.ifa_family || m.ifa_family == AF_INET6); j++)
            rtnl_put_addr6(a, RTM_NEWADDR, &n, j);
    }
    return 0;
}

/* ---- routes ---- */

static void put_addr(struct nl_answer *a, unsigned type, const struct inet_addr *addr, bool v6)
{
    nl_put(a, type, v6 ? addr->b : addr->b + 12, v6 ? 16 : 4);
}

void rtnl_put_route(struct nl_answer *a, unsigned type, const struct net_route *r)
{
    struct abi_rtmsg m = { .rtm_family = r->v6 ? AF_INET6 : AF_INET,
                           .rtm_dst_len = r->prefix,
                           .rtm_table = r->table,
                           .rtm_protocol = r->protocol,
                           .rtm_scope = r->scope,
                           .rtm_type = r->type,
                           .rtm_flags = r->answer ? RTM_F_CLONED : 0 };
    nl_begin(a, type, &m, sizeof(m));
    nl_put_u32(a, RTA_TABLE, r->table);
    if (r->prefix)
        put_addr(a, RTA_DST, &r->dst, r->v6);
    if (r->metric)
        nl_put_u32(a, RTA_PRIORITY, r->metric);
    if (!addr_is_any(&r->gateway))
        put_addr(a, RTA_GATEWAY, &r->gateway, r->v6);
    if (!addr_is_any(&r->src))
        put_addr(a, RTA_PREFSRC, &r->src, r->v6);
    if (r->ifindex)
        nl_put_u32(a, RTA_OIF, r->ifindex);
    if (r->v6)
        nl_put_u8(a, RTA_PREF, 0);
    nl_end(a);
}

static int get_routes(const struct nl_request *r, struct nl_answer *a)
{
    struct abi_rtmsg m;
    struct nl_attr at[NL_ATTRS_MAX];
    bool whole = nl_body(r, &m, sizeof(m));
    if (nl_attrs(r, sizeof(m), at))
        return -EINVAL;
    bool strict = whole && r->nl->flags & NL_STRICT;
    uint32_t only = !strict ? 0 : at[RTA_TABLE].data ? nl_u32(&at[RTA_TABLE]) : m.rtm_table;
    uint32_t dev = strict ? nl_u32(&at[RTA_OIF]) : 0;
    struct net_route *all = heap_alloc(ROUTE_LIST_MAX * sizeof(*all));
    if (!all)
        return -ENOBUFS;
    size_t n = netconf_routes(all, ROUTE_LIST_MAX);
    a->multi = true;
    for (size_t i = 0; i < n; i++) {
        if (m.rtm_family && (m.rtm_family == AF_INET6) != all[i].v6)
            continue;
        if ((only && all[i].table != only) || (dev && all[i].ifindex != dev))
            continue;
        rtnl_put_route(a, RTM_NEWROUTE, &all[i]);
    }
    heap_free(all);
    return 0;
}

static int get_route(const struct nl_request *r, struct nl_answer *a)
{
    struct abi_rtmsg m;
    struct nl_attr at[NL_ATTRS_MAX];
    struct net_route way;
    struct inet_addr to = { 0 };
    if (!nl_body(r, &m, sizeof(m)) || nl_attrs(r, sizeof(m), at))
        return -EINVAL;
    bool v6 = m.rtm_family == AF_INET6;
    if (!v6 && m.rtm_family != AF_INET)
        return -EOPNOTSUPP;
    if (nl_has(&at[RTA_DST], v6 ? 16 : 4)) {
        if (v6)
            memcpy(to.b, at[RTA_DST].data, 16);
        else
            to = addr_v4(nl_u32(&at[RTA_DST]));
    } else if (!v6) {
        to = addr_v4(0x0100007f);
    }
    int err = netconf_route_to(&to, &way);
    if (err)
        return err;
    rtnl_put_route(a, RTM_NEWROUTE, &way);
    return 0;
}

/* ---- neighbours, rules ---- */

static int get_neighbours(const struct nl_request *r, struct nl_answer *a)
{
    struct abi_ndmsg m;
    bool whole = nl_body(r, &m, sizeof(m));
    int32_t only = whole ? m.ndm_ifindex : 0;
    struct net_neighbour *all = heap_alloc(NEIGHBOUR_LIST_MAX * sizeof(*all));
    if (!all)
        return -ENOBUFS;
    size_t n = netconf_neighbours(all, NEIGHBOUR_LIST_MAX);
    a->multi = true;
    for (size_t i = 0; i < n; i++) {
        const struct net_neighbour *o = &all[i];
        if ((m.ndm_family && (m.ndm_family == AF_INET6) != o->v6) ||
            (only && o->ifindex != (unsigned)only))
            continue;
        struct abi_ndmsg out = { .ndm_family = o->v6 ? AF_INET6 : AF_INET,
                                 .ndm_ifindex = (int32_t)o->ifindex,
                                 .ndm_state = o->state,
                                 .ndm_flags = o->router ? NTF_ROUTER : 0,
                                 .ndm_type = RTN_UNICAST };
        nl_begin(a, RTM_NEWNEIGH, &out, sizeof(out));
        put_addr(a, NDA_DST, &o->addr, o->v6);
        if (o->has_mac)
            nl_put(a, NDA_LLADDR, o->mac, 6);
        nl_end(a);
    }
    heap_free(all);
    return 0;
}

/* The three rules that every machine has. */
static int get_rules(const struct nl_request *r, struct nl_answer *a)
{
    static const struct {
        uint32_t priority, table;
    } rules[] = { { 0, RT_TABLE_LOCAL }, { 32766, RT_TABLE_MAIN }, { 32767, RT_TABLE_DEFAULT } };
    uint8_t family = r->len ? r->body[0] : 0;
    a->multi = true;
    for (int v6 = 0; v6 < 2; v6++)
        for (size_t i = 0; i < ARRAY_SIZE(rules) - (size_t)v6; i++) {
            struct abi_fib_rule_hdr h = { .family = v6 ? AF_INET6 : AF_INET,
                                          .table = (uint8_t)rules[i].table,
                                          .action = FR_ACT_TO_TBL };
            if (family && family != h.family)
                continue;
            nl_begin(a, RTM_NEWRULE, &h, sizeof(h));
            nl_put_u32(a, FRA_TABLE, rules[i].table);
            if (rules[i].priority)
                nl_put_u32(a, FRA_PRIORITY, rules[i].priority);
            nl_end(a);
        }
    return 0;
}

int rtnl_request(const struct nl_request *r, struct nl_answer *a)
{
    unsigned type = r->h.nlmsg_type;
    bool dump = (r->h.nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP;
    if (type > RTM_LAST)
        return -EOPNOTSUPP;
    if (!r->len)
        return 0;        /* without even a family: not looked at */
    if ((type & 3) != 2) /* not one of the RTM_GET* */
        return cred_capable(CAP_NET_ADMIN) ? rtnl_change(r, a) : -EPERM;
    switch (type) {
    case RTM_GETLINK:
        return dump ? get_links(r, a) : get_link(r, a);
    case RTM_GETADDR:
        return dump ? get_addrs(r, a) : -EOPNOTSUPP;
    case RTM_GETROUTE:
        return dump ? get_routes(r, a) : get_route(r, a);
    case RTM_GETNEIGH:
        return dump ? get_neighbours(r, a) : -EOPNOTSUPP;
    case RTM_GETRULE:
        return dump ? get_rules(r, a) : -EOPNOTSUPP;
    default:
        return -EOPNOTSUPP;
    }
}

void rtnl_tell_link(unsigned ifindex)
{
    struct nl_answer a = { 0 };
    struct net_interface n;
    if (!netconf_find(NULL, ifindex, &n))
        return;
    rtnl_put_link(&a, &n);
    nl_multicast(&a, RTNLGRP_LINK);
}
