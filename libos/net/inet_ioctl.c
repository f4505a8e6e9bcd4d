/* SPDX-License-Identifier: MIT */
/* ioctls about network interfaces and routes, on sockets of any family; netdevice(7). */
#include "netconf.h"
#include "netlink.h"
#include <abi/errno.h>
#include <abi/if.h>
#include <libos/process.h>
#include <libos/user.h>
#include <string.h>

enum { FIRST_DEVICE = 0x8913, LAST_DEVICE = 0x8970, CAP_NET_ADMIN = 12 };

static void put_ip(uint8_t *to, uint32_t ip)
{
    struct abi_sockaddr_in a = { .sin_family = AF_INET, .sin_addr = ip };
    memcpy(to, &a, sizeof(a));
}

static int if_answer(unsigned cmd, const struct net_interface *n, struct abi_ifreq *r)
{
    int v = 0;
    memset(r->ifr_data, 0, sizeof(r->ifr_data));
    switch (cmd) {
    case SIOCGIFFLAGS: {
        uint16_t flags = (uint16_t)n->flags;
        memcpy(r->ifr_data, &flags, sizeof(flags));
        return 0;
    }
    case SIOCGIFADDR:
    case SIOCGIFNETMASK:
    case SIOCGIFBRDADDR:
        if (!n->ip)
            return -EADDRNOTAVAIL;
        put_ip(r->ifr_data, cmd == SIOCGIFADDR         ? n->ip
                            : cmd == SIOCGIFNETMASK    ? n->netmask
                            : n->flags & IFF_BROADCAST ? n->ip | ~n->netmask
                                                       : 0);
        return 0;
    case SIOCGIFHWADDR: {
        uint16_t type = n->flags & IFF_LOOPBACK ? ARPHRD_LOOPBACK : ARPHRD_ETHER;
        memcpy(r->ifr_data, &type, sizeof(type));
        memcpy(r->ifr_data + 2, n->mac, 6);
        return 0;
    }
    case SIOCGIFINDEX:
        v = (int)n->index;
        break;
    case SIOCGIFMTU:
        v = (int)n->mtu;
        break;
    case SIOCGIFTXQLEN:
        v = 1000;
        break;
    case SIOCGIFMETRIC:
        break;
    case SIOCETHTOOL:
        return -EOPNOTSUPP;
    default:
        return -EINVAL;
    }
    memcpy(r->ifr_data, &v, sizeof(v));
    return 0;
}

static long if_name(unsigned long arg)
{
    struct abi_ifreq r;
    struct net_interface n;
    int index;
    if (user_get(&r, user_at(user_ifreq_in_t, arg), 1))
        return -EFAULT;
    memcpy(&index, r.ifr_data, sizeof(index));
    if (index < 1 || !net_interface_next((unsigned)index, &n) || n.index != (unsigned)index)
        return -ENODEV;
    memcpy(r.ifr_name, n.name, IFNAMSIZ);
    return user_put(user_at(user_ifreq_out_t, arg), &r, 1);
}

static long if_conf(unsigned long arg)
{
    struct abi_ifconf c;
    struct net_interface n;
    int used = 0;
    if (user_get(&c, user_at(user_ifconf_in_t, arg), 1))
        return -EFAULT;
    for (unsigned i = 0; net_interface_next(i, &n); i = n.index + 1) {
        struct abi_ifreq r = { 0 };
        if (!n.ip)
            continue;
        memcpy(r.ifr_name, n.name, IFNAMSIZ);
        put_ip(r.ifr_data, n.ip);
        int size = sizeof(r);
        if (!user_is_null(c.ifc_buf)) {
            if (used + size > c.ifc_len)
                break;
            if (user_put(user_advance(c.ifc_buf, (size_t)used), (uint8_t *)&r, sizeof(r)))
                return -EFAULT;
        }
        used += size;
    }
    c.ifc_len = used;
    return user_put(user_at(user_ifconf_out_t, arg), &c, 1);
}

/* ---- changing ---- */

static bool changes(unsigned cmd)
{
    switch (cmd) {
    case SIOCSIFFLAGS:
    case SIOCSIFADDR:
    case SIOCSIFBRDADDR:
    case SIOCSIFNETMASK:
    case SIOCSIFMTU:
    case SIOCSIFHWADDR:
    case SIOCSIFTXQLEN:
        return true;
    default:
        return false;
    }
}

static uint32_t get_ip(const uint8_t *from)
{
    struct abi_sockaddr_in a;
    memcpy(&a, from, sizeof(a));
    return a.sin_addr;
}

/* The first address is another one, with the mask that its class had. */
static int set_address(const struct net_interface *n, uint32_t ip)
{
    uint8_t first = (uint8_t)ip;
    struct inet_addr old = addr_v4(n->ip), fresh = addr_v4(ip);
    int err = n->ip ? netconf_addr_del(n->index, &old) : 0;
    if (err || !ip)
        return err;
    return netconf_addr_add(n->index, &fresh, first < 128 ? 8 : first < 192 ? 16 : 24);
}

static int set_netmask(const struct net_interface *n, uint32_t mask)
{
    uint32_t host = ~__builtin_bswap32(mask);
    struct inet_addr a = addr_v4(n->ip);
    if (host & (host + 1))
        return -EINVAL;
    if (!n->ip)
        return -EADDRNOTAVAIL;
    int err = netconf_addr_del(n->index, &a);
    return err ? err : netconf_addr_add(n->index, &a, (unsigned)__builtin_popcount(mask));
}

static int if_change(unsigned cmd, const struct net_interface *n, const struct abi_ifreq *r)
{
    int v, err;
    uint16_t flags;
    memcpy(&v, r->ifr_data, sizeof(v));
    memcpy(&flags, r->ifr_data, sizeof(flags));
    switch (cmd) {
    case SIOCSIFFLAGS:
        err = netconf_set_up(n->index, flags & IFF_UP);
        break;
    case SIOCSIFADDR:
        return set_address(n, get_ip(r->ifr_data));
    case SIOCSIFNETMASK:
        return set_netmask(n, get_ip(r->ifr_data));
    case SIOCSIFBRDADDR:
        return get_ip(r->ifr_data) == (n->ip | ~n->netmask) ? 0 : -EOPNOTSUPP;
    case SIOCSIFMTU:
        err = v < 0 ? -EINVAL : netconf_set_mtu(n->index, (unsigned)v);
        break;
    case SIOCSIFHWADDR:
        err = netconf_set_mac(n->index, r->ifr_data + 2);
        break;
    default:
        return -EOPNOTSUPP;
    }
    if (!err)
        rtnl_tell_link(n->index);
    return err;
}

static long change_route(unsigned cmd, unsigned long arg)
{
    struct abi_rtentry e;
    struct net_interface n;
    char name[IFNAMSIZ] = { 0 };
    if (!cred_capable(CAP_NET_ADMIN))
        return -EPERM;
    if (user_get(&e, user_at(user_rtentry_in_t, arg), 1))
        return -EFAULT;
    struct net_route r = { .dst = addr_v4(get_ip(e.rt_dst)),
                           .gateway = addr_v4(e.rt_flags & RTF_GATEWAY ? get_ip(e.rt_gateway) : 0),
                           .src = addr_v4(0),
                           .table = RT_TABLE_MAIN,
                           .protocol = RTPROT_BOOT,
                           .type = RTN_UNICAST };
    r.scope = addr_is_any(&r.gateway) ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
    r.prefix = e.rt_flags & RTF_HOST ? 32 : (uint8_t)__builtin_popcount(get_ip(e.rt_genmask));
    r.metric = e.rt_metric > 0 ? (uint32_t)e.rt_metric - 1 : 0;
    if (!user_is_null(e.rt_dev)) {
        long len = user_str(name, sizeof(name), user_cast(user_str_t, e.rt_dev));
        if (len < 0)
            return len == -ENAMETOOLONG ? -ENODEV : len;
        if (!netconf_find(name, 0, &n))
            return -ENODEV;
        r.ifindex = n.index;
    }
    return cmd == SIOCADDRT ? netconf_route_add(&r, false) : netconf_route_del(&r);
}

long inet_ioctl(struct socket *s, unsigned cmd, unsigned long arg)
{
    struct abi_ifreq r;
    struct net_interface n;
    if (cmd == SIOCGIFCONF)
        return if_conf(arg);
    if (cmd == SIOCGIFNAME)
        return if_name(arg);
    if (cmd == SIOCADDRT || cmd == SIOCDELRT)
        return change_route(cmd, arg);
    if (cmd < FIRST_DEVICE || cmd > LAST_DEVICE)
        return -ENOTTY;
    if (user_get(&r, user_at(user_ifreq_in_t, arg), 1))
        return -EFAULT;
    if (changes(cmd) && !cred_capable(CAP_NET_ADMIN))
        return -EPERM;
    r.ifr_name[IFNAMSIZ - 1] = 0;
    if (!netconf_find(r.ifr_name, 0, &n))
        return -ENODEV;
    if (changes(cmd))
        return if_change(cmd, &n, &r);
    int err = if_answer(cmd, &n, &r);
    return err ? err : user_put(user_at(user_ifreq_out_t, arg), &r, 1);
}
