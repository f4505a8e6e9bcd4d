/* SPDX-License-Identifier: MIT */
/* Ring 3 code of the platform's test, copied to a page of its own. System calls: 500 = report(rdi); anything else as
 * main.c says. Each entry is position-independent and ends with exit (60). */
    .section .rodata
    .globl user_code, user_code_end
    .balign 4096
user_code:

.macro entry name
    .balign 16
    .globl user_\name
user_\name:
.endm

.macro exit code
    movl $\code, %edi
    movl $60, %eax
    syscall
    ud2
.endm

/* Registers survive a system call; rcx and r11 do as the ABI says. */
entry registers
    movq $0x1111, %rbx
    movq $0x2222, %rbp
    movq $0x3333, %r12
    movq $0x4444, %r13
    movq $0x5555, %r14
    movq $0x6666, %r15
    movq $0x77, %rdi
    movq $0x88, %rsi
    movq $0x99, %rdx
    movq $0xaa, %r10
    movq $0xbb, %r8
    movq $0xcc, %r9
    movl $501, %eax
    syscall
    cmpq $1234, %rax
    jne 9f
    cmpq $0x1111, %rbx
    jne 9f
    cmpq $0x2222, %rbp
    jne 9f
    cmpq $0x3333, %r12
    jne 9f
    cmpq $0x4444, %r13
    jne 9f
    cmpq $0x5555, %r14
    jne 9f
    cmpq $0x6666, %r15
    jne 9f
    cmpq $0x77, %rdi
    jne 9f
    cmpq $0x88, %rsi
    jne 9f
    cmpq $0x99, %rdx
    jne 9f
    cmpq $0xaa, %r10
    jne 9f
    cmpq $0xbb, %r8
    jne 9f
    cmpq $0xcc, %r9
    jne 9f
    exit 0
9:  exit 1

/* Read from, write to, jump to an address of ring 0; main.c passes it in rdi. */
entry read
    movq (%rdi), %rax
    exit 0
entry write
    movq %rax, (%rdi)
    exit 0
entry jump
    jmp *%rdi

entry int80
    int $0x80
    exit 0
entry int3
    int3
    exit 0
entry into
    int $4
    exit 0
entry int14
    int $14
    exit 0
entry int2
    int $2
    exit 0
entry ud
    ud2
entry divide
    xorl %eax, %eax
    xorl %edx, %edx
    divl %eax
entry hlt
    hlt
entry step
    pushfq
    orl $0x100, (%rsp)
    popfq
    nop
    nop
    exit 0
/* TF set across a system call must not trap in ring 0. */
entry step_syscall
    movl $39, %eax
    pushfq
    orl $0x100, (%rsp)
    popfq
    syscall
    nop
    exit 0
/* NT, DF and AC set at a system call and at a trap. */
entry flags
    pushfq
    orl $0x44000, (%rsp)
    popfq
    movl $39, %eax
    syscall
    movl $0x10000000, %eax
    std
    movq (%rax), %rax
    cld
    exit 0
entry selectors
    xorl %eax, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %fs
    movl %eax, %gs
    movl $39, %eax
    syscall
    movl $0x10000000, %eax
    movq (%rax), %rax
    movl $0x2b, %eax
    movl %eax, %gs
    movl $39, %eax
    syscall
    ud2
/* A GS base that looks like ring 0's, then each way into ring 0. */
entry gsbase
    movq $0xffffffff80000000, %rax
    wrgsbase %rax
    movl $39, %eax
    syscall
    movl $0x10000000, %eax
    movq (%rax), %rax
    pushfq
    orl $0x100, (%rsp)
    popfq
    nop
    exit 0
entry spin
    movl $1, %ebx
1:  addq $1, %rbx
    jmp 1b
/* FPU state per thread: load a pattern, yield (502), compare. rdi = pattern. */
entry fpu
    movq %rdi, %rbx
    movq %rdi, %xmm0
    movq %rdi, %xmm15
    movl $20, %r12d
1:  movl $502, %eax
    syscall
    movq %xmm0, %rax
    cmpq %rbx, %rax
    jne 9f
    movq %xmm15, %rax
    cmpq %rbx, %rax
    jne 9f
    decl %r12d
    jnz 1b
    exit 0
9:  exit 1
/* Signals: ask for one (503), come back from the handler by rt_sigreturn (15). Red zone and registers must survive. */
entry signal
    movq $0x5151, %rbx
    movq $0xabcd, %rax
    movq %rax, -8(%rsp)
    movq %rax, -128(%rsp)
    movq %rax, %xmm7
    movl $503, %eax
    syscall
    cmpq $77, %rax
    jne 9f
    cmpq $0x5151, %rbx
    jne 9f
    movq $0xabcd, %rax
    cmpq %rax, -8(%rsp)
    jne 9f
    cmpq %rax, -128(%rsp)
    jne 9f
    movq %xmm7, %rcx
    cmpq %rax, %rcx
    jne 9f
    exit 0
9:  exit 1
entry handler
    movq %rdi, %r12
    movl $500, %eax
    syscall                     /* report the signal number */
    testb $15, %spl
    xorl %ebx, %ebx
    pxor %xmm7, %xmm7
    leaq 8(%rsp), %rax
    testq $15, %rax
    jnz 9f
    ret
9:  exit 2
entry restorer
    movl $15, %eax
    syscall
    ud2
/* The cost of a system call that does not exist, between two marks of the counting plugin. */
entry cost
    movl $1000, %ebx
    .byte 0x0f, 0x1f, 0x80
    .long 0x554c0001
1:  movl $499, %eax
    syscall
    decl %ebx
    jnz 1b
    .byte 0x0f, 0x1f, 0x80
    .long 0x554c0002
    exit 0
/* The same for a page that is not there: 128 of them. */
entry cost_fault
    movl $0x10080000, %eax
    movl $128, %ebx
    .byte 0x0f, 0x1f, 0x80
    .long 0x554c0004
1:  movb $1, (%rax)
    addl $4096, %eax
    decl %ebx
    jnz 1b
    .byte 0x0f, 0x1f, 0x80
    .long 0x554c0005
    exit 0
user_code_end:
    .section .note.GNU-stack, "", @progbits
