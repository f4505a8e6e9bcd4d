/* SPDX-License-Identifier: MIT */
/* The socket device to the host, and /dev/vsock, which says its context id. The device is registered at boot, on one CPU, and
 * stays. vsock(7). */
#include <libos/dev/vsock.h>

#include "dev.h"
#include <abi/errno.h>
#include <abi/vsock.h>
#include <libos/file.h>
#include <libos/user.h>

static struct vsock_dev *device;

int vsock_dev_register(struct vsock_dev *d)
{
    if (device)
        return -EEXIST;
    device = d;
    return 0;
}

struct vsock_dev *vsock_dev(void)
{
    return device && !device->failed ? device : NULL;
}

int vsock_dev_attach(const struct vsock_dev_user *user)
{
    if (!device)
        return 0;
    device->user = user;
    return device->ops->start(device);
}

static long node_ioctl(struct file *f, unsigned cmd, unsigned long arg)
{
    struct vsock_dev *d = vsock_dev();
    int cid = (int)(d ? d->cid : VMADDR_CID_LOCAL);

    (void)f;
    if (cmd != IOCTL_VM_SOCKETS_GET_LOCAL_CID)
        return -ENOTTY;
    return user_put(user_at(user_int_out_t, arg), &cid, 1);
}

static const struct file_ops node_ops = { .ioctl = node_ioctl, .seek = file_seek_nowhere };

int vsock_node_open(struct file *f, uint32_t minor)
{
    (void)minor;
    f->ops = &node_ops;
    return 0;
}
