/* SPDX-License-Identifier: MIT */
/* From the RSDP to each table: search, checksums, lengths. A table is copied out of the host's reach before it is
 * looked at. A wrong table is as good as none. Pure functions over struct acpi_memory. Spec: ACPI 6.5, 5.2.5 to 5.2.8. */
#include "vm/acpi.h"
#include "vm/acpi_bytes.h"

#include <base/compiler.h>

enum {
    HEADER = 36,
    RSDP_V1 = 20,
    RSDP_V2 = 36,
    EBDA_POINTER = 0x40e,
    BIOS_START = 0xe0000,
    BIOS_END = 0x100000,
    SCAN_CHUNK = 4096
};

static uint8_t sum(const uint8_t *p, size_t n)
{
    uint8_t s = 0;

    for (size_t i = 0; i < n; i++)
        s += p[i];
    return s;
}

/* The RSDP at pa: its bytes, and how many of them count (RSDP_V1 or RSDP_V2); 0: there is none. */
static size_t rsdp_at(const struct acpi_memory *m, uint64_t pa, uint8_t bytes[RSDP_V2])
{
    if (!m->read(m->context, bytes, pa, RSDP_V2) || !same(bytes, "RSD PTR ", 8) ||
        sum(bytes, RSDP_V1) != 0)
        return 0;
    if (bytes[15] < 2)
        return RSDP_V1;
    return get32(bytes + 20) >= RSDP_V2 && sum(bytes, RSDP_V2) == 0 ? RSDP_V2 : 0;
}

/* The first word from i on that is magic, else SCAN_CHUNK / 8. One instruction for the whole search. */
static size_t find(const uint64_t *words, size_t i, uint64_t magic)
{
    size_t left = SCAN_CHUNK / 8 - i;
    const uint64_t *p = words + i;
    bool found = false;

    if (left)
        __asm__("repne scasq"
                : "+D"(p), "+c"(left), "=@ccz"(found)
                : "a"(magic), "m"(*(const uint64_t(*)[SCAN_CHUNK / 8]) words));
    return found ? (size_t)(p - words) - 1 : SCAN_CHUNK / 8;
}

static uint64_t scan(const struct acpi_memory *m, uint64_t start, uint64_t end)
{
    uint64_t chunk[SCAN_CHUNK / 8], magic;
    uint8_t rsdp[RSDP_V2];

    __builtin_memcpy(&magic, "RSD PTR ", 8);
    for (uint64_t pa = start; pa + sizeof(chunk) <= end; pa += sizeof(chunk)) {
        if (!m->read(m->context, chunk, pa, sizeof(chunk)))
            return 0;
        for (size_t i = find(chunk, 0, magic); i < ARRAY_SIZE(chunk); i = find(chunk, i + 1, magic))
            if (i % 2 == 0 && rsdp_at(m, pa + i * 8, rsdp))
                return pa + i * 8;
    }
    return 0;
}

uint64_t acpi_find_rsdp(const struct acpi_memory *m, uint64_t hint)
{
    uint8_t bytes[RSDP_V2];
    uint64_t ebda = 0, found = 0;

    if (hint)
        return rsdp_at(m, hint, bytes) ? hint : 0;
    if (m->read(m->context, bytes, EBDA_POINTER, 2))
        ebda = (uint64_t)get16(bytes) << 4;
    if (ebda >= 0x80000 && ebda < BIOS_START)
        found = scan(m, ebda, ebda + SCAN_CHUNK);
    return found ? found : scan(m, BIOS_START, BIOS_END);
}

/* Copy the table at pa to scratch. Its length, 0: not a good table. */
static size_t load(const struct acpi_memory *m, uint64_t pa, uint8_t *scratch, size_t max)
{
    uint32_t length;

    if (!pa || max < HEADER || !m->read(m->context, scratch, pa, HEADER))
        return 0;
    length = get32(scratch + 4);
    if (length < HEADER || length > max || length > ACPI_TABLE_SIZE_MAX)
        return 0;
    if (!m->read(m->context, scratch, pa, length) || get32(scratch + 4) != length ||
        sum(scratch, length) != 0)
        return 0;
    return length;
}

/* What is read of the tables that the root table names. */
static const struct {
    char signature[5];
    void (*parse)(const uint8_t *table, size_t size, struct acpi_facts *ret);
} kinds[] = {
    { "APIC", acpi_parse_madt }, { "FACP", acpi_parse_fadt }, { "HPET", acpi_parse_hpet },
    { "MCFG", acpi_parse_mcfg }, { "TPM2", acpi_parse_tpm2 }, { "SSDT", acpi_parse_ssdt },
    { "SRAT", acpi_parse_srat }, { "SLIT", acpi_parse_slit },
};

static void read_table(const struct acpi_memory *m, uint64_t pa, uint8_t *scratch, size_t max,
                       struct acpi_facts *ret)
{
    uint8_t signature[4];
    size_t n;

    if (!pa || !m->read(m->context, signature, pa, 4))
        return;
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
        if (same(signature, kinds[i].signature, 4)) {
            n = load(m, pa, scratch, max);
            if (n && same(scratch, kinds[i].signature, 4))
                kinds[i].parse(scratch, n, ret);
        }
}

void acpi_read(const struct acpi_memory *m, uint64_t rsdp, void *scratch, size_t scratch_size,
               struct acpi_facts *ret)
{
    uint8_t bytes[RSDP_V2], *work = scratch;
    uint64_t tables[ACPI_TABLE_MAX], root;
    size_t n, entry, count = 0, rsdp_size = rsdp_at(m, rsdp, bytes);

    if (!rsdp_size)
        return;
    entry = rsdp_size == RSDP_V2 && get64(bytes + 24) ? 8 : 4;
    root = entry == 8 ? get64(bytes + 24) : get32(bytes + 16);
    n = load(m, root, work, scratch_size);
    if (!n || !same(work, entry == 8 ? "XSDT" : "RSDT", 4))
        return;
    ret->present = true;
    for (size_t at = HEADER; at + entry <= n && count < ACPI_TABLE_MAX; at += entry)
        tables[count++] = entry == 8 ? get64(work + at) : get32(work + at);
    for (size_t i = 0; i < count; i++)
        read_table(m, tables[i], work, scratch_size, ret);
    n = load(m, ret->dsdt, work, scratch_size);
    if (n && same(work, "DSDT", 4))
        acpi_parse_dsdt(work, n, ret);
}
