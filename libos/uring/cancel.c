/* SPDX-License-Identifier: MIT */
/* Calling requests back: ASYNC_CANCEL, IORING_REGISTER_SYNC_CANCEL, and whatever goes with a ring or a thread. Who calls back only
 * marks a request and hands it over; the thread it belongs to ends it. u->lock keeps what is in the ring's list. */
#include "uring_int.h"

#include <abi/errno.h>
#include <libos/process.h>
#include <libos/sched.h>
#include <libos/user.h>
#include <plat/time.h>
#include <utlist.h>

#define KNOWN                                                                                      \
    (IORING_ASYNC_CANCEL_ALL | IORING_ASYNC_CANCEL_FD | IORING_ASYNC_CANCEL_ANY |                  \
     IORING_ASYNC_CANCEL_FD_FIXED | IORING_ASYNC_CANCEL_USERDATA | IORING_ASYNC_CANCEL_OP)

struct match {
    uint32_t flags;
    uint64_t user_data;
    const struct file *file;
    uint8_t opcode;
    const struct uring_req *self;
};

static void cancelled_work(struct uring_req *r)
{
    uring_disarm(r);
    uring_end(r, -ECANCELED, 0);
}

int uring_cancel_one(struct uring_req *r)
{
    uint32_t old = atomic_fetch_or(&r->state, URING_CANCEL);
    if (r->flags & URING_F_TIMER) {
        if (!timer_stop(&r->timer))
            return -ENOENT;
        r->work = cancelled_work;
        uring_hand(r);
        return 0;
    }
    old = atomic_fetch_or(&r->state, URING_WOKEN);
    if (!(old & URING_WOKEN)) {
        uring_hand(r);
        return 0;
    }
    int err = uring_unqueue(r);
    /* A multishot one that is being looked at ends there. */
    return err && r->flags & URING_F_MULTISHOT ? 0 : err;
}

/* Take r off the ring's chains that wait for others. */
static bool undrain(struct uring *u, struct uring_req *r)
{
    struct uring_req **p, *prev = NULL;
    for (p = &u->drain; *p && *p != r; p = &(*p)->work_next)
        prev = *p;
    if (!*p)
        return false;
    *p = r->work_next;
    if (!*p)
        u->drain_last = prev;
    r->flags &= ~(uint32_t)URING_F_DRAIN;
    return true;
}

void uring_cancel_all(struct uring *u, struct uring_task *task)
{
    struct uring_req *r, *next;
    spin_lock(&u->lock);
    DL_FOREACH_SAFE(u->live, r, next)
    {
        if (task && r->task != task)
            continue;
        if (r->flags & URING_F_DRAIN && undrain(u, r)) {
            for (struct uring_req *c = r->link; c; c = c->link)
                u->started++;
            u->started++; /* it ends without having begun */
            uring_finish_later(r, -ECANCELED);
        } else {
            (void)uring_cancel_one(r);
        }
    }
    spin_unlock(&u->lock);
}

/* ---- ASYNC_CANCEL ---- */

static int check(uint32_t flags)
{
    if (flags & ~(uint32_t)KNOWN)
        return -EINVAL;
    if (flags & IORING_ASYNC_CANCEL_FD && flags & IORING_ASYNC_CANCEL_ANY)
        return -EINVAL;
    if (flags & IORING_ASYNC_CANCEL_OP && flags & IORING_ASYNC_CANCEL_ANY)
        return -EINVAL;
    return 0;
}

static bool matches(const struct uring_req *r, const struct match *m)
{
    if (r == m->self || r->flags & URING_F_DRAIN || r->sqe.opcode == IORING_OP_LINK_TIMEOUT)
        return false;
    if (m->flags & IORING_ASYNC_CANCEL_ANY)
        return true;
    if (m->flags & IORING_ASYNC_CANCEL_FD && r->file != m->file)
        return false;
    if (m->flags & IORING_ASYNC_CANCEL_OP && r->sqe.opcode != m->opcode)
        return false;
    bool by_data = m->flags & IORING_ASYNC_CANCEL_USERDATA ||
                   !(m->flags & (IORING_ASYNC_CANCEL_FD | IORING_ASYNC_CANCEL_OP));
    return !by_data || r->sqe.user_data == m->user_data;
}

/* Call back what matches. The number with ALL or ANY, else 0; -ENOENT, -EALREADY. */
static long cancel_matching(struct uring *u, const struct match *m)
{
    bool many = m->flags & (IORING_ASYNC_CANCEL_ALL | IORING_ASYNC_CANCEL_ANY);
    struct uring_req *r, *next;
    long n = 0;
    int err = -ENOENT;
    spin_lock(&u->lock);
    DL_FOREACH_SAFE(u->live, r, next)
    {
        if (!matches(r, m))
            continue;
        int one = uring_cancel_one(r);
        n += one == 0;
        if (one != -ENOENT)
            err = one;
        if (!many && one != -ENOENT)
            break;
    }
    spin_unlock(&u->lock);
    if (many)
        return n;
    return err;
}

static int match_file(struct uring *u, uint32_t flags, int fd, unsigned issue, struct file **ret)
{
    *ret = NULL;
    if (!(flags & IORING_ASYNC_CANCEL_FD))
        return 0;
    return flags & IORING_ASYNC_CANCEL_FD_FIXED ? uring_slot_file(u, (uint32_t)fd, issue, ret)
                                                : fd_get(fd, ret);
}

int uring_cancel_prep(struct uring_req *r)
{
    const struct abi_io_uring_sqe *s = &r->sqe;
    uint32_t flags = s->rw_flags;
    if (s->off || s->file_index)
        return -EINVAL;
    if (!(flags & IORING_ASYNC_CANCEL_OP) && s->len)
        return -EINVAL;
    if (flags & IORING_ASYNC_CANCEL_FD && s->flags & IOSQE_FIXED_FILE)
        r->sqe.rw_flags = flags |= IORING_ASYNC_CANCEL_FD_FIXED;
    return check(flags);
}

long uring_cancel(struct uring_req *r, unsigned flags)
{
    struct file *f;
    struct match m = {
        .flags = r->sqe.rw_flags, .user_data = r->sqe.addr, .opcode = (uint8_t)r->sqe.len, .self = r
    };
    int err = match_file(r->ring, m.flags, r->sqe.fd, flags, &f);
    if (err)
        return err;
    m.file = f;
    long n = cancel_matching(r->ring, &m);
    if (f)
        file_put(f);
    return n;
}

/* ---- IORING_REGISTER_SYNC_CANCEL ---- */

/* Is one that matches still there? */
static bool any_left(struct uring *u, const struct match *m)
{
    struct uring_req *r;
    bool found = false;
    spin_lock(&u->lock);
    DL_FOREACH(u->live, r)
    found |= matches(r, m);
    spin_unlock(&u->lock);
    return found;
}

static long cancel_and_wait(struct uring *u, const struct match *m, uint64_t deadline)
{
    long n = cancel_matching(u, m);
    if (n == -ENOENT || n == 0)
        return n;
    while (n == -EALREADY) {
        mutex_unlock(&u->submit);
        int err = uring_wait_change(u, deadline);
        mutex_lock(&u->submit);
        if (!any_left(u, m))
            return 0;
        if (err)
            return err;
    }
    return n < 0 ? n : 0;
}

long uring_sync_cancel(struct uring *u, uintptr_t arg)
{
    struct abi_io_uring_sync_cancel_reg c;
    typedef USER(const struct abi_io_uring_sync_cancel_reg) user_cancel_in_t;
    struct file *f;
    if (user_get(&c, user_at(user_cancel_in_t, arg), 1))
        return -EFAULT;
    if (check(c.flags) || c.pad[0] || c.pad[1] || c.pad[2] || c.pad[3])
        return -EINVAL;
    struct match m = { .flags = c.flags, .user_data = c.addr };
    int err = match_file(u, c.flags, c.fd, URING_LOCKED, &f);
    if (err)
        return err;
    m.file = f;
    uint64_t deadline = NO_DEADLINE;
    if (c.timeout[0] != -1 || c.timeout[1] != -1)
        deadline = plat_time_ns() + (uint64_t)c.timeout[0] * 1000000000u + (uint64_t)c.timeout[1];
    long n = cancel_and_wait(u, &m, deadline);
    if (f)
        file_put(f);
    return n;
}
