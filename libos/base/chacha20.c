/* SPDX-License-Identifier: MIT */
/* The ChaCha20 block function, RFC 8439 section 2.3. */
#include <base/chacha20.h>

#include <base/compiler.h>

#include <string.h>

static ALWAYS_INLINE uint32_t rotl(uint32_t x, int n)
{
    return x << n | x >> (32 - n);
}

static ALWAYS_INLINE void quarter(uint32_t *x, int a, int b, int c, int d)
{
    x[a] += x[b];
    x[d] = rotl(x[d] ^ x[a], 16);
    x[c] += x[d];
    x[b] = rotl(x[b] ^ x[c], 12);
    x[a] += x[b];
    x[d] = rotl(x[d] ^ x[a], 8);
    x[c] += x[d];
    x[b] = rotl(x[b] ^ x[c], 7);
}

void chacha20_block(const uint32_t k[8], uint64_t count, uint64_t nonce, uint32_t out[16])
{
    const uint32_t in[16] = {
        0x61707865,
        0x3320646e,
        0x79622d32,
        0x6b206574,
        k[0],
        k[1],
        k[2],
        k[3],
        k[4],
        k[5],
        k[6],
        k[7],
        (uint32_t)count,
        (uint32_t)(count >> 32),
        (uint32_t)nonce,
        (uint32_t)(nonce >> 32),
    };
    uint32_t x[16];

    memcpy(x, in, sizeof x);
    for (int i = 0; i < 10; i++) {
        quarter(x, 0, 4, 8, 12);
        quarter(x, 1, 5, 9, 13);
        quarter(x, 2, 6, 10, 14);
        quarter(x, 3, 7, 11, 15);
        quarter(x, 0, 5, 10, 15);
        quarter(x, 1, 6, 11, 12);
        quarter(x, 2, 7, 8, 13);
        quarter(x, 3, 4, 9, 14);
    }
    for (int i = 0; i < 16; i++)
        out[i] = x[i] + in[i];
}
