/* SPDX-License-Identifier: MIT */
/* Confidential guests: memory that the host cannot read, and a processor that asks the guest before it lets the host serve
 * an instruction. So far AMD SEV-SNP. Spec: AMD APM volume 2, 15.34 to 15.36; GHCB specification 2.03. */
#ifndef CC_CC_H
#define CC_CC_H

#include <base/compiler.h>
#include <base/types.h>
#include <plat/thread.h>

/* Why a guest ends itself: GHCB termination set 0 is the specification's, 1 is ours (SECURITY.md lists them). */
enum cc_reason {
    CC_GENERAL = 0x000,        /* what a panic ends with */
    CC_GHCB_PROTOCOL = 0x001,  /* no version of the GHCB that both sides know */
    CC_UNSUPPORTED = 0x002,    /* SEV_STATUS has a feature that needs code which is not here */
    CC_PSC_REFUSED = 0x101,    /* the host did not change a page's state */
    CC_PVALIDATE = 0x102,      /* a page was validated already, or cannot be: replay or remapping */
    CC_NOT_VALIDATED = 0x103,  /* an access to a page that the host took away */
    CC_VC_MISMATCH = 0x104,    /* the instruction is not what the exit code says: an injected #VC */
    CC_VC_UNSUPPORTED = 0x105, /* an exit or an instruction that ring 0 does not make */
    CC_GHCB_ANSWER = 0x106,    /* an answer without valid bits, or malformed */
    CC_MMIO_PRIVATE = 0x107,   /* device access that is not at shared device memory */
    CC_BLOB = 0x108,           /* the loader's description of the guest is malformed */
    CC_CBIT = 0x109,           /* the C-bit's position is not one */
};

/* Whether this guest is confidential; false until cc_start. */
bool cc_active(void);

struct boot_start_info;

/* At the identity mapping, before relocation: take the blob's tables and the C-bit, and put the C-bit into the boot
 * tables. The C-bit as a mask, 0: not a confidential guest. */
uint64_t cc_start(const struct boot_start_info *info);

/* At the final address, when traps work: agree on a protocol version with the host and register this CPU's GHCB. */
void cc_init(void);

/* Make RAM in [start, end), page aligned and not accepted so far, private and validated. Ends the guest where the host
 * does not play along. Boot only: uses boot_window. */
void cc_accept(uint64_t start, uint64_t end);

/* A #VC exception. error: the exit code. True: served, go on at f. False: of ring 3 and to be answered by a signal.
 * What ring 0 should not have met ends the guest. */
bool cc_vc(unsigned long error, struct plat_frame *f, bool from_user);

/* End the guest with a reason that the host's log shows; one line on the console first. */
NORETURN void cc_terminate(enum cc_reason why);

#endif
