/* SPDX-License-Identifier: MIT */
/* Readiness: how poll, select and epoll ask a file and wait for it. */
#ifndef LIBOS_POLL_H
#define LIBOS_POLL_H

#include <abi/poll.h>
#include <libos/waitq.h>

struct file;

/* A wake that passes on an earlier one: nothing became true. */
#define WAKE_AGAIN (1u << 16)

/* Collects the wait queues that a file's poll operation names. add is called once per queue and hangs an entry of the
 * poller's own on it. A poll operation takes no lock that sleeps, but epoll's own. */
struct poll_table {
    void (*add)(struct poll_table *pt, struct waitq *q);
};

/* In a file's poll operation: the caller wants to hear of q. pt NULL: only asks for the state. */
static inline void poll_wait(struct poll_table *pt, struct waitq *q)
{
    if (pt)
        pt->add(pt, q);
}

/* Fill in revents of n entries (libOS memory; descriptors of the current thread), waiting until deadline_ns for the first
 * that is not 0; deadline_ns 0: do not wait. always: events that are reported without being asked for. How many entries have
 * revents, 0 at the deadline, -EINTR, -ENOMEM. May sleep. */
NODISCARD int poll_files(struct abi_pollfd *fds, size_t n, unsigned always, uint64_t deadline_ns);

/* Now, in ns on the clock of deadlines. */
uint64_t poll_now(void);

#endif
