/* SPDX-License-Identifier: MIT */
/* AF_NETLINK: what there is, changing it, who is told; sockets as ss asks for them; the ioctls of the same. Linux runs this in
 * a network namespace of its own. */
#define _GNU_SOURCE
#include <t.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static struct {
    struct nlmsghdr h;
    char body[2048];
} rq;
static char answer[65536];
static int seq;

static void begin(int type, int flags, const void *body, size_t n)
{
    memset(&rq, 0, sizeof(rq));
    rq.h.nlmsg_type = (unsigned short)type;
    rq.h.nlmsg_flags = (unsigned short)(NLM_F_REQUEST | flags);
    rq.h.nlmsg_seq = (unsigned)++seq;
    memcpy(rq.body, body, n);
    rq.h.nlmsg_len = (unsigned)(sizeof(rq.h) + NLMSG_ALIGN(n));
}

static void attr(int type, const void *data, size_t n)
{
    struct rtattr *a = (void *)((char *)&rq + rq.h.nlmsg_len);
    a->rta_type = (unsigned short)type;
    a->rta_len = (unsigned short)RTA_LENGTH(n);
    memcpy(RTA_DATA(a), data, n);
    rq.h.nlmsg_len += RTA_SPACE(n);
}

/* Send the request and wait for its acknowledgement. */
static long ask(long s)
{
    rq.h.nlmsg_flags |= NLM_F_ACK;
    CHECK(rq.h.nlmsg_len, call(SYS_sendto, s, &rq, rq.h.nlmsg_len, 0, NULL, 0));
    long n = call(SYS_recvfrom, s, answer, sizeof(answer), 0, NULL, NULL);
    struct nlmsghdr *h = (void *)answer;
    if (n < (long)sizeof(*h) || h->nlmsg_type != NLMSG_ERROR || (int)h->nlmsg_seq != seq)
        return -9999;
    return ((struct nlmsgerr *)NLMSG_DATA(h))->error;
}

static struct rtattr *find_attr(struct nlmsghdr *h, size_t fixed, int type)
{
    char *at = (char *)NLMSG_DATA(h) + NLMSG_ALIGN(fixed), *end = (char *)h + h->nlmsg_len;
    for (; at + sizeof(struct rtattr) <= end;
         at += RTA_ALIGN(((struct rtattr *)(void *)at)->rta_len))
        if (((struct rtattr *)(void *)at)->rta_type == type)
            return (void *)at;
    return NULL;
}

/* Send a dump request; the number of messages for which fits holds; *ret: the last of them. -1: it does not end well. */
static int dump(long s, bool (*fits)(struct nlmsghdr *h), struct nlmsghdr *ret)
{
    static char keep[4096];
    int n = 0;
    rq.h.nlmsg_flags |= NLM_F_DUMP;
    if (call(SYS_sendto, s, &rq, rq.h.nlmsg_len, 0, NULL, 0) < 0)
        return -1;
    for (;;) {
        long left = call(SYS_recvfrom, s, answer, sizeof(answer), 0, NULL, NULL);
        if (left < 16)
            return -1;
        for (struct nlmsghdr *h = (void *)answer; NLMSG_OK(h, left); h = NLMSG_NEXT(h, left)) {
            if (h->nlmsg_type == NLMSG_DONE)
                return n;
            if (h->nlmsg_type == NLMSG_ERROR || (int)h->nlmsg_seq != seq)
                return -1;
            CHECK(NLM_F_MULTI, h->nlmsg_flags & NLM_F_MULTI);
            if (fits && !fits(h))
                continue;
            n++;
            if (ret && h->nlmsg_len <= sizeof(keep)) {
                memcpy(keep, h, h->nlmsg_len);
                *(struct nlmsghdr **)(void *)ret = (void *)keep;
            }
        }
    }
}

static long open_route(void)
{
    return call(SYS_socket, AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
}

static void names(void)
{
    struct sockaddr_nl a = { .nl_family = AF_NETLINK };
    socklen_t n = sizeof(a);
    CHECK(-ESOCKTNOSUPPORT, call(SYS_socket, AF_NETLINK, SOCK_STREAM, NETLINK_ROUTE));
    CHECK(-EPROTONOSUPPORT, call(SYS_socket, AF_NETLINK, SOCK_RAW, 31));
    CHECK(-EPROTONOSUPPORT, call(SYS_socket, AF_NETLINK, SOCK_RAW, 99));
    long s = open_route(), t = open_route();
    CHECK(0, call(SYS_getsockname, s, &a, &n));
    CHECK(12, n);
    CHECK(0, a.nl_pid);
    CHECK(-EINVAL, call(SYS_bind, s, &a, 8));
    CHECK(0, call(SYS_bind, s, &a, sizeof(a)));
    CHECK(0, call(SYS_getsockname, s, &a, &n));
    CHECK(call(SYS_getpid), a.nl_pid);
    CHECK(-EADDRINUSE, call(SYS_bind, t, &a, sizeof(a)));
    a.nl_pid = 0;
    CHECK(0, call(SYS_bind, t, &a, sizeof(a)));
    CHECK(0, call(SYS_getsockname, t, &a, &n));
    CHECK(1, (int)a.nl_pid != call(SYS_getpid) && a.nl_pid != 0);
    a.nl_pid = 12345;
    CHECK(-EINVAL, call(SYS_bind, t, &a, sizeof(a)));
    a.nl_family = AF_INET;
    CHECK(-EINVAL, call(SYS_bind, t, &a, sizeof(a)));
    CHECK(0, call(SYS_getpeername, t, &a, &n));
    CHECK(0, a.nl_pid);
    int on = 1;
    CHECK(0, call(SYS_setsockopt, s, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on)));
    n = sizeof(on);
    on = 0;
    CHECK(0, call(SYS_getsockopt, s, SOL_NETLINK, NETLINK_EXT_ACK, &on, &n));
    CHECK(1, on);
    CHECK(-ENOPROTOOPT, call(SYS_setsockopt, s, SOL_NETLINK, 77, &on, sizeof(on)));
    CHECK(-EOPNOTSUPP, call(SYS_listen, s, 1));
    CHECK(-EAGAIN, call(SYS_recvfrom, s, answer, 100, MSG_DONTWAIT, NULL, NULL));
    call(SYS_close, s);
    call(SYS_close, t);
}

static void refuses(long s)
{
    char none[16] = { 0 };
    struct ifinfomsg link = { 0 };
    begin(0x7f0, 0, none, 16);
    CHECK(-EOPNOTSUPP, ask(s));
    begin(RTM_GETLINK, 0, &link, sizeof(link));
    CHECK(-EINVAL, ask(s));
    begin(RTM_GETLINK, 0, &link, sizeof(link));
    attr(IFLA_IFNAME, "nosuch", 7);
    CHECK(-ENODEV, ask(s));
    link.ifi_index = 4711;
    begin(RTM_GETLINK, 0, &link, sizeof(link));
    CHECK(-ENODEV, ask(s));
    begin(RTM_SETLINK, 0, &link, sizeof(link));
    CHECK(-ENODEV, ask(s));
    /* What is no request, or none at all, is taken and not answered. */
    CHECK(8, call(SYS_sendto, s, &rq, 8, 0, NULL, 0));
    rq.h.nlmsg_len = 5000;
    CHECK(32, call(SYS_sendto, s, &rq, 32, 0, NULL, 0));
    rq.h.nlmsg_len = 3;
    CHECK(32, call(SYS_sendto, s, &rq, 32, 0, NULL, 0));
    CHECK(-EAGAIN, call(SYS_recvfrom, s, answer, 100, MSG_DONTWAIT, NULL, NULL));
    CHECK(-EFAULT, call(SYS_sendto, s, T_BAD, 32, 0, NULL, 0));
    /* The error echoes the request. */
    begin(RTM_GETLINK, NLM_F_ACK, &(struct ifinfomsg){ 0 }, sizeof(link));
    attr(IFLA_IFNAME, "nosuch", 7);
    CHECK(rq.h.nlmsg_len, call(SYS_sendto, s, &rq, rq.h.nlmsg_len, 0, NULL, 0));
    CHECK(36 + rq.h.nlmsg_len - 16, call(SYS_recvfrom, s, answer, sizeof(answer), 0, NULL, NULL));
    CHECK(0, memcmp(answer + 20, &rq, rq.h.nlmsg_len));
}

static bool is_lo(struct nlmsghdr *h)
{
    struct rtattr *name = find_attr(h, sizeof(struct ifinfomsg), IFLA_IFNAME);
    return h->nlmsg_type == RTM_NEWLINK && name && !strcmp(RTA_DATA(name), "lo");
}

static struct nlmsghdr *get_lo(long s)
{
    struct nlmsghdr *h = NULL;
    begin(RTM_GETLINK, 0, &(struct ifinfomsg){ 0 }, sizeof(struct ifinfomsg));
    CHECK(1, dump(s, is_lo, (void *)&h));
    return h;
}

static void links(long s)
{
    struct ifinfomsg link = { .ifi_index = 1, .ifi_flags = IFF_UP, .ifi_change = IFF_UP };
    struct sockaddr_nl group = { .nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK };
    long told = open_route();
    CHECK(0, call(SYS_bind, told, &group, sizeof(group)));
    begin(RTM_SETLINK, 0, &link, sizeof(link));
    CHECK(0, ask(s));
    unsigned mtu = 30000;
    begin(RTM_SETLINK, 0, &(struct ifinfomsg){ .ifi_index = 1 }, sizeof(link));
    attr(IFLA_MTU, &mtu, sizeof(mtu));
    CHECK(0, ask(s));
    struct nlmsghdr *h = get_lo(s);
    struct ifinfomsg *i = NLMSG_DATA(h);
    CHECK(1, i->ifi_index);
    CHECK(772, i->ifi_type);
    CHECK(IFF_UP | IFF_LOOPBACK | IFF_RUNNING | 0x10000, i->ifi_flags);
    CHECK(30000, *(int *)RTA_DATA(find_attr(h, sizeof(*i), IFLA_MTU)));
    CHECK(6 + 4, find_attr(h, sizeof(*i), IFLA_ADDRESS)->rta_len);
    CHECK(1, find_attr(h, sizeof(*i), IFLA_STATS64) != NULL);
    mtu = 65536;
    begin(RTM_SETLINK, 0, &(struct ifinfomsg){ .ifi_index = 1 }, sizeof(link));
    attr(IFLA_MTU, &mtu, sizeof(mtu));
    CHECK(0, ask(s));
    begin(RTM_GETLINK, 0, &(struct ifinfomsg){ 0 }, sizeof(link));
    attr(IFLA_IFNAME, "lo", 3);
    CHECK(rq.h.nlmsg_len, call(SYS_sendto, s, &rq, rq.h.nlmsg_len, 0, NULL, 0));
    CHECK(1, call(SYS_recvfrom, s, answer, sizeof(answer), 0, NULL, NULL) > 32);
    CHECK(1, is_lo((void *)answer));
    struct sockaddr_nl from = { 0 };
    socklen_t n = sizeof(from);
    CHECK(1, call(SYS_recvfrom, told, answer, sizeof(answer), MSG_DONTWAIT, &from, &n) > 32);
    CHECK(12, n);
    CHECK(0, from.nl_pid);
    CHECK(RTMGRP_LINK, from.nl_groups);
    CHECK(1, is_lo((void *)answer));
    CHECK(0, ((struct nlmsghdr *)answer)->nlmsg_seq);
    call(SYS_close, told);
}

static unsigned wanted; /* address, network order */

static bool is_wanted(struct nlmsghdr *h)
{
    struct rtattr *a = find_attr(h, sizeof(struct ifaddrmsg), IFA_LOCAL);
    return h->nlmsg_type == RTM_NEWADDR && a && *(unsigned *)RTA_DATA(a) == wanted;
}

static int count_addr(long s, unsigned addr)
{
    wanted = addr;
    begin(RTM_GETADDR, 0, &(struct rtgenmsg){ AF_INET }, sizeof(struct rtgenmsg));
    return dump(s, is_wanted, NULL);
}

static long change_addr(long s, int type, int flags, unsigned addr, int prefix)
{
    struct ifaddrmsg m = { .ifa_family = AF_INET,
                           .ifa_prefixlen = (unsigned char)prefix,
                           .ifa_index = 1 };
    begin(type, flags, &m, sizeof(m));
    attr(IFA_LOCAL, &addr, sizeof(addr));
    return ask(s);
}

static long try_bind(unsigned addr)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = addr };
    long u = call(SYS_socket, AF_INET, SOCK_DGRAM, 0);
    long err = call(SYS_bind, u, &a, sizeof(a));
    call(SYS_close, u);
    return err;
}

static void addresses(long s)
{
    unsigned a = inet_addr("10.11.12.13"), b = inet_addr("10.11.12.14");
    CHECK(1, count_addr(s, inet_addr("127.0.0.1")));
    CHECK(0, count_addr(s, a));
    CHECK(-EADDRNOTAVAIL, try_bind(a));
    CHECK(0, change_addr(s, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, a, 24));
    CHECK(-EEXIST, change_addr(s, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, a, 24));
    CHECK(0, change_addr(s, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, b, 24));
    CHECK(-EINVAL, change_addr(s, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, b, 33));
    CHECK(1, count_addr(s, a));
    CHECK(1, count_addr(s, b));
    CHECK(0, try_bind(a));
    CHECK(0, try_bind(b));
    CHECK(0, change_addr(s, RTM_DELADDR, 0, b, 24));
    CHECK(-EADDRNOTAVAIL, change_addr(s, RTM_DELADDR, 0, b, 24));
    CHECK(0, change_addr(s, RTM_DELADDR, 0, a, 24));
    CHECK(-EADDRNOTAVAIL, try_bind(a));
    CHECK(-EADDRNOTAVAIL, try_bind(b));
    struct ifaddrmsg m = { .ifa_family = AF_INET, .ifa_prefixlen = 24, .ifa_index = 4711 };
    begin(RTM_NEWADDR, NLM_F_CREATE, &m, sizeof(m));
    attr(IFA_LOCAL, &a, sizeof(a));
    CHECK(-ENODEV, ask(s));
    m.ifa_index = 1;
    begin(RTM_NEWADDR, NLM_F_CREATE, &m, sizeof(m));
    CHECK(-EINVAL, ask(s));
}

static bool is_route(struct nlmsghdr *h)
{
    struct rtattr *a = find_attr(h, sizeof(struct rtmsg), RTA_DST);
    struct rtmsg *m = NLMSG_DATA(h);
    return h->nlmsg_type == RTM_NEWROUTE && m->rtm_table == RT_TABLE_MAIN && a &&
           *(unsigned *)RTA_DATA(a) == wanted;
}

static long change_route(long s, int type, int flags, const char *dst, int prefix, const char *via)
{
    struct rtmsg m = { .rtm_family = AF_INET,
                       .rtm_dst_len = (unsigned char)prefix,
                       .rtm_table = RT_TABLE_MAIN,
                       .rtm_protocol = RTPROT_BOOT,
                       .rtm_scope = via ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK,
                       .rtm_type = RTN_UNICAST };
    unsigned d = inet_addr(dst), g = via ? inet_addr(via) : 0;
    int lo = 1;
    begin(type, flags, &m, sizeof(m));
    attr(RTA_DST, &d, 4);
    if (via)
        attr(RTA_GATEWAY, &g, 4);
    else
        attr(RTA_OIF, &lo, sizeof(lo));
    return ask(s);
}

static void routes(long s)
{
    enum { NEW = NLM_F_CREATE | NLM_F_EXCL };
    wanted = inet_addr("10.99.0.0");
    CHECK(0, change_route(s, RTM_NEWROUTE, NEW, "10.99.0.0", 16, NULL));
    CHECK(-EEXIST, change_route(s, RTM_NEWROUTE, NEW, "10.99.0.0", 16, NULL));
    CHECK(0, change_route(s, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, "10.99.0.0", 16, NULL));
    begin(RTM_GETROUTE, 0, &(struct rtmsg){ .rtm_family = AF_INET }, sizeof(struct rtmsg));
    CHECK(1, dump(s, is_route, NULL));
    CHECK(0, change_route(s, RTM_DELROUTE, 0, "10.99.0.0", 16, NULL));
    CHECK(-ESRCH, change_route(s, RTM_DELROUTE, 0, "10.99.0.0", 16, NULL));
    CHECK(-ENETUNREACH, change_route(s, RTM_NEWROUTE, NEW, "10.98.0.0", 16, "10.200.0.1"));
    CHECK(-EINVAL, change_route(s, RTM_NEWROUTE, NEW, "10.98.0.1", 16, NULL));
    unsigned d = inet_addr("127.0.0.1");
    begin(RTM_GETROUTE, 0, &(struct rtmsg){ .rtm_family = AF_INET, .rtm_dst_len = 32 },
          sizeof(struct rtmsg));
    attr(RTA_DST, &d, 4);
    CHECK(rq.h.nlmsg_len, call(SYS_sendto, s, &rq, rq.h.nlmsg_len, 0, NULL, 0));
    CHECK(1, call(SYS_recvfrom, s, answer, sizeof(answer), 0, NULL, NULL) > 28);
    struct nlmsghdr *h = (void *)answer;
    CHECK(RTM_NEWROUTE, h->nlmsg_type);
    CHECK(RTN_LOCAL, ((struct rtmsg *)NLMSG_DATA(h))->rtm_type);
    CHECK(1, *(int *)RTA_DATA(find_attr(h, sizeof(struct rtmsg), RTA_OIF)));
    begin(RTM_GETNEIGH, 0, &(struct ndmsg){ .ndm_family = AF_INET }, sizeof(struct ndmsg));
    CHECK(0, dump(s, NULL, NULL));
}

static unsigned short port;

static bool is_port(struct nlmsghdr *h)
{
    struct inet_diag_msg *m = NLMSG_DATA(h);
    return m->id.idiag_sport == port && m->idiag_state == 10;
}

static void diagnoses(void)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t n = sizeof(a);
    long s = call(SYS_socket, AF_NETLINK, SOCK_DGRAM, NETLINK_SOCK_DIAG);
    long l = call(SYS_socket, AF_INET, SOCK_STREAM, 0);
    CHECK(0, call(SYS_bind, l, &a, sizeof(a)));
    CHECK(0, call(SYS_listen, l, 5));
    call(SYS_getsockname, l, &a, &n);
    port = a.sin_port;
    struct inet_diag_req_v2 q = { .sdiag_family = AF_INET,
                                  .sdiag_protocol = IPPROTO_TCP,
                                  .idiag_states = 1u << 10,
                                  .idiag_ext = 1 << (INET_DIAG_INFO - 1) };
    struct nlmsghdr *h = NULL;
    begin(SOCK_DIAG_BY_FAMILY, 0, &q, sizeof(q));
    CHECK(1, dump(s, is_port, (void *)&h));
    struct inet_diag_msg *m = NLMSG_DATA(h);
    CHECK(htonl(INADDR_LOOPBACK), m->id.idiag_src[0]);
    CHECK(1, m->idiag_inode != 0);
    CHECK(1, find_attr(h, sizeof(*m), INET_DIAG_INFO) != NULL);
    q.idiag_states = 1u << 1;
    begin(SOCK_DIAG_BY_FAMILY, 0, &q, sizeof(q));
    CHECK(0, dump(s, is_port, NULL));
    q.sdiag_family = 44;
    begin(SOCK_DIAG_BY_FAMILY, NLM_F_DUMP, &q, sizeof(q));
    CHECK(-ENOENT, ask(s));
    call(SYS_close, l);
    call(SYS_close, s);
}

static void ioctls(void)
{
    struct ifreq r = { .ifr_name = "lo" };
    long s = call(SYS_socket, AF_INET, SOCK_DGRAM, 0);
    CHECK(0, call(SYS_ioctl, s, SIOCGIFINDEX, &r));
    CHECK(1, r.ifr_ifindex);
    CHECK(0, call(SYS_ioctl, s, SIOCGIFFLAGS, &r));
    CHECK(IFF_UP | IFF_LOOPBACK | IFF_RUNNING, r.ifr_flags);
    CHECK(0, call(SYS_ioctl, s, SIOCSIFFLAGS, &r));
    r.ifr_mtu = 20000;
    CHECK(0, call(SYS_ioctl, s, SIOCSIFMTU, &r));
    r.ifr_mtu = 0;
    CHECK(0, call(SYS_ioctl, s, SIOCGIFMTU, &r));
    CHECK(20000, r.ifr_mtu);
    r.ifr_mtu = 65536;
    CHECK(0, call(SYS_ioctl, s, SIOCSIFMTU, &r));
    struct sockaddr_in *a = (void *)&r.ifr_addr;
    CHECK(0, call(SYS_ioctl, s, SIOCGIFADDR, &r));
    CHECK(htonl(INADDR_LOOPBACK), a->sin_addr.s_addr);
    CHECK(0, call(SYS_ioctl, s, SIOCGIFNETMASK, &r));
    CHECK(htonl(0xff000000), a->sin_addr.s_addr);
    CHECK(0, call(SYS_ioctl, s, SIOCGIFHWADDR, &r));
    CHECK(772, r.ifr_hwaddr.sa_family);
    strcpy(r.ifr_name, "nosuch");
    CHECK(-ENODEV, call(SYS_ioctl, s, SIOCGIFMTU, &r));
    CHECK(-ENODEV, call(SYS_ioctl, s, SIOCSIFMTU, &r));
    call(SYS_close, s);
}

int main(void)
{
    if (!t_alcove())
        CHECK(0, unshare((geteuid() ? CLONE_NEWUSER : 0) |
                         CLONE_NEWNET)); /* a chroot has no user namespaces */
    long s = open_route();
    names();
    refuses(s);
    links(s);
    addresses(s);
    routes(s);
    diagnoses();
    ioctls();
    call(SYS_close, s);
    return t_end();
}
