/* SPDX-License-Identifier: MIT */
/* TCP sockets from the inside. */
#ifndef NET_TCP_H
#define NET_TCP_H

#include "inet.h"

struct tcp_pcb;

/* As /proc/net/tcp numbers them. */
enum tcp_state_nr {
    TCP_IS_ESTABLISHED = 1,
    TCP_IS_SYN_SENT,
    TCP_IS_SYN_RECV,
    TCP_IS_FIN_WAIT1,
    TCP_IS_FIN_WAIT2,
    TCP_IS_TIME_WAIT,
    TCP_IS_CLOSED,
    TCP_IS_CLOSE_WAIT,
    TCP_IS_LAST_ACK,
    TCP_IS_LISTEN,
};

enum {
    TCP_SNDBUF = 2626560,
    TCP_RCVBUF = 131072,
    TCP_MSS_LOCAL = 65483,
    TCP_WND_FIRST = 65535, /* the window that a peer gets at first */
    TCP_WND_LARGEST = 4 * 1024 * 1024,
};

struct tcpsock {
    struct inet_sock in;
    _Atomic uint8_t state;
    bool connecting; /* a connect has begun, and no connect(2) has told yet how it ended */
    bool dead;       /* its file is closed; guarded by s.lock */
    struct tcpsock
        *peer; /* of a local connection; counted. Set once; only its own close clears it */
    /* Of a listener; guarded by s.lock. pending: accepted next; waiting: local connects that the backlog keeps out.
     * Each counted. */
    struct tcpsock *pending, *pending_last, *waiting, *waiting_last, *list_next;
    uint32_t npending, nwaiting, backlog;
    struct tcpsock
        *parent; /* the listener in whose waiting list it is, borrowed; guarded by its lock */
    /* Options. */
    bool nodelay, cork, quickack;
    uint8_t defer; /* TCP_DEFER_ACCEPT: in tries of a SYN-ACK */
    uint32_t keepidle_s, keepintvl_s, keepcnt, user_timeout_ms, notsent_lowat;
    int linger2, syncnt, maxseg, fastopen;
    char congestion[16];
    /* Of a connection through the stack; guarded by the core lock. */
    struct tcp_pcb *pcb;    /* whose arg is this socket, with a reference; NULL: none */
    struct netmsg_queue sq; /* being sent: acknowledged from its head */
    struct netmsg *unsent;  /* first of sq that the stack has not whole */
    uint32_t unsent_off;    /* bytes of it that the stack has */
    bool fin_wanted, closing;
    bool opens_port;             /* a listener that other machines reach */
    _Atomic uint32_t unreported; /* bytes read of which the stack does not know */
    uint32_t window, withheld;
    uint32_t in_seq;         /* sequence number of what comes next into rq */
    uint32_t urgent_in;      /* of the byte that is announced; see struct socket's urgent */
    uint32_t urgent_out;     /* of what follows the last urgent byte sent */
    bool urgent_sent;        /* urgent_out is not acknowledged */
    uint64_t stuck_since_ms; /* nothing more was acknowledged since then; 0: nothing is to be */
    uint32_t stuck_ack;
    uint32_t ack_seen; /* what was to be acknowledged at the last tick of the clock */
    bool ack_held;     /* during a tick: it has not waited for a whole one */
};

static inline struct tcpsock *tcpsock_of(struct socket *s)
{
    return CONTAINER_OF(s, struct tcpsock, in.s);
}

extern const struct socket_ops tcpsock_ops;

/* A fresh one. NULL: no memory. */
struct tcpsock *tcpsock_alloc(int family, int protocol);
/* A connection's end that a listener's file will give out: takes its options. NULL. */
struct tcpsock *tcpsock_alloc_child(struct tcpsock *listener);
/* Put a finished child into the listener's list, taking the reference, and wake who accepts. False: it listens no more, or
 * has too many. The child is then the caller's. */
bool tcpsock_enter_pending(struct tcpsock *l, struct tcpsock *take_child, bool force);
bool tcpsock_is_listener(struct inet_sock *in);
/* The connection ended with this errno (positive; 0: in good order). */
void tcpsock_set_ended(struct tcpsock *t, int error);
/* The other side sends no more. */
void tcpsock_set_eof(struct tcpsock *t);

/* Through the stack. -ENETUNREACH, -EADDRNOTAVAIL, -ENOBUFS. */
NODISCARD int tcpsock_remote_connect(struct tcpsock *t, const struct inet_end *to);
/* Let other machines reach the listener, and no longer. -ENOMEM. */
NODISCARD int tcpsock_remote_listen(struct tcpsock *t);
void tcpsock_remote_unlisten(struct tcpsock *t);
/* Send a message (taken). 0, -EPIPE when there is no connection any more. */
NODISCARD int tcpsock_remote_send(struct tcpsock *t, struct netmsg *take_m, bool more);
/* The same with a byte that is urgent. */
NODISCARD int tcpsock_remote_send_urgent(struct tcpsock *t, struct netmsg *take_m);
void tcpsock_remote_shutdown(struct tcpsock *t);
/* The file is closed; wait (linger_ns) for what is sent. abort: with RST. */
void tcpsock_remote_close(struct tcpsock *t, bool abort, uint64_t deadline_ns);
void tcpsock_remote_consumed(struct tcpsock *t, uint32_t n);
void tcpsock_remote_options(struct tcpsock *t);
void tcpsock_remote_info(struct tcpsock *t, struct abi_tcp_info *info);
/* A report says that the SYN with this sequence number did not get there; errno. Locks: core held. */
void tcpsock_remote_refused(struct tcpsock *t, uint32_t seq, int error);
/* Its peer has not acknowledged anything for TCP_USER_TIMEOUT. Locks: core held. */
void tcpsock_remote_timed_out(struct tcpsock *t);
/* What tcp_guard.c has to do twice a second. Locks: core held. */
void tcp_guard_tick(void);
/* Around lwIP's fast clock: what is to be acknowledged since its last tick only can wait for the next. */
void tcp_guard_hold_acks(void);
void tcp_guard_let_acks_go(void);
void tcpsock_remote_push(struct tcpsock *t);
/* The next n bytes of what was sent are acknowledged: they are no longer kept. Locks: core held. */
void tcpsock_remote_acked(struct tcpsock *t, uint32_t n);

/* ---- urgent data on the wire (tcp_urgent.c) ---- */

struct tcp_hdr;
/* A segment (in host order, but for the pointer) that says where urgent data is. Locks: core held, s.lock not. */
void tcpsock_urgent_segment(struct tcp_pcb *pcb, const struct tcp_hdr *h);

int tcpsock_set_option(struct socket *s, int level, int name, const void *value, unsigned len);
int tcpsock_get_option(struct socket *s, int level, int name, void *value, unsigned *len);
void tcpsock_option_changed(struct socket *s, int name);

#endif
