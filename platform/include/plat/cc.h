/* SPDX-License-Identifier: MIT */
/* What a confidential guest can ask the processor's security firmware. */
#ifndef PLAT_CC_H
#define PLAT_CC_H

#include <base/compiler.h>
#include <base/types.h>

enum { PLAT_TDX_DATA = 64, PLAT_TDX_REPORT = 1024, PLAT_TDX_DIGEST = 48, PLAT_SNP_KEY = 32 };

/* Is this an SEV-SNP guest? */
bool plat_snp(void);

/* The key of this guest's messages to the security processor (AES-256), the number of messages that were encrypted with it
 * before, and the guest's privilege level (VMPL), which is the key's number. Gives the key once: nobody else has it
 * afterwards. -ENODEV: no SEV-SNP guest, or no key. Does not sleep. */
NODISCARD int plat_snp_take_key(uint8_t ret_key[PLAT_SNP_KEY], uint64_t *ret_sequence,
                                unsigned *ret_vmpl);

/* Have the host carry a message to the security processor and the answer back: device addresses of pages from
 * plat_dma_alloc. certs: where the host puts certificates, *pages long, or 0. *ret_verdict: 0, or who failed and how (the
 * upper half is the host's error, 1: more pages are needed, which *pages then says, 2: busy; the lower one the
 * firmware's). -ENODEV: no SEV-SNP guest, -EIO: the host refused. Does not sleep.
 * Spec: GHCB specification 2.03, SNP Guest Request and SNP Extended Guest Request. */
NODISCARD int plat_snp_request(uint64_t request, uint64_t response, uint64_t certs, uint64_t *pages,
                               uint64_t *ret_verdict);

/* Is this a TDX guest? */
bool plat_tdx(void);
/* The host may read this TD's memory: an attribute that the module vouches for. False in every other guest; of an SEV-SNP
 * guest only a report tells. */
bool plat_cc_debug(void);

/* The TDX module's report on this guest, with data in it: TDREPORT_STRUCT, which only this machine can check (a quoting
 * enclave makes a quote of it). -ENODEV: no TDX guest; -EIO: the module refused. Does not sleep.
 * Spec: Intel TDX module 1.5 ABI reference, TDG.MR.REPORT. */
NODISCARD int plat_tdx_report(const uint8_t data[PLAT_TDX_DATA],
                              uint8_t ret_report[PLAT_TDX_REPORT]);

/* Ask the host for a quote: device address and size of a buffer from plat_dma_alloc, which begins with the GHCI's header. The
 * answer comes there later: its status says when. -ENODEV: no TDX guest, -EIO: the host refused. Does not sleep.
 * Spec: GHCI 1.5, TDG.VP.VMCALL<GetQuote>. */
NODISCARD int plat_tdx_get_quote(uint64_t addr, size_t size);

/* Extend RTMR n with a digest. -ENODEV: no TDX guest, -EINVAL: no such register, -EIO: the module refused. Does not sleep.
 * Spec: Intel TDX module 1.5 ABI reference, TDG.MR.RTMR.EXTEND. */
NODISCARD int plat_tdx_extend(unsigned n, const uint8_t digest[PLAT_TDX_DIGEST]);

#endif
