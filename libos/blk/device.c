/* SPDX-License-Identifier: MIT */
/* The table of block devices, and the checks that every transfer passes. Devices are never removed, so the list is followed
 * without its lock. */
#include "blk_int.h"

#include <abi/errno.h>
#include <abi/stat.h>
#include <base/log.h>
#include <libos/page.h>
#include <libos/thread.h>
#include <string.h>
#include <utlist.h>

static struct spin list_lock = SPIN_INIT(RANK_BLK_LIST);
static struct blk_device
    *_Atomic devices;        /* writes guarded by list_lock; disks and partitions, in order */
static uint32_t next_minor;  /* guarded by list_lock */
static uint32_t next_virtio; /* guarded by list_lock */

/* Of Linux: virtio's disks have what it gives to the first driver that asks for any number, 16 for each; all else has "block extended
 * major", as it comes. */
enum { MAJOR_VIRTIO = 254, MAJOR_BLK = 259, VIRTIO_MINORS = 16 };

/* Locks: list_lock is held. */
static uint64_t number_of(const struct blk_device *d)
{
    const struct blk_device *w = d->whole;
    if (!w && d->name[0] == 'v' && d->name[1] == 'd')
        return abi_makedev(MAJOR_VIRTIO, VIRTIO_MINORS * next_virtio++);
    if (w && abi_major(w->rdev) == MAJOR_VIRTIO && d->part < VIRTIO_MINORS)
        return abi_makedev(MAJOR_VIRTIO, abi_minor(w->rdev) + d->part);
    return abi_makedev(MAJOR_BLK, next_minor++);
}

static bool power_of_two(uint32_t n)
{
    return n && !(n & (n - 1));
}

static bool limits_make_sense(const struct blk_limits *l)
{
    return power_of_two(l->logical_block) && l->logical_block >= BLK_SECTOR &&
           l->logical_block <= PAGE_SIZE && power_of_two(l->physical_block) &&
           l->physical_block >= l->logical_block && l->max_sectors >= PAGE_SIZE / BLK_SECTOR &&
           l->max_segs >= 1 && l->max_segs <= BLK_SEGS_MAX && l->max_seg_len >= PAGE_SIZE &&
           (!l->seg_boundary || (power_of_two(l->seg_boundary) && l->seg_boundary >= PAGE_SIZE)) &&
           l->queues >= 1 && l->queues <= BLK_QUEUES_MAX && l->queue_depth >= 1;
}

static int list_add(struct blk_device *dev)
{
    struct blk_device *d, *last = NULL;
    int err = 0;
    spin_lock(&list_lock);
    for (d = devices; d; d = d->next) {
        if (!strcmp(d->name, dev->name))
            err = -EEXIST;
        /* A partition stands behind its disk and the disk's other partitions. */
        if (!dev->whole || d == dev->whole || d->whole == dev->whole)
            last = d;
    }
    if (!err) {
        dev->rdev = (uint32_t)number_of(dev);
        dev->next = last ? last->next : devices;
        /* Seen whole by those who follow the list. */
        atomic_thread_fence(memory_order_release);
        if (last)
            last->next = dev;
        else
            devices = dev;
    }
    spin_unlock(&list_lock);
    return err;
}

int blk_register(struct blk_device *dev)
{
    int err = 0;
    dev->name[BLK_NAME_MAX - 1] = '\0';
    dev->serial[BLK_SERIAL_MAX - 1] = '\0';
    if (!dev->whole) {
        if (!limits_make_sense(&dev->limits)) {
            log_warn("%s: the device says limits that make no sense; not used", dev->name);
            return -EINVAL;
        }
        err = blk_queues_create(dev);
    }
    return err ? err : list_add(dev);
}

void blk_resized(struct blk_device *dev, uint64_t sectors)
{
    log_info("%s: now %llu sectors", dev->name, (unsigned long long)sectors);
    atomic_store(&dev->sectors, sectors);
}

struct blk_device *blk_next(const struct blk_device *dev)
{
    struct blk_device *d = dev ? dev->next : devices;
    while (d && d->gone)
        d = d->next;
    return d;
}

struct blk_device *blk_of_rdev(uint32_t rdev)
{
    struct blk_device *d = devices;
    while (d && d->rdev != rdev)
        d = d->next;
    return d;
}

int blk_claim(struct blk_device *dev)
{
    bool no = false;
    int err = 0;
    if (!atomic_compare_exchange_strong(&dev->claimed, &no, true))
        return -EBUSY;
    /* A disk is not used beside its partitions. */
    for (struct blk_device *d = devices; d; d = d->next)
        if (d != dev && atomic_load(&d->claimed) && (d->whole == dev || d == dev->whole))
            err = -EBUSY;
    if (atomic_load(&dev->gone)) /* looked at behind claimed: see drop in repart.c */
        err = -ENXIO;
    if (err)
        atomic_store(&dev->claimed, false);
    return err;
}

void blk_release(struct blk_device *dev)
{
    atomic_store(&dev->claimed, false);
}

static struct spin view_lock = SPIN_INIT(RANK_FS_MOUNTS);

void blk_view_set(struct blk_device *dev, const struct blk_view *view, void *owner)
{
    spin_lock(&view_lock);
    dev->view = view;
    dev->view_owner = owner;
    spin_unlock(&view_lock);
}

void blk_view_read(struct blk_device *dev, uint64_t sector, uint32_t sectors, void *buf)
{
    spin_lock(&view_lock);
    if (dev->view)
        dev->view->read(dev->view_owner, sector, sectors, buf);
    spin_unlock(&view_lock);
}

int blk_view_write(struct blk_device *dev, uint64_t sector, uint32_t sectors, const void *data)
{
    spin_lock(&view_lock);
    int err = dev->view ? dev->view->write(dev->view_owner, sector, sectors, data) : 0;
    spin_unlock(&view_lock);
    return err;
}

/* May io go to dev? */
static int check(const struct blk_device *dev, const struct blk_io *io)
{
    const struct blk_limits *l = &dev->limits;
    uint64_t size = dev->sectors, unit = l->logical_block / BLK_SECTOR;
    if (dev->dead || (dev->whole && dev->whole->dead))
        return -EIO;
    if (io->op == BLK_FLUSH)
        return 0;
    if (io->op != BLK_READ && l->read_only)
        return -EROFS;
    if ((io->op == BLK_DISCARD && !l->max_discard_sectors) ||
        (io->op == BLK_WRITE_ZEROES && !l->max_zero_sectors))
        return -EOPNOTSUPP;
    if (!io->sectors || io->sectors % unit || io->sector % unit)
        return -EINVAL;
    if (io->sector > size || io->sectors > size - io->sector)
        return -EIO;
    return 0;
}

static bool segs_match(const struct blk_io *io)
{
    uint64_t sum = 0;
    if (io->op != BLK_READ && io->op != BLK_WRITE)
        return true;
    for (unsigned i = 0; i < io->nsegs; i++)
        sum += io->segs[i].len;
    return sum == (uint64_t)io->sectors * BLK_SECTOR;
}

static struct blk_device *whole(struct blk_device *dev)
{
    return dev->whole ? dev->whole : dev;
}

/* Start io. False: it has ended. */
static bool prepare(struct blk_io *io)
{
    struct blk_device *dev = io->dev;
    int err = check(dev, io);
    must(segs_match(io));
    bool nothing = !err && io->op == BLK_FLUSH &&
                   (!dev->limits.volatile_cache || !blk_cache_holds(whole(dev)));
    if (err || nothing) {
        blk_io_end(io, err);
        return false;
    }
    io->start = io->sector + (dev->whole ? dev->first : 0);
    io->taken = 0;
    io->seg = io->seg_off = 0;
    io->flushing = io->cached = false;
    if (io->op == BLK_FLUSH)
        io->covers = whole(dev)->cached;
    atomic_store(&io->parts, 0);
    atomic_store(&io->part_status, 0);
    return true;
}

void blk_submit(struct blk_io *io, struct blk_plug *plug)
{
    if (!prepare(io))
        return;
    if (io->op == BLK_READ)
        thread_current()->blocks_in += io->sectors;
    if (plug && io->op != BLK_FLUSH) {
        DL_APPEND(plug->ios, io);
        plug->n++;
        return;
    }
    struct blk_queue *q = blk_queue_here(whole(io->dev));
    blk_enqueue(q, io);
    blk_dispatch(q);
}

static int by_place(const struct blk_io *a, const struct blk_io *b)
{
    const struct blk_device *da = whole(a->dev), *db = whole(b->dev);
    if (da != db)
        return (uintptr_t)da < (uintptr_t)db ? -1 : 1;
    if (a->op != b->op)
        return a->op < b->op ? -1 : 1;
    return a->start < b->start ? -1 : a->start > b->start;
}

void blk_plug_finish(struct blk_plug *plug)
{
    struct blk_queue *q = NULL;
    struct blk_io *io;
    if (plug->n > 1)
        DL_SORT(plug->ios, by_place);
    while ((io = plug->ios)) {
        DL_DELETE(plug->ios, io);
        struct blk_queue *to = blk_queue_here(whole(io->dev));
        if (q && to != q)
            blk_dispatch(q);
        q = to;
        blk_enqueue(q, io);
    }
    if (q)
        blk_dispatch(q);
    plug->n = 0;
}
