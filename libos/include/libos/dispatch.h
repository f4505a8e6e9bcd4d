/* SPDX-License-Identifier: MIT */
/* PR_SET_SYSCALL_USER_DISPATCH: system calls that the program handles itself. All for the current thread. */
#ifndef LIBOS_DISPATCH_H
#define LIBOS_DISPATCH_H

#include <base/compiler.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct thread;

/* prctl's arguments. -EINVAL, -EFAULT. */
NODISCARD int dispatch_set(unsigned long mode, uintptr_t start, size_t size, uintptr_t selector);
/* A new program begins without. */
void dispatch_exec(struct thread *t);
/* May t, which has it switched on, make the call in its frame? False: it got a signal instead. */
bool dispatch_check(struct thread *t);

#endif
