/* SPDX-License-Identifier: MIT */
/* In place of the network in a libOS that is linked without it (apps/kernel/meson.build). */
#include <libos/net.h>

#include <base/log.h>

void net_init(void)
{
}

int net_start(const struct net_config *c, const char *hostname)
{
    return 0;
}

void net_address(char *buf, size_t size)
{
    if (size)
        buf[0] = 0;
}
