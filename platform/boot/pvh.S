/* SPDX-License-Identifier: MIT */
/* The two ways in, and what they share. Nothing that a loader leaves behind is trusted: own stack, GDT and control
 * registers first; the start info only after its magic was seen.
 *
 * boot_start, PVH (Xen's boot ABI): 32-bit protected mode, no paging, flat segments, ebx = physical address of struct
 * hvm_start_info; the image lies where it was linked to. boot_start64, from the UEFI stub: 64-bit mode, identity mapping,
 * rdi = the same; the image lies anywhere below 1 GiB, page aligned. ebp is its physical address in all of this file. */

#define AT(symbol) (symbol - boot_start)

#define START_MAGIC 0x336ec578
#define COM1        0x3f8
#define TABLES      10 /* pages of struct boot_tables */
#define IDENTITY    4 /* 2 MiB pages mapped at first: kernel.lds asserts that the image is at most 3 MiB long */
#define CR0_ON      0x80050033 /* PG AM WP NE ET MP PE; EM, TS, CD, NW off */

    .section .note.Xen, "a", @note
    .balign 4
    .long 4, 4, 18             /* namesz, descsz, XEN_ELFNOTE_PHYS32_ENTRY */
    .asciz "Xen"
    .long 0x100000             /* boot_start: the first byte of the image */
    .long 7, 4, 1              /* ALCOVE_NOTE_ENTRY64 of alcove/image.h: boot_start64, from this word */
    .asciz "Alcove"
    .balign 4
    .long boot_start64 - .

/* Identity and linear map share their tables; the linear one is not executable. Clobbers eax, ecx, edx; leaves the root's
 * address in edi. The same text serves both modes: r is e or r. */
    .macro make_tables r
    lea AT(boot_tables)(%\r\()bp), %edi
    lea 0x1003(%\r\()di), %eax
    movl %eax, (%\r\()di)                 /* root[0] */
    movl %eax, 256 * 8(%\r\()di)          /* root[256] */
    movl $0x80000000, 256 * 8 + 4(%\r\()di)
    lea 0x2003(%\r\()di), %eax
    movl %eax, 0x1000(%\r\()di)           /* linear_pdpt[0] */
    movl %ebp, %ecx
    shrl $21, %ecx
    movl %ecx, %eax
    shll $21, %eax
    orl $0xe3, %eax                   /* present, writable, accessed, dirty, large */
    movl $IDENTITY, %edx
1:  movl %eax, 0x2000(%\r\()di, %\r\()cx, 8)
    addl $0x200000, %eax
    addl $1, %ecx
    subl $1, %edx
    jnz 1b
    .endm

    .macro data_segments
    movl $0x10, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    xorl %eax, %eax
    movl %eax, %fs
    movl %eax, %gs
    .endm

    .macro clear_bss r
    lea AT(__bss_start)(%\r\()bp), %edi
    lea AT(__bss_end)(%\r\()bp), %ecx
    subl %edi, %ecx
    shrl $2, %ecx
    xorl %eax, %eax
    rep stosl
    .endm

    .section .text.boot, "ax", @progbits
    .code32
    .globl boot_start
boot_start:
    cld
    cli
    movl $0x100000, %ebp
    leal AT(boot_stack_top)(%ebp), %esp
    leal AT(boot_gdt)(%ebp), %eax
    pushl %eax
    pushw $boot_gdt_end - boot_gdt - 1
    lgdtl (%esp)
    pushl $0x18
    leal AT(common32)(%ebp), %eax
    pushl %eax
    lretl

common32:
    data_segments
    leal AT(text_magic)(%ebp), %esi
    cmpl $START_MAGIC, (%ebx)
    jne fail

    /* A20: a write must not show one MiB away. Two different values, so that equal memory is no proof. */
    leal AT(text_a20)(%ebp), %esi
    leal AT(boot_stack)(%ebp), %edi
    movl %edi, %edx
    xorl $0x100000, %edx
    movl $0x0a20a20a, (%edi)
    cmpl $0x0a20a20a, (%edx)
    jne 1f
    notl (%edi)
    cmpl $~0x0a20a20a, (%edx)
    je fail

1:  clear_bss e
    leal AT(boot_stack_top)(%ebp), %esp
    pushl %ebx

    leal AT(text_long)(%ebp), %esi
    movl $0x80000000, %eax
    cpuid
    cmpl $0x80000001, %eax
    jb fail
    movl $0x80000001, %eax
    cpuid
    btl $29, %edx
    jnc fail
    leal AT(text_nx)(%ebp), %esi
    btl $20, %edx
    jnc fail
    popl %ebx

    make_tables e
    movl %edi, %cr3
    movl $0x20, %eax                  /* PAE */
    movl %eax, %cr4
    movl $0xc0000080, %ecx            /* EFER: SCE, LME, NXE */
    movl $0x901, %eax
    xorl %edx, %edx
    wrmsr
    movl $CR0_ON, %eax
    movl %eax, %cr0
    pushl $0x08
    leal AT(boot_long)(%ebp), %eax
    pushl %eax
    lretl

/* Say the line at esi on COM1, with a bound on waiting for the device, and stop. Means the same in both modes. */
fail:
    movb (%esi), %bl
    addl $1, %esi
    testb %bl, %bl
    jz 3f
    movl $10000, %ecx
1:  movw $COM1 + 5, %dx
    inb %dx, %al
    testb $0x20, %al
    jnz 2f
    loop 1b
2:  movb %bl, %al
    movw $COM1, %dx
    outb %al, %dx
    jmp fail
/* A triple fault: the one way to end that every machine has. */
3:  leal AT(no_idt)(%ebp), %esi
    lidtl (%esi)
    int3

    .balign 4
no_idt: .long 0, 0, 0
text_magic: .asciz "alcove: the loader passed no PVH start info (is this a PVH loader?)\r\n"
text_a20:   .asciz "alcove: address line 20 is off\r\n"
text_long:  .asciz "alcove: this CPU has no 64-bit mode\r\n"
text_nx:    .asciz "alcove: this CPU has no execute-disable bit (NX)\r\n"

    .balign 8
boot_gdt:
    .quad 0
    .quad 0x00af9b000000ffff          /* 0x08: 64-bit code */
    .quad 0x00cf93000000ffff          /* 0x10: data */
    .quad 0x00cf9b000000ffff          /* 0x18: 32-bit code */
boot_gdt_end:

    .code64
    .globl boot_start64
boot_start64:
    cld
    cli
    movl %edi, %ebx
    leaq boot_start(%rip), %rbp
    leaq boot_stack_top(%rip), %rsp
    leaq boot_gdt(%rip), %rax
    pushq %rax
    pushw $boot_gdt_end - boot_gdt - 1
    lgdtq (%rsp)
    movq %cr4, %rax
    btl $12, %eax                     /* 57-bit addresses can only be left by way of 32 bits */
    jc 1f
    leaq text_magic(%rip), %rsi
    cmpl $START_MAGIC, (%rbx)
    jne fail
    clear_bss r
    make_tables r
    movl %edi, %r12d
    movl %ebx, %edi
    call cc_start                     /* rax: the C-bit; the tables have it */
    orq %rax, %r12
    movq %cr4, %rax
    andl $0x40, %eax                  /* machine checks stay as they are */
    orl $0x20, %eax                   /* PAE; no global or tagged translations */
    movq %rax, %cr4
    movl $0xc0000080, %ecx
    rdmsr
    orl $0x801, %eax                  /* NXE, SCE */
    wrmsr
    movl $CR0_ON, %eax
    movq %rax, %cr0
    movq %r12, %cr3
    data_segments
    leaq boot_stack_top(%rip), %rsp
    pushq $0x08
    leaq boot_long(%rip), %rax
    pushq %rax
    lretq

1:  leaq boot_stack_top(%rip), %rsp
    pushq $0x18
    leaq leave64(%rip), %rax
    pushq %rax
    lretq
    .code32
leave64:
    movl %cr0, %eax
    andl $~0x80000000, %eax
    movl %eax, %cr0
    xorl %eax, %eax
    movl %eax, %cr4
    movl $0xc0000080, %ecx
    xorl %edx, %edx
    wrmsr
    jmp common32

    .code64
boot_long:
    leaq boot_stack_top(%rip), %rsp
    xorl %ebp, %ebp
    call boot_place                   /* rax: from physical to final addresses */
boot_placed:                          /* `alcove run --gdb` stops here and takes the distance */
    leaq boot_high(%rip), %rdx
    addq %rax, %rdx
    addq %rax, %rsp
    jmp *%rdx
boot_high:
    movl %ebx, %edi
    call boot_main
    ud2

    .section .bss.boot, "aw", @nobits
    .balign 4096
/* Below the boot stack, so that an overflow runs into a hole: the tables are mapped in the linear map only. */
    .globl boot_tables, boot_stack, boot_stack_top
boot_tables:
    .skip TABLES * 4096
boot_stack:
    .skip 16384
boot_stack_top:
    .section .note.GNU-stack, "", @progbits
