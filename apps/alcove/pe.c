/* SPDX-License-Identifier: MIT */
/* Reading a PE file's headers: what a firmware would use is bounded here once. */
#include "pe.h"

#include <string.h>

static bool fits(uint64_t offset, uint64_t n, uint64_t size)
{
    return offset <= size && n <= size - offset;
}

const char *pe_read(const uint8_t *data, size_t size, struct pe *ret)
{
    uint32_t at;
    struct pe_header *h = &ret->h;
    ret->data = data;
    ret->size = size;
    if (size < 64 || memcmp(data, "MZ", 2) != 0)
        return "not a PE file";
    memcpy(&at, data + 0x3c, sizeof(at));
    if (!fits(at, sizeof(*h), size))
        return "not a PE file";
    memcpy(h, data + at, sizeof(*h));
    if (memcmp(h->signature, "PE\0", 4) != 0)
        return "not a PE file";
    if (h->machine != PE_MACHINE_X64 || h->magic != PE_MAGIC_PLUS ||
        h->optional_size != sizeof(*h) - 24 || h->directories != PE_DIRECTORIES)
        return "not a PE32+ file for x86-64";
    uint64_t table = at + sizeof(*h);
    if (!h->sections || h->sections > PE_SECTIONS_MAX ||
        !fits(table, h->sections * sizeof(ret->s[0]), h->headers_size) ||
        h->headers_size > PE_PAGE || h->headers_size > size)
        return "bad section table";
    memcpy(ret->s, data + table, h->sections * sizeof(ret->s[0]));
    for (size_t i = 0; i < h->sections; i++)
        if (ret->s[i].file_size && !fits(ret->s[i].file_at, ret->s[i].file_size, size))
            return "a section is not wholly in the file";
    return NULL;
}

const struct pe_section *pe_find(const struct pe *pe, const char *name)
{
    for (size_t i = 0; i < pe->h.sections; i++)
        if (strncmp(pe->s[i].name, name, sizeof(pe->s[i].name)) == 0)
            return &pe->s[i];
    return NULL;
}
