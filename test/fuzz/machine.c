/* SPDX-License-Identifier: MIT */
/* Fuzz entry: what a loader and a host hand over at boot. The input is memory with ACPI tables, a memory map, and the
 * edges of a clock at the same time. */
#include "boot/memory.h"
#include "cc/cpuid.h"
#include "cc/insn.h"
#include "vm/acpi.h"
#include "vm/clockmath.h"

#include <stdlib.h>
#include <string.h>

struct input {
    const uint8_t *bytes;
    size_t size;
};

#define BASE 0xe0000ull

static bool read_input(void *context, void *dst, uint64_t pa, size_t size)
{
    const struct input *in = context;

    if (pa < BASE || pa - BASE > in->size || size > in->size - (pa - BASE))
        return false;
    memcpy(dst, in->bytes + (pa - BASE), size);
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct input in = { bytes, size };
    const struct acpi_memory memory = { read_input, &in };
    struct acpi_facts f = { 0 };
    uint8_t *scratch = malloc(2048);
    struct memmap_entry raw[16];
    struct memmap_range runs[8];
    struct clock_edge edges[6];

    if (scratch && acpi_find_rsdp(&memory, BASE))
        acpi_read(&memory, BASE, scratch, 2048, &f);
    free(scratch);
    acpi_parse_madt(bytes, size, &f);
    f.dsdt = 0;
    acpi_parse_fadt(bytes, size, &f);
    acpi_parse_hpet(bytes, size, &f);
    acpi_parse_mcfg(bytes, size, &f);
    acpi_parse_tpm2(bytes, size, &f);
    acpi_parse_s5(bytes, size, &f);
    if (size >= sizeof(raw)) {
        memcpy(raw, bytes, sizeof(raw));
        size_t n = memmap_build(raw, 16, 1ull << 46, runs, 8);
        for (size_t i = 0; i < n; i++)
            if (runs[i].start >= runs[i].end || (i && runs[i].start <= runs[i - 1].end))
                abort();
    }
    if (size >= sizeof(edges)) {
        memcpy(edges, bytes, sizeof(edges));
        uint64_t hz = clock_fit(edges, 6, 3579545, 0xffffff, 50);
        if (hz && !clock_plausible(hz) && hz >> 36)
            abort();
    }
    struct plat_frame frame = { 0 };
    struct insn insn;
    if (insn_decode(bytes, size, &frame, &insn) && (insn.length > size || insn.size > 8))
        abort();
    static struct cc_cpuid_table table;
    uint32_t out[4];
    memcpy(&table, bytes, size < sizeof(table) ? size : sizeof(table));
    cc_cpuid_lookup(&table, table.entries[0].eax_in, 0, UINT64_MAX, out);
    (void)clock_option((const char *)bytes, size);
    return 0;
}
