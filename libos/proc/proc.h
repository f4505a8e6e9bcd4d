/* SPDX-License-Identifier: MIT */
/* What the files of libos/proc share. */
#ifndef PROC_PROC_H
#define PROC_PROC_H

#include <libos/futex.h>
#include <libos/process.h>
#include <libos/signal.h>

/* The process whose end ends the VM. */
struct process *process_first(void);
/* Tree and table; process_lock is held. process_link takes a reference for the table, which process_unlink's caller drops
 * by process_release, without the lock. */
void process_link(struct process *p, struct process *parent, int pid);
void process_unlink(struct process *p);
/* Drop the table's reference of a process that was unlinked, and what is left of its leader. No lock is held. */
void process_release(struct process *p);

/* The two halves of thread_publish: with process_lock held, and when that was let go after success. */
NODISCARD int thread_publish_locked(struct thread *t, bool traced);
void thread_published(struct thread *t);

/* Signal actions, all default. NULL: out of memory. */
struct sighand *sighand_create(void);
NODISCARD int sighand_copy(struct sighand *src, bool clear_handlers, struct sighand **ret_sighand);
/* The handler of sig now. What is done with it is settled by the caller's lock, or a race that Linux has too. */
uintptr_t sighand_handler(const struct sighand *s, int sig);
/* A copy of the action of sig. */
void sighand_get_action(struct sighand *s, int sig, struct abi_sigaction *ret);
void sighand_set_default(struct sighand *s, int sig);
/* The real user id of p, ended or not. process_lock is held. */
uint32_t process_uid(const struct process *p);
struct sighand *sighand_get(struct sighand *s);
void sighand_put(struct sighand *s);

/* Drop all signals that wait in q; sig_lock is held, or nobody else can see q. */
void sigpending_clear(struct sigpending *q);
/* Set or clear WORK_SIGNAL of t by what is pending and not blocked. sig_lock is held. */
static inline void signal_update_work(struct thread *t)
{
    uint64_t all = t->pending.set | t->process->pending.set;
    if (UNLIKELY((all & ~t->sigmask) || t->trace.pending ||
                 (t->process->stopped && !t->trace.tracer)))
        thread_set_work(t, WORK_SIGNAL);
    else if (t == thread_current())
        thread_clear_work(
            t, WORK_SIGNAL); /* only by the thread itself: a call it is in may have seen it */
}
/* Threads other than t look again at the process's pending signals, because t goes. sig_lock is held. */
void signal_retarget(struct thread *t, uint64_t set);
/* The group ends with status: all threads but the current one are told to die. sig_lock is held. */
void process_begin_exit(struct process *p, int status);
/* The current thread dies of info, whose signal dumps core: write it, if that is wanted; true if it was. Ends the group. */
bool core_dump(const struct abi_siginfo *info);
/* t, the current thread, ends: wait as long as the core file of its process is being written. sig_lock is held, and let go
 * meanwhile. */
void core_park(struct thread *t);
/* The signals of faults. */
#define SYNCHRONOUS                                                                                \
    (ABI_SIGBIT(SIGSEGV) | ABI_SIGBIT(SIGBUS) | ABI_SIGBIT(SIGILL) | ABI_SIGBIT(SIGTRAP) |         \
     ABI_SIGBIT(SIGFPE) | ABI_SIGBIT(SIGSYS))
/* Is this signal ignored by its default action? */
bool signal_ignored_by_default(int sig);
bool signal_stops_by_default(int sig);
bool signal_dumps_by_default(int sig);
/* Take the next signal of set for t. Its number, 0: none. Of *ret the first SIGINFO_KEPT bytes are written. sig_lock is held. */
int signal_dequeue(struct thread *t, uint64_t set, struct abi_siginfo *ret);
/* Clear what signal_dequeue has not written of info, for who looks at all of it. */
static inline void siginfo_complete(struct abi_siginfo *info)
{
    __builtin_memset((char *)info + SIGINFO_KEPT, 0, sizeof(*info) - SIGINFO_KEPT);
}
/* Remove all of set from q. sig_lock is held. */
void sigpending_flush(struct sigpending *q, uint64_t set);

/* A one-time event. */
struct completion {
    struct waitq wait;
    bool done;
};
void completion_init(struct completion *c);
void completion_done(struct completion *c);

#endif
