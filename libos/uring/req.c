/* SPDX-License-Identifier: MIT */
/* The way of a request. It is tried at once by whoever submits it; what would wait is armed on its file and tried again when that
 * is ready, or goes to a worker. Its end posts the completion and starts what follows in the chain.
 *
 * A request belongs to one thread at a time, which needs no lock to change it. It is let go by uring_arm, uring_queue_worker, a
 * timer or a device, and from then on whoever takes it next may free it at any moment. */
#include "uring_int.h"

#include <abi/errno.h>
#include <abi/stat.h>
#include <libos/heap.h>
#include <libos/process.h>
#include <libos/sched.h>
#include <utlist.h>

enum { TRIES = 8, ROUNDS = 32 };

static struct slab reqs = SLAB_INIT("uring_req", struct uring_req);

struct uring_req *uring_req_alloc(struct uring *u)
{
    struct uring_req *r = u->spare;
    if (LIKELY(r))
        u->spare = NULL;
    else if (!(r = slab_alloc(&reqs)))
        return NULL;
    r->ring = u;
    r->file = NULL;
    r->link = NULL;
    r->flags = 0;
    r->cflags = 0;
    r->done = 0;
    r->data = NULL;
    r->node = r->buf_node = NULL;
    r->big_cqe = 0;
    r->task = NULL;
    r->cred = NULL;
    r->work_next = NULL;
    r->worker = NULL;
    r->peer = NULL;
    r->first.queue = NULL;
    r->first.next = NULL;
    atomic_store_explicit(&r->state, URING_WOKEN, memory_order_relaxed);
    return r;
}

static NOINLINE void leave_list(struct uring_req *r)
{
    struct uring *u = r->ring;
    struct uring_task *t = r->task;
    spin_lock(&u->lock);
    DL_DELETE(u->live, r);
    spin_unlock(&u->lock);
    if (atomic_fetch_sub(&t->inflight, 1) == 1 && waitq_active(&t->idle))
        waitq_wake(&t->idle, WAITQ_ALL, 0);
    uring_task_put(t);
    uring_put(u);
}

void uring_req_free(struct uring_req *r, unsigned flags)
{
    struct uring *u = r->ring;
    if (r->data) {
        if (r->op->cleanup)
            r->op->cleanup(r);
        else
            heap_free(r->data);
        r->data = NULL; /* it may be put aside, and come here again */
    }
    if (UNLIKELY(r->flags & URING_F_BUFFER))
        (void)uring_selected(r);
    if (r->flags & URING_F_FILE) {
        if (UNLIKELY(flags & URING_LOCKED && uring_of(r->file))) {
            /* The last reference would take that ring's lock, which is of the same rank. */
            r->work_next = u->late;
            u->late = r;
            return;
        }
        file_put(r->file);
    }
    if (r->node)
        uring_node_put(r->node);
    if (r->buf_node)
        uring_node_put(r->buf_node);
    if (r->cred)
        cred_put(r->cred);
    if (flags & URING_LOCKED && !u->spare && !(r->flags & URING_F_LIVE)) {
        u->spare = r;
        return;
    }
    if (r->flags & URING_F_LIVE)
        leave_list(r);
    slab_free(&reqs, r);
}

void uring_spare_free(struct uring *u)
{
    slab_free(&reqs, u->spare);
    u->spare = NULL;
}

int uring_live(struct uring_req *r)
{
    struct uring *u = r->ring;
    if (r->flags & URING_F_LIVE)
        return 0;
    struct uring_task *task = uring_task();
    if (!task)
        return -ENOMEM;
    if (atomic_load(&task->exiting) || u->closing)
        return -ECANCELED;
    int err = uring_need_helper(task);
    if (err)
        return err;
    uring_get(u);
    atomic_fetch_add(&task->refs, 1);
    atomic_fetch_add(&task->inflight, 1);
    r->task = task;
    if (!r->cred)
        r->cred = cred_get(thread_current()->cred);
    r->flags |= URING_F_LIVE;
    spin_lock(&u->lock);
    DL_APPEND(u->live, r);
    spin_unlock(&u->lock);
    if (r->peer)
        uring_link_timeout_start(r->peer, r);
    return 0;
}

int uring_hold(struct uring_req *r)
{
    int err = uring_live(r);
    if (!err && r->worker)
        uring_worker_drop(r); /* which goes on to others, and may end */
    return err;
}

/* ---- completion ---- */

/* r has its result: tell the program. */
static void post(struct uring_req *r, long res)
{
    struct uring *u = r->ring;
    const struct abi_io_uring_cqe cqe = { r->sqe.user_data, (int32_t)res, r->cflags };
    bool tell = !(r->flags & URING_F_SKIP) &&
                (!(r->sqe.flags & IOSQE_CQE_SKIP_SUCCESS) || r->flags & URING_F_FAIL);
    spin_lock(&u->lock);
    u->ended++;
    if (LIKELY(tell))
        uring_post_locked(u, &cqe, r->big_cqe ? r->extra1 : 0, r->big_cqe ? r->extra2 : 0);
    if (UNLIKELY(r->sqe.opcode == IORING_OP_TIMEOUT))
        u->cq_extra += tell;
    spin_unlock(&u->lock);
}

/* The chain behind r does not run. */
static NOINLINE void fail_chain(struct uring_req *r, unsigned flags)
{
    struct uring_req *next = r->link;
    bool quiet = r->sqe.flags & IOSQE_CQE_SKIP_SUCCESS;
    while (next) {
        struct uring_req *after = next->link;
        long res = next->flags & URING_F_FAIL ? next->result : -ECANCELED;
        next->flags |= URING_F_FAIL | (quiet ? URING_F_SKIP : 0);
        post(next, res);
        uring_req_free(next, flags);
        next = after;
    }
}

/* r is over. What is to be started next; NULL. */
static struct uring_req *complete(struct uring_req *r, long res, unsigned flags)
{
    struct uring *u = r->ring;
    if (UNLIKELY(r->worker))
        uring_worker_drop(r);
    if (res < 0 && !(r->cflags & IORING_CQE_F_NOTIF) &&
        !(res == -ETIME && r->flags & URING_F_TIMER &&
          r->sqe.rw_flags & IORING_TIMEOUT_ETIME_SUCCESS))
        r->flags |= URING_F_FAIL;
    if (UNLIKELY(r->flags & URING_F_BUFFER)) {
        if (res < 0)
            uring_unselect(r);
        else
            r->cflags |= uring_selected(r);
    }
    post(r, res);
    if (UNLIKELY(r->peer))
        uring_link_timeout_end(r, flags);
    struct uring_req *next = r->link;
    if (UNLIKELY(next) && r->flags & URING_F_FAIL && !(r->sqe.flags & IOSQE_IO_HARDLINK)) {
        fail_chain(r, flags);
        next = NULL;
    }
    /* Without LIVE the submitter has the ring's file, and r was never anybody else's. */
    bool async = r->flags & URING_F_LIVE;
    if (async)
        uring_get(u);
    uring_req_free(r, flags);
    if (!(flags & URING_LOCKED))
        uring_notify(u, async);
    if (UNLIKELY(*(struct uring_req *volatile *)&u->drain))
        uring_drained(u);
    if (async)
        uring_put(u);
    return next;
}

void uring_end(struct uring_req *r, long res, unsigned flags)
{
    uring_go(complete(r, res, flags), flags);
}

void uring_finish(struct uring_req *r, long res)
{
    uring_end(r, res, 0);
}

static void finish_work(struct uring_req *r)
{
    uring_end(r, (long)r->result, 0);
}

void uring_finish_later(struct uring_req *r, ssize_type res)
{
    r->result = res;
    r->work = finish_work;
    uring_hand(r);
}

/* ---- trying ---- */

static void retry_work(struct uring_req *r)
{
    uring_disarm(r);
    r->flags |= URING_F_POLLED;
    if (uring_cancelled(r))
        uring_end(r, -ECANCELED, 0);
    else
        uring_go(r, 0);
}

/* r cannot go on without waiting. True: somebody else has it now; false: try again, with *flags. */
static bool wait_elsewhere(struct uring_req *r, unsigned *flags, unsigned *tries, long *res)
{
    const struct uring_op *op = r->op;
    bool pollable = op->poll && !(r->flags & URING_F_WORKER) && r->file && r->file->ops->poll &&
                    (*tries)++ < TRIES;
    int err = uring_live(r);
    if (!err && uring_cancelled(r))
        err = -ECANCELED;
    if (err == -EAGAIN || err == -ENOMEM) { /* no thread to be had: then it waits here */
        *flags |= URING_MAY_WAIT;
        return false;
    }
    if (err) {
        *res = err;
        return false;
    }
    if (pollable) {
        enum uring_arm armed = uring_arm(r, op->poll, retry_work);
        if (armed == URING_ARMED)
            return true;
        if (armed == URING_READY) {
            r->flags |= URING_F_POLLED;
            return false;
        }
    }
    if (*flags & URING_WORKER) {
        *flags |= URING_MAY_WAIT;
        return false;
    }
    uring_queue_worker(r);
    return true;
}

/* Must r go to a worker before it is tried? */
static bool for_worker(const struct uring_req *r, unsigned flags)
{
    return (r->op->worker || r->sqe.flags & IOSQE_ASYNC) && !(flags & URING_WORKER);
}

static long issue(struct uring_req *r, unsigned flags)
{
    if (r->op->file && !r->file) {
        int err = uring_take_file(r, flags);
        if (UNLIKELY(err))
            return err;
    }
    if (LIKELY(!r->cred || r->cred == thread_current()->cred))
        return r->op->issue(r, flags);
    struct cred *own = thread_swap_cred(r->cred);
    long res = r->op->issue(r, flags);
    (void)thread_swap_cred(own);
    return res;
}

/* Try r until it has a result. False: somebody else has it. */
static bool attempt(struct uring_req *r, unsigned flags, long *ret)
{
    unsigned tries = 0, rounds = 0;
    if (UNLIKELY(flags & URING_WORKER) && !r->op->poll)
        flags |= URING_MAY_WAIT;
    for (;;) {
        long res = issue(r, flags);
        if (LIKELY(res != -EAGAIN && res != URING_PENDING && res != URING_AGAIN)) {
            *ret = res;
            return true;
        }
        if (res == URING_PENDING)
            return false;
        if (res == URING_AGAIN) {
            if (!(flags & URING_LOCKED))
                uring_notify(r->ring, true);
            if (++rounds < ROUNDS)
                continue;
            rounds = 0; /* the others' turn */
            if (!uring_live(r) && !uring_cancelled(r)) {
                if (r->worker)
                    uring_worker_drop(r);
                r->work = retry_work;
                uring_hand(r);
                return false;
            }
            res = -EAGAIN;
        }
        *ret = res;
        if (flags & URING_MAY_WAIT || r->flags & URING_F_NOWAIT)
            return true;
        if (wait_elsewhere(r, &flags, &tries, ret))
            return false;
        if (*ret == -ECANCELED)
            return true;
    }
}

/* A request whose chain has a timeout behind it takes that with it. */
static void take_link_timeout(struct uring_req *r)
{
    struct uring_req *lt = r->link;
    if (LIKELY(!lt) || lt->sqe.opcode != IORING_OP_LINK_TIMEOUT || lt->flags & URING_F_FAIL ||
        r->peer)
        return;
    r->link = lt->link;
    lt->link = NULL;
    r->peer = lt;
}

void uring_go(struct uring_req *r, unsigned flags)
{
    while (r) {
        long res = 0;
        take_link_timeout(r);
        if (UNLIKELY(r->flags & URING_F_FAIL)) {
            res = (long)r->result;
            r->sqe.flags &= (uint8_t)~IOSQE_IO_HARDLINK; /* nothing of the chain runs */
        } else if (UNLIKELY(for_worker(r, flags))) {
            res = uring_live(r);
            if (!res && !uring_cancelled(r)) {
                uring_queue_worker(r);
                return;
            }
            if (!res)
                res = -ECANCELED;
            if ((res == -EAGAIN || res == -ENOMEM) && !attempt(r, flags | URING_MAY_WAIT, &res))
                return;
        } else if (!attempt(r, flags, &res)) {
            return;
        }
        r = complete(r, res, flags & ~(unsigned)URING_MAY_WAIT);
        flags &= ~(unsigned)URING_MAY_WAIT;
    }
}
