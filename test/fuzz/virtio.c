/* SPDX-License-Identifier: MIT */
/* virtio-net, with the real ring and transport, against a device whose acts are the input: completions of anything, jumps of
 * the index, headers, configuration, answers that change between two reads. Frames that reach the stack are read whole. */
#include "fake.h"
#include "virtio/net.h"

#include <base/log.h>
#include <libos/page.h>
#include <libos/random.h>
#include <libos/sched.h>
#include <libos/time.h>
#include <plat/host.h>
#include <plat/mem.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The kernel's. */
_Noreturn void machine_exit(int wait_status);
_Noreturn void machine_exit(int wait_status)
{
    exit(wait_status ? 1 : 0);
}

static const uint8_t *input;
static size_t left;
static struct net *net;
static struct netdev *dev;
static uint64_t lie; /* what the next read of shared memory is changed by */
static uint8_t *memory;
static struct netdev_tx txs[64];
static bool out[64];

static uint32_t take(unsigned bytes)
{
    uint32_t v = 0;

    for (unsigned i = 0; i < bytes && left; i++, left--)
        v |= (uint32_t)*input++ << 8 * i;
    return v;
}

static uint64_t shared_read(const volatile void *p, unsigned bytes, uint64_t value)
{
    (void)p, (void)bytes;
    value ^= lie;
    lie = 0;
    return value;
}

static void receive(struct netdev *n, unsigned queue, struct netbuf *list)
{
    (void)n, (void)queue;
    while (list) {
        struct netbuf *b = list;
        uint32_t total = 0, sum = 0;

        list = b->next_frame;
        for (struct netbuf *p = b; p; p = p->next) {
            must(p->data >= (uint8_t *)page_ptr(p->page) &&
                 p->data + p->len <= (uint8_t *)page_ptr(p->page) + PAGE_SIZE);
            for (uint32_t i = 0; i < p->len; i++)
                sum += p->data[i];
            total += p->len;
        }
        must(total == b->total && total >= NET_ETHER_BYTES && sum != UINT32_MAX);
        if (b->flags & NETBUF_CSUM_PARTIAL)
            must((uint32_t)b->csum_start + b->csum_offset + 2 <= total);
        netbuf_free_frame(b);
    }
}

/* Each comes back once. */
static void done(struct netdev *n, unsigned queue, struct netdev_tx *list)
{
    (void)n, (void)queue;
    for (; list; list = list->next) {
        must(out[list - txs]);
        out[list - txs] = false;
    }
}

static void changed(struct netdev *n, bool announce)
{
    (void)n, (void)announce;
}

static void no_log(enum log_level level, const char *text, size_t len)
{
    (void)level, (void)text, (void)len;
}

static void setup(void)
{
    static const struct netdev_user user = { receive, done, changed };
    const uint64_t features = VIRTIO_BIT(NET_F_MAC) | VIRTIO_BIT(NET_F_STATUS) |
                              VIRTIO_BIT(NET_F_MRG_RXBUF) | VIRTIO_BIT(NET_F_CSUM) |
                              VIRTIO_BIT(NET_F_GUEST_CSUM) | VIRTIO_BIT(NET_F_GUEST_TSO4) |
                              VIRTIO_BIT(NET_F_HOST_TSO4) | VIRTIO_BIT(VIRTIO_F_EVENT_IDX);

    plat_host_init();
    page_init();
    sched_init_cpu(0);
    random_init();
    time_init();
    log_set_sink(no_log);
    memory = page_ptr(page_alloc(0, PAGE_KERNEL, PAGE_ZERO));
    fake_init(VIRTIO_NET, features);
    fake.config[0] = 2;
    fake.config[6] = 1;
    fake_probe();
    dev = netdev_at(0);
    must(dev);
    net = dev->data;
    must(!netdev_attach(dev, &user, NULL));
    fake_set_shared_read(shared_read);
}

static void transmit(void)
{
    struct netdev_seg segs[4];
    unsigned n = take(1) % 4 + 1, i = 0;

    while (i < 64 && out[i])
        i++;
    if (i == 64)
        return;
    for (unsigned k = 0; k < n; k++) {
        uint32_t len = take(2) % 700 + (k == 0);
        segs[k] = (struct netdev_seg){ memory, len };
    }
    txs[i] = (struct netdev_tx){ .segs = segs,
                                 .nsegs = (uint16_t)n,
                                 .more = take(1) & 1,
                                 .csum = take(1) & 1,
                                 .csum_start = (uint16_t)take(2),
                                 .csum_offset = (uint16_t)take(1),
                                 .gso = (uint8_t)(take(1) % 3),
                                 .gso_size = (uint16_t)take(2) };
    out[i] = true;
    if (dev->ops->transmit(dev, 0, &txs[i]) != 0)
        out[i] = false;
}

static void act(void)
{
    struct fake_chain c;
    unsigned queue = take(1);

    switch (queue >> 2 & 7) {
    case 0: /* an honest completion of what comes next, with a header of the input's */
    case 1:
        if (fake_take(queue & 1, &c)) {
            uint32_t len = take(2);
            if (!(queue & 1)) {
                for (unsigned i = 0; i < NET_HEADER_BYTES; i++)
                    c.part[0].p[i] = (uint8_t)take(1);
            }
            fake_use(queue & 1, c.head, queue & 1 ? 0 : len % (PAGE_SIZE + 2));
        }
        break;
    case 2:
        if (fake.queues[queue & 1].ready)
            fake_use(queue & 1, take(queue & 2 ? 1 : 4), take(queue & 2 ? 1 : 4));
        break;
    case 3:
        if (fake.queues[queue & 1].ready)
            fake_set_index(queue & 1, (uint16_t)take(2));
        break;
    case 4:
        fake.config[take(1) % 32] = (uint8_t)take(1);
        fake_interrupt(true);
        break;
    case 5:
        transmit();
        break;
    case 6:
        lie = take(4);
        fake_interrupt(false);
        break;
    default:
        fake_interrupt(false);
        done(dev, 0, dev->ops->reclaim(dev, 0));
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!net)
        setup();
    input = data;
    left = size;
    while (left)
        act();
    fake_interrupt(false);
    lie = 0;
    /* All that was sent comes back, and the device starts again. */
    if (!net->dev->failed)
        virtio_fail(net->dev, "end of input");
    done(dev, 0, dev->ops->reclaim(dev, 0));
    for (unsigned i = 0; i < 64; i++)
        must(!out[i]);
    fake.config[0] = 2;
    fake.config[6] = 1;
    net->restarts = 0;
    net->restart.fn(&net->restart);
    must(!net->dev->failed && dev->link);
    return 0;
}
