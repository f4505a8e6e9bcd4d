/* SPDX-License-Identifier: MIT */
/* void x86_sha256_lanes(uint32_t state[8][8], const void *const data[8], size_t blocks): SHA-256 over blocks of 64 bytes of
 * eight messages at once by AVX2, for CPUs without SHA instructions. state[w][m] is word w of message m: a register holds
 * one word of all messages, and everything but the reading of the messages is as FIPS 180-4 has it for one.
 * Needs 2 KiB of stack, and leaves no vector register as it was. */

#define STATE  %rdi
#define DATA   %rsi
#define BLOCKS %rdx
#define K      %r8  /* the constants of the next rounds */
#define W      %r9  /* their words of the message schedule, each of 32 bytes */
#define OFFSET %r10 /* of what is read in the messages */
#define LEFT   %r11d
#define T      %ymm8
#define U      %ymm9
#define BOTH   %ymm10
#define SWAP   %ymm12

    .section .rodata
    .balign 32
swap_words:
    .byte 3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12
    .byte 3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12

/* to = from rotated right by n. */
    .macro rotate n, from, to
    vpsrld $\n, \from, \to
    vpslld $(32 - \n), \from, U
    vpxor U, \to, \to
    .endm

/* T = from rotated by k, l and m, added without carry; the last one is a shift where FIPS has one. */
    .macro sum k, l, m, from, last=rotate
    rotate \k, \from, T
    rotate \l, \from, BOTH
    vpxor BOTH, T, T
    .ifc \last, shift
    vpsrld $\m, \from, BOTH
    .else
    rotate \m, \from, BOTH
    .endif
    vpxor BOTH, T, T
    .endm

/* Four words of messages m and m + 4 in the halves of a register. */
    .macro pair m, lower, whole
    movq 8 * \m(DATA), %rax
    movq 8 * \m + 32(DATA), %rcx
    vmovdqu (%rax,OFFSET), \lower
    vinserti128 $1, (%rcx,OFFSET), \whole, \whole
    .endm

    .macro word i, from
    vpshufb SWAP, \from, \from
    vmovdqa \from, 32 * \i(W)
    .endm

/* Round i of eight. bc: b ^ c of this round, ab: will be a ^ b, which the next round calls bc. */
    .macro round i, a, b, c, d, e, f, g, h, bc, ab
    vpbroadcastd 4 * \i(K), T
    vpaddd 32 * \i(W), T, T
    vpaddd T, %ymm\h, %ymm\h
    sum 6, 11, 25, %ymm\e
    vpaddd T, %ymm\h, %ymm\h
    vpxor %ymm\f, %ymm\g, T           /* e chooses f or g */
    vpand %ymm\e, T, T
    vpxor %ymm\g, T, T
    vpaddd T, %ymm\h, %ymm\h
    vpaddd %ymm\h, %ymm\d, %ymm\d
    sum 2, 13, 22, %ymm\a
    vpaddd T, %ymm\h, %ymm\h
    vpxor %ymm\a, %ymm\b, %ymm\ab     /* the majority is b, unless a and c both differ from it */
    vpand %ymm\ab, %ymm\bc, %ymm\bc
    vpxor %ymm\b, %ymm\bc, %ymm\bc
    vpaddd %ymm\bc, %ymm\h, %ymm\h
    .endm

    .macro each op
    .irp n, 0, 1, 2, 3, 4, 5, 6, 7
    \op \n
    .endr
    .endm
    .macro load n
    vmovdqu 32 * \n(STATE), %ymm\n
    .endm
    .macro add_and_keep n
    vpaddd 32 * \n(STATE), %ymm\n, %ymm\n
    vmovdqu %ymm\n, 32 * \n(STATE)
    .endm

    .text
    .globl x86_sha256_lanes
    .hidden x86_sha256_lanes
x86_sha256_lanes:
    pushq %rbp
    movq %rsp, %rbp
    subq $(64 * 32), %rsp
    andq $-32, %rsp
    xorl %r10d, %r10d
    testq BLOCKS, BLOCKS
    jz 5f

1:  vmovdqa swap_words(%rip), SWAP    /* words 0 to 15, in four rounds of four */
    movq %rsp, W
    movl $4, LEFT
2:  pair 0, %xmm0, %ymm0
    pair 1, %xmm1, %ymm1
    pair 2, %xmm2, %ymm2
    pair 3, %xmm3, %ymm3
    vpunpckldq %ymm1, %ymm0, %ymm4    /* words 0 and 1 of messages 0, 1, 4, 5 */
    vpunpckldq %ymm3, %ymm2, %ymm5
    vpunpckhdq %ymm1, %ymm0, %ymm6    /* words 2 and 3 */
    vpunpckhdq %ymm3, %ymm2, %ymm7
    vpunpcklqdq %ymm5, %ymm4, %ymm0
    vpunpckhqdq %ymm5, %ymm4, %ymm1
    vpunpcklqdq %ymm7, %ymm6, %ymm2
    vpunpckhqdq %ymm7, %ymm6, %ymm3
    word 0, %ymm0
    word 1, %ymm1
    word 2, %ymm2
    word 3, %ymm3
    addq $128, W
    addq $16, OFFSET
    decl LEFT
    jnz 2b

    movq %rsp, W                      /* words 16 to 63; W is sixteen words behind */
    movl $48, LEFT
3:  vmovdqa 32(W), %ymm0
    sum 7, 18, 3, %ymm0, shift
    vpaddd (W), T, %ymm1
    vmovdqa 14 * 32(W), %ymm0
    sum 17, 19, 10, %ymm0, shift
    vpaddd 9 * 32(W), %ymm1, %ymm1
    vpaddd T, %ymm1, %ymm1
    vmovdqa %ymm1, 16 * 32(W)
    addq $32, W
    decl LEFT
    jnz 3b

    each load
    leaq x86_sha256_constants(%rip), K
    movq %rsp, W
    movl $8, LEFT
    vpxor %ymm1, %ymm2, %ymm11
4:  round 0, 0, 1, 2, 3, 4, 5, 6, 7, 11, 13
    round 1, 7, 0, 1, 2, 3, 4, 5, 6, 13, 11
    round 2, 6, 7, 0, 1, 2, 3, 4, 5, 11, 13
    round 3, 5, 6, 7, 0, 1, 2, 3, 4, 13, 11
    round 4, 4, 5, 6, 7, 0, 1, 2, 3, 11, 13
    round 5, 3, 4, 5, 6, 7, 0, 1, 2, 13, 11
    round 6, 2, 3, 4, 5, 6, 7, 0, 1, 11, 13
    round 7, 1, 2, 3, 4, 5, 6, 7, 0, 13, 11
    addq $32, K
    addq $(8 * 32), W
    decl LEFT
    jnz 4b
    each add_and_keep
    decq BLOCKS
    jnz 1b
5:  vzeroupper
    leave
    ret
    .section .note.GNU-stack, "", @progbits
