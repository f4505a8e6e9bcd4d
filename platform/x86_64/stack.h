/* SPDX-License-Identifier: MIT */
/* Kernel stacks with a guard page and an FPU area, cached. */
#ifndef X86_64_STACK_H
#define X86_64_STACK_H

#include <base/compiler.h>
#include <base/types.h>
#include "x86_64/cpu.h"

/* A slot: one page not mapped, STACK_SIZE of stack, one page of FPU state. */
enum { SLOT_SIZE = PAGE_SIZE + STACK_SIZE + PAGE_SIZE };

/* Get a slot; its address (of the guard page), 0: no memory. */
uintptr_t x86_slot_get(void);
void x86_slot_put(uintptr_t slot);

static inline uintptr_t x86_slot_top(uintptr_t slot)
{
    return slot + PAGE_SIZE + STACK_SIZE;
}

static inline void *x86_slot_fpu(uintptr_t slot)
{
    return (void *)x86_slot_top(slot);
}

#endif
