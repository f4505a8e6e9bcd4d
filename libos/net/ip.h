/* SPDX-License-Identifier: MIT */
/* Addresses between our form and lwIP's. */
#ifndef NET_IP_H
#define NET_IP_H

#include "inet.h"
#include <lwip/ip_addr.h>

static inline void ip_of_addr(ip_addr_t *ret, const struct inet_addr *a, uint32_t scope)
{
    if (addr_is_v4(a)) {
        ip_addr_set_ip4_u32_val(*ret, a->w[3]);
        return;
    }
    ip6_addr_t six;
    memcpy(six.addr, a->w, sizeof(six.addr));
    ip6_addr_clear_zone(&six);
    if (ip6_addr_has_scope(&six, IP6_UNKNOWN))
        ip6_addr_set_zone(&six, (u8_t)scope);
    ip_addr_copy_from_ip6(*ret, six);
}

static inline struct inet_addr addr_of_ip(const ip_addr_t *ip)
{
    struct inet_addr a;
    if (IP_IS_V4(ip))
        return addr_v4(ip_2_ip4(ip)->addr);
    memcpy(a.w, ip_2_ip6(ip)->addr, sizeof(a.w));
    return a;
}

#endif
