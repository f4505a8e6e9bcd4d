/* SPDX-License-Identifier: MIT */
/* Who is told by a signal of what happens to an open file: F_SETOWN, F_SETSIG, O_ASYNC; leases and F_NOTIFY tell him too. */
#ifndef LIBOS_OWNER_H
#define LIBOS_OWNER_H

#include <base/compiler.h>
#include <base/types.h>

struct file;
struct file_owner;

/* Make type and pid (F_OWNER_*, 0: nobody) the one who is told. -ESRCH: no such one, -ENOMEM. */
NODISCARD int file_set_owner(struct file *f, int type, int pid);
/* The same where nobody was named yet. */
NODISCARD int file_set_owner_first(struct file *f, int type, int pid);
/* Who is told; pid 0: nobody, or it has gone. */
void file_get_owner(struct file *f, int *ret_type, int *ret_pid);
/* F_SETSIG (0: SIGIO without details) and F_GETSIG. -EINVAL, -ENOMEM. */
NODISCARD int file_set_signal(struct file *f, unsigned long sig);
int file_get_signal(struct file *f);
/* The last reference to f goes: nobody is told any more. */
void file_owner_leave(struct file *f);

/* Tell f's owner, if there is one, that code (POLL_*) happened, with descriptor fd. Callable as deferred_queue is. */
void file_owner_tell(struct file *f, int code, int fd);
/* Urgent data has come for f: SIGURG, whether O_ASYNC is set or not. Callable as deferred_queue is. */
void file_owner_urgent(struct file *f);

#endif
