/* SPDX-License-Identifier: MIT */
/* The launch digest of SEV-SNP. Spec: AMD's "SEV Secure Nested Paging Firmware ABI", 8.17; what a VMM puts into the first
 * VMSAs is its own affair. */
#ifndef ALCOVE_CMD_SNP_H
#define ALCOVE_CMD_SNP_H

#include "firmware.h"
#include "hash.h"
#include "util.h"

enum { SNP_DIGEST = 48 };

/* How a VMM starts the CPUs. */
struct snp_vmm {
    const char *name;
    bool cpu_signature; /* rdx has it, else 0x600 */
    uint32_t rdx;
    uint32_t mxcsr;
    uint16_t fcw, cs_first, cs, ss, tr;
    uint64_t pat;
    bool memory_unmeasured, cpuid_last;
};

/* The VMM of that name; NULL: not known. */
const struct snp_vmm *snp_vmm_find(const char *name);

/* CPUID's signature of a CPU type of QEMU ("EPYC-Milan"); false: not known. */
bool snp_cpu_signature(const char *type, uint32_t *ret);
/* All names, for a message. */
char *snp_cpu_types(void);

/* What is put into the table of hashes. */
struct snp_hashes {
    uint8_t kernel[HASH_MAX], initrd[HASH_MAX], cmdline[HASH_MAX]; /* SHA-256: the first 32 */
};

/* One page more: its kind (SNP firmware ABI, table 67), where it is, and its 4096 bytes, NULL: its content is not measured. */
void snp_page(uint8_t digest[SNP_DIGEST], uint8_t type, uint64_t gpa, const uint8_t *content);

/* Digest after the firmware's own pages. */
void snp_firmware_digest(const struct firmware *f, uint8_t ret[SNP_DIGEST]);

/* Go on from digest (snp_firmware_digest's) to the launch digest. hashes NULL: the firmware loads the image itself. */
void snp_launch_digest(const struct firmware *f, const struct snp_vmm *vmm, uint32_t signature,
                       unsigned cpus, const struct snp_hashes *hashes, uint8_t digest[SNP_DIGEST]);

#endif
