/* SPDX-License-Identifier: MIT */
/* A FAT32 file system with one file in two directories. Its clusters follow each other: 2 root, 3 EFI, 4 BOOT, 5.. the file.
 * Spec: Microsoft's "FAT32 File System Specification", 1.03. */
#include "disk.h"

#include <string.h>

enum {
    RESERVED = 32,        /* sectors before the first FAT */
    CLUSTERS_MIN = 65525, /* with fewer it would be FAT16 */
    CLUSTERS_MAX = 0x0ffffff0,
    FIRST_FILE = 5,
    ENTRIES = DISK_SECTOR / 4, /* of a FAT's sector */
    ATTR_DIR = 0x10,
    DATE = 0x21, /* 1980-01-01, the first day that FAT knows */
    MIB_SECTORS = 2048,
};
#define END 0x0fffffffu

static void put16(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
}

static void put32(uint8_t *p, uint32_t v)
{
    put16(p, v & 0xffff);
    put16(p + 2, v >> 16);
}

static uint64_t round_up(uint64_t n, uint64_t to)
{
    return (n + to - 1) / to;
}

struct esp esp_plan(uint64_t file_size, uint32_t serial)
{
    struct esp e = { .file_size = file_size, .serial = serial, .cluster_sectors = 1 };
    if (file_size > 0xffffffffu)
        fail("image", "is larger than 4 GiB, which no EFI system partition can hold; use --format "
                      "elf");
    while (file_size / DISK_SECTOR / e.cluster_sectors > 1u << 20)
        e.cluster_sectors *= 2;
    uint64_t clusters = round_up(file_size, DISK_SECTOR * e.cluster_sectors) + FIRST_FILE;
    if (clusters < CLUSTERS_MIN + 16)
        clusters = CLUSTERS_MIN + 16;
    uint64_t data = clusters * e.cluster_sectors;
    e.sectors =
        (uint32_t)(round_up(RESERVED + 2 * round_up(clusters + 2, ENTRIES) + data, MIB_SECTORS) *
                   MIB_SECTORS);
    /* Rounding up made room for more clusters, which the FAT must describe. */
    e.fat_sectors = (uint32_t)round_up((e.sectors - RESERVED) / e.cluster_sectors + 2, ENTRIES);
    e.clusters = (e.sectors - RESERVED - 2 * e.fat_sectors) / e.cluster_sectors;
    return e;
}

static void boot_sector(const struct esp *e, uint32_t hidden, uint8_t *s)
{
    memcpy(s,
           "\xeb\x58\x90"
           "ALCOVE  ",
           11);
    put16(s + 11, DISK_SECTOR);
    s[13] = (uint8_t)e->cluster_sectors;
    put16(s + 14, RESERVED);
    s[16] = 2;    /* FATs */
    s[21] = 0xf8; /* a fixed disk */
    put16(s + 24, 63);
    put16(s + 26, 255);
    put32(s + 28, hidden);
    put32(s + 32, e->sectors);
    put32(s + 36, e->fat_sectors);
    put32(s + 44, 2); /* cluster of the root */
    put16(s + 48, 1); /* sector of the free counts */
    put16(s + 50, 6); /* of the copy of this one */
    s[64] = 0x80;
    s[66] = 0x29;
    put32(s + 67, e->serial);
    memcpy(s + 71, "ALCOVE     FAT32   ", 19);
    put16(s + 510, 0xaa55);
}

static void free_counts(const struct esp *e, uint8_t *s)
{
    uint32_t used =
        (uint32_t)(FIRST_FILE - 2 + round_up(e->file_size, DISK_SECTOR * e->cluster_sectors));
    put32(s, 0x41615252);
    put32(s + 484, 0x61417272);
    put32(s + 488, e->clusters - used);
    put32(s + 492, 2 + used);
    put32(s + 508, 0xaa550000);
}

static void entry(uint8_t *d, const char *name, uint8_t attr, uint32_t cluster, uint32_t size)
{
    memcpy(d, name, 11);
    d[11] = attr;
    put16(d + 16, DATE);
    put16(d + 18, DATE);
    put16(d + 20, cluster >> 16);
    put16(d + 24, DATE);
    put16(d + 26, cluster & 0xffff);
    put32(d + 28, size);
}

static void write_fats(const struct esp *e, int out, uint64_t at, const char *path)
{
    uint32_t chain = (uint32_t)round_up(e->file_size, DISK_SECTOR * e->cluster_sectors);
    uint32_t n = FIRST_FILE + chain;
    uint8_t *fat = xcalloc(n, 4);
    put32(fat, 0x0ffffff8);
    for (uint32_t i = 1; i < FIRST_FILE; i++)
        put32(fat + 4 * i, END);
    for (uint32_t i = FIRST_FILE; i < n; i++)
        put32(fat + 4 * (size_t)i, i + 1 < n ? i + 1 : END);
    for (uint64_t copy = 0; copy < 2; copy++)
        write_at(out, fat, (size_t)n * 4, at + (RESERVED + copy * e->fat_sectors) * DISK_SECTOR,
                 path);
}

static uint64_t cluster_at(const struct esp *e, uint64_t cluster)
{
    return (RESERVED + 2 * (uint64_t)e->fat_sectors + (cluster - 2) * e->cluster_sectors) *
           DISK_SECTOR;
}

void esp_write(const struct esp *e, int in, int out, uint64_t at, const char *path)
{
    uint8_t sector[DISK_SECTOR] = { 0 }, counts[DISK_SECTOR] = { 0 }, dir[3][96] = { { 0 } };
    boot_sector(e, (uint32_t)(at / DISK_SECTOR), sector);
    free_counts(e, counts);
    for (uint64_t copy = 0; copy < 12; copy += 6) {
        write_at(out, sector, sizeof(sector), at + copy * DISK_SECTOR, path);
        write_at(out, counts, sizeof(counts), at + (copy + 1) * DISK_SECTOR, path);
    }
    write_fats(e, out, at, path);
    entry(dir[0], "ALCOVE     ", 0x08, 0, 0); /* the volume's label */
    entry(dir[0] + 32, "EFI        ", ATTR_DIR, 3, 0);
    entry(dir[1], ".          ", ATTR_DIR, 3, 0);
    entry(dir[1] + 32, "..         ", ATTR_DIR, 0, 0);
    entry(dir[1] + 64, "BOOT       ", ATTR_DIR, 4, 0);
    entry(dir[2], ".          ", ATTR_DIR, 4, 0);
    entry(dir[2] + 32, "..         ", ATTR_DIR, 3, 0);
    entry(dir[2] + 64, "BOOTX64 EFI", 0x20, FIRST_FILE, (uint32_t)e->file_size);
    for (uint64_t i = 0; i < 3; i++)
        write_at(out, dir[i], sizeof(dir[i]), at + cluster_at(e, 2 + i), path);
    copy_range(in, out, at + cluster_at(e, FIRST_FILE), e->file_size, path);
}

static uint32_t get32(const uint8_t *p)
{
    return p[0] | p[1] << 8 | p[2] << 16 | (uint32_t)p[3] << 24;
}

bool disk_find_efi(const uint8_t *data, size_t size, uint64_t *ret_at, uint64_t *ret_size)
{
    const uint64_t at = (uint64_t)MIB_SECTORS * DISK_SECTOR;
    if (size < at + DISK_SECTOR || memcmp(data + DISK_SECTOR, "EFI PART", 8) != 0 ||
        memcmp(data + at + 3, "ALCOVE  ", 8) != 0)
        return false;
    struct esp e = { .cluster_sectors = data[at + 13], .fat_sectors = get32(data + at + 36) };
    uint64_t dir = at + cluster_at(&e, 4) + 64;
    if (dir > size - 32 || memcmp(data + dir, "BOOTX64 EFI", 11) != 0)
        return false;
    *ret_size = get32(data + dir + 28);
    *ret_at = at + cluster_at(&e, FIRST_FILE);
    return *ret_at <= size && *ret_size <= size - *ret_at;
}
