/* SPDX-License-Identifier: MIT */
/* Among the firmware's tables: the one that an SEV-SNP guest has, and the ones that are none. */
#include "stub.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const EFI_GUID blob_guid = {
    0x067b1f5f, 0xcf26, 0x44c5, { 0x85, 0x54, 0x93, 0xd7, 0x77, 0x91, 0x2d, 0x42 }
};
static const EFI_GUID other_guid = { 1, 2, 3, { 4 } };

static struct cc_blob blob;

static bool copy(const EFI_GUID *guid, void *table, UINTN count, struct cc_blob *ret)
{
    EFI_CONFIGURATION_TABLE tables[2] = { { other_guid, &blob }, { *guid, table } };
    EFI_SYSTEM_TABLE st = { .NumberOfTableEntries = count, .ConfigurationTable = tables };

    return blob_copy(&st, ret);
}

static void found(void **state)
{
    struct cc_blob got = { 0 };
    (void)state;

    blob = (struct cc_blob){ .magic = 0x45444d41,
                             .secrets_pa = 0x80d000,
                             .secrets_size = 4096,
                             .cpuid_pa = 0x80e000,
                             .cpuid_size = 4096 };
    assert_true(copy(&blob_guid, &blob, 2, &got));
    assert_memory_equal(&got, &blob, sizeof(got));
    assert_int_equal(sizeof(blob), 40);
}

static void none(void **state)
{
    struct cc_blob got;
    (void)state;

    assert_false(copy(&other_guid, &blob, 2, &got));
    assert_false(copy(&blob_guid, &blob, 1, &got));
    assert_false(copy(&blob_guid, NULL, 2, &got));
    blob.magic++;
    assert_false(copy(&blob_guid, &blob, 2, &got));
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(found), cmocka_unit_test(none) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
