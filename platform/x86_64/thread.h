/* SPDX-License-Identifier: MIT */
/* What signal.c and trap.c need of threads. */
#ifndef X86_64_THREAD_H
#define X86_64_THREAD_H

#include <plat/thread.h>

/* plat_thread.flags */
enum {
    X86_THREAD_SLOW = 1,    /* the frame was changed */
    X86_THREAD_PROGRAM = 2, /* runs a relinked program's code in ring 0 (relink.c) */
    X86_THREAD_DOORBELL =
        4, /* its CPU's doorbell has rung: it does not go to ring 3 before that was served */
};

/* Each is one instruction: #HV, which sets a flag of its own, comes between any two (cc/doorbell.h). */
static inline void x86_thread_flags_set(struct plat_thread *t, uint32_t bits)
{
    __asm__ volatile("orl %1, %0" : "+m"(t->flags) : "ri"(bits) : "cc");
}

static inline void x86_thread_flags_clear(struct plat_thread *t, uint32_t bits)
{
    __asm__ volatile("andl %1, %0" : "+m"(t->flags) : "ri"(~bits) : "cc");
}

/* Write t's FPU registers to t->fpu when they are in the CPU, every component; and load them from there. */
void x86_thread_sync_fpu(struct plat_thread *t);
void x86_thread_load_fpu(struct plat_thread *t);

/* Load what a new program and a signal handler start with; t is the current thread. */
void x86_thread_init_fpu(struct plat_thread *t);

#endif
