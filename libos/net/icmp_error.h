/* SPDX-License-Identifier: MIT */
/* Errors that are reported about packets of ours. */
#ifndef NET_ICMP_ERROR_H
#define NET_ICMP_ERROR_H

#include "inet.h"

struct inet_report {
    uint32_t error; /* errno, positive */
    uint8_t origin, type, code;
    uint32_t info;
    struct inet_addr offender; /* who reports */
    struct inet_end to;        /* where the packet went */
};

/* Tell a socket: by its error queue, where it asked for that (take_m, which may be NULL, is what was sent), and by its pending
 * error, if it asked or the error is fatal and it is connected. No sleep. */
void inet_report(struct inet_sock *in, struct netmsg *take_m, const struct inet_report *r,
                 bool fatal);
/* Nobody of this machine takes what was sent to it. */
void inet_report_refused(struct inet_sock *in, struct netmsg *take_m, const struct inet_end *to);
/* recvmsg with MSG_ERRQUEUE. -EAGAIN: the queue is empty. */
/* MSG_ZEROCOPY (msg_zerocopy.rst): a send of s begins, whose report is made first; NULL: no memory. Once it has sent something, the
 * report, taken, goes into the error queue, or is joined to the last one there. */
struct netmsg *inet_zerocopy_begin(struct socket *s);
void inet_zerocopy_end(struct socket *s, struct netmsg *take_report, bool sent);
ssize_type inet_recv_error(struct socket *s, struct socket_msg *m);
/* Have lwIP hand ICMP packets to this. Locks: core held. */
void icmp_error_init(void);

#endif
