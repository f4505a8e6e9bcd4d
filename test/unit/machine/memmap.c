/* SPDX-License-Identifier: MIT */
/* Memory maps as VMMs give them, and as no honest one does. */
#include "boot/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define LIMIT (1ull << 42)

static void expect(const struct memmap_entry *raw, size_t n, const struct memmap_range *want,
                   size_t count)
{
    struct memmap_range got[MEMMAP_MAX];

    assert_int_equal(memmap_build(raw, n, LIMIT, got, MEMMAP_MAX), count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(got[i].start, want[i].start);
        assert_int_equal(got[i].end, want[i].end);
    }
}

static void microvm_qboot(void **state)
{
    static const struct memmap_entry raw[] = {
        { 0, 0x9fc00, 1, 0 },          { 0x9fc00, 0x400, 2, 0 },   { 0xf0000, 0x10000, 2, 0 },
        { 0x100000, 0x3f00000, 1, 0 }, { 0xd0000, 0x20000, 4, 0 }, { 0, 0, 0, 0 },
    };
    static const struct memmap_range want[] = { { 0, 0x9f000 }, { 0x100000, 0x4000000 } };

    (void)state;
    expect(raw, 6, want, 2);
}

static void unsorted_overlapping(void **state)
{
    static const struct memmap_entry raw[] = {
        { 0x100000000, 0x40000000, 1, 0 }, { 0x40000000, 0x80000000, 1, 0 },
        { 0x100000, 0x50000000, 1, 0 },    { 0x20000800, 0x800, 2, 0 },
        { 0x140000000, 0x1000, 1, 0 },     { 0xfd00000000, 0x300000000, 2, 0 },
    };
    static const struct memmap_range want[] = { { 0x100000, 0x20000000 },
                                                { 0x20001000, 0xc0000000 },
                                                { 0x100000000, 0x140001000 } };

    (void)state;
    expect(raw, 6, want, 3);
}

static void hostile(void **state)
{
    static const struct memmap_entry raw[] = {
        { 0x1000, ~0ull, 1, 0 },                                     /* overflows: not RAM */
        { ~0ull - 0x1000, 0x1000, 1, 0 },                            /* past the limit */
        { 0x200000, 0xfff, 1, 0 },                                   /* no whole page */
        { 0x400000, 0x100000, 1, 0 },     { 0x480000, ~0ull, 2, 0 }, /* reserves all that follows */
        { 0x10000000, 0x1000000, 1, 0 },
    };
    static const struct memmap_range want[] = { { 0x400000, 0x480000 } };
    struct memmap_entry many[200];
    struct memmap_range got[8];
    size_t n;

    (void)state;
    expect(raw, 6, want, 1);
    expect(raw, 0, want, 0);
    for (unsigned i = 0; i < 200; i++)
        many[i] = (struct memmap_entry){ (uint64_t)i * 0x10000, 0x8000, 1, 0 };
    assert_int_equal(memmap_build(many, 200, LIMIT, got, 8), 8);
    n = memmap_remove(got, 8, 8, 0x1000,
                      0x2000); /* no room for a ninth: the upper part is given up */
    assert_int_equal(n, 8);
    assert_int_equal(got[0].end, 0x1000);
}

/* Against a map of single pages. */
static void random_maps(void **state)
{
    enum { PAGES = 256 };
    uint32_t r = 12345;

    (void)state;
    for (unsigned round = 0; round < 3000; round++) {
        struct memmap_entry raw[12];
        struct memmap_range got[MEMMAP_MAX];
        bool ram[PAGES] = { false };
        size_t n;

        for (unsigned i = 0; i < 12; i++) {
            r = r * 1664525 + 1013904223;
            raw[i] = (struct memmap_entry){ (r >> 8 & 0xff) << 12, (r >> 16 & 0x3f) << 12,
                                            r >> 28 & 3, 0 };
        }
        for (unsigned pass = 0; pass < 2; pass++)
            for (unsigned i = 0; i < 12; i++)
                for (uint64_t p = raw[i].addr >> 12;
                     p < (raw[i].addr + raw[i].size) >> 12 && p < PAGES; p++)
                    if (pass == 0 ? raw[i].type == 1 : raw[i].type > 1)
                        ram[p] = pass == 0;
        n = memmap_build(raw, 12, PAGES << 12, got, MEMMAP_MAX);
        for (size_t i = 0; i < n; i++) {
            assert_true(got[i].start < got[i].end);
            assert_true(i == 0 || got[i].start > got[i - 1].end);
            for (uint64_t p = got[i].start >> 12; p < got[i].end >> 12; p++) {
                assert_true(ram[p]);
                ram[p] = false;
            }
        }
        for (unsigned p = 0; p < PAGES; p++)
            assert_false(ram[p]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(microvm_qboot),
        cmocka_unit_test(unsorted_overlapping),
        cmocka_unit_test(hostile),
        cmocka_unit_test(random_maps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
