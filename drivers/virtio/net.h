/* SPDX-License-Identifier: MIT */
/* virtio-net, between its files: net.c (the device, control queue, recovery), net_rx.c, net_tx.c. */
#ifndef DRIVERS_VIRTIO_NET_H
#define DRIVERS_VIRTIO_NET_H

#include "virtio/virtio.h"

#include <libos/dev/netdev.h>
#include <libos/timer.h>

enum {
    NET_F_CSUM = 0,
    NET_F_GUEST_CSUM = 1,
    NET_F_MTU = 3,
    NET_F_MAC = 5,
    NET_F_GUEST_TSO4 = 7,
    NET_F_GUEST_TSO6 = 8,
    NET_F_GUEST_ECN = 9,
    NET_F_HOST_TSO4 = 11,
    NET_F_HOST_TSO6 = 12,
    NET_F_HOST_ECN = 13,
    NET_F_MRG_RXBUF = 15,
    NET_F_STATUS = 16,
    NET_F_CTRL_VQ = 17,
    NET_F_CTRL_RX = 18,
    NET_F_ANNOUNCE = 21,
    NET_F_MQ = 22,
    NET_F_CTRL_MAC = 23,
    NET_F_SPEED = 63,
};

/* The header before each frame; without MRG_RXBUF a legacy device's ends before num_buffers. */
struct net_header {
    uint8_t flags, gso;
    uint16_t header_len, gso_size, csum_start, csum_offset, num_buffers;
};
enum {
    NET_HEADER_BYTES = sizeof(struct net_header),
    NET_HEADER_OLD_BYTES = 10,
    NET_HDR_CSUM = 1,
    NET_HDR_VALID = 2,
    NET_GSO_TCP4 = 1,
    NET_GSO_TCP6 = 4,
    NET_GSO_ECN = 0x80,
    NET_QUEUE_SIZE = 256,
    NET_ETHER_BYTES = 14,
    NET_FRAME_MAX = 65535 + NET_ETHER_BYTES + 4,
};

struct net;

/* Receiving. The queue's lock guards all. */
struct net_rx {
    struct net *net;
    struct virtio_queue *q;
    unsigned index; /* of the pair */
    bool busy, again;
    struct timer later; /* goes on where a round ended, or tries again to get memory */
    uint64_t frames, bytes, dropped, errors;
};

enum { NET_TX_SLOT_BYTES = 1024, NET_TX_COPY_MAX = NET_TX_SLOT_BYTES - NET_HEADER_BYTES };

/* What is in flight. */
struct net_tx_slot {
    struct netdev_tx *tx; /* NULL: copied into the slot */
    uint16_t next;
};

/* Sending. The queue's lock guards all. */
struct net_tx {
    struct net *net;
    struct virtio_queue *q;
    unsigned index;
    unsigned nslots, nfree;
    uint16_t first_free;
    uint16_t kept; /* slots of frames that are not copied */
    bool armed;    /* an interrupt was asked for */
    bool blocked;  /* the user waits for room */
    struct net_tx_slot *slots;
    struct plat_dma mem; /* the slots' headers and copies */
    struct netdev_tx *done;
    struct timer watch; /* a device that sends nothing any more */
    uint64_t frames, bytes, errors;
};

struct net {
    struct netdev netdev;
    struct virtio_device *dev;
    unsigned header; /* bytes */
    unsigned pairs;
    bool started;
    struct net_rx rx[NETDEV_QUEUES_MAX];
    struct net_tx tx[NETDEV_QUEUES_MAX];
    struct virtio_queue *ctrl; /* NULL: none */
    struct plat_dma ctrl_mem;
    struct timer restart;
    unsigned restarts;
};

/* Receiving: set up queue pair i of a started queue; fill it with buffers (-ENOMEM: not one); take all back after a reset.
 * leak: the device may still write. */
void net_rx_init(struct net *n, unsigned i);
NODISCARD int net_rx_fill(struct net_rx *rx);
void net_rx_interrupt(struct virtio_queue *q);
void net_rx_end(struct net_rx *rx, bool leak);

/* Sending: the same. net_tx_init: -ENOMEM. */
NODISCARD int net_tx_init(struct net *n, unsigned i);
int net_transmit(struct netdev *n, unsigned queue, struct netdev_tx *tx);
struct netdev_tx *net_reclaim(struct netdev *n, unsigned queue);
void net_tx_interrupt(struct virtio_queue *q);
/* Give back everything that is in flight, to the user. */
void net_tx_end(struct net_tx *tx, bool leak);
/* After frames came in: what was sent meanwhile goes back to the user. */
void net_tx_tidy(struct net_tx *tx);

#endif
