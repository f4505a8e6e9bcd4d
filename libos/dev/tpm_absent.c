/* SPDX-License-Identifier: MIT */
/* In place of the TPM in a libOS that is linked without attestation. */
#include <abi/errno.h>
#include <libos/dev/tpm.h>

int tpm_open(struct file *f, uint32_t minor)
{
    return -ENXIO;
}

int tpmrm_open(struct file *f, uint32_t minor)
{
    return -ENXIO;
}
