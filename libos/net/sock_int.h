/* SPDX-License-Identifier: MIT */
/* What the families of sockets share inside libos/net. */
#ifndef NET_SOCK_INT_H
#define NET_SOCK_INT_H

#include "netmsg.h"
#include <abi/poll.h>
#include <libos/file.h>
#include <libos/socket.h>

enum {
    SOCKET_IN = EPOLLIN | EPOLLRDNORM,
    SOCKET_OUT = EPOLLOUT | EPOLLWRNORM | EPOLLWRBAND,
    SOCKET_BUF_DEFAULT = 212992,
    SOCKET_BUF_MAX = 425984, /* what SO_SNDBUF and SO_RCVBUF can get: twice 212992 */
};

/* In struct socket's flags, beside those of libos/socket.h: its filter stays (SO_LOCK_FILTER). */
#define SOCKET_LOCK_FILTER 0x80000000u

/* What SO_MEMINFO and sock_diag say about a socket's memory. */
enum { SKMEM_RMEM, SKMEM_RCVBUF, SKMEM_WMEM, SKMEM_SNDBUF, SKMEM_DROPS = 8, SKMEM_COUNT };
void socket_memory(const struct socket *s, uint32_t ret[SKMEM_COUNT]);

/* A family: how its sockets are made. */
struct socket_family {
    int family;
    /* A socket with one reference; type has no flags. Errnos of socket(2). */
    int (*create)(int type, int protocol, struct socket **ret_socket);
    /* Connect two fresh ones. NULL: -EOPNOTSUPP. */
    int (*pair)(struct socket *a, struct socket *b);
    /* socket_each of this family. */
    int (*each)(int protocol, int (*fn)(const struct socket_info *info, void *arg), void *arg);
};
extern const struct socket_family unix_family, inet4_family, inet6_family, netlink_family,
    packet_family, vsock_family;

/* Call fn for each socket of a list (list_next) under lock, without the lock, until it returns not 0; that value. -ENOMEM. */
int socket_list_each(struct spin *lock, struct socket **list,
                     int (*fn)(struct socket *s, void *arg), void *arg);
/* Set what all families have; one reference. */
void socket_init(struct socket *s, const struct socket_ops *ops, int family, int type,
                 int protocol);

static inline struct socket *socket_get(struct socket *s)
{
    /* Relaxed: whoever has a reference may add one. */
    atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
    return s;
}

static inline void socket_put(struct socket *s)
{
    /* Acquire-release: who frees sees what all others did. */
    if (atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) == 1)
        s->ops->free(s);
}

/* Wake those who wait for any of events. Callable with spin locks up to RANK_SOCKET held, and from interrupts. */
static inline void socket_wake(struct socket *s, unsigned events)
{
    if (waitq_active(&s->wait))
        waitq_wake(&s->wait, 1, events);
}
/* The same, and all of them: a state that stays. */
static inline void socket_wake_all(struct socket *s, unsigned events)
{
    if (waitq_active(&s->wait))
        waitq_wake(&s->wait, WAITQ_ALL, events);
}

/* Sleep until ready(s), or one of events may have come. 0: look again; -EAGAIN: the deadline; -ERESTARTSYS, or -EINTR when
 * there is a deadline. */
NODISCARD int socket_sleep(struct socket *s, unsigned events, uint64_t deadline_ns,
                           bool (*ready)(struct socket *s));
/* When a call with this timeout ends; 0 when it must not wait. */
uint64_t socket_deadline(uint64_t timeo_ns, bool no_wait);
/* Does this call not wait? */
static inline bool socket_no_wait(const struct socket *s, unsigned flags)
{
    return (flags & MSG_DONTWAIT) || (s->file && (s->file->flags & O_NONBLOCK));
}
/* Take the pending error: a negative errno, or 0. */
static inline int socket_take_error(struct socket *s)
{
    return s->error ? -atomic_exchange(&s->error, 0) : 0;
}
/* Wait until memory of what was sent is below SO_SNDBUF. 0, -EAGAIN, -EPIPE (shut down), the pending error, -ERESTARTSYS. */
NODISCARD int socket_wait_room(struct socket *s, uint64_t deadline_ns);
static inline bool socket_has_room(const struct socket *s)
{
    return s->wmem < s->sndbuf;
}
/* -EPIPE, with SIGPIPE to the current thread unless flags has MSG_NOSIGNAL. */
int socket_broken_pipe(unsigned flags);

/* Receiving with the queue s->rq: bytes of a stream, or one message. */
ssize_type socket_recv_stream(struct socket *s, struct socket_msg *m);
ssize_type socket_recv_message(struct socket *s, struct socket_msg *m);
/* Put a message into s->rq (taking it) unless its SO_RCVBUF is full, and wake readers. False: dropped. */
bool socket_queue_rcv(struct socket *s, struct netmsg *take_m);

/* Write one item of ancillary data; sets MSG_CTRUNC when it did not fit whole. True if it did. */
bool socket_put_control(struct socket_msg *m, int level, int type, const void *data, size_t len);
/* SO_TIMESTAMP and SO_RXQ_OVFL of a received message. */
void socket_put_stamp(struct socket *s, struct netmsg *msg, struct socket_msg *m);
/* Walk over ancillary data that is sent: the item at *pos, and move on. 1, 0: the end, -EINVAL. */
struct control_item {
    int level, type;
    const uint8_t *data;
    size_t len;
};
NODISCARD int socket_next_control(const struct socket_msg *m, size_t *pos,
                                  struct control_item *ret);

/* Wall time in ns. */
uint64_t socket_wall_ns(void);

/* ---- urgent data (urgent.c). Locks: s.lock held ---- */

/* There is going to be an urgent byte: it takes the place of an earlier one, and whoever owns the file is told. */
void socket_urgent_announce(struct socket *s);
/* It is here: m, of one byte, about to be pushed. */
void socket_urgent_here(struct socket *s, struct netmsg *m);
/* What FIONREAD says. Takes s.lock. */
uint32_t socket_readable(struct socket *s);
/* Is there enough to read for poll? Takes s.lock. */
bool socket_has_readable(struct socket *s);
/* SIOCATMARK. Takes s.lock. */
bool socket_at_mark(struct socket *s);
/* recv(2) with MSG_OOB. */
ssize_type socket_urgent_recv(struct socket *s, struct socket_msg *m);

#endif
