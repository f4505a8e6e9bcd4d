/* SPDX-License-Identifier: MIT */
/* The random generator (getrandom, /dev/urandom, ASLR, AT_RANDOM): ChaCha20, fast key erasure. Gives nothing before
 * 256 bits of entropy were credited. */
#ifndef LIBOS_RANDOM_H
#define LIBOS_RANDOM_H

#include <base/compiler.h>
#include <base/types.h>

/* Seed from the platform. */
void random_init(void);
/* Mix n bytes in, crediting bits. */
void random_add(const void *data, size_t n, unsigned bits);
/* Mix new entropy of the platform in, as when the machine goes on from a snapshot. */
void random_reseed(void);
bool random_ready(void);
/* Fill buf. Panics before random_ready(): callers for programs check first (getrandom blocks). */
void random_bytes(void *buf, size_t n);
uint64_t random_u64(void);

#endif
