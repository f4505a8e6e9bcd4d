/* SPDX-License-Identifier: MIT */
/* AF_PACKET: frames of Ethernet interfaces as they come and go, whole (SOCK_RAW) or without their header (SOCK_DGRAM), through
 * a queue or a ring. Connections of the machine with itself have no frames. The list of sockets is guarded by table_lock,
 * which interrupts take. packet(7). */
#include "af_packet.h"
#include "core.h"
#include "netconf.h"
#include <abi/errno.h>
#include <abi/if.h>
#include <abi/termios.h>
#include <libos/bpf.h>
#include <libos/heap.h>
#include <libos/process.h>
#include <libos/user.h>
#include <lwip/netif.h>
#include <lwip/pbuf.h>
#include <string.h>
#include <utlist.h>

enum {
    CAP_NET_RAW = 13,
    ETH_HEADER = 14,
    VLAN_EXTRA = 4,
    HEADERS = 256, /* what filters see of a frame */
    NAME_SHORT = 12,
};

static struct slab socks = SLAB_INIT("packet", struct packet_sock);
static struct spin table_lock = SPIN_INIT(RANK_SOCKET_TABLE);
static struct socket *all;
static _Atomic unsigned count; /* sockets: none is the common case */
static const struct socket_ops packet_ops;

static struct packet_sock *packet_of(struct socket *s)
{
    return CONTAINER_OF(s, struct packet_sock, s);
}

static uint16_t swap16(uint16_t v)
{
    return (uint16_t)(v << 8 | v >> 8);
}

static int packet_create(int type, int protocol, struct socket **ret_socket)
{
    if (!cred_capable(CAP_NET_RAW))
        return -EPERM;
    if (type != SOCK_RAW && type != SOCK_DGRAM)
        return -ESOCKTNOSUPPORT;
    struct packet_sock *ps = slab_alloc(&socks);
    if (!ps)
        return -ENOMEM;
    memset(ps, 0, sizeof(*ps));
    socket_init(&ps->s, &packet_ops, AF_PACKET, type, protocol);
    ps->protocol = swap16((uint16_t)protocol);
    spin_lock(&table_lock);
    DL_APPEND2(all, &ps->s, list_prev, list_next);
    count++;
    spin_unlock(&table_lock);
    *ret_socket = &ps->s;
    return 0;
}

static void packet_free(struct socket *s)
{
    netmsg_purge(&s->rq);
    socket_filter_free(s);
    packet_ring_free(&packet_of(s)->ring);
    slab_free(&socks, packet_of(s));
}

/* ---- frames come ---- */

struct abi_sockaddr_ll packet_name(const struct packet_frame *f)
{
    struct abi_sockaddr_ll a = { .sll_family = AF_PACKET,
                                 .sll_protocol = swap16(f->protocol),
                                 .sll_ifindex = (int32_t)f->ifindex,
                                 .sll_hatype = ARPHRD_ETHER,
                                 .sll_pkttype = f->type,
                                 .sll_halen = 6 };
    memcpy(a.sll_addr, f->from, 6);
    return a;
}

static bool wants(const struct packet_sock *ps, const struct packet_frame *f)
{
    if (!ps->protocol || (ps->ifindex && ps->ifindex != f->ifindex))
        return false;
    if (f->type == PACKET_OUTGOING)
        return ps->protocol == ETH_P_ALL && !ps->ignore_outgoing;
    return ps->protocol == ETH_P_ALL || ps->protocol == f->protocol;
}

/* Locks: s.lock held. */
static bool queue_frame(struct packet_sock *ps, const struct packet_frame *f, uint32_t skip,
                        uint32_t n)
{
    struct abi_sockaddr_ll name = packet_name(f);
    if (ps->s.rq.charged + n > ps->s.rcvbuf)
        return false;
    struct netmsg *m = netmsg_create(NULL, n);
    if (!m)
        return false;
    uint32_t at = 0;
    for (struct pbuf *q = f->p; q && at < n; q = q->next) {
        uint32_t in = skip < q->len ? skip : q->len, some = q->len - in;
        if (some > n - at)
            some = n - at;
        netmsg_poke(m, at, (uint8_t *)q->payload + in, some);
        at += some;
        skip -= in;
    }
    memcpy(m->name, &name, sizeof(name));
    m->name_len = sizeof(name);
    m->info.word[0] = f->len - (ps->s.type == SOCK_DGRAM ? ETH_HEADER : 0);
    m->stamp_ns = socket_wall_ns();
    netmsg_push(&ps->s.rq, m);
    return true;
}

static void show(struct packet_sock *ps, const struct packet_frame *f, const uint8_t *head,
                 uint32_t have)
{
    uint32_t skip = ps->s.type == SOCK_DGRAM ? ETH_HEADER : 0;
    struct bpf_packet view = { head + skip, have - skip, f->len - skip,
                               f->protocol, f->type,     f->ifindex };
    spin_lock(&ps->s.lock);
    uint32_t n = socket_filter_run(&ps->s, &view);
    bool taken = false;
    if (n) {
        n = n < f->len - skip ? n : f->len - skip;
        taken = ps->ring.pages ? packet_ring_put(ps, f, skip, n) : queue_frame(ps, f, skip, n);
        if (taken)
            ps->stats.tp_packets++;
        else
            ps->stats.tp_drops++;
    }
    spin_unlock(&ps->s.lock);
    if (taken)
        socket_wake(&ps->s, SOCKET_IN);
}

void packet_tap(struct pbuf *p, unsigned ifindex, uint8_t type)
{
    uint8_t head[HEADERS];
    if (LIKELY(!count) || p->tot_len < ETH_HEADER)
        return;
    uint32_t have = pbuf_copy_partial(p, head, sizeof(head), 0);
    struct packet_frame f = { .p = p,
                              .len = p->tot_len,
                              .ifindex = ifindex,
                              .protocol = (uint16_t)(head[12] << 8 | head[13]),
                              .type = type };
    memcpy(f.from, head + 6, sizeof(f.from));
    spin_lock(&table_lock);
    for (struct socket *s = all; s; s = s->list_next)
        if (wants(packet_of(s), &f))
            show(packet_of(s), &f, head, have);
    spin_unlock(&table_lock);
}

/* ---- frames go ---- */

/* Where a message goes: the interface, and the header's address and type for SOCK_DGRAM. */
static int destination(struct packet_sock *ps, const struct socket_msg *m, unsigned *ret_index,
                       struct abi_sockaddr_ll *ret)
{
    *ret = (struct abi_sockaddr_ll){ .sll_protocol = swap16(ps->protocol) };
    *ret_index = ps->ifindex;
    if (!m->name_len)
        return ps->ifindex ? 0 : -ENXIO;
    if (m->name_len < NAME_SHORT)
        return -EINVAL;
    memcpy(ret, m->name, m->name_len < sizeof(*ret) ? m->name_len : sizeof(*ret));
    if (ret->sll_family != AF_PACKET)
        return -EINVAL;
    if (ret->sll_halen > sizeof(ret->sll_addr) || NAME_SHORT + ret->sll_halen > (int)m->name_len)
        return -EINVAL;
    *ret_index = (unsigned)ret->sll_ifindex;
    return 0;
}

static int output(struct pbuf *p, unsigned index)
{
    net_lock();
    struct netif *n = netconf_netif(index);
    err_t e = ERR_IF;
    int err = !n || !(n->flags & NETIF_FLAG_ETHERNET)         ? -ENXIO
              : !netif_is_up(n)                               ? -ENETDOWN
              : p->tot_len > n->mtu + ETH_HEADER + VLAN_EXTRA ? -EMSGSIZE
                                                              : 0;
    if (!err) {
        e = n->linkoutput(n, p);
        err = e == ERR_OK ? 0 : -ENOBUFS;
    }
    pbuf_free(p);
    net_unlock();
    return err;
}

/* The header of a SOCK_DGRAM message. */
static int put_header(uint8_t *to, unsigned index, const struct abi_sockaddr_ll *name)
{
    struct net_interface n;
    if (!netconf_find(NULL, index, &n))
        return -ENXIO;
    memcpy(to, name->sll_addr, 6);
    memcpy(to + 6, n.mac, 6);
    memcpy(to + 12, &name->sll_protocol, 2);
    return 0;
}

static ssize_type packet_send(struct socket *s, struct socket_msg *m)
{
    struct packet_sock *ps = packet_of(s);
    struct abi_sockaddr_ll to;
    unsigned index;
    size_t len = m->it->left, header = s->type == SOCK_DGRAM ? ETH_HEADER : 0;
    int err = destination(ps, m, &index, &to);
    if (err)
        return err;
    if (len + header > UINT16_MAX - PBUF_LINK_HLEN)
        return -EMSGSIZE;
    if (len + header < ETH_HEADER)
        return -EINVAL;
    struct pbuf *p = pbuf_alloc(PBUF_RAW, (u16_t)(len + header), PBUF_RAM);
    if (!p)
        return -ENOBUFS;
    err = header ? put_header(p->payload, index, &to) : 0;
    if (!err && iter_get(m->it, (uint8_t *)p->payload + header, len) < len)
        err = -EFAULT;
    if (err) {
        pbuf_free(p);
        return err;
    }
    err = output(p, index);
    return err ? err : (ssize_type)len;
}

/* ---- the other calls ---- */

static int packet_bind(struct socket *s, const struct abi_sockaddr_storage *a, unsigned len)
{
    struct packet_sock *ps = packet_of(s);
    struct abi_sockaddr_ll name;
    struct net_interface n;
    if (len < sizeof(name))
        return -EINVAL;
    memcpy(&name, a, sizeof(name));
    if (name.sll_family != AF_PACKET)
        return -EINVAL;
    if (name.sll_ifindex && !netconf_find(NULL, (unsigned)name.sll_ifindex, &n))
        return -ENODEV;
    spin_lock(&table_lock);
    ps->ifindex = (unsigned)name.sll_ifindex;
    if (name.sll_protocol)
        ps->protocol = swap16(name.sll_protocol);
    spin_unlock(&table_lock);
    return 0;
}

static int packet_get_name(struct socket *s, bool peer, struct abi_sockaddr_storage *ret)
{
    struct packet_sock *ps = packet_of(s);
    struct abi_sockaddr_ll name = { .sll_family = AF_PACKET,
                                    .sll_protocol = swap16(ps->protocol),
                                    .sll_ifindex = (int32_t)ps->ifindex };
    struct net_interface n;
    if (peer)
        return -EOPNOTSUPP;
    if (ps->ifindex && netconf_find(NULL, ps->ifindex, &n)) {
        name.sll_hatype = n.flags & IFF_LOOPBACK ? ARPHRD_LOOPBACK : ARPHRD_ETHER;
        name.sll_halen = 6;
        memcpy(name.sll_addr, n.mac, 6);
    }
    memcpy(ret, &name, sizeof(name));
    return NAME_SHORT + name.sll_halen;
}

static ssize_type packet_recv(struct socket *s, struct socket_msg *m)
{
    if (m->flags &
        ~(unsigned)(MSG_PEEK | MSG_DONTWAIT | MSG_TRUNC | MSG_CMSG_CLOEXEC | MSG_ERRQUEUE))
        return -EINVAL;
    return m->flags & MSG_ERRQUEUE ? -EAGAIN : socket_recv_message(s, m);
}

static int packet_recv_empty(struct socket *s)
{
    return 1;
}

static void packet_recv_name(struct socket *s, struct netmsg *m, struct socket_msg *to)
{
    if (!to->name)
        return;
    memcpy(to->name, m->name, m->name_len);
    to->name_len = m->name_len;
}

static bool packet_recv_control(struct socket *s, struct netmsg *m, struct socket_msg *to,
                                bool peek)
{
    struct abi_tpacket_auxdata aux = { .tp_status = TP_STATUS_USER,
                                       .tp_len = m->info.word[0],
                                       .tp_snaplen = m->len,
                                       .tp_net = s->type == SOCK_RAW ? ETH_HEADER : 0 };
    if (packet_of(s)->auxdata)
        socket_put_control(to, SOL_PACKET, PACKET_AUXDATA, &aux, sizeof(aux));
    return false;
}

static unsigned packet_poll(struct socket *s)
{
    unsigned events = SOCKET_OUT;
    if (s->error)
        events |= EPOLLERR;
    if (*(struct netmsg *volatile *)&s->rq.head || packet_ring_ready(packet_of(s)))
        events |= EPOLLIN | EPOLLRDNORM;
    return events;
}

static int set_membership(struct packet_sock *ps, int name, const void *value, unsigned len)
{
    struct abi_packet_mreq m;
    struct net_interface n;
    if (len < sizeof(m))
        return -EINVAL;
    memcpy(&m, value, sizeof(m));
    if (!netconf_find(NULL, (unsigned)m.mr_ifindex, &n))
        return -ENODEV;
    if (m.mr_type > PACKET_MR_UNICAST)
        return -EINVAL;
    bool add = name == PACKET_ADD_MEMBERSHIP;
    if (m.mr_type != PACKET_MR_PROMISC)
        return 0; /* interfaces take every frame that the device gives */
    if (!add && !ps->promisc)
        return -EADDRNOTAVAIL;
    ps->promisc += add ? 1 : -1u;
    return 0;
}

static int set_number(struct packet_sock *ps, int name, int v)
{
    switch (name) {
    case PACKET_AUXDATA:
        ps->auxdata = v;
        return 0;
    case PACKET_IGNORE_OUTGOING:
        if (v < 0 || v > 1)
            return -EINVAL;
        ps->ignore_outgoing = v;
        return 0;
    case PACKET_VERSION:
        if (v != TPACKET_V1 && v != TPACKET_V2)
            return -EINVAL;
        if (ps->ring.pages)
            return -EBUSY;
        ps->version = v;
        return 0;
    case PACKET_RESERVE:
        if (v < 0 || v > UINT16_MAX)
            return -EINVAL;
        if (ps->ring.pages)
            return -EBUSY;
        ps->reserve = (uint32_t)v;
        return 0;
    case PACKET_TIMESTAMP:
        return v ? -EINVAL : 0;
    default:
        return -ENOPROTOOPT;
    }
}

static int packet_set_option(struct socket *s, int level, int name, const void *value, unsigned len)
{
    struct packet_sock *ps = packet_of(s);
    struct abi_tpacket_req req;
    int v;
    if (level == SOL_SOCKET && name == SO_ATTACH_FILTER)
        return socket_filter_attach(s, value, len);
    if (level == SOL_SOCKET && name == SO_DETACH_FILTER)
        return socket_filter_detach(s);
    if (level != SOL_PACKET)
        return -ENOPROTOOPT;
    if (name == PACKET_ADD_MEMBERSHIP || name == PACKET_DROP_MEMBERSHIP)
        return set_membership(ps, name, value, len);
    if (name == PACKET_RX_RING) {
        if (len < sizeof(req))
            return -EINVAL;
        memcpy(&req, value, sizeof(req));
        mutex_lock(&s->recv_lock);
        int err = packet_ring_set(ps, &req);
        mutex_unlock(&s->recv_lock);
        return err;
    }
    if (len < sizeof(v))
        return -EINVAL;
    memcpy(&v, value, sizeof(v));
    return set_number(ps, name, v);
}

static int packet_get_option(struct socket *s, int level, int name, void *value, unsigned *len)
{
    struct packet_sock *ps = packet_of(s);
    struct abi_tpacket_stats st;
    const void *from = &st;
    unsigned size = sizeof(int);
    int v = 0;
    if (level != SOL_PACKET)
        return -ENOPROTOOPT;
    switch (name) {
    case PACKET_STATISTICS:
        spin_lock(&s->lock);
        st = ps->stats;
        ps->stats = (struct abi_tpacket_stats){ 0 };
        spin_unlock(&s->lock);
        st.tp_packets += st.tp_drops;
        size = sizeof(st);
        break;
    case PACKET_HDRLEN:
        if (*len < sizeof(v))
            return -EINVAL;
        memcpy(&v, value, sizeof(v));
        if (v != TPACKET_V2)
            return -EINVAL;
        v = sizeof(struct abi_tpacket2_hdr);
        from = &v;
        break;
    case PACKET_AUXDATA:
    case PACKET_VERSION:
    case PACKET_RESERVE:
        v = name == PACKET_AUXDATA   ? ps->auxdata
            : name == PACKET_VERSION ? ps->version
                                     : (int)ps->reserve;
        from = &v;
        break;
    default:
        return -ENOPROTOOPT;
    }
    if (*len > size)
        *len = size;
    memcpy(value, from, *len);
    return 0;
}

static long packet_ioctl(struct socket *s, unsigned cmd, unsigned long arg)
{
    int n;
    if (cmd == FIONREAD) {
        spin_lock(&s->lock);
        n = s->rq.head ? (int)s->rq.head->len : 0;
        spin_unlock(&s->lock);
    } else if (cmd == SIOCOUTQ) {
        n = (int)s->wmem;
    } else {
        return -ENOTTY;
    }
    return user_put(user_at(user_int_out_t, arg), &n, 1);
}

static struct pagemap *packet_pagemap(struct socket *s)
{
    struct packet_sock *ps = packet_of(s);
    return ps->ring.pages ? &ps->ring.map : NULL;
}

static void packet_close(struct socket *s, bool nonblock)
{
    struct netmsg_queue q;
    spin_lock(&table_lock);
    DL_DELETE2(all, s, list_prev, list_next);
    count--;
    spin_unlock(&table_lock);
    spin_lock(&s->lock);
    q = s->rq;
    s->rq = (struct netmsg_queue){ 0 };
    spin_unlock(&s->lock);
    netmsg_purge(&q);
}

struct each {
    int (*fn)(const struct socket_info *info, void *arg);
    void *arg;
};

static int describe_one(struct socket *s, void *arg)
{
    struct each *e = arg;
    struct packet_sock *ps = packet_of(s);
    struct socket_info info = { .family = AF_PACKET, .type = s->type, .protocol = ps->protocol };
    spin_lock(&s->lock);
    info.rqueue = s->rq.bytes;
    info.ino = s->file ? s->inode->ino : 0;
    spin_unlock(&s->lock);
    info.wqueue = ps->ifindex;
    info.refs = s->refs - 1;
    info.uid = s->uid;
    info.socket = s;
    return e->fn(&info, e->arg);
}

static int packet_each(int protocol, int (*fn)(const struct socket_info *info, void *arg),
                       void *arg)
{
    struct each e = { fn, arg };
    return socket_list_each(&table_lock, &all, describe_one, &e);
}

const struct socket_family packet_family = { AF_PACKET, packet_create, NULL, packet_each };

static const struct socket_ops packet_ops = {
    .bind = packet_bind,
    .name = packet_get_name,
    .send = packet_send,
    .recv = packet_recv,
    .poll = packet_poll,
    .set_option = packet_set_option,
    .get_option = packet_get_option,
    .ioctl = packet_ioctl,
    .pagemap = packet_pagemap,
    .close = packet_close,
    .free = packet_free,
    .recv_empty = packet_recv_empty,
    .recv_name = packet_recv_name,
    .recv_control = packet_recv_control,
};
