/* SPDX-License-Identifier: MIT */
/* The shim's two ends: PVH in, and the register state of Cloud Hypervisor and Firecracker out. 32 bits throughout. */
    .section .note.Xen, "a", @note
    .balign 4
    .long 4, 4, 18
    .asciz "Xen"
    .long shim_start

    .text
    .code32
    .globl shim_start
shim_start:
    cld
    cli
    movl $stack_top, %esp
    pushl %ebx
    call shim_main                      /* the entry of the image; does not come back without one */
    movl %eax, target

    /* Everything as the monitors leave it: GDT at 0x500, IDT at 0x520, TR 0x18, esp 0, eax 0, ebx 0x6000. */
    lgdtl gdt_pointer
    lidtl idt_pointer
    ljmpl $0x08, $1f
1:  movl $0x10, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %fs
    movl %eax, %gs
    movl %eax, %ss
    movl $0x18, %eax
    ltr %ax
    movl $0x11, %eax
    movl %eax, %cr0
    xorl %eax, %eax
    movl %eax, %cr4
    movl %eax, %ecx
    movl %eax, %edx
    movl %eax, %esi
    movl %eax, %edi
    movl %eax, %ebp
    movl $0x6000, %ebx
    pushl $2
    popfl
    movl $0, %esp
    jmp *target

/* A firmware that keeps its CPUs: PARK is copied to a page of its own, and a start-up IPI brings the others there. Each
 * waits in 64-bit mode, with an identity map, until the mailbox names it: ACPI 6.5, 5.2.12.19. */
#define PARK    0x91000
#define TABLES  0x92000
#define MAILBOX 0x95000
    .section .rodata
    .globl park_start, park_end
    .code16
park_start:
    cli
    xorw %ax, %ax
    movw %cs, %ax
    movw %ax, %ds
    lgdtl park_pointer - park_start
    movl $0x11, %eax
    movl %eax, %cr0
    ljmpl $0x18, $PARK + park_32 - park_start
    .code32
park_32:
    movl $0x10, %eax
    movl %eax, %ds
    movl %eax, %ss
    movl $TABLES, %eax
    movl %eax, %cr3
    movl $0x20, %eax
    movl %eax, %cr4
    movl $0xc0000080, %ecx
    movl $0x100, %eax
    xorl %edx, %edx
    wrmsr
    movl $0x80000011, %eax
    movl %eax, %cr0
    ljmpl $0x08, $PARK + park_64 - park_start
    .code64
park_64:
    movl $1, %eax
    cpuid
    shrl $24, %ebx
1:  pause
    cmpw $1, MAILBOX
    jne 1b
    cmpl %ebx, MAILBOX + 4
    jne 1b
    movq MAILBOX + 8, %rax
    movw $0, MAILBOX
    jmp *%rax
    .balign 8
park_gdt:
    .quad 0
    .quad 0x00af9b000000ffff
    .quad 0x00cf93000000ffff
    .quad 0x00cf9b000000ffff
park_pointer:
    .word 31
    .long PARK + park_gdt - park_start
park_end:
    .code32

    .data
target: .long 0
gdt_pointer:
    .word 0x1f
    .long 0x500
idt_pointer:
    .word 7
    .long 0x520
    .bss
    .balign 16
    .skip 16384
stack_top:
    .section .note.GNU-stack, "", @progbits
