/* SPDX-License-Identifier: MIT */
/* /sys/class/net. A node's number is 0 for lo and one more than in its name for the others. Documentation/ABI/testing/
 * sysfs-class-net. */
#include "gen.h"
#include <abi/errno.h>
#include <abi/if.h>
#include <libos/net.h>
#include <libos/sysfs.h>
#include <stdio.h>
#include <string.h>

static bool find(int number, struct net_interface *ret)
{
    char name[sizeof(ret->name)];
    if (number)
        snprintf(name, sizeof(name), "eth%d", number - 1);
    else
        strcpy(name, "lo");
    for (unsigned i = 0; net_interface_next(i, ret); i = ret->index + 1)
        if (!strcmp(ret->name, name))
            return true;
    return false;
}

static void put_mac(struct text *t, const uint8_t m[6])
{
    text_printf(t, "%02x:%02x:%02x:%02x:%02x:%02x\n", m[0], m[1], m[2], m[3], m[4], m[5]);
}

#define NET_FILE(name, ...)                                                                        \
    static int show_##name(struct text *t, const struct gen_ctx *c)                                \
    {                                                                                              \
        struct net_interface n;                                                                    \
        if (!find(c->number, &n))                                                                  \
            return -ENODEV;                                                                        \
        __VA_ARGS__;                                                                               \
        return 0;                                                                                  \
    }

static const uint8_t broadcast[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff }, none[6];

NET_FILE(address, put_mac(t, n.mac))
NET_FILE(broadcast, put_mac(t, n.flags &IFF_LOOPBACK ? none : broadcast))
NET_FILE(flags, text_printf(t, "0x%x\n", n.flags & ~(unsigned)(IFF_RUNNING | IFF_LOWER_UP)))
NET_FILE(ifindex, text_printf(t, "%u\n", n.index))
NET_FILE(mtu, text_printf(t, "%u\n", n.mtu))
NET_FILE(type, text_printf(t, "%d\n", n.flags &IFF_LOOPBACK ? ARPHRD_LOOPBACK : ARPHRD_ETHER))
NET_FILE(operstate, text_printf(t, "%s\n",
                                n.flags &IFF_LOOPBACK   ? "unknown"
                                : n.flags &IFF_LOWER_UP ? "up"
                                                        : "down"))
NET_FILE(uevent, text_printf(t, "INTERFACE=%s\nIFINDEX=%u\n", n.name, n.index))

/* As on Linux, what depends on a link cannot be read from an interface that is down. */
static int show_carrier(struct text *t, const struct gen_ctx *c)
{
    struct net_interface n;
    if (!find(c->number, &n))
        return -ENODEV;
    if (!(n.flags & IFF_UP))
        return -EINVAL;
    text_printf(t, "%d\n", (n.flags & IFF_LOWER_UP) != 0);
    return 0;
}

static int show_speed(struct text *t, const struct gen_ctx *c)
{
    struct net_interface n;
    if (!find(c->number, &n))
        return -ENODEV;
    if (!(n.flags & IFF_UP) || n.flags & IFF_LOOPBACK)
        return -EINVAL;
    text_printf(t, "%d\n", n.speed ? (int)n.speed : -1);
    return 0;
}

#define COUNTER(name) NET_FILE(name, text_printf(t, "%llu\n", (unsigned long long)n.name))

COUNTER(rx_bytes)
COUNTER(rx_packets)
COUNTER(rx_errors)
COUNTER(rx_dropped)
COUNTER(tx_bytes)
COUNTER(tx_packets)
COUNTER(tx_errors)

static const struct gen_entry statistics_entries[] = {
    GEN_FILE("rx_bytes", show_rx_bytes),     GEN_FILE("rx_dropped", show_rx_dropped),
    GEN_FILE("rx_errors", show_rx_errors),   GEN_FILE("rx_packets", show_rx_packets),
    GEN_FILE("tx_bytes", show_tx_bytes),     GEN_FILE("tx_errors", show_tx_errors),
    GEN_FILE("tx_packets", show_tx_packets), { .name = NULL },
};

static const struct gen_entry net_entries[] = {
    GEN_FIXED("addr_len", "6\n"),
    GEN_FILE("address", show_address),
    GEN_FILE("broadcast", show_broadcast),
    GEN_FILE("carrier", show_carrier),
    GEN_FILE("flags", show_flags),
    GEN_FILE("ifindex", show_ifindex),
    GEN_FILE("iflink", show_ifindex),
    GEN_FILE("mtu", show_mtu),
    GEN_FILE("operstate", show_operstate),
    GEN_FILE("speed", show_speed),
    GEN_DIR("statistics", statistics_entries),
    GEN_FIXED("tx_queue_len", "1000\n"),
    GEN_FILE("type", show_type),
    GEN_FILE("uevent", show_uevent),
    { .name = NULL },
};

static bool device_exists(const struct gen_ctx *dir, int n)
{
    struct net_interface i;
    return n >= 0 && n < 4096 && find(n + 1, &i);
}

static int device_next(const struct gen_ctx *dir, int from)
{
    for (int n = from < 0 ? 0 : from; device_exists(dir, n); n++)
        return n;
    return -1;
}

static void device_enter(struct gen_ctx *c, int n)
{
    c->number = n + 1;
}

const struct gen_names sysfs_net_names = { .prefix = "eth",
                                           .exists = device_exists,
                                           .next = device_next,
                                           .enter = device_enter,
                                           .entry = { .mode = S_IFDIR | 0755,
                                                      .children = net_entries } };

const struct gen_entry sysfs_net_entries[] = { GEN_DIR("lo", net_entries), { .name = NULL } };
