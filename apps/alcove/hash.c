/* SPDX-License-Identifier: MIT */
#include "hash.h"

#include "util.h"

#include <openssl/evp.h>
#include <string.h>

void hash_begin(struct hash *h, const char *algorithm)
{
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    const EVP_MD *md = EVP_get_digestbyname(algorithm);
    if (!c || !md || EVP_DigestInit_ex(c, md, NULL) != 1)
        fail("libcrypto", "has no %s", algorithm);
    h->context = c;
}

void hash_add(struct hash *h, const void *p, size_t n)
{
    if (EVP_DigestUpdate(h->context, p, n) != 1)
        fail("libcrypto", "cannot hash");
}

size_t hash_end(struct hash *h, uint8_t ret[HASH_MAX])
{
    unsigned n = 0;
    if (EVP_DigestFinal_ex(h->context, ret, &n) != 1)
        fail("libcrypto", "cannot hash");
    EVP_MD_CTX_free(h->context);
    h->context = NULL;
    return n;
}

size_t hash_bytes(const char *algorithm, const void *p, size_t n, uint8_t ret[HASH_MAX])
{
    struct hash h;
    hash_begin(&h, algorithm);
    hash_add(&h, p, n);
    return hash_end(&h, ret);
}

char *hash_hex(const uint8_t *digest, size_t n)
{
    struct buf b = { 0 };
    for (size_t i = 0; i < n; i++)
        buf_printf(&b, "%02x", digest[i]);
    return b.s;
}

void extended_init(struct extended *e, const char *algorithm)
{
    uint8_t sum[HASH_MAX];
    *e = (struct extended){ .algorithm = algorithm, .size = hash_bytes(algorithm, "", 0, sum) };
}

void extended_digest(struct extended *e, const uint8_t *digest)
{
    uint8_t both[2 * HASH_MAX];
    memcpy(both, e->value, e->size);
    memcpy(both + e->size, digest, e->size);
    (void)hash_bytes(e->algorithm, both, 2 * e->size, e->value);
}

void extended_bytes(struct extended *e, const void *p, size_t n)
{
    uint8_t sum[HASH_MAX];
    (void)hash_bytes(e->algorithm, p, n, sum);
    extended_digest(e, sum);
}
