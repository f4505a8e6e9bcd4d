/* SPDX-License-Identifier: MIT */
/* SHA-256 (FIPS 180-4), for the sums that are printed and to check hash trees. */
#ifndef ALCOVE_CMD_SHA256_H
#define ALCOVE_CMD_SHA256_H

#include <stddef.h>
#include <stdint.h>

struct sha256 {
    uint32_t h[8];
    uint64_t bytes;
    uint8_t block[64];
};

void sha256_init(struct sha256 *s);
void sha256_add(struct sha256 *s, const void *p, size_t n);
void sha256_done(struct sha256 *s, uint8_t ret_sum[32]);
/* 64 hex digits and the terminating zero. */
void sha256_hex(const uint8_t sum[32], char ret_hex[65]);

#endif
