/* SPDX-License-Identifier: MIT */
/* Between network drivers (libos/dev/netdev.h) and lwIP. A received frame becomes a chain of pbufs over the driver's pages, so
 * its data reaches the socket's reader without a copy; small ones are copied instead, and their page goes back at once. What
 * is sent goes to the driver as a list of segments over the pbufs, which keep a reference until the device has done. */
#include "af_packet.h"
#include "core.h"
#include "ether.h"
#include "ip.h"
#include "netconf.h"
#include "tcp_path.h"
#include "tcp_table.h"
#include <abi/errno.h>
#include <base/log.h>
#include <libos/dev/netdev.h>
#include <libos/heap.h>
#include <libos/net.h>
#include <libos/random.h>
#include <lwip/etharp.h>
#include <lwip/ethip6.h>
#include <lwip/netif.h>
#include <lwip/priv/tcp_priv.h>
#include <lwip/prot/ethernet.h>
#include <lwip/snmp.h>
#include <netif/ethernet.h>
#include <plat/cpu.h>
#include <string.h>

enum {
    COPY_MAX = 256, /* smaller frames are copied */
    ETH_HEADER = 14,
    V4_PROTO = 9,
    V6_NEXT = 6,
    V6_HEADER = 40,
    CSUM_TCP = 16, /* offsets of the checksum in its header */
    CSUM_UDP = 6,
    ARP_TARGET = 38, /* the address that an ARP packet asks for */
    TCP_OFFSET = 12, /* of the byte with its header's length */
    PROTO_TCP = 6,
    PROTO_UDP = 17,
};

struct ether {
    struct netif netif;
    struct netdev *dev;
    bool blocked; /* guarded by the core lock: a frame did not get out */
};

static struct ether ethers[NETDEV_MAX];
static unsigned nethers;
static uint32_t common_offloads = NETDEV_TSO4 | NETDEV_TSO6; /* those that all devices have */

/* A frame on its way out. */
struct sending {
    struct netdev_tx tx;
    struct pbuf *p;
};
static struct slab sendings = SLAB_INIT("net_tx", struct sending);

/* ---- sending ---- */

static uint32_t sum16(uint32_t sum, const uint8_t *p, size_t n)
{
    for (size_t i = 0; i + 1 < n; i += 2)
        sum += (uint32_t)(p[i] << 8 | p[i + 1]);
    return sum;
}

static void put16(uint8_t *at, uint32_t sum)
{
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    at[0] = (uint8_t)(sum >> 8);
    at[1] = (uint8_t)sum;
}

/* Leave the checksum of a TCP or UDP packet to the device: its field gets the sum of the pseudo header. */
static void offload_checksum(struct netdev_tx *tx, struct pbuf *p)
{
    uint8_t *f = p->payload, *ip = f + ETH_HEADER;
    uint32_t sum, len;
    unsigned proto, header;
    if (p->len < ETH_HEADER + IP_HLEN)
        return;
    if (f[12] == 0x08 && f[13] == 0x00) {
        header = (unsigned)(ip[0] & 15) * 4;
        proto = ip[V4_PROTO];
        if ((ip[6] & 0x3f) || ip[7])
            return; /* a fragment: summed before */
        sum = sum16(0, ip + 12, 8);
    } else if (f[12] == 0x86 && f[13] == 0xdd && p->len >= ETH_HEADER + V6_HEADER) {
        header = V6_HEADER;
        proto = ip[V6_NEXT];
        sum = sum16(0, ip + 8, 32);
    } else {
        return;
    }
    unsigned field = proto == PROTO_TCP ? CSUM_TCP : proto == PROTO_UDP ? CSUM_UDP : 0;
    if (!field || p->len < ETH_HEADER + header + field + 2)
        return;
    len = p->tot_len - ETH_HEADER - header;
    put16(ip + header + field, sum + proto + len);
    tx->csum = true;
    tx->csum_start = (uint16_t)(ETH_HEADER + header);
    tx->csum_offset = (uint16_t)field;
}

/* A segment for several frames (tcp_segment.c): the device makes them. */
static void offload_cutting(struct netdev_tx *tx, struct pbuf *p, uint32_t mtu)
{
    const uint8_t *f = p->payload;
    if (!tx->csum || tx->csum_offset != CSUM_TCP || p->len < tx->csum_start + TCP_HLEN)
        return;
    tx->header_len = (uint16_t)(tx->csum_start + (f[tx->csum_start + TCP_OFFSET] >> 4) * 4);
    tx->gso = f[12] == 0x08 ? NETDEV_GSO_TCP4 : NETDEV_GSO_TCP6;
    tx->gso_size = tcp_segment_cut(f, tx->header_len, mtu);
}

bool ether_all_cut(bool six)
{
    return nethers && common_offloads & (six ? NETDEV_TSO6 : NETDEV_TSO4);
}

/* The segments of p; 0: too many. */
static unsigned segments(const struct pbuf *p, struct netdev_seg *segs)
{
    unsigned n = 0;
    for (; p; p = p->next) {
        if (!p->len)
            continue;
        if (n == NETDEV_SEGS_MAX)
            return 0;
        segs[n++] = (struct netdev_seg){ p->payload, p->len };
    }
    return n;
}

/* Send p, which the device may need for a while. */
static int send_kept(struct ether *e, struct pbuf *p, struct netdev_tx *tx, unsigned queue)
{
    struct netdev_seg segs[NETDEV_SEGS_MAX];
    struct sending *s = slab_alloc(&sendings);
    if (!s)
        return -ENOMEM;
    s->tx = *tx;
    s->p = p;
    unsigned n = segments(p, segs);
    if (n)
        pbuf_ref(p);
    else if ((s->p = pbuf_clone(PBUF_RAW, PBUF_RAM, p)))
        n = segments(s->p, segs);
    s->tx.segs = segs;
    s->tx.nsegs = (uint16_t)n;
    int err = s->p ? e->dev->ops->transmit(e->dev, queue, &s->tx) : -ENOMEM;
    if (!err)
        return 0;
    if (s->p)
        pbuf_free(s->p);
    slab_free(&sendings, s);
    return err;
}

/* Send the frame p, of which tx says what is the device's to do. */
static err_t send(struct ether *e, struct pbuf *p, struct netdev_tx *tx)
{
    struct netdev_seg segs[NETDEV_SEGS_MAX];
    unsigned queue = e->dev->queues == 1 ? 0 : plat_cpu_id() % e->dev->queues, n;
    int err;
    if (syn_cookie_mutes())
        return ERR_OK;
    packet_tap(p, netif_get_index(&e->netif), PACKET_OUTGOING);
    if (!tx->gso && p->tot_len <= e->dev->copied && (n = segments(p, segs))) {
        tx->segs = segs;
        tx->nsegs = (uint16_t)n;
        err = e->dev->ops->transmit(e->dev, queue, tx);
        must(err);
    } else {
        err = send_kept(e, p, tx, queue);
    }
    if (err == -EAGAIN)
        e->blocked = true;
    return err >= 0 ? ERR_OK : err == -EAGAIN || err == -ENOMEM ? ERR_MEM : ERR_IF;
}

static err_t ether_output(struct netif *netif, struct pbuf *p)
{
    struct ether *e = netif->state;
    struct netdev_tx tx = { 0 };
    net_touch();
    tcp_path_learn(p);
    if (e->dev->offloads & NETDEV_CSUM)
        offload_checksum(&tx, p);
    if (p->tot_len > e->netif.mtu + ETH_HEADER)
        offload_cutting(&tx, p, e->netif.mtu);
    return send(e, p, &tx);
}

err_t ether_send_tcp4(struct netif *n, struct pbuf *p)
{
    struct ether *e = n->state;
    struct netdev_tx tx = { 0 };
    net_touch_tcp();
    if (e->dev->offloads & NETDEV_CSUM) {
        uint8_t *ip = (uint8_t *)p->payload + ETH_HEADER;
        uint32_t ends[2];
        memcpy(ends, ip + 12, sizeof(ends));
        uint64_t sum = (uint64_t)ends[0] + ends[1] +
                       lwip_htons((u16_t)(p->tot_len - ETH_HEADER - IP_HLEN)) +
                       lwip_htons(PROTO_TCP);
        sum = (sum & 0xffffffff) + (sum >> 32);
        sum = (sum & 0xffff) + (sum >> 16);
        sum = (sum & 0xffff) + (sum >> 16);
        uint16_t folded = (uint16_t)(sum + (sum >> 16));
        memcpy(ip + IP_HLEN + CSUM_TCP, &folded, sizeof(folded));
        tx.csum = true;
        tx.csum_start = ETH_HEADER + IP_HLEN;
        tx.csum_offset = CSUM_TCP;
    }
    if (p->tot_len > e->netif.mtu + ETH_HEADER)
        offload_cutting(&tx, p, e->netif.mtu);
    return send(e, p, &tx);
}

/* Locks: core held. */
static void take_back(struct netdev_tx *list)
{
    while (list) {
        struct sending *s = CONTAINER_OF(list, struct sending, tx);
        list = list->next;
        pbuf_free(s->p);
        slab_free(&sendings, s);
    }
}

void ether_take_back(void)
{
    for (unsigned i = 0; i < nethers; i++)
        for (unsigned q = 0; q < ethers[i].dev->queues; q++)
            take_back(ethers[i].dev->ops->reclaim(ethers[i].dev, q));
}

static void ether_done(struct netdev *dev, unsigned queue, struct netdev_tx *list)
{
    struct ether *e = dev->user_data;
    net_lock();
    take_back(list);
    if (e->blocked) {
        e->blocked = false;
        tcp_txnow();
    }
    net_unlock();
}

/* ---- receiving ---- */

static void piece_free(struct pbuf *p)
{
    /* The pbuf lies in the buffer's own room for its user. */
    netbuf_free(CONTAINER_OF(p, struct netbuf, user));
}

/* How much of a frame is headers, by its first n bytes, of which h is a copy. What is not known well is headers altogether. */
static uint32_t header_len(const uint8_t *h, uint32_t n)
{
    uint32_t ip = ETH_HEADER, tcp;
    if (h[12] == 0x08 && h[13] == 0x00 && h[ip + V4_PROTO] == PROTO_TCP)
        tcp = ip + (h[ip] & 15u) * 4;
    else if (h[12] == 0x86 && h[13] == 0xdd && h[ip + V6_NEXT] == PROTO_TCP)
        tcp = ip + V6_HEADER;
    else
        return n;
    if (tcp + TCP_OFFSET >= n)
        return n;
    uint32_t end = tcp + (h[tcp + TCP_OFFSET] >> 4) * 4u;
    return end < tcp + TCP_HLEN || end > n ? n : end;
}

/* A frame that was copied, behind its pbuf. */
struct small {
    struct pbuf_custom pc;
    uint8_t data[COPY_MAX];
};
static struct slab smalls = SLAB_INIT("net_rx", struct small);

static void small_free(struct pbuf *p)
{
    net_mem_give(sizeof(struct small));
    slab_free(&smalls, p);
}

static struct pbuf *small_frame(const void *data, uint32_t n)
{
    _Static_assert(offsetof(struct small, data) == sizeof(struct pbuf_custom),
                   "lwIP looks for room there");
    if (!net_mem_take(sizeof(struct small)))
        return NULL;
    struct small *s = slab_alloc(&smalls);
    if (!s) {
        net_mem_give(sizeof(struct small));
        return NULL;
    }
    s->pc.custom_free_function = small_free;
    memcpy(s->data, data, n);
    return pbuf_alloced_custom(PBUF_RAW, (u16_t)n, PBUF_RAM, &s->pc, s->data, sizeof(s->data));
}

/* A pbuf with a private copy of a frame's headers: what is parsed must not change meanwhile. The first piece, of at least
 * COPY_MAX bytes or all of the frame, begins behind them then. NULL: no memory. */
static struct pbuf *take_headers(struct netbuf *b)
{
    uint8_t h[COPY_MAX];
    uint32_t n = b->len < COPY_MAX ? b->len : COPY_MAX;
    memcpy(h, b->data, n);
    n = n < ETH_HEADER + IP_HLEN ? n : header_len(h, n);
    struct pbuf *p = pbuf_alloc(PBUF_RAW, (u16_t)n, PBUF_RAM);
    if (!p)
        return NULL;
    memcpy(p->payload, h, n);
    b->data += n;
    b->len -= n;
    return p;
}

/* The chain of pbufs over a frame's pieces behind a copy of its headers, or a copy of all. NULL: dropped. */
static struct pbuf *frame_pbuf(struct netbuf *b)
{
    _Static_assert(sizeof(struct pbuf_custom) <= sizeof(b->user), "a pbuf fits");
    struct pbuf *head = NULL;
    if (b->total <= COPY_MAX && !b->next) {
        head = small_frame(b->data, b->total);
        netbuf_free(b);
        return head;
    }
    if (b->total <= UINT16_MAX)
        head = take_headers(b);
    if (!head) {
        netbuf_free_frame(b);
        return NULL;
    }
    uint32_t rest = b->total - head->len;
    struct pbuf *tail = head;
    head->tot_len = (u16_t)b->total;
    while (b) {
        struct netbuf *next = b->next;
        if (!b->len) {
            netbuf_free(b);
            b = next;
            continue;
        }
        struct pbuf_custom *pc = (struct pbuf_custom *)(void *)b->user;
        pc->custom_free_function = piece_free;
        struct pbuf *p =
            pbuf_alloced_custom(PBUF_RAW, (u16_t)b->len, PBUF_REF, pc, b->data, (u16_t)b->len);
        p->tot_len = (u16_t)rest;
        rest -= p->len;
        tail = tail->next = p;
        b = next;
    }
    return head;
}

enum { CHECKS = NETIF_CHECKSUM_CHECK_TCP | NETIF_CHECKSUM_CHECK_UDP };

/* Questions about a second address (ARP) go to the netif that has it; everything else to the interface's. */
static struct netif *netif_for(struct ether *e, const struct pbuf *p)
{
    const uint8_t *f = p->payload;
    struct netif *n = NULL;
    uint32_t target;
    if (p->len >= ARP_TARGET + sizeof(target) && f[12] == 0x08 && f[13] == 0x06) {
        tcp_path_forget();
        memcpy(&target, f + ARP_TARGET, sizeof(target));
        n = netconf_netif_of(&e->netif, target);
    }
    return n ? n : &e->netif;
}

/* Whose is a frame, by its destination? */
static uint8_t type_of(const struct ether *e, const struct pbuf *p)
{
    const uint8_t *to = p->payload;
    static const uint8_t broadcast[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
    if (to[0] & 1)
        return memcmp(to, broadcast, 6) ? PACKET_MULTICAST : PACKET_BROADCAST;
    return memcmp(to, e->netif.hwaddr, 6) ? PACKET_OTHERHOST : PACKET_HOST;
}

static void receive_one(struct ether *e, struct netbuf *b)
{
    bool good = b->flags & (NETBUF_CSUM_GOOD | NETBUF_CSUM_PARTIAL);
    struct pbuf *p = frame_pbuf(b);
    if (!p)
        return;
    if (good)
        e->netif.chksum_flags &= (u16_t)~CHECKS;
    else
        e->netif.chksum_flags |= CHECKS;
    uint8_t type = p->len < ETH_HEADER ? PACKET_OTHERHOST : type_of(e, p);
    packet_tap(p, netif_get_index(&e->netif), type);
    if (LIKELY(good && type == PACKET_HOST) && tcp_path_input(p, &e->netif))
        return;
    struct netif *n = netif_for(e, p);
    if (type == PACKET_OTHERHOST || n->input(p, n) != ERR_OK)
        pbuf_free(p);
}

static void ether_receive(struct netdev *dev, unsigned queue, struct netbuf *frames)
{
    struct ether *e = dev->user_data;
    net_lock();
    net_touch();
    while (frames) {
        struct netbuf *b = frames;
        frames = b->next_frame;
        receive_one(e, b);
    }
    net_unlock();
}

static void ether_changed(struct netdev *dev, bool announce)
{
    struct ether *e = dev->user_data;
    net_lock();
    net_touch();
    tcp_path_forget();
    if (dev->link)
        netif_set_link_up(&e->netif);
    else
        netif_set_link_down(&e->netif);
    if (announce && dev->link)
        etharp_gratuitous(&e->netif);
    net_unlock();
}

static const struct netdev_user ether_user = { ether_receive, ether_done, ether_changed };

/* Rounds of a permutation of 16 bits, made of random bytes: what a packet's identification becomes. lwIP counts them; this way
 * fragments of one packet agree, and nobody learns how many packets were sent (RFC 7739). */
static uint8_t id_rounds[4][256];

uint16_t ether_ip4_id(uint16_t id)
{
    uint8_t a = (uint8_t)(id >> 8), b = (uint8_t)id;
    for (size_t i = 0; i < ARRAY_SIZE(id_rounds); i++) {
        uint8_t t = a ^ id_rounds[i][b];
        a = b;
        b = t;
    }
    return (uint16_t)(a << 8 | b);
}

static err_t ether_output_ip4(struct netif *n, struct pbuf *p, const ip4_addr_t *to)
{
    uint8_t *ip = p->payload;
    uint16_t old = (uint16_t)(ip[4] << 8 | ip[5]), fresh = ether_ip4_id(old);
    uint32_t sum = (uint16_t) ~(ip[10] << 8 | ip[11]);
    put16(ip + 4, fresh);
    put16(ip + 10, sum + (uint16_t)~old + fresh); /* RFC 1624 */
    ip[10] = (uint8_t)~ip[10];
    ip[11] = (uint8_t)~ip[11];
    return etharp_output(n, p, to);
}

bool ether_is(const struct netif *n)
{
    return n->linkoutput == ether_output;
}

bool ether_cuts(const struct netif *n, bool six)
{
    const struct ether *e = n->state;
    return ether_is(n) && e->dev->offloads & NETDEV_CSUM &&
           e->dev->offloads & (six ? NETDEV_TSO6 : NETDEV_TSO4);
}

static err_t ether_init(struct netif *n)
{
    struct ether *e = n->state;
    n->name[0] = 'e';
    n->name[1] = 't';
    n->output = ether_output_ip4;
    n->output_ip6 = ethip6_output;
    n->linkoutput = ether_output;
    n->mtu = e->dev->mtu;
    n->hwaddr_len = ETH_HWADDR_LEN;
    memcpy(n->hwaddr, e->dev->mac, ETH_HWADDR_LEN);
    n->flags = NETIF_FLAG_BROADCAST | NETIF_FLAG_ETHARP | NETIF_FLAG_ETHERNET | NETIF_FLAG_IGMP |
               NETIF_FLAG_MLD6;
    if (e->dev->offloads & NETDEV_CSUM)
        n->chksum_flags &= (u16_t) ~(NETIF_CHECKSUM_GEN_TCP | NETIF_CHECKSUM_GEN_UDP);
    return ERR_OK;
}

int ether_attach(struct netdev *dev)
{
    struct ether *e = &ethers[nethers];
    if (nethers == ARRAY_SIZE(ethers))
        return -ENOSPC;
    e->dev = dev;
    if (!nethers)
        random_bytes(id_rounds, sizeof(id_rounds));
    net_lock();
    struct netif *n = netif_add_noaddr(&e->netif, e, ether_init, ethernet_input);
    if (n) {
        netif_create_ip6_linklocal_address(n, 1);
        netif_set_ip6_autoconfig_enabled(n, 1);
        netif_set_up(n);
        if (!netif_default)
            netif_set_default(n);
    }
    net_unlock();
    if (!n)
        return -ENOMEM;
    int err = netdev_attach(dev, &ether_user, e);
    if (err)
        return err;
    nethers++;
    common_offloads &= dev->offloads & NETDEV_CSUM ? dev->offloads : 0;
    ether_changed(dev, false);
    return netif_get_index(n);
}

unsigned ether_mtu_max(const void *state)
{
    const struct ether *e = state;
    return e->dev->mtu;
}

int ether_set_mac(void *state, const uint8_t mac[6])
{
    struct ether *e = state;
    return e->dev->ops->set_mac ? e->dev->ops->set_mac(e->dev, mac) : -EOPNOTSUPP;
}

void ether_stats(const void *state, struct net_interface *ret)
{
    const struct ether *e = state;
    struct netdev_stats st = { 0 };
    if (!e)
        return; /* the loopback */
    e->dev->ops->stats(e->dev, &st);
    ret->queues = e->dev->queues;
    ret->speed = e->dev->speed;
    ret->rx_bytes = st.rx_bytes;
    ret->rx_packets = st.rx_frames;
    ret->rx_errors = st.rx_errors;
    ret->rx_dropped = st.rx_dropped;
    ret->tx_bytes = st.tx_bytes;
    ret->tx_packets = st.tx_frames;
    ret->tx_errors = st.tx_errors;
}
