/* SPDX-License-Identifier: MIT */
/* base/chacha20.h against the vector of RFC 8439, 2.3.2. */
#include <base/chacha20.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void block_of_the_rfc(void **state)
{
    static const uint32_t want[16] = {
        0xe4e7f110, 0x15593bd1, 0x1fdd0f50, 0xc47120a3, 0xc7f4d1c7, 0x0368c033,
        0x9aaa2204, 0x4e6cd4c3, 0x466482d2, 0x09aa9f07, 0x05d7c214, 0xa2028bd9,
        0xd19c12b5, 0xb94e16de, 0xe883d0cb, 0x4e3c50a2,
    };
    uint8_t bytes[32];
    uint32_t key[8], got[16];

    (void)state;
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)i;
    memcpy(key, bytes, sizeof key);
    /* Counter 1 and the nonce 00:00:00:09:00:00:00:4a:00:00:00:00 of the RFC's 32 + 96 bit layout. */
    chacha20_block(key, 1 | 0x09000000ull << 32, 0x4a000000ull, got);
    assert_memory_equal(got, want, sizeof want);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(block_of_the_rfc) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
