/* SPDX-License-Identifier: MIT */
/* virtio-net against a device that lies (H4, H10 to H12, H17, H18, H20, H21): the frame is dropped or the device reset, and
 * nothing of it reaches the stack. */
#include "fake.h"
#include "setup.h"
#include "virtio/net.h"

#include <errno.h>

#define BASE                                                                                       \
    (VIRTIO_BIT(NET_F_MAC) | VIRTIO_BIT(NET_F_STATUS) | VIRTIO_BIT(NET_F_MRG_RXBUF) |              \
     VIRTIO_BIT(VIRTIO_F_EVENT_IDX))
#define OFFLOADS                                                                                   \
    (VIRTIO_BIT(NET_F_CSUM) | VIRTIO_BIT(NET_F_GUEST_CSUM) | VIRTIO_BIT(NET_F_GUEST_TSO4) |        \
     VIRTIO_BIT(NET_F_HOST_TSO4))

static struct netdev *dev;
static struct net *net;
static unsigned frames, pieces, given_back, changes;
static struct netbuf last;

static void receive(struct netdev *n, unsigned queue, struct netbuf *list)
{
    (void)n, (void)queue;
    while (list) {
        struct netbuf *b = list;
        uint32_t sum = 0;
        list = b->next_frame;
        last = *b;
        frames++;
        for (struct netbuf *p = b; p; p = p->next) {
            /* All of it is there, and within its page. */
            for (uint32_t i = 0; i < p->len; i++)
                sum += p->data[i];
            assert_true(p->data >= (uint8_t *)page_ptr(p->page));
            assert_true(p->data + p->len <= (uint8_t *)page_ptr(p->page) + PAGE_SIZE);
            pieces++;
        }
        (void)sum;
        netbuf_free_frame(b);
    }
}

static void done(struct netdev *n, unsigned queue, struct netdev_tx *list)
{
    (void)n, (void)queue;
    for (; list; list = list->next)
        given_back++;
}

static void changed(struct netdev *n, bool announce)
{
    (void)n, (void)announce;
    changes++;
}

static const struct netdev_user user = { receive, done, changed };

/* The one device of this program: probed once, started again for each test. */
static void start(uint64_t features)
{
    static const uint8_t mac[6] = { 0x52, 0x54, 0, 1, 2, 3 };

    fake.offered = features | VIRTIO_BIT(VIRTIO_F_VERSION_1);
    memcpy(fake.config, mac, 6);
    fake.config[6] = 1;
    fake.ignore_reset = fake.refuse_features = false;
    fake.notify = NULL;
    fake.before_read = NULL;
    frames = pieces = given_back = changes = log_lines = 0;
    if (!net) {
        fake_init(VIRTIO_NET, features);
        memcpy(fake.config, mac, 6);
        fake.config[6] = 1;
        fake_probe();
        dev = netdev_at(0);
        assert_non_null(dev);
        net = dev->data;
        assert_memory_equal(dev->mac, mac, 6);
        assert_int_equal(netdev_attach(dev, &user, NULL), 0);
        return;
    }
    if (!net->dev->failed)
        virtio_fail(net->dev, "next test");
    net->restarts = 0;
    net->dev->features = net->dev->driver->features(fake.offered) & fake.offered;
    net->dev->features |=
        fake.offered & (VIRTIO_BIT(VIRTIO_F_VERSION_1) | VIRTIO_BIT(VIRTIO_F_EVENT_IDX));
    net->restart.fn(&net->restart);
    assert_false(net->dev->failed);
    frames = pieces = given_back = changes = log_lines = 0;
}

#define ALL (BASE | OFFLOADS)

/* Deliver a frame of size bytes behind header h in the next buffer; len: what the used entry says. */
static void deliver_len(const struct net_header *h, uint32_t size, uint32_t len)
{
    struct fake_chain c;

    assert_true(fake_take(0, &c));
    assert_int_equal(c.n, 1);
    assert_int_equal(c.part[0].len, PAGE_SIZE);
    memcpy(c.part[0].p, h, sizeof(*h));
    memset(c.part[0].p + sizeof(*h), 0x11, size);
    fake_use(0, c.head, len);
}

static void deliver(const struct net_header *h, uint32_t size)
{
    deliver_len(h, size, (uint32_t)(size + sizeof(*h)));
    fake_interrupt(false);
}

static const struct net_header plain = { .num_buffers = 1 };

static void honest(void **state)
{
    uint8_t data[3000] = { 1 };
    struct netdev_seg segs[] = { { data, 100 }, { data, 1400 } };
    struct netdev_tx tx = { .segs = segs, .nsegs = 2 };
    struct fake_chain c;

    (void)state;
    start(ALL);
    for (unsigned i = 0; i < 1000; i++) {
        deliver(&plain, 60 + i);
        assert_int_equal(frames, i + 1);
        assert_int_equal(last.total, 60 + i);
    }
    /* Sent: a copy and a list. */
    uint8_t *memory = page_ptr(page_alloc(0, PAGE_KERNEL, 0));
    segs[0] = (struct netdev_seg){ memory, 60 };
    tx.nsegs = 1;
    assert_int_equal(dev->ops->transmit(dev, 0, &tx), 1);
    assert_true(fake_take(1, &c));
    assert_int_equal(c.n, 1);
    assert_int_equal(c.part[0].len, NET_HEADER_BYTES + 60);
    fake_use(1, c.head, 0);
    segs[0] = (struct netdev_seg){ memory, 1000 };
    segs[1] = (struct netdev_seg){ memory + 2000, 400 };
    tx.nsegs = 2;
    assert_int_equal(dev->ops->transmit(dev, 0, &tx), 0);
    assert_true(fake_take(1, &c));
    assert_int_equal(c.n, 3);
    assert_ptr_equal(c.part[2].p, memory + 2000);
    assert_null(dev->ops->reclaim(dev, 0));
    fake_use(1, c.head, 0);
    assert_ptr_equal(dev->ops->reclaim(dev, 0), &tx);
    assert_int_equal(log_lines, 0);
}

static void mergeable(void **state)
{
    struct net_header h = { .num_buffers = 3 };
    struct fake_chain c;

    (void)state;
    start(ALL);
    deliver_len(&h, 4000, 4096);
    for (unsigned i = 0; i < 2; i++) {
        assert_true(fake_take(0, &c));
        fake_use(0, c.head, 1000);
    }
    fake_interrupt(false);
    assert_int_equal(frames, 1);
    assert_int_equal(pieces, 3);
    assert_int_equal(last.total, 4096 - 12 + 2000);
}

/* H4: shorter than its header; what was not written is not read. */
static void h4_short(void **state)
{
    (void)state;
    start(ALL);
    for (uint32_t len = 0; len < 12 + 14; len++)
        deliver_len(&plain, 100, len);
    fake_interrupt(false);
    assert_int_equal(frames, 0);
    assert_false(net->dev->failed);
    deliver(&plain, 60);
    assert_int_equal(frames, 1);
}

/* H21: header fields that contradict the frame. */
static void h21_headers(void **state)
{
    static const struct net_header bad[] = {
        { .num_buffers = 0 },
        { .num_buffers = 1, .flags = 1, .csum_start = 100 },
        { .num_buffers = 1, .flags = 1, .csum_start = 65535, .csum_offset = 65535 },
        { .num_buffers = 1, .flags = 1, .csum_start = 90, .csum_offset = 10 },
        { .num_buffers = 1, .gso = 1 },
        { .num_buffers = 1, .gso = 2, .gso_size = 1000 },
        { .num_buffers = 1, .gso = 0x7f, .gso_size = 1000 },
        { .num_buffers = 1, .gso = 0x80, .gso_size = 1000 },
    };
    const struct net_header good = { .num_buffers = 1,
                                     .flags = 1,
                                     .gso = 0x81,
                                     .gso_size = 50,
                                     .csum_start = 34,
                                     .csum_offset = 16 };

    (void)state;
    start(ALL);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        deliver(&bad[i], 100);
    assert_int_equal(frames, 0);
    assert_false(net->dev->failed);
    deliver(&good, 100);
    assert_int_equal(frames, 1);
    assert_int_equal(last.gso, NETDEV_GSO_TCP4);
    assert_int_equal(last.gso_size, 50);
    assert_int_equal(last.flags, NETBUF_CSUM_PARTIAL);
    assert_int_equal(last.csum_start, 34);
}

/* More buffers than there are, or than were completed: the device is reset, in one line. */
static void h21_too_many_buffers(void **state)
{
    struct net_header h = { .num_buffers = 2 };

    (void)state;
    start(ALL);
    deliver(&h, 100);
    assert_int_equal(frames, 0);
    assert_true(net->dev->failed);
    assert_int_equal(log_lines, 1);
    assert_false(dev->link);
    assert_int_equal(fake.status, 0);
}

static void h12_failure(void **state)
{
    uint8_t *memory = page_ptr(page_alloc(0, PAGE_KERNEL, 0));
    struct netdev_seg seg = { memory, 1400 };
    struct netdev_tx tx[3] = { 0 };

    (void)state;
    start(ALL);
    for (unsigned i = 0; i < 3; i++) {
        tx[i] = (struct netdev_tx){ .segs = &seg, .nsegs = 1 };
        assert_int_equal(dev->ops->transmit(dev, 0, &tx[i]), 0);
    }
    fake_use(1, 777, 0);
    fake_interrupt(false);
    assert_true(net->dev->failed);
    assert_int_equal(given_back, 3); /* nothing is lost */
    assert_int_equal(log_lines, 1);
    assert_int_equal(dev->ops->transmit(dev, 0, &tx[0]), -EIO);
    /* H10: interrupts of a device that is off mean nothing. */
    for (unsigned i = 0; i < 100; i++) {
        fake_interrupt(false);
        fake_interrupt(true);
    }
    assert_int_equal(log_lines, 1);
    /* Nor can one be caught who still has a queue in hand when it goes. */
    virtio_queues_free(net->dev);
    assert_null(dev->ops->reclaim(dev, 0));
    net_rx_interrupt(net->rx[0].q);
    net_tx_interrupt(net->tx[0].q);
    assert_int_equal(log_lines, 1);
    /* It comes back. */
    net->restart.fn(&net->restart);
    assert_false(net->dev->failed);
    assert_true(dev->link);
    deliver(&plain, 60);
    assert_int_equal(frames, 1);
    page_put(page_of(plat_virt_to_phys(memory)));
}

/* H11: a reset that is not confirmed: buffers stay the device's, and it is not started again. */
static void h11_reset_ignored(void **state)
{
    struct page_stats before, after;

    (void)state;
    start(ALL);
    page_stats(&before);
    fake.ignore_reset = true;
    fake_use(0, 4711, 0);
    fake_interrupt(false);
    page_stats(&after);
    assert_true(net->dev->failed);
    assert_true(after.free <= before.free);
    fake.ignore_reset = false;
    fake.status = 0;
}

/* H10: before DRIVER_OK, and out of nothing. */
static void h10_interrupts(void **state)
{
    (void)state;
    start(ALL);
    for (unsigned i = 0; i < 1000; i++)
        fake_interrupt(i & 1);
    assert_int_equal(frames, 0);
    assert_false(net->dev->failed);
    fake.status |= VIRTIO_S_NEEDS_RESET;
    fake_interrupt(true);
    assert_true(net->dev->failed);
    assert_int_equal(log_lines, 1);
}

/* H17: what contradicts itself is not taken. */
static void h17_features(void **state)
{
    uint64_t (*choose)(uint64_t) = net->dev->driver->features;

    (void)state;
    assert_int_equal(choose(VIRTIO_BIT(NET_F_GUEST_TSO4) | VIRTIO_BIT(NET_F_MRG_RXBUF)),
                     VIRTIO_BIT(NET_F_MRG_RXBUF));
    assert_int_equal(choose(VIRTIO_BIT(NET_F_GUEST_TSO4) | VIRTIO_BIT(NET_F_GUEST_CSUM)),
                     VIRTIO_BIT(NET_F_GUEST_CSUM));
    assert_int_equal(choose(VIRTIO_BIT(NET_F_HOST_TSO4)), 0);
    assert_int_equal(
        choose(VIRTIO_BIT(NET_F_MQ) | VIRTIO_BIT(NET_F_CTRL_MAC) | VIRTIO_BIT(NET_F_ANNOUNCE)), 0);
    assert_int_equal(choose(UINT64_MAX) &
                         (VIRTIO_BIT(10) | VIRTIO_BIT(14) | VIRTIO_BIT(28) | VIRTIO_BIT(40)),
                     0);
    start(ALL);
    assert_int_equal(fake.accepted & ~fake.offered, 0);
    virtio_fail(net->dev, "next");
    fake.refuse_features = true; /* FEATURES_OK does not stay */
    net->restart.fn(&net->restart);
    assert_true(net->dev->failed);
    fake.refuse_features = false;
}

/* H18: a configuration that never stands still: bounded. */
static void moving(struct fake *f, unsigned reg)
{
    if (reg >= 0x100)
        f->generation++;
}

static void h18_generation(void **state)
{
    uint16_t v;

    (void)state;
    start(ALL);
    fake.before_read = moving;
    assert_int_equal(virtio_config(net->dev, 6, &v, 2, 2), -EIO);
    fake_interrupt(true);
    assert_false(dev->link); /* what cannot be read counts as down */
    fake.before_read = NULL;
    fake_interrupt(true);
    assert_true(dev->link);
}

static void transmit_checks(void **state)
{
    uint8_t *memory = page_ptr(page_alloc(0, PAGE_KERNEL, 0));
    struct netdev_seg segs[NETDEV_SEGS_MAX + 1];
    struct netdev_tx tx = { .segs = segs, .nsegs = 1 };

    (void)state;
    start(ALL);
    for (unsigned i = 0; i <= NETDEV_SEGS_MAX; i++)
        segs[i] = (struct netdev_seg){ memory, 60 };
    segs[0].len = 13;
    assert_int_equal(dev->ops->transmit(dev, 0, &tx), -EINVAL);
    segs[0].len = 1519;
    assert_int_equal(dev->ops->transmit(dev, 0, &tx), -EINVAL);
    segs[0].len = 0;
    assert_int_equal(dev->ops->transmit(dev, 0, &tx), -EINVAL);
    segs[0].len = UINT32_MAX;
    tx.nsegs = 2;
    assert_int_equal(dev->ops->transmit(dev, 0, &tx), -EINVAL);
    segs[0].len = 60;
    tx.nsegs = NETDEV_SEGS_MAX + 1;
    assert_int_equal(dev->ops->transmit(dev, 0, &tx), -EINVAL);
    tx.nsegs = 1;
    tx.csum = true;
    tx.csum_start = 58;
    tx.csum_offset = 1;
    assert_int_equal(dev->ops->transmit(dev, 0, &tx), -EINVAL);
    tx.csum_start = 34;
    assert_int_equal(dev->ops->transmit(dev, 0, &tx), 1);
    tx.gso = NETDEV_GSO_TCP6; /* not agreed on */
    tx.gso_size = 10;
    assert_int_equal(dev->ops->transmit(dev, 0, &tx), -EINVAL);
    page_put(page_of(plat_virt_to_phys(memory)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(honest),
        cmocka_unit_test(mergeable),
        cmocka_unit_test(h4_short),
        cmocka_unit_test(h21_headers),
        cmocka_unit_test(h21_too_many_buffers),
        cmocka_unit_test(h12_failure),
        cmocka_unit_test(h10_interrupts),
        cmocka_unit_test(h17_features),
        cmocka_unit_test(h18_generation),
        cmocka_unit_test(transmit_checks),
        cmocka_unit_test(h11_reset_ignored),
    };

    setup();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
