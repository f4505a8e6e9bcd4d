/* SPDX-License-Identifier: MIT */
/* pidfd_open(2): a file that stands for a process, also after its number went to another one. */
#ifndef LIBOS_PIDFD_H
#define LIBOS_PIDFD_H

#include <libos/process.h>

struct file;

/* A file for p, of which it takes a reference. flags: PIDFD_NONBLOCK. -ENFILE. */
NODISCARD int pidfd_create(struct process *p, unsigned flags, struct file **ret_file);
/* The same for the process with this number. -ESRCH, -EINVAL: not a leader of a thread group. */
NODISCARD int pidfd_open(int pid, unsigned flags, struct file **ret_file);
/* The process of descriptor fd, with a reference, and the file's O_* flags. -EBADF: not a pidfd. */
NODISCARD int pidfd_process(int fd, struct process **ret_p, unsigned *ret_flags);
/* A thread of p that is alive, the leader first, with a reference; NULL. */
struct thread *process_some_thread(struct process *p);

#endif
