/* SPDX-License-Identifier: MIT */
/* The host platform's debugger interface: registers are those of the frame; there is no FPU state (signal.c), no debug
 * register and no single step, as the real ones are this process's own, and the time stamp counter can be read at all times. */
#include "host.h"

#include <plat/debug.h>

#include <errno.h>
#include <string.h>

enum { FLAGS_FREE = 0x50dd5 /* what a program may change */ };

void plat_regs_get(struct plat_thread *t, struct plat_regs *ret)
{
    *ret = (struct plat_regs){ .f = *t->frame, .fs_base = t->fs_base, .gs_base = t->gs_base };
}

int plat_regs_set(struct plat_thread *t, const struct plat_regs *r)
{
    uint64_t keep = t->frame->rflags & ~(uint64_t)FLAGS_FREE;

    if (r->f.cs != t->frame->cs || r->f.ss != t->frame->ss)
        return -EIO;
    if (plat_thread_set_fs(t, r->fs_base) || plat_thread_set_gs(t, r->gs_base))
        return -EIO;
    *t->frame = r->f;
    t->frame->rflags = keep | (r->f.rflags & FLAGS_FREE);
    return 0;
}

size_t plat_fpu_size(void)
{
    return PLAT_FPU_LEGACY;
}

void plat_fpu_get(struct plat_thread *t, void *buf)
{
    memset(buf, 0, PLAT_FPU_LEGACY);
}

int plat_fpu_set(struct plat_thread *t, void *buf, size_t size)
{
    return size == PLAT_FPU_LEGACY ? 0 : -EINVAL;
}

uint64_t plat_debug_get(const struct plat_thread *t, unsigned n)
{
    return 0;
}

int plat_debug_set(struct plat_thread *t, unsigned n, uint64_t value)
{
    return -EIO;
}

void plat_debug_clear(struct plat_thread *t)
{
}

void plat_thread_step(struct plat_thread *t, bool on)
{
}

void plat_thread_trap_calls(struct plat_thread *t, bool on)
{
    t->traps_calls = on;
}

void plat_thread_set_tsc(struct plat_thread *t, bool may_read)
{
    t->no_tsc = !may_read;
}

bool plat_thread_tsc(const struct plat_thread *t)
{
    return !t->no_tsc;
}
