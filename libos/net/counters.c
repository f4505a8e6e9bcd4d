/* SPDX-License-Identifier: MIT */
/* What /proc/net shows of the stack: its counters, IPv4 routes and ARP's neighbours. */
#include "core.h"
#include "netconf.h"
#include <abi/netlink.h>
#include <libos/heap.h>
#include <lwip/priv/tcp_priv.h>
#include <lwip/stats.h>
#include <string.h>

/* lwIP counts here; its own file that defines this has nothing else that is needed. */
struct stats_ lwip_stats;

void stats_init(void)
{
}

/* Connections that have a control block but no socket any more, and those that only wait for stray packets. */
static void count_tcp(struct net_counters *ret)
{
    for (struct tcp_pcb *p = tcp_active_pcbs; p; p = p->next) {
        ret->tcp_established += p->state == ESTABLISHED || p->state == CLOSE_WAIT;
        ret->tcp_orphans += !p->callback_arg;
    }
    for (struct tcp_pcb *p = tcp_tw_pcbs; p; p = p->next)
        ret->tcp_time_wait++;
}

void net_counters(struct net_counters *ret)
{
    const struct stats_mib2 *m = &lwip_stats.mib2;
    net_lock();
    *ret = (struct net_counters){
        .ip_in = m->ipinreceives,
        .ip_in_header = m->ipinhdrerrors,
        .ip_in_address = m->ipinaddrerrors,
        .ip_in_protocol = m->ipinunknownprotos,
        .ip_in_dropped = m->ipindiscards,
        .ip_delivered = m->ipindelivers,
        .ip_out = m->ipoutrequests,
        .ip_out_dropped = m->ipoutdiscards,
        .ip_no_route = m->ipoutnoroutes,
        .ip_reassemble = m->ipreasmreqds,
        .ip_reassembled = m->ipreasmoks,
        .ip_reassemble_failed = m->ipreasmfails,
        .ip_fragmented = m->ipfragoks,
        .ip_fragment_failed = m->ipfragfails,
        .ip_fragments = m->ipfragcreates,
        .icmp_in = m->icmpinmsgs,
        .icmp_in_errors = m->icmpinerrors,
        .icmp_in_unreachable = m->icmpindestunreachs,
        .icmp_in_echo = m->icmpinechos,
        .icmp_in_reply = m->icmpinechoreps,
        .icmp_out = m->icmpoutmsgs,
        .icmp_out_errors = m->icmpouterrors,
        .icmp_out_unreachable = m->icmpoutdestunreachs,
        .icmp_out_echo = m->icmpoutechos,
        .icmp_out_reply = m->icmpoutechoreps,
        .tcp_active = m->tcpactiveopens,
        .tcp_passive = m->tcppassiveopens,
        .tcp_failed = m->tcpattemptfails,
        .tcp_reset = m->tcpestabresets,
        .tcp_in = m->tcpinsegs,
        .tcp_out = m->tcpoutsegs,
        .tcp_again = m->tcpretranssegs,
        .tcp_in_errors = m->tcpinerrs,
        .tcp_out_resets = m->tcpoutrsts,
        .udp_in = m->udpindatagrams,
        .udp_no_port = m->udpnoports,
        .udp_in_errors = m->udpinerrors,
        .udp_out = m->udpoutdatagrams,
    };
    count_tcp(ret);
    net_unlock();
}

static void name_of(unsigned ifindex, char ret[16])
{
    struct net_interface n;
    ret[0] = 0;
    if (netconf_find(NULL, ifindex, &n))
        memcpy(ret, n.name, sizeof(n.name));
}

size_t net_routes4(struct net_route4 *ret, size_t max)
{
    struct net_route *all = heap_alloc(ROUTE_LIST_MAX * sizeof(*all));
    size_t n = all ? netconf_routes(all, ROUTE_LIST_MAX) : 0, used = 0;
    for (size_t i = 0; i < n && used < max; i++) {
        const struct net_route *r = &all[i];
        if (r->v6 || r->table != RT_TABLE_MAIN)
            continue;
        struct net_route4 *o = &ret[used++];
        *o = (struct net_route4){ .dst = r->dst.w[3],
                                  .mask = r->prefix
                                              ? __builtin_bswap32(0xffffffffu << (32 - r->prefix))
                                              : 0,
                                  .gateway = r->gateway.w[3],
                                  .metric = r->metric };
        name_of(r->ifindex, o->dev);
    }
    heap_free(all);
    return used;
}

size_t net_arps(struct net_arp *ret, size_t max)
{
    struct net_neighbour *all = heap_alloc(NEIGHBOUR_LIST_MAX * sizeof(*all));
    size_t n = all ? netconf_neighbours(all, NEIGHBOUR_LIST_MAX) : 0, used = 0;
    for (size_t i = 0; i < n && used < max; i++) {
        if (all[i].v6 || !all[i].has_mac)
            continue;
        ret[used].ip = all[i].addr.w[3];
        memcpy(ret[used].mac, all[i].mac, 6);
        name_of(all[i].ifindex, ret[used++].dev);
    }
    heap_free(all);
    return used;
}
