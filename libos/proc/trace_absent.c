/* SPDX-License-Identifier: MIT */
/* In place of ptrace and seccomp in a libOS that is linked without them: nobody is traced, nobody has filters. */
#include "trace_int.h"

#include <libos/dispatch.h>
#include <libos/seccomp.h>

#include <abi/errno.h>

void trace_event(unsigned event, unsigned long message)
{
}

bool trace_call_begin(unsigned long args[6], unsigned long *nr, long *ret)
{
    return true;
}

long trace_call_end(long ret)
{
    return ret;
}

void trace_update_calls(struct thread *t)
{
}

void trace_inherit(struct thread *child, bool wanted)
{
}

unsigned trace_clone_event(uint64_t flags, int exit_signal)
{
    return 0;
}

int trace_tracer_pid(struct thread *t)
{
    return 0;
}

void trace_trap(struct thread *t)
{
}

int trace_take_signal(struct thread *t, struct abi_siginfo *info)
{
    return info->si_signo;
}

void trace_handler_entered(struct thread *t)
{
}

void trace_group_changed(struct thread *t, bool stops)
{
}

void trace_kill(struct process *p)
{
}

void trace_late_end(struct plat_frame *f)
{
}

void trace_tracer_exits(struct thread *t)
{
}

void trace_unlink(struct thread *t)
{
}

void trace_notify_exit(struct thread *t, int code, int status)
{
}

int dispatch_set(unsigned long mode, uintptr_t start, size_t size, uintptr_t selector)
{
    return -EINVAL;
}

void dispatch_exec(struct thread *t)
{
}

int seccomp_set_strict(void)
{
    return -EINVAL;
}

void seccomp_inherit(struct thread *child, const struct thread *from)
{
}

void seccomp_exit(struct thread *t)
{
}

unsigned seccomp_count(const struct thread *t)
{
    return 0;
}
