/* SPDX-License-Identifier: MIT */
/* Wait queues and the two halves of a sleep. A waiter stays queued until it removes itself, so a wake that found it
 * running already goes on to the next exclusive one. The thread's state is the handshake: it is set before the
 * condition is looked at, and a waker changes it back under the run queue's lock. */
#include "runq.h"
#include <abi/errno.h>
#include <libos/deferred.h>
#include <libos/sched.h>
#include <libos/waitq.h>
#include <plat/time.h>
#include <utlist.h>

void waitq_init(struct waitq *q)
{
    spin_init(&q->lock, RANK_WAITQ);
    q->head = NULL;
}

void waitq_add_entry(struct waitq *q, struct waiter *w)
{
    spin_lock(&q->lock);
    DL_APPEND(q->head, w);
    w->queued = true;
    spin_unlock(&q->lock);
    /* A full barrier: queued before the caller looks at what it waits for; pairs with waitq_active. */
    atomic_thread_fence(memory_order_seq_cst);
}

void waitq_add(struct waitq *q, struct waiter *w)
{
    w->thread = thread_current();
    w->wake = NULL;
    w->exclusive = false;
    waitq_add_entry(q, w);
}

void waitq_add_exclusive(struct waitq *q, struct waiter *w)
{
    w->thread = thread_current();
    w->wake = NULL;
    w->exclusive = true;
    waitq_add_entry(q, w);
}

void waitq_remove(struct waitq *q, struct waiter *w)
{
    spin_lock(&q->lock);
    if (w->queued) {
        DL_DELETE(q->head, w);
        w->queued = false;
    }
    spin_unlock(&q->lock);
}

void waitq_wake(struct waitq *q, unsigned n, unsigned events)
{
    struct waiter *w, *next;
    spin_lock(&q->lock);
    DL_FOREACH_SAFE(q->head, w, next)
    {
        if (w->exclusive && !n)
            continue;
        bool woken = w->wake ? w->wake(w, events) : thread_wake(w->thread);
        if (woken && w->exclusive)
            n--;
    }
    spin_unlock(&q->lock);
}

void thread_prepare_sleep(enum sleep_kind kind)
{
    static const uint8_t state[] = {
        [SLEEP_INTERRUPTIBLE] = THREAD_SLEEPING,
        [SLEEP_KILLABLE] = THREAD_KILLABLE,
        [SLEEP_UNINTERRUPTIBLE] = THREAD_BLOCKED,
    };
    /* Sequentially consistent: the state is seen before the condition is looked at; pairs with thread_wake_state. */
    atomic_store(&thread_current()->state, state[kind]);
}

void thread_finish_sleep(void)
{
    atomic_store_explicit(&thread_current()->state, THREAD_RUNNING, memory_order_relaxed);
}

bool thread_interrupted(const struct thread *t)
{
    return t->plat.work & (WORK_SIGNAL | WORK_KILLED);
}

static void sleep_timeout(struct timer *timer)
{
    thread_wake(CONTAINER_OF(timer, struct thread, sleep_timer));
}

void thread_init_sleep(struct thread *t)
{
    timer_init(&t->sleep_timer, sleep_timeout);
}

/* The sleep ends without a wake, unless one came first: it was meant for this thread and for no other, so look again. */
static int give_up(struct thread *t, int err)
{
    return atomic_exchange(&t->state, THREAD_RUNNING) == THREAD_RUNNING ? 0 : err;
}

int thread_sleep(uint64_t deadline_ns)
{
    struct thread *t = thread_current();
    lock_check_none();
    if (UNLIKELY(t->plat.work & WORK_DEFERRED))
        deferred_run();
    uint32_t state = t->state;
    uint32_t work = t->plat.work;
    if (state == THREAD_RUNNING) /* woken already */
        return 0;
    if ((state == THREAD_SLEEPING && (work & (WORK_SIGNAL | WORK_KILLED))) ||
        (state == THREAD_KILLABLE && (work & WORK_KILLED)))
        return give_up(t, -EINTR);
    if (UNLIKELY(work & WORK_TASK) && t->uring)
        uring_thread_sleeps(t);
    if (deadline_ns == NO_DEADLINE) {
        sched_switch();
        return 0;
    }
    if (plat_time_ns() >= deadline_ns)
        return give_up(t, -ETIMEDOUT);
    timer_start(&t->sleep_timer, deadline_ns);
    sched_switch();
    timer_stop(&t->sleep_timer);
    return 0;
}
