/* SPDX-License-Identifier: MIT */
/* /proc/net: interfaces, sockets, routes, neighbours and counters in the forms that Linux prints. Sockets have no address
 * that a program may know: where Linux prints one there are zeros. proc_pid_net(5). */
#include "proc.h"
#include <abi/errno.h>
#include <abi/if.h>
#include <abi/in.h>
#include <libos/heap.h>
#include <libos/net.h>
#include <libos/socket.h>
#include <string.h>

enum { TCP_WIDTH = 149, UDP_WIDTH = 127, ROUTE_WIDTH = 127, LISTENS = 10, ACCEPTS = 0x10000 };

static unsigned long long wide(uint64_t v)
{
    return (unsigned long long)v;
}

/* ---- sockets of IP ---- */

struct rows {
    struct text *t;
    int n, protocol;
};

static void put_end(struct text *t, const struct abi_sockaddr_storage *name, unsigned len)
{
    const struct abi_sockaddr_in *v4 = (const void *)name;
    const struct abi_sockaddr_in6 *v6 = (const void *)name;
    uint32_t w[4] = { 0 };
    if (len && name->ss_family == AF_INET6) {
        memcpy(w, v6->sin6_addr, sizeof(w));
        text_printf(t, " %08X%08X%08X%08X:%04X", (unsigned)w[0], (unsigned)w[1], (unsigned)w[2],
                    (unsigned)w[3], (unsigned)__builtin_bswap16(v6->sin6_port));
    } else if (len) {
        text_printf(t, " %08X:%04X", (unsigned)v4->sin_addr,
                    (unsigned)__builtin_bswap16(v4->sin_port));
    }
}

static int put_row(const struct socket_info *i, void *arg)
{
    struct rows *r = arg;
    size_t start = r->t->len;
    if (i->type == SOCK_STREAM && !i->name_len)
        return 0;
    text_printf(r->t, r->protocol == IPPROTO_TCP ? "%4d:" : "%5d:", r->n++);
    put_end(r->t, &i->name, i->name_len);
    struct abi_sockaddr_storage none = { .ss_family = i->name.ss_family };
    put_end(r->t, i->peer_len ? &i->peer : &none, 1);
    text_printf(r->t, " %02X %08X:%08X 00:00000000 00000000 %5u        0 %llu %u %016x",
                (unsigned)i->state, (unsigned)i->wqueue, (unsigned)i->rqueue, (unsigned)i->uid,
                wide(i->ino), (unsigned)i->refs, 0u);
    if (r->protocol == IPPROTO_TCP)
        text_printf(r->t, " 20 4 30 10 -1");
    else
        text_printf(r->t, " %u", (unsigned)i->dropped);
    text_pad(r->t, start, r->protocol == IPPROTO_TCP ? TCP_WIDTH : UDP_WIDTH);
    text_printf(r->t, "\n");
    return 0;
}

static int show_sockets(struct text *t, int family, int protocol)
{
    struct rows r = { t, 0, protocol };
    size_t start = t->len;
    bool tcp = protocol == IPPROTO_TCP;
    text_printf(t,
                family == AF_INET6
                    ? "  sl  local_address                         remote_address              "
                      "          st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode"
                    : "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt"
                      "   uid  timeout inode");
    if (!tcp)
        text_printf(t, " ref pointer drops");
    if (family == AF_INET)
        text_pad(t, start, tcp ? TCP_WIDTH : UDP_WIDTH);
    text_printf(t, "\n");
    return socket_each(family, protocol, put_row, &r);
}

#define SOCKETS(name, family, protocol)                                                            \
    static int show_##name(struct text *t, const struct gen_ctx *c)                                \
    {                                                                                              \
        return show_sockets(t, family, protocol);                                                  \
    }

SOCKETS(tcp, AF_INET, IPPROTO_TCP)
SOCKETS(tcp6, AF_INET6, IPPROTO_TCP)
SOCKETS(udp, AF_INET, IPPROTO_UDP)
SOCKETS(udp6, AF_INET6, IPPROTO_UDP)
SOCKETS(raw, AF_INET, IPPROTO_RAW)
SOCKETS(raw6, AF_INET6, IPPROTO_RAW)

/* ---- other sockets ---- */

static int put_unix(const struct socket_info *i, void *arg)
{
    struct text *t = arg;
    bool listens = i->state == LISTENS;
    text_printf(t, "%016x: %08X %08X %08X %04X %02X %5llu", 0u, (unsigned)i->refs, 0u,
                listens ? (unsigned)ACCEPTS : 0u, (unsigned)i->type, i->state == 3 ? 3u : 1u,
                wide(i->ino));
    if (i->name_len > 2) {
        const char *name = (const char *)i->name.data;
        size_t n = i->name_len - 2;
        text_printf(t, " ");
        if (name[0] && !name[n - 1])
            n--;
        for (size_t at = 0; at < n; at++)
            text_add(t, name[at] ? &name[at] : "@", 1);
    }
    text_printf(t, "\n");
    return 0;
}

static int show_unix(struct text *t, const struct gen_ctx *c)
{
    text_printf(t, "Num       RefCount Protocol Flags    Type St Inode Path\n");
    return socket_each(AF_UNIX, -1, put_unix, t);
}

static int put_netlink(const struct socket_info *i, void *arg)
{
    uint32_t name[3];
    memcpy(name, &i->name, sizeof(name));
    text_printf(arg, "%016x %-3d %-10u %08x %-8u %-8d %-5d %-8u %-8u %-8llu\n", 0u, i->protocol,
                (unsigned)name[1], (unsigned)name[2], (unsigned)i->rqueue, 0, 0, (unsigned)i->refs,
                (unsigned)i->dropped, wide(i->ino));
    return 0;
}

static int show_netlink(struct text *t, const struct gen_ctx *c)
{
    text_printf(
        t, "sk               Eth Pid        Groups   Rmem     Wmem     Dump  Locks    Drops    "
           "Inode\n");
    return socket_each(AF_NETLINK, -1, put_netlink, t);
}

static int put_packet(const struct socket_info *i, void *arg)
{
    text_printf(arg, "%016x %-6u %-4d %04x   %-5u %1d %-6u %-6u %-6llu\n", 0u, (unsigned)i->refs,
                i->type, (unsigned)i->protocol, (unsigned)i->wqueue, 1, (unsigned)i->rqueue,
                (unsigned)i->uid, wide(i->ino));
    return 0;
}

static int show_packet(struct text *t, const struct gen_ctx *c)
{
    text_printf(t, "sk               RefCnt Type Proto  Iface R Rmem   User   Inode\n");
    return socket_each(AF_PACKET, -1, put_packet, t);
}

struct count {
    unsigned all, waits;
    unsigned mem;
};

static int count_one(const struct socket_info *i, void *arg)
{
    struct count *n = arg;
    n->all++;
    n->waits += i->type == SOCK_STREAM && !i->name_len;
    n->mem += (i->rqueue + i->wqueue + 4095) / 4096;
    return 0;
}

static struct count count(int family, int protocol)
{
    struct count n = { 0 };
    (void)!socket_each(family, protocol, count_one, &n); /* no memory: fewer */
    return n;
}

static int show_sockstat(struct text *t, const struct gen_ctx *c)
{
    struct count tcp = count(AF_INET, IPPROTO_TCP), udp = count(AF_INET, IPPROTO_UDP),
                 raw = count(AF_INET, IPPROTO_RAW), six = count(AF_INET6, IPPROTO_TCP);
    unsigned all = tcp.all + udp.all + raw.all + six.all + count(AF_UNIX, -1).all +
                   count(AF_NETLINK, -1).all + count(AF_PACKET, -1).all +
                   count(AF_INET6, IPPROTO_UDP).all;
    struct net_counters k;
    net_counters(&k);
    text_printf(t, "sockets: used %u\n", all);
    text_printf(t, "TCP: inuse %u orphan %u tw %u alloc %u mem %u\n", tcp.all - tcp.waits,
                (unsigned)k.tcp_orphans, (unsigned)k.tcp_time_wait, tcp.all + six.all, tcp.mem);
    text_printf(t, "UDP: inuse %u mem %u\nUDPLITE: inuse 0\nRAW: inuse %u\n", udp.all, udp.mem,
                raw.all);
    text_printf(t, "FRAG: inuse 0 memory 0\n");
    return 0;
}

static int show_sockstat6(struct text *t, const struct gen_ctx *c)
{
    struct count tcp = count(AF_INET6, IPPROTO_TCP);
    text_printf(t, "TCP6: inuse %u\nUDP6: inuse %u\nUDPLITE6: inuse 0\nRAW6: inuse %u\n",
                tcp.all - tcp.waits, count(AF_INET6, IPPROTO_UDP).all,
                count(AF_INET6, IPPROTO_RAW).all);
    text_printf(t, "FRAG6: inuse 0 memory 0\n");
    return 0;
}

/* ---- interfaces ---- */

static int show_dev(struct text *t, const struct gen_ctx *c)
{
    struct net_interface n;
    text_printf(t, "Inter-|   Receive                                                |  Transmit\n"
                   " face |bytes    packets errs drop fifo frame compressed multicast|bytes    "
                   "packets errs drop fifo colls carrier compressed\n");
    for (unsigned i = 0; net_interface_next(i, &n); i = n.index + 1)
        text_printf(t,
                    "%6s: %7llu %7llu %4llu %4llu %4u %5u %10u %9u %8llu %7llu %4llu %4u %4u %5u "
                    "%7u %10u\n",
                    n.name, wide(n.rx_bytes), wide(n.rx_packets), wide(n.rx_errors),
                    wide(n.rx_dropped), 0u, 0u, 0u, 0u, wide(n.tx_bytes), wide(n.tx_packets),
                    wide(n.tx_errors), 0u, 0u, 0u, 0u, 0u);
    return 0;
}

static int show_if_inet6(struct text *t, const struct gen_ctx *c)
{
    struct net_interface n;
    for (unsigned i = 0; net_interface_next(i, &n); i = n.index + 1)
        for (unsigned j = 0; j < n.nip6; j++) {
            for (unsigned k = 0; k < 16; k++)
                text_printf(t, "%02x", (unsigned)n.ip6[j].addr[k]);
            text_printf(t, " %02x %02x %02x %02x %8s\n", n.index, (unsigned)n.ip6[j].prefix,
                        (unsigned)n.ip6[j].scope, n.ip6[j].tentative ? 0xc0u : 0x80u, n.name);
        }
    return 0;
}

static int show_route(struct text *t, const struct gen_ctx *c)
{
    enum { MAX = 128 };
    struct net_route4 *all = heap_alloc(MAX * sizeof(*all));
    size_t start = t->len;
    if (!all)
        return -ENOMEM;
    text_printf(
        t, "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT");
    text_pad(t, start, ROUTE_WIDTH);
    text_printf(t, "\n");
    size_t n = net_routes4(all, MAX);
    for (size_t i = 0; i < n; i++) {
        const struct net_route4 *r = &all[i];
        unsigned flags =
            RTF_UP | (r->gateway ? RTF_GATEWAY : 0) | (r->mask == UINT32_MAX ? RTF_HOST : 0);
        start = t->len;
        text_printf(t, "%s\t%08X\t%08X\t%04X\t0\t0\t%u\t%08X\t0\t0\t0", r->dev, (unsigned)r->dst,
                    (unsigned)r->gateway, flags, (unsigned)r->metric, (unsigned)r->mask);
        text_pad(t, start, ROUTE_WIDTH);
        text_printf(t, "\n");
    }
    heap_free(all);
    return 0;
}

static int show_arp(struct text *t, const struct gen_ctx *c)
{
    enum { MAX = 128 };
    struct net_arp *all = heap_alloc(MAX * sizeof(*all));
    if (!all)
        return -ENOMEM;
    text_printf(t,
                "IP address       HW type     Flags       HW address            Mask     Device\n");
    size_t n = net_arps(all, MAX);
    for (size_t i = 0; i < n; i++) {
        const uint8_t *m = all[i].mac, *a = (const uint8_t *)&all[i].ip;
        size_t start = t->len;
        text_printf(t, "%u.%u.%u.%u", a[0], a[1], a[2], a[3]);
        text_pad(t, start, 17);
        text_printf(t, "0x%-10x0x%-10x%02x:%02x:%02x:%02x:%02x:%02x     *        %s\n", 1u, 2u,
                    m[0], m[1], m[2], m[3], m[4], m[5], all[i].dev);
    }
    heap_free(all);
    return 0;
}

/* ---- counters ---- */

static int show_snmp(struct text *t, const struct gen_ctx *c)
{
    struct net_counters k;
    net_counters(&k);
    text_printf(t, "Ip: Forwarding DefaultTTL InReceives InHdrErrors InAddrErrors ForwDatagrams "
                   "InUnknownProtos InDiscards InDelivers OutRequests OutDiscards OutNoRoutes "
                   "ReasmTimeout ReasmReqds ReasmOKs ReasmFails FragOKs FragFails FragCreates\n");
    text_printf(t, "Ip: 2 64 %u %u %u 0 %u %u %u %u %u %u 0 %u %u %u %u %u %u\n", k.ip_in,
                k.ip_in_header, k.ip_in_address, k.ip_in_protocol, k.ip_in_dropped, k.ip_delivered,
                k.ip_out, k.ip_out_dropped, k.ip_no_route, k.ip_reassemble, k.ip_reassembled,
                k.ip_reassemble_failed, k.ip_fragmented, k.ip_fragment_failed, k.ip_fragments);
    text_printf(t, "Icmp: InMsgs InErrors InDestUnreachs InEchos InEchoReps OutMsgs OutErrors "
                   "OutDestUnreachs OutEchos OutEchoReps\n");
    text_printf(t, "Icmp: %u %u %u %u %u %u %u %u %u %u\n", k.icmp_in, k.icmp_in_errors,
                k.icmp_in_unreachable, k.icmp_in_echo, k.icmp_in_reply, k.icmp_out,
                k.icmp_out_errors, k.icmp_out_unreachable, k.icmp_out_echo, k.icmp_out_reply);
    text_printf(t, "Tcp: RtoAlgorithm RtoMin RtoMax MaxConn ActiveOpens PassiveOpens AttemptFails "
                   "EstabResets CurrEstab InSegs OutSegs RetransSegs InErrs OutRsts\n");
    text_printf(t, "Tcp: 1 200 120000 -1 %u %u %u %u %u %u %u %u %u %u\n", k.tcp_active,
                k.tcp_passive, k.tcp_failed, k.tcp_reset, k.tcp_established, k.tcp_in, k.tcp_out,
                k.tcp_again, k.tcp_in_errors, k.tcp_out_resets);
    text_printf(t, "Udp: InDatagrams NoPorts InErrors OutDatagrams\n");
    text_printf(t, "Udp: %u %u %u %u\n", k.udp_in, k.udp_no_port, k.udp_in_errors, k.udp_out);
    return 0;
}

const struct gen_entry proc_net_entries[] = {
    GEN_FILE("arp", show_arp),
    GEN_FILE("dev", show_dev),
    GEN_FILE("if_inet6", show_if_inet6),
    GEN_FILE("netlink", show_netlink),
    GEN_FILE("packet", show_packet),
    GEN_FILE("raw", show_raw),
    GEN_FILE("raw6", show_raw6),
    GEN_FILE("route", show_route),
    GEN_FILE("snmp", show_snmp),
    GEN_FILE("sockstat", show_sockstat),
    GEN_FILE("sockstat6", show_sockstat6),
    GEN_FILE("tcp", show_tcp),
    GEN_FILE("tcp6", show_tcp6),
    GEN_FILE("udp", show_udp),
    GEN_FILE("udp6", show_udp6),
    GEN_FILE("unix", show_unix),
    { .name = NULL },
};

/* ---- /proc/sys/net ---- */

static const struct gen_entry core_entries[] = {
    GEN_FIXED("default_qdisc", "pfifo_fast\n"), GEN_FIXED("optmem_max", "20480\n"),
    GEN_FIXED("rmem_default", "212992\n"),      GEN_FIXED("rmem_max", "212992\n"),
    GEN_FIXED("somaxconn", "4096\n"),           GEN_FIXED("wmem_default", "212992\n"),
    GEN_FIXED("wmem_max", "212992\n"),          { .name = NULL },
};

static const struct gen_entry ipv4_entries[] = {
    GEN_FIXED("ip_default_ttl", "64\n"),
    GEN_FIXED("ip_forward", "0\n"),
    GEN_FIXED("ip_local_port_range", "32768\t60999\n"),
    GEN_FIXED("ip_nonlocal_bind", "0\n"),
    GEN_FIXED("ip_unprivileged_port_start", "1024\n"),
    GEN_FIXED("ping_group_range", "0\t2147483647\n"),
    GEN_FIXED("tcp_available_congestion_control", "reno\n"),
    GEN_FIXED("tcp_congestion_control", "reno\n"),
    GEN_FIXED("tcp_fastopen", "0\n"),
    GEN_FIXED("tcp_keepalive_intvl", "75\n"),
    GEN_FIXED("tcp_keepalive_probes", "9\n"),
    GEN_FIXED("tcp_keepalive_time", "7200\n"),
    GEN_FIXED("tcp_rmem", "4096\t131072\t6291456\n"),
    GEN_FIXED("tcp_sack", "1\n"),
    GEN_FIXED("tcp_timestamps", "1\n"),
    GEN_FIXED("tcp_window_scaling", "1\n"),
    GEN_FIXED("tcp_wmem", "4096\t2626560\t4194304\n"),
    { .name = NULL },
};

static const struct gen_entry conf6_all_entries[] = { GEN_FIXED("disable_ipv6", "0\n"),
                                                      GEN_FIXED("forwarding", "0\n"),
                                                      { .name = NULL } };
static const struct gen_entry conf6_entries[] = { GEN_DIR("all", conf6_all_entries),
                                                  GEN_DIR("default", conf6_all_entries),
                                                  { .name = NULL } };
static const struct gen_entry ipv6_entries[] = { GEN_FIXED("bindv6only", "0\n"),
                                                 GEN_DIR("conf", conf6_entries),
                                                 { .name = NULL } };
static const struct gen_entry unix_entries[] = { GEN_FIXED("max_dgram_qlen", "10\n"),
                                                 { .name = NULL } };

const struct gen_entry proc_sys_net_entries[] = {
    GEN_DIR("core", core_entries),
    GEN_DIR("ipv4", ipv4_entries),
    GEN_DIR("ipv6", ipv6_entries),
    GEN_DIR("unix", unix_entries),
    { .name = NULL },
};
