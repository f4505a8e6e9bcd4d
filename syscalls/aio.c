/* SPDX-License-Identifier: MIT */
/* Linux asynchronous I/O: io_setup, io_submit, io_getevents and their relatives. */
#include "sys_proto.h"
#include "timeout.h"
#include "vector.h"

#include <abi/errno.h>
#include <abi/fcntl.h>
#include <abi/signal.h>
#include <base/log.h>
#include <libos/aio.h>
#include <libos/event.h>
#include <libos/mm.h>
#include <libos/signal.h>
#include <libos/thread.h>
#include <libos/user.h>

enum { NR_MAX = 0x10000000 / 64, EVENTS_AT_ONCE = 16 };

typedef USER(struct abi_iocb) user_iocb_t;
typedef USER(const struct abi_iocb) user_iocb_in_t;
typedef USER(struct abi_io_event) user_io_event_t;

static struct mm *mine(void)
{
    return thread_current()->mm;
}

long sys_io_setup(unsigned nr_events, user_addr_inout_t ctx)
{
    uintptr_t id;
    int err = user_get(&id, user_cast(user_addr_in_t, ctx), 1);
    if (err)
        return err;
    if (id || !nr_events || nr_events > NR_MAX)
        return -EINVAL;
    err = aio_setup(mine(), nr_events, &id);
    if (err || !user_put(ctx, &id, 1))
        return err;
    must(aio_destroy(mine(), id) == 0);
    return -EFAULT;
}

long sys_io_destroy(uintptr_t ctx)
{
    return aio_destroy(mine(), ctx);
}

/* The transfer that cb asks for, with its memory in one buffer or a vector. */
static int start_transfer(struct aio_context *c, const struct abi_iocb *cb, struct aio_job *job)
{
    const unsigned known = RWF_HIPRI | RWF_DSYNC | RWF_SYNC | RWF_NOWAIT | RWF_APPEND;
    unsigned flags = cb->aio_rw_flags, op = cb->aio_lio_opcode;
    struct file *f = job->file;
    struct vector v;
    bool vector = op == IOCB_CMD_PREADV || op == IOCB_CMD_PWRITEV;
    job->write = op == IOCB_CMD_PWRITE || op == IOCB_CMD_PWRITEV;
    if (flags & ~known || (flags & RWF_NOWAIT && !f->ops->nowait))
        return -EOPNOTSUPP;
    if (!(job->write ? f->can_write : f->can_read))
        return -EBADF;
    if (!(job->write ? f->ops->write : f->ops->read))
        return -EINVAL;
    if (vector) {
        user_iovec_in_t iov = { cb->aio_buf };
        int err = vector_get(&v, iov, cb->aio_nbytes);
        if (err)
            return err;
    } else {
        iter_user(&v.it, cb->aio_buf, cb->aio_nbytes);
    }
    v.it.append = flags & RWF_APPEND;
    v.it.nowait = flags & RWF_NOWAIT;
    v.it.sync = flags & RWF_SYNC ? ITER_SYNC : flags & RWF_DSYNC ? ITER_DSYNC : 0;
    job->it = &v.it;
    job->pos = (uint64_t)cb->aio_offset;
    int err = f->seekable && cb->aio_offset < 0 ? -EINVAL : aio_start(c, job);
    if (vector)
        vector_put(&v);
    return err;
}

static int start_job(struct aio_context *c, const struct abi_iocb *cb, struct aio_job *job)
{
    switch (cb->aio_lio_opcode) {
    case IOCB_CMD_PREAD:
    case IOCB_CMD_PWRITE:
    case IOCB_CMD_PREADV:
    case IOCB_CMD_PWRITEV:
        return start_transfer(c, cb, job);
    case IOCB_CMD_FSYNC:
    case IOCB_CMD_FDSYNC:
        if (cb->aio_buf || cb->aio_offset || cb->aio_nbytes || cb->aio_rw_flags ||
            !job->file->ops->sync)
            return -EINVAL;
        job->data_only = cb->aio_lio_opcode == IOCB_CMD_FDSYNC;
        return aio_start(c, job);
    default:
        return -EINVAL;
    }
}

static int submit_one(struct aio_context *c, uintptr_t at)
{
    const user_iocb_in_t up = { at };
    const user_uint_out_t key = { at + offsetof(struct abi_iocb, aio_key) };
    const uint32_t zero = 0;
    struct abi_iocb cb;
    struct aio_job job = { .obj = at };
    int err = user_get(&cb, up, 1);
    if (err)
        return err;
    if (cb.aio_reserved2 || (int64_t)cb.aio_nbytes < 0)
        return -EINVAL;
    err = fd_get((int)cb.aio_fildes, &job.file);
    if (err)
        return err;
    job.data = cb.aio_data;
    if (cb.aio_flags & IOCB_FLAG_RESFD) {
        err = fd_get((int)cb.aio_resfd, &job.eventfd);
        if (!err && !file_is_eventfd(job.eventfd))
            err = -EINVAL;
    }
    if (!err)
        err = user_put(key, &zero, 1);
    if (!err)
        err = start_job(c, &cb, &job);
    if (job.eventfd)
        file_put(job.eventfd);
    file_put(job.file);
    return err;
}

long sys_io_submit(uintptr_t ctx, long nr, user_addr_in_t iocbs)
{
    if (nr < 0)
        return -EINVAL;
    struct aio_context *c = aio_find(mine(), ctx);
    int err = c ? 0 : -EINVAL;
    long done = 0;
    for (; done < nr && !err; done++) {
        uintptr_t at;
        err = user_get(&at, user_advance(iocbs, done), 1);
        if (!err)
            err = submit_one(c, at);
        if (err)
            break;
    }
    if (c)
        aio_put(c);
    return done ? done : err;
}

static long take_events(struct aio_context *c, long min, long nr, user_io_event_t events,
                        uint64_t deadline)
{
    struct abi_io_event got[EVENTS_AT_ONCE];
    long total = 0;
    for (;;) {
        long n;
        while (total < nr &&
               (n = aio_take(c, got, nr - total < EVENTS_AT_ONCE ? nr - total : EVENTS_AT_ONCE))) {
            if (user_put(user_advance(events, total), got, (size_t)n))
                return total ? total : -EFAULT;
            total += n;
        }
        if (total >= min || total == nr)
            return total;
        int err = aio_wait(c, min - total, deadline);
        if (err == -ETIMEDOUT && !aio_ready(c))
            return total;
        if (err && err != -ETIMEDOUT && !aio_ready(c))
            return total ? total : err;
    }
}

static long get_events(uintptr_t ctx, long min_nr, long nr, uintptr_t events,
                       user_timespec_in_t timeout)
{
    struct abi_timespec ts;
    uint64_t deadline = NO_DEADLINE;
    if (!user_is_null(timeout)) {
        if (user_get(&ts, timeout, 1))
            return -EFAULT;
        if (timeout_timespec(&ts, &deadline)) /* as Linux: no such time is none at all */
            deadline = 0;
    }
    if (min_nr < 0 || min_nr > nr)
        return -EINVAL;
    struct aio_context *c = aio_find(mine(), ctx);
    if (!c)
        return -EINVAL;
    const user_io_event_t up = { events };
    long n = take_events(c, min_nr, nr, up, deadline);
    aio_put(c);
    return n;
}

long sys_io_getevents(uintptr_t ctx, long min_nr, long nr, user_void_out_t events,
                      user_timespec_in_t timeout)
{
    return get_events(ctx, min_nr, nr, events.addr, timeout);
}

long sys_io_pgetevents(uintptr_t ctx, long min_nr, long nr, user_void_out_t events,
                       user_timespec_in_t timeout, user_void_in_t sig)
{
    struct {
        uintptr_t mask;
        size_t size;
    } arg;
    typedef USER(const typeof(arg)) user_arg_in_t;
    const user_arg_in_t up = { sig.addr };
    abi_sigset set;
    if (sig.addr) {
        if (user_get(&arg, up, 1))
            return -EFAULT;
        const user_sigset_in_t mask = { arg.mask };
        if (arg.mask && arg.size != sizeof(set))
            return -EINVAL;
        if (arg.mask && user_get(&set, mask, 1))
            return -EFAULT;
        if (arg.mask)
            signal_set_mask_temporarily(set);
    }
    long n = get_events(ctx, min_nr, nr, events.addr, timeout);
    return n == -EINTR ? -ERESTARTNOHAND : n;
}

/* What transfers memory cannot be called back, on Linux neither. */
long sys_io_cancel(uintptr_t ctx, user_void_in_t iocb, user_void_out_t result)
{
    const user_uint_in_t up = { iocb.addr + offsetof(struct abi_iocb, aio_key) };
    uint32_t key;
    (void)ctx, (void)result;
    return user_get(&key, up, 1) ? -EFAULT : -EINVAL;
}
