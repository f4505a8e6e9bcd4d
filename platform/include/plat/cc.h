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

/* Does the processor keep this SEV-SNP guest's counter from the host (SecureTSC)? Then further CPUs need to be given what
 * the security processor says of it (message 17): scale and offset, before plat_cpu_start_all. */
bool plat_snp_secure_tsc(void);
void plat_snp_set_counter(uint64_t scale, uint64_t offset);

/* The level (VMPL) of an SEV-SNP guest below a secure VM service module; 0: there is none. */
unsigned plat_svsm(void);

/* A report of the module at level 0 on the services that it gives, or on a single one, with the module's manifest. Pages of
 * private memory from the linear map, each buffer in one piece; sizes: room, then what is there. certs may be NULL. */
enum { PLAT_SVSM_NONCE = 64, PLAT_SVSM_GUID = 16 };
struct plat_svsm_attest {
    uint8_t nonce[PLAT_SVSM_NONCE];
    bool single;
    uint8_t guid[PLAT_SVSM_GUID];
    uint32_t version; /* of a single service's manifest */
    void *report, *manifest, *certs;
    size_t report_size, manifest_size, certs_size;
};
/* The report's data is SHA-512 of nonce and manifest. -ENODEV: no module; -EINVAL: no such service or version; -ENOSPC: a
 * buffer is too small; -EOPNOTSUPP: the module does not attest; -EIO: it failed. Does not sleep.
 * Spec: Secure VM Service Module for SEV-SNP Guests 1.01, chapter 7. */
NODISCARD int plat_svsm_attest(struct plat_svsm_attest *q);

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
/* Have fn(arg) called, in an interrupt, when the host has finished a quote. At boot, once. -ENODEV: no TDX guest, or the host
 * does not tell. */
NODISCARD int plat_tdx_quote_notify(void (*fn)(void *arg), void *arg);

/* Extend RTMR n with a digest. -ENODEV: no TDX guest, -EINVAL: no such register, -EIO: the module refused. Does not sleep.
 * Spec: Intel TDX module 1.5 ABI reference, TDG.MR.RTMR.EXTEND. */
NODISCARD int plat_tdx_extend(unsigned n, const uint8_t digest[PLAT_TDX_DIGEST]);

#endif
