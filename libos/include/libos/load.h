/* SPDX-License-Identifier: MIT */
/* Programs: loading an ELF file or a script into an address space. execve(2), elf(5). */
#ifndef LIBOS_LOAD_H
#define LIBOS_LOAD_H

#include <base/compiler.h>
#include <base/types.h>

/* Make the current thread, the first of the first process, the program at path (absolute); argv and envp are
 * NULL-terminated libOS memory. It enters the program when its start function returns. The errnos of execve(2). */
NODISCARD int exec_first(const char *path, char *const argv[], char *const envp[]);

#endif
