/* SPDX-License-Identifier: MIT */
/* void x86_sha256(uint32_t state[8], const void *data, size_t blocks): SHA-256 over blocks of 64 bytes by the CPU's SHA
 * instructions. The program's vector registers are live in ring 0, so those used here are put back; instructions without VEX
 * leave their upper parts alone. Spec: FIPS 180-4; Intel SDM volume 1, 12.3 (state as ABEF and CDGH, two rounds at a time). */

#define WK   %xmm0 /* implied by SHA256RNDS2 */
#define ABEF %xmm1
#define CDGH %xmm2
#define M0   %xmm3
#define M1   %xmm4
#define M2   %xmm5
#define M3   %xmm6
#define T    %xmm7
#define SWAP %xmm8
#define ABEF0 %xmm9
#define CDGH0 %xmm10

    .section .rodata
    .balign 16
swap_words:
    .byte 3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12
    .globl x86_sha256_constants
    .hidden x86_sha256_constants
x86_sha256_constants:
    .long 0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5
    .long 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174
    .long 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da
    .long 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967
    .long 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85
    .long 0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070
    .long 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3
    .long 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2

/* Four rounds with the message words m and constants i * 4 to i * 4 + 3. */
    .macro four i, m
    movdqa \m, WK
    paddd (\i) * 16(%rax), WK
    sha256rnds2 ABEF, CDGH
    pshufd $0x0e, WK, WK
    sha256rnds2 CDGH, ABEF
    .endm

    .macro first i, m
    movdqu \i * 16(%rsi), \m
    pshufb SWAP, \m
    four \i, \m
    .endm

/* a: words of four groups ago, then of this one; b, c, d: of three, two, one ago. */
    .macro later i, a, b, c, d
    sha256msg1 \b, \a
    movdqa \d, T
    palignr $4, \c, T
    paddd T, \a
    sha256msg2 \d, \a
    four \i, \a
    .endm

    .macro each op
    .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10
    \op \n
    .endr
    .endm
    .macro keep n
    movdqu %xmm\n, \n * 16(%rsp)
    .endm
    .macro put_back n
    movdqu \n * 16(%rsp), %xmm\n
    .endm

    .text
    .balign 16
    .globl x86_sha256
    .hidden x86_sha256
x86_sha256:
    subq $184, %rsp
    each keep
    movdqa swap_words(%rip), SWAP
    leaq x86_sha256_constants(%rip), %rax
    movdqu (%rdi), T                  /* A B C D from the low end */
    movdqu 16(%rdi), CDGH             /* E F G H */
    pshufd $0xb1, T, T
    pshufd $0x1b, CDGH, CDGH
    movdqa T, ABEF
    palignr $8, CDGH, ABEF
    pblendw $0xf0, T, CDGH
    testq %rdx, %rdx
    jz 2f
1:  movdqa ABEF, ABEF0
    movdqa CDGH, CDGH0
    first 0, M0
    first 1, M1
    first 2, M2
    first 3, M3
    .irp i, 4, 8, 12
    later \i, M0, M1, M2, M3
    later (\i+1), M1, M2, M3, M0
    later (\i+2), M2, M3, M0, M1
    later (\i+3), M3, M0, M1, M2
    .endr
    paddd ABEF0, ABEF
    paddd CDGH0, CDGH
    addq $64, %rsi
    decq %rdx
    jnz 1b
2:  pshufd $0x1b, ABEF, T
    pshufd $0xb1, CDGH, CDGH
    movdqa T, ABEF
    pblendw $0xf0, CDGH, ABEF
    palignr $8, T, CDGH
    movdqu ABEF, (%rdi)
    movdqu CDGH, 16(%rdi)
    each put_back
    addq $184, %rsp
    ret
    .section .note.GNU-stack, "", @progbits
