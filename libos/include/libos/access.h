/* SPDX-License-Identifier: MIT */
/* What one process may see of another, and how to hold on to what the other shares. ptrace(2), "Ptrace access mode
 * checking". */
#ifndef LIBOS_ACCESS_H
#define LIBOS_ACCESS_H

#include <libos/process.h>

enum access_mode {
    ACCESS_READ = 1,   /* look: /proc, kcmp */
    ACCESS_ATTACH = 2, /* change: ptrace, process_vm_writev, pidfd_getfd; Yama's scope counts too */
    ACCESS_FSCREDS = 8,    /* by file-system ids and effective capabilities */
    ACCESS_REALCREDS = 16, /* by real ids and permitted capabilities */
};

/* May the current thread do this to t? mode: one of READ and ATTACH with one of FSCREDS and REALCREDS. 0, -EPERM.
 * Locks: takes process_lock, sig_lock. */
NODISCARD int thread_may_access(struct thread *t, unsigned mode);

/* What t shares, with a reference; NULL: none, or it is ending. */
struct mm *thread_mm_get(struct thread *t);
struct fd_table *thread_fds_get(struct thread *t);
struct fs_context *thread_fs_get(struct thread *t);
/* Its credentials, with a reference. */
struct cred *thread_cred_get(struct thread *t);

/* Is the current thread's effective user t's real or effective one? What most calls ask who set things of other processes.
 * Locks: takes sig_lock. */
bool thread_same_owner(struct thread *t);

/* Yama's kernel.yama.ptrace_scope: 0 classic rules (Debian's default), 1 only descendants and PR_SET_PTRACER, 2 only
 * CAP_SYS_PTRACE, 3 nobody. Setting: -EINVAL (not 0 to 3, or 3 is in force). */
int access_scope(void);
NODISCARD int access_set_scope(int scope);
/* PR_SET_PTRACER of the current process: 0 nobody, -1 anybody, or a pid. -EINVAL: no such process. */
NODISCARD int access_set_ptracer(long pid);

#endif
