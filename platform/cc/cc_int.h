/* SPDX-License-Identifier: MIT */
/* Shared by the files of this folder: what each kind of confidential guest does for cc.c. */
#ifndef CC_CC_INT_H
#define CC_CC_INT_H

#include "cc/cc.h"

/* SEV and SEV-ES, at the identity mapping: which of them, in *ret_kind, and the C-bit. */
uint64_t sev_start(enum cc_kind *ret_kind);
/* SEV-ES: the first page by which the host is talked to. */
void sev_es_init(void);
struct x86_cpuid sev_es_cpuid(uint32_t leaf, uint32_t sub);
/* Before memory becomes shared whose lines may lie in the cache under their other address. */
void sev_flush(uintptr_t va, uint64_t size);
/* The end of a guest without a way to ask for it. */
NORETURN void sev_end(void);
/* The C-bit's mask when position is one and the loader's tables, which map the first GiB one to one, have it too; else the
 * end of the guest. */
uint64_t sev_mask(unsigned position);
/* The boot tables, which were made without it, get the C-bit. */
void sev_protect_boot_tables(uint64_t mask);
/* Choose the GHCB protocol's version, at least need; the end of the guest when the host does not speak it. */
void sev_agree_on_protocol(unsigned need);

/* The module at VMPL 0, whose area for the first CPU is at area_pa, in its memory of size bytes at base; vmpl is the guest's.
 * Before further CPUs run. The end of the guest when it does not answer. */
void svsm_init(uint64_t base, uint64_t size, uint64_t area_pa, unsigned version, unsigned vmpl);
/* This guest's VMPL; 0: there is no module. */
unsigned svsm_level(void);
/* Have pages validated or invalidated, SVSM_LIST_MAX at most: address, bit 0 for 2 MiB, bit 2 to validate. The end of the
 * guest when one was so already. */
enum { SVSM_LIST_MAX = 509 };
void svsm_validate(uint64_t *entries, unsigned n);
/* The page at vmsa_pa is the state of the CPU with this APIC id from now on. */
NODISCARD bool svsm_create_cpu(uint32_t apic_id, uint64_t vmsa_pa);
/* At boot, by what the secrets page says: svsm_init, or nothing. */
void snp_find_svsm(void);

uint64_t snp_start(uint64_t blob);
void snp_init(void);
/* At the identity mapping: keep what the secrets page at pa says, and take the keys out of it. */
void snp_secrets_read(uint64_t pa);
/* Whether the host can start further CPUs from a state that the guest gives. */
bool snp_creates_cpus(void);
/* SEV_FEATURES of this guest's CPUs. */
uint64_t snp_features(void);
/* The host can raise #HV alone (doorbell.h). */
bool snp_restricted(void);
/* Make the private page of the image at va and pa a shared one, mapped so and cleared. */
void snp_share_page(uintptr_t va, uint64_t pa);
/* The processor keeps this guest's counter from the host (SecureTSC), and its frequency. */
bool snp_secure_tsc(void);
uint64_t snp_counter_hz(void);
/* tsc_factor of the secrets page: by how much too high the frequency is stated, in 1/100000. */
uint32_t snp_tsc_factor(void);
bool snp_prepare_cpu(struct x86_cpu *c);
bool snp_start_cpu(uint32_t apic_id, uintptr_t entry);
void snp_accept(uint64_t start, uint64_t end, bool mapped);
void snp_share(uint64_t pa, uint64_t size);
bool snp_vc(unsigned long error, struct plat_frame *f, bool from_user);
/* One byte on the console without a trap. */
void snp_say(uint8_t c);
/* SEV-ES and SEV-SNP: ask the host to end the guest; may return. */
void snp_end(enum cc_reason why);
struct x86_cpuid snp_cpuid(uint32_t leaf, uint32_t sub);

bool tdx_detect(void);
void tdx_start(void);
bool tdx_debug(void);
void tdx_accept(uint64_t start, uint64_t end);
void tdx_share(uint64_t pa, uint64_t size);
bool tdx_ve(struct plat_frame *f, bool from_user);
void tdx_halt(void);
void tdx_say(uint8_t c);
void tdx_end(enum cc_reason why);

#endif
