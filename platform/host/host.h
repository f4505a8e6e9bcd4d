/* SPDX-License-Identifier: MIT */
/* Private to platform/host: what its files share. */
#ifndef HOST_H
#define HOST_H

#include <plat/thread.h>

enum {
    HOST_STACK_SIZE = 256 * 1024, /* kernel stack: sanitized code is hungry */
    HOST_ALT_SIZE = 64 * 1024,    /* stack on which the process's own signals run */
};

/* True while libOS runs: a timer signal then only leaves a mark. */
extern volatile int host_in_kernel;
/* A timer signal came while libOS ran. */
extern volatile int host_timer_due;

/* Install the process's signal handlers (SIGSEGV, SIGBUS, SIGALRM and the exceptions) for libOS. */
void host_traps_init(void);
/* Make alt the signal stack from now on. */
void host_use_altstack(struct plat_thread *t);
/* Upcalls that are due before ring 3 goes on: timer, work. */
void host_leave(struct plat_frame *frame);
/* Whether the active address space has a leaf at va. */
bool host_present(uintptr_t va);
/* The memory file that the arena maps. */
int host_arena_fd(void);

/* host_asm.S */
extern char host_syscall_insn[];
NORETURN void host_enter_user(struct plat_frame *frame);
void host_thread_start(void);
/* A system call of "ring 3", as syscall(2) but with libOS's negative errno. Declared for tests in plat_host.h. */
long plat_host_syscall(long nr, long a0, long a1, long a2, long a3, long a4, long a5);
long host_syscall_c(struct plat_frame *frame);

#endif
