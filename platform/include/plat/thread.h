/* SPDX-License-Identifier: MIT */
/* A thread as the machine sees it: registers in ring 3 (the frame), a kernel stack, FPU state, TLS bases. libOS
 * embeds struct plat_thread as the first member of its own thread. */
#ifndef PLAT_THREAD_H
#define PLAT_THREAD_H

#include <base/compiler.h>
#include <base/types.h>
#include <plat_arch/thread.h> /* struct plat_thread, struct plat_frame, plat_current(), plat_percpu() */

/* Common to every architecture, in struct plat_thread:
 *   _Atomic uint32_t work    not 0: upcall_user_return is called before the thread goes back to ring 3
 *   struct plat_frame *frame the registers of ring 3, at the top of the kernel stack; valid while in ring 0 */

/* Prepare t to run fn(arg) on its own kernel stack at its first switch. When fn returns, the thread goes to ring 3
 * with what is in t->frame. fn starts with interrupts off. -ENOMEM: no kernel stack or FPU state. */
NODISCARD int plat_thread_init(struct plat_thread *t, void (*fn)(void *arg), void *arg);

/* Free the kernel stack and FPU state. The thread does not run any more and is not current anywhere. */
void plat_thread_fini(struct plat_thread *t);

/* The part of plat_thread_switch that does not change the stack; only it calls this. */
void plat_thread_load(struct plat_thread *prev, struct plat_thread *next);

/* Switch this CPU from prev (which is current) to next; returns when prev is switched to again. FPU state and TLS
 * bases change, the address space does not (plat_aspace_activate). Interrupts are off. */
static ALWAYS_INLINE void plat_thread_switch(struct plat_thread *prev, struct plat_thread *next)
{
    plat_thread_load(prev, next);
    plat_stack_switch(&prev->kernel_sp, next->kernel_sp); /* of plat_arch/thread.h */
}

/* Turn the CPU's boot stack into thread t (the CPU's idle thread), so that it can be switched from. */
void plat_thread_adopt(struct plat_thread *t);

/* Give child the registers, FPU state and TLS bases of parent (the current thread). */
void plat_thread_copy(struct plat_thread *child, struct plat_thread *parent);

/* Reset all registers, FPU state and TLS bases to what execve(2) promises, starting at entry with stack pointer sp. */
void plat_thread_exec(struct plat_thread *t, uintptr_t entry, uintptr_t sp);

/* Registers in the frame by role. Setting one makes the slow way back to ring 3 load all of them. */
uintptr_t plat_frame_ip(const struct plat_frame *f);
void plat_frame_set_ip(struct plat_frame *f, uintptr_t ip);
uintptr_t plat_frame_sp(const struct plat_frame *f);
void plat_frame_set_sp(struct plat_frame *f, uintptr_t sp);
void plat_frame_set_ret(struct plat_frame *f, long ret);
long plat_frame_ret(const struct plat_frame *f);
/* The number of the system call that this frame entered by, or -1: an interrupt or fault. */
long plat_frame_nr(const struct plat_frame *f);
/* The i-th argument (0 to 5) of the system call. */
unsigned long plat_frame_arg(const struct plat_frame *f, unsigned i);
/* Make the thread execute its system call again when it returns to ring 3, under number nr. */
void plat_frame_restart(struct plat_frame *f, long nr);

/* TLS bases of t (arch_prctl). Setting -EPERM: not an address of user memory. */
NODISCARD int plat_thread_set_fs(struct plat_thread *t, uintptr_t base);
NODISCARD int plat_thread_set_gs(struct plat_thread *t, uintptr_t base);
uintptr_t plat_thread_fs(struct plat_thread *t);
uintptr_t plat_thread_gs(struct plat_thread *t);

/* What a signal frame is built from. Layouts are the Linux x86-64 ABI (struct rt_sigframe). */
enum { PLAT_SIGINFO_SIZE = 48 };
struct plat_signal {
    int number;
    uintptr_t handler, restorer; /* from sigaction */
    bool siginfo; /* always true in the 64-bit ABI; the handler gets three arguments */
    const void *
        info; /* how a siginfo begins, PLAT_SIGINFO_SIZE bytes; the program sees zeros behind them */
    uint64_t mask;      /* to restore at sigreturn */
    uintptr_t stack_sp; /* 0: below the current stack pointer (red zone kept), else the top of the
                                    alternate stack to start from */
    uintptr_t alt_sp;   /* what uc_stack says: base, size, flags */
    size_t alt_size;
    int alt_flags;
    uintptr_t fault_addr; /* cr2, trapno, err of the fault that raised it, or 0 */
    unsigned long trap_nr, trap_error;
};

/* Write a signal frame to the user stack of the current thread (registers, extended FPU state, siginfo) and make the
 * thread enter the handler. 0, or -EFAULT: the stack cannot be written; registers are unchanged. */
NODISCARD int plat_signal_push(struct plat_thread *t, const struct plat_signal *s);

/* Undo it (rt_sigreturn): take registers and FPU state from the user stack, sanitised: selectors are user ones, IOPL
 * and other system flags stay, the FPU state is checked. ret_mask and the alternate stack fields of ret are filled.
 * 0, -EFAULT: the frame cannot be read or is malformed; registers are then unchanged. */
NODISCARD int plat_signal_pop(struct plat_thread *t, struct plat_signal *ret);

#endif
