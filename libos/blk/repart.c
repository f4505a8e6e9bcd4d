/* SPDX-License-Identifier: MIT */
/* Partitions that change while the machine runs: BLKRRPART reads a disk's table again, BLKPG adds, resizes and forgets single ones. A
 * partition that goes stays in the list of devices, marked as gone, since others follow that list without a lock, and comes back under
 * its number. One change of a disk at a time (parting); what is open or mounted is left alone. */
#include "blk_int.h"

#include <abi/errno.h>
#include <abi/prctl.h>
#include <libos/process.h>
#include <libos/user.h>

enum { PG_ADD = 1, PG_DEL = 2, PG_RESIZE = 3, NUMBERS = 256 };

struct pg_partition {
    int64_t start, length; /* bytes */
    int32_t number;
    char names[128];
};
typedef USER(const struct pg_partition) user_pg_partition_t;
struct pg_arg {
    int32_t op, flags, size;
    user_pg_partition_t data;
};
typedef USER(const struct pg_arg) user_pg_arg_t;

/* The next partition of disk behind p that is there; p NULL: the first. */
static struct blk_device *next_part(struct blk_device *disk, struct blk_device *p)
{
    p = blk_next(p ? p : disk);
    return p && p->whole == disk ? p : NULL;
}

static struct blk_device *find(struct blk_device *disk, int number)
{
    struct blk_device *p = next_part(disk, NULL);
    while (p && p->part != (unsigned)number)
        p = next_part(disk, p);
    return p;
}

/* p goes, unless somebody uses it: who opens or claims it looks at gone after that. */
static int drop(struct blk_device *p)
{
    bool no = false;
    if (!atomic_compare_exchange_strong(&p->claimed, &no, true))
        return -EBUSY;
    atomic_store(&p->gone, true);
    bool used = atomic_load(&p->opens);
    if (used)
        atomic_store(&p->gone, false);
    atomic_store(&p->claimed, false);
    return used ? -EBUSY : 0;
}

static bool overlaps(struct blk_device *disk, const struct blk_device *but, uint64_t first,
                     uint64_t sectors)
{
    for (struct blk_device *p = next_part(disk, NULL); p; p = next_part(disk, p))
        if (p != but && first < p->first + p->sectors && p->first < first + sectors)
            return true;
    return false;
}

static int reread(struct blk_device *disk)
{
    for (struct blk_device *p = next_part(disk, NULL); p; p = next_part(disk, p))
        if (p->claimed || p->opens)
            return -EBUSY;
    for (struct blk_device *p = next_part(disk, NULL); p; p = next_part(disk, p)) {
        if (drop(p))
            return -EBUSY; /* opened just now */
        blk_node_remove(p);
    }
    blk_scan_disk(disk);
    for (struct blk_device *p = next_part(disk, NULL); p; p = next_part(disk, p))
        (void)!blk_node_make(p); /* without memory it has no name */
    return 0;
}

static int add(struct blk_device *disk, const struct pg_partition *g)
{
    uint64_t first = (uint64_t)g->start / BLK_SECTOR, sectors = (uint64_t)g->length / BLK_SECTOR;
    uint64_t end = disk->sectors;
    if (first >= end || sectors > end - first || g->number >= NUMBERS)
        return -EINVAL;
    if (find(disk, g->number) || overlaps(disk, NULL, first, sectors))
        return -EBUSY;
    int err = blk_part_add(disk, (unsigned)g->number, first, sectors, "", "");
    struct blk_device *p = err ? NULL : find(disk, g->number);
    return p ? blk_node_make(p) : err;
}

static int resize(struct blk_device *disk, struct blk_device *p, const struct pg_partition *g)
{
    uint64_t first = (uint64_t)g->start / BLK_SECTOR, sectors = (uint64_t)g->length / BLK_SECTOR;
    if (first != p->first || sectors > disk->sectors - first)
        return -EINVAL;
    if (overlaps(disk, p, first, sectors))
        return -EBUSY;
    atomic_store(&p->sectors, sectors);
    return 0;
}

static int change(struct blk_device *disk, int op, const struct pg_partition *g)
{
    uint32_t block = disk->limits.logical_block;
    if (op == PG_DEL) {
        struct blk_device *p = find(disk, g->number);
        int err = p ? drop(p) : -ENXIO;
        if (!err)
            blk_node_remove(p);
        return err;
    }
    if (op != PG_ADD && op != PG_RESIZE)
        return -EINVAL;
    if (g->start < 0 || g->length <= 0 || g->length > INT64_MAX - g->start ||
        (g->start | g->length) & (block - 1))
        return -EINVAL;
    if (op == PG_ADD)
        return add(disk, g);
    struct blk_device *p = find(disk, g->number);
    return p ? resize(disk, p, g) : -ENXIO;
}

/* f as blk_part_ioctl does it, with the disk to itself. */
static long alone(struct blk_device *disk, long (*f)(struct blk_device *, int, const void *),
                  int op, const void *arg)
{
    if (atomic_exchange(&disk->parting, true))
        return -EBUSY;
    long err = f(disk, op, arg);
    atomic_store(&disk->parting, false);
    return err;
}

static long do_change(struct blk_device *disk, int op, const void *arg)
{
    return change(disk, op, arg);
}

static long do_reread(struct blk_device *disk, int op, const void *arg)
{
    (void)op, (void)arg;
    return reread(disk);
}

long blk_reread(struct blk_device *disk, bool exclusive)
{
    if (!cred_capable(CAP_SYS_ADMIN))
        return -EACCES;
    if (disk->whole)
        return -EINVAL;
    if (disk->claimed && !exclusive)
        return -EBUSY;
    return alone(disk, do_reread, 0, NULL);
}

long blk_partition_change(struct blk_device *disk, unsigned long arg)
{
    struct pg_arg a;
    struct pg_partition g;
    if (!cred_capable(CAP_SYS_ADMIN))
        return -EACCES;
    int err = user_get(&a, user_at(user_pg_arg_t, arg), 1);
    if (!err)
        err = user_get(&g, a.data, 1);
    if (err)
        return err;
    if (disk->whole || g.number <= 0)
        return -EINVAL;
    return alone(disk, do_change, a.op, &g);
}
