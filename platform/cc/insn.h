/* SPDX-License-Identifier: MIT */
/* The instructions that ring 0 uses on devices, decoded: the processor gives neither length nor operands with #VC. */
#ifndef CC_INSN_H
#define CC_INSN_H

#include <base/compiler.h>
#include <base/types.h>
#include <plat/frame_x86_64.h>

enum insn_kind {
    INSN_CPUID,
    INSN_RDMSR,
    INSN_WRMSR,
    INSN_IN,
    INSN_OUT,
    INSN_LOAD,  /* a register from memory */
    INSN_STORE, /* a register or an immediate to memory */
    INSN_WBINVD,
    INSN_DR7_READ,
    INSN_DR7_WRITE,
    INSN_RDTSC,
    INSN_RDTSCP,
};

enum { INSN_MAX = 15 };

struct insn {
    enum insn_kind kind;
    uint8_t length;
    uint8_t size;   /* bytes moved: 1, 2, 4, 8 */
    uint8_t reg;    /* general register, 0 to 15 (rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8 ...) */
    bool high_byte; /* reg is ah, ch, dh, bh of register reg */
    bool immediate; /* INSN_STORE of value; INSN_IN and INSN_OUT: of port value */
    bool extend;    /* INSN_LOAD: fill up the register with zeros (movzx) */
    bool string;    /* INSN_IN, INSN_OUT: INS or OUTS, of the port in dx */
    bool repeat;    /* and that rcx times */
    uint64_t value; /* the immediate, extended to size */
    uintptr_t address; /* INSN_LOAD, INSN_STORE: of the memory operand */
};

/* Decode the instruction of n bytes at most (more may follow). f: the registers it starts with, rip included.
 * false: none of the above, or cut off. Pure. */
NODISCARD bool insn_decode(const uint8_t *bytes, size_t n, const struct plat_frame *f,
                           struct insn *ret);

/* The bits of size bytes (1, 2, 4, 8). */
uint64_t insn_mask(unsigned size);
/* The register operand's value, and setting it as the instruction would: parts of a register leave the rest alone, four
 * bytes clear the upper half. */
uint64_t insn_get(struct plat_frame *f, const struct insn *i);
void insn_set(struct plat_frame *f, const struct insn *i, uint64_t value);

/* The place of general register number n in f. */
uint64_t *insn_register(struct plat_frame *f, unsigned n);

#endif
