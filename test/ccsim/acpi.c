/* SPDX-License-Identifier: MIT */
/* The machine's ACPI tables as a loader gives them to a confidential guest: copied into its private memory, below 1 MiB,
 * wherever the firmware of the machine has put them. Spec: ACPI 6.5, 5.2. */
#include "ccsim.h"

#include <string.h>

enum {
    RSDP = 36,
    HEADER = 36,
    FADT_DSDT = 40,
    FADT_X_DSDT = 140,
    TABLES_MAX = 32,
    MADT_ENTRIES = 44,
    MADT_LAPIC = 0,
    MADT_WAKEUP = 0x10,
    WAKEUP_SIZE = 16,
};

static uint64_t next = GPA_ACPI;

static void checksum(uint8_t *p, size_t n, size_t at)
{
    uint8_t sum = 0;

    p[at] = 0;
    for (size_t i = 0; i < n; i++)
        sum = (uint8_t)(sum + p[i]);
    p[at] = (uint8_t)-sum;
}

static uint32_t length_of(const uint8_t *table)
{
    uint32_t n;

    memcpy(&n, table + 4, 4);
    return n;
}

/* Room for n bytes; its guest address. */
static uint64_t room(size_t n)
{
    uint64_t at = next;

    next += align_up(n, 16);
    if (next > GPA_ACPI_END)
        sim_fail("the ACPI tables need more than 0x%llx bytes", GPA_ACPI_END - GPA_ACPI);
    return at;
}

static uint8_t *guest(uint64_t gpa)
{
    return sim_host(sim_private(gpa));
}

/* The CPUs that a MADT of n bytes names; behind it, in a TDX guest, the mailbox by which they are woken up. Its new size. */
static uint32_t take_cpus(uint8_t *madt, uint32_t n)
{
    const uint64_t mailbox = sim_attack("mailbox-ram") ? 0x2000000 : GPA_MAILBOX;

    for (uint32_t i = MADT_ENTRIES; i + 8 <= n && madt[i + 1]; i += madt[i + 1])
        if (madt[i] == MADT_LAPIC && madt[i + 4] & 1 && madt[i + 3] && madt[i + 3] != 0xff)
            sim_add_cpu(madt[i + 3]);
    if (sim_attack("acpi-entry"))
        madt[MADT_ENTRIES + 1] = 0;
    if (sim_attack("acpi-entry"))
        checksum(madt, n, 9);
    if (!sim_options.tdx || sim_cpu_count == 1)
        return n;
    memset(madt + n, 0, WAKEUP_SIZE);
    madt[n] = MADT_WAKEUP;
    madt[n + 1] = WAKEUP_SIZE;
    memcpy(madt + n + 8, &mailbox, 8);
    n += WAKEUP_SIZE;
    memcpy(madt + 4, &n, 4);
    checksum(madt, n, 9);
    return n;
}

static uint32_t copy_table(uint64_t pa)
{
    const uint8_t *from = (const uint8_t *)pa;
    uint32_t n = length_of(from), dsdt, at = (uint32_t)room(n + WAKEUP_SIZE);
    uint8_t *to = guest(at);

    memcpy(to, from, n);
    if (!memcmp(to, "APIC", 4))
        n = take_cpus(to, n);
    if (!memcmp(to, "APIC", 4) && sim_attack("acpi-length"))
        memset(to + 4, 0x7f, 4);
    if (!memcmp(to, "APIC", 4) && sim_attack("acpi-checksum"))
        to[9]++;
    if (memcmp(to, "FACP", 4) != 0 || n < FADT_DSDT + 4)
        return at;
    memcpy(&dsdt, to + FADT_DSDT, 4);
    if (dsdt) {
        dsdt = copy_table(dsdt);
        memcpy(to + FADT_DSDT, &dsdt, 4);
        if (n >= FADT_X_DSDT + 8)
            memset(to + FADT_X_DSDT, 0, 8); /* then the other one counts */
        checksum(to, n, 9);
    }
    return at;
}

uint64_t sim_acpi(uint64_t rsdp_pa)
{
    const uint8_t *rsdp = (const uint8_t *)rsdp_pa, *root;
    uint32_t at[TABLES_MAX], count, root_pa, n, entry = 4;
    uint64_t gpa, table = 0;
    uint8_t *to;

    if (!rsdp_pa)
        return 0;
    memcpy(&root_pa, rsdp + 16, 4);
    table = root_pa;
    if (!root_pa) { /* revision 2 alone: the machine without a BIOS */
        memcpy(&table, rsdp + 24, 8);
        entry = 8;
    }
    root = (const uint8_t *)table;
    count = (length_of(root) - HEADER) / entry;
    if (count > TABLES_MAX)
        sim_fail("%u ACPI tables", count);
    for (uint32_t i = 0; i < count; i++) {
        table = 0;
        memcpy(&table, root + HEADER + entry * i, entry);
        at[i] = copy_table(table);
    }
    if (count && sim_attack("acpi-pointer"))
        at[0] = 0x100000; /* the image */
    n = HEADER + 4 * count;
    root_pa = (uint32_t)room(n);
    to = guest(root_pa);
    memcpy(to, root, HEADER);
    memcpy(to, "RSDT", 4);
    memcpy(to + 4, &n, 4);
    memcpy(to + HEADER, at, 4 * count);
    checksum(to, n, 9);
    gpa = room(RSDP);
    to = guest(gpa);
    memset(to, 0, RSDP);
    memcpy(to, rsdp, 15);
    memcpy(to + 16, &root_pa, 4); /* revision 0: the table of 32-bit addresses */
    checksum(to, 20, 8);
    return gpa;
}
