/* SPDX-License-Identifier: MIT */
/* virtio-balloon against a device that is honest, greedy, slow, changes its mind, and lies: what is lent is counted once, is
 * never all there is, comes back, and a device that failed keeps no free block for ever. */
#include "fake.h"
#include "setup.h"

#include <libos/dev/balloon.h>
#include <libos/timer.h>
#include <plat/upcall.h>
#include <unistd.h>

enum { INFLATE, DEFLATE, STATS, REPORT, BATCH = 256, WAIT_US = 10000 };

static uint64_t total; /* pages, with nothing in the balloon */

static void want(uint32_t pages)
{
    memcpy(fake.config, &pages, sizeof(pages));
    fake_interrupt(true);
}

static uint32_t actual(void)
{
    uint32_t n;
    memcpy(&n, fake.config + 4, sizeof(n));
    return n;
}

/* The next batch on queue; how many page numbers, 0: none. */
static uint32_t take(unsigned queue, struct fake_chain *c)
{
    if (!fake_take(queue, c))
        return 0;
    assert_int_equal(c->n, 1);
    assert_false(c->part[0].write);
    assert_true(c->part[0].len % 4 == 0 && c->part[0].len <= BATCH * 4);
    return c->part[0].len / 4;
}

static void answer(unsigned queue, const struct fake_chain *c)
{
    fake_use(queue, c->head, 0);
    fake_interrupt(false);
}

/* Answer everything on queue; the sum. */
static uint32_t serve(unsigned queue)
{
    struct fake_chain c;
    uint32_t sum = 0, n;
    while ((n = take(queue, &c))) {
        sum += n;
        answer(queue, &c);
    }
    return sum;
}

static void nothing_lent(void)
{
    assert_int_equal(balloon_count(), 0);
    assert_int_equal(actual(), 0);
    assert_int_equal(page_total_count(), total);
}

static void honest(void **state)
{
    static uint8_t seen[1 << 20];
    struct fake_chain c;
    (void)state;
    want(300);
    for (uint32_t sum = 0, n; sum < 300; sum += n) {
        n = take(INFLATE, &c);
        assert_int_equal(n, sum ? 44 : BATCH);
        for (uint32_t i = 0; i < n; i++) {
            uint32_t pfn;
            memcpy(&pfn, c.part[0].p + 4 * i, 4);
            assert_true(pfn < sizeof(seen) && !seen[pfn]++);
        }
        answer(INFLATE, &c);
    }
    assert_int_equal(actual(), 300);
    assert_int_equal(page_total_count(), total - 300);
    want(0);
    assert_int_equal(serve(DEFLATE), 300);
    nothing_lent();
}

/* All that there is, and more: the machine keeps what it needs. */
static void greedy(void **state)
{
    (void)state;
    want(UINT32_MAX);
    uint32_t got = serve(INFLATE);
    assert_int_equal(got, balloon_count());
    assert_in_range(got, 1, total - 1024);
    assert_true(page_available_count() >= 1000);
    struct page *p = page_alloc(4, PAGE_KERNEL, PAGE_NORECLAIM);
    assert_non_null(p);
    page_put(p);
    want(UINT32_MAX);
    assert_int_equal(serve(INFLATE), 0);
    want(0);
    assert_int_equal(serve(DEFLATE), got);
    nothing_lent();
}

/* Wishes change while a batch is with the device: there is one at a time, and the last wish counts. */
static void changing(void **state)
{
    struct fake_chain c, none;
    (void)state;
    want(1000);
    assert_int_equal(take(INFLATE, &c), BATCH);
    for (uint32_t i = 0; i < 200; i++) {
        want(i * 2654435761u);
        assert_int_equal(take(INFLATE, &none) + take(DEFLATE, &none), 0);
        assert_int_equal(balloon_count(), BATCH);
    }
    want(10);
    answer(INFLATE, &c);
    assert_int_equal(take(DEFLATE, &c), BATCH - 10);
    assert_int_equal(page_total_count(), total - BATCH); /* the device has not said that it knows */
    want(2000);
    assert_int_equal(take(INFLATE, &none), 0);
    answer(DEFLATE, &c);
    want(0);
    serve(INFLATE);
    serve(DEFLATE);
    nothing_lent();
    assert_int_equal(log_lines, 0);
}

static void stats(void **state)
{
    struct fake_chain c;
    (void)state;
    for (unsigned i = 0; i < 50; i++) {
        uint64_t value;
        assert_true(fake_take(STATS, &c));
        assert_int_equal(c.n, 1);
        assert_int_equal(c.part[0].len, 4 * 10);
        memcpy(&value, c.part[0].p + 10 + 2, 8); /* the second one is the total */
        assert_int_equal(value, total << PAGE_SHIFT);
        fake_use(STATS, c.head, 0);
        fake_interrupt(false);
        assert_false(fake_device()->failed);
    }
}

static void wait_for_report(struct fake_chain *c)
{
    while (!fake_take(REPORT, c)) {
        usleep(WAIT_US);
        upcall_timer(false);
    }
    for (unsigned i = 0; i < c->n; i++) {
        assert_true(c->part[i].write);
        assert_int_equal(c->part[i].len, BALLOON_BLOCK);
        for (unsigned k = 0; k < i; k++)
            assert_ptr_not_equal(c->part[i].p, c->part[k].p);
    }
}

/* Free blocks are the device's until it answers, but not longer than it works. */
static void report_then_lie(void **state)
{
    struct fake_chain c;
    uint64_t before = page_free_count();
    (void)state;
    wait_for_report(&c);
    assert_int_equal(page_free_count(), before - c.n * (BALLOON_BLOCK >> PAGE_SHIFT));
    fake_use(REPORT, (c.head + 1u) % 32, 0); /* it was never given that one */
    fake_interrupt(false);
    assert_true(fake_device()->failed);
    assert_int_equal(log_lines, 1);
    assert_int_equal(page_free_count(), before);
    want(100);
    assert_int_equal(balloon_count(), 0);
    assert_int_equal(page_free_count(), before);
    assert_int_equal(log_lines, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(honest), cmocka_unit_test(greedy),
                                        cmocka_unit_test(changing), cmocka_unit_test(stats),
                                        cmocka_unit_test(report_then_lie) };
    setup();
    fake_init(VIRTIO_BALLOON, VIRTIO_BIT(1) | VIRTIO_BIT(2) | VIRTIO_BIT(5));
    fake_probe();
    total = page_total_count();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
