/* SPDX-License-Identifier: MIT */
/* The short way of a TCP segment over IPv4 between an Ethernet interface and its connection (tcp_path.c). */
#ifndef NET_TCP_PATH_H
#define NET_TCP_PATH_H

#include <stdbool.h>
#include <stdint.h>

struct netif;
struct pbuf;

/* Give a frame for this machine, whose transport checksum has been verified, to its connection. False: it is not of the common
 * kind, and still the caller's. Locks: core held. */
bool tcp_path_input(struct pbuf *take_p, struct netif *n);
/* A frame goes out: if it is the one that a neighbour's address was missing for, learn it. Locks: core held. */
void tcp_path_learn(const struct pbuf *p);
/* Neighbours, addresses or routes may have changed. Locks: core held. */
void tcp_path_forget(void);

#endif
