/* SPDX-License-Identifier: MIT */
/* The class of Ethernet interfaces: drivers/ fills it, libos/net uses it (lwIP has a struct netif, hence the name). Frames
 * are received into whole pages, which the stack gets without a copy, and sent from lists of segments, which stay the
 * stack's until the driver gives them back. No function here sleeps; the driver holds none of its locks while it calls the
 * user. */
#ifndef LIBOS_DEV_NETDEV_H
#define LIBOS_DEV_NETDEV_H

#include <base/compiler.h>
#include <base/types.h>

struct netdev;
struct page;

enum {
    NETDEV_MAX = 8,        /* interfaces */
    NETDEV_QUEUES_MAX = 8, /* pairs of queues of one interface */
    NETDEV_SEGS_MAX = 20,  /* segments of one frame to send */
    NETDEV_MAC_MAX = 32,   /* addresses of one filter */
};

enum netdev_offload {
    NETDEV_CSUM = 1, /* sending: TCP and UDP checksums are completed from netdev_tx.csum_start on */
    NETDEV_TSO4 = 2, /* sending: TCP frames of up to 64 KiB are cut up */
    NETDEV_TSO6 = 4,
    NETDEV_TSO_ECN = 8,  /* also those with CWR set */
    NETDEV_RX_CSUM = 16, /* receiving: NETBUF_CSUM_* can appear */
    NETDEV_RX_TSO = 32,  /* receiving: frames of up to 64 KiB (netbuf.gso) can appear */
};

enum netdev_gso { NETDEV_GSO_NONE, NETDEV_GSO_TCP4, NETDEV_GSO_TCP6 };

enum netbuf_flags {
    NETBUF_CSUM_GOOD = 1,    /* the transport checksum has been verified */
    NETBUF_CSUM_PARTIAL = 2, /* it never was on a wire: not computed, and trusted; see csum_start */
};

/* A piece of a received frame. Its content is the device's, so hostile: what is parsed must not change meanwhile, so copy
 * headers first. */
struct netbuf {
    struct netbuf *next;       /* the frame's next piece; NULL: the last */
    struct netbuf *next_frame; /* in a list of frames; of first pieces only */
    uint8_t *data;             /* linear map; within one page */
    uint32_t len;
    /* Of a frame's first piece only. */
    uint32_t total; /* bytes of all pieces: destination address up to the payload, without FCS */
    uint16_t csum_start, csum_offset; /* NETBUF_CSUM_PARTIAL: within total, checked */
    uint16_t gso_size;                /* payload of one segment of the peer */
    uint8_t gso;                      /* enum netdev_gso */
    uint8_t flags;                    /* enum netbuf_flags */
    struct page *page;                /* what data lies in; one reference */
    void *user[8];                    /* the stack's own, for instance a struct pbuf_custom */
};

/* Free one piece (not its followers) and its page. */
void netbuf_free(struct netbuf *b);
/* Free all pieces of a frame. */
void netbuf_free_frame(struct netbuf *b);

struct netdev_seg {
    const void *data; /* linear map, physically contiguous */
    uint32_t len;     /* not 0 */
};

/* A frame to send. The caller's memory, and with the memory of its segments the driver's from a transmit that gives 0
 * until it comes back by reclaim or done. */
struct netdev_tx {
    struct netdev_tx *next;
    const struct netdev_seg *segs; /* read during transmit only */
    uint16_t nsegs;
    bool
        csum; /* complete the checksum: 16 bits at csum_start + csum_offset, over csum_start to the end */
    bool more;           /* another frame follows at once: the device need not be told yet */
    bool ecn;            /* gso: CWR is set in the first segment */
    uint8_t gso;         /* enum netdev_gso; needs csum */
    uint16_t gso_size;   /* payload of one segment */
    uint16_t header_len; /* gso: Ethernet, IP and TCP header */
    uint16_t csum_start, csum_offset;
};

struct netdev_stats {
    uint64_t rx_frames, rx_bytes, rx_dropped, rx_errors;
    uint64_t tx_frames, tx_bytes, tx_errors;
};

enum netdev_mode { NETDEV_PROMISC = 1, NETDEV_ALLMULTI = 2 };

/* What a driver does. Queues are numbered from 0 to n->queues - 1; by custom a CPU uses the queue of its number modulo
 * n->queues for sending, and receives what comes in on that queue. */
struct netdev_ops {
    /* Begin to receive. Called once, by netdev_attach. -ENOMEM, -EIO. */
    int (*start)(struct netdev *n);
    /* Send a frame of at least 14 and at most n->mtu + 18 bytes (gso: header and 65535). 0: it is on its way and comes back
     * by reclaim or done. 1: it has been copied and is the caller's again. -EAGAIN: no room; done is called when there is.
     * -EINVAL: a field is out of range. -EIO: the device has failed. */
    int (*transmit)(struct netdev *n, unsigned queue, struct netdev_tx *tx);
    /* Take back what the device has sent: a list. Some frames stay with an idle driver until this is called, or more is
     * sent or received; who needs their memory calls. */
    struct netdev_tx *(*reclaim)(struct netdev *n, unsigned queue);
    /* Receive only frames to n->mac, to broadcast and to macs (n of them, multicast ones too), or more, by mode. The device
     * may give more than asked for. -EIO; -EOPNOTSUPP: it gives everything. NULL: the same. */
    int (*filter)(struct netdev *n, unsigned mode, const uint8_t (*macs)[6], size_t count);
    /* Change n->mac. -EADDRNOTAVAIL: not a unicast address; -EOPNOTSUPP, -EIO. May be NULL. */
    int (*set_mac)(struct netdev *n, const uint8_t mac[6]);
    void (*stats)(struct netdev *n, struct netdev_stats *ret);
};

/* What the stack does. Called from interrupts, with no lock held, for one queue on one CPU at a time. */
struct netdev_user {
    /* Take a list of frames (next_frame) that came in on queue. All are the stack's now. */
    void (*receive)(struct netdev *n, unsigned queue, struct netbuf *frames);
    /* Take back frames that were sent (next); there is room in queue again. List may be NULL. */
    void (*done)(struct netdev *n, unsigned queue, struct netdev_tx *list);
    /* The link came or went (n->link), or the device moved to another network (announce: send gratuitous ARP). */
    void (*changed)(struct netdev *n, bool announce);
};

/* One interface; the driver's memory, kept for good. */
struct netdev {
    const struct netdev_ops *ops;
    void *data;     /* of the driver */
    char name[8];   /* "eth0": netdev_register sets it */
    uint8_t mac[6]; /* unicast, checked */
    uint16_t mtu;   /* 68 to 65521; of IP packets */
    uint16_t queues;
    uint16_t copied;   /* transmit copies frames of up to so many bytes, but for gso */
    uint32_t offloads; /* enum netdev_offload */
    volatile bool link;
    uint32_t speed; /* Mbit/s; 0: not known */
    bool half_duplex;

    const struct netdev_user *user; /* set by netdev_attach */
    void *user_data;
};

/* A driver found an interface: name it and make it known. -ENOSPC. */
NODISCARD int netdev_register(struct netdev *n);
/* The i-th interface; NULL past the last one. */
struct netdev *netdev_at(unsigned i);
/* The stack takes n over; receiving begins. -EBUSY (taken), -ENOMEM, -EIO. */
NODISCARD int netdev_attach(struct netdev *n, const struct netdev_user *user, void *user_data);

/* For drivers: a buffer of one page with one reference, len PAGE_SIZE; not cleared. NULL: no memory. */
struct netbuf *netbuf_alloc(void);

/* Make up a unicast address of the locally administered kind. */
void netdev_random_mac(uint8_t mac[6]);

#endif
