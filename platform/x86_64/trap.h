/* SPDX-License-Identifier: MIT */
/* What entry.S calls, and the table that interrupts go through. */
#ifndef X86_64_TRAP_H
#define X86_64_TRAP_H

#include <base/compiler.h>
#include <base/types.h>
#include <plat/thread.h>

/* Exceptions of ring 3 and of ring 0. error: the CPU's code or 0. Ring 0 takes page faults of user copies; everything
 * else there ends the machine. */
void x86_trap_user(unsigned vector, unsigned long error, struct plat_frame *frame);
void x86_trap_kernel(unsigned vector, unsigned long error, struct plat_frame *frame);

/* Interrupt: the stub's byte, vector minus 128, sign-extended, and what it interrupted. */
void x86_interrupt(long stub, const struct plat_frame *frame);

/* Pending work until there is none; the frame is fit for IRET afterwards. */
void x86_user_exit_work(struct plat_frame *frame);

/* Print where frame f was, with the return addresses of ring 0. */
void x86_say_stack(const struct plat_frame *f);

/* Print a number in hexadecimal and a text on the console; for code that may run when nothing else works. */
void x86_say(const char *text);
void x86_say_hex(const char *name, uint64_t value);

#endif
