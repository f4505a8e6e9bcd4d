/* SPDX-License-Identifier: MIT */
/* In place of /dev/tdx_guest in a libOS that is linked without confidential guests. */
#include "dev.h"

#include <abi/errno.h>

int tdx_guest_open(struct file *f, uint32_t minor)
{
    return -ENODEV;
}
