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

/* OperationRegion(name, space, address, ...) whose name is at i: its address. */
static bool region(const uint8_t *t, size_t size, size_t i, uint8_t space, uint64_t *ret)
{
    size_t at = i + 5;

    return i >= 2 && at < size && t[i - 2] == 0x5b && t[i - 1] == 0x80 && t[i + 4] == space &&
           get_constant(t, size, &at, ret);
}

/* The generic event device (ACPI0013): interrupts, then, within the same device, a register whose bits say what happened.
 * What they mean is the VMM's, by which the table is made: QEMU, Cloud Hypervisor, or Firecracker, which has no register but
 * an interrupt for each event. */
static void event_device(const uint8_t *t, size_t size, size_t i, struct acpi_facts *f)
{
    bool qemu = same(t + 10, "BOCHS ", 6), chv = same(t + 10, "CLOUDH", 6);
    size_t at = resources(t, size, i);
    uint64_t address;

    if (!at || f->ged_gsi_count || !(qemu || chv || same(t + 10, "FIRECK", 6)))
        return;
    for (; at + 9 <= size && f->ged_gsi_count < ACPI_GED_MAX && t[at] == EXTENDED_INTERRUPT &&
           get16(t + at + 1) == 6 && t[at + 4] == 1;
         at += 9)
        f->ged_gsis[f->ged_gsi_count++] = get32(t + at + 5);
    for (size_t r = at, end = min_u64(size, at + NEAR); (qemu || chv) && r + 12 <= end; r++)
        if (same(t + r, qemu ? "EREG" : "GDST", 4) && region(t, size, r, 0, &address)) {
            f->ged = address;
            f->ged_bytes = qemu ? 4 : 1;
            f->ged_power = qemu ? 1 << 1 : 1 << 3;
            return;
        }
}

/* VMGenID. Firecracker has the address as a Package beside the _CID; QEMU as a Name, in a table of its own. */
static void generation(const uint8_t *t, size_t size, size_t i, struct acpi_facts *f)
{
    size_t end = min_u64(size, i + NEAR);
    uint64_t low, high, address = 0;

    for (size_t at = i; at + 8 <= end && !address; at++)
        if (t[at] == 'A' && same(t + at, "ADDR\x12", 5)) {
            at += 5;
            at += 2u + (t[at] >> 6); /* PkgLength, NumElements */
            if (get_constant(t, size, &at, &low) && get_constant(t, size, &at, &high))
                address = high << 32 | (uint32_t)low;
        }
    for (size_t at = HEADER; at + 9 <= i && same(t + 16, "VMGENID", 7) && !address; at++)
        if (t[at] == 8 && same(t + at + 1, "VGIA\x0c", 5))
            address = get32(t + at + 6) ? get32(t + at + 6) + 40ull : 0;
    if (address % 8 == 0)
        f->generation = address;
}

/* vmclock (AMZNC10C): one range of memory. */
static void vmclock(const uint8_t *t, size_t size, size_t i, struct acpi_facts *f)
{
    size_t at = resources(t, size, i);
    uint64_t base, last;

    if (!at || at + QWORD_SPACE_BYTES > size || t[at] != QWORD_SPACE ||
        get16(t + at + 1) != QWORD_SPACE_BYTES - 3 || t[at + 3] != 0)
        return;
    base = get64(t + at + 14);
    last = get64(t + at + 22);
    if (!base || base % 8 || last < base || last - base >= 1 << 20)
        return;
    f->vmclock = base;
    f->vmclock_size = (uint32_t)(last - base + 1);
}

void acpi_parse_ssdt(const uint8_t *t, size_t size, struct acpi_facts *f)
{
    for (size_t i = HEADER; i + 15 <= size; i++) {
        if (t[i] == 'V' && same(t + i, "VM_Gen_Counter", 15) && !f->generation)
            generation(t, size, i, f);
        else if (t[i] == 'A' && same(t + i, "AMZNC10C", HID_BYTES) && !f->vmclock)
            vmclock(t, size, i, f);
    }
}

/* QEMU's registers that are known by the names of their regions. */
static void qemu_region(const uint8_t *t, size_t size, size_t i, struct acpi_facts *f)
{
    uint64_t port;

    if (!same(t + 10, "BOCHS ", 6))
        return;
    if (same(t + i, "PRST", 4) && region(t, size, i, 1, &port) && port < 0xfff0)
        f->cpu_hotplug = (uint16_t)port;
    else if (same(t + i, "PEOR", 4) && region(t, size, i, 1, &port) && port < 0xfff0)
        f->pvpanic = (uint16_t)port;
}

static void letter_p(const uint8_t *t, size_t size, size_t i, bool *bridge, bool *sought,
                     struct acpi_facts *f)
{
    if (same(t + i, "PNP0A08", 8))
        *bridge = *sought = true;
    else if (*bridge && same(t + i, "PNP0C02", 8))
        window(t, size, i - 1, f); /* one byte shorter than the other */
    else
        qemu_region(t, size, i, f);
}

void acpi_parse_dsdt(const uint8_t *t, size_t size, struct acpi_facts *f)
{
    bool bridge = false, sought = false;

    acpi_parse_s5(t, size, f);
    acpi_parse_ssdt(t, size, f);
    for (size_t i = HEADER; i + HID_BYTES <= size; i++) {
        if (t[i] == 'L' && same(t + i, "LNRO0005", HID_BYTES))
            slot(t, size, i, f);
        else if (t[i] == 'A' && same(t + i, "ACPI0013", HID_BYTES))
            event_device(t, size, i, f);
        else if (t[i] == 'P')
            letter_p(t, size, i, &bridge, &sought, f);
        else if (t[i] == 0x0c && same(t + i + 1, "\x41\xd0\x03\x03", 4))
            f->keyboard = true; /* PNP0303 */
        else if (sought && bar_window(t, size, i, f))
            sought = false;
    }
}
