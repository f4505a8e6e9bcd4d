/* SPDX-License-Identifier: MIT */
/* Every way into ring 0 and out of it. Registers of ring 3 are stored as struct plat_frame at the top of the thread's
 * kernel stack (plat_arch/thread.h); a trap in ring 0 stores the same layout on the stack in use.
 *
 * GS: in ring 0 its base is the CPU's struct plat_percpu, and ring 3's base lies in MSR_KERNEL_GS_BASE. The entries
 * from ring 3 swap first, the exits swap last; no instruction between the swap and the end of an exit can fault: the
 * frame's selectors are ours, and user_exit_work never lets a non-canonical rip pass. NMI, #MC, #DF and #DB can hit
 * in those windows, so they run on stacks of their own and take the GS base from there (ist_entry), never from its
 * sign: ring 3 can load any base with wrgsbase.
 *
 * Calls into C keep interrupts off and the direction flag clear; AC is cleared on the way in so that SMAP holds. */
#include "x86_64/offsets.h"
#include "x86_64/smap.S"

    .text

/* struct plat_frame below rsp, after rip, cs, rflags, rsp, ss and orig_rax are there and rdi has been pushed. */
.macro push_after_rdi
    pushq %rsi
    pushq %rdx
    pushq %rcx
    pushq %rax
    pushq %r8
    pushq %r9
    pushq %r10
    pushq %r11
    pushq %rbx
    pushq %rbp
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
.endm

/* ... and back, orig_rax dropped too. */
.macro pop_all
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbp
    popq %rbx
    popq %r11
    popq %r10
    popq %r9
    popq %r8
    popq %rax
    popq %rcx
    popq %rdx
    popq %rsi
    popq %rdi
    addq $8, %rsp
.endm

/* What a system call does before its dispatcher runs: the stack, the frame, the seventh argument. */
.macro syscall_frame
    swapgs
    movq %rsp, %gs:PERCPU_USER_SP
    movq %gs:PERCPU_KERNEL_TOP, %rsp
    pushq $SEL_USER_DATA
    pushq %gs:PERCPU_USER_SP
    pushq %r11
    pushq $SEL_USER_CODE
    pushq %rcx
    pushq %rax
    pushq %rdi
    pushq %rsi
    pushq %rdx
    pushq %rcx
    pushq %rax
    pushq %r8
    pushq %r9
    pushq %r10
    pushq %r11
    pushq %rbx
    pushq %rbp
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %r10, %rcx
    pushq %rax
.endm

/* SYSCALL: rcx = return address, r11 = flags, rax = number. Interrupts, DF, TF, NT, AC are cleared by SFMASK.
 * The rip to return to is at most the first byte after user memory, as SYSCALL is fetched from there: canonical, so
 * SYSRET cannot fault in ring 0. Anything that changes the frame goes out through IRET instead. */
    .balign 64
    .globl x86_syscall_entry
x86_syscall_entry:
    syscall_frame
    call upcall_syscall
syscall_exit:
    movq %gs:PERCPU_CURRENT, %rcx
    cmpq $0, THREAD_WORK(%rcx)          /* work and flags in one load */
    .globl x86_syscall_window, x86_syscall_window_end, x86_sysret
x86_syscall_window:                     /* #HV from here on: it looks again (cc/doorbell.c) */
    jne syscall_slow
    movq 8 + FRAME_RDI(%rsp), %rdi
    movq 8 + FRAME_RSI(%rsp), %rsi
    movq 8 + FRAME_RDX(%rsp), %rdx
    movq 8 + FRAME_R10(%rsp), %r10
    movq 8 + FRAME_R8(%rsp), %r8
    movq 8 + FRAME_R9(%rsp), %r9
    movq 8 + FRAME_RIP(%rsp), %rcx
    movq 8 + FRAME_RFLAGS(%rsp), %r11
    movq 8 + FRAME_RSP(%rsp), %rsp
    swapgs
x86_sysret:
    sysretq
x86_syscall_window_end:
    .globl x86_syscall_again, x86_syscall_again_swapped
x86_syscall_again_swapped:
    swapgs
x86_syscall_again:
    jmp syscall_exit

/* The entry while system calls are decoded (plat_syscall_trace): the other one does not even look. */
    .balign 16
    .globl x86_syscall_entry_traced
x86_syscall_entry_traced:
    syscall_frame
    call upcall_syscall_traced
    jmp syscall_exit

syscall_slow:
    addq $8, %rsp
    movq %rax, FRAME_RAX(%rsp)

/* rsp: the frame. Serve pending work, then load every register. */
    .globl x86_user_exit
x86_user_exit:
    movq %gs:PERCPU_CURRENT, %rcx
    movq FRAME_RIP(%rsp), %rax
    shrq $47, %rax                      /* 0: user memory or right after it, so canonical */
    orl THREAD_WORK(%rcx), %eax
    jnz 2f
    testl $THREAD_DOORBELL, THREAD_FLAGS(%rcx)
    .globl x86_user_window, x86_user_window_end, x86_user_iret
x86_user_window:                        /* #HV from here on: it looks again (cc/doorbell.c) */
    jnz 2f
    andl $~THREAD_SLOW, THREAD_FLAGS(%rcx)
1:  pop_all
    swapgs
x86_user_iret:
    iretq
2:  movq %rsp, %rdi
    subq $8, %rsp
    call x86_user_exit_work
    addq $8, %rsp
    movq %gs:PERCPU_CURRENT, %rcx
    testl $THREAD_DOORBELL, THREAD_FLAGS(%rcx)
    jz 1b
    jmp 2b
x86_user_window_end:
    .globl x86_user_again_swapped
x86_user_again_swapped:
    swapgs
    jmp x86_user_exit

/* The stub of each vector leaves the vector above an error code, or above a zero. */
trap_entry:
    xchgq %rdi, (%rsp)
    push_after_rdi
    movq FRAME_ORIG_RAX(%rsp), %rsi
    movq $-1, FRAME_ORIG_RAX(%rsp)
    movq %rsp, %rdx
    cld
    user_off
    testb $3, FRAME_CS(%rsp)
    jz 1f
    swapgs
trap_from_user:
    xorl %ebp, %ebp
    subq $8, %rsp
    call x86_trap_user
    addq $8, %rsp
    jmp x86_user_exit
1:  subq $8, %rsp
    call x86_trap_kernel
    addq $8, %rsp
    pop_all
    iretq

/* The same for vectors 32 and up; the vector is where the error code would be. */
irq_entry:
    pushq %rdi
    push_after_rdi
    movq FRAME_ORIG_RAX(%rsp), %rdi
    movq $-1, FRAME_ORIG_RAX(%rsp)
    movq %rsp, %rsi
    cld
    user_off
    testb $3, FRAME_CS(%rsp)
    jz 1f
    swapgs
    xorl %ebp, %ebp
    subq $8, %rsp
    call x86_interrupt
    addq $8, %rsp
    jmp x86_user_exit
1:  subq $8, %rsp
    call x86_interrupt
#if CONFIG_RELINK
    call x86_relink_interrupted
#endif
    addq $8, %rsp
    pop_all
    iretq

/* NMI, #MC, #DF, #DB, #HV, #VC: on a stack of their own, whose lowest word is the CPU's percpu address. */
ist_entry:
    xchgq %rdi, (%rsp)
    push_after_rdi
    movq FRAME_ORIG_RAX(%rsp), %rsi
    movq $-1, FRAME_ORIG_RAX(%rsp)
    cld
    user_off
    testb $3, FRAME_CS(%rsp)
    jz 1f
    swapgs
    /* From ring 3: go on as any trap does, on the thread's stack. */
    movq %rdi, %r8
    movq %rsi, %r9
    movq %rsp, %rsi
    movq %gs:PERCPU_KERNEL_TOP, %rdi
    subq $FRAME_SIZE, %rdi
    movq %rdi, %rdx
    movl $FRAME_SIZE / 8, %ecx
    rep movsq
    movq %rdx, %rsp
    movq %r8, %rdi
    movq %r9, %rsi
    jmp trap_from_user
    /* From ring 0: GS may be either; set it from the stack and put back what was there. */
1:  movq %rsp, %rbx
    movq %rdi, %r12
    movl $MSR_GS_BASE, %ecx
    rdmsr
    movl %eax, %r13d
    movl %edx, %r14d
    movq %rbx, %rdx
    andq $-IST_SIZE, %rdx
    movq (%rdx), %rax
    movq %rax, %rdx
    shrq $32, %rdx
    wrmsr
    movq %r12, %rdi
    movq %rbx, %rdx
    subq $8, %rsp
    call x86_trap_kernel
    movl $MSR_GS_BASE, %ecx
    movl %r13d, %eax
    movl %r14d, %edx
    wrmsr
    movq %rbx, %rsp
    pop_all
    iretq

/* x86_stubs: 32 stubs of 16 bytes, then 224 of 8. */
    .balign 16
    .globl x86_stubs
x86_stubs:
    .set vector, 0
    .rept 32
    .balign 16, 0xcc
    .if vector != 8 && vector != 10 && vector != 11 && vector != 12 && vector != 13 && vector != 14 && vector != 17 && vector != 21 && vector != 29 && vector != 30
    pushq $0
    .endif
    pushq $vector
    .if vector == 1 || vector == 2 || vector == 8 || vector == 18 || vector == 28 || vector == 29
    jmp ist_entry
    .else
    jmp trap_entry
    .endif
    .set vector, vector + 1
    .endr
    .balign 16, 0xcc
    .rept 224
    .balign 8, 0xcc
    .byte 0x6a, vector - 128            /* push, one byte; irq_entry's C adds 128 */
    .byte 0xe9                          /* jmp with 32 bits, whatever the distance */
    .long irq_entry - (. + 4)
    .set vector, vector + 1
    .endr

/* Where a new thread starts: its argument and its function are on the stack, and the frame lies right above. */
    .balign 16
    .globl x86_thread_start
x86_thread_start:
    popq %rdi
    popq %rbx
    xorl %ebp, %ebp
    subq $8, %rsp
    call *%rbx
    addq $8, %rsp
    jmp x86_user_exit

    .section .note.GNU-stack, "", @progbits
