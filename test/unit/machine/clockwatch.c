/* SPDX-License-Identifier: MIT */
/* Clocks that stop, jump and run backwards: each is found and named, and nothing else is. */
#include "vm/clockwatch.h"
#include "vm/clockmath.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { REF_HZ = 3579545, REF_MASK = 0xffffff };
#define HZ 2596000000ull
#define MS (HZ / 1000)

/* What the counter and the reference show ms after the start, each off by so many ms. */
static struct clock_reading at(double ms, double own_off, double ref_off)
{
    uint64_t tsc = (uint64_t)((ms + own_off + 5000) * (double)MS);

    return (struct clock_reading){
        .before = tsc,
        .ref = (uint64_t)((ms + ref_off + 4600) * REF_HZ / 1000) & REF_MASK,
        .after = tsc + 2000,
    };
}

static struct clock_watch begin(void)
{
    struct clock_watch w = { .hz = HZ, .ref_hz = REF_HZ, .ref_mask = REF_MASK };
    struct clock_reading r = at(0, 0, 0);

    assert_int_equal(clock_watch(&w, &r).fault, CLOCK_GOOD);
    return w;
}

static struct clock_verdict then(struct clock_watch *w, double ms, double own_off, double ref_off)
{
    struct clock_reading r = at(ms, own_off, ref_off);

    return clock_watch(w, &r);
}

static void agree(void **state)
{
    struct clock_watch w = begin();

    (void)state;
    for (int i = 1; i < 40; i++) {                             /* the reference wraps on the way */
        struct clock_verdict v = then(&w, i * 1000, i * 5, 0); /* half a percent is no fault */

        assert_int_equal(v.fault, CLOCK_GOOD);
        assert_in_range(v.elapsed_ns, 999000000, 1006000000);
    }
    /* It may have wrapped unseen: that proves nothing. */
    assert_int_equal(then(&w, 60000, 195, 0).fault, CLOCK_GOOD);
    assert_int_equal(then(&w, 61000, 200, 0).fault, CLOCK_GOOD);
}

static void counter(void **state)
{
    struct clock_watch w = begin();
    struct clock_verdict v;

    (void)state;
    v = then(&w, 1000, -3000, 0);
    assert_int_equal(v.fault, CLOCK_BACK);
    assert_in_range(v.off_ns, 1999000000, 2001000000);
    assert_in_range(v.elapsed_ns, 999000000, 1001000000); /* the reference knows */
    assert_int_equal(then(&w, 2000, -3000, 0).fault, CLOCK_GOOD);
    v = then(&w, 2500, -3499.9, 0);
    assert_int_equal(v.fault, CLOCK_STOPPED);
    assert_in_range(v.elapsed_ns, 499000000, 501000000);
    v = then(&w, 3000, -2999.9, 0); /* as it was: it made up for it, which is a jump */
    assert_int_equal(v.fault, CLOCK_JUMPED);
    assert_in_range(v.off_ns, 499000000, 501000000);
    assert_string_equal(clock_fault_name(v.fault), "the CPU's counter jumped ahead");
}

static void the_other(void **state)
{
    struct clock_watch w = begin();
    struct clock_verdict v;

    (void)state;
    v = then(&w, 1000, 0, -999.5);
    assert_int_equal(v.fault, CLOCK_REF_STOPPED);
    assert_in_range(v.elapsed_ns, 999000000, 1001000000); /* the counter is believed */
    v = then(&w, 2000, 0, 500);
    assert_int_equal(v.fault, CLOCK_REF_JUMPED);
    w = begin();
    w.ref_mask = UINT64_MAX; /* one that does not wrap can be seen to go back */
    w.last.ref = 5000000000;
    assert_int_equal(then(&w, 1000, 0, 0).fault, CLOCK_REF_BACK);
}

static void doubtful(void **state)
{
    struct clock_watch w = begin();
    struct clock_reading r = at(1000, 0, 400);

    (void)state;
    r.after += 10 * MS; /* the host took the CPU away while the reference was read */
    assert_int_equal(clock_watch(&w, &r).fault, CLOCK_GOOD);
    assert_int_equal(then(&w, 2000, 0, 0).fault, CLOCK_GOOD);
    assert_int_equal(then(&w, 3000, 0, 0).fault, CLOCK_GOOD);
    /* Backwards within one reading. */
    r = at(4000, 0, 0);
    r.after = r.before - 100 * MS;
    assert_int_equal(clock_watch(&w, &r).fault, CLOCK_BACK);
}

static void alone(void **state)
{
    struct clock_watch w = { .hz = HZ };
    struct clock_reading r = at(0, 0, 0);

    (void)state;
    assert_int_equal(clock_watch(&w, &r).fault, CLOCK_GOOD);
    assert_int_equal(then(&w, 1000, 5000, 0).fault, CLOCK_GOOD); /* nobody can tell */
    assert_int_equal(then(&w, 2000, 0, 0).fault, CLOCK_BACK);
}

/* Whatever is read, no division by zero and no overflow that a sanitizer sees. */
static void anything(void **state)
{
    struct clock_watch w = { .hz = HZ, .ref_hz = NS_PER_SEC, .ref_mask = UINT64_MAX };

    (void)state;
    srand(1);
    for (int i = 0; i < 200000; i++) {
        struct clock_reading r;
        unsigned char *p = (unsigned char *)&r;

        for (size_t k = 0; k < sizeof(r); k++)
            p[k] = (unsigned char)(rand() % 4 ? 0 : rand());
        assert_non_null(clock_fault_name(clock_watch(&w, &r).fault));
    }
}

static void kvm_time(void **state)
{
    (void)state;
    /* 2 GHz: half a nanosecond a tick. */
    assert_int_equal(clock_kvm_ns(2000000000, 1u << 31, 0), 1000000000);
    assert_int_equal(clock_kvm_ns(2000000000, 1u << 30, 1), 1000000000);
    assert_int_equal(clock_kvm_ns(2000000000, 0, 0), 0);
    assert_int_equal(clock_kvm_ns(2000000000, 5, 99), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agree),    cmocka_unit_test(counter), cmocka_unit_test(the_other),
        cmocka_unit_test(doubtful), cmocka_unit_test(alone),   cmocka_unit_test(anything),
        cmocka_unit_test(kvm_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
