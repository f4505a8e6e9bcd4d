/* SPDX-License-Identifier: MIT */
/* A commit that is caught at its last flush. See disk.h. */
#include "disk.h"

#include <base/log.h>
#include <libos/file.h>
#include <libos/sched.h>
#include <libos/thread.h>
#include <libos/waitq.h>
#include <plat/mem.h>
#include <plat/time.h>
#include <string.h>

enum { RELEASE_NS = 50000000 };

static enum { OFF, ARMED, COMMITTING, LAST, HELD } state;
static struct blk_request *held_write, *held_flush;
static struct file *other;
static int other_fd;
static bool flushed, with_journal;

void disk_hold(int fd, bool journal)
{
    other_fd = fd;
    with_journal = journal;
    flushed = false;
    state = ARMED;
}

bool disk_hold_flushed(void)
{
    bool was_held = state == HELD;
    state = OFF;
    return was_held && flushed;
}

static void commit(void *arg)
{
    (void)arg;
    must(file_sync(other, 0, UINT64_MAX, false) == 0);
    file_put(other);
}

static void release(void *arg)
{
    struct waitq nobody;
    uint64_t until = plat_time_ns() + RELEASE_NS;
    (void)arg;
    waitq_init(&nobody);
    (void)WAIT_EVENT(&nobody, SLEEP_UNINTERRUPTIBLE, until, false);
    blk_done(held_flush, 0);
}

static bool is_commit_block(const struct blk_request *r)
{
    static const unsigned char begin[8] = { 0xc0, 0x3b, 0x39, 0x98, 0, 0, 0, 2 };
    return r->op == BLK_WRITE && !memcmp(plat_phys_to_virt(r->segs[0].addr), begin, sizeof(begin));
}

bool disk_holds(struct blk_request *r)
{
    if (state == ARMED && r->op == BLK_WRITE) {
        state = COMMITTING;
        held_write = r;
        must(fd_get(other_fd, &other) == 0);
        must(thread_create_kernel("commit", commit, NULL) == 0);
        return true;
    }
    if (state == COMMITTING && is_commit_block(r)) {
        state = LAST;
    } else if (state == (with_journal ? LAST : COMMITTING) && r->op == BLK_FLUSH) {
        state = HELD;
        held_flush = r;
        must(thread_create_kernel("release", release, NULL) == 0);
        blk_done(held_write, 0);
        return true;
    } else if (state == HELD && r->op == BLK_FLUSH) {
        flushed = true;
    }
    return false;
}
