/* SPDX-License-Identifier: MIT */
/* Threads: kernel stack, registers of ring 3, FPU state, TLS bases. While a thread runs, its FPU state and bases are
 * in the CPU; they are written to struct plat_thread when another thread is switched to. A thread that never had
 * registers of ring 3 (user is 0) leaves them where they are. */
#include <abi/errno.h>
#include <plat/debug.h>
#include <plat/mmu.h>
#include <plat/thread.h>
#include <plat/upcall.h>

#include "x86_64/cpu.h"
#include "x86_64/debug.h"
#include "x86_64/fpu.h"
#include "x86_64/offsets.h"
#include "x86_64/stack.h"
#include "x86_64/thread.h"
#include "x86_64/x86.h"

#include <stdatomic.h>

enum { FPU_CPU_NONE = PLAT_CPU_MAX };

_Static_assert(offsetof(struct plat_thread, work) == THREAD_WORK &&
                   offsetof(struct plat_thread, flags) == THREAD_FLAGS &&
                   X86_THREAD_SLOW == THREAD_SLOW,
               "entry.S looks at work and flags in one load");
_Static_assert(offsetof(struct plat_frame, rax) == FRAME_RAX &&
                   offsetof(struct plat_frame, r8) == FRAME_R8 &&
                   offsetof(struct plat_frame, r9) == FRAME_R9 &&
                   offsetof(struct plat_frame, r10) == FRAME_R10 &&
                   offsetof(struct plat_frame, rdx) == FRAME_RDX &&
                   offsetof(struct plat_frame, rsi) == FRAME_RSI &&
                   offsetof(struct plat_frame, rdi) == FRAME_RDI &&
                   offsetof(struct plat_frame, orig_rax) == FRAME_ORIG_RAX &&
                   offsetof(struct plat_frame, rip) == FRAME_RIP &&
                   offsetof(struct plat_frame, cs) == FRAME_CS &&
                   offsetof(struct plat_frame, rflags) == FRAME_RFLAGS &&
                   offsetof(struct plat_frame, rsp) == FRAME_RSP &&
                   sizeof(struct plat_frame) == FRAME_SIZE,
               "offsets.h");

void x86_thread_start(void);

static uint64_t read_fs(void)
{
    uint64_t v;

    if (UNLIKELY(!x86_facts.fsgsbase))
        return x86_rdmsr(MSR_FS_BASE);
    __asm__ volatile("rdfsbase %0" : "=r"(v));
    return v;
}

static void write_fs(uint64_t v)
{
    if (LIKELY(x86_facts.fsgsbase))
        __asm__ volatile("wrfsbase %0" : : "r"(v));
    else
        x86_wrmsr(MSR_FS_BASE, v);
}

/* Ring 3's GS base. Between the two swaps only entries that do not look at GS can come (entry.S). */
static uint64_t read_gs(void)
{
    uint64_t v;

    if (UNLIKELY(!x86_facts.fsgsbase))
        return x86_rdmsr(MSR_KERNEL_GS_BASE);
    __asm__ volatile("swapgs; rdgsbase %0; swapgs" : "=r"(v));
    return v;
}

static void write_gs(uint64_t v)
{
    if (LIKELY(x86_facts.fsgsbase))
        __asm__ volatile("swapgs; wrgsbase %0; swapgs" : : "r"(v));
    else
        x86_wrmsr(MSR_KERNEL_GS_BASE, v);
}

static struct plat_frame *top_frame(struct plat_thread *t)
{
    return (struct plat_frame *)(t->kernel_top - sizeof(struct plat_frame));
}

int plat_thread_init(struct plat_thread *t, void (*fn)(void *arg), void *arg)
{
    uintptr_t slot = x86_slot_get();
    uint64_t *sp;

    if (!slot)
        return -ENOMEM;
    *t = (struct plat_thread){
        .kernel_top = x86_slot_top(slot),
        .fpu = x86_slot_fpu(slot),
        .slot = slot,
        .fpu_cpu = FPU_CPU_NONE,
    };
    t->frame = top_frame(t);
    *t->frame = (struct plat_frame){ .cs = SEL_USER_CODE,
                                     .ss = SEL_USER_DATA,
                                     .rflags = RFLAGS_IF | RFLAGS_FIXED,
                                     .orig_rax = (uint64_t)-1 };
    sp = (uint64_t *)t->frame;
    *--sp = (uintptr_t)fn;
    *--sp = (uintptr_t)arg;
    *--sp = (uintptr_t)x86_thread_start;
    t->kernel_sp = (uintptr_t)sp;
    x86_fpu_reset(t->fpu);
    return 0;
}

void plat_thread_fini(struct plat_thread *t)
{
    struct x86_cpu *c = x86_this_cpu();

    if (c->fpu_owner == t)
        c->fpu_owner = NULL;
    if (t->slot)
        x86_slot_put(t->slot);
    t->slot = 0;
    t->fpu = NULL;
}

void plat_thread_adopt(struct plat_thread *t)
{
    struct x86_cpu *c = x86_this_cpu();

    *t = (struct plat_thread){ .kernel_top = c->p.kernel_top, .fpu_cpu = FPU_CPU_NONE };
    t->frame = top_frame(t);
    c->p.current = t;
}

/* The FPU registers hold t's state from here on. */
static void fpu_take(struct x86_cpu *c, struct plat_thread *t)
{
    if (c->fpu_owner == t && t->fpu_cpu == c->p.cpu)
        return;
    x86_fpu_load(t->fpu);
    c->fpu_owner = t;
    t->fpu_cpu = c->p.cpu;
}

/* next is this CPU's thread from here on. */
static ALWAYS_INLINE void become(struct x86_cpu *c, struct plat_thread *next)
{
    c->p.current = next;
    c->p.kernel_top = next->kernel_top;
    c->tss.rsp[0] = next->kernel_top;
    atomic_signal_fence(memory_order_seq_cst);
    if (UNLIKELY(atomic_load_explicit(&c->rung, memory_order_relaxed)))
        x86_thread_flags_set(next, X86_THREAD_DOORBELL);
}

/* plat_thread_load of any two threads on any CPU. */
static NOINLINE void load_any(struct x86_cpu *c, struct plat_thread *prev, struct plat_thread *next)
{
    if (prev->user) {
        /* A kernel thread does not touch the registers; with one CPU nobody else can want them meanwhile. */
        if (next->user || plat_cpu_count() > 1)
            x86_fpu_save(prev->fpu);
        prev->fs_base = read_fs();
        prev->gs_base = read_gs();
    } else if (next->user && c->fpu_owner && c->fpu_owner != next && plat_cpu_count() == 1) {
        x86_fpu_save(c->fpu_owner->fpu);
    }
    if (next->user) {
        fpu_take(c, next);
        write_fs(next->fs_base);
        write_gs(next->gs_base);
    }
    if (c->special | next->special)
        x86_debug_switch(c, next);
    become(c, next);
}

/* The same from one thread of ring 3 to another, on a CPU that can do what new ones can. prev's FPU state is in the
 * registers, so next's is not. */
static ALWAYS_INLINE void load_user(struct x86_cpu *c, struct plat_thread *prev,
                                    struct plat_thread *next)
{
    __asm__ volatile("rdfsbase %0" : "=r"(prev->fs_base));
    __asm__ volatile("wrfsbase %0" : : "r"(next->fs_base));
    /* Between the two swaps only entries that do not look at GS can come (entry.S). */
    __asm__ volatile("swapgs; rdgsbase %0; wrgsbase %1; swapgs"
                     : "=&r"(prev->gs_base)
                     : "r"(next->gs_base));
    /* All components that are enabled. */
    __asm__ volatile("xsaveopt64 (%0); xrstor64 (%1)"
                     :
                     : "r"(prev->fpu), "r"(next->fpu), "a"(-1), "d"(-1)
                     : "memory");
    c->fpu_owner = next;
    next->fpu_cpu = c->p.cpu;
}

void plat_thread_load(struct plat_thread *prev, struct plat_thread *next)
{
    struct x86_cpu *c = x86_this_cpu();

    if (LIKELY(prev->user & next->user & x86_facts.quick_switch) &&
        LIKELY(!(c->special | next->special)))
        load_user(c, prev, next);
    else
        return load_any(c, prev, next);
    become(c, next);
}

void plat_thread_copy(struct plat_thread *child, struct plat_thread *parent)
{
    *child->frame = *parent->frame;
    if (parent->special & X86_SPECIAL_STEP)
        child->frame->rflags &= ~(uint64_t)RFLAGS_TF; /* a debugger's, not the program's */
    child->special |= parent->special & X86_SPECIAL_NO_TSC;
    child->user = 1;
    child->fs_base = plat_thread_fs(parent);
    child->gs_base = plat_thread_gs(parent);
    if (parent->user) {
        x86_thread_sync_fpu(parent);
        x86_copy(child->fpu, parent->fpu, x86_fpu.size);
    }
}

void plat_thread_exec(struct plat_thread *t, uintptr_t entry, uintptr_t sp)
{
    *t->frame = (struct plat_frame){
        .rip = entry,
        .rsp = sp,
        .cs = SEL_USER_CODE,
        .ss = SEL_USER_DATA,
        .rflags = RFLAGS_IF | RFLAGS_FIXED | (t->special & X86_SPECIAL_STEP ? RFLAGS_TF : 0),
        .orig_rax = t->frame->orig_rax, /* a tracer sees the end of execve */
    };
    plat_debug_clear(t);
    x86_thread_flags_set(t, X86_THREAD_SLOW);
    t->user = 1;
    x86_fpu_reset(t->fpu);
    t->fs_base = t->gs_base = 0;
    if (t == plat_current()) {
        struct x86_cpu *c = x86_this_cpu();

        /* With more CPUs every thread's state is saved when it leaves its CPU. */
        if (c->fpu_owner && c->fpu_owner != t && plat_cpu_count() == 1)
            x86_fpu_save(c->fpu_owner->fpu);
        x86_thread_load_fpu(t);
        write_fs(0);
        write_gs(0);
    }
}

void x86_thread_sync_fpu(struct plat_thread *t)
{
    if (t == plat_current() && t->user)
        x86_fpu_save_all(t->fpu);
}

/* Load t's registers from area, if t is the current thread. */
static ALWAYS_INLINE void load_fpu(struct plat_thread *t, const void *area)
{
    struct x86_cpu *c = x86_this_cpu();

    if (t != plat_current())
        return;
    x86_fpu_load(area);
    c->fpu_owner = t;
    t->fpu_cpu = c->p.cpu;
}

void x86_thread_load_fpu(struct plat_thread *t)
{
    load_fpu(t, t->fpu);
}

void x86_thread_init_fpu(struct plat_thread *t)
{
    load_fpu(t, x86_fpu_initial());
}

/* The frame f was changed: if it is the one to return by, all of it must be loaded. */
static void changed(const struct plat_frame *f)
{
    struct plat_thread *t = plat_current();

    if (t && t->frame == f)
        x86_thread_flags_set(t, X86_THREAD_SLOW);
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
    changed(f);
}

void plat_frame_set_ip(struct plat_frame *f, uintptr_t ip)
{
    f->rip = ip;
    changed(f);
}

void plat_frame_set_ret(struct plat_frame *f, long ret)
{
    f->rax = (uint64_t)ret;
    changed(f);
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
    f->rip -= 2; /* SYSCALL has two bytes */
    changed(f);
}

int plat_thread_set_fs(struct plat_thread *t, uintptr_t base)
{
    if (!CONFIG_RELINK && base >= PLAT_USER_MAX)
        return -EPERM;
    t->fs_base = base;
    if (t == plat_current())
        write_fs(base);
    return 0;
}

int plat_thread_set_gs(struct plat_thread *t, uintptr_t base)
{
    if (base >= PLAT_USER_MAX)
        return -EPERM;
    t->gs_base = base;
    if (t == plat_current())
        write_gs(base);
    return 0;
}

uintptr_t plat_thread_fs(struct plat_thread *t)
{
    return t == plat_current() && t->user ? read_fs() : t->fs_base;
}

uintptr_t plat_thread_gs(struct plat_thread *t)
{
    return t == plat_current() && t->user ? read_gs() : t->gs_base;
}
