/* SPDX-License-Identifier: MIT */
/* In place of all drivers but the console's in a libOS that is linked without devices: none is looked for, so none is
 * given memory. */
#include "drivers.h"

#include <base/log.h>

int drivers_hostile_vmm(void)
{
    return 0;
}

void drivers_probe_channels(void)
{
    int err = uart_driver.probe();
    if (err)
        log_warn("%s: cannot be used (error %d)", uart_driver.name, -err);
}

void drivers_probe(void)
{
}
