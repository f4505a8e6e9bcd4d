/* SPDX-License-Identifier: MIT */
/* Devices that only a DSDT names. VMMs write them as constants, so the bytes are looked for: nothing is executed, each look
 * goes forward a bounded distance. Patterns: a _HID string, then, within the same device, a _CRS of resource descriptors.
 * Pure. Spec: ACPI 6.5, 6.4 (resources), 20.2 (AML). */
#include "vm/acpi.h"
#include "vm/acpi_bytes.h"

enum {
    HEADER = 36,
    NEAR = 64, /* from the _HID to the resources */
    MEMORY32_FIXED = 0x86,
    MEMORY32_FIXED_BYTES = 12,
    EXTENDED_INTERRUPT = 0x89,
    DWORD_SPACE = 0x87,
    DWORD_SPACE_BYTES = 26,
    QWORD_SPACE = 0x8a,
    QWORD_SPACE_BYTES = 46,
    HID_BYTES = 9,
};

/* Where the resources of the device whose _HID is at i begin: behind "_CRS" BufferOp PkgLength BufferSize. 0: not here. */
static size_t resources(const uint8_t *t, size_t size, size_t i)
{
    size_t end = min_u64(size, i + NEAR);

    for (size_t at = i + HID_BYTES; at + 8 <= end; at++) {
        if (t[at] == '_' && same(t + at, "_HID", 4))
            return 0; /* the next device */
        if (t[at] != '_' || !same(t + at, "_CRS", 4) || t[at + 4] != 0x11)
            continue;
        at += 5;
        at += 1u + (t[at] >> 6); /* PkgLength */
        if (at + 2 > size)
            return 0;
        /* BufferSize: a byte, word or dword constant. */
        return at + (t[at] == 0x0a ? 2 : t[at] == 0x0b ? 3 : t[at] == 0x0c ? 5 : 1);
    }
    return 0;
}

/* virtio-mmio (LNRO0005): one memory range, one interrupt. */
static void slot(const uint8_t *t, size_t size, size_t i, struct acpi_facts *f)
{
    size_t at = resources(t, size, i);
    struct acpi_slot *s = &f->slots[f->slot_count];

    if (!at || f->slot_count == ACPI_SLOT_MAX || at + MEMORY32_FIXED_BYTES + 9 > size ||
        t[at] != MEMORY32_FIXED || get16(t + at + 1) != 9)
        return;
    s->pa = get32(t + at + 4);
    s->size = get32(t + at + 8);
    at += MEMORY32_FIXED_BYTES;
    if (t[at] != EXTENDED_INTERRUPT || get16(t + at + 1) != 6 || t[at + 4] != 1)
        return;
    s->gsi = get32(t + at + 5);
    f->slot_count++;
}

/* The configuration window of a PCI host bridge without an MCFG: the memory that a PNP0C02 beside it reserves. */
static void window(const uint8_t *t, size_t size, size_t i, struct acpi_facts *f)
{
    size_t at = resources(t, size, i);
    uint64_t base, last;

    if (!at || f->ecam || at + QWORD_SPACE_BYTES > size || t[at] != QWORD_SPACE ||
        get16(t + at + 1) != QWORD_SPACE_BYTES - 3 || t[at + 3] != 0)
        return;
    base = get64(t + at + 14);
    last = get64(t + at + 22);
    if (!base || base % (1 << 20) || last < base || (last - base + 1) % (1 << 20) ||
        (last - base) >> 20 > 255)
        return;
    f->ecam = base;
    f->ecam_first = 0;
    f->ecam_last = (uint8_t)((last - base) >> 20);
}

/* The bridge's first memory range below 4 GiB: a DWord address space descriptor. True: it was found, wherever that was. */
static bool bar_window(const uint8_t *t, size_t size, size_t at, struct acpi_facts *f)
{
    uint32_t low, high;

    if (t[at] != DWORD_SPACE || at + DWORD_SPACE_BYTES > size ||
        get16(t + at + 1) != DWORD_SPACE_BYTES - 3 || t[at + 3] != 0)
        return false;
    low = get32(t + at + 10);
    high = get32(t + at + 14);
    if (!low || low % PAGE_SIZE || high <= low || (high + 1u) % PAGE_SIZE)
        return false;
    f->pci_window = low;
    f->pci_window_end = high + 1ull;
    return true;
}

/* QEMU's generic event device (ACPI0013): an interrupt, then, within the same device, a memory region of four bytes whose
 * bits say what happened. Other VMMs give the bits other meanings: the table's maker must be QEMU. */
static void event_device(const uint8_t *t, size_t size, size_t i, struct acpi_facts *f)
{
    size_t at = resources(t, size, i), end = min_u64(size, at + NEAR);

    if (!at || !same(t + 10, "BOCHS ", 6) || at + 9 > size || t[at] != EXTENDED_INTERRUPT ||
        get16(t + at + 1) != 6 || t[at + 4] != 1)
        return;
    /* OperationRegion(EREG, SystemMemory, a dword, ...) */
    for (size_t r = at + 9; r + 12 <= end; r++)
        if (t[r] == 0x5b && same(t + r,
                                 "\x5b\x80"
                                 "EREG\x00\x0c",
                                 8)) {
            f->ged = get32(t + r + 8);
            f->ged_gsi = get32(t + at + 5);
            return;
        }
}

void acpi_parse_dsdt(const uint8_t *t, size_t size, struct acpi_facts *f)
{
    bool bridge = false, sought = false;

    acpi_parse_s5(t, size, f);
    for (size_t i = HEADER; i + HID_BYTES <= size; i++) {
        if (t[i] == 'L' && same(t + i, "LNRO0005", HID_BYTES))
            slot(t, size, i, f);
        else if (t[i] == 'A' && same(t + i, "ACPI0013", HID_BYTES))
            event_device(t, size, i, f);
        else if (t[i] == 'P' && same(t + i, "PNP0A08", 8))
            bridge = sought = true;
        else if (sought && bar_window(t, size, i, f))
            sought = false;
        else if (bridge && t[i] == 'P' && same(t + i, "PNP0C02", 8))
            window(t, size, i - 1, f); /* one byte shorter than the other */
    }
}
