/* SPDX-License-Identifier: MIT */
/* The network as a whole: how the machine gets its addresses. */
#ifndef LIBOS_NET_H
#define LIBOS_NET_H

#include <base/compiler.h>
#include <base/types.h>

/* What the command line says; NULL: nothing. */
struct net_config {
    const char *ip;      /* "A.B.C.D/P", "dhcp" (the default) or "none" */
    const char *gateway; /* "A.B.C.D" */
    const char *dns;     /* addresses with commas between */
};

/* Set up the protocol stack with its loopback interface. Needs the random generator. Called once, before threads run. */
void net_init(void);
/* Bring up the interfaces that drivers have registered, wait a few seconds for DHCP's answer where it is asked, and write
 * /etc/resolv.conf (when there are name servers) and /etc/hosts over what the image has. May sleep. -EINVAL: what the command line says
 * is no address. */
NODISCARD int net_start(const struct net_config *c, const char *hostname);
/* The machine's first address as text, zero-terminated; empty: none. */
void net_address(char *buf, size_t size);

enum { NET_IP4_MAX = 9 };

/* One interface, for /proc/net/dev and others. */
struct net_interface {
    char name[16];
    unsigned index, flags, mtu; /* flags: IFF_* */
    uint8_t mac[6];
    unsigned queues;
    uint32_t speed;                /* Mbit/s; 0: not known */
    uint32_t ip, netmask, gateway; /* network order */
    struct {
        uint32_t addr, netmask; /* network order; the first one is ip */
        bool leased;            /* from DHCP */
    } ip4[NET_IP4_MAX];
    unsigned nip4;
    uint64_t rx_bytes, rx_packets, rx_errors, rx_dropped, tx_bytes, tx_packets, tx_errors;
    struct {
        uint8_t addr[16];
        uint8_t prefix, scope, tentative;
    } ip6[5];
    unsigned nip6;
};
/* The interface with the lowest number from index on; false: none. */
bool net_interface_next(unsigned index, struct net_interface *ret);

/* An IPv4 route of the main table, for /proc/net/route. Addresses in network order. */
struct net_route4 {
    char dev[16];
    uint32_t dst, mask, gateway;
    unsigned metric;
};
/* All of them: at most max; how many. */
size_t net_routes4(struct net_route4 *ret, size_t max);

/* A neighbour that ARP knows. */
struct net_arp {
    uint32_t ip; /* network order */
    uint8_t mac[6];
    char dev[16];
};
/* All of them: at most max; how many. */
size_t net_arps(struct net_arp *ret, size_t max);

/* What the protocols have counted since the machine began. What stays in the machine is not in it. */
struct net_counters {
    uint32_t ip_in, ip_in_header, ip_in_address, ip_in_protocol, ip_in_dropped, ip_delivered;
    uint32_t ip_out, ip_out_dropped, ip_no_route, ip_reassemble, ip_reassembled,
        ip_reassemble_failed;
    uint32_t ip_fragmented, ip_fragment_failed, ip_fragments;
    uint32_t icmp_in, icmp_in_errors, icmp_in_unreachable, icmp_in_echo, icmp_in_reply;
    uint32_t icmp_out, icmp_out_errors, icmp_out_unreachable, icmp_out_echo, icmp_out_reply;
    uint32_t tcp_active, tcp_passive, tcp_failed, tcp_reset, tcp_established;
    uint32_t tcp_in, tcp_out, tcp_again, tcp_in_errors, tcp_out_resets, tcp_orphans, tcp_time_wait;
    uint32_t udp_in, udp_no_port, udp_in_errors, udp_out;
};
void net_counters(struct net_counters *ret);

#endif
