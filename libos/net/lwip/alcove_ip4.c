/* SPDX-License-Identifier: MIT */
/* lwIP's core/ipv4/ip4.c: segments go by way of tcp_table.c, and those that the device cuts are not fragmented. */
#include "replace.h"
#define tcp_input(p, netif)      net_tcp_input((p), (netif))
#define ip4_frag(p, netif, dest) net_ip4_frag((p), (netif), (dest))
#include <ipv4/ip4.c>

uint16_t net_ip4_id(void)
{
    return ip_id++;
}
