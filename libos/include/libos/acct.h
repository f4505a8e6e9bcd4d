/* SPDX-License-Identifier: MIT */
/* Process accounting, acct(2). */
#ifndef LIBOS_ACCT_H
#define LIBOS_ACCT_H

#include <base/compiler.h>
#include <base/types.h>

struct file;
struct process;

/* Write records to take_f, open to append, from now on; NULL: to no file. -EACCES: no regular file. May sleep. */
NODISCARD int acct_set(struct file *take_f);
/* p, the current process, ends with its last thread, after having mapped so many pages: leave its record. May sleep. */
void acct_process(struct process *p, uint64_t pages);

#endif
