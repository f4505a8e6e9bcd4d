/* SPDX-License-Identifier: MIT */
/* Raw sockets and ping sockets (SOCK_DGRAM of ICMP). Each gets a copy of what comes in for its protocol, before lwIP looks at
 * it; packets to this machine itself go through lwIP's loopback interface. raw(7), icmp(7). */
#include "core.h"
#include "ip.h"
#include "packet.h"
#include "raw.h"
#include <abi/errno.h>
#include <libos/heap.h>
#include <libos/process.h>
#include <lwip/etharp.h>
#include <lwip/inet_chksum.h>
#include <lwip/ip.h>
#include <lwip/raw.h>
#include <string.h>

enum {
    CAP_NET_RAW = 13,
    RAW_MAX = 65515,
    ICMP_HEADER = 8,
    ECHO4 = 8,
    REPLY4 = 0,
    ECHO6 = 128,
    REPLY6 = 129
};

static struct slab raws = SLAB_INIT("raw", struct inet_sock);
static const struct socket_ops rawsock_ops;
static uint64_t hooked[4]; /* protocols that lwIP hands to us; guarded by the core lock */

static bool is_ping(const struct inet_sock *in)
{
    return in->s.type == SOCK_DGRAM;
}

struct spread {
    struct pbuf *p;
    uint32_t header; /* of IP */
    struct inet_addr from, to;
    int protocol;
    bool v6;
};

/* Is an ICMP packet the answer to this ping socket? */
static bool is_reply_to(const struct inet_sock *in, const struct spread *d)
{
    uint8_t h[ICMP_HEADER];
    if (pbuf_copy_partial(d->p, h, sizeof(h), (u16_t)d->header) != sizeof(h))
        return false;
    return h[0] == (d->v6 ? REPLY6 : REPLY4) && (h[4] << 8 | h[5]) == in->local.port;
}

static int spread_one(struct socket *s, void *arg)
{
    struct spread *d = arg;
    struct inet_sock *in = inet_of(s);
    if (s->protocol != d->protocol || d->v6 != (s->family == AF_INET6))
        return 0;
    if (!addr_is_any(&in->local.addr) && !addr_equal(&in->local.addr, &d->to))
        return 0;
    if (in->remote.port && !addr_equal(&in->remote.addr, &d->from))
        return 0;
    if (is_ping(in) && !is_reply_to(in, d))
        return 0;
    struct inet_end from = { d->from, 0, netif_get_index(ip_current_input_netif()) };
    struct netmsg *m = inet_message_of(d->p, is_ping(in) || d->v6 ? d->header : 0, &from, &d->to);
    if (m)
        socket_queue_rcv(s, m);
    return 0;
}

static u8_t raw_input_hook(void *arg, struct raw_pcb *pcb, struct pbuf *p, const ip_addr_t *addr)
{
    struct spread d = { p,
                        ip_current_header_tot_len(),
                        addr_of_ip(addr),
                        addr_of_ip(ip_current_dest_addr()),
                        pcb->protocol,
                        ip_current_is_v6() };
    socket_list_each(&inet_raw.lock, &inet_raw.all, spread_one, &d);
    return 0; /* lwIP sees it too */
}

static int hook(int protocol)
{
    struct raw_pcb *pcb;
    int err = 0;
    if (protocol == IPPROTO_RAW || protocol == IPPROTO_UDP || protocol > 255)
        return 0;
    net_lock();
    if (!(hooked[protocol / 64] & 1ull << protocol % 64)) {
        pcb = raw_new_ip_type(IPADDR_TYPE_ANY, (u8_t)protocol);
        if (pcb) {
            raw_recv(pcb, raw_input_hook, NULL);
            hooked[protocol / 64] |= 1ull << protocol % 64;
        } else {
            err = -ENOMEM;
        }
    }
    net_unlock();
    return err;
}

bool rawsock_hooked(unsigned protocol)
{
    return hooked[protocol / 64] >> protocol % 64 & 1;
}

int rawsock_create(int family, int type, int protocol, struct socket **ret_socket)
{
    if (type == SOCK_RAW && !cred_capable(CAP_NET_RAW))
        return -EPERM;
    int err = hook(protocol);
    struct inet_sock *in = err ? NULL : slab_alloc(&raws);
    if (!in)
        return -ENOMEM;
    memset(in, 0, sizeof(*in));
    inet_init(in, &rawsock_ops, family, type, protocol, &inet_raw);
    if (protocol == IPPROTO_RAW)
        in->want |= INET_HDRINCL;
    *ret_socket = &in->s;
    return 0;
}

static void rawsock_free(struct socket *s)
{
    netmsg_purge(&s->rq);
    netmsg_purge(&s->errors);
    inet_fini(inet_of(s));
    slab_free(&raws, inet_of(s));
}

/* The echo request of a ping socket: its identifier is the socket's, its sum ours. */
static int finish_ping(struct inet_sock *in, struct pbuf *p)
{
    uint8_t *h = p->payload;
    bool v6 = in->s.family == AF_INET6;
    if (p->tot_len < ICMP_HEADER || h[0] != (v6 ? ECHO6 : ECHO4) || h[1])
        return -EINVAL;
    h[4] = (uint8_t)(in->local.port >> 8);
    h[5] = (uint8_t)in->local.port;
    h[2] = h[3] = 0;
    if (!v6) {
        uint16_t sum = inet_chksum_pbuf(p);
        memcpy(h + 2, &sum, 2);
    }
    return 0;
}

/* ICMPv6 has a sum over addresses too, which the kernel makes for every socket. */
static void finish_icmp6(struct pbuf *p, const struct inet_send *out)
{
    struct inet_addr from = addr_is_any(&out->from) ? addr_source_for(&out->to.addr) : out->from;
    ip_addr_t src, dest;
    uint8_t *h = p->payload;
    ip_of_addr(&src, &from, 0);
    ip_of_addr(&dest, &out->to.addr, out->to.scope);
    if (p->tot_len < 4)
        return;
    h[2] = h[3] = 0;
    uint16_t sum = ip_chksum_pseudo(p, IPPROTO_ICMPV6, p->tot_len, &src, &dest);
    memcpy(h + 2, &sum, 2);
}

/* The program made the IP header: what it left open is filled in. */
static int send_whole(struct inet_sock *in, const struct inet_send *out, struct pbuf *p)
{
    uint8_t *h = p->payload;
    ip_addr_t src, dest;
    if (p->tot_len < IP_HLEN || (h[0] & 15u) * 4 > p->tot_len || (h[0] & 15) < 5) {
        pbuf_free(p);
        return -EINVAL;
    }
    struct inet_addr from = addr_source_for(&out->to.addr);
    uint32_t zero = 0;
    if (!memcmp(h + 12, &zero, 4))
        memcpy(h + 12, &from.w[3], 4);
    h[2] = (uint8_t)(p->tot_len >> 8);
    h[3] = (uint8_t)p->tot_len;
    h[10] = h[11] = 0;
    uint16_t sum = inet_chksum(h, (u16_t)((h[0] & 15) * 4));
    memcpy(h + 10, &sum, 2);
    ip_of_addr(&src, &from, 0);
    ip_of_addr(&dest, &out->to.addr, 0);
    net_lock();
    struct netif *n = ip_route(&src, &dest);
    /* As it is: past the output of an interface, which changes identifications. */
    err_t e = !n                               ? ERR_RTE
              : n->flags & NETIF_FLAG_ETHERNET ? etharp_output(n, p, ip_2_ip4(&dest))
                                               : n->output(n, p, ip_2_ip4(&dest));
    pbuf_free(p);
    netif_poll_all();
    net_unlock();
    return e == ERR_OK ? 0 : e == ERR_RTE ? -ENETUNREACH : -ENOBUFS;
}

static ssize_type rawsock_send(struct socket *s, struct socket_msg *m)
{
    struct inet_sock *in = inet_of(s);
    struct inet_send out;
    size_t len = m->it->left;
    if (m->flags & MSG_OOB)
        return -EOPNOTSUPP;
    if (len > RAW_MAX)
        return -EMSGSIZE;
    int err = inet_destination(in, m, &out);
    if (!err && is_ping(in))
        err = inet_autobind(in);
    if (err)
        return err;
    bool whole = in->want & INET_HDRINCL;
    struct pbuf *p = pbuf_alloc(whole ? PBUF_LINK : PBUF_IP, (u16_t)len, PBUF_RAM);
    if (!p)
        return -ENOBUFS;
    if (iter_get(m->it, p->payload, len) < len) {
        pbuf_free(p);
        return -EFAULT;
    }
    if (whole) {
        err = send_whole(in, &out, p);
        return err ? err : (ssize_type)len;
    }
    if (is_ping(in))
        err = finish_ping(in, p);
    if (err) {
        pbuf_free(p);
        return err;
    }
    if (s->protocol == IPPROTO_ICMPV6)
        finish_icmp6(p, &out);
    err = inet_output(in, &out, p, false);
    return err ? err : (ssize_type)len;
}

static int rawsock_bind(struct socket *s, const struct abi_sockaddr_storage *a, unsigned len)
{
    struct inet_sock *in = inet_of(s);
    struct inet_end e;
    if (is_ping(in))
        return inet_bind(s, a, len);
    int err = inet_get_end(in, a, len, &e);
    if (err)
        return err;
    if (!addr_is_local(&e.addr) && !addr_is_multicast(&e.addr))
        return -EADDRNOTAVAIL;
    in->local.addr = e.addr;
    in->has_addr = !addr_is_any(&e.addr);
    return 0;
}

static int rawsock_connect(struct socket *s, const struct abi_sockaddr_storage *a, unsigned len,
                           unsigned file_flags)
{
    struct inet_sock *in = inet_of(s);
    struct inet_end to;
    if (is_ping(in) || a->ss_family == AF_UNSPEC)
        return inet_dgram_connect(s, a, len, file_flags);
    int err = inet_get_end(in, a, len, &to);
    if (err)
        return err;
    to.port = 1; /* connected; the number means nothing */
    in->remote = to;
    return 0;
}

static const struct socket_ops rawsock_ops = {
    .bind = rawsock_bind,
    .connect = rawsock_connect,
    .name = inet_dgram_name,
    .send = rawsock_send,
    .recv = inet_dgram_recv,
    .shutdown = inet_dgram_shutdown,
    .poll = inet_dgram_poll,
    .set_option = inet_set_option,
    .get_option = inet_get_option,
    .ioctl = inet_dgram_ioctl,
    .close = inet_dgram_close,
    .free = rawsock_free,
    .recv_empty = inet_dgram_recv_empty,
    .recv_name = inet_recv_name,
    .recv_control = inet_recv_control,
};
