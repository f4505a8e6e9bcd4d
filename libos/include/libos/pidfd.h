/* SPDX-License-Identifier: MIT */
/* pidfd_open(2): a file that stands for a process, also after its number went to another one. */
#ifndef LIBOS_PIDFD_H
#define LIBOS_PIDFD_H

#include <libos/process.h>

struct file;

/* A file for p, or for t of it if not NULL, of which it takes references. flags: PIDFD_NONBLOCK. -ENFILE, -ENOMEM. */
NODISCARD int pidfd_create(struct process *p, struct thread *t, unsigned flags,
                           struct file **ret_file);
/* The same for the process with this number, or with PIDFD_THREAD in flags for the thread. -ESRCH, -ENOENT: not a leader of a thread
 * group, -ENOMEM. */
NODISCARD int pidfd_open(int pid, unsigned flags, struct file **ret_file);
/* The process of descriptor fd, and the thread if it stands for one (else NULL), with references; the file's O_* flags. -EBADF: not a
 * pidfd. */
NODISCARD int pidfd_target(int fd, struct process **ret_p, struct thread **ret_t,
                           unsigned *ret_flags);
/* The process of descriptor fd, with a reference, and the file's O_* flags. -EBADF: not a pidfd. */
NODISCARD int pidfd_process(int fd, struct process **ret_p, unsigned *ret_flags);
/* Has t not ended? */
bool thread_alive(const struct thread *t);
/* A thread of p that is alive, the leader first, with a reference; NULL. */
struct thread *process_some_thread(struct process *p);

#endif
