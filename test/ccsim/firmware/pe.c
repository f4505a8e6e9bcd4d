/* SPDX-License-Identifier: MIT */
/* Loads one PE32+ file. Spec: PE format, "Optional header", ".reloc section". */
#include "firmware.h"

enum { SECTION = 40, RELOC_DIR64 = 10, DIRECTORY_RELOC = 5 };

static uint32_t word(const uint8_t *p)
{
    return p[0] | p[1] << 8 | p[2] << 16 | (uint32_t)p[3] << 24;
}

static void relocate(uint8_t *base, uint32_t at, uint32_t size, uint64_t delta)
{
    const uint8_t *p = base + at, *end = p + size;

    while (p + 8 <= end && word(p + 4) >= 8) {
        for (const uint8_t *e = p + 8; e < p + word(p + 4); e += 2) {
            uint32_t entry = e[0] | e[1] << 8;
            uint64_t *target = (uint64_t *)(base + word(p) + (entry & 0xfff));

            if (entry >> 12 == RELOC_DIR64)
                *target += delta;
        }
        p += word(p + 4);
    }
}

EFI_IMAGE_ENTRY_POINT pe_load(const uint8_t *file, size_t size, uint64_t *ret_base,
                              uint64_t *ret_size)
{
    const uint8_t *pe = file + word(file + 0x3c), *optional = pe + 24;
    unsigned sections = pe[6] | pe[7] << 8;
    const uint8_t *s = optional + (pe[20] | pe[21] << 8);
    uint64_t delta;
    EFI_PHYSICAL_ADDRESS base = 0;

    if (size < PAGE || word(pe) != 0x4550 || (optional[0] | optional[1] << 8) != 0x20b)
        stop("the file is no PE32+ file");
    *ret_size = word(optional + 56);
    if (memory_pages(AllocateAnyPages, EfiLoaderCode, (*ret_size + PAGE - 1) / PAGE, &base))
        stop("no memory for the file");
    memset((void *)base, 0, *ret_size);
    memcpy((void *)base, file, word(optional + 60));
    for (unsigned i = 0; i < sections; i++, s += SECTION) {
        uint32_t n = word(s + 16) < word(s + 8) ? word(s + 16) : word(s + 8);

        memcpy((void *)(base + word(s + 12)), file + word(s + 20), n);
    }
    memcpy(&delta, optional + 24, 8);
    delta = base - delta;
    if (word(optional + 108) > DIRECTORY_RELOC)
        relocate((uint8_t *)base, word(optional + 112 + 8 * DIRECTORY_RELOC),
                 word(optional + 116 + 8 * DIRECTORY_RELOC), delta);
    *ret_base = base;
    return (EFI_IMAGE_ENTRY_POINT)(base + word(optional + 16));
}
