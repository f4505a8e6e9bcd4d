/* SPDX-License-Identifier: MIT */
/* The hashes of names that indexed directories are sorted by: MD4 cut to half of its input, TEA, and the first one. */
#include "ext4.h"

#include <abi/errno.h>
#include <string.h>

static uint32_t rol(uint32_t x, unsigned n)
{
    return x << n | x >> (32 - n);
}

static void half_md4(uint32_t state[4], const uint32_t in[8])
{
    static const uint8_t order[3][8] = { { 0, 1, 2, 3, 4, 5, 6, 7 },
                                         { 1, 3, 5, 7, 0, 2, 4, 6 },
                                         { 3, 7, 2, 6, 1, 5, 0, 4 } };
    static const uint8_t shift[3][4] = { { 3, 7, 11, 19 }, { 3, 5, 9, 13 }, { 3, 9, 11, 15 } };
    static const uint32_t add[3] = { 0, 0x5a827999, 0x6ed9eba1 };
    uint32_t v[4];
    memcpy(v, state, sizeof(v));
    for (unsigned round = 0; round < 3; round++)
        for (unsigned i = 0; i < 8; i++) {
            /* The four words take turns: a, d, c, b. */
            uint32_t *a = &v[(4 - i % 4) % 4], b = v[(5 - i % 4) % 4], c = v[(6 - i % 4) % 4],
                     d = v[(7 - i % 4) % 4];
            uint32_t f = round == 0   ? d ^ (b & (c ^ d))
                         : round == 1 ? (b & c) + ((b ^ c) & d)
                                      : b ^ c ^ d;
            *a = rol(*a + f + in[order[round][i]] + add[round], shift[round][i % 4]);
        }
    for (unsigned i = 0; i < 4; i++)
        state[i] += v[i];
}

static void tea(uint32_t state[4], const uint32_t in[4])
{
    uint32_t sum = 0, x = state[0], y = state[1];
    for (unsigned i = 0; i < 16; i++) {
        sum += 0x9e3779b9;
        x += ((y << 4) + in[0]) ^ (y + sum) ^ ((y >> 5) + in[1]);
        y += ((x << 4) + in[2]) ^ (x + sum) ^ ((x >> 5) + in[3]);
    }
    state[0] += x;
    state[1] += y;
}

/* One character as the hash takes it. */
static uint32_t character(char c, bool is_unsigned)
{
    return is_unsigned ? (uint8_t)c : (uint32_t)(int32_t)(int8_t)c;
}

/* The next n words of a name; what it has less is filled with its length. */
static void words(const char *name, size_t len, bool is_unsigned, uint32_t *out, unsigned n)
{
    uint32_t pad = (uint32_t)len | (uint32_t)len << 8;
    pad |= pad << 16;
    size_t i = 0;
    for (unsigned w = 0; w < n; w++) {
        uint32_t v = pad;
        for (unsigned k = 0; k < 4 && i < len; k++, i++)
            v = character(name[i], is_unsigned) + (v << 8);
        out[w] = v;
    }
}

static uint32_t legacy(const char *name, size_t len, bool is_unsigned)
{
    uint32_t h0 = 0x12a3fe2d, h1 = 0x37abe8f9;
    for (size_t i = 0; i < len; i++) {
        uint32_t h = h1 + (h0 ^ character(name[i], is_unsigned) * 7152373);
        if (h & 0x80000000)
            h -= 0x7fffffff;
        h1 = h0;
        h0 = h;
    }
    return h0 << 1;
}

int ext4_name_hash(const struct ext4 *fs, unsigned version, const char *name, size_t len,
                   uint32_t *ret)
{
    uint32_t state[4] = { 0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476 }, in[8], hash;
    bool is_unsigned = version >= HASH_LEGACY_U || fs->hash_unsigned;
    const uint32_t *seed = fs->hash_seed;
    if (version > HASH_TEA_U)
        return -EOPNOTSUPP;
    version %= 3;
    if (seed[0] | seed[1] | seed[2] | seed[3])
        memcpy(state, seed, sizeof(state));
    unsigned step = version == HASH_HALF_MD4 ? 32 : 16;
    for (size_t at = 0; version != HASH_LEGACY && at < len; at += step) {
        words(name + at, len - at, is_unsigned, in, step / 4);
        if (version == HASH_HALF_MD4)
            half_md4(state, in);
        else
            tea(state, in);
    }
    hash = version == HASH_LEGACY     ? legacy(name, len, is_unsigned)
           : version == HASH_HALF_MD4 ? state[1]
                                      : state[0];
    hash &= ~1u;
    *ret = hash == 0xfffffffe ? 0xfffffffc : hash;
    return 0;
}
