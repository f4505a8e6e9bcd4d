/* SPDX-License-Identifier: MIT */
/* The PCI walk over a configuration space that lies (H24 to H26, H29, H30). */
#include "pci/pci.h"
#include "setup.h"

#include <plat/mmio.h>

enum { FUNCTIONS = 4 };

/* Functions at 00:01.0 and up; sizes of BARs by their masks. */
static struct fake_function {
    uint8_t config[256];
    uint32_t mask[6];
    bool there;
} functions[FUNCTIONS];
static unsigned writes_while_decoding;
static struct pci_function seen[FUNCTIONS];
static unsigned nseen;
static bool vanish;

static struct fake_function *at(uint16_t id)
{
    unsigned i = (id >> 3) - 1u;

    return (id & 7) == 0 && i < FUNCTIONS && functions[i].there ? &functions[i] : NULL;
}

static uint32_t read_config(uint16_t id, unsigned offset, unsigned bytes)
{
    struct fake_function *f = at(id);
    uint32_t v = 0;

    assert_true(offset + bytes <= 256 && offset % bytes == 0);
    if (!f || (vanish && offset >= 0x34))
        return UINT32_MAX;
    memcpy(&v, f->config + offset, bytes);
    return v;
}

static void write_config(uint16_t id, unsigned offset, unsigned bytes, uint32_t value)
{
    struct fake_function *f = at(id);

    if (!f)
        return;
    if (offset >= 0x10 && offset < 0x28) {
        unsigned bar = (offset - 0x10) / 4;
        uint32_t kind, old;
        memcpy(&old, f->config + offset, 4);
        kind = bar && (f->config[offset - 4] & 7) == 4 ? 0 : old & 15;
        if (f->config[4] & 3)
            writes_while_decoding++;
        value = (value & f->mask[bar]) | kind;
    }
    memcpy(f->config + offset, &value, bytes);
}

static const struct plat_host_bus bus = { .pci_read = read_config, .pci_write = write_config };

static void put32(struct fake_function *f, unsigned at_, uint32_t v)
{
    memcpy(f->config + at_, &v, 4);
}

/* A function with a 16 KiB memory BAR 0 and MSI-X with 4 entries in it. */
static struct fake_function *make(unsigned i)
{
    struct fake_function *f = &functions[i];

    memset(f, 0, sizeof(*f));
    f->there = true;
    put32(f, 0, 0x10411af4);
    f->config[4] = 7;
    f->config[6] = 0x10;
    put32(f, 0x10, 0xe0000000 + i * 0x4000);
    f->mask[0] = ~0x3fffu;
    f->config[0x34] = 0x40;
    f->config[0x40] = 0x11;
    f->config[0x42] = 3;
    put32(f, 0x44, 0x1000);
    put32(f, 0x48, 0x2000);
    return f;
}

static bool match(const struct pci_function *f)
{
    return f->vendor == 0x1af4;
}

static int probe(const struct pci_function *f)
{
    seen[nseen++] = *f;
    return 0;
}

static void scan(void)
{
    static const struct pci_driver driver = { match, probe };
    static const struct pci_driver *const list[] = { &driver };

    nseen = writes_while_decoding = 0;
    plat_host_bus_set(&bus);
    pci_scan(list, 1, false);
    assert_int_equal(writes_while_decoding, 0);
}

static int clear(void **state)
{
    (void)state;
    memset(functions, 0, sizeof(functions));
    vanish = false;
    return 0;
}

static void honest(void **state)
{
    (void)state;
    make(0);
    make(2);
    scan();
    assert_int_equal(nseen, 2);
    assert_int_equal(seen[1].bars[0].addr, 0xe0008000);
    assert_int_equal(seen[1].bars[0].size, 0x4000);
    assert_int_equal(seen[0].vectors, 4);
    assert_int_equal(seen[0].ncaps, 1);
    assert_true(pci_bar_has_msix(&seen[0], 0, 0x1030, 100));
    assert_false(pci_bar_has_msix(&seen[0], 0, 0x1040, 0xfc0));
}

static void wide_bar(void **state)
{
    struct fake_function *f = make(0);

    (void)state;
    put32(f, 0x10, 0x80000004);
    put32(f, 0x14, 0xff);
    f->mask[0] = 0xfff80000;
    f->mask[1] = 0xffffffff;
    scan();
    assert_int_equal(seen[0].bars[0].addr, 0xff80000000ull);
    assert_int_equal(seen[0].bars[0].size, 0x80000);
    assert_int_equal(seen[0].bars[1].size, 0);
}

/* H24: a list that bites its tail, leads into the header, or is longer than there is room for. */
static void h24_capabilities(void **state)
{
    struct fake_function *f = make(0);

    (void)state;
    f->config[0x41] = 0x40;
    scan();
    assert_int_equal(seen[0].ncaps, 1);
    f->config[0x41] = 0x10;
    scan();
    assert_int_equal(seen[0].ncaps, 1);
    f->config[0x41] = 0x51;
    scan();
    assert_int_equal(seen[0].ncaps, 1);
    for (unsigned c = 0x40; c < 0x100; c += 4)
        f->config[c + 1] = (uint8_t)(c + 4);
    f->config[0xfd] = 0x40;
    scan();
    assert_true(seen[0].ncaps <= PCI_CAPS_MAX);
    for (unsigned i = 0; i < seen[0].ncaps; i++)
        assert_true(seen[0].caps[i].at + seen[0].caps[i].room < 256);
}

/* H25 and H29: the table beyond its BAR, in one that is not there, over the pending bits; at the very end of the list. */
static void h29_msix(void **state)
{
    static const struct {
        uint32_t table, pba;
        uint8_t control, high;
    } bad[] = {
        { 0x4000, 0x2000, 3, 0 }, { 0x1001, 0x2000, 3, 0 },    { 0x1007, 0x2000, 3, 0 },
        { 0x1000, 0x1038, 3, 0 }, { 0x1000, 0x3ff8, 0xff, 7 }, { 0xfffffff8, 0x2000, 3, 0 },
        { 0x3fd0, 0x2000, 3, 0 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct fake_function *f = make(0);
        put32(f, 0x44, bad[i].table);
        put32(f, 0x48, bad[i].pba);
        f->config[0x42] = bad[i].control;
        f->config[0x43] = bad[i].high;
        scan();
        assert_int_equal(seen[0].vectors, 0);
    }
    struct fake_function *f = make(0);
    f->config[0x34] = 0xf8; /* eight bytes are left for twelve */
    f->config[0xf8] = 0x11;
    scan();
    assert_int_equal(seen[0].vectors, 0);
}

/* H26: sizes and places that cannot be. */
static void h26_bars(void **state)
{
    (void)state;
    struct fake_function *f = make(0);
    f->mask[0] = 0xffff5000; /* not a power of two */
    scan();
    assert_int_equal(seen[0].bars[0].size, 0);
    f = make(0);
    f->mask[0] = 0x80000000; /* 2 GiB */
    put32(f, 0x10, 0x80000000);
    scan();
    assert_int_equal(seen[0].bars[0].size, 0);
    f = make(0);
    put32(f, 0x24, 0xe0100004); /* 64 bits, and the other half outside */
    f->mask[5] = ~0xfffu;
    scan();
    assert_int_equal(seen[0].bars[5].size, 0);
    f = make(0);
    put32(f, 0x10, 0xe0001000); /* not aligned to its size */
    scan();
    assert_int_equal(seen[0].bars[0].size, 0);
    make(0);
    f = make(1);
    put32(f, 0x10, 0xe0000000); /* where the first one lies */
    scan();
    assert_int_equal(nseen, 2);
    assert_int_equal(seen[1].bars[0].size, 0);
}

/* A BAR without an address gets one from the window; none overlap. */
static void assigned(void **state)
{
    (void)state;
    for (unsigned i = 0; i < FUNCTIONS; i++)
        put32(make(i), 0x10, 0);
    scan();
    assert_int_equal(nseen, FUNCTIONS);
    for (unsigned i = 0; i < FUNCTIONS; i++) {
        uint32_t bar;
        memcpy(&bar, functions[i].config + 0x10, 4);
        assert_int_equal(seen[i].bars[0].addr, 0xc0000000 + i * 0x4000);
        assert_int_equal(bar, seen[i].bars[0].addr);
    }
}

/* H30: gone in the middle; bridges that lead back, or everywhere. */
static void h30_odd(void **state)
{
    (void)state;
    make(0);
    vanish = true;
    scan();
    assert_int_equal(nseen, 1);
    assert_int_equal(seen[0].vectors, 0);
    vanish = false;
    struct fake_function *f = make(0);
    f->config[0xe] = 1;
    f->config[0x19] = 0; /* to its own bus */
    scan();
    assert_int_equal(nseen, 0);
    f->config[0xe] = 0x81;
    f->config[0x19] = 255;
    scan();
    f->config[0xe] = 0x7f;
    scan();
    assert_int_equal(nseen, 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup(f, clear)
    const struct CMUnitTest tests[] = {
        T(honest),   T(wide_bar), T(h24_capabilities), T(h29_msix),
        T(h26_bars), T(assigned), T(h30_odd),
    };

    setup();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
