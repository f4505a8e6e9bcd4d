/* SPDX-License-Identifier: MIT */
/* AF_NETLINK sockets: numbers (port ids), groups, requests in and answers out. A request is answered while it is sent, so an
 * answer lies in the socket's queue when sendmsg returns. The list of all sockets, their port ids and groups are guarded by
 * table_lock. netlink(7). */
#include "netlink.h"
#include <abi/errno.h>
#include <abi/termios.h>
#include <libos/heap.h>
#include <libos/process.h>
#include <libos/random.h>
#include <libos/thread.h>
#include <libos/user.h>
#include <string.h>
#include <utlist.h>

enum {
    REQUEST_MAX = 64 * 1024,
    CHUNK = 8192, /* of answers; readers have buffers of 8 KiB at least */
    MESSAGE_MAX = 2048,
    GROUPS = 32,
    CAP_NET_ADMIN = 12,
};

static struct slab socks = SLAB_INIT("netlink", struct nl_sock);
static struct spin table_lock = SPIN_INIT(RANK_SOCKET_TABLE);
static struct socket *all;
static const struct socket_ops netlink_ops;

static struct nl_sock *nl_of(struct socket *s)
{
    return CONTAINER_OF(s, struct nl_sock, s);
}

static int netlink_create(int type, int protocol, struct socket **ret_socket)
{
    if (type != SOCK_RAW && type != SOCK_DGRAM)
        return -ESOCKTNOSUPPORT;
    if (protocol != NETLINK_ROUTE && protocol != NETLINK_SOCK_DIAG &&
        protocol != NETLINK_KOBJECT_UEVENT)
        return -EPROTONOSUPPORT;
    struct nl_sock *nl = slab_alloc(&socks);
    if (!nl)
        return -ENOMEM;
    memset(nl, 0, sizeof(*nl));
    socket_init(&nl->s, &netlink_ops, AF_NETLINK, type, protocol);
    spin_lock(&table_lock);
    DL_APPEND2(all, &nl->s, list_prev, list_next);
    spin_unlock(&table_lock);
    *ret_socket = &nl->s;
    return 0;
}

static void netlink_free(struct socket *s)
{
    spin_lock(&table_lock);
    DL_DELETE2(all, s, list_prev, list_next);
    spin_unlock(&table_lock);
    netmsg_purge(&s->rq);
    slab_free(&socks, nl_of(s));
}

/* ---- names ---- */

/* Locks: the table's. */
static bool taken(const struct nl_sock *nl, uint32_t portid)
{
    for (struct socket *o = all; o; o = o->list_next)
        if (o->protocol == nl->s.protocol && nl_of(o)->portid == portid)
            return true;
    return false;
}

/* The process's number, or, when it has one already, something above all numbers of processes. */
static void autobind(struct nl_sock *nl)
{
    uint32_t portid = (uint32_t)thread_current()->process->pid;
    spin_lock(&table_lock);
    if (!nl->portid) {
        while (taken(nl, portid))
            portid = 0x80000000u | (uint32_t)random_u64();
        nl->portid = portid;
    }
    spin_unlock(&table_lock);
}

static int get_name(const struct abi_sockaddr_storage *a, unsigned len, struct abi_sockaddr_nl *ret)
{
    if (len < sizeof(*ret))
        return -EINVAL;
    memcpy(ret, a, sizeof(*ret));
    return ret->nl_family == AF_NETLINK ? 0 : -EINVAL;
}

static int netlink_bind(struct socket *s, const struct abi_sockaddr_storage *a, unsigned len)
{
    struct nl_sock *nl = nl_of(s);
    struct abi_sockaddr_nl name;
    int err = get_name(a, len, &name);
    if (err)
        return err;
    if (nl->portid && name.nl_pid != nl->portid)
        return -EINVAL;
    if (name.nl_pid && !nl->portid) {
        spin_lock(&table_lock);
        err = taken(nl, name.nl_pid) ? -EADDRINUSE : 0;
        if (!err)
            nl->portid = name.nl_pid;
        spin_unlock(&table_lock);
    }
    if (err)
        return err;
    autobind(nl);
    nl->groups = name.nl_groups;
    return 0;
}

/* Only the kernel (0) can be talked to. */
static int netlink_connect(struct socket *s, const struct abi_sockaddr_storage *a, unsigned len,
                           unsigned file_flags)
{
    struct abi_sockaddr_nl name;
    if (a->ss_family == AF_UNSPEC)
        return 0;
    int err = get_name(a, len, &name);
    if (err)
        return err;
    if ((name.nl_pid || name.nl_groups) && !cred_capable(CAP_NET_ADMIN))
        return -EPERM;
    autobind(nl_of(s));
    return name.nl_pid ? -ECONNREFUSED : 0;
}

static int put_name(struct abi_sockaddr_storage *ret, uint32_t portid, uint32_t groups)
{
    struct abi_sockaddr_nl name = { AF_NETLINK, 0, portid, groups };
    memcpy(ret, &name, sizeof(name));
    return sizeof(name);
}

static int netlink_name(struct socket *s, bool peer, struct abi_sockaddr_storage *ret)
{
    return peer ? put_name(ret, 0, 0) : put_name(ret, nl_of(s)->portid, nl_of(s)->groups);
}

/* ---- requests ---- */

static size_t align4(size_t n)
{
    return (n + 3) & ~(size_t)3;
}

bool nl_body(const struct nl_request *r, void *ret, size_t n)
{
    size_t have = r->len < n ? r->len : n;
    memset(ret, 0, n);
    memcpy(ret, r->body, have);
    return have == n;
}

int nl_attrs(const struct nl_request *r, size_t skip, struct nl_attr ret[NL_ATTRS_MAX])
{
    struct abi_nlattr h;
    memset(ret, 0, NL_ATTRS_MAX * sizeof(*ret));
    for (size_t at = align4(skip); at + sizeof(h) <= r->len;) {
        memcpy(&h, r->body + at, sizeof(h));
        if (h.nla_len < sizeof(h) || h.nla_len > r->len - at)
            return r->nl->flags & NL_STRICT ? -EINVAL : 0;
        unsigned type = h.nla_type & NL_TYPE_MASK;
        if (type < NL_ATTRS_MAX)
            ret[type] = (struct nl_attr){ r->body + at + sizeof(h), h.nla_len - sizeof(h) };
        at += align4(h.nla_len);
    }
    return 0;
}

uint32_t nl_u32(const struct nl_attr *a)
{
    uint32_t v = 0;
    if (nl_has(a, sizeof(v)))
        memcpy(&v, a->data, sizeof(v));
    return v;
}

/* ---- answers ---- */

/* Put n bytes into the socket's queue, as one message. Answers come whatever its size: asking is bounded (answer_one). */
static bool deliver(struct nl_sock *nl, const void *data, size_t n, uint32_t group)
{
    struct netmsg *m = netmsg_create(NULL, (uint32_t)n);
    if (!m)
        return false;
    netmsg_poke(m, 0, data, (uint32_t)n);
    m->info.word[0] = group;
    spin_lock(&nl->s.lock);
    netmsg_push(&nl->s.rq, m);
    spin_unlock(&nl->s.lock);
    socket_wake(&nl->s, SOCKET_IN);
    return true;
}

/* What is whole becomes a datagram. */
static void flush(struct nl_answer *a)
{
    if (a->start && a->nl && !deliver(a->nl, a->buf, a->start, 0))
        a->failed = true;
    memmove(a->buf, a->buf + a->start, a->len - a->start);
    a->len -= a->start;
    a->start = 0;
}

static uint8_t *reserve(struct nl_answer *a, size_t n)
{
    size_t room = align4(n);
    if (a->failed || a->len + room > CHUNK) {
        a->failed = true;
        return NULL;
    }
    uint8_t *at = a->buf + a->len;
    memset(at, 0, room);
    a->len += room;
    return at;
}

void nl_begin(struct nl_answer *a, unsigned type, const void *body, size_t n)
{
    struct abi_nlmsghdr h = { 0, (uint16_t)type, a->multi ? NLM_F_MULTI : 0, a->seq, a->portid };
    if (!a->buf && !(a->buf = heap_alloc(CHUNK)))
        a->failed = true;
    if (a->failed)
        return;
    a->start = a->len;
    if (a->len + MESSAGE_MAX > CHUNK)
        flush(a);
    uint8_t *at = reserve(a, sizeof(h) + n);
    if (!at)
        return;
    memcpy(at, &h, sizeof(h));
    memcpy(at + sizeof(h), body, n);
}

void nl_end(struct nl_answer *a)
{
    uint32_t len = (uint32_t)(a->len - a->start);
    if (a->failed)
        return;
    memcpy(a->buf + a->start, &len, sizeof(len));
    a->start = a->len;
}

void nl_put(struct nl_answer *a, unsigned type, const void *data, size_t n)
{
    struct abi_nlattr h = { (uint16_t)(sizeof(h) + n), (uint16_t)type };
    uint8_t *at = reserve(a, sizeof(h) + n);
    if (!at)
        return;
    memcpy(at, &h, sizeof(h));
    if (n)
        memcpy(at + sizeof(h), data, n);
}

void nl_put_u8(struct nl_answer *a, unsigned type, uint8_t v)
{
    nl_put(a, type, &v, sizeof(v));
}

void nl_put_u32(struct nl_answer *a, unsigned type, uint32_t v)
{
    nl_put(a, type, &v, sizeof(v));
}

void nl_put_string(struct nl_answer *a, unsigned type, const char *text)
{
    nl_put(a, type, text, strlen(text) + 1);
}

size_t nl_nest(struct nl_answer *a, unsigned type)
{
    size_t at = a->len;
    nl_put(a, type, NULL, 0);
    return at;
}

void nl_nest_end(struct nl_answer *a, size_t at)
{
    uint16_t len = (uint16_t)(a->len - at);
    if (!a->failed)
        memcpy(a->buf + at, &len, sizeof(len));
}

void nl_multicast(struct nl_answer *a, unsigned group)
{
    enum { LISTENERS_MAX = 64 };
    struct socket *to[LISTENERS_MAX];
    size_t n = 0;
    if (!a->failed && a->start) {
        spin_lock(&table_lock);
        for (struct socket *s = all; s && n < LISTENERS_MAX; s = s->list_next)
            if (s->protocol == NETLINK_ROUTE && nl_of(s)->groups & 1u << (group - 1) && s->file)
                to[n++] = socket_get(s);
        spin_unlock(&table_lock);
    }
    for (size_t i = 0; i < n; i++) {
        if (to[i]->rq.charged < to[i]->rcvbuf)
            (void)!deliver(nl_of(to[i]), a->buf, a->start, group);
        else if (!(nl_of(to[i])->flags & NL_NO_ENOBUFS))
            to[i]->error = ENOBUFS;
        socket_put(to[i]);
    }
    heap_free(a->buf);
    *a = (struct nl_answer){ 0 };
}

/* The error (or its absence) that ends a request. It echoes the request unless all went well or the program said not to. */
static void acknowledge(const struct nl_request *r, struct nl_answer *a, int err)
{
    struct {
        int32_t error;
        struct abi_nlmsghdr h;
    } e = { err, r->h };
    enum { NLMSGERR_ATTR_MSG = 1, ACK_TLVS = 0x200 };
    bool cap = !err || r->nl->flags & NL_CAP_ACK || r->len > MESSAGE_MAX / 2;
    uint16_t flags = cap ? NLM_F_CAPPED : 0;
    a->multi = false;
    nl_begin(a, NLMSG_ERROR, &e, sizeof(e));
    uint8_t *echo = cap ? NULL : reserve(a, r->len);
    if (echo)
        memcpy(echo, r->body, r->len);
    if (err && a->why && r->nl->flags & NL_EXT_ACK) {
        flags |= ACK_TLVS;
        nl_put_string(a, NLMSGERR_ATTR_MSG, a->why);
    }
    if (!a->failed)
        memcpy(a->buf + a->start + 6, &flags, sizeof(flags));
    nl_end(a);
}

static int dispatch(const struct nl_request *r, struct nl_answer *a)
{
    switch (r->nl->s.protocol) {
    case NETLINK_ROUTE:
        return rtnl_request(r, a);
    case NETLINK_SOCK_DIAG:
        return sock_diag_request(r, a);
    default:
        return -EOPNOTSUPP;
    }
}

static int answer_one(const struct nl_request *r)
{
    struct nl_answer a = { .nl = r->nl, .seq = r->h.nlmsg_seq, .portid = r->nl->portid };
    int err = 0;
    if (r->h.nlmsg_flags & NLM_F_REQUEST && r->h.nlmsg_type >= NLMSG_MIN_TYPE)
        err = dispatch(r, &a);
    bool dumped = a.multi;
    if (a.multi && !err) {
        int32_t zero = 0;
        nl_begin(&a, NLMSG_DONE, &zero, sizeof(zero));
        nl_end(&a);
    }
    if (err || (r->h.nlmsg_flags & NLM_F_ACK && !dumped))
        acknowledge(r, &a, err);
    if (a.buf)
        flush(&a);
    heap_free(a.buf);
    return a.failed ? -ENOBUFS : 0;
}

/* All requests of one datagram. What is not a whole message ends it, as on Linux. */
static int answer_all(struct nl_sock *nl, const uint8_t *data, size_t len)
{
    struct nl_request r = { .nl = nl };
    while (len >= sizeof(r.h)) {
        memcpy(&r.h, data, sizeof(r.h));
        if (r.h.nlmsg_len < sizeof(r.h) || r.h.nlmsg_len > len)
            return 0;
        r.body = data + sizeof(r.h);
        r.len = r.h.nlmsg_len - sizeof(r.h);
        int err = answer_one(&r);
        size_t step = align4(r.h.nlmsg_len);
        if (err || step >= len)
            return err;
        data += step;
        len -= step;
    }
    return 0;
}

static ssize_type netlink_send(struct socket *s, struct socket_msg *m)
{
    struct nl_sock *nl = nl_of(s);
    struct abi_sockaddr_nl to = { .nl_family = AF_NETLINK };
    size_t len = m->it->left;
    int err = m->name_len ? get_name(m->name, m->name_len, &to) : 0;
    if (m->flags & MSG_OOB)
        return -EOPNOTSUPP;
    if (err)
        return err;
    if ((to.nl_pid || to.nl_groups) && !cred_capable(CAP_NET_ADMIN))
        return -EPERM;
    autobind(nl);
    if (len > REQUEST_MAX || len > s->sndbuf)
        return -EMSGSIZE;
    if (to.nl_pid)
        return -ECONNREFUSED;
    if (s->rq.charged > s->rcvbuf)
        return -ENOBUFS; /* it does not read what it asks */
    uint8_t *data = heap_alloc(len ? len : 1);
    if (!data)
        return -ENOBUFS;
    err = iter_get(m->it, data, len) < len ? -EFAULT : answer_all(nl, data, len);
    heap_free(data);
    return err ? err : (ssize_type)len;
}

/* ---- the other calls ---- */

static ssize_type netlink_recv(struct socket *s, struct socket_msg *m)
{
    if (m->flags & MSG_OOB)
        return -EOPNOTSUPP;
    return socket_recv_message(s, m);
}

static int netlink_recv_empty(struct socket *s)
{
    return 1;
}

static void netlink_recv_name(struct socket *s, struct netmsg *m, struct socket_msg *to)
{
    uint32_t group = m->info.word[0];
    if (to->name)
        to->name_len = (unsigned)put_name(to->name, 0, group ? 1u << (group - 1) : 0);
}

static bool netlink_recv_control(struct socket *s, struct netmsg *m, struct socket_msg *to,
                                 bool peek)
{
    struct abi_ucred kernel = { 0, 0, 0 };
    if (nl_of(s)->flags & NL_PKTINFO)
        socket_put_control(to, SOL_NETLINK, NETLINK_PKTINFO, &m->info.word[0], 4);
    if (s->flags & SOCKET_PASSCRED)
        socket_put_control(to, SOL_SOCKET, SCM_CREDENTIALS, &kernel, sizeof(kernel));
    return false;
}

static unsigned netlink_poll(struct socket *s)
{
    unsigned events = SOCKET_OUT;
    if (s->error)
        events |= EPOLLERR;
    if (*(struct netmsg *volatile *)&s->rq.head)
        events |= EPOLLIN | EPOLLRDNORM;
    return events;
}

static uint32_t flag_of(int name)
{
    switch (name) {
    case NETLINK_PKTINFO:
        return NL_PKTINFO;
    case NETLINK_NO_ENOBUFS:
        return NL_NO_ENOBUFS;
    case NETLINK_CAP_ACK:
        return NL_CAP_ACK;
    case NETLINK_EXT_ACK:
        return NL_EXT_ACK;
    case NETLINK_GET_STRICT_CHK:
        return NL_STRICT;
    default:
        return 0;
    }
}

static int netlink_set_option(struct socket *s, int level, int name, const void *value,
                              unsigned len)
{
    struct nl_sock *nl = nl_of(s);
    uint32_t v = 0, flag = flag_of(name);
    if (level != SOL_NETLINK)
        return -ENOPROTOOPT;
    if (len >= sizeof(v))
        memcpy(&v, value, sizeof(v));
    if (name == NETLINK_ADD_MEMBERSHIP || name == NETLINK_DROP_MEMBERSHIP) {
        if (!v || v > GROUPS)
            return -EINVAL;
        uint32_t bit = 1u << (v - 1);
        spin_lock(&table_lock);
        nl->groups = name == NETLINK_ADD_MEMBERSHIP ? nl->groups | bit : nl->groups & ~bit;
        spin_unlock(&table_lock);
        return 0;
    }
    if (!flag)
        return -ENOPROTOOPT;
    nl->flags = v ? nl->flags | flag : nl->flags & ~flag;
    return 0;
}

static int netlink_get_option(struct socket *s, int level, int name, void *value, unsigned *len)
{
    struct nl_sock *nl = nl_of(s);
    uint32_t flag = flag_of(name), v = (nl->flags & flag) != 0;
    if (level != SOL_NETLINK)
        return -ENOPROTOOPT;
    if (name == NETLINK_LIST_MEMBERSHIPS)
        v = nl->groups;
    else if (!flag)
        return -ENOPROTOOPT;
    else if (*len < sizeof(v))
        return -EINVAL;
    if (*len > sizeof(v))
        *len = sizeof(v);
    memcpy(value, &v, *len);
    return 0;
}

static long netlink_ioctl(struct socket *s, unsigned cmd, unsigned long arg)
{
    return cmd == FIONREAD || cmd == SIOCOUTQ ? -EOPNOTSUPP : -ENOTTY;
}

static void netlink_close(struct socket *s, bool nonblock)
{
    struct netmsg_queue q;
    spin_lock(&table_lock);
    nl_of(s)->groups = 0;
    nl_of(s)->portid = 0;
    spin_unlock(&table_lock);
    spin_lock(&s->lock);
    q = s->rq;
    s->rq = (struct netmsg_queue){ 0 };
    spin_unlock(&s->lock);
    netmsg_purge(&q);
}

/* ---- /proc/net/netlink ---- */

struct each {
    int (*fn)(const struct socket_info *info, void *arg);
    void *arg;
};

static int describe_one(struct socket *s, void *arg)
{
    struct each *e = arg;
    struct socket_info info = { .family = AF_NETLINK, .type = s->type, .protocol = s->protocol };
    info.name_len = (unsigned)put_name(&info.name, nl_of(s)->portid, nl_of(s)->groups);
    spin_lock(&s->lock);
    info.rqueue = s->rq.bytes;
    info.ino = s->file ? s->inode->ino : 0;
    spin_unlock(&s->lock);
    info.refs = s->refs - 1;
    info.uid = s->uid;
    info.socket = s;
    return e->fn(&info, e->arg);
}

static int netlink_each(int protocol, int (*fn)(const struct socket_info *info, void *arg),
                        void *arg)
{
    struct each e = { fn, arg };
    return socket_list_each(&table_lock, &all, describe_one, &e);
}

const struct socket_family netlink_family = { AF_NETLINK, netlink_create, NULL, netlink_each };

static const struct socket_ops netlink_ops = {
    .bind = netlink_bind,
    .connect = netlink_connect,
    .name = netlink_name,
    .send = netlink_send,
    .recv = netlink_recv,
    .poll = netlink_poll,
    .set_option = netlink_set_option,
    .get_option = netlink_get_option,
    .ioctl = netlink_ioctl,
    .close = netlink_close,
    .free = netlink_free,
    .recv_empty = netlink_recv_empty,
    .recv_name = netlink_recv_name,
    .recv_control = netlink_recv_control,
};
