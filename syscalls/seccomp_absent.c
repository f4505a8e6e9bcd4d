/* SPDX-License-Identifier: MIT */
/* prctl(PR_SET_SECCOMP) in a libOS that is linked without filters, as in a Linux without them. */
#include "seccomp.h"

#include <abi/errno.h>

long seccomp_filter_from(uintptr_t user, unsigned flags)
{
    return -EINVAL;
}
