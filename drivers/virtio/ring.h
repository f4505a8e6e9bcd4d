/* SPDX-License-Identifier: MIT */
/* A split virtqueue, from the driver's side. All that the driver needs to know of its buffers is kept in private memory; of
 * what the device writes, only the used ring is read, each field once, and checked. A violation breaks the queue for good:
 * every further call says -EIO. The caller serialises calls on one queue. Spec: virtio 1.2, 2.7. */
#ifndef DRIVERS_VIRTIO_RING_H
#define DRIVERS_VIRTIO_RING_H

#include <base/compiler.h>
#include <base/types.h>
#include <plat/dma.h>

enum { VIRTQ_SIZE_MAX = 256 };

/* A piece of a buffer: memory in the linear map (ptr), or memory that the device knows already (ptr NULL, addr). */
struct virtq_seg {
    void *ptr;
    uint64_t addr;
    uint32_t len;
};

/* What is known of one descriptor; those of a chain are linked by next. */
struct virtq_desc {
    uint64_t addr;
    uint32_t len;
    uint16_t next;
    bool mapped, write;
};

/* What is known of a chain, at its head. */
struct virtq_head {
    void *token; /* NULL: not in flight */
    uint32_t writable;
    uint16_t count;
};

struct virtq {
    uint16_t size;      /* a power of two */
    uint16_t in_flight; /* chains */
    uint16_t free, first_free;
    uint16_t avail_next,
        avail_told; /* index of the next entry; the same when the device was last told */
    uint16_t used_next;
    bool event_index, broken;
    const char *why; /* of broken */
    /* Shared. desc is only ever written. */
    struct vring_desc *desc;
    uint16_t *avail, *used_event;
    volatile uint16_t *used, *avail_event;
    uint64_t desc_addr, avail_addr, used_addr;
    struct plat_dma mem;
    /* Private. */
    struct virtq_desc *descs;
    struct virtq_head *heads;
};

/* Allocate rings of size entries (a power of two, at most VIRTQ_SIZE_MAX) in the legacy layout, which any device takes.
 * -ENOMEM. */
NODISCARD int virtq_init(struct virtq *q, unsigned size, bool event_index);
/* Free them. The device does not know them any more. What was in flight is unmapped and not touched otherwise. */
void virtq_fini(struct virtq *q);

/* Put a chain of nout pieces for the device to read and nin for it to write; token, not NULL, comes back from virtq_get.
 * -EAGAIN: no room. -ENOMEM: the DMA pool is used up. -EIO: broken. */
NODISCARD int virtq_put(struct virtq *q, const struct virtq_seg *segs, unsigned nout, unsigned nin,
                        void *token);

/* Make what was put since the last call visible. True: the device wants to be notified. */
bool virtq_publish(struct virtq *q);

/* Take a completed chain: 1 with its token and the bytes written (at most those offered), 0: none, -EIO. */
NODISCARD int virtq_get(struct virtq *q, void **ret_token, uint32_t *ret_len);

/* Ask for an interrupt once n more chains (at least 1) have been completed after the ones taken so far. True: there are
 * completed chains already, and no interrupt may come. */
bool virtq_enable(struct virtq *q, unsigned n);
/* Ask for none. A hint. */
void virtq_disable(struct virtq *q);

/* Take back a chain that the device no longer knows, in any order; NULL: none is left. After a reset. leak: it was not
 * confirmed, so what the device was given of the DMA pool stays the device's. */
void *virtq_abandon(struct virtq *q, bool leak);

#endif
