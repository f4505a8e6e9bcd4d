/* SPDX-License-Identifier: MIT */
/* The registers of ring 3 on x86-64, shared by the machine and the host process. libOS goes through plat/thread.h. */
#ifndef PLAT_FRAME_X86_64_H
#define PLAT_FRAME_X86_64_H

#include <base/types.h>

/* Registers of ring 3, in the order of Linux's struct pt_regs (and of PTRACE_GETREGS). */
struct plat_frame {
    uint64_t r15, r14, r13, r12, rbp, rbx;
    uint64_t r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi;
    uint64_t orig_rax; /* the system call's number, or -1 */
    uint64_t rip, cs, rflags, rsp, ss;
};

#endif
