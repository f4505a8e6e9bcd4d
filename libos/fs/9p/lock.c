/* SPDX-License-Identifier: MIT */
/* Record and flock locks towards the server, which knows only the former and tells a machine's processes apart by their ids. It is asked
 * again and again while others hold a lock, and not told to wait itself: so a signal ends the wait, and no lock comes too late. */
#include "p9.h"

#include <abi/errno.h>
#include <abi/fcntl.h>
#include <libos/flock.h>
#include <libos/process.h>
#include <libos/time.h>
#include <plat/time.h>
#include <string.h>

enum { LOCK_READ = 0, LOCK_WRITE = 1, LOCK_NONE = 2 };
enum { LOCK_SUCCESS = 0, LOCK_BLOCKED = 1 };
enum { RETRY_MS_MIN = 10, RETRY_MS_MAX = 1000 };

static const char client[] = "alcove";

static unsigned kind_of(short type)
{
    return type == F_RDLCK ? LOCK_READ : type == F_WRLCK ? LOCK_WRITE : LOCK_NONE;
}

/* The protocol's length 0 is up to the end, however far that is. */
static uint64_t length(const struct lock_range *r)
{
    return r->end == INT64_MAX ? 0 : r->end - r->start + 1;
}

static struct p9_msg *begin(enum p9_type type, struct file *f, const struct lock_range *r)
{
    struct p9_msg *m = p9_begin(type);
    if (!m)
        return NULL;
    p9_put(m, (uint32_t)(uintptr_t)f->data - 1, 4);
    p9_put(m, kind_of(r->type), 1);
    if (type == T_LOCK)
        p9_put(m, 0, 4);
    p9_put(m, r->start, 8);
    p9_put(m, length(r), 8);
    p9_put(m, (uint32_t)r->pid, 4);
    p9_put_name(m, client, sizeof(client) - 1);
    return m;
}

/* Ask once; 1: others hold it. */
static int ask(struct file *f, const struct lock_range *r)
{
    struct p9_msg *m = begin(T_LOCK, f, r);
    if (!m)
        return -ENOLCK;
    int err = p9_send(p9_of(f->inode), m);
    uint64_t status = p9_get(m, 1);
    if (!err && m->bad)
        err = -EIO;
    else if (!err)
        err = status == LOCK_SUCCESS ? 0 : status == LOCK_BLOCKED ? 1 : -ENOLCK;
    p9_free(m);
    return err;
}

int p9_lock(struct file *f, const struct lock_range *r, bool wait)
{
    struct waitq nobody;
    uint64_t ms = RETRY_MS_MIN;
    int err;
    waitq_init(&nobody);
    while ((err = ask(f, r)) == 1) {
        if (!wait || r->type == F_UNLCK)
            return -EAGAIN;
        uint64_t until = plat_time_ns() + ms * (NS_PER_SEC / 1000);
        if (WAIT_EVENT(&nobody, SLEEP_INTERRUPTIBLE, until, false) == -EINTR)
            return -ERESTARTSYS;
        ms = min_u64(2 * ms, RETRY_MS_MAX);
    }
    return err;
}

int p9_getlock(struct file *f, struct lock_range *r)
{
    struct p9_msg *m = begin(T_GETLOCK, f, r);
    if (!m)
        return -ENOLCK;
    int err = p9_send(p9_of(f->inode), m);
    uint64_t kind = p9_get(m, 1), start = p9_get(m, 8), len = p9_get(m, 8), pid = p9_get(m, 4);
    if (!err && (m->bad || kind > LOCK_NONE || start > INT64_MAX || len > INT64_MAX ||
                 start + len > (uint64_t)INT64_MAX + 1))
        err = -EIO;
    if (!err) {
        r->type = kind == LOCK_READ ? F_RDLCK : kind == LOCK_WRITE ? F_WRLCK : F_UNLCK;
        r->start = start;
        r->end = len ? start + len - 1 : INT64_MAX;
        r->pid = -(int)(pid & INT32_MAX); /* no process of this machine's, as Linux says it */
    }
    p9_free(m);
    return err;
}
