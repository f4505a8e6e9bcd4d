/* SPDX-License-Identifier: MIT */
/* What lwIP calls of ours. */
#ifndef NET_HOOKS_H
#define NET_HOOKS_H

#include <stddef.h>
#include <stdint.h>

struct ip_addr;
struct netif;

/* Memory for lwIP, within net_mem_limit. NULL. */
void *net_mem_alloc(size_t n);
void *net_mem_calloc(size_t n, size_t size);
void net_mem_free(void *p);

/* An initial sequence number (RFC 6528: clock plus keyed hash of the connection). */
uint32_t net_hook_isn(const void *lip, uint16_t lport, const void *rip, uint16_t rport);
uint32_t net_hook_random(void);

/* Routes that programs have added (route.c): the netif that a packet leaves by, and the neighbour that it goes to. NULL: as
 * lwIP thinks. src and dest are ip4_addr_t. */
struct netif *net_hook_route(const void *src, const void *dest);
const void *net_hook_gateway(struct netif *n, const void *dest);

/* May lwIP have a TCP segment for this control block? header: in host order; n bytes of options, of which the first n1 lie behind
 * it, the others at more. An err_t. */
int8_t net_hook_segment(void *pcb, const void *header, uint16_t n, uint16_t n1,
                        const uint8_t *more);

/* A segment of this control block (or NULL) is about to be sent: say where urgent data is. header: in network order, without a
 * checksum. opts, where options go on: there are no more. */
uint32_t *net_hook_options(void *header, const void *pcb, uint32_t *opts);

/* An assertion of lwIP does not hold. */
void net_hook_assert(const char *text);

#endif
