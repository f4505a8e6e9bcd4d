/* SPDX-License-Identifier: MIT */
/* In place of virtio-net and virtio-vsock in a libOS that is linked without the network: no device is of type 0 (virtio 1.2,
 * 5). */
#include "virtio/virtio.h"

const struct virtio_driver virtio_net_driver = { .name = "net" };
const struct virtio_driver virtio_vsock_driver = { .name = "vsock" };
