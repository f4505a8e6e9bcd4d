/* SPDX-License-Identifier: MIT */
/* TIMEOUT, TIMEOUT_REMOVE, LINK_TIMEOUT. A request's timer hands it over when it fires; whoever stops the timer instead has the
 * request. u->lock is held while a timer is armed again or stopped, so that a mark for calling back is not missed. */
#include "uring_int.h"

#include <abi/errno.h>
#include <abi/time.h>
#include <libos/user.h>
#include <plat/time.h>
#include <utlist.h>

#define CLOCKS (IORING_TIMEOUT_BOOTTIME | IORING_TIMEOUT_REALTIME)
#define NS     1000000000u

typedef USER(const struct abi_timespec) user_ts_in_t;

static int fetch_time(uintptr_t addr, uint64_t *ret_ns)
{
    struct abi_timespec ts;
    if (user_get(&ts, user_at(user_ts_in_t, addr), 1))
        return -EFAULT;
    if (ts.tv_sec < 0 || ts.tv_nsec < 0)
        return -EINVAL;
    if ((uint64_t)ts.tv_sec > INT64_MAX / NS - 1 || (uint64_t)ts.tv_nsec > INT64_MAX / 2)
        *ret_ns = INT64_MAX;
    else
        *ret_ns = (uint64_t)ts.tv_sec * NS + (uint64_t)ts.tv_nsec;
    return 0;
}

/* When a time of the program's is, as the timers count. */
static uint64_t deadline(uint64_t ns, uint32_t flags)
{
    uint64_t now = plat_time_ns();
    if (!(flags & IORING_TIMEOUT_ABS))
        return now + ns;
    if (!(flags & IORING_TIMEOUT_REALTIME))
        return ns;
    uint64_t offset = clock_realtime_offset();
    return ns > offset ? ns - offset : 0;
}

static void fired(struct timer *t)
{
    uring_hand(CONTAINER_OF(t, struct uring_req, timer));
}

/* ---- TIMEOUT ---- */

int uring_timeout_prep(struct uring_req *r)
{
    const struct abi_io_uring_sqe *s = &r->sqe;
    uint32_t flags = s->rw_flags,
             known = IORING_TIMEOUT_ABS | CLOCKS | IORING_TIMEOUT_ETIME_SUCCESS;
    bool link = s->opcode == IORING_OP_LINK_TIMEOUT;
    if (!link)
        known |= IORING_TIMEOUT_MULTISHOT;
    if (s->buf_index || s->len != 1 || s->file_index || (link && s->off))
        return -EINVAL;
    if (flags & ~known || (flags & CLOCKS) == CLOCKS)
        return -EINVAL;
    if (flags & IORING_TIMEOUT_MULTISHOT && flags & IORING_TIMEOUT_ABS)
        return -EINVAL;
    return fetch_time(s->addr, &r->interval_ns);
}

static bool counts(const struct uring_req *r)
{
    /* One that is yet to begin is among those that wait, too. */
    return r->sqe.opcode == IORING_OP_TIMEOUT && r->flags & URING_F_TIMER && r->sqe.off &&
           !(r->sqe.rw_flags & IORING_TIMEOUT_MULTISHOT);
}

static void uncount(struct uring_req *r)
{
    struct uring *u = r->ring;
    spin_lock(&u->lock);
    u->counted_timeouts -= counts(r);
    spin_unlock(&u->lock);
}

static void timeout_work(struct uring_req *r)
{
    struct uring *u = r->ring;
    bool last = !(r->sqe.rw_flags & IORING_TIMEOUT_MULTISHOT) || (r->repeat && !--r->repeat);
    if (!last && !uring_cancelled(r) && uring_post_more(r, -ETIME)) {
        uring_get(u); /* armed, r may end at any moment */
        spin_lock(&u->lock);
        bool again = !uring_cancelled(r);
        if (again)
            timer_start(&r->timer, plat_time_ns() + r->interval_ns);
        spin_unlock(&u->lock);
        uring_notify(u, true);
        uring_put(u);
        if (again)
            return;
    }
    uncount(r);
    uring_end(r, uring_cancelled(r) ? -ECANCELED : -ETIME, 0);
}

static void reached_work(struct uring_req *r)
{
    uring_end(r, 0, 0);
}

long uring_timeout(struct uring_req *r, unsigned flags)
{
    struct uring *u = r->ring;
    timer_init(&r->timer, fired);
    r->work = timeout_work;
    int err = uring_live(r);
    if (err)
        return err;
    if (r->worker)
        uring_worker_drop(r);
    r->repeat = (uint32_t)r->sqe.off;
    uint64_t when = deadline(r->interval_ns, r->sqe.rw_flags);
    spin_lock(&u->lock);
    bool cancelled = uring_cancelled(r);
    if (!cancelled) {
        r->flags |= URING_F_TIMER; /* from here on who calls it back has to stop the timer */
        r->target = u->cq_tail - u->cq_extra + (uint32_t)r->sqe.off;
        u->counted_timeouts += counts(r);
        timer_start(&r->timer, when);
    }
    spin_unlock(&u->lock);
    return cancelled ? -ECANCELED : URING_PENDING;
}

void uring_timeouts_check(struct uring *u)
{
    struct uring_req *r, *next;
    spin_lock(&u->lock);
    uint32_t now = u->cq_tail - u->cq_extra;
    DL_FOREACH_SAFE(u->live, r, next)
    {
        if (!counts(r) || (int32_t)(now - r->target) < 0 || !timer_stop(&r->timer))
            continue;
        u->counted_timeouts--;
        r->sqe.off = 0;
        r->work = reached_work;
        uring_hand(r);
    }
    spin_unlock(&u->lock);
}

/* ---- TIMEOUT_REMOVE ---- */

int uring_timeout_remove_prep(struct uring_req *r)
{
    const struct abi_io_uring_sqe *s = &r->sqe;
    const uint32_t update = IORING_TIMEOUT_UPDATE | IORING_LINK_TIMEOUT_UPDATE;
    uint32_t flags = s->rw_flags;
    if (s->flags & (IOSQE_FIXED_FILE | IOSQE_BUFFER_SELECT) || s->buf_index || s->len ||
        s->file_index)
        return -EINVAL;
    if (!(flags & update))
        return flags ? -EINVAL : 0;
    if ((flags & update) == update || (flags & CLOCKS) == CLOCKS ||
        flags & ~(update | IORING_TIMEOUT_ABS | CLOCKS))
        return -EINVAL;
    return fetch_time(s->off, &r->interval_ns);
}

static void removed_work(struct uring_req *r)
{
    uring_end(r, -ECANCELED, 0);
}

/* The timeout called user_data, its timer stopped; u->lock is held. -ENOENT, -EALREADY. */
static int stop_timeout(struct uring *u, uint8_t opcode, uint64_t user_data, struct uring_req **ret)
{
    struct uring_req *t;
    DL_FOREACH(u->live, t)
    {
        if (t->sqe.opcode != opcode || t->sqe.user_data != user_data || !(t->flags & URING_F_TIMER))
            continue;
        if (!timer_stop(&t->timer))
            return -EALREADY;
        *ret = t;
        return 0;
    }
    return -ENOENT;
}

long uring_timeout_remove(struct uring_req *r, unsigned flags)
{
    struct uring *u = r->ring;
    struct uring_req *t = NULL;
    uint32_t how = r->sqe.rw_flags;
    uint8_t opcode = how & IORING_LINK_TIMEOUT_UPDATE ? IORING_OP_LINK_TIMEOUT : IORING_OP_TIMEOUT;
    spin_lock(&u->lock);
    int err = stop_timeout(u, opcode, r->sqe.addr, &t);
    if (!err) {
        u->counted_timeouts -= counts(t);
        t->sqe.off = opcode == IORING_OP_TIMEOUT ? 0 : t->sqe.off;
        if (how & (IORING_TIMEOUT_UPDATE | IORING_LINK_TIMEOUT_UPDATE)) {
            timer_start(&t->timer, deadline(r->interval_ns, how));
        } else {
            t->work = removed_work;
            uring_hand(t);
        }
    }
    spin_unlock(&u->lock);
    return err;
}

/* ---- LINK_TIMEOUT ---- */

static void link_work(struct uring_req *lt)
{
    struct uring *u = lt->ring;
    int err = 0;
    spin_lock(&u->lock);
    struct uring_req *r = lt->peer;
    lt->peer = NULL;
    if (r) {
        r->peer = NULL;
        err = uring_cancel_one(r);
    }
    spin_unlock(&u->lock);
    if (uring_cancelled(lt))
        err = -ECANCELED;
    uring_end(lt, err ? err : -ETIME, 0);
}

void uring_link_timeout_start(struct uring_req *lt, struct uring_req *r)
{
    struct uring *u = r->ring;
    lt->flags |= URING_F_TIMER;
    timer_init(&lt->timer, fired);
    lt->work = link_work;
    if (uring_live(lt)) {
        lt->flags &= ~(uint32_t)URING_F_TIMER;
        return; /* ends with r */
    }
    spin_lock(&u->lock);
    lt->peer = r;
    timer_start(&lt->timer, deadline(lt->interval_ns, lt->sqe.rw_flags));
    spin_unlock(&u->lock);
}

void uring_link_timeout_end(struct uring_req *r, unsigned flags)
{
    struct uring *u = r->ring;
    spin_lock(&u->lock);
    struct uring_req *lt = r->peer;
    bool mine = false;
    if (lt) {
        r->peer = lt->peer = NULL;
        mine = !(lt->flags & URING_F_LIVE) || timer_stop(&lt->timer);
    }
    spin_unlock(&u->lock);
    if (mine)
        uring_end(lt, -ECANCELED, flags);
}

long uring_link_timeout(struct uring_req *r, unsigned flags)
{
    return -EINVAL; /* has nothing before it */
}
