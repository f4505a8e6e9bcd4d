/* SPDX-License-Identifier: MIT */
/* Checking a dm-verity hash tree (format 1, SHA-256, blocks of 4096 bytes) as veritysetup writes it. */
#ifndef ALCOVE_CMD_VERITY_H
#define ALCOVE_CMD_VERITY_H

#include <stddef.h>
#include <stdint.h>

/* Compare root (root_size bytes) with its hash file and root hash (32 bytes). NULL when everything agrees, else what does
 * not. */
const char *verity_check(const uint8_t *root, size_t root_size, const uint8_t *hash,
                         size_t hash_size, const uint8_t roothash[32]);

#endif
