/* SPDX-License-Identifier: MIT */
/* What libOS puts in the place of lwIP's own: its lists of control blocks are walked by lwIP, but kept and searched by
 * tcp_table.c, and what is sent goes by way of tcp_segment.c. */
#ifndef NET_REPLACE_H
#define NET_REPLACE_H

#include <lwip/ip4_frag.h>
#include <lwip/ip6_frag.h>
#include <lwip/priv/tcp_priv.h>
#include <stdbool.h>

/* Put a control block in front of a list; take it out of one. */
void net_pcb_enter(struct tcp_pcb **list, struct tcp_pcb *pcb);
void net_pcb_leave(struct tcp_pcb **list, struct tcp_pcb *pcb);

#undef TCP_REG
#define TCP_REG(pcbs, npcb) net_pcb_enter((struct tcp_pcb **)(pcbs), (struct tcp_pcb *)(npcb))
#undef TCP_RMV
#define TCP_RMV(pcbs, npcb) net_pcb_leave((struct tcp_pcb **)(pcbs), (struct tcp_pcb *)(npcb))

/* lwIP drops what came out of order after so many times the retransmission time, which is short here. */
#undef TCP_OOSEQ_TIMEOUT
#define TCP_OOSEQ_TIMEOUT 300U

/* lwIP gives up too early for a bad link; after long, tcp_guard.c does. */
#undef TCP_MAXRTX
#define TCP_MAXRTX 80

/* A segment has come: what lwIP's tcp_input does, without a search through its lists. p is taken. */
void net_tcp_input(struct pbuf *p, struct netif *inp);
/* A segment without its headers goes out by netif n: what lwIP's ip_output_if does. */
err_t net_tcp_ip_output(struct pbuf *p, const ip_addr_t *src, const ip_addr_t *dest, uint8_t ttl,
                        uint8_t tos, struct netif *n);
/* The netif that a segment to dest leaves by: lwIP's ip_route. */
struct netif *net_tcp_route(const ip_addr_t *src, const ip_addr_t *dest);
/* The number that lwIP gives to the next packet. */
uint16_t net_ip4_id(void);
/* Take the next segment of an established connection, whose checksum is right, if there is nothing special about it. False:
 * tcp_input has to look. p: taken only with true. */
bool net_tcp_predicted(struct tcp_pcb *pcb, struct pbuf *p);
/* lwIP's etharp_tmr, n times. */
void net_arp_ticks(uint32_t n);
/* lwIP's tcp_output and tcp_rexmit_rto_commit for segments that are longer than what one frame holds. */
err_t net_tcp_output(struct tcp_pcb *pcb);
void net_tcp_rexmit(struct tcp_pcb *pcb);
/* Make the first unsent segment n bytes long, or a frame. */
void net_tcp_split(struct tcp_pcb *pcb, uint16_t n);
/* Send a packet that is longer than what the link takes: in fragments, unless the device cuts it. */
err_t net_ip4_frag(struct pbuf *p, struct netif *netif, const ip4_addr_t *dest);
err_t net_ip6_frag(struct pbuf *p, struct netif *netif, const ip6_addr_t *dest);

#endif
