/* SPDX-License-Identifier: MIT */
/* The signal frame that a handler finds on its stack: the Linux x86-64 ABI. Shared by the machine and the host. */
#ifndef X86_64_SIGFRAME_H
#define X86_64_SIGFRAME_H

#include <base/types.h>

#define UC_FP_XSTATE         1u
#define UC_SIGCONTEXT_SS     2u
#define UC_STRICT_RESTORE_SS 4u

#define FP_XSTATE_MAGIC1 0x46505853u
#define FP_XSTATE_MAGIC2 0x46505845u

struct sig_context {
    uint64_t r8, r9, r10, r11, r12, r13, r14, r15;
    uint64_t rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip, rflags;
    uint16_t cs, gs, fs, ss;
    uint64_t err, trapno, oldmask, cr2, fpstate;
    uint64_t reserved[8];
};

struct sig_frame {
    uint64_t restorer; /* what the handler returns to */
    uint64_t flags, link;
    struct {
        uint64_t sp;
        int32_t flags, pad;
        uint64_t size;
    } stack;
    struct sig_context context;
    uint64_t mask;
    uint8_t info[128];
};
_Static_assert(sizeof(struct sig_context) == 256 && sizeof(struct sig_frame) == 440,
               "Linux's layout");

/* In the 48 bytes that XSAVE leaves to software; FP_XSTATE_MAGIC2 follows the state. */
struct sig_fpu {
    uint32_t magic1, extended_size; /* of the state and the second magic */
    uint64_t xfeatures;
    uint32_t xstate_size, pad[7];
};
_Static_assert(sizeof(struct sig_fpu) == 48, "the software bytes of FXSAVE");

#endif
