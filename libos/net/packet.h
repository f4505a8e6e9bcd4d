/* SPDX-License-Identifier: MIT */
/* What UDP and raw sockets share. */
#ifndef NET_PACKET_H
#define NET_PACKET_H

#include "inet.h"

struct pbuf;

/* Where a message goes, by its name and ancillary data or the socket's peer. -EDESTADDRREQ, -EACCES and others. */
NODISCARD int inet_destination(struct inet_sock *in, const struct socket_msg *m,
                               struct inet_send *out);
/* Send p (taken), without its IP header, which room was left for. checksum: it begins with a UDP header. */
NODISCARD int inet_output(struct inet_sock *in, const struct inet_send *out, struct pbuf *p,
                          bool checksum);
/* A copy of a received packet from byte skip on. NULL. Locks: core held. */
struct netmsg *inet_message_of(struct pbuf *p, uint32_t skip, const struct inet_end *from,
                               const struct inet_addr *to);
/* Have lwIP hand UDP packets to our sockets first. Locks: core held. */
void udp_init_input(void);

/* Members of struct socket_ops that are the same for all that send packets. */
int inet_dgram_connect(struct socket *s, const struct abi_sockaddr_storage *a, unsigned len,
                       unsigned file_flags);
int inet_dgram_name(struct socket *s, bool peer, struct abi_sockaddr_storage *ret);
int inet_dgram_shutdown(struct socket *s, int how);
unsigned inet_dgram_poll(struct socket *s);
long inet_dgram_ioctl(struct socket *s, unsigned cmd, unsigned long arg);
void inet_dgram_close(struct socket *s, bool nonblock);
int inet_dgram_recv_empty(struct socket *s);
ssize_type inet_dgram_recv(struct socket *s, struct socket_msg *m);

#endif
