/* SPDX-License-Identifier: MIT */
/* The virtual machine control block. Spec: AMD APM volume 2, appendix B. */
#ifndef CCSIM_VMCB_H
#define CCSIM_VMCB_H

#include <base/compiler.h>
#include <base/types.h>

struct vmcb_segment {
    uint16_t selector, attributes;
    uint32_t limit;
    uint64_t base;
};

struct PACKED vmcb {
    uint32_t intercept_cr, intercept_dr, intercept_exceptions, intercept_1, intercept_2;
    uint8_t pad0[0x40 - 0x14];
    uint64_t iopm, msrpm, tsc_offset;
    uint32_t asid;
    uint8_t tlb_control, pad1[3];
    uint64_t v_intr, int_shadow, exit_code, exit_info1, exit_info2, exit_int_info, np_enable;
    uint8_t pad2[0xa8 - 0x98];
    uint64_t event_inject, nested_cr3;
    uint8_t pad3[0x400 - 0xb8];
    struct vmcb_segment es, cs, ss, ds, fs, gs, gdtr, ldtr, idtr, tr;
    uint8_t pad4[0x4cb - 0x4a0];
    uint8_t cpl;
    uint32_t pad5;
    uint64_t efer;
    uint8_t pad6[0x548 - 0x4d8];
    uint64_t cr4, cr3, cr0, dr7, dr6, rflags, rip;
    uint8_t pad7[0x5d8 - 0x580];
    uint64_t rsp;
    uint8_t pad8[0x5f8 - 0x5e0];
    uint64_t rax, star, lstar, cstar, sfmask, kernel_gs_base, sysenter_cs, sysenter_esp,
        sysenter_eip, cr2;
    uint8_t pad9[0x668 - 0x648];
    uint64_t pat;
    uint8_t pad10[0x1000 - 0x670];
};
_Static_assert(offsetof(struct vmcb, iopm) == 0x40, "");
_Static_assert(offsetof(struct vmcb, exit_code) == 0x70, "");
_Static_assert(offsetof(struct vmcb, np_enable) == 0x90, "");
_Static_assert(offsetof(struct vmcb, nested_cr3) == 0xb0, "");
_Static_assert(offsetof(struct vmcb, efer) == 0x4d0, "");
_Static_assert(offsetof(struct vmcb, rip) == 0x578, "");
_Static_assert(offsetof(struct vmcb, rax) == 0x5f8, "");
_Static_assert(offsetof(struct vmcb, cr2) == 0x640, "");
_Static_assert(sizeof(struct vmcb) == 0x1000, "");

/* Exit codes; those of SEV-ES are the error codes of #VC. */
enum {
    EXIT_CR3_WRITE = 0x13,
    INTERCEPT_CR3_WRITE = 1 << 19,
    EXIT_EXCEPTION = 0x40,
    EXIT_DR7_READ = 0x27,
    EXIT_DR7_WRITE = 0x37,
    EXIT_INTR = 0x60,
    EXIT_NMI = 0x61,
    EXIT_RDTSC = 0x6e,
    EXIT_CPUID = 0x72,
    EXIT_IOIO = 0x7b,
    EXIT_MSR = 0x7c,
    EXIT_HLT = 0x78,
    EXIT_SHUTDOWN = 0x7f,
    EXIT_VMRUN = 0x80,
    EXIT_VMMCALL = 0x81,
    EXIT_WBINVD = 0x89,
    EXIT_MONITOR = 0x8a,
    EXIT_MWAIT = 0x8b,
    EXIT_NPF = 0x400,
    EXIT_NOT_VALIDATED = 0x404,
};

#endif
