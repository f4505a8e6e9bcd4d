/* SPDX-License-Identifier: MIT */
/* Calls to the TDX module, and through it to the host. */
#ifndef CC_TDX_H
#define CC_TDX_H

#include <base/compiler.h>
#include <base/types.h>

/* In and out, in the order of tdcall.S. */
struct tdx_regs {
    uint64_t rcx, rdx, r8, r9, r10, r11, r12, r13, r14, r15;
};

/* What made the module raise #VE: VMX exit reasons. */
enum {
    TDX_CPUID = 10,
    TDX_HLT = 12,
    TDX_IO = 30,
    TDX_RDMSR = 31,
    TDX_WRMSR = 32,
    TDX_MMIO = 48,
};

/* TDCALL; the module's status. */
uint64_t tdx_call(uint64_t leaf, struct tdx_regs *r);
void tdx_halt_call(void);

/* TDG.VP.VMCALL of a standard function. exposed: which of r12 to r15 the host sees and sets, as bits 12 to 15. The host's
 * status, r10; r11 to r15 come back in r. A failure of the module itself ends the guest. */
uint64_t tdx_vmcall(uint64_t function, unsigned exposed, struct tdx_regs *r);

/* TDG.VP.VEINFO.GET: rcx the reason, rdx the qualification, r9 the guest physical address, r10 the instruction's length. */
void tdx_ve_info(struct tdx_regs *ret);

#endif
