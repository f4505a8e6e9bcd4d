/* SPDX-License-Identifier: MIT */
/* uint64_t tdx_call(uint64_t leaf, struct tdx_regs *r): TDCALL with the registers of r, which get what comes back; rax. */
    .text
    .globl tdx_call
tdx_call:
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    pushq %rsi
    movq %rdi, %rax
    movq %rsi, %rbx
    movq 0(%rbx), %rcx
    movq 8(%rbx), %rdx
    movq 16(%rbx), %r8
    movq 24(%rbx), %r9
    movq 32(%rbx), %r10
    movq 40(%rbx), %r11
    movq 48(%rbx), %r12
    movq 56(%rbx), %r13
    movq 64(%rbx), %r14
    movq 72(%rbx), %r15
    .byte 0x66, 0x0f, 0x01, 0xcc
    movq (%rsp), %rbx
    movq %rcx, 0(%rbx)
    movq %rdx, 8(%rbx)
    movq %r8, 16(%rbx)
    movq %r9, 24(%rbx)
    movq %r10, 32(%rbx)
    movq %r11, 40(%rbx)
    movq %r12, 48(%rbx)
    movq %r13, 56(%rbx)
    movq %r14, 64(%rbx)
    movq %r15, 72(%rbx)
    popq %rsi
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    ret

/* void tdx_halt_call(void): TDG.VP.VMCALL<HLT>. STI takes effect after the next instruction, so that an interrupt which is
 * pending ends the halt instead of coming before it. */
    .globl tdx_halt_call
tdx_halt_call:
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    xorl %eax, %eax                     /* TDG.VP.VMCALL */
    movl $0x1c00, %ecx                  /* r10, r11, r12 */
    xorl %r10d, %r10d
    movl $12, %r11d                     /* HLT */
    xorl %r12d, %r12d                   /* interrupts are not blocked */
    sti
    .byte 0x66, 0x0f, 0x01, 0xcc
    cli
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    ret
    .section .note.GNU-stack, "", @progbits
