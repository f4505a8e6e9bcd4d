/* SPDX-License-Identifier: MIT */
/* A stand-in for the libOS, to test what `alcove run` does with console and control channel without it: says "ready" on the
 * control channel, then copies the console's input to the console's output, in capitals, until the host says how many
 * bytes there were ("stdin-eof N") or sends a signal; then "exit N" with the number of the bytes, modulo 256, and a triple
 * fault, which ends QEMU. A byte 0 in the input dies without a word; a byte 1 says "killed 11". */
#define CONSOLE 0x3f8
#define CONTROL 0x2f8

    .code32
    .section .note.pvh, "a", @note
    .align 4
    .long 4, 4, 18
    .asciz "Xen"
    .long start

    .text
    .globl start
start:
    cld
    movl $stack_end, %esp
    movw $CONSOLE + 2, %dx      /* both UARTs: FIFOs on */
    movb $7, %al
    outb %al, %dx
    movw $CONTROL + 2, %dx
    outb %al, %dx
    movl $ready, %esi
    call say
    movl $greeting, %esi
    call print
    xorl %ebx, %ebx             /* bytes so far */
    movl $-1, %ebp              /* bytes in all, once known */
loop:
    cmpl %ebp, %ebx
    je end
    movw $CONSOLE + 5, %dx
    inb %dx, %al
    testb $1, %al
    jz control
    movw $CONSOLE, %dx
    inb %dx, %al
    incl %ebx
    cmpb $0, %al
    je die
    cmpb $1, %al
    je killed
    cmpb $'a', %al
    jb 1f
    cmpb $'z', %al
    ja 1f
    subb $32, %al
1:  movw $CONSOLE, %dx
    call put
    jmp loop

control:                        /* one byte of the control channel: a line is kept in line */
    movw $CONTROL + 5, %dx
    inb %dx, %al
    testb $1, %al
    jz loop
    movw $CONTROL, %dx
    inb %dx, %al
    movl at, %edi
    cmpl $line_end, %edi
    jae 1f
    movb %al, (%edi)
    incl at
1:  cmpb $'\n', %al
    jne loop
    movl $line, at
    cmpl $0x69647473, line      /* "stdi" */
    je eof
    cmpl $0x6e676973, line      /* "sign" */
    jne loop
    movl $signalled, %esi
    call say
    jmp die

eof:                            /* the number after "stdin-eof " */
    movl $line + 10, %esi
    xorl %ebp, %ebp
1:  movzbl (%esi), %eax
    subl $'0', %eax
    cmpl $9, %eax
    ja loop
    imull $10, %ebp
    addl %eax, %ebp
    incl %esi
    jmp 1b

killed:
    movl $killed_text, %esi
    call say
    jmp die

end:
    movl $exit_text, %esi
    call say
    movzbl %bl, %eax            /* in decimal, three digits */
    movb $100, %cl
    divb %cl
    movb %ah, %bl
    addb $'0', %al
    movw $CONTROL, %dx
    call put
    movzbl %bl, %eax
    movb $10, %cl
    divb %cl
    movb %ah, %bl
    addb $'0', %al
    call put
    movb %bl, %al
    addb $'0', %al
    call put
    movb $'\n', %al
    call put
die:
    lidt no_idt
    int3

say:                            /* text at esi to the control channel */
    movw $CONTROL, %dx
    jmp 1f
print:                          /* to the console */
    movw $CONSOLE, %dx
1:  lodsb
    testb %al, %al
    jz 2f
    call put
    jmp 1b
2:  ret

put:                            /* al to the UART at dx, when it has room */
    pushl %eax
    addw $5, %dx
1:  inb %dx, %al
    testb $0x20, %al
    jz 1b
    subw $5, %dx
    popl %eax
    outb %al, %dx
    ret

    .data
at: .long line
no_idt: .word 0
    .long 0
ready: .asciz "log 2 mini: up\nready\n"
greeting: .asciz "mini\n"
exit_text: .asciz "exit "
killed_text: .asciz "killed 11\n"
signalled: .asciz "killed TERM\n"

    .bss
line: .space 64
line_end:
    .space 4096
stack_end:
