/* SPDX-License-Identifier: MIT */
/* AF_PACKET from the inside, and filters of sockets. */
#ifndef NET_AF_PACKET_H
#define NET_AF_PACKET_H

#include "sock_int.h"
#include <abi/if_packet.h>
#include <libos/pagemap.h>

struct pbuf;

/* A ring of frames that a program has mapped (TPACKET_V2). Its memory is the program's to scribble on: of it only the status
 * word of the next frame is read, once, and everything else is kept here. Guarded by the socket's lock; its pages stay from
 * being made until the socket is freed. */
struct packet_ring {
    struct pagemap map;
    struct page **pages; /* NULL: there is none */
    size_t npages;
    uint32_t frame_size, frames, frames_per_block, block_size;
    uint32_t head; /* the next frame to fill */
};

struct packet_sock {
    struct socket s;
    unsigned ifindex;  /* 0: all */
    uint16_t protocol; /* host order; 0: none */
    unsigned promisc;  /* memberships */
    bool auxdata, ignore_outgoing;
    int version; /* TPACKET_* */
    uint32_t reserve;
    struct abi_tpacket_stats stats; /* guarded by s.lock */
    struct packet_ring ring;
};

/* A frame, as seen by a socket. */
struct packet_frame {
    struct pbuf *p;
    uint32_t len; /* of all */
    unsigned ifindex;
    uint16_t protocol; /* host order */
    uint8_t type;      /* PACKET_* */
    uint8_t from[6];
};

/* Make the ring (tp_block_nr not 0) or take it away. -EINVAL, -EBUSY, -ENOMEM. May sleep. */
NODISCARD int packet_ring_set(struct packet_sock *ps, const struct abi_tpacket_req *req);
void packet_ring_free(struct packet_ring *r);
/* Put n bytes of a frame there, from byte skip on. False: it is full. Locks: s.lock held. */
bool packet_ring_put(struct packet_sock *ps, const struct packet_frame *f, uint32_t skip,
                     uint32_t n);
/* Has the program something to read in it? */
bool packet_ring_ready(struct packet_sock *ps);
/* The name of a frame's sender. */
struct abi_sockaddr_ll packet_name(const struct packet_frame *f);

/* Show a frame that came in or goes out to all sockets that want it. Locks: core held. */
void packet_tap(struct pbuf *p, unsigned ifindex, uint8_t type);

/* A filter of SO_ATTACH_FILTER. */
struct socket_filter;
/* value: a struct sock_fprog. -EINVAL, -EFAULT, -ENOMEM. May sleep. */
NODISCARD int socket_filter_attach(struct socket *s, const void *value, unsigned len);
/* -ENOENT. */
NODISCARD int socket_filter_detach(struct socket *s);
void socket_filter_free(struct socket *s);
/* How many bytes of a packet the filter lets through; 0: none of it. Locks: s->lock held. */
struct bpf_packet;
uint32_t socket_filter_run(const struct socket *s, const struct bpf_packet *p);

#endif
