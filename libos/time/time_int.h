/* SPDX-License-Identifier: MIT */
/* What the files of libos/time share. */
#ifndef TIME_TIME_INT_H
#define TIME_TIME_INT_H

#include <base/types.h>

struct process;

/* Fire the interval timers that are due at cpu_ns of the process's CPU time. When the next one is, UINT64_MAX: none. */
uint64_t itimer_cpu_check(struct process *p, uint64_t cpu_ns);
void itimer_init(struct process *p);
void itimer_exit(struct process *p);
/* The same for POSIX timers on the process's or a thread's CPU time. */
uint64_t ktimer_cpu_check(struct process *p, uint64_t cpu_ns);
void ktimer_exit(struct process *p);

#endif
