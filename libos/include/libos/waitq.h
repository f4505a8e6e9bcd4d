/* SPDX-License-Identifier: MIT */
/* Sleeping until something happens.
 *
 *     struct waiter w;
 *     waitq_add(wq, &w);                      // w.thread = current
 *     for (;;) {
 *         thread_prepare_sleep(INTERRUPTIBLE);
 *         if (condition) break;
 *         err = thread_sleep(deadline_ns);    // 0, -EINTR, -ETIMEDOUT
 *         if (err) break;
 *     }
 *     thread_finish_sleep();
 *     waitq_remove(wq, &w);
 *
 * A wake between prepare and sleep is not lost: it makes thread_sleep return at once. WAIT_EVENT below is this loop. */
#ifndef LIBOS_WAITQ_H
#define LIBOS_WAITQ_H

#include <libos/lock.h>

struct thread;

/* One who waits on a queue. wake == NULL: the thread is woken. Else wake(w, events) is called with the queue's lock
 * held (poll, epoll: it must only take locks of a higher rank); true: it counts against the number to wake. */
struct waiter {
    struct waiter *next, *prev; /* utlist DL */
    struct thread *thread;
    bool (*wake)(struct waiter *w, unsigned events);
    void *arg;
    bool exclusive; /* at most the asked-for number of these are woken; the others always */
    bool queued;
};

struct waitq {
    struct spin lock;
    struct waiter *head; /* guarded by lock */
};

/* Make a queue that nobody waits in. */
void waitq_init(struct waitq *q);
/* Add w for the current thread, with wake NULL. waitq_add_entry: fields of w are the caller's. */
void waitq_add(struct waitq *q, struct waiter *w);
void waitq_add_exclusive(struct waitq *q, struct waiter *w);
void waitq_add_entry(struct waitq *q, struct waiter *w);
/* Remove w; nothing when it is not queued any more. */
void waitq_remove(struct waitq *q, struct waiter *w);
/* Wake all non-exclusive waiters and up to n exclusive ones. events: poll bits that became true. */
void waitq_wake(struct waitq *q, unsigned n, unsigned events);

/* True if waking could find anyone: cheap, no lock. */
static inline bool waitq_active(const struct waitq *q)
{
    /* A full barrier: what the caller made true is seen before the queue is looked at; pairs with waitq_add_entry. */
    atomic_thread_fence(memory_order_seq_cst);
    return *(struct waiter *const volatile *)&q->head != NULL;
}

#define WAITQ_ALL   (~0u)
#define NO_DEADLINE UINT64_MAX

enum sleep_kind {
    SLEEP_INTERRUPTIBLE, /* ends with -EINTR when a signal is pending */
    SLEEP_KILLABLE,      /* only when the thread must die */
    SLEEP_UNINTERRUPTIBLE,
};

/* Say that the current thread is about to sleep. No spin lock is needed. */
void thread_prepare_sleep(enum sleep_kind kind);
/* Sleep until woken, until plat_time_ns() reaches deadline_ns, or as kind says. -EINTR and -ETIMEDOUT are given on entry
 * only, so that a condition that came true at the same moment wins: 0 means "look again", whatever ended the sleep. */
NODISCARD int thread_sleep(uint64_t deadline_ns);
/* The condition came true without sleeping: run on. */
void thread_finish_sleep(void);

/* Evaluate to 0 once cond is true, or to -EINTR or -ETIMEDOUT. cond is evaluated without locks. */
#define WAIT_EVENT(q, kind, deadline_ns, cond)                                                     \
    ({                                                                                             \
        struct waiter w_;                                                                          \
        int err_ = 0;                                                                              \
        waitq_add((q), &w_);                                                                       \
        while (thread_prepare_sleep(kind), !(cond) && !(err_ = thread_sleep(deadline_ns)))         \
            ;                                                                                      \
        thread_finish_sleep();                                                                     \
        waitq_remove((q), &w_);                                                                    \
        err_;                                                                                      \
    })

#endif
