/* SPDX-License-Identifier: MIT */
/* A thread of the host platform: "ring 3" is the test's own code, the kernel stack a piece of the process. */
#ifndef PLAT_ARCH_THREAD_H
#define PLAT_ARCH_THREAD_H

#include <base/types.h>
#include <plat/frame_x86_64.h>

struct plat_thread {
    _Atomic uint32_t work; /* see plat/thread.h */
    uint32_t flags;
    struct plat_frame *frame;
    uint64_t kernel_sp;  /* saved stack pointer while switched out */
    uint64_t kernel_top; /* top of the kernel stack */
    uint64_t fs_base, gs_base;
    bool traps_calls; /* system calls go to upcall_syscall_traced */
    bool no_tsc;      /* what plat_thread_set_tsc said */
    void *stack;      /* mapping that holds the kernel stack and the signal stack */
    unsigned
        signals; /* frames of the process's own signals on the signal stack, interrupted ring 3 in each */
};

struct plat_host_cpu {
    struct plat_thread *current;
    void *libos;
};

/* The one CPU. */
extern struct plat_host_cpu plat_host_cpu;

/* Save the registers on this stack and its pointer in save_sp, and go on where load_sp was saved. */
void host_switch(uint64_t *save_sp, uint64_t load_sp);

static inline void plat_stack_switch(uint64_t *save_sp, uint64_t load_sp)
{
    host_switch(save_sp, load_sp);
}

static inline struct plat_thread *plat_current(void)
{
    return plat_host_cpu.current;
}

static inline void *plat_percpu(void)
{
    return plat_host_cpu.libos;
}

static inline void plat_percpu_set(void *p)
{
    plat_host_cpu.libos = p;
}

static inline unsigned plat_cpu_id(void)
{
    return 0;
}

#endif
