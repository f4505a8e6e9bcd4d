/* SPDX-License-Identifier: MIT */
/* What the platform calls on the way back to ring 3, and for exceptions of ring 3. */
#include "proc.h"
#include "trace_int.h"
#include <libos/deferred.h>
#include <libos/sched.h>
#include <libos/vfs.h>
#include <plat/upcall.h>

void upcall_user_return(struct plat_frame *frame)
{
    struct thread *t = thread_current();
    uint32_t work = t->plat.work;
    if (UNLIKELY(work & WORK_DEFERRED)) {
        deferred_run();
        work = t->plat.work;
    }
    if (work & WORK_KILLED)
        thread_exit(t->process->exit_code);
    if (work & WORK_RESCHED) {
        uint32_t cpu = t->cpu;
        sched_preempt();
        if (plat_frame_nr(frame) < 0 || t->cpu != cpu)
            rseq_preempted(t, frame);
        work = t->plat.work;
    }
    if (UNLIKELY(work & WORK_TRACE)) {
        thread_clear_work(t, WORK_TRACE);
        if (plat_frame_nr(frame) >= 0)
            trace_late_end(frame);
        work = t->plat.work;
    }
    if (UNLIKELY(work & WORK_ROOT)) {
        thread_clear_work(t, WORK_ROOT);
        fs_context_settle(t->fs);
    }
    if (work & WORK_TASK) {
        thread_clear_work(t, WORK_TASK);
        if (UNLIKELY(t->uring))
            uring_thread_work(t);
        if (t->rseq && t->rseq_cpu != t->cpu)
            rseq_preempted(t, frame);
        if (UNLIKELY(t->seccomp.mode || t->trace.tracer))
            trace_update_calls(t);
    }
    if (work & (WORK_SIGNAL | WORK_TASK))
        signal_deliver(frame);
    sched_leave();
}

/* x86-64's exceptions as Linux reports them: asm/traps.c and signal(7). */
static const struct {
    uint8_t sig, code;
    bool has_addr; /* si_addr is the instruction's address */
} exceptions[32] = {
    [0] = { SIGFPE, FPE_INTDIV, true },   [1] = { SIGTRAP, TRAP_TRACE, true },
    [3] = { SIGTRAP, SI_KERNEL, false },  [4] = { SIGSEGV, SI_KERNEL, false },
    [5] = { SIGSEGV, SI_KERNEL, false },  [6] = { SIGILL, ILL_ILLOPN, true },
    [7] = { SIGSEGV, SI_KERNEL, false },  [9] = { SIGFPE, SI_KERNEL, false },
    [10] = { SIGSEGV, SI_KERNEL, false }, [11] = { SIGBUS, SI_KERNEL, false },
    [12] = { SIGBUS, SI_KERNEL, false },  [13] = { SIGSEGV, SI_KERNEL, false },
    [16] = { SIGFPE, 0, true },           [17] = { SIGBUS, BUS_ADRALN, false },
    [19] = { SIGFPE, 0, true },           [21] = { SIGSEGV, SI_KERNEL, false },
};

/* The x87 status or MXCSR bits that are not masked, as an si_code. */
static int fpe_code(unsigned long raised)
{
    if (raised & 1)
        return FPE_FLTINV;
    if (raised & 4)
        return FPE_FLTDIV;
    if (raised & 8)
        return FPE_FLTOVF;
    if (raised & 0x12)
        return FPE_FLTUND;
    return raised & 0x20 ? FPE_FLTRES : SI_KERNEL;
}

void upcall_exception(unsigned trap_nr, unsigned long error, uintptr_t addr)
{
    struct thread *t = thread_current();
    unsigned i = trap_nr < 32 && exceptions[trap_nr].sig ? trap_nr : 13;
    int code = exceptions[i].code;
    uintptr_t where = exceptions[i].has_addr ? plat_frame_ip(t->plat.frame) : 0;
    if (i == 16 || i == 19) {
        code = fpe_code(error); /* for these two the platform passes the unmasked exception bits */
        error = 0;
    }
    if (i == 17 && addr)
        where = addr;
    if (i == 1) {
        code = error == PLAT_DEBUG_STEP       ? TRAP_TRACE
               : error == PLAT_DEBUG_HARDWARE ? TRAP_HWBKPT
                                              : TRAP_BRKPT;
        error = 0;
    }
    signal_fault(exceptions[i].sig, code, where, trap_nr, error);
    if (i == 1 || i == 3)
        t->fault_addr = 0;
}
