/* SPDX-License-Identifier: MIT */
/* Whether a thread may read the time stamp counter: PR_SET_TSC of prctl(2). */
#ifndef LIBOS_TSC_H
#define LIBOS_TSC_H

#include <base/types.h>

/* Let the current thread read it, or have it get SIGSEGV when it tries. Threads and processes that it makes inherit that, and so does
 * the program that it becomes. */
void thread_set_tsc(bool may_read);
/* May the current thread read it? */
bool thread_tsc(void);

#endif
