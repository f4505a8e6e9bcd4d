/* SPDX-License-Identifier: MIT */
/* A disk for tests: a file of the host as a block device, which can write down everything that it is asked. */
#ifndef DISK_H
#define DISK_H

#include <libos/dev/blk.h>

enum disk_event { DISK_WRITE, DISK_FLUSH, DISK_MARK, DISK_THROUGH };

/* The beginning of each record in the log; a write's data follows. DISK_THROUGH: one that was on the medium
 * when it was done. */
struct disk_record {
    uint32_t event, sectors;
    uint64_t sector; /* of a mark: its number */
};

/* Make device name of the file at path. log: NULL, or a file that gets a record of every write and flush. Exits with a message
 * when there is no such file. DISK_CACHE_SWITCH in the environment: it can do without its cache. */
struct blk_device *disk_open(const char *name, const char *path, const char *log);
/* While true, a timer's signal comes with every transfer, and the transfer uses all vector registers. */
extern bool disk_ticks;
/* From now on: the next write is not done before a commit that the fsync of the file fd begins meanwhile is at its last flush (of two,
 * with a journal), and that flush takes a while. disk_hold_flushed: all of it came to pass, and another flush was begun after the write was done. */
void disk_hold(int fd, bool journal);
bool disk_hold_flushed(void);
/* The disk's side: true when r, which is carried out, is told to be done later. */
bool disk_holds(struct blk_request *r);
/* Put a mark into the log: everything that the test was told to be on the disk by now has to be. */
void disk_mark(uint64_t number);

#endif
