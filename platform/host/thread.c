/* SPDX-License-Identifier: MIT */
/* Threads of the host platform: stacks, switching, the way in and out of libOS, register access. "Ring 3" is the
 * test's own code in this process; its registers are stored in a frame as the machine does. FPU state is not switched:
 * a system call is a function call here, and a trap's handler context holds it. */
#define _GNU_SOURCE
#include "host.h"

#include <plat/boot.h>
#include <plat/time.h>
#include <plat/cpu.h>
#include <plat/upcall.h>

#include <base/log.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>

_Static_assert(offsetof(struct plat_frame, rip) == 128, "host_asm.S");
_Static_assert(offsetof(struct plat_frame, rsp) == 152, "host_asm.S");
_Static_assert(offsetof(struct plat_thread, kernel_top) == 24, "host_asm.S");

struct plat_host_cpu plat_host_cpu;
volatile int host_in_kernel = 1;
volatile int host_timer_due;

int plat_thread_init(struct plat_thread *t, void (*fn)(void *arg), void *arg)
{
    char *map = mmap(NULL, HOST_STACK_SIZE + HOST_ALT_SIZE, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (map == MAP_FAILED)
        return -ENOMEM;
    (void)mprotect(map, PAGE_SIZE,
                   PROT_NONE); /* guard page; without it an overflow is only harder to see */
    t->stack = map;
    t->signals = 0;
    t->kernel_top = (uint64_t)(uintptr_t)map + HOST_STACK_SIZE;
    t->frame = (struct plat_frame *)(uintptr_t)t->kernel_top - 1;
    memset(t->frame, 0, sizeof *t->frame);
    t->frame->orig_rax = (uint64_t)-1;
    t->frame->rflags = 0x202;

    uint64_t *sp = (uint64_t *)(((uintptr_t)t->frame & ~15ul) - 16);
    *--sp = (uint64_t)(uintptr_t)host_thread_start;
    sp -= 6; /* r15 r14 r13 r12 rbx rbp */
    memset(sp, 0, 6 * sizeof *sp);
    sp[1] = (uint64_t)(uintptr_t)t->frame;
    sp[2] = (uint64_t)(uintptr_t)arg;
    sp[3] = (uint64_t)(uintptr_t)fn;
    t->kernel_sp = (uint64_t)(uintptr_t)sp;
    return 0;
}

void plat_thread_fini(struct plat_thread *t)
{
    if (t->stack)
        munmap(t->stack, HOST_STACK_SIZE + HOST_ALT_SIZE);
    t->stack = NULL;
}

void plat_thread_adopt(struct plat_thread *t)
{
    plat_host_cpu.current = t;
}

void plat_thread_load(struct plat_thread *prev, struct plat_thread *next)
{
    (void)prev; /* its registers are on its stack */
    plat_host_cpu.current = next;
    if (next->stack)
        host_use_altstack(next);
}

void plat_thread_copy(struct plat_thread *child, struct plat_thread *parent)
{
    *child->frame = *parent->frame;
    child->fs_base = parent->fs_base;
    child->gs_base = parent->gs_base;
    child->no_tsc = parent->no_tsc;
}

void plat_thread_exec(struct plat_thread *t, uintptr_t entry, uintptr_t sp)
{
    memset(t->frame, 0, sizeof *t->frame);
    t->frame->rip = entry;
    t->frame->rsp = sp;
    t->frame->rflags = 0x202;
    t->frame->orig_rax = (uint64_t)-1;
    t->fs_base = t->gs_base = 0;
}

static bool traced;

void plat_syscall_trace(void)
{
    traced = true;
}

long host_syscall_c(struct plat_frame *f)
{
    plat_host_cpu.current->frame = f;
    f->rax = (uint64_t)(traced || plat_host_cpu.current->traps_calls ? upcall_syscall_traced
                                                                     : upcall_syscall)(
        f->rdi, f->rsi, f->rdx, f->r10, f->r8, f->r9, f->orig_rax);
    host_leave(f);
    return (long)f->rax;
}

void host_leave(struct plat_frame *frame)
{
    if (host_timer_due) {
        host_timer_due = 0;
        upcall_timer(false);
    }
    while (plat_host_cpu.current->work)
        upcall_user_return(frame);
}

uintptr_t plat_frame_ip(const struct plat_frame *f)
{
    return f->rip;
}

uintptr_t plat_frame_sp(const struct plat_frame *f)
{
    return f->rsp;
}

void plat_frame_set_sp(struct plat_frame *f, uintptr_t sp)
{
    f->rsp = sp;
}

void plat_frame_set_ret(struct plat_frame *f, long ret)
{
    f->rax = (uint64_t)ret;
}

long plat_frame_ret(const struct plat_frame *f)
{
    return (long)f->rax;
}

long plat_frame_nr(const struct plat_frame *f)
{
    return (long)f->orig_rax;
}

unsigned long plat_frame_arg(const struct plat_frame *f, unsigned i)
{
    const uint64_t args[6] = { f->rdi, f->rsi, f->rdx, f->r10, f->r8, f->r9 };

    return i < 6 ? args[i] : 0;
}

void plat_frame_restart(struct plat_frame *f, long nr)
{
    f->rax = (uint64_t)nr;
    f->rip = (uint64_t)(uintptr_t)host_syscall_insn;
}

int plat_thread_set_fs(struct plat_thread *t, uintptr_t base)
{
    if (base >= 0x7ffffffff000)
        return -EPERM;
    t->fs_base = base;
    return 0;
}

int plat_thread_set_gs(struct plat_thread *t, uintptr_t base)
{
    if (base >= 0x7ffffffff000)
        return -EPERM;
    t->gs_base = base;
    return 0;
}

uintptr_t plat_thread_fs(struct plat_thread *t)
{
    return t->fs_base;
}

uintptr_t plat_thread_gs(struct plat_thread *t)
{
    return t->gs_base;
}
