/* SPDX-License-Identifier: MIT */
/* Entered in 64-bit mode at the first byte, rdi = struct handoff; and the two exceptions by which a confidential guest's
 * processor asks for the host's service. */
    .section .text.start, "ax", @progbits
    .globl firmware_start
firmware_start:
    leaq stack_top(%rip), %rsp
    call firmware_main
    ud2

    .text
    .globl firmware_vc, firmware_ve
firmware_ve:
    pushq $0
firmware_vc:
    .irp r, rax, rcx, rdx, rbx, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15
    pushq %\r
    .endr
    movq %rsp, %rdi
    movq %rsp, %rbp
    andq $-16, %rsp
    call firmware_trap
    movq %rbp, %rsp
    .irp r, r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx, rcx, rax
    popq %\r
    .endr
    addq $8, %rsp
    iretq

    .bss
    .balign 16
    .skip 0x8000
stack_top:
    .section .note.GNU-stack, "", @progbits
