/* SPDX-License-Identifier: MIT */
/* The pid table: private to libos/proc. A number is taken while a thread, a process, a process group or a session has it.
 * All functions need process_lock. */
#ifndef PROC_PID_H
#define PROC_PID_H

#include <libos/process.h>

enum { PID_MAX = 32768 }; /* exclusive */

struct pid_slot {
    struct thread *thread;   /* with this tid, alive */
    struct process *process; /* with this pid, until it is reaped */
    uint32_t users; /* processes whose group or session has this number, and reservations */
};

/* Take a free number, or the one that is wanted (0: any). -EAGAIN: none, -EEXIST: that one is taken, -ENOMEM. */
NODISCARD int pid_alloc(int wanted);
/* The slot of a number that is taken; NULL: no such. */
struct pid_slot *pid_slot(int pid);
/* The first number from pid on that may be taken; PID_MAX: none. Steps over what was never used. */
int pid_next(int pid);
/* Note that one more, or one less, uses the number. */
void pid_use(int pid);
void pid_unuse(int pid);

#endif
