/* SPDX-License-Identifier: MIT */
/* What a thread that submits has besides its rings: a list of requests that were handed over to it by wakes, timers and
 * devices; a helper, which goes on with those while the thread itself sleeps in another system call; and workers for what
 * sleeps. Helper and workers are threads of the same process with all signals blocked, and share all that threads share.
 *
 * A handed-over request marks the thread (WORK_TASK). The thread looks at the list on its way to ring 3 and while it waits in
 * io_uring_enter; when it goes to sleep elsewhere with the mark set (uring_thread_sleeps), or sleeps already, the helper is woken.
 * Mark before state, and state before mark: one of the two sees the other.
 *
 * A task ends with its thread, or before execve: everything is called back, and waited for. */
#include "uring_int.h"

#include <abi/errno.h>
#include <libos/heap.h>
#include <libos/process.h>
#include <libos/sched.h>
#include <plat/cpu.h>
#include <plat/time.h>

#define IDLE_NS (5ull * 1000 * 1000 * 1000) /* a worker without work ends */

enum { UNBOUND_MAX = 64, BOUND_PER_RING = 16 };

void uring_task_put(struct uring_task *t)
{
    if (atomic_fetch_sub_explicit(&t->refs, 1, memory_order_acq_rel) != 1)
        return;
    thread_put(t->thread);
    if (t->helper)
        thread_put(t->helper);
    heap_free(t);
}

struct uring_task *uring_task(void)
{
    struct thread *cur = thread_current();
    struct uring_task *t = cur->uring;
    if (LIKELY(t) || !(t = heap_zalloc(sizeof(*t))))
        return t;
    atomic_init(&t->refs, 1);
    thread_get(cur);
    t->thread = cur;
    waitq_init(&t->idle);
    spin_init(&t->lock, RANK_URING_TASK);
    for (int i = 0; i < 2; i++) {
        t->queue[i].task = t;
        t->queue[i].max = i ? UNBOUND_MAX : BOUND_PER_RING;
        waitq_init(&t->queue[i].wait);
    }
    cur->uring = t;
    return t;
}

/* ---- handing over ---- */

static void push(_Atomic(struct uring_req *) *list, struct uring_req *r)
{
    struct uring_req *old = atomic_load_explicit(list, memory_order_relaxed);
    do {
        r->work_next = old;
        /* Release: who takes r sees what was written to it. Sequentially consistent with the marks and states below. */
    } while (!atomic_compare_exchange_weak(list, &old, r));
}

/* The thread has to notice that there is work. */
static void nudge(struct uring_task *task)
{
    struct thread *t = task->thread;
    thread_set_work(t, WORK_TASK);
    if (t == thread_current())
        return;
    if (atomic_load(&task->waiting)) {
        (void)thread_wake(t);
    } else if (atomic_load(&t->state) != THREAD_RUNNING) {
        if (task->helper)
            (void)thread_wake(task->helper);
    } else if (t->on_cpu && t->cpu != plat_cpu_id()) {
        plat_cpu_kick(t->cpu);
    }
}

/* The thread takes it when it asks for completions, and must be told that it should. */
static void nudge_deferred(struct uring *u, struct uring_task *task)
{
    struct thread *t = task->thread;
    if (u->flags & IORING_SETUP_TASKRUN_FLAG)
        atomic_fetch_or(&u->shared->sq_flags, IORING_SQ_TASKRUN);
    if (atomic_load(&task->waiting)) {
        if (t != thread_current())
            (void)thread_wake(t);
    } else if ((waitq_active(&u->wait) || u->eventfd) && task->helper) {
        atomic_store(&task->announce, true);
        (void)thread_wake(task->helper);
    }
}

void uring_hand(struct uring_req *r)
{
    struct uring_task *task = r->task;
    struct uring *u = r->ring;
    atomic_fetch_add(&task->refs, 1); /* once it is pushed, r may end at any moment */
    if (u->flags & IORING_SETUP_DEFER_TASKRUN && !atomic_load(&task->exiting) && !u->closing) {
        uring_get(u);
        push(&u->deferred, r);
        nudge_deferred(u, task);
        if (u->closing || atomic_load(&task->exiting))
            uring_undefer(u); /* nobody asks the ring any more, or has for the last time */
        uring_put(u);
    } else {
        if (u->flags & IORING_SETUP_TASKRUN_FLAG)
            atomic_fetch_or(&u->shared->sq_flags, IORING_SQ_TASKRUN);
        push(&task->work, r);
        nudge(task);
    }
    uring_task_put(task);
}

void uring_kick(struct uring_req *r)
{
    if (!(atomic_fetch_or(&r->state, URING_WOKEN | URING_EVENT) & URING_WOKEN))
        uring_hand(r);
}

/* All of a list, the oldest first. */
static struct uring_req *take_list(_Atomic(struct uring_req *) *list)
{
    struct uring_req *r = atomic_exchange(list, NULL), *order = NULL;
    while (r) {
        struct uring_req *next = r->work_next;
        r->work_next = order;
        order = r;
        r = next;
    }
    return order;
}

void uring_undefer(struct uring *u)
{
    struct uring_req *r = take_list(&u->deferred), *next;
    for (; r; r = next) {
        next = r->work_next;
        uring_hand(r);
    }
}

static bool run_list(_Atomic(struct uring_req *) *list)
{
    struct uring_req *r, *order = take_list(list);
    bool any = order;
    while ((r = order)) {
        struct uring *u = r->ring;
        order = r->work_next;
        uring_get(u); /* for the chain behind r, which has no reference of its own */
        r->work(r);
        uring_put(u);
    }
    return any;
}

bool uring_task_run(struct uring_task *t)
{
    return run_list(&t->work);
}

bool uring_run_deferred(struct uring *u)
{
    if (!atomic_load(&u->deferred))
        return false;
    if (u->flags & IORING_SETUP_TASKRUN_FLAG)
        atomic_fetch_and(&u->shared->sq_flags, ~(uint32_t)IORING_SQ_TASKRUN);
    return run_list(&u->deferred);
}

void uring_thread_work(struct thread *t)
{
    struct uring_task *task = t->uring;
    if (task->thread == t && uring_task_has_work(task))
        (void)uring_task_run(task);
}

void uring_thread_sleeps(struct thread *t)
{
    struct uring_task *task = t->uring;
    if (task->thread == t && !atomic_load(&task->waiting) && uring_task_has_work(task) &&
        task->helper)
        (void)thread_wake(task->helper);
}

/* ---- threads ---- */

int uring_thread(struct uring_task *t, const char *name, void (*fn)(void *), void *arg,
                 struct thread **ret)
{
    struct thread *n;
    int err = thread_create_worker(name, fn, arg, &n);
    if (err)
        return err == -EINTR ? -ECANCELED : err;
    n->uring = t;
    thread_get(n);
    spin_lock(&t->lock);
    t->nthreads++;
    spin_unlock(&t->lock);
    *ret = n;
    sched_start(n);
    return 0;
}

void uring_thread_leave(struct uring_task *t)
{
    struct thread *cur = thread_current();
    spin_lock(&cur->process->sig_lock); /* for uring_weight */
    cur->uring = NULL;
    spin_unlock(&cur->process->sig_lock);
    spin_lock(&t->lock);
    t->nthreads--;
    waitq_wake(&t->idle, WAITQ_ALL, 0);
    spin_unlock(&t->lock);
    thread_exit(0);
}

static bool helper_due(struct uring_task *t)
{
    if (t->stop || atomic_load(&t->announce))
        return true;
    return uring_task_has_work(t) && atomic_load(&t->thread->state) != THREAD_RUNNING &&
           !atomic_load(&t->waiting);
}

/* Deferred work came while its thread was elsewhere: whoever polls the ring hears of it. */
static void announce(struct uring_task *t)
{
    atomic_store(&t->announce, false);
    for (struct uring *u = uring_next(NULL); u; u = uring_next(u))
        if (u->submitter == t && atomic_load(&u->deferred))
            uring_notify(u, true);
}

static void helper_main(void *arg)
{
    struct uring_task *t = arg;
    while (!t->stop) {
        thread_prepare_sleep(SLEEP_UNINTERRUPTIBLE);
        int err = helper_due(t) ? 0 : thread_sleep(NO_DEADLINE);
        (void)err; /* uninterruptible */
        thread_finish_sleep();
        thread_clear_work(thread_current(), WORK_SIGNAL | WORK_KILLED);
        if (atomic_load(&t->announce))
            announce(t);
        if (!t->stop && helper_due(t))
            (void)uring_task_run(t);
    }
    uring_thread_leave(t);
}

int uring_need_helper(struct uring_task *t)
{
    if (LIKELY(t->helper) || t->thread != thread_current())
        return 0;
    return uring_thread(t, "iou-help", helper_main, t, &t->helper);
}

/* ---- workers ---- */

/* Wait for a request in q. False: the worker is to leave. */
static bool wait_for_work(struct uring_queue *q)
{
    struct uring_task *t = q->task;
    struct waiter w;
    uint64_t deadline = plat_time_ns() + IDLE_NS;
    int err = 0;
    waitq_add_exclusive(&q->wait, &w);
    while (thread_prepare_sleep(SLEEP_UNINTERRUPTIBLE),
           !t->stop && !*(struct uring_req *volatile *)&q->head && !err)
        err = thread_sleep(deadline);
    thread_finish_sleep();
    waitq_remove(&q->wait, &w);
    spin_lock(&t->lock);
    q->idle--;
    bool leave = t->stop || !q->head;
    leave = leave && (t->stop || err);
    q->workers -= leave;
    spin_unlock(&t->lock);
    return !leave;
}

/* The next request of q, for the current thread; NULL: there is none for a while, or it is the end. */
static struct uring_req *take(struct uring_queue *q)
{
    struct uring_task *t = q->task;
    do {
        spin_lock(&t->lock);
        struct uring_req *r = q->head;
        if (r) {
            q->head = r->work_next;
            q->queued--;
            r->flags &= ~(uint32_t)URING_F_QUEUED;
            r->worker = thread_current();
        } else {
            q->idle++;
        }
        spin_unlock(&t->lock);
        if (r)
            return r;
    } while (wait_for_work(q));
    return NULL;
}

void uring_worker_drop(struct uring_req *r)
{
    spin_lock(&r->task->lock);
    r->worker = NULL;
    spin_unlock(&r->task->lock);
    /* Who called it back may have been late. Who ends the process calls everything back. */
    thread_clear_work(thread_current(), WORK_KILLED);
}

static void worker_main(void *arg)
{
    struct uring_queue *q = arg;
    struct uring_task *t = q->task;
    struct uring_req *r;
    while ((r = take(q))) {
        /* What called back the last request, or ends the process, which calls back every one. */
        if (!uring_cancelled(r))
            thread_clear_work(thread_current(), WORK_SIGNAL | WORK_KILLED);
        struct uring *u = r->ring;
        uring_get(u); /* as in run_list */
        if (uring_cancelled(r))
            uring_end(r, -ECANCELED, URING_WORKER);
        else
            uring_go(r, URING_WORKER);
        uring_put(u);
    }
    uring_thread_leave(t);
}

/* Take r (NULL: the first) out of q; NULL: it is not there. */
static struct uring_req *take_queued(struct uring_queue *q, struct uring_req *r)
{
    struct uring_req **p, *prev = NULL;
    spin_lock(&q->task->lock);
    for (p = &q->head; *p && r && *p != r; p = &(*p)->work_next)
        prev = *p;
    struct uring_req *found = *p;
    if (found) {
        *p = found->work_next;
        if (!*p)
            q->tail = prev;
        q->queued--;
        found->flags &= ~(uint32_t)URING_F_QUEUED;
    }
    spin_unlock(&q->task->lock);
    return found;
}

static bool is_bound(const struct uring_req *r)
{
    const struct file *f = r->file;
    return r->op->worker || (f && !f->ops->poll);
}

void uring_queue_worker(struct uring_req *r)
{
    struct uring_task *t = r->task;
    struct uring_queue *q = &t->queue[!is_bound(r)];
    struct thread *n;
    r->work_next = NULL;
    atomic_fetch_add(&t->refs, 1); /* r may end at once, and the thread with it */
    spin_lock(&t->lock);
    r->flags |= URING_F_QUEUED;
    if (q->head)
        q->tail->work_next = r;
    else
        q->head = r;
    q->tail = r;
    q->queued++;
    bool more = q->queued > q->idle && q->workers < q->max;
    q->workers += more;
    spin_unlock(&t->lock);
    if (!more) {
        waitq_wake(&q->wait, 1, 0);
    } else if (uring_thread(t, "iou-wrk", worker_main, q, &n)) {
        spin_lock(&t->lock);
        bool none = --q->workers == 0;
        spin_unlock(&t->lock);
        while (none && (r = take_queued(q, NULL)))
            uring_finish_later(r, -ECANCELED); /* nobody would ever serve it */
    } else {
        thread_put(n);
    }
    uring_task_put(t);
}

int uring_unqueue(struct uring_req *r)
{
    struct uring_task *t = r->task;
    for (int i = 0; i < 2; i++) {
        if (take_queued(&t->queue[i], r)) {
            uring_finish_later(r, -ECANCELED);
            return 0;
        }
    }
    spin_lock(&t->lock);
    struct thread *w = r->worker;
    if (w) {
        thread_set_work(w, WORK_KILLED);
        (void)thread_wake_state(w, 1u << THREAD_SLEEPING | 1u << THREAD_KILLABLE);
    }
    spin_unlock(&t->lock);
    return -EALREADY;
}

/* ---- the end ---- */

/* Go on with what is handed over until nothing is under way. */
static void drain_task(struct uring_task *t)
{
    struct waiter w;
    waitq_add(&t->idle, &w);
    atomic_store(&t->waiting, true);
    for (;;) {
        (void)uring_task_run(t);
        for (struct uring *u = uring_next(NULL); u; u = uring_next(u))
            if (u->submitter == t)
                (void)uring_run_deferred(u);
        thread_prepare_sleep(SLEEP_UNINTERRUPTIBLE);
        if (!atomic_load(&t->inflight))
            break;
        int err = uring_task_has_work(t) ? 0 : thread_sleep(NO_DEADLINE);
        (void)err; /* uninterruptible */
        thread_finish_sleep();
    }
    thread_finish_sleep();
    atomic_store(&t->waiting, false);
    waitq_remove(&t->idle, &w);
}

static void stop_threads(struct uring_task *t)
{
    spin_lock(&t->lock);
    t->stop = true;
    spin_unlock(&t->lock);
    if (t->helper)
        (void)thread_wake(t->helper);
    for (int i = 0; i < 2; i++)
        waitq_wake(&t->queue[i].wait, WAITQ_ALL, 0);
    (void)WAIT_EVENT(&t->idle, SLEEP_UNINTERRUPTIBLE, NO_DEADLINE,
                     *(volatile uint32_t *)&t->nthreads == 0);
    spin_lock(&t->lock); /* the last of them is through with it */
    spin_unlock(&t->lock);
}

uint64_t uring_weight(const struct thread *t)
{
    const struct uring_task *task = t->uring;
    return task && task->thread == t
               ? (uint64_t)atomic_load(&task->inflight) * sizeof(struct uring_req)
               : 0;
}

void uring_thread_exit(struct thread *t)
{
    struct uring_task *task = t->uring;
    if (task->thread != t)
        return; /* a worker */
    for (struct uring *u = uring_next(NULL); u; u = uring_next(u))
        if (u->sq && u->sq_owner == t)
            uring_sq_stop(u);
    atomic_store(&task->exiting, true);
    for (struct uring *u = uring_next(NULL); u; u = uring_next(u))
        uring_cancel_all(u, task);
    drain_task(task);
    stop_threads(task);
    spin_lock(&t->process->sig_lock); /* for uring_weight */
    t->uring = NULL;
    spin_unlock(&t->process->sig_lock);
    for (int i = 0; i < URING_RINGS_MAX; i++)
        if (task->rings[i])
            file_put(task->rings[i]);
    uring_task_put(task);
}
