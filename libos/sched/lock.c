/* SPDX-License-Identifier: MIT */
/* Locks. A spin lock is one word; interrupts are off in ring 0, so nothing on the same CPU can want it meanwhile. A mutex
 * is handed to its first waiter (no barging), so nobody starves; bit 0 of its owner says that somebody waits. A rwmutex counts its readers; once a writer waits, new
 * readers wait behind it.
 * The waiters' lists are guarded by the spin lock inside; sleeping is thread_prepare_sleep / thread_sleep. */
#include <base/log.h>
#include <libos/lock.h>
#include <libos/sched.h>
#include <libos/waitq.h>
#include <plat/cpu.h>
#include <plat/time.h>
#include <utlist.h>

enum { HELD_MAX_SECONDS = 120, SPINS_PER_LOOK = 65536 };

static COLD NOINLINE void check_holder(const struct spin *s, uint64_t *since)
{
    uint64_t now = plat_time_ns();
    if (!*since)
        *since = now;
    else if (now - *since > HELD_MAX_SECONDS * NS_PER_SEC)
        panic("the spin lock at %p is not let go", (const void *)s);
}

void spin_wait(struct spin *s)
{
    uint64_t since = 0;
    unsigned spins = 0;
    do {
        while (atomic_load_explicit(&s->locked, memory_order_relaxed)) {
            plat_relax();
            if (UNLIKELY(++spins % SPINS_PER_LOOK == 0))
                check_holder(s, &since);
        }
        /* Acquire: as in spin_lock. */
    } while (atomic_exchange_explicit(&s->locked, 1, memory_order_acquire));
}

/* Sleep until *granted, which the releaser sets before it wakes. No deadline and no signal can end it. */
static void wait_granted(volatile bool *granted)
{
    while (thread_prepare_sleep(SLEEP_UNINTERRUPTIBLE), !*granted && !thread_sleep(NO_DEADLINE))
        ; /* uninterruptible: thread_sleep gives 0 */
    thread_finish_sleep();
}

/* A waiter of a mutex or rwmutex; arg of the entry points to it. */
struct lock_waiter {
    struct waiter entry;
    volatile bool granted;
    bool writer;
};

static struct lock_waiter *lock_waiter_of(struct waiter *w)
{
    return CONTAINER_OF(w, struct lock_waiter, entry);
}

static void grant(struct waiter **list, struct lock_waiter *w)
{
    struct thread *t = w->entry.thread;
    DL_DELETE(*list, &w->entry);
    thread_get(t);     /* it may not sleep yet, see that, go on and end before the wake */
    w->granted = true; /* w is on t's stack and gone from here on */
    thread_wake(t);
    thread_put(t);
}

enum {
    MUTEX_WAITED = 1,
    SPINS =
        300, /* looks at a sleeping lock that another CPU may be about to leave, before this one sleeps */
};

void mutex_init(struct mutex *m, enum lock_rank rank)
{
    atomic_init(&m->owner, NULL);
    spin_init(&m->lock, RANK_WAITQ);
    m->waiters = NULL;
    m->rank = rank;
}

/* owner: the thread, with bit 0 set while others wait; that bit changes only under the spin lock. Without waiters, taking
 * and leaving are one exchange each. */
static struct thread *owned(struct thread *t, bool waited_for)
{
    return (struct thread *)((uintptr_t)t | waited_for);
}

bool mutex_trylock(struct mutex *m)
{
    struct thread *expected = NULL;
    if (!atomic_compare_exchange_strong(&m->owner, &expected, thread_current()))
        return false;
    lock_check_take(m, m->rank);
    return true;
}

/* The owner will hand the mutex over: true. False: it is free again, and now ours. Locks: m->lock held. */
static bool mutex_announce(struct mutex *m)
{
    struct thread *now = atomic_load(&m->owner);
    for (;;) {
        if (!now && atomic_compare_exchange_strong(&m->owner, &now, thread_current()))
            return false;
        if (now && atomic_compare_exchange_strong(&m->owner, &now, owned(now, true)))
            return true;
    }
}

static NOINLINE void mutex_lock_slow(struct mutex *m)
{
    struct lock_waiter w = { .entry.thread = thread_current() };
    for (unsigned i = 0; i < SPINS && plat_cpu_count() > 1; i++) {
        struct thread *now = atomic_load_explicit(&m->owner, memory_order_relaxed);
        if (!now && atomic_compare_exchange_strong(&m->owner, &now, thread_current()))
            return;
        if ((uintptr_t)now & MUTEX_WAITED)
            break; /* others are first */
        plat_relax();
    }
    spin_lock(&m->lock);
    bool wait = mutex_announce(m);
    if (wait)
        DL_APPEND(m->waiters, &w.entry);
    spin_unlock(&m->lock);
    if (wait)
        wait_granted(&w.granted);
}

void mutex_lock(struct mutex *m)
{
    struct thread *expected = NULL;
    lock_check_take(m, m->rank);
    if (UNLIKELY(!atomic_compare_exchange_strong(&m->owner, &expected, thread_current())))
        mutex_lock_slow(m);
}

static NOINLINE void mutex_unlock_slow(struct mutex *m)
{
    spin_lock(&m->lock);
    struct waiter *first = m->waiters;
    atomic_store(&m->owner, owned(first->thread, first->next));
    grant(&m->waiters, lock_waiter_of(first));
    spin_unlock(&m->lock);
}

void mutex_unlock(struct mutex *m)
{
    struct thread *expected = thread_current();
    lock_check_drop(m, m->rank);
    if (UNLIKELY(!atomic_compare_exchange_strong(&m->owner, &expected, NULL)))
        mutex_unlock_slow(m);
}

/* count: readers, or -1 while written. Only changed from 0 or upwards without the lock when nobody waits: bit 30 says
 * that somebody does, and then every change is made under the lock. */
enum { RW_WAITERS = 1 << 30, RW_WRITER = 1 << 29 };

void rwmutex_init(struct rwmutex *m, enum lock_rank rank)
{
    atomic_init(&m->count, 0);
    spin_init(&m->lock, RANK_WAITQ);
    m->waiters = NULL;
    m->rank = rank;
}

/* Wait behind the others. The lock is held on entry, not on return. */
static void rw_wait(struct rwmutex *m, bool writer)
{
    struct lock_waiter w = { .entry.thread = thread_current(), .writer = writer };
    DL_APPEND(m->waiters, &w.entry);
    spin_unlock(&m->lock);
    wait_granted(&w.granted);
}

/* Take m now if nobody holds it in the way: changes what the fast path would, with the waiting bit as it is. */
static bool rw_try(struct rwmutex *m, bool writer)
{
    int32_t c = atomic_load(&m->count);
    for (;;) {
        int32_t holders = c & ~RW_WAITERS;
        if (writer ? holders != 0 : (holders & RW_WRITER) != 0)
            return false;
        if (atomic_compare_exchange_weak(&m->count, &c, c + (writer ? RW_WRITER : 1)))
            return true;
    }
}

static void rw_lock_slow(struct rwmutex *m, bool writer)
{
    for (unsigned i = 0; i < SPINS && plat_cpu_count() > 1; i++) {
        if (atomic_load_explicit(&m->count, memory_order_relaxed) & RW_WAITERS)
            break; /* others are first */
        if (rw_try(m, writer))
            return;
        plat_relax();
    }
    spin_lock(&m->lock);
    /* From here on, releases come through the lock, so the last one is not missed. */
    atomic_fetch_or(&m->count, RW_WAITERS);
    if (!m->waiters && rw_try(m, writer)) {
        atomic_fetch_and(&m->count, ~RW_WAITERS);
        spin_unlock(&m->lock);
        return;
    }
    rw_wait(m, writer);
}

/* Hand m to the first waiter, and to the readers right behind a reader. The lock is held. */
static void rw_grant(struct rwmutex *m)
{
    while (m->waiters) {
        struct lock_waiter *w = lock_waiter_of(m->waiters);
        bool writer = w->writer;
        if (!rw_try(m, writer))
            break;
        grant(&m->waiters, w);
        if (writer)
            break;
    }
    if (!m->waiters)
        atomic_fetch_and(&m->count, ~RW_WAITERS);
}

void rwmutex_read_lock(struct rwmutex *m)
{
    lock_check_take(m, m->rank);
    int32_t c = atomic_load_explicit(&m->count, memory_order_relaxed);
    while (LIKELY(!(c & (RW_WAITERS | RW_WRITER))))
        if (LIKELY(atomic_compare_exchange_weak(&m->count, &c, c + 1)))
            return;
    rw_lock_slow(m, false);
}

void rwmutex_read_unlock(struct rwmutex *m)
{
    lock_check_drop(m, m->rank);
    int32_t c = atomic_fetch_sub(&m->count, 1) - 1;
    if (UNLIKELY(c == RW_WAITERS)) {
        spin_lock(&m->lock);
        rw_grant(m);
        spin_unlock(&m->lock);
    }
}

void rwmutex_write_lock(struct rwmutex *m)
{
    lock_check_take(m, m->rank);
    int32_t zero = 0;
    if (LIKELY(atomic_compare_exchange_strong(&m->count, &zero, RW_WRITER)))
        return;
    rw_lock_slow(m, true);
}

void rwmutex_write_unlock(struct rwmutex *m)
{
    lock_check_drop(m, m->rank);
    int32_t c = atomic_fetch_and(&m->count, ~RW_WRITER);
    if (UNLIKELY(c & RW_WAITERS)) {
        spin_lock(&m->lock);
        rw_grant(m);
        spin_unlock(&m->lock);
    }
}

#if defined(CONFIG_LOCK_CHECK)
enum { SPIN_RANKS = RANK_TTY }; /* ranks from here on are spin locks' */

void lock_check_take(const void *lock, unsigned rank)
{
    struct thread *t = thread_current();
    if (!t)
        return; /* before the scheduler */
    for (unsigned i = 0; i < t->nheld; i++) {
        unsigned other = t->held[i].rank;
        /* Directories nest, parent before child; two pipes or sockets are taken in order of address. */
        if (other > rank ||
            (other == rank && rank != RANK_DIR && rank != RANK_PIPE && rank != RANK_SOCKET))
            panic("lock order: rank %u is taken while rank %u is held", rank, other);
    }
    must(t->nheld < ARRAY_SIZE(t->held));
    t->held[t->nheld++] = (struct lock_held){ lock, rank };
}

void lock_check_drop(const void *lock, unsigned rank)
{
    struct thread *t = thread_current();
    for (unsigned i = t ? t->nheld : 0; i > 0; i--) {
        if (t->held[i - 1].lock == lock) {
            for (; i < t->nheld; i++)
                t->held[i - 1] = t->held[i];
            t->nheld--;
            return;
        }
    }
}

void lock_check_none(void)
{
    struct thread *t = thread_current();
    for (unsigned i = 0; t && i < t->nheld; i++)
        if (t->held[i].rank >= SPIN_RANKS)
            panic("lock order: sleeps while a spin lock of rank %u is held", t->held[i].rank);
}
#endif
