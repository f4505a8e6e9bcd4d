/* SPDX-License-Identifier: MIT */
/* One list of deferred work for all CPUs, in order. Whoever has WORK_DEFERRED set does all of it. Lock: RANK_DEFERRED. */
#include <base/log.h>
#include <libos/deferred.h>
#include <libos/sched.h>
#include <libos/thread.h>
#include <libos/waitq.h>

static struct spin lock = SPIN_INIT(RANK_DEFERRED);
static struct deferred *first, **end = &first; /* guarded by lock */
static struct thread *worker;                  /* set once */
static _Atomic bool started;

void deferred_run(void)
{
    thread_clear_work(thread_current(), WORK_DEFERRED);
    for (;;) {
        spin_lock(&lock);
        struct deferred *d = first;
        if (d) {
            first = d->next;
            if (!first)
                end = &first;
            d->queued = false;
        }
        spin_unlock(&lock);
        if (!d)
            return;
        d->run(d);
    }
}

static void work(void *arg)
{
    (void)arg;
    __atomic_store_n(&worker, thread_current(), __ATOMIC_RELEASE);
    for (;;) {
        thread_prepare_sleep(SLEEP_UNINTERRUPTIBLE);
        if (!__atomic_load_n(&first, __ATOMIC_ACQUIRE))
            must(thread_sleep(NO_DEADLINE) == 0); /* cannot be interrupted */
        thread_finish_sleep();
        deferred_run();
    }
}

int deferred_start(void)
{
    if (atomic_exchange(&started, true))
        return 0;
    int err = thread_create_kernel("deferred", work, NULL);
    if (err)
        started = false;
    return err;
}

/* Put d at the end of the list, whose lock is held. True: it was not there. */
static bool append(struct deferred *d)
{
    if (d->queued)
        return false;
    d->queued = true;
    d->next = NULL;
    *end = d;
    end = &d->next;
    return true;
}

bool deferred_queue(struct deferred *d)
{
    struct thread *t = thread_current(), *w;
    spin_lock(&lock);
    bool fresh = append(d);
    spin_unlock(&lock);
    if (!t->is_kernel && !t->exiting)
        thread_set_work(t, WORK_DEFERRED);
    else if ((w = __atomic_load_n(&worker, __ATOMIC_ACQUIRE)))
        thread_wake_state(w, 1u << THREAD_BLOCKED); /* one that has not begun will look */
    return fresh;
}

bool deferred_try_queue(struct deferred *d)
{
    struct thread *t = thread_current();
    if (t->is_kernel || t->exiting || !spin_trylock(&lock))
        return false;
    bool fresh = append(d);
    spin_unlock(&lock);
    thread_set_work(t, WORK_DEFERRED);
    return fresh;
}
