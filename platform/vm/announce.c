/* SPDX-License-Identifier: MIT */
/* The words that VMMs add to the command line to say where devices are. Pure; numbers that overflow, and anything that is
 * not exactly a word of the form, are left out. */
#include "vm/announce.h"

static bool starts(const char *s, const char *word, const char **ret_rest)
{
    while (*word)
        if (*s++ != *word++)
            return false;
    *ret_rest = s;
    return true;
}

static bool blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n';
}

static const char *next_word(const char *s)
{
    while (*s && !blank(*s))
        s++;
    while (blank(*s))
        s++;
    return s;
}

bool announce_pci_off(const char *cmdline)
{
    for (const char *s = cmdline, *rest; *s; s = next_word(s))
        if (starts(s, "pci=off", &rest) && (!*rest || blank(*rest)))
            return true;
    return false;
}

static int digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : 99;
}

/* A number, decimal or with 0x; moves *s behind it. False: none, or too large. */
static bool number(const char **s, uint64_t *ret)
{
    unsigned base = 10;
    const char *p = *s, *rest;
    uint64_t v = 0;

    if (starts(p, "0x", &rest) || starts(p, "0X", &rest)) {
        base = 16;
        p = rest;
    }
    if (digit(*p) >= (int)base)
        return false;
    for (; digit(*p) < (int)base; p++)
        if (__builtin_mul_overflow(v, base, &v) ||
            __builtin_add_overflow(v, (uint64_t)digit(*p), &v))
            return false;
    *s = p;
    *ret = v;
    return true;
}

void announce_slot(struct plat_virtio_mmio *slots, size_t *count, uint64_t pa, uint64_t size,
                   uint64_t gsi)
{
    if (*count == ANNOUNCE_SLOTS_MAX || size < ANNOUNCE_SLOT_MIN || size > ANNOUNCE_SLOT_MAX ||
        pa % 4 || pa + size < pa || !pa || gsi > 0xffff)
        return;
    for (size_t i = 0; i < *count; i++)
        if (pa < slots[i].pa + slots[i].size && slots[i].pa < pa + size)
            return;
    slots[(*count)++] = (struct plat_virtio_mmio){ pa, (uint32_t)size, (unsigned)gsi };
}

void announce_slots(const char *cmdline, struct plat_virtio_mmio *slots, size_t *count)
{
    for (const char *s = cmdline, *p; *s; s = next_word(s)) {
        uint64_t size, pa, gsi, id;

        if (!starts(s, "virtio_mmio.device=", &p) || !number(&p, &size))
            continue;
        if (*p == 'K' || *p == 'k') {
            size = size > UINT32_MAX ? UINT32_MAX : size << 10;
            p++;
        }
        if (*p++ != '@' || !number(&p, &pa) || *p++ != ':' || !number(&p, &gsi))
            continue;
        if (*p == ':' && (p++, !number(&p, &id)))
            continue;
        if (!*p || blank(*p))
            announce_slot(slots, count, pa, size, gsi);
    }
}
