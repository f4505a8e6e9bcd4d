/* SPDX-License-Identifier: MIT */
/* The program's way into libOS when both are one image: a call. See plat_arch/relink.h. */
#include "x86_64/offsets.h"

#define THREAD_PROGRAM 2

    .text
/* long alcove_syscall(long nr, long a0, long a1, long a2, long a3, long a4, long a5): as SYSCALL does, on the thread's
 * kernel stack, because the program's may be given back while the call still runs (exit). */
    .balign 64
    .globl alcove_syscall
alcove_syscall:
    pushq %rbp
    movq %rsp, %rbp
    pushq %rbx
    pushq %r12
    movq 16(%rbp), %rax
    cli
    cmpb $0, x86_facts(%rip)
    je 1f
    clac
1:  movq %gs:PERCPU_CURRENT, %rbx
    andl $~THREAD_PROGRAM, THREAD_FLAGS(%rbx)
    movq %gs:PERCPU_KERNEL_TOP, %rsp
    subq $(FRAME_SIZE + 8), %rsp
    movq %rdi, (%rsp)
    movq %rsi, %rdi
    movq %rdx, %rsi
    movq %rcx, %rdx
    movq %r8, %rcx
    movq %r9, %r8
    movq %rax, %r9
    call upcall_syscall
    cmpl $0, THREAD_WORK(%rbx)
    jne 4f
2:  orl $THREAD_PROGRAM, THREAD_FLAGS(%rbx)
    cmpb $0, x86_facts(%rip)
    je 3f
    stac
3:  leaq -16(%rbp), %rsp
    popq %r12
    popq %rbx
    popq %rbp
    sti
    ret
4:  movq %rax, %rdi
    call x86_relink_result
    jmp 2b

/* void x86_relink_run(void (*fn)(void *), void *arg, void *stack_top) */
    .globl x86_relink_run
x86_relink_run:
    movq %rdx, %rsp
    movq %rdi, %rbx
    movq %rsi, %rdi
    movq %gs:PERCPU_CURRENT, %rax
    orl $THREAD_PROGRAM, THREAD_FLAGS(%rax)
    xorl %ebp, %ebp
    cmpb $0, x86_facts(%rip)
    je 1f
    stac
1:  sti
    call *%rbx
    ud2

    .section .note.GNU-stack, "", @progbits
