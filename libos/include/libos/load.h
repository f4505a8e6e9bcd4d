/* SPDX-License-Identifier: MIT */
/* Program loading: execve(2). */
#ifndef LIBOS_LOAD_H
#define LIBOS_LOAD_H

#include <base/compiler.h>
#include <base/types.h>

/* Make the current thread, the first of the first process, run the program at path; argv and envp are NULL-terminated
 * libOS memory. On 0 the caller returns to ring 3, at the program's entry. Errnos as exec_program; nothing has changed then.
 * May sleep. */
NODISCARD int exec_first(const char *path, char *const argv[], char *const envp[]);

/* execveat(2): path is libOS memory, argv and envp user addresses of NULL-terminated arrays of strings (0: empty).
 * flags: AT_EMPTY_PATH, AT_SYMLINK_NOFOLLOW. On 0 the thread returns to ring 3 at the program's entry, as the only
 * thread of its process. -E2BIG, -EACCES, -EAGAIN, -EBADF, -EFAULT, -EINVAL, -EIO, -EISDIR, -ELIBBAD, -ELOOP,
 * -ENAMETOOLONG, -ENOENT, -ENOEXEC, -ENOMEM, -ENOTDIR, -EPERM, -ETXTBSY. May sleep. Spec: execve(2), System V ABI
 * x86-64 3.4. */
NODISCARD int exec_program(int dirfd, const char *path, unsigned flags, uintptr_t argv,
                           uintptr_t envp);

#endif
