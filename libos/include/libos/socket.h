/* SPDX-License-Identifier: MIT */
/* Sockets: what all families share, and the calls that syscalls/ makes. socket(7) is the specification.
 *
 * A socket is counted: its open file holds one reference, messages on their way hold one on their sender, and so do peers
 * and protocols. What a family adds lies behind struct socket in its own structure. */
#ifndef LIBOS_SOCKET_H
#define LIBOS_SOCKET_H

#include <abi/socket.h>
#include <libos/iter.h>
#include <libos/lock.h>
#include <libos/waitq.h>

struct file;
struct netmsg;
struct pagemap;
struct poll_table;
struct socket;
struct socket_filter;

enum { SOCKET_CONTROL_MAX = 20480, SOCKET_NAME_MAX = sizeof(struct abi_sockaddr_storage) };

/* One message of a program, on its way in or out. name and control may be NULL. */
struct socket_msg {
    struct iter *it;
    unsigned flags; /* MSG_* */
    struct abi_sockaddr_storage
        *name; /* libOS memory; sending: the address, receiving: filled in */
    unsigned name_len;
    const uint8_t *control; /* sending: libOS memory */
    size_t control_len;
    user_u8_out_t ret_control; /* receiving: where ancillary data goes, and room left */
    size_t ret_control_left, ret_control_used;
    unsigned ret_flags; /* receiving: MSG_* */
    bool have_cred;     /* receiving: SCM_CREDENTIALS has been written */
};

/* Messages that wait. Guarded by its socket's lock. */
struct netmsg_queue {
    struct netmsg *head, *tail;
    uint32_t count;
    uint32_t bytes;   /* of data */
    uint32_t charged; /* memory */
};

/* What a family's sockets do. A NULL member gives -EOPNOTSUPP unless said otherwise. Addresses are libOS memory, of the
 * length said and at least two bytes. */
struct socket_ops {
    int (*bind)(struct socket *s, const struct abi_sockaddr_storage *a, unsigned len);
    int (*connect)(struct socket *s, const struct abi_sockaddr_storage *a, unsigned len,
                   unsigned file_flags);
    int (*listen)(struct socket *s, int backlog);
    /* A connection that waits, with one reference, which becomes its file's; -EAGAIN. The caller waits. */
    int (*accept)(struct socket *s, struct socket **ret_socket);
    int (*accept_state)(struct socket *s); /* -EINVAL: does not listen. NULL: always 0 */
    /* Own or peer's address; its length, -ENOTCONN. */
    int (*name)(struct socket *s, bool peer, struct abi_sockaddr_storage *ret);
    ssize_type (*send)(struct socket *s, struct socket_msg *m);
    ssize_type (*recv)(struct socket *s, struct socket_msg *m);
    int (*shutdown)(struct socket *s, int how);
    unsigned (*poll)(struct socket *s); /* what is ready; NULL: nothing ever */
    /* value: len bytes of libOS memory. Levels and names unknown to it: -ENOPROTOOPT. */
    int (*set_option)(struct socket *s, int level, int name, const void *value, unsigned len);
    /* Fill in at most *len bytes, set *len. -ENOPROTOOPT. */
    int (*get_option)(struct socket *s, int level, int name, void *value, unsigned *len);
    long (*ioctl)(struct socket *s, unsigned cmd, unsigned long arg); /* NULL: -ENOTTY */
    struct pagemap *(*pagemap)(struct socket *s); /* what mmap maps; NULL: -ENODEV */
    /* Generic options of which a protocol must know were changed (buffer sizes, keepalive, ...). May be NULL. */
    void (*option_changed)(struct socket *s, int name);
    /* The open file goes: disconnect. References of others may last. May sleep. */
    void (*close)(struct socket *s, bool nonblock);
    void (*free)(struct socket *s); /* the last reference is gone; frees the memory */

    /* For socket_recv_stream and socket_recv_message: nothing is queued. 1: wait, 0: the end, or a negative errno. */
    int (*recv_empty)(struct socket *s);
    void (*consumed)(struct socket *s, uint32_t bytes); /* data left the queue; may be NULL */
    /* Fill in where a message came from. May be NULL. */
    void (*recv_name)(struct socket *s, struct netmsg *m, struct socket_msg *to);
    /* Its ancillary data. True: the call ends after this message. May be NULL. */
    bool (*recv_control)(struct socket *s, struct netmsg *m, struct socket_msg *to, bool peek);
    /* Streams: may one read cover both? NULL: yes. */
    bool (*recv_joins)(struct socket *s, const struct netmsg *m, const struct abi_ucred *before);
};

enum socket_flag {
    SOCKET_REUSEADDR = 1,
    SOCKET_REUSEPORT = 2,
    SOCKET_KEEPALIVE = 4,
    SOCKET_BROADCAST = 8,
    SOCKET_OOBINLINE = 16,
    SOCKET_PASSCRED = 32,
    SOCKET_TIMESTAMP = 64,
    SOCKET_TIMESTAMPNS = 128,
    SOCKET_DONTROUTE = 256,
    SOCKET_RXQ_OVFL = 512,
    SOCKET_ZEROCOPY = 1024,
    SOCKET_LINGER = 2048,
    SOCKET_NO_CHECK = 4096,
    SOCKET_RCVBUF_SET = 8192, /* by the program: no tuning */
    SOCKET_SNDBUF_SET = 16384,
    SOCKET_PASSSEC = 32768,
    SOCKET_DEBUG = 65536,
};

struct socket {
    const struct socket_ops *ops;
    _Atomic uint32_t refs;
    uint16_t family, type;
    int protocol;
    struct file *file;   /* borrowed; NULL before accept and after close */
    struct inode *inode; /* counted; NULL before accept */
    struct waitq wait;
    struct mutex recv_lock; /* readers of a stream, one at a time */
    struct spin lock;       /* RANK_SOCKET */
    /* guarded by lock */
    struct netmsg_queue rq;
    struct netmsg_queue errors;   /* error queue */
    uint32_t zerocopy_next;       /* number of the next send with MSG_ZEROCOPY */
    uint32_t dropped;             /* messages, for SO_RXQ_OVFL */
    uint8_t urgent, urgent_byte;  /* of a stream: enum socket_urgent, and what it is about */
    struct netmsg *urgent_at;     /* in rq, while urgent is SOCKET_URGENT_HERE or _READ */
    struct socket_filter *filter; /* SO_ATTACH_FILTER; NULL: none */
    /* read without it */
    _Atomic uint32_t wmem; /* memory of messages sent and not yet gone */
    _Atomic int error;     /* SO_ERROR: positive errno, pending */
    _Atomic uint32_t shut; /* SOCKET_SHUT_* */
    uint32_t flags;        /* enum socket_flag; changed under lock */
    uint32_t sndbuf, rcvbuf, rcvlowat;
    uint64_t rcvtimeo_ns, sndtimeo_ns; /* NO_DEADLINE: none */
    int linger_s;
    uint32_t mark, priority;
    int bound_dev; /* interface index; 0: any */
    uint32_t uid;  /* of its maker */
    struct socket *list_next,
        *list_prev; /* all sockets of a family; guarded by that family's lock */
};

enum { SOCKET_SHUT_RD = 1, SOCKET_SHUT_WR = 2 };

/* Urgent data of a stream: the newest byte of it, until a reader has passed its place. */
enum socket_urgent {
    SOCKET_URGENT_NONE,
    SOCKET_URGENT_ANNOUNCED, /* where it is is known, it has not come */
    SOCKET_URGENT_HERE,
    SOCKET_URGENT_READ, /* by MSG_OOB; its place is still ahead */
};

/* socket(2) and socketpair(2). flags: SOCK_NONBLOCK. -EAFNOSUPPORT, -ESOCKTNOSUPPORT, -EPROTONOSUPPORT, -EINVAL, -EPERM,
 * -ENFILE, -ENOMEM, -EOPNOTSUPP (a pair of that family). */
NODISCARD int socket_create(int family, int type, int protocol, unsigned flags,
                            struct file **ret_file);
NODISCARD int socket_create_pair(int family, int type, int protocol, unsigned flags,
                                 struct file *ret_files[2]);
/* The socket behind an open file; NULL: it is none. */
struct socket *socket_of(const struct file *f);

/* accept4(2): waits as the file's flags and SO_RCVTIMEO say. The new connection's file, and its peer's address (may be
 * NULL) with its length. -EAGAIN, -EINVAL, -ECONNABORTED, -EOPNOTSUPP, -ENFILE, -ENOMEM, -ERESTARTSYS. May sleep. */
NODISCARD int socket_accept(struct socket *s, unsigned flags, bool no_wait, struct file **ret_file,
                            struct abi_sockaddr_storage *ret_name, unsigned *ret_len);
/* The other calls; errnos as their man pages say. What transfers may sleep. */
NODISCARD int socket_bind(struct socket *s, const struct abi_sockaddr_storage *a, unsigned len);
NODISCARD int socket_connect(struct socket *s, const struct abi_sockaddr_storage *a, unsigned len,
                             bool no_wait);
NODISCARD int socket_listen(struct socket *s, int backlog);
NODISCARD int socket_name(struct socket *s, bool peer, struct abi_sockaddr_storage *ret);
NODISCARD int socket_shutdown(struct socket *s, int how);
ssize_type socket_send(struct socket *s, struct socket_msg *m);
ssize_type socket_recv(struct socket *s, struct socket_msg *m);
NODISCARD int socket_set_option(struct socket *s, int level, int name, const void *value,
                                unsigned len);
NODISCARD int socket_get_option(struct socket *s, int level, int name, void *value, unsigned *len);

/* Take the pending error: a negative errno, or 0. */
int socket_take_pending(struct socket *s);

/* What /proc/net and sock_diag say about one socket. */
struct socket_info {
    int family, type, protocol;
    uint8_t state; /* TCP_* numbers; AF_UNIX: 1 unconnected, 3 connected, 10 listens */
    struct abi_sockaddr_storage name, peer;
    unsigned name_len, peer_len;
    uint32_t rqueue, wqueue; /* bytes; of a listener: waiting connections, and how many may */
    uint32_t refs, uid, dropped;
    uint64_t ino, peer_ino; /* peer_ino: AF_UNIX */
    const struct socket *socket;
};

/* Call fn for each socket of a family (and, unless -1, of a protocol), until it returns not 0; that value. -ENOMEM. */
int socket_each(int family, int protocol, int (*fn)(const struct socket_info *info, void *arg),
                void *arg);

#endif
