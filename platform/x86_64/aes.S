/* SPDX-License-Identifier: MIT */
/* AES in XTS mode by the CPU's instructions (IEEE 1619; Intel, "AES New Instructions Set"), four blocks at once, because one
 * round of one block takes as long as rounds of four. The key schedules are FIPS 197's words in memory order; for decryption those of the equivalent inverse
 * cipher. The registers used are the program's or nobody's: they are put back as they were. */
#define T    %xmm0 /* the next block's tweak */
#define B0   %xmm1
#define B1   %xmm2
#define B2   %xmm3
#define B3   %xmm4
#define W0   %xmm5 /* the tweaks of the blocks in work */
#define W1   %xmm6
#define W2   %xmm7
#define W3   %xmm8
#define K    %xmm9
#define TMP  %xmm10
#define POLY %xmm11

    .section .rodata
    .balign 16
poly:
    .long 0x87, 0, 1, 0

    .macro each op
    .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
    \op \n
    .endr
    .endm
    .macro keep n
    movdqu %xmm\n, \n * 16(%rsp)
    .endm
    .macro put_back n
    movdqu \n * 16(%rsp), %xmm\n
    .endm
/* Nothing of the key stays on the stack or in registers: the slots hold the program's registers, which are loaded again. */

/* \w: the tweak of the block at \i; T moves on by one: times x in GF(2^128). */
    .macro load i, b, w
    movdqa T, \w
    movdqu \i * 16(%rdx), \b
    pxor T, \b
    movdqa T, TMP
    psrad $31, TMP
    pshufd $0x13, TMP, TMP
    pand POLY, TMP
    paddq T, T
    pxor TMP, T
    .endm
    .macro store i, b, w
    pxor \w, \b
    movdqu \b, \i * 16(%rcx)
    .endm

    .macro four op
    \op K, B0
    \op K, B1
    \op K, B2
    \op K, B3
    .endm
    .macro one op
    \op K, B0
    .endm
/* All rounds of the blocks that \width stands for. rsi and eax are used. */
    .macro rounds width, op, last
    movq %r9, %rsi
    movdqu (%rsi), K
    \width pxor
    leal -1(%r11), %eax
1:  addq $16, %rsi
    movdqu (%rsi), K
    \width \op
    decl %eax
    jnz 1b
    movdqu 16(%rsi), K
    \width \last
    .endm

    .macro blocks op, last
2:  cmpq $4, %r8
    jb 3f
    load 0, B0, W0
    load 1, B1, W1
    load 2, B2, W2
    load 3, B3, W3
    rounds four, \op, \last
    store 0, B0, W0
    store 1, B1, W1
    store 2, B2, W2
    store 3, B3, W3
    addq $64, %rdx
    addq $64, %rcx
    subq $4, %r8
    jmp 2b
3:  testq %r8, %r8
    jz 9f
    load 0, B0, W0
    rounds one, \op, \last
    store 0, B0, W0
    addq $16, %rdx
    addq $16, %rcx
    decq %r8
    jmp 3b
    .endm

/* rdi: struct plat_aes_xts, rsi: the sector's 16 bytes, rdx: from, rcx: to, r8: blocks */
    .text
    .balign 16
    .globl x86_aes_xts
    .hidden x86_aes_xts
x86_aes_xts:
    subq $200, %rsp
    each keep
    movdqa poly(%rip), POLY
    movq (%rdi), %r9
    movl 16(%rdi), %r11d
    movzbl 20(%rdi), %r10d
    movdqu (%rsi), B0
    pushq %r9
    movq 8(%rdi), %r9
    rounds one, aesenc, aesenclast
    popq %r9
    movdqa B0, T
    testl %r10d, %r10d
    jnz 5f
    blocks aesenc, aesenclast
5:  blocks aesdec, aesdeclast
9:  each put_back
    addq $200, %rsp
    ret
    .section .note.GNU-stack, "", @progbits
