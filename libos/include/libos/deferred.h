/* SPDX-License-Identifier: MIT */
/* Work that is found where its locks cannot be taken (under spin locks of a high rank, in interrupts): it is done before the
 * thread that found it returns to ring 3 or sleeps, else by a libOS thread. */
#ifndef LIBOS_DEFERRED_H
#define LIBOS_DEFERRED_H

#include <base/compiler.h>
#include <base/types.h>

struct deferred {
    struct deferred *next;
    void (*run)(struct deferred *d); /* no lock is held; does not sleep */
    bool queued;                     /* the next run has not begun */
};

/* Make the libOS thread, once; before the first deferred_queue. May sleep. -ENOMEM. */
NODISCARD int deferred_start(void);
/* Have d->run called. True: it was not queued yet. Callable with all locks up to RANK_EPOLL_READY_LAST, and from interrupts. */
bool deferred_queue(struct deferred *d);
/* The same from anywhere, with any locks held: it only tries its own. False too when that was taken. The current thread does the
 * work; a libOS thread never does. */
bool deferred_try_queue(struct deferred *d);
/* Do what is queued: with WORK_DEFERRED, on the way to ring 3 and before a sleep. No lock held. */
void deferred_run(void);

#endif
