/* SPDX-License-Identifier: MIT */
#include "sha256.h"

#include "util.h"

#include <openssl/evp.h>

void sha256_init(struct sha256 *s)
{
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    if (!c || EVP_DigestInit_ex(c, EVP_sha256(), NULL) != 1)
        fail("libcrypto", "has no SHA-256");
    s->context = c;
}

void sha256_add(struct sha256 *s, const void *p, size_t n)
{
    if (EVP_DigestUpdate(s->context, p, n) != 1)
        fail("libcrypto", "cannot hash");
}

void sha256_done(struct sha256 *s, uint8_t ret_sum[32])
{
    if (EVP_DigestFinal_ex(s->context, ret_sum, NULL) != 1)
        fail("libcrypto", "cannot hash");
    EVP_MD_CTX_free(s->context);
    s->context = NULL;
}

void sha256_hex(const uint8_t sum[32], char ret_hex[65])
{
    static const char digits[] = "0123456789abcdef";
    for (int i = 0; i < 32; i++) {
        ret_hex[2 * i] = digits[sum[i] >> 4];
        ret_hex[2 * i + 1] = digits[sum[i] & 15];
    }
    ret_hex[64] = 0;
}
