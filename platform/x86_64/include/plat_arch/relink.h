/* SPDX-License-Identifier: MIT */
/* A program linked into the image (alcove-cc): its code runs in ring 0 on stacks of its own, with interrupts on and with
 * access to user pages (EFLAGS.AC), and enters libOS by calls. Compiled with CONFIG_RELINK only. */
#ifndef PLAT_ARCH_RELINK_H
#define PLAT_ARCH_RELINK_H

#include <base/compiler.h>
#include <base/types.h>

/* Leave libOS for good: run fn(arg) as the program's code, from stack_top (16-byte aligned, memory that is always present)
 * down. fn does not return. The current thread has registers of its own (plat_thread_exec or plat_thread_copy). */
NORETURN void x86_relink_run(void (*fn)(void *arg), void *arg, void *stack_top);

/* The program's code calls into libOS: interrupts off, user pages out of reach; and back, after the pending work. Every
 * function of libOS that the program may call begins and ends so; alcove_syscall does it by itself. */
void x86_relink_begin(void);
void x86_relink_end(void);

#endif
