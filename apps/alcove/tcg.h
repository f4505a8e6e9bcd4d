/* SPDX-License-Identifier: MIT */
/* What firmware and stub measure of an image: Authenticode digests, PCRs, TDX's registers. */
#ifndef ALCOVE_CMD_TCG_H
#define ALCOVE_CMD_TCG_H

#include "firmware.h"
#include "hash.h"
#include "pe.h"

/* The digest by which a PE file is signed and measured. */
size_t tcg_authenticode(const struct pe *pe, const char *algorithm, uint8_t ret[HASH_MAX]);

/* An image and the way it is booted: disk NULL: as OVMF's kernel (QEMU -kernel), else from the disk whose bytes these are. */
struct tcg_image {
    const struct pe *pe;
    const uint8_t *disk;
    size_t disk_size;
};

/* PCR 4, 5 and 11, as OVMF and the stub extend them until libOS runs. */
void tcg_pcrs(const struct tcg_image *i, struct extended *ret_4, struct extended *ret_5,
              struct extended *ret_11);

/* TDX: the register of the firmware, and RTMR 1 and 2. */
void tcg_mrtd(const struct firmware *f, uint8_t ret[HASH_MAX]);
void tcg_rtmrs(const struct tcg_image *i, struct extended *ret_1, struct extended *ret_2);

#endif
