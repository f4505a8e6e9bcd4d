/* SPDX-License-Identifier: MIT */
/* UDP. A datagram to this machine itself is linked into its receiver's queue; one to another machine is built here and leaves
 * through lwIP's IP layer, which also gives what comes in to us first (its own UDP serves DHCP only). udp(7). */
#include "core.h"
#include "icmp_error.h"
#include "ip.h"
#include "packet.h"
#include <abi/errno.h>
#include <abi/fcntl.h>
#include <abi/termios.h>
#include <libos/heap.h>
#include <libos/user.h>
#include <lwip/icmp.h>
#include <lwip/icmp6.h>
#include <lwip/inet_chksum.h>
#include <lwip/ip.h>
#include <lwip/netif.h>
#include <lwip/raw.h>
#include <lwip/stats.h>
#include <string.h>

enum { UDP_HEADER = 8, UDP_MAX = 65507, DEFAULT_TTL = 64 };

struct udp_header {
    uint16_t from, to, len, sum; /* network order */
};

static struct slab udps = SLAB_INIT("udp", struct inet_sock);
static const struct socket_ops udpsock_ops;

int udpsock_create(int family, int protocol, struct socket **ret_socket)
{
    struct inet_sock *in = slab_alloc(&udps);
    if (!in)
        return -ENOMEM;
    memset(in, 0, sizeof(*in));
    inet_init(in, &udpsock_ops, family, SOCK_DGRAM, IPPROTO_UDP, &inet_udp);
    *ret_socket = &in->s;
    return 0;
}

static void udp_free(struct socket *s)
{
    netmsg_purge(&s->rq);
    netmsg_purge(&s->errors);
    inet_fini(inet_of(s));
    slab_free(&udps, inet_of(s));
}

static bool takes_from_loopback(struct inet_sock *in)
{
    return inet_takes_from(in, LOOPBACK_INDEX);
}

/* ---- to this machine ---- */

static int local_deliver(struct inet_sock *in, struct netmsg *m, const struct inet_send *out)
{
    struct inet_end from = in->local, to = out->to;
    if (addr_is_any(&to.addr))
        to.addr = addr_source_for(&to.addr);
    if (addr_is_any(&from.addr))
        from.addr = addr_is_any(&out->from) ? addr_source_for(&to.addr) : out->from;
    struct inet_sock *r = inet_find(&inet_udp, &to, &from, takes_from_loopback);
    if (!r) {
        inet_report_refused(in, m, &to);
        return 0;
    }
    inet_message_from(m, &from, &to.addr);
    m->ifindex = LOOPBACK_INDEX;
    m->ttl = (uint8_t)(out->ttl > 0 ? out->ttl : DEFAULT_TTL);
    m->tos = (uint8_t)(out->tos > 0 ? out->tos : 0);
    socket_queue_rcv(&r->s, m);
    socket_put(&r->s);
    return 0;
}

/* ---- to another ---- */

static uint16_t swap16(uint16_t v)
{
    return (uint16_t)(v << 8 | v >> 8);
}

static void build_header(struct pbuf *p, const struct inet_sock *in, const struct inet_send *out)
{
    struct udp_header h = { swap16(in->local.port), swap16(out->to.port), swap16(p->tot_len), 0 };
    memcpy(p->payload, &h, sizeof(h));
}

static struct netif *route(const struct inet_sock *in, const struct inet_send *out,
                           const ip_addr_t *src, const ip_addr_t *dest)
{
    unsigned index = out->ifindex ? out->ifindex : (unsigned)in->s.bound_dev;
    if (!index && addr_is_multicast(&out->to.addr))
        index = in->mc_if;
    return index ? netif_get_by_index((u8_t)index) : ip_route(src, dest);
}

/* Locks: core held. Takes p. */
static int output(struct inet_sock *in, const struct inet_send *out, struct pbuf *p, bool checksum)
{
    ip_addr_t src, dest;
    ip_of_addr(&dest, &out->to.addr, out->to.scope);
    ip_of_addr(&src, &out->from, 0);
    struct netif *n = route(in, out, &src, &dest);
    if (!n || !netif_is_up(n) || !netif_is_link_up(n))
        return -ENETUNREACH;
    if (ip_addr_isany_val(src)) {
        const ip_addr_t *mine = ip_netif_get_local_ip(n, &dest);
        if (!mine || ip_addr_isany(mine))
            return -ENETUNREACH;
        src = *mine;
    }
    if (p->tot_len + IP_HLEN > n->mtu && in->mtu_discover >= IP_PMTUDISC_DO)
        return -EMSGSIZE;
    if (checksum) {
        struct udp_header *h = p->payload;
        bool device = !(n->chksum_flags & NETIF_CHECKSUM_GEN_UDP) && p->tot_len + 40 <= n->mtu;
        h->sum = 0;
        if (!device) {
            h->sum = ip_chksum_pseudo(p, IPPROTO_UDP, p->tot_len, &src, &dest);
            if (!h->sum)
                h->sum = 0xffff;
        }
    }
    bool multi = addr_is_multicast(&out->to.addr);
    int ttl = out->ttl > 0 ? out->ttl : multi ? 1 : DEFAULT_TTL;
    if (checksum)
        MIB2_STATS_INC(mib2.udpoutdatagrams);
    err_t e = ip_output_if(p, &src, &dest, (u8_t)ttl, (u8_t)(out->tos > 0 ? out->tos : 0),
                           (u8_t)in->s.protocol, n);
    return e == ERR_OK                    ? 0
           : e == ERR_MEM || e == ERR_BUF ? -ENOBUFS
           : e == ERR_RTE                 ? -ENETUNREACH
                                          : -EHOSTUNREACH;
}

int inet_output(struct inet_sock *in, const struct inet_send *out, struct pbuf *p, bool checksum)
{
    net_lock();
    int err = output(in, out, p, checksum);
    pbuf_free(p);
    netif_poll_all(); /* what went to the loopback interface */
    net_unlock();
    return err;
}

static ssize_type remote_send(struct inet_sock *in, struct socket_msg *m,
                              const struct inet_send *out)
{
    size_t len = m->it->left;
    struct pbuf *p = pbuf_alloc(PBUF_IP, (u16_t)(len + UDP_HEADER), PBUF_RAM);
    if (!p)
        return -ENOBUFS;
    if (iter_get(m->it, (uint8_t *)p->payload + UDP_HEADER, len) < len) {
        pbuf_free(p);
        return -EFAULT;
    }
    build_header(p, in, out);
    int err = inet_output(in, out, p, true);
    return err ? err : (ssize_type)len;
}

/* ---- sending ---- */

/* Where a message goes. */
static int destination(struct inet_sock *in, const struct socket_msg *m, struct inet_send *out)
{
    *out = (struct inet_send){ .ttl = in->ttl, .tos = in->tos, .from = in->local.addr };
    if (m->name_len) {
        int err = inet_get_end(in, m->name, m->name_len, &out->to);
        if (err)
            return err;
        if (!out->to.port && in->s.type == SOCK_DGRAM && in->s.protocol == IPPROTO_UDP)
            return -EINVAL;
    } else {
        if (!in->remote.port)
            return -EDESTADDRREQ;
        out->to = in->remote;
    }
    if (addr_is_multicast(&out->to.addr))
        out->ttl = in->mc_ttl;
    if (addr_is_broadcast(&out->to.addr) && !(in->s.flags & SOCKET_BROADCAST))
        return -EACCES;
    if (in->v6only && addr_is_v4(&out->to.addr))
        return -ENETUNREACH;
    return m->control_len ? inet_send_control(in, m, out) : 0;
}

int inet_destination(struct inet_sock *in, const struct socket_msg *m, struct inet_send *out)
{
    return destination(in, m, out);
}

static ssize_type udp_send(struct socket *s, struct socket_msg *m)
{
    struct inet_sock *in = inet_of(s);
    struct inet_send out;
    size_t len = m->it->left;
    if (m->flags & MSG_OOB)
        return -EOPNOTSUPP;
    if (len > UDP_MAX)
        return -EMSGSIZE;
    int err = destination(in, m, &out);
    if (!err)
        err = inet_autobind(in);
    if (err)
        return err;
    if (UNLIKELY(s->error || s->shut & SOCKET_SHUT_WR || !socket_has_room(s)))
        err = socket_wait_room(s, socket_deadline(s->sndtimeo_ns, socket_no_wait(s, m->flags)));
    if (err)
        return err == -EPIPE ? socket_broken_pipe(m->flags) : err;
    if (!addr_is_local(&out.to.addr))
        return remote_send(in, m, &out);
    struct netmsg *msg = netmsg_create(s, (uint32_t)len);
    if (!msg)
        return -ENOBUFS;
    if (!netmsg_fill(msg, m->it)) {
        netmsg_free(msg);
        return -EFAULT;
    }
    err = local_deliver(in, msg, &out);
    return err ? err : (ssize_type)len;
}

/* ---- from others ---- */

static void message_set(struct netmsg *m, const struct inet_end *from, const struct inet_addr *to)
{
    inet_message_from(m, from, to);
    m->ifindex = netif_get_index(ip_current_input_netif());
    if (ip_current_is_v6()) {
        m->ttl = IP6H_HOPLIM(ip6_current_header());
        m->tos = (uint8_t)IP6H_TC(ip6_current_header());
    } else {
        m->ttl = IPH_TTL(ip4_current_header());
        m->tos = IPH_TOS(ip4_current_header());
    }
}

struct netmsg *inet_message_of(struct pbuf *p, uint32_t skip, const struct inet_end *from,
                               const struct inet_addr *to)
{
    uint32_t len = p->tot_len - skip, at = 0;
    struct netmsg *m = netmsg_create(NULL, len);
    if (!m)
        return NULL;
    for (struct pbuf *q = p; q; q = q->next) {
        uint32_t in = skip < q->len ? skip : q->len;
        netmsg_poke(m, at, (uint8_t *)q->payload + in, q->len - in);
        at += q->len - in;
        skip -= in;
    }
    message_set(m, from, to);
    return m;
}

struct spread {
    struct pbuf *p;
    uint32_t skip;
    struct inet_end from, to;
    unsigned ifindex;
    bool any;
};

/* One socket that wants a multicast or broadcast datagram. */
static int spread_one(struct socket *s, void *arg)
{
    struct spread *d = arg;
    struct inet_sock *in = inet_of(s);
    if (in->local.port != d->to.port)
        return 0;
    if (!addr_is_any(&in->local.addr) && !addr_equal(&in->local.addr, &d->to.addr))
        return 0;
    if (!inet_takes_from(in, d->ifindex))
        return 0;
    if (addr_is_multicast(&d->to.addr) && !inet_group_wanted(in, &d->to.addr, d->ifindex))
        return 0;
    struct netmsg *m = inet_message_of(d->p, d->skip, &d->from, &d->to.addr);
    if (m) {
        d->any = true;
        socket_queue_rcv(s, m);
    }
    return 0;
}

/* Locks: core held, while a packet comes in. */
static bool takes_current(struct inet_sock *in)
{
    return inet_takes_from(in, netif_get_index(ip_current_input_netif()));
}

static bool sum_is_good(struct pbuf *p, const struct udp_header *h)
{
    if (!(ip_current_input_netif()->chksum_flags & NETIF_CHECKSUM_CHECK_UDP))
        return true;
    if (!h->sum)
        return !ip_current_is_v6();
    return !ip_chksum_pseudo(p, IPPROTO_UDP, p->tot_len, ip_current_src_addr(),
                             ip_current_dest_addr());
}

/* A UDP packet, before lwIP's own UDP. 1: it was ours and is freed. */
static u8_t udp_input_hook(void *arg, struct raw_pcb *pcb, struct pbuf *p, const ip_addr_t *addr)
{
    struct udp_header h;
    u16_t ip_len = ip_current_header_tot_len();
    if (p->tot_len < ip_len + UDP_HEADER ||
        pbuf_copy_partial(p, &h, UDP_HEADER, ip_len) != UDP_HEADER)
        return 0;
    struct spread d = { .p = p,
                        .skip = UDP_HEADER,
                        .from = { addr_of_ip(addr), swap16(h.from),
                                  netif_get_index(ip_current_input_netif()) },
                        .to = { addr_of_ip(ip_current_dest_addr()), swap16(h.to), 0 },
                        .ifindex = netif_get_index(ip_current_input_netif()) };
    uint16_t len = swap16(h.len);
    if (len < UDP_HEADER || len > p->tot_len - ip_len)
        return 0;
    bool many = addr_is_multicast(&d.to.addr) ||
                ip_addr_isbroadcast(ip_current_dest_addr(), ip_current_input_netif());
    struct inet_sock *in = many ? NULL : inet_find(&inet_udp, &d.to, &d.from, takes_current);
    if (!many && !in)
        return 0;
    pbuf_remove_header(p, ip_len);
    pbuf_realloc(p, len);
    bool good = sum_is_good(p, &h);
    if (good && many) {
        socket_list_each(&inet_udp.lock, &inet_udp.all, spread_one, &d);
    } else if (good) {
        MIB2_STATS_INC(mib2.udpindatagrams);
        struct netmsg *m = inet_message_of(p, UDP_HEADER, &d.from, &d.to.addr);
        if (m)
            socket_queue_rcv(&in->s, m);
    }
    if (in)
        socket_put(&in->s);
    if (many && !d.any && good) {
        pbuf_add_header_force(p, ip_len);
        return 0; /* lwIP's DHCP perhaps */
    }
    pbuf_free(p);
    return 1;
}

void udp_init_input(void)
{
    struct raw_pcb *pcb = raw_new_ip_type(IPADDR_TYPE_ANY, IPPROTO_UDP);
    if (pcb)
        raw_recv(pcb, udp_input_hook, NULL);
    icmp_error_init();
}

/* ---- the calls ---- */

int inet_dgram_connect(struct socket *s, const struct abi_sockaddr_storage *a, unsigned len,
                       unsigned file_flags)
{
    struct inet_sock *in = inet_of(s);
    struct inet_end to;
    struct inet_addr none = s->family == AF_INET ? addr_v4(0) : (struct inet_addr){ 0 };
    if (a->ss_family == AF_UNSPEC) {
        spin_lock(&s->lock);
        in->remote = (struct inet_end){ .addr = none };
        if (!in->has_addr)
            in->local.addr = none;
        spin_unlock(&s->lock);
        if (!(in->bound_as & 2))
            inet_unbind(in);
        return 0;
    }
    int err = inet_get_end(in, a, len, &to);
    if (err)
        return err;
    if (addr_is_broadcast(&to.addr) && !(s->flags & SOCKET_BROADCAST))
        return -EACCES;
    if (in->v6only && addr_is_v4(&to.addr))
        return -ENETUNREACH;
    if (addr_is_any(&to.addr))
        to.addr = addr_source_for(&to.addr);
    struct inet_addr source = addr_source_for(&to.addr);
    if (addr_is_any(&source))
        return -ENETUNREACH;
    err = inet_autobind(in);
    if (err)
        return err;
    spin_lock(&in->table->lock);
    in->remote = to;
    if (!in->has_addr)
        in->local.addr = source;
    spin_unlock(&in->table->lock);
    return 0;
}

int inet_dgram_name(struct socket *s, bool peer, struct abi_sockaddr_storage *ret)
{
    struct inet_sock *in = inet_of(s);
    return peer && !in->remote.port ? -ENOTCONN : inet_name_of(in, peer, ret);
}

int inet_dgram_shutdown(struct socket *s, int how)
{
    if (!inet_of(s)->remote.port)
        return -ENOTCONN;
    s->shut |= how == SHUT_RD ? SOCKET_SHUT_RD : how == SHUT_WR ? SOCKET_SHUT_WR : 3;
    socket_wake_all(s, SOCKET_IN | SOCKET_OUT | EPOLLRDHUP | EPOLLHUP);
    return 0;
}

unsigned inet_dgram_poll(struct socket *s)
{
    unsigned events = 0, shut = s->shut;
    if (s->error || s->errors.head)
        events |= EPOLLERR;
    if (shut & SOCKET_SHUT_RD)
        events |= EPOLLRDHUP | EPOLLIN | EPOLLRDNORM;
    if (shut == 3)
        events |= EPOLLHUP;
    if (*(struct netmsg *volatile *)&s->rq.head)
        events |= EPOLLIN | EPOLLRDNORM;
    if (s->wmem * 2 <= s->sndbuf)
        events |= SOCKET_OUT;
    return events;
}

long inet_dgram_ioctl(struct socket *s, unsigned cmd, unsigned long arg)
{
    int n;
    if (cmd == FIONREAD) {
        spin_lock(&s->lock);
        n = s->rq.head ? (int)s->rq.head->len : 0;
        spin_unlock(&s->lock);
    } else if (cmd == SIOCOUTQ) {
        n = (int)s->wmem;
    } else {
        return inet_ioctl(s, cmd, arg);
    }
    return user_put(user_at(user_int_out_t, arg), &n, 1);
}

void inet_dgram_close(struct socket *s, bool nonblock)
{
    struct netmsg_queue q, errors;
    inet_unbind(inet_of(s));
    inet_groups_drop(inet_of(s));
    spin_lock(&s->lock);
    s->shut = 3;
    q = s->rq;
    errors = s->errors; /* they hold references on their sender, which is s */
    s->rq = s->errors = (struct netmsg_queue){ 0 };
    spin_unlock(&s->lock);
    netmsg_purge(&q);
    netmsg_purge(&errors);
}

int inet_dgram_recv_empty(struct socket *s)
{
    return 1;
}

ssize_type inet_dgram_recv(struct socket *s, struct socket_msg *m)
{
    if (m->flags & MSG_ERRQUEUE)
        return inet_recv_error(s, m);
    if (m->flags & MSG_OOB)
        return -EOPNOTSUPP;
    return socket_recv_message(s, m);
}

static const struct socket_ops udpsock_ops = {
    .bind = inet_bind,
    .connect = inet_dgram_connect,
    .name = inet_dgram_name,
    .send = udp_send,
    .recv = inet_dgram_recv,
    .shutdown = inet_dgram_shutdown,
    .poll = inet_dgram_poll,
    .set_option = inet_set_option,
    .get_option = inet_get_option,
    .ioctl = inet_dgram_ioctl,
    .close = inet_dgram_close,
    .free = udp_free,
    .recv_empty = inet_dgram_recv_empty,
    .recv_name = inet_recv_name,
    .recv_control = inet_recv_control,
};
