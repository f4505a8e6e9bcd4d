/* SPDX-License-Identifier: MIT */
/* Signals: sending, waiting, delivery. signal(7) is the specification. */
#ifndef LIBOS_SIGNAL_H
#define LIBOS_SIGNAL_H

#include <abi/errno.h> /* ERESTARTSYS and its family */
#include <libos/process.h>

/* Send info->si_signo to one thread, or to a process (any thread that can take it). No permission check.
 * 0, -EAGAIN (queue limit reached for a real-time signal), -ESRCH (it has ended). May be called with RANK_PROCESS
 * or a lower rank held, and from timers. */
int signal_send_thread(struct thread *t, const struct abi_siginfo *info);
int signal_send_process(struct process *p, const struct abi_siginfo *info);
/* Send from libOS: si_code SI_KERNEL. And to all of a process group; process_lock is not held. -ESRCH: no such group. */
void signal_kernel(struct process *p, int sig);
int signal_send_group(int pgid, const struct abi_siginfo *info);

/* A fault of the current thread: cannot be blocked or ignored (the process is then killed). */
void signal_fault(int sig, int code, uintptr_t addr, unsigned long trap_nr,
                  unsigned long trap_error);

/* May the current thread send sig to p, or to t (kill(2))? 0, -EPERM. Locks: takes sig_lock. */
NODISCARD int signal_permission(struct process *p, int sig);
NODISCARD int signal_permission_thread(struct thread *t, int sig);
/* The name, as "SIGSEGV"; real-time signals are all "SIGRT". */
const char *signal_name(int sig);

/* Deliver what is pending to the current thread; called from upcall_user_return. Also restarts or fails the
 * interrupted system call. */
void signal_deliver(struct plat_frame *frame);
/* rt_sigreturn: the value that the frame's return register had. */
long signal_return(void);

/* The same with all of info; fatal: not even by a handler. */
void signal_force_info(struct thread *t, const struct abi_siginfo *info, bool fatal);

/* Send a synchronous signal to the current thread that it cannot escape; fatal: not even by a handler. */
void signal_force(bool fatal, int sig);
/* sigaltstack: -EINVAL, -EPERM (running on it), -ENOMEM (too small). And the SS_* flags that it reports at stack pointer sp. */
NODISCARD int signal_alt_stack(uintptr_t sp, size_t size, int flags);
int signal_alt_flags(const struct thread *t, uintptr_t sp);
/* What sigaltstack(2) reports now. */
void signal_alt_get(struct abi_stack *ret);

/* Replace the current thread's mask. Never blocks SIGKILL and SIGSTOP. */
void signal_set_mask(uint64_t mask);
/* Until the next return to ring 3: mask is in force, then the old one (or the handler's frame saves it). */
void signal_set_mask_temporarily(uint64_t mask);
/* Change or read an action. -EINVAL: not a signal, or SIGKILL/SIGSTOP. old may be NULL, new too. */
NODISCARD int signal_action(int sig, const struct abi_sigaction *new, struct abi_sigaction *old);
/* The same where the program gives a new action and does not ask for the old one. -EFAULT too. */
NODISCARD long signal_install(int sig, user_sigaction_in_t act);
/* Take one pending signal out of set, or sleep until deadline for it (sigtimedwait). The number, -EAGAIN, -EINTR. */
int signal_take(uint64_t set, struct abi_siginfo *ret, uint64_t deadline_ns);
/* What is pending for the current thread and its process. */
uint64_t signal_pending(void);
/* signalfd: one pending signal in set, no sleeping; false. The queue to wait on. */
bool signal_take_now(uint64_t set, struct abi_siginfo *ret);
struct waitq *signal_waitq(void);

/* execve: caught signals become default, alternate stack goes. */
void signal_exec(struct thread *t);

#endif
