/* SPDX-License-Identifier: MIT */
/* Shared by the files of this folder: what each kind of confidential guest does for cc.c. */
#ifndef CC_CC_INT_H
#define CC_CC_INT_H

#include "cc/cc.h"

uint64_t snp_start(uint64_t blob);
void snp_init(void);
/* At the identity mapping: keep what the secrets page at pa says, and take the keys out of it. */
void snp_secrets_read(uint64_t pa);
/* Whether the host can start further CPUs from a state that the guest gives. */
bool snp_creates_cpus(void);
/* SEV_FEATURES of this guest's CPUs. */
uint64_t snp_features(void);
bool snp_prepare_cpu(struct x86_cpu *c);
bool snp_start_cpu(uint32_t apic_id, uintptr_t entry);
void snp_accept(uint64_t start, uint64_t end);
void snp_share(uint64_t pa, uint64_t size);
bool snp_vc(unsigned long error, struct plat_frame *f, bool from_user);
/* One byte on the console without a trap. */
void snp_say(uint8_t c);
/* Ask the host to end the guest; may return. */
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
