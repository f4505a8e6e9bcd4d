/* SPDX-License-Identifier: MIT */
/* AF_INET and AF_INET6 from the inside. All addresses are IPv6 ones here; IPv4 is mapped (::ffff:a.b.c.d). */
#ifndef NET_INET_H
#define NET_INET_H

#include "sock_int.h"
#include <abi/in.h>

enum {
    INET_HASH = 256,
    PORT_FIRST = 32768, /* net.ipv4.ip_local_port_range */
    PORT_LAST = 60999,
};

struct inet_addr {
    union {
        uint8_t b[16];
        uint32_t w[4];
    };
};

struct inet_end {
    struct inet_addr addr;
    uint16_t port; /* host order */
    uint32_t scope;
};

enum { LOOPBACK_INDEX = 1 };

/* What a packet carries besides its data. */
enum inet_want {
    INET_PKTINFO = 1,
    INET_RECVTTL = 2,
    INET_RECVTOS = 4,
    INET_RECVERR = 8,
    INET_HDRINCL = 16,
    INET_RECVORIGDST = 32,
    INET6_PKTINFO = 64,
    INET6_HOPLIMIT = 128,
    INET6_TCLASS = 256,
    INET6_RECVERR = 512,
    INET_FREEBIND = 1024,
    INET_MC_LOOP_OFF = 2048,
    INET_TRANSPARENT = 4096,
    INET_NODEFRAG = 8192,
    INET_MC_ALL_OFF = 16384,
    INET_UDP_GRO = 32768,
    INET_RETOPTS = 65536,
    INET_RECVOPTS = 131072,
};

struct inet_group {
    struct inet_group *next;
    struct inet_addr addr;
    unsigned ifindex;
};

struct inet_sock {
    struct socket s;
    struct inet_end local, remote; /* guarded by s.lock when they change */
    bool v6only;
    uint8_t minttl, minhops; /* IP_MINTTL, IPV6_MINHOPCOUNT */
    bool has_addr;           /* bound to an address by the program */
    bool in_table;
    uint8_t bound_as;                           /* what the program said: 1 address, 2 port */
    int ttl, tos, mc_ttl, mtu_discover, tclass; /* -1: the default */
    unsigned mc_if;
    struct inet_addr mc_addr;
    uint32_t want;             /* enum inet_want */
    uint16_t gso_size;         /* UDP_SEGMENT */
    struct inet_group *groups; /* guarded by s.lock */
    struct inet_table *table;
    struct inet_sock *next, **link; /* guarded by table->lock */
};

/* Sockets by port. */
struct inet_table {
    struct spin lock;
    struct inet_sock *chain[INET_HASH];
    struct socket *all;
};
extern struct inet_table inet_tcp, inet_udp, inet_raw;

static inline struct inet_sock *inet_of(struct socket *s)
{
    return CONTAINER_OF(s, struct inet_sock, s);
}

static inline bool addr_is_v4(const struct inet_addr *a)
{
    return !a->w[0] && !a->w[1] && a->w[2] == 0xffff0000u;
}
static inline bool addr_is_any(const struct inet_addr *a)
{
    return !a->w[0] && !a->w[1] && (!a->w[2] || a->w[2] == 0xffff0000u) && !a->w[3];
}
static inline bool addr_equal(const struct inet_addr *a, const struct inet_addr *b)
{
    return a->w[0] == b->w[0] && a->w[1] == b->w[1] && a->w[2] == b->w[2] && a->w[3] == b->w[3];
}
static inline struct inet_addr addr_v4(uint32_t be)
{
    return (struct inet_addr){ .w = { 0, 0, 0xffff0000u, be } };
}
static inline bool addr_is_multicast(const struct inet_addr *a)
{
    return addr_is_v4(a) ? (a->b[12] & 0xf0) == 0xe0 : a->b[0] == 0xff;
}
static inline bool addr_is_broadcast(const struct inet_addr *a)
{
    return addr_is_v4(a) && a->w[3] == 0xffffffffu;
}
static inline bool addr_is_loopback(const struct inet_addr *a)
{
    return addr_is_v4(a) ? a->b[12] == 127
                         : !a->w[0] && !a->w[1] && !a->w[2] && a->w[3] == 0x01000000u;
}
/* One of this machine's own. */
bool addr_is_local(const struct inet_addr *a);
/* The own address that a packet to a leaves from; any: there is no route. */
struct inet_addr addr_source_for(const struct inet_addr *a);

/* Set what all kinds share. */
void inet_init(struct inet_sock *in, const struct socket_ops *ops, int family, int type,
               int protocol, struct inet_table *table);
/* Undo: leave the table and lists. */
void inet_fini(struct inet_sock *in);
/* An address of the program's for this socket. -EINVAL (length), -EAFNOSUPPORT. */
NODISCARD int inet_get_end(struct inet_sock *in, const struct abi_sockaddr_storage *a, unsigned len,
                           struct inet_end *ret);
/* And back; the length. */
int inet_put_end(const struct inet_sock *in, const struct inet_end *e,
                 struct abi_sockaddr_storage *ret);
int inet_bind(struct socket *s, const struct abi_sockaddr_storage *a, unsigned len);
int inet_name_of(struct inet_sock *in, bool peer, struct abi_sockaddr_storage *ret);
/* Give it a free port unless it has one. -EADDRINUSE or -EAGAIN by the caller's choice. */
NODISCARD int inet_autobind(struct inet_sock *in);
void inet_unbind(struct inet_sock *in);
/* The socket in table that takes what goes from remote to local, with a reference; NULL. listens: only listeners. */
struct inet_sock *inet_find(struct inet_table *t, const struct inet_end *local,
                            const struct inet_end *remote, bool (*fits)(struct inet_sock *in));
int inet_set_option(struct socket *s, int level, int name, const void *value, unsigned len);
int inet_get_option(struct socket *s, int level, int name, void *value, unsigned *len);
long inet_ioctl(struct socket *s, unsigned cmd, unsigned long arg);
/* Ancillary data of a received packet, and of one to be sent. */
bool inet_recv_control(struct socket *s, struct netmsg *m, struct socket_msg *to, bool peek);
void inet_recv_name(struct socket *s, struct netmsg *m, struct socket_msg *to);
/* The sender's name into a message. */
void inet_message_from(struct netmsg *m, const struct inet_end *from, const struct inet_addr *to);

struct inet_send {
    struct inet_end to;
    struct inet_addr from; /* any: by route */
    unsigned ifindex;
    int ttl, tos;
    uint16_t gso_size;
};
NODISCARD int inet_send_control(struct inet_sock *in, const struct socket_msg *m,
                                struct inet_send *out);
void inet_groups_drop(struct inet_sock *in);
/* Does a socket take what came by the interface of this number (SO_BINDTODEVICE)? */
static inline bool inet_takes_from(const struct inet_sock *in, unsigned ifindex)
{
    return !in->s.bound_dev || (unsigned)in->s.bound_dev == ifindex;
}
bool inet_group_wanted(struct inet_sock *in, const struct inet_addr *group, unsigned ifindex);

int tcpsock_state(struct socket *s);
/* A stream that shares its port by SO_REUSEADDR begins to listen. -EADDRINUSE: another does. */
NODISCARD int inet_check_listener(struct inet_sock *in);
int tcpsock_create(int family, int protocol, struct socket **ret_socket);
int udpsock_create(int family, int protocol, struct socket **ret_socket);
int rawsock_create(int family, int type, int protocol, struct socket **ret_socket);

#endif
