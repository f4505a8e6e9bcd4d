/* SPDX-License-Identifier: MIT */
/* Lint of app.efi: what a firmware, a signer or a measuring tool stumbles over. ARCHITECTURE.md has the list. */
#include "lint.h"

#include "pe.h"
#include "util.h"

#include <alcove/image.h>
#include <string.h>

static uint64_t align_up(uint64_t n, uint64_t to)
{
    return (n + to - 1) / to * to;
}

static const char *rule9_header(const struct pe *pe)
{
    const struct pe_header *h = &pe->h;
    if (h->subsystem != PE_SUBSYSTEM_EFI_APPLICATION)
        return "rule 9: not an EFI application";
    if (h->section_align != PE_PAGE || h->file_align < PE_FILE_ALIGN ||
        h->file_align & (h->file_align - 1))
        return "rule 9: sections are not aligned to 4 KiB";
    if (!(h->dll_characteristics & PE_NX_COMPAT))
        return "rule 9: not marked as NX-compatible";
    if (h->characteristics & PE_RELOCS_STRIPPED)
        return "rule 9: cannot be loaded anywhere (relocations stripped)";
    return NULL;
}

static const char *rule10_section(const struct pe *pe, size_t i)
{
    const struct pe_section *s = &pe->s[i];
    uint64_t after = i ? pe->s[i - 1].address + (uint64_t)pe->s[i - 1].size : pe->h.headers_size;
    if (s->flags & PE_SCN_WRITE && s->flags & PE_SCN_EXEC)
        return "rule 10: a section is writable and executable";
    if (s->address % PE_PAGE || s->address < after ||
        s->address + (uint64_t)s->size > pe->h.image_size)
        return "rule 11: sections overlap or leave the image";
    /* Else the digest that is signed does not cover the file: gaps are hashed by nobody. */
    uint64_t at = i ? pe->s[i - 1].file_at + (uint64_t)pe->s[i - 1].file_size : pe->h.headers_size;
    if (s->file_at != at || s->file_size % pe->h.file_align)
        return "rule 12: sections do not follow each other in the file";
    return NULL;
}

static const char *rule12_tail(const struct pe *pe)
{
    const struct pe_section *last = &pe->s[pe->h.sections - 1];
    uint64_t end = last->file_at + (uint64_t)last->file_size;
    uint64_t at = pe->h.directory[PE_DIRECTORY_SECURITY].address,
             size = pe->h.directory[PE_DIRECTORY_SECURITY].size;
    /* A signer pads to 8 bytes, then adds its table, and nothing follows. */
    if (size ? at < end || at - end > 8 || at + size != pe->size : pe->size != end)
        return "rule 12: bytes after the last section";
    return NULL;
}

static const char *rule13_entry(const struct pe *pe)
{
    for (size_t i = 0; i < pe->h.sections; i++) {
        const struct pe_section *s = &pe->s[i];
        if (pe->h.entry >= s->address && pe->h.entry - s->address < s->size)
            return s->flags & PE_SCN_EXEC ? NULL : "rule 13: the entry is not executable";
    }
    return "rule 13: the entry is in no section";
}

/* A Unified Kernel Image, whose payload lies in memory as libOS wants it. */
static const char *rule14_uki(const struct pe *pe)
{
    static const char *const names[] = { ".osrel", ".uname", ".sbat", ".linux" };
    static const char *const parts[] = { ".alcove", ".cmdline", ".initrd", ".alcinfo" };
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        if (!pe_find(pe, names[i]))
            return xprintf("rule 14: no section %s", names[i]);
    const struct pe_section *libos = pe_find(pe, ".linux"), *head = pe_find(pe, ".alcove");
    if (libos->file_at % 8 || libos->size > libos->file_size)
        return "rule 14: the libOS is not wholly in the file";
    if (!head)
        return NULL;
    uint64_t next = head->address, file = head->file_at;
    for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
        const struct pe_section *s = pe_find(pe, parts[i]);
        if (!s && strcmp(parts[i], ".initrd") == 0) /* the root is on a disk */
            continue;
        if (!s || s->address != next || s->file_at != file || s->size > s->file_size)
            return xprintf("rule 14: section %s is not where the payload needs it", parts[i]);
        next += align_up(s->size, ALCOVE_IMAGE_ALIGN);
        file += align_up(s->size, ALCOVE_IMAGE_ALIGN);
    }
    return NULL;
}

const char *lint_pe(const struct pe *pe)
{
    const char *wrong = rule9_header(pe);
    for (size_t i = 0; !wrong && i < pe->h.sections; i++)
        wrong = rule10_section(pe, i);
    if (!wrong)
        wrong = rule12_tail(pe);
    if (!wrong)
        wrong = rule13_entry(pe);
    if (!wrong)
        wrong = rule14_uki(pe);
    if (wrong)
        return wrong;
    const struct pe_section *libos = pe_find(pe, ".linux");
    wrong = lint_elf(pe->data + libos->file_at, libos->size);
    return wrong ? xprintf("the libOS in .linux: %s", wrong) : NULL;
}
