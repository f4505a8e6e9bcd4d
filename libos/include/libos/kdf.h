/* SPDX-License-Identifier: MIT */
/* Keys from passphrases. Both functions take long on purpose; they let other threads run in between and may sleep. */
#ifndef LIBOS_KDF_H
#define LIBOS_KDF_H

#include <base/compiler.h>
#include <base/types.h>

/* A run of bytes that is only read. */
struct kdf_bytes {
    const uint8_t *p;
    size_t n;
};

enum kdf_hash { KDF_SHA256, KDF_SHA512 };
enum { KDF_HASH_MAX = 64 };

/* Bytes of a digest. */
size_t kdf_hash_size(enum kdf_hash hash);
/* The digest of a and b, one behind the other. */
void kdf_digest(enum kdf_hash hash, struct kdf_bytes a, struct kdf_bytes b, uint8_t *ret_digest);

/* PBKDF2 (RFC 8018) with HMAC. out_size bytes are made. -ENOMEM. */
NODISCARD int kdf_pbkdf2(enum kdf_hash hash, struct kdf_bytes password, struct kdf_bytes salt,
                         uint32_t iterations, uint8_t *out, size_t out_size);

struct kdf_argon2 {
    bool id; /* argon2id; else argon2i */
    uint32_t passes, memory_kib, lanes;
};

/* Argon2 (RFC 9106) version 1.3. -ENOMEM: memory_kib is not there in one piece; -EINVAL: parameters that it refuses. */
NODISCARD int kdf_argon2(const struct kdf_argon2 *cost, struct kdf_bytes password,
                         struct kdf_bytes salt, uint8_t *out, size_t out_size);

/* Overwrite what nobody is to find. */
void kdf_wipe(void *p, size_t n);
/* Are n bytes the same? Takes as long either way. */
bool kdf_equal(const void *a, const void *b, size_t n);

#endif
