/* SPDX-License-Identifier: MIT */
/* Entry of the simulator by PVH (32-bit protected mode, ebx = start info), its long mode, and VMRUN.
 * The first 512 GiB are mapped one to one: the devices of the machine are where the guest's addresses say. */
#define START_MAGIC 0x336ec578

    .section .note.Xen, "a", @note
    .balign 4
    .long 4, 4, 18
    .asciz "Xen"
    .long 0x60000000

    .section .text.boot, "ax", @progbits
    .code32
    .globl sim_start
sim_start:
    cld
    cli
    movl $__bss_start, %edi
    movl $__bss_end, %ecx
    subl %edi, %ecx
    shrl $2, %ecx
    xorl %eax, %eax
    rep stosl
    movl $sim_stack_top, %esp
    lgdtl gdt_pointer
    movl $sim_pml4, %edi
    leal 0x1003(%edi), %eax
    movl %eax, (%edi)
    movl $0x83, %eax                  /* 1 GiB leaves */
    xorl %edx, %edx
    xorl %ecx, %ecx
1:  movl %eax, 0x1000(%edi, %ecx, 8)
    movl %edx, 0x1004(%edi, %ecx, 8)
    addl $0x40000000, %eax
    adcl $0, %edx
    incl %ecx
    cmpl $512, %ecx
    jb 1b
    movl %edi, %cr3
    movl $0x620, %eax                 /* PAE, and SSE for the guest's sake */
    movl %eax, %cr4
    movl $0xc0000080, %ecx
    movl $0x1900, %eax                /* LME, NXE, SVME */
    xorl %edx, %edx
    wrmsr
    movl $0x80010033, %eax
    movl %eax, %cr0
    ljmpl $0x08, $1f
    .code64
1:  movl $0x10, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    movl %ebx, %edi
    call sim_main
    ud2

    .balign 8
gdt:
    .quad 0
    .quad 0x00af9b000000ffff
    .quad 0x00cf93000000ffff
    .quad 0x00cf9b000000ffff          /* 0x18: 32-bit code */
gdt_pointer:
    .word gdt_pointer - gdt - 1
    .long gdt

/* A further CPU of the machine, by a start-up IPI: copied to a page below 1 MiB, from there to long mode as above. */
    .globl sim_ap_start, sim_ap_end
    .code16
sim_ap_start:
    cli
    movw %cs, %ax
    movw %ax, %ds
    lgdtl sim_ap_gdt - sim_ap_start
    movl $0x11, %eax
    movl %eax, %cr0
    ljmpl $0x18, $sim_ap_32
    .balign 8
sim_ap_gdt:
    .word gdt_pointer - gdt - 1
    .long gdt
sim_ap_end:
    .code32
sim_ap_32:
    movl $0x10, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    movl $sim_pml4, %eax
    movl %eax, %cr3
    movl $0x620, %eax
    movl %eax, %cr4
    movl $0xc0000080, %ecx
    movl $0x1900, %eax
    xorl %edx, %edx
    wrmsr
    movl $0x80010033, %eax
    movl %eax, %cr0
    ljmpl $0x08, $1f
    .code64
1:  movl $1, %eax                     /* the number of those that came before */
    lock xaddl %eax, sim_ap_count
    incl %eax
    shll $15, %eax                    /* as much as the first one has: signatures need it */
    leaq sim_ap_stacks(%rax), %rsp
    call sim_ap_main
    ud2

/* An NMI that another CPU sent to get this one out of its guest: it is out. */
    .globl sim_load_idt
sim_load_idt:
    movl $sim_nmi, %eax
    movw %ax, idt + 32
    movw $0x08, idt + 34
    movw $0x8e00, idt + 36
    shrl $16, %eax
    movw %ax, idt + 38
    lidt idt_pointer
    ret
    .globl sim_nmi
sim_nmi:
    iretq

/* Restricted injection: the machine's interrupts 32 to 255 (doorbell.c), 16 bytes each. */
    .text
irq_common:
    pushq %rax
    pushq %rcx
    pushq %rdx
    pushq %rbx
    pushq %rsi
    pushq %rdi
    pushq %r8
    pushq %r9
    pushq %r10
    pushq %r11
    cld
    movq 80(%rsp), %rdi
    call sim_interrupt
    popq %r11
    popq %r10
    popq %r9
    popq %r8
    popq %rdi
    popq %rsi
    popq %rbx
    popq %rdx
    popq %rcx
    popq %rax
    addq $8, %rsp
    iretq
    .balign 16
    .globl sim_irq_stubs
sim_irq_stubs:
    .set vector, 32
    .rept 224
    .balign 16, 0xcc
    pushq $vector
    .byte 0xe9
    .long irq_common - (. + 4)
    .set vector, vector + 1
    .endr
    .section .text.boot, "ax", @progbits
idt_pointer:
    .word 47
    .quad idt

/* void sim_vmrun(uint64_t vmcb_pa, struct regs *r): run the guest until the next exit. The global interrupt flag is
 * clear outside of the guest, so interrupts of the machine reach the guest alone, unless the simulator takes them (doorbell.c):
 * then they end the guest's run, and come where the global flag is set again. rax and rsp are in the VMCB. */
    .text
    .globl sim_vmrun
sim_vmrun:
    pushq %rbx
    pushq %rbp
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    pushq %rsi
    movq %rdi, %rax
    movq 0x00(%rsi), %rcx
    movq 0x08(%rsi), %rdx
    movq 0x10(%rsi), %rbx
    movq 0x18(%rsi), %rbp
    movq 0x28(%rsi), %rdi
    movq 0x30(%rsi), %r8
    movq 0x38(%rsi), %r9
    movq 0x40(%rsi), %r10
    movq 0x48(%rsi), %r11
    movq 0x50(%rsi), %r12
    movq 0x58(%rsi), %r13
    movq 0x60(%rsi), %r14
    movq 0x68(%rsi), %r15
    movq 0x20(%rsi), %rsi
    clgi
    cmpb $0, sim_takes_interrupts
    je 1f
    sti
1:  vmload %rax
    vmrun %rax
    vmsave %rax
    stgi
    cli
    pushq %rsi
    movq 8(%rsp), %rsi
    popq 0x20(%rsi)
    movq %rcx, 0x00(%rsi)
    movq %rdx, 0x08(%rsi)
    movq %rbx, 0x10(%rsi)
    movq %rbp, 0x18(%rsi)
    movq %rdi, 0x28(%rsi)
    movq %r8, 0x30(%rsi)
    movq %r9, 0x38(%rsi)
    movq %r10, 0x40(%rsi)
    movq %r11, 0x48(%rsi)
    movq %r12, 0x50(%rsi)
    movq %r13, 0x58(%rsi)
    movq %r14, 0x60(%rsi)
    movq %r15, 0x68(%rsi)
    popq %rsi
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbp
    popq %rbx
    ret

    .bss
    .balign 4096
sim_pml4:
    .skip 8192
    .skip 32768
sim_stack_top:
    .balign 16
idt:
    .skip 48
    .globl sim_takes_interrupts
sim_takes_interrupts:
    .skip 16
sim_ap_count:
    .skip 16
sim_ap_stacks:
    .skip 262144
    .section .note.GNU-stack, "", @progbits
