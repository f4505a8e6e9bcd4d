/* SPDX-License-Identifier: MIT */
/* In place of the network in a libOS that is linked without it (apps/kernel/meson.build). */
#include <libos/net.h>
#include <libos/netlink_note.h>

#include <abi/errno.h>
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

int netlink_note_create(struct file *f, const void *data, size_t size,
                        struct netlink_note **ret_note)
{
    return -ENOTSOCK; /* no file is one */
}

void netlink_note_send(struct netlink_note *take_note, uint8_t last)
{
}

void netlink_note_destroy(struct netlink_note *take_note)
{
}
