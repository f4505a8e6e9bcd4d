/* SPDX-License-Identifier: MIT */
/* Block devices: what a driver fills in, and what file systems ask for.
 *
 * A user makes a struct blk_io (one run of sectors, memory as physical pieces) and submits it; the block layer merges
 * neighbours into a struct blk_request, chooses a queue by CPU and hands it to the driver. Nothing is copied on the way.
 * A driver sees requests only. There is no order between requests: who needs one waits for the first, and what a write
 * left in a volatile cache is on the medium only after a BLK_FLUSH that was submitted when the write was done (or with
 * BLK_FUA). */
#ifndef LIBOS_DEV_BLK_H
#define LIBOS_DEV_BLK_H

#include <base/compiler.h>
#include <base/types.h>
#include <libos/lock.h>
#include <stdatomic.h>

struct blk_device;
struct blk_io;
struct blk_queue;
struct blk_request;
struct file;

enum {
    BLK_SECTOR = 512, /* the unit of all positions and lengths, whatever the device's blocks are */
    BLK_SEGS_MAX = 128,  /* pieces of memory in one request */
    BLK_IOS_MAX = 32,    /* transfers merged into one request */
    BLK_NAME_MAX = 32,   /* "vda", "nvme0n1", "vda1" */
    BLK_SERIAL_MAX = 64, /* with the zero */
    BLK_QUEUES_MAX = 64,
    BLK_TIMEOUT_S = 30, /* then the driver's timeout is called */
    BLK_TRIES = 3,      /* of a request that resets ended */
};

enum blk_op {
    BLK_READ,
    BLK_WRITE,
    BLK_FLUSH,   /* no sectors, no memory: everything that was completed before is on the medium */
    BLK_DISCARD, /* the sectors' content does not matter any more; a hint */
    BLK_WRITE_ZEROES /* no memory; the sectors read as zeros */
};

enum blk_flags {
    BLK_FUA = 1, /* BLK_WRITE: on the medium when done. Drivers see it only if limits.fua is set */
    BLK_NO_UNMAP = 2 /* BLK_WRITE_ZEROES: the space stays allocated */
};

/* A piece of memory: contiguous, in RAM; address and length are multiples of the device's logical block. */
struct blk_seg {
    paddr_t addr;
    uint32_t len;
};

/* What a device can do. The driver fills it before blk_register; all of it has been bounded by the driver, since a device
 * is not trusted. */
struct blk_limits {
    uint32_t logical_block; /* bytes, a power of two, 512 to 4096: alignment of every request */
    uint32_t
        physical_block;   /* bytes, at least logical_block: what is written without reading first */
    uint32_t minimum_io;  /* bytes that are better not divided; 0: physical_block */
    uint32_t optimal_io;  /* bytes; 0: nothing said */
    uint32_t max_sectors; /* of a read or write */
    uint32_t max_segs;    /* of a request, 1 to BLK_SEGS_MAX */
    uint32_t max_seg_len; /* bytes of one piece; at least a page */
    uint32_t
        seg_boundary; /* a piece does not cross a multiple of this (a power of two); 0: no limit */
    uint32_t max_discard_sectors; /* 0: BLK_DISCARD is refused */
    uint32_t discard_align;       /* sectors */
    uint32_t max_zero_sectors;    /* 0: BLK_WRITE_ZEROES is refused */
    uint32_t queues;              /* 1 to BLK_QUEUES_MAX */
    uint32_t queue_depth;         /* requests that one queue takes at once */
    bool volatile_cache; /* BLK_FLUSH means something; false: completed writes are on the medium */
    bool cache_switch;   /* write_cache may be called; begins with the cache on */
    bool fua;            /* BLK_FUA is there; else the block layer flushes after the write */
    bool read_only;
    bool rotational;
};

/* What the driver does. Called without any lock of the block layer, from any thread or from an interrupt handler (where
 * blk_done starts what was waiting), and by several CPUs at once; the driver has a lock for each queue. Does not sleep,
 * but for timeout. */
struct blk_ops {
    /* Give r to hardware queue r->queue. more: another one follows at once, so the doorbell may wait for it or for kick.
     * 0: taken, and blk_done(r) will follow, perhaps before this returns. -EAGAIN: no room; the block layer offers it again
     * after the next blk_done on this queue. -EIO: the device is gone for good. */
    int (*submit)(struct blk_device *dev, struct blk_request *r, bool more);
    /* Ring the doorbell of queue for what was submitted with more set. */
    void (*kick)(struct blk_device *dev, unsigned queue);
    /* Look for completions of queue now, without an interrupt. */
    void (*poll)(struct blk_device *dev, unsigned queue);
    /* Be with or without a volatile cache from now on. Without one, a BLK_WRITE that is submitted later is on the medium when it
     * is done; what was written before still needs a flush. One call at a time, from any context; no sleep. -EIO: nothing is
     * known of what it does now, but that flushes work. NULL if !limits.cache_switch. */
    int (*write_cache)(struct blk_device *dev, bool on);
    /* r, taken BLK_TIMEOUT_S ago, is not done. Runs in a thread of its own and may sleep. Look whether it was completed
     * after all, abort it or reset the device; when this returns, blk_done was called for r. NULL: the device is given up:
     * all its requests end with -EIO, and the driver must not touch their memory again. */
    void (*timeout)(struct blk_device *dev, struct blk_request *r);
};

/* What a driver gets: the device's until blk_done. */
struct blk_request {
    struct blk_request *next,
        *prev;         /* of whoever has the request: the driver between submit and blk_done */
    uint8_t op, flags; /* enum blk_op, enum blk_flags */
    uint16_t nsegs;
    uint16_t queue,
        tag; /* tag: below limits.queue_depth and unique among the queue's requests that are out */
    uint8_t tries;   /* begun again so often; the block layer's, as is the next */
    bool through;    /* the device has no cache for it; the block layer's */
    uint64_t sector; /* on the device itself, partitions resolved; multiple of logical_block */
    uint32_t sectors;
    uint64_t driver[4]; /* the driver's own */
    struct blk_seg segs[BLK_SEGS_MAX];
    /* The block layer's. */
    struct blk_io *ios[BLK_IOS_MAX]; /* that have a part in it, in order */
    uint32_t nios;
    uint64_t deadline_ns, began_ns;
    struct blk_device *dev, *stat_dev; /* stat_dev: the partition that it counts for, or dev */
    struct blk_request *all_next;      /* of the queue's requests */
    _Atomic uint32_t out;              /* with the driver */
};

/* One device or partition; the driver's memory, kept for good. */
struct blk_device {
    /* Filled by the driver. */
    char name[BLK_NAME_MAX];
    char serial[BLK_SERIAL_MAX]; /* printable; "" */
    char model[41];              /* the same */
    const struct blk_ops *ops;
    void *data;   /* of the driver */
    bool stacked; /* on other devices, which answer in time or are given up: no deadlines here */
    struct blk_limits limits;
    _Atomic uint64_t sectors; /* may change: blk_resized */
    /* The block layer's. */
    struct blk_device *next;
    struct blk_device *whole; /* of a partition; else NULL */
    uint64_t first;           /* of a partition: its first sector on the whole device */
    unsigned part;            /* of a partition: its number */
    char partuuid[37], partlabel[40];
    uint32_t rdev;          /* its number as a device node */
    bool scanned;           /* for partitions */
    _Atomic bool gone;      /* a partition that is not there any more; it may come back */
    _Atomic bool parting;   /* of a disk: its partitions are being changed */
    _Atomic uint32_t opens; /* of its node */
    struct blk_queue *queues;
    _Atomic bool dead;           /* every further request is -EIO */
    _Atomic bool claimed;        /* a file system is mounted from it */
    const struct blk_view *view; /* of who claimed it; guarded by a lock of libos/blk/device.c */
    void *view_owner;
    /* For blk_stats: done_* by enum blk_op. */
    _Atomic uint64_t done_ios[5], done_merges[5], done_sectors[5], done_ns[5];
    _Atomic uint64_t busy_ns, stat_at_ns;
    _Atomic uint32_t inflight, inflight_reads;
    /* Of the requests that changed something, those that the volatile cache may hold, and of these those that a flush covers. */
    _Atomic uint64_t cached, flushed;
    _Atomic uint32_t cache_state, cache_unasked, cache_calm; /* of libos/blk/cache.c */
};

/* A driver found a device: from now on it may get requests. Looks for partitions later (blk_scan). -EINVAL: limits that
 * make no sense (a line is logged), -EEXIST (name), -ENOMEM. */
NODISCARD int blk_register(struct blk_device *dev);

/* A request is done: status 0 or a negative errno: -EIO (anything), -ENODATA (the medium cannot be read there), -ENOSPC,
 * -EOPNOTSUPP (the device does not know the operation after all), -EROFS, -ETIMEDOUT. For writes that failed nothing is
 * known of the sectors. The driver does not use r any more. Called from the interrupt handler, from poll or from submit, with
 * no lock of the driver held: it may submit more. */
void blk_done(struct blk_request *r, int status);

/* r, which was taken, was ended without having been done for a reason that may pass: an abort, a reset of the device. It is offered
 * again, BLK_TRIES times in all, and is -EIO then. As for blk_done. */
void blk_retry(struct blk_request *r);
/* The driver, which answered -EAGAIN while it was resetting the device, takes requests again, or -EIO from now on. */
void blk_restarted(struct blk_device *dev);

/* The device has another size now. */
void blk_resized(struct blk_device *dev, uint64_t sectors);

/* One transfer, the user's memory until done is called. */
struct blk_io {
    struct blk_io *next, *prev; /* the block layer's */
    struct blk_device *dev;
    uint8_t op, flags;
    uint16_t nsegs;
    uint64_t sector;
    uint32_t sectors;
    const struct blk_seg *segs; /* together sectors * 512 bytes; stay unchanged until done */
    int status;                 /* set before done is called: 0 or a negative errno */
    /* Called once, with no lock held, from any context; does not sleep. io may be gone when it returns. */
    void (*done)(struct blk_io *io);
    void *arg;
    /* The block layer's. */
    uint64_t start;          /* the sector on the whole device */
    uint32_t taken;          /* sectors handed to requests */
    uint32_t seg, seg_off;   /* where the rest's memory begins */
    bool cached;             /* a part of it may be in the device's cache */
    bool flushing;           /* written; a flush stands for BLK_FUA */
    uint64_t covers;         /* what that flush covers, as blk_device.flushed */
    _Atomic uint32_t parts;  /* requests that have a part of it, and one while it is being cut */
    _Atomic int part_status; /* the first error of a part */
};

/* Transfers gathered by one thread before the driver is told: neighbours are merged, the doorbell rings once. */
struct blk_plug {
    struct blk_io *ios;
    unsigned n;
};

static inline void blk_plug_start(struct blk_plug *plug)
{
    plug->ios = NULL;
    plug->n = 0;
}

/* Start io; io->done tells the end. plug NULL: at once. A transfer outside of the device, not aligned to its blocks, or a
 * write to a read-only one ends with -EIO, -EINVAL, -EROFS or -EOPNOTSUPP through done too. Does not sleep. */
void blk_submit(struct blk_io *io, struct blk_plug *plug);
/* Start what was gathered. */
void blk_plug_finish(struct blk_plug *plug);

/* Do one transfer and wait for it (not interruptible). segs as in struct blk_io. Errnos of blk_done. */
NODISCARD int blk_transfer(struct blk_device *dev, enum blk_op op, unsigned flags, uint64_t sector,
                           uint32_t sectors, const struct blk_seg *segs, unsigned nsegs);
/* The same with one buffer of libOS memory that lies in the linear map (heap, pages). */
NODISCARD int blk_read(struct blk_device *dev, uint64_t sector, uint32_t sectors, void *buf);
NODISCARD int blk_write(struct blk_device *dev, uint64_t sector, uint32_t sectors, const void *buf,
                        unsigned flags);
/* Everything written so far is on the medium when this returns 0. Nothing to do without a volatile cache. May sleep. */
NODISCARD int blk_flush(struct blk_device *dev);
/* Make sectors read as zeros: by the device if it can, else by writing them. May sleep. */
NODISCARD int blk_zero(struct blk_device *dev, uint64_t sector, uint64_t sectors);
/* Tell the device that the sectors are not used any more; errors do not matter. May sleep. */
void blk_discard(struct blk_device *dev, uint64_t sector, uint64_t sectors);

/* The device called name ("vda", "/dev/vda1", or "UUID=", "LABEL=", "PARTUUID=", "PARTLABEL=", "SERIAL=" and a value); NULL.
 * May sleep: UUID and LABEL are read from the devices. */
struct blk_device *blk_find(const char *name);
/* What became of the requests to a device, by enum blk_op. */
struct blk_stats {
    uint64_t ios[5], merges[5], sectors[5], ms[5];
    uint64_t busy_ms, queue_ms; /* with one out; the sum of what they took */
    uint32_t inflight, inflight_reads;
};
void blk_stats(struct blk_device *d, struct blk_stats *ret);

/* The first device (dev NULL) or the one after dev, partitions behind their disk; NULL. They are never removed. */
struct blk_device *blk_next(const struct blk_device *dev);
/* The device with this number; NULL. */
struct blk_device *blk_of_rdev(uint32_t rdev);
/* Read the partition tables (GPT, MBR) of all devices and register what they say. Once, from a thread that may sleep. A table
 * that is damaged is named in a logged line and not used. */
void blk_scan(void);
/* What the file system that is mounted from a device keeps of it in memory, for who reads and writes its node. owner is its
 * superblock's data. No sleep, but in settle; sectors are 512 bytes. */
struct blk_view {
    /* Bring what is known of files to where read finds it. The superblock is held. */
    void (*settle)(void *owner);
    /* Put into buf what is newer here than on the device. */
    void (*read)(void *owner, uint64_t sector, uint32_t sectors, void *buf);
    /* They are about to be written with data (NULL: zeros), or were: keep nothing else of them. -EBUSY: they are in use. */
    int (*write)(void *owner, uint64_t sector, uint32_t sectors, const void *data);
};
/* Set or (NULL) end the view of dev; at the return nobody uses the old one. */
void blk_view_set(struct blk_device *dev, const struct blk_view *view, void *owner);
void blk_view_settle(struct blk_device *dev); /* may sleep */
void blk_view_read(struct blk_device *dev, uint64_t sector, uint32_t sectors, void *buf);
NODISCARD int blk_view_write(struct blk_device *dev, uint64_t sector, uint32_t sectors,
                             const void *data);

/* Open the node with this number: sets f's operations and data. exclusive: as O_EXCL, which no mount goes with. -ENXIO, -EBUSY,
 * -ENOMEM. */
NODISCARD int blk_node_open(uint32_t rdev, bool exclusive, struct file *f);
/* Make the nodes of all devices in /dev, and links by what is known of them in /dev/disk. Once, after blk_scan. -ENOMEM. */
NODISCARD int blk_nodes_make(void);
/* Take or release the right to mount from dev (or to use it exclusively). -EBUSY. */
NODISCARD int blk_claim(struct blk_device *dev);
void blk_release(struct blk_device *dev);

/* A device of size bytes that lies in libOS memory, for tests and as the example of a driver. Completes in submit. -ENOMEM,
 * -EEXIST. */
NODISCARD int blk_ram_create(const char *name, uint64_t size, struct blk_device **ret_dev);
/* The memory of sectors of such a device from sector on, at most to the end of its page; NULL: none, they are zeros. */
void *blk_ram_memory(struct blk_device *dev, uint64_t sector);

#endif
