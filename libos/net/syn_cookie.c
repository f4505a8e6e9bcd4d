/* SPDX-License-Identifier: MIT */
/* SYN cookies (RFC 4987, 3.6). A listener has at most BACKLOG connections that are half open (TCP_BACKLOG of tcp.h). What comes
 * beyond them is answered without keeping anything: the initial sequence number says, by a keyed hash, that the answer was ours,
 * and how large the peer's segments may be; the time stamp, where the peer has such, says how its window is scaled and
 * whether it understands SACK. When the third segment brings the number back, lwIP is given the first one, made up again from
 * that, and the answer that it makes is not sent. All under the core lock. */
#include "core.h"
#include "ip.h"
#include "tcp_table.h"
#include <base/chacha20.h>
#include <libos/random.h>
#include <lwip/ip.h>
#include <lwip/inet_chksum.h>
#include <lwip/priv/tcp_priv.h>
#include <lwip/sys.h>
#include <plat/time.h>
#include <string.h>

enum {
    PERIOD_S = 64,
    PERIODS = 2, /* for so many a cookie is good, the one that runs included */
    OPT_MSS = 2,
    OPT_SCALE = 3,
    OPT_SACK = 4,
    OPT_TIME = 8,
    TIME_BITS = 6, /* of a time stamp: the scale, and a bit for SACK */
    NO_SCALE = 15,
    HAS_SACK = 16,
    OPTIONS_MAX = 20,
    WINDOW = 65535,
};

/* What a peer's options say. */
struct offer {
    uint16_t mss;
    uint8_t scale; /* NO_SCALE: none */
    bool sack, time;
    uint32_t tsval, tsecr;
};

static const uint16_t sizes[8] = { 536, 1024, 1220, 1300, 1360, 1400, 1440, 1460 };
static uint32_t secret[8];
static uint64_t last_sent_ns; /* 0: no cookie was ever sent */
static bool has_isn, muted;
static uint32_t isn;

bool syn_cookie_isn(uint32_t *ret_isn)
{
    if (has_isn)
        *ret_isn = isn;
    return has_isn;
}

bool syn_cookie_mutes(void)
{
    return muted;
}

void syn_cookie_init(void)
{
    random_bytes(secret, sizeof(secret));
}

static uint32_t period_now(void)
{
    return (uint32_t)(plat_time_ns() / (PERIOD_S * 1000000000ull));
}

/* The cookie of the segment at hand's connection: period (5 bits), size (3), hash (24). */
static uint32_t cookie(const struct tcp_hdr *h, uint32_t peer_isn, uint32_t period, uint32_t size)
{
    struct inet_addr l = addr_of_ip(ip_current_dest_addr()), r = addr_of_ip(ip_current_src_addr());
    uint32_t key[8], block[16];
    for (int i = 0; i < 4; i++) {
        key[i] = secret[i] ^ l.w[i];
        key[i + 4] = secret[i + 4] ^ r.w[i];
    }
    chacha20_block(key, (uint64_t)h->src << 48 | (uint64_t)h->dest << 32 | peer_isn,
                   (uint64_t)period << 3 | size, block);
    return (period & 31) << 27 | size << 24 | (block[0] & 0xffffff);
}

static uint32_t get32(const uint8_t *o)
{
    return (uint32_t)o[0] << 24 | (uint32_t)o[1] << 16 | (uint32_t)o[2] << 8 | o[3];
}

static void put32(uint8_t *o, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        o[i] = (uint8_t)(v >> (24 - 8 * i));
}

static struct offer read_options(const uint8_t *o, unsigned n)
{
    struct offer f = { .mss = 536, .scale = NO_SCALE };
    for (unsigned i = 0, len; i < n && o[i]; i += len) {
        len = o[i] == 1 ? 1 : i + 1 < n ? o[i + 1] : 0;
        if (!len || (len == 1 && o[i] != 1) || i + len > n)
            break;
        if (o[i] == OPT_MSS && len == 4)
            f.mss = (uint16_t)(o[i + 2] << 8 | o[i + 3]);
        else if (o[i] == OPT_SCALE && len == 3)
            f.scale = o[i + 2] < 14 ? o[i + 2] : 14;
        else if (o[i] == OPT_SACK && len == 2)
            f.sack = true;
        else if (o[i] == OPT_TIME && len == 10) {
            f.time = true;
            f.tsval = get32(o + i + 2);
            f.tsecr = get32(o + i + 6);
        }
    }
    return f;
}

/* Options of a SYN at o, a multiple of four bytes; how many. */
static unsigned write_options(uint8_t *o, const struct offer *f)
{
    unsigned n = 4;
    o[0] = OPT_MSS;
    o[1] = 4;
    o[2] = (uint8_t)(f->mss >> 8);
    o[3] = (uint8_t)f->mss;
    if (f->scale != NO_SCALE) {
        const uint8_t scale[4] = { 1, OPT_SCALE, 3, f->scale };
        memcpy(o + n, scale, 4);
        n += 4;
    }
    if (f->time) {
        o[n] = f->sack ? OPT_SACK : 1;
        o[n + 1] = f->sack ? 2 : 1;
        o[n + 2] = OPT_TIME;
        o[n + 3] = 10;
        put32(o + n + 4, f->tsval);
        put32(o + n + 8, f->tsecr);
        n += 12;
    }
    return n;
}

/* A segment with options and no data. NULL: no memory. */
static struct pbuf *segment(const struct tcp_hdr *like, uint32_t seq, uint32_t ack, unsigned flags,
                            const struct offer *f)
{
    uint8_t options[OPTIONS_MAX];
    unsigned n = write_options(options, f);
    struct pbuf *p = pbuf_alloc(PBUF_IP, (u16_t)(TCP_HLEN + n), PBUF_RAM);
    if (!p)
        return NULL;
    struct tcp_hdr *h = p->payload;
    *h = (struct tcp_hdr){ .src = like->src, .dest = like->dest, .wnd = lwip_htons(WINDOW) };
    h->seqno = lwip_htonl(seq);
    h->ackno = lwip_htonl(ack);
    TCPH_HDRLEN_FLAGS_SET(h, (TCP_HLEN + n) / 4, flags);
    memcpy(h + 1, options, n);
    return p;
}

/* Answer a SYN with a cookie. */
static void answer(const struct tcp_hdr *h, struct netif *inp)
{
    struct offer f = read_options((const uint8_t *)(h + 1), TCPH_HDRLEN_BYTES(h) - TCP_HLEN);
    struct tcp_hdr back = { .src = h->dest, .dest = h->src };
    uint32_t peer = lwip_ntohl(h->seqno), size = 7;
    while (size && sizes[size] > f.mss)
        size--;
    uint32_t seq = cookie(h, peer, period_now(), size);
    if (!f.time)
        f.scale = NO_SCALE; /* there is no room to remember it */
    f.tsecr = f.tsval;
    f.tsval = (sys_now() & ~((1u << TIME_BITS) - 1)) | f.scale | (f.sack ? HAS_SACK : 0);
    f.scale = f.scale == NO_SCALE ? NO_SCALE : TCP_RCV_SCALE;
    f.mss = TCP_MSS;
    struct pbuf *p = segment(&back, seq, peer + 1, TCP_SYN | TCP_ACK, &f);
    if (!p)
        return;
    IF__NETIF_CHECKSUM_ENABLED(inp, NETIF_CHECKSUM_GEN_TCP)
    {
        ((struct tcp_hdr *)p->payload)->chksum = ip_chksum_pseudo(
            p, IP_PROTO_TCP, p->tot_len, ip_current_dest_addr(), ip_current_src_addr());
    }
    last_sent_ns = plat_time_ns();
    ip_output_if(p, ip_current_dest_addr(), ip_current_src_addr(), TCP_TTL, 0, IP_PROTO_TCP, inp);
    pbuf_free(p);
}

/* Is the segment the third one of a connection that has a cookie? Then what its first one offered. */
static bool check(const struct tcp_hdr *h, struct offer *ret)
{
    uint32_t number = lwip_ntohl(h->ackno) - 1, peer = lwip_ntohl(h->seqno) - 1;
    uint32_t now = period_now(), age = (now - (number >> 27)) & 31, size = number >> 24 & 7;
    if (age >= PERIODS || cookie(h, peer, now - age, size) != number)
        return false;
    *ret = read_options((const uint8_t *)(h + 1), TCPH_HDRLEN_BYTES(h) - TCP_HLEN);
    ret->mss = sizes[size];
    ret->scale = ret->time ? ret->tsecr & 15 : NO_SCALE;
    ret->sack = ret->time && ret->tsecr & HAS_SACK;
    return true;
}

/* Have lwIP begin the connection, as if its first segment came now. */
static void begin(struct tcp_pcb_listen *l, const struct tcp_hdr *h, const struct offer *f,
                  struct netif *inp)
{
    struct pbuf *syn = segment(h, lwip_ntohl(h->seqno) - 1, 0, TCP_SYN, f);
    u16_t checks = inp->chksum_flags;
    u8_t pending = l->accepts_pending;
    if (!syn)
        return;
    has_isn = muted = true;
    isn = lwip_ntohl(h->ackno) - 1;
    inp->chksum_flags &= (u16_t)~NETIF_CHECKSUM_CHECK_TCP;
    l->accepts_pending = 0;
    tcp_table_input_new(syn, inp);
    l->accepts_pending = (u8_t)(pending + l->accepts_pending);
    inp->chksum_flags = checks;
    has_isn = muted = false;
}

static bool is_sound(struct pbuf *p, struct netif *inp)
{
    unsigned header = TCPH_HDRLEN_BYTES((const struct tcp_hdr *)p->payload);
    if (header < TCP_HLEN || header > p->len ||
        ip_addr_isbroadcast(ip_current_dest_addr(), ip_current_netif()) ||
        ip_addr_ismulticast(ip_current_dest_addr()))
        return false;
    IF__NETIF_CHECKSUM_ENABLED(inp, NETIF_CHECKSUM_CHECK_TCP)
    {
        return !ip_chksum_pseudo(p, IP_PROTO_TCP, p->tot_len, ip_current_src_addr(),
                                 ip_current_dest_addr());
    }
    return true;
}

bool syn_cookie_input(struct tcp_pcb_listen *l, struct pbuf *p, struct netif *inp)
{
    const struct tcp_hdr *h = p->payload;
    unsigned flags = TCPH_FLAGS(h) & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN);
    struct offer f;
    if (flags == TCP_SYN && l->accepts_pending >= l->backlog && is_sound(p, inp)) {
        answer(h, inp);
        pbuf_free(p);
        return true;
    }
    if ((flags & ~TCP_FIN) == TCP_ACK && last_sent_ns &&
        plat_time_ns() - last_sent_ns < PERIODS * PERIOD_S * 1000000000ull && is_sound(p, inp) &&
        check(h, &f)) {
        begin(l, h, &f, inp);
        tcp_table_input(p, inp);
        return true;
    }
    return false;
}
