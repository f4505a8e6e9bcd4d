/* SPDX-License-Identifier: MIT */
/* What tables say of events: VMGenID and vmclock as QEMU and Firecracker write them, event devices, QEMU's ports; the same broken in
 * every byte and cut at every length. And Ctrl-Alt-Del in both sets of scan codes. */
#include "tables.h"
#include "vm/keys.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { HEADER = 36, TABLE_MAX = 600 };

struct table {
    uint8_t bytes[TABLE_MAX];
    size_t size;
};

static void say(struct table *t, const void *bytes, size_t n)
{
    assert_true(t->size + n <= TABLE_MAX);
    memcpy(t->bytes + t->size, bytes, n);
    t->size += n;
}
#define SAY(t, text) say(t, text, sizeof(text) - 1)

static struct table begin(const char *signature, const char *oem, const char *oem_table)
{
    struct table t = { .size = HEADER };

    memcpy(t.bytes, signature, 4);
    memcpy(t.bytes + 10, oem, 6);
    memcpy(t.bytes + 16, oem_table, 8);
    return t;
}

static struct table qemu_vmgenid(void)
{
    struct table t = begin("SSDT", "BOCHS ", "VMGENID\0");

    SAY(&t, "\x08VGIA\x0c\x00\xf0\xff\x03\x10\x41\x08\\_SB_[\x82\x48\x07VGEN");
    SAY(&t, "\x08_HID\rQEMUVGID\0\x08_CID\rVM_Gen_Counter\0\x08_DDN\rVM_Gen_Counter\0");
    return t;
}

static struct table qemu_vmclock(void)
{
    struct table t = begin("SSDT", "BOCHS ", "VMCLOCK\0");
    static const uint8_t range[] = { 0x8a, 0x2b, 0,    0,    0x0c, 2,    255,  255,  255, 255,
                                     255,  255,  255,  255,  0,    0xb0, 0xff, 0xfe, 0,   0,
                                     0,    0,    0xff, 0xbf, 0xff, 0xfe, 0,    0,    0,   0,
                                     0,    0,    0,    0,    0,    0,    0,    0,    0,   0x10,
                                     0,    0,    0,    0,    0,    0,    0x79, 0 };

    SAY(&t, "\x10J\x07\\_SB_[\x82\x41\x07VCLK\x08_HID\rAMZNC10C\0\x08_CID\rVMCLOCK\0");
    SAY(&t, "\x08_STA\n\x0f\x08_CRS\x11\x33\n\x30");
    say(&t, range, sizeof(range));
    return t;
}

static struct table firecracker(void)
{
    struct table t = begin("DSDT", "FIRECK", "FCVMDSDT");

    SAY(&t, "\x08_HID\rFCVMGID\0\x08_CID\rVM_Gen_Counter\0\x08_DDN\rVM_Gen_Counter\0");
    SAY(&t, "\x08"
            "ADDR\x12\x0c\x02\x0c\xf0\xfb\x09\x00\x0c\x01\x00\x00\x00");
    SAY(&t, "[\x82\x30GED_\x08_HID\rACPI0013\0\x08_CRS\x11\x17\n\x14");
    SAY(&t, "\x89\x06\x00\x03\x01\x05\x00\x00\x00\x89\x06\x00\x03\x01\x06\x00\x00\x00\x79\x00");
    SAY(&t, "[\x82\x30PS2_\x08_HID\x0c\x41\xd0\x03\x03\x08_STA\x0a\x0f");
    return t;
}

static struct table qemu_dsdt(void)
{
    struct table t = begin("DSDT", "BOCHS ", "BXPC    ");

    SAY(&t, "[\x80PRST\x01\x0b\xd8\x0c\n\x0c");
    SAY(&t, "\x08_HID\rQEMU0001\0\x08_CRS\x11\r\n\nG\x01\x05\x05\x05\x05\x01\x01y\0["
            "\x80PEOR\x01\x0b\x05\x05\x01");
    SAY(&t, "\x08_HID\rACPI0013\0\x08_UID\rGED\0\x08_"
            "CRS\x11\x0e\n\x0b\x89\x06\x00\x03\x01\x0a\x00\x00\x00\x79\x00");
    SAY(&t, "[\x80"
            "EREG\x00\x0c\x00\x00\x9e\xfe\n\x04");
    return t;
}

static struct table cloud_hypervisor_dsdt(void)
{
    struct table t = begin("DSDT", "CLOUDH", "CHDSDT  ");

    SAY(&t, "\x08_HID\rACPI0013\0\x08_UID\x00\x08_"
            "CRS\x11\x0e\n\x0b\x89\x06\x00\x03\x01\x0a\x00\x00\x00\x79\x00");
    SAY(&t, "[\x80GDST\x00\x0e\x00\x10\x00\x00\x01\x00\x00\x00\n\x01");
    return t;
}

static struct acpi_facts read_table(const struct table *t, size_t size)
{
    struct acpi_facts f = { 0 };
    uint8_t *copy = malloc(size); /* exactly so long: the sanitizer sees one byte too far */

    memcpy(copy, t->bytes, size);
    if (t->bytes[0] == 'S')
        acpi_parse_ssdt(copy, size, &f);
    else
        acpi_parse_dsdt(copy, size, &f);
    free(copy);
    return f;
}

static void generations(void **state)
{
    struct table t = qemu_vmgenid();
    struct acpi_facts f = read_table(&t, t.size);

    (void)state;
    assert_int_equal(f.generation, 0x3fff028);
    t = firecracker();
    f = read_table(&t, t.size);
    assert_int_equal(f.generation, 0x10009fbf0);
    assert_true(f.ged_gsi_count == 2 && f.ged_gsis[0] == 5 && f.ged_gsis[1] == 6 && !f.ged);
    assert_true(f.keyboard);
    t = qemu_vmclock();
    f = read_table(&t, t.size);
    assert_true(f.vmclock == 0xfeffb000 && f.vmclock_size == 0x1000);
}

static void ports(void **state)
{
    struct table t = qemu_dsdt();
    struct acpi_facts f = read_table(&t, t.size);

    (void)state;
    assert_true(f.cpu_hotplug == 0xcd8 && f.pvpanic == 0x505);
    assert_true(f.ged == 0xfe9e0000 && f.ged_bytes == 4 && f.ged_power == 2 &&
                f.ged_gsi_count == 1 && f.ged_gsis[0] == 10);
    memcpy(t.bytes + 10, "MALICE", 6); /* those are QEMU's own */
    f = read_table(&t, t.size);
    assert_true(!f.cpu_hotplug && !f.pvpanic && !f.ged_gsi_count);
    t = cloud_hypervisor_dsdt();
    f = read_table(&t, t.size);
    assert_true(f.ged == 0x100001000 && f.ged_bytes == 1 && f.ged_power == 8);
}

static void broken(void **state)
{
    struct table (*const all[])(void) = { qemu_vmgenid, qemu_vmclock, firecracker, qemu_dsdt,
                                          cloud_hypervisor_dsdt };

    (void)state;
    for (size_t k = 0; k < sizeof(all) / sizeof(all[0]); k++) {
        struct table t = all[k]();

        for (size_t n = HEADER; n < t.size; n++)
            (void)read_table(&t, n);
        for (size_t i = 10; i < t.size; i++)
            for (unsigned v = 0; v < 256; v++) {
                uint8_t was = t.bytes[i];
                struct acpi_facts f;

                t.bytes[i] = (uint8_t)v;
                f = read_table(&t, t.size);
                assert_true(f.ged_gsi_count <= ACPI_GED_MAX && f.generation % 8 == 0);
                t.bytes[i] = was;
            }
    }
}

static unsigned presses(const char *bytes, size_t n)
{
    struct keys k = { 0 };
    unsigned count = 0;

    for (size_t i = 0; i < n; i++)
        count += keys_ctrl_alt_del(&k, (uint8_t)bytes[i]);
    return count;
}
#define PRESSES(text) presses(text, sizeof(text) - 1)

static void keys(void **state)
{
    (void)state;
    assert_int_equal(PRESSES("\x1d\x38\xe0\x53\xe0\xd3\xb8\x9d"), 1);
    assert_int_equal(PRESSES("\x14\x11\xe0\x71"), 1); /* Firecracker's */
    assert_int_equal(PRESSES("\x14\x11\xe0\x71\xe0\xf0\x71\xf0\x11\xf0\x14"), 1);
    assert_int_equal(PRESSES("\xe0\x1d\xe0\x38\xe0\x53"), 1); /* those on the right */
    assert_int_equal(PRESSES("\x1d\x9d\x38\xe0\x53"), 0);
    assert_int_equal(PRESSES("\x14\xf0\x14\x11\xe0\x71"), 0);
    assert_int_equal(PRESSES("\xe0\x53\x1d\x38"), 0);
    assert_int_equal(PRESSES("\xe0\xe0\xe0\xf0\xf0"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(generations),
        cmocka_unit_test(ports),
        cmocka_unit_test(broken),
        cmocka_unit_test(keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
