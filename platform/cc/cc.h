/* SPDX-License-Identifier: MIT */
/* Confidential guests: memory that the host cannot read, and a processor that asks the guest before it lets the host serve
 * an instruction. AMD SEV (sev.c: memory alone), SEV-ES (and registers: vc.c, ghcb.c), SEV-SNP (and who changes memory:
 * snp.c), Intel TDX (tdx.c, ve.c).
 * Spec: AMD APM volume 2, 15.34 to 15.36; GHCB specification 2.03; Intel TDX module 1.5 ABI; GHCI 1.5. */
#ifndef CC_CC_H
#define CC_CC_H

#include <base/compiler.h>
#include <base/types.h>
#include <plat/thread.h>

/* Why a guest ends itself, as set * 256 + reason: GHCB termination set 0 is the specification's, 1 is ours (SECURITY.md
 * lists them). TDX has one number, the same. */
enum cc_reason {
    CC_GENERAL = 0x000,       /* what a panic ends with */
    CC_GHCB_PROTOCOL = 0x001, /* no version of the GHCB that both sides know */
    CC_UNSUPPORTED = 0x002,   /* the guest has a feature that needs code which is not here */
    CC_PSC_REFUSED = 0x101,   /* the host did not change a page's state */
    CC_PVALIDATE = 0x102,     /* a page was accepted already, or cannot be: replay or remapping */
    CC_NOT_VALIDATED = 0x103, /* an access to a page that the host took away */
    CC_VC_MISMATCH = 0x104,   /* the instruction is not what the exit says: an injected exception */
    CC_VC_UNSUPPORTED = 0x105, /* an exit or an instruction that ring 0 does not make */
    CC_GHCB_ANSWER = 0x106,    /* an answer without valid bits, or malformed */
    CC_MMIO_PRIVATE = 0x107,   /* device access that is not at shared device memory */
    CC_BLOB = 0x108,           /* the loader's description of the guest is malformed */
    CC_CBIT = 0x109,           /* the C-bit's or the shared bit's position is not one */
    CC_COUNTER = 0x10a,        /* the host serves the counter, which is the processor's */
    CC_SVSM = 0x10b,           /* the host does not run the module at VMPL 0, or that refuses */
    CC_DOORBELL = 0x10c, /* the host refuses the doorbell page, or announces what it may not */
};

enum cc_kind { CC_NONE, CC_SEV, CC_SEV_ES, CC_SNP, CC_TDX };

/* What this guest is; CC_NONE until cc_start. */
enum cc_kind cc_kind(void);
/* Its name: "sev", "sev-es", "snp", "tdx", or "". */
const char *cc_name(void);

struct boot_start_info;
struct x86_cpu;

/* At the identity mapping, before relocation: find out what this guest is, and put the C-bit into the boot tables. The C-bit
 * as a mask, 0: none. */
uint64_t cc_start(const struct boot_start_info *info);

/* At the final address, when traps work: whatever the host needs for serving ports, MSRs and devices. */
void cc_init(void);

/* When messages work: say so if the guest can be debugged by the host. */
void cc_report(void);

/* The frequency of the time stamp counter as the processor vouches for it; 0: it does not, and the host can turn the counter
 * back. */
uint64_t cc_counter_hz(void);
/* Can the host turn the counter back, in a guest that does not trust it? */
bool cc_counter_moves(void);

/* Make RAM in [start, end), page aligned and not accepted so far, private and accepted. Ends the guest where the host
 * does not play along. mapped: the linear map has them; else it is boot, which uses boot_window. One caller at a time. */
void cc_accept(uint64_t start, uint64_t end, bool mapped);

/* Make RAM in [pa, pa + size), both multiples of 2 MiB, shared with the host and map it so in the linear map; cleared. Its
 * content is lost. Nothing in a guest that is not confidential. Before further CPUs run. */
void cc_share(uint64_t pa, uint64_t size);

/* Further CPUs. In each kind of guest: memory by which c, not started yet, will talk to the host; false: there is none.
 * On c itself, when its traps work. */
NODISCARD bool cc_prepare_cpu(struct x86_cpu *c);
void cc_init_cpu(struct x86_cpu *c);
/* Whether it is the guest that makes the state in which a further CPU starts, and nothing that the firmware or the host
 * says (IPIs, a mailbox) is needed. Then: let the CPU with this APIC id start at entry, in 64-bit mode with the kernel's
 * page tables, no stack and no descriptor tables; false: the host refuses, or there is no memory. */
bool cc_starts_cpus(void);
NODISCARD bool cc_start_cpu(uint32_t apic_id, uintptr_t entry);

/* Before start-up IPIs, which send further CPUs to the page at low (below 1 MiB) in real mode: tell a firmware that holds
 * them back where they shall go. True: done, or there is none. False, and a log line: its table is not its own memory. */
NODISCARD bool cc_hand_over_cpus(uint64_t low);

/* A #VC (error: the exit code) or #VE exception. True: served, go on at f. False: of ring 3 and to be answered by a signal.
 * What ring 0 should not have met ends the guest. */
bool cc_trap(unsigned long error, struct plat_frame *f, bool from_user);

/* Wait for an interrupt with interrupts on, where the instruction for that would trap. False: it does not. */
bool cc_halt(void);

/* End the guest with a reason that the host's log shows; one line on the console first. */
NORETURN void cc_terminate(enum cc_reason why);

#endif
