/* SPDX-License-Identifier: MIT */
/* The machine's ACPI tables as a loader gives them to a confidential guest: copied into its private memory, below 1 MiB,
 * wherever the firmware of the machine has put them. Spec: ACPI 6.5, 5.2. */
#include "ccsim.h"

#include <string.h>

enum { RSDP = 36, HEADER = 36, FADT_DSDT = 40, FADT_X_DSDT = 140, TABLES_MAX = 32 };

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

static uint32_t copy_table(uint64_t pa)
{
    const uint8_t *from = (const uint8_t *)pa;
    uint32_t n = length_of(from), dsdt, at = (uint32_t)room(n);
    uint8_t *to = guest(at);

    memcpy(to, from, n);
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
    uint32_t at[TABLES_MAX], count, root_pa, n;
    uint64_t gpa;
    uint8_t *to;

    if (!rsdp_pa)
        return 0;
    memcpy(&root_pa, rsdp + 16, 4);
    if (!root_pa) /* revision 2 alone: as the machine without a BIOS has it, in place */
        return rsdp_pa;
    root = (const uint8_t *)(uintptr_t)root_pa;
    count = (length_of(root) - HEADER) / 4;
    if (count > TABLES_MAX)
        sim_fail("%u ACPI tables", count);
    for (uint32_t i = 0; i < count; i++) {
        memcpy(&n, root + HEADER + 4 * i, 4);
        at[i] = copy_table(n);
    }
    n = HEADER + 4 * count;
    root_pa = (uint32_t)room(n);
    to = guest(root_pa);
    memcpy(to, root, HEADER);
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
