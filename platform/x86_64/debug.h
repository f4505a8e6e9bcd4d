/* SPDX-License-Identifier: MIT */
/* What thread.c, trap.c and cpu.c need of debug.c. */
#ifndef X86_64_DEBUG_H
#define X86_64_DEBUG_H

#include <plat/thread.h>

struct x86_cpu;

/* plat_thread.special: the thread wants something of the CPU that others do not. */
enum {
    X86_SPECIAL_CALLS = 1, /* system calls take the traced entry */
    X86_SPECIAL_DEBUG = 2, /* debug registers are in use */
    X86_SPECIAL_STEP = 4,  /* the trace flag in the frame is the debugger's */
    X86_SPECIAL_NO_TSC = 8 /* the time stamp counter may not be read in ring 3 */
};

/* Load into this CPU what t wants, or what is usual. */
void x86_debug_switch(struct x86_cpu *c, const struct plat_thread *t);
/* The entry of system calls on this CPU (cpu.c). */
void x86_set_syscall_entry(bool traced);
/* #DB from ring 3, and from ring 0. */
void x86_debug_trap(struct plat_frame *f);
void x86_debug_trap_kernel(void);

#endif
