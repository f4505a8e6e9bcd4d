/* SPDX-License-Identifier: MIT */
/* Every instruction that touches user memory, and the functions of plat/user.h around them: bounds and copy are one thing.
 * An instruction that may fault has an entry in .ex_table: {its address, where to go on}, both relative to the entry's own
 * place. SMAP is lifted only here.
 *
 * Only the address where a copy begins is compared with the end of user memory. It goes upwards from there, and the page
 * behind the end is never mapped, so what is too long faults in it and is cut there like any other bad range. */
#include "x86_64/offsets.h"
#include "x86_64/smap.S"

.macro ex from, to
    .pushsection .ex_table, "a", @progbits
    .balign 4
    .long \from - .
    .long \to - .
    .popsection
.endm

/* To \bad unless \addr is below the end of user memory. A program linked into the image has its data where libOS does: all
 * addresses are its. Clobbers rax. */
.macro in_user addr, bad
#if !CONFIG_RELINK
    movabsq $USER_MAX, %rax
    cmpq %rax, \addr
    jae \bad
#endif
.endm

/* rdx bytes from rsi to rdi; rcx bytes are left when it ends. Clobbers rax, r8, rsi, rdi. */
.macro copy
    user_on
    movq %rdx, %rcx
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
    ex 10b, 3b
    ex 11b, 3b
    ex 12b, 3b
    ex 13b, 3b
    ex 14b, 3b
    ex 15b, 3b
    ex 16b, 3b
    ex 17b, 3b
    ex 3b, 9b
.endm

/* int \name(dst, src, n): 0 or -EFAULT. size_t \name_part(...): the bytes that were copied. user: which of them is user's. */
.macro copy_functions name, user
    .balign 16
    .globl \name
\name:
    in_user \user, fault
    copy
    testq %rcx, %rcx
    jnz fault
    xorl %eax, %eax
    ret

    .balign 16
    .globl \name\()_part
\name\()_part:
    in_user \user, nothing
    copy
    movq %rdx, %rax
    subq %rcx, %rax
    ret
.endm

    .text
    copy_functions plat_user_read, %rsi
    copy_functions plat_user_write, %rdi

/* int plat_user_clear(uintptr_t dst, size_t n) */
    .balign 16
    .globl plat_user_clear
plat_user_clear:
    in_user %rdi, fault
    movq %rsi, %rcx
    xorl %eax, %eax
    user_on
1:  rep stosb
    user_off
    ret
2:  user_off
fault:
    movl $-USER_EFAULT, %eax
    ret
nothing:
    xorl %eax, %eax
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

/* int plat_user_load32(uintptr_t addr, uint32_t *ret) */
    .balign 16
    .globl plat_user_load32
plat_user_load32:
    testb $3, %dil
    jnz unaligned
    in_user %rdi, fault
    user_on
1:  movl (%rdi), %ecx
    user_off
    movl %ecx, (%rsi)
    xorl %eax, %eax
    ret
    ex 1b, 2f
unaligned:
    movl $-USER_EINVAL, %eax
    ret

/* int plat_user_cmpxchg32(uintptr_t addr, uint32_t expected, uint32_t desired, uint32_t *ret) */
    .balign 16
    .globl plat_user_cmpxchg32
plat_user_cmpxchg32:
    testb $3, %dil
    jnz unaligned
    in_user %rdi, fault
    movq %rcx, %r8
    movl %esi, %eax
    user_on
1:  lock cmpxchgl %edx, (%rdi)
    user_off
    movl %eax, (%r8)
    xorl %eax, %eax
    ret
2:  user_off
    jmp fault
    ex 1b, 2b

    .section .note.GNU-stack, "", @progbits
