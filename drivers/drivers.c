/* SPDX-License-Identifier: MIT */
/* The list of drivers, in the order in which they look for their devices. */
#include "drivers.h"
#include <base/log.h>

static const struct driver *const drivers[] = { &uart_driver };

void drivers_probe(void)
{
    for (size_t i = 0; i < sizeof(drivers) / sizeof(drivers[0]); i++) {
        int err = drivers[i]->probe();
        if (err)
            log_warn("%s: cannot be used (error %d)", drivers[i]->name, -err);
    }
}
