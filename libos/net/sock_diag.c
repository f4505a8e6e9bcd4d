/* SPDX-License-Identifier: MIT */
/* NETLINK_SOCK_DIAG: dumps of TCP, UDP, raw and local sockets, as ss asks for them. sock_diag(7). */
#include "netlink.h"
#include <abi/errno.h>
#include <abi/in.h>
#include <libos/page.h>
#include <string.h>

enum { TCP_LISTENS = 10 };

struct dump {
    struct nl_answer *a;
    uint32_t states, ext, show;
    struct abi_inet_diag_sockid id; /* ports: 0 is any */
};

/* A number for a socket that stays the same while it lives, and says nothing about where it lies. */
static void cookie_of(const struct socket_info *info, uint32_t ret[2])
{
    ret[0] = (uint32_t)info->ino;
    ret[1] = (uint32_t)(info->ino >> 32);
}

static void put_end(const struct abi_sockaddr_storage *name, uint16_t *ret_port, uint32_t ret[4])
{
    const struct abi_sockaddr_in *v4 = (const void *)name;
    const struct abi_sockaddr_in6 *v6 = (const void *)name;
    if (name->ss_family == AF_INET) {
        *ret_port = v4->sin_port;
        ret[0] = v4->sin_addr;
    } else if (name->ss_family == AF_INET6) {
        *ret_port = v6->sin6_port;
        memcpy(ret, v6->sin6_addr, 16);
    }
}

static bool asked(const struct dump *d, unsigned ext)
{
    return d->ext & 1u << (ext - 1);
}

static void put_extensions(const struct dump *d, const struct socket_info *info)
{
    struct socket *s = (struct socket *)(uintptr_t)info->socket;
    uint8_t value[256];
    unsigned len = sizeof(value);
    if (asked(d, INET_DIAG_SKMEMINFO)) {
        uint32_t mem[SKMEM_COUNT];
        socket_memory(s, mem);
        nl_put(d->a, INET_DIAG_SKMEMINFO, mem, sizeof(mem));
    }
    nl_put_u8(d->a, INET_DIAG_SHUTDOWN, (uint8_t)s->shut);
    if (s->type != SOCK_STREAM)
        return;
    if (asked(d, INET_DIAG_INFO) && !socket_get_option(s, IPPROTO_TCP, TCP_INFO, value, &len))
        nl_put(d->a, INET_DIAG_INFO, value, len);
    len = sizeof(value) - 1;
    if (asked(d, INET_DIAG_CONG) &&
        !socket_get_option(s, IPPROTO_TCP, TCP_CONGESTION, value, &len)) {
        value[len] = 0;
        nl_put_string(d->a, INET_DIAG_CONG, (const char *)value);
    }
}

static int put_inet(const struct socket_info *info, void *arg)
{
    struct dump *d = arg;
    struct abi_inet_diag_msg m = { .idiag_family = (uint8_t)info->family,
                                   .idiag_state = info->state,
                                   .idiag_rqueue = info->rqueue,
                                   .idiag_wqueue = info->wqueue,
                                   .idiag_uid = info->uid,
                                   .idiag_inode = (uint32_t)info->ino };
    if (!(d->states >> info->state & 1))
        return 0;
    put_end(&info->name, &m.id.idiag_sport, m.id.idiag_src);
    if (info->peer_len)
        put_end(&info->peer, &m.id.idiag_dport, m.id.idiag_dst);
    if ((d->id.idiag_sport && d->id.idiag_sport != m.id.idiag_sport) ||
        (d->id.idiag_dport && d->id.idiag_dport != m.id.idiag_dport))
        return 0;
    /* A socket without a port is in no table of Linux's. */
    if (info->type == SOCK_STREAM && !m.id.idiag_sport)
        return 0;
    cookie_of(info, m.id.idiag_cookie);
    nl_begin(d->a, SOCK_DIAG_BY_FAMILY, &m, sizeof(m));
    put_extensions(d, info);
    nl_end(d->a);
    return d->a->failed ? -ENOBUFS : 0;
}

static int dump_inet(const struct nl_request *r, struct nl_answer *a)
{
    struct abi_inet_diag_req_v2 q;
    if (!nl_body(r, &q, sizeof(q)))
        return -EINVAL;
    int protocol = q.sdiag_protocol;
    if (protocol != IPPROTO_TCP && protocol != IPPROTO_UDP && protocol != IPPROTO_RAW)
        return -ENOENT;
    struct dump d = { .a = a, .states = q.idiag_states, .ext = q.idiag_ext, .id = q.id };
    a->multi = true;
    return socket_each(q.sdiag_family, protocol, put_inet, &d);
}

static int put_unix(const struct socket_info *info, void *arg)
{
    struct dump *d = arg;
    unsigned state = info->state == TCP_LISTENS ? TCP_LISTENS : info->state == 3 ? 1 : 7;
    struct abi_unix_diag_msg m = { .udiag_family = AF_UNIX,
                                   .udiag_type = (uint8_t)info->type,
                                   .udiag_state = (uint8_t)state,
                                   .udiag_ino = (uint32_t)info->ino };
    uint32_t queues[2] = { info->rqueue, info->wqueue }, peer = (uint32_t)info->peer_ino;
    if (!(d->states >> state & 1))
        return 0;
    cookie_of(info, m.udiag_cookie);
    nl_begin(d->a, SOCK_DIAG_BY_FAMILY, &m, sizeof(m));
    if (d->show & UDIAG_SHOW_NAME && info->name_len > sizeof(uint16_t))
        nl_put(d->a, UNIX_DIAG_NAME, info->name.data, info->name_len - sizeof(uint16_t));
    if (d->show & UDIAG_SHOW_PEER && peer)
        nl_put(d->a, UNIX_DIAG_PEER, &peer, sizeof(peer));
    if (d->show & UDIAG_SHOW_RQLEN)
        nl_put(d->a, UNIX_DIAG_RQLEN, queues, sizeof(queues));
    nl_put_u8(d->a, UNIX_DIAG_SHUTDOWN, (uint8_t)info->socket->shut);
    nl_end(d->a);
    return d->a->failed ? -ENOBUFS : 0;
}

static int dump_unix(const struct nl_request *r, struct nl_answer *a)
{
    struct abi_unix_diag_req q;
    if (!nl_body(r, &q, sizeof(q)))
        return -EINVAL;
    struct dump d = { .a = a, .states = q.udiag_states, .show = q.udiag_show };
    a->multi = true;
    return socket_each(AF_UNIX, -1, put_unix, &d);
}

int sock_diag_request(const struct nl_request *r, struct nl_answer *a)
{
    switch (r->h.nlmsg_type) {
    case SOCK_DIAG_BY_FAMILY:
        break;
    case TCPDIAG_GETSOCK: /* before there were families */
    case DCCPDIAG_GETSOCK:
        return -ENOENT;
    case SOCK_DESTROY:
        return -EOPNOTSUPP;
    default:
        return -EINVAL;
    }
    if (r->len < 2)
        return -EINVAL;
    bool dump = (r->h.nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP;
    switch (r->body[0]) {
    case AF_INET:
    case AF_INET6:
        return dump ? dump_inet(r, a) : -EOPNOTSUPP;
    case AF_UNIX:
        return dump ? dump_unix(r, a) : -EOPNOTSUPP;
    default:
        return -ENOENT;
    }
}
