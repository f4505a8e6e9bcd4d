/* SPDX-License-Identifier: MIT */
/* One message, or one piece of a stream, between being sent and being read. Its data lies behind it when it is small, in pages
 * of its own when it is not, or in memory that somebody lends (a received packet). */
#ifndef NET_NETMSG_H
#define NET_NETMSG_H

#include <libos/socket.h>

struct page;
struct unix_name;
struct unix_rights;

enum {
    NETMSG_INLINE = 3072,         /* more than this lies in pages */
    NETMSG_PIECE = 32 * 1024,     /* of a stream, at most */
    NETMSG_MAX = 16 * 1024 * 1024 /* of a datagram */
};

/* netmsg.flags; guarded by the socket's lock. */
enum {
    NETMSG_URGENT = 1, /* the byte that struct socket's urgent is about */
    NETMSG_PASSED =
        2, /* was that, at the head of the queue, when a newer one came: nobody reads it */
};

struct netmsg {
    struct netmsg *next;
    uint32_t off, len; /* data not read yet: [off, off + len) */
    uint32_t charge;   /* memory that it counts as */
    uint8_t flags;     /* NETMSG_* */
    uint8_t name_len;
    uint16_t npages;       /* 0: data is one piece of memory */
    struct socket *sender; /* charged, counted; may be NULL */
    union {
        uint8_t *data;
        struct page **pages; /* each counted; whole pages but the last */
    };
    void (*lender_free)(struct netmsg *m); /* data is lent; may be NULL */
    void *lender;
    uint64_t stamp_ns; /* wall time; 0: none */
    union {
        struct abi_ucred cred;
        struct { /* in an error queue: what is reported */
            uint32_t error;
            uint8_t origin, type, code;
            uint32_t info, data;
        } report;
    };
    union {
        struct { /* AF_UNIX */
            struct unix_name *from;
            struct unix_rights *rights;
        };
        uint8_t name[32]; /* the sender's address, of name_len bytes */
    };
    union { /* of the family */
        uint32_t word[4];
        uint8_t addr[16]; /* destination address */
    } info;
    uint32_t ifindex;
    uint8_t tos, ttl;
    uint16_t gro; /* size of the segments in data; 0: one */
};

/* A message with len bytes of data (uninitialised) charged to sender (may be NULL). NULL: out of memory. */
struct netmsg *netmsg_create(struct socket *sender, uint32_t len);
/* The same with data that is lent; free is called in the end. */
struct netmsg *netmsg_create_lent(uint8_t *data, uint32_t len, void (*free)(struct netmsg *m),
                                  void *lender);
/* Give it back, with everything that it holds. May drop the last reference of a file, and so sleep, only if it has rights. */
void netmsg_free(struct netmsg *m);
/* Fill its data from the program's memory. False: it could not be read. */
bool netmsg_fill(struct netmsg *m, struct iter *it);
/* Copy n bytes from byte at on (counted from off) to the program. Bytes copied. */
size_t netmsg_copy(const struct netmsg *m, uint32_t at, struct iter *it, size_t n);
/* Copy n bytes from byte at on to libOS memory. */
void netmsg_peek(const struct netmsg *m, uint32_t at, void *to, uint32_t n);
/* Copy n bytes of libOS memory into its data at byte at. */
void netmsg_poke(struct netmsg *m, uint32_t at, const void *from, uint32_t n);

static inline void netmsg_push(struct netmsg_queue *q, struct netmsg *m)
{
    m->next = NULL;
    if (q->tail)
        q->tail->next = m;
    else
        q->head = m;
    q->tail = m;
    q->count++;
    q->bytes += m->len;
    q->charged += m->charge;
}

static inline struct netmsg *netmsg_pop(struct netmsg_queue *q)
{
    struct netmsg *m = q->head;
    if (!m)
        return NULL;
    q->head = m->next;
    if (!q->head)
        q->tail = NULL;
    q->count--;
    q->bytes -= m->len;
    q->charged -= m->charge;
    return m;
}

/* Free all that is queued; no lock is needed, or held, any more. */
void netmsg_purge(struct netmsg_queue *q);

#endif
