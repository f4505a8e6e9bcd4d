/* SPDX-License-Identifier: MIT */
/* Devices that a command line or a DSDT names: what QEMU and Firecracker write, and the same broken in every byte. */
#include "vm/acpi.h"
#include "vm/announce.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static size_t slots_of(const char *text, struct plat_virtio_mmio *slots)
{
    size_t n = 0;
    char *copy = strdup(text); /* the sanitizer sees one byte too far */

    assert_non_null(copy);
    announce_slots(copy, slots, &n);
    free(copy);
    return n;
}

static void good(void **state)
{
    struct plat_virtio_mmio s[ANNOUNCE_SLOTS_MAX];

    (void)state;
    assert_int_equal(slots_of("console=raw virtio_mmio.device=512@0xfeb00e00:12", s), 1);
    assert_int_equal(s[0].pa, 0xfeb00e00);
    assert_int_equal(s[0].size, 512);
    assert_int_equal(s[0].gsi, 12);
    assert_int_equal(
        slots_of("pci=off virtio_mmio.device=4K@0xc0001000:5 virtio_mmio.device=4K@0xc0002000:6:7",
                 s),
        2);
    assert_int_equal(s[1].pa, 0xc0002000);
    assert_int_equal(s[1].size, 4096);
    assert_int_equal(s[1].gsi, 6);
}

static void bad(void **state)
{
    static const char *const texts[] = {
        "virtio_mmio.device=",
        "virtio_mmio.device=512",
        "virtio_mmio.device=512@",
        "virtio_mmio.device=512@0x",
        "virtio_mmio.device=512@0xfeb00000",
        "virtio_mmio.device=512@0xfeb00000:",
        "virtio_mmio.device=512@0xfeb00000:5x",
        "virtio_mmio.device=512@0xfeb00000:5:",
        "virtio_mmio.device=511@0xfeb00000:5",
        "virtio_mmio.device=65K@0xfeb00000:5",
        "virtio_mmio.device=18446744073709551615K@0xfeb00000:5",
        "virtio_mmio.device=512@0xfffffffffffffff0:5",
        "virtio_mmio.device=512@0x1fffffffffffffff0:5",
        "virtio_mmio.device=512@0:5",
        "virtio_mmio.device=512@0xfeb00001:5",
        "virtio_mmio.device=512@0xfeb00000:99999999999999999999",
        "virtio_mmio.device=-512@0xfeb00000:5",
        "xvirtio_mmio.device=512@0xfeb00000:5",
    };
    struct plat_virtio_mmio s[ANNOUNCE_SLOTS_MAX];

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        assert_int_equal(slots_of(texts[i], s), 0);
    assert_int_equal(
        slots_of("virtio_mmio.device=4K@0x1000000:5 virtio_mmio.device=512@0x1000e00:6 "
                 "virtio_mmio.device=512@0x1001000:7",
                 s),
        2); /* the second lies in the first */
    char many[64 * 64] = "";
    for (int i = 0; i < 60; i++)
        sprintf(many + strlen(many), "virtio_mmio.device=512@0x%x:5 ", 0x1000000 + i * 512);
    assert_int_equal(slots_of(many, s), ANNOUNCE_SLOTS_MAX);
}

static void pci_off(void **state)
{
    (void)state;
    assert_true(announce_pci_off("reboot=k pci=off"));
    assert_true(announce_pci_off("pci=off x"));
    assert_false(announce_pci_off("pci=offx"));
    assert_false(announce_pci_off("xpci=off"));
    assert_false(announce_pci_off(""));
}

/* As QEMU 7.2 microvm writes two devices, the window of its PCI host, and the end. */
static const uint8_t dsdt[] =
    "DSDT\0\0\0\0\2\0BOCHS BXPC    \1\0\0\0BXPC\1\0\0\0" /* 36 bytes */
    "\x5b\x82\x42\x04VR23\x08_HID\x0dLNRO0005\0\x08_UID\x0a\x17\x08_CCA\x01\x08_CRS\x11\x1a\x0a\x17"
    "\x86\x09\x00\x01\x00\x2e\xb0\xfe\x00\x02\x00\x00\x89\x06\x00\x01\x01\x2f\x00\x00\x00\x79\x00"
    "\x5b\x82\x42\x04VR22\x08_HID\x0dLNRO0005\0\x08_UID\x0a\x16\x08_CCA\x01\x08_CRS\x11\x1a\x0a\x17"
    "\x86\x09\x00\x01\x00\x2c\xb0\xfe\x00\x02\x00\x00\x89\x06\x00\x01\x01\x2e\x00\x00\x00\x79\x00"
    "\x08_HID\x0dPNP0A08\0\x08_CRS\x11\x4e\x05\x0a\x5a\x88\x0d\0\2\x0c\0\0\0\0\0\xff\0\0\0\0\1"
    "\x87\x17\0\0\x0c\1\0\0\0\0\0\0\0\xc0\xff\xff\xff\xdf\0\0\0\0\0\0\0\x20"
    "\x5b\x82\x4d\x04RES0\x08_HID\x0dPNP0C02\0\x08_CRS\x11\x33\x0a\x30"
    "\x8a\x2b\x00\x00\x0c\x01\0\0\0\0\0\0\0\0\0\0\0\xe0\0\0\0\0\xff\xff\xff\xef\0\0\0\0"
    "\0\0\0\0\0\0\0\0\0\0\0\x10\0\0\0\0\x79\0"
    "\x10\x10\\\0\x08_S5_\x12\x07\x04\x0a\x05\0\0\0";

static struct acpi_facts facts_of(const uint8_t *table, size_t size)
{
    struct acpi_facts f = { 0 };
    uint8_t *copy = malloc(size);

    assert_non_null(copy);
    memcpy(copy, table, size);
    acpi_parse_dsdt(copy, size, &f);
    free(copy);
    return f;
}

static void patterns(void **state)
{
    struct acpi_facts f = facts_of(dsdt, sizeof(dsdt) - 1);

    (void)state;
    assert_int_equal(f.slot_count, 2);
    assert_int_equal(f.slots[0].pa, 0xfeb02e00);
    assert_int_equal(f.slots[0].size, 512);
    assert_int_equal(f.slots[0].gsi, 47);
    assert_int_equal(f.slots[1].pa, 0xfeb02c00);
    assert_int_equal(f.pci_window, 0xc0000000);
    assert_int_equal(f.pci_window_end, 0xe0000000);
    assert_int_equal(f.ecam, 0xe0000000);
    assert_int_equal(f.ecam_last, 255);
    assert_true(f.have_s5);
    assert_int_equal(f.s5_a, 5);
}

/* Every prefix, and every byte changed: nothing may be read beyond, and nothing out of bounds be believed. */
static void broken(void **state)
{
    uint8_t copy[sizeof(dsdt)];

    (void)state;
    for (size_t n = 36; n < sizeof(dsdt); n++) {
        struct acpi_facts f = facts_of(dsdt, n);
        assert_true(f.slot_count <= 2);
    }
    for (size_t i = 36; i < sizeof(dsdt) - 1; i++)
        for (unsigned bit = 0; bit < 8; bit++) {
            memcpy(copy, dsdt, sizeof(dsdt));
            copy[i] ^= 1u << bit;
            struct acpi_facts f = facts_of(copy, sizeof(dsdt) - 1);
            assert_true(f.slot_count <= ACPI_SLOT_MAX);
            assert_true(f.ecam % (1 << 20) == 0);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good),     cmocka_unit_test(bad),    cmocka_unit_test(pci_off),
        cmocka_unit_test(patterns), cmocka_unit_test(broken),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
