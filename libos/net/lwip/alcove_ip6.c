/* SPDX-License-Identifier: MIT */
/* lwIP's core/ipv6/ip6.c, as alcove_ip4.c. */
#include "replace.h"
#define tcp_input(p, netif)      net_tcp_input((p), (netif))
#define ip6_frag(p, netif, dest) net_ip6_frag((p), (netif), (dest))
#include <ipv6/ip6.c>
