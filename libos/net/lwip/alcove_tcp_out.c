/* SPDX-License-Identifier: MIT */
/* lwIP's core/tcp_out.c, with the macros of replace.h in place of its own. */
#include "replace.h"
#undef ip_output_if
#undef ip_route
#define ip_route(src, dest) net_tcp_route((src), (dest))
#define ip_output_if(p, src, dest, ttl, tos, proto, n)                                             \
    net_tcp_ip_output((p), (src), (dest), (ttl), (tos), (n))
#include <tcp_out.c>
