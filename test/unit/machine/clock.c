/* SPDX-License-Identifier: MIT */
/* The clock's arithmetic: factors, fits through disturbed windows, dates, the option. */
#include "vm/clockmath.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static void factors(void **state)
{
    static const uint64_t rates[] = { 100000000,  999999999,  1000000000, 1000000001,
                                      2596000000, 5000000000, 20000000000 };

    (void)state;
    for (unsigned i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
        unsigned __int128 day = (unsigned __int128)rates[i] * 86400;
        uint64_t ns;

        ns = (uint64_t)(day * clock_factor(rates[i]) >> PLAT_CLOCK_SHIFT);
        assert_in_range(ns, 86400 * NS_PER_SEC - 1000000,
                        86400 * NS_PER_SEC); /* 1 ms a day at most */
    }
}

/* Edges of a reference at ref_hz for a counter at hz; window i is disturbed by late ticks. */
static void make(struct clock_edge *e, unsigned n, uint64_t hz, uint64_t ref_hz, uint64_t start,
                 uint64_t mask, int bad)
{
    uint64_t tsc = 1000000;

    for (unsigned i = 0; i < n; i++) {
        uint64_t ticks = 200 * i;
        e[i] = (struct clock_edge){ (start + ticks) & mask, tsc + ticks * hz / ref_hz, 30 };
        if ((int)i == bad) {
            e[i].tsc += 50000;
            e[i].slack += 100000;
        }
    }
}

static void fits(void **state)
{
    struct clock_edge e[6];
    uint64_t hz;

    (void)state;
    for (int bad = -1; bad < 6; bad++) {
        make(e, 6, 2596000000, 3579545, 0xffff80, 0xffffff,
             bad); /* the reference wraps on the way */
        hz = clock_fit(e, 6, 3579545, 0xffffff, 50);
        assert_in_range(hz, 2595000000, 2597000000);
    }
    memset(e, 0, sizeof(e));
    assert_int_equal(clock_fit(e, 6, 3579545, 0xffffff, 50), 0); /* nothing moved */
    make(e, 6, 2596000000, 3579545, 0, 0xffffff, -1);
    for (unsigned i = 0; i < 6; i++)
        e[i].slack = ~0ull / 4;
    assert_int_equal(clock_fit(e, 6, 3579545, 0xffffff, 50), 0);
    make(e, 6, 90000000000, 3579545, 0, 0xffffff, -1);
    assert_int_equal(clock_fit(e, 6, 3579545, 0xffffff, 50), 0); /* no CPU is that fast */
    for (unsigned i = 0; i < 6; i++)
        e[i] = (struct clock_edge){ i * 0x100000001, i * 0xfffffffffffffffull, 1 };
    (void)clock_fit(e, 6, 1193182, 0xffff, 50);
}

/* A host that is never quiet for long: most edges are late, and a 16-bit reference wraps unseen in some windows. */
static void fits_when_busy(void **state)
{
    enum { N = 26 };
    const uint64_t hz = 2596000000;
    struct clock_edge e[N];
    unsigned seed = 1;

    (void)state;
    for (unsigned round = 0; round < 1000; round++) {
        uint64_t tsc = 0, gap = 6000;

        for (unsigned i = 0; i < N; i++) {
            uint64_t late = i % 4 == 1 ? 0 : (seed = seed * 1103515245 + 12345) >> 8;

            e[i] = (struct clock_edge){ tsc * 1193182 / hz & 0xffff, tsc + late, 4000 + late };
            gap = gap < 4000000 ? gap * 2 : gap;
            tsc += late + gap + (i % 5 == 4 ? 65536 * hz / 1193182 : 0);
        }
        assert_in_range(clock_fit(e, N, 1193182, 0xffff, 100), hz - hz / 100, hz + hz / 100);
    }
}

static void snaps(void **state)
{
    (void)state;
    assert_int_equal(clock_snap(1000026143), 1000000000);
    assert_int_equal(clock_snap(2595990000), 2596000000);
    assert_int_equal(clock_snap(2595500000), 2595500000);
}

static void kvm(void **state)
{
    (void)state;
    assert_int_equal(clock_kvm_hz(0, 0), 0);
    assert_int_equal(clock_kvm_hz(0x80000000, 0), 2000000000);
    assert_int_equal(clock_kvm_hz(0x80000000, 1), 1000000000);
    assert_int_equal(clock_kvm_hz(0xffffffff, -1), 2000000000);
    assert_int_equal(clock_kvm_hz(1, -31), 0);
    assert_int_equal(clock_kvm_hz(0x80000000, 40), 0);
    assert_int_equal(clock_kvm_hz(0x80000000, -128), 0);
}

static void options(void **state)
{
    static const struct {
        const char *text;
        uint64_t want;
    } cases[] = {
        { "", 0 },
        { "clock=1000000000", 1000000000 },
        { "log=debug clock=2596000000 -- ls", 2596000000 },
        { "log=debug -- ls clock=2596000000", 0 },
        { "xclock=2596000000", 0 },
        { "clock=5", 0 },
        { "clock=", 0 },
        { "clock=99999999999999999999999999", 0 },
    };

    (void)state;
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        size_t n = strlen(cases[i].text);
        char *copy = malloc(n ? n : 1);

        memcpy(copy, cases[i].text, n);
        assert_int_equal(clock_option(copy, n), cases[i].want);
        free(copy);
    }
}

static void dates(void **state)
{
    (void)state;
    for (time_t t = 0; t < 7000000000; t += 86400 * 11 + 12345) {
        struct tm tm;

        gmtime_r(&t, &tm);
        assert_int_equal(clock_date((unsigned)tm.tm_year + 1900, (unsigned)tm.tm_mon + 1,
                                    (unsigned)tm.tm_mday, (unsigned)tm.tm_hour, (unsigned)tm.tm_min,
                                    (unsigned)tm.tm_sec),
                         t);
    }
    assert_int_equal(clock_date(2023, 2, 29, 0, 0, 0), 0);
    assert_int_equal(clock_date(255, 255, 255, 255, 255, 255), 0);
    assert_int_equal(clock_date(2023, 0, 1, 0, 0, 0), 0);
    assert_int_equal(clock_date(2023, 13, 1, 0, 0, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(factors), cmocka_unit_test(fits), cmocka_unit_test(fits_when_busy),
        cmocka_unit_test(snaps),   cmocka_unit_test(kvm),  cmocka_unit_test(options),
        cmocka_unit_test(dates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
