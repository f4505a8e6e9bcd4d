/* SPDX-License-Identifier: MIT */
/* Signal frames of the host platform: the machine's layout (x86_64/sigframe.h), without FPU state. A system call is a
 * function call here, so its caller expects no FPU register back. */
#include "../x86_64/sigframe.h"
#include "host.h"

#include <base/types.h>
#include <plat/user.h>

#include <errno.h>
#include <string.h>

enum { RED_ZONE = 128, FLAGS_FREE = 0x50dd5 /* what a program may change */ };

void plat_frame_set_ip(struct plat_frame *f, uintptr_t ip)
{
    f->rip = ip;
}

static void fill_context(struct sig_context *c, const struct plat_frame *f)
{
    *c = (struct sig_context){
        .r8 = f->r8,
        .r9 = f->r9,
        .r10 = f->r10,
        .r11 = f->r11,
        .r12 = f->r12,
        .r13 = f->r13,
        .r14 = f->r14,
        .r15 = f->r15,
        .rdi = f->rdi,
        .rsi = f->rsi,
        .rbp = f->rbp,
        .rbx = f->rbx,
        .rdx = f->rdx,
        .rax = f->rax,
        .rcx = f->rcx,
        .rsp = f->rsp,
        .rip = f->rip,
        .rflags = f->rflags,
        .cs = (uint16_t)f->cs,
        .ss = (uint16_t)f->ss,
    };
}

static bool in_alternate(const struct plat_signal *s, uintptr_t sp)
{
    return sp > s->alt_sp && sp - s->alt_sp <= s->alt_size;
}

int plat_signal_push(struct plat_thread *t, const struct plat_signal *s)
{
    struct plat_frame *f = t->frame;
    uintptr_t sp = s->stack_sp ? s->stack_sp : f->rsp - RED_ZONE;
    bool alternate = s->stack_sp || in_alternate(s, f->rsp);
    struct sig_frame frame = { .restorer = s->restorer,
                               .flags = UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS };

    if (sp < sizeof(frame) + 16)
        return -EFAULT;
    sp = align_down(sp - sizeof(frame), 16) - 8;
    if (alternate && s->alt_size && !in_alternate(s, sp))
        return -EFAULT;
    frame.stack.sp = s->alt_sp;
    frame.stack.flags = s->alt_flags;
    frame.stack.size = s->alt_size;
    fill_context(&frame.context, f);
    frame.context.err = s->trap_error;
    frame.context.trapno = s->trap_nr;
    frame.context.cr2 = s->fault_addr;
    frame.context.oldmask = frame.mask = s->mask;
    memcpy(frame.info, s->info, sizeof(frame.info));
    if (plat_user_write(sp, &frame, sizeof(frame)))
        return -EFAULT;
    f->rdi = (uint64_t)s->number;
    f->rsi = sp + offsetof(struct sig_frame, info);
    f->rdx = sp + offsetof(struct sig_frame, flags);
    f->rax = 0;
    f->rsp = sp;
    f->rip = s->handler;
    f->orig_rax = (uint64_t)-1;
    return 0;
}

static void take_context(struct plat_frame *f, const struct sig_context *c)
{
    f->r8 = c->r8, f->r9 = c->r9, f->r10 = c->r10, f->r11 = c->r11;
    f->r12 = c->r12, f->r13 = c->r13, f->r14 = c->r14, f->r15 = c->r15;
    f->rdi = c->rdi, f->rsi = c->rsi, f->rbp = c->rbp, f->rbx = c->rbx;
    f->rdx = c->rdx, f->rax = c->rax, f->rcx = c->rcx, f->rsp = c->rsp, f->rip = c->rip;
    f->rflags = (f->rflags & ~(uint64_t)FLAGS_FREE) | (c->rflags & FLAGS_FREE);
    f->orig_rax = (uint64_t)-1;
}

int plat_signal_pop(struct plat_thread *t, struct plat_signal *ret)
{
    struct sig_frame frame;

    if (plat_user_read(&frame, t->frame->rsp - 8, offsetof(struct sig_frame, info)))
        return -EFAULT;
    if (frame.context.cs != t->frame->cs || frame.context.fpstate != 0)
        return -EFAULT;
    take_context(t->frame, &frame.context);
    ret->mask = frame.mask;
    ret->alt_sp = frame.stack.sp;
    ret->alt_size = frame.stack.size;
    ret->alt_flags = frame.stack.flags;
    return 0;
}
