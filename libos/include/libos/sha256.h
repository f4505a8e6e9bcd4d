/* SPDX-License-Identifier: MIT */
/* SHA-256 (FIPS 180-4), for verity. */
#ifndef LIBOS_SHA256_H
#define LIBOS_SHA256_H

#include <base/types.h>
#include <plat/cpu.h>

struct sha256 {
    uint32_t h[8];
    uint64_t size;     /* bytes so far */
    uint8_t block[64]; /* the unfinished one */
};

/* Begin a hash; add n bytes to it, any number of times. */
void sha256_init(struct sha256 *s);
void sha256_add(struct sha256 *s, const void *data, size_t size);
/* The digest; s is then used up. */
void sha256_end(struct sha256 *s, uint8_t ret_digest[32]);

/* The digests of several messages at once: each is what from has had, then size bytes at data[m]. False: no faster than
 * one after another here, or a part that is not of whole blocks of 64 bytes; nothing was done. */
bool sha256_lanes(const struct sha256 *from, const void *const data[PLAT_SHA256_LANES], size_t size,
                  uint8_t ret_digest[PLAT_SHA256_LANES][32]);

/* The compression function in C over blocks of 64 bytes, for CPUs without instructions for it and for tests. Pure. */
void sha256_compress(uint32_t s[8], const uint8_t *p, size_t blocks);

#endif
