/* SPDX-License-Identifier: MIT */
/* AF_VSOCK from the inside: sockets (vsock.c), their connections (vsock_conn.c), packets (vsock_packet.c). */
#ifndef NET_VSOCK_H
#define NET_VSOCK_H

#include "sock_int.h"
#include <abi/vsock.h>
#include <libos/dev/vsock.h>
#include <libos/timer.h>

enum { VSOCK_HASH = 256, VSOCK_PACKET_MAX = 32 * 1024, VSOCK_PORTS_RESERVED = 1024 };

/* As Linux counts them. */
enum vsock_state {
    VSOCK_ESTABLISHED = 1,
    VSOCK_SYN_SENT = 2,
    VSOCK_CLOSE = 7,
    VSOCK_LISTEN = 10,
    VSOCK_CLOSING = 11,
};
/* What connect(2) and getpeername(2) go by. */
enum vsock_stage { VSOCK_UNCONNECTED, VSOCK_CONNECTING, VSOCK_CONNECTED };

struct vsock_addr {
    uint32_t cid, port;
};

struct vsock_sock {
    struct socket s;
    _Atomic uint8_t state; /* enum vsock_state; changed under s.lock, as is what follows */
    uint8_t stage;
    _Atomic uint8_t peer_shut; /* VSOCK_SHUT_*: what the peer will not do any more */
    bool loop;                 /* its peer is a socket of this machine */
    bool done;                 /* the connection has ended */
    bool dead;                 /* its file is closed */
    _Atomic bool ending;       /* a connect failed, and has not left the table of connections yet */
    bool asked;                /* for credit, since it last came */
    bool owes;                 /* the peer asked for credit, and data was unread */
    struct vsock_addr local, remote;
    uint64_t buffer_size, buffer_min, buffer_max, connect_timeout_ns;
    /* Credit: what the peer may send, and what it has been told; the same of the other direction. All modulo 2^32. */
    uint32_t buf_alloc, fwd_cnt, fwd_told;
    uint32_t tx_cnt, peer_buf_alloc, peer_fwd_cnt;
    _Atomic uint32_t unsent;     /* bytes that the device, or this machine, has not taken */
    struct netmsg_queue partial; /* of a message whose end has not come */
    /* Of a listener: accepted next; each counted. */
    struct vsock_sock *pending, *pending_last, *pending_next;
    uint32_t npending, backlog;
    struct timer
        timer; /* ends a connect or a close; armed only while in the table of connections */
    /* guarded by vsock_table_lock; each table has a reference */
    struct vsock_sock *bound_next, *conn_next;
    bool bound, connected;
};

static inline struct vsock_sock *vsock_of(struct socket *s)
{
    return CONTAINER_OF(s, struct vsock_sock, s);
}

/* ---- vsock.c ---- */

/* A fresh one, with what a parent (may be NULL) hands on. NULL: no memory. */
struct vsock_sock *vsock_alloc(int type, const struct vsock_sock *parent);
/* Have a socket found by its port. port ANY: choose one. -EINVAL (it is bound), -EADDRINUSE. */
NODISCARD int vsock_bind_to(struct vsock_sock *u, uint32_t cid, uint32_t port);
/* Have it found by its connection. */
void vsock_enter(struct vsock_sock *u);
/* Start its timer, if it is found so. */
void vsock_arm(struct vsock_sock *u, uint64_t deadline_ns);
/* Check an address. 0, -EINVAL. */
NODISCARD int vsock_check_name(const struct abi_sockaddr_storage *a, unsigned len,
                               struct abi_sockaddr_vm *ret);
/* Take it out of the table of connections, and of that of ports; stop its timer unless this is the timer. */
void vsock_forget(struct vsock_sock *u, bool from_timer);
void vsock_forget_connection(struct vsock_sock *u, bool from_timer);
/* Whom a packet is for, with a reference: a connection, else who is bound to its port. NULL: nobody. */
struct vsock_sock *vsock_find(const struct vsock_header *h, bool loop);
/* Call fn for each connection to the host, with a reference held and no lock. */
void vsock_each_remote(void (*fn)(struct vsock_sock *u));
/* Is it a context id of this machine? */
bool vsock_is_local(uint32_t cid);

/* ---- vsock_conn.c ---- */

int vsock_connect(struct socket *s, const struct abi_sockaddr_storage *a, unsigned len,
                  unsigned file_flags);
int vsock_listen(struct socket *s, int backlog);
int vsock_accept(struct socket *s, struct socket **ret_socket);
int vsock_accept_state(struct socket *s);
int vsock_shutdown(struct socket *s, int how);
void vsock_close(struct socket *s, bool nonblock);
void vsock_timer(struct timer *t);
ssize_type vsock_send(struct socket *s, struct socket_msg *m);
ssize_type vsock_recv(struct socket *s, struct socket_msg *m);
int vsock_recv_empty(struct socket *s);
void vsock_consumed(struct socket *s, uint32_t bytes);
bool vsock_recv_control(struct socket *s, struct netmsg *m, struct socket_msg *to, bool peek);
/* A packet for u: h was checked, take_body (may be NULL) has its data. */
void vsock_process(struct vsock_sock *u, const struct vsock_header *h, struct netmsg *take_body,
                   bool loop);
/* How much the peer takes now. Locks: u->s.lock held, or only for poll. */
uint32_t vsock_credit(const struct vsock_sock *u);
/* Its connection is gone: readers get what there is, then the end; error, not 0, is for them. */
void vsock_end(struct vsock_sock *u, int error);

/* ---- vsock_packet.c ---- */

struct vsock_packet;
/* A packet of u without a place in the queue yet; take_body NULL: none. NULL: no memory (the body is freed). */
struct vsock_packet *vsock_packet_create(struct vsock_sock *u, enum vsock_op op, uint32_t flags,
                                         struct netmsg *take_body);
void vsock_packet_free(struct vsock_packet *p);
/* A list of them, before they are queued. */
void vsock_packet_link(struct vsock_packet *p, struct vsock_packet *next);
struct vsock_packet *vsock_packet_next(struct vsock_packet *p);
/* Fill in the rest of the header and queue it. Locks: u->s.lock held. */
void vsock_packet_queue(struct vsock_sock *u, struct vsock_packet *take_p);
/* Both, for packets without data. -ENOMEM. Locks: u->s.lock held. */
int vsock_say(struct vsock_sock *u, enum vsock_op op, uint32_t flags);
/* Answer a packet that nobody wants. */
void vsock_refuse(const struct vsock_header *h, bool loop);
/* Send what is queued. No lock is held. */
void vsock_push(void);
/* Begin to use the device. */
void vsock_init(void);

#endif
