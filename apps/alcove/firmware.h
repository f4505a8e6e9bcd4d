/* SPDX-License-Identifier: MIT */
/* What an OVMF file says of itself: the table of GUIDs before its reset vector. Spec: EDK II, OvmfPkg/ResetVector and
 * OvmfPkg/OvmfPkgDefines; Intel's TDX Virtual Firmware Design Guide, chapter 11. */
#ifndef ALCOVE_CMD_FIRMWARE_H
#define ALCOVE_CMD_FIRMWARE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { FIRMWARE_RANGES_MAX = 64 };

enum snp_range {
    SNP_SEC_MEMORY = 1,
    SNP_SECRETS = 2,
    SNP_CPUID = 3,
    SNP_SVSM = 4,
    SNP_KERNEL_HASHES = 0x10,
};

struct firmware {
    const char *path;
    const uint8_t *data;
    size_t size;
    /* SEV: nothing when the firmware has no such metadata */
    struct {
        uint32_t base, size, type;
    } snp[FIRMWARE_RANGES_MAX];
    size_t snp_count;
    uint32_t hashes_at; /* address of the table of hashes; 0: none */
    uint32_t ap_entry;  /* reset address of further CPUs */
    /* TDX */
    struct {
        uint32_t data_at, data_size;
        uint64_t base, size;
        uint32_t type, flags;
    } tdx[FIRMWARE_RANGES_MAX];
    size_t tdx_count;
};

/* Read a firmware file; what does not fit ends the command. */
void firmware_read(const char *path, struct firmware *ret);

#endif
