/* SPDX-License-Identifier: MIT */
/* IORING_SETUP_SQPOLL: a thread that submits by itself. It is a thread of the process with a task of its own; while entries come
 * it looks for more, giving up the CPU between two looks, and after sq_thread_idle without any it says so
 * (IORING_SQ_NEED_WAKEUP) and sleeps. The flag is set before the tail is looked at once more: one of the two sees the other. */
#include "uring_int.h"

#include <abi/errno.h>
#include <libos/heap.h>
#include <libos/process.h>
#include <libos/sched.h>
#include <plat/time.h>

#define MS 1000000ull

enum { IDLE_DEFAULT_MS = 1000, BATCH = 64 };

/* Lives as long as its ring. */
struct uring_sq {
    struct uring *ring;
    struct thread *thread; /* a reference */
    struct uring_task *maker;
    uint64_t idle_ns;
    struct waitq wait; /* for room in the queue, and for the end */
    _Atomic bool stop, gone;
};

static bool has_entries(const struct uring *u)
{
    return u->enabled &&
           atomic_load(&u->shared->sq_tail) != *(const volatile uint32_t *)&u->sq_head;
}

/* Nothing came for a while: sleep until woken. */
static void doze(struct uring_sq *q)
{
    struct uring *u = q->ring;
    struct uring_task *own = thread_current()->uring;
    atomic_fetch_or(&u->shared->sq_flags, IORING_SQ_NEED_WAKEUP);
    atomic_store(&own->waiting, true);
    thread_prepare_sleep(SLEEP_UNINTERRUPTIBLE);
    int err = 0; /* uninterruptible */
    if (!atomic_load(&q->stop) && !has_entries(u) && !uring_task_has_work(own))
        err = thread_sleep(NO_DEADLINE);
    (void)err;
    thread_finish_sleep();
    atomic_store(&own->waiting, false);
    atomic_fetch_and(&u->shared->sq_flags, ~(uint32_t)IORING_SQ_NEED_WAKEUP);
}

static void sq_main(void *arg)
{
    struct uring_sq *q = arg;
    struct uring *u = q->ring;
    uint64_t last = plat_time_ns();
    thread_current()->uring = NULL; /* a task of its own */
    struct uring_task *own = uring_task();
    while (own && !atomic_load(&q->stop)) {
        bool did = uring_task_run(own);
        if (has_entries(u)) {
            did |= uring_submit(u, BATCH) > 0;
            waitq_wake(&q->wait, WAITQ_ALL, 0);
        }
        uring_flush(u);
        thread_clear_work(thread_current(), WORK_SIGNAL | WORK_KILLED | WORK_TASK);
        if (did) {
            last = plat_time_ns();
        } else if (plat_time_ns() - last >= q->idle_ns) {
            doze(q);
            last = plat_time_ns();
        } else {
            sched_yield_cpu();
            (void)thread_preempt_point();
        }
    }
    struct uring_task *maker = q->maker;
    if (own)
        uring_thread_exit(thread_current());
    atomic_store(&q->gone, true);
    waitq_wake(&q->wait, WAITQ_ALL, 0);
    uring_put(u);
    uring_thread_leave(maker);
}

int uring_sq_start(struct uring *u, const struct abi_io_uring_params *p)
{
    struct uring_task *task = uring_task();
    struct uring_sq *q = heap_zalloc(sizeof(*q));
    if (!q || !task) {
        heap_free(q);
        return -ENOMEM;
    }
    q->ring = u;
    q->maker = task;
    q->idle_ns = (p->sq_thread_idle ? p->sq_thread_idle : IDLE_DEFAULT_MS) * MS;
    waitq_init(&q->wait);
    u->sq = q;
    u->sq_owner = task->thread;
    int err = p->flags & IORING_SETUP_SQ_AFF && p->sq_thread_cpu >= 64 ? -EINVAL : 0;
    uring_get(u); /* the thread's */
    if (!err)
        err = uring_thread(task, "iou-sqp", sq_main, q, &q->thread);
    if (!err && p->flags & IORING_SETUP_SQ_AFF)
        err = sched_set_affinity(q->thread, 1ull << p->sq_thread_cpu);
    if (err && !q->thread) {
        uring_put(u);
        heap_free(q);
        u->sq = NULL;
    }
    return err;
}

void uring_sq_stop(struct uring *u)
{
    struct uring_sq *q = u->sq;
    if (!q)
        return;
    atomic_store(&q->stop, true);
    const struct uring_task *own = thread_current()->uring;
    if (thread_current() == q->thread || (own && own->thread == q->thread))
        return; /* its own request had the last reference of the ring: it waits for that, or for its worker */
    (void)thread_wake(q->thread);
    (void)WAIT_EVENT(&q->wait, SLEEP_UNINTERRUPTIBLE, NO_DEADLINE, atomic_load(&q->gone));
}

void uring_sq_free(struct uring *u)
{
    if (!u->sq)
        return;
    thread_put(u->sq->thread);
    heap_free(u->sq);
}

int uring_sq_poke(struct uring *u, unsigned flags)
{
    struct uring_sq *q = u->sq;
    if (atomic_load(&q->gone))
        return -EOWNERDEAD;
    if (flags & IORING_ENTER_SQ_WAKEUP)
        (void)thread_wake(q->thread);
    if (!(flags & IORING_ENTER_SQ_WAIT))
        return 0;
    return WAIT_EVENT(&q->wait, SLEEP_INTERRUPTIBLE, NO_DEADLINE,
                      atomic_load(&q->stop) ||
                          atomic_load(&u->shared->sq_tail) - *(volatile uint32_t *)&u->sq_head <
                              u->sq_entries);
}
