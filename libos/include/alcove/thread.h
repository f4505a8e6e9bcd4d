/* SPDX-License-Identifier: MIT */
/* Threads and locks of a relinked program. newlib's functions may be called from every thread; each has its own errno.
 * Errors are positive errno values, as in pthread.h. */
#ifndef ALCOVE_THREAD_H
#define ALCOVE_THREAD_H

#ifdef __cplusplus
extern "C" {
#endif

struct alcove_thread;

enum { ALCOVE_STACK_SIZE = 256 * 1024 };

/* Start a thread that runs fn(arg) on a stack of ALCOVE_STACK_SIZE bytes. *ret_thread is to be joined once.
 * 0; ENOMEM: no memory for the thread; EAGAIN: too many threads. */
int alcove_thread_create(struct alcove_thread **ret_thread, int (*fn)(void *arg), void *arg);

/* Wait for a thread to end and free it. *ret_result (may be NULL) is what its function returned. 0. */
int alcove_thread_join(struct alcove_thread *take_thread, int *ret_result);

/* Let another thread run. */
void alcove_thread_yield(void);

/* A lock; all zero is unlocked. The member is the library's own. */
struct alcove_mutex {
    unsigned state; /* 0 free, 1 held, 2 held and waited for */
};

/* Take the lock, sleeping until it is free. Not recursive. */
void alcove_mutex_lock(struct alcove_mutex *m);
/* Take the lock if it is free: 1 taken, 0 not. */
int alcove_mutex_trylock(struct alcove_mutex *m);
/* Give the lock back. The caller holds it. */
void alcove_mutex_unlock(struct alcove_mutex *m);

/* A condition; all zero is ready. The member is the library's own. */
struct alcove_cond {
    unsigned sequence;
};

/* Sleep until signalled, without m while sleeping. May return without a signal: test the condition again. */
void alcove_cond_wait(struct alcove_cond *c, struct alcove_mutex *m);
/* Wake one waiting thread, or all. */
void alcove_cond_signal(struct alcove_cond *c);
void alcove_cond_broadcast(struct alcove_cond *c);

#ifdef __cplusplus
}
#endif

#endif
