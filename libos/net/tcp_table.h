/* SPDX-License-Identifier: MIT */
/* lwIP's control blocks by address and port. All of it under the core lock. */
#ifndef NET_TCP_TABLE_H
#define NET_TCP_TABLE_H

#include <lwip/ip_addr.h>
#include <stdbool.h>
#include <stdint.h>

struct netif;
struct pbuf;
struct tcp_hdr;
struct tcp_pcb;
struct tcp_pcb_listen;

/* The connection between two ends (ports in host order), the ones in TIME-WAIT too. NULL. */
struct tcp_pcb *tcp_table_find(const ip_addr_t *local, uint16_t local_port, const ip_addr_t *remote,
                               uint16_t remote_port);
/* lwIP's slow clock unlinks control blocks by itself: around it. */
void tcp_table_begin_walk(void);
void tcp_table_end_walk(void);
/* Once, before the first connection. */
void tcp_table_init(void);

/* Who listens on a port. NULL. */
struct tcp_pcb_listen *tcp_table_listener(uint16_t port);
/* What lwIP's tcp_input does (net_tcp_input of lwip/replace.h). p is taken. */
void tcp_table_input(struct pbuf *p, struct netif *inp);
/* lwIP's tcp_input, with no connection to be seen but those that begin in it. p is taken. */
void tcp_table_input_new(struct pbuf *p, struct netif *inp);

/* A segment for a listener, of no connection. True: it was answered, or taken otherwise; p is gone then. */
bool syn_cookie_input(struct tcp_pcb_listen *l, struct pbuf *p, struct netif *inp);
/* The initial sequence number that the connection now begun has had all along. False: none. */
bool syn_cookie_isn(uint32_t *ret_isn);
/* Is what goes out now something that its receiver has long had? */
bool syn_cookie_mutes(void);
void syn_cookie_init(void);

/* The most that one segment of a connection should carry, of a device that cuts it into frames. */
uint16_t tcp_segment_size(const struct tcp_pcb *pcb);
/* How much of it goes into one frame: the frame begins with f and is of a connection or not, and its headers (with Ethernet's)
 * have so many bytes. */
uint16_t tcp_segment_cut(const uint8_t *f, uint32_t header, uint32_t mtu);

#endif
