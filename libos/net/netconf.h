/* SPDX-License-Identifier: MIT */
/* Reading and changing the network's configuration: interfaces, addresses, routes, neighbours. Netlink, the ioctls and the
 * boot share it. Who may change is the caller's to check. All take the core lock; none sleeps. */
#ifndef NET_NETCONF_H
#define NET_NETCONF_H

#include "inet.h"
#include <libos/net.h>

struct netif;
struct ip4_addr;

enum { ROUTES_MAX = 64, ROUTE_LIST_MAX = 160, NEIGHBOUR_LIST_MAX = 192 };

struct net_route {
    struct inet_addr dst, gateway, src; /* any: none */
    uint8_t prefix;                     /* of dst; of IPv4: 0 to 32 */
    bool v6;
    uint8_t table, protocol, scope, type; /* as in struct rtmsg */
    unsigned ifindex;
    uint32_t metric;
    bool answer; /* the way to one address rather than an entry of a table */
};

struct net_neighbour {
    struct inet_addr addr;
    unsigned ifindex;
    uint8_t mac[6];
    bool v6, has_mac, router;
    uint16_t state; /* NUD_* */
};

/* The interface with this name or number; false: none. */
bool netconf_find(const char *name, unsigned index, struct net_interface *ret);
/* Add an address. -ENODEV, -EEXIST, -ENOBUFS (too many), -EOPNOTSUPP (an IPv6 prefix that is not on the link by 64 bits). */
NODISCARD int netconf_addr_add(unsigned ifindex, const struct inet_addr *a, unsigned prefix);
/* Take one away. -ENODEV, -EADDRNOTAVAIL. */
NODISCARD int netconf_addr_del(unsigned ifindex, const struct inet_addr *a);
/* -ENODEV. */
NODISCARD int netconf_set_up(unsigned ifindex, bool up);
/* -ENODEV, -EINVAL: more or less than the device takes. */
NODISCARD int netconf_set_mtu(unsigned ifindex, unsigned mtu);
/* -ENODEV, -EADDRNOTAVAIL, -EOPNOTSUPP, -EIO. */
NODISCARD int netconf_set_mac(unsigned ifindex, const uint8_t mac[6]);

/* Add an IPv4 route; replace: also over one to the same destination with the same metric. -EEXIST, -ENODEV, -ENETDOWN,
 * -ENETUNREACH (no way to the gateway), -EINVAL, -ENOBUFS, -EOPNOTSUPP (IPv6). */
NODISCARD int netconf_route_add(const struct net_route *r, bool replace);
/* Take away the first that has what is given in r. -ESRCH. */
NODISCARD int netconf_route_del(const struct net_route *r);
/* All routes: at most max; how many. */
size_t netconf_routes(struct net_route *ret, size_t max);
/* The way to an address. -ENETUNREACH. */
NODISCARD int netconf_route_to(const struct inet_addr *to, struct net_route *ret);

/* All neighbours: at most max; how many. */
size_t netconf_neighbours(struct net_neighbour *ret, size_t max);
/* A neighbour that stays. -ENODEV, -EOPNOTSUPP (IPv6), -ENOBUFS, -ENETUNREACH (not on the link). */
NODISCARD int netconf_neighbour_add(const struct net_neighbour *n);
/* -ENOENT. */
NODISCARD int netconf_neighbour_del(const struct net_neighbour *n);

/* For those who hold the core lock. */

/* A second address of an interface, as lwIP sees it. */
bool netconf_is_alias(const struct netif *n);
/* The netif of dev, or of one of its second addresses, that has this IPv4 address; NULL. */
struct netif *netconf_netif_of(struct netif *dev, uint32_t addr);
/* Is there a way to an IPv4 address at all? */
bool netconf_reaches(uint32_t addr);
/* The number that programs know for a netif. */
unsigned netconf_index(const struct netif *n);
/* The interface with this number; NULL. */
struct netif *netconf_netif(unsigned index);

#endif
