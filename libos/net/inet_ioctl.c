/* SPDX-License-Identifier: MIT */
/* ioctls about network interfaces; netdevice(7). Those that change something are refused: the machine's configuration is its
 * command line's. */
#include "inet.h"
#include <abi/errno.h>
#include <abi/if.h>
#include <libos/net.h>
#include <libos/user.h>
#include <string.h>

enum { FIRST_SET = 0x8914, LAST_DEVICE = 0x8970 };

static bool find_name(const char *name, struct net_interface *ret)
{
    for (unsigned i = 0; net_interface_next(i, ret); i = ret->index + 1)
        if (!strncmp(ret->name, name, IFNAMSIZ))
            return true;
    return false;
}

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

long inet_ioctl(struct socket *s, unsigned cmd, unsigned long arg)
{
    struct abi_ifreq r;
    struct net_interface n;
    if (cmd == SIOCGIFCONF)
        return if_conf(arg);
    if (cmd == SIOCGIFNAME)
        return if_name(arg);
    if (cmd < FIRST_SET - 1 || cmd > LAST_DEVICE)
        return -ENOTTY;
    if (user_get(&r, user_at(user_ifreq_in_t, arg), 1))
        return -EFAULT;
    r.ifr_name[IFNAMSIZ - 1] = 0;
    if (!find_name(r.ifr_name, &n))
        return -ENODEV;
    int err = if_answer(cmd, &n, &r);
    if (err == -EINVAL)
        return -EPERM;
    return err ? err : user_put(user_at(user_ifreq_out_t, arg), &r, 1);
}
