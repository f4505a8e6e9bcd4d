/* SPDX-License-Identifier: MIT */
/* The protocol stack, sockets included, behind the real driver and ring: the input is a list of frames that come, most of them
 * with lengths, checksums and sequence numbers put right so that they get far, and of calls that a program makes meanwhile. After
 * each input a datagram still reaches its socket. */
#include "../unit/boot.h"
#include "fake.h"
#include "virtio/net.h"

#include <abi/fcntl.h>
#include <abi/socket.h>
#include <base/log.h>
#include <libos/mm.h>
#include <libos/net.h>
#include <libos/page.h>
#include <libos/process.h>
#include <libos/random.h>
#include <libos/sched.h>
#include <libos/thread.h>
#include <libos/time.h>
#include <libos/vfs.h>
#include <plat/host.h>
#include <plat/mem.h>
#include <plat/upcall.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int fuzz_main(int argc, char **argv);
#undef main

enum {
    ETHER = 14,
    IP4 = 20,
    IP6 = 40,
    FRAME = 1600,
    ECHO_PORT = 7,
    TCP_PORT = 80,
    PEER_PORT = 4000,
    KEPT = 8, /* connections that the program has */
    AS_IT_IS = 0x40,
};
static const uint8_t guest_mac[6] = { 2, 0, 0, 0, 0, 1 }, peer_mac[6] = { 2, 0, 0, 0, 0, 2 };
static const uint8_t guest_ip[4] = { 10, 0, 2, 15 }, peer_ip[4] = { 10, 0, 2, 2 };
static const uint8_t guest_ip6[16] = { 0xfe, 0x80, [11] = 0xff, 0xfe, [15] = 1 };

static const uint8_t *input;
static size_t left;
static uint8_t frame[FRAME];
static long echo = -1, listener = -1, kept[KEPT];
static uint32_t its_seq, its_ack; /* of the last TCP segment that the guest sent */
static uint32_t inputs;           /* each has ports of its own */
static int arg_count;
static char **arg_values;

static uint32_t take(unsigned bytes)
{
    uint32_t v = 0;
    for (unsigned i = 0; i < bytes && left; i++, left--)
        v |= (uint32_t)*input++ << 8 * i;
    return v;
}

static void put16(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

static void put32(uint8_t *p, uint32_t v)
{
    put16(p, v >> 16);
    put16(p + 2, v);
}

static uint32_t get32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static uint32_t sum(const uint8_t *p, size_t n, uint32_t s)
{
    for (size_t i = 0; i + 1 < n; i += 2)
        s += (uint32_t)p[i] << 8 | p[i + 1];
    if (n & 1)
        s += (uint32_t)p[n - 1] << 8;
    while (s >> 16)
        s = (s & 0xffff) + (s >> 16);
    return s;
}

/* The host's own signals bring the timer's interrupts. What is libOS's own here, and called as no program could, must not be
 * interrupted: they come between two inputs only. */
static void interrupts(bool on)
{
    enum { BLOCK, UNBLOCK }; /* of rt_sigprocmask(2) */
    uint64_t all = UINT64_MAX;
    syscall(SYS_rt_sigprocmask, on ? UNBLOCK : BLOCK, &all, NULL, sizeof(all));
}

/* What the guest sent: remember where its connection is, give the frames back. */
static void drain(void)
{
    struct fake_chain c;
    while (fake_take(1, &c)) {
        uint8_t bytes[128];
        size_t n = 0;
        for (unsigned i = 0; i < c.n && n < sizeof(bytes); i++) {
            size_t part = c.part[i].len < sizeof(bytes) - n ? c.part[i].len : sizeof(bytes) - n;
            memcpy(bytes + n, c.part[i].p, part);
            n += part;
        }
        const uint8_t *ip = bytes + NET_HEADER_BYTES + ETHER, *tcp = ip + IP4;
        if (n >= NET_HEADER_BYTES + ETHER + IP4 + 20 && ip[0] == 0x45 && ip[9] == 6) {
            its_seq = get32(tcp + 4) + (tcp[13] & 2 ? 1 : 0);
            its_ack = get32(tcp + 8);
        }
        fake_use(1, c.head, 0);
    }
    fake_interrupt(false);
}

/* Have the frame of n bytes come in; the device says that its checksums were right. */
static void deliver(size_t n)
{
    struct net_header h = { .flags = NET_HDR_VALID, .num_buffers = 1 };
    struct fake_chain c;
    if (!fake_take(0, &c))
        return;
    memcpy(c.part[0].p, &h, sizeof(h));
    memcpy(c.part[0].p + sizeof(h), frame, n);
    fake_use(0, c.head, (uint32_t)(sizeof(h) + n));
    fake_interrupt(false);
    drain();
}

static size_t fill(size_t at, size_t max)
{
    size_t n = take(1) | (take(1) & 3) << 8;
    n = n < max ? n : max;
    memset(frame + at, 0, n);
    for (size_t i = 0; i < n && left; i++)
        frame[at + i] = (uint8_t)take(1);
    return n;
}

static void ether(uint32_t type, bool all)
{
    memcpy(frame, guest_mac, 6);
    if (all)
        memset(frame, 0xff, 6);
    memcpy(frame + 6, peer_mac, 6);
    put16(frame + 12, type);
}

/* An IPv4 header before n bytes of protocol. A fragment when where is not 0. */
static void ip4(uint32_t protocol, size_t n, uint32_t where)
{
    uint8_t *p = frame + ETHER;
    ether(0x0800, false);
    memset(p, 0, IP4);
    p[0] = 0x45;
    put16(p + 2, (uint32_t)(IP4 + n));
    put16(p + 4, where ? 77 : 0);
    put16(p + 6, where);
    p[8] = 64;
    p[9] = (uint8_t)protocol;
    memcpy(p + 12, peer_ip, 4);
    memcpy(p + 16, guest_ip, 4);
    put16(p + 10, ~sum(p, IP4, 0) & 0xffff);
    deliver(ETHER + IP4 + n);
}

static void tcp(uint32_t from, uint32_t flags, int seq, int ack, size_t options_and_data)
{
    uint8_t *p = frame + ETHER + IP4;
    put16(p, PEER_PORT + (inputs * 16 + from % 16) % 60000);
    put16(p + 2, TCP_PORT);
    put32(p + 4, its_ack + (uint32_t)seq);
    put32(p + 8, its_seq + (uint32_t)ack);
    p[13] = (uint8_t)flags;
    ip4(6, 20 + options_and_data, 0);
}

static void tcp_of_input(void)
{
    uint32_t from = take(1), flags = take(1);
    int seq = (int8_t)take(1), ack = (int8_t)take(1);
    memset(frame + ETHER + IP4, 0, 20);
    frame[ETHER + IP4 + 12] = (uint8_t)(take(1) & 3 ? 0x50 : take(1)); /* where data begin */
    put16(frame + ETHER + IP4 + 14, take(2));
    put16(frame + ETHER + IP4 + 18, take(1));
    tcp(from, flags, seq, ack, fill(ETHER + IP4 + 20, 1400));
}

/* A connection as a client makes it. */
static void handshake(void)
{
    uint32_t from = take(1);
    memset(frame + ETHER + IP4, 0, 20);
    frame[ETHER + IP4 + 12] = 0x50;
    put16(frame + ETHER + IP4 + 14, 8192);
    its_ack = take(4);
    its_seq = 0;
    tcp(from, 2, 0, 0, 0);
    tcp(from, 0x10, 0, 0, 0);
}

static void udp(uint32_t port, size_t n)
{
    uint8_t *p = frame + ETHER + IP4;
    put16(p, PEER_PORT);
    put16(p + 2, port);
    put16(p + 4, (uint32_t)(8 + n));
    put16(p + 6, 0);
    ip4(17, 8 + n, 0);
}

static void icmp(uint32_t kind)
{
    uint8_t *p = frame + ETHER + IP4;
    size_t n = fill(ETHER + IP4, 1000);
    if (n >= 4 && !(kind & AS_IT_IS)) {
        put16(p + 2, 0);
        put16(p + 2, ~sum(p, n, 0) & 0xffff);
    }
    ip4(1, n, 0);
}

static void ip6(uint32_t kind)
{
    uint8_t *p = frame + ETHER;
    uint32_t next = kind & 0x20 ? 58 : take(1);
    size_t n = fill(ETHER + IP6, 1200);
    ether(0x86dd, false);
    memset(p, 0, IP6);
    p[0] = 0x60;
    put16(p + 4, (uint32_t)n);
    p[6] = (uint8_t)next;
    p[7] = 255;
    memcpy(p + 8, guest_ip6, 16);
    p[23] = 2; /* the neighbour */
    memcpy(p + 24, guest_ip6, 16);
    if (next == 58 && n >= 4 && !(kind & AS_IT_IS)) {
        uint8_t tail[8] = { 0, 0, (uint8_t)(n >> 8), (uint8_t)n, 0, 0, 0, 58 };
        put16(p + IP6 + 2, 0);
        put16(p + IP6 + 2, ~sum(tail, 8, sum(p + 8, 32, sum(p + IP6, n, 0))) & 0xffff);
    }
    deliver(ETHER + IP6 + n);
}

static void arp(void)
{
    static const uint8_t head[] = { 0, 1, 8, 0, 6, 4, 0 };
    uint8_t *p = frame + ETHER;
    uint32_t op = take(1);
    ether(0x0806, op & 0x80);
    memset(p, 0, 28);
    memcpy(p, head, sizeof(head));
    p[7] = (uint8_t)(op & 3);
    memcpy(p + 8, peer_mac, 6);
    memcpy(p + 14, peer_ip, 4);
    p[17] = (uint8_t)take(1);
    memcpy(p + 24, guest_ip, 4);
    deliver(ETHER + 28);
}

/* What a server does: take connections, read, answer, close. */
static void program_acts(uint32_t what)
{
    static char buf[4096];
    long *fd = &kept[what % KEPT];
    if (*fd < 0) {
        *fd = plat_host_syscall(SYS_accept4, listener, 0, 0, SOCK_NONBLOCK, 0, 0);
    } else if (what & 8) {
        plat_host_syscall(SYS_recvfrom, *fd, (long)buf, sizeof(buf), 0, 0, 0);
    } else if (what & 16) {
        plat_host_syscall(SYS_sendto, *fd, (long)buf, 1 + what * 13 % 4000, MSG_NOSIGNAL, 0, 0);
    } else {
        plat_host_syscall(SYS_close, *fd, 0, 0, 0, 0, 0);
        *fd = -1;
    }
    drain();
}

static void act(void)
{
    uint32_t kind = take(1);
    size_t n;
    switch (kind & 15) {
    case 0:
        n = fill(0, 1500);
        if (!(kind & 0x80))
            memcpy(frame, guest_mac, 6);
        deliver(n < 60 ? 60 : n);
        break;
    case 1: /* a fragment */
        ip4(take(1), fill(ETHER + IP4, 1400), take(2));
        break;
    case 2:
    case 3:
    case 4:
        tcp_of_input();
        break;
    case 5:
        handshake();
        break;
    case 6:
        udp(take(1), fill(ETHER + IP4 + 8, 1400));
        break;
    case 7:
        icmp(kind);
        break;
    case 8:
    case 9:
        ip6(kind);
        break;
    case 10:
        arp();
        break;
    case 11: /* any IPv4 header, with the right sum or as it is */
        n = fill(ETHER, 1500);
        ether(0x0800, kind & 0x80);
        if (n >= IP4 && !(kind & AS_IT_IS)) {
            size_t header = (frame[ETHER] & 15) * 4u;
            put16(frame + ETHER + 10, 0);
            if (header >= IP4 && header <= n)
                put16(frame + ETHER + 10, ~sum(frame + ETHER, header, 0) & 0xffff);
        }
        deliver(ETHER + n);
        break;
    default:
        program_acts(take(1));
        break;
    }
}

/* A datagram comes through, whatever was before. */
static void still_serves(void)
{
    static uint32_t serial;
    uint32_t got = 0, n;
    char old[2048];
    serial++;
    while (plat_host_syscall(SYS_recvfrom, echo, (long)old, sizeof(old), 0, 0, 0) >= 0)
        ;
    memcpy(frame + ETHER + IP4 + 8, &serial, sizeof(serial));
    udp(ECHO_PORT, sizeof(serial));
    n = (uint32_t)plat_host_syscall(SYS_recvfrom, echo, (long)&got, sizeof(got), 0, 0, 0);
    must(n == sizeof(got) && got == serial);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    input = data;
    left = size;
    while (left)
        act();
    for (unsigned i = 0; i < KEPT; i++)
        if (kept[i] >= 0) {
            plat_host_syscall(SYS_close, kept[i], 0, 0, 0, 0, 0);
            kept[i] = -1;
        }
    for (long fd; (fd = plat_host_syscall(SYS_accept4, listener, 0, 0, 0, 0, 0)) >= 0;)
        plat_host_syscall(SYS_close, fd, 0, 0, 0, 0, 0);
    drain();
    still_serves();
    inputs++;
    interrupts(true);
    interrupts(false);
    return 0;
}

/* ---- the machine ---- */

static long bound(int type, uint16_t port)
{
    uint8_t a[16] = { AF_INET };
    long s = plat_host_syscall(SYS_socket, AF_INET, type | SOCK_NONBLOCK, 0, 0, 0, 0);
    put16(a + 2, port);
    must(s >= 0 && plat_host_syscall(SYS_bind, s, (long)a, sizeof(a), 0, 0, 0) == 0);
    return s;
}

static void program(void)
{
    interrupts(false);
    echo = bound(SOCK_DGRAM, ECHO_PORT);
    listener = bound(SOCK_STREAM, TCP_PORT);
    must(plat_host_syscall(SYS_listen, listener, 16, 0, 0, 0, 0) == 0);
    for (unsigned i = 0; i < KEPT; i++)
        kept[i] = -1;
    still_serves();
    int status = fuzz_main(arg_count, arg_values);
    struct net_counters c;
    net_counters(&c);
    printf("%u packets came, %u TCP segments, %u connections, %u UDP, %u ICMP; %u were sent\n",
           c.ip_in, c.tcp_in, c.tcp_passive, c.udp_in, c.icmp_in, c.ip_out);
    fflush(NULL);
    _exit(status);
}

static void first(void *arg)
{
    static const struct net_config config = { .ip = "10.0.2.15/24", .gateway = "10.0.2.2" };
    struct mm *mm = mm_create();
    (void)arg;
    must(net_start(&config, "fuzz") == 0);
    must(mm);
    mm->brk_start = mm->brk = mm->mmap_base / 2;
    thread_current()->mm = mm;
    sched_set_mm(mm);
    plat_host_enter(program);
}

static void no_log(enum log_level level, const char *text, size_t len)
{
    (void)level, (void)text, (void)len;
}

int main(int argc, char **argv)
{
    arg_count = argc;
    arg_values = argv;
    boot();
    log_set_sink(no_log);
    fake_init(VIRTIO_NET, VIRTIO_BIT(NET_F_MAC) | VIRTIO_BIT(NET_F_STATUS) |
                              VIRTIO_BIT(NET_F_MRG_RXBUF) | VIRTIO_BIT(NET_F_CSUM) |
                              VIRTIO_BIT(NET_F_GUEST_CSUM));
    memcpy(fake.config, guest_mac, 6);
    fake.config[6] = 1;
    fake_probe();
    net_init();
    boot_enter(first);
}
