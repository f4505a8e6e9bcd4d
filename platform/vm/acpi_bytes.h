/* SPDX-License-Identifier: MIT */
/* Little-endian numbers at any alignment, and constants of AML. Spec: ACPI 6.5, 20.2.3. */
#ifndef VM_ACPI_BYTES_H
#define VM_ACPI_BYTES_H

#include <base/types.h>

static inline uint16_t get16(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

static inline uint32_t get32(const uint8_t *p)
{
    return get16(p) | (uint32_t)get16(p + 2) << 16;
}

static inline uint64_t get64(const uint8_t *p)
{
    return get32(p) | (uint64_t)get32(p + 4) << 32;
}

static inline bool same(const uint8_t *p, const char *text, size_t n)
{
    return __builtin_memcmp(p, text, n) == 0;
}

/* A constant of AML at t[*at]: zero, one, or a byte, word, dword or qword with its prefix. */
static inline bool get_constant(const uint8_t *t, size_t size, size_t *at, uint64_t *ret)
{
    static const struct {
        uint8_t op, bytes;
    } sizes[] = { { 0x0a, 1 }, { 0x0b, 2 }, { 0x0c, 4 }, { 0x0e, 8 } };

    if (*at >= size)
        return false;
    if (t[*at] <= 1) {
        *ret = t[(*at)++];
        return true;
    }
    for (unsigned i = 0; i < 4; i++)
        if (t[*at] == sizes[i].op && size - *at > sizes[i].bytes) {
            *ret = 0;
            for (unsigned b = sizes[i].bytes; b > 0; b--)
                *ret = *ret << 8 | t[*at + b];
            *at += 1u + sizes[i].bytes;
            return true;
        }
    return false;
}

#endif
