/* SPDX-License-Identifier: MIT */
/* /proc/net, /proc/sys/net and /sys/class of a libOS that is linked without the network. */
#include "proc.h"
#include <libos/host.h>

const struct gen_entry proc_net_entries[] = { { .name = NULL } };
const struct gen_entry proc_sys_net_entries[] = { { .name = NULL } };
const struct gen_entry sysfs_class_entries[] = { { .name = NULL } };

bool host_notify_address(const char *text)
{
    return false;
}

void host_notify(const char *address, const char *text)
{
}

void host_metrics_start(unsigned port)
{
}
