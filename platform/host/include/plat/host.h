/* SPDX-License-Identifier: MIT */
/* The host platform's additions to the seam, for test programs. */
#ifndef PLAT_HOST_H
#define PLAT_HOST_H

/* Set the machine up: memory arena, traps, messages to standard error. Called first, once. */
void plat_host_init(void);

/* Make the current libOS thread go on at fn, on a stack of its own, when it returns to "ring 3". For the start function
 * of a test's first thread, in the place where a program would be loaded. fn does not return. */
void plat_host_enter(void (*fn)(void));

/* A system call from "ring 3"; the result or a negative errno. */
long plat_host_syscall(long nr, long a0, long a1, long a2, long a3, long a4, long a5);

#endif
