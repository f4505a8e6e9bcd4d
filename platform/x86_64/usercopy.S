/* SPDX-License-Identifier: MIT */
/* The instructions that touch user memory. Each that may fault has an entry in .ex_table: {its address, where to go
 * on}, both relative to the entry's own place. Bounds have been checked by usercopy.c; SMAP is lifted only here. */

.macro ex from, to
    .pushsection .ex_table, "a", @progbits
    .balign 4
    .long \from - .
    .long \to - .
    .popsection
.endm

.macro user_on
    cmpb $0, x86_facts(%rip)
    je 771f
    stac
771:
.endm

.macro user_off
    cmpb $0, x86_facts(%rip)
    je 772f
    clac
772:
.endm

    .text
/* size_t x86_user_copy(void *dst, const void *src, size_t n): bytes left when a fault could not be served. */
    .balign 16
    .globl x86_user_copy
x86_user_copy:
    movq %rdx, %rcx
    user_on
    cmpq $16, %rdx
    ja 3f
    cmpl $8, %edx
    jb 2f
    /* 8 to 16 bytes: two words that may overlap. Both are read first; a fault in either does it again by bytes. */
10: movq (%rsi), %rax
11: movq -8(%rsi, %rdx), %r8
12: movq %rax, (%rdi)
13: movq %r8, -8(%rdi, %rdx)
    xorl %ecx, %ecx
    jmp 9f
2:  cmpl $4, %edx
    jb 3f
14: movl (%rsi), %eax
15: movl -4(%rsi, %rdx), %r8d
16: movl %eax, (%rdi)
17: movl %r8d, -4(%rdi, %rdx)
    xorl %ecx, %ecx
    jmp 9f
3:  rep movsb
9:  user_off
    movq %rcx, %rax
    ret
    ex 10b, 3b
    ex 11b, 3b
    ex 12b, 3b
    ex 13b, 3b
    ex 14b, 3b
    ex 15b, 3b
    ex 16b, 3b
    ex 17b, 3b
    ex 3b, 9b

/* size_t x86_user_clear(void *dst, size_t n): bytes left. */
    .balign 16
    .globl x86_user_clear
x86_user_clear:
    movq %rsi, %rcx
    xorl %eax, %eax
    user_on
1:  rep stosb
2:  user_off
    movq %rcx, %rax
    ret
    ex 1b, 2b

/* size_t x86_user_string(char *dst, const char *src, size_t size): size - (bytes copied, the NUL too), or -1: fault,
 * or -2: no NUL in size bytes. */
    .balign 16
    .globl x86_user_string
x86_user_string:
    movq %rdx, %rcx
    movabsq $0x0101010101010101, %r8
    movabsq $0x8080808080808080, %r9
    user_on
    jmp 2f
    /* Eight bytes, none of them on another page; a zero among them shows as the lowest bit that is left. */
6:  movq (%rsi), %rax
    movq %rax, (%rdi)
    movq %rax, %rdx
    subq %r8, %rdx
    notq %rax
    andq %rax, %rdx
    andq %r9, %rdx
    jnz 7f
    addq $8, %rsi
    addq $8, %rdi
    subq $8, %rcx
2:  movl %esi, %eax
    andl $4095, %eax
    cmpl $4088, %eax
    ja 8f
    cmpq $8, %rcx
    jae 6b
8:  testq %rcx, %rcx
    jz 3f
1:  movzbl (%rsi), %eax
    movb %al, (%rdi)
    incq %rsi
    incq %rdi
    decq %rcx
    testb %al, %al
    jnz 2b
    jmp 4f
7:  bsfq %rdx, %rdx
    shrl $3, %edx
    subq %rdx, %rcx
    decq %rcx
    jmp 4f
3:  movq $-2, %rcx
4:  user_off
    movq %rcx, %rax
    ret
5:  movq $-1, %rcx
    jmp 4b
    ex 1b, 5b
    ex 6b, 5b

/* int x86_user_load32(uint32_t *dst, const uint32_t *src): 0, or -1: fault. */
    .balign 16
    .globl x86_user_load32
x86_user_load32:
    xorl %eax, %eax
    user_on
1:  movl (%rsi), %ecx
    user_off
    movl %ecx, (%rdi)
    ret
2:  user_off
    movl $-1, %eax
    ret
    ex 1b, 2b

/* int x86_user_cmpxchg32(uint32_t *addr, uint32_t expected, uint32_t desired, uint32_t *found): 0, or -1: fault. */
    .balign 16
    .globl x86_user_cmpxchg32
x86_user_cmpxchg32:
    movq %rcx, %r8
    movl %esi, %eax
    user_on
1:  lock cmpxchgl %edx, (%rdi)
    user_off
    movl %eax, (%r8)
    xorl %eax, %eax
    ret
2:  user_off
    movl $-1, %eax
    ret
    ex 1b, 2b

    .section .note.GNU-stack, "", @progbits
