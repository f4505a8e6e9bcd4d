/* SPDX-License-Identifier: MIT */
/* virtio-net: finding out what the device is, its control queue, link state, and recovery. A device that breaks a rule is
 * reset and started again after a pause, a few times; what was in flight is lost, as frames may be. Configuration is read
 * once, but for the status. Spec: virtio 1.2, 5.1. */
#include "virtio/net.h"

#include <abi/errno.h>
#include <base/log.h>
#include <libos/heap.h>
#include <plat/cpu.h>
#include <plat/time.h>
#include <string.h>

enum {
    CONFIG_MAC = 0,
    CONFIG_STATUS = 6,
    CONFIG_MAX_PAIRS = 8,
    CONFIG_MTU = 10,
    CONFIG_SPEED = 12,
    CONFIG_DUPLEX = 16,
    STATUS_LINK_UP = 1,
    STATUS_ANNOUNCE = 2,
    CTRL_RX = 0,
    CTRL_RX_PROMISC = 0,
    CTRL_RX_ALLMULTI = 1,
    CTRL_MAC = 1,
    CTRL_MAC_TABLE_SET = 0,
    CTRL_MAC_ADDR_SET = 1,
    CTRL_ANNOUNCE = 3,
    CTRL_MQ = 4,
    CTRL_QUEUE_SIZE = 16,
    CTRL_DATA_MAX = 1024,
    MTU_DEFAULT = 1500,
    MTU_MIN = 68,
    MTU_MAX = 65535 - NET_ETHER_BYTES,
    RESTARTS_MAX = 3,
};
#define CTRL_NS    1000000000ull
#define RESTART_NS 1000000000ull

/* 5.1.3.1: what needs what. Without mergeable buffers a page holds no large frame. */
static uint64_t net_features(uint64_t offered)
{
    static const struct {
        uint8_t bit, needs;
    } deps[] = {
        { NET_F_CTRL_RX, NET_F_CTRL_VQ },       { NET_F_CTRL_MAC, NET_F_CTRL_VQ },
        { NET_F_ANNOUNCE, NET_F_CTRL_VQ },      { NET_F_MQ, NET_F_CTRL_VQ },
        { NET_F_ANNOUNCE, NET_F_STATUS },       { NET_F_GUEST_TSO4, NET_F_GUEST_CSUM },
        { NET_F_GUEST_TSO6, NET_F_GUEST_CSUM }, { NET_F_GUEST_TSO4, NET_F_MRG_RXBUF },
        { NET_F_GUEST_TSO6, NET_F_MRG_RXBUF },  { NET_F_GUEST_ECN, NET_F_GUEST_TSO4 },
        { NET_F_HOST_TSO4, NET_F_CSUM },        { NET_F_HOST_TSO6, NET_F_CSUM },
        { NET_F_HOST_ECN, NET_F_HOST_TSO4 },
    };
    uint64_t f =
        offered &
        (VIRTIO_BIT(NET_F_CSUM) | VIRTIO_BIT(NET_F_GUEST_CSUM) | VIRTIO_BIT(NET_F_MTU) |
         VIRTIO_BIT(NET_F_MAC) | VIRTIO_BIT(NET_F_GUEST_TSO4) | VIRTIO_BIT(NET_F_GUEST_TSO6) |
         VIRTIO_BIT(NET_F_GUEST_ECN) | VIRTIO_BIT(NET_F_HOST_TSO4) | VIRTIO_BIT(NET_F_HOST_TSO6) |
         VIRTIO_BIT(NET_F_HOST_ECN) | VIRTIO_BIT(NET_F_MRG_RXBUF) | VIRTIO_BIT(NET_F_STATUS) |
         VIRTIO_BIT(NET_F_CTRL_VQ) | VIRTIO_BIT(NET_F_CTRL_RX) | VIRTIO_BIT(NET_F_ANNOUNCE) |
         VIRTIO_BIT(NET_F_MQ) | VIRTIO_BIT(NET_F_CTRL_MAC) | VIRTIO_BIT(NET_F_SPEED));

    for (size_t i = 0; i < ARRAY_SIZE(deps); i++)
        if (!(f & VIRTIO_BIT(deps[i].needs)))
            f &= ~VIRTIO_BIT(deps[i].bit);
    return f;
}

/* Send a command and wait for the device's verdict, polling: it answers while it is notified. -EIO: it said no, or nothing. */
static int command(struct net *n, uint8_t class, uint8_t cmd, const void *data, size_t size)
{
    struct virtio_queue *q = n->ctrl;
    uint8_t *mem = n->ctrl_mem.ptr, ok = 1;
    uint64_t end = plat_time_ns() + CTRL_NS;
    uint32_t len = 0;
    void *token;
    int got;

    if (!q || n->dev->failed || size > CTRL_DATA_MAX)
        return -EIO;
    spin_lock(&q->lock);
    mem[0] = class;
    mem[1] = cmd;
    memcpy(mem + 2, data, size);
    mem[CTRL_DATA_MAX + 2] = 1;
    const struct virtq_seg segs[2] = {
        { .addr = n->ctrl_mem.addr, .len = (uint32_t)(2 + size) },
        { .addr = n->ctrl_mem.addr + CTRL_DATA_MAX + 2, .len = 1 },
    };
    got = virtq_put(&q->ring, segs, 1, 1, n);
    virtio_kick(q);
    while (!got && (got = virtq_get(&q->ring, &token, &len)) == 0 && plat_time_ns() < end)
        plat_relax();
    if (got > 0 && len)
        ok = *(volatile uint8_t *)&mem[CTRL_DATA_MAX + 2];
    spin_unlock(&q->lock);
    if (got <= 0)
        virtio_fail(n->dev, "does not answer a command");
    return ok ? -EIO : 0;
}

static int net_filter(struct netdev *netdev, unsigned mode, const uint8_t (*macs)[6], size_t count)
{
    struct net *n = netdev->data;
    uint8_t promisc = mode & NETDEV_PROMISC ? 1 : 0, all = mode & NETDEV_ALLMULTI ? 1 : 0;
    uint8_t table[8 + 6 * NETDEV_MAC_MAX];
    uint32_t uni = 0, multi = 0;
    size_t at = 4;
    int err;

    if (!virtio_has(n->dev, NET_F_CTRL_RX))
        return -EOPNOTSUPP;
    if (count > NETDEV_MAC_MAX) {
        count = 0;
        all = 1;
    }
    /* Unicast addresses first, then multicast, each behind its count. */
    for (size_t pass = 0; pass < 2; pass++) {
        uint32_t *k = pass ? &multi : &uni;
        size_t head = at - 4;
        for (size_t i = 0; i < count; i++)
            if ((macs[i][0] & 1u) == pass) {
                memcpy(table + at, macs[i], 6);
                at += 6;
                ++*k;
            }
        memcpy(table + head, k, 4);
        at += 4;
    }
    err = command(n, CTRL_RX, CTRL_RX_PROMISC, &promisc, 1);
    if (!err)
        err = command(n, CTRL_RX, CTRL_RX_ALLMULTI, &all, 1);
    if (!err)
        err = command(n, CTRL_MAC, CTRL_MAC_TABLE_SET, table, at - 4);
    return err;
}

static int net_set_mac(struct netdev *netdev, const uint8_t mac[6])
{
    static const uint8_t zero[6];
    struct net *n = netdev->data;
    int err;

    if (mac[0] & 1 || !memcmp(mac, zero, 6))
        return -EADDRNOTAVAIL;
    if (!virtio_has(n->dev, NET_F_CTRL_MAC))
        return -EOPNOTSUPP;
    err = command(n, CTRL_MAC, CTRL_MAC_ADDR_SET, mac, 6);
    if (!err)
        memcpy(netdev->mac, mac, 6);
    return err;
}

static void net_stats(struct netdev *netdev, struct netdev_stats *ret)
{
    struct net *n = netdev->data;

    *ret = (struct netdev_stats){ 0 };
    for (unsigned i = 0; i < n->pairs; i++) {
        ret->rx_frames += n->rx[i].frames;
        ret->rx_bytes += n->rx[i].bytes;
        ret->rx_dropped += n->rx[i].dropped;
        ret->rx_errors += n->rx[i].errors;
        ret->tx_frames += n->tx[i].frames;
        ret->tx_bytes += n->tx[i].bytes;
        ret->tx_errors += n->tx[i].errors;
    }
}

/* Read the link's state. True: the device asks for an announcement. */
static bool read_status(struct net *n)
{
    uint16_t status = STATUS_LINK_UP;

    if (virtio_has(n->dev, NET_F_STATUS) && virtio_config(n->dev, CONFIG_STATUS, &status, 2, 2))
        status = 0;
    n->netdev.link = status & STATUS_LINK_UP;
    return virtio_has(n->dev, NET_F_ANNOUNCE) && status & STATUS_ANNOUNCE;
}

static void net_changed(struct virtio_device *d)
{
    struct net *n = d->data;
    bool before = n->netdev.link, announce = read_status(n);

    if (announce)
        (void)command(n, CTRL_ANNOUNCE, 0, NULL, 0); /* a refusal leaves the bit set, no more */
    if (n->started && (announce || before != n->netdev.link))
        n->netdev.user->changed(&n->netdev, announce);
}

/* Address, MTU, speed: once. */
static int read_config(struct net *n)
{
    static const uint8_t zero[6];
    struct virtio_device *d = n->dev;
    struct netdev *f = &n->netdev;
    uint16_t mtu = MTU_DEFAULT;
    uint8_t duplex = 1;

    if (virtio_has(d, NET_F_MAC) && virtio_config(d, CONFIG_MAC, f->mac, 6, 1))
        return -EIO;
    if (f->mac[0] & 1 || !memcmp(f->mac, zero, 6))
        netdev_random_mac(f->mac);
    if (virtio_has(d, NET_F_MTU) && virtio_config(d, CONFIG_MTU, &mtu, 2, 2))
        return -EIO;
    f->mtu = mtu >= MTU_MIN && mtu <= MTU_MAX ? mtu : MTU_DEFAULT;
    if (!virtio_has(d, NET_F_MRG_RXBUF) && f->mtu > PAGE_SIZE - 64)
        f->mtu = MTU_DEFAULT;
    if (virtio_has(d, NET_F_SPEED) && !virtio_config(d, CONFIG_SPEED, &f->speed, 4, 4) &&
        !virtio_config(d, CONFIG_DUPLEX, &duplex, 1, 1)) {
        f->half_duplex = duplex == 0;
        if (f->speed > INT32_MAX)
            f->speed = 0;
    }
    f->offloads =
        (virtio_has(d, NET_F_CSUM) ? NETDEV_CSUM : 0) |
        (virtio_has(d, NET_F_HOST_TSO4) ? NETDEV_TSO4 : 0) |
        (virtio_has(d, NET_F_HOST_TSO6) ? NETDEV_TSO6 : 0) |
        (virtio_has(d, NET_F_HOST_ECN) ? NETDEV_TSO_ECN : 0) |
        (virtio_has(d, NET_F_GUEST_CSUM) ? NETDEV_RX_CSUM : 0) |
        (virtio_has(d, NET_F_GUEST_TSO4) || virtio_has(d, NET_F_GUEST_TSO6) ? NETDEV_RX_TSO : 0);
    return 0;
}

/* How many pairs of queues to use, and what number the control queue has. */
static unsigned choose_pairs(struct net *n, unsigned *ret_ctrl)
{
    uint16_t max = 1;

    if (virtio_has(n->dev, NET_F_MQ) &&
        (virtio_config(n->dev, CONFIG_MAX_PAIRS, &max, 2, 2) || !max || max > 0x8000))
        max = 1;
    *ret_ctrl = 2u * max;
    return (unsigned)min_u64(max, min_u64(plat_cpu_count(), NETDEV_QUEUES_MAX));
}

/* Queues, control commands, buffers; the device runs afterwards. Also after a restart. */
static int start_device(struct net *n)
{
    struct virtio_device *d = n->dev;
    unsigned ctrl, pairs = choose_pairs(n, &ctrl);
    bool has_ctrl = virtio_has(d, NET_F_CTRL_VQ);
    int err;

    if (!n->pairs)
        n->pairs = pairs;
    err = virtio_queues_alloc(d, 2 * n->pairs + has_ctrl);
    for (unsigned i = 0; !err && i < n->pairs; i++) {
        err = virtio_queue_start(d, 2 * i, 2 * i, NET_QUEUE_SIZE, i, net_rx_interrupt);
        if (!err)
            err = virtio_queue_start(d, 2 * i + 1, 2 * i + 1, NET_QUEUE_SIZE, i, net_tx_interrupt);
        if (!err) {
            net_rx_init(n, i);
            err = net_tx_init(n, i);
        }
    }
    if (!err && has_ctrl) {
        err = virtio_queue_start(d, 2 * n->pairs, ctrl, CTRL_QUEUE_SIZE, 0, NULL);
        n->ctrl = &d->queues[2 * n->pairs];
        if (!err && !n->ctrl_mem.ptr)
            err = plat_dma_alloc(CTRL_DATA_MAX + 3, &n->ctrl_mem);
    }
    if (err)
        return err;
    virtio_ready(d);
    if (n->pairs > 1) {
        uint16_t use = (uint16_t)n->pairs;
        err = command(n, CTRL_MQ, 0, &use, 2);
    }
    return err;
}

/* Give the device its buffers. */
static int fill(struct net *n)
{
    for (unsigned i = 0; i < n->pairs; i++) {
        int err = net_rx_fill(&n->rx[i]);

        if (err)
            return err;
        spin_lock(&n->rx[i].q->lock);
        bool more = virtq_enable(&n->rx[i].q->ring, 1);
        spin_unlock(&n->rx[i].q->lock);
        if (more)
            net_rx_interrupt(n->rx[i].q);
    }
    return 0;
}

static int net_start(struct netdev *netdev)
{
    struct net *n = netdev->data;

    n->started = true;
    return n->dev->failed ? -EIO : fill(n);
}

static const struct netdev_ops net_ops = {
    .start = net_start,
    .transmit = net_transmit,
    .reclaim = net_reclaim,
    .filter = net_filter,
    .set_mac = net_set_mac,
    .stats = net_stats,
};

/* After a failure and a pause. */
static void restart(struct timer *t)
{
    struct net *n = CONTAINER_OF(t, struct net, restart);
    struct virtio_device *d = n->dev;

    virtio_queues_free(d);
    if (virtio_restart(d) || start_device(n) || (n->started && fill(n))) {
        log_error("virtio-net at %s: cannot be started again", d->where);
        d->failed = true;
        (void)virtio_reset(d);
        return;
    }
    (void)read_status(n);
    if (n->started)
        n->netdev.user->changed(&n->netdev, n->netdev.link);
}

static void net_failed(struct virtio_device *d)
{
    struct net *n = d->data;
    bool confirmed = !d->ops->status(d);

    n->netdev.link = false;
    for (unsigned i = 0; i < n->pairs; i++) {
        net_rx_end(&n->rx[i], !confirmed);
        net_tx_end(&n->tx[i], !confirmed);
    }
    if (n->started)
        n->netdev.user->changed(&n->netdev, false);
    if (confirmed && n->restarts++ < RESTARTS_MAX)
        timer_start(&n->restart, plat_time_ns() + RESTART_NS);
}

static int net_probe(struct virtio_device *d)
{
    struct net *n = heap_zalloc(sizeof(*n));
    int err;

    if (!n)
        return -ENOMEM;
    n->dev = d;
    d->data = n;
    n->header =
        d->modern || virtio_has(d, NET_F_MRG_RXBUF) ? NET_HEADER_BYTES : NET_HEADER_OLD_BYTES;
    n->netdev.ops = &net_ops;
    n->netdev.copied = NET_TX_COPY_MAX;
    n->netdev.data = n;
    timer_init(&n->restart, restart);
    err = read_config(n);
    if (!err)
        err = start_device(n);
    if (err)
        return err; /* n stays: timers may know it */
    n->netdev.queues = (uint16_t)n->pairs;
    (void)read_status(n);
    return netdev_register(&n->netdev);
}

const struct virtio_driver virtio_net_driver = {
    .type = VIRTIO_NET,
    .name = "net",
    .features = net_features,
    .probe = net_probe,
    .changed = net_changed,
    .failed = net_failed,
};
