/* SPDX-License-Identifier: MIT */
/* CPUID from the confidential guest's table: sub-leaves, absent leaves, the sizes of leaf 0xd, and a count that lies. */
#include "cc/cpuid.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct cc_cpuid_table table = {
    .count = 7,
    .entries = {
        { 0x1, 0, 0, 0, 0x800f12, 0x100800, 0xfefa3203, 0x178bfbff, 0 },
        { 0x7, 0, 0, 0, 0, 0x219c95a9, 0x40069c, 0, 0 },
        { 0xd, 0, 1, 0, 0x207, 576, 2696, 0, 0 },
        { 0xd, 1, 1, 0, 0xf, 576, 0, 0, 0 },
        { 0xd, 2, 0, 0, 256, 576, 0, 0, 0 },
        { 0xd, 9, 0, 0, 8, 2688, 2, 0, 0 },
        { 0x8000001f, 0, 0, 0, 0x1a, 0x6f, 16, 1, 0 },
    },
};

static void expect(uint32_t leaf, uint32_t sub, uint64_t xcr0, uint32_t a, uint32_t b)
{
    uint32_t out[4] = { 1, 1, 1, 1 };

    cc_cpuid_lookup(&table, leaf, sub, xcr0, out);
    assert_int_equal(out[0], a);
    assert_int_equal(out[1], b);
}

static void leaves(void **state)
{
    (void)state;
    expect(1, 0, 1, 0x800f12, 0x100800);
    expect(1, 77, 1, 0x800f12, 0x100800); /* ecx does not matter to leaf 1 */
    expect(7, 0, 1, 0, 0x219c95a9);
    expect(7, 1, 1, 0, 0);
    expect(0x40000000, 0, 1, 0, 0);
    expect(0x8000001f, 0, 1, 0x1a, 0x6f);
}

static void xsave_sizes(void **state)
{
    (void)state;
    expect(0xd, 0, 1, 0x207, 576);
    expect(0xd, 0, 7, 0x207, 832);
    expect(0xd, 0, 0x207, 0x207, 2696);
    expect(0xd, 1, 7, 0xf, 832);
    expect(0xd, 1, 0x207, 0xf, 840); /* compacted, at a multiple of 64 */
}

static void count_is_bounded(void **state)
{
    static struct cc_cpuid_table lying;

    (void)state;
    lying = table;
    lying.count = UINT32_MAX;
    uint32_t out[4];
    cc_cpuid_lookup(&lying, 0x99, 0, 1, out);
    assert_int_equal(out[0], 0);
}

static void what_is_on(void **state)
{
    (void)state;
    assert_int_equal(cc_cpuid_enabled(1, 0, 1u << 18, 0x4000000), 0xc000000);
    assert_int_equal(cc_cpuid_enabled(1, 5, 0, 0xc000000), 0x4000000);
    assert_int_equal(cc_cpuid_enabled(7, 0, 1u << 22, 0x8), 0x18);
    assert_int_equal(cc_cpuid_enabled(7, 0, 1u << 18, 0x18), 0x8);
    assert_int_equal(cc_cpuid_enabled(7, 1, 0, 0x10), 0x10);
    assert_int_equal(cc_cpuid_enabled(0xd, 0, 0, UINT32_MAX), UINT32_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(leaves),
        cmocka_unit_test(xsave_sizes),
        cmocka_unit_test(count_is_bounded),
        cmocka_unit_test(what_is_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
