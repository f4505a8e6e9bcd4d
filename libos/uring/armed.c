/* SPDX-License-Identifier: MIT */
/* Waiting for files to be ready: entries on their wait queues, which hand the request over once. A wake may come while the
 * entries are still being hung: URING_WOKEN is set until that is done, so such a wake leaves only its mark. POLL_ADD and
 * POLL_REMOVE, with updates; poll(2) for what the bits mean. */
#include "uring_int.h"

#include <abi/errno.h>
#include <libos/heap.h>
#include <libos/sched.h>
#include <utlist.h>

#define ALWAYS (EPOLLERR | EPOLLHUP)

enum { DEFAULT_READY = EPOLLIN | EPOLLOUT | EPOLLRDNORM | EPOLLWRNORM };

static bool entry_wake(struct waiter *w, unsigned events)
{
    struct uring_req *r = w->arg;
    if (events && !(events & *(volatile unsigned *)&r->events))
        return false;
    uring_kick(r);
    return true;
}

static void add_entry(struct poll_table *pt, struct waitq *q)
{
    struct uring_req *r = CONTAINER_OF(pt, struct uring_req, table);
    struct uring_entry *e = &r->first;
    if (e->queue) {
        e = heap_zalloc(sizeof(*e));
        if (!e) {
            r->poll_failed = true;
            return;
        }
        e->next = r->first.next;
        r->first.next = e;
    }
    e->queue = q;
    e->waiter = (struct waiter){ .wake = entry_wake,
                                 .arg = r,
                                 .exclusive = (r->events & EPOLLEXCLUSIVE) != 0 };
    waitq_add_entry(q, &e->waiter);
}

void uring_disarm(struct uring_req *r)
{
    struct uring_entry *e;
    if (!r->first.queue)
        return;
    waitq_remove(r->first.queue, &r->first.waiter);
    r->first.queue = NULL;
    while ((e = r->first.next)) {
        r->first.next = e->next;
        waitq_remove(e->queue, &e->waiter);
        heap_free(e);
    }
}

static unsigned ask(struct uring_req *r, struct poll_table *pt)
{
    struct file *f = r->file;
    return (f->ops->poll ? f->ops->poll(f, pt) : DEFAULT_READY) & r->events;
}

/* Let r go to its queues. False: something happened meanwhile, it is still the caller's. */
static bool let_go(struct uring_req *r)
{
    uint32_t mine = URING_WOKEN;
    return atomic_compare_exchange_strong(&r->state, &mine, 0);
}

enum uring_arm uring_arm(struct uring_req *r, unsigned events, void (*work)(struct uring_req *r))
{
    if (r->worker)
        uring_worker_drop(r);
    r->table.add = add_entry;
    r->poll_failed = false;
    r->events = events | ALWAYS;
    r->work = work;
    atomic_fetch_and(&r->state, ~(uint32_t)URING_EVENT);
    unsigned now = ask(r, &r->table);
    if (r->poll_failed) {
        uring_disarm(r);
        return URING_ARM_FAILED;
    }
    if (!now && let_go(r))
        return URING_ARMED;
    uring_disarm(r);
    return URING_READY;
}

/* ---- POLL_ADD ---- */

int uring_poll_prep(struct uring_req *r)
{
    const struct abi_io_uring_sqe *s = &r->sqe;
    if (s->buf_index || s->off || s->addr)
        return -EINVAL;
    if (s->len & ~(uint32_t)(IORING_POLL_ADD_MULTI | IORING_POLL_ADD_LEVEL))
        return -EINVAL;
    if (s->len & IORING_POLL_ADD_MULTI && s->flags & IOSQE_CQE_SKIP_SUCCESS)
        return -EINVAL;
    return 0;
}

static uint32_t mask_result(unsigned now)
{
    return now & 0xffff;
}

static void poll_work(struct uring_req *r);

/* Go on waiting, or end. r is the caller's and has its entries. */
static void poll_again(struct uring_req *r)
{
    bool multi = r->sqe.len & IORING_POLL_ADD_MULTI;
    for (;;) {
        uint32_t old = atomic_fetch_and(&r->state, ~(uint32_t)URING_EVENT);
        if (old & URING_CANCEL) {
            uring_disarm(r);
            uring_end(r, -ECANCELED, 0);
            return;
        }
        unsigned now = ask(r, NULL);
        if (now && (!multi || !uring_post_more(r, mask_result(now)))) {
            uring_disarm(r);
            uring_end(r, mask_result(now), 0);
            return;
        }
        if (now)
            uring_notify(r->ring, true);
        if (let_go(r))
            return;
    }
}

static void poll_work(struct uring_req *r)
{
    poll_again(r);
}

long uring_poll_add(struct uring_req *r, unsigned flags)
{
    bool multi = r->sqe.len & IORING_POLL_ADD_MULTI;
    unsigned events = r->sqe.rw_flags | ALWAYS;
    r->events = events;
    int err = uring_live(r);
    if (err)
        return err;
    if (multi)
        r->flags |= URING_F_MULTISHOT;
    r->flags |= URING_F_ARMED;
    if (r->worker)
        uring_worker_drop(r);
    r->table.add = add_entry;
    r->poll_failed = false;
    r->work = poll_work;
    unsigned now = ask(r, &r->table);
    if (r->poll_failed) {
        uring_disarm(r);
        return -ENOMEM;
    }
    if (now && (!multi || !uring_post_more(r, mask_result(now)))) {
        uring_disarm(r);
        return uring_cancelled(r) ? -ECANCELED : (long)mask_result(now);
    }
    if (!let_go(r))
        uring_hand(r); /* looks again */
    return URING_PENDING;
}

/* ---- POLL_REMOVE ---- */

int uring_poll_remove_prep(struct uring_req *r)
{
    const struct abi_io_uring_sqe *s = &r->sqe;
    const uint32_t update = IORING_POLL_UPDATE_EVENTS | IORING_POLL_UPDATE_USER_DATA;
    uint32_t flags = s->len;
    if (s->buf_index || s->file_index)
        return -EINVAL;
    if (flags & ~(update | IORING_POLL_ADD_MULTI))
        return -EINVAL;
    if (flags == IORING_POLL_ADD_MULTI)
        return -EINVAL;
    if (!(flags & IORING_POLL_UPDATE_USER_DATA) && s->off)
        return -EINVAL;
    if (!(flags & IORING_POLL_UPDATE_EVENTS) && s->rw_flags)
        return -EINVAL;
    return 0;
}

/* The POLL_ADD called user_data that nobody has, taken from its queues' wakes; its list's lock is held. */
static int poll_take(struct uring *u, uint64_t user_data, struct uring_req **ret)
{
    struct uring_req *p;
    DL_FOREACH(u->live, p)
    {
        if (p->sqe.opcode != IORING_OP_POLL_ADD || p->sqe.user_data != user_data)
            continue;
        if (atomic_fetch_or(&p->state, URING_WOKEN) & URING_WOKEN)
            return -EALREADY;
        *ret = p;
        return 0;
    }
    return -ENOENT;
}

static void cancelled_poll(struct uring_req *r)
{
    uring_disarm(r);
    uring_end(r, -ECANCELED, 0);
}

long uring_poll_remove(struct uring_req *r, unsigned flags)
{
    struct uring *u = r->ring;
    struct uring_req *p = NULL;
    uint32_t what = r->sqe.len;
    spin_lock(&u->lock);
    int err = poll_take(u, r->sqe.addr, &p);
    if (!err && what & IORING_POLL_UPDATE_USER_DATA)
        p->sqe.user_data = r->sqe.off;
    if (!err && what & IORING_POLL_UPDATE_EVENTS) {
        p->events = (p->events & ~0xffffu) | (r->sqe.rw_flags & 0xffff) | ALWAYS;
        p->sqe.len =
            (p->sqe.len & ~(uint32_t)IORING_POLL_ADD_MULTI) | (what & IORING_POLL_ADD_MULTI);
    }
    spin_unlock(&u->lock);
    if (err)
        return err;
    if (!(what & (IORING_POLL_UPDATE_USER_DATA | IORING_POLL_UPDATE_EVENTS)))
        p->work = cancelled_poll;
    uring_hand(p); /* asks with the new events */
    return 0;
}
