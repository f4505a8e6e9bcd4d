/* SPDX-License-Identifier: MIT */
/* Image lint. Each rule exists because one loader (QEMU, linux-loader of Firecracker and Cloud Hypervisor) misbehaves
 * without it; ARCHITECTURE.md, "What a loader accepts", has the list with the reasons. */
#include "lint.h"

#include "util.h"

#include <elf.h>
#include <string.h>

#define LOWEST 0x100000ULL
#define HOLE   0xc0000000ULL /* memory below 4 GiB ends here on machines that put devices at 3 GiB */

struct lint {
    const uint8_t *data;
    size_t size;
    const Elf64_Ehdr *h;
    const Elf64_Phdr *p;
};

static bool fits(uint64_t offset, uint64_t n, uint64_t size)
{
    return offset <= size && n <= size - offset;
}

static const char *rule1_header(struct lint *l)
{
    if (l->size < sizeof(Elf64_Ehdr) || memcmp(l->data, ELFMAG, SELFMAG) != 0 ||
        l->data[EI_CLASS] != ELFCLASS64 || l->data[EI_DATA] != ELFDATA2LSB)
        return "rule 1: not a little-endian ELF64 file";
    l->h = (const void *)l->data;
    if (l->h->e_machine != EM_X86_64 || l->h->e_phentsize != sizeof(Elf64_Phdr) ||
        l->h->e_phoff < sizeof(Elf64_Ehdr) || l->h->e_phoff % 8 ||
        !fits(l->h->e_phoff, (uint64_t)l->h->e_phnum * sizeof(Elf64_Phdr), l->size))
        return "rule 1: bad program header table";
    l->p = (const void *)(l->data + l->h->e_phoff);
    return NULL;
}

/* The entry point in the PVH note of segment p, 0 when there is none. */
static uint64_t pvh_entry(const struct lint *l, const Elf64_Phdr *p)
{
    uint32_t note[3], entry = 0;
    uint64_t entry64 = 0;
    if (!fits(p->p_offset, p->p_filesz, l->size) || p->p_filesz < 20 || p->p_offset % 4)
        return 0;
    memcpy(note, l->data + p->p_offset, sizeof(note));
    if (note[0] != 4 || note[1] < 4 || note[2] != 18 ||
        memcmp(l->data + p->p_offset + 12, "Xen", 4) != 0)
        return 0;
    if (note[1] >= 8 && p->p_filesz >= 24)
        memcpy(&entry64, l->data + p->p_offset + 16, 8);
    memcpy(&entry, l->data + p->p_offset + 16, 4);
    return entry64 >> 32 ? entry64 : entry;
}

static const char *rule2_note(const struct lint *l, uint64_t *ret_entry)
{
    size_t notes = 0;
    for (size_t i = 0; i < l->h->e_phnum; i++) {
        if (l->p[i].p_type != PT_NOTE)
            continue;
        if (++notes == 1)
            *ret_entry = pvh_entry(l, &l->p[i]);
    }
    if (notes != 1)
        return xprintf("rule 2: %zu PT_NOTE segments, must be exactly one", notes);
    return *ret_entry ? NULL : "rule 2: the note is not the PVH entry";
}

static const char *rule4_entry(const struct lint *l, uint64_t entry)
{
    for (size_t i = 0; i < l->h->e_phnum; i++) {
        const Elf64_Phdr *p = &l->p[i];
        if (p->p_type == PT_LOAD && p->p_flags & PF_X && entry >= p->p_paddr &&
            entry - p->p_paddr < p->p_filesz)
            return entry >> 32 ? "rule 4: PVH entry above 4 GiB" : NULL;
    }
    return "rule 4: PVH entry outside of every executable segment";
}

static const char *rules5_6_8_segment(const struct lint *l, size_t i)
{
    const Elf64_Phdr *p = &l->p[i];
    if (p->p_type != PT_LOAD)
        return NULL;
    if (p->p_paddr < LOWEST || p->p_paddr > HOLE || p->p_memsz > HOLE - p->p_paddr)
        return "rule 5: a segment does not lie between 1 MiB and 3 GiB; the image is too large to "
               "boot";
    if (p->p_filesz > p->p_memsz || !fits(p->p_offset, p->p_filesz, l->size))
        return "rule 6: a segment is not wholly in the file";
    for (size_t j = 0; j < i; j++)
        if (l->p[j].p_type == PT_LOAD && p->p_paddr < l->p[j].p_paddr + l->p[j].p_memsz &&
            l->p[j].p_paddr < p->p_paddr + p->p_memsz)
            return "rule 6: segments overlap";
    if (p->p_flags & PF_W && p->p_flags & PF_X)
        return "rule 8: a segment is writable and executable";
    return NULL;
}

/* Nothing in the file that no header accounts for. */
static const char *rule6_size(const struct lint *l)
{
    uint64_t end = l->h->e_phoff + (uint64_t)l->h->e_phnum * sizeof(Elf64_Phdr);
    uint64_t sections = l->h->e_shoff + (uint64_t)l->h->e_shnum * l->h->e_shentsize;
    if (l->h->e_shoff && (sections < l->h->e_shoff || sections > l->size))
        return "rule 6: the section headers are not in the file";
    end = end > sections ? end : sections;
    for (size_t i = 0; i < l->h->e_phnum; i++)
        if (l->p[i].p_type == PT_LOAD && l->p[i].p_offset + l->p[i].p_filesz > end)
            end = l->p[i].p_offset + l->p[i].p_filesz;
    return l->size - end < 4096 ? NULL : "rule 6: bytes after the last segment";
}

static const char *rule7_multiboot(const struct lint *l)
{
    for (size_t i = 0; i + 4 <= l->size && i < 8192; i += 4) {
        uint32_t word;
        memcpy(&word, l->data + i, 4);
        if (word == 0x1badb002)
            return "rule 7: a Multiboot header in the first 8 KiB";
    }
    return NULL;
}

const char *lint_elf(const uint8_t *data, size_t size)
{
    struct lint l = { .data = data, .size = size };
    uint64_t entry = 0;
    const char *wrong = rule1_header(&l);
    if (!wrong)
        wrong = rule2_note(&l, &entry);
    if (!wrong && l.h->e_entry < LOWEST)
        wrong = "rule 3: e_entry below 1 MiB";
    if (!wrong)
        wrong = rule4_entry(&l, entry);
    for (size_t i = 0; !wrong && i < l.h->e_phnum; i++)
        wrong = rules5_6_8_segment(&l, i);
    if (!wrong)
        wrong = rule6_size(&l);
    return wrong ? wrong : rule7_multiboot(&l);
}
