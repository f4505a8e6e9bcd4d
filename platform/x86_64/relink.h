/* SPDX-License-Identifier: MIT */
/* What the traps and entry.S need of relink.c. */
#ifndef X86_64_RELINK_H
#define X86_64_RELINK_H

#include <base/types.h>
#include <plat/thread.h>

/* Serve the pending work after alcove_syscall; its result with the restart codes turned into -EINTR. */
long x86_relink_result(long result);

/* An interrupt hit ring 0: if that was the program's code, serve the pending work before going back. */
void x86_relink_interrupted(void);

/* Whether the current thread runs the program's code. */
bool x86_relink_runs(void);

/* A trap in ring 0: true when it was the program's affair and has been served. */
bool x86_relink_trap(unsigned vector, unsigned long error, struct plat_frame *f);

#endif
