/* SPDX-License-Identifier: MIT */
/* Traps of the host platform: the process's own signals play the machine's exceptions and timer interrupt. A handler
 * runs on the signal stack of the libOS thread that was interrupted, stores its registers in a frame, goes to libOS,
 * and puts the frame's registers back into the signal context. A thread that libOS switches away from simply stays
 * inside its handler. */
#define _GNU_SOURCE
#include "host.h"

#include <plat/console.h>
#include <plat/cpu.h>
#include <plat/host.h>
#include <plat/time.h>
#include <plat/upcall.h>

#include <base/log.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/time.h>
#include <sys/ucontext.h>
#include <time.h>
#include <unistd.h>

#ifndef SS_AUTODISARM
#define SS_AUTODISARM (1u << 31) /* sigaltstack(2); this C library does not have it */
#endif

static uint64_t deadline = UINT64_MAX;
static uint64_t boot_ns;

static uint64_t now_ns(clockid_t clock)
{
    struct timespec ts;

    clock_gettime(clock, &ts);
    return (uint64_t)ts.tv_sec * NS_PER_SEC + (uint64_t)ts.tv_nsec;
}

static const int gregs_of_frame[] = { REG_R15, REG_R14, REG_R13, REG_R12, REG_RBP,
                                      REG_RBX, REG_R11, REG_R10, REG_R9,  REG_R8,
                                      REG_RAX, REG_RCX, REG_RDX, REG_RSI, REG_RDI };

static void load_frame(struct plat_frame *f, const gregset_t g)
{
    uint64_t *reg = &f->r15;

    for (size_t i = 0; i < ARRAY_SIZE(gregs_of_frame); i++)
        reg[i] = (uint64_t)g[gregs_of_frame[i]];
    f->orig_rax = (uint64_t)-1;
    f->rip = (uint64_t)g[REG_RIP];
    f->rsp = (uint64_t)g[REG_RSP];
    f->rflags = (uint64_t)g[REG_EFL];
    f->cs = 0x33;
    f->ss = 0x2b;
}

static void store_frame(gregset_t g, const struct plat_frame *f)
{
    const uint64_t *reg = &f->r15;

    for (size_t i = 0; i < ARRAY_SIZE(gregs_of_frame); i++)
        g[gregs_of_frame[i]] = (greg_t)reg[i];
    g[REG_RIP] = (greg_t)f->rip;
    g[REG_RSP] = (greg_t)f->rsp;
}

struct trap {
    int sig;
    unsigned long nr, error;
    uintptr_t addr;
    struct plat_frame *frame;
};

/* On the kernel stack: what the machine's trap entry does. */
static void serve(struct trap *t)
{
    if (t->sig == SIGALRM) {
        upcall_timer(true);
    } else if (t->nr == 14) {
        enum plat_access access = t->error & 16  ? PLAT_ACCESS_EXEC
                                  : t->error & 2 ? PLAT_ACCESS_WRITE
                                                 : PLAT_ACCESS_READ;
        (void)upcall_fault(t->addr, access, t->error & 1,
                           true); /* libOS has queued the signal when it fails */
    } else {
        upcall_exception((unsigned)t->nr, t->error, t->addr);
    }
    host_leave(t->frame);
}

/* Call serve(t) on the current thread's kernel stack. */
static void on_kernel_stack(struct trap *t, uint64_t top)
{
    __asm__ volatile("movq %%rsp, %%rbx\n\t"
                     "movq %0, %%rsp\n\t"
                     "call *%2\n\t"
                     "movq %%rbx, %%rsp"
                     : "+r"(top), "+D"(t)
                     : "r"(serve)
                     : "rbx", "rax", "rcx", "rdx", "rsi", "r8", "r9", "r10", "r11", "memory", "cc",
                       "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8",
                       "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
}

/* The signal stack is disarmed while it holds a frame (host_use_altstack): a timer's signal that comes when this one is served,
 * on the kernel stack, would begin at its top again, and write over what ring 3 goes on with. */
static void handler(int sig, siginfo_t *info, void *context)
{
    ucontext_t *uc = context;
    struct plat_thread *cur = plat_host_cpu.current;

    if (host_in_kernel) {
        if (sig == SIGALRM) {
            host_timer_due = 1;
            return;
        }
        /* libOS itself is wrong: let the sanitizer's report come from the default action. */
        signal(sig, SIG_DFL);
        return;
    }
    host_in_kernel = 1;
    /* From here on a timer's signal leaves frame alone, up to the other fence. */
    atomic_signal_fence(memory_order_seq_cst);
    cur->signals++;
    struct plat_frame *frame = (struct plat_frame *)cur->kernel_top - 1;
    struct trap t = { .sig = sig,
                      .nr = (unsigned long)uc->uc_mcontext.gregs[REG_TRAPNO],
                      .error = (unsigned long)uc->uc_mcontext.gregs[REG_ERR],
                      .addr = (uintptr_t)info->si_addr,
                      .frame = frame };
    load_frame(frame, uc->uc_mcontext.gregs);
    cur->frame = frame;
    on_kernel_stack(&t, ((uint64_t)frame & ~15ull) - 16);
    store_frame(uc->uc_mcontext.gregs, frame);
    cur->signals--;
    atomic_signal_fence(memory_order_seq_cst);
    host_in_kernel = 0;
}

void host_use_altstack(struct plat_thread *t)
{
    stack_t ss = { .ss_sp = (char *)t->stack + HOST_STACK_SIZE,
                   .ss_size = HOST_ALT_SIZE,
                   .ss_flags = t->signals ? SS_DISABLE : (int)SS_AUTODISARM };

    must(sigaltstack(&ss, NULL) == 0);
}

void host_traps_init(void)
{
    static const int sigs[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGALRM };
    struct sigaction sa = { .sa_sigaction = handler,
                            .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER };

    for (size_t i = 0; i < ARRAY_SIZE(sigs); i++)
        must(sigaction(sigs[i], &sa, NULL) == 0);
    boot_ns = now_ns(CLOCK_MONOTONIC);
}

uint64_t plat_time_ns(void)
{
    return now_ns(CLOCK_MONOTONIC) - boot_ns;
}

static int64_t wall_step; /* what a test makes of wall time */

void plat_host_wall_step(int64_t ns)
{
    wall_step += ns;
}

uint64_t plat_wall_again_ns(uint64_t *ret_doubt_ns)
{
    *ret_doubt_ns = 1000000;
    return now_ns(CLOCK_REALTIME) - plat_time_ns() + (uint64_t)wall_step;
}

uint64_t plat_wall_at_boot_ns(void)
{
    return now_ns(CLOCK_REALTIME) - plat_time_ns();
}

void plat_timer_set(uint64_t deadline_ns)
{
    struct itimerval it = { 0 };
    uint64_t now = plat_time_ns();

    deadline = deadline_ns;
    if (deadline_ns != UINT64_MAX) {
        uint64_t us = deadline_ns > now ? (deadline_ns - now + 999) / 1000 : 1;
        it.it_value.tv_sec = (time_t)(us / 1000000);
        it.it_value.tv_usec = (suseconds_t)(us % 1000000);
    }
    setitimer(ITIMER_REAL, &it, NULL);
}

void plat_clock(struct plat_clock *ret)
{
    *ret = (struct plat_clock){ .usable = false, .source = "host" };
}

void plat_idle(void)
{
    while (!host_timer_due) {
        if (deadline == UINT64_MAX)
            panic("every thread sleeps and no timer is set: the test hangs");
        (void)poll(NULL, 0, 10); /* ended early by the timer's signal */
    }
    plat_irq_window();
}

void plat_irq_window(void)
{
    if (host_timer_due) {
        host_timer_due = 0;
        upcall_timer(false);
    }
}

void plat_relax(void)
{
    static uint64_t calls;

    /* A driver may wait for its device for a moment, but a lock's holder is nobody else. */
    if (++calls > 200000000)
        panic("a spin lock is waited for: one CPU, so its holder cannot let go");
}
