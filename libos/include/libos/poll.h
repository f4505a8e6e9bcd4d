/* SPDX-License-Identifier: MIT */
/* Readiness: how poll, select and epoll ask a file and wait for it. */
#ifndef LIBOS_POLL_H
#define LIBOS_POLL_H

#include <libos/waitq.h>

struct file;

/* Collects the wait queues that a file's poll operation names. add is called once per queue and hangs an entry of the
 * poller's own on it. */
struct poll_table {
    void (*add)(struct poll_table *pt, struct waitq *q);
};

/* In a file's poll operation: the caller wants to hear of q. pt NULL: only asks for the state. */
static inline void poll_wait(struct poll_table *pt, struct waitq *q)
{
    if (pt)
        pt->add(pt, q);
}

#endif
