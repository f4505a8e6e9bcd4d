/* SPDX-License-Identifier: MIT */
/* A block device whose sectors are encrypted on another one. */
#ifndef LUKS_CRYPT_H
#define LUKS_CRYPT_H

#include <libos/dev/blk.h>
#include <libos/xts.h>

struct crypt_layout {
    uint64_t offset, sectors; /* on the device below; of 512 bytes */
    uint32_t sector_size;     /* of encryption, bytes */
    uint64_t iv_tweak;        /* added to the number of each sector */
    bool allow_discards;
};

/* Make device name on top of lower. take_xts is the device's from now on, also on failure. -ENOMEM, -EEXIST, -EINVAL. */
NODISCARD int crypt_create(struct blk_device *lower, const char *name,
                           const struct crypt_layout *layout, struct xts *take_xts,
                           struct blk_device **ret_dev);
/* Wipe the keys of all of them. */
void crypt_wipe(void);

#endif
