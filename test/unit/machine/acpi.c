/* SPDX-License-Identifier: MIT */
/* ACPI readers on each VMM's tables, and on the same tables broken in every byte and cut at every length. */
#include "tables.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static struct machine new_machine(void (*build)(struct machine *))
{
    struct machine m = { .bytes = calloc(1, MEMORY_SIZE) };

    assert_non_null(m.bytes);
    build(&m);
    return m;
}

/* Scratch is exactly as large as said, so that the sanitizer sees one byte too far. */
static struct acpi_facts facts_of(struct machine *m, uint64_t hint)
{
    const struct acpi_memory memory = { read_machine, m };
    struct acpi_facts f = { 0 };
    uint8_t *scratch = malloc(4096);
    uint64_t rsdp = acpi_find_rsdp(&memory, hint);

    if (rsdp)
        acpi_read(&memory, rsdp, scratch, 4096, &f);
    free(scratch);
    return f;
}

static void q35(void **state)
{
    struct machine m = new_machine(build_q35);

    (void)state;
    for (int scanned = 0; scanned < 2; scanned++) {
        struct acpi_facts f = facts_of(&m, scanned ? 0 : m.rsdp);

        assert_true(f.present && f.madt && f.pic && !f.reduced && !f.pm_timer_32);
        assert_int_equal(f.cpu_count, 2);
        assert_int_equal(f.cpus[1], 1);
        assert_int_equal(f.ioapic_count, 1);
        assert_int_equal(f.override_count, 2);
        assert_true(f.overrides[1].irq == 9 && f.overrides[1].level && !f.overrides[1].low);
        assert_true(f.overrides[0].irq == 0 && f.overrides[0].gsi == 2);
        assert_true(f.pm_timer.address == 0x608 && f.pm_timer.space == 1);
        assert_int_equal(f.pm1a.address, 0x604);
        assert_true(f.reset.address == 0xcf9 && f.reset_value == 0x0f && f.reset.space == 1);
        assert_true(f.have_s5 && f.s5_a == 0 && f.s5_b == 0);
        assert_int_equal(f.hpet, 0xfed00000);
        assert_true(f.ecam == 0xb0000000 && f.ecam_last == 255);
    }
    free(m.bytes);
}

static void microvm(void **state)
{
    struct machine m = new_machine(build_microvm);
    struct acpi_facts f = facts_of(&m, m.rsdp);

    (void)state;
    assert_true(f.present && f.reduced && !f.pic);
    assert_int_equal(f.ioapic_count, 2);
    assert_true(f.ioapics[1].address == 0xfec10000 && f.ioapics[1].gsi_base == 24);
    assert_true(f.sleep_control.address == 0xfea00200 && f.sleep_control.space == 0);
    assert_true(f.reset.address == 0xfea00202 && f.reset_value == 0x42);
    assert_true(f.have_s5 && f.s5_a == 5);
    assert_true(!f.pm_timer.address && !f.ecam && !f.hpet);
    free(m.bytes);
}

static void cloud_hypervisor(void **state)
{
    struct machine m = new_machine(build_cloud_hypervisor);
    struct acpi_facts f = facts_of(&m, 0xa0000);

    (void)state;
    assert_true(f.present && f.reduced && f.pm_timer_32);
    assert_int_equal(f.cpu_count, 1); /* the second is possible, not there */
    assert_true(f.pm_timer.address == 0x608 && f.pm_timer.space == 1);
    assert_true(f.sleep_control.address == 0x600 && f.sleep_control.space == 1);
    assert_true(f.have_s5 && f.s5_a == 5 && f.s5_b == 5);
    assert_true(f.ecam == 0xe8000000 && f.ecam_last == 0);
    free(m.bytes);
}

static void firecracker(void **state)
{
    struct machine m = new_machine(build_firecracker);
    struct acpi_facts f = facts_of(&m, 0);

    (void)state;
    assert_true(f.present && f.reduced && f.pic && !f.have_s5);
    assert_true(!f.sleep_control.address && !f.reset.address && !f.pm_timer.address);
    free(m.bytes);
}

static void nothing(void **state)
{
    struct machine m = { .bytes = calloc(1, MEMORY_SIZE) };

    (void)state;
    assert_false(facts_of(&m, 0).present);
    assert_false(facts_of(&m, 0xf0000).present);
    assert_false(facts_of(&m, ~0ull - 8).present);
    free(m.bytes);
}

static void (*const builders[])(struct machine *) = { build_q35, build_microvm,
                                                      build_cloud_hypervisor, build_firecracker };

/* One byte wrong: the table that holds it does not count, nothing else happens. */
static void broken_sums(void **state)
{
    (void)state;
    for (unsigned b = 0; b < 4; b++) {
        struct machine m = new_machine(builders[b]);

        for (uint64_t pa = m.tables[0]; pa < m.next; pa++) {
            *at(&m, pa) ^= 0x41;
            (void)facts_of(&m, m.rsdp);
            *at(&m, pa) ^= 0x41;
        }
        for (unsigned i = 0; i < 36; i++) {
            *at(&m, m.rsdp + i) ^= 0x41;
            assert_false(i < 20 && facts_of(&m, m.rsdp).present);
            *at(&m, m.rsdp + i) ^= 0x41;
        }
        free(m.bytes);
    }
}

/* The parsers see any bytes of any length; each is its own allocation for the sanitizer. */
static void parse_all(const uint8_t *bytes, size_t size)
{
    struct acpi_facts f = { 0 };
    uint8_t *copy = malloc(size ? size : 1);

    memcpy(copy, bytes, size);
    acpi_parse_madt(copy, size, &f);
    acpi_parse_fadt(copy, size, &f);
    acpi_parse_hpet(copy, size, &f);
    acpi_parse_mcfg(copy, size, &f);
    acpi_parse_tpm2(copy, size, &f);
    acpi_parse_s5(copy, size, &f);
    assert_in_range(f.cpu_count, 0, ACPI_CPU_MAX);
    assert_in_range(f.ioapic_count, 0, ACPI_IOAPIC_MAX);
    assert_in_range(f.override_count, 0, ACPI_OVERRIDE_MAX);
    assert_int_equal(f.tpm % 4096, 0);
    assert_true(f.s5_a <= 7 && f.s5_b <= 7);
    free(copy);
}

static void broken_bodies(void **state)
{
    static const uint8_t values[] = { 0, 1, 0x12, 0x7f, 0x80, 0xff };

    (void)state;
    for (unsigned b = 0; b < 4; b++) {
        struct machine m = new_machine(builders[b]);

        for (unsigned t = 0; t < m.count; t++) {
            uint8_t *p = at(&m, m.tables[t]);
            uint32_t size;

            memcpy(&size, p + 4, 4);
            for (size_t n = 0; n <= size; n++)
                parse_all(p, n);
            for (size_t i = 36; i < size; i++) {
                uint8_t old = p[i];
                for (unsigned v = 0; v < sizeof(values); v++) {
                    p[i] = values[v];
                    parse_all(p, size);
                }
                p[i] = old;
            }
        }
        free(m.bytes);
    }
}

static void s5_forms(void **state)
{
    static const struct {
        uint8_t aml[16];
        bool good;
        uint8_t a;
    } cases[] = {
        { { 0x08, '\\', '_', 'S', '5', '_', 0x12, 0x06, 0x04, 0x01, 0x01, 0, 0 }, true, 1 },
        { { 0x08, '_', 'S', '5', '_', 0x12, 0x40, 0x00, 0x02, 0x0b, 7, 0, 0x0a, 7 }, true, 7 },
        { { 0x08, '_', 'S', '5', '_', 0x12, 0x06, 0x04, 0x0a, 0x08, 0, 0, 0 },
          false,
          0 }, /* no such type */
        { { 0x08, '_', 'S', '5', '_', 0x11, 0x06, 0x04, 0x01, 0x01, 0, 0, 0 },
          false,
          0 }, /* not a package */
        { { 0x09, '_', 'S', '5', '_', 0x12, 0x06, 0x04, 0x01, 0x01, 0, 0, 0 },
          false,
          0 }, /* not a name */
        { { 0x08, '_', 'S', '5', '_', 0x12, 0x06, 0x00, 0x01, 0x01, 0, 0, 0 },
          false,
          0 }, /* empty */
    };
    uint8_t table[36 + 16] = { 0 };

    (void)state;
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct acpi_facts f = { 0 };

        memcpy(table + 36, cases[i].aml, 16);
        acpi_parse_s5(table, sizeof(table), &f);
        assert_int_equal(f.have_s5, cases[i].good);
        assert_int_equal(f.s5_a, cases[i].a);
    }
}

/* Where a TPM's registers are said to be, and by which of the ways to start a command. */
static void tpm_forms(void **state)
{
    static const struct {
        uint32_t method;
        uint64_t area, tpm;
        bool crb;
    } cases[] = {
        { 7, 0xfed40040, 0xfed40000, true },
        { 6, 0, 0xfed40000, false },
        { 7, 0xfed40000, 0, false }, /* not where a locality has it */
        { 2, 0xfed40040, 0, false },
        { 11, 0xfed40040, 0, false },
        { 7, 0, 0, false },
    };
    (void)state;
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint8_t table[76] = { 0 };
        struct acpi_facts f = { 0 }, shorter = { 0 };

        memcpy(table + 40, &cases[i].area, 8);
        memcpy(table + 48, &cases[i].method, 4);
        acpi_parse_tpm2(table, 52, &f);
        assert_int_equal(f.tpm, cases[i].tpm);
        assert_int_equal(f.tpm_crb, cases[i].crb);
        assert_int_equal(f.tpm_log, 0);
        acpi_parse_tpm2(table, 51, &shorter);
        assert_int_equal(shorter.tpm, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(q35),
        cmocka_unit_test(microvm),
        cmocka_unit_test(cloud_hypervisor),
        cmocka_unit_test(firecracker),
        cmocka_unit_test(nothing),
        cmocka_unit_test(broken_sums),
        cmocka_unit_test(broken_bodies),
        cmocka_unit_test(s5_forms),
        cmocka_unit_test(tpm_forms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
