/* SPDX-License-Identifier: MIT */
/* Files that the test gives to the simulator alone, through QEMU's fw_cfg by ports (docs/specs/fw_cfg). */
#include "ccsim.h"
#include "x86_64/x86.h"

#include <string.h>

enum { SELECTOR = 0x510, DATA = 0x511, DIRECTORY = 0x19, NAME = 56 };

static void get(void *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        ((uint8_t *)p)[i] = x86_in8(DATA);
}

static uint32_t big(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

size_t sim_file(const char *name, void *buf, size_t max)
{
    struct {
        uint8_t size[4], select[2], reserved[2];
        char name[NAME];
    } entry;
    uint8_t count[4];

    x86_out16(SELECTOR, DIRECTORY);
    get(count, sizeof(count));
    for (uint32_t i = 0; i < big(count); i++) {
        get(&entry, sizeof(entry));
        entry.name[NAME - 1] = 0;
        if (strcmp(entry.name, name) != 0)
            continue;
        if (big(entry.size) > max)
            sim_fail("%s is too long", name);
        x86_out16(SELECTOR, (uint16_t)(entry.select[0] << 8 | entry.select[1]));
        get(buf, big(entry.size));
        return big(entry.size);
    }
    return 0;
}
