/* SPDX-License-Identifier: MIT */
/* The command line where a boot entry has none: an OEM string of SMBIOS (type 11) with systemd-stub's prefix, as QEMU's
 * "-smbios type=11,value=" sets it; and whom to notify, as systemd-vmspawn says it there, as a further word of it. Spec: DMTF DSP0134 3.6; systemd-stub(7). The table's bytes are the VMM's: bounded. */
#include "stub.h"

enum { TYPE_OEM_STRINGS = 11, TYPE_END = 127, TABLE_MAX = 1 << 20 };

static const char prefix[] = "io.systemd.stub.kernel-cmdline-extra=";
static const char notify[] = "io.systemd.credential:vmm.notify_socket=";

static bool same_guid(const EFI_GUID *a, const EFI_GUID *b)
{
    return memcmp(a, b, sizeof(*a)) == 0;
}

static struct section find_table(const EFI_SYSTEM_TABLE *st)
{
    static const EFI_GUID v2 = SMBIOS_TABLE_GUID, v3 = SMBIOS3_TABLE_GUID;
    struct section s = { 0 };

    for (UINTN i = 0; i < st->NumberOfTableEntries; i++) {
        const EFI_CONFIGURATION_TABLE *t = &st->ConfigurationTable[i];
        const uint8_t *p = t->VendorTable;
        uint64_t at = 0;
        uint32_t size = 0;

        if (same_guid(&t->VendorGuid, &v3) && memcmp(p, "_SM3_", 5) == 0) {
            memcpy(&size, p + 0x0c, 4);
            memcpy(&at, p + 0x10, 8);
        } else if (same_guid(&t->VendorGuid, &v2) && memcmp(p, "_SM_", 4) == 0) {
            memcpy(&size, p + 0x16, 2);
            memcpy(&at, p + 0x18, 4);
        }
        if (at && size && size <= TABLE_MAX)
            s = (struct section){ (const uint8_t *)(uintptr_t)at, size };
    }
    return s;
}

/* The string at p that ends before end; its length, or -1. */
static ptrdiff_t length(const uint8_t *p, const uint8_t *end)
{
    for (const uint8_t *q = p; q < end; q++)
        if (!*q)
            return q - p;
    return -1;
}

static size_t text_length(const char *s)
{
    size_t n = 0;

    while (s[n])
        n++;
    return n;
}

/* Append what follows start in text (n bytes) to dst, behind word; nothing when it begins otherwise, is too long or has bytes
 * that no option has. */
static void take(const uint8_t *text, size_t n, const char *start, const char *word, char *dst)
{
    const size_t skip = text_length(start), used = text_length(dst), more = text_length(word);

    if (n < skip || memcmp(text, start, skip) || used + more + (n - skip) >= CMDLINE_SPACE)
        return;
    for (size_t i = skip; i < n; i++)
        if (text[i] < ' ' || text[i] > '~' || (more && text[i] == ' '))
            return;
    memcpy(dst + used, word, more);
    memcpy(dst + used + more, text + skip, n - skip);
    dst[used + more + n - skip] = 0;
}

void smbios_cmdline(const EFI_SYSTEM_TABLE *st, char *dst)
{
    struct section s = find_table(st);
    const uint8_t *p = s.data, *end = p + s.size;

    while (p && end - p >= 4 && p[0] != TYPE_END && p[1] >= 4 && p[1] < end - p) {
        bool oem = p[0] == TYPE_OEM_STRINGS;
        ptrdiff_t n;

        for (p += p[1]; (n = length(p, end)) > 0; p += n + 1)
            if (oem) {
                take(p, (size_t)n, prefix, "", dst);
                take(p, (size_t)n, notify, " notify=", dst);
            }
        if (n < 0)
            return;
        /* Two zeros end the strings; without any string there are two as well. */
        p++;
        if (p < end && !*p && !(p[-2]))
            p++;
    }
}
