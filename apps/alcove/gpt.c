/* SPDX-License-Identifier: MIT */
/* Partition tables: a protective MBR, the GPT and its copy at the disk's end. Spec: UEFI 2.10, chapter 5. */
#include "disk.h"

#include <string.h>
#include <zlib.h>

enum {
    ENTRY_COUNT = 128,
    ENTRY_SIZE = 128,
    TABLE_SECTORS = ENTRY_COUNT * ENTRY_SIZE / DISK_SECTOR
};

struct __attribute__((packed)) gpt_header {
    char signature[8];
    uint32_t revision, size, crc, reserved;
    uint64_t here, other, first_usable, last_usable;
    uint8_t disk[16];
    uint64_t table;
    uint32_t count, entry_size, table_crc;
};

struct __attribute__((packed)) gpt_entry {
    uint8_t type[16], id[16];
    uint64_t first, last, flags;
    uint16_t name[36];
};

/* c12a7328-f81f-11d2-ba4b-00a0c93ec93b, as it is stored */
static const uint8_t esp_type[16] = { 0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11,
                                      0xba, 0x4b, 0x00, 0xa0, 0xc9, 0x3e, 0xc9, 0x3b };

static void make_uuid(uint8_t *id, const uint8_t *random)
{
    memcpy(id, random, 16);
    id[7] = (uint8_t)((id[7] & 0x0f) | 0x40); /* version 4, variant 1 */
    id[8] = (uint8_t)((id[8] & 0x3f) | 0x80);
}

static void write_mbr(int out, uint64_t disk_sectors, const char *path)
{
    uint8_t s[DISK_SECTOR] = { 0 };
    uint64_t n = disk_sectors - 1 > 0xffffffffu ? 0xffffffffu : disk_sectors - 1;
    uint32_t first = 1, count = (uint32_t)n;
    memcpy(s + 446, "\0\0\2\0\xee\xff\xff\xff", 8);
    memcpy(s + 454, &first, 4);
    memcpy(s + 458, &count, 4);
    memcpy(s + 510, "\x55\xaa", 2);
    write_at(out, s, sizeof(s), 0, path);
}

void gpt_write(int out, uint64_t disk_sectors, uint64_t first, uint64_t sectors,
               const uint8_t ids[32], const char *path)
{
    uint8_t *table = xcalloc(ENTRY_COUNT, ENTRY_SIZE);
    const uint64_t last = disk_sectors - 1;
    static const char name[] = "EFI system partition";
    struct gpt_entry e = { .first = first, .last = first + sectors - 1 };
    uint16_t text[36] = { 0 };
    memcpy(e.type, esp_type, sizeof(e.type));
    make_uuid(e.id, ids + 16);
    for (size_t i = 0; name[i]; i++)
        text[i] = (uint8_t)name[i];
    memcpy(e.name, text, sizeof(e.name));
    memcpy(table, &e, sizeof(e));

    struct gpt_header h = { .signature = "EFI PART",
                            .revision = 0x10000,
                            .size = sizeof(h),
                            .here = 1,
                            .other = last,
                            .first_usable = 2 + TABLE_SECTORS,
                            .last_usable = last - TABLE_SECTORS - 1,
                            .table = 2,
                            .count = ENTRY_COUNT,
                            .entry_size = ENTRY_SIZE };
    make_uuid(h.disk, ids);
    h.table_crc = (uint32_t)crc32(0, table, ENTRY_COUNT * ENTRY_SIZE);
    write_mbr(out, disk_sectors, path);
    for (int copy = 0; copy < 2; copy++) {
        h.crc = 0;
        h.crc = (uint32_t)crc32(0, (const uint8_t *)&h, sizeof(h));
        write_at(out, &h, sizeof(h), h.here * DISK_SECTOR, path);
        write_at(out, table, ENTRY_COUNT * ENTRY_SIZE, h.table * DISK_SECTOR, path);
        h.here = last;
        h.other = 1;
        h.table = last - TABLE_SECTORS;
    }
}
