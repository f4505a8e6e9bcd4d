/* SPDX-License-Identifier: MIT */
/* Ethernet: the peer sends back each frame that it gets with the addresses exchanged, and, asked for by the type
 * TYPE_FLOOD, the number of frames that the frame's first word says. */
#include "devices_test.h"

#include <abi/errno.h>
#include <libos/dev/netdev.h>
#include <libos/heap.h>
#include <libos/waitq.h>
#include <plat/time.h>
#include <string.h>

enum {
    TYPE_ECHO = 0x88b5,
    TYPE_FLOOD = 0x88b6,
    HEADER = 14,
    BURST = 400,
    FLOOD = 3000,
    FRAME_MAX = 9100
};

static struct waitq wait;
static volatile unsigned echoes, flooded, wrong, sent_back, changes;
static volatile uint32_t next_echo;
static uint8_t mac[6];

/* Byte i of the payload of frame number seq. */
static uint8_t pattern(uint32_t seq, uint32_t i)
{
    return (uint8_t)(seq * 7 + i);
}

static bool check_payload(const struct netbuf *b, uint32_t seq)
{
    uint32_t at = 0;

    for (; b; b = b->next)
        for (uint32_t i = 0; i < b->len; i++, at++)
            if (at >= HEADER + 4u && b->data[i] != pattern(seq, at - HEADER - 4))
                return false;
    return true;
}

static void take(struct netbuf *b)
{
    uint16_t type = (uint16_t)(b->data[12] << 8 | b->data[13]);
    uint32_t seq;

    memcpy(&seq, b->data + HEADER, 4);
    if (type == TYPE_FLOOD) {
        flooded++;
    } else if (type == TYPE_ECHO) {
        if (memcmp(b->data, mac, 6) || seq != next_echo || !check_payload(b, seq))
            wrong++;
        next_echo = seq + 1;
        echoes++;
    }
    netbuf_free_frame(b);
}

static void receive(struct netdev *n, unsigned queue, struct netbuf *frames)
{
    (void)n, (void)queue;
    while (frames) {
        struct netbuf *b = frames;
        frames = b->next_frame;
        take(b);
    }
    waitq_wake(&wait, WAITQ_ALL, 0);
}

struct out {
    struct netdev_tx tx;
    uint8_t data[FRAME_MAX];
};

static void done(struct netdev *n, unsigned queue, struct netdev_tx *list)
{
    (void)n, (void)queue;
    while (list) {
        struct netdev_tx *tx = list;
        list = tx->next;
        heap_free(CONTAINER_OF(tx, struct out, tx));
        sent_back++;
    }
    waitq_wake(&wait, WAITQ_ALL, 0);
}

static void changed(struct netdev *n, bool announce)
{
    (void)n, (void)announce;
    changes++;
}

static const struct netdev_user user = { receive, done, changed };

/* A frame of HEADER + 4 + n bytes in up to parts segments. */
static void send(struct netdev *n, uint16_t type, uint32_t seq, uint32_t size, unsigned parts,
                 bool more)
{
    struct out *o = heap_alloc(sizeof(*o));
    struct netdev_seg segs[NETDEV_SEGS_MAX];
    uint32_t total = HEADER + 4 + size, at = 0;
    int err;

    must(o);
    memset(o->data, 0xff, 6);
    memcpy(o->data + 6, n->mac, 6);
    o->data[12] = (uint8_t)(type >> 8);
    o->data[13] = (uint8_t)type;
    memcpy(o->data + HEADER, &seq, 4);
    for (uint32_t i = 0; i < size; i++)
        o->data[HEADER + 4 + i] = pattern(seq, i);
    for (unsigned i = 0; i < parts; i++) {
        uint32_t len = i + 1 < parts ? total / parts : total - at;
        segs[i] = (struct netdev_seg){ o->data + at, len };
        at += len;
    }
    o->tx = (struct netdev_tx){ .segs = segs, .nsegs = (uint16_t)parts, .more = more };
    while ((err = n->ops->transmit(n, seq % n->queues, &o->tx)) == -EAGAIN)
        must(!WAIT_EVENT(&wait, SLEEP_UNINTERRUPTIBLE, plat_time_ns() + 60 * NS_PER_SEC,
                         (done(n, 0, n->ops->reclaim(n, 0)), true)));
    if (err < 0)
        panic("transmit: %d", err);
    if (err == 1)
        heap_free(o);
}

static void expect(volatile unsigned *count, unsigned want, const char *what)
{
    (void)WAIT_EVENT(&wait, SLEEP_UNINTERRUPTIBLE, plat_time_ns() + 100 * NS_PER_SEC,
                     *count >= want);
    if (*count < want || wrong)
        panic("net: %s: %u of %u, %u wrong", what, *count, want, wrong);
}

static void echo_sizes(struct netdev *n)
{
    static const uint16_t sizes[] = { 42, 60, 100, 226, 240, 500, 1000, 1482 };
    uint32_t seq = 0;

    for (unsigned parts = 1; parts <= 5; parts += 2)
        for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
            send(n, TYPE_ECHO, seq++, sizes[i], parts, false);
            expect(&echoes, seq, "echo");
        }
    if (n->mtu > 4096) {
        send(n, TYPE_ECHO, seq++, n->mtu - 4u, 3, false);
        expect(&echoes, seq, "large frame");
    }
}

void test_net(void)
{
    struct netdev *n = netdev_at(0);
    struct netdev_stats stats;
    uint64_t start;

    if (!n)
        return;
    waitq_init(&wait);
    memcpy(mac, n->mac, 6);
    say("net name=%s mac=%02x:%02x:%02x:%02x:%02x:%02x mtu=%u queues=%u link=%u offloads=0x%x "
        "speed=%u",
        n->name, mac[0], mac[1], mac[2], mac[3], mac[4], mac[5], n->mtu, n->queues, n->link,
        n->offloads, n->speed);
    must(!netdev_attach(n, &user, NULL));
    must(netdev_attach(n, &user, NULL) == -EBUSY);
    echo_sizes(n);
    start = plat_time_ns();
    unsigned before = echoes;
    for (uint32_t i = 0; i < BURST; i++) {
        send(n, TYPE_ECHO, next_echo, 46, 1, false);
        expect(&echoes, before + i + 1, "turn");
    }
    say("net turn_ns=%u", (unsigned)((plat_time_ns() - start) / BURST));
    send(n, TYPE_FLOOD, FLOOD, 100, 1, false);
    expect(&flooded, FLOOD * 9 / 10, "flood"); /* the peer's socket may lose some */
    done(n, 0, n->ops->reclaim(n, 0));
    if (n->ops->filter) {
        static const uint8_t group[1][6] = { { 1, 0, 0x5e, 0, 0, 1 } };
        say("net filter=%d promisc=%d", n->ops->filter(n, 0, group, 1),
            n->ops->filter(n, NETDEV_PROMISC, group, 1));
    }
    n->ops->stats(n, &stats);
    say("net rx=%u tx=%u errors=%u", (unsigned)stats.rx_frames, (unsigned)stats.tx_frames,
        (unsigned)(stats.rx_errors + stats.tx_errors));
}
