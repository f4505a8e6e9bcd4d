/* SPDX-License-Identifier: MIT */
/* SRAT and SLIT as QEMU writes them, with odd domains, broken and cut. */
#include "vm/acpi.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { TABLE_MAX = 400 };

static void put(uint8_t *p, uint64_t v, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        p[i] = (uint8_t)(v >> 8 * i);
}

static size_t memory(uint8_t *p, uint32_t domain, uint64_t start, uint64_t size, uint32_t flags)
{
    memset(p, 0, 40);
    p[0] = 1;
    p[1] = 40;
    put(p + 2, domain, 4);
    put(p + 8, start, 8);
    put(p + 16, size, 8);
    put(p + 28, flags, 4);
    return 40;
}

static size_t cpu(uint8_t *p, uint32_t domain, uint8_t apic_id)
{
    memset(p, 0, 16);
    p[1] = 16;
    p[2] = (uint8_t)domain;
    p[3] = apic_id;
    p[4] = 1;
    put(p + 9, domain >> 8, 3);
    return 16;
}

static size_t x2cpu(uint8_t *p, uint32_t domain, uint32_t apic_id)
{
    memset(p, 0, 24);
    p[0] = 2;
    p[1] = 24;
    put(p + 4, domain, 4);
    put(p + 8, apic_id, 4);
    p[12] = 1;
    return 24;
}

static size_t srat(uint8_t *t)
{
    size_t n = 48;

    memset(t, 0, TABLE_MAX);
    n += cpu(t + n, 7, 0);
    n += x2cpu(t + n, 0x30001, 300);
    n += memory(t + n, 7, 0, 0xa0000, 1);
    n += memory(t + n, 7, 0x100000, 0x7f00000, 1);
    n += memory(t + n, 0x30001, 0x8000000, 0x8000000, 1);
    n += memory(t + n, 0x30001, 0x100000000, 0, 1); /* QEMU's places for memory to come */
    n += memory(t + n, 9, 0x200000000, 0x1000, 0);
    return n;
}

static void nodes(void **state)
{
    uint8_t t[TABLE_MAX];
    size_t size = srat(t);
    struct acpi_facts f = { 0 };
    uint64_t end;

    (void)state;
    acpi_parse_srat(t, size, &f);
    assert_int_equal(f.numa.nodes, 2);
    assert_int_equal(acpi_node_of(&f.numa, 0x5000000, &end), 0);
    assert_int_equal(end, 0x8000000);
    assert_int_equal(acpi_node_of(&f.numa, 0x8000000, &end), 1);
    assert_int_equal(acpi_node_of(&f.numa, 0xb0000, &end), 0); /* not said */
    assert_int_equal(end, 0x100000);
    assert_int_equal(acpi_node_of_cpu(&f.numa, 0), 0);
    assert_int_equal(acpi_node_of_cpu(&f.numa, 300), 1);
    assert_int_equal(acpi_node_of_cpu(&f.numa, 5), 0);
    assert_int_equal(acpi_node_distance(&f.numa, 0, 1), 20);
    assert_int_equal(acpi_node_distance(&f.numa, 1, 1), 10);
}

static void distances(void **state)
{
    uint8_t t[44 + 9] = { [36] = 3, [44] = 10, 21, 31, 21, 10, 41, 31, 41, 10 };
    struct acpi_facts f = { .numa = { .nodes = 3, .domains = { 2, 0, 5 } } };

    (void)state;
    acpi_parse_slit(t, sizeof(t), &f);
    assert_int_equal(acpi_node_distance(&f.numa, 0, 1), 31);
    assert_int_equal(acpi_node_distance(&f.numa, 0, 2), 20); /* no such domain there */
    t[36] = 4;                                               /* more than is there */
    f = (struct acpi_facts){ 0 };
    acpi_parse_slit(t, sizeof(t), &f);
    assert_int_equal(f.numa.slit, 0);
}

static void broken(void **state)
{
    uint8_t good[TABLE_MAX];
    size_t size = srat(good);

    (void)state;
    for (size_t i = 36; i < size; i++)
        for (unsigned v = 0; v < 256; v++) {
            struct acpi_facts f = { 0 };
            uint8_t *t = malloc(size);
            uint64_t end;

            memcpy(t, good, size);
            t[i] = (uint8_t)v;
            acpi_parse_srat(t, i % 2 ? size : i, &f);
            acpi_parse_slit(t, size, &f);
            assert_true(f.numa.nodes <= ACPI_NODE_MAX);
            assert_true(acpi_node_of(&f.numa, 0x8000000, &end) < ACPI_NODE_MAX && end > 0x8000000);
            free(t);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nodes),
        cmocka_unit_test(distances),
        cmocka_unit_test(broken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
