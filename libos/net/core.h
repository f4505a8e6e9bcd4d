/* SPDX-License-Identifier: MIT */
/* The protocol stack (lwIP) under its lock. */
#ifndef NET_CORE_H
#define NET_CORE_H

#include "inet.h"

struct net_interface;
struct netdev;
struct netif;

/* The lock of everything in lwIP. Not held over a user copy or a sleep; taken by interrupts too. */
void net_lock(void);
void net_unlock(void);
/* A packet comes or goes: the stack's timers run for a while. */
void net_touch(void);
/* A segment of a connection goes out, which has a clock of its own. */
void net_touch_tcp(void);
/* Memory within lwIP's bound (lwip/hooks.h) that is got elsewhere: may there be so much more; so much is free again. */
NODISCARD bool net_mem_take(size_t size);
void net_mem_give(size_t size);
/* Set up lwIP. Called once, with no lock. */
void net_core_init(void);
/* Bring up an interface of the machine; its number. -ENOMEM. */
NODISCARD int ether_attach(struct netdev *n);

/* Of the device behind a netif, whose state it is: the largest packet; its address changed (-EADDRNOTAVAIL, -EOPNOTSUPP,
 * -EIO). */
unsigned ether_mtu_max(const void *state);
NODISCARD int ether_set_mac(void *state, const uint8_t mac[6]);
/* What a device counts; state: the netif's. */
void ether_stats(const void *state, struct net_interface *ret);

/* Does the device behind a netif cut long TCP segments of IPv4 (or IPv6) into frames? Do the devices of all? */
bool ether_cuts(const struct netif *n, bool six);
bool ether_all_cut(bool six);

/* Does an interface of this machine have the address? No lock. */
bool net_addr_is_own(const struct inet_addr *a);
/* The address of ours from which a packet to a leaves; any: no route. Takes the core lock. */
struct inet_addr net_source_for(const struct inet_addr *a);

#endif
