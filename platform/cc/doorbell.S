/* SPDX-License-Identifier: MIT */
/* void doorbell_wait(struct x86_cpu *c): halt until #HV, unless it has come since rung was cleared. #HV is not held back by the
 * interrupt flag, so what STI does for the instruction after it does not help: from the look at rung to the halt itself,
 * #HV goes on at the end (doorbell.c). */
#include "x86_64/offsets.h"

    .text
    .globl doorbell_wait, doorbell_wait_start, doorbell_wait_end
doorbell_wait:
    cmpb $0, PERCPU_RUNG(%rdi)
doorbell_wait_start:
    jne doorbell_wait_end
    sti
    hlt
doorbell_wait_end:
    cli
    ret

    .section .note.GNU-stack, "", @progbits
