/* SPDX-License-Identifier: MIT */
/* System calls of a relinked program: an ordinary function call into libOS, no trap, no change of privilege. */
#ifndef ALCOVE_SYSCALL_H
#define ALCOVE_SYSCALL_H

#ifdef __cplusplus
extern "C" {
#endif

/* Make Linux system call nr (the x86-64 number) with up to six arguments; those that it does not have are ignored.
 * The result, or a negative Linux errno. Pointers may be to any memory of the program. */
long alcove_syscall(long nr, long a0, long a1, long a2, long a3, long a4, long a5);

#ifdef __cplusplus
}
#endif

#endif
