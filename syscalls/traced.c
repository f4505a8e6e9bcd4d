/* SPDX-License-Identifier: MIT */
/* The other entry of system calls. Costs nothing when off: the entry code calls upcall_syscall_traced in place of
 * upcall_syscall only while calls are decoded, or for a thread that is traced by another one or has filters. */
#include "trace.h"

#include <libos/sys.h>
#include <libos/thread.h>
#include <libos/trace.h>
#include <sys_proto.h>

long upcall_syscall_traced(unsigned long a0, unsigned long a1, unsigned long a2, unsigned long a3,
                           unsigned long a4, unsigned long a5, unsigned long nr)
{
    unsigned long all[] = { a0, a1, a2, a3, a4, a5 };
    const struct thread *t = thread_current();
    bool watched = t->trace.tracer || t->seccomp.mode || t->dispatch.on;
    long ret;

    if (watched && !trace_call_begin(all, &nr, &ret))
        return trace_call_end(ret);
    ret = sys_decoding() ? trace_decode(all, nr)
                         : upcall_syscall(all[0], all[1], all[2], all[3], all[4], all[5], nr);
    return watched || t->trace.tracer ? trace_call_end(ret) : ret;
}

void sys_init(void)
{
    sys_set_calls(sys_call_name, sys_missed);
}
