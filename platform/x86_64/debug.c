/* SPDX-License-Identifier: MIT */
/* A debugger's view of a thread: registers as ptrace(2) shows them, debug registers, single step, and which entry the
 * thread's system calls take. Everything set here is hostile. The thread is current, or off its CPU; what a CPU must have
 * while such a thread runs (debug registers, MSR_LSTAR) is loaded by x86_debug_switch.
 * Spec: Intel SDM volume 3, chapter 17 (debug registers); Linux's ptrace for what is refused. */
#include <plat/debug.h>

#include <abi/errno.h>
#include <plat/mmu.h>
#include <plat/upcall.h>
#include <string.h>

#include "x86_64/cpu.h"
#include "x86_64/debug.h"
#include "x86_64/fpu.h"
#include "x86_64/thread.h"
#include "x86_64/x86.h"

/* Flags that a debugger may change: AC RF OF DF TF SF ZF AF PF CF. */
#define FLAGS_FREE 0x50dd5u

enum {
    DR6_FIXED_ONES = 0xffff0ff0u,
    DR7_FIXED_ONE = 0x400,
    DR7_RESERVED = 0xfc00,
    FPU_CPU_NONE = PLAT_CPU_MAX
};

_Static_assert(sizeof(struct plat_regs) == 27 * 8, "struct user_regs_struct");

void plat_regs_get(struct plat_thread *t, struct plat_regs *ret)
{
    *ret = (struct plat_regs){ .f = *t->frame,
                               .fs_base = plat_thread_fs(t),
                               .gs_base = plat_thread_gs(t) };
    if (t->special & X86_SPECIAL_STEP)
        ret->f.rflags &= ~(uint64_t)RFLAGS_TF;
}

/* A data selector that ring 3 may load: none, or one with its privilege. It is not kept: in 64-bit mode it does nothing. */
static bool selector_good(uint64_t v)
{
    return v <= UINT16_MAX && (!v || (v & 3) == 3);
}

int plat_regs_set(struct plat_thread *t, const struct plat_regs *r)
{
    struct plat_frame *f = t->frame;
    uint64_t keep = f->rflags & ~(uint64_t)FLAGS_FREE;

    if (r->f.cs != SEL_USER_CODE || r->f.ss != SEL_USER_DATA || !selector_good(r->ds) ||
        !selector_good(r->es) || !selector_good(r->fs) || !selector_good(r->gs))
        return -EIO;
    if (r->fs_base >= PLAT_USER_MAX || r->gs_base >= PLAT_USER_MAX)
        return -EIO;
    *f = r->f;
    f->rflags = keep | (r->f.rflags & FLAGS_FREE);
    if (r->f.rflags & RFLAGS_TF)
        t->special &= ~(uint32_t)X86_SPECIAL_STEP; /* it is the program's own now */
    else if (t->special & X86_SPECIAL_STEP)
        f->rflags |= RFLAGS_TF;
    x86_thread_flags_set(t, X86_THREAD_SLOW);
    int err = plat_thread_set_fs(t, r->fs_base);
    return err ? err : plat_thread_set_gs(t, r->gs_base);
}

size_t plat_fpu_size(void)
{
    return x86_fpu.size;
}

void plat_fpu_get(struct plat_thread *t, void *buf)
{
    x86_thread_sync_fpu(t);
    x86_fpu_export(t->fpu, buf);
}

int plat_fpu_set(struct plat_thread *t, void *buf, size_t size)
{
    if (size == x86_fpu.size && size > FPU_LEGACY_SIZE) {
        if (!x86_fpu_sanitise(buf, size))
            return -EINVAL;
        x86_copy(t->fpu, buf, size);
    } else if (size == FPU_LEGACY_SIZE) {
        x86_thread_sync_fpu(t);
        if (!x86_fpu_import_legacy(t->fpu, buf))
            return -EINVAL;
    } else {
        return -EINVAL;
    }
    t->fpu_cpu = FPU_CPU_NONE; /* no CPU's registers are right */
    x86_thread_load_fpu(t);
    return 0;
}

uint64_t plat_debug_get(const struct plat_thread *t, unsigned n)
{
    const struct x86_debug *d = &t->debug;

    if (n < 4)
        return d->addr[n];
    if (n == 6)
        return d->dr6 ^ DR6_FIXED_ONES;
    return n == 7 ? d->dr7 : 0;
}

/* Is slot n of dr7 something the CPU takes: kind and length, and an address aligned to it? */
static bool slot_good(const struct x86_debug *d, uint64_t dr7, unsigned n)
{
    unsigned kind = dr7 >> (16 + 4 * n) & 3, length = dr7 >> (18 + 4 * n) & 3;
    static const uint8_t mask[4] = { 0, 1, 7, 3 };

    if (!(dr7 >> (2 * n) & 3))
        return true;
    if (kind == 2 || (kind == 0 && length))
        return false; /* I/O, or a longer instruction */
    return !(d->addr[n] & mask[length]);
}

static int set_dr7(struct plat_thread *t, uint64_t v)
{
    struct x86_debug *d = &t->debug;

    v &= UINT32_MAX & ~(uint64_t)DR7_RESERVED;
    for (unsigned n = 0; n < 4; n++)
        if (!slot_good(d, v, n))
            return -EINVAL;
    d->dr7 = v;
    if (v & 0xff)
        t->special |= X86_SPECIAL_DEBUG;
    else
        t->special &= ~(uint32_t)X86_SPECIAL_DEBUG;
    return 0;
}

int plat_debug_set(struct plat_thread *t, unsigned n, uint64_t v)
{
    struct x86_debug *d = &t->debug;

    if (n < 4) {
        uint64_t old = d->addr[n];

        if (v >= PLAT_USER_MAX - 8)
            return -EINVAL;
        d->addr[n] = v;
        if (slot_good(d, d->dr7, n))
            return 0;
        d->addr[n] = old;
        return -EINVAL;
    }
    if (n == 6) {
        d->dr6 = v ^ DR6_FIXED_ONES;
        return 0;
    }
    return n == 7 ? set_dr7(t, v) : -EIO;
}

void plat_debug_clear(struct plat_thread *t)
{
    t->debug = (struct x86_debug){ 0 };
    t->special &= ~(uint32_t)X86_SPECIAL_DEBUG;
    if (t == plat_current())
        x86_debug_switch(x86_this_cpu(), t);
}

void plat_thread_step(struct plat_thread *t, bool on)
{
    struct plat_frame *f = t->frame;

    if (on && !(f->rflags & RFLAGS_TF)) {
        f->rflags |= RFLAGS_TF;
        t->special |= X86_SPECIAL_STEP;
    } else if (!on && t->special & X86_SPECIAL_STEP) {
        f->rflags &= ~(uint64_t)RFLAGS_TF;
        t->special &= ~(uint32_t)X86_SPECIAL_STEP;
    }
    x86_thread_flags_set(t, X86_THREAD_SLOW);
}

void plat_thread_trap_calls(struct plat_thread *t, bool on)
{
    if (on)
        __atomic_fetch_or(&t->special, X86_SPECIAL_CALLS, __ATOMIC_RELAXED);
    else
        __atomic_fetch_and(&t->special, ~(uint32_t)X86_SPECIAL_CALLS, __ATOMIC_RELAXED);
    if (t == plat_current())
        x86_debug_switch(x86_this_cpu(), t);
}

void plat_thread_set_tsc(struct plat_thread *t, bool may_read)
{
    if (may_read)
        __atomic_fetch_and(&t->special, ~(uint32_t)X86_SPECIAL_NO_TSC, __ATOMIC_RELAXED);
    else
        __atomic_fetch_or(&t->special, X86_SPECIAL_NO_TSC, __ATOMIC_RELAXED);
    x86_debug_switch(x86_this_cpu(), t);
}

bool plat_thread_tsc(const struct plat_thread *t)
{
    return !(t->special & X86_SPECIAL_NO_TSC);
}

static void load_debug_registers(const struct x86_debug *d)
{
    __asm__ volatile("movq %0, %%dr0" : : "r"(d->addr[0]));
    __asm__ volatile("movq %0, %%dr1" : : "r"(d->addr[1]));
    __asm__ volatile("movq %0, %%dr2" : : "r"(d->addr[2]));
    __asm__ volatile("movq %0, %%dr3" : : "r"(d->addr[3]));
    __asm__ volatile("movq %0, %%dr7" : : "r"(d->dr7 | DR7_FIXED_ONE));
}

void x86_debug_switch(struct x86_cpu *c, const struct plat_thread *t)
{
    uint32_t wanted = t->special & (X86_SPECIAL_CALLS | X86_SPECIAL_DEBUG | X86_SPECIAL_NO_TSC);

    if ((c->special ^ wanted) & X86_SPECIAL_CALLS)
        x86_set_syscall_entry(wanted & X86_SPECIAL_CALLS);
    if ((c->special ^ wanted) & X86_SPECIAL_NO_TSC)
        x86_set_cr4(wanted & X86_SPECIAL_NO_TSC ? x86_cr4() | CR4_TSD
                                                : x86_cr4() & ~(uint64_t)CR4_TSD);
    if (wanted & X86_SPECIAL_DEBUG)
        load_debug_registers(&t->debug);
    else if (c->special & X86_SPECIAL_DEBUG)
        __asm__ volatile("movq %0, %%dr7" : : "r"((uint64_t)DR7_FIXED_ONE));
    c->special = wanted;
}

/* Bits of DR6 that mean something: B0 to B3, BS. */
enum { DR6_BREAKPOINTS = 0xf, DR6_STEP = 1 << 14 };

void x86_debug_trap(struct plat_frame *f)
{
    struct plat_thread *t = plat_current();
    uint64_t dr6;

    __asm__ volatile("movq %%dr6, %0" : "=r"(dr6));
    __asm__ volatile("movq %0, %%dr6" : : "r"((uint64_t)DR6_FIXED_ONES));
    dr6 &= DR6_BREAKPOINTS | DR6_STEP;
    for (unsigned n = 0; n < 4; n++) {
        if (!(dr6 >> n & 1))
            continue;
        if (!(t->debug.dr7 >> (2 * n) & 3))
            dr6 &= ~(1ull << n); /* the CPU may tell of those that are off */
        else if (!(t->debug.dr7 >> (16 + 4 * n) & 3))
            f->rflags |= RFLAGS_RF; /* an instruction's: not again when it goes on */
    }
    x86_thread_flags_set(t, X86_THREAD_SLOW);
    t->debug.dr6 = dr6;
    upcall_exception(VEC_DB,
                     dr6 & DR6_STEP          ? PLAT_DEBUG_STEP
                     : dr6 & DR6_BREAKPOINTS ? PLAT_DEBUG_HARDWARE
                                             : PLAT_DEBUG_INSTRUCTION,
                     f->rip);
}

void x86_debug_trap_kernel(void)
{
    /* A user copy touched memory that ring 3 watches. The trap comes after the access: going on is all there is to do. */
    __asm__ volatile("movq %0, %%dr6" : : "r"((uint64_t)DR6_FIXED_ONES));
}
