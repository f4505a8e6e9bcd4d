/* SPDX-License-Identifier: MIT */
/* What the files of libos/time share. */
#ifndef TIME_TIME_INT_H
#define TIME_TIME_INT_H

#include <base/types.h>

struct cpu_told;
struct process;

/* Fire the interval timers that are due when the process has had *cpu. The CPU time until the next one, UINT64_MAX: none. */
uint64_t itimer_cpu_check(struct process *p, const struct cpu_told *cpu);
void itimer_init(struct process *p);
void itimer_exit(struct process *p);
/* The same for POSIX timers on the process's or a thread's CPU time. */
uint64_t ktimer_cpu_check(struct process *p, const struct cpu_told *cpu);
void ktimer_exit(struct process *p);

#endif
