/* SPDX-License-Identifier: MIT */
/* Losses of several segments at once: what the peer acknowledges selectively, and what is sent again. All under the core lock. */
#ifndef NET_TCP_SACK_H
#define NET_TCP_SACK_H

#include <stdint.h>

struct tcp_pcb;

/* tcp_pcb.flags that lwIP does not use: there is something that the peer has behind something that it lacks; a loss is being
 * repaired; segments must have a TTL (tcp_guard.c). */
enum { TCP_SACK_HOLES = 0x2000, TCP_SACK_REPAIR = 0x4000, TCP_LEAST_TTL = 0x8000 };

/* A segment with these options has come. */
void tcp_sack_options(struct tcp_pcb *pcb, const uint8_t *opts, unsigned n);
/* Before something is sent, when one of the flags or lwIP's of its own repair (TF_INFR) is set: put what was lost in front of it. The congestion
 * window that counts for now. */
uint32_t tcp_sack_prepare(struct tcp_pcb *pcb);
/* The clock has run out, and lwIP is about to send everything again. */
void tcp_sack_timeout(struct tcp_pcb *pcb);

#endif
