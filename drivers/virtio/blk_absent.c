/* SPDX-License-Identifier: MIT */
/* In place of virtio-blk in a libOS that is linked without disks: no device is of type 0 (virtio 1.2, 5). */
#include "virtio/virtio.h"

const struct virtio_driver virtio_blk_driver = { .name = "blk" };
