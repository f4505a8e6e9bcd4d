/* SPDX-License-Identifier: MIT */
/* Locks on futexes: alcove_mutex and alcove_cond, and the locks that newlib takes around its own state. */
#include "sys.h"

#include <stdlib.h>
#include <sys/lock.h>

enum { FREE, HELD, WAITED };

static void futex_wait(unsigned *word, unsigned value)
{
    (void)alcove_syscall(LINUX_FUTEX, (long)(uintptr_t)word, FUTEX_WAIT_PRIVATE, value, 0, 0, 0);
}

static void futex_wake(unsigned *word, int count)
{
    (void)alcove_syscall(LINUX_FUTEX, (long)(uintptr_t)word, FUTEX_WAKE_PRIVATE, count, 0, 0, 0);
}

int alcove_mutex_trylock(struct alcove_mutex *m)
{
    unsigned expected = FREE;
    return __atomic_compare_exchange_n(&m->state, &expected, HELD, 0, __ATOMIC_ACQUIRE,
                                       __ATOMIC_RELAXED);
}

void alcove_mutex_lock(struct alcove_mutex *m)
{
    if (alcove_mutex_trylock(m))
        return;
    while (__atomic_exchange_n(&m->state, WAITED, __ATOMIC_ACQUIRE) != FREE)
        futex_wait(&m->state, WAITED);
}

void alcove_mutex_unlock(struct alcove_mutex *m)
{
    if (__atomic_exchange_n(&m->state, FREE, __ATOMIC_RELEASE) == WAITED)
        futex_wake(&m->state, 1);
}

void alcove_cond_wait(struct alcove_cond *c, struct alcove_mutex *m)
{
    unsigned seen = __atomic_load_n(&c->sequence, __ATOMIC_SEQ_CST);
    alcove_mutex_unlock(m);
    futex_wait(&c->sequence, seen);
    alcove_mutex_lock(m);
}

void alcove_cond_signal(struct alcove_cond *c)
{
    __atomic_fetch_add(&c->sequence, 1, __ATOMIC_SEQ_CST);
    futex_wake(&c->sequence, 1);
}

void alcove_cond_broadcast(struct alcove_cond *c)
{
    __atomic_fetch_add(&c->sequence, 1, __ATOMIC_SEQ_CST);
    futex_wake(&c->sequence, 0x7fffffff);
}

/* newlib's locks. One structure serves both kinds; owner and depth are used by the recursive ones only. */
struct __lock {
    struct alcove_mutex mutex;
    struct alcove_thread *owner; /* written by the holder */
    unsigned depth;
};

struct __lock __lock___sinit_recursive_mutex, __lock___sfp_recursive_mutex,
    __lock___atexit_recursive_mutex, __lock___malloc_recursive_mutex, __lock___env_recursive_mutex,
    __lock___at_quick_exit_mutex, __lock___tz_mutex, __lock___dd_hash_mutex,
    __lock___arc4random_mutex;

void __retarget_lock_init(_LOCK_T *lock)
{
    *lock = calloc(1, sizeof **lock);
    if (!*lock)
        abort();
}

void __retarget_lock_init_recursive(_LOCK_T *lock)
{
    __retarget_lock_init(lock);
}

void __retarget_lock_close(_LOCK_T lock)
{
    free(lock);
}

void __retarget_lock_close_recursive(_LOCK_T lock)
{
    free(lock);
}

void __retarget_lock_acquire(_LOCK_T lock)
{
    alcove_mutex_lock(&lock->mutex);
}

int __retarget_lock_try_acquire(_LOCK_T lock)
{
    return alcove_mutex_trylock(&lock->mutex);
}

void __retarget_lock_release(_LOCK_T lock)
{
    alcove_mutex_unlock(&lock->mutex);
}

static int again(struct __lock *lock)
{
    if (__atomic_load_n(&lock->owner, __ATOMIC_RELAXED) != thread_self())
        return 0;
    lock->depth++;
    return 1;
}

void __retarget_lock_acquire_recursive(_LOCK_T lock)
{
    if (again(lock))
        return;
    alcove_mutex_lock(&lock->mutex);
    __atomic_store_n(&lock->owner, thread_self(), __ATOMIC_RELAXED);
}

int __retarget_lock_try_acquire_recursive(_LOCK_T lock)
{
    if (again(lock))
        return 1;
    if (!alcove_mutex_trylock(&lock->mutex))
        return 0;
    __atomic_store_n(&lock->owner, thread_self(), __ATOMIC_RELAXED);
    return 1;
}

void __retarget_lock_release_recursive(_LOCK_T lock)
{
    if (lock->depth) {
        lock->depth--;
        return;
    }
    __atomic_store_n(&lock->owner, NULL, __ATOMIC_RELAXED);
    alcove_mutex_unlock(&lock->mutex);
}
