/* SPDX-License-Identifier: MIT */
/* Locks. A spin lock is one word; interrupts are off in ring 0, so nothing on the same CPU can want it meanwhile.
 *
 * A mutex is a rwmutex that has only writers. Who lets one go leaves it free and wakes the first waiter, which then tries
 * like anybody else: whoever runs takes the lock at once, and it never lies idle while a waiter is on its way to a CPU. (When
 * locks were handed over, two threads that wanted one all the time went at the pace of their wakes.) A waiter that was
 * woken PATIENCE times in vain closes the lock to all others, so nobody starves. Who does not get a lock looks at it for a
 * while before it sleeps, if there is another CPU that may let it go.
 *
 * The waiters' list is guarded by the spin lock inside, and each waiter takes itself out of it. */
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

/* A waiter of a mutex or rwmutex; in the list by its entry. */
struct lock_waiter {
    struct waiter entry;
    bool writer;
};

enum {
    PATIENCE = 4,
    SPINS =
        300, /* looks at a lock that another CPU may be about to leave, before this one sleeps */
    /* count is the number of readers and these. */
    RW_WAITERS = 1 << 30, /* the list is not empty; set and cleared with the spin lock held */
    RW_WRITER = 1 << 29,
    RW_WOKEN = 1 << 28,  /* the first waiter was woken and has not slept again: do not wake it */
    RW_CLOSED = 1 << 27, /* only the first waiter may take the lock */
    RW_READERS = RW_CLOSED - 1,
    READ = 1, /* what a reader and a writer add to count */
    WRITE = RW_WRITER,
};

void rwmutex_init(struct rwmutex *m, enum lock_rank rank)
{
    atomic_init(&m->count, 0);
    spin_init(&m->lock, RANK_WAITQ);
    m->waiters = NULL;
    m->rank = rank;
}

/* Take m if nobody is in the way. first: the caller is the first waiter. */
static bool rw_try(struct rwmutex *m, int32_t how, bool first)
{
    int32_t c = atomic_load_explicit(&m->count, memory_order_relaxed);
    do {
        if (c & (how == WRITE ? RW_WRITER | RW_READERS : RW_WRITER))
            return false;
        /* A reader does not join others while a writer waits for these. */
        if (!first && (c & RW_CLOSED || (how == READ && c & RW_WAITERS && c & RW_READERS)))
            return false;
    } while (!atomic_compare_exchange_weak(&m->count, &c, c + how));
    return true;
}

static bool rw_spin(struct rwmutex *m, int32_t how, bool first)
{
    for (unsigned i = 0; i < SPINS && plat_cpu_count() > 1; i++) {
        if (rw_try(m, how, first))
            return true;
        plat_relax();
    }
    return false;
}

/* Wake the first waiter. Locks: m->lock held. */
static void rw_wake(struct rwmutex *m)
{
    atomic_fetch_or(&m->count, RW_WOKEN);
    thread_wake(m->waiters->thread);
}

/* The first waiter has the lock. Readers right behind a reader need not wait either. Locks: m->lock held. */
static void rw_leave_list(struct rwmutex *m, struct lock_waiter *w)
{
    DL_DELETE(m->waiters, &w->entry);
    atomic_fetch_and(&m->count, ~(RW_WOKEN | RW_CLOSED | (m->waiters ? 0 : RW_WAITERS)));
    if (m->waiters && !w->writer && !CONTAINER_OF(m->waiters, struct lock_waiter, entry)->writer)
        rw_wake(m);
}

static NOINLINE void rw_lock_slow(struct rwmutex *m, int32_t how)
{
    struct lock_waiter w = { .entry.thread = thread_current(), .writer = how == WRITE };
    bool first, taken = rw_spin(m, how, false);
    if (taken)
        return;
    spin_lock(&m->lock);
    DL_APPEND(m->waiters, &w.entry);
    /* From here on, who lets the lock go comes to wake us, so the last one is not missed. */
    atomic_fetch_or(&m->count, RW_WAITERS);
    for (unsigned woken = 0;; woken++) {
        first = m->waiters == &w.entry;
        if (first && !taken) {
            atomic_fetch_and(&m->count, ~RW_WOKEN); /* then look: who saw it set did not wake us */
            if (woken >= PATIENCE)
                atomic_fetch_or(&m->count, RW_CLOSED);
            taken = rw_try(m, how, true);
        }
        if (taken)
            break;
        thread_prepare_sleep(SLEEP_UNINTERRUPTIBLE);
        spin_unlock(&m->lock);
        must(thread_sleep(NO_DEADLINE) == 0); /* uninterruptible */
        thread_finish_sleep();
        taken = first && rw_spin(m, how, true);
        spin_lock(&m->lock);
    }
    rw_leave_list(m, &w);
    spin_unlock(&m->lock);
}

/* m was let go while others wait for it. */
static NOINLINE void rw_unlock_slow(struct rwmutex *m)
{
    spin_lock(&m->lock);
    /* Where somebody took it meanwhile, he will be here. */
    int32_t c = atomic_load(&m->count);
    if (m->waiters && !(c & (RW_WOKEN | RW_WRITER | RW_READERS)))
        rw_wake(m);
    spin_unlock(&m->lock);
}

void rwmutex_read_lock(struct rwmutex *m)
{
    lock_check_take(m, m->rank);
    int32_t c = atomic_load_explicit(&m->count, memory_order_relaxed);
    while (LIKELY(!(c & (RW_WAITERS | RW_WRITER))))
        if (LIKELY(atomic_compare_exchange_weak(&m->count, &c, c + READ)))
            return;
    rw_lock_slow(m, READ);
}

void rwmutex_read_unlock(struct rwmutex *m)
{
    lock_check_drop(m, m->rank);
    int32_t c = atomic_fetch_sub(&m->count, READ) - READ;
    if (UNLIKELY((c & ~RW_CLOSED) == RW_WAITERS))
        rw_unlock_slow(m);
}

void rwmutex_write_lock(struct rwmutex *m)
{
    lock_check_take(m, m->rank);
    int32_t zero = 0;
    if (UNLIKELY(!atomic_compare_exchange_strong(&m->count, &zero, WRITE)))
        rw_lock_slow(m, WRITE);
}

void rwmutex_write_unlock(struct rwmutex *m)
{
    lock_check_drop(m, m->rank);
    int32_t c = atomic_fetch_sub(&m->count, WRITE) - WRITE;
    if (UNLIKELY(c != 0) && (c & ~RW_CLOSED) == RW_WAITERS)
        rw_unlock_slow(m);
}

void mutex_init(struct mutex *m, enum lock_rank rank)
{
    rwmutex_init(&m->rw, rank);
}

bool mutex_trylock(struct mutex *m)
{
    if (!rw_try(&m->rw, WRITE, false))
        return false;
    lock_check_take(&m->rw, m->rw.rank);
    return true;
}

void mutex_lock(struct mutex *m)
{
    rwmutex_write_lock(&m->rw);
}

void mutex_unlock(struct mutex *m)
{
    rwmutex_write_unlock(&m->rw);
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
        if (other > rank || (other == rank && rank != RANK_DIR && rank != RANK_OVL_DIR &&
                             rank != RANK_PIPE && rank != RANK_SOCKET))
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
