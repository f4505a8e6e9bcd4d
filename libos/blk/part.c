/* SPDX-License-Identifier: MIT */
/* Partition tables: GPT (UEFI 2.10, 5.3) with its copy at the end of the disk, and MBR with logical partitions. What a table
 * says is used only if it lies within the disk and does not overlap; a damaged table is named and not used. */
#include "blk_int.h"

#include <abi/errno.h>
#include <base/crc.h>
#include <base/log.h>
#include <libos/heap.h>
#include <libos/page.h>
#include <stdio.h>
#include <string.h>

enum {
    PARTS_MAX = 128,     /* looked at; UEFI's minimum for a table */
    ENTRY_BYTES = 128,   /* of a GPT entry; larger ones are legal and rare */
    MBR_LOGICAL_MAX = 60 /* links of a chain of logical partitions */
};

struct gpt_header {
    char signature[8];
    uint32_t revision, size, crc, reserved;
    uint64_t my_lba, other_lba, first_usable, last_usable;
    uint8_t disk_guid[16];
    uint64_t entries_lba;
    uint32_t entries, entry_size, entries_crc;
};
_Static_assert(sizeof(struct gpt_header) == 96, "92 bytes and padding");

struct gpt_entry {
    uint8_t type[16], guid[16];
    uint64_t first, last, attributes;
    uint16_t name[36];
};
_Static_assert(sizeof(struct gpt_entry) == ENTRY_BYTES, "UEFI 2.10, table 5.6");

struct mbr_entry {
    uint8_t active, chs_first[3], type, chs_last[3];
    uint8_t first[4], sectors[4];
};

struct scan {
    struct blk_device *disk;
    uint32_t unit; /* sectors of a logical block */
    char *block;   /* one logical block */
    struct gpt_entry *entries;
};

static uint32_t le32(const uint8_t *p)
{
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

int blk_part_add(struct blk_device *disk, unsigned n, uint64_t first, uint64_t sectors,
                 const char *uuid, const char *label)
{
    size_t len = strlen(disk->name);
    struct blk_device *p = disk->next;
    while (p && p->whole == disk && p->part != n)
        p = p->next;
    bool again = p && p->whole == disk; /* one that is gone comes back */
    if (!again)
        p = heap_zalloc(sizeof(*p));
    if (!p)
        return -ENOMEM;
    bool digit = len && disk->name[len - 1] >= '0' && disk->name[len - 1] <= '9';
    p->first = first;
    p->sectors = sectors;
    snprintf(p->partuuid, sizeof(p->partuuid), "%s", uuid);
    snprintf(p->partlabel, sizeof(p->partlabel), "%s", label);
    if (again) {
        atomic_store(&p->gone, false);
        return 0;
    }
    snprintf(p->name, sizeof(p->name), "%.10s%s%u", disk->name, digit ? "p" : "", n);
    p->whole = disk;
    p->part = n;
    p->limits = disk->limits;
    int err = blk_register(p);
    if (err)
        heap_free(p);
    return err;
}

/* Partition number n of disk: sectors first to first + sectors, if that makes sense. */
static void add_part(struct blk_device *disk, unsigned n, uint64_t first, uint64_t sectors,
                     const char *uuid, const char *label)
{
    if (!sectors || first >= disk->sectors || sectors > disk->sectors - first) {
        log_warn("%s: partition %u does not lie on the disk; not used", disk->name, n);
        return;
    }
    for (struct blk_device *d = blk_next(disk); d && d->whole == disk; d = blk_next(d))
        if (d->part == n || (first < d->first + d->sectors && d->first < first + sectors)) {
            log_warn("%s: partition %u overlaps %s; not used", disk->name, n, d->name);
            return;
        }
    if (blk_part_add(disk, n, first, sectors, uuid, label))
        log_warn("%s: no memory for partition %u", disk->name, n);
}

static int read_block(struct scan *s, uint64_t lba, void *buf, uint32_t blocks)
{
    return blk_read(s->disk, lba * s->unit, blocks * s->unit, buf);
}

/* The header at lba and its entries, if they are sound. */
static bool gpt_read(struct scan *s, uint64_t lba, struct gpt_header *h)
{
    uint32_t block = s->unit * BLK_SECTOR;
    uint64_t blocks = s->disk->sectors / s->unit;
    if (read_block(s, lba, s->block, 1))
        return false;
    memcpy(h, s->block, sizeof(*h));
    if (memcmp(h->signature, "EFI PART", 8) || h->size < 92 || h->size > block)
        return false;
    memset(s->block + offsetof(struct gpt_header, crc), 0, 4);
    if (~crc32_add(~0u, s->block, h->size) != h->crc || h->my_lba != lba)
        return false;
    if (h->entry_size != ENTRY_BYTES || h->entries == 0 || h->entries > PARTS_MAX)
        return false;
    uint32_t bytes = h->entries * ENTRY_BYTES, need = (bytes + block - 1) / block;
    if (h->entries_lba >= blocks || need > blocks - h->entries_lba ||
        read_block(s, h->entries_lba, s->entries, need))
        return false;
    return ~crc32_add(~0u, s->entries, bytes) == h->entries_crc;
}

/* The usual text of a GUID: its first three fields are little-endian. */
static void guid_text(const uint8_t *g, char text[37])
{
    snprintf(text, 37, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", g[3],
             g[2], g[1], g[0], g[5], g[4], g[7], g[6], g[8], g[9], g[10], g[11], g[12], g[13],
             g[14], g[15]);
}

static bool gpt_scan(struct scan *s)
{
    static const uint8_t unused[16];
    struct gpt_header h;
    uint64_t last = s->disk->sectors / s->unit - 1;
    if (!gpt_read(s, 1, &h)) {
        if (!gpt_read(s, last, &h)) {
            log_warn("%s: the GPT and its copy are damaged; no partitions", s->disk->name);
            return true;
        }
        log_warn("%s: the GPT is damaged; its copy is used", s->disk->name);
    }
    for (unsigned i = 0; i < h.entries; i++) {
        const struct gpt_entry *e = &s->entries[i];
        char uuid[37], label[37];
        if (!memcmp(e->type, unused, 16))
            continue;
        unsigned n = 0;
        for (; n < 36 && e->name[n]; n++)
            label[n] = e->name[n] >= ' ' && e->name[n] < 127 ? (char)e->name[n] : '?';
        label[n] = '\0';
        guid_text(e->guid, uuid);
        if (e->last < e->first || e->last > last) {
            log_warn("%s: partition %u does not lie on the disk; not used", s->disk->name, i + 1);
            continue;
        }
        add_part(s->disk, i + 1, e->first * s->unit, (e->last - e->first + 1) * s->unit, uuid,
                 label);
    }
    return true;
}

/* The logical partitions in the extended one at sector base: a chain of boot records. */
static void mbr_logical(struct scan *s, uint64_t base, uint32_t disk_id)
{
    uint64_t at = base;
    for (unsigned n = 5; n < 5 + MBR_LOGICAL_MAX; n++) {
        struct mbr_entry e[2];
        char uuid[37];
        if (read_block(s, at / s->unit, s->block, 1) || (uint8_t)s->block[510] != 0x55 ||
            (uint8_t)s->block[511] != 0xaa)
            return;
        memcpy(e, s->block + 446, sizeof(e));
        snprintf(uuid, sizeof(uuid), "%08x-%02x", disk_id, n);
        if (e[0].type)
            add_part(s->disk, n, at + (uint64_t)le32(e[0].first) * s->unit,
                     (uint64_t)le32(e[0].sectors) * s->unit, uuid, "");
        if (!e[1].type)
            return;
        at = base + (uint64_t)le32(e[1].first) * s->unit;
    }
}

static bool is_extended(uint8_t type)
{
    return type == 0x05 || type == 0x0f || type == 0x85;
}

/* An MBR looks like the first sector of many file systems: its entries have to make sense. */
static bool mbr_plausible(const struct mbr_entry e[4])
{
    bool any = false;
    for (unsigned i = 0; i < 4; i++) {
        if (e[i].active & 0x7f)
            return false;
        any |= e[i].type != 0;
    }
    return any;
}

static void scan_disk(struct scan *s)
{
    struct mbr_entry e[4];
    if (s->disk->sectors < 4ull * s->unit || read_block(s, 0, s->block, 1))
        return;
    if ((uint8_t)s->block[510] != 0x55 || (uint8_t)s->block[511] != 0xaa)
        return;
    uint32_t disk_id = le32((uint8_t *)s->block + 440);
    memcpy(e, s->block + 446, sizeof(e));
    if (!mbr_plausible(e))
        return;
    for (unsigned i = 0; i < 4; i++)
        if (e[i].type == 0xee && gpt_scan(s))
            return;
    for (unsigned i = 0; i < 4; i++) {
        char uuid[37];
        uint64_t first = (uint64_t)le32(e[i].first) * s->unit;
        if (!e[i].type)
            continue;
        snprintf(uuid, sizeof(uuid), "%08x-%02x", disk_id, i + 1);
        if (is_extended(e[i].type))
            mbr_logical(s, first, disk_id);
        else
            add_part(s->disk, i + 1, first, (uint64_t)le32(e[i].sectors) * s->unit, uuid, "");
    }
}

void blk_scan_disk(struct blk_device *disk)
{
    struct page *p = page_alloc(3, PAGE_KERNEL, 0); /* a block, and the entries */
    if (!p)
        return;
    struct scan s = { disk, disk->limits.logical_block / BLK_SECTOR, page_ptr(p), NULL };
    s.entries = (struct gpt_entry *)(s.block + PAGE_SIZE);
    scan_disk(&s);
    page_put(p);
}

void blk_scan(void)
{
    if (blk_next(NULL) && blk_recovery_start())
        log_error("no memory for a thread: disks that do not answer are waited for");
    for (struct blk_device *d = blk_next(NULL); d; d = blk_next(d))
        if (!d->whole && !d->scanned) {
            d->scanned = true;
            blk_scan_disk(d);
        }
}
