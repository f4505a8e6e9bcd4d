/* SPDX-License-Identifier: MIT */
/* Shared by the files of this folder: the queues behind a device. */
#ifndef BLK_BLK_INT_H
#define BLK_BLK_INT_H

#include <libos/dev/blk.h>
#include <libos/timer.h>

enum {
    REQUESTS_MAX = 64, /* of one queue */
};

/* One hardware queue's software side. Transfers wait in order of arrival; a request is made of them when one is free, so
 * that what arrives meanwhile can be merged. */
struct blk_queue {
    struct spin lock; /* RANK_BLK_QUEUE */
    struct blk_device *dev;
    uint32_t index;
    struct blk_io *waiting;       /* guarded by lock; utlist DL */
    struct blk_request *free;     /* guarded by lock; by next */
    struct blk_request *held;     /* guarded by lock; by next: refused with -EAGAIN */
    struct blk_request *all;      /* guarded by lock; by all_next; never freed */
    uint32_t nall, nall_max;      /* guarded by lock */
    _Atomic uint32_t done_gen;    /* counts blk_done */
    _Atomic uint64_t dispatching; /* CPUs that are in blk_dispatch */
    _Atomic bool again;           /* one of those should look once more */
    struct timer timer;           /* armed while requests are out */
    _Atomic bool timer_armed;
    _Atomic bool late; /* a request is over its time; the recovery thread looks */
};

/* Make the queues of a device. -ENOMEM. */
NODISCARD int blk_queues_create(struct blk_device *dev);
/* The queue that this CPU uses. */
struct blk_queue *blk_queue_here(struct blk_device *dev);
/* Put io, checked, behind the others. */
void blk_enqueue(struct blk_queue *q, struct blk_io *io);
/* Hand what waits to the driver. */
void blk_dispatch(struct blk_queue *q);
/* Start the thread that deals with timeouts, once. -ENOMEM. */
NODISCARD int blk_recovery_start(void);
/* UUID and label of the file system or LUKS2 volume on d. False: neither is known. May sleep. */
bool blk_content_names(struct blk_device *d, char uuid[41], char label[49]);
/* r, with its transfers, is offered to the driver; it was not taken; it is done. */
void blk_stat_begin(struct blk_request *r, uint64_t now);
void blk_stat_undo(struct blk_request *r);
void blk_stat_end(const struct blk_request *r);
/* End io. */
void blk_io_end(struct blk_io *io, int status);

/* A change is about to be handed to dev's driver. True: it is durable when it is done, and blk_cache_end follows then. Else the
 * device may keep it in its cache: dev->cached counts it when it is done. */
bool blk_cache_begin(struct blk_device *dev);
void blk_cache_end(struct blk_device *dev);
/* Somebody wants everything that is done to be durable: is there something to flush? */
bool blk_cache_holds(struct blk_device *dev);
/* A flush that began when dev->cached was changes is done. */
void blk_cache_flushed(struct blk_device *dev, uint64_t changes);

/* part.c. Look for partitions of disk. One at a time for each disk. */
void blk_scan_disk(struct blk_device *disk);
/* Have partition number n of disk, which lies on it and overlaps none. -ENOMEM, -EEXIST. */
NODISCARD int blk_part_add(struct blk_device *disk, unsigned n, uint64_t first, uint64_t sectors,
                           const char *uuid, const char *label);

/* node.c: the node and names of d in /dev. -ENOSPC, -ENOMEM */
NODISCARD int blk_node_make(struct blk_device *d);
void blk_node_remove(struct blk_device *d);

/* repart.c: BLKRRPART; exclusive: the caller claimed the disk. -EACCES, -EINVAL (a partition), -EBUSY. */
long blk_reread(struct blk_device *disk, bool exclusive);
/* BLKPG. -EACCES, -EFAULT, -EINVAL, -ENXIO (no such partition), -EBUSY. */
long blk_partition_change(struct blk_device *disk, unsigned long arg);

#endif
