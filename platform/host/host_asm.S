/* SPDX-License-Identifier: MIT */
/* The host platform's entry to libOS and the switch between its threads. Offsets are those of struct plat_frame and
 * struct plat_thread; host.c checks them. */
        .text

/* long plat_host_syscall(nr, a0, a1, a2, a3, a4, [stack] a5): the arguments go where the machine's system call
 * instruction wants them, then comes host_syscall_insn, which plays that instruction: only rcx and r11 are lost, the
 * frame's rip is host_syscall_done, and going back to host_syscall_insn makes the call again. */
        .globl  plat_host_syscall
        .type   plat_host_syscall, @function
plat_host_syscall:
        movq    %rdi, %rax
        movq    %rsi, %rdi
        movq    %rdx, %rsi
        movq    %rcx, %rdx
        movq    %r8, %r10
        movq    %r9, %r8
        movq    8(%rsp), %r9
        .globl  host_syscall_insn
host_syscall_insn:
        movl    $1, host_in_kernel(%rip)
        movq    plat_host_cpu(%rip), %r11       /* current */
        movq    24(%r11), %r11                  /* kernel_top */
        xchgq   %r11, %rsp
        pushq   $0x2b                           /* ss */
        pushq   %r11                            /* rsp */
        pushq   $0x202                          /* rflags */
        pushq   $0x33                           /* cs */
        leaq    host_syscall_done(%rip), %rcx
        pushq   %rcx                            /* rip */
        pushq   %rax                            /* orig_rax */
        pushq   %rdi
        pushq   %rsi
        pushq   %rdx
        pushq   %rcx
        pushq   $-38                            /* rax */
        pushq   %r8
        pushq   %r9
        pushq   %r10
        pushq   %r11
        pushq   %rbx
        pushq   %rbp
        pushq   %r12
        pushq   %r13
        pushq   %r14
        pushq   %r15
        movq    %rsp, %rdi
        movq    %rsp, %rbx
        andq    $-16, %rsp
        call    host_syscall_c
        movq    %rbx, %rdi
        jmp     host_enter_user
host_syscall_done:
        ret

/* void host_enter_user(struct plat_frame *frame): load all registers of frame and go on there. */
        .globl  host_enter_user
        .type   host_enter_user, @function
host_enter_user:
        movq    152(%rdi), %rax                 /* rsp of ring 3 */
        subq    $144, %rax                      /* below its red zone */
        movq    128(%rdi), %rcx                 /* rip */
        movq    %rcx, 8(%rax)
        movq    112(%rdi), %rcx                 /* rdi */
        movq    %rcx, (%rax)
        movq    144(%rdi), %rcx                 /* rflags */
        movq    %rcx, -8(%rax)
        movq    0(%rdi), %r15
        movq    8(%rdi), %r14
        movq    16(%rdi), %r13
        movq    24(%rdi), %r12
        movq    32(%rdi), %rbp
        movq    40(%rdi), %rbx
        movq    48(%rdi), %r11
        movq    56(%rdi), %r10
        movq    64(%rdi), %r9
        movq    72(%rdi), %r8
        movq    88(%rdi), %rcx
        movq    96(%rdi), %rdx
        movq    104(%rdi), %rsi
        leaq    -8(%rax), %rsp
        movq    80(%rdi), %rax
        movl    $0, host_in_kernel(%rip)
        popfq
        popq    %rdi
        ret     $128

/* void host_switch(uint64_t *save_sp, uint64_t load_sp) */
        .globl  host_switch
        .type   host_switch, @function
host_switch:
        pushq   %rbp
        pushq   %rbx
        pushq   %r12
        pushq   %r13
        pushq   %r14
        pushq   %r15
        movq    %rsp, (%rdi)
        movq    %rsi, %rsp
        popq    %r15
        popq    %r14
        popq    %r13
        popq    %r12
        popq    %rbx
        popq    %rbp
        ret

/* First instruction of a new thread: fn in r12, arg in r13, frame in r14. */
        .globl  host_thread_start
        .type   host_thread_start, @function
host_thread_start:
        movq    %r13, %rdi
        call    *%r12
        movq    %r14, %rdi
        call    host_leave
        movq    %r14, %rdi
        jmp     host_enter_user

        .section .note.GNU-stack,"",@progbits
