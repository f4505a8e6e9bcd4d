/* SPDX-License-Identifier: MIT */
/* The class of socket devices to the host: drivers/ fills it, libos/net uses it; there is at most one. Packets are sent from
 * lists of segments, which stay the driver's until it gives them back, and are received into memory that the device can
 * change. No function here sleeps; the driver holds none of its locks while it calls the user.
 * Spec: virtio 1.2, 5.10. */
#ifndef LIBOS_DEV_VSOCK_H
#define LIBOS_DEV_VSOCK_H

#include <base/compiler.h>
#include <base/types.h>

struct vsock_dev;

enum vsock_type { VSOCK_STREAM = 1, VSOCK_SEQPACKET = 2 };

enum vsock_op {
    VSOCK_REQUEST = 1,
    VSOCK_RESPONSE,
    VSOCK_RST,
    VSOCK_SHUTDOWN,
    VSOCK_RW,
    VSOCK_CREDIT_UPDATE,
    VSOCK_CREDIT_REQUEST,
};

/* Header flags, of VSOCK_SHUTDOWN and of VSOCK_RW in sequenced packets. */
enum { VSOCK_SHUT_RCV = 1, VSOCK_SHUT_SEND = 2, VSOCK_SHUT_BOTH = 3 };
enum { VSOCK_EOM = 1, VSOCK_EOR = 2 };

struct vsock_header {
    uint64_t src_cid, dst_cid;
    uint32_t src_port, dst_port;
    uint32_t len;
    uint16_t type, op;
    uint32_t flags, buf_alloc, fwd_cnt;
} PACKED;
_Static_assert(sizeof(struct vsock_header) == 44, "virtio_vsock_hdr");

enum { VSOCK_SEGS_MAX = 9 };

struct vsock_seg {
    const void *data; /* linear map, physically contiguous */
    uint32_t len;     /* not 0 */
};

/* A packet to send. The user's memory, the driver's from a transmit that gives 0 until it comes back by done. */
struct vsock_tx {
    struct vsock_tx *next;
    struct vsock_header header; /* len is the sum of the segments */
    uint16_t nsegs;
    struct vsock_seg segs[VSOCK_SEGS_MAX];
};

/* What a driver does. */
struct vsock_dev_ops {
    /* Begin to receive, once. -ENOMEM, -EIO. */
    int (*start)(struct vsock_dev *d);
    /* Send. -EAGAIN: no room; done is called when there is. -EIO: the device has failed. */
    int (*transmit)(struct vsock_dev *d, struct vsock_tx *tx);
};

/* What the protocol does; called from interrupts, with no lock held. */
struct vsock_dev_user {
    /* A packet came: h is a private copy; data, h->len bytes, can be changed by the device while it is read, and is the
     * driver's again afterwards. */
    void (*receive)(struct vsock_dev *d, const struct vsock_header *h, const void *data);
    /* Take back packets that were sent (next); there is room again. The list may be NULL. */
    void (*done)(struct vsock_dev *d, struct vsock_tx *list);
    /* All connections are gone: the machine was moved, or the device has failed. */
    void (*reset)(struct vsock_dev *d);
};

struct vsock_dev {
    const struct vsock_dev_ops *ops;
    volatile uint32_t cid; /* at least 3; can change before a reset */
    bool seqpacket;
    volatile bool failed;
    const struct vsock_dev_user *user; /* set by vsock_dev_attach */
};

/* A driver found the device. -EEXIST: there is one already. */
NODISCARD int vsock_dev_register(struct vsock_dev *d);
/* The device; NULL: none, or it has failed. */
struct vsock_dev *vsock_dev(void);
/* The protocol takes it over; receiving begins. Nothing when there is no device. -ENOMEM, -EIO. */
NODISCARD int vsock_dev_attach(const struct vsock_dev_user *user);

#endif
