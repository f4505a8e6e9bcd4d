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
 * /etc/resolv.conf, /etc/hosts and /etc/hostname where the image has none. May sleep. -EINVAL: what the command line says
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

#endif
