/* SPDX-License-Identifier: MIT */
#include "disk.h"

#include <plat/mem.h>

#include <abi/errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct disk {
    struct blk_device dev;
    int fd;
    bool through;
};

static FILE *log_file;

static void record(enum disk_event event, uint64_t sector, uint32_t sectors)
{
    struct disk_record r = { event, sectors, sector };
    if (log_file && fwrite(&r, sizeof(r), 1, log_file) != 1)
        abort();
}

void disk_mark(uint64_t number)
{
    record(DISK_MARK, number, 0);
}

bool disk_ticks;

/* A tick while libOS serves a fault, with registers that are not the program's. */
static void tick(void)
{
    __asm__ volatile("pcmpeqb %%xmm6, %%xmm6\n\tmovdqa %%xmm6, %%xmm7" ::: "xmm6", "xmm7");
    if (raise(SIGALRM))
        abort();
}

static int transfer(struct disk *d, struct blk_request *r)
{
    if (disk_ticks)
        tick();
    off_t at = (off_t)r->sector * BLK_SECTOR;
    if (r->op == BLK_WRITE)
        record(d->through ? DISK_THROUGH : DISK_WRITE, r->sector, r->sectors);
    for (unsigned i = 0; i < r->nsegs; i++) {
        void *p = plat_phys_to_virt(r->segs[i].addr);
        uint32_t len = r->segs[i].len;
        ssize_t n = r->op == BLK_WRITE ? pwrite(d->fd, p, len, at) : pread(d->fd, p, len, at);
        if (n != (ssize_t)len)
            return -EIO;
        if (r->op == BLK_WRITE && log_file && fwrite(p, len, 1, log_file) != 1)
            abort();
        at += len;
    }
    return 0;
}

static int disk_submit(struct blk_device *dev, struct blk_request *r, bool more)
{
    struct disk *d = dev->data;
    int err = 0;
    (void)more;
    if (r->op == BLK_FLUSH)
        record(DISK_FLUSH, 0, 0);
    else
        err = transfer(d, r);
    if (!disk_holds(r))
        blk_done(r, err);
    return 0;
}

static int disk_write_cache(struct blk_device *dev, bool on)
{
    ((struct disk *)dev->data)->through = !on;
    return 0;
}

struct blk_device *disk_open(const char *name, const char *path, const char *log)
{
    static const struct blk_ops ops = { .submit = disk_submit, .write_cache = disk_write_cache };
    struct disk *d = calloc(1, sizeof(*d));
    struct stat st;
    d->fd = open(path, O_RDWR | O_CLOEXEC);
    if (d->fd < 0 || fstat(d->fd, &st)) {
        perror(path);
        exit(1);
    }
    if (log && !(log_file = fopen(log, "w"))) {
        perror(log);
        exit(1);
    }
    d->dev.ops = &ops;
    d->dev.data = d;
    d->dev.sectors = (uint64_t)st.st_size / BLK_SECTOR;
    d->dev.limits = (struct blk_limits){
        .logical_block = BLK_SECTOR,
        .physical_block = 4096,
        .max_sectors = 2048,
        .max_segs = BLK_SEGS_MAX,
        .max_seg_len = 1u << 20,
        .queues = 1,
        .queue_depth = 64,
        .volatile_cache = true,
        .cache_switch = getenv("DISK_CACHE_SWITCH") != NULL,
    };
    snprintf(d->dev.name, sizeof(d->dev.name), "%s", name);
    if (blk_register(&d->dev))
        abort();
    return &d->dev;
}
