/* SPDX-License-Identifier: MIT */
/* The completion queue. Its tail is kept here and only written to the shared page; its head is the program's, and says no more
 * than how many entries may be written: whatever the program writes there, entries go where tail says. What finds no room is
 * kept in a list, bounded, and counted as lost beyond that. u->lock guards all of it. io_uring(7), io_uring_enter(2). */
#include "uring_int.h"

#include <abi/errno.h>
#include <libos/event.h>
#include <libos/heap.h>
#include <libos/sched.h>
#include <string.h>

static bool has_room(struct uring *u)
{
    if (LIKELY(u->cq_tail - u->cq_head_seen < u->cq_entries))
        return true;
    /* Acquire: the program has read the entries that it gave back. */
    u->cq_head_seen = atomic_load_explicit(&u->shared->cq_head, memory_order_acquire);
    return u->cq_tail - u->cq_head_seen < u->cq_entries;
}

static void write_cqe(struct uring *u, const struct abi_io_uring_cqe *cqe, uint64_t extra1,
                      uint64_t extra2)
{
    size_t off = (size_t)(u->cq_tail & (u->cq_entries - 1)) << u->cqe_shift;
    struct abi_io_uring_cqe *to = uring_mem_at(&u->rings, sizeof(struct uring_shared) + off);
    to->user_data = cqe->user_data;
    to->res = cqe->res;
    to->flags = cqe->flags;
    if (UNLIKELY(u->cqe_shift == 5)) {
        uint64_t *big = (uint64_t *)(to + 1);
        big[0] = extra1;
        big[1] = extra2;
    }
    /* Release: the entry is there when the program sees that it is. */
    atomic_store_explicit(&u->shared->cq_tail, ++u->cq_tail, memory_order_release);
}

static NOINLINE bool overflow(struct uring *u, const struct abi_io_uring_cqe *cqe, uint64_t extra1,
                              uint64_t extra2)
{
    struct uring_overflow *o = u->noverflow < URING_OVERFLOW_MAX ? heap_alloc(sizeof(*o)) : NULL;
    if (!o) {
        u->dropped = true;
        atomic_fetch_add(&u->shared->cq_overflow, 1);
        return false;
    }
    *o = (struct uring_overflow){ .cqe = *cqe, .extra1 = extra1, .extra2 = extra2 };
    if (u->overflow)
        u->overflow_last->next = o;
    else
        u->overflow = o;
    u->overflow_last = o;
    u->noverflow++;
    atomic_fetch_or(&u->shared->sq_flags, IORING_SQ_CQ_OVERFLOW);
    return true;
}

bool uring_post_locked(struct uring *u, const struct abi_io_uring_cqe *cqe, uint64_t extra1,
                       uint64_t extra2)
{
    if (UNLIKELY(u->overflow || !has_room(u)))
        return overflow(u, cqe, extra1, extra2);
    write_cqe(u, cqe, extra1, extra2);
    return true;
}

bool uring_post(struct uring *u, uint64_t user_data, int32_t res, uint32_t cflags)
{
    const struct abi_io_uring_cqe cqe = { user_data, res, cflags };
    spin_lock(&u->lock);
    bool done = uring_post_locked(u, &cqe, 0, 0);
    spin_unlock(&u->lock);
    return done;
}

bool uring_post_more(struct uring_req *r, long res)
{
    struct uring *u = r->ring;
    const struct abi_io_uring_cqe cqe = { r->sqe.user_data, (int32_t)res,
                                          r->cflags | IORING_CQE_F_MORE };
    r->cflags = 0;
    spin_lock(&u->lock);
    bool room = !u->overflow && has_room(u);
    if (room)
        write_cqe(u, &cqe, 0, 0);
    spin_unlock(&u->lock);
    if (!room)
        r->cflags = cqe.flags & ~(uint32_t)IORING_CQE_F_MORE;
    return room;
}

void uring_post_result(struct uring_req *r, long res)
{
    (void)uring_post(r->ring, r->sqe.user_data, (int32_t)res, r->cflags | IORING_CQE_F_MORE);
    r->cflags = 0;
}

int uring_post_to(struct uring *u, uint64_t user_data, int32_t res, uint32_t cflags)
{
    const struct abi_io_uring_cqe cqe = { user_data, res, cflags };
    if (!u->enabled)
        return -EBADFD;
    spin_lock(&u->lock);
    bool done = uring_post_locked(u, &cqe, 0, 0);
    spin_unlock(&u->lock);
    uring_notify(u, true);
    return done ? 0 : -EOVERFLOW;
}

void uring_flush(struct uring *u)
{
    if (LIKELY(!*(struct uring_overflow *volatile *)&u->overflow))
        return;
    spin_lock(&u->lock);
    while (u->overflow && has_room(u)) {
        struct uring_overflow *o = u->overflow;
        write_cqe(u, &o->cqe, o->extra1, o->extra2);
        u->overflow = o->next;
        u->noverflow--;
        heap_free(o);
    }
    if (!u->overflow)
        atomic_fetch_and(&u->shared->sq_flags, ~(uint32_t)IORING_SQ_CQ_OVERFLOW);
    spin_unlock(&u->lock);
}

/* The eventfd may be exchanged meanwhile: keep it. */
static NOINLINE void tell_eventfd(struct uring *u, bool async)
{
    struct file *f = NULL;
    spin_lock(&u->lock);
    if (u->eventfd && (async || !u->eventfd_async) &&
        !(atomic_load(&u->shared->cq_flags) & IORING_CQ_EVENTFD_DISABLED)) {
        f = u->eventfd;
        file_get(f);
    }
    spin_unlock(&u->lock);
    if (!f)
        return;
    eventfd_signal(f, 1);
    file_put(f);
}

void uring_notify(struct uring *u, bool async)
{
    if (UNLIKELY(u->counted_timeouts))
        uring_timeouts_check(u);
    /* Sequentially consistent: a waiter that saw no completion has queued before. */
    atomic_thread_fence(memory_order_seq_cst);
    if (waitq_active(&u->wait))
        waitq_wake(&u->wait, WAITQ_ALL, EPOLLIN | EPOLLRDNORM);
    if (UNLIKELY(u->eventfd))
        tell_eventfd(u, async);
}

static uint32_t ready_count(struct uring *u)
{
    return *(volatile uint32_t *)&u->cq_tail - atomic_load(&u->shared->cq_head);
}

static bool run(struct uring *u, struct uring_task *task)
{
    bool did = false;
    if (u->flags & IORING_SETUP_DEFER_TASKRUN)
        did = uring_run_deferred(u);
    return uring_task_run(task) || did;
}

/* Sleep until something may have changed. */
static int wait_once(struct uring *u, struct uring_task *task, uint32_t min, uint64_t deadline_ns)
{
    int err = 0;
    thread_prepare_sleep(SLEEP_INTERRUPTIBLE);
    if (ready_count(u) < min && !u->overflow && !uring_task_has_work(task) &&
        !atomic_load(&u->deferred))
        err = thread_sleep(deadline_ns);
    thread_finish_sleep();
    return err == -ETIMEDOUT ? -ETIME : err;
}

static int wait_many(struct uring *u, struct uring_task *task, uint32_t min, uint64_t deadline_ns)
{
    struct waiter w;
    int err = 0;
    waitq_add(&u->wait, &w);
    atomic_store(&task->waiting, true);
    for (;;) {
        run(u, task);
        uring_flush(u);
        if (ready_count(u) >= min || u->dropped || err)
            break;
        err = wait_once(u, task, min, deadline_ns);
    }
    atomic_store(&task->waiting, false);
    waitq_remove(&u->wait, &w);
    return ready_count(u) >= min ? 0 : err;
}

int uring_wait_change(struct uring *u, uint64_t deadline_ns)
{
    return uring_wait(u, ready_count(u) + 1, deadline_ns);
}

int uring_wait(struct uring *u, uint32_t min, uint64_t deadline_ns)
{
    struct uring_task *task = thread_current()->uring;
    int err = 0;
    if (min > u->cq_entries)
        min = u->cq_entries;
    if (UNLIKELY(!task && !(task = uring_task())))
        return -ENOMEM;
    if (uring_task_has_work(task) || atomic_load(&u->deferred))
        run(u, task);
    uring_flush(u);
    if (ready_count(u) < min)
        err = wait_many(u, task, min, deadline_ns);
    if (UNLIKELY(u->dropped) && ready_count(u) == 0) {
        u->dropped = false;
        return -EBADR;
    }
    return err;
}
