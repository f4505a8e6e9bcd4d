/* SPDX-License-Identifier: MIT */
/* A program in ring 0: what SYSCALL's exit, the interrupt's exit and the traps of ring 3 do for an ordinary one. A thread
 * that runs the program's code has X86_THREAD_PROGRAM in its flags; inside libOS it has not, so that a fault there stays
 * what it is, a bug of ours. The frame at the top of the kernel stack is a made-up one of ring 3: the pending work looks at
 * it, and a signal handler that it would enter has no stack there, so such a signal ends the program. */
#include "x86_64/relink.h"
#include "x86_64/cpu.h"
#include "x86_64/thread.h"
#include "x86_64/trap.h"
#include "x86_64/x86.h"

#include <plat/mmu.h>
#include <plat/upcall.h>
#include <plat_arch/relink.h>

enum { PF_USER = 4 };

/* The first byte of x86_facts says whether SMAP is on (cpu.h); stac and clac are undefined without it. */
static void user_pages(bool reachable)
{
    if (!x86_facts.smap)
        return;
    if (reachable)
        __asm__ volatile("stac" : : : "memory");
    else
        __asm__ volatile("clac" : : : "memory");
}

/* rip: where the program was, for messages; 0 in a call. */
static void serve_work(struct plat_thread *t, uint64_t rip)
{
    while (t->work) {
        *t->frame = (struct plat_frame){
            .cs = SEL_USER_CODE,
            .ss = SEL_USER_DATA,
            .rflags = RFLAGS_IF | RFLAGS_FIXED,
            .orig_rax = (uint64_t)-1,
            .rip = rip,
        };
        upcall_user_return(t->frame);
    }
}

long x86_relink_result(long result)
{
    enum { FIRST_RESTART = -516, LAST_RESTART = -512, EINTR_ = 4 };

    serve_work(plat_current(), 0);
    return result >= FIRST_RESTART && result <= LAST_RESTART ? -EINTR_ : result;
}

void x86_relink_begin(void)
{
    __asm__ volatile("cli" : : : "memory");
    user_pages(false);
    plat_current()->flags &= ~(uint32_t)X86_THREAD_PROGRAM;
}

void x86_relink_end(void)
{
    serve_work(plat_current(), 0);
    plat_current()->flags |= X86_THREAD_PROGRAM;
    user_pages(true);
    __asm__ volatile("sti" : : : "memory");
}

bool x86_relink_runs(void)
{
    return plat_current()->flags & X86_THREAD_PROGRAM;
}

void x86_relink_interrupted(void)
{
    struct plat_thread *t = plat_current();

    if (!(t->flags & X86_THREAD_PROGRAM) || !t->work)
        return;
    t->flags &= ~(uint32_t)X86_THREAD_PROGRAM;
    serve_work(t, 0);
    t->flags |= X86_THREAD_PROGRAM;
}

bool x86_relink_trap(unsigned vector, unsigned long error, struct plat_frame *f)
{
    struct plat_thread *t = plat_current();

    if (!(t->flags & X86_THREAD_PROGRAM))
        return false;
    if (vector == VEC_NMI || vector == VEC_DF || vector == VEC_MC || vector == VEC_DB)
        return false;
    t->flags &= ~(uint32_t)X86_THREAD_PROGRAM;
    x86_trap_user(vector, vector == VEC_PF ? error | PF_USER : error, f); /* its ring 3 is ring 0 */
    serve_work(t, f->rip - x86_facts.slide);
    t->flags |= X86_THREAD_PROGRAM;
    return true;
}
