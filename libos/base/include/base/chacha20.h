/* SPDX-License-Identifier: MIT */
/* The ChaCha20 block function. No state. */
#ifndef BASE_CHACHA20_H
#define BASE_CHACHA20_H

#include <stdint.h>

/* Compute one 64-byte block, as 16 little-endian words, from a 256-bit key. The words that RFC 8439 calls counter and
 * nonce are count and nonce, 64 bits each (the original layout).
 * Spec: RFC 8439, 2.3. */
void chacha20_block(const uint32_t k[8], uint64_t count, uint64_t nonce, uint32_t out[16]);

#endif
