/* SPDX-License-Identifier: MIT */
/* Interfaces: what there is, and changing it. lwIP's struct netif has one IPv4 address; each further one is a netif of its own
 * (an alias) that sends through its interface's device. It has no number that programs see. Guarded by the core lock.
 * netdevice(7). */
#include "core.h"
#include "ip.h"
#include "netconf.h"
#include "tcp_path.h"
#include <abi/errno.h>
#include <abi/if.h>
#include <libos/dev/netdev.h>
#include <lwip/dhcp.h>
#include <lwip/etharp.h>
#include <lwip/netif.h>
#include <stdio.h>
#include <string.h>

enum { ALIASES_MAX = 32, LO_MTU = 65536, MTU_MIN = 68 };

struct alias {
    struct netif netif;
    struct netif *of; /* NULL: free */
};

static struct alias aliases[ALIASES_MAX];
static unsigned lo_mtu = LO_MTU;

bool netconf_is_alias(const struct netif *n)
{
    return n->name[0] == 'a';
}

static struct netif *base_of(const struct netif *n)
{
    return CONTAINER_OF((struct netif *)(uintptr_t)n, struct alias, netif)->of;
}

unsigned netconf_index(const struct netif *n)
{
    return netif_get_index(netconf_is_alias(n) ? base_of(n) : n);
}

struct netif *netconf_netif(unsigned index)
{
    struct netif *n = index && index <= UINT8_MAX ? netif_get_by_index((u8_t)index) : NULL;
    return n && !netconf_is_alias(n) ? n : NULL;
}

static bool is_loop(const struct netif *n)
{
    return !(n->flags & NETIF_FLAG_ETHERNET);
}

/* ---- what there is ---- */

static unsigned flags_of(const struct netif *n)
{
    bool loop = is_loop(n), up = n->flags & NETIF_FLAG_UP, link = n->flags & NETIF_FLAG_LINK_UP;
    return (up ? IFF_UP : 0) | (loop ? IFF_LOOPBACK : IFF_BROADCAST | IFF_MULTICAST) |
           (up && link ? IFF_RUNNING | IFF_LOWER_UP : 0);
}

static void fill_ip4(const struct netif *n, struct net_interface *ret)
{
    if (ret->nip4 == NET_IP4_MAX || ip4_addr_isany_val(*netif_ip4_addr(n)))
        return;
    struct dhcp *d = netif_dhcp_data(n);
    ret->ip4[ret->nip4].addr = netif_ip4_addr(n)->addr;
    ret->ip4[ret->nip4].netmask = netif_ip4_netmask(n)->addr;
    ret->ip4[ret->nip4++].leased = d && dhcp_supplied_address(n);
}

static void fill_ip6(const struct netif *n, struct net_interface *ret)
{
    for (int i = 0; i < LWIP_IPV6_NUM_ADDRESSES; i++) {
        u8_t state = netif_ip6_addr_state(n, i);
        if (ip6_addr_isinvalid(state))
            continue;
        const ip6_addr_t *a = netif_ip6_addr(n, i);
        memcpy(ret->ip6[ret->nip6].addr, a->addr, 16);
        ret->ip6[ret->nip6].prefix = ip6_addr_isloopback(a) ? 128 : 64;
        ret->ip6[ret->nip6].scope = ip6_addr_isloopback(a)    ? 0x10
                                    : ip6_addr_islinklocal(a) ? 0x20
                                                              : 0;
        ret->ip6[ret->nip6].tentative = ip6_addr_istentative(state) != 0;
        ret->nip6++;
    }
}

static void fill(const struct netif *n, struct net_interface *ret)
{
    *ret = (struct net_interface){ .index = netif_get_index(n),
                                   .flags = flags_of(n),
                                   .mtu = is_loop(n) ? lo_mtu : n->mtu,
                                   .queues = 1 };
    snprintf(ret->name, sizeof(ret->name), is_loop(n) ? "lo" : "eth%u", (unsigned)n->num - 1);
    memcpy(ret->mac, n->hwaddr, 6);
    ret->ip = netif_ip4_addr(n)->addr;
    ret->netmask = netif_ip4_netmask(n)->addr;
    ret->gateway = netif_ip4_gw(n)->addr;
    fill_ip4(n, ret);
    for (size_t i = 0; i < ARRAY_SIZE(aliases); i++)
        if (aliases[i].of == n)
            fill_ip4(&aliases[i].netif, ret);
    fill_ip6(n, ret);
}

bool net_interface_next(unsigned index, struct net_interface *ret)
{
    struct netif *n, *best = NULL;
    net_lock();
    NETIF_FOREACH(n)
    if (!netconf_is_alias(n) && netif_get_index(n) >= index &&
        (!best || netif_get_index(n) < netif_get_index(best)))
        best = n;
    if (best)
        fill(best, ret);
    net_unlock();
    if (best)
        ether_stats(best->state, ret);
    return best;
}

bool netconf_find(const char *name, unsigned index, struct net_interface *ret)
{
    for (unsigned i = 0; net_interface_next(i, ret); i = ret->index + 1)
        if (name ? !strncmp(ret->name, name, IFNAMSIZ) : ret->index == index)
            return true;
    return false;
}

/* ---- addresses ---- */

struct netif *netconf_netif_of(struct netif *dev, uint32_t addr)
{
    if (netif_ip4_addr(dev)->addr == addr)
        return dev;
    for (size_t i = 0; i < ARRAY_SIZE(aliases); i++)
        if (aliases[i].of == dev && netif_ip4_addr(&aliases[i].netif)->addr == addr)
            return &aliases[i].netif;
    return NULL;
}

static err_t alias_init(struct netif *n)
{
    const struct netif *of = base_of(n);
    n->name[0] = 'a';
    n->output = of->output;
    n->linkoutput = of->linkoutput;
    n->mtu = of->mtu;
    n->hwaddr_len = of->hwaddr_len;
    memcpy(n->hwaddr, of->hwaddr, sizeof(n->hwaddr));
    n->flags = of->flags & (u8_t) ~(NETIF_FLAG_IGMP | NETIF_FLAG_MLD6);
    n->chksum_flags = of->chksum_flags;
    return ERR_OK;
}

static int alias_add(struct netif *of, const ip4_addr_t *a, const ip4_addr_t *mask)
{
    struct alias *al = aliases;
    while (al < aliases + ALIASES_MAX && al->of)
        al++;
    unsigned n = 1;
    for (size_t i = 0; i < ARRAY_SIZE(aliases); i++)
        n += aliases[i].of == of;
    if (al == aliases + ALIASES_MAX || n >= NET_IP4_MAX)
        return -ENOBUFS;
    al->of = of;
    if (!netif_add(&al->netif, a, mask, NULL, of->state, alias_init, of->input)) {
        al->of = NULL;
        return -ENOBUFS;
    }
    return 0;
}

static void alias_del(struct netif *n)
{
    struct alias *al = CONTAINER_OF(n, struct alias, netif);
    netif_remove(n);
    memset(al, 0, sizeof(*al));
}

static int addr4_add(struct netif *n, uint32_t addr, unsigned prefix)
{
    ip4_addr_t a = { addr }, mask = { prefix ? lwip_htonl(0xffffffffu << (32 - prefix)) : 0 };
    if (netconf_netif_of(n, addr))
        return -EEXIST;
    if (!ip4_addr_isany_val(*netif_ip4_addr(n)))
        return alias_add(n, &a, &mask);
    if (netif_dhcp_data(n))
        dhcp_stop(n);
    netif_set_addr(n, &a, &mask, netif_ip4_gw(n));
    return 0;
}

static int addr6_add(struct netif *n, const struct inet_addr *a, unsigned prefix)
{
    ip_addr_t ip;
    s8_t i;
    ip_of_addr(&ip, a, netif_get_index(n));
    if (netif_get_ip6_addr_match(n, ip_2_ip6(&ip)) >= 0)
        return -EEXIST;
    if (prefix != 64 && prefix != 128)
        return -EOPNOTSUPP;
    if (netif_add_ip6_address(n, ip_2_ip6(&ip), &i) != ERR_OK)
        return -ENOBUFS;
    if (is_loop(n)) /* nobody else can have it */
        netif_ip6_addr_set_state(n, i, IP6_ADDR_PREFERRED);
    return 0;
}

int netconf_addr_add(unsigned ifindex, const struct inet_addr *a, unsigned prefix)
{
    net_lock();
    struct netif *n = netconf_netif(ifindex);
    net_touch();
    tcp_path_forget();
    int err = !n              ? -ENODEV
              : addr_is_v4(a) ? addr4_add(n, a->w[3], prefix)
                              : addr6_add(n, a, prefix);
    net_unlock();
    return err;
}

/* The first address goes: a second one takes its place, as with promote_secondaries. */
static void first_del(struct netif *n)
{
    if (netif_dhcp_data(n))
        dhcp_stop(n);
    for (size_t i = 0; i < ARRAY_SIZE(aliases); i++) {
        struct netif *al = &aliases[i].netif;
        if (aliases[i].of != n)
            continue;
        ip4_addr_t a = *netif_ip4_addr(al), mask = *netif_ip4_netmask(al);
        alias_del(al);
        netif_set_addr(n, &a, &mask, netif_ip4_gw(n));
        return;
    }
    netif_set_addr(n, IP4_ADDR_ANY4, IP4_ADDR_ANY4, IP4_ADDR_ANY4);
}

static int addr4_del(struct netif *n, uint32_t addr)
{
    struct netif *at = addr ? netconf_netif_of(n, addr) : NULL;
    if (!at)
        return -EADDRNOTAVAIL;
    if (at == n)
        first_del(n);
    else
        alias_del(at);
    return 0;
}

static int addr6_del(struct netif *n, const struct inet_addr *a)
{
    ip_addr_t ip;
    ip_of_addr(&ip, a, netif_get_index(n));
    s8_t i = netif_get_ip6_addr_match(n, ip_2_ip6(&ip));
    if (i < 0)
        return -EADDRNOTAVAIL;
    netif_ip6_addr_set_state(n, i, IP6_ADDR_INVALID);
    return 0;
}

int netconf_addr_del(unsigned ifindex, const struct inet_addr *a)
{
    net_lock();
    struct netif *n = netconf_netif(ifindex);
    net_touch();
    tcp_path_forget();
    int err = !n ? -ENODEV : addr_is_v4(a) ? addr4_del(n, a->w[3]) : addr6_del(n, a);
    net_unlock();
    return err;
}

/* ---- the interface itself ---- */

/* Call fn for the interface and its aliases. Locks: core held. */
static void each_netif(struct netif *n, void (*fn)(struct netif *n, unsigned v), unsigned v)
{
    fn(n, v);
    for (size_t i = 0; i < ARRAY_SIZE(aliases); i++)
        if (aliases[i].of == n)
            fn(&aliases[i].netif, v);
}

static void set_up(struct netif *n, unsigned up)
{
    if (up)
        netif_set_up(n);
    else
        netif_set_down(n);
}

int netconf_set_up(unsigned ifindex, bool up)
{
    net_lock();
    struct netif *n = netconf_netif(ifindex);
    net_touch();
    tcp_path_forget();
    if (n)
        each_netif(n, set_up, up);
    net_unlock();
    return n ? 0 : -ENODEV;
}

static void set_mtu(struct netif *n, unsigned mtu)
{
    n->mtu = (u16_t)mtu;
}

int netconf_set_mtu(unsigned ifindex, unsigned mtu)
{
    int err = 0;
    net_lock();
    struct netif *n = netconf_netif(ifindex);
    if (!n)
        err = -ENODEV;
    else if (is_loop(n))
        lo_mtu = mtu;
    else if (mtu < MTU_MIN || mtu > ether_mtu_max(n->state))
        err = -EINVAL;
    else
        each_netif(n, set_mtu, mtu);
    net_unlock();
    return err;
}

static void copy_mac(struct netif *n, unsigned unused)
{
    memcpy(n->hwaddr, (netconf_is_alias(n) ? base_of(n) : n)->hwaddr, 6);
}

int netconf_set_mac(unsigned ifindex, const uint8_t mac[6])
{
    net_lock();
    struct netif *n = netconf_netif(ifindex);
    net_unlock(); /* interfaces stay */
    if (!n)
        return -ENODEV;
    int err = is_loop(n) ? -EOPNOTSUPP : ether_set_mac(n->state, mac);
    if (err)
        return err;
    net_lock();
    memcpy(n->hwaddr, mac, 6);
    each_netif(n, copy_mac, 0);
    net_touch();
    tcp_path_forget();
    if (netif_is_up(n) && netif_is_link_up(n))
        etharp_gratuitous(n);
    net_unlock();
    return 0;
}
