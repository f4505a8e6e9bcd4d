/* SPDX-License-Identifier: MIT */
/* The sections of this file, and the libOS executable in one of them: copied below 1 GiB, where its entry code can map it.
 * On a firmware that lets no memory be writable and executable, its text is made executable by the firmware's protocol. */
#include "stub.h"

#include "boot/image.h"

#define GIB           (1ull << 30)
#define ATTRIBUTE_RO  0x20000ull
#define ATTRIBUTE_XP  0x4000ull
#define PT_LOAD       1u
#define PT_NOTE       4u
#define PF_X          1u
#define SECTION_SPACE 40 /* of a section header */

/* UEFI 2.10, 37.7: not in GNU-EFI's headers yet. */
struct memory_attribute {
    EFI_STATUS(EFIAPI *get)(struct memory_attribute *, EFI_PHYSICAL_ADDRESS, UINT64, UINT64 *);
    EFI_STATUS(EFIAPI *set)(struct memory_attribute *, EFI_PHYSICAL_ADDRESS, UINT64, UINT64);
    EFI_STATUS(EFIAPI *clear)(struct memory_attribute *, EFI_PHYSICAL_ADDRESS, UINT64, UINT64);
};

struct elf_header {
    uint8_t ident[16];
    uint16_t type, machine;
    uint32_t version;
    uint64_t entry, phoff, shoff;
    uint32_t flags;
    uint16_t ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};

struct elf_segment {
    uint32_t type, flags;
    uint64_t offset, vaddr, paddr, filesz, memsz, align;
};

static uint32_t word(const uint8_t *p)
{
    return p[0] | p[1] << 8 | p[2] << 16 | (uint32_t)p[3] << 24;
}

struct section section_find(const uint8_t *base, size_t image_size, const char *name)
{
    char padded[8] = { 0 };
    size_t pe = word(base + 0x3c), table, count;

    for (size_t i = 0; i < sizeof(padded) && name[i]; i++)
        padded[i] = name[i];
    if (pe > PAGE - 24)
        return (struct section){ 0 };
    count = base[pe + 6] | base[pe + 7] << 8;
    table = pe + 24 + (base[pe + 20] | base[pe + 21] << 8);
    for (size_t i = 0; i < count && table + SECTION_SPACE <= PAGE; i++, table += SECTION_SPACE) {
        size_t size = word(base + table + 8), at = word(base + table + 12);

        if (memcmp(base + table, padded, 8) == 0 && at <= image_size && size <= image_size - at)
            return (struct section){ base + at, size };
    }
    return (struct section){ 0 };
}

static bool within(uint64_t offset, uint64_t n, uint64_t size)
{
    return offset <= size && n <= size - offset;
}

static bool segments_ok(const struct elf_segment *p, size_t n, size_t size, uint64_t *ret_end)
{
    *ret_end = GIB / 1024;
    for (size_t i = 0; i < n; i++) {
        if (p[i].type != PT_LOAD)
            continue;
        if (!within(p[i].offset, p[i].filesz, size) || p[i].filesz > p[i].memsz ||
            p[i].paddr < GIB / 1024 || p[i].paddr > GIB || p[i].memsz > GIB - p[i].paddr)
            return false;
        if (p[i].paddr + p[i].memsz > *ret_end)
            *ret_end = p[i].paddr + p[i].memsz;
    }
    return *ret_end > GIB / 1024;
}

/* The 64-bit entry by the note's second entry, less where the executable is linked to lie; 0: there is none. */
static uint64_t find_entry(const uint8_t *elf, const struct elf_segment *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (p[i].type != PT_NOTE)
            continue;
        for (uint64_t at = 0; at + 12 <= p[i].filesz;) {
            const uint8_t *note = elf + p[i].offset + at;
            uint64_t name = (word(note) + 3) & ~3u, desc = (word(note + 4) + 3) & ~3u;

            if (name + desc > p[i].filesz - at - 12)
                break;
            if (word(note) == 7 && memcmp(note + 12, "Alcove", 7) == 0 &&
                word(note + 8) == ALCOVE_NOTE_ENTRY64 && desc == 4)
                return p[i].paddr + at + 12 + name + (uint64_t)(int32_t)word(note + 12 + name) -
                       GIB / 1024;
            at += 12 + name + desc;
        }
    }
    return 0;
}

static void set_rights(EFI_BOOT_SERVICES *bs, uint64_t base, const struct elf_segment *p, size_t n)
{
    EFI_GUID guid = {
        0xf4560cf6, 0x40ec, 0x4b4a, { 0xa1, 0x92, 0xbf, 0x1d, 0x57, 0xd0, 0xb1, 0x89 }
    };
    struct memory_attribute *m;

    if (bs->LocateProtocol(&guid, NULL, (void **)&m) != EFI_SUCCESS)
        return;
    for (size_t i = 0; i < n; i++)
        if (p[i].type == PT_LOAD && p[i].flags & PF_X) {
            uint64_t size = (p[i].memsz + PAGE - 1) & ~(uint64_t)(PAGE - 1);

            (void)m->set(m, base + p[i].paddr, size, ATTRIBUTE_RO);
            (void)m->clear(m, base + p[i].paddr, size, ATTRIBUTE_XP);
        }
}

libos_entry libos_load(EFI_BOOT_SERVICES *bs, struct section elf, const CHAR16 **ret_why)
{
    struct elf_header h;
    uint64_t end, entry;
    EFI_PHYSICAL_ADDRESS base = GIB - 1;

    *ret_why = L"this file has no libOS in it (.linux section); build it again";
    if (!elf.data || elf.size < sizeof(h))
        return NULL;
    memcpy(&h, elf.data, sizeof(h));
    if (memcmp(h.ident, "\177ELF\2\1", 6) || h.phentsize != sizeof(struct elf_segment) ||
        h.phoff % 8 || !within(h.phoff, h.phnum * sizeof(struct elf_segment), elf.size))
        return NULL;
    const struct elf_segment *p = (const void *)(elf.data + h.phoff);
    if (!segments_ok(p, h.phnum, elf.size, &end))
        return NULL;
    entry = find_entry(elf.data, p, h.phnum);
    if (!entry || entry >= end)
        return NULL;
    /* A page more, which stays zero: in it libOS would look for a payload of app.elf's kind. */
    size_t size = ((end - GIB / 1024 + PAGE - 1) & ~(uint64_t)(PAGE - 1)) + PAGE;
    *ret_why = L"no memory below 1 GiB for libOS";
    if (bs->AllocatePages(AllocateMaxAddress, EfiLoaderCode, size / PAGE, &base) != EFI_SUCCESS)
        return NULL;
    memset((void *)(uintptr_t)base, 0, size);
    for (size_t i = 0; i < h.phnum; i++)
        if (p[i].type == PT_LOAD)
            memcpy((void *)(uintptr_t)(base + p[i].paddr - GIB / 1024), elf.data + p[i].offset,
                   p[i].filesz);
    set_rights(bs, base - GIB / 1024, p, h.phnum);
    return (libos_entry)(uintptr_t)(base + entry);
}
