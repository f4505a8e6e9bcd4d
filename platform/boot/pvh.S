/* SPDX-License-Identifier: MIT */
/* The PVH entry contract (Xen's "PVH" boot ABI): 32-bit protected mode, no paging, flat segments, ebx = physical
 * address of struct hvm_start_info. Nothing else is trusted: own stack, GDT and flags first; ebx only after its magic
 * was seen. The image is not moved by a PVH loader, so a link-time difference gives each physical address. */

#define PHYS(symbol) (symbol - boot_start + 0x100000)

#define START_MAGIC 0x336ec578
#define COM1        0x3f8
#define TABLES      10 /* pages of struct boot_tables */
#define IDENTITY    4 /* 2 MiB pages mapped at first: kernel.lds asserts that the image ends below 4 MiB */

    .section .note.Xen, "a", @note
    .balign 4
    .long 4, 4, 18             /* namesz, descsz, XEN_ELFNOTE_PHYS32_ENTRY */
    .asciz "Xen"
    .long 0x100000             /* boot_start: the first byte of the image */

    .section .text.boot, "ax", @progbits
    .code32
    .globl boot_start
boot_start:
    cld
    cli
    lgdtl PHYS(boot_gdt_pointer)
    ljmpl $0x18, $PHYS(1f)
1:  movl $0x10, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    xorl %eax, %eax
    movl %eax, %fs
    movl %eax, %gs

    movl $PHYS(text_magic), %esi
    cmpl $START_MAGIC, (%ebx)
    jne fail

    /* A20: a write must not show one MiB away. Two different values, so that equal memory is no proof. */
    movl $PHYS(text_a20), %esi
    movl $PHYS(boot_stack), %edi
    movl %edi, %ebp
    xorl $0x100000, %ebp
    movl $0x0a20a20a, (%edi)
    cmpl $0x0a20a20a, (%ebp)
    jne 1f
    notl (%edi)
    cmpl $~0x0a20a20a, (%ebp)
    je fail

1:  movl $PHYS(__bss_start), %edi
    movl $PHYS(__bss_end), %ecx
    subl %edi, %ecx
    shrl $2, %ecx
    xorl %eax, %eax
    rep stosl
    movl $PHYS(boot_stack_top), %esp
    movl %ebx, %ebp

    movl $PHYS(text_long), %esi
    movl $0x80000000, %eax
    cpuid
    cmpl $0x80000001, %eax
    jb fail
    movl $0x80000001, %eax
    cpuid
    btl $29, %edx
    jnc fail
    movl $PHYS(text_nx), %esi
    btl $20, %edx
    jnc fail

    /* Identity and linear map share their tables; the linear one is not executable. */
    movl $PHYS(boot_tables), %edi
    leal 0x1003(%edi), %eax
    movl %eax, (%edi)                 /* root[0] */
    movl %eax, 256 * 8(%edi)          /* root[256] */
    movl $0x80000000, 256 * 8 + 4(%edi)
    leal 0x2003(%edi), %eax
    movl %eax, 0x1000(%edi)           /* linear_pdpt[0] */
    movl $0xe3, %eax                  /* present, writable, accessed, dirty, large */
    xorl %ecx, %ecx
1:  movl %eax, 0x2000(%edi, %ecx, 8)
    addl $0x200000, %eax
    incl %ecx
    cmpl $IDENTITY, %ecx
    jb 1b

    movl %edi, %cr3
    movl $0x20, %eax                  /* PAE */
    movl %eax, %cr4
    movl $0xc0000080, %ecx            /* EFER: SCE, LME, NXE */
    movl $0x901, %eax
    xorl %edx, %edx
    wrmsr
    movl $0x80050033, %eax            /* PG AM WP NE ET MP PE; EM, TS, CD, NW off */
    movl %eax, %cr0
    ljmpl $0x08, $PHYS(boot_long)

/* Say the line at esi on COM1, with a bound on waiting for the device, and stop. */
fail:
    movb (%esi), %bl
    incl %esi
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
3:  lidtl PHYS(no_idt)
    int3

no_idt: .word 0
    .long 0
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
boot_gdt_pointer:
    .word boot_gdt_pointer - boot_gdt - 1
    .long PHYS(boot_gdt)

    .code64
boot_long:
    movl $PHYS(boot_stack_top), %esp
    movl %ebp, %ebx
    xorl %ebp, %ebp
    call boot_place                   /* rax: slide */
    movq $0xffffffff80000000, %rcx
    addq %rax, %rcx
    leaq boot_high(%rip), %rdx
    addq %rcx, %rdx
    addq %rcx, %rsp
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
