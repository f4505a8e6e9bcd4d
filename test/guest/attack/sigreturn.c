/* SPDX-License-Identifier: MIT */
/* Signal frames that were tampered with: kernel selectors, IOPL, addresses that are not canonical, FPU state with
 * reserved bits. rt_sigreturn must refuse or sanitise each. */
#define _GNU_SOURCE
#include "attack.h"

#include <ucontext.h>

enum change {
    RIP_BAD,
    RSP_BAD,
    CS_KERNEL,
    SS_KERNEL,
    CS_ZERO,
    IOPL,
    NT_FLAG,
    MXCSR_BAD,
    XSTATE_BAD,
    FPU_POINTER,
    CHANGES
};

static volatile int change;

static void tamper(int sig, siginfo_t *info, void *context)
{
    ucontext_t *uc = context;
    greg_t *g = uc->uc_mcontext.gregs;

    (void)sig, (void)info;
    switch (change) {
    case RIP_BAD:
        g[REG_RIP] = 0x1234000000000000;
        break;
    case RSP_BAD:
        g[REG_RSP] = (greg_t)0x8000000000000008;
        break;
    case CS_KERNEL:
        g[REG_CSGSFS] = (g[REG_CSGSFS] & ~0xffffll) | 0x08;
        break;
    case SS_KERNEL:
        g[REG_CSGSFS] = (g[REG_CSGSFS] & ~(0xffffll << 48)) | 0x10ll << 48;
        break;
    case CS_ZERO:
        g[REG_CSGSFS] &= ~0xffffll;
        break;
    case IOPL:
        g[REG_EFL] |= 0x3000;
        break;
    case NT_FLAG:
        g[REG_EFL] |= 0x4000;
        break;
    case MXCSR_BAD:
        uc->uc_mcontext.fpregs->mxcsr = 0xffffffff;
        break;
    case XSTATE_BAD:
        memset((char *)uc->uc_mcontext.fpregs + 512, 0xff, 64);
        break;
    case FPU_POINTER:
        uc->uc_mcontext.fpregs = (void *)0xffffffff80000000;
        break;
    }
}

static void attempt(void)
{
    raise(SIGUSR1);
    if (change == IOPL)
        __asm__ volatile("cli"); /* must still be forbidden */
    if (change == RSP_BAD)
        __asm__ volatile("push %rax; pop %rax");
}

int main(void)
{
    struct sigaction sa = { .sa_sigaction = tamper, .sa_flags = SA_SIGINFO };

    attack_init();
    sigaction(SIGUSR1, &sa, NULL);
    stack_t alt = { .ss_sp = malloc(65536), .ss_size = 65536 };
    sigaltstack(&alt, NULL); /* the SIGSEGV handler needs a stack when RSP is bad */
    for (change = 0; change < CHANGES; change++) {
        int sig = attack_try(attempt());
        attack_check(sig == 0 || sig == SIGSEGV || sig == SIGBUS, "change %d: signal %d", change,
                     sig);
        if (change == IOPL || change == RIP_BAD || change == CS_KERNEL)
            attack_check(sig == SIGSEGV, "change %d was let through", change);
        attack_check(getppid() >= 0, "call after change %d", change);
    }
    puts("pass");
    return 0;
}
