/* SPDX-License-Identifier: MIT */
/* Digests by libcrypto, by name. */
#ifndef ALCOVE_CMD_HASH_H
#define ALCOVE_CMD_HASH_H

#include <stddef.h>
#include <stdint.h>

enum { HASH_MAX = 64 };

struct hash {
    void *context; /* between begin and end */
};

/* "SHA256", "SHA384". */
void hash_begin(struct hash *h, const char *algorithm);
void hash_add(struct hash *h, const void *p, size_t n);
/* The digest's length in bytes. */
size_t hash_end(struct hash *h, uint8_t ret[HASH_MAX]);
/* All at once. */
size_t hash_bytes(const char *algorithm, const void *p, size_t n, uint8_t ret[HASH_MAX]);
/* Lower-case digits; the caller keeps the string. */
char *hash_hex(const uint8_t *digest, size_t n);

/* A register that is only ever extended: new = H(old || digest). Begins as zeros. */
struct extended {
    const char *algorithm;
    size_t size;
    uint8_t value[HASH_MAX];
};
void extended_init(struct extended *e, const char *algorithm);
/* By a digest, or by the digest of n bytes. */
void extended_digest(struct extended *e, const uint8_t *digest);
void extended_bytes(struct extended *e, const void *p, size_t n);

#endif
