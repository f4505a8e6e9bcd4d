/* SPDX-License-Identifier: MIT */
/* A block device in libOS memory. A page is there once it was written; a discard gives it back. */
#include "blk_int.h"

#include <abi/errno.h>
#include <libos/heap.h>
#include <libos/page.h>
#include <plat/mem.h>
#include <stdio.h>
#include <string.h>

struct ram {
    struct blk_device dev;
    struct page *pages[];
};

enum { PAGE_SECTORS = PAGE_SIZE / BLK_SECTOR };

void *blk_ram_memory(struct blk_device *dev, uint64_t sector)
{
    struct ram *ram = dev->data;
    struct page *p = sector < dev->sectors ? ram->pages[sector / PAGE_SECTORS] : NULL;
    return p ? (char *)page_ptr(p) + sector % PAGE_SECTORS * BLK_SECTOR : NULL;
}

static int copy(struct ram *ram, uint64_t sector, char *mem, uint32_t len, bool write)
{
    for (uint32_t n; len; len -= n, mem += n, sector += n / BLK_SECTOR) {
        size_t in_page = sector % PAGE_SECTORS * BLK_SECTOR;
        n = (uint32_t)min_u64(len, PAGE_SIZE - in_page);
        struct page **p = &ram->pages[sector / PAGE_SECTORS];
        if (write && !*p && !(*p = page_alloc(0, PAGE_KERNEL, PAGE_ZERO)))
            return -ENOSPC;
        if (write)
            memcpy((char *)page_ptr(*p) + in_page, mem, n);
        else if (*p)
            memcpy(mem, (char *)page_ptr(*p) + in_page, n);
        else
            memset(mem, 0, n);
    }
    return 0;
}

static void zero(struct ram *ram, uint64_t sector, uint32_t sectors)
{
    for (uint32_t n; sectors; sectors -= n, sector += n) {
        n = (uint32_t)min_u64(sectors, PAGE_SECTORS - sector % PAGE_SECTORS);
        struct page **p = &ram->pages[sector / PAGE_SECTORS];
        if (*p && n == PAGE_SECTORS) {
            page_put(*p);
            *p = NULL;
        } else if (*p) {
            memset((char *)page_ptr(*p) + sector % PAGE_SECTORS * BLK_SECTOR, 0, n * BLK_SECTOR);
        }
    }
}

static int ram_submit(struct blk_device *dev, struct blk_request *r, bool more)
{
    struct ram *ram = dev->data;
    uint64_t sector = r->sector;
    int err = 0;
    (void)more;
    if (r->op == BLK_DISCARD || r->op == BLK_WRITE_ZEROES)
        zero(ram, sector, r->sectors);
    for (unsigned i = 0; i < r->nsegs && !err; i++) {
        err = copy(ram, sector, plat_phys_to_virt(r->segs[i].addr), r->segs[i].len,
                   r->op == BLK_WRITE);
        sector += r->segs[i].len / BLK_SECTOR;
    }
    blk_done(r, err);
    return 0;
}

int blk_ram_create(const char *name, uint64_t size, struct blk_device **ret_dev)
{
    static const struct blk_ops ops = { .submit = ram_submit };
    size_t pages = size / PAGE_SIZE;
    struct ram *ram = heap_zalloc(sizeof(*ram) + pages * sizeof(ram->pages[0]));
    if (!ram)
        return -ENOMEM;
    ram->dev.ops = &ops;
    ram->dev.data = ram;
    ram->dev.sectors = pages * PAGE_SECTORS;
    ram->dev.limits = (struct blk_limits){
        .logical_block = BLK_SECTOR,
        .physical_block = PAGE_SIZE,
        .max_sectors = 2048,
        .max_segs = BLK_SEGS_MAX,
        .max_seg_len = 1u << 20,
        .max_discard_sectors = 1u << 20,
        .max_zero_sectors = 1u << 20,
        .queues = 1,
        .queue_depth = 64,
    };
    snprintf(ram->dev.name, sizeof(ram->dev.name), "%s", name);
    int err = blk_register(&ram->dev);
    if (err) {
        heap_free(ram);
        return err;
    }
    *ret_dev = &ram->dev;
    return 0;
}
