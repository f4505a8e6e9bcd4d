/* SPDX-License-Identifier: MIT */
/* In place of a TPM's files in a libOS that is linked without attestation. */
#include "gen.h"

#include <libos/sysfs.h>

static bool exists(const struct gen_ctx *dir, int n)
{
    return false;
}

static int next(const struct gen_ctx *dir, int from)
{
    return -1;
}

const struct gen_names sysfs_platform_names = { .prefix = "", .exists = exists, .next = next };
const struct gen_names sysfs_tpm_names = { .prefix = "", .exists = exists, .next = next };
const struct gen_names sysfs_tpmrm_names = { .prefix = "", .exists = exists, .next = next };

int securityfs_init(void)
{
    return 0;
}
