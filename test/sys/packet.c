/* SPDX-License-Identifier: MIT */
/* AF_PACKET's calls, filters and ring, as far as they need no interface but the loopback. test/guest/net sends and captures.
 * Linux runs this in a network namespace of its own. */
#define _GNU_SOURCE
#include <t.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

static char buf[4096];

static long open_packet(int type)
{
    return call(SYS_socket, AF_PACKET, type, htons(ETH_P_ALL));
}

static void names(void)
{
    struct sockaddr_ll a = { .sll_family = AF_PACKET,
                             .sll_protocol = htons(ETH_P_IP),
                             .sll_ifindex = 1 };
    socklen_t n = sizeof(a);
    CHECK(-ESOCKTNOSUPPORT, call(SYS_socket, AF_PACKET, SOCK_STREAM, 0));
    long s = open_packet(SOCK_RAW);
    CHECK(-EINVAL, call(SYS_bind, s, &a, 12));
    CHECK(0, call(SYS_bind, s, &a, sizeof(a)));
    memset(&a, 0xff, sizeof(a));
    CHECK(0, call(SYS_getsockname, s, &a, &n));
    CHECK(18, n);
    CHECK(AF_PACKET, a.sll_family);
    CHECK(htons(ETH_P_IP), a.sll_protocol);
    CHECK(1, a.sll_ifindex);
    CHECK(772, a.sll_hatype);
    CHECK(6, a.sll_halen);
    a.sll_ifindex = 4711;
    CHECK(-ENODEV, call(SYS_bind, s, &a, sizeof(a)));
    a.sll_family = AF_INET;
    CHECK(-EINVAL, call(SYS_bind, s, &a, sizeof(a)));
    CHECK(-EOPNOTSUPP, call(SYS_getpeername, s, &a, &n));
    CHECK(-EOPNOTSUPP, call(SYS_connect, s, &a, sizeof(a)));
    CHECK(-EOPNOTSUPP, call(SYS_listen, s, 1));
    CHECK(-EAGAIN, call(SYS_recvfrom, s, buf, sizeof(buf), MSG_DONTWAIT, NULL, NULL));
    struct pollfd p = { (int)s, POLLIN | POLLOUT, 0 };
    CHECK(1, call(SYS_poll, &p, 1, 0));
    CHECK(POLLOUT, p.revents);
    call(SYS_close, s);
    s = open_packet(SOCK_DGRAM);
    CHECK(-ENXIO, call(SYS_sendto, s, buf, 20, 0, NULL, 0));
    call(SYS_close, s);
}

static long attach(long s, const struct sock_filter *prog, int n)
{
    struct sock_fprog p = { (unsigned short)n, (struct sock_filter *)prog };
    return call(SYS_setsockopt, s, SOL_SOCKET, SO_ATTACH_FILTER, &p, sizeof(p));
}

static void filters(void)
{
    static const struct sock_filter good[] = { { 0x28, 0, 0, 12 },     { 0x15, 0, 5, 0x800 },
                                               { 0x30, 0, 0, 23 },     { 0xb1, 0, 0, 14 },
                                               { 0x48, 0, 0, 14 },     { 0x15, 0, 1, 53 },
                                               { 0x06, 0, 0, 262144 }, { 0x06, 0, 0, 0 } };
    static const struct sock_filter runs_out[] = { { 0x28, 0, 0, 12 } };
    static const struct sock_filter jumps_out[] = { { 0x15, 5, 0, 1 }, { 0x06, 0, 0, 0 } };
    static const struct sock_filter no_code[] = { { 0xffff, 0, 0, 0 }, { 0x06, 0, 0, 0 } };
    static const struct sock_filter no_memory[] = { { 0x60, 0, 0, 16 }, { 0x06, 0, 0, 0 } };
    static const struct sock_filter unwritten[] = { { 0x60, 0, 0, 3 }, { 0x06, 0, 0, 0 } };
    static const struct sock_filter divides[] = { { 0x34, 0, 0, 0 }, { 0x06, 0, 0, 0 } };
    static const struct sock_filter remainder[] = { { 0x94, 0, 0, 0 }, { 0x06, 0, 0, 0 } };
    static const struct sock_filter facts[] = {
        { 0x28, 0, 0, (unsigned)SKF_AD_OFF + SKF_AD_PKTTYPE }, { 0x16, 0, 0, 0 }
    };
    long s = open_packet(SOCK_RAW);
    int none = 0;
    CHECK(-ENOENT, call(SYS_setsockopt, s, SOL_SOCKET, SO_DETACH_FILTER, &none, sizeof(none)));
    CHECK(0, attach(s, good, 8));
    CHECK(0, attach(s, facts, 2));
    CHECK(-EINVAL, attach(s, good, 0));
    CHECK(-EINVAL, attach(s, runs_out, 1));
    CHECK(-EINVAL, attach(s, jumps_out, 2));
    CHECK(-EINVAL, attach(s, no_code, 2));
    CHECK(-EINVAL, attach(s, no_memory, 2));
    CHECK(-EINVAL, attach(s, unwritten, 2));
    CHECK(-EINVAL, attach(s, divides, 2));
    CHECK(-EINVAL, attach(s, remainder, 2));
    CHECK(-EFAULT, attach(s, T_BAD, 2));
    CHECK(-EINVAL, call(SYS_setsockopt, s, SOL_SOCKET, SO_ATTACH_FILTER, &none, sizeof(none)));
    CHECK(0, call(SYS_setsockopt, s, SOL_SOCKET, SO_DETACH_FILTER, &none, sizeof(none)));
    CHECK(-ENOENT, call(SYS_setsockopt, s, SOL_SOCKET, SO_DETACH_FILTER, &none, sizeof(none)));
    call(SYS_close, s);
}

static long set(long s, int name, int v)
{
    return call(SYS_setsockopt, s, SOL_PACKET, name, &v, sizeof(v));
}

static void rings(void)
{
    struct tpacket_req r = { 4096, 4, 2048, 8 };
    long s = open_packet(SOCK_RAW);
    int v = TPACKET_V2;
    socklen_t n = sizeof(v);
    CHECK(0, call(SYS_getsockopt, s, SOL_PACKET, PACKET_HDRLEN, &v, &n));
    CHECK(sizeof(struct tpacket2_hdr), v);
    v = 77;
    CHECK(-EINVAL, call(SYS_getsockopt, s, SOL_PACKET, PACKET_HDRLEN, &v, &n));
    CHECK(-EINVAL, set(s, PACKET_VERSION, 77));
    CHECK(0, set(s, PACKET_VERSION, TPACKET_V2));
    CHECK(0, set(s, PACKET_RESERVE, 4));
    r.tp_frame_nr = 7;
    CHECK(-EINVAL, call(SYS_setsockopt, s, SOL_PACKET, PACKET_RX_RING, &r, sizeof(r)));
    r = (struct tpacket_req){ 4000, 4, 2000, 8 };
    CHECK(-EINVAL, call(SYS_setsockopt, s, SOL_PACKET, PACKET_RX_RING, &r, sizeof(r)));
    r = (struct tpacket_req){ 4096, 4, 2049, 4 };
    CHECK(-EINVAL, call(SYS_setsockopt, s, SOL_PACKET, PACKET_RX_RING, &r, sizeof(r)));
    r = (struct tpacket_req){ 4096, 4, 2048, 8 };
    CHECK(0, call(SYS_setsockopt, s, SOL_PACKET, PACKET_RX_RING, &r, sizeof(r)));
    CHECK(-EBUSY, call(SYS_setsockopt, s, SOL_PACKET, PACKET_RX_RING, &r, sizeof(r)));
    CHECK(-EBUSY, set(s, PACKET_VERSION, TPACKET_V1));
    CHECK(-EBUSY, set(s, PACKET_RESERVE, 8));
    unsigned *ring = (void *)call(SYS_mmap, NULL, 16384, PROT_READ | PROT_WRITE, MAP_SHARED, s, 0);
    if (!CHECK(1, (long)ring > 0))
        return;
    struct pollfd p = { (int)s, POLLIN, 0 };
    CHECK(0, call(SYS_poll, &p, 1, 0));
    /* The frame before the next one to be filled is the last. */
    ring[2048 * 7 / 4] = TP_STATUS_USER;
    CHECK(1, call(SYS_poll, &p, 1, 0));
    ring[2048 * 7 / 4] = 0;
    r = (struct tpacket_req){ 0 };
    CHECK(-EBUSY, call(SYS_setsockopt, s, SOL_PACKET, PACKET_RX_RING, &r, sizeof(r)));
    CHECK(0, call(SYS_munmap, ring, 16384));
    CHECK(0, call(SYS_setsockopt, s, SOL_PACKET, PACKET_RX_RING, &r, sizeof(r)));
    struct tpacket_stats st = { 7, 7 };
    n = sizeof(st);
    CHECK(0, call(SYS_getsockopt, s, SOL_PACKET, PACKET_STATISTICS, &st, &n));
    CHECK(0, st.tp_packets);
    CHECK(0, st.tp_drops);
    struct packet_mreq m = { .mr_ifindex = 1, .mr_type = PACKET_MR_PROMISC };
    CHECK(0, call(SYS_setsockopt, s, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &m, sizeof(m)));
    CHECK(0, call(SYS_setsockopt, s, SOL_PACKET, PACKET_DROP_MEMBERSHIP, &m, sizeof(m)));
    m.mr_ifindex = 4711;
    CHECK(-ENODEV, call(SYS_setsockopt, s, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &m, sizeof(m)));
    CHECK(-ENOPROTOOPT, set(s, 99, 1));
    call(SYS_close, s);
}

int main(void)
{
    if (!t_alcove())
        CHECK(0, unshare((geteuid() ? CLONE_NEWUSER : 0) |
                         CLONE_NEWNET)); /* a chroot has no user namespaces */
    struct ifreq up = { .ifr_name = "lo", .ifr_flags = IFF_UP };
    long s = call(SYS_socket, AF_INET, SOCK_DGRAM, 0);
    CHECK(0, call(SYS_ioctl, s, SIOCSIFFLAGS, &up));
    call(SYS_close, s);
    names();
    filters();
    rings();
    return t_end();
}
