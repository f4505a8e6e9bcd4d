/* SPDX-License-Identifier: MIT */
/* The x86-64 machine's thread: frame layout, per-CPU access. Offsets used by entry.S are checked in thread.c. */
#ifndef PLAT_ARCH_THREAD_H
#define PLAT_ARCH_THREAD_H

#include <base/compiler.h>
#include <base/types.h>
#include <plat/frame_x86_64.h>

/* Debug registers as the thread has set them. */
struct x86_debug {
    uint64_t addr[4], dr6, dr7;
};

struct plat_thread {
    _Atomic uint32_t work; /* see plat/thread.h */
    uint32_t flags; /* the platform's own; not 0: the way back to ring 3 loads every register */
    struct plat_frame *frame;
    uint64_t kernel_sp;  /* saved stack pointer while switched out */
    uint64_t kernel_top; /* top of the kernel stack */
    uint64_t fs_base, gs_base;
    void *fpu;        /* XSAVE area, 64-byte aligned; NULL for the idle thread */
    uint64_t slot;    /* address of the kernel stack's slot, 0: none */
    uint32_t fpu_cpu; /* CPU whose registers may still hold the FPU state */
    uint32_t user;    /* 1: has registers of ring 3: FPU state and TLS bases are switched */
    uint32_t special; /* not 0: wants of the CPU what others do not (debug.h) */
    struct x86_debug debug;
};

/* Per-CPU block at %gs in ring 0. */
struct plat_percpu {
    struct plat_percpu *self;
    struct plat_thread *current;
    uint64_t user_sp;    /* scratch of the system call entry */
    uint64_t kernel_top; /* of the current thread */
    void *libos;         /* libOS's own per-CPU data */
    uint32_t cpu;
};

/* Leave this stack for another one, and go on here when somebody comes back: on top of a stack that nobody runs on lies
 * where it goes on. The compiler knows which registers it needs afterwards. */
static ALWAYS_INLINE void plat_stack_switch(uint64_t *save_sp, uint64_t load_sp)
{
    __asm__ volatile("pushq %%rbp\n\t"
                     "leaq 1f(%%rip), %%rax\n\t"
                     "pushq %%rax\n\t"
                     "movq %%rsp, (%[save])\n\t"
                     "movq %[load], %%rsp\n\t"
                     "popq %%rax\n\t"
                     "jmpq *%%rax\n"
                     "1:\tpopq %%rbp"
                     : [save] "+D"(save_sp), [load] "+S"(load_sp)
                     :
                     : "rax", "rbx", "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13", "r14",
                       "r15", "memory", "cc");
}

static inline struct plat_thread *plat_current(void)
{
    struct plat_thread *t;
    __asm__("movq %%gs:8, %0" : "=r"(t));
    return t;
}

/* libOS's per-CPU data; set once per CPU by plat_percpu_set. */
static inline void *plat_percpu(void)
{
    void *p;
    __asm__ volatile("movq %%gs:32, %0" : "=r"(p));
    return p;
}

static inline void plat_percpu_set(void *p)
{
    __asm__ volatile("movq %0, %%gs:32" : : "r"(p));
}

static inline unsigned plat_cpu_id(void)
{
    unsigned id;
    __asm__ volatile("movl %%gs:40, %0" : "=r"(id));
    return id;
}

#endif
