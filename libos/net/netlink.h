/* SPDX-License-Identifier: MIT */
/* AF_NETLINK from the inside: a request, copied once into libOS memory and bounded before it is looked at, and the answer
 * that is built of messages and attributes. */
#ifndef NET_NETLINK_H
#define NET_NETLINK_H

#include "sock_int.h"
#include <abi/netlink.h>

enum { NL_ATTRS_MAX = 64, NL_TYPE_MASK = 0x3fff };

struct nl_sock {
    struct socket s;
    uint32_t portid; /* 0: not bound yet; guarded by the table's lock */
    uint32_t groups; /* multicast groups 1 to 32, as bits */
    uint32_t flags;  /* enum nl_flag */
    bool in_list;
};

enum nl_flag { NL_CAP_ACK = 1, NL_EXT_ACK = 2, NL_STRICT = 4, NL_PKTINFO = 8, NL_NO_ENOBUFS = 16 };

/* One request. */
struct nl_request {
    struct nl_sock *nl;
    struct abi_nlmsghdr h;
    const uint8_t *body; /* behind the header */
    size_t len;          /* of body */
};

/* An answer under construction: messages gather in a buffer, which becomes a datagram when it is full. */
struct nl_answer {
    struct nl_sock *nl; /* NULL: only to be built */
    uint32_t seq, portid;
    uint8_t *buf;
    size_t len, start; /* start: of the message under construction */
    bool multi, failed;
    const char *why; /* for the error message; NULL */
};

/* Begin a message with a fixed part of n bytes, which is copied from body. */
void nl_begin(struct nl_answer *a, unsigned type, const void *body, size_t n);
void nl_end(struct nl_answer *a);
void nl_put(struct nl_answer *a, unsigned type, const void *data, size_t n);
void nl_put_u8(struct nl_answer *a, unsigned type, uint8_t v);
void nl_put_u32(struct nl_answer *a, unsigned type, uint32_t v);
void nl_put_string(struct nl_answer *a, unsigned type, const char *text);
/* A nested attribute: begin gives what end wants. */
size_t nl_nest(struct nl_answer *a, unsigned type);
void nl_nest_end(struct nl_answer *a, size_t at);

/* An attribute of a request. */
struct nl_attr {
    const uint8_t *data; /* NULL: it is not there */
    size_t len;
};
/* The attributes behind the first skip bytes of a request's body, by type, the last of each. What is
 * broken ends them; -EINVAL: it does so for a program that wants to be told. */
NODISCARD int nl_attrs(const struct nl_request *r, size_t skip, struct nl_attr ret[NL_ATTRS_MAX]);
/* The first n bytes of the body, with zeros where it is shorter. False: it was. */
bool nl_body(const struct nl_request *r, void *ret, size_t n);
static inline bool nl_has(const struct nl_attr *a, size_t n)
{
    return a->data && a->len >= n;
}
uint32_t nl_u32(const struct nl_attr *a);

/* Answer one request of NETLINK_ROUTE or NETLINK_SOCK_DIAG. 0, or the error that the program gets told. */
int rtnl_request(const struct nl_request *r, struct nl_answer *a);
int sock_diag_request(const struct nl_request *r, struct nl_answer *a);
/* One that changes something (rtnl_set.c). */
int rtnl_change(const struct nl_request *r, struct nl_answer *a);

/* Send what a holds to all who listen to a group (1 to 32) of NETLINK_ROUTE, and free it. */
void nl_multicast(struct nl_answer *a, unsigned group);
/* Tell who listens that an interface, or its addresses, are as they are now. */
void rtnl_tell_link(unsigned ifindex);
struct net_interface;
struct net_route;
void rtnl_put_link(struct nl_answer *a, const struct net_interface *n);
void rtnl_put_route(struct nl_answer *a, unsigned type, const struct net_route *r);
void rtnl_put_addr4(struct nl_answer *a, unsigned type, const struct net_interface *n, unsigned i);
void rtnl_put_addr6(struct nl_answer *a, unsigned type, const struct net_interface *n, unsigned i);

#endif
