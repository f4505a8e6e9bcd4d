/* SPDX-License-Identifier: MIT */
/* What `alcove build` put behind libOS in memory. */
#ifndef KERNEL_PAYLOAD_H
#define KERNEL_PAYLOAD_H

#include <base/compiler.h>
#include <base/types.h>

/* Parts of the payload, bounded by it; sizes in bytes, 0: not there. */
struct payload {
    const char *cmdline;
    const void *root, *hash;
    size_t cmdline_size, root_size, hash_size;
};

/* Find and bound the payload's parts. -ENOENT: there is none; -EINVAL: malformed. One logged line each. */
NODISCARD int payload_find(struct payload *ret);

/* Parse the command line and put it in force. -EINVAL, -ENOMEM, with a logged line. */
NODISCARD int payload_configure(const struct payload *p);

#endif
