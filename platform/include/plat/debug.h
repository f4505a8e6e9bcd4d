/* SPDX-License-Identifier: MIT */
/* What a debugger does to a thread of ring 3: its registers, single steps, hardware breakpoints, a stop at each system
 * call. The thread is the current one, or has left its CPU and is kept from running. Values that are set are hostile:
 * what ring 3 could not have by itself is refused or left out. */
#ifndef PLAT_DEBUG_H
#define PLAT_DEBUG_H

#include <base/compiler.h>
#include <base/types.h>
#include <plat/thread.h>

/* All registers, in the order of Linux's struct user_regs_struct (PTRACE_GETREGS, NT_PRSTATUS). */
struct plat_regs {
    struct plat_frame f;
    uint64_t fs_base, gs_base, ds, es, fs, gs;
};

enum {
    PLAT_FPU_LEGACY = 512, /* bytes of the FXSAVE image */
    PLAT_FPU_MAX = 4096,   /* at most what plat_fpu_size says */
    PLAT_DEBUG_REGS = 8,
};

/* Read all registers of t. A trace flag that plat_thread_step set does not show. */
void plat_regs_get(struct plat_thread *t, struct plat_regs *ret);
/* Set them. -EIO: a selector or base that ring 3 cannot have; nothing is changed. */
NODISCARD int plat_regs_set(struct plat_thread *t, const struct plat_regs *regs);

/* Bytes of the extended FPU state in its standard layout; PLAT_FPU_LEGACY without any. */
size_t plat_fpu_size(void);
/* Read the FPU state, every component written out; buf has PLAT_FPU_MAX bytes. */
void plat_fpu_get(struct plat_thread *t, void *buf);
/* Set it from size bytes: the whole state, or the legacy image alone, which leaves the rest as it is; buf is changed.
 * -EINVAL: another size, or bits that cannot be. */
NODISCARD int plat_fpu_set(struct plat_thread *t, void *buf, size_t size);

/* Debug register n as the thread sees it; set it. -EIO: no such register; -EINVAL: bad kind or alignment, or an address
 * that is not ring 3's; -ENOMEM. */
uint64_t plat_debug_get(const struct plat_thread *t, unsigned n);
NODISCARD int plat_debug_set(struct plat_thread *t, unsigned n, uint64_t value);
/* Forget all debug registers: a new program, or the end of the thread. */
void plat_debug_clear(struct plat_thread *t);

/* Make t take a debug exception after each instruction, or not. */
void plat_thread_step(struct plat_thread *t, bool on);
/* Make t's system calls go to upcall_syscall_traced, or not. When t runs on another CPU, this counts from its next way
 * back to ring 3 with work to do. */
void plat_thread_trap_calls(struct plat_thread *t, bool on);

/* Let the current thread read the time stamp counter in ring 3, or have it take an exception instead; threads copied from it
 * have what it has. And whether t may. */
void plat_thread_set_tsc(struct plat_thread *t, bool may_read);
bool plat_thread_tsc(const struct plat_thread *t);

#endif
