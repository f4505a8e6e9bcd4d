/* SPDX-License-Identifier: MIT */
/* NETLINK_ROUTE's requests that change the configuration: addresses, the state, MTU and address of an interface, IPv4 routes,
 * neighbours. Interfaces are neither made nor removed. The caller has checked CAP_NET_ADMIN. rtnetlink(7). */
#include "netconf.h"
#include "netlink.h"
#include <abi/errno.h>
#include <abi/if.h>
#include <string.h>

/* The address in an attribute, by family; false: it is missing or short. */
static bool addr_of(const struct nl_attr *at, bool v6, struct inet_addr *ret)
{
    if (!nl_has(at, v6 ? 16 : 4))
        return false;
    if (v6)
        memcpy(ret->b, at->data, 16);
    else
        *ret = addr_v4(nl_u32(at));
    return true;
}

static bool family_is_known(unsigned family)
{
    return family == AF_INET || family == AF_INET6;
}

/* ---- links ---- */

static int set_link(const struct nl_request *r, struct nl_answer *a)
{
    struct abi_ifinfomsg m;
    struct nl_attr at[NL_ATTRS_MAX];
    struct net_interface n;
    char name[IFNAMSIZ] = { 0 };
    if (!nl_body(r, &m, sizeof(m)) || nl_attrs(r, sizeof(m), at))
        return -EINVAL;
    const struct nl_attr *text = &at[IFLA_IFNAME];
    if (text->data)
        memcpy(name, text->data, text->len < IFNAMSIZ ? text->len : IFNAMSIZ - 1);
    if (m.ifi_index < 0 || (!m.ifi_index && !name[0]))
        return -EINVAL;
    bool found = netconf_find(m.ifi_index ? NULL : name, (unsigned)m.ifi_index, &n);
    if (!found && r->h.nlmsg_flags & NLM_F_CREATE)
        return -EOPNOTSUPP;
    if (!found)
        return -ENODEV;
    if (r->h.nlmsg_flags & NLM_F_EXCL)
        return -EEXIST;
    if (m.ifi_index && name[0] && strcmp(name, n.name)) {
        a->why = "Interfaces cannot be renamed";
        return -EOPNOTSUPP;
    }
    int err = at[IFLA_MTU].data ? netconf_set_mtu(n.index, nl_u32(&at[IFLA_MTU])) : 0;
    if (!err && at[IFLA_ADDRESS].data)
        err = nl_has(&at[IFLA_ADDRESS], 6) ? netconf_set_mac(n.index, at[IFLA_ADDRESS].data)
                                           : -EINVAL;
    if (!err && (m.ifi_change & IFF_UP || (m.ifi_flags && !m.ifi_change)))
        err = netconf_set_up(n.index, m.ifi_flags & IFF_UP);
    if (!err)
        rtnl_tell_link(n.index);
    return err;
}

/* ---- addresses ---- */

/* Which of an interface's addresses is it? -1: none. */
static int index4(const struct net_interface *n, const struct inet_addr *addr)
{
    for (unsigned i = 0; i < n->nip4; i++)
        if (n->ip4[i].addr == addr->w[3])
            return (int)i;
    return -1;
}

static int index6(const struct net_interface *n, const struct inet_addr *addr)
{
    for (unsigned i = 0; i < n->nip6; i++)
        if (!memcmp(n->ip6[i].addr, addr->b, 16))
            return (int)i;
    return -1;
}

/* n: as it is after the change, or before an address goes. */
static void tell_addr(unsigned type, const struct net_interface *n, const struct inet_addr *addr,
                      bool v6)
{
    struct nl_answer a = { 0 };
    int i = v6 ? index6(n, addr) : index4(n, addr);
    if (i < 0)
        return;
    if (v6)
        rtnl_put_addr6(&a, type, n, (unsigned)i);
    else
        rtnl_put_addr4(&a, type, n, (unsigned)i);
    nl_multicast(&a, v6 ? RTNLGRP_IPV6_IFADDR : RTNLGRP_IPV4_IFADDR);
}

static int new_addr(const struct nl_request *r, struct nl_answer *a)
{
    struct abi_ifaddrmsg m;
    struct nl_attr at[NL_ATTRS_MAX];
    struct inet_addr addr;
    struct net_interface n;
    if (!nl_body(r, &m, sizeof(m)) || nl_attrs(r, sizeof(m), at))
        return -EINVAL;
    bool v6 = m.ifa_family == AF_INET6;
    if (!family_is_known(m.ifa_family))
        return -EOPNOTSUPP;
    if (m.ifa_prefixlen > (v6 ? 128 : 32) ||
        (!addr_of(&at[IFA_LOCAL], v6, &addr) && !(v6 && addr_of(&at[IFA_ADDRESS], v6, &addr))))
        return -EINVAL;
    int err = netconf_addr_add(m.ifa_index, &addr, m.ifa_prefixlen);
    if (err == -EEXIST && r->h.nlmsg_flags & NLM_F_REPLACE && !(r->h.nlmsg_flags & NLM_F_EXCL))
        err = 0;
    if (err == -EOPNOTSUPP)
        a->why = "The prefix of an IPv6 address has 64 or 128 bits";
    if (!err && netconf_find(NULL, m.ifa_index, &n))
        tell_addr(RTM_NEWADDR, &n, &addr, v6);
    return err;
}

static int del_addr(const struct nl_request *r)
{
    struct abi_ifaddrmsg m;
    struct nl_attr at[NL_ATTRS_MAX];
    struct inet_addr addr;
    struct net_interface n;
    if (!nl_body(r, &m, sizeof(m)) || nl_attrs(r, sizeof(m), at))
        return -EINVAL;
    bool v6 = m.ifa_family == AF_INET6;
    if (!family_is_known(m.ifa_family))
        return -EOPNOTSUPP;
    if (!netconf_find(NULL, m.ifa_index, &n))
        return -ENODEV;
    if (!addr_of(&at[IFA_LOCAL], v6, &addr) && !addr_of(&at[IFA_ADDRESS], v6, &addr))
        return v6 ? -EINVAL : -EADDRNOTAVAIL;
    int err = netconf_addr_del(m.ifa_index, &addr);
    if (!err)
        tell_addr(RTM_DELADDR, &n, &addr, v6);
    return err;
}

/* ---- routes ---- */

static int route_of(const struct nl_request *r, struct net_route *ret, struct nl_answer *a)
{
    struct abi_rtmsg m;
    struct nl_attr at[NL_ATTRS_MAX];
    if (!nl_body(r, &m, sizeof(m)) || nl_attrs(r, sizeof(m), at))
        return -EINVAL;
    if (!family_is_known(m.rtm_family))
        return -EOPNOTSUPP;
    bool v6 = m.rtm_family == AF_INET6;
    struct inet_addr none = v6 ? (struct inet_addr){ 0 } : addr_v4(0);
    *ret = (struct net_route){ .dst = none,
                               .gateway = none,
                               .src = none,
                               .prefix = m.rtm_dst_len,
                               .v6 = v6,
                               .table = m.rtm_table,
                               .protocol = m.rtm_protocol,
                               .scope = m.rtm_scope,
                               .type = m.rtm_type };
    if (v6 || (m.rtm_type && m.rtm_type != RTN_UNICAST)) {
        a->why = "Only unicast routes of IPv4 can be changed";
        return -EOPNOTSUPP;
    }
    uint32_t number = at[RTA_TABLE].data ? nl_u32(&at[RTA_TABLE]) : m.rtm_table;
    if (number != RT_TABLE_MAIN && number != RT_TABLE_UNSPEC) {
        a->why = "There is one table of routes: main";
        return -EOPNOTSUPP;
    }
    if (m.rtm_dst_len > 32 || (m.rtm_dst_len && !addr_of(&at[RTA_DST], v6, &ret->dst)))
        return -EINVAL;
    ret->type = RTN_UNICAST;
    ret->table = RT_TABLE_MAIN;
    addr_of(&at[RTA_GATEWAY], v6, &ret->gateway);
    addr_of(&at[RTA_PREFSRC], v6, &ret->src);
    ret->ifindex = nl_u32(&at[RTA_OIF]);
    ret->metric = nl_u32(&at[RTA_PRIORITY]);
    return 0;
}

static int change_route(const struct nl_request *r, struct nl_answer *a, bool add)
{
    struct net_route route;
    struct nl_answer told = { 0 };
    int err = route_of(r, &route, a);
    if (!err)
        err = add ? netconf_route_add(&route, r->h.nlmsg_flags & NLM_F_REPLACE)
                  : netconf_route_del(&route);
    if (err == -ENETUNREACH)
        a->why = "Nexthop has invalid gateway";
    if (err)
        return err;
    rtnl_put_route(&told, add ? RTM_NEWROUTE : RTM_DELROUTE, &route);
    nl_multicast(&told, RTNLGRP_IPV4_ROUTE);
    return 0;
}

/* ---- neighbours ---- */

static int change_neighbour(const struct nl_request *r, bool add)
{
    struct abi_ndmsg m;
    struct nl_attr at[NL_ATTRS_MAX];
    struct net_neighbour n = { 0 };
    struct net_interface dev;
    if (!nl_body(r, &m, sizeof(m)) || nl_attrs(r, sizeof(m), at))
        return -EINVAL;
    if (!family_is_known(m.ndm_family))
        return -EAFNOSUPPORT;
    n.v6 = m.ndm_family == AF_INET6;
    n.ifindex = (unsigned)m.ndm_ifindex;
    if (!addr_of(&at[NDA_DST], n.v6, &n.addr))
        return -EINVAL;
    if (!netconf_find(NULL, n.ifindex, &dev))
        return -ENODEV;
    if (!add)
        return netconf_neighbour_del(&n);
    if (!nl_has(&at[NDA_LLADDR], 6))
        return -EINVAL;
    memcpy(n.mac, at[NDA_LLADDR].data, 6);
    return netconf_neighbour_add(&n);
}

int rtnl_change(const struct nl_request *r, struct nl_answer *a)
{
    switch (r->h.nlmsg_type) {
    case RTM_NEWLINK:
    case RTM_SETLINK:
        return set_link(r, a);
    case RTM_NEWADDR:
        return new_addr(r, a);
    case RTM_DELADDR:
        return del_addr(r);
    case RTM_NEWROUTE:
        return change_route(r, a, true);
    case RTM_DELROUTE:
        return change_route(r, a, false);
    case RTM_NEWNEIGH:
        return change_neighbour(r, true);
    case RTM_DELNEIGH:
        return change_neighbour(r, false);
    default:
        return -EOPNOTSUPP;
    }
}
