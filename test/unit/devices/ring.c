/* SPDX-License-Identifier: MIT */
/* The virtqueue against a device that lies: each rule of the list for the ring core is one test (H1 to H7, H15). */
#include "fake.h"
#include "setup.h"

#include <errno.h>
#include <plat/mem.h>

static struct virtq q;
static uint8_t *buf;

/* The device's view of q, without a transport. */
static void attach_ring(void)
{
    fake_init(VIRTIO_RNG, 0);
    fake.queues[0] = (struct fake_queue){ .max = q.size,
                                          .size = q.size,
                                          .ready = 1,
                                          .desc = q.desc_addr,
                                          .avail = q.avail_addr,
                                          .used = q.used_addr };
}

static int begin(void **state)
{
    (void)state;
    assert_int_equal(virtq_init(&q, 16, true), 0);
    buf = page_ptr(page_alloc(0, PAGE_KERNEL, PAGE_ZERO));
    attach_ring();
    return 0;
}

static int end(void **state)
{
    (void)state;
    virtq_fini(&q);
    page_put(page_of(plat_virt_to_phys(buf)));
    return 0;
}

/* A chain of one piece out and one of 100 bytes in. */
static int put(void *token)
{
    const struct virtq_seg segs[2] = { { .ptr = buf, .len = 10 },
                                       { .ptr = buf + 100, .len = 100 } };

    return virtq_put(&q, segs, 1, 1, token);
}

static int get(void **token)
{
    uint32_t len = 0;
    int got = virtq_get(&q, token, &len);

    return got > 0 ? (int)len + 1000 : got;
}

static void honest(void **state)
{
    struct fake_chain c;
    void *token;

    (void)state;
    for (unsigned round = 0; round < 5000; round++) {
        int tokens[8];
        uint16_t heads[8];
        unsigned n = round % 8 + 1;
        for (unsigned i = 0; i < n; i++)
            assert_int_equal(put(&tokens[i]), 0);
        assert_true(virtq_publish(&q) || round);
        for (unsigned i = 0; i < n; i++) {
            assert_true(fake_take(0, &c));
            assert_int_equal(c.n, 2);
            assert_ptr_equal(c.part[0].p, buf);
            assert_int_equal(c.part[0].len, 10);
            assert_false(c.part[0].write);
            assert_true(c.part[1].write);
            heads[i] = c.head;
        }
        assert_false(fake_take(0, &c));
        for (unsigned i = n; i-- > 0;) /* in another order */
            fake_use(0, heads[i], i);
        for (unsigned i = n; i-- > 0;) {
            assert_int_equal(get(&token), 1000 + (int)i);
            assert_ptr_equal(token, &tokens[i]);
        }
        assert_int_equal(get(&token), 0);
        assert_int_equal(q.free, 16);
    }
}

static void full(void **state)
{
    void *token;
    struct fake_chain c;

    (void)state;
    for (unsigned i = 0; i < 8; i++)
        assert_int_equal(put(&q), 0);
    assert_int_equal(put(&q), -EAGAIN);
    virtq_publish(&q);
    assert_true(fake_take(0, &c));
    fake_use(0, c.head, 0);
    assert_int_equal(get(&token), 1000);
    assert_int_equal(put(&q), 0);
}

/* Broken for good: whatever is tried, and once something was put. */
static void expect_broken(void)
{
    void *token;

    assert_int_equal(get(&token), -EIO);
    assert_true(q.broken);
    assert_non_null(q.why);
    assert_int_equal(get(&token), -EIO);
    assert_int_equal(put(&q), -EIO);
    assert_false(virtq_publish(&q));
    assert_false(virtq_enable(&q, 1));
}

static void h1_id_beyond_size(void **state)
{
    (void)state;
    assert_int_equal(put(&q), 0);
    virtq_publish(&q);
    fake_use(0, 16, 0);
    expect_broken();
}

static void h1_id_of_32_bits(void **state)
{
    (void)state;
    assert_int_equal(put(&q), 0);
    virtq_publish(&q);
    fake_use(0, 0x10000, 0); /* 0 in 16 bits, and 0 is in flight */
    expect_broken();
}

static void h2_id_never_put(void **state)
{
    (void)state;
    assert_int_equal(put(&q), 0);
    virtq_publish(&q);
    fake_use(0, 9, 0);
    expect_broken();
}

static void h2_middle_of_chain(void **state)
{
    struct fake_chain c;

    (void)state;
    assert_int_equal(put(&q), 0);
    virtq_publish(&q);
    assert_true(fake_take(0, &c));
    fake_use(0, q.descs[c.head].next, 0);
    expect_broken();
}

static void h2_completed_twice(void **state)
{
    struct fake_chain c;
    void *token;

    (void)state;
    assert_int_equal(put(&q), 0);
    assert_int_equal(put(&buf), 0);
    virtq_publish(&q);
    assert_true(fake_take(0, &c));
    fake_use(0, c.head, 0);
    fake_use(0, c.head, 0);
    assert_int_equal(get(&token), 1000);
    expect_broken();
}

static void h3_length(void **state)
{
    struct fake_chain c;

    (void)state;
    assert_int_equal(put(&q), 0);
    virtq_publish(&q);
    assert_true(fake_take(0, &c));
    fake_use(0, c.head, 101);
    expect_broken();
}

static void h5_index_jumps(void **state)
{
    (void)state;
    assert_int_equal(put(&q), 0);
    virtq_publish(&q);
    fake_set_index(0, 2);
    expect_broken();
}

static void h5_index_goes_back(void **state)
{
    struct fake_chain c;
    void *token;

    (void)state;
    assert_int_equal(put(&q), 0);
    virtq_publish(&q);
    assert_true(fake_take(0, &c));
    fake_use(0, c.head, 0);
    assert_int_equal(get(&token), 1000);
    fake_set_index(0, 0);
    expect_broken();
}

/* What the device writes into the table of descriptors is never looked at. */
static void h6_table_overwritten(void **state)
{
    struct fake_chain c;
    void *token;

    (void)state;
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(put(&q), 0);
    virtq_publish(&q);
    assert_true(fake_take(0, &c));
    memset(plat_phys_to_virt(PADDR(q.desc_addr)), 0xff, 16 * 16);
    memset(plat_phys_to_virt(PADDR(q.avail_addr)), 0xff, 4 + 2 * 16);
    fake_use(0, c.head, 5);
    assert_int_equal(get(&token), 1005);
    assert_int_equal(q.free, 12);
    assert_int_equal(put(&q), 0);
    assert_int_equal(q.in_flight, 3);
}

/* Each shared field is read once: the id and length that a second read would give are never used. */
static const volatile void *watched;
static unsigned reads;

static uint64_t changing(const volatile void *p, unsigned bytes, uint64_t value)
{
    (void)bytes;
    if (p == watched && reads++)
        return 0xfffff;
    return value;
}

static void h7_read_once(void **state)
{
    static const struct plat_host_bus bus = { .shared_read = changing };
    uint8_t *used = plat_phys_to_virt(PADDR(q.used_addr));
    struct fake_chain c;
    void *token;

    (void)state;
    for (unsigned field = 0; field < 3; field++) {
        assert_int_equal(put(&q), 0);
        virtq_publish(&q);
        assert_true(fake_take(0, &c));
        watched = field == 0 ? used + 2 : used + 4 + 8 * field + (field == 1 ? 0 : 4);
        reads = 0;
        fake_use(0, c.head, 7);
        plat_host_bus_set(&bus);
        assert_int_equal(get(&token), 1007);
        plat_host_bus_set(NULL);
        assert_int_equal(reads, 1);
    }
}

static void h15_pages_apart(void **state)
{
    (void)state;
    /* The ring's memory is whole pages of its own. */
    assert_int_equal(q.mem.addr % PAGE_SIZE, 0);
    assert_int_equal(q.mem.size % PAGE_SIZE, 0);
    assert_true(((uintptr_t)q.descs & PAGE_MASK) != ((uintptr_t)q.desc & PAGE_MASK));
}

static void abandon(void **state)
{
    int tokens[5];
    unsigned seen = 0;

    (void)state;
    for (unsigned i = 0; i < 5; i++)
        assert_int_equal(put(&tokens[i]), 0);
    virtq_publish(&q);
    fake_use(0, 99, 0);
    expect_broken();
    for (int *t; (t = virtq_abandon(&q, false));)
        seen |= 1u << (t - tokens);
    assert_int_equal(seen, 31);
    assert_int_equal(q.in_flight, 0);
}

/* Interrupts asked for and not: with the event index and without. */
static void events(void **state)
{
    struct fake_chain c;
    void *token;
    uint16_t *used_event = &((uint16_t *)plat_phys_to_virt(PADDR(q.avail_addr)))[2 + 16];

    (void)state;
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(put(&q), 0);
    virtq_publish(&q);
    assert_false(virtq_enable(&q, 3));
    assert_int_equal(*used_event, 2);
    for (unsigned i = 0; i < 3; i++) {
        assert_true(fake_take(0, &c));
        fake_use(0, c.head, 0);
    }
    assert_true(virtq_enable(&q, 3));
    while (get(&token) > 0)
        ;
    assert_false(virtq_enable(&q, 1));
    assert_int_equal(*used_event, 3);
    virtq_disable(&q);
    assert_int_equal(*used_event, 2);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, begin, end)
    const struct CMUnitTest tests[] = {
        T(honest),
        T(full),
        T(h1_id_beyond_size),
        T(h1_id_of_32_bits),
        T(h2_id_never_put),
        T(h2_middle_of_chain),
        T(h2_completed_twice),
        T(h3_length),
        T(h5_index_jumps),
        T(h5_index_goes_back),
        T(h6_table_overwritten),
        T(h7_read_once),
        T(h15_pages_apart),
        T(abandon),
        T(events),
    };

    setup();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
