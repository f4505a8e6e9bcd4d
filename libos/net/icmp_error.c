/* SPDX-License-Identifier: MIT */
/* Errors that ICMP reports about packets of ours, and the error queues of sockets (IP_RECVERR, MSG_ERRQUEUE). What is quoted
 * in such a report comes from anybody: it is copied, its checksum and bounds are checked, and it must be about a packet that
 * a socket here could have sent; a connection that is being made also wants its sequence number. icmp(7), ip(7), RFC 5927. */
#include "core.h"
#include "icmp_error.h"
#include "ip.h"
#include "packet.h"
#include "tcp.h"
#include <abi/errno.h>
#include <lwip/inet_chksum.h>
#include <lwip/ip.h>
#include <lwip/raw.h>
#include <string.h>

enum {
    UNREACHABLE = 3,
    TIME_EXCEEDED = 11,
    PARAMETER = 12,
    UNREACHABLE6 = 1,
    TOO_BIG6 = 2,
    TIME_EXCEEDED6 = 3,
    PARAMETER6 = 4,
    PORT_CODE = 3,
    PORT_CODE6 = 4,
    ICMP_HEADER = 8,
    QUOTED = 128, /* bytes of a report that are looked at */
    V6_HEADER = 40,
    SHOWN_MAX = 520, /* of a datagram that nobody took; what Linux's reports have room for */
};

struct meaning {
    uint8_t error;
    bool fatal; /* also for a socket that did not ask for reports */
};

static const struct meaning unreachable[] = {
    { ENETUNREACH, false },  { EHOSTUNREACH, false }, { ENOPROTOOPT, true },
    { ECONNREFUSED, true },  { EMSGSIZE, false },     { EOPNOTSUPP, false },
    { ENETUNREACH, true },   { EHOSTDOWN, true },     { ENONET, true },
    { ENETUNREACH, true },   { EHOSTUNREACH, true },  { ENETUNREACH, false },
    { EHOSTUNREACH, false }, { EHOSTUNREACH, true },  { EHOSTUNREACH, true },
    { EHOSTUNREACH, true },
};
static const struct meaning unreachable6[] = {
    { ENETUNREACH, false }, { EACCES, true }, { EHOSTUNREACH, false }, { EHOSTUNREACH, false },
    { ECONNREFUSED, true }, { EACCES, true }, { EACCES, true },
};

/* What a report means; error 0: nothing. */
static struct meaning meaning_of(bool v6, unsigned type, unsigned code)
{
    static const struct meaning none, time = { EHOSTUNREACH, false }, parameter = { EPROTO, true },
                                      big = { EMSGSIZE, false };
    if (!v6) {
        if (type == UNREACHABLE && code < ARRAY_SIZE(unreachable))
            return unreachable[code];
        return type == TIME_EXCEEDED ? time : type == PARAMETER ? parameter : none;
    }
    if (type == UNREACHABLE6 && code < ARRAY_SIZE(unreachable6))
        return unreachable6[code];
    return type == TIME_EXCEEDED6 ? time
           : type == PARAMETER6   ? parameter
           : type == TOO_BIG6     ? big
                                  : none;
}

/* ---- queues ---- */

static bool asked(const struct inet_sock *in, bool v6)
{
    return in->want & (v6 ? INET6_RECVERR : INET_RECVERR);
}

/* Put a report into a socket's error queue, if there is room. m: what was sent, taken. */
static void enqueue(struct inet_sock *in, struct netmsg *take_m, const struct inet_report *r)
{
    struct netmsg *m = take_m;
    struct socket *s = &in->s;
    inet_message_from(m, &r->to, &r->offender);
    m->report.error = r->error;
    m->report.origin = r->origin;
    m->report.type = r->type;
    m->report.code = r->code;
    m->report.info = r->info;
    spin_lock(&s->lock);
    bool fits = s->errors.charged + m->charge <= s->rcvbuf && s->file;
    if (fits)
        netmsg_push(&s->errors, m);
    spin_unlock(&s->lock);
    if (!fits)
        netmsg_free(m);
}

void inet_report(struct inet_sock *in, struct netmsg *take_m, const struct inet_report *r,
                 bool fatal)
{
    bool v6 = !addr_is_v4(&r->to.addr), want = asked(in, v6);
    if (want && take_m)
        enqueue(in, take_m, r);
    else if (take_m)
        netmsg_free(take_m);
    if (!want && !(fatal && in->remote.port))
        return;
    in->s.error = (int)r->error;
    socket_wake_all(&in->s, EPOLLERR | SOCKET_IN | SOCKET_OUT);
}

void inet_report_refused(struct inet_sock *in, struct netmsg *take_m, const struct inet_end *to)
{
    bool v6 = !addr_is_v4(&to->addr);
    struct inet_report r = { .error = ECONNREFUSED,
                             .origin = v6 ? SO_EE_ORIGIN_ICMP6 : SO_EE_ORIGIN_ICMP,
                             .type = v6 ? UNREACHABLE6 : UNREACHABLE,
                             .code = v6 ? PORT_CODE6 : PORT_CODE,
                             .offender = to->addr,
                             .to = *to };
    if (!v6 && take_m->len > SHOWN_MAX)
        take_m->len = SHOWN_MAX;
    inet_report(in, take_m, &r, true);
}

static void put_report(struct socket *s, const struct netmsg *m, struct socket_msg *to)
{
    struct {
        struct abi_sock_extended_err e;
        struct abi_sockaddr_in6 offender; /* or struct abi_sockaddr_in */
    } c = { .e = { .ee_errno = m->report.error,
                   .ee_origin = m->report.origin,
                   .ee_type = m->report.type,
                   .ee_code = m->report.code,
                   .ee_info = m->report.info } };
    struct inet_addr offender;
    memcpy(offender.b, m->info.addr, sizeof(offender.b));
    bool v4 = addr_is_v4(&offender), local = m->report.origin == SO_EE_ORIGIN_LOCAL;
    struct abi_sockaddr_in a4 = { .sin_family = local ? 0 : AF_INET,
                                  .sin_addr = local ? 0 : offender.w[3] };
    if (v4) {
        memcpy(&c.offender, &a4, sizeof(a4));
    } else if (!local) {
        c.offender.sin6_family = AF_INET6;
        memcpy(c.offender.sin6_addr, offender.b, 16);
    }
    if (v4)
        socket_put_control(to, IPPROTO_IP, IP_RECVERR, &c, sizeof(c.e) + sizeof(a4));
    else
        socket_put_control(to, IPPROTO_IPV6, IPV6_RECVERR, &c, sizeof(c));
}

/* ---- MSG_ZEROCOPY ---- */

/* Everything that is sent is copied first, so the program may have its memory back as soon as the call ends: the report that says
 * so, and that there was a copy, is there by then. */
struct netmsg *inet_zerocopy_begin(struct socket *s)
{
    struct netmsg *m = netmsg_create(NULL, 0);
    (void)s;
    if (m) {
        m->report.origin = SO_EE_ORIGIN_ZEROCOPY;
        m->report.code = SO_EE_CODE_ZEROCOPY_COPIED;
    }
    return m;
}

void inet_zerocopy_end(struct socket *s, struct netmsg *take_report, bool sent)
{
    if (sent) {
        spin_lock(&s->lock);
        uint32_t number = s->zerocopy_next++;
        struct netmsg *last = s->errors.tail;
        if (last && last->report.origin == SO_EE_ORIGIN_ZEROCOPY &&
            last->report.data + 1 == number) {
            last->report.data = number;
        } else {
            take_report->report.info = take_report->report.data = number;
            netmsg_push(&s->errors, take_report);
            take_report = NULL;
        }
        spin_unlock(&s->lock);
        socket_wake_all(s, EPOLLERR);
    }
    if (take_report)
        netmsg_free(take_report);
}

static ssize_type put_zerocopy(struct socket *s, struct netmsg *take_m, struct socket_msg *to)
{
    struct {
        struct abi_sock_extended_err e;
        struct abi_sockaddr_in6 offender; /* nobody */
    } c = { .e = { .ee_origin = take_m->report.origin,
                   .ee_code = take_m->report.code,
                   .ee_info = take_m->report.info,
                   .ee_data = take_m->report.data } };
    to->ret_flags |= MSG_ERRQUEUE;
    to->name_len = 0;
    if (s->family == AF_INET)
        socket_put_control(to, IPPROTO_IP, IP_RECVERR, &c,
                           sizeof(c.e) + sizeof(struct abi_sockaddr_in));
    else
        socket_put_control(to, IPPROTO_IPV6, IPV6_RECVERR, &c, sizeof(c));
    netmsg_free(take_m);
    return 0;
}

static bool is_icmp(const struct netmsg *m)
{
    return m->report.origin == SO_EE_ORIGIN_ICMP || m->report.origin == SO_EE_ORIGIN_ICMP6;
}

ssize_type inet_recv_error(struct socket *s, struct socket_msg *to)
{
    spin_lock(&s->lock);
    struct netmsg *m = netmsg_pop(&s->errors), *next = s->errors.head;
    if (m && is_icmp(m) && !(next && is_icmp(next)))
        s->error = 0;
    else if (next && is_icmp(next))
        s->error = (int)next->report.error;
    spin_unlock(&s->lock);
    if (!m)
        return -EAGAIN;
    if (m->report.origin == SO_EE_ORIGIN_ZEROCOPY)
        return put_zerocopy(s, m, to);
    size_t want = to->it->left < m->len ? to->it->left : m->len;
    ssize_type result = netmsg_copy(m, 0, to->it, want) < want ? -EFAULT : (ssize_type)want;
    if (m->len > want)
        to->ret_flags |= MSG_TRUNC;
    to->ret_flags |= MSG_ERRQUEUE;
    inet_recv_name(s, m, to);
    put_report(s, m, to);
    netmsg_free(m);
    return result;
}

/* ---- reports that come in ---- */

/* What a report quotes of our packet. */
struct quote {
    struct inet_end from, to;
    unsigned protocol;
    const uint8_t *transport; /* 8 bytes at least */
    size_t skip;              /* of the report up to the datagram's data */
};

static uint16_t get16(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}

static bool quote_of(bool v6, const uint8_t *b, size_t n, struct quote *ret)
{
    const uint8_t *ip = b + ICMP_HEADER;
    size_t header = v6 ? V6_HEADER : (size_t)(ip[0] & 15) * 4;
    if (n < ICMP_HEADER + IP_HLEN || header < IP_HLEN || n < ICMP_HEADER + header + 8 ||
        ip[0] >> 4 != (v6 ? 6 : 4))
        return false;
    *ret = (struct quote){ .protocol = ip[v6 ? 6 : 9], .transport = ip + header };
    if (v6) {
        memcpy(ret->from.addr.b, ip + 8, 16);
        memcpy(ret->to.addr.b, ip + 24, 16);
    } else {
        uint32_t a[2];
        memcpy(a, ip + 12, sizeof(a));
        ret->from.addr = addr_v4(a[0]);
        ret->to.addr = addr_v4(a[1]);
        if (get16(ip + 6) & 0x1fff)
            return false; /* not a first fragment */
    }
    ret->from.port = get16(ret->transport);
    ret->to.port = get16(ret->transport + 2);
    ret->skip = ICMP_HEADER + header + 8;
    return true;
}

static bool sum_is_good(struct pbuf *p, u16_t skip, bool v6)
{
    pbuf_remove_header(p, skip);
    uint16_t sum = v6 ? ip_chksum_pseudo(p, IPPROTO_ICMPV6, p->tot_len, ip_current_src_addr(),
                                         ip_current_dest_addr())
                      : inet_chksum_pbuf(p);
    pbuf_add_header_force(p, skip);
    return !sum;
}

static void report_datagram(struct pbuf *p, u16_t skip, const struct quote *q,
                            struct inet_report *r, bool fatal)
{
    struct inet_sock *in = inet_find(&inet_udp, &q->from, &q->to, NULL);
    if (!in)
        return;
    struct netmsg *m = NULL;
    if (asked(in, !addr_is_v4(&q->to.addr)))
        m = inet_message_of(p, (uint32_t)(skip + q->skip), &q->to, &r->offender);
    inet_report(in, m, r, fatal);
    socket_put(&in->s);
}

static bool is_connecting(struct inet_sock *in)
{
    return tcpsock_state(&in->s) == TCP_IS_SYN_SENT;
}

static void report_connect(const struct quote *q, const struct inet_report *r)
{
    struct inet_sock *in = inet_find(&inet_tcp, &q->from, &q->to, is_connecting);
    uint32_t seq = (uint32_t)get16(q->transport + 4) << 16 | get16(q->transport + 6);
    if (!in)
        return;
    if (r->error != EMSGSIZE)
        tcpsock_remote_refused(tcpsock_of(&in->s), seq, (int)r->error);
    socket_put(&in->s);
}

static u8_t icmp_hook(void *arg, struct raw_pcb *pcb, struct pbuf *p, const ip_addr_t *addr)
{
    uint8_t b[QUOTED];
    bool v6 = ip_current_is_v6();
    u16_t skip = ip_current_header_tot_len();
    size_t n = pbuf_copy_partial(p, b, sizeof(b), skip);
    struct quote q;
    if (n < ICMP_HEADER)
        return 0;
    struct meaning m = meaning_of(v6, b[0], b[1]);
    if (!m.error || !quote_of(v6, b, n, &q) || !sum_is_good(p, skip, v6))
        return 0;
    struct inet_report r = { .error = m.error,
                             .origin = v6 ? SO_EE_ORIGIN_ICMP6 : SO_EE_ORIGIN_ICMP,
                             .type = b[0],
                             .code = b[1],
                             .info = m.error == EMSGSIZE ? (uint32_t)get16(b + 6) : 0,
                             .offender = addr_of_ip(addr),
                             .to = q.to };
    if (q.protocol == IPPROTO_UDP)
        report_datagram(p, skip, &q, &r, m.fatal);
    else if (q.protocol == IPPROTO_TCP)
        report_connect(&q, &r);
    return 0; /* lwIP and raw sockets see it too */
}

void icmp_error_init(void)
{
    static const u8_t protocols[] = { IPPROTO_ICMP, IPPROTO_ICMPV6 };
    for (size_t i = 0; i < ARRAY_SIZE(protocols); i++) {
        struct raw_pcb *pcb = raw_new_ip_type(IPADDR_TYPE_ANY, protocols[i]);
        if (pcb)
            raw_recv(pcb, icmp_hook, NULL);
    }
}
