/* SPDX-License-Identifier: MIT */
/* System call filters of a thread: seccomp(2). */
#ifndef LIBOS_SECCOMP_H
#define LIBOS_SECCOMP_H

#include <abi/seccomp.h>
#include <libos/thread.h>

struct file;
struct seccomp_filter;

/* Decide on the system call in the current thread's frame. True: do it. False: skip it; its result is in the frame, and a
 * signal may be on its way. May sleep (notifications, tracers); may not return (strict mode, KILL_THREAD). */
bool seccomp_check(struct thread *t);

/* SECCOMP_SET_MODE_STRICT for the current thread. -EINVAL: it has filters. */
NODISCARD int seccomp_set_strict(void);
/* SECCOMP_SET_MODE_FILTER: take_prog (n instructions, from heap_alloc) becomes the newest filter. flags:
 * SECCOMP_FILTER_FLAG_*. 0; the new descriptor (NEW_LISTENER); a thread's number (TSYNC: it has other filters); -EINVAL,
 * -EACCES (no no_new_privs), -EBUSY (a second listener), -ENOMEM, -ESRCH, -EMFILE, -ENFILE. */
long seccomp_set_filter(struct abi_sock_filter *take_prog, unsigned n, unsigned flags);
/* Does an action's value exist? */
bool seccomp_action_known(uint32_t action);

/* A new thread has the filters of the current one. */
void seccomp_inherit(struct thread *child, const struct thread *from);
/* t ends: it no longer counts for those who listen. */
void seccomp_exit(struct thread *t);
/* Filters that apply to t. */
unsigned seccomp_count(const struct thread *t);

/* The program of t's filter number off, counted from the oldest: *ret_n instructions in *ret, the caller's to free with heap_free;
 * log: SECCOMP_FILTER_FLAG_LOG was given. t has stopped for the current thread, its tracer. -EACCES: the caller is no administrator, or
 * filtered itself; -EINVAL: t has no filters, -ENOENT: not so many, -ENOMEM. */
NODISCARD int seccomp_get_filter(struct thread *t, uint64_t off, struct abi_sock_filter **ret,
                                 unsigned *ret_n, bool *ret_log);

#endif
