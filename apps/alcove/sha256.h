/* SPDX-License-Identifier: MIT */
/* SHA-256 by libcrypto: for the sums that are printed, to check hash trees and blobs. */
#ifndef ALCOVE_CMD_SHA256_H
#define ALCOVE_CMD_SHA256_H

#include <stddef.h>
#include <stdint.h>

struct sha256 {
    void *context; /* between init and done */
};

void sha256_init(struct sha256 *s);
void sha256_add(struct sha256 *s, const void *p, size_t n);
void sha256_done(struct sha256 *s, uint8_t ret_sum[32]);
/* 64 hex digits and the terminating zero. */
void sha256_hex(const uint8_t sum[32], char ret_hex[65]);

#endif
