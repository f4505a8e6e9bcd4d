/* SPDX-License-Identifier: MIT */
/* What the short way of TCP segments (tcp_path.c) needs of Ethernet interfaces (ether.c). Locks: core held. */
#ifndef NET_ETHER_H
#define NET_ETHER_H

#include <lwip/err.h>
#include <stdbool.h>
#include <stdint.h>

struct netif;
struct pbuf;

/* Does the netif belong to an Ethernet interface? */
bool ether_is(const struct netif *n);
/* Send a frame that is an IPv4 packet without options, with a TCP segment. */
err_t ether_send_tcp4(struct netif *n, struct pbuf *p);
/* The identification that a packet gets in the place of lwIP's. */
uint16_t ether_ip4_id(uint16_t id);

/* Take back what the devices have sent. lwIP does not send a segment again while a device may still read it, and with nothing more
 * to send and nothing coming in no driver gives one back. */
void ether_take_back(void);

#endif
