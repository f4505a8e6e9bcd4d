/* SPDX-License-Identifier: MIT */
/* Character devices by number: what opening a device node leads to. */
#ifndef LIBOS_DEV_CHAR_H
#define LIBOS_DEV_CHAR_H

#include <base/compiler.h>
#include <base/types.h>

struct file;
struct inode;

/* One run of device numbers of one kind. */
struct char_device {
    uint32_t major, minor, count;
    /* Set f->ops and f->data for minor. 0, or what open(2) then fails with. */
    int (*open)(struct file *f, uint32_t minor);
};

/* Open the character device that inode (S_IFCHR) names: sets f->ops, f->data and f's flags. Called by path_open after its
 * permission checks, with no lock held. -ENXIO: there is no such device; or what the device says (-EIO, -ENOMEM, -EAGAIN).
 * May sleep. */
NODISCARD int char_device_open(struct inode *inode, struct file *f);

/* Fill /dev, /dev/pts and /dev/shm, once the root is there. -ENOMEM. */
NODISCARD int dev_init(void);

#endif
