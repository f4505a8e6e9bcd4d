/* SPDX-License-Identifier: MIT */
/* Partition tables, GPT and MBR. The input is a list of changes to a small disk with both; sums are made good again for
 * every other input, so that what they guard is looked at too. */
#include <libos/dev/blk.h>

#include <base/crc.h>
#include <base/log.h>
#include <libos/page.h>
#include <libos/sched.h>
#include <plat/host.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

enum { SECTORS = 256, SECTOR = 512, ENTRIES = 128, INPUTS = 1200 };

/* The kernel's; nothing here ends a machine. */
_Noreturn void machine_exit(int wait_status);
_Noreturn void machine_exit(int wait_status)
{
    exit(wait_status);
}

void log_line(enum log_level level, const char *format, ...)
{
    (void)level, (void)format;
}

static uint8_t disk[SECTORS * SECTOR];

static void put(size_t at, uint64_t v, size_t n)
{
    memcpy(disk + at, &v, n);
}

static void header(uint64_t lba, uint64_t other, uint64_t entries)
{
    size_t h = lba * SECTOR;
    memcpy(disk + h, "EFI PART", 8);
    put(h + 8, 0x10000, 4);
    put(h + 12, 92, 4);
    put(h + 24, lba, 8);
    put(h + 32, other, 8);
    put(h + 40, 34, 8);
    put(h + 48, SECTORS - 34, 8);
    put(h + 72, entries, 8);
    put(h + 80, ENTRIES, 4);
    put(h + 84, 128, 4);
}

static void sums(uint64_t lba, uint64_t entries)
{
    size_t h = lba * SECTOR;
    put(h + 88, (uint32_t)~crc32_add(~0u, disk + entries * SECTOR, ENTRIES * 128), 4);
    put(h + 16, 0, 4);
    put(h + 16, (uint32_t)~crc32_add(~0u, disk + h, 92), 4);
}

static void make(void)
{
    memset(disk, 0, sizeof(disk));
    put(446 + 4, 0xee, 1);
    put(446 + 8, 1, 4);
    put(446 + 12, SECTORS - 1, 4);
    put(510, 0xaa55, 2);
    header(1, SECTORS - 1, 2);
    header(SECTORS - 1, 1, SECTORS - 33);
    for (unsigned i = 0; i < 3; i++) {
        size_t e = 2 * SECTOR + i * 128;
        memset(disk + e, (int)i + 1, 32);
        put(e + 32, 40 + i * 20, 8);
        put(e + 40, 50 + i * 20, 8);
        put(e + 56, 'a' + i, 2);
    }
    memcpy(disk + (SECTORS - 33) * SECTOR, disk + 2 * SECTOR, ENTRIES * 128);
}

/* Changes go to the tables: MBR, header, entries, and the copies. */
static size_t place(const uint8_t *b)
{
    static const struct {
        size_t from, n;
    } parts[] = { { 440, 72 },
                  { SECTOR, 92 },
                  { SECTOR, 92 },
                  { 2 * SECTOR, 512 },
                  { (SECTORS - 1) * SECTOR, 92 },
                  { (SECTORS - 33) * SECTOR, 512 },
                  { 0, sizeof(disk) } };
    size_t i = b[0] % (sizeof(parts) / sizeof(parts[0]));
    return parts[i].from + (size_t)(b[1] | b[2] << 8) % parts[i].n;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static unsigned inputs;
    struct blk_device *dev;
    char name[16];
    if (!inputs) {
        plat_host_init();
        page_init();
        sched_init_cpu(0);
    }
    if (inputs++ >= INPUTS) /* devices are never removed */
        return 0;
    make();
    for (size_t i = 1; i + 4 <= size && i < 1 + 4 * 12; i += 4)
        disk[place(bytes + i)] = bytes[i + 3];
    if (size && bytes[0] % 4) {
        sums(1, 2);
        sums(SECTORS - 1, SECTORS - 33);
    }
    snprintf(name, sizeof(name), "r%u", inputs);
    must(blk_ram_create(name, sizeof(disk), &dev) == 0);
    must(blk_write(dev, 0, SECTORS, disk, 0) == 0);
    blk_scan();
    for (struct blk_device *d = dev; (d = blk_next(d));) {
        char sector[SECTOR];
        if (d->sectors == 0 || d->sectors > SECTORS)
            abort();
        must(blk_read(d, d->sectors - 1, 1, sector) == 0);
        must(blk_read(d, d->sectors, 1, sector) != 0);
    }
    return 0;
}
