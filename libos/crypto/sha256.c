/* SPDX-License-Identifier: MIT */
/* SHA-256, FIPS 180-4, by the CPU's instructions where it has them. In C, the eight working variables are renamed instead
 * of moved. */
#include <libos/sha256.h>

#include <plat/cpu.h>
#include <string.h>

static const uint32_t k[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static inline uint32_t ror(uint32_t x, unsigned n)
{
    return x >> n | x << (32 - n);
}

/* ror(ror(ror(x, a) ^ x, b) ^ x, c): three rotations in one chain, as FIPS's sums of three. */
static inline uint32_t big0(uint32_t x)
{
    return ror(ror(ror(x, 9) ^ x, 11) ^ x, 2);
}

static inline uint32_t big1(uint32_t x)
{
    return ror(ror(ror(x, 14) ^ x, 5) ^ x, 6);
}

static inline uint32_t small0(uint32_t x)
{
    return ror(x, 7) ^ ror(x, 18) ^ x >> 3;
}

static inline uint32_t small1(uint32_t x)
{
    return ror(x, 17) ^ ror(x, 19) ^ x >> 10;
}

static inline uint32_t be32(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof(v));
    return __builtin_bswap32(v);
}

/* Round i of eight; a to h are the working variables as they are named in this round. */
#define ROUND(a, b, c, d, e, f, g, h, i)                                                           \
    do {                                                                                           \
        h += big1(e) + (((f ^ g) & e) ^ g) + kk[i] + ww[i];                                        \
        d += h;                                                                                    \
        h += big0(a) + (((a | b) & c) | (a & b));                                                  \
    } while (0)

static void schedule(uint32_t w[64], const uint8_t *p)
{
    for (unsigned i = 0; i < 16; i++)
        w[i] = be32(p + 4 * i);
    for (unsigned i = 16; i < 64; i++)
        w[i] = small1(w[i - 2]) + w[i - 7] + small0(w[i - 15]) + w[i - 16];
}

void sha256_compress(uint32_t s[8], const uint8_t *p, size_t blocks)
{
    uint32_t w[64];
    for (; blocks; blocks--, p += 64) {
        uint32_t a = s[0], b = s[1], c = s[2], d = s[3], e = s[4], f = s[5], g = s[6], h = s[7];
        const uint32_t *kk = k, *ww = w;
        schedule(w, p);
        for (; ww < w + 64; kk += 8, ww += 8) {
            ROUND(a, b, c, d, e, f, g, h, 0);
            ROUND(h, a, b, c, d, e, f, g, 1);
            ROUND(g, h, a, b, c, d, e, f, 2);
            ROUND(f, g, h, a, b, c, d, e, 3);
            ROUND(e, f, g, h, a, b, c, d, 4);
            ROUND(d, e, f, g, h, a, b, c, 5);
            ROUND(c, d, e, f, g, h, a, b, 6);
            ROUND(b, c, d, e, f, g, h, a, 7);
        }
        s[0] += a;
        s[1] += b;
        s[2] += c;
        s[3] += d;
        s[4] += e;
        s[5] += f;
        s[6] += g;
        s[7] += h;
    }
}

static void compress(uint32_t s[8], const uint8_t *p, size_t blocks)
{
    if (blocks && !plat_sha256(s, p, blocks))
        sha256_compress(s, p, blocks);
}

void sha256_init(struct sha256 *s)
{
    static const uint32_t first[8] = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                       0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19 };
    memcpy(s->h, first, sizeof(first));
    s->size = 0;
}

void sha256_add(struct sha256 *s, const void *data, size_t size)
{
    const uint8_t *p = data;
    size_t have = s->size % 64;
    s->size += size;
    if (have) {
        size_t n = 64 - have < size ? 64 - have : size;
        memcpy(s->block + have, p, n);
        if (have + n < 64)
            return;
        compress(s->h, s->block, 1);
        p += n;
        size -= n;
    }
    compress(s->h, p, size / 64);
    memcpy(s->block, p + size / 64 * 64, size % 64);
}

void sha256_end(struct sha256 *s, uint8_t ret_digest[32])
{
    uint64_t bits = __builtin_bswap64(s->size * 8);
    size_t have = s->size % 64;
    s->block[have++] = 0x80;
    if (have > 56) {
        memset(s->block + have, 0, 64 - have);
        compress(s->h, s->block, 1);
        have = 0;
    }
    memset(s->block + have, 0, 56 - have);
    memcpy(s->block + 56, &bits, sizeof(bits));
    compress(s->h, s->block, 1);
    for (unsigned i = 0; i < 8; i++) {
        uint32_t v = __builtin_bswap32(s->h[i]);
        memcpy(ret_digest + 4 * i, &v, sizeof(v));
    }
}

bool sha256_lanes(const struct sha256 *from, const void *const data[PLAT_SHA256_LANES], size_t size,
                  uint8_t ret_digest[PLAT_SHA256_LANES][32])
{
    uint32_t h[8][PLAT_SHA256_LANES];
    uint64_t bits = __builtin_bswap64((from->size + size) * 8);
    uint8_t padding[64] = { 0x80 };
    const void *paddings[PLAT_SHA256_LANES];
    if (from->size % 64 || size % 64)
        return false;
    memcpy(padding + 56, &bits, sizeof(bits));
    for (unsigned w = 0; w < 8; w++)
        for (unsigned m = 0; m < PLAT_SHA256_LANES; m++)
            h[w][m] = from->h[w];
    for (unsigned m = 0; m < PLAT_SHA256_LANES; m++)
        paddings[m] = padding;
    if (!plat_sha256_lanes(h, data, size / 64) || !plat_sha256_lanes(h, paddings, 1))
        return false;
    for (unsigned m = 0; m < PLAT_SHA256_LANES; m++)
        for (unsigned w = 0; w < 8; w++) {
            uint32_t v = __builtin_bswap32(h[w][m]);
            memcpy(ret_digest[m] + 4 * w, &v, sizeof(v));
        }
    return true;
}
