/* SPDX-License-Identifier: MIT */
/* AF_UNIX from the inside. */
#ifndef NET_UNIX_H
#define NET_UNIX_H

#include "sock_int.h"
#include <libos/vfs.h>

enum { UNIX_RIGHTS_MAX = 253, UNIX_HASH = 256 };

/* An address, shared by the socket that has it and the messages that it sent. */
struct unix_name {
    _Atomic uint32_t refs;
    uint32_t len; /* with the family */
    struct abi_sockaddr_un addr;
};
void unix_name_put(struct unix_name *n);

/* Open files on their way (SCM_RIGHTS). */
struct unix_rights {
    struct unix_rights *next,
        *prev;                  /* all that hold AF_UNIX sockets; guarded by the collector's lock */
    struct unix_sock *receiver; /* in whose queue it is; guarded by that lock, borrowed */
    bool listed;
    uint32_t uid;
    unsigned n;
    struct file *files[]; /* each counted */
};
/* Have them closed by the next unix_rights_drain. */
void unix_rights_free(struct unix_rights *r);
/* Close what is to be closed. May sleep; no lock is held. */
void unix_rights_drain(void);

enum unix_state { UNIX_UNCONNECTED = 1, UNIX_CONNECTED = 3, UNIX_LISTENS = 10 };

struct unix_sock {
    struct socket s;
    _Atomic uint8_t state; /* changed under s.lock */
    bool has_path;
    /* guarded by s.lock */
    struct unix_name *name;
    struct unix_sock *peer; /* counted. Streams: set once, so read without the lock */
    struct path path;       /* of the name in the tree */
    struct abi_ucred peer_cred;
    struct cred *peer_groups;                 /* counted; NULL: no peer */
    struct unix_sock *pending, *pending_last; /* of a listener: accepted next; each counted */
    struct unix_sock *pending_next;
    uint32_t npending, backlog;
    bool dead; /* its file is closed */
    /* guarded by the table's lock */
    struct unix_sock *hash_next;
    unsigned hash;
    bool hashed;
    struct waitq room; /* senders to this receiver, connectors to this listener */
    /* the collector's */
    unsigned inflight; /* references to s.file from messages */
    unsigned inner;
    bool reached;
};

static inline struct unix_sock *unix_of(struct socket *s)
{
    return CONTAINER_OF(s, struct unix_sock, s);
}

static inline bool unix_is_stream(const struct unix_sock *u)
{
    return u->s.type == SOCK_STREAM;
}

extern const struct socket_ops unix_ops;
extern struct spin unix_table_lock; /* RANK_SOCKET_TABLE: names, the list of sockets */

/* A fresh one. NULL: no memory. */
/* The ring behind f; NULL: it is none. libos/uring provides it. */
struct uring *uring_of(const struct file *f);

struct unix_sock *unix_alloc(int type);
/* The credentials of the current thread as SO_PEERCRED tells them. */
struct abi_ucred unix_cred_now(void);
/* Remember the current thread as the peer. */
void unix_set_peer_cred(struct unix_sock *u, const struct abi_ucred *cred, struct cred *groups);
/* Check an address. 0, -EINVAL. */
NODISCARD int unix_check_name(const struct abi_sockaddr_storage *a, unsigned len);
NODISCARD int unix_bind(struct socket *s, const struct abi_sockaddr_storage *a, unsigned len);
/* Give u an abstract name when it has none. */
NODISCARD int unix_autobind(struct unix_sock *u);
/* The socket of this name and type, with a reference. -ECONNREFUSED, -EPROTOTYPE, and errnos of a path walk. */
NODISCARD int unix_find(const struct abi_sockaddr_storage *a, unsigned len, int type,
                        struct unix_sock **ret);
/* u's name with a reference; NULL: none. */
struct unix_name *unix_name_of(struct unix_sock *u);
void unix_unhash(struct unix_sock *u);

int unix_connect(struct socket *s, const struct abi_sockaddr_storage *a, unsigned len,
                 unsigned file_flags);
int unix_listen(struct socket *s, int backlog);
int unix_accept(struct socket *s, struct socket **ret_socket);
int unix_accept_state(struct socket *s);
int unix_pair(struct socket *a, struct socket *b);
/* The peer of a datagram socket with a reference; NULL. */
struct unix_sock *unix_peer_get(struct unix_sock *u);
/* More messages than its backlog wait in a receiver of datagrams. */
bool unix_is_full(const struct unix_sock *receiver);
/* Sleep until room in receiver may be there. */
NODISCARD int unix_wait_room(struct unix_sock *receiver, uint64_t deadline_ns,
                             bool (*full)(const struct unix_sock *u));

ssize_type unix_send(struct socket *s, struct socket_msg *m);
ssize_type unix_recv(struct socket *s, struct socket_msg *m);
int unix_recv_empty(struct socket *s);
void unix_consumed(struct socket *s, uint32_t bytes);
void unix_recv_name(struct socket *s, struct netmsg *m, struct socket_msg *to);
bool unix_recv_control(struct socket *s, struct netmsg *m, struct socket_msg *to, bool peek);
bool unix_recv_joins(struct socket *s, const struct netmsg *m, const struct abi_ucred *before);

/* Read SCM_RIGHTS and SCM_CREDENTIALS of a message that is sent. -EINVAL, -EBADF, -EPERM, -ENOMEM, -ETOOMANYREFS. */
NODISCARD int unix_control_get(const struct socket_msg *m, struct unix_rights **ret_rights,
                               struct abi_ucred *cred);
/* The collector of sockets that only messages refer to. Rights enter and leave the queue of a receiver. */
void unix_gc_enter(struct unix_rights *r, struct unix_sock *receiver);
void unix_gc_leave(struct unix_rights *r);
/* A socket's file was closed: look for cycles. May sleep. */
void unix_gc_run(void);

#endif
