/* SPDX-License-Identifier: MIT */
/* ptrace(2): who traces whom, the stops of a tracee, and what its tracer may do to it meanwhile. */
#ifndef LIBOS_TRACE_H
#define LIBOS_TRACE_H

#include <abi/ptrace.h>
#include <libos/process.h>

/* The current thread is to be traced by its parent. -EPERM: it is traced, or its parent may not. */
NODISCARD int trace_me(void);
/* Become t's tracer: by ATTACH (which stops it), or SEIZE with options. -EPERM. */
NODISCARD int trace_attach(struct thread *t, bool seize, unsigned options);
/* May the current thread make requests to t, which has stopped for it? any_state: running as well. -ESRCH. */
NODISCARD int trace_check(struct thread *t, bool any_state);

/* How a tracee goes on. */
enum trace_mode {
    TRACE_RUN,     /* until something happens */
    TRACE_CALLS,   /* until the next system call too */
    TRACE_EMULATE, /* the same, which is then not done */
};
/* Let a stopped tracee go on, with signal sig (0: none). step: for one instruction. */
void trace_resume(struct thread *t, enum trace_mode mode, bool step, int sig);
/* Stop tracing t; it goes on with signal sig. */
void trace_detach(struct thread *t, int sig);
/* PTRACE_INTERRUPT, PTRACE_LISTEN: -EIO: not seized, or not in a group stop. */
NODISCARD int trace_interrupt(struct thread *t);
NODISCARD int trace_listen(struct thread *t);
/* PTRACE_SETOPTIONS. -EINVAL, -EPERM (SUSPEND_SECCOMP). */
NODISCARD int trace_set_options(struct thread *t, unsigned long options);
/* The signal that t stopped for: read it, or replace it. -EINVAL: not that kind of stop. */
NODISCARD int trace_get_siginfo(struct thread *t, struct abi_siginfo *ret);
NODISCARD int trace_set_siginfo(struct thread *t, const struct abi_siginfo *info);
/* The n-th signal that waits, of t or of its process; false: there are no more. */
bool trace_peek_siginfo(struct thread *t, bool shared, uint64_t n, struct abi_siginfo *ret);
/* Replace t's signal mask. */
void trace_set_mask(struct thread *t, uint64_t mask);
/* PTRACE_GET_SYSCALL_INFO: fill *ret; its valid bytes. */
size_t trace_syscall_info(struct thread *t, struct abi_ptrace_syscall_info *ret);

/* Registers of a stopped t. NT_*: at most size bytes into buf, which has TRACE_REGSET_MAX; how many, -EINVAL (no such set).
 * Setting: buf is changed. -EINVAL, -EIO, -EFAULT (not all of it). */
enum { TRACE_REGSET_MAX = 4096 };
int trace_regset_get(struct thread *t, unsigned type, void *buf, size_t size);
NODISCARD int trace_regset_set(struct thread *t, unsigned type, void *buf, size_t size);
/* One word of struct user. -EIO: no such offset or value; -EINVAL, -ENOMEM: debug registers. */
NODISCARD int trace_peek_user(struct thread *t, uintptr_t offset, unsigned long *ret);
NODISCARD int trace_poke_user(struct thread *t, uintptr_t offset, unsigned long value);

/* For the traced thread itself. */

/* Stop and tell the tracer if it wants to hear of this event (PTRACE_EVENT_*). */
void trace_event(unsigned event, unsigned long message);
/* A system call begins by the traced entry: true: do the call that is in args and *nr now; false: skip it, its result is in
 * *ret. May not return. */
bool trace_call_begin(unsigned long args[6], unsigned long *nr, long *ret);
/* It ended with ret: what the program gets. */
long trace_call_end(long ret);
/* Let t's system calls take the traced entry if anybody wants that. sig_lock is held, or t is not published. */
void trace_update_calls(struct thread *t);

/* For clone, before child is published. event: PTRACE_EVENT_* that the parent will report, or 0. process_lock is held. */
void trace_inherit(struct thread *child, bool wanted);
/* Which event clone would report with these flags, if the tracer wants it: PTRACE_EVENT_*, 0. */
unsigned trace_clone_event(uint64_t flags, int exit_signal);
/* Number of t's tracer; 0. */
int trace_tracer_pid(struct thread *t);

#endif
