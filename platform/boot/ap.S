/* SPDX-License-Identifier: MIT */
/* Where a further CPU starts. ap_start to ap_end is copied to a page below 1 MiB: a start-up IPI enters it in real mode
 * at its first byte, a wake-up mailbox at ap_long in 64-bit mode with the firmware's identity map. The fields that hold
 * addresses are filled in by smp.c. From there to ap_entry, in the image, which takes the next prepared CPU block and
 * its stack: CPUs may come in any order and at the same time. */
#include "x86_64/offsets.h"

    .section .rodata.ap, "a", @progbits
    .balign 16
    .globl ap_start, ap_end, ap_long, ap_gdt, ap_gdt_base, ap_jump32, ap_jump64, ap_cr3, ap_target, ap_32
    .code16
ap_start:
    cli
    cld
    movw %cs, %ax
    movw %ax, %ds
    xorl %ebx, %ebx
    movw %ax, %bx
    shll $4, %ebx                       /* the page's address */
    lgdtl ap_gdt_pointer - ap_start
    movl $0x11, %eax                    /* ET PE; caches on */
    movl %eax, %cr0
    ljmpl *(ap_jump32 - ap_start)

    .code32
ap_32:
    movl $0x10, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    movl ap_cr3 - ap_start(%ebx), %eax
    movl %eax, %cr3
    movl $0x20, %eax                    /* PAE */
    movl %eax, %cr4
    movl $0xc0000080, %ecx              /* EFER: SCE, LME, NXE */
    movl $0x901, %eax
    xorl %edx, %edx
    wrmsr
    movl $0x80050033, %eax              /* as in pvh.S */
    movl %eax, %cr0
    ljmpl *(ap_jump64 - ap_start)(%ebx)

    .code64
ap_long:
    cli
    cld
    lgdt ap_gdt_pointer(%rip)
    movl $0xc0000080, %ecx
    rdmsr
    orl $0x801, %eax                    /* SCE, NXE: our tables have NX */
    wrmsr
    movl ap_cr3(%rip), %eax
    movq %rax, %cr3
    movl $0x80050033, %eax
    movq %rax, %cr0
    movq ap_target(%rip), %rax
    jmp *%rax

    .balign 8
ap_gdt:
    .quad 0
    .quad 0x00af9b000000ffff            /* 0x08: 64-bit code */
    .quad 0x00cf93000000ffff            /* 0x10: data */
    .quad 0x00cf9b000000ffff            /* 0x18: 32-bit code */
    .balign 8
ap_target: .quad 0
    .word 0, 0, 0
ap_gdt_pointer:
    .word 31
ap_gdt_base: .quad 0
ap_jump32: .long 0
    .word 0x18
    .word 0
ap_jump64: .long 0
    .word 0x08
    .word 0
ap_cr3: .long 0
ap_end:

    .text
/* smp.c: ap_blocks has ap_prepared addresses of struct x86_cpu, whose kernel_top is the stack. */
    .globl ap_entry
ap_entry:
    movl $1, %eax
    lock xaddl %eax, ap_taken(%rip)
    cmpl ap_prepared(%rip), %eax
    jae 1f
    leaq ap_blocks(%rip), %rcx
    movq (%rcx, %rax, 8), %rdi
    movq PERCPU_KERNEL_TOP(%rdi), %rsp
    xorl %ebp, %ebp
    call smp_ap_main
1:  cli
    hlt
    jmp 1b

    .section .note.GNU-stack, "", @progbits
