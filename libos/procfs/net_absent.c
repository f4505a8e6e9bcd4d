/* SPDX-License-Identifier: MIT */
/* /proc/net, /proc/sys/net and /sys/class of a libOS that is linked without the network. */
#include "proc.h"
#include <libos/host.h>

const struct gen_entry proc_net_entries[] = { { .name = NULL } };
const struct gen_entry proc_sys_net_entries[] = { { .name = NULL } };
const struct gen_entry sysfs_net_entries[] = { { .name = NULL } };

static bool exists(const struct gen_ctx *dir, int n)
{
    return false;
}

static int next(const struct gen_ctx *dir, int from)
{
    return -1;
}

const struct gen_names sysfs_net_names = { .prefix = "", .exists = exists, .next = next };

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
