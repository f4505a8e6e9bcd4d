/* SPDX-License-Identifier: MIT */
/* Signal frames: built on the user stack and taken back. What comes back is hostile: flags are filtered, selectors
 * must be the ones that were written, the FPU image is checked for everything that would fault when it is loaded.
 * Nothing here is privileged; the host process uses this file too. Spec: rt_sigreturn(2), Linux's sigcontext.h. */
#include "x86_64/fpu.h"
#include "x86_64/sigframe.h"
#include "x86_64/thread.h"
#include "x86_64/x86.h"

#include <abi/errno.h>
#include <plat/mmu.h>
#include <plat/user.h>
#include <string.h>

enum { RED_ZONE = 128 };

/* Flags that a program may change: AC OF DF TF SF ZF AF PF CF RF. */
#define FLAGS_FREE 0x50dd5u

static struct sig_fpu *software_bytes(void *area)
{
    return (struct sig_fpu *)((char *)area + FPU_SW_BYTES);
}

/* Write the FPU state at sp, ready to be put below the frame; returns its address, 0: cannot be written. */
static uintptr_t push_fpu(struct plat_thread *t, uintptr_t sp)
{
    uint32_t size = x86_fpu.size, total = size;
    uintptr_t at;

    x86_thread_sync_fpu(t);
    if (!x86_fpu.xsave) {
        memset(software_bytes(t->fpu), 0, sizeof(struct sig_fpu));
    } else {
        const uint32_t magic2 = FP_XSTATE_MAGIC2;

        total += sizeof(magic2);
        *software_bytes(t->fpu) = (struct sig_fpu){
            .magic1 = FP_XSTATE_MAGIC1,
            .extended_size = total,
            .xfeatures = x86_fpu.xcr0,
            .xstate_size = size,
        };
        memcpy((char *)t->fpu + size, &magic2, sizeof(magic2));
    }
    if (sp < total)
        return 0;
    at = align_down(sp - total, 64);
    return plat_user_write(at, t->fpu, total) == 0 ? at : 0;
}

static void fill_context(struct sig_context *c, const struct plat_frame *f)
{
    c->r8 = f->r8;
    c->r9 = f->r9;
    c->r10 = f->r10;
    c->r11 = f->r11;
    c->r12 = f->r12;
    c->r13 = f->r13;
    c->r14 = f->r14;
    c->r15 = f->r15;
    c->rdi = f->rdi;
    c->rsi = f->rsi;
    c->rbp = f->rbp;
    c->rbx = f->rbx;
    c->rdx = f->rdx;
    c->rax = f->rax;
    c->rcx = f->rcx;
    c->rsp = f->rsp;
    c->rip = f->rip;
    c->rflags = f->rflags;
    c->cs = (uint16_t)f->cs;
    c->gs = c->fs = 0;
    c->ss = (uint16_t)f->ss;
    for (unsigned i = 0; i < 8; i++)
        c->reserved[i] = 0;
}

static bool in_alternate(const struct plat_signal *s, uintptr_t sp)
{
    return sp > s->alt_sp && sp - s->alt_sp <= s->alt_size;
}

int plat_signal_push(struct plat_thread *t, const struct plat_signal *s)
{
    struct plat_frame *f = t->frame;
    uintptr_t sp = s->stack_sp ? s->stack_sp : f->rsp - RED_ZONE, fp;
    bool alternate = s->stack_sp || in_alternate(s, f->rsp);
    struct sig_frame frame;

    fp = push_fpu(t, sp);
    if (!fp || fp < sizeof(frame) + 16)
        return -EFAULT;
    sp = align_down(fp - sizeof(frame), 16) - 8;
    if (alternate && s->alt_size && !in_alternate(s, sp))
        return -EFAULT; /* the alternate stack is too small */

    frame.restorer = s->restorer;
    frame.flags = (x86_fpu.xsave ? UC_FP_XSTATE : 0) | UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS;
    frame.link = 0;
    frame.stack.sp = s->alt_sp;
    frame.stack.flags = s->alt_flags;
    frame.stack.pad = 0;
    frame.stack.size = s->alt_size;
    fill_context(&frame.context, f);
    frame.context.err = s->trap_error;
    frame.context.trapno = s->trap_nr;
    frame.context.cr2 = s->fault_addr;
    frame.context.oldmask = s->mask;
    frame.context.fpstate = fp;
    frame.mask = s->mask;
    memcpy(frame.info, s->info, PLAT_SIGINFO_SIZE);
    memset(frame.info + PLAT_SIGINFO_SIZE, 0, sizeof(frame.info) - PLAT_SIGINFO_SIZE);
    if (plat_user_write(sp, &frame, sizeof(frame)) != 0)
        return -EFAULT;

    f->rdi = (uint64_t)s->number;
    f->rsi = sp + offsetof(struct sig_frame, info);
    f->rdx = sp + offsetof(struct sig_frame, flags);
    f->rax = 0;
    f->rsp = sp;
    f->rip = s->handler;
    f->rflags &= ~(uint64_t)(RFLAGS_DF | RFLAGS_RF | RFLAGS_TF);
    f->orig_rax = (uint64_t)-1;
    x86_thread_flags_set(t, X86_THREAD_SLOW);
    x86_thread_init_fpu(t);
    return 0;
}

/* Read the FPU state at addr into area, made fit to be loaded. */
static int pop_fpu(void *area, uintptr_t addr)
{
    const struct sig_fpu *sw = software_bytes(area);
    size_t size = x86_fpu.size, want = size + (x86_fpu.xsave ? sizeof(uint32_t) : 0), got;
    uint32_t magic2;

    if (!addr) {
        x86_fpu_reset(area);
        return 0;
    }
    got = plat_user_read_part(area, addr, want);
    if (got < FPU_LEGACY_SIZE)
        return -EFAULT;
    if (!x86_fpu.xsave)
        return x86_fpu_sanitise(area, size) ? 0 : -EFAULT;
    /* The extended part counts if it is all that was written: else x87 and SSE only, as Linux does. */
    memcpy(&magic2, (char *)area + size, sizeof(magic2));
    if (got == want && sw->magic1 == FP_XSTATE_MAGIC1 && sw->xstate_size == size &&
        sw->extended_size == want && magic2 == FP_XSTATE_MAGIC2)
        x86_fpu_keep(area, sw->xfeatures);
    else
        size = FPU_LEGACY_SIZE;
    return x86_fpu_sanitise(area, size) ? 0 : -EFAULT;
}

/* The selectors that ring 3 has; a frame with others would go to ring 3 with a fault on the way. */
static bool selectors_good(const struct sig_frame *frame)
{
    if ((frame->context.cs | 3) != SEL_USER_CODE)
        return false;
    return !(frame->flags & UC_STRICT_RESTORE_SS) || (frame->context.ss | 3) == SEL_USER_DATA;
}

static void take_context(struct plat_frame *f, const struct sig_context *c)
{
    f->r8 = c->r8;
    f->r9 = c->r9;
    f->r10 = c->r10;
    f->r11 = c->r11;
    f->r12 = c->r12;
    f->r13 = c->r13;
    f->r14 = c->r14;
    f->r15 = c->r15;
    f->rdi = c->rdi;
    f->rsi = c->rsi;
    f->rbp = c->rbp;
    f->rbx = c->rbx;
    f->rdx = c->rdx;
    f->rax = c->rax;
    f->rcx = c->rcx;
    f->rsp = c->rsp;
    f->rip = c->rip;
    f->rflags = (f->rflags & ~(uint64_t)FLAGS_FREE) | (c->rflags & FLAGS_FREE);
    f->orig_rax = (uint64_t)-1;
}

int plat_signal_pop(struct plat_thread *t, struct plat_signal *ret)
{
    /* Not t->fpu: a user copy may sleep, and then that is where the registers are saved. */
    _Alignas(64) uint8_t area[FPU_AREA_MAX];
    struct sig_frame frame;

    if (plat_user_read(&frame, t->frame->rsp - 8, offsetof(struct sig_frame, info)) != 0)
        return -EFAULT;
    if (!selectors_good(&frame) || pop_fpu(area, frame.context.fpstate) != 0)
        return -EFAULT;
    x86_copy(t->fpu, area, x86_fpu.size);
    x86_thread_load_fpu(t);
    take_context(t->frame, &frame.context);
    x86_thread_flags_set(t, X86_THREAD_SLOW);
    ret->mask = frame.mask;
    ret->alt_sp = frame.stack.sp;
    ret->alt_size = frame.stack.size;
    ret->alt_flags = frame.stack.flags;
    return 0;
}
