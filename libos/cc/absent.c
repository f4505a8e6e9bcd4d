/* SPDX-License-Identifier: MIT */
/* In place of attestation in a libOS that is linked without confidential guests. */
#include <libos/snp.h>
#include <libos/tsm.h>

#include <abi/errno.h>

int configfs_init(void)
{
    return 0;
}

int snp_messages_init(void)
{
    return -ENODEV;
}

int sev_guest_open(struct file *f, uint32_t minor)
{
    return -ENODEV;
}
