/* SPDX-License-Identifier: MIT */
/* LUKS2 volumes: opening one makes a block device of what is encrypted on another. */
#ifndef LIBOS_LUKS_H
#define LIBOS_LUKS_H

#include <base/compiler.h>
#include <base/types.h>

struct blk_device;

enum { LUKS_PASSPHRASE_MAX = 8192 };

/* Where passphrases come from. */
struct luks_key_source {
    /* Put the passphrase for the attempt-th time (from 0) into buf; its length, at most size. -EACCES: there is no other one to
     * try; any other errno ends the opening, too. May sleep. */
    int (*get)(void *arg, unsigned attempt, uint8_t *buf, size_t size);
    void *arg;
};

/* Open the LUKS2 volume on dev as a new block device called name. dev is claimed for good. Each passphrase is tried on all key slots,
 * those of high priority first; the buffers with passphrases and keys are wiped. What is wrong is said in a logged line.
 * -EINVAL (no LUKS2 volume, or one that cannot be used), -EACCES (no passphrase fits), -ENOMEM (also: a slot wants more memory
 * than there is), -EBUSY, -EIO, and what key->get answers. May sleep. */
NODISCARD int luks_open(struct blk_device *dev, const char *name, const struct luks_key_source *key,
                        struct blk_device **ret_dev);

/* Forget the keys of all opened volumes, when nothing will be read or written any more: the end of the machine. */
void luks_wipe(void);

#endif
