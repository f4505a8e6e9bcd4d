/* SPDX-License-Identifier: MIT */
/* Signal handlers for test/sys without libc: the kernel's struct sigaction, and a restorer for each way to run. */
#ifndef T_SIGNAL_H
#define T_SIGNAL_H

#include <t.h>

#include <stdint.h>

#ifdef T_IN_PROCESS
#define T_SYSCALL "jmp host_syscall_insn"
#else
#define T_SYSCALL "syscall"
#endif
__asm__(".text\nt_restorer: movl $15, %eax\n" T_SYSCALL "\n"); /* rt_sigreturn */
extern void t_restorer(void);

struct t_sigaction {
    void *handler; /* SIG_IGN, SIG_DFL or a function */
    unsigned long flags;
    void (*restorer)(void);
    uint64_t mask;
};

#define T_BIT(sig) (1ull << ((sig)-1))

/* Install handler for sig with SA_* flags. 0 or a negative errno. */
static inline long t_handle(int sig, void *handler, unsigned long flags)
{
    struct t_sigaction act = { handler, flags | 0x04000000, t_restorer, 0 };
    return call(SYS_rt_sigaction, sig, &act, NULL, 8);
}

#endif
