/* SPDX-License-Identifier: MIT */
/* memcpy, memmove, memset for ring 0. Up to 32 bytes by overlapping register moves (all loads come before the first
 * store, so the short path serves memmove too); above that by the string instructions, which processors with ERMS run at
 * full width and which need no vector register. newlib's own versions store past the caches, which is wrong for
 * pages that are read next. */

.macro function name
    .section .text.\name, "ax", @progbits
    .globl \name
    .type \name, @function
    .p2align 4
\name:
.endm

/* rdi: destination, rsi: source, rdx: bytes. Returns from the caller when rdx <= 32. */
.macro copy_short
    movq %rdi, %rax
    cmpq $16, %rdx
    ja 5f
    cmpl $8, %edx
    jae 3f
    cmpl $4, %edx
    jae 2f
    testl %edx, %edx
    jz 1f
    movzbl (%rsi), %ecx
    movzbl -1(%rsi,%rdx), %r8d
    movq %rdx, %r9
    shrq %r9
    movzbl (%rsi,%r9), %r10d
    movb %cl, (%rdi)
    movb %r10b, (%rdi,%r9)
    movb %r8b, -1(%rdi,%rdx)
1:  ret
2:  movl (%rsi), %ecx
    movl -4(%rsi,%rdx), %r8d
    movl %ecx, (%rdi)
    movl %r8d, -4(%rdi,%rdx)
    ret
3:  movq (%rsi), %rcx
    movq -8(%rsi,%rdx), %r8
    movq %rcx, (%rdi)
    movq %r8, -8(%rdi,%rdx)
    ret
4:  movq (%rsi), %rcx
    movq 8(%rsi), %r8
    movq -16(%rsi,%rdx), %r9
    movq -8(%rsi,%rdx), %r10
    movq %rcx, (%rdi)
    movq %r8, 8(%rdi)
    movq %r9, -16(%rdi,%rdx)
    movq %r10, -8(%rdi,%rdx)
    ret
5:  cmpq $32, %rdx
    jbe 4b
.endm

function memcpy
    copy_short
    movq %rdx, %rcx
    rep movsb
    ret
    .size memcpy, . - memcpy

function memmove
    copy_short
    movq %rdi, %rcx
    subq %rsi, %rcx
    cmpq %rdx, %rcx             /* unsigned: also true when the destination lies below the source */
    jb 6f
    movq %rdx, %rcx
    rep movsb
    ret
6:  leaq -8(%rsi,%rdx), %rsi    /* overlap with the destination above: from the end, eight bytes at a time */
    leaq -8(%rdi,%rdx), %rdi
    movq %rdx, %rcx
    shrq $3, %rcx
    std
    rep movsq
    addq $7, %rsi
    addq $7, %rdi
    movl %edx, %ecx
    andl $7, %ecx
    rep movsb
    cld
    ret
    .size memmove, . - memmove

function memset
    movq %rdi, %r9
    movzbl %sil, %eax
    cmpq $16, %rdx
    ja 5f
    movabsq $0x0101010101010101, %r8
    imulq %r8, %rax
    cmpl $8, %edx
    jae 3f
    cmpl $4, %edx
    jae 2f
    testl %edx, %edx
    jz 1f
    movb %al, (%rdi)
    movb %al, -1(%rdi,%rdx)
    shrl %edx
    movb %al, (%rdi,%rdx)
1:  movq %r9, %rax
    ret
2:  movl %eax, (%rdi)
    movl %eax, -4(%rdi,%rdx)
    movq %r9, %rax
    ret
3:  movq %rax, (%rdi)
    movq %rax, -8(%rdi,%rdx)
    movq %r9, %rax
    ret
5:  movabsq $0x0101010101010101, %r8
    imulq %r8, %rax
    movq %rdx, %rcx
    movq %rax, -8(%rdi,%rdx)    /* the end, then eight bytes at a time: an emulator takes each time for an instruction */
    shrq $3, %rcx
    rep stosq
    movq %r9, %rax
    ret
    .size memset, . - memset

    .section .note.GNU-stack, "", @progbits
